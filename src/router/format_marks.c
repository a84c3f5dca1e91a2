// SPDX-License-Identifier: Apache-2.0
/*
 * Settles, line by line, what a format can show: links that it cannot become "text (target)"; on
 * platforms without escapes a mark that would not be taken as one is dropped, and a literal sign
 * that would be taken as one is hidden from them. The text itself always stays.
 *
 * Work is done on a line as two arrays, its bytes and what is known of each byte: that makes
 * trimming, dropping and wrapping plain loops.
 */
#include <ctype.h>
#include "base/str.h"
#include "router/format_doc.h"

#define MAX_TARGET 2000 /* bytes of an address in a link */
#define MAX_NAME   64	/* bytes of a word that is shown as code for the signs in it */

enum {
	AT_STYLE = FMT_BOLD | FMT_ITALIC | FMT_STRIKE | FMT_CODE,
	AT_URL = 1 << 4,  /* of a bare address */
	AT_LINK = 1 << 5, /* of a link's text */
	AT_SUBST = 1 << 6 /* shown by the sign that looks like it */
};
struct marks {
	struct fmt_doc *d;
	const struct fmt_rules *r;
	size_t max, raw_max;
	char *s;     /* the line */
	uint8_t *at; /* of each byte */
	uint32_t *link;
	size_t n, cap;
	uint8_t has;   /* what the bytes of the line have, all together */
	uint8_t shown; /* styles with a real mark in this line */
	struct fmt_run *out;
	size_t n_out, cap_out;
};
static const char sign_of[] = {'*', '_', '~'};

static void out_add(struct marks *m, const struct fmt_run *r)
{
	if (m->n_out == m->cap_out) {
		m->cap_out = m->cap_out ? m->cap_out * 2 : 256;
		m->out = xrealloc(m->out, m->cap_out * sizeof(*m->out));
	}
	m->out[m->n_out++] = *r;
}

/* -- Links. */

static size_t escaped(const char *p, size_t n)
{
	size_t sum = n;

	for (size_t i = 0; i < n; i++)
		sum += p[i] == '&' ? 4 : 0;
	return sum;
}

/* Whether link k can be one here: an address that leads anywhere, and short enough never to be
 * cut. */
static bool link_works(const struct marks *m, uint32_t k)
{
	static const char *const schemes[] = {"http://", "https://", "mailto:", "tel:"};
	const struct fmt_link *l = &m->d->links[k];
	const char *t = fmt_at(m->d, l->target);
	size_t label = (size_t)l->label * (m->r->escape ? 5 : 1);
	bool known = false;

	if (!m->r->link[0] || l->target.len > MAX_TARGET)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
		if (l->target.len > strlen(schemes[i]) &&
		    strncasecmp(t, schemes[i], strlen(schemes[i])) == 0)
			known = true;
	for (size_t i = 0; i < l->target.len; i++)
		if ((unsigned char)t[i] <= ' ' || strchr("|<>\"\x7f", t[i]))
			known = false;
	return known && l->label <= m->max / 2 &&
	       label + escaped(t, l->target.len) + 16 <= m->raw_max / 2;
}

/* A web address is found by the platforms in mere text, and what is in it is no mark. */
static bool is_web(const struct marks *m, struct fmt_span t)
{
	const char *p = fmt_at(m->d, t);

	return (t.len > 7 && strncasecmp(p, "http://", 7) == 0) ||
	       (t.len > 8 && strncasecmp(p, "https://", 8) == 0);
}

/* The line's runs with the links that this format cannot show made text. */
static void unlink_runs(struct marks *m, const struct fmt_line *l)
{
	struct fmt_doc *d = m->d;
	struct fmt_span open, close;

	for (uint32_t i = 0; i < l->n_runs; i++) {
		struct fmt_run r = d->runs[l->run + i];
		uint32_t k = r.link, next = l->run + i + 1;

		if (!k || link_works(m, k)) {
			out_add(m, &r);
			continue;
		}
		r.link = 0;
		r.url = d->links[k].same && is_web(m, r.t);
		if (r.url)
			r.style = 0;
		out_add(m, &r);
		if (d->links[k].same || !d->links[k].target.len ||
		    (next < d->n_runs && d->runs[next].link == k))
			continue;
		open = fmt_text(d, " (", 2);
		close = fmt_text(d, ")", 1);
		out_add(m, &(struct fmt_run){.t = open});
		out_add(m, &(struct fmt_run){.t = d->links[k].target,
					     .url = is_web(m, d->links[k].target)});
		out_add(m, &(struct fmt_run){.t = close});
	}
}

