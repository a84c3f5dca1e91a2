// SPDX-License-Identifier: Apache-2.0
/*
 * The five fields of cron: read into bits, and matched against a wall clock by months, days, hours and minutes in turn (never minute by
 * minute). Must never know of zones: what a clock skips or shows twice is slots.c.
 */
#include <string.h>
#include <strings.h>
#include "base/civil.h"
#include "base/slots_impl.h"
#include "base/str.h"

static const char *const month_names[] = {"jan", "feb", "mar", "apr", "may", "jun",
					  "jul", "aug", "sep", "oct", "nov", "dec"};
static const char *const weekday_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

static const struct field {
	const char *name;
	int min, max;
	const char *const *words; /* for min, min + 1, ... */
	int nwords;
} fields[] = {
	{"minute", 0, 59, NULL, 0},
	{"hour", 0, 23, NULL, 0},
	{"day", 1, 31, NULL, 0},
	{"month", 1, 12, month_names, 12},
	{"weekday", 0, 7, weekday_names, 7},
};
enum {
	MINUTE,
	HOUR,
	DAY,
	MONTH,
	WEEKDAY,
	FIELDS
};

static const struct {
	const char *name, *fields;
} forms[] = {
	{"@hourly", "0 * * * *"},   {"@daily", "0 0 * * *"},   {"@midnight", "0 0 * * *"},
	{"@weekly", "0 0 * * 0"},   {"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"},
	{"@annually", "0 0 1 1 *"},
};

/* -- Reading. */

/* One number or name of a field. */
static int value(const struct field *f, const char *p, size_t n, int *out, struct err *e)
{
	int v = 0;

	for (int i = 0; i < f->nwords; i++) {
		if (n == 3 && !strncasecmp(p, f->words[i], 3)) {
			*out = f->min + i;
			return 0;
		}
	}
	if (!n)
		return err_set(e, E_INVAL, "the %s field lacks a number: write %d-%d, or *",
			       f->name, f->min, f->max);
	for (size_t i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return err_set(e, E_INVAL, "%s \"%.*s\" is no number%s%s%s", f->name,
				       (int)(n < 20 ? n : 20), p, f->nwords ? " or name (" : "",
				       f->nwords ? f->words[f->nwords == 7] : "",
				       f->nwords ? ", ...)" : "");
		v = v < 10000 ? v * 10 + (p[i] - '0') : v;
	}
	if (v < f->min || v > f->max)
		return err_set(e, E_INVAL, "%s %.*s is out of %d-%d", f->name,
			       (int)(n < 20 ? n : 20), p, f->min, f->max);
	*out = v;
	return 0;
}

/* "*", "5", "1-10", each but the second with "/3" behind it. */
static int item(const struct field *f, const char *p, size_t n, uint64_t *bits, struct err *e)
{
	const char *slash = memchr(p, '/', n), *dash;
	size_t head = slash ? (size_t)(slash - p) : n;
	int lo = f->min, hi = f->max, step = 1;
	bool star = head == 1 && *p == '*';

	dash = memchr(p, '-', head);
	if (!star && dash) {
		if (value(f, p, (size_t)(dash - p), &lo, e) < 0 ||
		    value(f, dash + 1, head - (size_t)(dash - p) - 1, &hi, e) < 0)
			return -1;
		if (f == &fields[WEEKDAY] && hi == 0 && lo > 0)
			hi = 7; /* sat-sun */
		if (lo > hi)
			return err_set(e, E_INVAL, "%s %.*s runs backwards: the lower one is first",
				       f->name, (int)(head < 20 ? head : 20), p);
	} else if (!star) {
		if (value(f, p, head, &lo, e) < 0)
			return -1;
		hi = lo;
		if (slash)
			return err_set(e, E_INVAL,
				       "%s %.*s: a step needs a range, as in %d-%d/2 or */2",
				       f->name, (int)(n < 20 ? n : 20), p, lo, f->max);
	}
	if (slash) {
		struct field of = {.name = "step", .min = 1, .max = f->max};

		if (value(&of, slash + 1, n - head - 1, &step, e) < 0)
			return err_wrap(e, "reading the %s field", f->name);
	}
	for (; lo <= hi; lo += step)
		*bits |= 1ULL << lo;
	return 0;
}

static int field(const struct field *f, const char *p, size_t n, uint64_t *bits, struct err *e)
{
	const char *end = p + n;

	for (;;) {
		const char *comma = memchr(p, ',', (size_t)(end - p));

		if (item(f, p, (size_t)((comma ? comma : end) - p), bits, e) < 0)
			return -1;
		if (!comma)
			return 0;
		p = comma + 1;
	}
}

