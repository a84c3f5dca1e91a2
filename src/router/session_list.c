// SPDX-License-Identifier: Apache-2.0
/*
 * The list of sessions: found by group and key, and freed when there is nothing left in them. It exists so that a thousand groups that say nothing cost
 * nothing.
 */
#include "base/str.h"
#include "router/groups.h"
#include "router/schedule.h"

struct session *session_find(struct router *r, int64_t group_id, const char *key)
{
	struct session *s = map_get(&r->by_group, group_id);

	while (s && !streq(s->key, key))
		s = s->next_of_group;
	return s;
}

void session_link(struct session *s)
{
	struct router *r = s->r;

	s->next = r->sessions;
	if (s->next)
		s->next->prev = s;
	r->sessions = s;
	s->next_of_group = map_get(&r->by_group, s->group.id);
	map_put(&r->by_group, s->group.id, s);
}

void session_unlink(struct session *s)
{
	struct router *r = s->r;
	struct session *first = map_get(&r->by_group, s->group.id);

	if (s->prev)
		s->prev->next = s->next;
	else
		r->sessions = s->next;
	if (s->next)
		s->next->prev = s->prev;
	if (first != s) {
		while (first->next_of_group != s)
			first = first->next_of_group;
		first->next_of_group = s->next_of_group;
	} else if (s->next_of_group) {
		map_put(&r->by_group, s->group.id, s->next_of_group);
	} else {
		map_del(&r->by_group, s->group.id);
		groups_quiet(r, s->group.id);
	}
}

/* A session that has neither a sandbox nor work nor anything to remember: most groups are silent most of the time. */
static bool is_spare(const struct session *s)
{
	return s->state == SESSION_IDLE && !s->sandbox && !s->turn_id && !s->queued &&
	       !s->out_armed && !s->rebuild && !gate_waits(s) && !s->compact;
}

static void reap(void *ctx)
{
	struct router *r = ctx;

	r->reap_armed = false;
	for (struct session *s = r->sessions, *next; s; s = next) {
		next = s->next;
		if (is_spare(s))
			session_free(s);
	}
}

void session_reap(struct router *r)
{
	if (r->reap_armed || r->fatal)
		return;
	r->reap_armed = true;
	store_after_commit(r->store, reap, r);
}
