// SPDX-License-Identifier: Apache-2.0
/* See may.h: only comparing; who somebody is, people.c finds out. */
#include "router/may.h"
#include "base/str.h"
#include "router/impl.h"
#include "router/people.h"

void actor_operator(struct actor *out)
{
	*out = (struct actor){.role = ROLE_OWNER, .in_main = true};
	str_copy(out->who, sizeof(out->who), "the operator");
}

int actor_of(struct router *r, const struct group_row *g, int64_t sender_id, struct actor *out,
	     struct err *e)
{
	struct standing s;
	struct place p = {.group = g, .sender_id = sender_id};

	*out = (struct actor){.role = ROLE_NONE};
	if (people_judge(r, &p, &s, NULL, e) < 0)
		return -1;
	out->sender_id = sender_id;
	out->role = s.role;
	out->in_main = g->is_main;
	str_copy(out->who, sizeof(out->who), s.who);
	return 0;
}

void actor_lessen(struct actor *a, const struct actor *b)
{
	bool in_main = a->in_main && b->in_main;
	bool several = a->several || b->several || a->sender_id != b->sender_id;

	if (!a->who[0]) {
		*a = *b;
		return;
	}
	if (b->role < a->role)
		*a = *b;
	a->in_main = in_main;
	a->several = several;
}

static const char *a_role(enum role r)
{
	switch (r) {
	case ROLE_BLOCKED:
		return "blocked";
	case ROLE_NONE:
		return "nobody with a role";
	case ROLE_GUEST:
		return "a guest";
	case ROLE_MEMBER:
		return "a member";
	case ROLE_ADMIN:
		return "an admin";
	case ROLE_OWNER:
		return "an owner";
	}
	return "unknown";
}

int may(const struct actor *a, const struct rule *rule, const char *what, struct err *e)
{
	if (rule->main_only && !a->in_main)
		return err_set(e, E_PERM, "%.60s can only be asked for from the main group", what);
	if (a->role < rule->least)
		return err_set(e, E_PERM, "%.60s needs %s; you are %s here", what,
			       a_role(rule->least), a_role(a->role));
	return 0;
}
