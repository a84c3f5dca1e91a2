// SPDX-License-Identifier: Apache-2.0
/*
 * The schedule engine as a filter, for tests/schedule/test_slots.py. Each line of input is
 *   ZONE|ANCHOR_MS|AFTER_MS|UNTIL_MS|SPEC
 * and its answer the slots after AFTER_MS up to UNTIL_MS, one a line in seconds, then a line "."; or "! " and the refusal. Test only.
 * With --time it says instead what slots_parse and slots_next cost.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/slots.h"
#include "base/str.h"

static int64_t number(const char *text)
{
	struct err e = ERR_INIT;
	int64_t v;

	if (str_to_i64(text, INT64_MIN, INT64_MAX, &v, &e) < 0)
		die(e.msg);
	return v;
}

static void answer(char *line)
{
	char *part[5], *p = line;
	struct err e = ERR_INIT;
	int64_t slot, after, until;

	for (size_t i = 0; i < ARRAY_LEN(part); i++) {
		part[i] = p;
		if (i + 1 == ARRAY_LEN(part))
			break;
		p = strchr(p, '|');
		if (!p)
			die("a line has five parts");
		*p++ = '\0';
	}
	_cleanup_slots_ struct slots *s = slots_parse(part[4], part[0], number(part[1]), &e);
	if (!s) {
		printf("! %s\n", e.msg);
		return;
	}
	until = number(part[3]);
	for (after = number(part[2]); slots_next(s, after, &slot) && slot <= until; after = slot) {
		if (slot <= after || slot % 1000)
			die("a slot is not after the last, or no whole second");
		printf("%" PRId64 "\n", slot / 1000);
	}
	puts(".");
}

static void measure(const char *zone, const char *spec)
{
	enum {
		PARSES = 2000,
		NEXTS = 20000
	};
	const struct clock *c = &clock_system;
	int64_t t0, t1, worst = 0, slot = 1767225600000; /* 2026 */
	struct err e = ERR_INIT;
	struct slots *s = NULL;

	t0 = clock_mono(c);
	for (int i = 0; i < PARSES; i++) {
		slots_free(s);
		s = slots_parse(spec, zone, 0, &e);
		if (!s)
			die(e.msg);
	}
	t1 = clock_mono(c);
	printf("%-28s %-20s parse %6.2f us", spec, zone, (double)(t1 - t0) / PARSES);
	t0 = t1;
	for (int i = 0; i < NEXTS; i++) {
		int64_t a = clock_mono(c), b;

		if (!slots_next(s, slot, &slot))
			slot = 1767225600000;
		b = clock_mono(c);
		worst = b - a > worst ? b - a : worst;
	}
	t1 = clock_mono(c);
	printf("  next %7.0f ns, worst %lld us\n", (double)(t1 - t0) * 1000 / NEXTS,
	       (long long)worst);
	slots_free(s);
}

int main(int argc, char **argv)
{
	char line[1024];

	if (argc > 1 && streq(argv[1], "--time")) {
		static const char *const zones[] = {"UTC", "Europe/Berlin", "Asia/Beirut"};

		for (size_t i = 0; i < ARRAY_LEN(zones); i++) {
			measure(zones[i], "cron * * * * *");
			measure(zones[i], "cron 0 8 * * 1-5");
			measure(zones[i], "cron 0 0 29 2 */7");
			measure(zones[i], "cron 30 */23 29 2 */7");
			measure(zones[i], "every 15m");
		}
		return 0;
	}
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		answer(line);
		fflush(stdout);
	}
	return 0;
}
