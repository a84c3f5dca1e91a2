// SPDX-License-Identifier: Apache-2.0
/*
 * Sockets as duplexes: order, half-close, reset, flow control and its bounds, peers that die, and
 * the life rules of duplex.h (each end of these tests checks that no up-call comes from inside a
 * down-call, and none after the last).
 */
#include "runtime_end.h"

#define MIB ((size_t)1 << 20)

static void make_pair(int fds[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds),
			 0);
}

static void make_ends(struct fix *f, struct end *a, struct end *b)
{
	int fds[2];

	make_pair(fds);
	end_init(a, f, fds[0]);
	end_init(b, f, fds[1]);
}

static uint8_t *pattern(size_t n)
{
	uint8_t *p = xmalloc(n);

	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(i * 7 + i / 251);
	return p;
}

/* --- both ways, to the end --- */

static void echo_and_half_close_both_ways(void **state)
{
	struct fix *f = *state;
	_cleanup_free_ uint8_t *p = pattern(3 * MIB);
	struct end a, b;

	make_ends(f, &a, &b);
	b.echo = b.finish_on_eof = true;
	a.stop_on_close = true;
	end_write(&a, p, 3 * MIB);
	assert_true(duplex_pending(a.d) > 2 * MIB);
	end_finish(&a);
	loop_run(f->l);
	assert_int_equal(a.got, 3 * MIB);
	assert_int_equal(a.sum, sum_add(0, p, 3 * MIB));
	assert_true(a.eof && a.closed && b.eof && b.closed);
	assert_int_equal(a.why.code, E_NONE);
	assert_int_equal(b.why.code, E_NONE);
}

static void sending_goes_on_after_the_peers_end(void **state)
{
	struct fix *f = *state;
	_cleanup_free_ uint8_t *p = pattern(MIB);
	struct end a, b;

	make_ends(f, &a, &b);
	b.stop_on_eof = true;
	end_finish(&a);
	loop_run(f->l);
	assert_false(b.closed);
	a.stop_on_close = true;
	end_write(&b, p, MIB);
	end_finish(&b);
	loop_run(f->l);
	assert_int_equal(a.sum, sum_add(0, p, MIB));
	assert_true(a.closed && a.why.code == E_NONE);
	assert_true(b.closed && b.why.code == E_NONE);
}

static void write_after_finish_is_a_bug(void **state)
{
	struct fix *f = *state;
	struct err e;
	struct end a, b;

	make_ends(f, &a, &b);
	end_finish(&a);
	assert_err(duplex_write(a.d, "x", 1, &e), &e, E_BUG, "after the end");
	end_reset(&a);
	end_reset(&b);
}

/* --- bounds --- */

static void uncredited_bytes_stop_reading(void **state)
{
	struct fix *f = *state;
	_cleanup_free_ uint8_t *p = pattern(4 * MIB);
	struct err e = ERR_INIT;
	struct end a, b;

	make_ends(f, &a, &b);
	b.hoard = true;
	end_write(&a, p, 4 * MIB);
	b.stop_at = (256 << 10) + 1;
	loop_run(f->l);
	assert_in_range(b.got, (256 << 10) + 1, (256 + 64) << 10);
	assert_true(duplex_pending(a.d) > 3 * MIB);
	/* The cap: all or nothing, and what was there stays. */
	assert_err(duplex_write(a.d, p, 4 * MIB, &e), &e, E_LIMIT, "does not read");
	assert_true(duplex_pending(a.d) < 4 * MIB);
	/* Credit lets it flow again, to the last byte. */
	b.hoard = false;
	b.stop_at = 4 * MIB;
	end_credit(&b, b.got);
	assert_false(a.drained);
	loop_run(f->l);
	assert_int_equal(b.got, 4 * MIB);
	assert_int_equal(b.sum, sum_add(0, p, 4 * MIB));
	assert_true(a.drained);
	assert_int_equal(duplex_pending(a.d), 0);
	end_reset(&a);
	end_reset(&b);
}

