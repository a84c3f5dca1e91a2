// SPDX-License-Identifier: Apache-2.0
/*
 * From the agent's Markdown to what each platform shows, in parts that its limit allows. One parser
 * (md4c), one table of rules a format. No text is ever lost: what a format cannot show as such is
 * shown as text. A part never begins or ends inside a character, a surrogate pair, a link, a tag or
 * an entity; a code fence, a quote or a style that is cut goes on in the next part as what it was.
 * Pure: same input, same parts. Time and memory are linear in n: it runs on the loop.
 *
 * Where a mark would not be seen as one (Slack and WhatsApp know marks only between words, and have
 * no escapes), the text stays and the mark is left out; a literal * _ ~ ` > of the text that these
 * would take as a mark is put in inline code, or replaced by a sign that looks like it.
 */
#ifndef CHELA_ROUTER_FORMAT_H
#define CHELA_ROUTER_FORMAT_H
#include <stdbool.h>
#include <stddef.h>
#include "channels/channel.h"

struct format_limits {
	enum text_format format;
	enum text_unit unit;
	/* Units of one part; at least 64. Of the body as sent, with escapes and marks; for
	 * FORMAT_TELEGRAM of the text that remains when its entities are parsed (the API's rule),
	 * and the body is at most three times that. */
	size_t max;
};
/* body is NUL-ended after n bytes and borrowed for the call; never empty, never blank. Return
 * false to stop. */
typedef bool format_part_fn(void *ctx, const char *body, size_t n);
/* md: UTF-8 without NUL, n bytes (what is no UTF-8 becomes U+FFFD; control characters are left
 * out). Calls fn for each part in order; for blank text not at all. */
void format_render(const char *md, size_t n, const struct format_limits *l, format_part_fn *fn,
		   void *ctx);
/* Length of UTF-8 text in a unit. */
size_t format_units(enum text_unit u, const char *s, size_t n);
/* The Markdown as FORMAT_PLAIN in one piece, for previews and logs; "" for blank text. The caller
 * frees. */
char *format_plain(const char *md, size_t n);

#endif
