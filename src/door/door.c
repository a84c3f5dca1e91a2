// SPDX-License-Identifier: Apache-2.0
/*
 * Life of a door: the descriptor, gathering output so that one turn of the loop makes one write,
 * the clock (hello, ping), and the end. All ways to die meet in door_fail.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include "base/log.h"
#include "base/str.h"
#include "door/door_impl.h"

#define READ_SIZE      (64u << 10)
#define READS_PER_TURN 4 /* then other watches get their turn; of writes, half as many */

static void destroy(struct door *d)
{
	door_bury(d);
	nghttp2_session_del(d->h2);
	buf_free(&d->out);
	free(d);
}

/* Lets go of everything that could call us again, save a deferred flush. */
static void unplug(struct door *d)
{
	watch_free(d->watch);
	timer_free(d->timer);
	d->watch = NULL;
	d->timer = NULL;
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
}

static bool on_line(void *ctx, const char *line)
{
	struct door *d = ctx;

	if (d->ev->log)
		d->ev->log(d->ctx, line);
	return !d->freed;
}

static void write_out(struct door *d);

static void tell_end(struct door *d)
{
	struct door_stream *s;

	d->told = true;
	write_out(d); /* last words, such as GOAWAY, if the kernel takes them at once */
	guest_log_end(&d->log, loop_now(d->loop), on_line, d);
	while (!d->freed && (s = LIST_FIRST(&d->streams)))
		stream_tell_closed(s, &d->why);
	if (d->freed)
		return;
	unplug(d);
	d->ev->closed(d->ctx, &d->why);
}

static struct door_stream *first_due(struct door *d)
{
	struct door_stream *s;

	LIST_FOREACH(s, &d->streams, link)
	if (s->h2_gone || s->tell_drained)
		return s;
	d->todo = false;
	return NULL;
}

void door_leave(struct door *d)
{
	struct door_stream *s;

	if (d->depth == 1) {
		while (d->todo && !d->freed && (s = first_due(d)))
			stream_tell(s);
		if (d->failed && !d->told && !d->freed)
			tell_end(d);
		door_bury(d);
	}
	if (--d->depth == 0 && d->freed && !d->deferred)
		destroy(d);
}

void door_fail(struct door *d, enum err_code code, const char *fmt, ...)
{
	va_list ap;

	if (door_is_over(d))
		return;
	d->failed = true;
	char msg[sizeof(d->why.msg)];
	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	err_set(&d->why, code, "%s", msg);
}

static void watch_for(struct door *d, int events)
{
	if (d->watch && d->watching != events)
		watch_set(d->watch, d->watching = events);
}

/* Writes what is gathered and refills, until the kernel is full or nothing is left. */
static void write_out(struct door *d)
{
	for (int i = 0; i < READS_PER_TURN / 2 && d->fd >= 0 && !d->deaf; i++) {
		if (d->out_head == d->out.len) {
			d->out.len = d->out_head = 0;
			door_h2_fill(d);
			if (!d->out.len)
				break;
		}
		ssize_t n = write(d->fd, d->out.p + d->out_head, d->out.len - d->out_head);
		if (n >= 0)
			d->out_head += (size_t)n;
		else if (errno == EAGAIN)
			break;
		else if (errno != EINTR)
			d->deaf = true; /* what it said before it died is still to be read */
	}
	if (d->deaf || d->out_head == d->out.len) {
		buf_reset(&d->out);
		d->out_head = 0;
	}
	bool more = d->out.len || (!d->deaf && nghttp2_session_want_write(d->h2));
	watch_for(d, more ? WATCH_READ | WATCH_WRITE : WATCH_READ);
	if (!more && !d->h2_dead && door_h2_is_done(d))
		door_fail(d, E_PROTO, "the sandbox broke HTTP/2%s%s", d->h2_error[0] ? ": " : "",
			  d->h2_error);
}

static void on_turn_end(void *ctx)
{
	struct door *d = ctx;

	door_enter(d);
	d->deferred = false;
	/* With output waiting, the kernel is full: the watch goes on with it. */
	if (!door_is_over(d) && d->out_head == d->out.len)
		write_out(d);
	door_leave(d);
}

