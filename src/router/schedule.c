// SPDX-License-Identifier: Apache-2.0
/*
 * The timer, the claims and the admission; see schedule.h. All that it does it does in steps of a few milliseconds, each one transaction; between two steps
 * the server may die. It must never look at a task before its time comes: nothing is polled.
 */
#include "router/schedule.h"
#include <errno.h>
#include <string.h>
#include <sys/timerfd.h>
#include "base/log.h"
#include "base/slots.h"
#include "base/str.h"

#define WAITING_MAX  100 /* runs of one task with overlap queue, beside the one that goes on */
#define FULL_TOLD_MS 3600000
#define STEP_US	     3000 /* what a step may take; the commit comes on top */
#define STEP_CLAIMS  100
#define REST_MS	     3600000 /* the timer runs at most so long, for it goes by another clock */
#define BACK_MS                                                                                    \
	((int64_t)86400000) /* set back by more, the clock was wrong before: less is waited out */
#define ISOLATED_MAX 2	    /* runs of one group in sandboxes of their own */

struct schedule {
	struct router *r;
	struct timer *timer;
	int jumps; /* becomes readable when the wall clock is set, or the machine wakes up */
	struct watch *watch;
	int64_t claimed_group; /* the group whose turn it was last */
	bool pass;	       /* every group is to be looked at for runs that may begin */
	int64_t passed_group;  /* so far */
	int64_t again_ms;      /* when the next pass is due: a run is to be tried again */
	struct map asked;      /* groups in the list */
	int64_t *list;	       /* groups to be looked at, in order */
	size_t first, n, cap;
	int64_t now_ms;	 /* of the last step, in whole seconds */
	bool back;	 /* the clock was set back: what is next is found anew, of every task */
	int64_t back_id; /* so far */
	int64_t claims, steps;
	int64_t full_told_ms; /* when main was last told that too many wait; 0 = never */
	struct zones zones;   /* of the tasks claimed: to open one anew takes longer than a claim */
};

/* --- claims ------------------------------------------------------------------------------- */

/* The slot's task, kept while rows are written. */
struct due_task {
	struct task_row t; /* strings: the four below only */
	char *spec, *zone, *thread, name[65];
};

static void take_task(void *ctx, const struct task_row *t)
{
	struct due_task *c = ctx;

	c->t = *t;
	c->t.spec = c->spec = xstrdup(t->spec);
	c->t.zone = c->zone = xstrdup(t->zone);
	c->t.thread = c->thread = xstrdup(t->thread);
	str_copy(c->name, sizeof(c->name), t->name);
	c->t.name = c->name;
}

static void due_task_free(struct due_task *c)
{
	free(c->spec);
	free(c->zone);
	free(c->thread);
}

static int note_missed(struct router *r, int64_t task_id, const struct plan *p, struct err *e)
{
	char words[120];
	int64_t id;

	if (!p->missed)
		return 0;
	snprintf(words, sizeof(words), "%lld%s slot%s up to this one did not run",
		 (long long)p->missed, p->missed == PLAN_MISSED_MAX ? " or more" : "",
		 p->missed == 1 ? "" : "s");
	return store_run_add(r->store, task_id, p->last_missed, false, RUN_MISSED, words, &id, e);
}

/* While the agent cannot work, what waits does not grow without an end; each that is left out has its row. */
static void tell_full(struct schedule *sc, const struct task_row *t)
{
	int64_t now = loop_now(sc->r->loop);

	log_warn("schedule", "as many runs wait as may", "task=%lld group=%lld n=%d",
		 (long long)t->id, (long long)t->group_id, WAITING_MAX);
	if (sc->full_told_ms && now - sc->full_told_ms < FULL_TOLD_MS)
		return;
	sc->full_told_ms = now;
	notice_main(sc->r,
		    "%d runs of task #%lld (%.64s) wait for their turn: until one of them has run, "
		    "those that are due are left out.",
		    WAITING_MAX, (long long)t->id, t->name);
}

/* One row a slot, and the next slot, in this transaction. */
static int claim_slots(struct schedule *sc, struct due_task *c, const struct slots *s, int64_t now,
		       struct err *e)
{
	struct store *st = sc->r->store;
	int64_t open, any, id;
	struct plan p;

