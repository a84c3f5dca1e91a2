// SPDX-License-Identifier: Apache-2.0
/*
 * Writes the lines as a format's rules say, and splits. It goes forward one word at a time and
 * remembers the last good place of each kind to cut at, with all of the writer's state there; when
 * a word does not fit, it goes back to the best of them, closes what is open, hands the part out
 * and opens the same things anew. So each byte is written at most twice, whatever the limit is.
 */
#include "base/str.h"
#include "router/format_emit.h"

/* How full the part is, in the units that its limit counts. */
static size_t fill(const struct writer *w, const struct state *s)
{
	return w->r->visible ? s->vis : s->raw;
}

static void mark_cut(struct writer *w, enum rank rank, struct pos pos)
{
	if (pos.line == w->start.line && pos.run == w->start.run && pos.off == w->start.off)
		return; /* no progress */
	w->cuts[rank] = (struct cut){.pos = pos, .s = w->s, .set = true};
}

/* Ends the line before, begins this one: newlines, quotes, fences, the prefix. */
static void line_begin(struct writer *w)
{
	const struct fmt_line *l = &w->d->lines[w->at.line];
	bool whole = w->at.run == 0 && w->at.off == 0;
	bool quoted = w->s.quote && w->s.quote == l->quote;

	if (w->s.begun) {
		fmt_inline_close(w);
		if (w->s.pre != l->pre)
			fmt_pre_close(w);
		if (!quoted)
			fmt_quote_close(w);
		fmt_put_text(w, "\n", 1);
		if (l->gap) {
			if (quoted)
				fmt_put_marks(w, w->r->quote_gap);
			fmt_put_text(w, "\n", 1);
		}
	}
	if (l->quote) {
		if (!w->s.quote)
			fmt_put_marks(w, w->r->quote);
		w->s.quote = l->quote;
		fmt_put_marks(w, w->r->quote_line);
	}
	if (l->pre && w->s.pre != l->pre) {
		fmt_put_mark(w, fmt_at(w->d, w->d->pres[l->pre].open), w->d->pres[l->pre].open.len);
		w->s.pre = l->pre;
	}
	if (whole)
		fmt_put_text(w, fmt_at(w->d, l->prefix), l->prefix.len);
	w->s.begun = w->at.line + 1;
}

static bool ends_sentence(const char *p, size_t n)
{
	while (n && strchr("\"')*_", p[n - 1]))
		n--;
	if (!n)
		return false;
	return strchr(".!?", p[n - 1]) ||
	       (n >= 3 && (memcmp(p + n - 3, "。", 3) == 0 || memcmp(p + n - 3, "！", 3) == 0 ||
			   memcmp(p + n - 3, "？", 3) == 0));
}

/* The rest of the run from `at`, up to the end of a word or of some spaces. */
static struct str token(const struct writer *w, const struct fmt_run *r)
{
	const char *p = fmt_at(w->d, r->t) + w->at.off;
	size_t left = r->t.len - w->at.off, n = 0;
	size_t most = w->raw_max + 4; /* a longer word is taken in pieces */
	bool space = p[0] == ' ';

	if (left > most)
		left = str_utf8_floor(p, most);
	if (r->link || r->url)
		return (struct str){p, left};
	while (n < left && (p[n] == ' ') == space)
		n++;
	return (struct str){p, n};
}

static void advance(struct writer *w, const struct fmt_run *r, size_t n)
{
	w->at.off += (uint32_t)n;
	if (w->at.off == r->t.len) {
		w->at.run++;
		w->at.off = 0;
	}
}

static void next_line(struct writer *w)
{
	const struct fmt_line *l = &w->d->lines[w->at.line], *next = l + 1;
	struct pos pos = {.line = w->at.line + 1};
	bool block;

	w->at = pos;
	if (pos.line == w->d->n_lines)
		return;
	block = l->pre != next->pre || l->quote != next->quote || next->gap;
	/* a heading stays with what it heads, if it can */
	mark_cut(w, l->heading ? RANK_WORD : block ? RANK_BLOCK : RANK_LINE, pos);
}

