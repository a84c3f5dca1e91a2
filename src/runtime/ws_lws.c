// SPDX-License-Identifier: Apache-2.0
/*
 * Owns libwebsockets for the WebSocket client: one context for ws:// and one for wss://, both on the loop's own libuv, and their
 * call-backs. What a trial taught and this file keeps to: the library resolves no name and times nothing (its timers do not fire on an
 * idle foreign loop), and its flow control is never used. No timer of the library's own may be relied on.
 */
#include <libwebsockets.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/str.h"
#include "runtime/loop_internal.h"
#include "runtime/ws_internal.h"

#define CA_FOLDER "/etc/ssl/certs"
#define FDS	  64 /* the library's tables have room for so many sockets */
#define BURST	  16 /* messages written in a row */

static struct ws *find(struct ws_client *c, uint64_t id)
{
	struct ws *w = id ? c->first : NULL;

	while (w && w->id != id)
		w = w->next;
	return w;
}

/* --- call-backs ------------------------------------------------------------------------------- */

static void connect_error(struct ws *w, const char *text)
{
	struct err e = ERR_INIT;

	if (w->cert_error)
		err_set(&e, E_AUTH, "%s: certificate refused: %s", w->host,
			X509_verify_cert_error_string(w->cert_error));
	else if (w->http_status && w->http_status != 101)
		err_set(&e, w->http_status == 401 || w->http_status == 403 ? E_AUTH : E_TEMP,
			"%s: the upgrade was answered with HTTP %d", w->host, w->http_status);
	else if (w->http_status || str_starts(text, "HS:") || str_starts(text, "problems parsing"))
		err_set(&e, E_PROTO, "%s: no WebSocket answer (%s)", w->host, text);
	else if (w->asked)
		err_set(&e, E_TEMP, "%s: the connection ended during the upgrade", w->host);
	else if (str_starts(text, "connect SSL err"))
		err_set(&e, E_TEMP, "%s: the TLS handshake failed", w->host);
	else
		err_set(&e, E_TEMP, "%s: cannot connect (%s)", w->host, text);
	w->id = 0;
	if (w->c->trying == w) /* ws_lws_connect tells */
		w->last = e;
	else
		ws_attempt_failed(w, &e);
}

static int append_headers(struct ws *w, char **p, size_t cap)
{
	w->asked = true;
	if (w->headers.len >= cap)
		return -1;
	if (w->headers.len)
		memcpy(*p, w->headers.p, w->headers.len);
	*p += w->headers.len;
	return 0;
}

/* Ends a connection whose peer broke the rules: our close frame says why, the user is told now. */
static int refuse(struct ws *w, struct lws *wsi, int code, const char *what)
{
	struct err e = ERR_INIT;

	err_set(&e, E_PROTO, "%s: %s", w->host, what);
	lws_close_reason(wsi, (enum lws_close_status)code, NULL, 0);
	ws_lws_leave(w, true);
	ws_over(w, 0, &e);
	return 0;
}

static int receive(struct ws *w, struct lws *wsi, const char *p, size_t n)
{
	struct err e = ERR_INIT;

	w->heard_ms = loop_now(w->c->loop);
	if (w->state != WS_OPEN)
		return 0;
	if (lws_frame_is_binary(wsi))
		return refuse(w, wsi, 1003, "a binary message");
	if (w->in.len + n + lws_remaining_packet_payload(wsi) > w->max_message ||
	    buf_add(&w->in, p, n, &e) < 0)
		return refuse(w, wsi, 1009, "a message larger than our cap");
	if (!lws_is_final_fragment(wsi) || lws_remaining_packet_payload(wsi))
		return 0;
	if (!str_is_utf8(w->in.p ? w->in.p : "", w->in.len))
		return refuse(w, wsi, 1007, "a message that is not UTF-8");
	w->ev->text(w->ctx, w->in.p ? w->in.p : "", w->in.len);
	if (w->state == WS_OVER)
		return -1;
	buf_reset(&w->in);
	return 0;
}