	plan_make(s, &c->t, now, &p);
	if (store_runs_open(st, c->t.id, &open, &any, e) < 0 ||
	    note_missed(sc->r, c->t.id, &p, e) < 0)
		return -1;
	for (size_t i = 0; i < p.n_keep; i++) {
		const char *why = !open		       ? NULL
				  : !c->t.queue	       ? "the run before it was still going"
				  : open > WAITING_MAX ? "as many as may wait were waiting"
						       : NULL;

		if (store_run_add(st, c->t.id, p.keep[i], false, why ? RUN_SKIPPED : RUN_WAITING,
				  why ? why : "", &id, e) < 0)
			return -1;
		sc->claims++;
		if (why || !c->t.queue || !id)
			continue;
		if (++open > WAITING_MAX)
			tell_full(sc, &c->t);
	}
	if (store_task_next(st, c->t.id, p.next_ms, p.due_ms, e) < 0)
		return -1;
	schedule_admit(sc->r, c->t.group_id);
	return p.next_ms ? 0 : task_settle(sc->r, c->t.id, e);
}

static int claim_one(struct schedule *sc, int64_t group_id, int64_t now, struct err *e)
{
	struct due_task c = {.spec = NULL};
	struct err why = ERR_INIT;
	struct slots *s;
	int rc;

	if (store_due_task(sc->r->store, group_id, now, take_task, &c, e) < 0)
		return -1;
	zones_keep(&sc->zones, c.zone);
	s = slots_parse(c.spec, c.zone, c.t.anchor_ms, &why);
	/* It was right once: the time zone has gone from the system, most likely. */
	rc = s ? claim_slots(sc, &c, s, now, e) : task_pause_told(sc->r, &c.t, why.msg, e);
	slots_free(s);
	due_task_free(&c);
	return rc;
}

/* --- a clock that was set back --------------------------------------------------------------- */

/* While the clock was far ahead, slots were passed that come now. Those that did run have their rows, and run no second time. */
static int find_next_anew(struct schedule *sc, int64_t now, bool *more, struct err *e)
{
	struct due_task c = {.spec = NULL};
	struct err why = ERR_INIT;
	struct slots *s;
	int64_t next;
	int rc = 0;

	*more = sc->back;
	if (!sc->back)
		return 0;
	if (store_task_after(sc->r->store, sc->back_id, take_task, &c, &why) < 0) {
		sc->back = *more = false;
		if (why.code != E_GONE)
			*e = why;
		return why.code == E_GONE ? 0 : -1;
	}
	sc->back_id = c.t.id;
	zones_keep(&sc->zones, c.zone);
	s = slots_parse(c.spec, c.zone, c.t.anchor_ms, &why);
	if (s && slots_next(s, now, &next) && next < c.t.next_ms)
		rc = store_task_next(sc->r->store, c.t.id, next, plan_due(&c.t, next), e);
	slots_free(s);
	due_task_free(&c);
	return rc;
}

/* --- admission ---------------------------------------------------------------------------- */

static int admit_kind(struct router *r, int64_t group_id, bool isolated, int64_t now, struct err *e)
{
	int64_t most = isolated ? ISOLATED_MAX : 1, here = 0, all = 0, run = 0;

	/* One that comes to nothing at once asks for its group again: not all of them in one step. */
	for (int64_t i = 0; i < most && !r->fatal; i++) {
		if (store_runs_going(r->store, group_id, isolated, &here, e) < 0 ||
		    (isolated && store_runs_going(r->store, 0, true, &all, e) < 0))
			return -1;
		if (here >= most || all >= r->o.cfg->max_live)
			return 0;
		if (store_wait_run(r->store, group_id, isolated, now, &run, e) < 0)
			return -1;
		if (!run)
			return 0;
		run_begin(r, run);
	}
	return 0;
}

static int admit(struct router *r, int64_t group_id, int64_t now, struct err *e)
{
	return admit_kind(r, group_id, false, now, e) < 0 ||
			       admit_kind(r, group_id, true, now, e) < 0
		       ? -1
		       : 0;
}

