// SPDX-License-Identifier: Apache-2.0
/*
 * What slots_parse.c hands to slots.c.
 */
#ifndef CHELA_BASE_SLOTS_IMPL_H
#define CHELA_BASE_SLOTS_IMPL_H
#include "base/slots.h"

#define SLOTS_SEARCH_YEARS 100 /* 29 February on a given weekday may be 40 years away */

/* Bits of what matches. */
struct cron {
	uint64_t minutes;
	uint32_t hours, days; /* day 1 is bit 1 */
	uint16_t months;      /* January is bit 1 */
	uint8_t weekdays;     /* Sunday is bit 0 */
	bool clock;	      /* the hour field begins with "*": by what the clock shows */
	bool either;	      /* day and weekday are both given: one of them is enough */
};

struct slots {
	enum {
		SLOTS_CRON,
		SLOTS_EVERY,
		SLOTS_AT
	} kind;
	struct cron cron;
	int64_t anchor_s, every_s, at_s;
	struct zone *zone;
	char words[SLOTS_WORDS_MAX + 1];
};

/* `text` is the rest behind "cron ", in single blanks. */
int cron_parse(struct cron *c, const char *text, struct err *e) must_check;
/* The first minute of a wall clock, not before wall_s, that matches; false when there is none in SLOTS_SEARCH_YEARS. */
bool cron_match(const struct cron *c, int64_t wall_s, int64_t *match_s);
/* Whether any day of any year matches. */
bool cron_possible(const struct cron *c);

#endif
