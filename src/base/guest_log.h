// SPDX-License-Identifier: Apache-2.0
/*
 * A guest's stderr as lines (a sandbox's, behind its door): splits, cuts at 1 KiB, makes the text
 * harmless for a terminal and a log file, and caps the rate, so that a chatty or hostile guest
 * cannot fill the host's log.
 */
#ifndef CHELA_BASE_GUEST_LOG_H
#define CHELA_BASE_GUEST_LOG_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GUEST_LINE_MAX	    1024 /* bytes, NUL not counted */
#define GUEST_LINES_BURST   200
#define GUEST_LINES_PER_SEC 50

/* All zero is the start state. */
struct guest_log {
	char line[GUEST_LINE_MAX + 1];
	size_t len;    /* at GUEST_LINE_MAX the rest of the line is dropped */
	bool begun;    /* the token bucket was filled once */
	int64_t at_ms; /* when tokens were last added */
	unsigned tokens;
	unsigned long long dropped; /* lines since the last one let through */
};

/* Called for each line; false = stop (the receiver is gone). */
typedef bool guest_line_fn(void *ctx, const char *line);

void guest_log_feed(struct guest_log *g, const uint8_t *p, size_t n, int64_t now_ms,
		    guest_line_fn *fn, void *ctx);
/* At the end: hands out an unfinished last line. */
void guest_log_end(struct guest_log *g, int64_t now_ms, guest_line_fn *fn, void *ctx);

/* Replaces, in place, control characters (C0, DEL, C1) and bytes that are not UTF-8 by '?' and tabs by a space. */
void guest_clean_text(char *s, size_t n);
/* The same for text that is to be one line: newlines become spaces too. */
void guest_clean_line(char *s);

#endif
