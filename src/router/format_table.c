// SPDX-License-Identifier: Apache-2.0
/*
 * Tables. No platform shows them: a narrow one becomes aligned columns in a code block; one that is
 * too wide, or holds links, becomes a "head: cell" line for each cell, rows apart; where repeating
 * the heads would blow the text up, a "cell | cell" line for each row.
 */
#include "router/format_doc.h"
#include "base/str.h"

#define SEP    2 /* columns between two columns */
#define WIDEST 80

struct table {
	struct fmt_doc *d;
	size_t first, columns, rows, bytes;
	const char *align;
	uint32_t quote;
	bool gap;
};

/* A cell by number, its runs still in the document: a copy, for lines move as they are added. */
static struct fmt_line cell_of(const struct table *t, size_t row, size_t column)
{
	return t->d->lines[t->first + row * t->columns + column];
}

static size_t cell_bytes(const struct table *t, const struct fmt_line *c)
{
	size_t n = 0;

	for (uint32_t i = 0; i < c->n_runs; i++)
		n += t->d->runs[c->run + i].t.len;
	return n;
}

static unsigned cell_width(const struct table *t, const struct fmt_line *c)
{
	unsigned w = 0;

	for (uint32_t i = 0; i < c->n_runs; i++) {
		struct fmt_span s = t->d->runs[c->run + i].t;
		const char *p = fmt_at(t->d, s);

		for (size_t k = 0, n; k < s.len && w <= WIDEST; k += n)
			w += fmt_width(p + k, s.len - k, &n);
	}
	return w;
}

static bool has_links(const struct table *t)
{
	for (size_t i = t->d->lines[t->first].run; i < t->d->n_runs; i++)
		if (t->d->runs[i].link)
			return true;
	return false;
}

/* Widths of the columns; false when the whole is wider than `max`. */
static bool widths_of(const struct table *t, unsigned *w, unsigned max)
{
	unsigned sum = 0;

	for (size_t c = 0; c < t->columns; c++) {
		w[c] = 0;
		for (size_t r = 0; r < t->rows; r++) {
			struct fmt_line cell = cell_of(t, r, c);
			unsigned n = cell_width(t, &cell);

			if (n > w[c])
				w[c] = n;
		}
		if (w[c] == 0)
			w[c] = 1;
		sum += w[c] + SEP;
		if (sum > max + SEP)
			return false;
	}
	return true;
}

static void pad(struct fmt_doc *d, char c, size_t n)
{
	char s[WIDEST];

	if (n > sizeof(s))
		n = sizeof(s);
	memset(s, c, n);
	buf_put(&d->text, s, n);
}

static struct fmt_line *line_add(struct table *t, uint32_t pre)
{
	struct fmt_line *l = fmt_line_add(t->d);

	l->pre = pre;
	l->quote = pre ? 0 : t->quote;
	l->gap = t->gap;
	t->gap = false;
	return l;
}

/* Ends the line: what the arena holds since `from` is its one run. */
static void line_text(struct fmt_doc *d, size_t from)
{
	while (d->text.len > from && d->text.p[d->text.len - 1] == ' ')
		d->text.len--;
	fmt_run_add(d, (struct fmt_span){(uint32_t)from, (uint32_t)(d->text.len - from)}, 0, 0,
		    false);
}

static void aligned_row(struct table *t, const unsigned *w, size_t row, uint32_t pre)
{
	struct fmt_doc *d = t->d;
	size_t from = d->text.len;
	size_t owed = 0; /* spaces before the next cell that has text: none at the end of a line */

	line_add(t, pre);
	for (size_t c = 0; c < t->columns; c++) {
		struct fmt_line cell = cell_of(t, row, c);
		unsigned n = cell_width(t, &cell);

		if (t->align[c] == 'r')
			owed += w[c] - n;
		if (cell.n_runs) {
			pad(d, ' ', owed);
			owed = 0;
		}
		for (uint32_t i = 0; i < cell.n_runs; i++) {
			struct fmt_span s = d->runs[cell.run + i].t;
			char *to = buf_reserve(&d->text, s.len, &(struct err)ERR_INIT);

			if (!to)
				die("format: a table past the arena");
			memcpy(to, fmt_at(d, s), s.len);
			buf_commit(&d->text, s.len);
		}
		if (t->align[c] != 'r')
			owed += w[c] - n;
		owed += SEP;
	}
	line_text(d, from);
}