void schedule_admit(struct router *r, int64_t group_id)
{
	struct schedule *sc = r->schedule;

	if (!sc || map_get(&sc->asked, group_id))
		return;
	map_put(&sc->asked, group_id, sc);
	if (sc->first == sc->n)
		sc->first = sc->n = 0;
	if (sc->n == sc->cap) {
		sc->cap = sc->cap ? sc->cap * 2 : 64;
		sc->list = xrealloc(sc->list, sc->cap * sizeof(*sc->list));
	}
	sc->list[sc->n++] = group_id;
	timer_start(sc->timer, 0, 0);
}

/* The next group of the pass into the list. */
static int pass_on(struct schedule *sc, int64_t now, struct err *e)
{
	int64_t g;

	if (store_wait_group(sc->r->store, now, sc->passed_group, &g, e) < 0)
		return -1;
	sc->pass = g != 0;
	sc->passed_group = g;
	if (g)
		schedule_admit(sc->r, g);
	return 0;
}

/* --- steps -------------------------------------------------------------------------------- */

/* Slots are whole seconds. */
static int64_t seconds(const struct router *r)
{
	return clock_wall(r->o.clk) / 1000 * 1000;
}

/* One task of the next group that has one due, round the groups. *more: there was one. */
static int claim_next(struct schedule *sc, int64_t now, bool *more, struct err *e)
{
	int64_t g;

	if (store_due_group(sc->r->store, now, sc->claimed_group, &g, e) < 0)
		return -1;
	if (!g && sc->claimed_group && store_due_group(sc->r->store, now, 0, &g, e) < 0)
		return -1;
	*more = g != 0;
	sc->claimed_group = g;
	return g ? claim_one(sc, g, now, e) : 0;
}

static int admit_next(struct schedule *sc, int64_t now, bool *more, struct err *e)
{
	int64_t g;

	if (sc->first == sc->n && sc->pass && pass_on(sc, now, e) < 0)
		return -1;
	*more = sc->first < sc->n;
	if (!*more)
		return 0;
	g = sc->list[sc->first++];
	map_del(&sc->asked, g);
	return admit(sc->r, g, now, e);
}

static int step(struct schedule *sc, bool *more, struct err *e)
{
	int64_t now = seconds(sc->r), end = clock_mono(sc->r->o.clk) + STEP_US;
	bool due = true, wait = true, back = true;

	if (now + BACK_MS < sc->now_ms) {
		log_info("schedule", "the clock was set back", "seconds=%lld",
			 (long long)(sc->now_ms - now) / 1000);
		sc->back = true;
		sc->back_id = 0;
	}
	sc->now_ms = now;

	/* By turns: who became due is not to wait for all claims, nor the claims for all who wait. */
	for (int n = 0; n < STEP_CLAIMS && (due || wait || back) && !sc->r->fatal; n++) {
		if (find_next_anew(sc, now, &back, e) < 0)
			return -1;
		if (due && claim_next(sc, now, &due, e) < 0)
			return -1;
		if (admit_next(sc, now, &wait, e) < 0)
			return -1;
		if (clock_mono(sc->r->o.clk) >= end)
			break;
	}
	*more = due || wait || back;
	return 0;
}

static void rest(struct schedule *sc, struct err *e)
{
	int64_t due = 0, delay;

	/* As of the step: what became due since is due at once. */
	if (store_due_next(sc->r->store, sc->now_ms, &due, &sc->again_ms, e) < 0) {
		router_fatal(sc->r, e);
		return;
	}
	if (!due || (sc->again_ms && sc->again_ms < due))
		due = sc->again_ms;
	if (!due) {
		timer_stop(sc->timer);
		return;
	}
	delay = due - clock_wall(sc->r->o.clk);
	timer_start(sc->timer, delay < 0 ? 0 : delay > REST_MS ? REST_MS : delay, 0);
}

static void begin_pass(struct schedule *sc)
{
	sc->pass = true;
	sc->passed_group = 0;
	sc->again_ms = 0;
}

static void on_timer(void *ctx)
{
	struct schedule *sc = ctx;
	struct err e = ERR_INIT;
	bool more = false;

	/* Who is to stop begins nothing: what is due is so at the next start as well. */
	if (sc->r->fatal || sc->r->draining)
		return;
	sc->steps++;
	if (sc->again_ms && sc->again_ms <= clock_wall(sc->r->o.clk))
		begin_pass(sc);
	if (step(sc, &more, &e) < 0)
		router_fatal(sc->r, &e);
	else if (more)
		timer_start(sc->timer, 0, 0);
	else
		rest(sc, &e);
}

