// SPDX-License-Identifier: Apache-2.0
/*
 * Owns a connected stream socket as a duplex: reads while the user keeps up, writes at once and
 * queues what the kernel does not take, ends each direction on its own. Up-calls come only from
 * the watch and from deferred calls, so never from inside a down-call. It must never grow beyond
 * its two stated bounds (256 KiB uncredited in, 4 MiB queued out).
 */
#include "runtime/conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "runtime/loop_internal.h"

#define OUT_CAP	       ((size_t)4 << 20)
#define IN_WINDOW      ((size_t)256 << 10)
#define HIGH_WATER     ((size_t)256 << 10)
#define COMPACT_BEYOND ((size_t)64 << 10)

struct conn {
	struct duplex d;
	struct loop *loop;
	const char *what;
	int fd;
	struct watch *watch;
	struct buf out; /* out.p[off..len) is still to be sent */
	size_t off;
	size_t uncredited;
	struct err fail; /* why sending is over, when failed */
	bool read_end;	 /* the peer has ended, and was told so by eof */
	bool finishing;	 /* no more writes by the user */
	bool shut;	 /* our direction is closed in the kernel */
	bool failed;
	bool above; /* pending went above the high-water mark */
	bool deferred;
	bool dead; /* nothing may be told any more; freed at the end of the turn */
};

static inline struct conn *conn_of(const struct duplex *d)
{
	return container_of(d, struct conn, d);
}

static size_t conn_pending(const struct duplex *d)
{
	const struct conn *c = conn_of(d);
	return c->out.len - c->off;
}

static void conn_arm(struct conn *c)
{
	int events = 0;

	if (c->dead)
		return;
	if (!c->read_end && c->uncredited <= IN_WINDOW)
		events |= WATCH_READ;
	if (!c->failed && conn_pending(&c->d) > 0)
		events |= WATCH_WRITE;
	watch_set(c->watch, events);
}

/* Lets go of all but the struct itself, which a call-back on the stack may still look at. */
static void conn_kill(struct conn *c)
{
	c->dead = true;
	watch_free(c->watch);
	close(c->fd);
	buf_free(&c->out);
	loop_free_later(c->loop, c);
}

static void conn_over(struct conn *c, const struct err *why)
{
	const struct duplex_events *ev = c->d.ev;
	void *ctx = c->d.ctx;

	conn_kill(c);
	ev->closed(ctx, why);
}

static void conn_settle(void *ctx)
{
	struct conn *c = ctx;

	c->deferred = false;
	if (c->dead)
		return;
	if (c->failed)
		conn_over(c, &c->fail);
	else if (c->read_end && c->shut)
		conn_over(c, NULL);
}

/* The end was reached inside a down-call, or may have been: look again from the loop. */
static void conn_settle_later(struct conn *c)
{
	if (c->deferred)
		return;
	c->deferred = true;
	loop_defer(c->loop, c->what, conn_settle, c);
}

/* Sending is over. When the peer has closed both ways, what it sent before is still in the kernel
 * and its end is sure to come, so that is read first (a client that sends and leaves is heard). */
static void conn_send_failed(struct conn *c, int errnum)
{
	struct pollfd p = {.fd = c->fd};

	err_sys(&c->fail, errnum, "%s: sending", c->what);
	c->failed = true;
	buf_free(&c->out);
	c->off = 0;
	if (c->read_end || poll(&p, 1, 0) != 1 || !(p.revents & POLLHUP))
		conn_settle_later(c);
}

static void conn_shut(struct conn *c)
{
	if (!c->finishing || c->shut || c->failed || conn_pending(&c->d))
		return;
	c->shut = true;
	if (shutdown(c->fd, SHUT_WR) < 0) {
		conn_send_failed(c, errno);
		return;
	}
	if (c->read_end)
		conn_settle_later(c);
}

/* How much the kernel took: 0 when it is full, -1 when sending is over. */
static ssize_t conn_send(struct conn *c, const void *p, size_t n)
{
	for (;;) {
		ssize_t k = send(c->fd, p, n, MSG_NOSIGNAL);
		if (k >= 0)
			return k;
		if (errno == EINTR)
			continue;
		if (errno == EAGAIN || errno == EWOULDBLOCK)
			return 0;
		conn_send_failed(c, errno);
		return -1;
	}
}

