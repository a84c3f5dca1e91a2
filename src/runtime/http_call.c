// SPDX-License-Identifier: Apache-2.0
/*
 * Owns one HTTP call: checks the spec, sets the easy handle up, turns libcurl's call-backs into
 * up-calls, and watches for silence. What is sent is what the spec says: libcurl's own headers,
 * redirects, proxies, .netrc and Expect are all off. It must never touch the multi handle, and
 * never put a URL's path or a header's value into an error.
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/str.h"
#include "runtime/http_internal.h"

#define CONNECT_MS 10000
#define IDLE_MS	   300000
#define MAX_HEAD   ((size_t)64 << 10)
#define CA_FOLDER  "/etc/ssl/certs"

/* --- up-calls -------------------------------------------------------------------------------- */

static size_t on_header(char *p, size_t size, size_t n, void *ctx)
{
	struct http_call *call = ctx;
	int rc;

	if (call->dead)
		return 0;
	call->last_ms = loop_now(call->c->loop);
	rc = http_head_line(&call->head, p, size * n, &call->fail);
	if (rc < 0)
		return 0;
	/* Refused before the body was out: libcurl sends no more of it, but does not end the call for
	 * as long as sending counts as paused. */
	if (rc > 0 && call->head.status >= 300)
		http_resume_send(call);
	if (rc > 0 && call->ev->head) {
		_cleanup_free_ struct http_header *v = http_head_array(&call->head);
		call->ev->head(call->ctx, call->head.status, v, call->head.count);
	}
	return call->dead ? 0 : size * n;
}

static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
	struct http_call *call = ctx;

	if (call->dead)
		return CURL_WRITEFUNC_ERROR;
	if (call->recv_paused) {
		/* libcurl keeps these bytes, stops reading, and hands them over on resume. */
		call->recv_held = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	call->last_ms = loop_now(call->c->loop);
	call->recv_resumed = false;
	if (call->ev->body && !call->ev->body(call->ctx, (uint8_t *)p, size * n))
		call->recv_paused = !call->recv_resumed;
	return call->dead ? CURL_WRITEFUNC_ERROR : size * n;
}

/* A body that is all there. */
static size_t on_send_all(char *p, size_t size, size_t n, void *ctx)
{
	struct http_call *call = ctx;
	size_t k = call->body_len - call->body_pos;

	if (k > size * n)
		k = size * n;
	memcpy(p, call->body + call->body_pos, k);
	call->body_pos += k;
	return k;
}

static size_t on_send(char *p, size_t size, size_t n, void *ctx)
{
	struct http_call *call = ctx;
	size_t cap = size * n, k;

	if (call->dead)
		return CURL_READFUNC_ABORT;
	call->last_ms = loop_now(call->c->loop);
	call->send_resumed = false;
	k = call->ev->send(call->ctx, (uint8_t *)p, cap);
	if (call->dead)
		return CURL_READFUNC_ABORT;
	if (k == HTTP_PAUSE) {
		call->send_paused = !call->send_resumed;
		call->kick = call->send_resumed;
		if (call->kick)
			http_client_poke(call->c);
		return CURL_READFUNC_PAUSE;
	}
	if (k > cap) {
		err_set(&call->fail, E_BUG, "send gave %zu bytes of %zu", k, cap);
		return CURL_READFUNC_ABORT;
	}
	return k;
}

static void on_idle(void *ctx)
{
	struct http_call *call = ctx;
	int64_t now = loop_now(call->c->loop);
	curl_off_t body = 0;
	long head = 0;
	struct err e = ERR_INIT;

	curl_easy_getinfo(call->easy, CURLINFO_SIZE_UPLOAD_T, &body);
	curl_easy_getinfo(call->easy, CURLINFO_REQUEST_SIZE, &head);
	/* A pause is our own doing, not the peer's silence. */
	if (body + head != call->sent || call->recv_paused || call->send_paused) {
		call->sent = body + head;
		call->last_ms = now;
	}
	if (now - call->last_ms < call->idle_ms) {
		call->doubted = false;
		timer_start(call->idle, call->idle_ms - (now - call->last_ms), 0);
		return;
	}
	/* Timers come before sockets: when it was us who were late, the bytes are there unread. */
	if (!call->doubted) {
		call->doubted = true;
		timer_start(call->idle, 1, 0);
		return;
	}
	err_set(&e, E_TEMP, "%s: silent for %lld ms", call->peer, (long long)call->idle_ms);
	http_client_fail(call, &e);
}

