// SPDX-License-Identifier: Apache-2.0
/*
 * The queue for live sandboxes, at most max_live at once: a free place goes to the group that has the fewest, and between those to who waits longest. A sandbox that only waits
 * for its next message gives its place up to a group that has one. A group has one sandbox of its own at a time, for its folder and
 * its agent's state are not to be written by two: sessions of one group take turns. Sandboxes of single tasks share nothing with it, and stand beside it.
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

static bool is_live(const struct session *s)
{
	return s->state == SESSION_STARTING || s->state == SESSION_READY ||
	       s->state == SESSION_STOPPING;
}

static int64_t count_live(const struct router *r, bool *one_ends)
{
	int64_t n = 0;

	*one_ends = false;
	for (const struct session *s = r->sessions; s; s = s->next) {
		n += is_live(s);
		*one_ends |= s->state == SESSION_STOPPING;
	}
	return n;
}

/* The session that has done nothing for longest. */
static struct session *longest_idle(struct router *r)
{
	struct session *best = NULL;

	for (struct session *s = r->sessions; s; s = s->next) {
		if (s->state == SESSION_READY && !s->turn_id && s->kind == SANDBOX_GROUP &&
		    (!best || s->since_ms < best->since_ms))
			best = s;
	}
	return best;
}

/* The session of the same group that has the group's sandbox. */
static struct session *holder(const struct session *s)
{
	struct session *h = NULL;

	if (s->kind == SANDBOX_GROUP)
		h = map_get(&s->r->by_group, s->group.id);
	while (h && (h->kind != SANDBOX_GROUP || !is_live(h)))
		h = h->next_of_group;
	return h;
}

static int64_t live_of_group(const struct session *s)
{
	const struct session *o = map_get(&s->r->by_group, s->group.id);
	int64_t n = 0;

	for (; o; o = o->next_of_group)
		n += is_live(o);
	return n;
}

/* Of those that could begin: the one whose group has the fewest sandboxes, and of these the first. */
static struct session *choose(struct router *r)
{
	struct session *best = NULL;
	int64_t least = 0;

	for (struct session *s = r->queue; s; s = s->next_queued) {
		int64_t n = holder(s) ? -1 : live_of_group(s);

		if (n < 0 || (best && n >= least))
			continue;
		best = s;
		least = n;
	}
	return best;
}

static void wait_for(struct session *s, struct session *h)
{
	if (h->state == SESSION_READY && !h->turn_id)
		session_stop_sandbox(h);
	str_copy(s->why, sizeof(s->why), "another conversation of this group is being answered");
}

void queue_run(struct router *r)
{
	struct session *best;
	bool one_ends;

	if (r->fatal || r->draining)
		return;
	for (struct session *s = r->queue; s; s = s->next_queued) {
		struct session *h = holder(s);

		if (h)
			wait_for(s, h);
	}
	while (!r->fatal && (best = choose(r))) {
		if (count_live(r, &one_ends) >= r->o.cfg->max_live) {
			struct session *idle = one_ends ? NULL : longest_idle(r);

			if (idle)
				session_stop_sandbox(idle);
			snprintf(best->why, sizeof(best->why), "all %lld sandboxes are in use",
				 (long long)r->o.cfg->max_live);
			return;
		}
		queue_remove(best);
		session_start(best);
	}
}
