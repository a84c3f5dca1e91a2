// SPDX-License-Identifier: Apache-2.0
/* Exponential back-off with jitter; see backoff.h. */
#include "base/backoff.h"
#include <sys/random.h>

int64_t backoff_ms(int64_t tries, int64_t least_ms, int64_t most_ms)
{
	int64_t ms = least_ms;
	uint16_t rnd = 0;

	while (tries-- > 0 && ms < most_ms)
		ms *= 2;
	if (ms > most_ms)
		ms = most_ms;
	if (getrandom(&rnd, sizeof(rnd), GRND_NONBLOCK) < 0)
		rnd = 0;
	return ms + ms * (rnd & 1023) / 4096;
}
