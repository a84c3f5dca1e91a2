// SPDX-License-Identifier: Apache-2.0
/*
 * See sse.h. The line rules are those of the HTML standard's event streams: lines end with CR LF,
 * LF or CR; a blank line ends the event. Most bytes of a stream are text deltas, so a line is
 * dropped as soon as it is known to be of no interest.
 */
#include "runtime/sse.h"
#include <string.h>
#include "base/json.h"
#include "base/str.h"

void sse_init(struct sse *s, struct usage *u, bool json)
{
	memset(s, 0, sizeof(*s));
	s->u = u;
	s->json = json;
	buf_init(&s->line, json ? SSE_JSON_MAX : SSE_LINE_MAX);
}

/* Later counts replace earlier ones: message_delta carries totals. */
static void read_usage(struct usage *u, const cJSON *usage)
{
	u->input_tokens = json_peek_i64(usage, "input_tokens", u->input_tokens);
	u->output_tokens = json_peek_i64(usage, "output_tokens", u->output_tokens);
	u->cache_read_tokens =
		json_peek_i64(usage, "cache_read_input_tokens", u->cache_read_tokens);
	u->cache_write_tokens =
		json_peek_i64(usage, "cache_creation_input_tokens", u->cache_write_tokens);
}

static void read_message(struct usage *u, const cJSON *m)
{
	const char *model = json_peek_str(m, "model");
	const cJSON *usage = json_find(m, "usage");

	if (model)
		str_copy(u->model, sizeof(u->model), model);
	if (usage)
		read_usage(u, usage);
}

static void read_data(struct sse *s, const char *p, size_t n)
{
	struct err e = ERR_INIT;
	_cleanup_json_ cJSON *j = json_parse(p, n, SSE_LINE_MAX, &e);
	const char *type = j ? json_peek_str(j, "type") : NULL;

	if (type && streq(type, "message_start") && json_find(j, "message"))
		read_message(s->u, json_find(j, "message"));
	else if (type && streq(type, "message_delta") && json_find(j, "usage"))
		read_usage(s->u, json_find(j, "usage"));
}

static void line_done(struct sse *s)
{
	const char *p = s->line.p ? s->line.p : "";

	if (s->skip)
		;
	else if (s->line.len == 0)
		s->wanted = false;
	else if (str_starts(p, "event:"))
		s->wanted = strstr(p, "message_start") || strstr(p, "message_delta");
	else if (s->wanted && str_starts(p, "data:"))
		read_data(s, p + 5, s->line.len - 5);
	s->skip = false;
	buf_reset(&s->line);
}

void sse_feed(struct sse *s, const uint8_t *p, size_t n)
{
	struct err e = ERR_INIT;
	size_t i = 0;

	if (s->json) {
		s->skip = s->skip || buf_add(&s->line, p, n, &e) < 0;
		return;
	}
	while (i < n) {
		size_t k = i;
		while (k < n && p[k] != '\n' && p[k] != '\r')
			k++;
		if (k > i) {
			s->cr = false;
			if (!s->skip)
				s->skip = buf_add(&s->line, p + i, k - i, &e) < 0 ||
					  (!s->wanted && s->line.len > 64);
		}
		if (k < n && !(s->cr && p[k] == '\n'))
			line_done(s);
		s->cr = k < n ? p[k] == '\r' : s->cr;
		i = k + 1;
	}
}

void sse_end(struct sse *s)
{
	struct err e = ERR_INIT;

	if (s->json && !s->skip && s->line.len) {
		_cleanup_json_ cJSON *j = json_parse(s->line.p, s->line.len, SSE_JSON_MAX, &e);
		if (j)
			read_message(s->u, j);
	}
	buf_free(&s->line);
}