/* Ends the part: closes what is open and hands it out, unless there is nothing to see. */
static bool part_end(struct writer *w)
{
	bool ink = w->s.ink, go = true;

	fmt_inline_close(w);
	fmt_pre_close(w);
	fmt_quote_close(w);
	buf_put(&w->out, "", 0); /* ends it, also after going back */
	if (ink)
		go = w->fn(w->ctx, w->out.p, w->out.len);
	w->out.len = 0;
	w->s = (struct state){0};
	for (int i = 0; i < RANKS; i++)
		w->cuts[i].set = false;
	w->start = w->at;
	return go;
}

static void back_to(struct writer *w, const struct state *s)
{
	w->s = *s;
	w->out.len = s->len;
}

/* The best place to cut at: of the highest rank that leaves the part at least half full, else the
 * one that leaves it fullest. */
static const struct cut *best_cut(const struct writer *w, bool *full)
{
	const struct cut *best = NULL;

	*full = true;
	for (int i = RANKS - 1; i > RANK_CHAR; i--)
		if (w->cuts[i].set && 2 * fill(w, &w->cuts[i].s) >= w->max)
			return &w->cuts[i];
	*full = false;
	for (int i = RANKS - 1; i > RANK_CHAR; i--)
		if (w->cuts[i].set && (!best || fill(w, &w->cuts[i].s) > fill(w, &best->s)))
			best = &w->cuts[i];
	return best ? best : w->cuts[RANK_CHAR].set ? &w->cuts[RANK_CHAR] : NULL;
}

static bool is_sign(char c)
{
	return c == '*' || c == '_' || c == '~' || c == '`' || c == '>' || c == ' ';
}

/* How much of the word's first n bytes to take, so that no edge of a part is inside a character
 * with its marks, and no sign of the text is at an edge, where it could be taken as a mark, which
 * it was not in the line. */
static size_t good_end(struct str t, size_t n)
{
	size_t len, back = 0, at = n;

	for (; at > 1 && back < 32; at--, back++) {
		bool joins = at < t.n && (((unsigned char)t.p[at] & 0xc0) == 0x80 ||
					  fmt_width(t.p + at, t.n - at, &len) == 0);

		if (!joins && !is_sign(t.p[at - 1]) && (at == t.n || !is_sign(t.p[at])))
			return at;
	}
	return n;
}

/* Adds as many characters of the word as fit; at least one where `must`. Returns the bytes taken.
 */
static size_t put_some(struct writer *w, struct str t, bool must)
{
	size_t n, most = 0, good;
	struct state before = w->s, s;

	for (size_t i = 0; i < t.n; i += n) {
		size_t room = w->raw_max - w->s.raw;

		/* what fits in any case at once, then one by one */
		n = str_utf8_floor(t.p + i, room / 8 < t.n - i ? room / 8 : t.n - i);
		if (w->s.raw >= w->raw_max || fmt_close_cost(w) + 5 * n > room || n < 16 ||
		    w->r->visible)
			n = str_utf8_seq(t.p + i, t.n - i);
		s = w->s;
		fmt_put_text(w, t.p + i, n);
		if (!fmt_fits(w) && !(must && i == 0)) {
			back_to(w, &s);
			break;
		}
		most = i + n;
	}
	good = most ? good_end(t, most) : 0;
	if (good != most) {
		back_to(w, &before);
		fmt_put_text(w, t.p, good);
	}
	return good;
}

/* The word t of run r did not fit: ends the part at the best place before it, or with a piece of
 * it. prior, styled: the state before the word's marks, and after them. */
static bool overflow(struct writer *w, const struct fmt_run *r, struct str t,
		     const struct state *prior, const struct state *styled)
{
	bool full, first = w->at.line == w->start.line && w->at.run == w->start.run &&
			   w->at.off == w->start.off;
	const struct cut *c = best_cut(w, &full);
	/* it would not fit into the next part either */
	bool mid = w->at.off && t.p[-1] != ' ';
	bool huge =
		!r->link && !r->url && (mid || 4 * format_units(w->unit, t.p, t.n) > 3 * w->max);
	size_t n;

	if (c && (full || !huge)) {
		w->at = c->pos;
		back_to(w, &c->s);
		return part_end(w);
	}
	back_to(w, styled);
	n = put_some(w, t, first);
	if (n)
		advance(w, r, n);
	else
		back_to(w, prior);
	return part_end(w);
}

