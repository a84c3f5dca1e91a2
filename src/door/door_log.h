// SPDX-License-Identifier: Apache-2.0
/*
 * The sandbox's stderr as lines: splits, cuts at 1 KiB, makes the text harmless for a terminal and
 * a log file, and caps the rate, so that a chatty or hostile sandbox cannot fill the host's log.
 */
#ifndef CHELA_DOOR_DOOR_LOG_H
#define CHELA_DOOR_DOOR_LOG_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DOOR_LINE_MAX	   1024 /* bytes, NUL not counted */
#define DOOR_LINES_BURST   200
#define DOOR_LINES_PER_SEC 50

/* All zero is the start state. */
struct door_log {
	char line[DOOR_LINE_MAX + 1];
	size_t len;    /* at DOOR_LINE_MAX the rest of the line is dropped */
	bool begun;    /* the token bucket was filled once */
	int64_t at_ms; /* when tokens were last added */
	unsigned tokens;
	unsigned long long dropped; /* lines since the last one let through */
};

/* Called for each line; false = stop (the receiver is gone). */
typedef bool door_line_fn(void *ctx, const char *line);

void door_log_feed(struct door_log *g, const uint8_t *p, size_t n, int64_t now_ms, door_line_fn *fn,
		   void *ctx);
/* At the end: hands out an unfinished last line. */
void door_log_end(struct door_log *g, int64_t now_ms, door_line_fn *fn, void *ctx);

/* Replaces, in place, control characters (C0, DEL, C1) and bytes that are not UTF-8 by '?' and tabs by a space. */
void door_clean_text(char *s, size_t n);

#endif
