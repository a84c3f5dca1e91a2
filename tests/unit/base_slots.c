// SPDX-License-Identifier: Apache-2.0
/*
 * Unit tests of base/slots: each kind of edge with the moments written out by hand (UTC), and what is refused in which words.
 * tests/schedule holds the engine against an oracle over 100 years.
 */
#include "unit.h"
#include "base/civil.h"
#include "base/clock.h"
#include "base/slots.h"
#include "base/str.h"

/* Of "2026-03-29T01:00Z", in ms. */
static int64_t ms(const char *text)
{
	int year, month, day, hour, minute;

	if (sscanf(text, "%d-%d-%dT%d:%dZ", &year, &month, &day, &hour, &minute) != 5)
		fail_msg("no time: %s", text);
	return (civil_days(year, month, day) * DAY_S + hour * 3600 + minute * 60) * 1000;
}

static struct slots *parse(const char *spec, const char *zone, int64_t anchor_ms)
{
	struct err e = ERR_INIT;
	struct slots *s = slots_parse(spec, zone, anchor_ms, &e);

	if (!s)
		fail_msg("%s: %s", spec, e.msg);
	return s;
}

/* The slots after `after`, as many as are expected here: "" ends them. */
static void expect(const char *spec, const char *zone, const char *after, const char *const *want)
{
	_cleanup_slots_ struct slots *s = parse(spec, zone, 0);
	int64_t at = ms(after);

	for (; *want; want++) {
		bool more = slots_next(s, at, &at);
		char got[25] = "none";

		if (more)
			clock_format(at, got);
		if (streq(*want, "none")) {
			if (more)
				fail_msg("%s in %s: %s, and none expected", spec, zone, got);
			return;
		}
		if (!more || at != ms(*want))
			fail_msg("%s in %s: %s, and %s expected", spec, zone, got, *want);
	}
}
#define EXPECT(spec, zone, after, ...)                                                             \
	expect(spec, zone, after, (const char *const[]){__VA_ARGS__, NULL})

static void calendars(void **state)
{
	(void)state;
	/* 2026-11-20 is a Friday */
	EXPECT("cron 0 8 * * 1-5", "Europe/Berlin", "2026-11-20T06:59Z", "2026-11-20T07:00Z",
	       "2026-11-23T07:00Z", "2026-11-24T07:00Z");
	EXPECT("cron 0 8 * * 1-5", "Europe/Berlin", "2026-11-20T07:00Z", "2026-11-23T07:00Z");
	EXPECT("cron 30 6 1 jan,jul *", "UTC", "2026-11-20T00:00Z", "2027-01-01T06:30Z",
	       "2027-07-01T06:30Z", "2028-01-01T06:30Z");
	EXPECT("cron 0 0 29 2 *", "UTC", "2026-11-20T00:00Z", "2028-02-29T00:00Z",
	       "2032-02-29T00:00Z");
	EXPECT("cron 0 0 29 2 *", "UTC", "2096-11-20T00:00Z", "2104-02-29T00:00Z"); /* 2100 */
	EXPECT("cron 0 0 31 * *", "UTC", "2026-08-31T00:00Z", "2026-10-31T00:00Z",
	       "2026-12-31T00:00Z", "2027-01-31T00:00Z", "2027-03-31T00:00Z");
	/* either of day and weekday; both when one begins with a star */
	EXPECT("cron 0 0 13 * 5", "UTC", "2026-11-12T00:00Z", "2026-11-13T00:00Z",
	       "2026-11-20T00:00Z", "2026-11-27T00:00Z", "2026-12-04T00:00Z", "2026-12-11T00:00Z",
	       "2026-12-13T00:00Z");
	EXPECT("cron 0 0 1-7 * */7", "UTC", "2026-11-12T00:00Z", "2026-12-06T00:00Z",
	       "2027-01-03T00:00Z");
	EXPECT("cron 0 0 29 2 */7", "UTC", "2060-03-01T00:00Z", "2088-02-29T00:00Z",
	       "2128-02-29T00:00Z"); /* a Sunday, 40 years later */
	EXPECT("cron 0 0 * * 7", "UTC", "2026-11-20T00:00Z", "2026-11-22T00:00Z",
	       "2026-11-29T00:00Z");
	EXPECT("cron 0 0 * * fri-sun", "UTC", "2026-11-18T00:00Z", "2026-11-20T00:00Z",
	       "2026-11-21T00:00Z", "2026-11-22T00:00Z", "2026-11-27T00:00Z");
	EXPECT("cron 1-10/3 0 * * *", "UTC", "2026-11-20T00:00Z", "2026-11-20T00:01Z",
	       "2026-11-20T00:04Z", "2026-11-20T00:07Z", "2026-11-20T00:10Z", "2026-11-21T00:01Z");
	EXPECT("cron */40 * * * *", "UTC", "2026-11-20T00:00Z", "2026-11-20T00:40Z",
	       "2026-11-20T01:00Z");
	EXPECT("cron * * * * *", "UTC", "2026-12-31T23:59Z", "2027-01-01T00:00Z",
	       "2027-01-01T00:01Z");
}

