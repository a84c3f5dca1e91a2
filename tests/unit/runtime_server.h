// SPDX-License-Identifier: Apache-2.0
/*
 * A small HTTP/1.1 server on the same loop, and one call's recorder: what the HTTP client's tests
 * share. The path says what the server does; each request's raw bytes are kept.
 */
#ifndef CHELA_TESTS_UNIT_RUNTIME_SERVER_H
#define CHELA_TESTS_UNIT_RUNTIME_SERVER_H
#include "runtime_fix.h"
#include "base/buf.h"
#include "base/str.h"
#include "runtime/conn.h"
#include "runtime/http.h"

#define BIG_CHUNKS 512
#define BIG_CHUNK  16384

struct srv {
	struct fix *f;
	struct listener *s;
	int port;
	int accepted, live, requests;
	struct srv_conn *first;
	struct buf last; /* the last request, raw */
	bool stop_on_request;
	bool stop_on_close;
};

struct srv_conn {
	struct srv_conn *next;
	struct srv *srv;
	struct duplex *d;
	struct buf in;
	int chunks_left;   /* of /big */
	size_t head, need; /* bytes of the head, and of the request, once known */
	bool chunked;
	bool stall; /* /stall: take nothing more of the body */
};

static inline void srv_say(struct srv_conn *c, const char *text)
{
	struct err e = ERR_INIT;
	assert_ok(duplex_write(c->d, text, strlen(text), &e), &e);
}

static inline void srv_big(struct srv_conn *c)
{
	static char chunk[BIG_CHUNK];
	struct err e = ERR_INIT;

	memset(chunk, 'z', sizeof(chunk));
	while (c->chunks_left > 0 && duplex_pending(c->d) <= c->d->high_water) {
		srv_say(c, "4000\r\n");
		assert_ok(duplex_write(c->d, chunk, sizeof(chunk), &e), &e);
		srv_say(c, --c->chunks_left ? "\r\n" : "\r\n0\r\n\r\n");
	}
}

