// SPDX-License-Identifier: Apache-2.0
/*
 * Owns the event loop: libuv underneath, and on top of it the end of a turn. libuv calls its
 * "prepare" handles after timers and right before it blocks, so that one handle sees each turn
 * exactly once: what the last poll and the timers ran is over, and nothing is waited for yet.
 * That is where deferred calls, turn hooks (the store's commit) and deferred frees happen.
 * It must never block between two polls and must never free what a running call-back may hold.
 */
#include "runtime/loop.h"

#include <signal.h>
#include <string.h>
#include <uv.h>

#include "base/log.h"
#include "runtime/loop_internal.h"

#define SLOW_US	   10000
#define MAX_ROUNDS 8
#define QUIET_US   UINT64_C(1000000) /* between two warnings of slow call-backs */
#define HOLD_MS	   2000

struct deferred {
	const char *what;
	void (*cb)(void *ctx);
	void *ctx;
};

struct deferred_list {
	struct deferred *v;
	size_t n, cap;
};

struct turn_hook {
	struct turn_hook *next;
	struct loop *loop;
	const char *what;
	void (*cb)(void *ctx);
	void *ctx;
	bool dead;
};

struct loop {
	uv_loop_t uv;
	uv_prepare_t prepare;
	uv_idle_t again; /* active when the next poll must not block */
	struct turn_hook *hooks;
	struct deferred_list defers, running;
	void **frees;
	size_t n_frees, cap_frees;
	uint8_t *scratch;
	uint64_t longest_us;
	const char *longest_what;
	uint64_t warned_us;
	unsigned unwarned; /* slow call-backs since that warning */
	int depth;	   /* call-backs on the stack */
	int held;	   /* see loop_hold */
	bool ran;	   /* something ran since the last turn end */
	bool in_run;	   /* inside loop_run */
	bool stopping;	   /* its last turn, or loop_free */
	bool in_timer;
	bool ending; /* inside turn_end */
};

struct timer {
	uv_timer_t uv;
	struct loop *loop;
	const char *what;
	void (*cb)(void *ctx);
	void *ctx;
};

struct sigwatch {
	uv_signal_t uv;
	struct loop *loop;
	void (*cb)(void *ctx, int signo);
	void *ctx;
};

struct uv_loop_s *loop_uv(struct loop *l)
{
	return &l->uv;
}

uint8_t *loop_scratch(struct loop *l)
{
	if (!l->scratch)
		l->scratch = xmalloc(LOOP_SCRATCH);
	return l->scratch;
}

void loop_hold(struct loop *l, int by)
{
	l->held += by;
}

uint64_t loop_enter(struct loop *l)
{
	l->ran = true;
	l->depth++;
	return uv_hrtime();
}

/* A starved machine makes everything slow: the warning must not make it worse. */
static void warn_slow(struct loop *l, const char *what, uint64_t us, uint64_t now_us)
{
	if (l->warned_us && now_us - l->warned_us < QUIET_US) {
		l->unwarned++;
		return;
	}
	log_warn("loop", "slow callback", "what=\"%s\" us=%llu unlogged=%u", what,
		 (unsigned long long)us, l->unwarned);
	l->warned_us = now_us;
	l->unwarned = 0;
}

void loop_leave(struct loop *l, const char *what, uint64_t start)
{
	uint64_t now = uv_hrtime(), us = (now - start) / 1000;

	l->depth--;
	if (us > l->longest_us) {
		l->longest_us = us;
		l->longest_what = what;
	}
	if (us > SLOW_US)
		warn_slow(l, what, us, now / 1000);
}

/* --- the end of a turn ---------------------------------------------------------------------- */

static void run_defers(struct loop *l)
{
	struct deferred_list batch = l->defers;

	l->defers = l->running; /* empty, but with memory */
	for (size_t i = 0; i < batch.n; i++) {
		uint64_t start = loop_enter(l);
		batch.v[i].cb(batch.v[i].ctx);
		loop_leave(l, batch.v[i].what, start);
	}
	batch.n = 0;
	l->running = batch;
}

static void sweep_hooks(struct loop *l)
{
	for (struct turn_hook **p = &l->hooks; *p;) {
		struct turn_hook *h = *p;
		if (h->dead) {
			*p = h->next;
			free(h);
		} else {
			p = &h->next;
		}
	}
}

static void run_hooks(struct loop *l)
{
	for (struct turn_hook *h = l->hooks; h; h = h->next) {
		if (h->dead)
			continue;
		uint64_t start = loop_enter(l);
		h->cb(h->ctx);
		loop_leave(l, h->what, start);
	}
	sweep_hooks(l);
}