static void forms(void **state)
{
	(void)state;
	EXPECT("cron @hourly", "UTC", "2026-11-20T00:00Z", "2026-11-20T01:00Z");
	EXPECT("@daily", "Asia/Kathmandu", "2026-11-20T00:00Z", "2026-11-20T18:15Z");
	EXPECT("@midnight", "UTC", "2026-11-20T00:00Z", "2026-11-21T00:00Z");
	EXPECT("@weekly", "UTC", "2026-11-20T00:00Z", "2026-11-22T00:00Z");
	EXPECT("@monthly", "UTC", "2026-11-20T00:00Z", "2026-12-01T00:00Z");
	EXPECT("@yearly", "UTC", "2026-11-20T00:00Z", "2027-01-01T00:00Z", "2028-01-01T00:00Z");
	EXPECT("CRON @Annually", "UTC", "2026-11-20T00:00Z", "2027-01-01T00:00Z");
	EXPECT("0 8 * * *", "UTC", "2026-11-20T00:00Z", "2026-11-20T08:00Z");
}

/* A clock that jumps: fixed hours. */
static void fixed_hours(void **state)
{
	(void)state;
	EXPECT("cron 30 2 * * *", "Europe/Berlin", "2026-03-28T00:00Z", "2026-03-28T01:30Z",
	       "2026-03-29T01:00Z", "2026-03-30T00:30Z");
	EXPECT("cron 30 2 * * *", "Europe/Berlin", "2026-10-24T00:00Z", "2026-10-24T00:30Z",
	       "2026-10-25T00:30Z", "2026-10-26T01:30Z");
	/* once at the jump, however many were skipped, and with what is due there anyway */
	EXPECT("cron */10 1,2,3 * * *", "Europe/Berlin", "2026-03-29T00:45Z", "2026-03-29T00:50Z",
	       "2026-03-29T01:00Z", "2026-03-29T01:10Z");
	EXPECT("cron 0,30 2,3 29 3 *", "Europe/Berlin", "2026-03-29T00:59Z", "2026-03-29T01:00Z",
	       "2026-03-29T01:30Z", "2027-03-29T00:00Z");
	/* every minute of an hour that is shown twice: its first showing */
	EXPECT("cron * 2 * * *", "Europe/Berlin", "2026-10-25T00:58Z", "2026-10-25T00:59Z",
	       "2026-10-26T01:00Z");
	EXPECT("cron 0 1-3 * * *", "Europe/Berlin", "2026-10-24T23:00Z", "2026-10-25T00:00Z",
	       "2026-10-25T02:00Z");
	/* from within the second showing */
	EXPECT("cron 15,45 2 * * *", "Europe/Berlin", "2026-10-25T01:20Z", "2026-10-26T01:15Z");
	EXPECT("cron 15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00Z", "2026-10-03T15:30Z",
	       "2026-10-04T15:15Z");
	EXPECT("cron 45 1 * * *", "Australia/Lord_Howe", "2026-04-04T00:00Z", "2026-04-04T14:45Z",
	       "2026-04-05T15:15Z");
	EXPECT("cron 30 2 * * *", "Africa/Casablanca", "2026-03-21T12:00Z", "2026-03-22T02:00Z",
	       "2026-03-23T01:30Z");
	EXPECT("cron 30 1,2 * * *", "Antarctica/Troll", "2026-03-29T00:00Z", "2026-03-29T01:00Z",
	       "2026-03-29T23:30Z");
	EXPECT("cron 30 1,2 * * *", "Antarctica/Troll", "2026-10-24T12:00Z", "2026-10-24T23:30Z",
	       "2026-10-25T00:30Z", "2026-10-26T01:30Z");
	EXPECT("cron 0 12 * * *", "Pacific/Apia", "2011-12-29T00:00Z", "2011-12-29T22:00Z",
	       "2011-12-30T10:00Z", "2011-12-30T22:00Z"); /* the 29th, the missing 30th, the 31st */
	EXPECT("cron 0 8,20 30 12 *", "Pacific/Apia", "2011-12-01T00:00Z", "2011-12-30T10:00Z",
	       "2012-12-29T18:00Z");
	EXPECT("cron 0 0 * * *", "Africa/Cairo", "2026-04-23T00:00Z", "2026-04-23T22:00Z",
	       "2026-04-24T21:00Z");
	EXPECT("cron 30 23 * * *", "America/Nuuk", "2026-03-28T12:00Z", "2026-03-29T01:00Z",
	       "2026-03-30T00:30Z");
	EXPECT("cron 30 0 * * *", "Asia/Tehran", "2021-03-21T00:00Z", "2021-03-21T20:30Z",
	       "2021-03-22T20:00Z");
	EXPECT("cron 0 12 31 12 *", "Pacific/Kiritimati", "1994-12-01T00:00Z", "1994-12-31T10:00Z",
	       "1995-12-30T22:00Z");
	EXPECT("cron 30 1 * * *", "Europe/Dublin", "2050-10-29T12:00Z", "2050-10-30T00:30Z",
	       "2050-10-31T01:30Z");
}

