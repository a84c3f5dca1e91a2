// SPDX-License-Identifier: Apache-2.0
/*
 * The agent's stdout: lines out of torn pieces, then each line read as stream-json. The first byte
 * seeds where the stream is torn, the rest is the stream. Checked: the lines are the same however it is torn, all text
 * for the chat is UTF-8, and what we would write back to the agent is one line of JSON that says the same.
 */
#include "fuzz.h"
#include <string.h>
#include "base/lines.h"
#include "base/str.h"
#include "router/agent.h"

#define LINE_MAX_HERE 4096

struct seen {
	const uint8_t *rest; /* of the stream: what the next line is compared with */
	const uint8_t *end;
	int64_t skipped;
	bool dead;
};

static void check_strip(const char *text)
{
	char *copy = xstrdup(text);
	size_t n = agent_strip_internal(copy);

	fuzz_check(n == strlen(copy) && n <= strlen(text));
	fuzz_check(!n || (copy[0] != ' ' && copy[n - 1] != ' ' && copy[n - 1] != '\n'));
	fuzz_check(strstr(text, "<internal>") || !n || strstr(text, copy));
	free(copy);
}

/* Whatever a person wrote must reach the agent as it is, in one line. */
static void check_user_line(const char *line, size_t n)
{
	struct err e = ERR_INIT;
	struct buf out = {0};
	cJSON *j;

	fuzz_check(agent_user_line(&out, "00000000-0000-4000-8000-000000000000", line, n, &e) == 0);
	fuzz_check(out.p[out.len - 1] == '\n' && !memchr(out.p, '\n', out.len - 1));
	j = json_parse(out.p, out.len, JSON_MAX_DEFAULT, &e);
	fuzz_check(j);
	if (str_is_utf8(line, n) && !memchr(line, 0, n)) {
		const char *back = json_peek_str(j, "message.content");

		fuzz_check(back && strlen(back) == n && !memcmp(back, line, n));
	}
	cJSON_Delete(j);
	buf_free(&out);
}

static void check_event(const char *line, size_t n)
{
	struct agent_event ev;
	struct err e = ERR_INIT;

	if (agent_parse(line, n, &ev, &e) < 0) {
		fuzz_check(e.code != E_NONE && e.msg[0] && !ev.root);
		return;
	}
	fuzz_check(!ev.text || str_is_utf8(ev.text, strlen(ev.text)));
	fuzz_check(!ev.session_id || str_is_uuid(ev.session_id));
	fuzz_check(!ev.uuids || cJSON_IsArray(ev.uuids));
	if (ev.kind == AGENT_STARTED || ev.kind == AGENT_CANCELLED || ev.kind == AGENT_COMPLETED)
		fuzz_check(ev.uuid);
	if (ev.kind == AGENT_TEXT || ev.kind == AGENT_TOOL || ev.kind == AGENT_RETRY)
		fuzz_check(ev.text);
	if (ev.text)
		check_strip(ev.text);
	agent_event_free(&ev);
}

/* The next whole line that is not too long, found without the code under test. */
static const uint8_t *expect(struct seen *s, size_t *n)
{
	for (;;) {
		const uint8_t *p = s->rest;
		const uint8_t *nl = p < s->end ? memchr(p, '\n', (size_t)(s->end - p)) : NULL;

		if (!nl)
			return NULL;
		s->rest = nl + 1;
		*n = (size_t)(nl - p);
		if (*n <= LINE_MAX_HERE)
			return p;
		s->skipped++;
	}
}

static void on_line(void *ctx, const char *line, size_t n)
{
	struct seen *s = ctx;
	size_t want_n = 0;
	const uint8_t *want = expect(s, &want_n);

	fuzz_check(want && want_n == n && (!n || !memcmp(want, line, n)));
	check_event(line, n);
	check_user_line(line, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct line_reader r = {.max = LINE_MAX_HERE};
	struct seen s = {data + 1, data + n, 0, false};
	uint32_t x;
	size_t none;

	if (n < 2)
		return 0;
	x = data[0];
	for (size_t at = 1; at < n;) {
		size_t left = n - at, take = left;

		x = x * 1664525u + 1013904223u;
		/* 0: all in one piece. */
		if (data[0])
			take = 1 + (x >> 16) % (data[0] < 128 ? 7 : 5000);
		take = take < left ? take : left;
		line_feed(&r, data + at, take, on_line, &s, &s.dead);
		at += take;
	}
	fuzz_check(!expect(&s, &none));
	/* A last line that is too long and not ended yet may be counted already. */
	fuzz_check(r.skipped == s.skipped || r.skipped == s.skipped + 1);
	buf_free(&r.buf);
	return 0;
}
