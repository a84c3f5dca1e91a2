// SPDX-License-Identifier: Apache-2.0
/*
 * Retention: some minutes after the start, and once a day, what is older than the section `retention:` of the configuration says is removed from the store and from
 * the groups' inbox folders. In small bites, so that nobody waits for it. Space in the database is used again; the file does not shrink (a restored
 * backup is compact).
 */
#ifndef CHELA_ROUTER_RETENTION_H
#define CHELA_ROUTER_RETENTION_H
#include "policy/config.h"
#include "store/retention.h"

struct router;

struct retention_settings {
	int64_t keep_ms[RETAINED_COUNT]; /* 0 = for ever */
	int64_t inbox_ms;
};
/* Strict, as config_load. */
int retention_settings_load(const struct config *cfg, struct retention_settings *out,
			    struct err *e) must_check;

struct retention;
struct retention *retention_new(struct router *r, struct err *e) must_check;
void retention_free(struct retention *t); /* NULL is fine */
/* The configuration was read anew. */
void retention_set(struct retention *t, const struct retention_settings *set);
/* Begins at once, unless it is under way. For tests; done (may be NULL) is called when a round is over. */
void retention_run(struct retention *t, void (*done)(void *ctx), void *ctx);

#endif
