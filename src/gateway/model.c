// SPDX-License-Identifier: Apache-2.0
/*
 * The proxy to the Messages API. Passes on what is on the lists below and nothing else; the key is
 * put in here and is never in anything that goes back. Streams both ways: a slow sandbox pauses
 * the upstream, a slow upstream stops crediting the sandbox. Nothing but the head is held back.
 */
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "gateway/internal.h"
#include "runtime/sse.h"

#define OAUTH_BETA "oauth-2025-04-20"

struct call {
	struct gateway *g;
	void *peer;
	struct http1 *c; /* NULL once it is answered or gone */
	struct http_call *up;
	struct buf body; /* came from the sandbox, not yet taken by the upstream */
	int64_t body_seen;
	int64_t complete_us; /* when the request was complete; 0 = not yet */
	bool counted;	     /* a call that uses tokens: tell on_usage */
	struct buf tail;     /* of an error's body: what may be the begin of the key */
	bool body_done, send_waits, down_waits, answered, redirect;
	struct usage u;
	struct sse sse;
};

/* Client headers that reach the API: exact names, and prefixes that end in '-'. */
static const char *const up_list[] = {
	"accept",
	"anthropic-beta",
	"anthropic-version",
	"anthropic-dangerous-direct-browser-access",
	"content-type",
	"user-agent",
	"x-app",
	"x-claude-code-session-id",
	"x-stainless-",
};
/* Headers of the API that reach the client. */
static const char *const down_list[] = {
	"content-type",	  "content-encoding", "request-id",	      "retry-after",
	"retry-after-ms", "x-should-retry",   "anthropic-ratelimit-",
};

static bool listed(const char *const *list, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(list[i]);
		if (list[i][len - 1] == '-' ? str_starts(name, list[i]) : streq(name, list[i]))
			return true;
	}
	return false;
}

/* Ends the call: exactly one on_usage, whatever the road here. */
static void call_end(struct call *m)
{
	if (m->up)
		http_cancel(m->up);
	sse_end(&m->sse);
	if (m->counted)
		gateway_usage(m->g, m->peer, &m->u);
	buf_free(&m->body);
	buf_free(&m->tail);
	free(m);
}

/* Answers with an error of our own and ends the call; or breaks off what was already begun. */
static void call_fail(struct call *m, int status, const char *type, const char *text)
{
	struct http1 *c = m->c;

	if (m->answered) {
		http1_abort(c); /* calls gone, which ends the call */
		return;
	}
	m->u.status = status;
	model_api_error(c, status, type, text);
	call_end(m);
}

/* --- upwards --- */

static size_t on_send(void *ctx, uint8_t *p, size_t cap)
{
	struct call *m = ctx;
	size_t n = m->body.len < cap ? m->body.len : cap;

	if (n == 0) {
		m->send_waits = !m->body_done;
		return m->body_done ? 0 : HTTP_PAUSE;
	}
	memcpy(p, m->body.p, n);
	buf_drop(&m->body, n);
	http1_consumed(m->c, n);
	return n;
}

static void resume_send(struct call *m)
{
	if (!m->send_waits || !m->up)
		return;
	m->send_waits = false;
	http_resume_send(m->up);
}

static void on_req_body(void *x, const uint8_t *p, size_t n)
{
	struct call *m = x;
	struct err e = ERR_INIT;

	m->body_seen += (int64_t)n;
	if (m->body_seen > MODEL_BODY_MAX || buf_add(&m->body, p, n, &e) < 0)
		call_fail(m, 413, "request_too_large", "The request is larger than 32 MiB.");
	else
		resume_send(m);
}

static void on_req_end(void *x)
{
	struct call *m = x;

	m->body_done = true;
	m->complete_us = clock_mono(&clock_system);
	resume_send(m);
}

static void on_req_drained(void *x)
{
	struct call *m = x;

	if (!m->down_waits || !m->up)
		return;
	m->down_waits = false;
	http_resume(m->up);
}

static void on_req_gone(void *x)
{
	call_end(x);
}

/* --- downwards --- */

