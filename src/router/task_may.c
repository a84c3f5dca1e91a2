// SPDX-License-Identifier: Apache-2.0
/* See task_may.h. The check is made at each use: roles change while tasks stay. */
#include "router/task_may.h"
#include "base/str.h"
#include "router/schedule.h"

static void copy_task(void *ctx, const struct task_row *t)
{
	struct task_named *out = ctx;

	out->id = t->id;
	out->group_id = t->group_id;
	out->chat_id = t->chat_id;
	out->sender_id = t->sender_id;
	out->state = t->state;
	str_copy(out->name, sizeof(out->name), t->name);
	str_copy(out->group, sizeof(out->group), t->group);
	str_copy(out->zone, sizeof(out->zone), t->zone);
}

static int find(struct router *r, const struct actor *by, const struct group_row *here,
		const char *word, int64_t *id, struct err *e)
{
	bool everywhere = !here || (here->is_main && by->role >= ROLE_ADMIN);

	if (here) {
		int rc = store_task_find(r->store, here->id, word, id, e);

		if (rc == 0 || !everywhere || e->code != E_GONE)
			return rc;
		*e = (struct err)ERR_INIT;
	}
	return store_task_find(r->store, 0, word, id, e);
}

/* Two identities may be one person. */
static int is_maker(struct router *r, const struct actor *by, const struct task_named *t, bool *yes,
		    struct err *e)
{
	int64_t a = 0, b = 0;

	*yes = !by->several && by->sender_id == t->sender_id;
	if (*yes || by->several || !by->sender_id || !t->sender_id)
		return 0;
	if (store_person_of(r->store, by->sender_id, &a, e) < 0 ||
	    store_person_of(r->store, t->sender_id, &b, e) < 0)
		return -1;
	*yes = a && a == b;
	return 0;
}

int task_allowed(struct router *r, const struct group_row *g, int64_t sender_id,
		 struct actor *maker, bool *yes, struct err *e)
{
	struct group_row main;
	struct actor there;

	if (actor_of(r, g, sender_id, maker, e) < 0)
		return -1;
	*yes = maker->role >= ROLE_MEMBER;
	if (*yes || maker->role == ROLE_BLOCKED)
		return 0;
	if (store_group_get(r->store, "main", &main, e) < 0 ||
	    actor_of(r, &main, sender_id, &there, e) < 0)
		return -1;
	*yes = there.role >= ROLE_ADMIN;
	return 0;
}

static int check_maker(struct router *r, const struct actor *by, const struct task_named *t,
		       enum task_act act, struct err *e)
{
	struct group_row g;
	struct actor maker;
	bool own;

	if (is_maker(r, by, t, &own, e) < 0)
		return -1;
	if (own && by->role >= ROLE_MEMBER)
		return 0;
	if (store_group_at(r->store, t->group_id, &g, e) < 0 ||
	    actor_of(r, &g, t->sender_id, &maker, e) < 0)
		return -1;
	if (by->role < ROLE_ADMIN)
		return err_set(
			e, E_PERM,
			"task %lld is %.60s's: others need the role admin for that, and the role of %.60s is %s",
			(long long)t->id, maker.who, by->several ? "those who ask" : by->who,
			role_word(by->role));
	if (act == TASK_CHANGE && by->role < maker.role)
		return err_set(
			e, E_PERM,
			"task %lld acts with the rights of %.60s (%s), which are more than those of %.60s (%s): make a task of your own instead",
			(long long)t->id, maker.who, role_word(maker.role), by->who,
			role_word(by->role));
	return 0;
}

int task_named(struct router *r, const struct actor *by, const struct group_row *here,
	       const char *word, enum task_act act, struct task_named *out, struct err *e)
{
	int64_t id;

	*out = (struct task_named){.id = 0};
	if (find(r, by, here, word, &id, e) < 0 ||
	    store_task_get(r->store, id, copy_task, out, e) < 0)
		return -1;
	return act == TASK_SEE ? 0 : check_maker(r, by, out, act, e);
}

int task_pause_group(struct router *r, int64_t group_id, bool paused, struct err *e)
{
	if (store_group_pause(r->store, group_id, paused, e) < 0)
		return -1;
	schedule_kick(r);
	return 0;
}
