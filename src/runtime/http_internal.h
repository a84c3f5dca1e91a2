// SPDX-License-Identifier: Apache-2.0
/*
 * What the halves of the HTTP client share: http.c owns the client (libcurl's multi handle, its
 * sockets and its timer), http_call.c one call (spec, up-calls, pauses), http_head.c the response
 * head, http_fetch.c the whole-response convenience.
 */
#ifndef CHELA_RUNTIME_HTTP_INTERNAL_H
#define CHELA_RUNTIME_HTTP_INTERNAL_H
#include <curl/curl.h>
#include "base/buf.h"
#include "runtime/http.h"

struct http_client {
	struct loop *loop;
	char *ca_file, *unix_socket;
	long max_host_conns;
	CURLM *multi; /* NULL until the first call */
	CURLSH *share;
	struct timer *timer;
	struct http_call *first, *last; /* all that are not over */
	int depth; /* > 0 while libcurl or an up-call is on the stack: multi is off limits */
	bool due;  /* libcurl wants to be driven at once */
	bool work_pending; /* client_work is deferred */
	bool dead;	   /* freed by the user */
	bool gone;	   /* nothing is left but the struct */
};

/* Collects one response head. */
struct http_head {
	struct buf text; /* name NUL value NUL ... */
	size_t count;
	size_t raw, max;
	int status;	  /* of the head that is being read */
	bool done;	  /* the final one was told */
	bool in_progress; /* a status line was seen, its empty line was not */
};

struct http_call {
	struct http_client *c;
	struct http_call *prev, *next;
	const struct http_events *ev;
	void *ctx;
	CURL *easy;
	struct curl_slist *headers;
	char *body;
	size_t body_len, body_pos;
	char *peer; /* for messages: never the path, which may hold a token */
	struct http_head head;
	struct err fail; /* our own reason to end it */
	struct timer *idle;
	int64_t idle_ms, last_ms;
	curl_off_t sent; /* bytes of request known at last_ms */
	bool doubted;	 /* found silent once */
	bool added;	 /* to multi */
	bool dead;	 /* no up-call any more */
	bool kick;	 /* curl_easy_pause is to be called */
	bool recv_paused, recv_held, recv_resumed;
	bool send_paused, send_resumed;
	void (*drop)(void *arg); /* called when the call is freed; may be NULL */
	void *drop_arg;
	char errbuf[CURL_ERROR_SIZE];
};

/* --- http.c --- */
/* libcurl is set up here, at the first call. */
int http_client_ready(struct http_client *c, struct err *e) must_check;
/* Has the client look at its calls (new, dead, to be resumed) at the end of this turn. */
void http_client_poke(struct http_client *c);
/* Ends a running call from outside libcurl, telling `why`. */
void http_client_fail(struct http_call *call, const struct err *why);

/* --- http_call.c --- */
void http_call_destroy(struct http_call *call); /* out of multi already */
void http_call_result(const struct http_call *call, CURLcode rc, struct err *e);
CURLcode http_call_kick(struct http_call *call);

/* --- http_head.c --- */
/* Takes one line as libcurl hands it over. 1 = the final head is complete, 0 = go on, -1 = bad. */
int http_head_line(struct http_head *h, const char *p, size_t n, struct err *e) must_check;
/* The headers as an array that the caller frees; the strings stay those of h. */
struct http_header *http_head_array(const struct http_head *h);

#endif
