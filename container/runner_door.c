// SPDX-License-Identifier: Apache-2.0
//
// The runner's end of the door: one HTTP/2 client session over fds 0 and 1. Only this file reads or
// writes them. Flow control is manual: a stream gets credit when its bytes are in the sandbox's pipe
// or socket, the connection when they are there or wait in a backlog whose sum is small, so that
// one slow client does not stop the others. All broken input ends the session, and with it the
// sandbox: there is no recovery to get wrong. It must never log a header value or payload.
#include "runner.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define HEADER(n, v)                                                                               \
	{                                                                                          \
		(uint8_t *)(n), (uint8_t *)(v), sizeof(n) - 1, sizeof(v) - 1,                      \
			NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE               \
	}

void door_credit_stream(struct runner *r, int32_t stream, size_t n)
{
	if (stream < 0 || n == 0)
		return;
	int rv = nghttp2_session_consume_stream(r->door.session, stream, n);
	if (rv != 0)
		runner_end(r, EXIT_BROKEN, "credit: %s", nghttp2_strerror(rv));
}

void door_credit_conn(struct runner *r)
{
	struct door *d = &r->door;
	size_t hold = d->backlog > BACKLOG_SOFT ? d->backlog - BACKLOG_SOFT : 0;
	if (d->owed <= hold)
		return;
	int rv = nghttp2_session_consume_connection(d->session, d->owed - hold);
	if (rv != 0)
		runner_end(r, EXIT_BROKEN, "credit: %s", nghttp2_strerror(rv));
	d->owed = hold;
}

void door_reset(struct runner *r, struct flow *f)
{
	if (f->stream < 0)
		return;
	int rv = nghttp2_submit_rst_stream(r->door.session, NGHTTP2_FLAG_NONE, f->stream,
					   NGHTTP2_CANCEL);
	if (rv != 0)
		runner_end(r, EXIT_BROKEN, "reset: %s", nghttp2_strerror(rv));
}

