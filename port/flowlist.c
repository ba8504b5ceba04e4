#include "port/flowlist.h"

#include "pcap/names.h"
#include "stack/nsec.h"
#include "stack/wire.h"

#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <string.h>

/* A name or an address, and a port. */
#define CELL_LEN (NAMES_TEXT + 8)

enum column {
	PROTOCOL,
	FROM,
	TO,
	SENT,
	RECEIVED,
	TIME,
	RETRANSMITS,
	RESETS,
	END,
	COLUMNS
};

static const char *const headline[] = {
	[PROTOCOL] = "PROT",   [FROM] = "FROM",     [TO] = "TO",
	[SENT] = "SENT",       [RECEIVED] = "RECV", [TIME] = "TIME",
	[RETRANSMITS] = "RTX", [RESETS] = "RST",    [END] = "END",
};
static_assert(sizeof(headline) / sizeof(headline[0]) == COLUMNS, "all of them");

static const char *protocol_name(const struct flows_talk *t)
{
	return t->proto == WIRE_PROTO_TCP   ? "tcp"
	       : t->proto == WIRE_PROTO_UDP ? "udp"
					    : "ping";
}

static void print_end(const struct flows_talk *t, int i, char cell[CELL_LEN])
{
	char text[ENDPOINT_STRLEN];

	if (t->name[i] && t->proto == WIRE_PROTO_ICMP)
		snprintf(cell, CELL_LEN, "%s", t->name[i]);
	else if (t->name[i])
		snprintf(cell, CELL_LEN, "%s:%u", t->name[i], t->end[i].port);
	else if (t->proto == WIRE_PROTO_ICMP)
		snprintf(cell, CELL_LEN, "%s",
			 addr_format(&t->end[i].addr, text));
	else
		snprintf(cell, CELL_LEN, "%s",
			 endpoint_format(&t->end[i], text));
}

/* Five characters at most: 999, 1.2k, 34.5k, 678k, 9.0M. */
static void print_count(uint64_t n, char cell[CELL_LEN])
{
	static const char units[] = "kMGTPE";
	uint64_t unit = 1000;
	size_t u = 0;

	if (n < unit) {
		snprintf(cell, CELL_LEN, "%u", (unsigned)n);
		return;
	}
	while (n / unit >= 1000 && units[u + 1]) {
		unit *= 1000;
		u++;
	}
	if (n / unit < 100)
		snprintf(cell, CELL_LEN, "%u.%u%c", (unsigned)(n / unit),
			 (unsigned)(n % unit / (unit / 10)), units[u]);
	else
		snprintf(cell, CELL_LEN, "%u%c", (unsigned)(n / unit),
			 units[u]);
}

static void print_time(nsec_t span, char cell[CELL_LEN])
{
	unsigned long ms = (unsigned long)(span / NSEC_PER_MSEC);
	unsigned long s = ms / 1000;

	if (ms < 1000)
		snprintf(cell, CELL_LEN, "%lums", ms);
	else if (s < 100)
		snprintf(cell, CELL_LEN, "%lu.%lus", s, ms % 1000 / 100);
	else if (s < 3600)
		snprintf(cell, CELL_LEN, "%lum%02lus", s / 60, s % 60);
	else if (s < 24 * 3600)
		snprintf(cell, CELL_LEN, "%luh%02lum", s / 3600, s / 60 % 60);
	else
		snprintf(cell, CELL_LEN, "%lud%02luh", s / 86400,
			 s / 3600 % 24);
}

static void print_cell(const struct flows_talk *t, enum column c,
		       char cell[CELL_LEN])
{
	switch (c) {
	case PROTOCOL:
		snprintf(cell, CELL_LEN, "%s", protocol_name(t));
		break;
	case FROM:
	case TO:
		print_end(t, c == TO, cell);
		break;
	case SENT:
	case RECEIVED:
		print_count(t->way[c == RECEIVED].bytes, cell);
		break;
	case TIME:
		print_time(t->last - t->first, cell);
		break;
	case RETRANSMITS:
		print_count((uint64_t)t->way[0].retransmits +
				    t->way[1].retransmits,
			    cell);
		break;
	case RESETS:
		print_count((uint64_t)t->way[0].resets + t->way[1].resets,
			    cell);
		break;
	case END:
		snprintf(cell, CELL_LEN, "%s", flows_end_name(flows_end_of(t)));
		break;
	case COLUMNS:
		break;
	}
}

/* Of a name the end tells most, of an address both: @width at most. */
static void cut_end(char *cell, size_t width, bool name)
{
	size_t len = strlen(cell), head;

	if (len <= width)
		return;
	head = name ? 0 : (width - 2) / 2;
	memmove(cell + head + 2, cell + len - (width - 2 - head),
		width - 2 - head + 1);
	cell[head] = cell[head + 1] = '.';
}