/* A clock that jumps: what the clock shows. */
static void by_clock(void **state)
{
	(void)state;
	EXPECT("cron 30 * * * *", "Europe/Berlin", "2026-03-29T00:00Z", "2026-03-29T00:30Z",
	       "2026-03-29T01:30Z"); /* 01:30, 03:30 */
	EXPECT("cron 30 * * * *", "Europe/Berlin", "2026-10-25T00:00Z", "2026-10-25T00:30Z",
	       "2026-10-25T01:30Z", "2026-10-25T02:30Z"); /* 02:30, 02:30, 03:30 */
	EXPECT("cron 0 */2 * * *", "Europe/Berlin", "2026-03-28T23:00Z",
	       "2026-03-29T02:00Z"); /* 0, 4 */
	EXPECT("cron 0 */2 * * *", "Europe/Berlin", "2026-10-24T22:00Z", "2026-10-25T00:00Z",
	       "2026-10-25T01:00Z", "2026-10-25T03:00Z"); /* 0, 2, 2, 4 */
	EXPECT("cron 15 * * * *", "Australia/Lord_Howe", "2026-10-03T14:00Z", "2026-10-03T14:45Z",
	       "2026-10-03T16:15Z"); /* 01:15, 03:15: 02:15 is skipped */
	EXPECT("cron 45 * * * *", "Australia/Lord_Howe", "2026-04-04T14:00Z", "2026-04-04T14:45Z",
	       "2026-04-04T15:15Z", "2026-04-04T16:15Z"); /* 01:45, 01:45, 02:45 */
	EXPECT("cron 0 */12 * * *", "Pacific/Apia", "2011-12-29T10:00Z", "2011-12-29T22:00Z",
	       "2011-12-30T10:00Z", "2011-12-30T22:00Z"); /* the 29th 12:00, the 31st 0:00, 12:00 */
	EXPECT("cron 0 */12 30 12 *", "Pacific/Apia", "2011-12-01T00:00Z", "2012-12-29T10:00Z");
	EXPECT("cron 30 */23 * * *", "Africa/Cairo", "2026-10-29T12:00Z", "2026-10-29T20:30Z",
	       "2026-10-29T21:30Z", "2026-10-29T22:30Z"); /* 23:30, 23:30, 00:30 */
	EXPECT("cron * * * * *", "Africa/Casablanca", "2026-02-15T01:58Z", "2026-02-15T01:59Z",
	       "2026-02-15T02:00Z", "2026-02-15T02:01Z");
}

