// SPDX-License-Identifier: Apache-2.0
/* The map against a plain array as its oracle, over many random puts and removals. */
#include "base/map.h"
#include <stdlib.h>
#include <string.h>
#include "unit.h"

#define KEYS 500

static void against_oracle(void **state)
{
	struct map m = {0};
	void *truth[KEYS] = {0};
	unsigned seed = 4711;
	size_t n = 0;

	(void)state;
	assert_null(map_get(&m, 1));
	map_del(&m, 1);
	for (int i = 0; i < 50000; i++) {
		unsigned k = (unsigned)rand_r(&seed) % KEYS;
		int64_t key = (int64_t)k * (k & 1 ? 1 : 1LL << 33) - 7;

		if (rand_r(&seed) % 3) {
			n += !truth[k];
			truth[k] = &truth[(unsigned)rand_r(&seed) % KEYS];
			map_put(&m, key, truth[k]);
		} else {
			n -= truth[k] != NULL;
			truth[k] = NULL;
			map_del(&m, key);
		}
		assert_int_equal(m.n, n);
		if (i % 500)
			continue;
		for (unsigned j = 0; j < KEYS; j++)
			assert_ptr_equal(map_get(&m, (int64_t)j * (j & 1 ? 1 : 1LL << 33) - 7),
					 truth[j]);
	}
	map_free(&m);
	assert_null(map_get(&m, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(against_oracle)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