void schedule_kick(struct router *r)
{
	if (!r->schedule)
		return;
	begin_pass(r->schedule);
	timer_start(r->schedule->timer, 0, 0);
}

void schedule_counts(const struct router *r, int64_t *claims, int64_t *steps)
{
	*claims = r->schedule->claims;
	*steps = r->schedule->steps;
}

/* --- the wall clock ----------------------------------------------------------------------- */

static int arm_jumps(struct schedule *sc)
{
	/* It never runs out; it is cancelled when the clock is set. */
	const struct itimerspec never = {.it_value = {.tv_sec = INT64_C(1) << 40}};

	return timerfd_settime(sc->jumps, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never,
			       NULL);
}

static void on_jump(void *ctx, int events maybe_unused)
{
	struct schedule *sc = ctx;
	uint64_t n;

	if (read(sc->jumps, &n, sizeof(n)) < 0 && errno == ECANCELED)
		log_info("schedule", "the clock was set", "now=%lld", (long long)seconds(sc->r));
	if (arm_jumps(sc) < 0)
		watch_set(sc->watch, 0);
	schedule_kick(sc->r);
}

/* Where the kernel cannot tell, the hour of REST_MS is what a jump is late by. */
static void watch_jumps(struct schedule *sc)
{
	sc->jumps = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (sc->jumps < 0 || arm_jumps(sc) < 0) {
		log_warn("schedule", "jumps of the clock are not noticed", "errno=%d", errno);
		return;
	}
	sc->watch = watch_new(sc->r->loop, "clock jumps", sc->jumps, on_jump, sc);
	watch_set(sc->watch, WATCH_READ);
}

/* --- start and end ------------------------------------------------------------------------ */

struct going {
	struct going_run {
		int64_t id, message_id;
		enum run_state state;
	} * runs;
	size_t n, cap;
};

static void note_going(void *ctx, const struct run_row *run)
{
	struct going *g = ctx;

	if (g->n == g->cap) {
		g->cap = g->cap ? g->cap * 2 : 16;
		g->runs = xrealloc(g->runs, g->cap * sizeof(*g->runs));
	}
	g->runs[g->n++] = (struct going_run){run->id, run->message_id, run->state};
}

static void note_state(void *ctx, const struct msg_row *m)
{
	*(bool *)ctx = m->state == MSG_PENDING || m->state == MSG_LEASED;
}

/* A gate that the old server did not hear out is asked again. A message that waits is the run still; when there is none, nothing would ever end it. */
static int recover_one(struct router *r, const struct going_run *run, struct err *e)
{
	bool waits = false;

	if (run->state == RUN_GATE)
		return store_run_begin(r->store, run->id, RUN_WAITING, 0, e);
	if (run->message_id &&
	    store_message_get(r->store, run->message_id, note_state, &waits, e) < 0 &&
	    e->code != E_GONE)
		return -1;
	if (!waits)
		run_over(r, run->id, 0, RUN_FAILED, "", "its message is gone");
	return 0;
}

int schedule_open(struct router *r, struct err *e)
{
	struct schedule *sc = xcalloc(1, sizeof(*sc));
	struct going g = {.runs = NULL};
	int rc;

	sc->r = r;
	sc->jumps = -1;
	sc->timer = timer_new(r->loop, "schedule", on_timer, sc);
	r->schedule = sc;
	watch_jumps(sc);
	rc = store_run_newest(r->store, &sc->now_ms, e);
	if (rc == 0)
		rc = store_runs_each_going(r->store, note_going, &g, e);
	for (size_t i = 0; rc == 0 && i < g.n; i++)
		rc = recover_one(r, &g.runs[i], e);
	free(g.runs);
	schedule_kick(r);
	return rc;
}

void schedule_close(struct router *r)
{
	struct schedule *sc = r->schedule;

	if (!sc)
		return;
	r->schedule = NULL;
	watch_free(sc->watch);
	if (sc->jumps >= 0)
		close(sc->jumps);
	timer_free(sc->timer);
	map_free(&sc->asked);
	zones_drop(&sc->zones);
	free(sc->list);
	free(sc);
}
