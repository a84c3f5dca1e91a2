// SPDX-License-Identifier: Apache-2.0
/*
 * The system clock and the test clock. The only file that asks the system for the time.
 */
#include "base/clock.h"
#include <stdio.h>
#include <time.h>
#include "base/str.h"

static int64_t sys_wall_ms(const struct clock *c maybe_unused)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t sys_mono_us(const struct clock *c maybe_unused)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t fixed_wall_ms(const struct clock *c)
{
	return c->fixed_ms;
}

static int64_t fixed_mono_us(const struct clock *c)
{
	return c->fixed_ms * 1000;
}

const struct clock clock_system = {.wall_ms = sys_wall_ms, .mono_us = sys_mono_us};

struct clock clock_fixed(int64_t ms)
{
	return (struct clock){.wall_ms = fixed_wall_ms, .mono_us = fixed_mono_us, .fixed_ms = ms};
}

void clock_format(int64_t wall_ms, char out[25])
{
	const int64_t last = INT64_C(253402300799999);	/* 9999-12-31T23:59:59.999Z */
	const int64_t first = INT64_C(-62167219200000); /* 0000-01-01T00:00:00.000Z */
	char text[96];
	struct tm tm;
	int64_t ms;
	time_t sec;

	if (wall_ms > last)
		wall_ms = last;
	if (wall_ms < first)
		wall_ms = first;
	ms = (wall_ms % 1000 + 1000) % 1000;
	sec = (wall_ms - ms) / 1000;
	gmtime_r(&sec, &tm);
	snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900,
		 tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)ms);
	str_copy(out, 25, text);
}

void clock_minute(int64_t wall_ms, char out[24])
{
	char full[25];

	clock_format(wall_ms, full);
	snprintf(out, 24, "%.10s %.5sZ", full, full + 11);
}
