// SPDX-License-Identifier: Apache-2.0
/*
 * Sockets as duplexes: order, half-close, reset, flow control and its bounds, peers that die, and
 * the life rules of duplex.h (each end of these tests checks that no up-call comes from inside a
 * down-call, and none after the last).
 */
#include "runtime_fix.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <netinet/in.h>

#include "runtime/conn.h"

#define MIB ((size_t)1 << 20)

/* One user of a duplex, which checks the rules and does what the test tells it to. */
struct end {
	struct fix *f;
	struct duplex *d;
	size_t got, sent;
	uint32_t sum; /* of what came, in order */
	bool echo, hoard, finish_on_eof;
	bool reset_in_data, reset_in_eof, reset_in_drained, stop_on_close, stop_on_eof;
	bool eof, closed, drained, in_down;
	size_t stop_at; /* loop_stop once so much came */
	struct err why;
};

static uint32_t sum_add(uint32_t s, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		s = s * 31 + p[i] + 1;
	return s;
}

static void end_write(struct end *x, const void *p, size_t n)
{
	struct err e = ERR_INIT;

	x->in_down = true;
	assert_ok(duplex_write(x->d, p, n, &e), &e);
	x->in_down = false;
	x->sent += n;
}

static void end_finish(struct end *x)
{
	x->in_down = true;
	duplex_finish(x->d);
	x->in_down = false;
}

static void end_reset(struct end *x)
{
	x->in_down = true;
	duplex_reset(x->d);
	x->in_down = false;
	x->d = NULL;
}

static void end_credit(struct end *x, size_t n)
{
	x->in_down = true;
	duplex_consumed(x->d, n);
	x->in_down = false;
}

static void on_data(void *ctx, const uint8_t *p, size_t n)
{
	struct end *x = ctx;

	assert_false(x->in_down);
	assert_non_null(x->d);
	assert_false(x->eof);
	x->got += n;
	x->sum = sum_add(x->sum, p, n);
	if (x->stop_at && x->got >= x->stop_at)
		loop_stop(x->f->l);
	if (x->reset_in_data) {
		end_reset(x);
		return;
	}
	if (x->echo)
		end_write(x, p, n);
	if (!x->hoard)
		end_credit(x, n);
}

static void on_eof(void *ctx)
{
	struct end *x = ctx;

	assert_false(x->in_down);
	assert_non_null(x->d);
	assert_false(x->eof);
	x->eof = true;
	if (x->stop_on_eof)
		loop_stop(x->f->l);
	if (x->reset_in_eof)
		end_reset(x);
	else if (x->finish_on_eof)
		end_finish(x);
}

static void on_drained(void *ctx)
{
	struct end *x = ctx;

	assert_false(x->in_down);
	assert_non_null(x->d);
	assert_true(duplex_pending(x->d) <= x->d->high_water / 2);
	x->drained = true;
	if (x->reset_in_drained)
		end_reset(x);
}

static void on_closed(void *ctx, const struct err *why)
{
	struct end *x = ctx;

	assert_false(x->in_down);
	assert_non_null(x->d);
	assert_false(x->closed);
	x->closed = true;
	x->d = NULL;
	if (why)
		x->why = *why;
	if (x->stop_on_close)
		loop_stop(x->f->l);
}

static const struct duplex_events end_events = {on_data, on_eof, on_drained, on_closed};

static void end_init(struct end *x, struct fix *f, int fd)
{
	*x = (struct end){.f = f};
	x->d = conn_new(f->l, "test", fd);
	x->d->ev = &end_events;
	x->d->ctx = x;
}

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

struct accepted {
	struct fix *f;
	struct end end;
	int count;
	uid_t uid;
	bool stop;
};

static void on_accept(void *ctx, int fd, uid_t uid)
{
	struct accepted *x = ctx;

	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	end_init(&x->end, x->f, fd);
	x->uid = uid;
	x->count++;
	if (x->stop)
		loop_stop(x->f->l);
}

static int tcp_connect(int port)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
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

/* --- listeners --- */

static void unix_listener(void **state)
{
	struct fix *f = *state;
	_cleanup_free_ char *path = xasprintf("%s/s.sock", f->dir);
	struct accepted x = {.f = f, .stop = true};
	struct err e = ERR_INIT;
	struct listener *s = listener_unix(f->l, "unix", path, on_accept, &x, &e);
	struct stat st;
	struct end a = {.f = f};

	assert_non_null(s);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	a.d = conn_unix(f->l, "client", path, &e);
	assert_non_null(a.d);
	a.d->ev = &end_events;
	a.d->ctx = &a;
	loop_run(f->l);
	assert_int_equal(x.count, 1);
	assert_int_equal(x.uid, getuid());
	x.end.stop_at = 5;
	end_write(&a, "hello", 5);
	loop_run(f->l);
	assert_int_equal(x.end.sum, sum_add(0, (const uint8_t *)"hello", 5));
	end_reset(&a);
	end_reset(&x.end);
	listener_free(s);
	assert_int_equal(stat(path, &st), -1);
	assert_null(conn_unix(f->l, "client", path, &e));
	assert_error_is(&e, E_GONE, path);
}

