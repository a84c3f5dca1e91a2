// SPDX-License-Identifier: Apache-2.0
/*
 * Owns the collection of a whole response on top of a streamed call, for callers that want a
 * small answer at once. It never holds more than the cap that its caller named.
 */
#include "runtime/http_internal.h"

struct fetch {
	struct http_call *call;
	struct buf body;
	int status;
	http_fetch_fn *fn;
	void *ctx;
};

static void fetch_drop(void *arg)
{
	struct fetch *f = arg;

	buf_free(&f->body);
	free(f);
}

static void fetch_head(void *ctx, int status, const struct http_header *h maybe_unused,
		       size_t n maybe_unused)
{
	struct fetch *f = ctx;

	f->status = status;
}

static bool fetch_body(void *ctx, const uint8_t *p, size_t n)
{
	struct fetch *f = ctx;
	struct err e = ERR_INIT;

	if (buf_add(&f->body, p, n, &e) == 0)
		return true;
	err_set(&e, E_LIMIT, "%s: the response is larger than %zu bytes", f->call->peer,
		f->body.max);
	http_cancel(f->call);
	f->fn(f->ctx, 0, "", 0, &e);
	return false;
}

static void fetch_done(void *ctx, const struct err *why)
{
	struct fetch *f = ctx;

	if (why)
		f->fn(f->ctx, 0, "", 0, why);
	else
		f->fn(f->ctx, f->status, f->body.p ? f->body.p : "", f->body.len, NULL);
}

static const struct http_events fetch_events = {
	.head = fetch_head,
	.body = fetch_body,
	.done = fetch_done,
};

struct http_call *http_fetch(struct http_client *c, const struct http_spec *s, size_t max,
			     http_fetch_fn *fn, void *ctx, struct err *e)
{
	struct fetch *f = xcalloc(1, sizeof(*f));

	buf_init(&f->body, max);
	f->fn = fn;
	f->ctx = ctx;
	f->call = http_start(c, s, &fetch_events, f, e);
	if (!f->call) {
		fetch_drop(f);
		return NULL;
	}
	f->call->drop = fetch_drop;
	f->call->drop_arg = f;
	return f->call;
}
