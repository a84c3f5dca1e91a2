// SPDX-License-Identifier: Apache-2.0
/*
 * The queue for live sandboxes: first come, first served between groups, at most max_live at once. A sandbox that only waits
 * for its next message gives its place up to a group that has one. A group has one sandbox at a time, for its folder and
 * its agent's state are not to be written by two: sessions of one group take turns.
 */
#include "base/str.h"
#include "router/impl.h"

void queue_push(struct session *s)
{
	struct router *r = s->r;

	if (s->queued)
		return;
	s->queued = true;
	s->next_queued = NULL;
	*r->queue_tail = s;
	r->queue_tail = &s->next_queued;
}

void queue_remove(struct session *s)
{
	struct router *r = s->r;
	struct session **p = &r->queue;

	if (!s->queued)
		return;
	while (*p != s)
		p = &(*p)->next_queued;
	*p = s->next_queued;
	if (!*p)
		r->queue_tail = p;
	s->queued = false;
}

static int64_t count_live(const struct router *r, bool *one_ends)
{
	int64_t n = 0;

	*one_ends = false;
	for (const struct session *s = r->sessions; s; s = s->next) {
		n += s->state == SESSION_STARTING || s->state == SESSION_READY ||
		     s->state == SESSION_STOPPING;
		*one_ends |= s->state == SESSION_STOPPING;
	}
	return n;
}

/* The session that has done nothing for longest. */
static struct session *longest_idle(struct router *r)
{
	struct session *best = NULL;

	for (struct session *s = r->sessions; s; s = s->next) {
		if (s->state == SESSION_READY && !s->turn_id &&
		    (!best || s->since_ms < best->since_ms))
			best = s;
	}
	return best;
}

/* The session of the same group that has the group's sandbox. */
static struct session *holder(const struct session *s)
{
	struct session *h = map_get(&s->r->by_group, s->group.id);

	while (h && h->state != SESSION_STARTING && h->state != SESSION_READY &&
	       h->state != SESSION_STOPPING)
		h = h->next_of_group;
	return h;
}

static void wait_for(struct session *s, struct session *h)
{
	if (h->state == SESSION_READY && !h->turn_id)
		session_stop_sandbox(h);
	str_copy(s->why, sizeof(s->why), "another conversation of this group is being answered");
}

void queue_run(struct router *r)
{
	bool one_ends;

	for (struct session *s = r->queue, *next; s && !r->fatal && !r->draining; s = next) {
		struct session *h = holder(s);

		next = s->next_queued;
		if (h) {
			wait_for(s, h);
			continue;
		}
		if (count_live(r, &one_ends) >= r->o.cfg->max_live) {
			struct session *idle = one_ends ? NULL : longest_idle(r);

			if (idle)
				session_stop_sandbox(idle);
			snprintf(s->why, sizeof(s->why), "all %lld sandboxes are in use",
				 (long long)r->o.cfg->max_live);
			return;
		}
		queue_remove(s);
		session_start(s);
	}
}
