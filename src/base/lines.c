// SPDX-License-Identifier: Apache-2.0
/* See lines.h. A line that lies whole in the input is handed on without a copy. */
#include "base/lines.h"
#include <string.h>

/* Keeps the rest of an unfinished line, unless it is too long already. */
static void keep_rest(struct line_reader *r, const uint8_t *p, size_t n)
{
	struct err e = ERR_INIT;

	if (r->skipping)
		return;
	r->buf.max = r->max;
	if (buf_add(&r->buf, p, n, &e) == 0)
		return;
	r->skipping = true;
	r->skipped++;
	buf_reset(&r->buf);
}

void line_feed(struct line_reader *r, const uint8_t *p, size_t n, line_fn *fn, void *ctx,
	       const bool *dead)
{
	const uint8_t *nl;

	while (n && (nl = memchr(p, '\n', n))) {
		size_t len = (size_t)(nl - p);

		if (r->skipping) {
			r->skipping = false;
		} else if (len > r->max) {
			r->skipped++;
			buf_reset(&r->buf);
		} else if (r->buf.len == 0) {
			fn(ctx, (const char *)p, len); /* the usual case: no copy */
		} else {
			keep_rest(r, p, len);
			if (!r->skipping)
				fn(ctx, r->buf.p, r->buf.len);
			if (*dead)
				return;
			r->skipping = false;
			buf_reset(&r->buf);
		}
		if (*dead)
			return;
		p += len + 1;
		n -= len + 1;
	}
	if (n)
		keep_rest(r, p, n);
}
