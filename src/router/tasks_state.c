// SPDX-License-Identifier: Apache-2.0
/*
 * A task's states, as people and agents change them: paused, resumed, cancelled, run at once; see tasks.h. It exists apart from tasks.c, which is about what a task
 * is. It must never decide who may.
 */
#include <string.h>
#include "base/str.h"
#include "router/schedule.h"

#define ASKED_MAX 10 /* runs of one task that are not over, where they may queue */

struct state {
	struct task_row t; /* no strings but these */
	char name[65], *spec, *zone;
};

static void take_state(void *ctx, const struct task_row *t)
{
	struct state *s = ctx;

	s->t = *t;
	str_copy(s->name, sizeof(s->name), t->name);
	s->spec = xstrdup(t->spec);
	s->zone = xstrdup(t->zone);
}

static void state_free(struct state *s)
{
	free(s->spec);
	free(s->zone);
}

int task_pause(struct router *r, int64_t id, const char *why, struct err *e)
{
	_cleanup_(state_free) struct state s = {.spec = NULL};

	if (store_task_get(r->store, id, take_state, &s, e) < 0)
		return -1;
	if (s.t.state != TASK_ACTIVE)
		return err_set(e, E_INVAL, "task %s is %s already", s.name,
			       task_state_word(s.t.state));
	if (store_task_state(r->store, id, TASK_PAUSED, why, e) < 0 ||
	    store_runs_drop(r->store, id, "the task was paused", e) < 0)
		return -1;
	schedule_kick(r);
	return 0;
}

/* The first slot from now on. */
static int go_on(struct router *r, const struct state *s, struct err *e)
{
	_cleanup_slots_ struct slots *slots = slots_parse(s->spec, s->zone, s->t.anchor_ms, e);
	int64_t next = 0;

	if (!slots)
		return err_wrap(e, "reading the schedule of task %s", s->name);
	if (!slots_next(slots, clock_wall(r->o.clk), &next))
		return err_set(e, E_INVAL, "task %s: \"%.60s\" is over: give it another schedule",
			       s->name, s->spec);
	if (store_task_next(r->store, s->t.id, next, plan_due(&s->t, next), e) < 0 ||
	    store_task_failures(r->store, s->t.id, 0, e) < 0)
		return -1;
	return store_task_state(r->store, s->t.id, TASK_ACTIVE, "", e);
}

int task_resume(struct router *r, int64_t id, struct err *e)
{
	_cleanup_(state_free) struct state s = {.spec = NULL};

	if (store_task_get(r->store, id, take_state, &s, e) < 0)
		return -1;
	if (s.t.state != TASK_PAUSED)
		return err_set(e, E_INVAL, "task %s is not paused: it is %s", s.name,
			       task_state_word(s.t.state));
	if (go_on(r, &s, e) < 0)
		return -1;
	schedule_kick(r);
	return 0;
}

struct open_runs {
	int64_t ids[64];
	size_t n;
};

static void note_run(void *ctx, const struct run_row *run)
{
	struct open_runs *o = ctx;

	if (o->n < ARRAY_LEN(o->ids))
		o->ids[o->n++] = run->id;
}

int task_cancel(struct router *r, int64_t id, struct err *e)
{
	_cleanup_(state_free) struct state s = {.spec = NULL};
	struct open_runs open = {.n = 0};

	if (store_task_get(r->store, id, take_state, &s, e) < 0)
		return -1;
	if (s.t.state == TASK_CANCELLED)
		return err_set(e, E_INVAL, "task %s is cancelled already", s.name);
	/* What is left after the drop goes on now: a few. */
	if (store_task_state(r->store, id, TASK_CANCELLED, "", e) < 0 ||
	    store_task_next(r->store, id, 0, 0, e) < 0 ||
	    store_runs_drop(r->store, id, "the task was cancelled", e) < 0 ||
	    store_runs_each_open(r->store, id, ARRAY_LEN(open.ids), note_run, &open, e) < 0)
		return -1;
	for (size_t i = 0; i < open.n; i++) {
		if (run_stop(r, open.ids[i], "I stopped: the task was cancelled.", e) < 0)
			return -1;
	}
	schedule_kick(r);
	return 0;
}

int task_run_now(struct router *r, int64_t id, int64_t *run, struct err *e)
{
	_cleanup_(state_free) struct state s = {.spec = NULL};
	int64_t open = 0, any = 0, slot = clock_wall(r->o.clk);

	*run = 0;
	if (store_task_get(r->store, id, take_state, &s, e) < 0)
		return -1;
	if (s.t.state == TASK_CANCELLED)
		return err_set(e, E_INVAL, "task %s is cancelled", s.name);
	if (store_runs_open(r->store, id, &open, &any, e) < 0)
		return -1;
	if (open >= (s.t.queue ? ASKED_MAX : 1))
		return err_set(e, E_LIMIT,
			       "run %lld of %s is not over yet: stop it, or wait for its end",
			       (long long)any, s.name);
	/* Slots are whole seconds: this is the row of none. */
	while (!*run) {
		slot += slot % 1000 == 0;
		if (store_run_add(r->store, id, slot++, true, RUN_WAITING, "", run, e) < 0)
			return -1;
	}
	schedule_admit(r, s.t.group_id);
	return 0;
}
