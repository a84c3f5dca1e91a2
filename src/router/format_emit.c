// SPDX-License-Identifier: Apache-2.0
/*
 * Puts text, marks and blocks into the part as the format's rules say, and counts its units. It
 * knows what is open; it does not know about limits but to say whether what is there fits.
 */
#include "base/str.h"
#include "router/format_emit.h"

void fmt_put_mark(struct writer *w, const char *p, size_t n)
{
	buf_put(&w->out, p, n);
	w->s.len = w->out.len;
	w->s.raw += format_units(w->unit, p, n);
}

void fmt_put_marks(struct writer *w, const char *s)
{
	fmt_put_mark(w, s, strlen(s));
}

/* Text that can be seen, with the format's escapes. */
void fmt_put_text(struct writer *w, const char *p, size_t n)
{
	size_t units = format_units(w->unit, p, n);
	struct str e;
	char *to, *start;

	w->s.raw += units;
	w->s.vis += units;
	if (!w->s.ink)
		w->s.ink = !fmt_blank(p, n);
	if (!w->r->escape) {
		buf_put(&w->out, p, n);
		w->s.len = w->out.len;
		return;
	}
	to = start = buf_reserve(&w->out, 5 * n, &(struct err)ERR_INIT);
	if (!start)
		die("format: a part past the buffer");
	for (size_t i = 0; i < n; i++) {
		if (p[i] != '&' && p[i] != '<' && p[i] != '>') {
			*to++ = p[i];
			continue;
		}
		e = p[i] == '&' ? STR("&amp;") : p[i] == '<' ? STR("&lt;") : STR("&gt;");
		memcpy(to, e.p, e.n);
		to += e.n;
	}
	w->s.raw += (size_t)(to - start) - n;
	buf_commit(&w->out, (size_t)(to - start));
	w->s.len = w->out.len;
}

/* -- What is open. */

static unsigned index_of(unsigned style)
{
	return (unsigned)__builtin_ctz(style);
}

static unsigned open_styles(const struct writer *w)
{
	unsigned all = 0;

	for (uint8_t i = 0; i < w->s.n; i++)
		all |= w->s.stack[i];
	return all;
}

static void link_close(struct writer *w)
{
	if (w->s.link)
		fmt_put_marks(w, w->r->link[2]);
	w->s.link = 0;
}

/* Closes styles until none is open that is not wanted. */
static void styles_close(struct writer *w, unsigned want)
{
	while (open_styles(w) & ~want)
		fmt_put_marks(w, w->r->close[index_of(w->s.stack[--w->s.n])]);
}

static void link_open(struct writer *w, uint32_t link)
{
	struct fmt_span t = w->d->links[link].target;
	const char *p = fmt_at(w->d, t);

	fmt_put_marks(w, w->r->link[0]);
	for (size_t i = 0, j; i < t.len; i = j) {
		for (j = i; j < t.len && p[j] != '&'; j++)
			;
		fmt_put_mark(w, p + i, j - i);
		if (j < t.len) {
			fmt_put_marks(w, "&amp;");
			j++;
		}
	}
	fmt_put_marks(w, w->r->link[1]);
	w->s.link = link;
}

/* How many runs of the line, from the current one on, have this style. */
static uint32_t extent(const struct writer *w, unsigned style)
{
	const struct fmt_line *l = &w->d->lines[w->at.line];
	uint32_t i = w->at.run;

	while (i < l->n_runs && (w->d->runs[l->run + i].style & style))
		i++;
	return i - w->at.run;
}

/* Opens and closes what the run needs; of two styles that begin together, the longer one goes
 * outside. */
void fmt_style_set(struct writer *w, const struct fmt_run *r)
{
	unsigned missing;

	if (w->s.link && w->s.link != r->link)
		link_close(w);
	styles_close(w, r->style);
	missing = r->style & ~open_styles(w);
	while (missing) {
		unsigned best = missing & -missing;

		if (missing != best)
			for (unsigned s = 1; s <= FMT_CODE; s <<= 1)
				if ((missing & s) && extent(w, s) > extent(w, best))
					best = s;
		fmt_put_marks(w, w->r->open[index_of(best)]);
		w->s.stack[w->s.n++] = (uint8_t)best;
		missing &= ~best;
	}
	if (r->link && !w->s.link)
		link_open(w, r->link);
}

void fmt_inline_close(struct writer *w)
{
	link_close(w);
	styles_close(w, 0);
}

void fmt_pre_close(struct writer *w)
{
	if (w->s.pre)
		fmt_put_mark(w, fmt_at(w->d, w->d->pres[w->s.pre].close),
			     w->d->pres[w->s.pre].close.len);
	w->s.pre = 0;
}

void fmt_quote_close(struct writer *w)
{
	if (w->s.quote)
		fmt_put_marks(w, w->r->quote_close);
	w->s.quote = 0;
}

/* Units that closing everything would add. Marks are ASCII, but for a block's own fence, which is
 * counted. */
size_t fmt_close_cost(const struct writer *w)
{
	size_t n = w->s.link ? strlen(w->r->link[2]) : 0;

	for (uint8_t i = 0; i < w->s.n; i++)
		n += strlen(w->r->close[index_of(w->s.stack[i])]);
	if (w->s.pre)
		n += w->d->pres[w->s.pre].close.len;
	if (w->s.quote)
		n += strlen(w->r->quote_close);
	return n;
}

bool fmt_fits(const struct writer *w)
{
	return w->s.raw + fmt_close_cost(w) <= w->raw_max && (!w->r->visible || w->s.vis <= w->max);
}
