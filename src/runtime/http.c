// SPDX-License-Identifier: Apache-2.0
/*
 * Owns libcurl's multi handle and drives it from the loop: one watch a socket, one timer.
 * libcurl forbids most calls from inside its own call-backs, so nothing outside this file touches
 * the multi handle: starts, cancels and resumes are only noted, and client_work carries them out
 * at the end of the same turn. It must never resolve a name or shake hands on the loop's thread
 * before a call asks for it.
 */
#include "runtime/http.h"

#include "base/log.h"
#include "runtime/http_internal.h"

#define MAX_HOST_CONNS 32
#define MAX_KEPT_CONNS 16
#define DRIVE_ROUNDS   4

struct sock {
	struct http_client *c;
	struct watch *watch;
	curl_socket_t fd;
};

static void client_settle(struct http_client *c);
static void client_destroy(struct http_client *c);

static void client_drive(struct http_client *c, curl_socket_t fd, int mask)
{
	int running;

	c->depth++;
	curl_multi_socket_action(c->multi, fd, mask, &running);
	c->depth--;
}

/* --- libcurl's call-backs -------------------------------------------------------------------- */

static void on_socket_ready(void *ctx, int events)
{
	struct sock *s = ctx;
	struct http_client *c = s->c;

	client_drive(c, s->fd,
		     (events & WATCH_READ ? CURL_CSELECT_IN : 0) |
			     (events & WATCH_WRITE ? CURL_CSELECT_OUT : 0));
	client_settle(c);
}

static int on_curl_socket(CURL *easy maybe_unused, curl_socket_t fd, int what, void *ctx, void *sp)
{
	struct http_client *c = ctx;
	struct sock *s = sp;

	if (what == CURL_POLL_REMOVE) {
		if (s) {
			watch_free(s->watch);
			loop_free_later(c->loop, s); /* its call-back may be on the stack */
			curl_multi_assign(c->multi, fd, NULL);
		}
		return 0;
	}
	if (!s) {
		s = xcalloc(1, sizeof(*s));
		s->c = c;
		s->fd = fd;
		s->watch = watch_new(c->loop, "http", fd, on_socket_ready, s);
		curl_multi_assign(c->multi, fd, s);
	}
	watch_set(s->watch, (what & CURL_POLL_IN ? WATCH_READ : 0) |
				    (what & CURL_POLL_OUT ? WATCH_WRITE : 0));
	return 0;
}

static int on_curl_timer(CURLM *multi maybe_unused, long ms, void *ctx)
{
	struct http_client *c = ctx;

	c->due = false;
	if (ms > 0) {
		timer_start(c->timer, ms, 0);
		return 0;
	}
	timer_stop(c->timer);
	if (ms == 0) {
		c->due = true;
		http_client_poke(c);
	}
	return 0;
}

static void on_timer(void *ctx)
{
	struct http_client *c = ctx;

	client_drive(c, CURL_SOCKET_TIMEOUT, 0);
	client_settle(c);
}

/* --- calls ----------------------------------------------------------------------------------- */

static void call_unlink(struct http_call *call)
{
	struct http_client *c = call->c;

	*(call->prev ? &call->prev->next : &c->first) = call->next;
	*(call->next ? &call->next->prev : &c->last) = call->prev;
	call->prev = call->next = NULL;
}

/* Takes it out of everything; the caller then tells the user, or not, and destroys it. */
static void call_remove(struct http_call *call)
{
	struct http_client *c = call->c;

	if (call->added) {
		c->depth++;
		curl_multi_remove_handle(c->multi, call->easy);
		c->depth--;
		call->added = false;
	}
	call_unlink(call);
}

static void call_done(struct http_call *call, const struct err *why)
{
	struct http_client *c = call->c;

	if (!call->dead) {
		call->dead = true;
		c->depth++;
		call->ev->done(call->ctx, why);
		c->depth--;
	}
	http_call_destroy(call);
}

void http_client_fail(struct http_call *call, const struct err *why)
{
	struct http_client *c = call->c;
	struct err copy = *why; /* may be inside the call */

	call_remove(call);
	call_done(call, &copy);
	client_settle(c);
}

