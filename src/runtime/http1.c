// SPDX-License-Identifier: Apache-2.0
/*
 * See http1.h. One connection is a small machine: HEAD (collecting), BODY (handing on), WAIT (the
 * request is complete, the response is not) and CLOSING (nothing more is read). Input that is not
 * handed on stays uncredited, so the peer's window is the bound on memory.
 * It must never decide what a request may do: that is the handler's work.
 */
#include "runtime/http1.h"
#include <stdio.h>
#include <string.h>
#include "base/buf.h"
#include "base/str.h"
#include "runtime/http1_head.h"

#define THROW_AWAY_MAX ((int64_t)32 << 20) /* rest of a request that was answered early */
#define LINGER_MAX     ((int64_t)64 << 10) /* input taken after our last answer */
#define FLUSH_PIECE    ((size_t)64 << 10)

enum state {
	ST_HEAD,
	ST_BODY,
	ST_WAIT,
	ST_CLOSING
};

struct http1 {
	struct duplex *d;
	const struct http1_events *ev;
	void *ctx;
	enum state state;
	http_parser hp;
	http_parser_settings settings;
	struct http1_head head;
	struct buf in;
	size_t searched; /* of `in`, for the end of the head */
	struct buf out;	 /* what the duplex does not want yet */
	const struct http1_handler *h;
	void *x;
	size_t handed;	  /* body bytes given to the handler in this execute */
	size_t owed;	  /* ... and not credited by it yet */
	int64_t thrown;	  /* bytes taken for nobody */
	int busy;	  /* > 0 while pump runs */
	bool parsed_body; /* the parser saw the end of the request */
	bool answering;	  /* a request is dispatched and its response not finished */
	bool head_sent, chunked, no_body, keep_alive, was_full;
	bool finished; /* our side is half-closed */
	bool dead;
};

static void pump(struct http1 *c);

const char *http1_header(const struct http1_req *r, const char *name)
{
	for (size_t i = 0; i < r->n_headers; i++)
		if (streq(r->headers[i].name, name))
			return r->headers[i].value;
	return NULL;
}

static void free_now(struct http1 *c)
{
	c->ev->closed(c->ctx, c);
	http1_head_free(&c->head);
	buf_free(&c->in);
	buf_free(&c->out);
	free(c);
}

static void tell_gone(struct http1 *c)
{
	const struct http1_handler *h = c->h;

	c->h = NULL;
	if (h)
		h->gone(c->x);
}

bool http1_is_dead(const struct http1 *c)
{
	return c->dead;
}

void http1_abort(struct http1 *c)
{
	if (c->dead)
		return;
	c->dead = true;
	duplex_reset(c->d);
	tell_gone(c);
	if (c->busy == 0)
		free_now(c);
}

void http1_consumed(struct http1 *c, size_t n)
{
	if (c->dead || !c->h || n == 0)
		return;
	c->owed -= n < c->owed ? n : c->owed;
	duplex_consumed(c->d, n);
}

/* --- output --- */

bool http1_full(const struct http1 *c)
{
	return c->out.len > 0 || duplex_pending(c->d) > c->d->high_water;
}

static int flush(struct http1 *c)
{
	struct err e = ERR_INIT;
	size_t done = 0;

	while (done < c->out.len && duplex_pending(c->d) <= c->d->high_water) {
		size_t n = c->out.len - done < FLUSH_PIECE ? c->out.len - done : FLUSH_PIECE;
		if (duplex_write(c->d, c->out.p + done, n, &e) < 0)
			return -1;
		done += n;
	}
	buf_drop(&c->out, done);
	return 0;
}

static int put(struct http1 *c, const void *p, size_t n)
{
	struct err e = ERR_INIT;

	if (c->dead)
		return -1;
	if (n && buf_add(&c->out, p, n, &e) < 0)
		return -1;
	return 0;
}

/* Output was queued by put: sends what the duplex takes. -1 = the connection was aborted. */
static int push(struct http1 *c, int rc)
{
	if (rc < 0 || flush(c) < 0) {
		http1_abort(c);
		return -1;
	}
	c->was_full = c->was_full || http1_full(c);
	return 0;
}

static const char *reason(int status)
{
	const char *s = http_status_str((enum http_status)status);

	return streq(s, "<unknown>") ? "Status" : s;
}