/* --- pauses ---------------------------------------------------------------------------------- */

void http_resume(struct http_call *call)
{
	if (call->dead)
		return;
	call->recv_resumed = true;
	if (!call->recv_paused)
		return;
	call->recv_paused = false;
	call->last_ms = loop_now(call->c->loop);
	if (call->recv_held) {
		call->kick = true;
		http_client_poke(call->c);
	}
}

void http_resume_send(struct http_call *call)
{
	if (call->dead)
		return;
	call->send_resumed = true;
	if (!call->send_paused)
		return;
	call->send_paused = false;
	call->last_ms = loop_now(call->c->loop);
	call->kick = true;
	http_client_poke(call->c);
}

CURLcode http_call_kick(struct http_call *call)
{
	int mask = CURLPAUSE_CONT;

	call->kick = false;
	if (call->recv_paused && call->recv_held)
		mask |= CURLPAUSE_RECV;
	else
		call->recv_held = false;
	if (call->send_paused)
		mask |= CURLPAUSE_SEND;
	return curl_easy_pause(call->easy, mask);
}

void http_cancel(struct http_call *call)
{
	if (call->dead)
		return;
	call->dead = true;
	http_client_poke(call->c);
}

/* --- the result ------------------------------------------------------------------------------ */

static enum err_code code_of(CURLcode rc)
{
	switch (rc) {
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_INVALIDCERTSTATUS:
		return E_AUTH;
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_BAD_CONTENT_ENCODING:
		return E_PROTO;
	case CURLE_URL_MALFORMAT:
		return E_INVAL;
	default:
		return E_TEMP;
	}
}

void http_call_result(const struct http_call *call, CURLcode rc, struct err *e)
{
	if (call->fail.code != E_NONE)
		err_set(e, call->fail.code, "%s: %s", call->peer, call->fail.msg);
	else if (rc == CURLE_SEND_FAIL_REWIND)
		err_set(e, E_TEMP, "%s: the connection broke after the request had left",
			call->peer);
	else if (rc != CURLE_OK)
		err_set(e, code_of(rc), "%s: %s", call->peer,
			call->errbuf[0] ? call->errbuf : curl_easy_strerror(rc));
	else if (!call->head.done)
		err_set(e, E_PROTO, "%s: no complete response", call->peer);
}

void http_call_destroy(struct http_call *call)
{
	timer_free(call->idle);
	curl_easy_cleanup(call->easy);
	curl_slist_free_all(call->headers);
	buf_free(&call->head.text);
	free(call->body);
	free(call->peer);
	if (call->drop)
		call->drop(call->drop_arg);
	loop_free_later(call->c->loop, call);
}

/* --- the spec -------------------------------------------------------------------------------- */

static bool is_token(const char *s)
{
	if (!*s)
		return false;
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr("!#$%&'*+-.^_`|~", *s))
			return false;
	return true;
}

static bool is_value(const char *s)
{
	for (; *s; s++)
		if (((unsigned char)*s < 0x20 && *s != '\t') || *s == 0x7f)
			return false;
	return true;
}

static void add_header(struct http_call *call, const char *line)
{
	struct curl_slist *v = curl_slist_append(call->headers, line);

	if (!v)
		abort(); /* out of memory, as in xmalloc */
	call->headers = v;
}

