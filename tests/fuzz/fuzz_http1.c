// SPDX-License-Identifier: Apache-2.0
/*
 * The HTTP/1.1 server: any bytes, cut into pieces as the first byte says, answered by a handler
 * that echoes the body, holds it back, answers early or aborts as the second byte says. No more is
 * credited than was given, and what one cut accepts every cut accepts.
 */
#include "fuzz.h"
#include <string.h>
#include "base/buf.h"
#include "runtime/http1.h"

struct peer {
	struct duplex d;
	struct http1 *c;
	struct buf out;
	size_t given, credited, body;
	unsigned mode;
	int requests, ends, gones, closed;
	bool finished, reset;
};

static int peer_write(struct duplex *d, const void *p, size_t n, struct err *e)
{
	struct peer *s = container_of(d, struct peer, d);

	(void)e;
	fuzz_check(!s->finished && !s->reset);
	buf_put(&s->out, p, n);
	return 0;
}

static size_t peer_pending(const struct duplex *d)
{
	(void)d;
	return 0;
}

static void peer_consumed(struct duplex *d, size_t n)
{
	struct peer *s = container_of(d, struct peer, d);

	fuzz_check(!s->reset);
	s->credited += n;
	fuzz_check(s->credited <= s->given);
}

static void peer_finish(struct duplex *d)
{
	struct peer *s = container_of(d, struct peer, d);

	fuzz_check(!s->finished && !s->reset);
	s->finished = true;
}

static void peer_reset(struct duplex *d)
{
	struct peer *s = container_of(d, struct peer, d);

	fuzz_check(!s->reset);
	s->reset = true;
}

static void on_body(void *x, const uint8_t *p, size_t n)
{
	struct peer *s = x;

	s->body += n;
	http1_consumed(s->c, n);
	if (s->mode == 1 && http1_write(s->c, p, n) < 0)
		return;
	if (s->mode == 2 && s->body > 3)
		http1_reply(s->c, 413, NULL, NULL, 0);
	else if (s->mode == 3 && s->body > 3)
		http1_abort(s->c);
}

static void on_end(void *x)
{
	struct peer *s = x;

	s->ends++;
	if (s->mode == 1)
		http1_finish(s->c);
	else
		http1_reply(s->c, 200, "text/plain", "ok", 2);
}

static void on_gone(void *x)
{
	((struct peer *)x)->gones++;
}

static const struct http1_handler *on_request(void *ctx, struct http1 *c, const struct http1_req *r,
					      void **x)
{
	static const struct http1_handler h = {on_body, on_end, NULL, on_gone};
	struct peer *s = ctx;

	s->requests++;
	s->body = 0;
	fuzz_check(r->path[0] == '/' && r->n_headers >= 1 && r->n_headers <= HTTP1_HEADERS_MAX);
	fuzz_check(http1_is_local(http1_header(r, "host")));
	for (size_t i = 0; i < r->n_headers; i++)
		fuzz_check(!strpbrk(r->headers[i].value, "\r\n") && r->headers[i].name[0]);
	if (s->mode == 4) {
		http1_reply(c, 404, "text/plain", "no", 2);
		return NULL;
	}
	if (s->mode == 1 && http1_respond(c, 200, NULL, 0, -1) < 0)
		return NULL;
	*x = s;
	return &h;
}

static void on_refused(void *ctx, const char *what, const char *why)
{
	(void)ctx;
	fuzz_check(strlen(what) < 200 && strlen(why) < 200 && !strpbrk(what, "\r\n"));
}

static void on_closed(void *ctx, struct http1 *c)
{
	(void)c;
	((struct peer *)ctx)->closed++;
}

static void run(struct peer *s, unsigned mode, const uint8_t *p, size_t n, size_t step)
{
	static const struct duplex_ops ops = {peer_write, peer_pending, peer_consumed, peer_finish,
					      peer_reset};
	static const struct http1_events ev = {on_request, on_refused, on_closed};

	memset(s, 0, sizeof(*s));
	s->d.ops = &ops;
	s->d.high_water = 65536;
	s->mode = mode;
	s->c = http1_new(&s->d, &ev, s);
	for (size_t i = 0; i < n && !s->reset; i += step) {
		size_t k = n - i < step ? n - i : step;
		s->given += k;
		s->d.ev->data(s->d.ctx, p + i, k);
	}
	if (!s->reset && n % 2)
		s->d.ev->eof(s->d.ctx);
	if (!s->reset)
		s->d.ev->closed(s->d.ctx, NULL);
	fuzz_check(s->closed == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct peer a, b;

	if (n < 2)
		return 0;
	run(&a, data[1] % 5, data + 2, n - 2, (size_t)data[0] + 1);
	run(&b, data[1] % 5, data + 2, n - 2, n);
	/* A handler that acts on the size of what it has seen may act later in a bigger piece. */
	fuzz_check(a.requests == b.requests);
	if (a.mode == 0)
		fuzz_check(a.ends == b.ends && a.out.len == b.out.len);
	buf_free(&a.out);
	buf_free(&b.out);
	return 0;
}
