// SPDX-License-Identifier: Apache-2.0
/* Trees of files that somebody else has written: their removal, which must never leave them. */
#ifndef CHELA_BASE_TREE_H
#define CHELA_BASE_TREE_H
#include <stddef.h>
#include "base/err.h"
#include "base/mem.h"

/* Removes what is called name in the folder dir, with all that is below. No link is followed and no file system entered that is mounted below.
 * *budget is how many entries may still be touched; it is counted down. 0: it is gone (or was never there). 1: the budget is used up: call again
 * to go on. -1: something cannot be removed. Whoever writes there at the same time can make it take longer, and no more. */
int tree_remove(int dir, const char *name, size_t *budget, struct err *e) must_check;

#endif