static void every(void **state)
{
	_cleanup_slots_ struct slots *s = NULL;
	int64_t at = 0, anchor = ms("2026-01-01T00:00Z") + 7500;

	(void)state;
	s = parse("every 15m", "Europe/Berlin", anchor);
	assert_true(slots_next(s, anchor - 10 * 60000, &at)); /* the anchor, its second begun */
	assert_int_equal(at, anchor - 500);
	assert_true(slots_next(s, anchor, &at));
	assert_int_equal(at, anchor - 500 + 15 * 60000);
	assert_true(slots_next(s, anchor + 1000LL * 86400 * 366, &at)); /* no drift */
	assert_int_equal((at - anchor + 500) % (15 * 60000), 0);
	assert_false(slots_once(s));
	slots_free(s);
	s = parse("Every  1h30m", "UTC", 0);
	assert_true(slots_next(s, 0, &at));
	assert_int_equal(at, 90 * 60000);
	slots_free(s);
	s = parse("every 1d", "Europe/Berlin",
		  ms("2026-03-28T12:00Z")); /* 24 hours, over the jump too */
	assert_true(slots_next(s, ms("2026-03-28T12:00Z"), &at));
	assert_int_equal(at, ms("2026-03-29T12:00Z"));
	slots_free(s);
	s = parse("every 3650d", "UTC", -1); /* before 1970: down to the second */
	assert_true(slots_next(s, -5000, &at));
	assert_int_equal(at, -1000);
}

static void at(void **state)
{
	(void)state;
	EXPECT("at 2026-12-24 18:00", "Europe/Berlin", "2026-01-01T00:00Z", "2026-12-24T17:00Z",
	       "none");
	EXPECT("at 2026-12-24T18:00:00", "America/New_York", "2026-01-01T00:00Z",
	       "2026-12-24T23:00Z", "none");
	EXPECT("at 2026-12-24T18:00:00Z", "Europe/Berlin", "2026-01-01T00:00Z", "2026-12-24T18:00Z",
	       "none");
	EXPECT("at 2026-12-24t18:00:00.999z", "Europe/Berlin", "2026-01-01T00:00Z",
	       "2026-12-24T18:00Z", "none");
	EXPECT("at 2026-12-24 18:00 +05:45", "Europe/Berlin", "2026-01-01T00:00Z",
	       "2026-12-24T12:15Z", "none");
	EXPECT("at 2026-12-24T18:00:00-03:30", "Europe/Berlin", "2026-01-01T00:00Z",
	       "2026-12-24T21:30Z", "none");
	EXPECT("at 2026-12-24 18:00", "UTC", "2026-12-24T18:00Z", "none");
	EXPECT("at 2026-03-29 02:30", "Europe/Berlin", "2026-01-01T00:00Z", "2026-03-29T01:00Z",
	       "none");
	EXPECT("at 2026-10-25 02:30", "Europe/Berlin", "2026-01-01T00:00Z", "2026-10-25T00:30Z",
	       "none");
	EXPECT("at 2011-12-30 12:00", "Pacific/Apia", "2011-01-01T00:00Z", "2011-12-30T10:00Z",
	       "none");
	EXPECT("at 2028-02-29 00:00", "UTC", "2011-01-01T00:00Z", "2028-02-29T00:00Z", "none");
	_cleanup_slots_ struct slots *s = parse("at 2026-12-24 18:00:30", "UTC", 0);
	int64_t slot;

	assert_true(slots_once(s));
	assert_string_equal(zone_name(slots_zone(s)), "UTC");
	assert_true(slots_next(s, 0, &slot));
	assert_int_equal(slot, ms("2026-12-24T18:00Z") + 30000);
	assert_true(slots_next(s, slot - 1, &slot));
	assert_false(slots_next(s, slot, &slot));
}

static void far_away(void **state)
{
	static const char *const specs[] = {"cron * * * * *", "cron 0 8 * * *", "every 1m",
					    "at 9999-12-31 23:59"};
	int64_t slot;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(specs); i++) {
		_cleanup_slots_ struct slots *s = parse(specs[i], "Europe/Berlin", 0);

		assert_false(slots_next(s, INT64_MAX, &slot));
		assert_false(slots_next(s, ms("9999-12-31T23:59Z"), &slot));
		assert_true(slots_next(s, INT64_MIN, &slot));
		assert_true(slots_next(s, ms("2300-01-01T00:00Z"), &slot));
	}
}

