// SPDX-License-Identifier: Apache-2.0
/*
 * One walk over md4c's events, which makes lines and runs of them: the only file that knows the
 * parser. md4c may call far more often than the text is long (a table with many columns and short
 * rows, a long link definition used a thousand times): the walk counts and gives up past a
 * multiple of the input, and the text is then shown as it was written.
 */
#include <md4c.h>
#include "base/str.h"
#include "router/format_doc.h"
#include "router/format_entity.h"
#include "router/format_list.h"

#define MAX_LANG    20
#define MAX_COLUMNS 128

struct walk {
	struct fmt_doc *d;
	const struct fmt_rules *r;
	size_t budget; /* events and bytes that may still come */
	struct fmt_lists lists;
	size_t quotes;
	unsigned bold, italic, strike, code, heading, anchors;
	uint32_t link, quote, pre;
	size_t link_run; /* first run of the open link */
	bool want_line, want_gap, after_heading;
	const char *src, *src_end; /* the Markdown, and where the last text of it ended */
	size_t n_src;
	size_t table_line, columns, column;
	bool in_table;
	char align[MAX_COLUMNS];
};

static bool spend(struct walk *w, size_t n)
{
	if (n > w->budget)
		return false;
	w->budget -= n;
	return true;
}

/* Opens the line that the block before it asked for, with its indent and bullet. */
static void line_open(struct walk *w)
{
	struct fmt_line *l = fmt_line_add(w->d);

	w->want_line = false;
	l->gap = w->want_gap && w->d->n_lines > 1;
	w->want_gap = false;
	l->pre = w->pre;
	l->heading = w->heading > 0;
	w->after_heading = false;
	if (w->pre)
		return;
	l->quote = w->quote;
	if (w->in_table)
		return;
	l->prefix.off = (uint32_t)w->d->text.len;
	fmt_list_prefix(&w->lists, &w->d->text);
	l->prefix.len = (uint32_t)(w->d->text.len - l->prefix.off);
}

/* A bullet whose item begins with no text of its own gets a line for itself. */
static void bullet_flush(struct walk *w)
{
	if (w->lists.bullet[0])
		line_open(w);
}

/* A block of text begins: says what goes before its first line. */
static void leaf_enter(struct walk *w)
{
	const struct fmt_list *top = fmt_list_top(&w->lists);

	w->want_line = true;
	if (w->lists.bullet[0]) {
		w->want_gap = top->items > 1 ? !top->tight : w->lists.depth == 1;
		if (w->after_heading)
			w->want_gap = false;
	} else {
		w->want_gap = top ? !top->tight : !w->after_heading;
	}
}

static void item_enter(struct walk *w, const MD_BLOCK_LI_DETAIL *li)
{
	bullet_flush(w);
	fmt_list_item(&w->lists, w->r, li->is_task ? li->task_mark : 0);
	leaf_enter(w); /* a tight item's text comes without a paragraph */
}

/* An attribute's text with its entities read, on one line. */
static struct fmt_span attribute(struct walk *w, const MD_ATTRIBUTE *a)
{
	struct fmt_span t = fmt_text(w->d, "", 0);

	for (unsigned i = 0; a->text && a->substr_offsets[i] < a->size; i++) {
		const char *p = a->text + a->substr_offsets[i];
		size_t n = a->substr_offsets[i + 1] - a->substr_offsets[i];

		if (a->substr_types[i] == MD_TEXT_ENTITY)
			fmt_entity(&w->d->text, p, n);
		else
			buf_put(&w->d->text, p, n);
	}
	t.len = (uint32_t)(w->d->text.len - t.off);
	for (char *nl = w->d->text.p + t.off; (nl = strchr(nl, '\n'));)
		*nl = ' ';
	return t;
}

