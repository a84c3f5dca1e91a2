// SPDX-License-Identifier: Apache-2.0
/*
 * How the last starts went, kept in a small file so that a server that dies at once does so at a bearable pace whoever starts it
 * again: the supervisor itself, the service manager, or a person. A run of STARTS_GOOD_MS makes all forgotten. The file is advice, never truth: one
 * that is missing or unreadable counts as empty.
 */
#ifndef CHELA_RUNTIME_STARTS_H
#define CHELA_RUNTIME_STARTS_H
#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "base/mem.h"

#define STARTS_GOOD_MS	 ((int64_t)10 * 60000) /* up for so long: all is well again */
#define STARTS_WINDOW_MS ((int64_t)10 * 60000) /* crashes count together within so long */
#define STARTS_MAX	 32		       /* crashes in mind, at most */
#define STARTS_WAIT_MAX	 ((int64_t)15 * 60000)

struct starts {
	int64_t began_ms; /* of the run that goes on; 0 = the last one ended in order */
	int64_t waits;	  /* how often in a row it was too much: each doubles the wait */
	int64_t total;	  /* crashes since the last good run */
	int64_t crashes[STARTS_MAX];
	int n;
	char why[80]; /* of the last crash */
};

void starts_load(struct starts *s, const char *file);
int starts_save(const struct starts *s, const char *file, struct err *e) must_check;
/* A run begins. One that never ended (the machine or the supervisor died) counts as a crash first. max: so many crashes within the
 * window are borne; 0 = any number. */
void starts_begin(struct starts *s, int64_t now_ms, int64_t max);
/* It died. */
void starts_crash(struct starts *s, int64_t now_ms, int64_t max, const char *why);
/* It ended in order. */
void starts_end(struct starts *s, int64_t now_ms);
/* How long to wait before the next start: first_ms, twice that, ... STARTS_WAIT_MAX; 0 = not at all. */
int64_t starts_wait_ms(const struct starts *s, int64_t first_ms);

#endif
