// SPDX-License-Identifier: Apache-2.0
/*
 * Zones by name. GLib reads the table of changes that the database holds for a zone; for the time after the table's last change the
 * zone's own rule goes on (zone_rule.c says why it is not left to GLib). Here because libc knows one zone a process at a time, by an
 * environment variable. Must never fall back to another zone than the one that was named.
 */
#include "base/zone.h"
#include <endian.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/civil.h"
#include "base/str.h"
#include "base/zone_rule.h"

#define FILE_MAX  ((size_t)256 << 10) /* real ones: up to 4 KiB; the list of names: 110 KiB */
#define WEST_S	  (16 * 3600)	      /* no clock was ever farther from UTC than this */
#define NAMES_MAX 1024
#define CHANGE_STEPS                                                                               \
	6 /* pieces in which a stretch is looked at, so that a change there and back is not missed */

struct zone {
	char name[ZONE_NAME_MAX + 1];
	GTimeZone *table;
	int64_t table_end_s; /* from here on the rule holds; INT64_MAX when there is none */
	struct zone_rule rule;
};

static char *read_file(const char *name, size_t *n)
{
	const char *dir = getenv("TZDIR");
	_cleanup_free_ char *path =
		xasprintf("%s/%s", dir && *dir ? dir : "/usr/share/zoneinfo", name);
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	struct stat st;
	char *p;

	if (!f || fstat(fileno(f), &st) < 0 || !S_ISREG(st.st_mode) || st.st_size <= 0 ||
	    (size_t)st.st_size > FILE_MAX)
		return NULL;
	p = xmalloc((size_t)st.st_size + 1);
	*n = fread(p, 1, (size_t)st.st_size, f);
	p[*n] = '\0';
	return p;
}

/* -- Finding the one that was meant. */

static const char *last_part(const char *name)
{
	const char *slash = strrchr(name, '/');

	return slash ? slash + 1 : name;
}

/* The names in tzdata.zi, which is lines of words: "Z NAME ..." and "L TARGET NAME". They point into `text`. */
static void names_of(char *text, const char *names[NAMES_MAX + 1])
{
	size_t n = 0;

	for (char *line = text, *next; line && n < NAMES_MAX; line = next) {
		char *word = line + 2;

		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		if (line[0] == 'L' && line[1] == ' ')
			word = strchr(word, ' ') ? strchr(word, ' ') + 1 : NULL;
		else if (line[0] != 'Z' || line[1] != ' ')
			word = NULL;
		if (!word)
			continue;
		word[strcspn(word, " ")] = '\0';
		if (strlen(word) <= ZONE_NAME_MAX)
			names[n++] = word;
	}
	names[n] = NULL;
}

static int unknown(const char *name, struct err *e)
{
	const char *names[NAMES_MAX + 1], *hit = NULL;
	char meant[ZONE_NAME_MAX + 1];
	size_t n;
	_cleanup_free_ char *text = read_file("tzdata.zi", &n);

	if (!text)
		return err_set(e, E_INVAL,
			       "no time zone \"%s\" (is Debian's package tzdata installed?)", name);
	str_copy(meant, sizeof(meant), name);
	for (char *p = meant; *p; p++)
		*p = *p == ' ' ? '_' : *p;
	names_of(text, names);
	for (size_t i = 0; names[i] && !hit; i++)
		if (!strcasecmp(names[i], meant))
			hit = names[i];
	for (size_t i = 0; names[i] && !hit; i++)
		if (!strcasecmp(last_part(names[i]), meant))
			hit = names[i];
	if (!hit)
		hit = str_nearest(meant, names);
	if (hit)
		return err_set(e, E_INVAL, "no time zone \"%s\"; did you mean %s?", name, hit);
	return err_set(
		e, E_INVAL,
		"no time zone \"%s\"; name one as the IANA database does: Europe/Berlin, UTC",
		name);
}

/* -- Opening. */

static bool name_good(const char *name)
{
	size_t n = strlen(name);

	if (!n || n > ZONE_NAME_MAX || name[0] == '/' || name[0] == '-' || name[0] == '+' ||
	    strstr(name, "..") || strstr(name, "//") || name[n - 1] == '/')
		return false;
	for (; *name; name++)
		if (!(*name >= 'a' && *name <= 'z') && !(*name >= 'A' && *name <= 'Z') &&
		    !(*name >= '0' && *name <= '9') && !strchr("/_-+", *name))
			return false;
	return true;
}

static uint32_t be32_at(const char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return be32toh(v);
}

/* The size of the block of data behind a TZif header, whose times have t bytes; 0 when it does not fit into n. */
static size_t block_size(const char *head, size_t n, size_t t)
{
	size_t utc = be32_at(head + 20), std = be32_at(head + 24), leap = be32_at(head + 28);
	size_t times = be32_at(head + 32), types = be32_at(head + 36), chars = be32_at(head + 40);
	size_t size = 44 + times * (t + 1) + types * 6 + chars + leap * (t + 4) + std + utc;

	return size <= n && types ? size : 0;
}