static int form(const char **text, struct err *e)
{
	const char *names[ARRAY_LEN(forms) + 1] = {NULL};
	const char *near;

	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		names[i] = forms[i].name;
		if (!strcasecmp(*text, forms[i].name)) {
			*text = forms[i].fields;
			return 0;
		}
	}
	near = str_nearest(*text, names);
	return err_set(e, E_INVAL,
		       "\"%.20s\" is none of @hourly @daily @weekly @monthly @yearly%s%s%s", *text,
		       near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

int cron_parse(struct cron *c, const char *text, struct err *e)
{
	uint64_t bits[FIELDS] = {0};
	bool star[FIELDS] = {false};
	int n = 0;

	*c = (struct cron){0};
	if (*text == '@' && form(&text, e) < 0)
		return -1;
	for (const char *p = text; *p; n++) {
		size_t len = strcspn(p, " ");

		if (n < FIELDS) {
			star[n] = *p == '*';
			if (field(&fields[n], p, len, &bits[n], e) < 0)
				return -1;
		}
		p += len;
		p += *p == ' ';
	}
	if (n != FIELDS)
		return err_set(e, E_INVAL,
			       "cron has five fields: minute hour day month weekday; this has %d",
			       n);
	c->minutes = bits[MINUTE];
	c->hours = (uint32_t)bits[HOUR];
	c->days = (uint32_t)bits[DAY];
	c->months = (uint16_t)bits[MONTH];
	c->weekdays = (uint8_t)((bits[WEEKDAY] | bits[WEEKDAY] >> 7) & 0x7f);
	c->clock = star[HOUR];
	c->either = !star[DAY] && !star[WEEKDAY];
	if (!cron_possible(c))
		return err_set(e, E_INVAL, "cron %.60s: no month of these has such a day", text);
	return 0;
}

bool cron_possible(const struct cron *c)
{
	if (c->either)
		return true;
	for (int m = 1; m <= 12; m++)
		if (c->months & 1U << m && c->days & ((2ULL << civil_month_days(2000, m)) - 1))
			return true;
	return false;
}

/* -- Matching. */

/* The days of a month that match, day 1 being bit 1. */
static uint32_t days_of(const struct cron *c, int64_t year, int month)
{
	uint32_t all = (uint32_t)((2ULL << civil_month_days(year, month)) - 2);
	int first = civil_weekday(civil_days(year, month, 1));
	uint32_t by_week = 0;

	for (int d = 1; d <= 31; d++)
		if (c->weekdays >> ((first + d - 1) % 7) & 1)
			by_week |= 1U << d;
	return all & (c->either ? c->days | by_week : c->days & by_week);
}

/* The lowest bit that is set, from `from` on; -1 when there is none. */
static int bit_from(uint64_t bits, int from)
{
	bits = from > 63 ? 0 : bits >> from;
	return bits ? from + __builtin_ctzll(bits) : -1;
}

/* The first minute of a day, from this one on, or -1. */
static int minute_from(const struct cron *c, int from)
{
	int h = bit_from(c->hours, from / 60), m = -1;

	if (h == from / 60) {
		m = bit_from(c->minutes, from % 60);
		if (m < 0)
			h = bit_from(c->hours, h + 1);
	}
	if (h < 0)
		return -1;
	return h * 60 + (m >= 0 ? m : bit_from(c->minutes, 0));
}

bool cron_match(const struct cron *c, int64_t wall_s, int64_t *match_s)
{
	int64_t from_s = wall_s + 59 - ((wall_s + 59) % 60 + 60) % 60; /* up to a whole minute */
	int64_t days = civil_day_of(from_s);
	int minute = (int)((from_s - days * DAY_S) / 60);
	struct civil at = civil_of(days);
	int64_t last = at.year + SLOTS_SEARCH_YEARS;

	while (at.year <= last) {
		int month = bit_from(c->months, at.month), day, m;

		if (month != at.month) {
			at = (struct civil){month < 0 ? at.year + 1 : at.year,
					    month < 0 ? 1 : month, 1};
			minute = 0;
			continue;
		}
		day = bit_from(days_of(c, at.year, at.month), at.day);
		if (day != at.day)
			minute = 0;
		m = day < 0 ? -1 : minute_from(c, minute);
		if (m >= 0) {
			*match_s = civil_days(at.year, at.month, day) * DAY_S + (int64_t)m * 60;
			return true;
		}
		if (day < 0)
			at = (struct civil){at.month == 12 ? at.year + 1 : at.year,
					    at.month == 12 ? 1 : at.month + 1, 1};
		else
			at.day = day + 1; /* past the month's end: no bit is there */
		minute = 0;
	}
	return false;
}
