// SPDX-License-Identifier: Apache-2.0
/*
 * The small intermediate form between the Markdown parser and the writer: lines of runs. A line is
 * what ends in a newline on the platform; a run is text of one style. Everything is an offset into
 * one arena. Inner header of format*.c: nothing else includes it.
 */
#ifndef CHELA_ROUTER_FORMAT_DOC_H
#define CHELA_ROUTER_FORMAT_DOC_H
#include <stdint.h>
#include "base/buf.h"
#include "router/format.h"

enum fmt_style {
	FMT_BOLD = 1 << 0,
	FMT_ITALIC = 1 << 1,
	FMT_STRIKE = 1 << 2,
	FMT_CODE = 1 << 3, /* alone: it is never combined */
	FMT_STYLES = 4,
};
struct fmt_span {
	uint32_t off, len; /* in fmt_doc.text */
};
struct fmt_run {
	struct fmt_span t;
	uint32_t link; /* index into links, 0 = none */
	uint8_t style;
	bool url; /* a bare address: every platform finds it itself, and nothing in it is a mark */
};
struct fmt_link {
	struct fmt_span target;
	uint32_t label; /* bytes of its text */
	bool same;	/* the text is the address */
};
struct fmt_line {
	uint32_t run, n_runs;
	struct fmt_span prefix; /* indent and bullet */
	uint32_t pre,
		quote; /* number of the code block (index into pres) and of the quote; 0 = none */
	bool gap;      /* an empty line before it */
	bool heading;
};
struct fmt_pre {
	struct fmt_span open, close; /* what the format puts around the block, newlines and all */
};
struct fmt_doc {
	struct buf text;
	struct fmt_run *runs;
	struct fmt_line *lines;
	struct fmt_link *links;
	struct fmt_pre *pres;
	size_t n_runs, n_lines, n_links, n_pres;
	size_t cap_runs, cap_lines, cap_links, cap_pres;
	uint32_t quotes; /* how many there are so far */
};

/* How a format says things. */
struct fmt_rules {
	const char *open[FMT_STYLES], *close[FMT_STYLES]; /* in the order of enum fmt_style */
	bool escape;					  /* & < > are written as entities */
	bool bounded; /* marks work only between words, and nothing can be escaped */
	bool visible; /* the limit counts what is left without tags */
	/* Before a link's target, between it and the text, after; NULL = "text (target)". */
	const char *link[3];
	/* Around a code block; the second before and after the language's name, and the end; NULL
	 * = without it. */
	const char *pre, *pre_close;
	const char *pre_lang[3];
	/* At the start of each line of a quote, and of empty ones within; around it as a whole. */
	const char *quote_line, *quote_gap;
	const char *quote, *quote_close;
	const char *bullet[3]; /* by depth */
	unsigned table;	       /* columns of type of the widest table that is shown aligned */
};

/* format_doc.c */
void fmt_doc_init(struct fmt_doc *d);
void fmt_doc_free(struct fmt_doc *d);
struct fmt_line *fmt_line_add(struct fmt_doc *d);
/* Puts text into the arena. */
struct fmt_span fmt_text(struct fmt_doc *d, const char *p, size_t n);
/* Adds text that is in the arena to the last line; joins it with the run before where that is
 * alike. */
void fmt_run_add(struct fmt_doc *d, struct fmt_span t, unsigned style, uint32_t link, bool url);
uint32_t fmt_link_add(struct fmt_doc *d, struct fmt_span target);
uint32_t fmt_pre_add(struct fmt_doc *d, const struct fmt_pre *p);
static inline const char *fmt_at(const struct fmt_doc *d, struct fmt_span t)
{
	return d->text.p + t.off;
}
/* Text as it is, line by line, no mark in it known; fences: code fences are kept as blocks. */
void fmt_source(struct fmt_doc *d, const char *s, size_t n, bool fences);
/* Columns of type that one character takes in a fixed-width font: 0, 1 or 2. Sets *n to its
 * bytes. */
unsigned fmt_width(const char *p, size_t left, size_t *n);

/* Nothing to see: spaces of all kinds and marks without a glyph. */
bool fmt_blank(const char *p, size_t n);

/* format_walk.c: adds the Markdown to the document; false = it was given up (expansion past what
 * its size allows) and the document is as before. max: limits.max, for the indent of lists. */
bool fmt_walk(struct fmt_doc *d, const char *md, size_t n, const struct fmt_rules *r, size_t max);
/* format_table.c: makes lines of the cells, which are the lines from `first` on: `columns` a row,
 * the first row the heads. align: a character a column, 'r' = right. */
void fmt_table(struct fmt_doc *d, size_t first, size_t columns, const char *align,
	       const struct fmt_rules *r);
/* format_marks.c: settles which links and marks this format can show, and makes the rest text. */
void fmt_marks(struct fmt_doc *d, const struct fmt_rules *r, const struct format_limits *l);
/* format_write.c: writes and splits; false when fn stopped it. */
bool fmt_write(const struct fmt_doc *d, const struct fmt_rules *r, const struct format_limits *l,
	       format_part_fn *fn, void *ctx);

#endif