/* Queues the head; nothing is sent before the caller pushes. */
static int put_head(struct http1 *c, int status, const struct http_header *h, size_t n,
		    int64_t length)
{
	char line[96];
	int rc = 0;

	c->head_sent = true;
	c->no_body = status == 204 || status == 304 || streq(c->head.req.method, "HEAD");
	c->chunked = length < 0 && !c->no_body;
	snprintf(line, sizeof(line), "HTTP/1.1 %d %s\r\n", status, reason(status));
	rc |= put(c, line, strlen(line));
	for (size_t i = 0; i < n; i++) {
		rc |= put(c, h[i].name, strlen(h[i].name));
		rc |= put(c, ": ", 2);
		rc |= put(c, h[i].value, strlen(h[i].value));
		rc |= put(c, "\r\n", 2);
	}
	snprintf(line, sizeof(line), "Content-Length: %lld\r\n", (long long)length);
	if (c->chunked)
		str_copy(line, sizeof(line), "Transfer-Encoding: chunked\r\n");
	if (length >= 0 || c->chunked)
		rc |= put(c, line, strlen(line));
	if (!c->keep_alive)
		rc |= put(c, "Connection: close\r\n", 19);
	return rc | put(c, "\r\n", 2);
}

int http1_respond(struct http1 *c, int status, const struct http_header *h, size_t n,
		  int64_t length)
{
	return c->dead ? -1 : push(c, put_head(c, status, h, n, length));
}

int http1_write(struct http1 *c, const void *p, size_t n)
{
	char size[24];
	int rc = 0;

	if (c->dead)
		return -1;
	if (n == 0 || c->no_body)
		return 0;
	if (c->chunked) {
		snprintf(size, sizeof(size), "%zx\r\n", n);
		rc |= put(c, size, strlen(size));
	}
	rc |= put(c, p, n);
	if (c->chunked)
		rc |= put(c, "\r\n", 2);
	return push(c, rc);
}

static void end_output(struct http1 *c)
{
	c->state = ST_CLOSING;
	if (c->out.len > 0 || c->finished)
		return;
	c->finished = true;
	duplex_finish(c->d);
}

/* The response is out (or queued) and so is the request: on to the next one. */
static void next_request(struct http1 *c)
{
	c->thrown = 0;
	if (c->keep_alive) {
		c->state = ST_HEAD;
		c->searched = 0;
		return;
	}
	end_output(c);
}

void http1_finish(struct http1 *c)
{
	if (c->dead)
		return;
	c->h = NULL;
	if (c->chunked && push(c, put(c, "0\r\n\r\n", 5)) < 0)
		return;
	if (c->owed)
		duplex_consumed(c->d, c->owed);
	c->owed = 0;
	c->answering = false;
	if (c->parsed_body)
		next_request(c);
	pump(c);
}

void http1_reply(struct http1 *c, int status, const char *type, const void *body, size_t n)
{
	struct http_header h = {"Content-Type", type};

	if (c->dead)
		return;
	c->h = NULL;
	int rc = put_head(c, status, &h, type ? 1 : 0, (int64_t)n);
	if (!c->no_body)
		rc |= put(c, body, n);
	if (push(c, rc) == 0)
		http1_finish(c);
}

/* --- input --- */

/* An answer of our own to a peer that broke the rules; nothing more is read after it. */
static void refuse(struct http1 *c, int status, const char *what, const char *why)
{
	char body[256];

	c->ev->refused(c->ctx, what, why);
	if (c->dead)
		return;
	c->head.req.method = "";
	c->keep_alive = false;
	c->parsed_body = true;
	snprintf(body, sizeof(body), "chela: %s\n", why);
	http1_reply(c, status, "text/plain; charset=utf-8", body, strlen(body));
}

static int on_body(http_parser *hp, const char *p, size_t n)
{
	struct http1 *c = container_of(hp, struct http1, hp);

	if (!c->h)
		return 0; /* thrown away: credited with the framing */
	c->handed += n;
	c->owed += n;
	c->h->body(c->x, (const uint8_t *)p, n);
	return 0;
}

static int on_end(http_parser *hp)
{
	struct http1 *c = container_of(hp, struct http1, hp);

	c->parsed_body = true;
	http_parser_pause(hp, 1);
	return 0;
}

static void request_complete(struct http1 *c)
{
	if (c->answering) {
		c->state = ST_WAIT;
		if (c->h && c->h->end)
			c->h->end(c->x);
	} else {
		next_request(c);
	}
}

static void dispatch(struct http1 *c)
{
	struct http1_req *r = &c->head.req;

	c->head_sent = c->chunked = c->no_body = false;
	c->keep_alive = c->head.keep_alive;
	c->parsed_body = r->length == 0;
	c->answering = true;
	c->state = c->parsed_body ? ST_WAIT : ST_BODY;
	const struct http1_handler *h = c->ev->request(c->ctx, c, r, &c->x);
	if (c->dead || !c->answering)
		return;
	c->h = h;
	if (c->head.expect && !c->head_sent &&
	    push(c, put(c, "HTTP/1.1 100 Continue\r\n\r\n", 25)) < 0)
		return;
	if (c->parsed_body)
		request_complete(c);
}

