// SPDX-License-Identifier: Apache-2.0
/*
 * What is asked of a group's conversations: to begin anew, and to be summed up. Who may is asked by the callers.
 */
#ifndef CHELA_ROUTER_MEMORY_H
#define CHELA_ROUTER_MEMORY_H
#include "router/groups.h"

#define ARCHIVE_NAME 64 /* bytes of "conversations/2026-11-21-2130-99.md" */

/* The key of the session that a chat's (and thread's) messages belong to. */
void session_key_of(struct router *r, int64_t group_id, int64_t chat_id, const char *thread,
		    char out[65]);

struct renewed {
	enum refresh when; /* REFRESH_LATER: after the turn that runs now */
	char archive
		[ARCHIVE_NAME]; /* "" = nothing was said since the last one, or it comes later */
};
/* The next message begins a new session: the conversation is archived, its last lines and the archive's name are carried over. key NULL = all sessions of
 * the group. chat_id: where the last lines come from; 0 = the group's newest chat. */
int session_renew(struct router *r, const struct group_row *g, const char *key, int64_t chat_id,
		  struct renewed *out, struct err *e) must_check;
/* Called once, when it is done or has failed; not after compact_forget. */
typedef void compacted_fn(void *ctx, bool ok, const char *text);
/* Has the agent sum up its conversation, in a turn of its own; archives before. E_INVAL when there is nothing to sum up, or it is being done already. */
int session_compact(struct router *r, const struct group_row *g, const char *key, int64_t chat_id,
		    const char *thread, compacted_fn *fn, void *ctx, struct err *e) must_check;
void compact_forget(struct router *r, const void *ctx);

#endif
