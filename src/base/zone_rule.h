// SPDX-License-Identifier: Apache-2.0
/*
 * The rule by which a zone goes on after the last change in its table: the footer of a TZif file (RFC 9636, section 3.3), a POSIX TZ
 * string with times from -167 to 167 hours. Only zone.c uses it.
 */
#ifndef CHELA_BASE_ZONE_RULE_H
#define CHELA_BASE_ZONE_RULE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct zone_rule_day {
	enum {
		ZONE_DAY_WEEK,
		ZONE_DAY_JULIAN,
		ZONE_DAY_NUMBER
	} kind;		      /* Mm.w.d, Jn (no 29 Feb), n */
	int month, week, day; /* day: weekday, or the day of the year */
	int32_t time_s;	      /* after midnight, by the clock until then */
};
struct zone_rule {
	bool dst;	      /* it has two halves; `to_dst` and `to_std` are set */
	int32_t std_s, dst_s; /* seconds east of UTC */
	char std_name[16], dst_name[16];
	struct zone_rule_day to_dst, to_std;
};

/* False when the text is no such rule. */
bool zone_rule_parse(struct zone_rule *r, const char *text, size_t n);
int32_t zone_rule_offset(const struct zone_rule *r, int64_t utc_s, const char **abbrev);

#endif
