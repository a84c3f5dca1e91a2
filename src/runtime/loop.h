// SPDX-License-Identifier: Apache-2.0
/*
 * The event loop (libuv underneath, hidden). One loop per process, single-threaded; nothing above
 * this floor includes a loop library's header. Frees are deferred to the end of the dispatch, so a
 * callback may free its own timer or watch. A callback that runs longer than 10 ms is logged with its name:
 * every registration takes a `what` string (static) for that.
 */
#ifndef CHELA_RUNTIME_LOOP_H
#define CHELA_RUNTIME_LOOP_H
#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "base/mem.h"

struct loop;
struct timer;
struct watch;
struct turn_hook;

/* Also blocks SIGPIPE for the process. Must be called after any fork that wants a loop of its own. */
struct loop *loop_new(struct err *e) must_check;
/* Runs until loop_stop; returns after the current turn. */
void loop_run(struct loop *l);
/* Ends this run; once it is ending, also by what the last turn defers, nothing more. Between runs: the
 * next one returns at once. */
void loop_stop(struct loop *l);
/* Runs pending closes, then frees. All timers, watches and hooks must have been freed before. */
void loop_free(struct loop *l);
/* Monotonic ms, as of the start of this turn. */
int64_t loop_now(const struct loop *l);

/* Calls cb once at the end of this turn (or the next one when called outside a turn). */
void loop_defer(struct loop *l, const char *what, void (*cb)(void *ctx), void *ctx);
/* free(p) at the end of this turn, after all that was deferred has run: for an object whose own call-back lets go of it. */
void loop_free_later(struct loop *l, void *p);
/* A hook that runs at the end of every turn in which anything ran, before the loop blocks again: where the store commits.
 * Order: hooks in order of registration, then deferred calls that the hooks added run in the same turn. */
/* A hook that defers each time it runs keeps the loop from ever blocking: defer only when there was work. */
struct turn_hook *loop_on_turn_end(struct loop *l, const char *what, void (*cb)(void *ctx),
				   void *ctx);
void turn_hook_free(struct turn_hook *h);

/* Timers: stopped when new. period_ms 0 = one shot. Starting a running timer restarts it. */
struct timer *timer_new(struct loop *l, const char *what, void (*cb)(void *ctx), void *ctx);
void timer_start(struct timer *t, int64_t delay_ms, int64_t period_ms);
void timer_stop(struct timer *t);
bool timer_active(const struct timer *t);
void timer_free(struct timer *t); /* NULL is fine */

/* Readiness of a non-blocking descriptor (never owned, never closed here). One watch a descriptor; it is made
 * non-blocking. A regular file and /dev/null count as always ready, and an error as both events. */
enum {
	WATCH_READ = 1,
	WATCH_WRITE = 2
};
struct watch *watch_new(struct loop *l, const char *what, int fd, void (*cb)(void *ctx, int events),
			void *ctx);
void watch_set(struct watch *w, int events); /* 0 = none */
void watch_free(struct watch *w); /* NULL is fine; the descriptor may be closed right after */

/* Signals by self-pipe; freed with watch-like rules. */
struct sigwatch;
struct sigwatch *sigwatch_new(struct loop *l, int signo, void (*cb)(void *ctx, int signo),
			      void *ctx);
void sigwatch_free(struct sigwatch *s);

/* For tests and bench: the longest callback so far, in us, and its name; resets the record. */
int64_t loop_longest_us(struct loop *l, const char **what);

#endif
