// SPDX-License-Identifier: Apache-2.0
/*
 * The formats as a table, and the road: clean the text, hand it to the parser in slices, settle the
 * marks, write. The slices bound what an odd text can cost: some inputs make any Markdown parser
 * work in the square of their length, and this runs on the loop. A cut between slices is at an
 * empty line outside of code, where no construct but a list or a link definition goes on.
 */
#include "router/format.h"
#include "base/str.h"
#include "router/format_doc.h"

#define SLICE	  (32u << 10)  /* bytes for the parser at once, where there is a place to cut */
#define FENCE_MAX (256u << 10) /* the same within a code block, which costs the parser nothing */
#define PAD	  64
#define DEFS_MAX  4096	     /* bytes of link definitions that each slice is given */
#define PIECE	  (1u << 20) /* bytes of Markdown in one document: bounds memory */

#define NO_MARKS	     .open = {"", "", "", ""}, .close = {"", "", "", ""}
#define SIGNS		     .open = {"*", "_", "~", "`"}, .close = {"*", "_", "~", "`"}
#define FENCES		     .pre = "```\n", .pre_close = "\n```"
#define QUOTED_BY(line, gap) .quote_line = line, .quote_gap = gap, .quote = "", .quote_close = ""
#define BULLETS		     .bullet = {"•", "◦", "▪"}

/* clang-format off */
static const struct fmt_rules rules[] = {
	[FORMAT_MARKDOWN] = {NO_MARKS, QUOTED_BY("", "")},
	[FORMAT_PLAIN] = {NO_MARKS, QUOTED_BY("> ", ">"), BULLETS, .pre = "", .pre_close = "", .table = 72},
	[FORMAT_SLACK] = {SIGNS, FENCES, QUOTED_BY("> ", ">"), BULLETS, .table = 72,
			  .escape = true, .bounded = true, .link = {"<", "|", ">"}},
	[FORMAT_TELEGRAM] = {.open = {"<b>", "<i>", "<s>", "<code>"},
			     .close = {"</b>", "</i>", "</s>", "</code>"},
			     .escape = true, .visible = true,
			     .link = {"<a href=\"", "\">", "</a>"},
			     .pre = "<pre>", .pre_close = "</pre>",
			     .pre_lang = {"<pre><code class=\"language-", "\">", "</code></pre>"},
			     .quote_line = "", .quote_gap = "",
			     .quote = "<blockquote>", .quote_close = "</blockquote>",
			     BULLETS, .table = 48},
	[FORMAT_WHATSAPP] = {SIGNS, FENCES, QUOTED_BY("> ", ""), .bullet = {"-", "-", "-"}, .table = 40,
			     .bounded = true},
};
/* clang-format on */

size_t format_units(enum text_unit u, const char *s, size_t n)
{
	size_t sum = n;

	if (u == UNIT_BYTES)
		return n;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if ((c & 0xc0) == 0x80)
			sum--;
		else if (c >= 0xf0 && u == UNIT_UTF16)
			sum++;
	}
	return sum;
}

static bool is_clean(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if ((c < ' ' && c != '\n' && c != '\t') || c == 0x7f)
			return false;
	}
	return str_is_utf8(s, n);
}

/* Valid UTF-8 with \n as the only end of a line and no other control character but the tab. */
static void clean(struct buf *to, const char *s, size_t n)
{
	for (size_t i = 0, len; i < n; i += len) {
		unsigned char c = (unsigned char)s[i];

		len = str_utf8_seq(s + i, n - i);
		if (!len) {
			len = 1;
			buf_puts(to, "\xef\xbf\xbd");
		} else if (c == '\r' && !(i + 1 < n && s[i + 1] == '\n')) {
			buf_put(to, "\n", 1);
		} else if ((c >= ' ' && c != 0x7f) || c == '\n' || c == '\t') {
			buf_put(to, s + i, len);
		}
	}
}

static bool is_fence(const char *s, size_t n)
{
	size_t i = 0;

	while (i < n && (s[i] == ' ' || s[i] == '>' || s[i] == '\t'))
		i++;
	return n - i >= 3 && (memcmp(s + i, "```", 3) == 0 || memcmp(s + i, "~~~", 3) == 0);
}