/* -- The line as bytes. */

static void load(struct marks *m, const struct fmt_run *runs, size_t n)
{
	size_t len = 0;
	uint8_t at;

	for (size_t i = 0; i < n; i++)
		len += runs[i].t.len;
	if (len > m->cap) {
		m->cap = len + len / 2;
		m->s = xrealloc(m->s, m->cap);
		m->at = xrealloc(m->at, m->cap);
		m->link = xrealloc(m->link, m->cap * sizeof(*m->link));
	}
	m->n = 0;
	m->shown = 0;
	m->has = 0;
	for (size_t i = 0; i < n; i++) {
		memcpy(m->s + m->n, fmt_at(m->d, runs[i].t), runs[i].t.len);
		at = (uint8_t)(runs[i].style | (runs[i].url ? AT_URL : 0) |
			       (runs[i].link ? AT_LINK : 0));
		m->has |= at;
		memset(m->at + m->n, at, runs[i].t.len);
		for (size_t k = 0; k < runs[i].t.len; k++)
			m->link[m->n + k] = runs[i].link;
		m->n += runs[i].t.len;
	}
}

/* Whether a mark works between the byte at `in`, of the span, and that at `out`, next to it: next
 * to nothing, a space, or a sign that begins (before it) or ends (after it) something, with no
 * other mark between. Conservative: the platforms document little. */
static bool edge(const struct marks *m, size_t in, size_t out, const char *signs)
{
	if (out >= m->n || m->s[out] == ' ')
		return true;
	return m->s[out] && strchr(signs, m->s[out]) && !(m->at[out] & AT_STYLE & ~m->at[in]);
}
#define BEFORE "([{\"'-/:;,.!?"
#define AFTER  ")]}\"'-/:;,.!?"

static void clear(struct marks *m, size_t from, size_t to, uint8_t bit)
{
	for (size_t i = from; i < to; i++)
		m->at[i] &= (uint8_t)~bit;
}

/* One span of a style: its spaces at the ends go out of it; dropped where the platform would not
 * show it. */
static void span_settle(struct marks *m, size_t from, size_t to, uint8_t bit, char sign)
{
	size_t a = from, b = to;

	while (a < b && (m->s[a] == ' ' || m->s[a] == '\t'))
		a++;
	while (b > a && (m->s[b - 1] == ' ' || m->s[b - 1] == '\t'))
		b--;
	clear(m, from, a, bit);
	clear(m, b, to, bit);
	if (a == b)
		return;
	if (!edge(m, a, a ? a - 1 : m->n, BEFORE) || !edge(m, b - 1, b, AFTER) ||
	    (bit != FMT_CODE && memchr(m->s + a, sign, b - a))) {
		clear(m, a, b, bit);
		return;
	}
	m->shown |= bit;
}

static void spans_settle(struct marks *m, uint8_t bit, char sign)
{
	for (size_t i = 0, j; (m->has & bit) && i < m->n; i = j) {
		j = i + 1;
		if (!(m->at[i] & bit))
			continue;
		while (j < m->n && (m->at[j] & bit))
			j++;
		span_settle(m, i, j, bit, sign);
	}
}

/* -- Literal signs. */

static bool token_is_plain(const struct marks *m, size_t a, size_t b)
{
	for (size_t i = a; i < b; i++)
		if (m->at[i])
			return false;
	return true;
}

/* Hides the literal sign at i, which the platform would take as the start of a style. */
static void hide(struct marks *m, size_t i, char sign)
{
	size_t a = i, b = i + 1;
	bool plain;

	while (a > 0 && m->s[a - 1] != ' ' && i - a < MAX_NAME)
		a--;
	while (b < m->n && m->s[b] != ' ' && b - i < MAX_NAME)
		b++;
	plain = b - a < MAX_NAME && token_is_plain(m, a, b);
	while (b > i + 1 && strchr(",.;:!?)", m->s[b - 1]))
		b--;
	while (a < i && m->s[a] == '(')
		a++;
	/* a word that has both ends in it (__init__) is a name: it reads well as code */
	if (plain && memchr(m->s + i + 1, sign, b - i - 1)) {
		for (size_t k = a; k < b; k++)
			m->at[k] = FMT_CODE;
		m->shown |= FMT_CODE;
		return;
	}
	m->at[i] |= AT_SUBST;
}

