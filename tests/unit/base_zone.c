// SPDX-License-Identifier: Apache-2.0
/* Unit tests of base/zone, its rules and base/civil. The moments are written out by hand from the tz database's own text. */
#include "unit.h"
#include "base/civil.h"
#include "base/str.h"
#include "base/zone.h"
#include "base/zone_rule.h"

/* A time on some clock, in seconds. */
static int64_t t(int year, int month, int day, int hour, int minute)
{
	return civil_days(year, month, day) * DAY_S + hour * 3600 + minute * 60;
}

static struct zone *open_zone(const char *name)
{
	struct err e = ERR_INIT;
	struct zone *z = zone_open(name, &e);

	if (!z)
		fail_msg("%s", e.msg);
	return z;
}

static void calendar(void **state)
{
	int64_t n = civil_days(1899, 12, 31);

	(void)state;
	assert_int_equal(civil_days(1970, 1, 1), 0);
	assert_int_equal(civil_days(2000, 3, 1), 11017);
	assert_int_equal(civil_weekday(0), 4);
	assert_int_equal(civil_weekday(-1), 3);
	assert_int_equal(civil_weekday(civil_days(2026, 11, 22)), 0);
	assert_int_equal(civil_day_of(-1), -1);
	assert_int_equal(civil_day_of(DAY_S - 1), 0);
	assert_int_equal(civil_day_of(-DAY_S), -1);
	assert_int_equal(civil_month_days(1900, 2), 28);
	assert_int_equal(civil_month_days(2000, 2), 29);
	for (int64_t y = 1900; y <= 2400; y++)
		for (int m = 1; m <= 12; m++)
			for (int d = 1; d <= civil_month_days(y, m); d++) {
				struct civil c = civil_of(++n);

				assert_true(c.year == y && c.month == m && c.day == d);
				assert_int_equal(civil_days(y, m, d), n);
			}
}

