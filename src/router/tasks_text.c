// SPDX-License-Identifier: Apache-2.0
/*
 * Tasks and runs in words, for lists and answers. Pure. What people and agents have written stands on lines of its own behind two blanks, so that it passes for no
 * line of ours.
 */
#include <string.h>
#include "base/duration.h"
#include "base/str.h"
#include "base/zone.h"
#include "router/tasks.h"

#define SHOWN_MAX 600 /* bytes of what a run said */

static void put_time(struct buf *out, int64_t ms, const char *zone)
{
	struct err none = ERR_INIT;
	struct zone *z = zone_open(zone, &none);
	char text[40];

	if (z) {
		zone_format(z, ms, text);
		buf_puts(out, text);
	} else { /* the zone has gone from the system */
		clock_format(ms, text);
		buf_puts(out, text);
	}
	zone_close(z);
}

/* Each line behind two blanks; at most max bytes. */
static void put_indented(struct buf *out, const char *text, size_t max)
{
	size_t n = strlen(text), end = n > max ? str_utf8_floor(text, max) : n;

	for (const char *p = text; p < text + end;) {
		size_t len = strcspn(p, "\r\n");
		_cleanup_free_ char *line = NULL, *clean = NULL;

		if (len > (size_t)(text + end - p))
			len = (size_t)(text + end - p);
		line = xasprintf("%.*s", (int)len, p);
		clean = xmalloc(len + 1);
		buf_putf(out, "\n  %s", str_one_line(clean, len + 1, line));
		p += len;
		p += p < text + end && *p == '\r';
		p += p < text + end && *p == '\n';
	}
	if (end < n)
		buf_puts(out, " [...]");
}

void task_put_line(struct buf *out, const struct task_row *t)
{
	char why[200];

	buf_putf(out, "#%lld %s: %s (%s)", (long long)t->id, t->name, t->spec, t->zone);
	if (t->state != TASK_ACTIVE) {
		str_one_line(why, sizeof(why), t->why);
		if (t->state == TASK_PAUSED && str_starts(why, "paused by "))
			buf_putf(out, ", %s", why);
		else
			buf_putf(out, ", %s%s%s", task_state_word(t->state), why[0] ? ": " : "",
				 why);
	} else if (t->next_ms) {
		buf_puts(out, ", next ");
		put_time(out, t->due_ms, t->zone);
	} else {
		buf_puts(out, ", its last run is not over yet");
	}
}

static void put_duration(struct buf *out, const char *what, int64_t ms, const char *none)
{
	char text[24];

	duration_format(ms, text);
	buf_putf(out, "%s: %s\n", what, ms ? text : none);
}

void task_put_all(struct buf *out, const struct task_row *t)
{
	task_put_line(out, t);
	buf_putf(out, "\ngroup: %s\nchat: %s:%s\n", t->group, t->channel, t->chat);
	buf_putf(out, "context: %s\n", t->context == TASK_ISOLATED ? "isolated" : "group");
	if (t->catch_up > 1)
		buf_putf(out, "catch_up: all(%lld)\n", (long long)t->catch_up);
	else
		buf_putf(out, "catch_up: %s\n", t->catch_up ? "latest" : "skip");
	buf_putf(out, "overlap: %s\n", t->queue ? "queue" : "skip");
	put_duration(out, "max_run", t->max_ms, "as any turn");
	put_duration(out, "jitter", t->jitter_ms, "none");
	buf_putf(out, "retries: %lld\n", (long long)t->retries);
	if (t->fail_max)
		buf_putf(out, "max_failures: %lld (%lld now)\n", (long long)t->fail_max,
			 (long long)t->failures);
	else
		buf_puts(out, "max_failures: never paused\n");
	buf_puts(out, "made: ");
	put_time(out, t->created_ms, t->zone);
	buf_puts(out, "\nprompt:");
	put_indented(out, t->prompt, SIZE_MAX);
	if (t->gate[0]) {
		buf_puts(out, "\ngate:");
		put_indented(out, t->gate, SIZE_MAX);
	}
}

/* "1,234" */
static void put_number(struct buf *out, int64_t n)
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%lld", (long long)n);

	for (int i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			buf_puts(out, ",");
		buf_put(out, &digits[i], 1);
	}
}

static void put_took(struct buf *out, const struct run_row *r)
{
	int64_t ms = r->ended_ms - r->started_ms;

	if (!r->started_ms || !r->ended_ms || ms < 0)
		return;
	if (ms < 10000)
		buf_putf(out, " in %lld.%lld s", (long long)ms / 1000, (long long)ms % 1000 / 100);
	else if (ms < 600000)
		buf_putf(out, " in %lld s", (long long)ms / 1000);
	else
		buf_putf(out, " in %lld min", (long long)ms / 60000);
}

void run_put_line(struct buf *out, const struct run_row *r, const char *zone)
{
	int64_t tokens = r->input + r->output + r->cache_read + r->cache_write;

	buf_putf(out, "run %lld of %s: %s ", (long long)r->id, r->task,
		 r->manual ? "asked for" : "slot");
	put_time(out, r->slot_ms, zone);
	buf_putf(out, ", %s", run_state_word(r->state));
	put_took(out, r);
	if (r->tries)
		buf_putf(out, ", try %lld", (long long)r->tries + 1);
	if (tokens) {
		buf_puts(out, ", ");
		put_number(out, tokens);
		buf_puts(out, " tokens");
	}
	if (r->cost_micro)
		buf_putf(out, ", $%lld.%04lld by the agent's reckoning",
			 (long long)r->cost_micro / 1000000,
			 (long long)r->cost_micro % 1000000 / 100);
	put_indented(out, r->error, SHOWN_MAX);
	put_indented(out, r->text, SHOWN_MAX);
}
