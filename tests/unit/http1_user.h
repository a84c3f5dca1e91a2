// SPDX-License-Identifier: Apache-2.0
/*
 * A user of an HTTP/1.1 connection that notes each up-call in `log`, and answers, holds back,
 * credits or aborts as its test says: what the tests of the server share.
 */
#ifndef CHELA_TESTS_HTTP1_USER_H
#define CHELA_TESTS_HTTP1_USER_H
#include "mem_duplex.h"
#include "base/str.h"
#include "runtime/http1.h"

struct user {
	struct mem m;
	struct http1 *c;
	struct buf log;
	int closed, gones, ends, drains, refusals, requests;
	bool hold;	  /* do not answer at the end of the request */
	bool hoard;	  /* do not credit the body */
	bool at_once;	  /* answer in the request call */
	int finish_after; /* answer after so many body bytes */
	int abort_after;
	int refills; /* ten bytes each, written in drained until it is full */
	size_t body;
};

static void on_body(void *x, const uint8_t *p, size_t n)
{
	struct user *u = x;

	buf_put(&u->log, p, n);
	u->body += n;
	if (!u->hoard)
		http1_consumed(u->c, n);
	if (u->abort_after && u->body >= (size_t)u->abort_after)
		http1_abort(u->c);
	else if (u->finish_after && u->body >= (size_t)u->finish_after)
		http1_reply(u->c, 413, NULL, NULL, 0);
}

static void on_end(void *x)
{
	struct user *u = x;

	u->ends++;
	buf_puts(&u->log, "|");
	if (!u->hold)
		http1_reply(u->c, 200, "text/plain", "ok", 2);
}

static void on_drained(void *x)
{
	struct user *u = x;

	u->drains++;
	while (u->refills > 0 && !http1_full(u->c)) {
		u->refills--;
		assert_int_equal(http1_write(u->c, "0123456789", 10), 0);
	}
}

static void on_gone(void *x)
{
	((struct user *)x)->gones++;
}

static const struct http1_handler *on_request(void *ctx, struct http1 *c, const struct http1_req *r,
					      void **x)
{
	static const struct http1_handler h = {on_body, on_end, on_drained, on_gone};
	struct user *u = ctx;

	u->requests++;
	u->body = 0;
	buf_putf(&u->log, "%s %s?%s %lld", r->method, r->path, r->query, (long long)r->length);
	for (size_t i = 0; i < r->n_headers; i++)
		buf_putf(&u->log, " %s=%s", r->headers[i].name, r->headers[i].value);
	buf_puts(&u->log, ">");
	if (u->at_once) {
		http1_reply(c, 404, "text/plain", "no", 2);
		return NULL;
	}
	*x = u;
	return &h;
}

static void on_refused(void *ctx, const char *what, const char *why)
{
	struct user *u = ctx;

	u->refusals++;
	buf_putf(&u->log, "!%s: %s!", what, why);
}

static void on_closed(void *ctx, struct http1 *c)
{
	struct user *u = ctx;

	assert_ptr_equal(c, u->c);
	u->closed++;
}

static const struct http1_events events = {on_request, on_refused, on_closed};

static void start(struct user *u)
{
	memset(u, 0, sizeof(*u));
	mem_init(&u->m);
	u->c = http1_new(&u->m.d, &events, u);
}

static void stop(struct user *u)
{
	mem_close(&u->m);
	assert_int_equal(u->closed, 1);
	buf_free(&u->log);
}

#define HEAD	  "Host: localhost:2435\r\n"
#define OK_ANSWER "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
#endif
