// SPDX-License-Identifier: Apache-2.0
/*
 * Owns one WebSocket connection as its user sees it: the URL, the addresses of its name one after the other, the deadline, pings and
 * half-open detection, the queue and the one last call. The library below is ws_lws.c's. It must never call the user from inside
 * ws_open, ws_send or ws_close, and never put a path or a header's value into an error: they may hold a token.
 */
#include "runtime/ws.h"

#include <errno.h>

#include "base/str.h"
#include "runtime/ws_internal.h"

#define CONNECT_MS  10000
#define PING_MS	    30000
#define IDLE_MS	    75000
#define CLOSE_MS    1000
#define MAX_MESSAGE ((size_t)1 << 20)
#define MAX_BACKLOG ((size_t)4 << 20)
#define MAX_URL	    2000
#define MAX_HEADERS 1000

/* --- the spec ---------------------------------------------------------------------------------- */

static bool is_clean(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s <= 0x20 || (unsigned char)*s >= 0x7f)
			return false;
	return true;
}

/* host, host:port, [v6]:port. Returns where the path begins, NULL when malformed. */
static const char *parse_authority(struct ws *w, const char *p)
{
	size_t n = *p == '[' ? strcspn(p, "]") : strcspn(p, ":/?");
	const char *host = *p == '[' ? p + 1 : p, *end = p + n;
	int64_t port = w->tls ? 443 : 80;
	struct err e = ERR_INIT;

	n = (size_t)(end - host);
	if (*p == '[' && (*end++ != ']' || !memchr(host, ':', n)))
		return NULL;
	if (n == 0 || n >= sizeof(w->host) || memchr(host, '@', n))
		return NULL;
	memcpy(w->host, host, n);
	w->host[n] = '\0';
	if (*end == ':') {
		char digits[8] = "";

		n = strcspn(++end, "/?");
		if (n >= sizeof(digits))
			return NULL;
		memcpy(digits, end, n);
		if (str_to_i64(digits, 1, 65535, &port, &e) < 0)
			return NULL;
		end += n;
	}
	w->port = (int)port;
	return *end == '\0' || *end == '/' || *end == '?' ? end : NULL;
}

static int parse_url(struct ws *w, const char *url, struct err *e)
{
	const char *path = NULL;
	struct dns_addr a;
	bool v6;

	if (!url || strlen(url) > MAX_URL || !is_clean(url) || strchr(url, '#'))
		return err_set(e, E_INVAL, "the WebSocket URL is malformed");
	w->tls = str_starts(url, "wss://");
	if (!w->tls && !str_starts(url, "ws://"))
		return err_set(e, E_INVAL, "the WebSocket URL's scheme is not ws or wss");
	path = parse_authority(w, url + (w->tls ? 6 : 5));
	if (!path)
		return err_set(e, E_INVAL, "the WebSocket URL is malformed");
	v6 = strchr(w->host, ':');
	if (v6 && (w->tls || !dns_literal(w->host, &a)))
		return err_set(e, E_INVAL, "a wss:// URL needs a name or an IPv4 address");
	if (w->tls && strlen(w->host) > 120)
		return err_set(e, E_INVAL, "the host name of the WebSocket URL is too long");
	w->path = xasprintf("%s%s", *path == '/' ? "" : "/", path);
	w->host_header =
		w->port == (w->tls ? 443 : 80)
			? xasprintf("%s%s%s", v6 ? "[" : "", w->host, v6 ? "]" : "")
			: xasprintf("%s%s%s:%d", v6 ? "[" : "", w->host, v6 ? "]" : "", w->port);
	return 0;
}

static int set_headers(struct ws *w, const struct ws_spec *s, struct err *e)
{
	for (size_t i = 0; i < s->n_headers; i++) {
		const struct http_header *h = &s->headers[i];
		bool ok = h->name && *h->name && is_clean(h->name) && !strchr(h->name, ':');

		for (const char *p = h->value; ok && p && *p; p++)
			ok = (unsigned char)*p >= 0x20 && *p != 0x7f;
		if (!ok || !h->value)
			return err_set(e, E_INVAL, "header %zu is malformed", i + 1);
		if (buf_addf(&w->headers, e, "%s: %s\r\n", h->name, h->value) < 0)
			return err_set(e, E_INVAL, "more than %d bytes of headers", MAX_HEADERS);
	}
	return 0;
}

/* --- the end ----------------------------------------------------------------------------------- */

static void ws_unlink(struct ws *w)
{
	for (struct ws **p = &w->c->first; *p; p = &(*p)->next) {
		if (*p == w) {
			*p = w->next;
			return;
		}
	}
}

