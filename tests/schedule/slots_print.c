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
#include <time.h>
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

/* Of this thread: what else the machine does is left out. */
static int64_t work_ns(void)
{
	struct timespec t;

	if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) < 0)
		die("no clock of this thread");
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void measure(const char *zone, const char *spec)
{
	enum {
		PARSES = 2000,
		NEXTS = 20000
	};
	int64_t t0, t1, worst = 0, slot = 1767225600000; /* 2026 */
	struct err e = ERR_INIT;
	struct slots *s = NULL;

	t0 = work_ns();
	for (int i = 0; i < PARSES; i++) {
		slots_free(s);
		s = slots_parse(spec, zone, 0, &e);
		if (!s)
			die(e.msg);
	}
	t1 = work_ns();
	printf("%-28s %-20s parse %6.2f us", spec, zone, (double)(t1 - t0) / PARSES / 1000);
	t0 = t1;
	for (int i = 0; i < NEXTS; i++) {
		int64_t a = work_ns(), b;

		if (!slots_next(s, slot, &slot))
			slot = 1767225600000;
		b = work_ns();
		worst = b - a > worst ? b - a : worst;
	}
	t1 = work_ns();
	printf("  next %7.0f ns, worst %lld us\n", (double)(t1 - t0) / NEXTS,
	       (long long)worst / 1000);
	slots_free(s);
}

int main(int argc, char **argv)
{
	char line[1024];

	if (argc > 1 && streq(argv[1], "--time")) {
		static const char *const zones[] = {"UTC", "Europe/Berlin", "Asia/Beirut"};
		struct zones kept = {0};

		for (size_t i = 0; i < ARRAY_LEN(zones); i++) {
			int64_t t0 = work_ns();

			zones_keep(&kept, zones[i]);
			printf("%s opened in %lld us\n", zones[i],
			       (long long)(work_ns() - t0) / 1000);
			measure(zones[i], "cron * * * * *");
			measure(zones[i], "cron 0 8 * * 1-5");
			measure(zones[i], "cron 0 0 29 2 */7");
			measure(zones[i], "cron 30 */23 29 2 */7");
			measure(zones[i], "every 15m");
		}
		zones_drop(&kept);
		return 0;
	}
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		answer(line);
		fflush(stdout);
	}
	return 0;
}
