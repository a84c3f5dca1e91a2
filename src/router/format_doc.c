// SPDX-License-Identifier: Apache-2.0
/*
 * The document's arrays, the one reader that knows no Markdown (for text that stays as it was
 * written), and the width of characters. Bounded by the caller, which bounds the text.
 */
#include "router/format_doc.h"
#include <glib.h>
#include "base/str.h"

#define MAX_FENCE 24 /* bytes of a fence's first line, which is repeated in each part */

/* Room for one more of `size` bytes. */
static void *more(void *p, size_t n, size_t *cap, size_t size)
{
	if (n < *cap)
		return p;
	*cap = *cap ? *cap * 2 : 64;
	return xrealloc(p, *cap * size);
}

void fmt_doc_init(struct fmt_doc *d)
{
	*d = (struct fmt_doc){0};
	buf_puts(&d->text, "");
	fmt_link_add(d, (struct fmt_span){0}); /* number 0 means none */
	fmt_pre_add(d, &(struct fmt_pre){0});
}

void fmt_doc_free(struct fmt_doc *d)
{
	buf_free(&d->text);
	free(d->runs);
	free(d->lines);
	free(d->links);
	free(d->pres);
}

struct fmt_line *fmt_line_add(struct fmt_doc *d)
{
	struct fmt_line *l;

	d->lines = more(d->lines, d->n_lines, &d->cap_lines, sizeof(*d->lines));
	l = &d->lines[d->n_lines++];
	*l = (struct fmt_line){.run = (uint32_t)d->n_runs};
	return l;
}

struct fmt_span fmt_text(struct fmt_doc *d, const char *p, size_t n)
{
	struct fmt_span t = {(uint32_t)d->text.len, (uint32_t)n};

	buf_put(&d->text, p, n);
	return t;
}

void fmt_run_add(struct fmt_doc *d, struct fmt_span t, unsigned style, uint32_t link, bool url)
{
	struct fmt_line *l = &d->lines[d->n_lines - 1];
	struct fmt_run *r;

	if (!t.len)
		return;
	if (l->n_runs) {
		r = &d->runs[d->n_runs - 1];
		if (r->style == style && r->link == link && r->url == url &&
		    r->t.off + r->t.len == t.off) {
			r->t.len += t.len;
			return;
		}
	}
	d->runs = more(d->runs, d->n_runs, &d->cap_runs, sizeof(*d->runs));
	d->runs[d->n_runs++] =
		(struct fmt_run){.t = t, .link = link, .style = (uint8_t)style, .url = url};
	l->n_runs++;
}

uint32_t fmt_link_add(struct fmt_doc *d, struct fmt_span target)
{
	d->links = more(d->links, d->n_links, &d->cap_links, sizeof(*d->links));
	d->links[d->n_links] = (struct fmt_link){.target = target};
	return (uint32_t)d->n_links++;
}

uint32_t fmt_pre_add(struct fmt_doc *d, const struct fmt_pre *p)
{
	d->pres = more(d->pres, d->n_pres, &d->cap_pres, sizeof(*d->pres));
	d->pres[d->n_pres] = *p;
	return (uint32_t)d->n_pres++;
}

/* A line that opens or closes a code fence: its indent goes to *in, the length of the run to
 * *len; 0 or the character. */
static char fence_of(const char *s, size_t n, size_t *in, size_t *len)
{
	size_t i = 0, j;

	while (i < n && s[i] == ' ')
		i++;
	for (j = i; j < n && (s[j] == '`' || s[j] == '~') && s[j] == s[i]; j++)
		;
	*in = i;
	*len = j - i;
	if (*len < 3 || *len > 16 || i > 16)
		return 0;
	return s[i] == '`' && memchr(s + j, '`', n - j) ? 0 : s[i];
}

static uint32_t fence_open(struct fmt_doc *d, const char *s, size_t n, size_t end)
{
	struct fmt_pre p;

	p.open = fmt_text(d, s, n);
	buf_put(&d->text, "\n", 1);
	p.open.len++;
	p.close = fmt_text(d, "\n", 1);
	buf_put(&d->text, s, end);
	p.close.len += (uint32_t)end;
	return fmt_pre_add(d, &p);
}