static void ws_destroy(struct ws *w)
{
	w->state = WS_OVER;
	dns_cancel(w->dns);
	timer_free(w->timer);
	while (w->out) {
		struct ws_out *o = w->out;

		w->out = o->next;
		free(o);
	}
	if (w->headers.p)
		explicit_bzero(w->headers.p, w->headers.len);
	buf_free(&w->headers);
	/* text() may be on the stack, with these bytes */
	loop_free_later(w->c->loop, buf_steal(&w->in));
	free(w->path);
	free(w->host_header);
	loop_free_later(w->c->loop, w);
}

void ws_over(struct ws *w, int code, const struct err *why)
{
	struct err copy = *why; /* may be inside w */

	ws_lws_leave(w, false);
	ws_unlink(w);
	w->state = WS_OVER;
	w->ev->closed(w->ctx, code, &copy);
	ws_destroy(w);
}

void ws_drop(struct ws *w)
{
	if (!w || w->state == WS_OVER)
		return;
	ws_lws_leave(w, false);
	ws_unlink(w);
	ws_destroy(w);
}

/* --- connecting -------------------------------------------------------------------------------- */

static void arm(struct ws *w)
{
	int64_t now = loop_now(w->c->loop), at = w->deadline_ms;

	if (w->state == WS_CONNECTING && w->wsi && w->try_until_ms < at)
		at = w->try_until_ms;
	if (w->state == WS_OPEN) {
		at = w->heard_ms + w->idle_ms;
		if (w->ping_ms > 0 && w->ping_at_ms < at)
			at = w->ping_at_ms;
	}
	timer_start(w->timer, at - now, 0);
}

static void try_next(void *ctx)
{
	struct ws *w = ctx;
	int64_t now = loop_now(w->c->loop);
	struct err e = w->last;

	while (w->state == WS_CONNECTING && w->next_addr < w->n_addrs) {
		const struct dns_addr *a = &w->addrs[w->next_addr];
		int64_t left = (int64_t)(w->n_addrs - w->next_addr++);

		if (!w->tls && !a->loopback) {
			err_set(&e, E_INVAL, "%s: ws:// is for this machine only; use wss://",
				w->host);
			continue;
		}
		w->try_until_ms = now + (w->deadline_ms - now) / left;
		if (ws_lws_connect(w, a, &e) == 0) {
			if (w->state == WS_CONNECTING)
				arm(w);
			return;
		}
		if (w->asked)
			break;
	}
	if (w->state == WS_CONNECTING)
		ws_over(w, 0, &e);
}

void ws_attempt_failed(struct ws *w, const struct err *why)
{
	if (w->asked || why->code != E_TEMP || w->next_addr >= w->n_addrs) {
		ws_over(w, 0, why);
		return;
	}
	w->last = *why;
	loop_defer(w->c->loop, "ws next address", try_next, w); /* out of the library first */
}

static void on_addresses(void *ctx, const struct dns_addr *v, size_t n, const struct err *why)
{
	struct ws *w = ctx;

	w->dns = NULL;
	if (why) {
		struct err e = *why;

		e.code = E_TEMP; /* a name may come back */
		ws_over(w, 0, &e);
		return;
	}
	memcpy(w->addrs, v, n * sizeof(*v));
	w->n_addrs = n;
	try_next(w);
}

static void begin(void *ctx)
{
	struct ws *w = ctx;
	struct err e = ERR_INIT;

	if (w->state != WS_CONNECTING)
		return;
	if (dns_literal(w->host, &w->addrs[0])) {
		w->n_addrs = 1;
		try_next(w);
		return;
	}
	w->dns = dns_lookup(w->c->loop, w->host, on_addresses, w, &e);
	if (!w->dns)
		ws_over(w, 0, &e);
}

void ws_opened(struct ws *w)
{
	w->state = WS_OPEN;
	w->heard_ms = loop_now(w->c->loop);
	w->ping_at_ms = w->heard_ms + w->ping_ms;
	arm(w);
	w->ev->open(w->ctx);
}

/* --- time -------------------------------------------------------------------------------------- */

