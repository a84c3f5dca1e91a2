// SPDX-License-Identifier: Apache-2.0
/*
 * loop_stop at odd moments. A loop that loop_free has to leak is said in the log, which ends a program
 * of the sanitizers' variants; there, and under valgrind, the tests of loop_free show a leak.
 */
#include "unit.h"
#include "runtime/loop.h"

struct run {
	struct loop *l;
	int turns, late;
};

static void run_new(struct run *r)
{
	struct err e = ERR_INIT;

	memset(r, 0, sizeof(*r));
	r->l = loop_new(&e);
	assert_non_null(r->l);
}

static void bark(void *ctx)
{
	loop_stop(ctx);
	fail_msg("the test hangs");
}

static void stop_late(void *ctx)
{
	struct run *r = ctx;

	r->late++;
	loop_stop(r->l);
}

/* Stops; what it defers runs when loop_run is winding down, as no turn of the library ends after a
 * descriptor's event. */
static void on_pipe(void *ctx, int events maybe_unused)
{
	struct run *r = ctx;

	r->turns++;
	loop_stop(r->l);
	loop_defer(r->l, "late", stop_late, r);
}

static void one_run(struct run *r)
{
	struct timer *dog = timer_new(r->l, "watchdog", bark, r->l);
	struct watch *w;
	int fd[2];

	assert_int_equal(pipe(fd), 0);
	assert_int_equal(write(fd[1], "x", 1), 1);
	w = watch_new(r->l, "pipe", fd[0], on_pipe, r);
	watch_set(w, WATCH_READ);
	timer_start(dog, 20000, 0);
	loop_run(r->l);
	watch_free(w);
	timer_free(dog);
	close(fd[0]);
	close(fd[1]);
}

static void late_stop_ends_one_run_only(void **state maybe_unused)
{
	struct run r;

	run_new(&r);
	for (int i = 1; i <= 3; i++) {
		one_run(&r);
		assert_int_equal(r.turns, i);
		assert_int_equal(r.late, i);
	}
	loop_free(r.l);
}

static void late_stop_then_free(void **state maybe_unused)
{
	struct run r;

	run_new(&r);
	one_run(&r);
	assert_int_equal(r.late, 1);
	loop_free(r.l);
}

static void stop_after_the_run_then_free(void **state maybe_unused)
{
	struct run r;

	run_new(&r);
	one_run(&r);
	loop_stop(r.l);
	loop_free(r.l);
}

/* loop_free runs what is still deferred. */
static void stop_inside_free(void **state maybe_unused)
{
	struct run r;

	run_new(&r);
	one_run(&r);
	loop_defer(r.l, "late", stop_late, &r);
	loop_free(r.l);
	assert_int_equal(r.late, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(late_stop_ends_one_run_only),
		cmocka_unit_test(late_stop_then_free),
		cmocka_unit_test(stop_after_the_run_then_free),
		cmocka_unit_test(stop_inside_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