static void on_head(void *ctx, int status, const struct http_header *h, size_t n)
{
	struct call *m = ctx;
	struct http_header out[32];
	size_t k = 0;
	int64_t length = -1;
	bool stream = false;
	struct err e = ERR_INIT;

	m->u.status = status;
	m->redirect = status >= 300 && status < 400;
	if (m->redirect)
		return; /* never followed: the key would go to another host. See on_done */
	for (size_t i = 0; i < n; i++) {
		if (streq(h[i].name, "content-length") &&
		    str_to_i64(h[i].value, 0, INT64_MAX / 2, &length, &e) < 0)
			length = -1;
		if (streq(h[i].name, "content-type"))
			stream = str_starts(h[i].value, "text/event-stream");
		if (k < ARRAY_LEN(out) && listed(down_list, ARRAY_LEN(down_list), h[i].name))
			out[k++] = h[i];
	}
	sse_init(&m->sse, &m->u, !stream);
	m->answered = true;
	if (http1_respond(m->c, status, out, k, length) < 0)
		return; /* m is gone */
}

/* Some servers quote the key that they refuse. It is covered by as many stars, so that lengths stay; what
 * may be its begin waits in tail for what follows. Returns how many bytes of tail may go. */
static size_t cover_key(struct call *m)
{
	const struct secret *key = m->g->o.oauth ? m->g->o.oauth : m->g->o.key;
	size_t hold = key->len - 1;
	char *at;

	while ((at = memmem(m->tail.p, m->tail.len, key->value, key->len)))
		memset(at, '*', key->len);
	if (hold > m->tail.len)
		hold = m->tail.len;
	while (hold && memcmp(m->tail.p + m->tail.len - hold, key->value, hold) != 0)
		hold--;
	return m->tail.len - hold;
}

/* -1: m is gone. */
static int pass_down(struct call *m, const uint8_t *p, size_t n)
{
	if (m->u.status < 400)
		return http1_write(m->c, p, n);
	buf_put(&m->tail, p, n);
	n = cover_key(m);
	if (n && http1_write(m->c, m->tail.p, n) < 0)
		return -1;
	buf_drop(&m->tail, n);
	return 0;
}

static bool on_body(void *ctx, const uint8_t *p, size_t n)
{
	struct call *m = ctx;

	if (!m->answered)
		return true; /* of a redirect */
	if (m->u.first_byte_us == 0 && m->complete_us)
		m->u.first_byte_us = clock_mono(&clock_system) - m->complete_us;
	if (m->counted)
		sse_feed(&m->sse, p, n);
	if (pass_down(m, p, n) < 0)
		return true; /* m is gone, and the call with it */
	m->down_waits = http1_full(m->c);
	return !m->down_waits;
}

/* The part of the base URL that a person can check. */
static void host_of(const char *url, char *out, size_t cap)
{
	const char *p = strstr(url, "://");
	const char *at;

	p = p ? p + 3 : url;
	size_t n = strcspn(p, "/?#");
	at = memrchr(p, '@', n); /* user:password@ is never shown */
	if (at) {
		n -= (size_t)(at + 1 - p);
		p = at + 1;
	}
	snprintf(out, cap, "%.*s", (int)(n < cap ? n : cap - 1), p);
}

static void explain(const struct call *m, const struct err *why, char *text, size_t cap)
{
	char host[160];

	host_of(m->g->base_url, host, sizeof(host));
	if (!why)
		snprintf(text, cap,
			 "The model API at %s answered with a redirect, which is not followed. "
			 "Check model.base_url in Chela's configuration.",
			 host);
	else if (why->code == E_AUTH)
		snprintf(text, cap,
			 "The TLS certificate of the model API at %s was not accepted: %s. "
			 "Check model.base_url, model.ca_file and the server's clock.",
			 host, why->msg);
	else
		snprintf(text, cap,
			 "Chela's server got no answer from the model API at %s: %s. "
			 "Check its network, DNS and model.base_url.",
			 host, why->msg);
}

