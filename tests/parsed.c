#include "tests/parsed.h"

#include <stdlib.h>

struct parsed parsed_main(int argc, char **argv)
{
	struct parsed p;
	size_t out_len, err_len;
	FILE *out = open_memstream(&p.out, &out_len);
	FILE *err = open_memstream(&p.err, &err_len);

	p.verdict = cli_main(argc, argv, &p.config, out, err);
	fclose(out);
	fclose(err);
	return p;
}

void parsed_forget(struct parsed *p)
{
	free(p->out);
	free(p->err);
}
