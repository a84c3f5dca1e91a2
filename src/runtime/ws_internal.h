// SPDX-License-Identifier: Apache-2.0
/*
 * What the halves of the WebSocket client share: ws.c owns a connection as its user sees it (URL, addresses, timers, queue, outcome),
 * ws_lws.c the library: its contexts and its call-backs, ws_end.c the end of its sockets and contexts.
 */
#ifndef CHELA_RUNTIME_WS_INTERNAL_H
#define CHELA_RUNTIME_WS_INTERNAL_H
#include "base/buf.h"
#include "runtime/dns.h"
#include "runtime/ws.h"

struct lws;
struct lws_context;

/* A socket of the library's that nobody owns any more and that has to go. */
struct ws_doom {
	struct ws_doom *next;
	uint64_t id;
	struct lws *wsi;
	int64_t at_ms;
	bool polite; /* our close frame is to be sent first */
};

struct ws_client {
	struct loop *loop;
	char *ca_file;
	struct lws_context *plain, *tls; /* made when first needed */
	struct ssl_ctx_st *ssl;		 /* of tls */
	struct ws *first;
	struct ws_doom *dooms;
	struct timer *reaper; /* ends the doomed, and at last the contexts */
	struct ws *trying;    /* whose connect call is on the stack */
	uint64_t last_id;
	int turns; /* since the contexts began to go */
	bool dead;
};

enum ws_state {
	WS_CONNECTING,
	WS_OPEN,
	WS_CLOSING, /* ws_close was called */
	WS_OVER,    /* no up-call any more */
};

struct ws_out {
	struct ws_out *next;
	size_t n;
	unsigned char p[]; /* room for the library's header, then n bytes */
};

struct ws {
	struct ws_client *c;
	struct ws *next;
	const struct ws_events *ev;
	void *ctx;
	enum ws_state state;
	/* the URL */
	bool tls;
	int port;
	char host[256];
	char *host_header, *path;
	struct buf headers; /* "Name: value\r\n" ... */
	/* connecting */
	struct dns *dns;
	struct dns_addr addrs[DNS_MAX];
	size_t n_addrs, next_addr;
	int64_t deadline_ms, try_until_ms;
	bool asked;	 /* our request left: other addresses are not tried any more */
	int http_status; /* of a refusal */
	long cert_error; /* X509_V_ERR_*, 0 = none */
	struct err last; /* why the last address failed */
	/* The library's socket. It knows us by a number that is never used twice, so that a late call-back finds nobody. */
	uint64_t id;
	struct lws *wsi;
	/* open */
	int64_t ping_ms, idle_ms, ping_at_ms, heard_ms;
	bool ping_due, close_sent;
	size_t max_message, max_backlog, backlog;
	struct buf in;
	struct ws_out *out, **out_end;
	int close_code, peer_code;
	struct timer *timer;
};

/* --- ws.c --- */
/* The attempt at the present address failed: the next one is tried, or it is over. */
void ws_attempt_failed(struct ws *w, const struct err *why);
void ws_opened(struct ws *w);
void ws_over(struct ws *w, int code, const struct err *why);

/* --- ws_lws.c --- */
/* Connects to one literal address; the outcome comes by the functions above. */
int ws_lws_connect(struct ws *w, const struct dns_addr *a, struct err *e) must_check;
/* Queues a message behind those that wait, and has the socket written to. */
void ws_lws_push(struct ws *w, const char *p, size_t n);
/* Has something to write. */
void ws_lws_wake(struct ws *w);
/* ms since the kernel last had a byte from the peer. */
int64_t ws_lws_silent_ms(const struct ws *w);

/* --- ws_end.c --- */
void ws_lws_init(struct ws_client *c);
/* Lets go of the socket; polite: a close reason was set and is to be sent. */
void ws_lws_leave(struct ws *w, bool polite);
/* The library has ended this one. */
void ws_lws_forget(struct ws_client *c, uint64_t id);
/* Starts to end all; frees c when done. */
void ws_lws_end(struct ws_client *c);

#endif
