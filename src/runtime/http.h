// SPDX-License-Identifier: Apache-2.0
/*
 * HTTP client over libcurl's multi-socket interface, driven by the loop. Plain, TLS (system CAs plus an
 * optional CA file, never switched off) and unix sockets; streaming both ways with pause; never
 * follows a redirect, never reads a .netrc, never uses a proxy from the environment. libcurl and
 * TLS are set up at the first call, not at start. Names are resolved off the loop.
 */
#ifndef CHELA_RUNTIME_HTTP_H
#define CHELA_RUNTIME_HTTP_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/mem.h"
#include "runtime/loop.h"

struct http_client;
struct http_call;

struct http_client_opts {
	const char *ca_file;	 /* extra CA bundle (PEM) or NULL; checked when first used */
	const char *unix_socket; /* all calls go to this socket when set */
	int max_host_conns;	 /* 0 = 32 */
};
struct http_client *http_client_new(struct loop *l, const struct http_client_opts *o);
/* Cancels what runs (no up-calls), closes all connections. */
void http_client_free(struct http_client *c);

struct http_header {
	const char *name;
	const char *value;
};

#define HTTP_PAUSE ((size_t)-1)

struct http_events {
	/* Status line and all headers of the final response. Names are lower case. */
	void (*head)(void *ctx, int status, const struct http_header *h, size_t n);
	/* Body bytes. Return false to pause: the same bytes count as taken; no more come until http_resume
	 * (done may come, when these were the last). May be NULL. A pause is not idle time. */
	bool (*body)(void *ctx, const uint8_t *p, size_t n);
	/* Body to send, when spec.stream_body: fill up to cap bytes; return the count, 0 at the end, HTTP_PAUSE to wait
	 * for http_resume_send. */
	size_t (*send)(void *ctx, uint8_t *p, size_t cap);
	/* The last call; why is NULL when the whole response was received. The call is freed after it. Codes: E_TEMP
	 * (connect, reset, timeout, DNS), E_AUTH (TLS verify), E_PROTO. */
	void (*done)(void *ctx, const struct err *why);
};

struct http_spec {
	const char *method;
	const char *url; /* http:// or https:// only */
	/* Sent as given; Content-Length and Transfer-Encoding are refused, they follow from the body. */
	const struct http_header *headers;
	size_t n_headers;
	const void *body; /* copied; NULL = none */
	size_t body_len;
	bool stream_body;   /* body comes from events.send */
	int64_t stream_len; /* with stream_body: Content-Length, or -1 for chunked */
	int64_t connect_ms; /* 0 = 10 s */
	int64_t idle_ms;    /* no byte either way for so long = E_TEMP; 0 = 300 s; -1 = never */
	int64_t total_ms;   /* 0 = no limit */
	size_t max_head;    /* 0 = 64 KiB */
};
/* Starts; up-calls come from the loop only. NULL with an error for a bad spec. */
struct http_call *http_start(struct http_client *c, const struct http_spec *s,
			     const struct http_events *ev, void *ctx, struct err *e) must_check;
void http_resume(struct http_call *call);
void http_resume_send(struct http_call *call);
/* Ends it with no further up-call; the pointer is dead. */
void http_cancel(struct http_call *call);

/* Whole-response convenience on top: collects at most max bytes, then calls back once. On error status is 0 and why is set.
 * `body` is NUL-ended and valid during the call. */
typedef void http_fetch_fn(void *ctx, int status, const char *body, size_t n,
			   const struct err *why);
struct http_call *http_fetch(struct http_client *c, const struct http_spec *s, size_t max,
			     http_fetch_fn *fn, void *ctx, struct err *e) must_check;

#endif