static void literals_settle(struct marks *m, uint8_t bit, char sign)
{
	size_t left = 0;

	for (size_t i = 0; i < m->n; i++)
		left += m->s[i] == sign;
	for (size_t i = 0; left && i < m->n; i++) {
		unsigned char before = i ? (unsigned char)m->s[i - 1] : ' ';

		if (m->s[i] != sign)
			continue;
		left--;
		if (m->at[i] & (FMT_CODE | AT_URL | AT_LINK))
			continue;
		if (i + 1 == m->n || m->s[i + 1] == ' ' || (before < 0x80 && isalnum(before)))
			continue;
		if (left || (m->shown & bit))
			hide(m, i, sign);
	}
}

static const char *look_alike(char c)
{
	static const char signs[] = "*_~>";
	static const char *const like[] = {"∗", "ˍ", "∼", "›"};
	const char *at = strchr(signs, c);

	return at && c ? like[at - signs] : "ˋ";
}

/* Turns the bytes into runs again. */
static void unload(struct marks *m)
{
	struct fmt_doc *d = m->d;

	for (size_t i = 0, j; i < m->n; i = j) {
		struct fmt_run r = {.link = m->link[i],
				    .style = m->at[i] & AT_STYLE,
				    .url = (m->at[i] & AT_URL) != 0};
		uint8_t kind = m->at[i] & (uint8_t)~AT_SUBST;

		r.t.off = (uint32_t)d->text.len;
		for (j = i;
		     j < m->n && (m->at[j] & (uint8_t)~AT_SUBST) == kind && m->link[j] == r.link;
		     j++) {
			if (!(m->at[j] & AT_SUBST))
				continue;
			buf_put(&d->text, m->s + i, j - i);
			buf_puts(&d->text, look_alike(m->s[j]));
			i = j + 1;
		}
		buf_put(&d->text, m->s + i, j - i);
		r.t.len = (uint32_t)(d->text.len - r.t.off);
		out_add(m, &r);
	}
}

static void line_settle(struct marks *m, bool at_start)
{
	spans_settle(m, FMT_CODE, '`');
	for (unsigned k = 0; k < ARRAY_LEN(sign_of); k++)
		spans_settle(m, (uint8_t)(1 << k), sign_of[k]);
	for (unsigned k = 0; k < ARRAY_LEN(sign_of); k++)
		literals_settle(m, (uint8_t)(1 << k), sign_of[k]);
	for (size_t i = 0; i < m->n; i++)
		if (m->s[i] == '`' && !(m->at[i] & (AT_URL | AT_LINK)))
			m->at[i] |= AT_SUBST;
	if (at_start && m->n && m->s[0] == '>')
		m->at[0] |= AT_SUBST;
}

/* A fence in a code block would end it. */
static void fences_hide(struct marks *m)
{
	unsigned run = 0;

	for (size_t i = 0; i < m->n; i++) {
		run = m->s[i] == '`' ? run + 1 : 0;
		if (run == 3) {
			m->at[i] |= AT_SUBST;
			run = 0;
		}
	}
}

static bool needs_work(const struct marks *m, const struct fmt_run *runs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *p = fmt_at(m->d, runs[i].t);

		if (runs[i].style)
			return true;
		for (size_t k = 0; k < runs[i].t.len; k++)
			if (p[k] == '*' || p[k] == '_' || p[k] == '~' || p[k] == '`' || p[k] == '>')
				return true;
	}
	return false;
}

void fmt_marks(struct fmt_doc *d, const struct fmt_rules *r, const struct format_limits *l)
{
	struct marks m = {.d = d, .r = r, .max = l->max};

	m.raw_max = r->visible ? 3 * l->max : l->max;
	for (size_t i = 0; i < d->n_lines; i++) {
		struct fmt_line *line = &d->lines[i];
		size_t from = m.n_out;

		unlink_runs(&m, line);
		if (r->bounded && m.n_out > from && needs_work(&m, m.out + from, m.n_out - from)) {
			load(&m, m.out + from, m.n_out - from);
			m.n_out = from;
			if (line->pre)
				fences_hide(&m);
			else
				line_settle(&m, !line->prefix.len);
			unload(&m);
		}
		line->run = (uint32_t)from;
		line->n_runs = (uint32_t)(m.n_out - from);
	}
	free(m.s);
	free(m.at);
	free(m.link);
	free(d->runs);
	d->runs = m.out;
	d->n_runs = m.n_out;
	d->cap_runs = m.cap_out;
}