static void run_frees(struct loop *l)
{
	for (size_t i = 0; i < l->n_frees; i++)
		free(l->frees[i]);
	l->n_frees = 0;
	if (l->cap_frees > 1024) {
		free(l->frees);
		l->frees = NULL;
		l->cap_frees = 0;
	}
}

static void on_again(uv_idle_t *h maybe_unused)
{
	/* Being active is all that it is for: the next poll returns at once. */
}

/* What was deferred so far, then the hooks, then what the hooks deferred. If that last part ran
 * anything, it may have made work for the hooks (an uncommitted write), so another turn follows
 * without blocking. */
static void turn_end(struct loop *l)
{
	int rounds = 0;
	bool after = false;

	if (!l->ran && l->defers.n == 0) {
		run_frees(l);
		uv_idle_stop(&l->again);
		return;
	}
	l->ending = true;
	while (l->defers.n && rounds++ < MAX_ROUNDS)
		run_defers(l);
	run_hooks(l);
	l->ran = false;
	while (l->defers.n && rounds++ < MAX_ROUNDS) {
		run_defers(l);
		after = true;
	}
	l->ending = false;
	if (l->defers.n == 0)
		run_frees(l);
	l->ran = after;
	if (after || l->defers.n)
		uv_idle_start(&l->again, on_again);
	else
		uv_idle_stop(&l->again);
}

static void on_prepare(uv_prepare_t *h)
{
	turn_end(h->data);
}

void loop_defer(struct loop *l, const char *what, void (*cb)(void *ctx), void *ctx)
{
	struct deferred_list *d = &l->defers;

	if (d->n == d->cap) {
		d->cap = d->cap ? d->cap * 2 : 16;
		d->v = xrealloc(d->v, d->cap * sizeof(*d->v));
	}
	d->v[d->n++] = (struct deferred){what, cb, ctx};
}

void loop_free_later(struct loop *l, void *p)
{
	if (!p)
		return;
	if (l->n_frees == l->cap_frees) {
		l->cap_frees = l->cap_frees ? l->cap_frees * 2 : 16;
		l->frees = xrealloc(l->frees, l->cap_frees * sizeof(*l->frees));
	}
	l->frees[l->n_frees++] = p;
}

struct turn_hook *loop_on_turn_end(struct loop *l, const char *what, void (*cb)(void *ctx),
				   void *ctx)
{
	struct turn_hook *h = xcalloc(1, sizeof(*h));
	struct turn_hook **p = &l->hooks;

	h->loop = l;
	h->what = what;
	h->cb = cb;
	h->ctx = ctx;
	while (*p)
		p = &(*p)->next;
	*p = h;
	return h;
}

void turn_hook_free(struct turn_hook *h)
{
	if (!h)
		return;
	h->dead = true;
	if (h->loop->ending)
		return; /* the walk over the list takes it out */
	for (struct turn_hook **p = &h->loop->hooks; *p; p = &(*p)->next) {
		if (*p == h) {
			*p = h->next;
			break;
		}
	}
	free(h);
}

/* --- the loop itself ------------------------------------------------------------------------ */

struct loop *loop_new(struct err *e)
{
	struct loop *l = xcalloc(1, sizeof(*l));
	int rc;

	/* The pool only looks up names. The first look-up starts all of its threads, four unless told. */
	setenv("UV_THREADPOOL_SIZE", "2", 0);
	rc = uv_loop_init(&l->uv);
	if (rc < 0) {
		err_sys(e, -rc, "cannot make an event loop");
		free(l);
		return NULL;
	}
	signal(SIGPIPE, SIG_IGN); /* a dead peer is an error of write(), not a death of ours */
	uv_prepare_init(&l->uv, &l->prepare);
	l->prepare.data = l;
	uv_prepare_start(&l->prepare, on_prepare);
	uv_idle_init(&l->uv, &l->again);
	return l;
}

void loop_run(struct loop *l)
{
	if (l->in_run) {
		log_oops("loop_run called from inside loop_run");
		return;
	}
	l->in_run = true;
	uv_update_time(&l->uv);
	uv_run(&l->uv, UV_RUN_DEFAULT);
	l->stopping = true;
	/* loop_stop leaves uv_run before the next prepare: the turn that called it still ends. */
	for (int i = 0; i < MAX_ROUNDS && (l->ran || l->defers.n); i++)
		turn_end(l);
	run_frees(l);
	l->stopping = false;
	l->in_run = false;
}

void loop_stop(struct loop *l)
{
	if (!l->stopping) /* else the library would keep it for the next run */
		uv_stop(&l->uv);
}

int64_t loop_now(const struct loop *l)
{
	if (!l->in_run)
		uv_update_time((uv_loop_t *)&l->uv);
	return (int64_t)uv_now(&l->uv);
}

