// SPDX-License-Identifier: Apache-2.0
/*
 * The door against a well-behaved runner: handshake, bytes both ways under flow control,
 * half-close, reset, exit status, the end, and freeing it inside each up-call.
 */
#include "door_peer.h"

#define BIG (3 << 20)

static void fill(uint8_t *p, size_t n, uint32_t seed)
{
	for (size_t i = 0; i < n; i++) {
		seed = seed * 1664525 + 1013904223;
		p[i] = (uint8_t)(seed >> 24);
	}
}

static void handshake(void **state)
{
	struct rig *r = *state;

	rig_open(r, NULL);
	assert_int_equal(r->calls[AT_AGENT], 1);
	assert_string_equal(r->ps[0].status, "200");
	assert_int_equal(r->uses[0].dx->high_water, DOOR_HIGH_WATER);
}

static void check_refused_version(struct rig *r, const char *version)
{
	rig_init(r, NULL);
	peer_request(r, "/agent", version);
	peer_write(r);
	run_until(r, is_over);
	assert_error_is(&r->why, E_INVAL, "door version");
	assert_int_equal(r->calls[AT_AGENT], 0);
	/* what the runner was told */
	peer_ready(r, WATCH_READ);
	assert_string_equal(r->ps[0].status, "505");
	assert_int_equal(r->goaway, NGHTTP2_NO_ERROR);
}

static void wrong_versions(void **state)
{
	static const char *const bad[] = {"2", "0", "x", "", "11", "-1"};
	struct rig *r = *state;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		check_refused_version(r, bad[i]);
		rig_free(r);
	}
	check_refused_version(r, NULL);
}

static bool echoed(struct rig *r)
{
	return r->ps[0].got.len == 5 && r->uses[0].got.len == 6;
}

static void agent_both_ways(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;

	rig_open(r, NULL);
	assert_ok(duplex_write(r->uses[0].dx, "he", 2, &e), &e);
	assert_ok(duplex_write(r->uses[0].dx, "llo", 3, &e), &e);
	assert_int_equal(duplex_pending(r->uses[0].dx), 5);
	peer_say(r, &r->ps[0], "answer", 6, false);
	run_until(r, echoed);
	assert_memory_equal(r->ps[0].got.p, "hello", 5);
	assert_memory_equal(r->uses[0].got.p, "answer", 6);
	assert_int_equal(duplex_pending(r->uses[0].dx), 0);
}

static void stop(void *ctx)
{
	loop_stop(ctx);
}

static void writes_of_one_turn_are_one(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	uint8_t raw[256];

	rig_open(r, NULL);
	watch_set(r->w, 0);
	for (int i = 0; i < 20; i++)
		assert_ok(duplex_write(r->uses[0].dx, "0123456789", 10, &e), &e);
	assert_int_equal(recv(r->fd, raw, sizeof(raw), MSG_DONTWAIT), -1);
	r->until = NULL;
	loop_defer(r->l, "stop", stop, r->l);
	loop_run(r->l);
	/* one DATA frame with all of it */
	assert_int_equal(recv(r->fd, raw, sizeof(raw), MSG_DONTWAIT), 9 + 200);
	assert_int_equal(raw[3], NGHTTP2_DATA);
}

static bool big_done(struct rig *r)
{
	return r->uses[1].total == BIG && r->ps[1].total == BIG;
}

static void push(struct rig *r, const uint8_t *p, size_t *done)
{
	struct err e = ERR_INIT;
	struct use *u = &r->uses[1];

	while (*done < BIG && duplex_pending(u->dx) <= u->dx->high_water) {
		size_t n = BIG - *done < 50000 ? BIG - *done : 50000;
		assert_ok(duplex_write(u->dx, p + *done, n, &e), &e);
		*done += n;
	}
}

static bool conn_is_open(struct rig *r)
{
	return r->n_uses > 1 && streq(r->ps[1].status, "200");
}

static struct peer_stream *open_tcp(struct rig *r)
{
	struct peer_stream *s = peer_request(r, "/tcp", NULL);

	peer_write(r);
	run_until(r, conn_is_open);
	return s;
}

static const uint8_t *big_bytes;
static size_t big_pushed;
static int drains_seen;

static bool big_step(struct rig *r)
{
	if (r->uses[1].drains != drains_seen) {
		drains_seen = r->uses[1].drains;
		push(r, big_bytes, &big_pushed);
	}
	return big_done(r);
}