static void tend_open(struct ws *w, int64_t now)
{
	struct err e = ERR_INIT;

	if (now - w->heard_ms >= w->idle_ms) {
		/* The peer's own pings do not reach us, and what came may lie unread: the kernel knows. */
		int64_t silent = ws_lws_silent_ms(w);

		if (silent >= w->idle_ms) {
			err_set(&e, E_TEMP, "%s: silent for %lld ms", w->host,
				(long long)w->idle_ms);
			ws_over(w, 0, &e);
			return;
		}
		w->heard_ms = now - silent;
	}
	if (w->ping_ms > 0 && now >= w->ping_at_ms) {
		w->ping_due = true;
		w->ping_at_ms = now + w->ping_ms;
		ws_lws_wake(w);
	}
	arm(w);
}

static void on_timer(void *ctx)
{
	struct ws *w = ctx;
	int64_t now = loop_now(w->c->loop);
	struct err e = ERR_INIT;

	if (w->state == WS_OPEN) {
		tend_open(w, now);
	} else if (w->state == WS_CLOSING) {
		err_set(&e, E_TEMP, "%s: closed as asked; the peer did not answer", w->host);
		ws_over(w, w->close_code, &e);
	} else if (now >= w->deadline_ms) {
		err_set(&e, E_TEMP, "%s: not connected in time", w->host);
		ws_over(w, 0, &e);
	} else if (w->wsi && now >= w->try_until_ms) {
		err_set(&w->last, E_TEMP, "%s: %s does not answer", w->host,
			w->addrs[w->next_addr - 1].ip);
		ws_lws_leave(w, false);
		try_next(w);
	} else {
		arm(w);
	}
}

/* --- what the user calls ----------------------------------------------------------------------- */

struct ws_client *ws_client_new(struct loop *l, const char *ca_file)
{
	struct ws_client *c = xcalloc(1, sizeof(*c));

	c->loop = l;
	c->ca_file = ca_file && *ca_file ? xstrdup(ca_file) : NULL;
	ws_lws_init(c);
	return c;
}

void ws_client_free(struct ws_client *c)
{
	if (!c || c->dead)
		return;
	while (c->first)
		ws_drop(c->first);
	ws_lws_end(c);
}

static int check(struct ws *w, const struct ws_spec *s, struct err *e)
{
	if (parse_url(w, s->url, e) < 0 || set_headers(w, s, e) < 0)
		return -1;
	if (w->tls && w->c->ca_file && access(w->c->ca_file, R_OK) < 0)
		return err_sys(e, errno, "cannot read the CA file %s", w->c->ca_file);
	return 0;
}

struct ws *ws_open(struct ws_client *c, const struct ws_spec *s, const struct ws_events *ev,
		   void *ctx, struct err *e)
{
	struct ws *w = xcalloc(1, sizeof(*w));

	w->c = c;
	w->ev = ev;
	w->ctx = ctx;
	w->ping_ms = s->ping_ms ? s->ping_ms : PING_MS;
	w->idle_ms = s->idle_ms > 0 ? s->idle_ms : IDLE_MS;
	w->max_message = s->max_message ? s->max_message : MAX_MESSAGE;
	w->max_backlog = s->max_backlog ? s->max_backlog : MAX_BACKLOG;
	w->out_end = &w->out;
	w->timer = timer_new(c->loop, "ws", on_timer, w);
	buf_init(&w->headers, MAX_HEADERS);
	buf_init(&w->in, w->max_message);
	if (check(w, s, e) < 0) {
		ws_destroy(w);
		return NULL;
	}
	w->next = c->first;
	c->first = w;
	w->deadline_ms = loop_now(c->loop) + (s->connect_ms > 0 ? s->connect_ms : CONNECT_MS);
	arm(w);
	loop_defer(c->loop, "ws open", begin, w);
	return w;
}

int ws_send(struct ws *w, const char *p, size_t n, struct err *e)
{
	if (w->state != WS_OPEN)
		return err_set(e, E_TEMP, "%s: not connected", w->host);
	if (n > w->max_backlog - w->backlog)
		return err_set(e, E_LIMIT, "%s: the peer does not read; %zu bytes wait", w->host,
			       w->backlog);
	ws_lws_push(w, p, n);
	return 0;
}

size_t ws_backlog(const struct ws *w)
{
	return w->backlog;
}

void ws_close(struct ws *w, int code)
{
	if (w->state == WS_CLOSING || w->state == WS_OVER)
		return;
	w->close_code = code;
	w->deadline_ms = loop_now(w->c->loop) + CLOSE_MS;
	if (w->state == WS_CONNECTING) { /* nothing to say goodbye to */
		w->deadline_ms = 0;
		ws_lws_leave(w, false);
		dns_cancel(w->dns);
		w->dns = NULL;
	}
	w->state = WS_CLOSING;
	ws_lws_wake(w);
	arm(w);
}
