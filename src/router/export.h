// SPDX-License-Identifier: Apache-2.0
/*
 * All that there is of one group in one file: <home>/exports/<name>-<date>.tar.gz with its folder, its messages, tasks and their runs, settings and people. Made in
 * steps and by a child process, so that the house goes on meanwhile; one at a time.
 */
#ifndef CHELA_ROUTER_EXPORT_H
#define CHELA_ROUTER_EXPORT_H
#include "store/store.h"

struct router;
/* Called once; why NULL: it is there, with so many bytes. Not after export_forget. */
typedef void exported_fn(void *ctx, const char *path, int64_t bytes, const struct err *why);
/* E_LIMIT while another is being made. */
int export_start(struct router *r, const struct group_row *g, exported_fn *fn, void *ctx,
		 struct err *e) must_check;
void export_forget(struct router *r, const void *ctx);
void export_close(struct router *r);

#endif
