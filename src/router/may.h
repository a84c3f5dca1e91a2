// SPDX-License-Identifier: Apache-2.0
/*
 * Who acts, and whether that actor may. Every action carries the person who caused it; what an agent does is authorised on the lesser of that person
 * and the agent itself: an agent of another group than main has no power outside its group, whoever asks it. The rules themselves
 * are data beside each command and each tool (least role, only from main); this file only compares.
 */
#ifndef CHELA_ROUTER_MAY_H
#define CHELA_ROUTER_MAY_H
#include <stdbool.h>
#include "store/people.h"

struct router;

struct actor {
	int64_t sender_id; /* 0 = the operator at the console or on the command line */
	enum role role;	   /* effective, in the group in which it acts; the operator: ROLE_OWNER */
	bool in_main;	   /* acts in the main group */
	bool several; /* stands for more than one person: what only the maker of a thing may do, none of them may */
	char who[100]; /* "Ann (telegram:123)", one line, for people and for the record */
};
/* The operator: at this machine, with the rights of the server's user. */
void actor_operator(struct actor *out);
/* Of a sender in a group, as of now. sender 0, or the console: the operator. In a group with `strangers allow` a stranger is a guest. */
int actor_of(struct router *r, const struct group_row *g, int64_t sender_id, struct actor *out,
	     struct err *e) must_check;
/* a is acting for b as well from now on: the lesser role. A zeroed a (who "") becomes b. */
void actor_lessen(struct actor *a, const struct actor *b);

/* What a command or a tool asks of its actor. */
struct rule {
	enum role least;
	bool main_only;
};
/* -1 with E_PERM in words for a person: "that needs an admin; you are a guest here". */
int may(const struct actor *a, const struct rule *rule, const char *what, struct err *e) must_check;

#endif
