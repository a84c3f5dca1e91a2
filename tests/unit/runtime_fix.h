// SPDX-License-Identifier: Apache-2.0
/*
 * What the tests of src/runtime share: a loop with a watchdog (a test that hangs fails), and a
 * folder of its own.
 */
#ifndef CHELA_TESTS_UNIT_RUNTIME_FIX_H
#define CHELA_TESTS_UNIT_RUNTIME_FIX_H
#include "unit.h"
#include <ftw.h>
#include "runtime/loop.h"

struct fix {
	struct loop *l;
	struct timer *dog;
	char dir[64];
};

static void fix_bark(void *ctx maybe_unused)
{
	fail_msg("nothing more happens: the test hangs");
}

static int fix_setup(void **state)
{
	struct fix *f = xcalloc(1, sizeof(*f));
	struct err e = ERR_INIT;

	f->l = loop_new(&e);
	assert_non_null(f->l);
	f->dog = timer_new(f->l, "watchdog", fix_bark, f);
	timer_start(f->dog, 110000, 0);
	snprintf(f->dir, sizeof(f->dir), "/tmp/chela-unit-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	*state = f;
	return 0;
}

static int fix_rm(const char *path, const struct stat *st maybe_unused, int kind maybe_unused,
		  struct FTW *ftw maybe_unused)
{
	return remove(path);
}

static int fix_teardown(void **state)
{
	struct fix *f = *state;

	timer_free(f->dog);
	loop_free(f->l);
	nftw(f->dir, fix_rm, 8, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

#define FIX_TEST(fn) cmocka_unit_test_setup_teardown(fn, fix_setup, fix_teardown)
#endif
