// SPDX-License-Identifier: Apache-2.0
/*
 * The loop: order at the end of a turn, timers that restart or free themselves, readiness of
 * pipes and of what epoll refuses, signals. A watchdog timer fails a test that would hang.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <time.h>
#include <string.h>
#include <unistd.h>

#include "runtime/loop.h"

struct fix {
	struct loop *l;
	struct timer *dog;
	char trace[64];
	struct timer *t;
	struct watch *w;
	struct turn_hook *h;
	struct sigwatch *s;
	int count;
	int fds[2];
	int64_t at;
};

static void bark(void *ctx)
{
	loop_stop(ctx);
	fail_msg("the test hangs");
}

static int setup(void **state)
{
	struct fix *f = xcalloc(1, sizeof(*f));
	struct err e = ERR_INIT;

	f->l = loop_new(&e);
	assert_non_null(f->l);
	f->dog = timer_new(f->l, "watchdog", bark, f->l);
	timer_start(f->dog, 20000, 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;

	timer_free(f->dog);
	loop_free(f->l);
	free(f);
	return 0;
}

static void note(struct fix *f, char c)
{
	size_t n = strlen(f->trace);

	assert_true(n + 1 < sizeof(f->trace));
	f->trace[n] = c;
}

/* --- the end of a turn --- */

static void defer_b(void *ctx)
{
	struct fix *f = ctx;
	note(f, 'b');
	loop_stop(f->l);
}

static void defer_a(void *ctx)
{
	struct fix *f = ctx;
	note(f, 'a');
}

static void hook_1(void *ctx)
{
	struct fix *f = ctx;
	note(f, '1');
	if (f->count++ == 0)
		loop_defer(f->l, "b", defer_b, f);
}

static void hook_2(void *ctx)
{
	note(ctx, '2');
}

static void tick_defers(void *ctx)
{
	struct fix *f = ctx;
	note(f, 't');
	loop_defer(f->l, "a", defer_a, f);
}

static void turn_order(void **state)
{
	struct fix *f = *state;
	struct turn_hook *h1 = loop_on_turn_end(f->l, "h1", hook_1, f);
	struct turn_hook *h2 = loop_on_turn_end(f->l, "h2", hook_2, f);

	f->t = timer_new(f->l, "t", tick_defers, f);
	timer_start(f->t, 0, 0);
	loop_run(f->l);
	/* Timer, its deferred call, hooks in order, the hook's deferred call; and since that one
	 * ran after the hooks, they run once more before the loop would block. */
	assert_string_equal(f->trace, "ta12b12");
	timer_free(f->t);
	turn_hook_free(h1);
	turn_hook_free(h2);
}

static void defer_again(void *ctx)
{
	struct fix *f = ctx;
	if (++f->count < 100)
		loop_defer(f->l, "again", defer_again, f);
	else
		loop_stop(f->l);
}

static void hook_counts(void *ctx)
{
	struct fix *f = ctx;
	f->at++;
}

static void defers_are_bounded(void **state)
{
	struct fix *f = *state;
	struct turn_hook *h = loop_on_turn_end(f->l, "h", hook_counts, f);

	loop_defer(f->l, "again", defer_again, f); /* outside a turn: the first one runs it */
	loop_run(f->l);
	assert_int_equal(f->count, 100);
	assert_true(f->at >= 100 / 8); /* the chain did not keep the hooks from running */
	turn_hook_free(h);
}

static void hook_frees_itself(void *ctx)
{
	struct fix *f = ctx;
	f->count++;
	turn_hook_free(f->h);
	loop_stop(f->l);
}

static void hook_free_in_own_call(void **state)
{
	struct fix *f = *state;

	f->h = loop_on_turn_end(f->l, "h", hook_frees_itself, f);
	loop_defer(f->l, "a", defer_a, f);
	loop_run(f->l);
	loop_defer(f->l, "b", defer_b, f);
	loop_run(f->l);
	assert_int_equal(f->count, 1);
}

static void defer_frees_hook(void *ctx)
{
	struct fix *f = ctx;
	turn_hook_free(f->h);
	loop_stop(f->l);
}

static void hook_defers_its_own_end(void *ctx)
{
	struct fix *f = ctx;
	f->count++;
	loop_defer(f->l, "free", defer_frees_hook, f);
}

static void hook_free_after_the_hooks(void **state)
{
	struct fix *f = *state;

	f->h = loop_on_turn_end(f->l, "h", hook_defers_its_own_end, f);
	loop_defer(f->l, "a", defer_a, f);
	loop_run(f->l); /* loop_free in teardown would say that a hook is left */
	assert_int_equal(f->count, 1);
}

