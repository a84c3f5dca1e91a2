// SPDX-License-Identifier: Apache-2.0
/*
 * Who may do what with a task: one answer for commands and for the agents' tools. A task acts with the rights of the person who made it, so whoever changes what it
 * does must have as many.
 */
#ifndef CHELA_ROUTER_TASK_MAY_H
#define CHELA_ROUTER_TASK_MAY_H
#include "router/may.h"
#include "store/tasks.h"

enum task_act {
	TASK_SEE,   /* whoever may look at the group's tasks at all */
	TASK_STEER, /* pause, resume, cancel, run now: who made it, or an admin */
	TASK_CHANGE /* what it does and when: the same, with no less than the rights of who made it */
};
struct task_named {
	int64_t id, group_id, chat_id, sender_id;
	enum task_state state;
	char name[65], group[65], zone[64];
};
/* The task of that number or name, for an actor in the group `here` (NULL: the operator's command line). An admin of main reaches the tasks of all groups, those of
 * main first; for all others, one of another group is one that is not there. E_GONE, E_INVAL (the name is that of several), E_PERM in words about the actor. */
int task_named(struct router *r, const struct actor *by, const struct group_row *here,
	       const char *word, enum task_act act, struct task_named *out,
	       struct err *e) must_check;

/* Whether who made it may still have it run there; *maker: who that is. The rule for making one, as of now: an admin of main has tasks in all groups. */
int task_allowed(struct router *r, const struct group_row *g, int64_t sender_id,
		 struct actor *maker, bool *yes, struct err *e) must_check;

/* All tasks of a group at once; what becomes of slots in between is each task's catch_up. The caller has checked who may. */
int task_pause_group(struct router *r, int64_t group_id, bool paused, struct err *e) must_check;

#endif