static void living_refused_stale_replaced(void **state)
{
	struct fix *f = *state;
	_cleanup_free_ char *path = xasprintf("%s/s.sock", f->dir);
	_cleanup_free_ char *plain = xasprintf("%s/file", f->dir);
	_cleanup_free_ char *deep = xasprintf("%s/none/s.sock", f->dir);
	struct accepted x = {.f = f, .stop = true};
	struct err e = ERR_INIT;
	struct listener *s = listener_unix(f->l, "one", path, on_accept, &x, &e), *t;
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	struct stat st;
	int fd;

	assert_non_null(s);
	assert_null(listener_unix(f->l, "two", path, on_accept, &x, &e));
	assert_error_is(&e, E_LIMIT, "another server answers on");
	listener_free(s);

	fd = socket(AF_UNIX, SOCK_STREAM, 0); /* bound and gone: what a kill -9 leaves */
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	close(fd);
	s = listener_unix(f->l, "three", path, on_accept, &x, &e);
	assert_non_null(s);

	/* A file that is no longer ours stays when we go. */
	assert_int_equal(unlink(path), 0);
	t = listener_unix(f->l, "four", path, on_accept, &x, &e);
	assert_non_null(t);
	listener_free(s);
	assert_int_equal(stat(path, &st), 0);
	listener_free(t);
	assert_int_equal(stat(path, &st), -1);

	fd = open(plain, O_CREAT | O_WRONLY, 0600);
	close(fd);
	assert_null(listener_unix(f->l, "five", plain, on_accept, &x, &e));
	assert_error_is(&e, E_INVAL, "is not a socket");
	assert_null(listener_unix(f->l, "six", deep, on_accept, &x, &e));
	assert_error_is(&e, E_GONE, "cannot open the folder");
}

static void long_socket_path(void **state)
{
	struct fix *f = *state;
	_cleanup_free_ char *dir = xasprintf("%s/%0120d", f->dir, 7);
	_cleanup_free_ char *path = xasprintf("%s/s.sock", dir);
	struct accepted x = {.f = f, .stop = true};
	struct err e = ERR_INIT;
	struct listener *s;
	struct end a = {.f = f};

	assert_int_equal(mkdir(dir, 0700), 0);
	s = listener_unix(f->l, "long", path, on_accept, &x, &e);
	assert_non_null(s);
	a.d = conn_unix(f->l, "client", path, &e);
	assert_non_null(a.d);
	a.d->ev = &end_events;
	a.d->ctx = &a;
	loop_run(f->l);
	assert_int_equal(x.count, 1);
	assert_null(listener_unix(f->l, "again", path, on_accept, &x, &e));
	assert_error_is(&e, E_LIMIT, "another server answers on");
	end_reset(&a);
	end_reset(&x.end);
	listener_free(s);
}

static void out_of_descriptors(void **state)
{
	struct fix *f = *state;
	struct accepted x = {.f = f, .stop = true};
	struct err e = ERR_INIT;
	struct rlimit old, low;
	int port = 0, fd;
	struct timer *t;
	struct listener *s;

	if (getenv("LD_PRELOAD") && strstr(getenv("LD_PRELOAD"), "valgrind"))
		skip(); /* it plays the limit itself: accepts, closes, and then says EMFILE */
	s = listener_tcp(f->l, "tcp", &port, on_accept, &x, &e);
	assert_non_null(s);
	fd = tcp_connect(port);
	getrlimit(RLIMIT_NOFILE, &old);
	low = old;
	low.rlim_cur = (rlim_t)fd + 1; /* all lower numbers are taken: see the assert below */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	t = timer_new(f->l, "stop", (void (*)(void *))loop_stop, f->l);
	timer_start(t, 50, 0);
	loop_run(f->l);
	setrlimit(RLIMIT_NOFILE, &old);
	assert_int_equal(x.count, 0);
	loop_run(f->l); /* the caller waited in the queue, and is let in */
	assert_int_equal(x.count, 1);
	timer_free(t);
	end_reset(&x.end);
	listener_free(s);
	close(fd);
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
		FIX_TEST(unix_listener),
		FIX_TEST(living_refused_stale_replaced),
		FIX_TEST(long_socket_path),
		FIX_TEST(out_of_descriptors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
