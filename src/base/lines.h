// SPDX-License-Identifier: Apache-2.0
/*
 * Lines out of a byte stream: for every newline-delimited protocol here (the agent's, the control socket's).
 */
#ifndef CHELA_BASE_LINES_H
#define CHELA_BASE_LINES_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"

/* Collects lines from a byte stream; a line over `max` bytes is skipped and counted. */
struct line_reader {
	struct buf buf;
	size_t max;
	bool skipping;
	int64_t skipped;
};
typedef void line_fn(void *ctx, const char *line, size_t n);
/* Calls fn for each complete line (without its newline; the line is borrowed for the call). Stops early when fn sets *dead. */
void line_feed(struct line_reader *r, const uint8_t *p, size_t n, line_fn *fn, void *ctx,
	       const bool *dead);

#endif