static int set_headers(struct http_call *call, const struct http_spec *s, struct err *e)
{
	/* libcurl adds these unless told otherwise: "Name:" takes one out. */
	static const char *const own[] = {"Accept", "Content-Type", "Expect", "User-Agent"};
	bool given[ARRAY_LEN(own)] = {false};

	for (size_t i = 0; i < s->n_headers; i++) {
		const struct http_header *h = &s->headers[i];
		_cleanup_free_ char *line = NULL;

		if (!h->name || !h->value || !is_token(h->name) || !is_value(h->value))
			return err_set(e, E_INVAL, "header %zu is malformed", i + 1);
		if (!strcasecmp(h->name, "content-length") ||
		    !strcasecmp(h->name, "transfer-encoding"))
			return err_set(e, E_INVAL, "header %s is set by the HTTP client", h->name);
		for (size_t k = 0; k < ARRAY_LEN(own); k++)
			given[k] |= !strcasecmp(h->name, own[k]);
		line = *h->value ? xasprintf("%s: %s", h->name, h->value)
				 : xasprintf("%s;", h->name);
		add_header(call, line);
	}
	for (size_t k = 0; k < ARRAY_LEN(own); k++) {
		_cleanup_free_ char *line = xasprintf("%s:", own[k]);
		if (!given[k])
			add_header(call, line);
	}
	curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->headers);
	return 0;
}

static int set_method(struct http_call *call, const struct http_spec *s, struct err *e)
{
	CURL *h = call->easy;
	bool get = streq(s->method, "GET"), head = streq(s->method, "HEAD");

	if (s->stream_body) {
		if (!call->ev->send || s->body)
			return err_set(e, E_BUG, "a streamed body needs send and no body");
		curl_easy_setopt(h, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(h, CURLOPT_INFILESIZE_LARGE, (curl_off_t)s->stream_len);
		curl_easy_setopt(h, CURLOPT_READFUNCTION, on_send);
		curl_easy_setopt(h, CURLOPT_READDATA, call);
	} else if (s->body || (!get && !head && !streq(s->method, "DELETE"))) {
		size_t n = s->body ? s->body_len : 0;

		call->body = xmalloc(n + 1);
		call->body_len = n;
		if (n)
			memcpy(call->body, s->body, n);
		curl_easy_setopt(h, CURLOPT_POST, 1L);
		curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)n);
		/* Never POSTFIELDS: when a kept connection breaks before the answer, libcurl would send those a second time
		 * by itself, and nobody could know. A body that it cannot rewind makes that a failure, which the caller judges. */
		curl_easy_setopt(h, CURLOPT_READFUNCTION, on_send_all);
		curl_easy_setopt(h, CURLOPT_READDATA, call);
	} else if (head) {
		curl_easy_setopt(h, CURLOPT_NOBODY, 1L);
	}
	if (!head)
		curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, s->method);
	return 0;
}

/* TLS: the system's CAs come from the folder of hashed names, of which OpenSSL reads the one file
 * that a handshake needs. The bundle would cost each first connection 20 ms and 2 MB. CAINFO adds
 * the CA file to the folder; both are searched. */
