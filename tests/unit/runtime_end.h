// SPDX-License-Identifier: Apache-2.0
/*
 * A user of a duplex that checks the life rules of duplex.h as it goes (no up-call from inside a
 * down-call, none after the last), and one that accepts callers: for the tests of conn and listener.
 */
#ifndef CHELA_TESTS_UNIT_RUNTIME_END_H
#define CHELA_TESTS_UNIT_RUNTIME_END_H
#include "runtime_fix.h"
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "runtime/conn.h"

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

static inline uint32_t sum_add(uint32_t s, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		s = s * 31 + p[i] + 1;
	return s;
}

static inline void end_write(struct end *x, const void *p, size_t n)
{
	struct err e = ERR_INIT;

	x->in_down = true;
	assert_ok(duplex_write(x->d, p, n, &e), &e);
	x->in_down = false;
	x->sent += n;
}

static inline void end_finish(struct end *x)
{
	x->in_down = true;
	duplex_finish(x->d);
	x->in_down = false;
}

static inline void end_reset(struct end *x)
{
	x->in_down = true;
	duplex_reset(x->d);
	x->in_down = false;
	x->d = NULL;
}

static inline void end_credit(struct end *x, size_t n)
{
	x->in_down = true;
	duplex_consumed(x->d, n);
	x->in_down = false;
}

static inline void on_data(void *ctx, const uint8_t *p, size_t n)
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

static inline void on_eof(void *ctx)
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

static inline void on_drained(void *ctx)
{
	struct end *x = ctx;

	assert_false(x->in_down);
	assert_non_null(x->d);
	assert_true(duplex_pending(x->d) <= x->d->high_water / 2);
	x->drained = true;
	if (x->reset_in_drained)
		end_reset(x);
}

static inline void on_closed(void *ctx, const struct err *why)
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

static inline void end_init(struct end *x, struct fix *f, int fd)
{
	*x = (struct end){.f = f};
	x->d = conn_new(f->l, "test", fd);
	x->d->ev = &end_events;
	x->d->ctx = x;
}

struct accepted {
	struct fix *f;
	struct end end;
	int count;
	uid_t uid;
	bool stop;
};

static inline void on_accept(void *ctx, int fd, uid_t uid)
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

static inline int tcp_connect(int port)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}
#endif
