// SPDX-License-Identifier: Apache-2.0
/*
 * What is due: from a schedule, the next slot that was noted and the time to the slots that run, those that were missed, and the next one. Pure, and bounded
 * work: a task that was due each minute for ten years is planned as fast as any. It must never let a slot both run and count as missed.
 */
#include "router/schedule.h"

#define PROBE_MAX 256 /* slots counted in one probe */

/* FNV-1a over both numbers. */
static uint64_t hash_of(int64_t a, int64_t b)
{
	uint64_t h = 0xcbf29ce484222325ull;
	const uint64_t v[] = {(uint64_t)a, (uint64_t)b};

	for (size_t i = 0; i < 16; i++)
		h = (h ^ ((v[i / 8] >> (i % 8 * 8)) & 0xff)) * 0x100000001b3ull;
	return h;
}

int64_t plan_due(const struct task_row *t, int64_t slot_ms)
{
	uint64_t seconds = (uint64_t)(t->jitter_ms / 1000);

	return seconds ? slot_ms + (int64_t)(hash_of(t->id, slot_ms) % (seconds + 1)) * 1000
		       : slot_ms;
}

/* Slots in (after, until], at most max. */
static int64_t count(const struct slots *s, int64_t after, int64_t until, int64_t max)
{
	int64_t n = 0;

	while (n < max && slots_next(s, after, &after) && after <= until)
		n++;
	return n;
}

/* A moment in [after, until] with PLAN_KEEP_MAX to PROBE_MAX slots between it and until; after itself when there are no more. */
static int64_t near_end(const struct slots *s, int64_t after, int64_t until)
{
	int64_t low = after, high = until;

	if (count(s, after, until, PROBE_MAX + 1) <= PROBE_MAX)
		return after;
	/* Two slots are a minute apart at least, so this ends before the two meet. */
	while (high - low > 1) {
		int64_t mid = low + (high - low) / 2;
		int64_t n = count(s, mid, until, PROBE_MAX + 1);

		if (n > PROBE_MAX)
			low = mid;
		else if (n < PLAN_KEEP_MAX)
			high = mid;
		else
			return mid;
	}
	return low;
}

/* The newest slots that are due, in a ring. */
struct newest {
	int64_t slot[PLAN_KEEP_MAX + 1];
	int64_t n; /* seen */
};

static void see(struct newest *k, int64_t slot)
{
	k->slot[k->n++ % (PLAN_KEEP_MAX + 1)] = slot;
}

/* The i-th newest, from 0. */
static int64_t at(const struct newest *k, int64_t i)
{
	return k->slot[(k->n - 1 - i) % (PLAN_KEEP_MAX + 1)];
}

void plan_make(const struct slots *s, const struct task_row *t, int64_t now_ms, struct plan *out)
{
	struct newest k = {.n = 0};
	int64_t first = t->next_ms - 1;
	/* Up to here all are due, whatever their jitter. */
	int64_t sure = now_ms - t->jitter_ms > first ? now_ms - t->jitter_ms : first;
	int64_t from = near_end(s, first, sure), slot = from, skipped, want;
	bool more;

	*out = (struct plan){.n_keep = 0};
	skipped = from > first ? count(s, first, from, PLAN_MISSED_MAX) : 0;
	while ((more = slots_next(s, slot, &slot)) && slot <= now_ms && plan_due(t, slot) <= now_ms)
		see(&k, slot);
	if (more) {
		out->next_ms = slot;
		out->due_ms = plan_due(t, slot);
	}
	/* Those of this minute always run; of the older ones as many as the task makes up for. */
	for (want = 0; want < k.n && want < PLAN_KEEP_MAX; want++) {
		if (want >= t->catch_up && plan_due(t, at(&k, want)) <= now_ms - PLAN_LATE_MS)
			break;
	}
	for (int64_t i = want; i-- > 0;)
		out->keep[out->n_keep++] = at(&k, i);
	out->missed = skipped + k.n - want;
	if (out->missed > PLAN_MISSED_MAX)
		out->missed = PLAN_MISSED_MAX;
	if (out->missed)
		out->last_missed = want < k.n ? at(&k, want) : from;
}