static void big_with(struct rig *r, size_t slice)
{
	_cleanup_free_ uint8_t *up = xmalloc(BIG), *down = xmalloc(BIG);

	fill(up, BIG, 1);
	fill(down, BIG, 2);
	rig_open(r, NULL);
	r->slice = slice;
	struct peer_stream *s = open_tcp(r);
	big_bytes = down;
	big_pushed = 0;
	drains_seen = 0;
	push(r, down, &big_pushed);
	assert_true(big_pushed < BIG); /* a polite user stops */
	peer_say(r, s, up, BIG, false);
	run_until(r, big_step);
	assert_memory_equal(r->uses[1].got.p, up, BIG);
	assert_memory_equal(s->got.p, down, BIG);
	assert_true(r->uses[1].drains > 3);
}

static void big_both_ways(void **state)
{
	big_with(*state, 0);
}

static void big_in_small_frames(void **state)
{
	big_with(*state, 777);
}

static bool exited(struct rig *r)
{
	return r->calls[AT_EXIT] == 1;
}

static void exit_with(struct rig *r, const char *name, const char *value, int code, int signo)
{
	rig_open(r, NULL);
	r->ps[0].trailer = name;
	r->ps[0].value = value;
	peer_say(r, &r->ps[0], "bye", 3, true);
	run_until(r, exited);
	assert_int_equal(r->exit_code, code);
	assert_int_equal(r->exit_signal, signo);
	assert_int_equal(r->uses[0].eofs, 1);
	assert_memory_equal(r->uses[0].got.p, "bye", 3);
}

static bool agent_gone(struct rig *r)
{
	return r->uses[0].closes == 1;
}

static void exit_status(void **state)
{
	struct rig *r = *state;

	exit_with(r, "chela-exit", "0", 0, 0);
	rig_free(r);
	exit_with(r, "chela-exit", "255", 255, 0);
	rig_free(r);
	exit_with(r, "chela-signal", "9", 0, 9);
	/* our end is still open: finish closes it in order */
	duplex_finish(r->uses[0].dx);
	run_until(r, agent_gone);
	assert_int_equal(r->uses[0].why.code, E_NONE);
	assert_int_equal(r->calls[AT_CLOSED], 0);
}

static void bad_exit_status(void **state)
{
	static const char *const bad[][2] = {{NULL, NULL},	    {"chela-exit", "256"},
					     {"chela-exit", "-1"},  {"chela-exit", "x"},
					     {"chela-signal", "0"}, {"chela-signal", "65"},
					     {"other", "1"}};
	struct rig *r = *state;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		rig_open(r, NULL);
		r->ps[0].trailer = bad[i][0];
		r->ps[0].value = bad[i][1];
		peer_say(r, &r->ps[0], "", 0, true);
		run_until(r, is_over);
		assert_error_is(&r->why, E_PROTO, "without an exit status");
		assert_int_equal(r->calls[AT_EXIT], 0);
		assert_int_equal(r->uses[0].why.code, E_PROTO);
		if (i + 1 < ARRAY_LEN(bad))
			rig_free(r);
	}
}

static bool peer_saw_end(struct rig *r)
{
	return r->ps[1].ended;
}
static bool host_saw_eof(struct rig *r)
{
	return r->uses[1].eofs == 1;
}
static bool tcp_closed(struct rig *r)
{
	return r->uses[1].closes == 1 && r->ps[1].closed;
}
static bool host_got_late(struct rig *r)
{
	return r->uses[1].total == 4;
}
static bool peer_got_late(struct rig *r)
{
	return r->ps[1].total == 8;
}

static void half_close_by_host(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;

	rig_open(r, NULL);
	struct peer_stream *s = open_tcp(r);
	assert_ok(duplex_write(r->uses[1].dx, "question", 8, &e), &e);
	duplex_finish(r->uses[1].dx);
	assert_err(duplex_write(r->uses[1].dx, "x", 1, &e), &e, E_BUG, "after its end");
	run_until(r, peer_saw_end);
	assert_int_equal(s->total, 8);
	peer_say(r, s, "late", 4, false);
	run_until(r, host_got_late);
	peer_say(r, s, "", 0, true);
	run_until(r, tcp_closed);
	assert_int_equal(r->uses[1].eofs, 1);
	assert_int_equal(r->uses[1].why.code, E_NONE);
	assert_int_equal(s->code, NGHTTP2_NO_ERROR);
}

