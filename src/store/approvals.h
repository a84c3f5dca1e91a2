// SPDX-License-Identifier: Apache-2.0
/*
 * What a person has to decide before it happens: strangers and unknown chats, with the messages that are held for them. An approval says
 * all that is approved, is decided once, and keeps how. Part of the store (store.h).
 */
#ifndef CHELA_STORE_APPROVALS_H
#define CHELA_STORE_APPROVALS_H
#include "store/store.h"

/* Both are stored as these numbers. */
enum approval_kind {
	APPROVAL_CHAT = 0,  /* a chat becomes a group's */
	APPROVAL_PERSON = 1 /* a person gets a role in the chat's group */
};
enum approval_state {
	APPROVAL_OPEN = 0,
	APPROVAL_GRANTED = 1, /* what is still held is to be taken in */
	APPROVAL_DENIED = 2,
	APPROVAL_EXPIRED = 3,
	APPROVAL_STALE = 4 /* what was shown is not true any more: asked for anew */
};
const char *approval_state_word(enum approval_state s);

struct approval_row { /* strings are borrowed for the call */
	int64_t id, chat_id, sender_id, asked_ms, decided_ms, held;
	enum approval_kind kind;
	enum approval_state state;
	const char *payload, *hash, *decided_by;
};
typedef void approval_fn(void *ctx, const struct approval_row *a);
/* Opens one; *id is its number. There is at most one open for a kind, chat and sender. */
int store_approval_add(struct store *st, const struct approval_row *a, int64_t *id,
		       struct err *e) must_check;
/* E_GONE. */
int store_approval_get(struct store *st, int64_t id, approval_fn *fn, void *ctx,
		       struct err *e) must_check;
/* The open one; sender 0: of whomever. *id 0 = none. */
int store_approval_open(struct store *st, enum approval_kind kind, int64_t chat_id,
			int64_t sender_id, int64_t *id, struct err *e) must_check;
/* Whether the chat was denied, and not granted since. */
int store_approval_denied(struct store *st, int64_t chat_id, bool *yes, struct err *e) must_check;
/* Open ones, oldest first; all: every one, newest first. */
int store_approval_each(struct store *st, bool all, int64_t limit, approval_fn *fn, void *ctx,
			struct err *e) must_check;
/* How many are open, how many of those main was not told of, and when the oldest was asked (0 = none). */
int store_approval_counts(struct store *st, int64_t *open, int64_t *untold, int64_t *oldest_ms,
			  struct err *e) must_check;
/* Main knows of this one; id 0 = of all. */
int store_approval_told(struct store *st, int64_t id, struct err *e) must_check;
/* From open to this state; *done is false when it was not open. */
int store_approval_decide(struct store *st, int64_t id, enum approval_state state, const char *by,
			  bool *done, struct err *e) must_check;
/* Open ones asked before then expire; what is held for them goes, and counts as refused. */
int store_approval_expire(struct store *st, int64_t before_ms, int64_t *n,
			  struct err *e) must_check;

/* One thing that came in, for later; *kept is false when max are held already (or this very one is). */
int store_held_add(struct store *st, int64_t approval_id, const char *platform_id,
		   const char *inbound, int64_t max, bool *kept, struct err *e) must_check;
int store_held_has(struct store *st, int64_t approval_id, const char *platform_id, bool *yes,
		   struct err *e) must_check;
/* Of those that were granted, in the order in which they came. */
typedef void held_fn(void *ctx, int64_t id, int64_t chat_id, const char *inbound);
int store_held_due(struct store *st, held_fn *fn, void *ctx, struct err *e) must_check;
int store_held_drop(struct store *st, int64_t id, struct err *e) must_check;
/* What is held for one goes to another. */
int store_held_move(struct store *st, int64_t from, int64_t to, struct err *e) must_check;
/* All that is held for one goes. */
int store_held_clear(struct store *st, int64_t approval_id, struct err *e) must_check;

#endif