static void tick_stop(void *ctx)
{
	struct fix *f = ctx;
	loop_stop(f->l);
}

static void idle_turns_run_no_hook(void **state)
{
	struct fix *f = *state;
	struct turn_hook *h = loop_on_turn_end(f->l, "h", hook_counts, f);

	f->t = timer_new(f->l, "t", tick_stop, f);
	timer_start(f->t, 30, 0);
	loop_run(f->l);
	assert_int_equal(f->at, 1); /* for the turn of the timer, and for no other */
	timer_free(f->t);
	turn_hook_free(h);
}

static void freed_object_used(void *ctx)
{
	int *p = ctx;
	(*p)++; /* a use after free here is found by ASan and valgrind */
}

static void free_later(void **state)
{
	struct fix *f = *state;
	int *p = xcalloc(1, sizeof(*p));

	loop_free_later(f->l, p);
	loop_free_later(f->l, NULL);
	loop_defer(f->l, "use", freed_object_used, p);
	loop_defer(f->l, "b", defer_b, f);
	loop_run(f->l);
}

/* --- timers --- */

static void tick_restart(void *ctx)
{
	struct fix *f = ctx;
	if (++f->count == 3) {
		timer_free(f->t);
		loop_stop(f->l);
		return;
	}
	assert_false(timer_active(f->t));
	timer_start(f->t, 0, 0);
	assert_true(timer_active(f->t));
}

static void timer_restarts_and_frees_itself(void **state)
{
	struct fix *f = *state;

	f->t = timer_new(f->l, "t", tick_restart, f);
	assert_false(timer_active(f->t));
	timer_start(f->t, 1, 0);
	loop_run(f->l);
	assert_int_equal(f->count, 3);
}

static void tick_period(void *ctx)
{
	struct fix *f = ctx;
	if (++f->count == 4) {
		timer_stop(f->t);
		timer_start(f->dog, 20000, 0);
		loop_stop(f->l);
	}
}

static void timer_period_and_delay(void **state)
{
	struct fix *f = *state;
	int64_t start = loop_now(f->l);

	f->t = timer_new(f->l, "t", tick_period, f);
	timer_start(f->t, 20, 5);
	loop_run(f->l);
	assert_int_equal(f->count, 4);
	assert_true(loop_now(f->l) - start >= 35);
	assert_false(timer_active(f->t));
	timer_free(f->t);
	timer_free(NULL);
}

static void never(void *ctx maybe_unused)
{
	fail_msg("a stopped timer fired");
}

static void tick_stops_other(void *ctx)
{
	struct fix *f = ctx;
	timer_stop(f->t);
	loop_defer(f->l, "b", defer_b, f);
}

static void timer_stop_in_same_turn(void **state)
{
	struct fix *f = *state;
	struct timer *first = timer_new(f->l, "first", tick_stops_other, f);

	f->t = timer_new(f->l, "second", never, f);
	timer_start(first, 1, 0);
	timer_start(f->t, 1, 0);
	loop_run(f->l);
	timer_free(first);
	timer_free(f->t);
}