/* The ends share what the other columns leave. */
static void fit(size_t width[COLUMNS])
{
	size_t left = FLOWLIST_COLUMNS;

	for (int c = 0; c < COLUMNS; c++) {
		if (c != FROM && c != TO)
			left -= width[c];
	}
	left -= COLUMNS - 1;
	if (width[FROM] + width[TO] <= left)
		return;
	if (width[FROM] <= left / 2)
		width[TO] = left - width[FROM];
	else if (width[TO] <= left / 2)
		width[FROM] = left - width[TO];
	else
		width[FROM] = width[TO] = left / 2;
}

static void print_padded(const char *cell, enum column c, size_t width,
			 FILE *to)
{
	if (c == END)
		fprintf(to, "%s\n", cell);
	else if (c <= TO)
		fprintf(to, "%-*s ", (int)width, cell);
	else
		fprintf(to, "%*s ", (int)width, cell);
}

static void print_line(const struct flows_talk *t, const size_t width[COLUMNS],
		       FILE *to)
{
	char cell[CELL_LEN];

	for (enum column c = 0; c < COLUMNS; c++) {
		print_cell(t, c, cell);
		if (c == FROM || c == TO)
			cut_end(cell, width[c], t->name[c == TO]);
		print_padded(cell, c, width[c], to);
	}
}

static void print_rest(const struct flows *f, size_t count, FILE *to)
{
	struct flows_totals t = flows_totals(f);

	fprintf(to, "%zu conversation%s, %llu frame%s", count,
		count == 1 ? "" : "s", (unsigned long long)t.frames,
		t.frames == 1 ? "" : "s");
	if (t.other)
		fprintf(to, ", %llu of them of no conversation",
			(unsigned long long)t.other);
	fputc('\n', to);
	if (t.too_many)
		fprintf(to,
			"more than %d conversations: %llu frames of later ones "
			"are left out\n",
			FLOWS_MAX, (unsigned long long)t.too_many);
}

int flowlist_text(struct flows *f, FILE *to)
{
	size_t width[COLUMNS], count;
	const struct flows_talk *const *talks = flows_sort(f, &count);
	char cell[CELL_LEN];

	if (!talks)
		return -ENOMEM;
	for (enum column c = 0; c < COLUMNS; c++) {
		width[c] = strlen(headline[c]);
		for (size_t i = 0; i < count; i++) {
			print_cell(talks[i], c, cell);
			if (strlen(cell) > width[c])
				width[c] = strlen(cell);
		}
	}
	fit(width);
	for (enum column c = 0; c < COLUMNS && count; c++)
		print_padded(headline[c], c, width[c], to);
	for (size_t i = 0; i < count; i++)
		print_line(talks[i], width, to);
	print_rest(f, count, to);
	return 0;
}

static json_t *end_json(const struct flows_talk *t, int i)
{
	const struct flows_way *w = &t->way[i];
	char text[ADDR_STRLEN];
	json_t *o =
		json_pack("{s:s, s:I, s:I, s:I, s:I}", "address",
			  addr_format(&t->end[i].addr, text), "bytes",
			  (json_int_t)w->bytes, "frames", (json_int_t)w->frames,
			  "resets", (json_int_t)w->resets, "retransmits",
			  (json_int_t)w->retransmits);

	if (o && t->proto != WIRE_PROTO_ICMP)
		json_object_set_new(o, "port", json_integer(t->end[i].port));
	if (o && t->name[i])
		json_object_set_new(o, "name", json_string(t->name[i]));
	return o;
}

static json_t *talk_json(const struct flows_talk *t)
{
	json_t *o = json_pack(
		"{s:s, s:o, s:o, s:f, s:f, s:s, s:I}", "protocol",
		protocol_name(t), "from", end_json(t, 0), "to", end_json(t, 1),
		"begin", (double)t->first / (double)NSEC_PER_SEC, "duration",
		(double)(t->last - t->first) / (double)NSEC_PER_SEC, "end",
		flows_end_name(flows_end_of(t)), "unreachable",
		(json_int_t)t->unreachable);

	if (o && t->proto == WIRE_PROTO_ICMP)
		json_object_set_new(o, "id", json_integer(t->end[0].port));
	return o;
}

/* One conversation after the other: as one tree they would fill the memory. */
int flowlist_json(struct flows *f, FILE *to)
{
	struct flows_totals totals = flows_totals(f);
	const struct flows_talk *const *talks;
	size_t count;
	int err = 0;

	talks = flows_sort(f, &count);
	if (!talks)
		return -ENOMEM;
	fputs("{\"conversations\": [", to);
	for (size_t i = 0; i < count && err == 0; i++) {
		json_t *o = talk_json(talks[i]);

		fputs(i ? ",\n  " : "\n  ", to);
		err = o ? 0 : -ENOMEM;
		if (o)
			json_dumpf(o, to, JSON_REAL_PRECISION(16));
		json_decref(o);
	}
	fprintf(to,
		"\n], \"frames\": %llu, \"of_no_conversation\": %llu, "
		"\"beyond_limit\": %llu}\n",
		(unsigned long long)totals.frames,
		(unsigned long long)totals.other,
		(unsigned long long)totals.too_many);
	return err;
}