static inline void srv_answer(struct srv_conn *c, const char *path, size_t n)
{
	char len[64];
	struct err e = ERR_INIT;
#define AT(lit) (n == strlen(lit) && strncmp(path, lit, n) == 0)
	if (AT("/plain")) {
		srv_say(c, "HTTP/1.1 200 OK\r\nX-Thing:  A b \r\nContent-Length: 5\r\n\r\nhello");
	} else if (AT("/empty")) {
		srv_say(c, "HTTP/1.1 204 No Content\r\n\r\n");
	} else if (AT("/echo")) {
		snprintf(len, sizeof(len), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n",
			 c->in.len);
		srv_say(c, len);
		assert_ok(duplex_write(c->d, c->in.p, c->in.len, &e), &e);
	} else if (AT("/big")) {
		srv_say(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
		c->chunks_left = BIG_CHUNKS;
		srv_big(c);
	} else if (AT("/interim")) {
		srv_say(c,
			"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 201 Made\r\nA: 1\r\n"
			"A: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nTail: 1\r\n\r\n");
	} else if (AT("/redirect")) {
		srv_say(c, "HTTP/1.1 302 Found\r\nLocation: /plain\r\nContent-Length: 0\r\n\r\n");
	} else if (AT("/short")) {
		srv_say(c, "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf");
		duplex_finish(c->d);
	} else if (AT("/garbage")) {
		srv_say(c, "SMTP is not what you want\r\n\r\n");
	} else if (AT("/badchunk")) {
		srv_say(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nhm\r\n");
	} else if (AT("/bighead")) {
		srv_say(c, "HTTP/1.1 200 OK\r\n");
		for (int i = 0; i < 40; i++)
			srv_say(c, "X-Filler: 0123456789012345678901234567890123456789\r\n");
		srv_say(c, "Content-Length: 0\r\n\r\n");
	} else if (AT("/gone")) {
		duplex_finish(c->d);
	} else if (AT("/half")) {
		srv_say(c, "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf");
	} /* "/hang": nothing */
}

/* A whole request is there: by Content-Length, or by the last chunk. */
static inline bool srv_complete(struct srv_conn *c)
{
	if (!c->head) {
		const char *end = strstr(c->in.p, "\r\n\r\n");
		const char *len;

		if (!end)
			return false;
		c->head = (size_t)(end + 4 - c->in.p);
		len = strstr(c->in.p, "Content-Length: ");
		c->chunked = strstr(c->in.p, "Transfer-Encoding: chunked") != NULL;
		c->stall = strstr(c->in.p, " /stall ") != NULL;
		if (strstr(c->in.p, " /early "))
			srv_say(c, "HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno");
		c->need = len && len < end ? c->head + strtoul(len + 16, NULL, 10) : c->head;
	}
	if (c->chunked)
		return c->in.len >= 5 && memcmp(c->in.p + c->in.len - 5, "0\r\n\r\n", 5) == 0;
	return c->in.len >= c->need;
}

static inline void srv_data(void *ctx, const uint8_t *p, size_t n)
{
	struct srv_conn *c = ctx;
	const char *path;
	bool whole;

	buf_put(&c->in, p, n);
	whole = srv_complete(c);
	if (c->stall)
		return;
	duplex_consumed(c->d, n);
	if (!whole)
		return;
	c->srv->requests++;
	path = strchr(c->in.p, ' ') + 1;
	srv_answer(c, path, strcspn(path, " "));
	buf_free(&c->srv->last);
	c->srv->last = c->in;
	c->in = (struct buf){0};
	c->head = 0;
	if (c->srv->stop_on_request)
		loop_stop(c->srv->f->l);
}

static inline void srv_eof(void *ctx)
{
	struct srv_conn *c = ctx;
	duplex_finish(c->d);
}

static inline void srv_drained(void *ctx)
{
	srv_big(ctx);
}

static inline void srv_unlink(struct srv_conn *c)
{
	struct srv_conn **p = &c->srv->first;

	while (*p != c)
		p = &(*p)->next;
	*p = c->next;
	c->srv->live--;
	buf_free(&c->in);
	free(c);
}

static inline void srv_closed(void *ctx, const struct err *why maybe_unused)
{
	struct srv_conn *c = ctx;
	struct srv *s = c->srv;

	srv_unlink(c);
	if (s->stop_on_close)
		loop_stop(s->f->l);
}

static const struct duplex_events srv_events = {srv_data, srv_eof, srv_drained, srv_closed};

static inline void srv_accept(void *ctx, int fd, uid_t uid maybe_unused)
{
	struct srv *s = ctx;
	struct srv_conn *c = xcalloc(1, sizeof(*c));

	c->srv = s;
	c->d = conn_new(s->f->l, "server", fd);
	c->d->ev = &srv_events;
	c->d->ctx = c;
	c->next = s->first;
	s->first = c;
	s->accepted++;
	s->live++;
}

static inline void srv_start(struct srv *s, struct fix *f, const char *unix_path)
{
	struct err e = ERR_INIT;

	*s = (struct srv){.f = f};
	s->s = unix_path ? listener_unix(f->l, "server", unix_path, srv_accept, s, &e)
			 : listener_tcp(f->l, "server", &s->port, srv_accept, s, &e);
	assert_non_null(s->s);
}

static inline void srv_end(struct srv *s)
{
	while (s->first) {
		duplex_reset(s->first->d);
		srv_unlink(s->first);
	}
	buf_free(&s->last);
	listener_free(s->s);
}

/* --- a call's recorder --- */

enum stage {
	NEVER,
	IN_HEAD,
	IN_BODY,
	IN_SEND,
	IN_DONE
};

struct rec {
	struct fix *f;
	struct http_client *client;
	struct http_call *call;
	int status, heads, dones, sends;
	struct buf headers, body;
	size_t got; /* body bytes; kept in body only up to 1 MiB */
	enum stage cancel_in, free_in, stop_in;
	size_t pause_at; /* pause once so much came, and stop the loop */
	size_t send_total, send_done, send_pause_at;
	bool paused, send_paused;
	bool failed;
	struct err why;
};

/* True when the call, or its client, is over by what was done here. */
static inline bool rec_act(struct rec *r, enum stage now)
{
	if (r->stop_in == now)
		loop_stop(r->f->l);
	if (r->cancel_in == now) {
		http_cancel(r->call);
		r->call = NULL;
		return true;
	}
	if (r->free_in == now) {
		http_client_free(r->client);
		r->client = NULL;
		r->call = NULL;
		return true;
	}
	return false;
}

static inline void rec_head(void *ctx, int status, const struct http_header *h, size_t n)
{
	struct rec *r = ctx;

	assert_non_null(r->call);
	r->heads++;
	r->status = status;
	for (size_t i = 0; i < n; i++)
		buf_putf(&r->headers, "%s=%s;", h[i].name, h[i].value);
	rec_act(r, IN_HEAD);
}

static inline bool rec_body(void *ctx, const uint8_t *p, size_t n)
{
	struct rec *r = ctx;

	assert_non_null(r->call);
	assert_int_equal(r->heads, 1);
	assert_false(r->paused);
	r->got += n;
	if (r->got <= 1 << 20)
		buf_put(&r->body, p, n);
	if (rec_act(r, IN_BODY))
		return true;
	if (r->pause_at && r->got >= r->pause_at) {
		r->paused = true;
		loop_stop(r->f->l);
		return false;
	}
	return true;
}

static inline size_t rec_send(void *ctx, uint8_t *p, size_t cap)
{
	struct rec *r = ctx;
	size_t n = r->send_total - r->send_done;

	assert_non_null(r->call);
	r->sends++;
	if (rec_act(r, IN_SEND))
		return 0;
	if (r->send_pause_at && r->send_done >= r->send_pause_at) {
		r->send_paused = true;
		loop_stop(r->f->l);
		return HTTP_PAUSE;
	}
	if (n > cap)
		n = cap;
	if (n > 1000)
		n = 1000;
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)('a' + (r->send_done + i) % 26);
	r->send_done += n;
	return n;
}

static inline void rec_done(void *ctx, const struct err *why)
{
	struct rec *r = ctx;

	assert_non_null(r->call);
	r->dones++;
	assert_int_equal(r->dones, 1);
	if (why) {
		r->failed = true;
		r->why = *why;
	}
	r->call = NULL;
	if (r->cancel_in != IN_DONE)
		rec_act(r, IN_DONE);
	loop_stop(r->f->l);
}

static const struct http_events rec_events = {rec_head, rec_body, rec_send, rec_done};

static inline void rec_init(struct rec *r, struct fix *f, struct http_client *c)
{
	*r = (struct rec){.f = f, .client = c};
}

static inline void rec_free(struct rec *r)
{
	buf_free(&r->headers);
	buf_free(&r->body);
}

static inline void rec_start(struct rec *r, const struct http_spec *s)
{
	struct err e = ERR_INIT;

	r->call = http_start(r->client, s, &rec_events, r, &e);
	if (!r->call)
		fail_msg("http_start: %s", e.msg);
}

/* Runs GET (or what `more` says) to its end. */
static inline void rec_get(struct rec *r, const char *scheme, int port, const char *path,
			   const struct http_spec *more)
{
	struct http_spec s = more ? *more : (struct http_spec){0};
	_cleanup_free_ char *url = xasprintf("%s://127.0.0.1:%d%s", scheme, port, path);

	s.url = url;
	if (!s.method)
		s.method = "GET";
	rec_start(r, &s);
	loop_run(r->f->l);
}
#endif
