// SPDX-License-Identifier: Apache-2.0
/*
 * Lines from the sandbox's stderr: see guest_log.h. The text is untrusted; nothing here interprets it.
 */
#include "base/guest_log.h"
#include <stdio.h>
#include <string.h>
#include "base/str.h"

void guest_clean_text(char *s, size_t n)
{
	for (size_t i = 0; i < n;) {
		unsigned char c = (unsigned char)s[i];
		size_t k = str_utf8_seq(s + i, n - i);
		bool c1 = k == 2 && c == 0xc2 && (unsigned char)s[i + 1] < 0xa0;

		if (c == '\t')
			s[i] = ' ';
		else if (!k || c < 0x20 || c == 0x7f)
			s[i] = '?';
		else if (c1)
			memset(s + i, '?', 2);
		i += k ? k : 1;
	}
}

void guest_clean_line(char *s)
{
	for (char *p = s; *p; p++)
		if (*p == '\n' || *p == '\r')
			*p = ' ';
	guest_clean_text(s, strlen(s));
}

static bool take_token(struct guest_log *g, int64_t now_ms)
{
	if (!g->begun) {
		g->begun = true;
		g->tokens = GUEST_LINES_BURST;
		g->at_ms = now_ms;
	}
	int64_t add = (now_ms - g->at_ms) * GUEST_LINES_PER_SEC / 1000;
	if (add > 0) {
		g->at_ms = now_ms;
		g->tokens = add > GUEST_LINES_BURST - (int64_t)g->tokens
				    ? GUEST_LINES_BURST
				    : g->tokens + (unsigned)add;
	}
	if (!g->tokens)
		return false;
	g->tokens--;
	return true;
}

static bool hand_out(struct guest_log *g, int64_t now_ms, guest_line_fn *fn, void *ctx)
{
	size_t n = g->len;

	g->len = 0;
	if (!n)
		return true;
	if (!take_token(g, now_ms)) {
		g->dropped++;
		return true;
	}
	if (g->dropped) {
		char note[64];
		snprintf(note, sizeof(note), "door: %llu lines dropped", g->dropped);
		g->dropped = 0;
		if (!fn(ctx, note))
			return false;
	}
	guest_clean_text(g->line, n);
	g->line[n] = '\0';
	return fn(ctx, g->line);
}

void guest_log_feed(struct guest_log *g, const uint8_t *p, size_t n, int64_t now_ms,
		    guest_line_fn *fn, void *ctx)
{
	while (n) {
		const uint8_t *nl = memchr(p, '\n', n);
		size_t k = nl ? (size_t)(nl - p) : n;
		size_t room = GUEST_LINE_MAX - g->len;

		memcpy(g->line + g->len, p, k < room ? k : room);
		g->len += k < room ? k : room;
		if (!nl)
			return;
		if (g->len && g->line[g->len - 1] == '\r')
			g->len--;
		if (!hand_out(g, now_ms, fn, ctx))
			return;
		p = nl + 1;
		n -= k + 1;
	}
}

void guest_log_end(struct guest_log *g, int64_t now_ms, guest_line_fn *fn, void *ctx)
{
	hand_out(g, now_ms, fn, ctx);
}
