// SPDX-License-Identifier: Apache-2.0
/*
 * Bullets and indents. An indent is bounded, so that a narrow part always has room for words.
 */
#include "router/format_list.h"
#include <string.h>

#define MAX_INDENT 8

static const char spaces[] = "                        ";

struct fmt_list *fmt_list_top(struct fmt_lists *l)
{
	if (!l->depth)
		return NULL;
	return &l->at[(l->depth < FMT_LISTS ? l->depth : FMT_LISTS) - 1];
}

void fmt_list_enter(struct fmt_lists *l, bool ordered, unsigned start, bool tight)
{
	l->depth++;
	if (l->depth <= FMT_LISTS)
		l->at[l->depth - 1] =
			(struct fmt_list){.ordered = ordered, .next = start, .tight = tight};
}

void fmt_list_item(struct fmt_lists *l, const struct fmt_rules *r, char task)
{
	struct fmt_list *top = fmt_list_top(l);
	size_t level = l->depth - 1;

	top->items++;
	top->width = 2;
	if (task) {
		snprintf(l->bullet, sizeof(l->bullet), "%s ", task == ' ' ? "☐" : "☑");
	} else if (top->ordered) {
		snprintf(l->bullet, sizeof(l->bullet), "%u. ", top->next);
		top->width = strlen(l->bullet);
	} else {
		snprintf(l->bullet, sizeof(l->bullet), "%s ", r->bullet[level < 2 ? level : 2]);
	}
	top->next++;
}

void fmt_list_prefix(struct fmt_lists *l, struct buf *out)
{
	const struct fmt_list *top = fmt_list_top(l);
	size_t levels = l->depth ? l->depth - 1 : 0;

	if (levels > l->max_indent)
		levels = l->max_indent;
	if (levels > MAX_INDENT)
		levels = MAX_INDENT;
	buf_put(out, spaces, 2 * levels);
	if (l->bullet[0]) {
		buf_puts(out, l->bullet);
		l->bullet[0] = '\0';
	} else if (top) {
		buf_put(out, spaces, top->width);
	}
}
