// SPDX-License-Identifier: Apache-2.0
/* How starts are spaced: never for a few crashes, more and more when they go on, and at once again after a good run. */
#include "unit.h"
#include <sys/stat.h>
#include "runtime/starts.h"

#define MIN ((int64_t)60000)
#define T0  ((int64_t)1700000000000)

static void a_few_are_borne_then_it_doubles(void **state maybe_unused)
{
	static const int64_t waits[] = {0,     0,      0,      0,      0,      30000,
					60000, 120000, 240000, 480000, 900000, 900000};
	struct starts s = {0};
	int64_t now = T0;

	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
		starts_begin(&s, now, 5);
		now += 2000;
		starts_crash(&s, now, 5, "signal 11");
		assert_int_equal(starts_wait_ms(&s, 30000), waits[i]);
		now += waits[i];
	}
	assert_int_equal(s.total, 12);
	assert_string_equal(s.why, "signal 11");
	starts_begin(&s, now, 5);
	starts_crash(&s, now + 10 * MIN, 5, "signal 6");
	assert_int_equal(starts_wait_ms(&s, 30000), 0);
	assert_int_equal(s.total, 1);
}

static void crashes_far_apart_are_borne(void **state maybe_unused)
{
	struct starts s = {0};

	for (int i = 0; i < 50; i++) {
		starts_begin(&s, T0 + i * 3 * MIN, 5);
		starts_crash(&s, T0 + i * 3 * MIN + 1000, 5, "x");
		assert_int_equal(starts_wait_ms(&s, 30000), 0);
	}
}

static void an_orderly_end_after_a_good_run_forgets(void **state maybe_unused)
{
	struct starts s = {0};

	for (int i = 0; i < 7; i++) {
		starts_begin(&s, T0 + i, 5);
		starts_crash(&s, T0 + i, 5, "x");
	}
	assert_true(s.waits > 0);
	starts_begin(&s, T0 + 10, 5);
	starts_end(&s, T0 + MIN);
	assert_true(s.waits > 0); /* it was not up for long */
	starts_begin(&s, T0 + MIN, 5);
	starts_end(&s, T0 + 12 * MIN);
	assert_int_equal(s.waits, 0);
	assert_int_equal(s.total, 0);
}

static void none_is_too_many_when_told_so(void **state maybe_unused)
{
	struct starts s = {0};

	for (int i = 0; i < 100; i++)
		starts_crash(&s, T0 + i, 0, "x");
	assert_int_equal(starts_wait_ms(&s, 30000), 0);
	assert_true(s.n <= STARTS_MAX);
}

static void a_clock_that_was_set_back(void **state maybe_unused)
{
	struct starts s = {0};

	for (int i = 0; i < 5; i++)
		starts_crash(&s, T0 + i, 5, "x");
	starts_crash(&s, T0 - 100 * MIN, 5, "x");
	assert_int_equal(s.n, 1);
	assert_int_equal(starts_wait_ms(&s, 30000), 0);
}

static void the_file_and_the_powercut(void **state maybe_unused)
{
	char dir[] = "/tmp/starts-unit-XXXXXX", file[64];
	struct starts s = {0}, got;
	struct err e = ERR_INIT;
	struct stat st;

	assert_non_null(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/starts", dir);
	starts_load(&got, file);
	assert_int_equal(got.total, 0);
	for (int i = 0; i < STARTS_MAX + 4; i++)
		starts_crash(&s, T0 + i, 5, "exit status 3");
	starts_begin(&s, T0 + 99, 5);
	assert_ok(starts_save(&s, file, &e), &e);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	starts_load(&got, file);
	assert_memory_equal(&got.crashes, &s.crashes, sizeof(s.crashes));
	assert_int_equal(got.n, s.n);
	assert_int_equal(got.waits, s.waits);
	assert_int_equal(got.total, s.total);
	assert_string_equal(got.why, "exit status 3");
	/* It never ended: that was one more. */
	starts_begin(&got, T0 + 200, 5);
	assert_int_equal(got.total, s.total + 1);
	unlink(file);
	rmdir(dir);
}

static void what_is_unreadable_counts_as_nothing(void **state maybe_unused)
{
	static const char *const texts[] = {
		"",
		"1",
		"2 0 0 0\nx\n",
		"1 -5 0 0\nx\n",
		"1 0 0 0 x\ny\n",
		"1 0 99999999999999999999 0\n\n",
		"1 0 0 0 1 2 3",
		"1 5 3 9 7\n\xff\n",
	};
	char dir[] = "/tmp/starts-unit-XXXXXX", file[64];

	assert_non_null(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/starts", dir);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct starts s;
		FILE *f = fopen(file, "w");

		assert_non_null(f);
		fputs(texts[i], f);
		fclose(f);
		starts_load(&s, file);
		assert_int_equal(s.began_ms + s.waits + s.total + s.n, 0);
	}
	unlink(file);
	assert_int_equal(symlink("/etc/passwd", file), 0);
	unlink(file);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_few_are_borne_then_it_doubles),
		cmocka_unit_test(crashes_far_apart_are_borne),
		cmocka_unit_test(an_orderly_end_after_a_good_run_forgets),
		cmocka_unit_test(none_is_too_many_when_told_so),
		cmocka_unit_test(a_clock_that_was_set_back),
		cmocka_unit_test(the_file_and_the_powercut),
		cmocka_unit_test(what_is_unreadable_counts_as_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
