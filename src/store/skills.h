// SPDX-License-Identifier: Apache-2.0
/*
 * Which skills a group has, with the hash of the content that was last agreed to, and which contents it has ever been given. Part of the store (store.h).
 */
#ifndef CHELA_STORE_SKILLS_H
#define CHELA_STORE_SKILLS_H
#include "store/store.h"

struct skill_row { /* strings are borrowed for the call */
	int64_t group_id;
	const char *group, *skill, *hash;
	const char *by; /* who enabled it; "" in store_skill_uses */
	int64_t at_ms;	/* when; in store_skill_uses: when that content was first given to it */
};
typedef void skill_row_fn(void *ctx, const struct skill_row *s);
/* What is enabled in a group (0 = in all that are not removed), by group and name. */
int store_skill_each(struct store *st, int64_t group_id, skill_row_fn *fn, void *ctx,
		     struct err *e) must_check;
/* Enabled with this content from now on. */
int store_skill_enable(struct store *st, int64_t group_id, const char *skill, const char *hash,
		       const char *by, struct err *e) must_check;
int store_skill_disable(struct store *st, int64_t group_id, const char *skill, bool *was,
			struct err *e) must_check;
/* The content that it is enabled with has become another one. */
int store_skill_changed(struct store *st, int64_t group_id, const char *skill, const char *hash,
			struct err *e) must_check;
/* A sandbox of the group gets this content. */
int store_skill_used(struct store *st, int64_t group_id, const char *skill, const char *hash,
		     struct err *e) must_check;
/* All contents of a skill that any group was given, newest first. */
int store_skill_uses(struct store *st, const char *skill, skill_row_fn *fn, void *ctx,
		     struct err *e) must_check;
/* *first: nobody has asked this of the group before: it has not had its first skills yet. */
int store_skill_first(struct store *st, int64_t group_id, bool *first, struct err *e) must_check;

#endif