static void code_enter(struct walk *w, const MD_BLOCK_CODE_DETAIL *c)
{
	const struct fmt_rules *r = w->r;
	struct fmt_pre p = {0};
	const char *close;
	size_t n = c->lang.text ? c->lang.size : 0;
	bool lang = r->pre_lang[0] && n && n <= MAX_LANG;

	bullet_flush(w);
	leaf_enter(w);
	for (size_t i = 0; lang && i < n; i++) {
		unsigned char ch = (unsigned char)c->lang.text[i];

		if (!((ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'z') ||
		      (ch >= 'A' && ch <= 'Z') || (ch && strchr("+#-_.", ch))))
			lang = false;
	}
	p.open.off = (uint32_t)w->d->text.len;
	if (lang)
		buf_putf(&w->d->text, "%s%.*s%s", r->pre_lang[0], (int)n, c->lang.text,
			 r->pre_lang[1]);
	else
		buf_puts(&w->d->text, r->pre);
	p.open.len = (uint32_t)(w->d->text.len - p.open.off);
	close = lang ? r->pre_lang[2] : r->pre_close;
	p.close = fmt_text(w->d, close, strlen(close));
	w->pre = fmt_pre_add(w->d, &p);
}

static unsigned style_now(const struct walk *w)
{
	if (w->code)
		return FMT_CODE;
	return (w->bold || w->heading ? FMT_BOLD : 0u) | (w->italic ? FMT_ITALIC : 0u) |
	       (w->strike ? FMT_STRIKE : 0u);
}

static void text_add(struct walk *w, const char *p, size_t n)
{
	if (w->want_line)
		line_open(w);
	fmt_run_add(w->d, fmt_text(w->d, p, n), style_now(w), w->link, false);
}

static void entity_add(struct walk *w, const char *p, size_t n)
{
	struct fmt_span t = {.off = (uint32_t)w->d->text.len};

	if (w->want_line)
		line_open(w);
	t.off = (uint32_t)w->d->text.len;
	fmt_entity(&w->d->text, p, n);
	t.len = (uint32_t)(w->d->text.len - t.off);
	fmt_run_add(w->d, t, style_now(w), w->link, false);
}

/* Lines of a code block come with their newlines; of inline code, an odd one is a space. */
static void code_add(struct walk *w, const char *p, size_t n)
{
	while (n) {
		const char *nl = memchr(p, '\n', n);
		size_t len = nl ? (size_t)(nl - p) : n;

		if (len)
			text_add(w, p, len);
		if (!nl)
			return;
		if (!w->pre) {
			text_add(w, " ", 1);
		} else {
			if (w->want_line)
				line_open(w);
			w->want_line = true;
		}
		p = nl + 1;
		n -= len + 1;
	}
}

static void link_enter(struct walk *w, const MD_ATTRIBUTE *target)
{
	if (w->anchors++)
		return; /* an image in a link: the outer one counts */
	w->link = fmt_link_add(w->d, attribute(w, target));
	w->link_run = w->d->n_runs;
}

static bool tail_is(const struct fmt_doc *d, struct fmt_span whole, struct fmt_span tail)
{
	return whole.len >= tail.len &&
	       memcmp(fmt_at(d, whole) + whole.len - tail.len, fmt_at(d, tail), tail.len) == 0;
}

/* The link's text is known: it has one style, and may be the address itself. */
static void link_leave(struct walk *w)
{
	struct fmt_link *k = &w->d->links[w->link];
	unsigned all = FMT_BOLD | FMT_ITALIC | FMT_STRIKE;

	if (!w->anchors || --w->anchors)
		return;
	if (w->d->n_runs == w->link_run && k->target.len) {
		if (w->want_line)
			line_open(w);
		fmt_run_add(w->d, k->target, style_now(w), w->link, false);
	}
	for (size_t i = w->link_run; i < w->d->n_runs; i++) {
		all &= w->d->runs[i].style;
		k->label += w->d->runs[i].t.len;
	}
	for (size_t i = w->link_run; i < w->d->n_runs; i++)
		w->d->runs[i].style = (uint8_t)all;
	if (w->d->n_runs == w->link_run + 1) {
		struct fmt_span t = w->d->runs[w->link_run].t;
		size_t scheme = k->target.len - t.len; /* "mailto:", or "http://" of "www." */

		k->same = t.len <= k->target.len && (!scheme || scheme == 7) &&
			  tail_is(w->d, k->target, t);
	}
	if (k->target.len > 4 && strncasecmp(fmt_at(w->d, k->target), "http", 4) == 0) {
		struct fmt_span to = {.off = (uint32_t)w->d->text.len};

		fmt_url_encode(&w->d->text, k->target.off, k->target.len);
		to.len = (uint32_t)(w->d->text.len - to.off);
		k->target = to;
	}
	w->link = 0;
}

