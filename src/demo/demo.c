// SPDX-License-Identifier: Apache-2.0
/*
 * See demo.h. Deterministic: ids come from the request's bytes. What it says is decided in plan.c;
 * this file gives it the API's shape, as a stream in the API's order of events or as one message.
 */
#include "demo/demo.h"
#include <inttypes.h>
#include <string.h>
#include "base/clock.h"
#include "base/str.h"
#include "runtime/bodies.h"
#include "demo/plan.h"

struct demo {
	struct loop *loop;
	demo_usage_fn *on_usage;
	struct bodies bodies;
};

/* One request, from its head to its answer. */
struct demo_call {
	struct demo *demo;
	void *peer;
	struct http1 *c;
	struct body body;
	struct demo_plan plan;
	bool messages, stream; /* POST /v1/messages; with "stream": true */
	uint64_t id;
	int64_t out_bytes; /* of text and tool input so far */
	int64_t ticks;	   /* of a slow answer */
	struct timer *timer;
	struct usage u;
};

static void demo_end(struct demo_call *d)
{
	if (d->messages && d->demo->on_usage)
		d->demo->on_usage(d->peer, &d->u);
	timer_free(d->timer);
	demo_plan_free(&d->plan);
	body_close(&d->body);
	free(d);
}

/* FNV-1a: equal requests get equal ids, different ones different ids. */
static uint64_t hash(const char *p, size_t n)
{
	uint64_t h = 14695981039346656037u;

	for (size_t i = 0; i < n; i++)
		h = (h ^ (unsigned char)p[i]) * 1099511628211u;
	return h;
}

/* --- pieces that both forms share --- */

static void put_usage(const struct demo_call *d, struct buf *b, int64_t out_tokens)
{
	buf_putf(b,
		 "\"usage\":{\"input_tokens\":%" PRId64 ",\"cache_creation_input_tokens\":0,"
		 "\"cache_read_input_tokens\":0,\"output_tokens\":%" PRId64 "}",
		 d->u.input_tokens, out_tokens);
}

static void put_message_head(const struct demo_call *d, struct buf *b)
{
	buf_putf(b,
		 "\"id\":\"msg_demo_%016" PRIx64 "\",\"type\":\"message\",\"role\":\"assistant\","
		 "\"model\":",
		 d->id);
	json_put_str(b, d->u.model, strlen(d->u.model));
}

static void put_tool_head(const struct demo_call *d, struct buf *b, size_t i)
{
	buf_putf(b,
		 "{\"type\":\"tool_use\",\"id\":\"toolu_demo_%016" PRIx64 "_%zu\",\"name\":", d->id,
		 i);
	json_put_str(b, d->plan.tools[i].name, strlen(d->plan.tools[i].name));
}

static const char *stop_reason(const struct demo_call *d)
{
	return d->plan.n_tools ? "tool_use" : "end_turn";
}

/* --- as one message --- */

static void answer_whole(struct demo_call *d)
{
	struct buf b = {0};
	struct http1 *c = d->c;
	bool text = d->plan.text.len > 0;

	buf_puts(&b, "{");
	put_message_head(d, &b);
	buf_puts(&b, ",\"content\":[");
	if (text) {
		buf_puts(&b, "{\"type\":\"text\",\"text\":");
		json_put_str(&b, d->plan.text.p, d->plan.text.len);
		buf_puts(&b, "}");
	}
	for (size_t i = 0; i < d->plan.n_tools; i++) {
		buf_puts(&b, text || i ? "," : "");
		put_tool_head(d, &b, i);
		buf_putf(&b, ",\"input\":%s}", d->plan.tools[i].input);
	}
	buf_putf(&b, "],\"stop_reason\":\"%s\",\"stop_sequence\":null,", stop_reason(d));
	d->u.output_tokens = (int64_t)b.len / 4;
	put_usage(d, &b, d->u.output_tokens);
	buf_puts(&b, "}");
	demo_end(d);
	http1_reply(c, 200, "application/json", b.p, b.len);
	buf_free(&b);
}

/* --- as a stream --- */

static void put_event(struct buf *b, const char *type)
{
	buf_putf(b, "event: %s\ndata: {\"type\":\"%s\"", type, type);
}