static void on_done(void *ctx, const struct err *why)
{
	struct call *m = ctx;
	struct http1 *c = m->c;
	char text[768];

	m->up = NULL; /* freed after this call */
	if (!why && !m->redirect) {
		if (m->tail.len && http1_write(c, m->tail.p, m->tail.len) < 0)
			return; /* m is gone */
		call_end(m);
		http1_finish(c);
		return;
	}
	explain(m, why, text, sizeof(text));
	log_warn("gateway", "model call failed", "code=%s status=%d",
		 why ? err_word(why->code) : "redirect", m->u.status);
	bool late = why && why->code == E_TEMP &&
		    (strcasestr(why->msg, "timed out") || strstr(why->msg, "silent for"));
	call_fail(m, late ? 504 : 502, late ? "timeout_error" : "api_error", text);
}

/* --- the start --- */

struct up_head {
	struct http_header h[HTTP1_HEADERS_MAX + 4];
	size_t n;
	char auth[SECRET_MAX + 16];
	char *beta; /* owned */
};

static void add(struct up_head *u, const char *name, const char *value)
{
	if (u->n < ARRAY_LEN(u->h))
		u->h[u->n++] = (struct http_header){name, value};
}

static void build_head(struct up_head *u, const struct gateway *g, const struct http1_req *r)
{
	u->n = 0;
	u->beta = NULL;
	for (size_t i = 0; i < r->n_headers; i++) {
		const struct http_header *h = &r->headers[i];
		if (g->o.oauth && streq(h->name, "anthropic-beta")) {
			char *was = u->beta;
			u->beta = was ? xasprintf("%s,%s", was, h->value) : xstrdup(h->value);
			free(was);
		} else if (listed(up_list, ARRAY_LEN(up_list), h->name)) {
			add(u, h->name, h->value);
		}
	}
	if (g->o.oauth) {
		char *was = u->beta;
		if (!was || !strstr(was, OAUTH_BETA))
			u->beta = was ? xasprintf("%s,%s", was, OAUTH_BETA) : xstrdup(OAUTH_BETA);
		if (u->beta != was)
			free(was);
		add(u, "anthropic-beta", u->beta);
		snprintf(u->auth, sizeof(u->auth), "Bearer %s", g->o.oauth->value);
		add(u, "authorization", u->auth);
	} else {
		add(u, "x-api-key", g->o.key->value);
	}
}

static struct http_call *start(struct call *m, const struct http1_req *r, struct err *e)
{
	static const struct http_events ev = {on_head, on_body, on_send, on_done};
	_cleanup_free_ struct up_head *u = xmalloc(sizeof(*u));
	_cleanup_free_ char *url =
		xasprintf("%s%s%s%s", m->g->base_url, r->path, r->query[0] ? "?" : "", r->query);

	build_head(u, m->g, r);
	struct http_spec s = {
		.method = r->method,
		.url = url,
		.headers = u->h,
		.n_headers = u->n,
		.stream_body = r->length != 0,
		.stream_len = r->length,
		.idle_ms = 600000, /* long thinking without a byte is legal */
	};
	struct http_call *up = http_start(m->g->http, &s, &ev, m, e);
	explicit_bzero(u->auth, sizeof(u->auth));
	free(u->beta);
	return up;
}

const struct http1_handler *model_request(void *self, void *peer, struct http1 *c,
					  const struct http1_req *r, void **x)
{
	static const struct http1_handler handler = {on_req_body, on_req_end, on_req_drained,
						     on_req_gone};
	struct err e = ERR_INIT;

	if (streq(r->method, "HEAD")) { /* a warm-up of a connection that is ours already */
		http1_reply(c, 200, NULL, NULL, 0);
		return NULL;
	}
	if (r->length > MODEL_BODY_MAX) {
		model_api_error(c, 413, "request_too_large", "The request is larger than 32 MiB.");
		return NULL;
	}
	struct call *m = xcalloc(1, sizeof(*m));
	m->g = self;
	m->peer = peer;
	m->c = c;
	m->counted = streq(r->path, "/v1/messages");
	m->body_done = r->length == 0;
	sse_init(&m->sse, &m->u, false);
	m->up = start(m, r, &e);
	if (!m->up) {
		call_fail(m, 500, "api_error", e.msg);
		return NULL;
	}
	*x = m;
	return &handler;
}