static ssize_t on_source(nghttp2_session *s, int32_t stream, uint8_t *p, size_t n, uint32_t *flags,
			 nghttp2_data_source *src, void *user)
{
	(void)s, (void)src;
	struct flow *f = flow_find(user, stream);
	return f ? flow_pull(user, f, p, n, flags) : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static ssize_t on_frame_size(nghttp2_session *s, uint8_t type, int32_t stream, int32_t conn_window,
			     int32_t stream_window, uint32_t frame_max, void *user)
{
	(void)s, (void)type, (void)stream, (void)user;
	int32_t n = conn_window < stream_window ? conn_window : stream_window;
	if ((uint32_t)n > frame_max)
		n = (int32_t)frame_max;
	return n < FRAME_MAX ? n : FRAME_MAX;
}

static int on_data(nghttp2_session *s, uint8_t flags, int32_t stream, const uint8_t *p, size_t n,
		   void *user)
{
	(void)flags;
	struct runner *r = user;
	struct flow *f = flow_find(r, stream);
	if (f)
		flow_push(r, f, p, n);
	else if (nghttp2_session_consume_stream(s, stream, n) != 0)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	r->door.owed += n;
	door_credit_conn(r);
	return 0;
}

static int on_header(nghttp2_session *s, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
		     void *user)
{
	(void)s, (void)flags;
	struct runner *r = user;
	if (name_len != 7 || memcmp(name, ":status", 7) != 0)
		return 0;
	if (value_len == 3 && (memcmp(value, "200", 3) == 0 || value[0] == '1'))
		return 0;
	struct flow *f = flow_find(r, frame->hd.stream_id);
	if (f == &r->flows[0]) {
		runner_end(r, EXIT_BROKEN, "the host refuses this runner (door %s)", DOOR_VERSION);
	} else if (f) {
		door_reset(r, f);
		flow_abort(r, f);
	}
	return 0;
}

static int on_frame(nghttp2_session *s, const nghttp2_frame *frame, void *user)
{
	(void)s;
	struct runner *r = user;
	if (frame->hd.type == NGHTTP2_GOAWAY) {
		bool fine = frame->goaway.error_code == NGHTTP2_NO_ERROR;
		runner_end(r, fine ? EXIT_DOOR_ENDED : EXIT_BROKEN, "the host said goodbye (%s)",
			   nghttp2_http2_strerror(frame->goaway.error_code));
		return 0;
	}
	bool body = frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS;
	if (body && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) {
		struct flow *f = flow_find(r, frame->hd.stream_id);
		if (f)
			flow_push_end(r, f);
	}
	return 0;
}

static int on_begin(nghttp2_session *s, const nghttp2_frame_hd *hd, void *user)
{
	(void)s;
	// Refused by our SETTINGS, but legal until the host has seen them.
	if (hd->type == NGHTTP2_PUSH_PROMISE)
		runner_end(user, EXIT_BROKEN, "the host broke the protocol: it pushes");
	return 0;
}

static int on_close(nghttp2_session *s, int32_t stream, uint32_t error, void *user)
{
	(void)s;
	struct runner *r = user;
	struct flow *f = flow_find(r, stream);
	if (!f)
		return 0;
	flow_stream_closed(r, f, error == NGHTTP2_NO_ERROR);
	if (f == &r->flows[0] && !r->door.trailers_sent)
		runner_end(r, EXIT_BROKEN, "the agent's stream was reset (%s)",
			   nghttp2_http2_strerror(error));
	return 0;
}

static int on_sent(nghttp2_session *s, const nghttp2_frame *frame, void *user)
{
	(void)s;
	struct runner *r = user;
	if (frame->hd.type == NGHTTP2_GOAWAY)
		log_line(&r->log, "the host broke the protocol: %s (%.*s)",
			 nghttp2_http2_strerror(frame->goaway.error_code),
			 (int)frame->goaway.opaque_data_len,
			 (const char *)frame->goaway.opaque_data); // the library's own words
	else if (frame->hd.type == NGHTTP2_HEADERS && frame->hd.stream_id == r->flows[0].stream &&
		 frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		r->door.trailers_sent = true;
	return 0;
}

static int on_not_sent(nghttp2_session *s, const nghttp2_frame *frame, int error, void *user)
{
	(void)s;
	struct runner *r = user;
	// A connection that was reset before its stream was opened is no longer a flow.
	if (frame->hd.type == NGHTTP2_HEADERS && flow_find(r, frame->hd.stream_id))
		runner_end(r, EXIT_BROKEN, "a stream cannot be opened: %s",
			   nghttp2_strerror(error));
	return 0;
}

static int32_t open_stream(struct runner *r, const nghttp2_nv *nv, size_t n)
{
	nghttp2_data_provider src = {.read_callback = on_source};
	int32_t id = nghttp2_submit_request(r->door.session, NULL, nv, n, &src, NULL);
	if (id < 0)
		runner_end(r, EXIT_BROKEN, "a stream cannot be opened: %s", nghttp2_strerror(id));
	return id;
}

void door_open_tcp(struct runner *r, struct flow *f)
{
	static const nghttp2_nv nv[] = {HEADER(":method", "POST"), HEADER(":scheme", "chela"),
					HEADER(":authority", "door"), HEADER(":path", "/tcp")};
	f->stream = open_stream(r, nv, sizeof nv / sizeof *nv);
}

void door_agent_trailers(struct runner *r, int32_t stream)
{
	bool killed = WIFSIGNALED(r->agent.status);
	char value[8];
	int n = snprintf(value, sizeof value, "%d",
			 killed ? WTERMSIG(r->agent.status) : WEXITSTATUS(r->agent.status));
	const char *name = killed ? "chela-signal" : "chela-exit";
	nghttp2_nv nv = {(uint8_t *)name, (uint8_t *)value, strlen(name), (size_t)n, 0};
	int rv = nghttp2_submit_trailer(r->door.session, stream, &nv, 1);
	if (rv != 0)
		runner_end(r, EXIT_BROKEN, "trailers: %s", nghttp2_strerror(rv));
}

static int session_new(struct runner *r)
{
	nghttp2_session_callbacks *cb;
	nghttp2_option *opt;
	if (nghttp2_session_callbacks_new(&cb) != 0)
		return -1;
	if (nghttp2_option_new(&opt) != 0) {
		nghttp2_session_callbacks_del(cb);
		return -1;
	}
	nghttp2_session_callbacks_set_data_source_read_length_callback(cb, on_frame_size);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
	nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
	nghttp2_session_callbacks_set_on_begin_frame_callback(cb, on_begin);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_close);
	nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_sent);
	nghttp2_session_callbacks_set_on_frame_not_send_callback(cb, on_not_sent);
	nghttp2_option_set_no_auto_window_update(opt, 1);
	int rv = nghttp2_session_client_new2(&r->door.session, cb, r, opt);
	nghttp2_option_del(opt);
	nghttp2_session_callbacks_del(cb);
	return rv;
}