/* From outside the library: a close that it begins in its own service function is over before the frame is out. */
static void goodbye(void *ctx)
{
	struct ws *w = ctx;

	if (w->state == WS_CLOSING && w->wsi)
		lws_set_timeout(w->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
}

static int writeable(struct ws *w, struct lws *wsi)
{
	bool wrote = w->ping_due || w->out;

	if (w->ping_due) {
		unsigned char ping[LWS_PRE + 4] = {0};

		w->ping_due = false;
		if (lws_write(wsi, ping + LWS_PRE, 4, LWS_WRITE_PING) < 0)
			return -1;
	}
	for (int i = 0; w->out && i < BURST && !lws_send_pipe_choked(wsi); i++) {
		struct ws_out *o = w->out;
		int rc = lws_write(wsi, o->p + LWS_PRE, o->n, LWS_WRITE_TEXT);

		w->backlog -= o->n;
		w->out = o->next;
		if (!w->out)
			w->out_end = &w->out;
		free(o);
		if (rc < 0)
			return -1;
	}
	if (w->out ||
	    (wrote && w->state == WS_CLOSING)) { /* the library may hold the tail of the last one */
		lws_callback_on_writable(wsi);
	} else if (w->state == WS_CLOSING && !w->close_sent) {
		w->close_sent = true;
		lws_close_reason(wsi, (enum lws_close_status)w->close_code, NULL, 0);
		loop_defer(w->c->loop, "ws goodbye", goodbye, w);
	}
	return 0;
}

static void gone(struct ws *w)
{
	struct err e = ERR_INIT;
	int code = w->state == WS_CLOSING ? w->close_code : w->peer_code;

	if (w->state == WS_CONNECTING) {
		connect_error(w, "closed");
		return;
	}
	if (w->state == WS_CLOSING)
		err_set(&e, E_TEMP, "%s: closed as asked", w->host);
	else if (code)
		err_set(&e, E_TEMP, "%s: closed by the peer (code %d)", w->host, code);
	else
		err_set(&e, E_TEMP, "%s: the connection broke", w->host);
	w->id = 0;
	ws_over(w, code, &e);
}

static int dispatch(struct ws *w, struct lws *wsi, enum lws_callback_reasons why, void *in,
		    size_t n)
{
	switch (why) {
	case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER:
		return append_headers(w, in, n);
	case LWS_CALLBACK_ESTABLISHED_CLIENT_HTTP: /* the response's head is there, 101 or not */
		w->http_status = (int)lws_http_client_http_response(wsi);
		return 0;
	case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
		connect_error(w, in ? in : "no reason given");
		return 0;
	case LWS_CALLBACK_CLIENT_ESTABLISHED:
		w->wsi = wsi; /* its connect call may be on the stack */
		ws_opened(w);
		return w->state == WS_OVER ? -1 : 0;
	case LWS_CALLBACK_CLIENT_RECEIVE_PONG:
		w->heard_ms = loop_now(w->c->loop);
		return 0;
	case LWS_CALLBACK_CLIENT_RECEIVE:
		return receive(w, wsi, in, n);
	case LWS_CALLBACK_CLIENT_WRITEABLE:
		return writeable(w, wsi);
	case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
		w->peer_code = n >= 2 ? ((uint8_t *)in)[0] << 8 | ((uint8_t *)in)[1] : 1005;
		return w->close_sent
			       ? -1
			       : 0; /* an answer to ours is the end, else the library answers */
	default:		    /* LWS_CALLBACK_CLIENT_CLOSED, or destroyed without a word */
		gone(w);
		return 0;
	}
}

/* The system's CAs as the folder of hashed names, of which one file a handshake is read. What the library would do instead: read the
 * whole bundle at start, which costs 2 MB and stops the loop. */
static void trust(SSL_CTX *ctx)
{
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	if (!SSL_CTX_load_verify_dir(ctx, CA_FOLDER))
		log_error("ws", "cannot use the system's CAs", "folder=%s", CA_FOLDER);
}

/* What the library would keep for itself it leaks when it lives in two contexts: it finds it by an index that the second one replaces. */
static SSL_CTX *ssl_new(const struct ws_client *c)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	if (!ctx)
		return NULL;
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				      SSL_MODE_RELEASE_BUFFERS);
	trust(ctx);
	if (c->ca_file && !SSL_CTX_load_verify_file(ctx, c->ca_file))
		log_error("ws", "cannot use the CA file", "file=%s", c->ca_file);
	return ctx;
}

