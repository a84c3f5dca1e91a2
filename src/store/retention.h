// SPDX-License-Identifier: Apache-2.0
/*
 * What is old enough to go. Removed in small bites, oldest first, so that the loop keeps its time. What waits, is in somebody's hands, is not sent, or is
 * needed to know where a chat stands is never touched, however old it is. Part of the store (store.h).
 */
#ifndef CHELA_STORE_RETENTION_H
#define CHELA_STORE_RETENTION_H
#include "store/store.h"

/* In the order in which they are to be done: messages go only when nothing names them any more. */
enum retained {
	RETAINED_SENT, /* rows of the outbox that the platform has, or that were dropped */
	RETAINED_DEAD, /* dead letters */
	RETAINED_RUNS, /* of tasks: those that are over, but for the newest of each task */
	RETAINED_USAGE,
	RETAINED_ACTS,
	RETAINED_MESSAGES,  /* with their files' rows and their place in the search */
	RETAINED_TURNS,	    /* that nothing kept names */
	RETAINED_APPROVALS, /* decided ones; that a chat is not to be asked for again stays */
	RETAINED_CHATS,	    /* that belong to no group and have nothing left */
	RETAINED_COUNT
};
struct retain_bite {
	enum retained what;
	int64_t before_ms; /* older than this goes */
	int64_t after_id;  /* where the last bite ended; 0 at first; moved on */
	int64_t limit;	   /* rows looked at */
	int64_t removed;   /* counted up */
	bool more;	   /* there may be more to look at */
	/* The arguments (JSON) of rows of the outbox that go and may name a file of the spool; may be NULL. */
	void (*gone)(void *ctx, const char *args);
	void *ctx;
};
int store_retain(struct store *st, struct retain_bite *b, struct err *e) must_check;

#endif