static void offsets(void **state)
{
	static const struct {
		const char *zone;
		int year, month, day, hour, minute; /* UTC */
		int32_t want;
		const char *abbrev;
	} rows[] = {
		{"UTC", 2026, 7, 1, 0, 0, 0, "UTC"},
		{"Etc/GMT+5", 2026, 7, 1, 0, 0, -5 * 3600, "-05"},
		{"Europe/Berlin", 2026, 3, 29, 0, 59, 3600, "CET"},
		{"Europe/Berlin", 2026, 3, 29, 1, 0, 7200, "CEST"},
		{"Europe/Berlin", 1945, 6, 1, 0, 0, 3 * 3600, "CEMT"},
		{"America/New_York", 2007, 3, 11, 7, 0, -4 * 3600, "EDT"},
		{"Asia/Kathmandu", 2026, 1, 1, 0, 0, 20700, "+0545"},
		{"Australia/Lord_Howe", 2026, 1, 1, 0, 0, 39600, "+11"},
		{"Australia/Lord_Howe", 2026, 7, 1, 0, 0, 37800, "+1030"},
		/* a rule that goes on, after the table has ended */
		{"Europe/Berlin", 2090, 7, 1, 0, 0, 7200, "CEST"},
		{"Europe/Berlin", 2500, 1, 1, 0, 0, 3600, "CET"},
		{"Europe/Dublin", 2026, 1, 1, 0, 0, 0, "GMT"},
		{"Europe/Dublin", 2050, 1, 1, 0, 0, 0, "GMT"}, /* GLib 2.74 says two hours */
		{"Europe/Dublin", 2050, 7, 1, 0, 0, 3600, "IST"},
		{"America/Nuuk", 2050, 3, 27, 0, 59, -2 * 3600,
		 "-02"}, /* changes on the day before, by its clock */
		{"America/Nuuk", 2050, 3, 27, 1, 0, -1 * 3600, "-01"},
		{"Asia/Gaza", 2060, 1, 1, 0, 0, 7200, "EET"},
		{"Antarctica/Troll", 2050, 7, 1, 0, 0, 7200, "+02"},
		{"Pacific/Auckland", 2050, 1, 1, 0, 0, 13 * 3600, "NZDT"},
		/* by a table that reaches far */
		{"Africa/Casablanca", 2026, 3, 1, 0, 0, 0, "+00"}, /* Ramadan */
		{"Africa/Casablanca", 2026, 4, 1, 0, 0, 3600, "+01"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		_cleanup_zone_ struct zone *z = open_zone(rows[i].zone);
		const char *abbrev = "";
		int32_t got = zone_offset(
			z,
			t(rows[i].year, rows[i].month, rows[i].day, rows[i].hour, rows[i].minute),
			&abbrev);

		if (got != rows[i].want || !streq(abbrev, rows[i].abbrev))
			fail_msg("row %zu, %s: %d %s", i, rows[i].zone, got, abbrev);
		assert_string_equal(zone_name(z), rows[i].zone);
	}
}

static const struct {
	const char *zone;
	struct {
		int month, day, hour, minute;
	} wall, utc, second;
	int year;
	enum zone_fit fit;
} shown[] = {
	{"Europe/Berlin", {3, 29, 1, 59}, {3, 29, 0, 59}, {0}, 2026, ZONE_ONCE},
	{"Europe/Berlin", {3, 29, 2, 0}, {3, 29, 1, 0}, {0}, 2026, ZONE_SKIPPED},
	{"Europe/Berlin", {3, 29, 2, 59}, {3, 29, 1, 0}, {0}, 2026, ZONE_SKIPPED},
	{"Europe/Berlin", {3, 29, 3, 0}, {3, 29, 1, 0}, {0}, 2026, ZONE_ONCE},
	{"Europe/Berlin", {10, 25, 1, 59}, {10, 24, 23, 59}, {0}, 2026, ZONE_ONCE},
	{"Europe/Berlin", {10, 25, 2, 0}, {10, 25, 0, 0}, {10, 25, 1, 0}, 2026, ZONE_TWICE},
	{"Europe/Berlin", {10, 25, 2, 59}, {10, 25, 0, 59}, {10, 25, 1, 59}, 2026, ZONE_TWICE},
	{"Europe/Berlin", {10, 25, 3, 0}, {10, 25, 2, 0}, {0}, 2026, ZONE_ONCE},
	{"Europe/Berlin", {10, 30, 2, 30}, {10, 30, 0, 30}, {10, 30, 1, 30}, 2050, ZONE_TWICE},
	/* half an hour: 02:00 +1030 to 02:30 +11 in October, back in April */
	{"Australia/Lord_Howe", {10, 4, 2, 15}, {10, 3, 15, 30}, {0}, 2026, ZONE_SKIPPED},
	{"Australia/Lord_Howe", {10, 4, 2, 30}, {10, 3, 15, 30}, {0}, 2026, ZONE_ONCE},
	{"Australia/Lord_Howe", {4, 5, 1, 45}, {4, 4, 14, 45}, {4, 4, 15, 15}, 2026, ZONE_TWICE},
	/* a saving that is negative: 03:00 +01 to 02:00 +00 when Ramadan begins, back a month later */
	{"Africa/Casablanca", {2, 15, 2, 30}, {2, 15, 1, 30}, {2, 15, 2, 30}, 2026, ZONE_TWICE},
	{"Africa/Casablanca", {3, 22, 2, 30}, {3, 22, 2, 0}, {0}, 2026, ZONE_SKIPPED},
	{"Africa/El_Aaiun", {2, 15, 2, 30}, {2, 15, 1, 30}, {2, 15, 2, 30}, 2026, ZONE_TWICE},
	{"Europe/Dublin", {10, 25, 1, 30}, {10, 25, 0, 30}, {10, 25, 1, 30}, 2026, ZONE_TWICE},
	/* two hours: 01:00 +00 to 03:00 +02 */
	{"Antarctica/Troll", {3, 29, 2, 30}, {3, 29, 1, 0}, {0}, 2026, ZONE_SKIPPED},
	{"Antarctica/Troll", {10, 25, 2, 30}, {10, 25, 0, 30}, {10, 25, 2, 30}, 2026, ZONE_TWICE},
	/* a day that is missing: from -10 to +14, and from -10:40 to +14 in the night to 1995 */
	{"Pacific/Apia", {12, 29, 23, 59}, {12, 30, 9, 59}, {0}, 2011, ZONE_ONCE},
	{"Pacific/Apia", {12, 30, 0, 0}, {12, 30, 10, 0}, {0}, 2011, ZONE_SKIPPED},
	{"Pacific/Apia", {12, 30, 23, 59}, {12, 30, 10, 0}, {0}, 2011, ZONE_SKIPPED},
	{"Pacific/Apia", {12, 31, 0, 0}, {12, 30, 10, 0}, {0}, 2011, ZONE_ONCE},
	{"Pacific/Kiritimati", {12, 31, 12, 0}, {12, 31, 10, 0}, {0}, 1994, ZONE_SKIPPED},
	/* at midnight: 00:00 to 01:00 */
	{"Africa/Cairo", {4, 24, 0, 30}, {4, 23, 22, 0}, {0}, 2026, ZONE_SKIPPED},
	{"Africa/Cairo", {10, 29, 23, 30}, {10, 29, 20, 30}, {10, 29, 21, 30}, 2026, ZONE_TWICE},
	/* 22:00 to 23:00 on a Saturday by its own clock; the rule says -1:00 of Sunday */
	{"America/Nuuk", {3, 28, 23, 30}, {3, 29, 1, 0}, {0}, 2026, ZONE_SKIPPED},
	/* no saving since 2022; before: at midnight of a day that moves with the Persian year */
	{"Asia/Tehran", {3, 22, 0, 30}, {3, 21, 20, 30}, {0}, 2021, ZONE_SKIPPED},
	{"Asia/Tehran", {3, 22, 0, 30}, {3, 21, 21, 0}, {0}, 2026, ZONE_ONCE},
	{"UTC", {3, 29, 2, 30}, {3, 29, 2, 30}, {0}, 2026, ZONE_ONCE},
};

/* What a wall clock's time is; *second is the other moment. */
static void walls(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(shown); i++) {
		_cleanup_zone_ struct zone *z = open_zone(shown[i].zone);
		int64_t utc = 0, second = 0;
		enum zone_fit fit =
			zone_utc(z,
				 t(shown[i].year, shown[i].wall.month, shown[i].wall.day,
				   shown[i].wall.hour, shown[i].wall.minute),
				 &utc, &second);

		if (fit != shown[i].fit ||
		    utc != t(shown[i].year, shown[i].utc.month, shown[i].utc.day, shown[i].utc.hour,
			     shown[i].utc.minute))
			fail_msg("row %zu, %s: fit %d, %lld", i, shown[i].zone, (int)fit,
				 (long long)utc);
		if (fit == ZONE_TWICE &&
		    second != t(shown[i].year, shown[i].second.month, shown[i].second.day,
				shown[i].second.hour, shown[i].second.minute))
			fail_msg("row %zu, %s: second %lld", i, shown[i].zone, (long long)second);
	}
}

