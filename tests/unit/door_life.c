// SPDX-License-Identifier: Apache-2.0
/*
 * A door's life: log lines, the ways it ends, its clock, and being freed inside each up-call.
 */
#include "door_peer.h"

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
		T(stderr_lines),
		T(end_of_attach),
		T(last_words_after_a_broken_pipe),
		T(no_hello),
		T(ping_is_not_answered),
		T(ping_is_answered),
		T(free_in_each_upcall),
	};

	return cmocka_run_group_tests_name("door_life", tests, NULL, NULL);
}
