#include "port/cli_flows.h"

#include "port/cli.h"
#include "port/flowlist.h"

#include <errno.h>
#include <sys/random.h>

#define OUT_BUFFER 65536

struct flows_cli {
	struct cli cli; /* must be first, see apply_json() */
	bool json;
};

static enum cli_verdict apply_json(struct cli *c, const char *arg)
{
	((struct flows_cli *)c)->json = true;
	return CLI_GO;
}

static enum cli_verdict apply_help(struct cli *c, const char *arg)
{
	fputs("Usage: tapir flows [OPTION]... IN.pcap\n"
	      "Lists the conversations of a capture ('-': of stdin), those "
	      "with the most bytes\n"
	      "first.\n\n",
	      c->out);
	cli_print_options(c, c->out);
	fputs("\n"
	      "PROT   tcp, udp or ping\n"
	      "FROM   who began it; TO: whom it was for. By name, if the "
	      "capture has the DNS\n"
	      "       answer\n"
	      "SENT   bytes of payload that FROM sent, and RECV: that came "
	      "back\n"
	      "TIME   from the first frame to the last\n"
	      "RTX    TCP segments sent again\n"
	      "RST    TCP resets\n"
	      "END    tcp: closed, half-closed (by one side), reset, refused, "
	      "unreachable,\n"
	      "       silent (no answer), or open at the end of the capture\n"
	      "       udp, ping: answered, silent, unreachable\n\n"
	      "Exit status: 0; 1 if the capture could not be read to its "
	      "end.\n",
	      c->out);
	return CLI_DONE;
}

static const struct cli_option options[] = {
	{"json", 0, NULL, "one JSON object, for programs", apply_json, 0},
	{"help", 'h', NULL, "show this help and exit", apply_help, 0},
	{0},
};

/* As far as it can be read. 0, or -errno with the reason. */
static int read_all(struct flows *f, const char *path, struct fail *why)
{
	struct source *s = source_open(path, why);
	struct source_frame frame;
	int got;

	if (!s)
		return -EINVAL;
	while ((got = source_next(s, &frame, why)) > 0)
		flows_add(f, &frame);
	source_close(s);
	return got;
}

static int list(const char *path, bool json, FILE *out, FILE *err)
{
	uint64_t seed = 0;
	struct fail why = {""};
	struct flows *f;
	int fault;

	/* There may be many lines, and nobody waits for the first. */
	setvbuf(out, NULL, _IOFBF, OUT_BUFFER);
	if (getrandom(&seed, sizeof(seed), 0) < 0)
		seed = (uintptr_t)&seed;
	f = flows_new(seed);
	if (!f) {
		fputs("tapir flows: no memory\n", err);
		return 1;
	}
	fault = read_all(f, path, &why);
	if (fault == 0 || flows_totals(f).frames > 0) {
		int printed =
			json ? flowlist_json(f, out) : flowlist_text(f, out);

		if (printed < 0)
			fault = fail_set(&why, printed, "no memory");
		else if (fflush(out) != 0 || ferror(out))
			fault = fail_set(&why, -EIO, "cannot write the list");
	}
	if (fault < 0)
		fprintf(err, "tapir flows: %s\n", why.text);
	flows_free(f);
	return fault < 0 ? 1 : 0;
}

int cli_flows(int argc, char **argv, FILE *out, FILE *err)
{
	struct flows_cli f = {
		.cli = {options, "tapir flows", out, err, NULL, false, NULL},
	};
	enum cli_verdict verdict;
	int words;

	verdict = cli_parse(&f.cli, argc, argv, &words);
	if (verdict == CLI_DONE)
		return 0;
	if (verdict == CLI_GO && argc - words != 1) {
		fprintf(err, "tapir flows: want one capture, got %d\n",
			argc - words);
		verdict = CLI_BAD;
	}
	if (verdict == CLI_BAD) {
		fputs("Try 'tapir flows --help'.\n", err);
		return 1;
	}
	return list(argv[words], f.json, out, err);
}
