// SPDX-License-Identifier: Apache-2.0
/* Open addressing with linear probing; a removal shifts back what follows, so that there are no tombstones. See map.h. */
#include "base/map.h"
#include <stdlib.h>
#include "base/mem.h"

static size_t home_of(const struct map *m, int64_t key)
{
	/* Fibonacci hashing: sequential ids land apart. */
	return (size_t)(((uint64_t)key * 0x9e3779b97f4a7c15ull) >> 32) & (m->cap - 1);
}

static size_t find(const struct map *m, int64_t key)
{
	size_t i = home_of(m, key);

	while (m->slots[i].value && m->slots[i].key != key)
		i = (i + 1) & (m->cap - 1);
	return i;
}

void *map_get(const struct map *m, int64_t key)
{
	return m->cap ? m->slots[find(m, key)].value : NULL;
}

static void grow(struct map *m)
{
	struct map old = *m;

	m->cap = old.cap ? old.cap * 2 : 16;
	m->slots = xcalloc(m->cap, sizeof(*m->slots));
	for (size_t i = 0; i < old.cap; i++) {
		if (old.slots[i].value)
			m->slots[find(m, old.slots[i].key)] = old.slots[i];
	}
	free(old.slots);
}

void map_put(struct map *m, int64_t key, void *value)
{
	size_t i;

	if ((m->n + 1) * 2 > m->cap)
		grow(m);
	i = find(m, key);
	m->n += !m->slots[i].value;
	m->slots[i] = (struct map_slot){key, value};
}

void map_del(struct map *m, int64_t key)
{
	size_t hole, i;

	if (!m->cap)
		return;
	hole = find(m, key);
	if (!m->slots[hole].value)
		return;
	m->n--;
	m->slots[hole].value = NULL;
	for (i = (hole + 1) & (m->cap - 1); m->slots[i].value; i = (i + 1) & (m->cap - 1)) {
		size_t home = home_of(m, m->slots[i].key);

		/* It may move back when its home is not between the hole and itself. */
		if (((i - home) & (m->cap - 1)) >= ((i - hole) & (m->cap - 1))) {
			m->slots[hole] = m->slots[i];
			m->slots[i].value = NULL;
			hole = i;
		}
	}
}

void map_free(struct map *m)
{
	free(m->slots);
	*m = (struct map){0};
}