const char *door_start(struct runner *r)
{
	struct door *d = &r->door;
	static const nghttp2_settings_entry set[] = {
		{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
		{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 0},
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW},
		{NGHTTP2_SETTINGS_MAX_FRAME_SIZE, FRAME_MAX},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HEADER_LIST_MAX},
	};
	static const nghttp2_nv nv[] = {
		HEADER(":method", "POST"),	    HEADER(":scheme", "chela"),
		HEADER(":authority", "door"),	    HEADER(":path", "/agent"),
		HEADER("chela-door", DOOR_VERSION), HEADER("chela-runner", RUNNER_VERSION)};
	d->in_buf = malloc(FRAME_MAX);
	d->gather = malloc(GATHER_MAX);
	if (!d->in_buf || !d->gather || session_new(r) != 0)
		return "no memory for the door";
	if (nghttp2_submit_settings(d->session, 0, set, sizeof set / sizeof *set) != 0 ||
	    nghttp2_session_set_local_window_size(d->session, 0, 0, CONN_WINDOW) != 0)
		return "the session refuses its settings";
	r->flows[0].stream = open_stream(r, nv, sizeof nv / sizeof *nv);
	watch_init(&d->in, STDIN_FILENO, WATCH_DOOR_IN, 0);
	watch_init(&d->out, STDOUT_FILENO, WATCH_DOOR_OUT, 0);
	watch_set(r, &d->in, EPOLLIN);
	return r->over ? "the session refuses the agent's stream" : NULL;
}

void door_readable(struct runner *r)
{
	ssize_t n = read(STDIN_FILENO, r->door.in_buf, FRAME_MAX);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		runner_end(r, EXIT_BROKEN, "the door is broken: %s", strerror(errno));
		return;
	}
	if (n == 0) {
		runner_end(r, EXIT_DOOR_ENDED, "the door is closed");
		return;
	}
	ssize_t used = nghttp2_session_mem_recv(r->door.session, r->door.in_buf, (size_t)n);
	if (used < 0)
		runner_end(r, EXIT_BROKEN, "the host broke the protocol: %s",
			   nghttp2_strerror((int)used));
}

// Fill the gather buffer with small frames; a large one is written from where it lies, after them.
static bool door_fill(struct runner *r)
{
	struct door *d = &r->door;
	d->gather_off = d->gather_len = 0;
	for (;;) {
		const uint8_t *p;
		ssize_t n = nghttp2_session_mem_send(d->session, &p);
		if (n < 0)
			runner_end(r, EXIT_BROKEN, "send: %s", nghttp2_strerror((int)n));
		if (n <= 0)
			return d->gather_len > 0;
		if ((size_t)n > GATHER_MAX / 4 || (size_t)n > GATHER_MAX - d->gather_len) {
			d->big = p;
			d->big_len = (size_t)n;
			return true;
		}
		memcpy(d->gather + d->gather_len, p, (size_t)n);
		d->gather_len += (size_t)n;
	}
}

void door_flush(struct runner *r)
{
	struct door *d = &r->door;
	while (d->gather_len > d->gather_off || d->big_len > 0 || door_fill(r)) {
		struct iovec v[2] = {{d->gather + d->gather_off, d->gather_len - d->gather_off},
				     {(void *)(uintptr_t)d->big, d->big_len}};
		ssize_t n = writev(STDOUT_FILENO, v, 2);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			watch_set(r, &d->out, EPOLLOUT);
			break;
		}
		if (n < 0) {
			runner_end(r, EXIT_BROKEN, "the door is broken: %s", strerror(errno));
			return;
		}
		size_t first = (size_t)n < v[0].iov_len ? (size_t)n : v[0].iov_len;
		d->gather_off += first;
		d->big += (size_t)n - first;
		d->big_len -= (size_t)n - first;
	}
	if (d->gather_len == d->gather_off && d->big_len == 0)
		watch_set(r, &d->out, 0);
	if (nghttp2_session_want_read(d->session) == 0)
		runner_end(r, EXIT_BROKEN, "the session is over");
}
