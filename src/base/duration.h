// SPDX-License-Identifier: Apache-2.0
/* Durations as people write them in commands: "30s", "10m", "2h", "7d", also "500ms"; "0" is none. */
#ifndef CHELA_BASE_DURATION_H
#define CHELA_BASE_DURATION_H
#include <stdint.h>
#include "base/err.h"
#include "base/mem.h"

/* E_INVAL says what was expected, with the limits in words. */
int duration_parse(const char *s, int64_t min_ms, int64_t max_ms, int64_t *ms,
		   struct err *e) must_check;
/* In the greatest unit that it is a whole number of: "90m", "1d", "0". Parses back to the same. */
void duration_format(int64_t ms, char out[24]);

#endif
