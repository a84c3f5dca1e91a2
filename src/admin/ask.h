// SPDX-License-Identifier: Apache-2.0
/* The command line's side of the control socket: one request, then lines until the answer is whole. */
#ifndef CHELA_ADMIN_ASK_H
#define CHELA_ADMIN_ASK_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

/* One line of the answer, NUL-ended; true = that was the last one. */
typedef bool ask_line_fn(void *ctx, const char *line, size_t n);
/* Sends req (with its newline) to the server of this home and reads lines. patience_ms: silence for so long is an error; -1 = waits for
 * ever. E_GONE when no server answers. Ctrl-C ends the process as usual. */
int ask_server(const char *home, const char *req, int64_t patience_ms, ask_line_fn *fn, void *ctx,
	       struct err *e);

#endif
