// SPDX-License-Identifier: Apache-2.0
//
// The runner's log: lines on stderr, which Docker's attach carries to the host beside the door. Two
// separate rates, so that an agent that floods its stderr can neither stall itself nor silence the
// runner. A line is one write below PIPE_BUF, so it is whole or absent. Must never block.
#include "runner.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	RATE_BURST = 200,
	RATE_PER_S = 50
};

static bool rate_take(struct rate *t)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	int64_t now = (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
	if (t->last_ms == 0)
		t->tokens_ms = RATE_BURST * 1000;
	else
		t->tokens_ms += (now - t->last_ms) * RATE_PER_S;
	t->last_ms = now;
	if (t->tokens_ms > RATE_BURST * 1000)
		t->tokens_ms = RATE_BURST * 1000;
	if (t->tokens_ms < 1000)
		return false;
	t->tokens_ms -= 1000;
	return true;
}

static bool put(const char *prefix, const char *text, size_t n)
{
	char out[LINE_MAX_BYTES];
	size_t len = strlen(prefix);
	memcpy(out, prefix, len);
	if (n > sizeof out - len - 1)
		n = sizeof out - len - 1;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];
		out[len++] = c == '\t' ? ' ' : c < 0x20 || c == 0x7f ? '?' : (char)c;
	}
	out[len++] = '\n';
	return write(STDERR_FILENO, out, len) == (ssize_t)len;
}

static void emit(struct rate *t, const char *prefix, const char *text, size_t n)
{
	if (!rate_take(t)) {
		t->dropped++;
		return;
	}
	if (t->dropped) {
		char note[64];
		int k = snprintf(note, sizeof note, "[%lu lines dropped]", t->dropped);
		if (put(prefix, note, (size_t)k))
			t->dropped = 0;
	}
	if (!put(prefix, text, n))
		t->dropped++;
}

void log_line(struct log *l, const char *fmt, ...)
{
	char text[LINE_MAX_BYTES];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	emit(&l->own, "runner: ", text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
}

void log_agent(struct log *l, const char *p, size_t n)
{
	while (n > 0) {
		const char *nl = memchr(p, '\n', n);
		size_t part = nl ? (size_t)(nl - p) : n;
		size_t room = sizeof l->line - l->line_len; // the rest of a too long line is cut
		size_t keep = part < room ? part : room;
		memcpy(l->line + l->line_len, p, keep);
		l->line_len += keep;
		if (!nl)
			return;
		log_agent_end(l);
		p += part + 1;
		n -= part + 1;
	}
}

void log_agent_end(struct log *l)
{
	if (l->line_len > 0)
		emit(&l->agent, "agent: ", l->line, l->line_len);
	l->line_len = 0;
}
