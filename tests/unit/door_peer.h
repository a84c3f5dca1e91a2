// SPDX-License-Identifier: Apache-2.0
/*
 * A runner for tests: an HTTP/2 client (nghttp2) at the other end of a socket pair, with Docker's
 * frames around what it says, on the same loop as the door under test. Tests await conditions at
 * the end of each turn, never time; a watchdog fails one that hangs.
 */
#ifndef CHELA_TESTS_DOOR_PEER_H
#define CHELA_TESTS_DOOR_PEER_H
#include "door_rig.h"

/* --- the runner --- */

static struct peer_stream *peer_of(nghttp2_session *cl, int32_t id)
{
	return nghttp2_session_get_stream_user_data(cl, id);
}

static int peer_header(nghttp2_session *cl, const nghttp2_frame *f, const uint8_t *n, size_t nl,
		       const uint8_t *v, size_t vl, uint8_t flags, void *user)
{
	struct peer_stream *s = peer_of(cl, f->hd.stream_id);

	(void)nl;
	(void)vl;
	(void)flags;
	(void)user;
	if (s && streq((const char *)n, ":status"))
		str_copy(s->status, sizeof(s->status), (const char *)v);
	return 0;
}

static int peer_data(nghttp2_session *cl, uint8_t flags, int32_t id, const uint8_t *p, size_t n,
		     void *user)
{
	struct peer_stream *s = peer_of(cl, id);
	struct rig *r = user;

	(void)flags;
	assert_non_null(s);
	if (!s->blind)
		buf_put(&s->got, p, n);
	s->total += n;
	if (!r->no_credit)
		nghttp2_session_consume(cl, id, n);
	return 0;
}

static int peer_frame(nghttp2_session *cl, const nghttp2_frame *f, void *user)
{
	struct rig *r = user;
	struct peer_stream *s = peer_of(cl, f->hd.stream_id);

	if (s && f->hd.flags & NGHTTP2_FLAG_END_STREAM && f->hd.type <= NGHTTP2_HEADERS)
		s->ended = true;
	if (f->hd.type == NGHTTP2_GOAWAY)
		r->goaway = f->goaway.error_code;
	return 0;
}

static int peer_close(nghttp2_session *cl, int32_t id, uint32_t code, void *user)
{
	struct peer_stream *s = peer_of(cl, id);

	(void)user;
	if (s) {
		s->closed = true;
		s->code = code;
	}
	return 0;
}

static ssize_t peer_provide(nghttp2_session *cl, int32_t id, uint8_t *buf, size_t len,
			    uint32_t *flags, nghttp2_data_source *src, void *user)
{
	struct peer_stream *s = src->ptr;
	size_t n = s->send.len - s->sent;

	(void)user;
	if (!n && !s->fin) {
		s->parked = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	if (n > len)
		n = len;
	if (n)
		memcpy(buf, s->send.p + s->sent, n);
	s->sent += n;
	if (s->fin && s->sent == s->send.len) {
		*flags |= NGHTTP2_DATA_FLAG_EOF;
		if (s->trailer) {
			nghttp2_nv nv = {(uint8_t *)s->trailer, (uint8_t *)s->value,
					 strlen(s->trailer), strlen(s->value), 0};
			*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
			assert_int_equal(nghttp2_submit_trailer(cl, id, &nv, 1), 0);
		}
	}
	return (ssize_t)n;
}

/* Docker's head around n bytes. */
static maybe_unused void put_frame(struct buf *b, uint8_t type, const void *p, size_t n)
{
	const uint8_t head[8] = {
		type,	   0, 0, 0, (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8),
		(uint8_t)n};

	buf_put(b, head, 8);
	buf_put(b, p, n);
}

/* Frames what the client has to say into r->tx, up to some bytes. */
static void peer_gather(struct rig *r)
{
	const uint8_t *p;
	ssize_t n;

	while (r->tx.len < 256 * 1024 && (n = nghttp2_session_mem_send(r->cl, &p)) > 0) {
		size_t most = r->slice ? r->slice : 32768;
		for (size_t i = 0; i < (size_t)n; i += most)
			put_frame(&r->tx, 1, p + i, (size_t)n - i < most ? (size_t)n - i : most);
	}
}

static void peer_write(struct rig *r)
{
	for (;;) {
		peer_gather(r);
		if (!r->tx.len)
			break;
		ssize_t n = write(r->fd, r->tx.p, r->tx.len);
		if (n < 0) {
			if (errno != EAGAIN)
				buf_reset(&r->tx);
			break;
		}
		buf_drop(&r->tx, (size_t)n);
	}
	watch_set(r->w, (r->deaf_peer ? 0 : WATCH_READ) | (r->tx.len ? WATCH_WRITE : 0));
}

static void peer_ready(void *ctx, int events)
{
	struct rig *r = ctx;
	uint8_t chunk[65536];

	if (events & WATCH_READ) {
		ssize_t n = read(r->fd, chunk, sizeof(chunk));
		if (n > 0)
			assert_int_equal(nghttp2_session_mem_recv(r->cl, chunk, (size_t)n), n);
		else if (n == 0 || errno != EAGAIN) {
			r->peer_eof = true;
			watch_set(r->w, 0);
			return;
		}
	}
	peer_write(r);
}

static struct peer_stream *peer_request(struct rig *r, const char *path, const char *version)
{
	struct peer_stream *s = &r->ps[r->n_ps++];
	nghttp2_nv nv[5] = {{(uint8_t *)":method", (uint8_t *)"POST", 7, 4, 0},
			    {(uint8_t *)":scheme", (uint8_t *)"chela", 7, 5, 0},
			    {(uint8_t *)":authority", (uint8_t *)"door", 10, 4, 0},
			    {(uint8_t *)":path", (uint8_t *)path, 5, strlen(path), 0},
			    {(uint8_t *)"chela-door", (uint8_t *)version, 10,
			     version ? strlen(version) : 0, 0}};
	nghttp2_data_provider dp = {.source.ptr = s, .read_callback = peer_provide};

	assert_true(r->n_ps <= PEER_STREAMS);
	s->id = nghttp2_submit_request(r->cl, NULL, nv, version ? 5 : 4, &dp, s);
	assert_true(s->id > 0);
	return s;
}

static maybe_unused void peer_say(struct rig *r, struct peer_stream *s, const void *p, size_t n,
				  bool fin)
{
	buf_put(&s->send, p, n);
	s->fin = fin;
	if (s->parked) {
		s->parked = false;
		nghttp2_session_resume_data(r->cl, s->id);
	}
	peer_write(r);
}

static nghttp2_session *peer_session(struct rig *r)
{
	nghttp2_settings_entry iv[] = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 20},
				       {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, 256 << 10},
				       {NGHTTP2_SETTINGS_ENABLE_PUSH, 0}};
	nghttp2_session_callbacks *cb;
	nghttp2_option *opt;
	nghttp2_session *cl;

	nghttp2_session_callbacks_new(&cb);
	nghttp2_session_callbacks_set_on_header_callback(cb, peer_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, peer_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, peer_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, peer_close);
	nghttp2_option_new(&opt);
	nghttp2_option_set_no_auto_window_update(opt, 1);
	assert_int_equal(nghttp2_session_client_new2(&cl, cb, r, opt), 0);
	nghttp2_option_del(opt);
	nghttp2_session_callbacks_del(cb);
	nghttp2_submit_settings(cl, 0, iv, 3);
	nghttp2_session_set_local_window_size(cl, 0, 0, 4 << 20);
	return cl;
}