static void cell_enter(struct walk *w, const MD_BLOCK_TD_DETAIL *td, bool head)
{
	if (head) {
		if (w->columns < MAX_COLUMNS)
			w->align[w->columns] = td->align == MD_ALIGN_RIGHT ? 'r' : 'l';
		w->columns++;
	}
	w->want_line = true;
	line_open(w);
}

static void table_enter(struct walk *w)
{
	bullet_flush(w);
	leaf_enter(w);
	w->in_table = true;
	w->table_line = w->d->n_lines;
	w->columns = 0;
}

/* A row with more cells than the table has columns (a bare | in one of them, as a rule): Markdown
 * ignores what is too much; here it stays, in the last cell. */
static void row_rest(struct walk *w)
{
	const char *end = w->src + w->n_src, *p = w->src_end, *nl;

	if (!p)
		return;
	nl = memchr(p, '\n', (size_t)(end - p));
	if (nl)
		end = nl;
	p = memchr(p, '|', (size_t)(end - p));
	while (p && p < end && (*p == '|' || *p == ' ' || *p == '\t'))
		p++;
	while (p && end > p && (end[-1] == '|' || end[-1] == ' ' || end[-1] == '\t'))
		end--;
	if (!p || p == end)
		return;
	w->want_line = false;
	text_add(w, " | ", 3);
	text_add(w, p, (size_t)(end - p));
}

static void table_leave(struct walk *w)
{
	w->in_table = false;
	if (w->columns && w->columns <= MAX_COLUMNS)
		fmt_table(w->d, w->table_line, w->columns, w->align, w->r);
}

static int on_enter_block(MD_BLOCKTYPE t, void *detail, void *ctx)
{
	struct walk *w = ctx;

	if (!spend(w, 1))
		return -1;
	switch (t) {
	case MD_BLOCK_QUOTE:
		bullet_flush(w);
		if (!w->quotes++)
			w->quote = ++w->d->quotes;
		break;
	case MD_BLOCK_UL:
		fmt_list_enter(&w->lists, false, 0, ((MD_BLOCK_UL_DETAIL *)detail)->is_tight);
		break;
	case MD_BLOCK_OL:
		fmt_list_enter(&w->lists, true, ((MD_BLOCK_OL_DETAIL *)detail)->start,
			       ((MD_BLOCK_OL_DETAIL *)detail)->is_tight);
		break;
	case MD_BLOCK_LI:
		item_enter(w, detail);
		break;
	case MD_BLOCK_H:
		leaf_enter(w);
		w->heading++;
		break;
	case MD_BLOCK_P:
		leaf_enter(w);
		break;
	case MD_BLOCK_HR:
		leaf_enter(w);
		text_add(w, "──────────", strlen("──────────"));
		break;
	case MD_BLOCK_CODE:
		code_enter(w, detail);
		break;
	case MD_BLOCK_TABLE:
		table_enter(w);
		break;
	case MD_BLOCK_TR:
		w->src_end = NULL;
		break;
	case MD_BLOCK_TH:
	case MD_BLOCK_TD:
		cell_enter(w, detail, t == MD_BLOCK_TH);
		break;
	default:
		break;
	}
	return 0;
}

static int on_leave_block(MD_BLOCKTYPE t, void *detail maybe_unused, void *ctx)
{
	struct walk *w = ctx;

	switch (t) {
	case MD_BLOCK_QUOTE:
		bullet_flush(w);
		if (!--w->quotes)
			w->quote = 0;
		break;
	case MD_BLOCK_UL:
	case MD_BLOCK_OL:
		w->lists.depth--;
		break;
	case MD_BLOCK_LI:
		bullet_flush(w);
		break;
	case MD_BLOCK_H:
		w->heading--;
		w->after_heading = !w->lists.depth;
		break;
	case MD_BLOCK_CODE:
		w->pre = 0;
		break;
	case MD_BLOCK_TR:
		row_rest(w);
		break;
	case MD_BLOCK_TABLE:
		table_leave(w);
		break;
	default:
		break;
	}
	w->bold = w->italic = w->strike = w->code =
		0; /* none goes on past its block, whatever came */
	if (w->anchors) {
		w->anchors = 1;
		link_leave(w);
	}
	w->want_line = true; /* a tight item's text after a block comes without a paragraph */
	return 0;
}