/* A line's beginning did not fit: the part ends before it. */
static bool line_overflow(struct writer *w)
{
	bool full;
	const struct cut *c = best_cut(w, &full);

	if (!c) /* the beginning of a part always fits, as limits.max is at least 64 */
		return true;
	w->at = c->pos;
	back_to(w, &c->s);
	return part_end(w);
}

/* Far from the limit no place to cut at is needed: takes many words at once. */
static bool step_words(struct writer *w, const struct fmt_run *r)
{
	const char *p = fmt_at(w->d, r->t) + w->at.off;
	size_t n = r->t.len - w->at.off, done = fill(w, &w->s);
	size_t most = w->max / 8 * (w->max > 1024 ? 7 : 4);
	struct state prior = w->s, styled;

	if (r->link || r->url || done >= most || n < 8)
		return false;
	if (n > most - done)
		n = most - done;
	fmt_style_set(w, r);
	styled = w->s;
	/* Escapes make it longer: then half of it, so that what does not fit is not tried anew at each word. */
	for (;; n /= 2) {
		while (n && p[n - 1] != ' ')
			n--;
		while (n && p[n - 1] == ' ')
			n--;
		if (n < 8)
			break;
		fmt_put_text(w, p, n);
		if (fmt_fits(w)) {
			advance(w, r, n);
			return true;
		}
		back_to(w, &styled);
	}
	back_to(w, &prior);
	return false;
}

/* A word, or spaces. */
static bool step_token(struct writer *w, const struct fmt_line *l)
{
	const struct fmt_run *r = &w->d->runs[l->run + w->at.run];
	struct str t = token(w, r);
	bool space = t.p[0] == ' ' && !r->link && !r->url;
	struct state prior, styled;
	struct pos from = w->at;

	if (from.off == 0 && from.run > 0 && (!r->link || r->link != r[-1].link))
		mark_cut(w, RANK_CHAR, from);
	if (space) {
		advance(w, r, t.n);
		/* spaces at a cut go, but those of code stay */
		mark_cut(w, ends_sentence(w->out.p, w->out.len) ? RANK_SENTENCE : RANK_WORD,
			 l->pre ? from : w->at);
		w->at = from;
	}
	prior = w->s;
	fmt_style_set(w, r);
	styled = w->s;
	fmt_put_text(w, t.p, t.n);
	if (!fmt_fits(w))
		return overflow(w, r, t, &prior, &styled);
	advance(w, r, t.n);
	return true;
}

/* Writes one step; false when fn said to stop. */
static bool step(struct writer *w)
{
	const struct fmt_line *l = &w->d->lines[w->at.line];

	if (w->s.begun == w->at.line + 1) {
		if (w->at.run < l->n_runs)
			return step_words(w, &w->d->runs[l->run + w->at.run]) || step_token(w, l);
		next_line(w);
		return true;
	}
	if (!w->s.begun && !l->n_runs && !l->prefix.len) { /* no part begins with empty lines */
		w->start = w->at = (struct pos){.line = w->at.line + 1};
		return true;
	}
	line_begin(w);
	return fmt_fits(w) || line_overflow(w);
}

bool fmt_write(const struct fmt_doc *d, const struct fmt_rules *r, const struct format_limits *l,
	       format_part_fn *fn, void *ctx)
{
	struct writer w = {.d = d,
			   .r = r,
			   .unit = l->unit,
			   .max = l->max,
			   .raw_max = r->visible ? 3 * l->max : l->max,
			   .fn = fn,
			   .ctx = ctx};
	bool go = true;

	while (go && w.at.line < d->n_lines)
		go = step(&w);
	if (go && w.s.ink)
		go = part_end(&w);
	buf_free(&w.out);
	return go;
}
