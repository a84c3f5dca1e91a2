// SPDX-License-Identifier: Apache-2.0
/*
 * Flow control of the door: much both ways, users and runners that stall, credit of streams that end.
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

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(big_both_ways),
		T(big_in_small_frames),
		T(stalled_user),
		T(stalled_runner),
		T(ended_streams_give_credit_back),
	};

	return cmocka_run_group_tests_name("door_flow", tests, NULL, NULL);
}
