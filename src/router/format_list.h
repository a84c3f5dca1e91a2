// SPDX-License-Identifier: Apache-2.0
/* The lists that are open: what goes before a line. Inner header of format*.c. */
#ifndef CHELA_ROUTER_FORMAT_LIST_H
#define CHELA_ROUTER_FORMAT_LIST_H
#include "router/format_doc.h"

#define FMT_LISTS 32 /* whose numbers are kept; deeper ones count on in the last */

struct fmt_list {
	bool ordered, tight;
	unsigned next, items;
	size_t width; /* columns of the current item's bullet */
};
struct fmt_lists {
	struct fmt_list at[FMT_LISTS];
	size_t depth;	   /* may exceed FMT_LISTS */
	size_t max_indent; /* levels, at most 8 are used */
	char bullet[40];   /* of the item that has no line yet; "" = none */
};

/* The innermost list, or NULL. */
struct fmt_list *fmt_list_top(struct fmt_lists *l);
void fmt_list_enter(struct fmt_lists *l, bool ordered, unsigned start, bool tight);
/* An item begins: its bullet waits for its first line. task: 0, or what is in its box. */
void fmt_list_item(struct fmt_lists *l, const struct fmt_rules *r, char task);
/* Adds the indent, and the bullet that waits or as many spaces. */
void fmt_list_prefix(struct fmt_lists *l, struct buf *out);

#endif
