// SPDX-License-Identifier: Apache-2.0
/*
 * When something is due: a schedule in words becomes a row of slots (UTC ms, whole seconds). Pure: time is an argument.
 *
 *   cron 0 8 * * 1-5        five fields (minute hour day month weekday), lists, ranges, steps, names; also @hourly @daily @weekly @monthly @yearly
 *   every 15m               from the anchor on, without drift (s, m, h, d; at least 1m); in UTC, so a day is 24 hours
 *   at 2026-12-24 18:00     once; the wall clock of the zone (":SS" and "T" are fine), or RFC 3339 with Z or an offset
 *
 * A day of the month and a weekday that are both given match when either does (as crontab(5)).
 * Daylight saving: a cron whose hour field is a wildcard ("*", or "*" with a step) goes by what the clock shows: times that the clock skips do not occur, times that it
 * shows twice occur twice. With fixed hours a skipped time is due at the moment of the jump (once, however many were skipped), and a doubled one at
 * its first showing only. `at`: skipped = at the jump, doubled = the first.
 */
#ifndef CHELA_BASE_SLOTS_H
#define CHELA_BASE_SLOTS_H
#include "base/zone.h"

struct slots;
/* E_INVAL says what is wrong, where, and what would be right. anchor_ms: for `every`. */
struct slots *slots_parse(const char *spec, const char *zone, int64_t anchor_ms,
			  struct err *e) must_check;
void slots_free(struct slots *s); /* NULL is fine */
static inline void cleanup_slots_p(struct slots **s)
{
	slots_free(*s);
}
#define _cleanup_slots_ _cleanup_(cleanup_slots_p)
/* The first slot after this moment; false when there is none any more (at is over; 31 February: refused when parsed). Bounded work. */
bool slots_next(const struct slots *s, int64_t after_ms, int64_t *slot_ms);
bool slots_once(const struct slots *s);
const struct zone *slots_zone(const struct slots *s);
/* The spec in one spelling: blanks single, names as numbers are kept as written. Caller frees. */
char *slots_words(const struct slots *s);

#endif