static int set_tls(struct http_call *call, const struct http_client *c, struct err *e)
{
	CURL *h = call->easy;

	if (c->ca_file && access(c->ca_file, R_OK) < 0)
		return err_sys(e, errno, "cannot read the CA file %s", c->ca_file);
	curl_easy_setopt(h, CURLOPT_CAPATH, CA_FOLDER);
	curl_easy_setopt(h, CURLOPT_CAINFO, c->ca_file);
	curl_easy_setopt(h, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	return 0;
}

static int set_url(struct http_call *call, const struct http_spec *s, struct err *e)
{
	CURLU *u = curl_url();
	char *scheme = NULL, *host = NULL, *user = NULL;
	CURLUcode rc;
	int ret = -1;

	if (!u)
		abort(); /* out of memory, as in xmalloc */
	rc = curl_url_set(u, CURLUPART_URL, s->url ? s->url : "", CURLU_PATH_AS_IS);
	if (rc == CURLUE_OK)
		rc = curl_url_get(u, CURLUPART_SCHEME, &scheme, 0);
	if (rc == CURLUE_OK)
		rc = curl_url_get(u, CURLUPART_HOST, &host, 0);
	curl_url_get(u, CURLUPART_USER, &user, 0);
	if (rc != CURLUE_OK) {
		err_set(e, E_INVAL, "the URL is malformed: %s", curl_url_strerror(rc));
	} else if (!streq(scheme, "http") && !streq(scheme, "https")) {
		err_set(e, E_INVAL, "the URL's scheme is not http or https");
	} else if (user) {
		err_set(e, E_INVAL, "the URL holds a user name");
	} else {
		call->peer = xstrdup(call->c->unix_socket ? call->c->unix_socket : host);
		curl_easy_setopt(call->easy, CURLOPT_URL, s->url);
		ret = streq(scheme, "https") ? set_tls(call, call->c, e) : 0;
	}
	curl_free(scheme);
	curl_free(host);
	curl_free(user);
	curl_url_cleanup(u);
	return ret;
}

static void set_basics(struct http_call *call, const struct http_spec *s)
{
	CURL *h = call->easy;

	curl_easy_setopt(h, CURLOPT_PRIVATE, call);
	curl_easy_setopt(h, CURLOPT_SHARE, call->c->share);
	curl_easy_setopt(h, CURLOPT_ERRORBUFFER, call->errbuf);
	curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(h, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(h, CURLOPT_PATH_AS_IS, 1L); /* what was checked is what is sent */
	curl_easy_setopt(h, CURLOPT_PROXY, "");
	curl_easy_setopt(h, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(h, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(h, CURLOPT_QUICK_EXIT, 1L); /* never wait for a resolver thread */
	curl_easy_setopt(h, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS,
			 (long)(s->connect_ms > 0 ? s->connect_ms : CONNECT_MS));
	curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, (long)(s->total_ms > 0 ? s->total_ms : 0));
	if (call->c->unix_socket)
		curl_easy_setopt(h, CURLOPT_UNIX_SOCKET_PATH, call->c->unix_socket);
	curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(h, CURLOPT_HEADERDATA, call);
	curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(h, CURLOPT_WRITEDATA, call);
}

static void call_enlist(struct http_call *call)
{
	struct http_client *c = call->c;

	call->prev = c->last;
	*(c->last ? &c->last->next : &c->first) = call;
	c->last = call;
	http_client_poke(c);
}

struct http_call *http_start(struct http_client *c, const struct http_spec *s,
			     const struct http_events *ev, void *ctx, struct err *e)
{
	struct http_call *call;

	if (c->dead) {
		err_set(e, E_BUG, "the HTTP client was freed");
		return NULL;
	}
	if (!s->method || !is_token(s->method)) {
		err_set(e, E_INVAL, "the HTTP method is malformed");
		return NULL;
	}
	if (http_client_ready(c, e) < 0)
		return NULL;
	call = xcalloc(1, sizeof(*call));
	call->c = c;
	call->ev = ev;
	call->ctx = ctx;
	call->head.max = s->max_head ? s->max_head : MAX_HEAD;
	call->easy = curl_easy_init();
	if (!call->easy)
		abort(); /* out of memory, as in xmalloc */
	set_basics(call, s);
	if (set_url(call, s, e) < 0 || set_headers(call, s, e) < 0 || set_method(call, s, e) < 0) {
		http_call_destroy(call);
		return NULL;
	}
	call->last_ms = loop_now(c->loop);
	call->idle_ms = s->idle_ms ? s->idle_ms : IDLE_MS;
	if (call->idle_ms > 0) {
		call->idle = timer_new(c->loop, "http idle", on_idle, call);
		timer_start(call->idle, call->idle_ms, 0);
	}
	call_enlist(call);
	return call;
}