static void aligned(struct table *t, const unsigned *w, const struct fmt_rules *r)
{
	struct fmt_doc *d = t->d;
	struct fmt_pre p;
	uint32_t pre;
	size_t from;

	p.open = fmt_text(d, r->pre, strlen(r->pre));
	p.close = fmt_text(d, r->pre_close, strlen(r->pre_close));
	pre = fmt_pre_add(d, &p);
	for (size_t row = 0; row < t->rows; row++) {
		aligned_row(t, w, row, pre);
		if (row)
			continue;
		from = d->text.len;
		line_add(t, pre);
		for (size_t c = 0; c < t->columns; c++) {
			pad(d, '-', w[c]);
			pad(d, ' ', SEP);
		}
		line_text(d, from);
	}
}

static void copy_cell(struct table *t, const struct fmt_line *cell, unsigned style)
{
	for (uint32_t i = 0; i < cell->n_runs; i++) {
		struct fmt_run r = t->d->runs[cell->run + i];

		if (r.style != FMT_CODE)
			r.style |= (uint8_t)style;
		fmt_run_add(t->d, r.t, r.style, r.link, r.url);
	}
}

static void literal(struct table *t, const char *s, unsigned style)
{
	fmt_run_add(t->d, fmt_text(t->d, s, strlen(s)), style, 0, false);
}

/* "Head: cell", an empty line between rows. */
static void by_name(struct table *t)
{
	for (size_t row = 1; row < t->rows; row++) {
		bool any = false;

		for (size_t c = 0; c < t->columns; c++) {
			struct fmt_line head = cell_of(t, 0, c), cell = cell_of(t, row, c);

			if (!cell.n_runs && (row > 1 || !head.n_runs))
				continue;
			if (!any && row > 1)
				t->gap = true;
			any = true;
			line_add(t, 0);
			copy_cell(t, &head, FMT_BOLD);
			if (head.n_runs)
				literal(t, ":", FMT_BOLD);
			if (head.n_runs && cell.n_runs)
				literal(t, " ", 0);
			copy_cell(t, &cell, 0);
		}
	}
}

static void by_row(struct table *t)
{
	for (size_t row = 0; row < t->rows; row++) {
		bool any = false;

		for (size_t c = 0; c < t->columns; c++) {
			struct fmt_line cell = cell_of(t, row, c);

			if (!cell.n_runs)
				continue;
			if (any)
				literal(t, " | ", 0);
			else
				line_add(t, 0);
			any = true;
			copy_cell(t, &cell, row ? 0 : FMT_BOLD);
		}
	}
}

void fmt_table(struct fmt_doc *d, size_t first, size_t columns, const char *align,
	       const struct fmt_rules *r)
{
	struct table t = {.d = d, .first = first, .columns = columns, .align = align};
	size_t cells = d->n_lines - first, heads = 0;
	unsigned widths[WIDEST / 2];

	t.rows = cells / columns;
	if (!t.rows)
		return;
	t.quote = d->lines[first].quote;
	t.gap = d->lines[first].gap;
	for (size_t i = 0; i < cells; i++) {
		d->lines[first + i].gap = false;
		t.bytes += cell_bytes(&t, &d->lines[first + i]);
		if (i < columns)
			heads = t.bytes;
	}
	if (columns <= ARRAY_LEN(widths) && !has_links(&t) && widths_of(&t, widths, r->table))
		aligned(&t, widths, r);
	else if (t.rows > 1 && heads * (t.rows - 1) <= 4 * t.bytes + 4096)
		by_name(&t);
	else
		by_row(&t);
	/* the cells have served */
	memmove(&d->lines[first], &d->lines[first + cells],
		(d->n_lines - first - cells) * sizeof(*d->lines));
	d->n_lines -= cells;
}