static void half_close_by_peer(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;

	rig_open(r, NULL);
	struct peer_stream *s = open_tcp(r);
	peer_say(r, s, "only", 4, true);
	run_until(r, host_saw_eof);
	assert_int_equal(r->uses[1].total, 4);
	assert_int_equal(r->uses[1].closes, 0);
	assert_ok(duplex_write(r->uses[1].dx, "question", 8, &e), &e);
	run_until(r, peer_got_late);
	duplex_finish(r->uses[1].dx);
	run_until(r, tcp_closed);
	assert_int_equal(r->uses[1].why.code, E_NONE);
}

static void reset_by_peer(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	char junk[1000] = "";

	rig_open(r, NULL);
	struct peer_stream *s = open_tcp(r);
	assert_ok(duplex_write(r->uses[1].dx, junk, sizeof(junk), &e), &e);
	nghttp2_submit_rst_stream(r->cl, 0, s->id, NGHTTP2_CANCEL);
	peer_write(r);
	run_until(r, tcp_closed);
	assert_error_is(&r->uses[1].why, E_TEMP, "reset");
	assert_int_equal(r->calls[AT_CLOSED], 0);
}

static bool peer_stream_closed(struct rig *r)
{
	return r->ps[1].closed;
}

static void reset_by_host(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	char junk[1000] = "";

	rig_open(r, NULL);
	struct peer_stream *s = open_tcp(r);
	peer_say(r, s, "abc", 3, false);
	assert_ok(duplex_write(r->uses[1].dx, junk, sizeof(junk), &e), &e);
	duplex_reset(r->uses[1].dx);
	r->uses[1].dx = NULL; /* any up-call would fail now */
	run_until(r, peer_stream_closed);
	assert_int_equal(s->code, NGHTTP2_CANCEL);
	assert_int_equal(s->total, 0);
}

static void refused_connection(void **state)
{
	struct rig *r = *state;

	rig_open(r, NULL);
	r->refuse = true;
	peer_request(r, "/tcp", NULL);
	peer_write(r);
	run_until(r, peer_stream_closed);
	assert_int_not_equal(r->ps[1].code, NGHTTP2_NO_ERROR);
	assert_string_equal(r->ps[1].status, "");
	assert_int_equal(r->calls[AT_CONN], 1);
}

static bool window_full(struct rig *r)
{
	return r->uses[1].total >= DOOR_STREAM_WINDOW;
}
static bool other_answered(struct rig *r)
{
	return r->uses[0].total == 4;
}

/* A user who does not credit stops the peer at the window; other streams go on; credit revives it. */
static void stalled_user(void **state)
{
	struct rig *r = *state;
	_cleanup_free_ uint8_t *up = xcalloc(1, BIG);

	rig_open(r, NULL);
	struct peer_stream *s = open_tcp(r);
	r->uses[1].hoard = true;
	peer_say(r, s, up, BIG, false);
	run_until(r, window_full);
	peer_say(r, &r->ps[0], "ping", 4, false);
	run_until(r, other_answered);
	assert_int_equal(r->uses[1].total, DOOR_STREAM_WINDOW);
	assert_int_equal(s->sent, DOOR_STREAM_WINDOW);
	r->uses[1].hoard = false;
	duplex_consumed(r->uses[1].dx, r->uses[1].owed);
	r->uses[1].owed = 0;
	r->ps[1].total = BIG; /* nothing comes down here */
	run_until(r, big_done);
}

static bool peer_window_full(struct rig *r)
{
	return r->ps[1].total == 1 << 20;
}

/* A runner that does not credit: the queue grows to its cap and no further, then drains. */
static void stalled_runner(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	static uint8_t block[65536];
	size_t total = 0;

	rig_open(r, NULL);
	struct peer_stream *s = open_tcp(r);
	r->no_credit = true;
	s->blind = true;
	for (size_t i = 0; i < (1 << 20) / sizeof(block); i++, total += sizeof(block))
		assert_ok(duplex_write(r->uses[1].dx, block, sizeof(block), &e), &e);
	run_until(r, peer_window_full);
	while (!duplex_write(r->uses[1].dx, block, sizeof(block), &e))
		total += sizeof(block);
	assert_error_is(&e, E_LIMIT, "does not read");
	assert_int_equal(total, (1 << 20) + DOOR_QUEUE_MAX);
	assert_int_equal(duplex_pending(r->uses[1].dx), DOOR_QUEUE_MAX);
	int drains = r->uses[1].drains;
	r->no_credit = false;
	nghttp2_session_consume(r->cl, s->id, 1 << 20);
	peer_write(r);
	s->total = (1 << 20) - DOOR_QUEUE_MAX; /* so that the rest ends at 1 MiB again */
	run_until(r, peer_window_full);
	assert_int_equal(r->uses[1].drains, drains + 1);
}