static void put_delta(struct demo_call *d, struct buf *b, size_t index, const char *type,
		      const char *key, const char *p, size_t n)
{
	put_event(b, "content_block_delta");
	buf_putf(b, ",\"index\":%zu,\"delta\":{\"type\":\"%s\",\"%s\":", index, type, key);
	json_put_str(b, p, n);
	buf_puts(b, "}}\n\n");
	d->out_bytes += (int64_t)n;
}

/* In several deltas, as the API does: at least 24 bytes each, at most about 400 of them. */
static void put_deltas(struct demo_call *d, struct buf *b, size_t index, const char *type,
		       const char *key, const char *p, size_t n)
{
	size_t step = n / 400 > 24 ? n / 400 : 24;

	while (n) {
		size_t k = n > step ? str_utf8_floor(p, step) : n;
		put_delta(d, b, index, type, key, p, k);
		p += k;
		n -= k;
	}
}

static bool has_text(const struct demo_call *d)
{
	return d->plan.text.len || d->plan.slow_n;
}

static void put_block_stop(struct buf *b, size_t index)
{
	put_event(b, "content_block_stop");
	buf_putf(b, ",\"index\":%zu}\n\n", index);
}

/* Up to and with the text, but not its end. */
static void put_begin(struct demo_call *d, struct buf *b)
{
	put_event(b, "message_start");
	buf_puts(b, ",\"message\":{");
	put_message_head(d, b);
	buf_puts(b, ",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,");
	put_usage(d, b, 1);
	buf_puts(b, "}}\n\n");
	if (has_text(d)) {
		put_event(b, "content_block_start");
		buf_puts(b,
			 ",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n");
	}
	buf_puts(b, "event: ping\ndata: {\"type\":\"ping\"}\n\n");
	if (d->plan.text.len)
		put_deltas(d, b, 0, "text_delta", "text", d->plan.text.p, d->plan.text.len);
}

static void put_rest(struct demo_call *d, struct buf *b)
{
	size_t index = has_text(d) ? 1 : 0;

	if (has_text(d))
		put_block_stop(b, 0);
	for (size_t i = 0; i < d->plan.n_tools; i++, index++) {
		const char *in = d->plan.tools[i].input;
		put_event(b, "content_block_start");
		buf_putf(b, ",\"index\":%zu,\"content_block\":", index);
		put_tool_head(d, b, i);
		buf_puts(b, ",\"input\":{}}}\n\n");
		put_delta(d, b, index, "input_json_delta", "partial_json", "", 0);
		put_deltas(d, b, index, "input_json_delta", "partial_json", in, strlen(in));
		put_block_stop(b, index);
	}
	d->u.output_tokens = d->out_bytes / 4 + 1;
	put_event(b, "message_delta");
	buf_putf(b, ",\"delta\":{\"stop_reason\":\"%s\",\"stop_sequence\":null},", stop_reason(d));
	put_usage(d, b, d->u.output_tokens);
	buf_puts(b, "}\n\n");
	put_event(b, "message_stop");
	buf_puts(b, "}\n\n");
}

static void finish_stream(struct demo_call *d, struct buf *b)
{
	struct http1 *c = d->c;

	put_rest(d, b);
	if (http1_write(c, b->p, b->len) == 0) {
		demo_end(d);
		http1_finish(c);
	}
	buf_free(b);
}

static void on_tick(void *ctx)
{
	struct demo_call *d = ctx;
	struct buf b = {0};
	char text[32];

	if (http1_full(d->c)) /* nobody reads: no more until somebody does */
		return;
	snprintf(text, sizeof(text), "%stick %" PRId64, d->ticks || d->plan.text.len ? "\n" : "",
		 d->ticks + 1);
	d->ticks++;
	put_delta(d, &b, 0, "text_delta", "text", text, strlen(text));
	if (d->ticks >= d->plan.slow_n) {
		timer_stop(d->timer);
		finish_stream(d, &b);
		return;
	}
	if (http1_write(d->c, b.p, b.len) < 0)
		d = NULL; /* gone */
	buf_free(&b);
}

