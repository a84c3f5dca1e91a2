// SPDX-License-Identifier: Apache-2.0
/* What was used and what was done, summed up for people: tokens and costs by day and group, and the record of commands. Part of the store (store.h). */
#ifndef CHELA_STORE_RECORD_H
#define CHELA_STORE_RECORD_H
#include "store/store.h"

struct usage_row {	  /* strings are borrowed for the call */
	const char *what; /* a day, "2026-11-21" (UTC), or a group's name */
	int64_t turns, calls, input, output, cache_read, cache_write;
	int64_t cost_micro; /* millionths of a US dollar, by the agent's own reckoning */
};
typedef void usage_fn(void *ctx, const struct usage_row *u);
/* Since then, of one group (0 = all), newest day first. */
int store_usage_days(struct store *st, int64_t group_id, int64_t since_ms, usage_fn *fn, void *ctx,
		     struct err *e) must_check;
/* The same by group, the greatest first. */
int store_usage_groups(struct store *st, int64_t since_ms, usage_fn *fn, void *ctx,
		       struct err *e) must_check;

struct act_row { /* strings are borrowed for the call; group "" = none */
	int64_t id, at_ms;
	const char *who, *via, *act, *group;
	bool allowed;
};
typedef void act_fn(void *ctx, const struct act_row *a);
/* The newest, oldest of them first. */
int store_act_each(struct store *st, int64_t limit, act_fn *fn, void *ctx,
		   struct err *e) must_check;

#endif
