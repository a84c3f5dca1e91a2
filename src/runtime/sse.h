// SPDX-License-Identifier: Apache-2.0
/*
 * Reads the token counts out of an answer of the Messages API while it passes by: from the
 * message_start and message_delta events of a stream, or from a whole JSON body. Tolerant: what
 * it cannot read counts as zero, and never changes what is passed on.
 */
#ifndef CHELA_RUNTIME_SSE_H
#define CHELA_RUNTIME_SSE_H
#include "base/buf.h"
#include "runtime/model_api.h"

#define SSE_LINE_MAX ((size_t)64 << 10) /* a longer data line is skipped */
#define SSE_JSON_MAX ((size_t)1 << 20)	/* a longer body is not read */

struct sse {
	struct usage *u; /* borrowed; model and tokens are written */
	bool json;	 /* a whole body instead of a stream */
	bool skip;	 /* in a line that is too long or of no interest */
	bool cr;	 /* the last byte was CR: an LF belongs to it */
	bool wanted;	 /* the current event is message_start or message_delta */
	struct buf line;
};

void sse_init(struct sse *s, struct usage *u, bool json);
void sse_feed(struct sse *s, const uint8_t *p, size_t n);
/* The end of the body: reads a whole JSON body. Frees. */
void sse_end(struct sse *s);

#endif
