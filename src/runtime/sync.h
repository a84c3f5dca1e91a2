// SPDX-License-Identifier: Apache-2.0
/*
 * Putting a file on the disk without holding up the loop: what the server says of a file must be true after the power fails, too.
 */
#ifndef CHELA_RUNTIME_SYNC_H
#define CHELA_RUNTIME_SYNC_H
#include "base/err.h"
#include "runtime/loop.h"

struct sync;
/* why NULL: what was written to the file, and its name in the folder, are on the disk. Called once, never from inside sync_start; the sync is gone then. */
typedef void sync_fn(void *ctx, const struct err *why);
/* fd is borrowed for this call; folder is the one that holds the file's name, -1 = the name need not last. */
struct sync *sync_start(struct loop *l, int fd, int folder, sync_fn *fn, void *ctx,
			struct err *e) must_check;
/* No up-call any more. NULL is fine. */
void sync_cancel(struct sync *s);

#endif