/* What libcurl says is over. */
static void client_reap(struct http_client *c)
{
	CURLMsg *m;
	int left;

	while (!c->dead && (m = curl_multi_info_read(c->multi, &left))) {
		struct http_call *call = NULL;
		CURLcode rc = m->data.result;
		struct err e = ERR_INIT;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&call);
		http_call_result(call, rc, &e);
		call_remove(call);
		call_done(call, e.code == E_NONE ? NULL : &e);
	}
}

/* After each entry into libcurl: what it wants at once, then what has ended. */
static void client_settle(struct http_client *c)
{
	for (int i = 0; i < DRIVE_ROUNDS && c->due && !c->dead; i++) {
		c->due = false;
		client_drive(c, CURL_SOCKET_TIMEOUT, 0);
	}
	client_reap(c);
	if (c->due || c->dead)
		http_client_poke(c);
}

static void client_work(void *ctx)
{
	struct http_client *c = ctx;
	struct http_call *next;

	c->work_pending = false;
	if (c->gone)
		return;
	for (struct http_call *call = c->first; call && !c->dead; call = next) {
		if (!call->dead && !call->added) {
			c->depth++;
			CURLMcode rc = curl_multi_add_handle(c->multi, call->easy);
			c->depth--;
			call->added = rc == CURLM_OK;
			if (rc != CURLM_OK) {
				err_set(&call->fail, E_BUG, "libcurl: %s", curl_multi_strerror(rc));
				next = call->next;
				call_remove(call);
				call_done(call, &call->fail);
				continue;
			}
		} else if (!call->dead && call->kick) {
			c->depth++;
			CURLcode rc = http_call_kick(call);
			c->depth--;
			if (rc != CURLE_OK && !call->dead) {
				http_call_result(call, rc, &call->fail);
				call->kick = false;
				next = call->next;
				call_remove(call);
				call_done(call, &call->fail);
				continue;
			}
		}
		next = call->next;
		if (call->dead) {
			call_remove(call);
			http_call_destroy(call);
		}
	}
	if (c->dead)
		client_destroy(c);
	else
		client_settle(c);
}

void http_client_poke(struct http_client *c)
{
	if (c->work_pending || c->gone)
		return;
	c->work_pending = true;
	loop_defer(c->loop, "http", client_work, c);
}

/* --- the client ------------------------------------------------------------------------------ */

struct http_client *http_client_new(struct loop *l, const struct http_client_opts *o)
{
	struct http_client *c = xcalloc(1, sizeof(*c));

	c->loop = l;
	c->ca_file = o && o->ca_file ? xstrdup(o->ca_file) : NULL;
	c->unix_socket = o && o->unix_socket ? xstrdup(o->unix_socket) : NULL;
	c->max_host_conns = o && o->max_host_conns > 0 ? o->max_host_conns : MAX_HOST_CONNS;
	return c;
}

int http_client_ready(struct http_client *c, struct err *e)
{
	if (c->multi)
		return 0;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return err_set(e, E_BUG, "libcurl cannot be set up");
	c->multi = curl_multi_init();
	c->share = curl_share_init();
	if (!c->multi || !c->share)
		abort(); /* out of memory, as in xmalloc */
	/* A later connection to the same host resumes the TLS session of an earlier one. */
	curl_share_setopt(c->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
	c->timer = timer_new(c->loop, "http", on_timer, c);
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
	curl_multi_setopt(c->multi, CURLMOPT_MAX_HOST_CONNECTIONS, c->max_host_conns);
	curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, (long)MAX_KEPT_CONNS);
	return 0;
}

static void client_destroy(struct http_client *c)
{
	while (c->first) {
		struct http_call *call = c->first;
		call->dead = true;
		call_remove(call);
		http_call_destroy(call);
	}
	c->gone = true;
	if (c->multi) {
		curl_multi_cleanup(c->multi); /* its sockets are given back by on_curl_socket */
		curl_share_cleanup(c->share);
		timer_free(c->timer);
		curl_global_cleanup();
	}
	free(c->ca_file);
	free(c->unix_socket);
	loop_free_later(c->loop, c);
}

void http_client_free(struct http_client *c)
{
	if (!c || c->dead)
		return;
	c->dead = true;
	for (struct http_call *call = c->first; call; call = call->next)
		call->dead = true;
	if (c->depth > 0)
		http_client_poke(c);
	else
		client_destroy(c);
}