/* --- resets --- */

static void reset_in_each_up_call(void **state)
{
	struct fix *f = *state;
	_cleanup_free_ uint8_t *p = pattern(MIB);
	struct end a, b;

	make_ends(f, &a, &b);
	b.reset_in_data = a.stop_on_close = true;
	end_write(&a, p, MIB);
	loop_run(f->l);
	assert_true(a.closed && a.why.code == E_IO);
	assert_true(!b.closed && !b.d);

	make_ends(f, &a, &b);
	b.reset_in_eof = a.stop_on_eof = true;
	end_finish(&a);
	loop_run(f->l);
	assert_true(b.eof && !b.closed && !b.d);
	loop_defer(f->l, "stop", (void (*)(void *))loop_stop, f->l);
	loop_run(f->l);
	assert_true(a.closed && a.why.code == E_NONE); /* unix sockets know no reset */

	make_ends(f, &a, &b);
	a.reset_in_drained = b.stop_on_eof = true;
	end_write(&a, p, MIB);
	loop_run(f->l);
	assert_true(a.drained && !a.closed && !a.d);
	end_reset(&b);
}

static void tcp_reset_is_not_an_end(void **state)
{
	struct fix *f = *state;
	struct accepted x = {.f = f, .stop = true};
	struct err e = ERR_INIT;
	struct end a;
	int port = 0;
	struct listener *s = listener_tcp(f->l, "tcp", &port, on_accept, &x, &e);

	assert_non_null(s);
	assert_true(port > 0);
	end_init(&a, f, tcp_connect(port));
	loop_run(f->l);
	assert_int_equal(x.uid, (uid_t)-1);
	end_reset(&a);
	x.end.stop_on_close = true;
	loop_run(f->l);
	assert_true(x.end.closed && !x.end.eof);
	assert_error_is(&x.end.why, E_IO, "receiving");
	listener_free(s);
	listener_free(NULL);
}

/* --- peers that die --- */

static void dead_peer_is_told_by_closed(void **state)
{
	struct fix *f = *state;
	struct end a;
	int fds[2];

	make_pair(fds);
	end_init(&a, f, fds[0]);
	a.stop_on_close = true;
	close(fds[1]);
	end_write(&a, "x", 1); /* EPIPE, yet it does not fail */
	assert_false(a.closed);
	end_write(&a, "y", 1);
	end_finish(&a);
	loop_run(f->l);
	assert_true(a.closed);
	assert_error_is(&a.why, E_IO, "sending");
}

static void who_sends_and_leaves_is_heard(void **state)
{
	struct fix *f = *state;
	struct end a;
	int fds[2];

	make_pair(fds);
	end_init(&a, f, fds[0]);
	a.stop_on_close = true;
	assert_int_equal(write(fds[1], "three\nfine\ncommands\n", 20), 20);
	close(fds[1]);
	end_write(&a, "x", 1);
	loop_run(f->l);
	assert_int_equal(a.got, 20);
	assert_true(a.closed && a.why.code == E_IO);
}

static void peer_that_only_stops_reading(void **state)
{
	struct fix *f = *state;
	struct end a;
	int fds[2];

	make_pair(fds);
	end_init(&a, f, fds[0]);
	a.stop_on_close = true;
	shutdown(fds[1], SHUT_RD);
	end_write(&a, "x", 1);
	loop_run(f->l);
	assert_true(a.closed && a.why.code == E_IO);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIX_TEST(echo_and_half_close_both_ways),
		FIX_TEST(sending_goes_on_after_the_peers_end),
		FIX_TEST(write_after_finish_is_a_bug),
		FIX_TEST(uncredited_bytes_stop_reading),
		FIX_TEST(reset_in_each_up_call),
		FIX_TEST(tcp_reset_is_not_an_end),
		FIX_TEST(dead_peer_is_told_by_closed),
		FIX_TEST(who_sends_and_leaves_is_heard),
		FIX_TEST(peer_that_only_stops_reading),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
