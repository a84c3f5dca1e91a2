// SPDX-License-Identifier: Apache-2.0
/*
 * Time zones of the IANA database, by name (GLib underneath, hidden). It knows the rules for all of the past and the future that the
 * database tells, and never the zone of this machine: a zone is always named. The database is the system's (/usr/share/zoneinfo, or
 * $TZDIR); an open zone keeps the rules it was opened with.
 */
#ifndef CHELA_BASE_ZONE_H
#define CHELA_BASE_ZONE_H
#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "base/mem.h"

#define ZONE_NAME_MAX 63

struct zone;
/* "Europe/Berlin", "UTC". E_INVAL names the nearest one that is there. Names with "..", "/" at the start or odd characters are refused.
 * Cold, it costs 0.3 ms (GLib spreads the rules over the years); 5 us when a zone of that name is open already: who opens many
 * keeps those that come again (zones_keep). */
struct zone *zone_open(const char *name, struct err *e) must_check;
void zone_close(struct zone *z); /* NULL is fine */
static inline void cleanup_zone_p(struct zone **z)
{
	zone_close(*z);
}
#define _cleanup_zone_ _cleanup_(cleanup_zone_p)
const char *zone_name(const struct zone *z);
/* Seconds east of UTC at this moment; abbrev (may be NULL) is borrowed: "CET". */
int32_t zone_offset(const struct zone *z, int64_t utc_s, const char **abbrev);
/* Whether the offset changes in (from_s, to_s], and when first. The two are at most three days apart. */
bool zone_change(const struct zone *z, int64_t from_s, int64_t to_s, int64_t *at_s);

/* Zones that are kept open so that opening them again is cheap: the last few names. All zero is empty. */
#define ZONES_KEPT 16
struct zones {
	struct zone *kept[ZONES_KEPT];
	size_t next;
};
void zones_keep(struct zones *k,
		const char *name); /* a name that is not there is left to zone_open */
void zones_drop(struct zones *k);

/* A wall clock's time as seconds since 1970-01-01T00:00:00 on that clock. */
enum zone_fit {
	ZONE_ONCE,    /* *utc_s is that moment */
	ZONE_TWICE,   /* the clock showed it twice: *utc_s the first time, *second_s the other */
	ZONE_SKIPPED, /* the clock never showed it: *utc_s is the moment at which it jumped over it */
};
enum zone_fit zone_utc(const struct zone *z, int64_t wall_s, int64_t *utc_s, int64_t *second_s);
/* "Mon 2026-11-23 08:00 CET" */
void zone_format(const struct zone *z, int64_t utc_ms, char out[40]);

#endif