int64_t loop_longest_us(struct loop *l, const char **what)
{
	int64_t us = (int64_t)l->longest_us;

	if (what)
		*what = l->longest_what;
	l->longest_us = 0;
	l->longest_what = NULL;
	return us;
}

static void report_leak(uv_handle_t *h, void *arg maybe_unused)
{
	if (!uv_is_closing(h))
		log_oops("a %s was not freed before its loop", uv_handle_type_name(h->type));
}

static void stop_waiting(void *ctx)
{
	struct loop *l = ctx;

	log_error("loop", "work did not end before the loop", "held=%d", l->held);
	l->held = 0;
}

static void wait_for_held(struct loop *l)
{
	struct timer *limit = timer_new(l, "hold limit", stop_waiting, l);

	timer_start(limit, HOLD_MS, 0);
	while (l->held > 0)
		uv_run(&l->uv, UV_RUN_ONCE);
	timer_free(limit);
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	l->stopping = true;
	for (int i = 0; i < MAX_ROUNDS && l->defers.n; i++)
		turn_end(l);
	if (l->held > 0)
		wait_for_held(l);
	turn_end(l);
	run_frees(l);
	uv_close((uv_handle_t *)&l->prepare, NULL);
	uv_close((uv_handle_t *)&l->again, NULL);
	for (int i = 0; i < 2; i++) /* once more: a loop_stop after the last run spoils one */
		uv_run(&l->uv, UV_RUN_NOWAIT);
	sweep_hooks(l);
	if (l->hooks)
		log_oops("turn hook %s was not freed before its loop", l->hooks->what);
	if (uv_loop_close(&l->uv) == UV_EBUSY) {
		log_oops("a loop could not be freed");
		uv_walk(&l->uv, report_leak, NULL);
		return; /* leaked on purpose: its handles are still somebody's */
	}
	free(l->defers.v);
	free(l->running.v);
	free(l->frees);
	free(l->scratch);
	free(l);
}

/* --- timers --------------------------------------------------------------------------------- */

static void on_timer(uv_timer_t *h)
{
	struct timer *t = h->data;
	struct loop *l = t->loop;
	uint64_t start = loop_enter(l);

	l->in_timer = true;
	t->cb(t->ctx);
	l->in_timer = false;
	loop_leave(l, t->what, start);
}

struct timer *timer_new(struct loop *l, const char *what, void (*cb)(void *ctx), void *ctx)
{
	struct timer *t = xcalloc(1, sizeof(*t));

	uv_timer_init(&l->uv, &t->uv);
	t->uv.data = t;
	t->loop = l;
	t->what = what;
	t->cb = cb;
	t->ctx = ctx;
	return t;
}

void timer_start(struct timer *t, int64_t delay_ms, int64_t period_ms)
{
	struct loop *l = t->loop;

	if (delay_ms < 0)
		delay_ms = 0;
	/* libuv runs timers that are due until none is: one that restarts itself with 0 would keep
	 * everything else from running. */
	if (delay_ms == 0 && l->in_timer)
		delay_ms = 1;
	if (!l->in_run)
		uv_update_time(&l->uv); /* set-up before loop_run takes time that must not count */
	uv_timer_start(&t->uv, on_timer, (uint64_t)delay_ms,
		       period_ms > 0 ? (uint64_t)period_ms : 0);
}

void timer_stop(struct timer *t)
{
	uv_timer_stop(&t->uv);
}

bool timer_active(const struct timer *t)
{
	return uv_is_active((const uv_handle_t *)&t->uv);
}

static void free_handle_data(uv_handle_t *h)
{
	free(h->data);
}

void timer_free(struct timer *t)
{
	if (t)
		uv_close((uv_handle_t *)&t->uv, free_handle_data);
}

/* --- signals -------------------------------------------------------------------------------- */

static void on_signal(uv_signal_t *h, int signo)
{
	struct sigwatch *s = h->data;
	uint64_t start = loop_enter(s->loop);

	s->cb(s->ctx, signo);
	loop_leave(s->loop, "signal", start);
}

struct sigwatch *sigwatch_new(struct loop *l, int signo, void (*cb)(void *ctx, int signo),
			      void *ctx)
{
	struct sigwatch *s = xcalloc(1, sizeof(*s));
	int rc = uv_signal_init(&l->uv, &s->uv);

	s->uv.data = s;
	s->loop = l;
	s->cb = cb;
	s->ctx = ctx;
	if (rc == 0)
		rc = uv_signal_start(&s->uv, on_signal, signo);
	if (rc < 0)
		log_error("loop", "cannot watch a signal", "signal=%d error=%s", signo,
			  uv_err_name(rc));
	return s;
}

void sigwatch_free(struct sigwatch *s)
{
	if (s)
		uv_close((uv_handle_t *)&s->uv, free_handle_data);
}