/* --- the rig --- */

static void rig_turn(void *ctx)
{
	struct rig *r = ctx;

	if (r->until && r->until(r)) {
		r->until = NULL; /* once: a stop after the run would outlive it */
		loop_stop(r->l);
	}
}

static void rig_bark(void *ctx)
{
	loop_stop(ctx);
	fail_msg("the test hangs");
}

/* Runs the loop until the condition holds at the end of a turn. */
static void run_until(struct rig *r, bool (*cond)(struct rig *r))
{
	if (cond(r))
		return;
	r->until = cond;
	loop_run(r->l);
	assert_null(r->until);
}

static maybe_unused bool is_open(struct rig *r)
{
	return r->n_uses > 0 && streq(r->ps[0].status, "200");
}
static maybe_unused bool is_over(struct rig *r)
{
	return r->calls[AT_CLOSED] > 0;
}

static void rig_init(struct rig *r, const struct door_opts *o)
{
	struct err e = ERR_INIT;
	int fd[2];

	memset(r, 0, sizeof(*r));
	r->l = loop_new(&e);
	assert_non_null(r->l);
	r->dog = timer_new(r->l, "dog", rig_bark, r->l);
	timer_start(r->dog, 30000, 0);
	r->hook = loop_on_turn_end(r->l, "until", rig_turn, r);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	r->fd = fd[1];
	fcntl(fd[1], F_SETFL, O_NONBLOCK);
	r->door = door_new(r->l, fd[0], o, &rig_events, r);
	r->w = watch_new(r->l, "peer", r->fd, peer_ready, r);
	watch_set(r->w, WATCH_READ);
	r->cl = peer_session(r);
	r->goaway = 999;
	r->exit_code = -1;
}

/* With the agent's stream open on both sides. */
static maybe_unused void rig_open(struct rig *r, const struct door_opts *o)
{
	rig_init(r, o);
	peer_request(r, "/agent", "1");
	peer_write(r);
	run_until(r, is_open);
}

static maybe_unused bool conn_is_open(struct rig *r)
{
	return r->n_uses > 1 && streq(r->ps[1].status, "200");
}

/* A first connection from inside, open on both sides: uses[1]. */
static maybe_unused struct peer_stream *open_tcp(struct rig *r)
{
	struct peer_stream *s = peer_request(r, "/tcp", NULL);

	peer_write(r);
	run_until(r, conn_is_open);
	return s;
}

/* The peer's half. */
static void peer_free(struct rig *r)
{
	nghttp2_session_del(r->cl);
	buf_free(&r->tx);
	for (int i = 0; i < PEER_STREAMS; i++) {
		buf_free(&r->ps[i].got);
		buf_free(&r->ps[i].send);
	}
}

static void rig_free(struct rig *r)
{
	door_free(r->door);
	watch_free(r->w);
	close(r->fd);
	for (int i = 0; i < USES; i++)
		buf_free(&r->uses[i].got);
	peer_free(r);
	turn_hook_free(r->hook);
	timer_free(r->dog);
	loop_free(r->l);
}

static maybe_unused int setup(void **state)
{
	*state = xcalloc(1, sizeof(struct rig));
	return 0;
}

static maybe_unused int teardown(void **state)
{
	rig_free(*state);
	free(*state);
	return 0;
}

#endif
