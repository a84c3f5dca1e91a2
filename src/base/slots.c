// SPDX-License-Identifier: Apache-2.0
/*
 * The next slot of a schedule. Here is what the header promises about clocks that jump; calendars are cron.c, zones are zone.c.
 * Must never go through a stretch of time step by step: the work of one call is bounded by SLOTS_SEARCH_YEARS of matches at worst.
 */
#include "base/slots.h"
#include <string.h>
#include "base/civil.h"
#include "base/slots_impl.h"
#include "base/str.h"

#define YEAR_S	  (366LL * DAY_S)
#define NEAR_S	  (2LL * DAY_S)	   /* how far ahead a jump of the clock is looked for in one go */
#define BACK_S	  (28LL * 3600)	   /* more than any two offsets differ */
#define FIRST_S	  (-62135596800LL) /* the years 1 to 9999 */
#define LAST_S	  253402300799LL
#define TRIES_MAX 4096 /* never reached: each try is a match, a jump or a stretch of years */

/* By what the clock shows: from one jump of the clock to the next the offset is the same, and a match is a moment. */
static bool next_by_clock(const struct slots *s, int64_t from, int64_t *slot)
{
	int64_t last = from + SLOTS_SEARCH_YEARS * YEAR_S, at, jump;

	for (int i = 0; i < TRIES_MAX && from <= last; i++) {
		int32_t offset = zone_offset(s->zone, from, NULL);
		int64_t until;

		if (!cron_match(&s->cron, from + offset, &at))
			return false;
		at -= offset;
		until = at < from + NEAR_S ? at : from + NEAR_S;
		if (zone_change(s->zone, from, until, &jump))
			from = jump;
		else if (until == at) {
			*slot = at;
			return at <= last;
		} else if (at - BACK_S > from)
			from = at - BACK_S; /* no clock shows a match before that */
		else
			from = until;
	}
	return false;
}

/* By fixed hours: each match of the wall clock has its one moment, and later matches never have earlier ones. */
static bool next_fixed(const struct slots *s, int64_t from, int64_t *slot)
{
	/* One past what was shown last: when the clock jumps at `from` itself, what it skips is still to come. */
	int64_t wall = from + zone_offset(s->zone, from - 1, NULL), at, second = 0;

	for (int i = 0; i < TRIES_MAX; i++) {
		enum zone_fit fit;

		if (!cron_match(&s->cron, wall, &wall))
			return false;
		fit = zone_utc(s->zone, wall, &at, &second);
		if (at >= from) {
			*slot = at;
			return true;
		}
		/* It was shown before: go on behind the stretch that is shown twice. */
		if (fit == ZONE_TWICE && zone_change(s->zone, at, second, &second))
			wall = second + zone_offset(s->zone, at, NULL);
		else
			wall += 60;
	}
	return false;
}

bool slots_next(const struct slots *s, int64_t after_ms, int64_t *slot_ms)
{
	int64_t from = after_ms / 1000 - (after_ms % 1000 < 0) + 1, slot = 0;
	bool found = false;

	if (from < FIRST_S)
		from = FIRST_S;
	if (from > LAST_S)
		return false;
	switch (s->kind) {
	case SLOTS_CRON:
		found = s->cron.clock ? next_by_clock(s, from, &slot) : next_fixed(s, from, &slot);
		break;
	case SLOTS_EVERY:
		slot = s->anchor_s;
		if (slot < from)
			slot += (from - slot + s->every_s - 1) / s->every_s * s->every_s;
		found = true;
		break;
	case SLOTS_AT:
		slot = s->at_s;
		found = slot >= from;
		break;
	}
	if (!found || slot > LAST_S)
		return false;
	*slot_ms = slot * 1000;
	return true;
}

bool slots_once(const struct slots *s)
{
	return s->kind == SLOTS_AT;
}

const struct zone *slots_zone(const struct slots *s)
{
	return s->zone;
}

char *slots_words(const struct slots *s)
{
	return xstrdup(s->words);
}

void slots_free(struct slots *s)
{
	if (!s)
		return;
	zone_close(s->zone);
	free(s);
}
