// SPDX-License-Identifier: Apache-2.0
/*
 * How long to wait before the next try: doubling from a least to a most, with up to a quarter more at random, so that many who failed
 * together do not come back together.
 */
#ifndef CHELA_BASE_BACKOFF_H
#define CHELA_BASE_BACKOFF_H
#include <stdint.h>

/* tries: how many have failed before this one (0 = the first failure). ms. */
int64_t backoff_ms(int64_t tries, int64_t least_ms, int64_t most_ms);

#endif
