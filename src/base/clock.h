// SPDX-License-Identifier: Apache-2.0
/*
 * Time as an argument. Code that stores or compares time takes a `const struct clock *`; tests
 * pass one of their own. Wall time is UTC milliseconds since 1970; mono never goes back.
 */
#ifndef CHELA_BASE_CLOCK_H
#define CHELA_BASE_CLOCK_H
#include <stdint.h>

struct clock {
	int64_t (*wall_ms)(const struct clock *);
	int64_t (*mono_us)(const struct clock *);
	int64_t fixed_ms; /* used by clock_fixed only */
};
extern const struct clock clock_system;
/* A test clock that stands at ms (mono = ms * 1000); move it by writing fixed_ms. */
struct clock clock_fixed(int64_t ms);

static inline int64_t clock_wall(const struct clock *c)
{
	return c->wall_ms(c);
}
static inline int64_t clock_mono(const struct clock *c)
{
	return c->mono_us(c);
}
/* RFC 3339 UTC with milliseconds, 25 bytes with NUL. */
void clock_format(int64_t wall_ms, char out[25]);
/* For a list: "2026-03-01 08:30Z". */
void clock_minute(int64_t wall_ms, char out[24]);

#endif