static void changes(void **state)
{
	_cleanup_zone_ struct zone *z = open_zone("Europe/Berlin");
	int64_t jump = t(2026, 3, 29, 1, 0), at = 0;

	(void)state;
	assert_true(zone_change(z, jump - 2 * DAY_S, jump, &at));
	assert_int_equal(at, jump);
	assert_true(zone_change(z, jump - 1, jump + 3 * DAY_S - 1, &at));
	assert_int_equal(at, jump);
	assert_false(zone_change(z, jump - DAY_S, jump - 1, &at));
	assert_false(zone_change(z, jump, jump + DAY_S, &at));
	assert_false(zone_change(z, jump, jump, &at));
}

static void formats(void **state)
{
	static const struct {
		const char *zone;
		int64_t ms;
		const char *want;
	} rows[] = {
		{"Europe/Berlin", 1795417200000, "Mon 2026-11-23 08:00 CET"},
		{"UTC", -1, "Wed 1969-12-31 23:59 UTC"},
		{"Asia/Kathmandu", 0, "Thu 1970-01-01 05:30 +0530"},
		{"UTC", INT64_MAX / 1000, "Fri 9999-12-31 18:10 UTC"},
	};
	char out[40];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		_cleanup_zone_ struct zone *z = open_zone(rows[i].zone);

		zone_format(z, rows[i].ms, out);
		if (i < 3)
			assert_string_equal(out, rows[i].want);
		else
			assert_non_null(strstr(out, "UTC"));
	}
}