/* When the table ends, and the rule after it (RFC 9636, section 3). A file without a rule leaves all to the table. */
static bool read_rule(struct zone *z, const char *p, size_t n)
{
	size_t first, second, times;
	const char *end;

	z->table_end_s = INT64_MAX;
	if (n < 44 || memcmp(p, "TZif", 4) != 0)
		return false;
	if (p[4] < '2')
		return true;
	first = block_size(p, n, 4);
	if (!first || n - first < 44 || memcmp(p + first, "TZif", 4) != 0)
		return false;
	p += first;
	n -= first;
	second = block_size(p, n, 8);
	if (!second)
		return false;
	times = be32_at(p + 32);
	p += second;
	n -= second;
	if (n < 2 || p[0] != '\n' || !(end = memchr(p + 1, '\n', n - 1)) || end == p + 1)
		return true;
	if (!zone_rule_parse(&z->rule, p + 1, (size_t)(end - p - 1)))
		return true;
	z->table_end_s = INT64_MIN;
	if (times) {
		uint64_t last;

		memcpy(&last, p - second + 44 + (times - 1) * 8, sizeof(last));
		z->table_end_s = (int64_t)be64toh(last);
	}
	return true;
}

struct zone *zone_open(const char *name, struct err *e)
{
	_cleanup_zone_ struct zone *z = NULL;
	_cleanup_free_ char *file = NULL;
	char shown[ZONE_NAME_MAX + 1];
	size_t n = 0;

	str_one_line(shown, sizeof(shown), name);
	/* Other views of the database, and the machine's own zone */
	if (!name_good(name) || str_starts(name, "right/") || str_starts(name, "posix/") ||
	    streq(name, "localtime") || !(file = read_file(name, &n))) {
		(void)unknown(shown, e);
		return NULL;
	}
	z = xcalloc(1, sizeof(*z));
	str_copy(z->name, sizeof(z->name), name);
	if (read_rule(z, file, n))
		z->table = g_time_zone_new_identifier(name);
	if (!z->table) {
		(void)unknown(shown, e);
		return NULL;
	}
	return steal_ptr(&z);
}

void zone_close(struct zone *z)
{
	if (!z)
		return;
	if (z->table)
		g_time_zone_unref(z->table);
	free(z);
}

const char *zone_name(const struct zone *z)
{
	return z->name;
}

void zones_keep(struct zones *k, const char *name)
{
	struct err none = ERR_INIT;
	struct zone *z;

	for (size_t i = 0; i < ZONES_KEPT && k->kept[i]; i++)
		if (streq(k->kept[i]->name, name))
			return;
	z = zone_open(name, &none);
	if (!z)
		return;
	zone_close(k->kept[k->next]);
	k->kept[k->next] = z;
	k->next = (k->next + 1) % ZONES_KEPT;
}

void zones_drop(struct zones *k)
{
	for (size_t i = 0; i < ZONES_KEPT; i++)
		zone_close(k->kept[i]);
	*k = (struct zones){0};
}

/* -- Clocks. */

int32_t zone_offset(const struct zone *z, int64_t utc_s, const char **abbrev)
{
	int i;

	if (utc_s >= z->table_end_s)
		return zone_rule_offset(&z->rule, utc_s, abbrev);
	i = g_time_zone_find_interval(z->table, G_TIME_TYPE_UNIVERSAL, utc_s);
	if (i < 0)
		i = 0;
	if (abbrev)
		*abbrev = g_time_zone_get_abbreviation(z->table, i);
	return g_time_zone_get_offset(z->table, i);
}

bool zone_change(const struct zone *z, int64_t from_s, int64_t to_s, int64_t *at_s)
{
	int64_t step = (to_s - from_s) / CHANGE_STEPS + 1, lo = from_s, hi = from_s;
	int32_t before = zone_offset(z, from_s, NULL);

	for (;; lo = hi) {
		if (lo >= to_s)
			return false;
		hi = lo + step < to_s ? lo + step : to_s;
		if (zone_offset(z, hi, NULL) != before)
			break;
	}
	while (hi - lo > 1) {
		int64_t mid = lo + (hi - lo) / 2;

		if (zone_offset(z, mid, NULL) == before)
			lo = mid;
		else
			hi = mid;
	}
	*at_s = hi;
	return true;
}

enum zone_fit zone_utc(const struct zone *z, int64_t wall_s, int64_t *utc_s, int64_t *second_s)
{
	int64_t from = wall_s - WEST_S, to = wall_s + WEST_S, at;
	int32_t before = zone_offset(z, from, NULL), after = before;

	if (zone_change(z, from, to, &at))
		after = zone_offset(z, at, NULL);
	if (before == after) {
		*utc_s = wall_s - before;
		return ZONE_ONCE;
	}
	*utc_s = wall_s - before;
	if (*utc_s < at) {
		*second_s = wall_s - after;
		return *second_s >= at ? ZONE_TWICE : ZONE_ONCE;
	}
	*utc_s = wall_s - after;
	if (*utc_s >= at)
		return ZONE_ONCE;
	*utc_s = at;
	return ZONE_SKIPPED;
}

void zone_format(const struct zone *z, int64_t utc_ms, char out[40])
{
	static const char *const names[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	int64_t utc_s = (utc_ms - (utc_ms < 0 ? 999 : 0)) / 1000, wall, days;
	const char *abbrev = "";
	struct civil c;
	int of_day;

	wall = utc_s + zone_offset(z, utc_s, &abbrev);
	days = civil_day_of(wall);
	of_day = (int)(wall - days * DAY_S);
	c = civil_of(days);
	if (c.year < 0 || c.year > 9999) /* no date of a person's */
		c = (struct civil){9999, 12, 31};
	snprintf(out, 40, "%s %04d-%02d-%02d %02d:%02d %.15s", names[civil_weekday(days)],
		 (int)c.year, c.month, c.day, of_day / 3600, of_day / 60 % 60, abbrev);
}