/* Streams that end with bytes not credited must not eat the connection's window. */
static bool all_known(struct rig *r)
{
	return r->n_uses == r->n_ps;
}
static bool last_is_full(struct rig *r)
{
	return r->uses[r->n_uses - 1].total == 900000;
}
static bool last_is_closed(struct rig *r)
{
	return r->ps[r->n_ps - 1].closed && (!r->uses[r->n_uses - 1].dx);
}

static void ended_streams_give_credit_back(void **state)
{
	struct rig *r = *state;
	_cleanup_free_ uint8_t *up = xcalloc(1, 900000);

	rig_open(r, NULL);
	for (int i = 0; i < 20; i++) {
		struct peer_stream *s = peer_request(r, "/tcp", NULL);
		peer_say(r, s, up, 1, false);
		run_until(r, all_known);
		struct use *u = &r->uses[r->n_uses - 1];
		u->hoard = true;
		peer_say(r, s, up, 899999, false);
		run_until(r, last_is_full);
		if (i % 2) {
			duplex_reset(u->dx);
			u->dx = NULL;
		} else {
			nghttp2_submit_rst_stream(r->cl, 0, s->id, NGHTTP2_CANCEL);
			peer_write(r);
		}
		run_until(r, last_is_closed);
	}
}

static bool all_open(struct rig *r)
{
	return r->n_uses == DOOR_STREAMS;
}
static bool surplus_refused(struct rig *r)
{
	return r->n_uses == DOOR_STREAMS && r->ps[DOOR_STREAMS].closed;
}

static void hundred_streams_and_unknown_paths(void **state)
{
	struct rig *r = *state;

	rig_open(r, NULL);
	for (int i = 1; i < DOOR_STREAMS; i++)
		peer_request(r, "/tcp", NULL);
	peer_write(r);
	run_until(r, all_open);
	/* the client keeps to the limit by itself; free one place for something unknown */
	duplex_reset(r->uses[1].dx);
	r->uses[1].dx = NULL;
	peer_request(r, "/admin", NULL);
	peer_write(r);
	run_until(r, surplus_refused);
	assert_int_equal(r->ps[DOOR_STREAMS].code, NGHTTP2_REFUSED_STREAM);
	r->ps[DOOR_STREAMS].closed = false;
	r->ps[DOOR_STREAMS].id = peer_request(r, "/agent", "1")->id; /* a second agent */
	nghttp2_session_set_stream_user_data(r->cl, r->ps[DOOR_STREAMS].id, &r->ps[DOOR_STREAMS]);
	peer_write(r);
	run_until(r, surplus_refused);
	assert_int_equal(r->calls[AT_AGENT], 1);
}

static bool two_lines(struct rig *r)
{
	return r->n_lines == 2;
}

static void stderr_lines(void **state)
{
	struct rig *r = *state;

	rig_open(r, NULL);
	put_frame(&r->tx, 2, "runner: hel", 11);
	peer_say(r, &r->ps[0], "x", 1, false);
	put_frame(&r->tx, 2, "lo\nagent: \x1b[2J\n", 15);
	peer_write(r);
	run_until(r, two_lines);
	assert_string_equal(r->lines[0], "runner: hello");
	assert_string_equal(r->lines[1], "agent: ?[2J");
}

static void end_of_attach(void **state)
{
	struct rig *r = *state;

	rig_open(r, NULL);
	open_tcp(r);
	put_frame(&r->tx, 2, "runner: last words", 18);
	peer_write(r);
	shutdown(r->fd, SHUT_WR);
	run_until(r, is_over);
	assert_error_is(&r->why, E_TEMP, "closed");
	assert_int_equal(r->uses[0].closes, 1);
	assert_int_equal(r->uses[1].closes, 1);
	assert_int_equal(r->uses[1].why.code, E_TEMP);
	assert_string_equal(r->lines[0], "runner: last words");
}