static void conn_queue(struct conn *c, const void *p, size_t n)
{
	if (c->off >= COMPACT_BEYOND && c->off >= c->out.len / 2) {
		buf_drop(&c->out, c->off);
		c->off = 0;
	}
	buf_put(&c->out, p, n);
	if (conn_pending(&c->d) > c->d.high_water)
		c->above = true;
}

static int conn_write(struct duplex *d, const void *p, size_t n, struct err *e)
{
	struct conn *c = conn_of(d);
	ssize_t sent = 0;

	if (c->dead || c->finishing)
		return err_set(e, E_BUG, "%s: write after the end", c->what);
	if (c->failed || n == 0)
		return 0; /* closed() is on its way and says why */
	if (conn_pending(d) + n > OUT_CAP)
		return err_set(e, E_LIMIT, "%s: the peer does not read (%zu bytes are waiting)",
			       c->what, conn_pending(d));
	if (conn_pending(d) == 0)
		sent = conn_send(c, p, n);
	if (sent >= 0 && (size_t)sent < n)
		conn_queue(c, (const char *)p + sent, n - (size_t)sent);
	conn_arm(c);
	return 0;
}

static void conn_consumed(struct duplex *d, size_t n)
{
	struct conn *c = conn_of(d);

	if (n > c->uncredited) {
		log_oops("%s: %zu bytes credited, %zu owed", c->what, n, c->uncredited);
		n = c->uncredited;
	}
	c->uncredited -= n;
	conn_arm(c);
}

static void conn_finish(struct duplex *d)
{
	struct conn *c = conn_of(d);

	if (c->dead || c->finishing)
		return;
	c->finishing = true;
	conn_shut(c);
	conn_arm(c);
}

static void conn_reset(struct duplex *d)
{
	struct conn *c = conn_of(d);
	struct linger now = {.l_onoff = 1, .l_linger = 0};

	if (c->dead)
		return;
	/* TCP: the peer sees a reset, not an end. Unix sockets know no such thing and refuse nothing. */
	setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	conn_kill(c);
}

static const struct duplex_ops conn_ops = {
	.write = conn_write,
	.pending = conn_pending,
	.consumed = conn_consumed,
	.finish = conn_finish,
	.reset = conn_reset,
};

static void conn_on_writable(struct conn *c)
{
	while (conn_pending(&c->d) > 0) {
		ssize_t k = conn_send(c, c->out.p + c->off, conn_pending(&c->d));
		if (k < 0)
			return;
		if (k == 0)
			break;
		c->off += (size_t)k;
	}
	if (conn_pending(&c->d) == 0) {
		buf_reset(&c->out);
		c->off = 0;
		conn_shut(c);
	}
	if (c->above && conn_pending(&c->d) <= c->d.high_water / 2) {
		c->above = false;
		if (!c->finishing && !c->failed)
			c->d.ev->drained(c->d.ctx);
	}
}

static void conn_on_readable(struct conn *c)
{
	uint8_t *p = loop_scratch(c->loop);
	ssize_t n = recv(c->fd, p, LOOP_SCRATCH, 0);
	struct err e = ERR_INIT;

	if (n > 0) {
		c->uncredited += (size_t)n;
		c->d.ev->data(c->d.ctx, p, (size_t)n);
		return;
	}
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return;
	if (c->failed) {
		conn_over(c, &c->fail);
	} else if (n < 0) {
		err_sys(&e, errno, "%s: receiving", c->what);
		conn_over(c, &e);
	} else {
		c->read_end = true;
		c->d.ev->eof(c->d.ctx);
		if (!c->dead && c->shut)
			conn_settle_later(c);
	}
}

static void conn_ready(void *ctx, int events)
{
	struct conn *c = ctx;

	if (events & WATCH_WRITE)
		conn_on_writable(c);
	if (!c->dead && (events & WATCH_READ) && !c->read_end && c->uncredited <= IN_WINDOW)
		conn_on_readable(c);
	conn_arm(c);
}

struct duplex *conn_new(struct loop *l, const char *what, int fd)
{
	struct conn *c = xcalloc(1, sizeof(*c));
	int on = 1;

	/* Small messages must not wait for an acknowledgement. Not a TCP socket: refused, rightly. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	c->d.ops = &conn_ops;
	c->d.high_water = HIGH_WATER;
	c->loop = l;
	c->what = what;
	c->fd = fd;
	buf_init(&c->out, 3 * OUT_CAP); /* sent and unsent halves, see conn_queue */
	c->watch = watch_new(l, what, fd, conn_ready, c);
	conn_arm(c);
	return &c->d;
}
