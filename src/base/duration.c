// SPDX-License-Identifier: Apache-2.0
/* See duration.h. Pure; it must never guess a unit: a bare number other than 0 is refused. */
#include "base/duration.h"
#include "base/str.h"

static const struct {
	const char *name;
	int64_t ms;
} units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};

void duration_format(int64_t ms, char out[24])
{
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		if (ms && ms % units[i].ms == 0) {
			snprintf(out, 24, "%lld%s", (long long)(ms / units[i].ms), units[i].name);
			return;
		}
	}
	str_copy(out, 24, "0");
}

/* -1 when it is no duration at all. */
static int parse(const char *s, int64_t *ms)
{
	struct err none = ERR_INIT;
	size_t n = strspn(s, "0123456789");
	char digits[16];
	int64_t v;

	if (!n || n >= sizeof(digits))
		return -1;
	snprintf(digits, sizeof(digits), "%.*s", (int)n, s);
	if (str_to_i64(digits, 0, 1000000000, &v, &none) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		if (streq(s + n, units[i].name)) {
			*ms = v * units[i].ms;
			return 0;
		}
	}
	*ms = 0;
	return s[n] || v ? -1 : 0;
}

int duration_parse(const char *s, int64_t min_ms, int64_t max_ms, int64_t *ms, struct err *e)
{
	char least[24], most[24];
	int64_t v;

	if (parse(s, &v) == 0 && v >= min_ms && v <= max_ms) {
		*ms = v;
		return 0;
	}
	duration_format(min_ms, least);
	duration_format(max_ms, most);
	return err_set(e, E_INVAL,
		       "\"%.40s\" is no duration from %s to %s, such as 30s, 10m, 2h or 7d", s,
		       least, most);
}
