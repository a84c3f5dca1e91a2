// SPDX-License-Identifier: Apache-2.0
/*
 * A hash map from int64_t to pointers, for the few places that find one of thousands on the hot path. Keys are ids of our own
 * database, never an outsider's choice. Owns no values.
 */
#ifndef CHELA_BASE_MAP_H
#define CHELA_BASE_MAP_H
#include <stddef.h>
#include <stdint.h>

struct map_slot {
	int64_t key;
	void *value; /* NULL = free */
};
struct map { /* all zero = empty */
	struct map_slot *slots;
	size_t n, cap; /* cap: 0 or a power of two */
};

void *map_get(const struct map *m, int64_t key);       /* NULL: not there */
void map_put(struct map *m, int64_t key, void *value); /* value not NULL; replaces */
void map_del(struct map *m, int64_t key);	       /* nothing when it is not there */
void map_free(struct map *m);

#endif
