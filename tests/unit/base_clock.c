// SPDX-License-Identifier: Apache-2.0
/* Unit tests of base/clock. */
#include "unit.h"
#include "base/clock.h"
#include "base/mem.h"

static void formats(void **state)
{
	static const struct {
		int64_t ms;
		const char *want;
	} rows[] = {
		{0, "1970-01-01T00:00:00.000Z"},
		{1, "1970-01-01T00:00:00.001Z"},
		{-1, "1969-12-31T23:59:59.999Z"},
		{-1000, "1969-12-31T23:59:59.000Z"},
		{951782400000, "2000-02-29T00:00:00.000Z"},
		{1709251199999, "2024-02-29T23:59:59.999Z"},
		{1795276799123, "2026-11-21T15:59:59.123Z"},
		{253402300799999, "9999-12-31T23:59:59.999Z"},
		{253402300800000, "9999-12-31T23:59:59.999Z"},
		{INT64_MAX, "9999-12-31T23:59:59.999Z"},
		{INT64_MIN, "0000-01-01T00:00:00.000Z"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char out[25];

		clock_format(rows[i].ms, out);
		assert_string_equal(out, rows[i].want);
	}
}

static void fixed_stands_still_until_moved(void **state)
{
	struct clock c = clock_fixed(5000);

	(void)state;
	assert_int_equal(clock_wall(&c), 5000);
	assert_int_equal(clock_mono(&c), 5000000);
	c.fixed_ms += 7;
	assert_int_equal(clock_wall(&c), 5007);
	assert_int_equal(clock_mono(&c), 5007000);
}

static void system_goes_on(void **state)
{
	int64_t a = clock_mono(&clock_system), b = clock_mono(&clock_system);

	(void)state;
	assert_true(b >= a);
	assert_true(clock_wall(&clock_system) > INT64_C(1700000000000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(formats),
		cmocka_unit_test(fixed_stands_still_until_moved),
		cmocka_unit_test(system_goes_on),
	};

	return cmocka_run_group_tests_name("base_clock", tests, NULL, NULL);
}
