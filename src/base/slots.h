// SPDX-License-Identifier: Apache-2.0
/*
 * When something is due: a schedule in words becomes a row of slots (UTC ms, whole seconds). Pure: time is an argument.
 *
 *   cron 0 8 * * 1-5        five fields (minute hour day month weekday): lists, ranges, steps (on "*" or a range), names (jan, mon); weekday
 *                           0 and 7 are Sunday, which may end a range (sat-sun). Also @hourly @daily @weekly @monthly @yearly (@midnight, @annually)
 *   every 15m               the anchor and every so long after it, without drift (s, m, h, d, or 1h30m; at least 1m); in UTC: a day is 24 hours
 *   at 2026-12-24 18:00     once; the wall clock of the zone (":SS" and "T" are fine), or RFC 3339 with Z or an offset (parts of a second drop)
 *
 * "cron" may be left out before five fields or an @form. A day of the month and a weekday that are both given match when either does;
 * when one of them begins with "*", both must (as crontab(5)).
 *
 * Daylight saving: a cron whose hour field begins with "*" goes by what the clock shows: times that the clock skips do not occur, times
 * that it shows twice occur twice. With fixed hours a skipped time is due at the moment of the jump (once, however many were skipped),
 * and a doubled one at its first showing only. `at`: skipped = at the jump, doubled = the first.
 */
#ifndef CHELA_BASE_SLOTS_H
#define CHELA_BASE_SLOTS_H
#include "base/zone.h"

#define SLOTS_WORDS_MAX 200

struct slots;
/* E_INVAL says what is wrong, where, and what would be right. anchor_ms: for `every`. An `at` that is over is no error here. */
struct slots *slots_parse(const char *spec, const char *zone, int64_t anchor_ms,
			  struct err *e) must_check;
void slots_free(struct slots *s); /* NULL is fine */
static inline void cleanup_slots_p(struct slots **s)
{
	slots_free(*s);
}
#define _cleanup_slots_ _cleanup_(cleanup_slots_p)
/* The first slot after this moment; false when there is none any more: `at` is over, or none within 100 years. What can never match
 * (31 February) is refused when parsed. Bounded work. */
bool slots_next(const struct slots *s, int64_t after_ms, int64_t *slot_ms);
bool slots_once(const struct slots *s);
const struct zone *slots_zone(const struct slots *s);
/* The spec in one spelling: blanks single, the first word in small letters and never left out. Caller frees. */
char *slots_words(const struct slots *s);

#endif
