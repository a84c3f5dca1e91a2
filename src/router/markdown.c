// SPDX-License-Identifier: Apache-2.0
/* See markdown.h. It never begins a line, so the marks that mean something only there are left alone. */
#include "router/markdown.h"
#include <string.h>

void markdown_put_plain(struct buf *b, const char *text)
{
	for (const char *p = text; *p; p++) {
		if (strchr("\\`*_[]<>|~&", *p))
			buf_put(b, "\\", 1);
		buf_put(b, (unsigned char)*p < ' ' ? " " : p, 1);
	}
}
