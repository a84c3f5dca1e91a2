// SPDX-License-Identifier: Apache-2.0
/*
 * A conversation's beginning and end: what a fresh session is told (opening.c), a session that is begun anew with what is carried over (reset.c), and one
 * that the agent sums up (compact.c). Inside src/router; what commands ask for is in memory.h.
 */
#ifndef CHELA_ROUTER_RESET_H
#define CHELA_ROUTER_RESET_H
#include "router/archive.h"
#include "router/memory.h"

/* --- reset.c ------------------------------------------------------------------------------ */

/* turn.c: a turn is over. True: the sandbox was stopped, for a new session or for new settings. */
bool session_leaves(struct session *s);
/* session.c: before a session is resumed. One whose transcript has grown past what can be resumed is given up: id becomes "", and the recent
 * history goes before the next message. */
void session_check_size(struct session *s, char id[37]);

/* --- opening.c ---------------------------------------------------------------------------- */

/* Before a turn's first message: the facts, if the agent does not know them as they are now, and what is carried over. */
void opening_put(struct session *s, struct buf *text);
/* The chat of a group in which somebody spoke last; 0 = none, -1 = error. */
int64_t opening_newest_chat(struct router *r, int64_t group_id, struct err *e) must_check;
/* The agent has answered: what was carried over has arrived. */
void opening_heard(struct session *s);
/* "<earlier-conversation ...>" with the last lines of a chat, short; caller frees. archive: its name or "". */
char *opening_carry(struct router *r, const struct group_row *g, int64_t chat_id,
		    const char *archive, struct err *e) must_check;

/* --- compact.c ---------------------------------------------------------------------------- */

/* For turn.c, handin.c and session.c. */
int compact_hand_in(struct session *s, struct err *e) must_check;
bool compact_runs(const struct session *s);
void compact_seen(struct session *s, const struct agent_event *ev);
/* True: this result was the compaction's. */
bool compact_result(struct session *s, const struct agent_event *ev);
/* The sandbox is gone: what runs has failed; what has not begun waits for the next one, unless there is trouble. */
void compact_abort(struct session *s, const char *why);
/* What is asked for or runs, if anything, has failed. */
void compact_fail(struct session *s, const char *why);
void compact_free(struct session *s);

#endif