void fmt_source(struct fmt_doc *d, const char *s, size_t n, bool fences)
{
	const char *nl, *end = s + n;
	size_t in, len, line, open = 0;
	uint32_t pre = 0;
	char c, mark = 0;
	bool gap = false;

	for (; s < end; s = nl + 1) {
		nl = memchr(s, '\n', (size_t)(end - s));
		if (!nl)
			nl = end;
		line = (size_t)(nl - s);
		if (line && s[line - 1] == '\r')
			line--;
		c = fences ? fence_of(s, line, &in, &len) : 0;
		if (c && !pre && line <= MAX_FENCE) {
			pre = fence_open(d, s, line, in + len);
			mark = c;
			open = len;
			continue;
		}
		if (c && pre && c == mark && len >= open && in + len == line) {
			pre = 0;
			continue;
		}
		if (!line && !pre) {
			if (gap) /* more than one: the rest as they are */
				fmt_line_add(d);
			gap = d->n_lines > 0;
			continue;
		}
		fmt_line_add(d);
		d->lines[d->n_lines - 1].pre = pre;
		d->lines[d->n_lines - 1].gap = gap;
		gap = false;
		fmt_run_add(d, fmt_text(d, s, line), 0, 0, false);
		if (nl == end)
			break;
	}
}

/* Characters of two columns and of none; the ranges that matter in chats (UAX #11 and #44,
 * coarse). */
static const struct {
	uint32_t from, to;
	uint8_t width;
} widths[] = {
	{0x300, 0x36f, 0},     {0x483, 0x489, 0},     {0x591, 0x5bd, 0},     {0x610, 0x61a, 0},
	{0x64b, 0x65f, 0},     {0x1100, 0x115f, 2},   {0x1ab0, 0x1aff, 0},   {0x1dc0, 0x1dff, 0},
	{0x200b, 0x200f, 0},   {0x2028, 0x202e, 0},   {0x2060, 0x2064, 0},   {0x20d0, 0x20ff, 0},
	{0x231a, 0x231b, 2},   {0x23e9, 0x23ec, 2},   {0x2705, 0x2705, 2},   {0x270a, 0x270b, 2},
	{0x2728, 0x2728, 2},   {0x274c, 0x274e, 2},   {0x2753, 0x2757, 2},   {0x2795, 0x2797, 2},
	{0x2b50, 0x2b55, 2},   {0x2e80, 0x303e, 2},   {0x3041, 0x33ff, 2},   {0x3400, 0x4dbf, 2},
	{0x4e00, 0x9fff, 2},   {0xa000, 0xa4cf, 2},   {0xac00, 0xd7a3, 2},   {0xf900, 0xfaff, 2},
	{0xfe00, 0xfe0f, 0},   {0xfe20, 0xfe2f, 0},   {0xfe30, 0xfe6f, 2},   {0xfeff, 0xfeff, 0},
	{0xff00, 0xff60, 2},   {0xffe0, 0xffe6, 2},   {0x1f3fb, 0x1f3ff, 0}, {0x1f300, 0x1f64f, 2},
	{0x1f680, 0x1f6ff, 2}, {0x1f900, 0x1faff, 2}, {0x20000, 0x3fffd, 2}, {0xe0100, 0xe01ef, 0},
};

unsigned fmt_width(const char *p, size_t left, size_t *n)
{
	gunichar c;

	*n = str_utf8_seq(p, left);
	if (*n < 2) {
		*n = 1;
		return 1;
	}
	c = g_utf8_get_char(p);
	for (size_t i = 0; i < ARRAY_LEN(widths); i++)
		if (c >= widths[i].from && c <= widths[i].to)
			return widths[i].width;
	return 1;
}

bool fmt_blank(const char *p, size_t n)
{
	size_t k;

	for (size_t i = 0; i < n; i += k) {
		const unsigned char *u = (const unsigned char *)p + i;

		k = 1;
		if (*u <= ' ')
			continue;
		if (*u < 0x80)
			return false;
		/* no-break space, the spaces and marks of U+2000 to U+206F, ideographic space,
		 * BOM, Hangul fillers */
		k = str_utf8_seq(p + i, n - i);
		if (k == 2 && u[0] == 0xc2 && u[1] <= 0xa0)
			continue;
		if (k == 3 && u[0] == 0xe2 && u[1] == 0x80 &&
		    (u[2] <= 0x8f || (u[2] >= 0xa8 && u[2] <= 0xaf)))
			continue;
		if (k == 3 && u[0] == 0xe2 &&
		    ((u[1] == 0x81 && u[2] >= 0x9f && u[2] <= 0xaf) ||
		     (u[1] == 0xa0 && u[2] == 0x80)))
			continue;
		if (k == 3 &&
		    (memcmp(u, "\xe3\x80\x80", 3) == 0 || memcmp(u, "\xef\xbb\xbf", 3) == 0 ||
		     memcmp(u, "\xe3\x85\xa4", 3) == 0))
			continue;
		return false;
	}
	return true;
}
