// SPDX-License-Identifier: Apache-2.0
/*
 * A schedule's words. They come from people and from agents, so that each refusal is one line that says what would be right.
 */
#include <string.h>
#include <strings.h>
#include "base/civil.h"
#include "base/slots_impl.h"
#include "base/str.h"

#define EVERY_MIN_S 60
#define EVERY_MAX_S (3650LL * DAY_S)

/* Copies with single blanks, none at the ends. */
static int one_spelling(const char *spec, char out[SLOTS_WORDS_MAX + 1], struct err *e)
{
	size_t n = 0;
	bool gap = false;

	for (; *spec; spec++) {
		if (*spec == ' ' || (*spec >= '\t' && *spec <= '\r')) {
			gap = n > 0;
			continue;
		}
		if (*spec < ' ' || *spec > '~')
			return err_set(e, E_INVAL, "a schedule is plain letters, digits and signs");
		if (n + gap >= SLOTS_WORDS_MAX)
			return err_set(e, E_INVAL, "a schedule has at most %d characters",
				       SLOTS_WORDS_MAX);
		if (gap)
			out[n++] = ' ';
		gap = false;
		out[n++] = *spec;
	}
	out[n] = '\0';
	return 0;
}

/* -- every */

static int64_t unit_s(char c)
{
	static const char units[] = "smhd";
	static const int64_t seconds[] = {1, 60, 3600, DAY_S};
	const char *at = c ? strchr(units, c | 0x20) : NULL;

	return at ? seconds[at - units] : 0;
}

static int parse_every(struct slots *s, const char *text, struct err *e)
{
	const char *p = text;
	int64_t sum = 0;

	if (!*text)
		return err_set(e, E_INVAL, "every needs a time, as in: every 15m");
	while (*p) {
		const char *start = p;
		int64_t v = 0, unit;

		for (; *p >= '0' && *p <= '9'; p++)
			v = v < EVERY_MAX_S ? v * 10 + (*p - '0') : v;
		unit = unit_s(*p);
		if (p == start || (*p && !unit))
			return err_set(
				e, E_INVAL,
				"every %.40s: write numbers with s, m, h or d, as in 15m or 1h30m",
				text);
		if (!*p)
			return err_set(e, E_INVAL, "every %.40s: %.20s of what? s, m, h or d", text,
				       start);
		p++;
		sum += (v < EVERY_MAX_S ? v : EVERY_MAX_S) * unit;
		if (sum > EVERY_MAX_S)
			return err_set(e, E_INVAL, "every %.40s is too long: at most 3650d", text);
	}
	if (sum < EVERY_MIN_S)
		return err_set(e, E_INVAL, "every %.40s is too often: at least 1m", text);
	s->kind = SLOTS_EVERY;
	s->every_s = sum;
	return 0;
}

/* -- at */

static bool digits(const char **p, int n, int *out)
{
	int v = 0;

	for (; n; n--, (*p)++) {
		if (**p < '0' || **p > '9')
			return false;
		v = v * 10 + (**p - '0');
	}
	*out = v;
	return true;
}

static bool sign(const char **p, char c)
{
	if (**p != c)
		return false;
	(*p)++;
	return true;
}

/* What follows the time: "", "Z" or "+01:00". */
static bool offset_of(const char *p, bool *absolute, int64_t *offset_s)
{
	int h, m, dir = *p == '-' ? -1 : 1;

	*absolute = true;
	*offset_s = 0;
	if (*p == 'Z' || *p == 'z')
		return p[1] == '\0';
	if (*p == '\0') {
		*absolute = false;
		return true;
	}
	if ((*p != '+' && *p != '-') || (p++, !digits(&p, 2, &h)) || !sign(&p, ':') ||
	    !digits(&p, 2, &m) || *p || h > 23 || m > 59)
		return false;
	*offset_s = dir * (h * 3600LL + m * 60LL);
	return true;
}

