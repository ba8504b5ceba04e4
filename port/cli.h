/* What all command lines share: a table of options from which both parsing and
 * --help come, and the words that several of them take. A front embeds struct
 * cli, owns the table, and fills in a struct config; nothing is opened or
 * changed while parsing. */
#ifndef PORT_CLI_H
#define PORT_CLI_H

#include "port/config.h"
#include "stack/fail.h"

#include <stdio.h>

enum cli_verdict {
	CLI_GO,   /* go on with what was parsed */
	CLI_DONE, /* all is said (--help, --version): exit 0 */
	CLI_BAD,  /* refused, and said why on cli.err */
};

struct cli {
	const struct cli_option *options; /* borrowed; ends with a NULL name */
	const char *name;      /* begins messages about unknown options */
	FILE *out, *err;       /* borrowed: stdout and stderr, or a test's */
	struct config *config; /* borrowed: where options of all fronts go;
				* NULL: it has none of those */
	bool stop_at_word;     /* options end at the first other word */
	const struct cli_option *now; /* the one that is being applied */
};

struct cli_option {
	const char *name; /* long, without dashes */
	char letter;      /* short; 0: none */
	const char *arg;  /* name of its argument in --help; NULL: takes none */
	const char *help; /* NULL: works, but is not shown */
	/* @arg is NULL if there is none. */
	enum cli_verdict (*apply)(struct cli *c, const char *arg);
	size_t at; /* for cli_store_*() */
};

/* For options that are only taken note of, in the bool or const char * that is
 * o->at bytes into what struct cli is the beginning of. */
enum cli_verdict cli_store_flag(struct cli *c, const char *arg);
enum cli_verdict cli_store_text(struct cli *c, const char *arg);

/* Applies the options of @argv[1..] from left to right, until one of them does
 * not answer CLI_GO. As getopt_long(3) has it: they may stand between the other
 * words (unless c->stop_at_word) and be cut short while they stay unambiguous.
 * After CLI_GO, @argv[*@ret_words..] are the other words. */
enum cli_verdict cli_parse(struct cli *c, int argc, char **argv,
			   int *ret_words);
/* One line an option. */
void cli_print_options(const struct cli *c, FILE *to);

/* Decimal digits only, from @min to @max. 0 or -EINVAL. */
int cli_number(const char *text, long min, long max, long *ret);
/* A.B.C.D/N with 1 <= N <= 25 and no host bits, as --cidr. 0 or -EINVAL. */
int cli_cidr(const char *text, struct in6_addr *ret_net, uint8_t *ret_bits,
	     struct fail *why);

/* Six bytes like 0e:d4:18:d9:38:fb, no multicast. 0 or -EINVAL. */
int cli_mac(const char *text, uint8_t ret[WIRE_MAC_LEN], struct fail *why);
/* An address of the family, or the first that the host's interface @text has. 0
 * or -EINVAL. */
int cli_source(const char *text, bool v4, struct in6_addr *ret);

/* What several fronts have, for their tables. */
enum cli_verdict cli_follow(struct cli *c, const char *arg);
enum cli_verdict cli_api_socket(struct cli *c, const char *arg);
enum cli_verdict cli_loopback(struct cli *c, const char *arg);
enum cli_verdict cli_splice(struct cli *c, const char *arg);

/* --pcap and its companions, for the tables of those who have a tap. */
enum cli_verdict cli_pcap_file(struct cli *c, const char *arg);
enum cli_verdict cli_pcap_filter(struct cli *c, const char *arg);
enum cli_verdict cli_pcap_snaplen(struct cli *c, const char *arg);
enum cli_verdict cli_pcap_size(struct cli *c, const char *arg);
enum cli_verdict cli_pcap_files(struct cli *c, const char *arg);
enum cli_verdict cli_pcap_segment(struct cli *c, const char *arg);
/* Do they fit together? */
enum cli_verdict cli_pcap_check(const struct cli *c);
/* clang-format off */
#define CLI_PCAP_OPTIONS(letter) \
	{"pcap", letter, "FILE", "capture to FILE, '-': to stdout", \
	 cli_pcap_file, 0}, \
	{"pcap-filter", 0, "EXPR", \
	 "capture only what pcap-filter(7) EXPR says", cli_pcap_filter, 0}, \
	{"pcap-snaplen", 0, "N", \
	 "capture N bytes of each frame (default: all)", cli_pcap_snaplen, 0}, \
	{"pcap-size", 0, "MB", \
	 "begin the next file after MB million bytes", cli_pcap_size, 0}, \
	{"pcap-files", 0, "N", \
	 "keep N files, writing over the oldest", cli_pcap_files, 0}, \
	{"pcap-segment", 0, NULL, \
	 "capture super-frames as segments of one MTU", cli_pcap_segment, 0}
/* clang-format on */

/* The fronts: @argv[0] is the program's name. CLI_GO with *@ret filled in, for
 * config_fini(), its strings borrowed from @argv; otherwise there is nothing to
 * free. */
enum cli_verdict cli_slirp(int argc, char **argv, struct config *ret, FILE *out,
			   FILE *err);
enum cli_verdict cli_run(int argc, char **argv, struct config *ret, FILE *out,
			 FILE *err);
enum cli_verdict cli_pasta(int argc, char **argv, struct config *ret, FILE *out,
			   FILE *err);
/* Chooses the front: by the name of the program, or by the first word. */
enum cli_verdict cli_main(int argc, char **argv, struct config *ret, FILE *out,
			  FILE *err);

#endif
