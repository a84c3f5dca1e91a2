// SPDX-License-Identifier: Apache-2.0
/*
 * One attach to a container, taken over as a raw byte stream (Docker Engine API, "Attach to a
 * container", hijacked connection). Done by hand: an HTTP library would read into the stream.
 */
#ifndef CHELA_WARDEN_ATTACH_H
#define CHELA_WARDEN_ATTACH_H
#include "base/err.h"
#include "base/mem.h"
#include "runtime/loop.h"

struct attach;
/* fd is the callee's, non-blocking, CLOEXEC, its first unread byte is the first of the stream; -1
 * with why set on failure. The attach is freed after the call. */
typedef void attach_fn(void *ctx, int fd, const struct err *why);

struct attach *attach_start(struct loop *l, const char *socket_path, const char *container,
			    attach_fn *fn, void *ctx, struct err *e) must_check;
void attach_cancel(struct attach *a); /* no up-call; NULL is fine */

/* Connects to a unix socket without waiting. Returns the descriptor; -1 with errno kept in *errnum. */
int attach_connect(const char *path, int *errnum) must_check;

#endif