static void tick_spins(void *ctx)
{
	struct fix *f = ctx;
	struct timespec a, b;

	clock_gettime(CLOCK_MONOTONIC, &a);
	do {
		clock_gettime(CLOCK_MONOTONIC, &b);
	} while ((b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000 < 12);
	loop_stop(f->l);
}

static void slow_callback_is_named(void **state)
{
	struct fix *f = *state;
	const char *what = NULL;

	f->t = timer_new(f->l, "the slow one", tick_spins, f);
	timer_start(f->t, 0, 0);
	loop_run(f->l);
	assert_true(loop_longest_us(f->l, &what) >= 11000);
	assert_string_equal(what, "the slow one");
	assert_int_equal(loop_longest_us(f->l, &what), 0);
	timer_free(f->t);
}

/* --- watches --- */

static void on_pipe(void *ctx, int events)
{
	struct fix *f = ctx;
	char b[8];
	ssize_t n = read(f->fds[0], b, sizeof(b));

	assert_int_equal(events, WATCH_READ);
	if (n > 0) {
		note(f, b[0]);
		if (b[0] == 'x')
			close(f->fds[1]); /* the end of a pipe is an event too */
		else
			assert_int_equal(write(f->fds[1], "x", 1), 1);
		return;
	}
	assert_int_equal(n, 0);
	note(f, '$');
	watch_free(f->w);
	close(f->fds[0]);
	loop_stop(f->l);
}

static void watch_on_a_pipe(void **state)
{
	struct fix *f = *state;

	assert_int_equal(pipe2(f->fds, O_NONBLOCK | O_CLOEXEC), 0);
	f->w = watch_new(f->l, "pipe", f->fds[0], on_pipe, f);
	watch_set(f->w, WATCH_READ);
	assert_int_equal(write(f->fds[1], "a", 1), 1);
	loop_run(f->l);
	assert_string_equal(f->trace, "ax$");
}

static void on_broken_pipe(void *ctx, int events)
{
	struct fix *f = ctx;

	assert_int_equal(events, WATCH_WRITE);
	assert_int_equal(write(f->fds[1], "a", 1), -1); /* and SIGPIPE did not end the test */
	if (++f->count == 2) {
		watch_free(f->w);
		loop_stop(f->l);
	}
}

static void watch_tells_of_errors_again_and_again(void **state)
{
	struct fix *f = *state;

	assert_int_equal(pipe2(f->fds, O_NONBLOCK | O_CLOEXEC), 0);
	close(f->fds[0]);
	f->w = watch_new(f->l, "pipe", f->fds[1], on_broken_pipe, f);
	watch_set(f->w, WATCH_WRITE);
	loop_run(f->l);
	close(f->fds[1]);
}

static void on_file(void *ctx, int events)
{
	struct fix *f = ctx;
	char c;

	assert_int_equal(events, WATCH_READ);
	if (read(f->fds[0], &c, 1) == 1) {
		note(f, c);
		return;
	}
	watch_set(f->w, 0);
	loop_defer(f->l, "b", defer_b, f);
}

static void watch_on_a_regular_file(void **state)
{
	struct fix *f = *state;

	f->fds[0] = memfd_create("file", MFD_CLOEXEC);
	assert_int_equal(write(f->fds[0], "abc", 3), 3);
	assert_int_equal(lseek(f->fds[0], 0, SEEK_SET), 0);
	f->w = watch_new(f->l, "file", f->fds[0], on_file, f);
	watch_set(f->w, WATCH_READ);
	loop_run(f->l);
	assert_string_equal(f->trace, "abcb");
	watch_free(f->w);
	watch_free(NULL);
	close(f->fds[0]);
}

static void on_reused(void *ctx, int events maybe_unused)
{
	struct fix *f = ctx;
	char c;

	assert_int_equal(read(f->fds[0], &c, 1), 1);
	note(f, c);
	watch_free(f->w);
	loop_stop(f->l);
}

static void watch_of_a_reused_number(void **state)
{
	struct fix *f = *state;
	int old;

	assert_int_equal(pipe2(f->fds, O_NONBLOCK | O_CLOEXEC), 0);
	old = f->fds[0];
	f->w = watch_new(f->l, "old", old, on_reused, f);
	watch_set(f->w, WATCH_READ);
	watch_free(f->w);
	close(f->fds[0]);
	close(f->fds[1]);
	assert_int_equal(pipe2(f->fds, O_NONBLOCK | O_CLOEXEC), 0);
	assert_int_equal(f->fds[0], old);
	f->w = watch_new(f->l, "new", f->fds[0], on_reused, f);
	watch_set(f->w, WATCH_READ);
	assert_int_equal(write(f->fds[1], "n", 1), 1);
	loop_run(f->l);
	assert_string_equal(f->trace, "n");
	close(f->fds[0]);
	close(f->fds[1]);
}

/* --- signals --- */

static void on_usr1(void *ctx, int signo)
{
	struct fix *f = ctx;
	assert_int_equal(signo, SIGUSR1);
	f->count++;
	sigwatch_free(f->s);
	loop_stop(f->l);
}

static void signals(void **state)
{
	struct fix *f = *state;

	f->s = sigwatch_new(f->l, SIGUSR1, on_usr1, f);
	kill(getpid(), SIGUSR1);
	loop_run(f->l);
	assert_int_equal(f->count, 1);
	sigwatch_free(NULL);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(turn_order),
		T(defers_are_bounded),
		T(hook_free_in_own_call),
		T(hook_free_after_the_hooks),
		T(idle_turns_run_no_hook),
		T(free_later),
		T(timer_restarts_and_frees_itself),
		T(timer_period_and_delay),
		T(timer_stop_in_same_turn),
		T(slow_callback_is_named),
		T(watch_on_a_pipe),
		T(watch_tells_of_errors_again_and_again),
		T(watch_on_a_regular_file),
		T(watch_of_a_reused_number),
		T(signals),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