static void unknown(void **state)
{
	static const struct {
		const char *name, *say;
	} rows[] = {
		{"Europe/Belrin", "\"Europe/Belrin\"; did you mean Europe/Berlin?"},
		{"europe/berlin", "did you mean Europe/Berlin?"},
		{"Berlin", "did you mean Europe/Berlin?"},
		{"new york", "did you mean America/New_York?"},
		{"utc", "did you mean UTC?"},
		{"Mars/Olympus_Mons", "name one as the IANA database does"},
		{"", "no time zone \"\""},
		{"/etc/localtime", "no time zone"},
		{"../zoneinfo/UTC", "no time zone"},
		{"Europe/../UTC", "no time zone"},
		{"Europe", "no time zone"},
		{"Europe/", "no time zone"},
		{"localtime", "no time zone"},
		{"right/UTC", "no time zone"},
		{"posix/UTC", "no time zone"},
		{"zone.tab", "no time zone"},
		{"tzdata.zi", "no time zone"},
		{"+02:00", "no time zone"},
		{"EST5EDT,M3.2.0,M11.1.0", "no time zone"},
		{"UTC\n", "no time zone \"UTC \""},
		{"a-name-that-is-much-longer-than-any-zone-of-the-database-has-ever-been",
		 "no time zone"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err e = ERR_INIT;

		if (zone_open(rows[i].name, &e))
			fail_msg("%s was opened", rows[i].name);
		assert_int_equal(e.code, E_INVAL);
		if (!strstr(e.msg, rows[i].say))
			fail_msg("%s: %s", rows[i].name, e.msg);
	}
	zone_close(NULL);
}

static void rules(void **state)
{
	static const struct {
		const char *text;
		bool ok;
		int32_t january, july; /* 2030 */
	} rows[] = {
		{"UTC0", true, 0, 0},
		{"<+0330>-3:30", true, 12600, 12600},
		{"CET-1CEST,M3.5.0,M10.5.0/3", true, 3600, 7200},
		{"IST-1GMT0,M10.5.0,M3.5.0/1", true, 0, 3600},
		{"AAA3BBB,J60/0,J300/0", true, -10800, -7200},
		{"AAA3BBB2:30:15,59/0,299/0", true, -10800, -9015},
		{"XXX3EDT4,0/0,J365/23", true, -14400, -14400}, /* saving all the year: RFC 9636 */
		{"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", true, -7200, -3600},
		{"EET-2EEST,M3.4.4/50,M10.4.4/50", true, 7200, 10800},
		{"", false, 0, 0},
		{"CE-1", false, 0, 0},
		{"CET", false, 0, 0},
		{"CET-1CEST", false, 0, 0},
		{"CET-1CEST,M3.5.0", false, 0, 0},
		{"CET-1CEST,M13.5.0,M10.5.0", false, 0, 0},
		{"CET-1CEST,M3.6.0,M10.5.0", false, 0, 0},
		{"CET-1CEST,M3.5.7,M10.5.0", false, 0, 0},
		{"CET-1CEST,J0,J366", false, 0, 0},
		{"CET-1CEST,M3.5.0,M10.5.0/168", false, 0, 0},
		{"CET-1CEST,M3.5.0,M10.5.0 ", false, 0, 0},
		{"<CET-1", false, 0, 0},
		{"CET-999999999999", false, 0, 0},
		{"ABCDEFGHIJKLMNOPQRSTUVWXYZ-1", false, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct zone_rule r;
		/* of its exact size: nothing may look past it */
		size_t n = strlen(rows[i].text);
		_cleanup_free_ char *text = xmalloc(n);

		memcpy(text, rows[i].text, n);
		if (zone_rule_parse(&r, text, n) != rows[i].ok)
			fail_msg("%s", rows[i].text);
		if (!rows[i].ok)
			continue;
		if (zone_rule_offset(&r, t(2030, 1, 15, 0, 0), NULL) != rows[i].january ||
		    zone_rule_offset(&r, t(2030, 7, 15, 0, 0), NULL) != rows[i].july)
			fail_msg("%s: %d, %d", rows[i].text,
				 zone_rule_offset(&r, t(2030, 1, 15, 0, 0), NULL),
				 zone_rule_offset(&r, t(2030, 7, 15, 0, 0), NULL));
	}
}

/* Damaged files of a database that we were pointed to, and a file without a rule. */
static void broken_files(void **state)
{
	static const struct {
		const char *name, *bytes;
		size_t n;
	} files[] = {
		{"Short", "TZif2", 5},
		{"Text", "no zone at all, but long enough to hold a header of a zone's file", 64},
		{"Huge",
		 "TZif2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
		 "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
		 44},
	};
	char dir[] = "/tmp/zone_XXXXXX", path[64];

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(setenv("TZDIR", dir, 1), 0);
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		struct err e = ERR_INIT;
		FILE *f;

		snprintf(path, sizeof(path), "%s/%s", dir, files[i].name);
		f = fopen(path, "w");
		assert_non_null(f);
		assert_int_equal(fwrite(files[i].bytes, 1, files[i].n, f), files[i].n);
		assert_int_equal(fclose(f), 0);
		assert_null(zone_open(files[i].name, &e));
		assert_non_null(strstr(e.msg, "tzdata installed?"));
		assert_int_equal(unlink(path), 0);
	}
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(unsetenv("TZDIR"), 0);
}

static void kept(void **state)
{
	static const char *const names[] = {"Europe/Berlin", "Europe/Paris", "Europe/Rome",
					    "Asia/Tokyo"};
	struct zones k = {0};

	(void)state;
	zones_keep(&k, "Europe/Berlin");
	zones_keep(&k, "Europe/Berlin");
	zones_keep(&k, "Europe/Belrin");
	assert_string_equal(zone_name(k.kept[0]), "Europe/Berlin");
	assert_null(k.kept[1]);
	for (size_t i = 0; i < 15; i++) {
		char name[16];

		snprintf(name, sizeof(name), "Etc/GMT%+d", (int)i - 7);
		zones_keep(&k, i == 7 ? "Etc/UTC" : name);
	}
	assert_string_equal(zone_name(k.kept[0]), "Europe/Berlin");
	for (size_t i = 1; i < ARRAY_LEN(names); i++) /* the oldest make room */
		zones_keep(&k, names[i]);
	assert_string_equal(zone_name(k.kept[0]), "Europe/Paris");
	assert_string_equal(zone_name(k.kept[2]), "Asia/Tokyo");
	zones_drop(&k);
	assert_null(k.kept[0]);
	zones_drop(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calendar), cmocka_unit_test(offsets),
		cmocka_unit_test(walls),    cmocka_unit_test(changes),
		cmocka_unit_test(formats),  cmocka_unit_test(unknown),
		cmocka_unit_test(rules),    cmocka_unit_test(broken_files),
		cmocka_unit_test(kept),
	};

	return cmocka_run_group_tests_name("base_zone", tests, NULL, NULL);
}