static void answer_stream(struct demo_call *d)
{
	static const struct http_header h[] = {{"Content-Type", "text/event-stream; charset=utf-8"},
					       {"Cache-Control", "no-cache"}};
	struct buf b = {0};

	put_begin(d, &b);
	if (http1_respond(d->c, 200, h, ARRAY_LEN(h), -1) < 0) {
		buf_free(&b);
		return;
	}
	if (d->plan.slow_n == 0) {
		finish_stream(d, &b);
		return;
	}
	if (http1_write(d->c, b.p, b.len) == 0) {
		d->timer = timer_new(d->demo->loop, "demo slow answer", on_tick, d);
		timer_start(d->timer, d->plan.slow_ms, d->plan.slow_ms ? d->plan.slow_ms : 1);
	}
	buf_free(&b);
}

/* --- the request --- */

static void count_tokens(struct demo_call *d)
{
	char text[64];
	struct http1 *c = d->c;

	snprintf(text, sizeof(text), "{\"input_tokens\":%zu}", d->body.buf.len / 4);
	demo_end(d);
	http1_reply(c, 200, "application/json", text, strlen(text));
}

static void bad_request(struct demo_call *d, int status, const char *type, const char *text)
{
	struct http1 *c = d->c;

	d->u.status = status;
	model_api_error(c, status, type, text);
	demo_end(d);
}

static void on_end(void *x)
{
	struct demo_call *d = x;
	int64_t t0 = clock_mono(&clock_system);
	struct err e = ERR_INIT;
	_cleanup_json_ cJSON *req = json_parse(d->body.buf.p ? d->body.buf.p : "", d->body.buf.len,
					       (size_t)MODEL_BODY_MAX, &e);
	bool stream = false;

	if (!req || (d->messages && demo_plan_make(&d->plan, req, &e) < 0) ||
	    json_bool_opt(req, "stream", false, &stream, &e) < 0) {
		bad_request(d, 400, "invalid_request_error", e.msg);
		return;
	}
	const char *model = json_peek_str(req, "model");
	str_copy(d->u.model, sizeof(d->u.model), model ? model : "demo");
	d->id = hash(d->body.buf.p, d->body.buf.len);
	d->u.input_tokens = (int64_t)d->body.buf.len / 4;
	d->u.status = 200;
	d->u.first_byte_us = clock_mono(&clock_system) - t0;
	if (!d->messages)
		count_tokens(d);
	else if (stream)
		answer_stream(d);
	else
		answer_whole(d);
}

static void on_body(void *x, const uint8_t *p, size_t n)
{
	struct demo_call *d = x;
	struct err e = ERR_INIT;

	http1_consumed(d->c, n);
	if (body_add(&d->demo->bodies, &d->body, p, n, (size_t)MODEL_BODY_MAX, &e) < 0)
		bad_request(d, 413, "request_too_large", "The request is larger than 32 MiB.");
}

static void on_gone(void *x)
{
	demo_end(x);
}

static const struct http1_handler *on_request(void *self, void *peer, struct http1 *c,
					      const struct http1_req *r, void **x)
{
	static const struct http1_handler handler = {on_body, on_end, NULL, on_gone};
	static const char models[] =
		"{\"data\":[{\"type\":\"model\",\"id\":\"chela-demo\",\"display_name\":\"Chela's demo "
		"model\",\"created_at\":\"2026-01-01T00:00:00Z\"}],\"first_id\":\"chela-demo\","
		"\"last_id\":\"chela-demo\",\"has_more\":false}";

	if (!streq(r->method, "POST")) {
		bool list = streq(r->method, "GET"); /* not HEAD, the client's warm-up */
		http1_reply(c, 200, list ? "application/json" : NULL, models,
			    list ? strlen(models) : 0);
		return NULL;
	}
	struct demo_call *d = xcalloc(1, sizeof(*d));
	d->demo = self;
	d->peer = peer;
	d->c = c;
	d->messages = streq(r->path, "/v1/messages");
	d->u.demo = true;
	body_open(&d->demo->bodies, &d->body, peer, (size_t)MODEL_BODY_MAX);
	*x = d;
	return &handler;
}

struct demo *demo_new(struct loop *l, demo_usage_fn *on_usage)
{
	struct demo *d = xcalloc(1, sizeof(*d));

	d->loop = l;
	d->on_usage = on_usage;
	return d;
}

void demo_free(struct demo *d)
{
	free(d);
}

struct http1_service demo_service(struct demo *d)
{
	return (struct http1_service){on_request, d};
}