static void one_spelling(void **state)
{
	static const struct {
		const char *spec, *want;
	} rows[] = {
		{"  CRON\t0   8 * *\n1-5 ", "cron 0 8 * * 1-5"},
		{"0 8 * * Mon-FRI", "cron 0 8 * * Mon-FRI"},
		{"@daily", "cron @daily"},
		{"every  15m", "every 15m"},
		{"AT 2026-12-24   18:00", "at 2026-12-24 18:00"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		_cleanup_slots_ struct slots *s = parse(rows[i].spec, "UTC", 0);
		_cleanup_slots_ struct slots *again = NULL;
		_cleanup_free_ char *words = slots_words(s), *twice = NULL;

		assert_string_equal(words, rows[i].want);
		again = parse(words, "UTC", 0);
		twice = slots_words(again);
		assert_string_equal(twice, words);
	}
}

static const struct {
	const char *spec, *say;
} refused[] = {
	{"", "a schedule begins with cron, every or at"},
	{"tomorrow at 8", "a schedule begins with cron, every or at"},
	{"cronjob 0 8 * * *", "a schedule begins with cron, every or at"},
	{"2026-12-24 18:00", "a schedule begins with cron, every or at"},
	{"cron", "cron needs five fields"},
	{"cron 0 8 * *", "cron has five fields: minute hour day month weekday; this has 4"},
	{"cron 0 0 8 * * *", "this has 6"},
	{"cron 0 24 * * *", "hour 24 is out of 0-23"},
	{"cron 60 * * * *", "minute 60 is out of 0-59"},
	{"cron 0 0 0 * *", "day 0 is out of 1-31"},
	{"cron 0 0 1 13 *", "month 13 is out of 1-12"},
	{"cron 0 0 * * 8", "weekday 8 is out of 0-7"},
	{"cron 0 0 * * mo", "weekday \"mo\" is no number or name (mon, ...)"},
	{"cron 0 0 * * monday", "weekday \"monday\" is no number or name"},
	{"cron 0 0 * janx *", "month \"janx\" is no number or name (jan, ...)"},
	{"cron jan 0 * * *", "minute \"jan\" is no number"},
	{"cron 0 0 L * *", "day \"L\" is no number"},
	{"cron 0 0 ? * 1", "day \"?\" is no number"},
	{"cron 0 0 * * 1#2", "weekday \"1#2\" is no number"},
	{"cron -1 0 * * *", "the minute field lacks a number"},
	{"cron 1- 0 * * *", "the minute field lacks a number"},
	{"cron 1,,2 0 * * *", "the minute field lacks a number"},
	{"cron 1, 0 * * *", "the minute field lacks a number"},
	{"cron 5-1 0 * * *", "minute 5-1 runs backwards"},
	{"cron 0 0 * * 5-2", "weekday 5-2 runs backwards"},
	{"cron 5/15 * * * *", "minute 5/15: a step needs a range, as in 5-59/2 or */2"},
	{"cron */0 * * * *", "while reading the minute field: step 0 is out of 1-59"},
	{"cron */90 * * * *", "step 90 is out of 1-59"},
	{"cron 0 */24 * * *", "while reading the hour field: step 24 is out of 1-23"},
	{"cron */ * * * *", "the step field lacks a number"},
	{"cron */2/2 * * * *", "step \"2/2\" is no number"},
	{"cron 1-2-3 * * * *", "minute \"2-3\" is no number"},
	{"cron ** * * * *", "minute \"**\" is no number"},
	{"cron 99999999999999999999 * * * *", "minute 99999999999999999999 is out of 0-59"},
	{"cron 0 0 31 2 *", "no month of these has such a day"},
	{"cron 0 0 30-31 feb *", "no month of these has such a day"},
	{"cron 0 0 31 4,6,9,11 *", "no month of these has such a day"},
	{"cron 0 0 31 2 */2", "no month of these has such a day"},
	{"cron @reboot", "\"@reboot\" is none of @hourly @daily @weekly @monthly @yearly"},
	{"@dayly", "did you mean @daily?"},
	{"every", "every needs a time"},
	{"every 30s", "every 30s is too often: at least 1m"},
	{"every 0m", "too often"},
	{"every 15", "every 15: 15 of what? s, m, h or d"},
	{"every 1h30", "every 1h30: 30 of what?"},
	{"every 1.5h", "every 1.5h: write numbers with s, m, h or d"},
	{"every 15 minutes", "every 15 minutes: write numbers with s, m, h or d"},
	{"every day", "every day: write numbers"},
	{"every -5m", "every -5m: write numbers"},
	{"every 2w", "every 2w: write numbers"},
	{"every 3651d", "every 3651d is too long: at most 3650d"},
	{"every 99999999999999999999999d", "is too long"},
	{"at", "at : write at 2026-12-24 18:00"},
	{"at 18:00", "at 18:00: write at 2026-12-24 18:00"},
	{"at 2026-12-24", "write at 2026-12-24 18:00"},
	{"at 24.12.2026 18:00", "write at 2026-12-24 18:00"},
	{"at 2026-12-24 18:00 CET", "write at 2026-12-24 18:00"},
	{"at 2026-12-24 18:00+1", "with Z or an offset"},
	{"at 2026-12-24 18:00+24:00", "with Z or an offset"},
	{"at 2026-12-24 18:00:", "write at 2026-12-24 18:00"},
	{"at 2026-12-24 18:00:00.", "write at 2026-12-24 18:00"},
	{"at 2026-12-24 18:00ZZ", "write at 2026-12-24 18:00"},
	{"at 2026-02-29 18:00", "2026-02 has no day 29"},
	{"at 2026-04-31 18:00", "2026-04 has no day 31"},
	{"at 2026-00-10 18:00", "month 00 is out of 01-12"},
	{"at 2026-10-00 18:00", "2026-10 has no day 00"},
	{"at 2026-12-24 24:00", "time 24:00:00 is out of"},
	{"at 2026-12-24 23:59:60", "time 23:59:60 is out of"},
	{"at 1969-12-24 18:00", "year 1969 is long over"},
	{"cron 0 8 * * \xe2\x80\xa6", "plain letters, digits and signs"},
	{"cron 0 8 * * \x1b[2J", "plain letters, digits and signs"},
};

static void refusals(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		struct err e = ERR_INIT;

		if (slots_parse(refused[i].spec, "UTC", 0, &e))
			fail_msg("\"%s\" was taken", refused[i].spec);
		assert_int_equal(e.code, E_INVAL);
		if (!strstr(e.msg, refused[i].say))
			fail_msg("\"%s\": %s", refused[i].spec, e.msg);
	}
}

