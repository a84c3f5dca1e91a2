// SPDX-License-Identifier: Apache-2.0
/*
 * The HTTP/2 server of a door (RFC 9113, libnghttp2) and its handshake. Only what the wire's
 * version 1 knows is let in: one agent stream, then tcp streams. Nothing that the peer sends is kept beyond the
 * flags of struct door_stream; every queue it can make grow has a cap, and past a cap the door ends.
 */
#include <string.h>
#include "base/log.h"
#include "base/str.h"
#include "door/door_impl.h"

enum {
	SEEN_METHOD = 1,
	SEEN_SCHEME = 2,
	SEEN_AUTHORITY = 4,
	SEEN_ALL = 7
};

static struct door_stream *stream_of(struct door *d, int32_t id)
{
	return nghttp2_session_get_stream_user_data(d->h2, id);
}

/* What a callback returns once nothing more may be done: only a freed door stops nghttp2 short, so
 * that a refusal can still be sent. */
static int over(const struct door *d)
{
	return d->freed ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int too_much(struct door *d, const char *what)
{
	door_fail(d, E_PROTO, "the sandbox sent %s", what);
	return NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_begin_frame(nghttp2_session *h2 maybe_unused, const nghttp2_frame_hd *hd, void *user)
{
	struct door *d = user;
	int64_t slot = loop_now(d->loop) / 1000;

	if (hd->type == NGHTTP2_DATA && hd->length)
		return 0;
	if (slot != d->slot) {
		d->slot = slot;
		d->idle_frames = 0;
	}
	return ++d->idle_frames > DOOR_IDLE_FRAMES ? too_much(d, "a flood of frames without data")
						   : 0;
}

static int on_begin_headers(nghttp2_session *h2 maybe_unused, const nghttp2_frame *f, void *user)
{
	struct door *d = user;
	struct door_stream *s;

	if (door_is_over(d))
		return over(d);
	if (f->headers.cat == NGHTTP2_HCAT_REQUEST)
		stream_new(d, f->hd.stream_id);
	else if ((s = stream_of(d, f->hd.stream_id)))
		s->header_sum = 0;
	return 0;
}

static int small_number(const char *v, int max)
{
	struct err e = ERR_INIT;
	int64_t n;

	return str_to_i64(v, 0, max, &n, &e) ? -1 : (int)n;
}

static void note_request(struct door_stream *s, const char *name, const char *v)
{
	char q[96];

	if (streq(name, ":method"))
		s->seen |= streq(v, "POST") ? SEEN_METHOD : 0;
	else if (streq(name, ":scheme"))
		s->seen |= streq(v, "chela") ? SEEN_SCHEME : 0;
	else if (streq(name, ":authority"))
		s->seen |= streq(v, "door") ? SEEN_AUTHORITY : 0;
	else if (streq(name, ":path"))
		s->kind = streq(v, "/agent") ? STREAM_AGENT
			  : streq(v, "/tcp") ? STREAM_TCP
					     : STREAM_UNKNOWN;
	else if (streq(name, "chela-door"))
		s->version = small_number(v, 1000);
	else if (streq(name, "chela-runner") && !s->door->had_agent)
		log_debug("door", "runner", "version=%s", log_quote(q, sizeof(q), v));
}

static int on_header(nghttp2_session *h2 maybe_unused, const nghttp2_frame *f, const uint8_t *name,
		     size_t nlen, const uint8_t *value, size_t vlen, uint8_t flags maybe_unused,
		     void *user)
{
	struct door *d = user;
	struct door_stream *s = stream_of(d, f->hd.stream_id);

	if (door_is_over(d))
		return over(d);
	if (!s)
		return 0;
	s->header_sum += (unsigned)(nlen + vlen + 32);
	if (s->header_sum > DOOR_HEADERS_MAX)
		return too_much(d, "an oversized header list");
	const char *n = (const char *)name, *v = (const char *)value; /* nghttp2 ends them */
	if (f->headers.cat == NGHTTP2_HCAT_REQUEST)
		note_request(s, n, v);
	else if (streq(n, "chela-exit"))
		s->exit_code = small_number(v, 255);
	else if (streq(n, "chela-signal"))
		s->exit_signal = small_number(v, 64);
	return 0;
}

static void refuse_version(struct door *d, struct door_stream *s)
{
	static const nghttp2_nv no = {(uint8_t *)":status", (uint8_t *)"505", 7, 3,
				      NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE};
	int version = s->version;

	nghttp2_submit_response(d->h2, s->id, &no, 1, NULL);
	stream_drop(s);
	nghttp2_submit_goaway(d->h2, NGHTTP2_FLAG_NONE, 1, NGHTTP2_NO_ERROR, NULL, 0);
	door_fail(d, E_INVAL,
		  "the sandbox speaks door version %d and this server %d; run: make image", version,
		  DOOR_WIRE_VERSION);
}

static void on_request(struct door *d, struct door_stream *s)
{
	bool fits = s->kind == STREAM_AGENT ? !d->had_agent : s->kind == STREAM_TCP && d->had_agent;

	if (!fits || s->seen != SEEN_ALL) {
		stream_refuse(d, s->id);
		stream_drop(s);
	} else if (s->kind == STREAM_TCP) {
		stream_open(s);
	} else if (s->version != DOOR_WIRE_VERSION) {
		refuse_version(d, s);
	} else {
		d->had_agent = true;
		door_start_clock(d, CLOCK_QUIET);
		stream_open(s);
	}
}

/* END_STREAM. The agent's stream must say how the agent ended: see the wire's trailers. */
static void on_end(struct door *d, struct door_stream *s)
{
	int code = s->exit_code, signo = s->exit_signal;
	bool agent = s->kind == STREAM_AGENT;

	if (agent && (code < 0) == (signo <= 0)) {
		door_fail(d, E_PROTO, "the agent's stream ended without an exit status");
		return;
	}
	stream_on_eof(s);
	if (agent && !d->freed)
		d->ev->agent_exit(d->ctx, code < 0 ? 0 : code, signo < 0 ? 0 : signo);
}

static int on_frame(nghttp2_session *h2 maybe_unused, const nghttp2_frame *f, void *user)
{
	struct door *d = user;
	struct door_stream *s;
	uint64_t word;

	if (door_is_over(d))
		return over(d);
	switch (f->hd.type) {
	case NGHTTP2_HEADERS:
		s = stream_of(d, f->hd.stream_id);
		if (s && f->headers.cat == NGHTTP2_HCAT_REQUEST)
			on_request(d, s);
		break;
	case NGHTTP2_PING:
		memcpy(&word, f->ping.opaque_data, sizeof(word));
		if (f->hd.flags & NGHTTP2_FLAG_ACK && d->clock == CLOCK_PING && word == d->ping)
			door_start_clock(d, CLOCK_QUIET);
		return 0;
	case NGHTTP2_GOAWAY:
		door_fail(d, f->goaway.error_code == NGHTTP2_NO_ERROR ? E_TEMP : E_PROTO,
			  "the runner gave up: %s", nghttp2_http2_strerror(f->goaway.error_code));
		return 0;
	case NGHTTP2_DATA:
		break;
	default:
		return 0;
	}
	/* Looked up again: the user may have let go of it just now. */
	s = door_is_over(d) ? NULL : stream_of(d, f->hd.stream_id);
	if (s && f->hd.flags & NGHTTP2_FLAG_END_STREAM)
		on_end(d, s);
	return over(d);
}

static int on_data(nghttp2_session *h2, uint8_t flags maybe_unused, int32_t id, const uint8_t *p,
		   size_t n, void *user)
{
	struct door *d = user;
	struct door_stream *s = door_is_over(d) ? NULL : stream_of(d, id);

	if (!s)
		nghttp2_session_consume(h2, id, n);
	else if (n > DOOR_STREAM_WINDOW - s->uncredited)
		return too_much(d,
				"more than its window"); /* nghttp2 would only reset the stream */
	else
		stream_on_data(s, p, n);
	return over(d);
}

static int on_stream_close(nghttp2_session *h2 maybe_unused, int32_t id, uint32_t code maybe_unused,
			   void *user)
{
	struct door *d = user;
	struct door_stream *s = d->told ? NULL : stream_of(d, id);

	if (s)
		stream_on_h2_close(s);
	return 0;
}

static int on_error_text(nghttp2_session *h2 maybe_unused, int code maybe_unused, const char *msg,
			 size_t n, void *user)
{
	struct door *d = user;

	if (n >= sizeof(d->h2_error))
		n = sizeof(d->h2_error) - 1;
	memcpy(d->h2_error, msg, n);
	d->h2_error[n] = '\0';
	guest_clean_text(d->h2_error, n);
	return 0;
}

static int send_data(nghttp2_session *h2 maybe_unused, nghttp2_frame *f, const uint8_t *head,
		     size_t n, nghttp2_data_source *src maybe_unused, void *user)
{
	struct door *d = user;
	struct door_stream *s = stream_of(d, f->hd.stream_id);

	if (!s)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* reset by the user meanwhile */
	if (d->out.len >= DOOR_OUT_MAX)
		return NGHTTP2_ERR_WOULDBLOCK;
	buf_put(&d->out, head, 9);
	s->fin_sent = f->hd.flags & NGHTTP2_FLAG_END_STREAM;
	stream_move(s, n);
	return 0;
}

static ssize_t frame_size(nghttp2_session *h2 maybe_unused, uint8_t type maybe_unused,
			  int32_t id maybe_unused, int32_t conn_window maybe_unused,
			  int32_t stream_window maybe_unused, uint32_t max_frame,
			  void *user maybe_unused)
{
	return max_frame < DOOR_FRAME_SEND ? max_frame : DOOR_FRAME_SEND;
}

static nghttp2_session *session_new(struct door *d)
{
	nghttp2_session_callbacks *cb;
	nghttp2_option *opt;
	nghttp2_session *h2;

	if (nghttp2_session_callbacks_new(&cb) || nghttp2_option_new(&opt))
		die("door: out of memory");
	nghttp2_session_callbacks_set_on_begin_frame_callback(cb, on_begin_frame);
	nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
	nghttp2_session_callbacks_set_error_callback2(cb, on_error_text);
	nghttp2_session_callbacks_set_send_data_callback(cb, send_data);
	nghttp2_session_callbacks_set_data_source_read_length_callback(cb, frame_size);
	nghttp2_option_set_no_auto_window_update(opt, 1);
	nghttp2_option_set_no_closed_streams(opt, 1);
	nghttp2_option_set_max_outbound_ack(opt, 64);
	nghttp2_option_set_max_settings(opt, 16);
	nghttp2_option_set_max_continuations(opt, 4);
	nghttp2_option_set_stream_reset_rate_limit(opt, 1000, 100);
	if (nghttp2_session_server_new2(&h2, cb, d, opt))
		die("door: out of memory");
	nghttp2_option_del(opt);
	nghttp2_session_callbacks_del(cb);
	return h2;
}

void door_h2_new(struct door *d)
{
	/* ENABLE_CONNECT_PROTOCOL stays at its default, off; a server cannot be pushed to. */
	static const nghttp2_settings_entry iv[] = {
		{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, DOOR_STREAMS},
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, DOOR_STREAM_WINDOW},
		{NGHTTP2_SETTINGS_MAX_FRAME_SIZE, DOOR_FRAME_RECV},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, DOOR_HEADERS_MAX},
		{NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
	};

	d->h2 = session_new(d);
	if (nghttp2_submit_settings(d->h2, NGHTTP2_FLAG_NONE, iv, ARRAY_LEN(iv)) ||
	    nghttp2_session_set_local_window_size(d->h2, NGHTTP2_FLAG_NONE, 0, DOOR_CONN_WINDOW))
		die("door: out of memory");
}

void door_h2_feed(struct door *d, const uint8_t *p, size_t n)
{
	ssize_t r = nghttp2_session_mem_recv(d->h2, p, n);

	if (d->freed)
		return;
	if (r < 0) {
		d->h2_dead = true;
		door_fail(d, E_PROTO, "the sandbox broke HTTP/2: %s", nghttp2_strerror((int)r));
		return;
	}
	if (nghttp2_session_get_outbound_queue_size(d->h2) > DOOR_FRAMES_QUEUED)
		door_fail(d, E_PROTO, "the sandbox asks and does not read the answers");
	if (nghttp2_session_want_write(d->h2) || door_h2_is_done(d))
		door_kick(d);
}

void door_h2_fill(struct door *d)
{
	const uint8_t *p;

	while (d->out.len < DOOR_OUT_MAX && !d->h2_dead) {
		ssize_t n = nghttp2_session_mem_send(d->h2, &p);
		if (n < 0) {
			d->h2_dead = true;
			door_fail(d, E_BUG, "sending to the sandbox: %s", nghttp2_strerror((int)n));
		}
		if (n <= 0)
			return;
		buf_put(&d->out, p, (size_t)n);
	}
}

bool door_h2_is_done(const struct door *d)
{
	return !nghttp2_session_want_read(d->h2) && !nghttp2_session_want_write(d->h2);
}

void door_h2_ping(struct door *d)
{
	uint8_t word[8];

	d->ping++;
	memcpy(word, &d->ping, sizeof(word));
	if (nghttp2_submit_ping(d->h2, NGHTTP2_FLAG_NONE, word))
		door_fail(d, E_BUG, "no ping could be sent");
	door_kick(d);
}