/* One step of HEAD; false when more input is needed. */
static bool read_head(struct http1 *c)
{
	while (c->in.len >= 2 && memcmp(c->in.p, "\r\n", 2) == 0) { /* RFC 9112 § 2.2 */
		buf_drop(&c->in, 2);
		duplex_consumed(c->d, 2);
		c->searched = 0;
	}
	size_t n = http1_head_find(c->in.p, c->in.len, &c->searched);
	if (n > HTTP1_HEAD_MAX || (n == 0 && c->in.len > HTTP1_HEAD_MAX)) {
		refuse(c, 431, "-", "the head is longer than 32 KiB");
		return !c->dead;
	}
	if (n == 0)
		return false;
	int rc = http1_head_parse(&c->head, &c->hp, c->in.p, n);
	buf_drop(&c->in, n);
	duplex_consumed(c->d, n);
	if (rc < 0)
		refuse(c, c->head.status, c->head.what, c->head.why);
	else
		dispatch(c);
	return true;
}

/* One step of BODY. */
static bool read_body(struct http1 *c)
{
	if (c->in.len == 0)
		return false;
	c->handed = 0;
	size_t n = http_parser_execute(&c->hp, &c->settings, c->in.p, c->in.len);
	if (c->dead)
		return false;
	enum http_errno no = HTTP_PARSER_ERRNO(&c->hp);
	if (no != HPE_OK && no != HPE_PAUSED) {
		c->ev->refused(c->ctx, c->head.what, "the framing of the body is wrong");
		http1_abort(c);
		return false;
	}
	buf_drop(&c->in, n);
	duplex_consumed(c->d, n - c->handed);
	c->thrown += c->answering ? 0 : (int64_t)n;
	if (c->thrown > THROW_AWAY_MAX)
		http1_abort(c);
	else if (c->parsed_body)
		request_complete(c);
	return !c->dead;
}

static void take_for_nobody(struct http1 *c)
{
	size_t n = c->in.len;

	buf_drop(&c->in, n);
	duplex_consumed(c->d, n);
	c->thrown += (int64_t)n;
	if (c->thrown > LINGER_MAX)
		http1_abort(c);
}

static void pump(struct http1 *c)
{
	if (c->busy)
		return;
	c->busy++;
	while (!c->dead) {
		/* the answers so far must be out before the next request is looked at */
		bool more = c->state == ST_HEAD && c->out.len == 0 ? read_head(c)
			    : c->state == ST_BODY		   ? read_body(c)
								   : false;
		if (!more)
			break;
	}
	if (!c->dead && c->state == ST_CLOSING && c->in.len)
		take_for_nobody(c);
	c->busy--;
	if (c->dead)
		free_now(c);
}

/* --- the duplex's up-calls --- */

static void on_data(void *ctx, const uint8_t *p, size_t n)
{
	struct http1 *c = ctx;
	struct err e = ERR_INIT;

	if (buf_add(&c->in, p, n, &e) < 0)
		http1_abort(c);
	else
		pump(c);
}

/* A client that hangs up in the middle of an answer shows itself as a half-close only: what is
 * under way for it is ended, as most proxies do. */
static void on_eof(void *ctx)
{
	struct http1 *c = ctx;

	if (c->answering || c->state == ST_BODY || c->in.len) {
		http1_abort(c);
	} else {
		end_output(c);
	}
}

static void on_drained(void *ctx)
{
	struct http1 *c = ctx;

	if (push(c, 0) < 0 || http1_full(c))
		return;
	if (c->state == ST_CLOSING) {
		end_output(c);
		return;
	}
	bool tell = c->was_full && c->h && c->h->drained;
	c->was_full = false;
	if (tell) {
		c->busy++;
		c->h->drained(c->x); /* may fill it up again, or abort */
		c->busy--;
		if (c->dead) {
			free_now(c);
			return;
		}
	}
	pump(c);
}

static void on_closed(void *ctx, const struct err *why maybe_unused)
{
	struct http1 *c = ctx;

	c->dead = true;
	tell_gone(c);
	free_now(c);
}

struct http1 *http1_new(struct duplex *d, const struct http1_events *ev, void *ctx)
{
	static const struct duplex_events up = {on_data, on_eof, on_drained, on_closed};
	struct http1 *c = xcalloc(1, sizeof(*c));

	c->d = d;
	c->ev = ev;
	c->ctx = ctx;
	c->keep_alive = true;
	buf_init(&c->out, HTTP1_OUT_MAX);
	http_parser_settings_init(&c->settings);
	http1_head_settings(&c->settings);
	c->settings.on_body = on_body;
	c->settings.on_message_complete = on_end;
	d->ev = &up;
	d->ctx = c;
	return c;
}
