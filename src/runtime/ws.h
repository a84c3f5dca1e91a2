// SPDX-License-Identifier: Apache-2.0
/*
 * WebSocket client (RFC 6455) over libwebsockets on the loop's own libuv: ws:// (loopback only), wss:// (system CAs plus an
 * optional CA file, never switched off). Text frames only, reassembled up to a cap. Names are resolved by the loop's resolver, each
 * address is tried in turn. No proxy from the environment, no redirect, no extension, no Origin header. Nothing is set up before the
 * first ws_open.
 */
#ifndef CHELA_RUNTIME_WS_H
#define CHELA_RUNTIME_WS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "runtime/http.h"
#include "runtime/loop.h"

struct ws_client; /* one a CA file; holds the library's context, and is shared by any number of connections (up to 60) */
struct ws;	  /* one connection */

struct ws_events {
	/* The handshake is done. */
	void (*open)(void *ctx);
	/* One whole text message, valid UTF-8, NUL-ended after n bytes; borrowed for the call. ws_close, ws_drop and ws_client_free
	 * may be called from inside. None comes after ws_close. */
	void (*text)(void *ctx, const char *p, size_t n);
	/* The last call. code: the peer's close code (1005 when its close frame had none; the library shows those between 1012 and
	 * 2999 as 1002), after ws_close that function's own, or 0 when there was none (refused, reset, timed out, torn frame, too
	 * large: why says). why is never NULL. Its code: E_TEMP (again may work), E_AUTH (TLS verify, HTTP 401 or 403), E_PROTO (it broke
	 * the protocol or our caps). The ws is freed after it. */
	void (*closed)(void *ctx, int code, const struct err *why);
};
struct ws_spec {
	const char *
		url; /* ws://127.0.0.1:port/path or wss://host[:port]/path?query; at most 2,000 bytes */
	const struct http_header *headers; /* further request headers, 1,000 bytes at most */
	size_t n_headers;
	int64_t connect_ms; /* resolve + connect + handshake; 0 = 10 s */
	int64_t ping_ms;    /* our pings; 0 = 30 s; -1 = none */
	int64_t idle_ms; /* no byte from the peer (pongs count) for so long = half-open, closed; 0 = 75 s */
	size_t max_message; /* 0 = 1 MiB */
	size_t max_backlog; /* bytes queued to send before ws_send fails with E_LIMIT; 0 = 4 MiB */
};

/* ca_file: PEM, besides the system's, or NULL. It is read at the first wss:// only. */
struct ws_client *ws_client_new(struct loop *l, const char *ca_file);
/* Drops all its connections with no up-call. The library's context goes some loop turns later. NULL is fine. */
void ws_client_free(struct ws_client *c);
/* Starts; up-calls come from the loop only. NULL with an error for a bad spec (E_INVAL) or a CA file that cannot be read. */
struct ws *ws_open(struct ws_client *c, const struct ws_spec *s, const struct ws_events *ev,
		   void *ctx, struct err *e) must_check;
/* Queues one text message (copied). E_LIMIT: the backlog is full; E_TEMP: not open (any more). */
int ws_send(struct ws *w, const char *p, size_t n, struct err *e) must_check;
/* Bytes that wait to be sent. */
size_t ws_backlog(const struct ws *w);
/* Sends what is queued, then a close frame with this code; `closed` comes when the peer is done, after 1 s at the latest. */
void ws_close(struct ws *w, int code);
/* Ends it at once, no up-call; the pointer is dead. NULL is fine. */
void ws_drop(struct ws *w);

#endif
