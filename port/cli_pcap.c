#include "port/cli.h"

#include <limits.h>
#include <string.h>

#define SNAPLEN_MIN 14 /* the Ethernet header */
#define SNAPLEN_MAX 262144
#define FILES_MAX   1000000

static enum cli_verdict take_number(struct cli *c, const char *name,
				    const char *arg, long min, long max,
				    long *ret)
{
	if (cli_number(arg, min, max, ret) == 0)
		return CLI_GO;
	fprintf(c->err, "%s: --%s '%s': want a number from %ld to %ld\n",
		c->name, name, arg, min, max);
	return CLI_BAD;
}

enum cli_verdict cli_pcap_file(struct cli *c, const char *arg)
{
	c->config->pcap.path = arg;
	return CLI_GO;
}

enum cli_verdict cli_pcap_filter(struct cli *c, const char *arg)
{
	c->config->pcap.filter = arg;
	return CLI_GO;
}

enum cli_verdict cli_pcap_snaplen(struct cli *c, const char *arg)
{
	long n;

	if (take_number(c, "pcap-snaplen", arg, SNAPLEN_MIN, SNAPLEN_MAX, &n) !=
	    CLI_GO)
		return CLI_BAD;
	c->config->pcap.snaplen = (unsigned)n;
	return CLI_GO;
}

enum cli_verdict cli_pcap_size(struct cli *c, const char *arg)
{
	long n;

	if (take_number(c, "pcap-size", arg, 1, INT_MAX, &n) != CLI_GO)
		return CLI_BAD;
	c->config->pcap.size = (uint64_t)n * 1000000;
	return CLI_GO;
}

enum cli_verdict cli_pcap_files(struct cli *c, const char *arg)
{
	long n;

	if (take_number(c, "pcap-files", arg, 1, FILES_MAX, &n) != CLI_GO)
		return CLI_BAD;
	c->config->pcap.files = (unsigned)n;
	return CLI_GO;
}

enum cli_verdict cli_pcap_segment(struct cli *c, const char *arg)
{
	c->config->pcap_segment = true;
	return CLI_GO;
}

enum cli_verdict cli_pcap_check(const struct cli *c)
{
	const struct dump_config *d = &c->config->pcap;
	const char *what = NULL;

	if (!d->path && (d->filter || d->snaplen || d->size || d->files ||
			 c->config->pcap_segment))
		what = "--pcap-... options need --pcap";
	else if (d->files && !d->size)
		what = "--pcap-files needs --pcap-size";
	if (!what)
		return CLI_GO;
	fprintf(c->err, "%s: %s\n", c->name, what);
	return CLI_BAD;
}
