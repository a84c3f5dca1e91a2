// SPDX-License-Identifier: Apache-2.0
/*
 * A schedule's words. The first byte chooses the zone, the next two when to begin, the rest is the text. What is taken has slots that
 * only go on, and are the same when its own words are read again, and from one moment before each. The text is also read as a zone's
 * rule and as a zone's name.
 */
#include "fuzz.h"
#include <string.h>
#include "base/slots.h"
#include "base/str.h"
#include "base/zone_rule.h"

static void rule(const char *text, size_t n)
{
	struct zone_rule r;

	if (!zone_rule_parse(&r, text, n))
		return;
	for (int64_t t = -4000000000; t < 8000000000; t += 1234567891) {
		int32_t offset = zone_rule_offset(&r, t, NULL);

		fuzz_check(offset == r.std_s || (r.dst && offset == r.dst_s));
	}
}

static void name(const char *text)
{
	struct err e = ERR_INIT;
	_cleanup_zone_ struct zone *z = zone_open(text, &e);

	fuzz_check(z || (e.code == E_INVAL && e.msg[0] && !strpbrk(e.msg, "\n\r")));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const char *const zones[] = {"UTC",	     "Europe/Berlin",
					    "Europe/Dublin", "Australia/Lord_Howe",
					    "Pacific/Apia",  "Africa/Casablanca"};
	static struct zone *kept[ARRAY_LEN(zones)]; /* open: what is cold is slow to read */
	struct err e = ERR_INIT;

	for (size_t i = 0; !kept[ARRAY_LEN(zones) - 1] && i < ARRAY_LEN(zones); i++)
		kept[i] = zone_open(zones[i], &e);
	if (n < 3)
		return 0;
	_cleanup_free_ char *text = xstrndup((const char *)data + 3, n - 3);
	const char *zone = zones[data[0] % ARRAY_LEN(zones)];
	int64_t at = ((int64_t)data[1] << 8 | data[2]) * 86400000LL * 2, before;
	_cleanup_slots_ struct slots *s = slots_parse(text, zone, at, &e), *again = NULL;

	rule(text, strlen(text));
	if (data[0] == 0xff && n < 16) /* slow: all names are compared */
		name(text);
	if (!s) {
		fuzz_check(e.code == E_INVAL && e.msg[0] && !strpbrk(e.msg, "\n\r"));
		return 0;
	}
	_cleanup_free_ char *words = slots_words(s);
	again = slots_parse(words, zone, at, &e);
	fuzz_check(again);
	for (int i = 0; i < 20; i++) {
		int64_t next, same;

		before = at;
		if (!slots_next(s, before, &next)) {
			fuzz_check(!slots_next(again, before, &same));
			break;
		}
		fuzz_check(next > before && next % 1000 == 0);
		fuzz_check(slots_next(again, next - 1, &same) && same == next);
		fuzz_check(slots_next(again, before + (next - before) / 2, &same) && same == next);
		at = next;
	}
	return 0;
}
