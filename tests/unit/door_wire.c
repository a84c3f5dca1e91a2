// SPDX-License-Identifier: Apache-2.0
/*
 * The door against a well-behaved runner: handshake, bytes both ways, exit status, half-close,
 * reset, and the limit of streams.
 */
#include "door_peer.h"

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

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(handshake),	       T(wrong_versions),
		T(agent_both_ways),    T(writes_of_one_turn_are_one),
		T(exit_status),	       T(bad_exit_status),
		T(half_close_by_host), T(half_close_by_peer),
		T(reset_by_peer),      T(reset_by_host),
		T(refused_connection), T(hundred_streams_and_unknown_paths),
	};

	return cmocka_run_group_tests_name("door_wire", tests, NULL, NULL);
}