/* Counts a style in or out. md4c 0.4.8 can end one that it never began, where an address holds
 * its sign (https://a.b/_c_): the sign is text then. */
static void style_count(struct walk *w, unsigned *count, unsigned by, size_t signs)
{
	if (by == 1 || *count) {
		*count += by;
		return;
	}
	for (; w->src_end && signs && w->src_end < w->src + w->n_src; signs--, w->src_end++)
		if (strchr("*_~", *w->src_end))
			text_add(w, w->src_end, 1);
}

static int on_span(struct walk *w, MD_SPANTYPE t, void *detail, unsigned by)
{
	switch (t) {
	case MD_SPAN_EM:
		style_count(w, &w->italic, by, 1);
		break;
	case MD_SPAN_STRONG:
		style_count(w, &w->bold, by, 2);
		break;
	case MD_SPAN_DEL:
		style_count(w, &w->strike, by, 1);
		break;
	case MD_SPAN_CODE:
		style_count(w, &w->code, by, 0);
		break;
	case MD_SPAN_A:
	case MD_SPAN_IMG:
		if (by != 1) {
			link_leave(w);
			break;
		}
		/* MD_SPAN_A_DETAIL and MD_SPAN_IMG_DETAIL both begin with the address */
		if (!spend(w, ((MD_SPAN_A_DETAIL *)detail)->href.size))
			return -1;
		link_enter(w, &((MD_SPAN_A_DETAIL *)detail)->href);
		break;
	default:
		break;
	}
	return 0;
}

static int on_enter_span(MD_SPANTYPE t, void *detail, void *ctx)
{
	return spend(ctx, 1) ? on_span(ctx, t, detail, 1) : -1;
}

static int on_leave_span(MD_SPANTYPE t, void *detail, void *ctx)
{
	return on_span(ctx, t, detail, -1u);
}

static int on_text(MD_TEXTTYPE t, const char *p, MD_SIZE n, void *ctx)
{
	struct walk *w = ctx;

	if (!spend(w, n))
		return -1;
	if ((uintptr_t)p >= (uintptr_t)w->src && (uintptr_t)p <= (uintptr_t)w->src + w->n_src)
		w->src_end = p + n;
	switch (t) {
	case MD_TEXT_BR:
	case MD_TEXT_SOFTBR:
		if (w->in_table)
			text_add(w, " ", 1);
		else
			w->want_line = true;
		break;
	case MD_TEXT_ENTITY:
		entity_add(w, p, n);
		break;
	case MD_TEXT_CODE:
		code_add(w, p, n);
		break;
	case MD_TEXT_NULLCHAR:
		text_add(w, "\xef\xbf\xbd", 3);
		break;
	default:
		text_add(w, p, n);
		break;
	}
	return 0;
}

bool fmt_walk(struct fmt_doc *d, const char *md, size_t n, const struct fmt_rules *r, size_t max)
{
	static const MD_PARSER parser = {
		.flags = MD_FLAG_PERMISSIVEURLAUTOLINKS | MD_FLAG_TABLES | MD_FLAG_STRIKETHROUGH |
			 MD_FLAG_TASKLISTS | MD_FLAG_NOHTML,
		.enter_block = on_enter_block,
		.leave_block = on_leave_block,
		.enter_span = on_enter_span,
		.leave_span = on_leave_span,
		.text = on_text,
	};
	size_t text = d->text.len, runs = d->n_runs, lines = d->n_lines, links = d->n_links,
	       pres = d->n_pres;
	struct walk w = {.d = d, .r = r, .budget = 8 * n + 4096, .src = md, .n_src = n};

	w.lists.max_indent = max / 16;
	w.want_gap = lines > 0;
	if (md_parse(md, (MD_SIZE)n, &parser, &w) == 0)
		return true;
	d->text.len = text;
	d->n_runs = runs;
	d->n_lines = lines;
	d->n_links = links;
	d->n_pres = pres;
	return false;
}
