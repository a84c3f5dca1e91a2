// SPDX-License-Identifier: Apache-2.0
/*
 * From the agent's Markdown to what each platform shows, in parts that its limit allows. One parser (md4c), one renderer a format. No text
 * is ever lost: what a format cannot show as such is shown as text. A part never begins or ends inside a character, a
 * surrogate pair, a link, a tag or an entity; a code fence, a quote, a list or a style that is cut goes on in the next part as what it was.
 * Pure: same input, same parts.
 */
#ifndef CHELA_ROUTER_FORMAT_H
#define CHELA_ROUTER_FORMAT_H
#include <stdbool.h>
#include <stddef.h>
#include "channels/channel.h"

struct format_limits {
	enum text_format format;
	enum text_unit unit;
	size_t max; /* units of one part; at least 64 */
};
/* body is NUL-ended after n bytes and borrowed for the call; never empty, never blank. Return false to stop. */
typedef bool format_part_fn(void *ctx, const char *body, size_t n);
/* md: UTF-8 without NUL, n bytes. Calls fn for each part in order; for blank text not at all. */
void format_render(const char *md, size_t n, const struct format_limits *l, format_part_fn *fn,
		   void *ctx);
/* Length of UTF-8 text in a unit. */
size_t format_units(enum text_unit u, const char *s, size_t n);
/* Plain text from a rendered body of `f` (tags and marks of the format taken off): what a channel sends when its platform refuses the markup lives
 * in the channel; this is for previews and logs. The caller frees. */
char *format_plain(const char *md, size_t n);

#endif