void door_kick(struct door *d)
{
	if (d->deferred || d->freed || d->told)
		return;
	d->deferred = true;
	loop_defer(d->loop, "door", on_turn_end, d);
}

void door_feed(struct door *d, const uint8_t *p, size_t n)
{
	struct frames_piece piece;
	struct err e = ERR_INIT;
	size_t used;

	door_enter(d);
	while (n && !door_is_over(d)) {
		if (frames_take(&d->frames, p, n, &used, &piece, &e)) {
			door_fail(d, e.code, "%s", e.msg);
			break;
		}
		if (piece.type == FRAMES_STDOUT)
			door_h2_feed(d, piece.p, piece.n);
		else if (piece.type == FRAMES_STDERR)
			guest_log_feed(&d->log, piece.p, piece.n, loop_now(d->loop), on_line, d);
		p += used;
		n -= used;
	}
	door_leave(d);
}

static void read_in(struct door *d)
{
	uint8_t chunk[READ_SIZE];

	for (int i = 0; i < READS_PER_TURN && !door_is_over(d); i++) {
		ssize_t n = read(d->fd, chunk, sizeof(chunk));
		if (n > 0) {
			door_feed(d, chunk, (size_t)n);
			if ((size_t)n < sizeof(chunk))
				return;
		} else if (n == 0) {
			door_fail(d, E_TEMP, "the sandbox's door closed%s",
				  d->had_agent ? "" : " before the handshake");
		} else if (errno == EAGAIN) {
			return;
		} else if (errno != EINTR) {
			door_fail(d, E_TEMP, "reading the door: %s", strerror(errno));
		}
	}
}

static void on_ready(void *ctx, int events)
{
	struct door *d = ctx;

	door_enter(d);
	if (events & WATCH_READ)
		read_in(d);
	if (events & WATCH_WRITE && !door_is_over(d))
		write_out(d);
	door_leave(d);
}

void door_start_clock(struct door *d, enum door_clock c)
{
	const int64_t ms[] = {[CLOCK_HELLO] = d->opt.hello_ms,
			      [CLOCK_QUIET] = d->opt.ping_ms,
			      [CLOCK_PING] = d->opt.ping_dead_ms};

	d->clock = c;
	if (d->timer)
		timer_start(d->timer, ms[c], 0);
}

static void on_timer(void *ctx)
{
	struct door *d = ctx;

	door_enter(d);
	switch (d->clock) {
	case CLOCK_HELLO:
		door_fail(d, E_TEMP, "no handshake from the sandbox within %lld ms",
			  (long long)d->opt.hello_ms);
		break;
	case CLOCK_QUIET:
		door_h2_ping(d);
		door_start_clock(d, CLOCK_PING);
		break;
	case CLOCK_PING:
		door_fail(d, E_TEMP, "the sandbox did not answer a ping within %lld ms",
			  (long long)d->opt.ping_dead_ms);
	}
	door_leave(d);
}

struct door *door_new(struct loop *l, int fd, const struct door_opts *o,
		      const struct door_events *ev, void *ctx)
{
	struct door *d = xcalloc(1, sizeof(*d));

	d->loop = l;
	d->fd = fd;
	d->ev = ev;
	d->ctx = ctx;
	d->opt.ping_ms = o && o->ping_ms ? o->ping_ms : 15000;
	d->opt.ping_dead_ms = o && o->ping_dead_ms ? o->ping_dead_ms : 30000;
	d->opt.hello_ms = o && o->hello_ms ? o->hello_ms : 30000;
	LIST_INIT(&d->streams);
	LIST_INIT(&d->graves);
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		log_oops("door: descriptor %d cannot be made non-blocking", fd);
	door_h2_new(d);
	d->watch = watch_new(l, "door", fd, on_ready, d);
	watch_for(d, WATCH_READ);
	d->timer = timer_new(l, "door.clock", on_timer, d);
	door_start_clock(d, CLOCK_HELLO);
	door_kick(d);
	return d;
}

void door_free(struct door *d)
{
	struct door_stream *s;

	if (!d)
		return;
	d->freed = true;
	unplug(d);
	while ((s = LIST_FIRST(&d->streams)))
		stream_drop(s);
	if (!d->depth && !d->deferred)
		destroy(d);
}