static int parse_at(struct slots *s, const char *text, struct err *e)
{
	int year, month, day, hour, minute, second = 0;
	int64_t wall, offset, other;
	const char *p = text;
	bool absolute;

	if (!digits(&p, 4, &year) || !sign(&p, '-') || !digits(&p, 2, &month) || !sign(&p, '-') ||
	    !digits(&p, 2, &day) || (!sign(&p, ' ') && !sign(&p, 'T') && !sign(&p, 't')) ||
	    !digits(&p, 2, &hour) || !sign(&p, ':') || !digits(&p, 2, &minute))
		goto malformed;
	if (sign(&p, ':')) {
		if (!digits(&p, 2, &second))
			goto malformed;
		if (sign(&p, '.')) {
			if (*p < '0' || *p > '9')
				goto malformed;
			p += strspn(p, "0123456789");
		}
	}
	if (!offset_of(*p == ' ' ? p + 1 : p, &absolute, &offset))
		goto malformed;
	if (year < 1970)
		return err_set(e, E_INVAL, "year %04d is long over", year);
	if (month < 1 || month > 12)
		return err_set(e, E_INVAL, "month %02d is out of 01-12", month);
	if (day < 1 || day > civil_month_days(year, month))
		return err_set(e, E_INVAL, "%04d-%02d has no day %02d", year, month, day);
	if (hour > 23 || minute > 59 || second > 59)
		return err_set(e, E_INVAL, "time %02d:%02d:%02d is out of 00:00:00-23:59:59", hour,
			       minute, second);
	wall = civil_days(year, month, day) * DAY_S + hour * 3600 + minute * 60 + second;
	if (absolute)
		s->at_s = wall - offset;
	else
		(void)zone_utc(s->zone, wall, &s->at_s, &other);
	s->kind = SLOTS_AT;
	return 0;
malformed:
	return err_set(
		e, E_INVAL,
		"at %.40s: write at 2026-12-24 18:00, or with Z or an offset: 2026-12-24T18:00:00+01:00",
		text);
}

/* -- The whole. */

static int parse_cron(struct slots *s, const char *text, struct err *e)
{
	if (!*text)
		return err_set(
			e, E_INVAL,
			"cron needs five fields: minute hour day month weekday, as in cron 0 8 * * 1-5");
	s->kind = SLOTS_CRON;
	return cron_parse(&s->cron, text, e);
}

static const struct {
	const char *word;
	int (*parse)(struct slots *s, const char *text, struct err *e);
} kinds[] = {{"cron", parse_cron}, {"every", parse_every}, {"at", parse_at}};

static bool is_bare_cron(const char *text)
{
	int blanks = 0;

	if (*text == '@')
		return true;
	for (const char *p = text; *p; p++)
		blanks += *p == ' ';
	return blanks == 4 && (*text == '*' || (*text >= '0' && *text <= '9'));
}

struct slots *slots_parse(const char *spec, const char *zone, int64_t anchor_ms, struct err *e)
{
	_cleanup_slots_ struct slots *s = xcalloc(1, sizeof(*s));
	char text[SLOTS_WORDS_MAX + 1];
	size_t word, kind = ARRAY_LEN(kinds);

	if (one_spelling(spec, text, e) < 0)
		return NULL;
	word = strcspn(text, " ");
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (strlen(kinds[i].word) == word && !strncasecmp(text, kinds[i].word, word))
			kind = i;
	if (kind == ARRAY_LEN(kinds) && is_bare_cron(text)) {
		kind = 0;
		word = 0;
	}
	if (kind == ARRAY_LEN(kinds)) {
		err_set(e, E_INVAL,
			"a schedule begins with cron, every or at: cron 0 8 * * 1-5, every 15m, at 2026-12-24 18:00");
		return NULL;
	}
	s->zone = zone_open(zone, e);
	if (!s->zone)
		return NULL;
	s->anchor_s = anchor_ms / 1000 - (anchor_ms % 1000 < 0);
	word += text[word] == ' ';
	if (kinds[kind].parse(s, text + word, e) < 0)
		return NULL;
	/* "cron" may be the longer by what was left out */
	if (strlen(kinds[kind].word) + 1 + strlen(text + word) > SLOTS_WORDS_MAX) {
		err_set(e, E_INVAL, "a schedule has at most %d characters", SLOTS_WORDS_MAX);
		return NULL;
	}
	snprintf(s->words, sizeof(s->words), "%s %s", kinds[kind].word, text + word);
	return steal_ptr(&s);
}
