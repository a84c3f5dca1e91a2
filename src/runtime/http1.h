// SPDX-License-Identifier: Apache-2.0
/*
 * The server side of HTTP/1.1 (RFC 9112) on one duplex: one request at a time, strict about
 * framing, streaming both ways with back-pressure. What a peer sends is hostile until shown
 * otherwise; a wrong byte ends this connection only. It serves loopback names only.
 *
 * Bounds: head 32 KiB and 100 headers; input that is not yet credited is bounded by the duplex
 * (a pipelined request waits there); output that the duplex does not want yet waits here, at most
 * 8 MiB.
 */
#ifndef CHELA_RUNTIME_HTTP1_H
#define CHELA_RUNTIME_HTTP1_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "runtime/duplex.h"
#include "runtime/http.h" /* struct http_header */

#define HTTP1_HEAD_MAX	  ((size_t)32 << 10)
#define HTTP1_HEADERS_MAX 100
#define HTTP1_OUT_MAX	  ((size_t)8 << 20)

struct http1;

/* The head of one request; valid until the response is finished. */
struct http1_req {
	const char *method;
	char *path;			   /* origin-form, without the query */
	char *query;			   /* after '?', or "" */
	const struct http_header *headers; /* names in lower case */
	size_t n_headers;
	int64_t length; /* body bytes; 0 = none, -1 = chunked */
};
/* First header of that (lower-case) name, or NULL. */
const char *http1_header(const struct http1_req *r, const char *name);

/* True for 127.0.0.1, localhost and [::1], with or without a port. */
bool http1_is_local(const char *host);

/* Who answers one request. */
struct http1_handler {
	/* Body bytes, valid during the call; credit them by http1_consumed, now or later. */
	void (*body)(void *x, const uint8_t *p, size_t n);
	void (*end)(void *x);	  /* the request is complete */
	void (*drained)(void *x); /* http1_full became false; may be NULL */
	/* The connection is over before the response was: let go of x. The last call. Not made after
	 * http1_finish. */
	void (*gone)(void *x);
};

/* Who answers a set of paths, for any owner of a connection (peer). As http1_events.request. */
struct http1_service {
	const struct http1_handler *(*request)(void *self, void *peer, struct http1 *c,
					       const struct http1_req *r, void **x);
	void *self;
};

struct http1_events {
	/* A request head came. Returns who answers, with *x for it; or NULL when it was answered by
	 * http1_reply in the call. r->length bytes of body follow. */
	const struct http1_handler *(*request)(void *ctx, struct http1 *c,
					       const struct http1_req *r, void **x);
	/* The peer broke the rules of HTTP, or asked for what is not served here (CONNECT ...). */
	void (*refused)(void *ctx, const char *what, const char *why);
	/* c is dead after this call. */
	void (*closed)(void *ctx, struct http1 *c);
};

/* Takes d: its ev and ctx are set here. */
struct http1 *http1_new(struct duplex *d, const struct http1_events *ev, void *ctx);
/* Ends the connection at once: gone (when a request is being answered), then closed. */
void http1_abort(struct http1 *c);
/* Aborted, and about to be freed by a caller further up the stack. */
bool http1_is_dead(const struct http1 *c);

/* Starts the response. length -1 = chunked. Names are written as given. Values must have no CR or
 * LF. -1 here and from http1_write: the connection was aborted (8 MiB that nobody took), and gone
 * was called. */
int http1_respond(struct http1 *c, int status, const struct http_header *h, size_t n,
		  int64_t length) must_check;
/* Body bytes of the response. */
int http1_write(struct http1 *c, const void *p, size_t n) must_check;
/* True when the writer should wait for drained. */
bool http1_full(const struct http1 *c);
/* The response is complete; what is left of the request is thrown away. The handler hears nothing
 * more, not even gone. */
void http1_finish(struct http1 *c);
/* A whole response in one call, and http1_finish (so: no gone either). type may be NULL. */
void http1_reply(struct http1 *c, int status, const char *type, const void *body, size_t n);
/* Credits n bytes of the request's body. */
void http1_consumed(struct http1 *c, size_t n);

#endif
