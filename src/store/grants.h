// SPDX-License-Identifier: Apache-2.0
/*
 * Grants: one group's agent may do something to another group, such as send a message there. Without one, only the main group's agent may.
 * Part of the store (store.h).
 */
#ifndef CHELA_STORE_GRANTS_H
#define CHELA_STORE_GRANTS_H
#include "store/store.h"

/* *fresh is false when it was there already. */
int store_grant_add(struct store *st, int64_t group_id, const char *act, int64_t target_id,
		    const char *by, bool *fresh, struct err *e) must_check;
/* *was is false when there was none. */
int store_grant_remove(struct store *st, int64_t group_id, const char *act, int64_t target_id,
		       bool *was, struct err *e) must_check;
int store_grant_has(struct store *st, int64_t group_id, const char *act, int64_t target_id,
		    bool *yes, struct err *e) must_check;
struct grant_row { /* strings are borrowed for the call */
	const char *group, *act, *target, *by;
	int64_t given_ms;
};
typedef void grant_fn(void *ctx, const struct grant_row *g);
/* Of a group (0 = all), by name; those of groups that were removed are left out. */
int store_grant_each(struct store *st, int64_t group_id, grant_fn *fn, void *ctx,
		     struct err *e) must_check;

#endif
