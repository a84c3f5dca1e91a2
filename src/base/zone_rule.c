// SPDX-License-Identifier: Apache-2.0
/*
 * A zone's rule for the years after its table. It is read here and not left to GLib because GLib 2.74 (Debian 12) takes a saving that
 * is negative for a positive one: Europe/Dublin would be two hours ahead in every winter from 2038 on. Must never read past the text,
 * whatever a damaged file holds.
 */
#include "base/zone_rule.h"
#include <string.h>
#include "base/civil.h"

struct text {
	const char *p, *end;
};

static bool take(struct text *t, char c)
{
	if (t->p == t->end || *t->p != c)
		return false;
	t->p++;
	return true;
}

static bool number(struct text *t, int min, int max, int *out)
{
	const char *start = t->p;
	int v = 0;

	for (; t->p < t->end && *t->p >= '0' && *t->p <= '9' && t->p - start < 4; t->p++)
		v = v * 10 + (*t->p - '0');
	*out = v;
	return t->p > start && v >= min && v <= max;
}

/* [+-]h[hh][:mm[:ss]] */
static bool hours(struct text *t, int32_t *out)
{
	bool neg = take(t, '-');
	int h, m = 0, s = 0;

	if (!neg)
		(void)take(t, '+');
	if (!number(t, 0, 167, &h) ||
	    (take(t, ':') && (!number(t, 0, 59, &m) || (take(t, ':') && !number(t, 0, 59, &s)))))
		return false;
	*out = (neg ? -1 : 1) * (h * 3600 + m * 60 + s);
	return true;
}

/* "CET", or "<+0330>" */
static bool name(struct text *t, char out[16])
{
	bool quoted = take(t, '<');
	size_t n = 0;

	for (; t->p < t->end && n < 15; t->p++, n++) {
		char c = *t->p;
		bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');

		if (!letter && !(quoted && ((c >= '0' && c <= '9') || c == '+' || c == '-')))
			break;
		out[n] = c;
	}
	out[n] = '\0';
	return n >= 3 && (!quoted || take(t, '>'));
}

static bool day(struct text *t, struct zone_rule_day *d)
{
	d->time_s = 2 * 3600;
	if (!take(t, ','))
		return false;
	if (take(t, 'M')) {
		d->kind = ZONE_DAY_WEEK;
		if (!number(t, 1, 12, &d->month) || !take(t, '.') || !number(t, 1, 5, &d->week) ||
		    !take(t, '.') || !number(t, 0, 6, &d->day))
			return false;
	} else if (take(t, 'J')) {
		d->kind = ZONE_DAY_JULIAN;
		if (!number(t, 1, 365, &d->day))
			return false;
	} else {
		d->kind = ZONE_DAY_NUMBER;
		if (!number(t, 0, 365, &d->day))
			return false;
	}
	return !take(t, '/') || hours(t, &d->time_s);
}

bool zone_rule_parse(struct zone_rule *r, const char *text, size_t n)
{
	struct text t = {text, text + n};

	*r = (struct zone_rule){0};
	if (!name(&t, r->std_name) || !hours(&t, &r->std_s))
		return false;
	r->std_s = -r->std_s; /* POSIX counts westward */
	if (t.p == t.end)
		return true;
	r->dst = true;
	if (!name(&t, r->dst_name))
		return false;
	r->dst_s = r->std_s + 3600;
	if (t.p < t.end && *t.p != ',') {
		if (!hours(&t, &r->dst_s))
			return false;
		r->dst_s = -r->dst_s;
	}
	return day(&t, &r->to_dst) && day(&t, &r->to_std) && t.p == t.end;
}

/* When, in this year, the clock that shows `before_s` east of UTC is changed. */
static int64_t change(const struct zone_rule_day *d, int64_t year, int32_t before_s)
{
	int64_t days = civil_days(year, 1, 1);
	int dom;

	switch (d->kind) {
	case ZONE_DAY_WEEK:
		days = civil_days(year, d->month, 1);
		dom = (d->day - civil_weekday(days) + 7) % 7 + (d->week - 1) * 7;
		while (dom >= civil_month_days(year, d->month))
			dom -= 7;
		days += dom;
		break;
	case ZONE_DAY_JULIAN:
		days += d->day - 1 + (civil_leap(year) && d->day >= 60);
		break;
	case ZONE_DAY_NUMBER:
		days += d->day;
		break;
	}
	return days * DAY_S + d->time_s - before_s;
}

int32_t zone_rule_offset(const struct zone_rule *r, int64_t utc_s, const char **abbrev)
{
	int64_t year = civil_of(civil_day_of(utc_s)).year, latest = INT64_MIN;
	bool dst = false;

	/* A change may be some days off its year's ends (hours up to 167). Saving that lasts all the year ends when it begins again. */
	for (int64_t y = year - 1; r->dst && y <= year + 1; y++) {
		int64_t on = change(&r->to_dst, y, r->std_s), off = change(&r->to_std, y, r->dst_s);

		if (on <= utc_s && on >= latest) {
			latest = on;
			dst = true;
		}
		if (off <= utc_s && off > latest) {
			latest = off;
			dst = false;
		}
	}
	if (abbrev)
		*abbrev = dst ? r->dst_name : r->std_name;
	return dst ? r->dst_s : r->std_s;
}
