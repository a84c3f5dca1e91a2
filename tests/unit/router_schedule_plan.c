// SPDX-License-Identifier: Apache-2.0
/* What is done about slots that are due: each policy, jitter, and a plain oracle that walks every slot. */
#include "unit.h"
#include <time.h>
#include "base/slots.h"
#include "router/schedule.h"

#define MINUTE 60000
#define HOUR   (60 * MINUTE)
#define DAY    (24 * (int64_t)HOUR)
/* Mon 2026-11-23 08:00:00Z */
#define T0 INT64_C(1795420800000)

static struct slots *parse(const char *spec, const char *zone)
{
	struct err e = ERR_INIT;
	struct slots *s = slots_parse(spec, zone, T0, &e);

	if (!s)
		fail_msg("%s: %s", spec, e.msg);
	return s;
}

/* The task's next slot is the first after `from`; it is planned at `now`. */
static struct plan plan(const char *spec, struct task_row t, int64_t from, int64_t now)
{
	struct slots *s = parse(spec, "UTC");
	struct plan p;

	assert_true(slots_next(s, from, &t.next_ms));
	plan_make(s, &t, now, &p);
	slots_free(s);
	return p;
}

static void one_slot_on_time(void **state)
{
	struct plan p = plan("every 1h", (struct task_row){.id = 1}, T0, T0 + HOUR);

	(void)state;
	assert_int_equal(p.n_keep, 1);
	assert_int_equal(p.keep[0], T0 + HOUR);
	assert_int_equal(p.missed, 0);
	assert_int_equal(p.next_ms, T0 + 2 * HOUR);
	assert_int_equal(p.due_ms, p.next_ms);
}

static void each_policy_after_an_absence(void **state)
{
	/* Down from 08:30 to 13:30: five slots, none of them of this minute. */
	const int64_t from = T0 + HOUR / 2, now = from + 5 * HOUR;
	static const struct {
		int64_t catch_up;
		size_t runs;
	} cases[] = {{0, 0}, {1, 1}, {3, 3}, {5, 5}, {100, 5}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct plan p =
			plan("every 1h", (struct task_row){.id = 1, .catch_up = cases[i].catch_up},
			     from, now);

		assert_int_equal(p.n_keep, cases[i].runs);
		assert_int_equal(p.missed, 5 - cases[i].runs);
		for (size_t k = 0; k < p.n_keep; k++)
			assert_int_equal(p.keep[k], T0 + (int64_t)(5 - p.n_keep + k + 1) * HOUR);
		if (p.missed)
			assert_int_equal(p.last_missed, T0 + p.missed * HOUR);
		assert_int_equal(p.next_ms, T0 + 6 * HOUR);
	}
}

static void the_slot_of_this_minute_runs_also_when_missed_ones_are_skipped(void **state)
{
	struct plan p = plan("every 1h", (struct task_row){.id = 1}, T0, T0 + 3 * HOUR + 30000);

	(void)state;
	assert_int_equal(p.n_keep, 1);
	assert_int_equal(p.keep[0], T0 + 3 * HOUR);
	assert_int_equal(p.missed, 2);
	p = plan("every 1h", (struct task_row){.id = 1}, T0, T0 + 3 * HOUR + 61000);
	assert_int_equal(p.n_keep, 0);
	assert_int_equal(p.missed, 3);
}

static void ten_years_of_minutes_are_planned_at_once(void **state)
{
	const int64_t now = T0 + 3650 * DAY + 30000;
	struct timespec a, b;
	struct plan p;

	(void)state;
	clock_gettime(CLOCK_MONOTONIC, &a);
	p = plan("every 1m", (struct task_row){.id = 1, .catch_up = 100}, T0, now);
	clock_gettime(CLOCK_MONOTONIC, &b);
	assert_int_equal(p.n_keep, 100);
	for (size_t k = 0; k < 100; k++)
		assert_int_equal(p.keep[k], T0 + 3650 * DAY - (int64_t)(99 - k) * MINUTE);
	assert_int_equal(p.missed, PLAN_MISSED_MAX);
	assert_int_equal(p.last_missed, p.keep[0] - MINUTE);
	print_message(
		"ten years of minutes: %lld us\n",
		(long long)((b.tv_sec - a.tv_sec) * 1000000 + (b.tv_nsec - a.tv_nsec) / 1000));
}

static void minutes_in_few_days_of_the_month_are_found(void **state)
{
	/* A search backwards that doubles its steps would jump over these, or into all of them. */
	struct plan p = plan("cron * 3-4 1 1,7 *", (struct task_row){.id = 1, .catch_up = 100}, T0,
			     T0 + 3650 * DAY);

	(void)state;
	assert_int_equal(p.n_keep, 100);
	for (size_t k = 1; k < 100; k++)
		assert_int_equal(p.keep[k] - p.keep[k - 1], MINUTE);
	assert_true(p.keep[99] % DAY == 4 * HOUR + 59 * MINUTE);
}

