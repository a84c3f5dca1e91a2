// SPDX-License-Identifier: Apache-2.0
/* The writer's state, shared by what writes (format_emit.c) and what decides (format_write.c). */
#ifndef CHELA_ROUTER_FORMAT_EMIT_H
#define CHELA_ROUTER_FORMAT_EMIT_H
#include "router/format_doc.h"

enum rank {	   /* of places to cut at, worst first */
	RANK_CHAR, /* between two runs, no space there */
	RANK_WORD,
	RANK_SENTENCE,
	RANK_LINE,
	RANK_BLOCK,
	RANKS
};
struct pos {
	size_t line;
	uint32_t run, off; /* of the line; in the run */
};
struct state {
	size_t len, raw, vis; /* bytes of the part; units of it, of it without tags */
	uint8_t stack[FMT_STYLES], n;
	uint32_t link, pre, quote; /* open ones */
	size_t begun;		   /* line number + 1 that has its beginning written */
	bool ink;		   /* something that can be seen is there */
};
struct cut {
	struct pos pos;
	struct state s;
	bool set;
};
struct writer {
	const struct fmt_doc *d;
	const struct fmt_rules *r;
	enum text_unit unit;
	size_t max, raw_max;
	struct buf out;
	struct state s;
	struct cut cuts[RANKS];
	struct pos at, start;
	format_part_fn *fn;
	void *ctx;
};

/* -- format_emit.c */

/* A mark or tag: it counts in the body, not in what is seen. */
void fmt_put_mark(struct writer *w, const char *p, size_t n);
void fmt_put_marks(struct writer *w, const char *s);
/* Text that can be seen, with the format's escapes. */
void fmt_put_text(struct writer *w, const char *p, size_t n);
/* Opens and closes what the run at w->at needs. */
void fmt_style_set(struct writer *w, const struct fmt_run *r);
/* Each closes what is open of its kind, if anything is. */
void fmt_inline_close(struct writer *w);
void fmt_pre_close(struct writer *w);
void fmt_quote_close(struct writer *w);
/* Units that closing everything would add. */
size_t fmt_close_cost(const struct writer *w);
/* Whether the part, with everything closed, is within its limit. */
bool fmt_fits(const struct writer *w);

#endif