/* Bytes of the next slice. */
static size_t slice_of(const char *s, size_t n)
{
	size_t best = 0, line_end = 0, at = 0;
	bool fence = false, empty = false;

	if (n <= SLICE)
		return n;
	if (n > FENCE_MAX + SLICE) /* as far as it looks */
		n = FENCE_MAX + SLICE;
	while (at < n && (at <= SLICE || (fence && at <= FENCE_MAX))) {
		const char *nl = memchr(s + at, '\n', n - at);
		size_t len = nl ? (size_t)(nl - s) - at : n - at;

		if (empty && !fence && len && s[at] != ' ' && s[at] != '\t')
			best = at;
		if (is_fence(s + at, len))
			fence = !fence;
		empty = len == 0;
		at += len + 1;
		if (!fence && at < n)
			line_end = at;
	}
	if (best > SLICE / 4)
		return best;
	if (line_end && line_end <= FENCE_MAX)
		return line_end;
	if (fence)
		return at < n ? at : n;
	return str_utf8_floor(s, n < 2 * SLICE ? n : 2 * SLICE);
}

/* Link definitions of the whole text: in a text of several slices each one needs them. False when
 * they are too many. */
static bool definitions(const char *s, size_t n, struct buf *defs)
{
	for (size_t at = 0, len; at < n; at += len + 1) {
		const char *nl = memchr(s + at, '\n', n - at), *end;
		size_t in = 0;

		len = nl ? (size_t)(nl - s) - at : n - at;
		while (in < len && s[at + in] == ' ')
			in++;
		if (in == len || s[at + in] != '[')
			continue;
		end = memchr(s + at, ']', len);
		if (!end || end + 1 >= s + at + len || end[1] != ':')
			continue;
		if (defs->len + len > DEFS_MAX)
			return false;
		buf_put(defs, s + at, len);
		buf_puts(defs, "\n\n");
	}
	return true;
}

static void parse(struct fmt_doc *d, const char *md, size_t n, const struct fmt_rules *r,
		  const struct format_limits *l)
{
	_cleanup_(buf_free) struct buf defs = {0}, part = {0};
	bool whole = n <= SLICE, known = whole || definitions(md, n, &defs);

	while (n) {
		size_t k = slice_of(md, n), len;

		part.len = 0;
		buf_put(&part, defs.p, defs.len);
		buf_put(&part, md, k);
		len = part.len;
		/* md4c 0.4.8 looks past the end of its text ("[a](b" and nothing after it): that
		 * is nothing, for sure */
		buf_put(&part, (const char[PAD]){0}, PAD);
		if (!known || !fmt_walk(d, part.p, len, r, l->max))
			fmt_source(d, md, k, false);
		md += k;
		n -= k;
	}
	fmt_marks(d, r, l);
}

/* One document: all of it, or a piece of a very long text. */
static bool render(const char *md, size_t n, const struct format_limits *l, format_part_fn *fn,
		   void *ctx)
{
	const struct fmt_rules *r = &rules[l->format];
	struct fmt_doc d;
	bool go;

	fmt_doc_init(&d);
	if (l->format == FORMAT_MARKDOWN)
		fmt_source(&d, md, n, true);
	else
		parse(&d, md, n, r, l);
	go = fmt_write(&d, r, l, fn, ctx);
	fmt_doc_free(&d);
	return go;
}

void format_render(const char *md, size_t n, const struct format_limits *l, format_part_fn *fn,
		   void *ctx)
{
	_cleanup_(buf_free) struct buf own = {0}, whole = {0};

	if (n && !is_clean(md, n)) {
		clean(&own, md, n);
		md = own.p ? own.p : "";
		n = own.len;
	}
	while (n) {
		size_t k = n;

		if (l->format == FORMAT_MARKDOWN && format_units(l->unit, md, n) <= l->max) {
			if (!fmt_blank(md, n)) { /* as the agent wrote it */
				buf_put(&whole, md, n);
				fn(ctx, whole.p, n);
			}
			return;
		}
		if (n > PIECE)
			for (k = 0; k < PIECE;)
				k += slice_of(md + k, n - k);
		if (!render(md, k, l, fn, ctx))
			return;
		md += k;
		n -= k;
	}
}

static bool keep(void *ctx, const char *body, size_t n)
{
	struct buf *b = ctx;

	if (b->len)
		buf_put(b, "\n", 1);
	buf_put(ctx, body, n);
	return true;
}

char *format_plain(const char *md, size_t n)
{
	struct buf out = {0};
	struct format_limits l = {.format = FORMAT_PLAIN, .unit = UNIT_BYTES, .max = SIZE_MAX / 8};

	format_render(md, n, &l, keep, &out);
	return buf_steal(&out);
}