static void a_time_that_is_over_has_no_next(void **state)
{
	struct plan p = plan("at 2026-11-23 09:00", (struct task_row){.id = 1, .catch_up = 1}, T0,
			     T0 + 10 * DAY);

	(void)state;
	assert_int_equal(p.n_keep, 1);
	assert_int_equal(p.keep[0], T0 + HOUR);
	assert_int_equal(p.next_ms, 0);
	p = plan("at 2026-11-23 09:00", (struct task_row){.id = 1}, T0, T0 + 10 * DAY);
	assert_int_equal(p.n_keep, 0);
	assert_int_equal(p.missed, 1);
	assert_int_equal(p.last_missed, T0 + HOUR);
}

static void jitter_is_the_same_each_time_and_within_its_bounds(void **state)
{
	struct task_row t = {.id = 7, .jitter_ms = 600000};
	int64_t least = INT64_MAX, most = 0;

	(void)state;
	for (int64_t i = 0; i < 2000; i++) {
		int64_t late = plan_due(&t, T0 + i * MINUTE) - (T0 + i * MINUTE);

		assert_int_equal(late, plan_due(&t, T0 + i * MINUTE) - (T0 + i * MINUTE));
		assert_int_equal(late % 1000, 0);
		least = late < least ? late : least;
		most = late > most ? late : most;
	}
	assert_int_equal(least, 0);
	assert_int_equal(most, 600000);
	t.jitter_ms = 0;
	assert_int_equal(plan_due(&t, T0), T0);
}

/* --- against an oracle that walks every slot ---------------------------------------------- */

static uint32_t seed = 20261121;
static uint32_t rnd(uint32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % n;
}

/* All due slots in order, until the first that is not due yet. */
static void check_one(const struct slots *s, const struct task_row *t, int64_t now)
{
	static int64_t due[400000];
	int64_t n = 0, slot = t->next_ms - 1, runs = 0;
	struct plan p;
	bool more;

	while ((more = slots_next(s, slot, &slot)) && plan_due(t, slot) <= now && slot <= now)
		due[n++] = slot;
	while (runs < n && runs < PLAN_KEEP_MAX &&
	       (runs < t->catch_up || plan_due(t, due[n - 1 - runs]) > now - PLAN_LATE_MS))
		runs++;
	plan_make(s, t, now, &p);
	assert_int_equal(p.n_keep, runs);
	for (int64_t i = 0; i < runs; i++)
		assert_int_equal(p.keep[i], due[n - runs + i]);
	assert_int_equal(p.missed, n - runs < PLAN_MISSED_MAX ? n - runs : PLAN_MISSED_MAX);
	if (n > runs)
		assert_int_equal(p.last_missed, due[n - runs - 1]);
	assert_int_equal(p.next_ms, more ? slot : 0);
	assert_int_equal(p.due_ms, more ? plan_due(t, slot) : 0);
}

static void plans_are_those_of_a_plain_walk(void **state)
{
	static const char *const specs[] = {
		"every 1m",	    "every 7m",	       "every 1h",
		"every 36h",	    "cron * * * * *",  "cron */5 8-17 * * 1-5",
		"cron 0 8 * * 1",   "cron 30 2 * * *", "cron 17 3 29 2 *",
		"cron * 1-3 1 * *", "@daily",	       "at 2026-12-01 10:00"};
	static const char *const zones[] = {"UTC", "Europe/Berlin", "America/New_York",
					    "Australia/Lord_Howe"};

	(void)state;
	for (int round = under_valgrind() ? 450 : 0; round < 600; round++) {
		struct slots *s = parse(specs[rnd(ARRAY_LEN(specs))], zones[rnd(4)]);
		struct task_row t = {.id = rnd(1000) + 1,
				     .catch_up = rnd(3) ? rnd(4) : rnd(101),
				     .jitter_ms = rnd(2) ? 0 : (int64_t)rnd(7200) * 1000};
		int64_t from = T0 + (int64_t)rnd(40000) * 1000, now;

		if (slots_next(s, from, &t.next_ms)) {
			now = t.next_ms + (int64_t)rnd(rnd(4) ? 86400 : 86400 * 120) * 1000;
			if (plan_due(&t, t.next_ms) <= now)
				check_one(s, &t, now);
		}
		slots_free(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_slot_on_time),
		cmocka_unit_test(each_policy_after_an_absence),
		cmocka_unit_test(the_slot_of_this_minute_runs_also_when_missed_ones_are_skipped),
		cmocka_unit_test(ten_years_of_minutes_are_planned_at_once),
		cmocka_unit_test(minutes_in_few_days_of_the_month_are_found),
		cmocka_unit_test(a_time_that_is_over_has_no_next),
		cmocka_unit_test(jitter_is_the_same_each_time_and_within_its_bounds),
		cmocka_unit_test(plans_are_those_of_a_plain_walk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