static int on_lws(struct lws *wsi, enum lws_callback_reasons why, void *user, void *in, size_t n)
{
	struct ws_client *c;
	struct ws *w;
	uint64_t start, id;
	int rc;

	switch (why) {
	case LWS_CALLBACK_OPENSSL_PERFORM_SERVER_CERT_VERIFICATION: /* n: the verdict so far */
		c = lws_context_user(lws_get_context(wsi));
		w = find(c, (uintptr_t)lws_wsi_user(wsi));
		if (w && !n)
			w->cert_error = X509_STORE_CTX_get_error(user);
		return 0;
	case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER:
	case LWS_CALLBACK_ESTABLISHED_CLIENT_HTTP:
	case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
	case LWS_CALLBACK_CLIENT_ESTABLISHED:
	case LWS_CALLBACK_CLIENT_RECEIVE_PONG:
	case LWS_CALLBACK_CLIENT_RECEIVE:
	case LWS_CALLBACK_CLIENT_WRITEABLE:
	case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
	case LWS_CALLBACK_CLIENT_CLOSED:
	case LWS_CALLBACK_WSI_DESTROY:
		break;
	default:
		return 0;
	}
	c = lws_context_user(lws_get_context(wsi));
	id = (uintptr_t)user;
	if (why == LWS_CALLBACK_WSI_DESTROY)
		ws_lws_forget(c, id);
	w = find(c, id);
	if (!w)
		return 0;
	if (why == LWS_CALLBACK_WSI_DESTROY || why == LWS_CALLBACK_CLIENT_CLOSED ||
	    why == LWS_CALLBACK_CLIENT_CONNECTION_ERROR)
		w->wsi = NULL; /* it goes by itself */
	start = loop_enter(c->loop);
	rc = dispatch(w, wsi, why, in, n);
	loop_leave(c->loop, "ws", start);
	return rc;
}

static const struct lws_protocols protocols[] = {
	{.name = "chela", .callback = on_lws, .rx_buffer_size = 4096, .tx_packet_size = 16384},
	{0},
};

/* --- contexts --------------------------------------------------------------------------------- */

static struct lws_context *context_new(struct ws_client *c, bool tls)
{
	void *loops[] = {loop_uv(c->loop)};
	struct lws_context_creation_info i = {
		.port = CONTEXT_PORT_NO_LISTEN,
		.protocols = protocols,
		.gid = -1,
		.uid = -1,
		.user = c,
		.foreign_loops = loops,
		.fd_limit_per_thread = FDS,
		.max_http_header_pool = 8,
		.pt_serv_buf_size = 4096,
		.timeout_secs = 60,	  /* ours come first */
		.http_proxy_address = "", /* else it reads the environment */
		.provided_client_ssl_ctx = tls ? (c->ssl = ssl_new(c)) : NULL,
		.options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_SKIP_SERVER_CANONICAL_NAME |
			   LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS | /* see trust */
			   (tls ? LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT : 0),
	};

	lws_set_log_level(0, NULL); /* what matters comes by call-back */
	return lws_create_context(&i);
}

int ws_lws_connect(struct ws *w, const struct dns_addr *a, struct err *e)
{
	static const lws_retry_bo_t no_timers;
	struct ws_client *c = w->c;
	struct lws_context **ctx = w->tls ? &c->tls : &c->plain;
	struct lws_client_connect_info i = {
		.address = a->ip,
		.port = w->port,
		.host = w->host_header,
		.path = w->path,
		.alpn = "http/1.1",
		.ssl_connection = LCCSCF_HTTP_NO_FOLLOW_REDIRECT | (w->tls ? LCCSCF_USE_SSL : 0),
		.ietf_version_or_minus_one = -1,
		.local_protocol_name = protocols[0].name,
		.retry_and_idle_policy = &no_timers,
	};
	struct lws *wsi;

	if (!*ctx)
		*ctx = context_new(c, w->tls);
	if (!*ctx)
		return err_set(e, E_IO, "libwebsockets does not start (is %s installed?)",
			       "libwebsockets-evlib-uv");
	w->asked = false;
	w->http_status = 0;
	w->cert_error = 0;
	w->id = ++c->last_id;
	i.context = *ctx;
	i.userdata = (void *)(uintptr_t)w->id;
	c->trying = w;
	wsi = lws_client_connect_via_info(&i);
	c->trying = NULL;
	if (wsi && w->id) {
		w->wsi = wsi;
		return 0;
	}
	if (w->id) /* else the reason is known */
		err_set(&w->last, E_TEMP, "%s: cannot connect to %s port %d", w->host, a->ip,
			w->port);
	w->id = 0;
	*e = w->last;
	return -1;
}

void ws_lws_wake(struct ws *w)
{
	if (w->wsi)
		lws_callback_on_writable(w->wsi);
}

void ws_lws_push(struct ws *w, const char *p, size_t n)
{
	struct ws_out *o = xmalloc(sizeof(*o) + LWS_PRE + n);

	o->next = NULL;
	o->n = n;
	if (n)
		memcpy(o->p + LWS_PRE, p, n);
	*w->out_end = o;
	w->out_end = &o->next;
	w->backlog += n;
	ws_lws_wake(w);
}

int64_t ws_lws_silent_ms(const struct ws *w)
{
	struct tcp_info info;
	socklen_t n = sizeof(info);

	if (!w->wsi || getsockopt(lws_get_socket_fd(w->wsi), SOL_TCP, TCP_INFO, &info, &n) < 0)
		return INT64_MAX;
	return info.tcpi_last_data_recv;
}