static void limits(void **state)
{
	struct err e = ERR_INIT;
	char spec[SLOTS_WORDS_MAX + 2];

	(void)state;
	assert_null(slots_parse("every 1h", "Europe/Belrin", 0, &e));
	assert_non_null(strstr(e.msg, "did you mean Europe/Berlin?"));
	memset(spec, '0', sizeof(spec));
	spec[SLOTS_WORDS_MAX + 1] = '\0';
	assert_null(slots_parse(spec, "UTC", 0, &e));
	assert_non_null(strstr(e.msg, "at most 200 characters"));
	/* "cron", which was left out, would be too much */
	memset(spec, ',', sizeof(spec));
	for (size_t i = 0; i < SLOTS_WORDS_MAX - 8; i += 2)
		spec[i] = '1';
	memcpy(spec + SLOTS_WORDS_MAX - 9, "1 * * * *", 9);
	spec[SLOTS_WORDS_MAX] = '\0';
	assert_null(slots_parse(spec, "UTC", 0, &e));
	assert_non_null(strstr(e.msg, "at most 200 characters"));
	slots_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calendars),   cmocka_unit_test(forms),
		cmocka_unit_test(fixed_hours), cmocka_unit_test(by_clock),
		cmocka_unit_test(every),       cmocka_unit_test(at),
		cmocka_unit_test(far_away),    cmocka_unit_test(one_spelling),
		cmocka_unit_test(refusals),    cmocka_unit_test(limits),
	};

	return cmocka_run_group_tests_name("base_slots", tests, NULL, NULL);
}
