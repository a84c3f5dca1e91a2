// SPDX-License-Identifier: Apache-2.0
/*
 * Groups as a whole: making one, with what a new one gets; removing one, with or without its data; and ending its sandboxes so that new settings
 * hold. Who may is asked by the callers (commands, approvals, tools).
 */
#ifndef CHELA_ROUTER_GROUPS_H
#define CHELA_ROUTER_GROUPS_H
#include "store/store.h"

struct router;

/* Makes the group when absent: its row, and in its folder a CLAUDE.md from the template, unless there is one. A removed one comes back
 * with what it had. *made (may be NULL): it was not there. E_INVAL for a name that cannot be. */
int group_make(struct router *r, const char *name, struct group_row *out, bool *made,
	       struct err *e) must_check;

/* Takes its chats from it, cancels its tasks, stops its sandboxes and hides it. data: its rows and folders are deleted afterwards, in small
 * steps, also after a crash. E_PERM for main. */
int group_remove(struct router *r, const struct group_row *g, bool data, struct err *e) must_check;

enum refresh {
	REFRESH_NONE, /* no sandbox runs */
	REFRESH_NOW,  /* those that did nothing are stopped; the next message starts one */
	REFRESH_LATER /* one works: it ends after its turn */
};
/* What was changed holds from the next start of a sandbox on: sees to it that this comes soon. */
enum refresh group_refresh(struct router *r, int64_t group_id);
/* After a setting was changed: the same, for those that the agent was told of when it was started. */
enum refresh group_setting_changed(struct router *r, int64_t group_id, const char *key);
/* In words: "from the next message on", "after the turn that runs now". */
const char *refresh_words(enum refresh f);

/* At start: goes on with what a crash left half deleted. */
int groups_open(struct router *r, struct err *e) must_check;
void groups_close(struct router *r);
/* session_list.c: the group has no session any more. */
void groups_quiet(struct router *r, int64_t group_id);

#endif