/* What the runner said before it died is heard although writing to it fails. */
static void last_words_after_a_broken_pipe(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;

	rig_open(r, NULL);
	watch_set(r->w, 0);
	r->ps[0].trailer = "chela-exit";
	r->ps[0].value = "7";
	buf_put(&r->ps[0].send, "bye", 3);
	r->ps[0].fin = true;
	nghttp2_session_resume_data(r->cl, r->ps[0].id);
	peer_gather(r);
	assert_int_equal(write(r->fd, r->tx.p, r->tx.len), (ssize_t)r->tx.len);
	close(r->fd);
	r->fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_ok(duplex_write(r->uses[0].dx, "x", 1, &e), &e);
	run_until(r, is_over);
	assert_int_equal(r->exit_code, 7);
	assert_memory_equal(r->uses[0].got.p, "bye", 3);
	assert_int_equal(r->why.code, E_TEMP);
}

static void no_hello(void **state)
{
	struct rig *r = *state;

	rig_init(r, &(struct door_opts){.hello_ms = 30});
	run_until(r, is_over);
	assert_error_is(&r->why, E_TEMP, "handshake");
}

static void ping_is_not_answered(void **state)
{
	struct rig *r = *state;

	rig_open(r, &(struct door_opts){.ping_ms = 10, .ping_dead_ms = 40});
	r->deaf_peer = true;
	watch_set(r->w, 0);
	run_until(r, is_over);
	assert_error_is(&r->why, E_TEMP, "ping");
}

static bool three_pings(struct rig *r)
{
	return r->door->ping >= 3 && r->door->clock == CLOCK_QUIET;
}

static void ping_is_answered(void **state)
{
	struct rig *r = *state;

	rig_open(r, &(struct door_opts){.ping_ms = 5, .ping_dead_ms = 5000});
	run_until(r, three_pings);
	assert_int_equal(r->calls[AT_CLOSED], 0);
}

static bool freed(struct rig *r)
{
	return !r->door;
}

/* Frees the door inside each up-call in turn; `at` fails on any later up-call. */
static void free_in_each_upcall(void **state)
{
	struct rig *r = *state;

	for (enum at a = AT_AGENT; a <= AT_STREAM_CLOSED; a++) {
		static uint8_t junk[400000];
		struct err e = ERR_INIT;
		rig_init(r, NULL);
		r->free_at = a;
		peer_request(r, "/agent", "1");
		struct peer_stream *s = peer_request(r, "/tcp", NULL);
		s->trailer = a == AT_EXIT ? NULL : "t";
		s->value = "v";
		peer_write(r);
		if (a != AT_AGENT && a != AT_CONN)
			run_until(r, conn_is_open);
		if (a == AT_DRAINED)
			assert_ok(duplex_write(r->uses[1].dx, junk, sizeof(junk), &e), &e);
		if (r->door && r->n_uses > 1) {
			put_frame(&r->tx, 2, "a line\nb line\n", 14);
			r->ps[0].trailer = "chela-exit";
			r->ps[0].value = "0";
			if (a == AT_STREAM_CLOSED)
				nghttp2_submit_rst_stream(r->cl, 0, s->id, NGHTTP2_CANCEL);
			if (a != AT_DRAINED) {
				peer_say(r, s, "data", 4, true);
				peer_say(r, &r->ps[0], "data", 4, true);
			}
			if (a == AT_CLOSED)
				shutdown(r->fd, SHUT_WR);
		}
		run_until(r, freed);
		assert_int_equal(r->calls[a], 1);
		if (a != AT_STREAM_CLOSED)
			rig_free(r);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(handshake),
		T(wrong_versions),
		T(agent_both_ways),
		T(writes_of_one_turn_are_one),
		T(big_both_ways),
		T(big_in_small_frames),
		T(exit_status),
		T(bad_exit_status),
		T(half_close_by_host),
		T(half_close_by_peer),
		T(reset_by_peer),
		T(reset_by_host),
		T(refused_connection),
		T(stalled_user),
		T(stalled_runner),
		T(ended_streams_give_credit_back),
		T(hundred_streams_and_unknown_paths),
		T(stderr_lines),
		T(end_of_attach),
		T(last_words_after_a_broken_pipe),
		T(no_hello),
		T(ping_is_not_answered),
		T(ping_is_answered),
		T(free_in_each_upcall),
	};

	return cmocka_run_group_tests_name("door_wire", tests, NULL, NULL);
}
