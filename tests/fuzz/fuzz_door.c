// SPDX-License-Identifier: Apache-2.0
/*
 * A door fed with any bytes, with and without Docker's frames around them, by users of several
 * tempers. There is no descriptor to wait for: this file stands in for the loop (deferred calls
 * run after each piece, timers fire when told), which also makes each run repeat exactly.
 *
 * Input: byte 0 = temper (below), byte 1 = size of the pieces and when to free, the rest is fed.
 */
#include "fuzz.h"
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "door/door_impl.h"

enum {
	FRAMED = 1,  /* the bytes bring Docker's frames themselves */
	GREETED = 2, /* a good handshake goes before them */
	HOARD = 4,   /* never credits at once */
	ECHO = 8,    /* writes back what comes, and ends with the peer */
	FICKLE = 16, /* resets a stream at each fourth event */
	FREE = 32,   /* frees the door in the up-call that byte 1 says */
	STUCK = 64,  /* the kernel takes a little output and then no more */
	CLOCK = 128, /* timers fire after the input */
};

struct loop {
	void (*defer[64])(void *ctx);
	void *defer_ctx[64];
	int n_defers;
};
struct timer {
	void (*cb)(void *ctx);
	void *ctx;
	bool armed;
};
struct watch {
	void (*cb)(void *ctx, int events);
	void *ctx;
	int events;
};

void loop_defer(struct loop *l, const char *what, void (*cb)(void *ctx), void *ctx)
{
	(void)what;
	fuzz_check(l->n_defers < 64);
	l->defer[l->n_defers] = cb;
	l->defer_ctx[l->n_defers++] = ctx;
}

int64_t loop_now(const struct loop *l)
{
	(void)l;
	return 1000;
}

struct timer *timer_new(struct loop *l, const char *what, void (*cb)(void *ctx), void *ctx)
{
	struct timer *t = xcalloc(1, sizeof(*t));

	(void)l;
	(void)what;
	t->cb = cb;
	t->ctx = ctx;
	return t;
}

void timer_start(struct timer *t, int64_t delay_ms, int64_t period_ms)
{
	fuzz_check(delay_ms > 0 && !period_ms);
	t->armed = true;
}

void timer_free(struct timer *t)
{
	free(t);
}

struct watch *watch_new(struct loop *l, const char *what, int fd, void (*cb)(void *ctx, int events),
			void *ctx)
{
	struct watch *w = xcalloc(1, sizeof(*w));

	(void)l;
	(void)what;
	(void)fd;
	w->cb = cb;
	w->ctx = ctx;
	return w;
}

void watch_set(struct watch *w, int events)
{
	w->events = events;
}

void watch_free(struct watch *w)
{
	free(w);
}

/* --- the user --- */

struct game;

struct seat {
	struct game *g;
	struct duplex *dx; /* NULL once over */
	size_t owed;
	bool eof;
};

struct game {
	struct door *door; /* NULL once freed or closed */
	bool over;	   /* door_events.closed was called */
	uint8_t temper, when;
	unsigned events;
	int agents, n_seats;
	struct seat seats[256];
};

/* Counts an up-call; false when the door, and with it every stream, is gone after it. */
static bool event(struct game *g)
{
	fuzz_check(g->door && !g->over);
	if (!(g->temper & FREE) || g->events++ != g->when % 16)
		return true;
	door_free(g->door);
	g->door = NULL;
	for (int i = 0; i < g->n_seats; i++)
		g->seats[i].dx = NULL;
	return false;
}

static void maybe_reset(struct seat *s)
{
	if (s->g->temper & FICKLE && ++s->g->events % 4 == 0 && s->dx) {
		duplex_reset(s->dx);
		s->dx = NULL;
	}
}

static void on_data(void *ctx, const uint8_t *p, size_t n)
{
	struct seat *s = ctx;
	struct err e = ERR_INIT;

	fuzz_check(s->dx && n && !s->eof);
	s->owed += n;
	fuzz_check(s->owed <= DOOR_STREAM_WINDOW);
	if (!event(s->g))
		return;
	if (s->g->temper & ECHO && duplex_write(s->dx, p, n, &e))
		fuzz_check(e.code == E_LIMIT);
	fuzz_check(duplex_pending(s->dx) <= DOOR_QUEUE_MAX);
	if (!(s->g->temper & HOARD)) {
		duplex_consumed(s->dx, s->owed);
		s->owed = 0;
	}
	maybe_reset(s);
}

static void on_eof(void *ctx)
{
	struct seat *s = ctx;

	fuzz_check(s->dx && !s->eof);
	s->eof = true;
	if (event(s->g) && s->g->temper & ECHO)
		duplex_finish(s->dx);
	maybe_reset(s);
}

static void on_drained(void *ctx)
{
	struct seat *s = ctx;

	fuzz_check(s->dx);
	event(s->g);
}

static void on_stream_closed(void *ctx, const struct err *why)
{
	struct seat *s = ctx;

	fuzz_check(s->dx && (!why || why->code));
	s->dx = NULL;
	event(s->g);
}

static void sit(struct game *g, struct duplex *d)
{
	static const struct duplex_events ev = {on_data, on_eof, on_drained, on_stream_closed};
	struct seat *s = &g->seats[g->n_seats++ % 256];

	if (s->dx || g->n_seats > 256) { /* more seats than any input needs */
		g->n_seats = 256;
		duplex_reset(d);
		return;
	}
	*s = (struct seat){.g = g, .dx = d};
	d->ev = &ev;
	d->ctx = s;
	if (event(g))
		maybe_reset(s);
}

static void on_agent(void *ctx, struct duplex *d)
{
	struct game *g = ctx;

	fuzz_check(g->agents++ == 0);
	sit(g, d);
}

static void on_exit_status(void *ctx, int code, int signo)
{
	fuzz_check(code >= 0 && code <= 255 && signo >= 0 && signo <= 64);
	event(ctx);
}

static void on_connection(void *ctx, struct duplex *d)
{
	struct game *g = ctx;

	fuzz_check(g->agents == 1);
	sit(g, d);
}

static void on_log(void *ctx, const char *line)
{
	size_t n = 0;

	for (; line[n]; n++)
		fuzz_check((unsigned char)line[n] >= 0x20 && line[n] != 0x7f);
	fuzz_check(n && n <= GUEST_LINE_MAX);
	event(ctx);
}

static void on_closed(void *ctx, const struct err *why)
{
	struct game *g = ctx;

	fuzz_check(why->code == E_PROTO || why->code == E_TEMP || why->code == E_INVAL);
	for (int i = 0; i < g->n_seats; i++)
		fuzz_check(!g->seats[i].dx);
	if (event(g))
		g->over = true;
}

/* --- the run --- */

static void turn(struct loop *l)
{
	for (int i = 0; i < 8 && l->n_defers; i++) {
		int n = l->n_defers;
		l->n_defers = 0;
		for (int k = 0; k < n; k++)
			l->defer[k](l->defer_ctx[k]);
	}
	fuzz_check(!l->n_defers);
}

static void feed(struct game *g, struct loop *l, const uint8_t *p, size_t n, bool framed)
{
	size_t most = g->when & 0xf0 ? (size_t)1 << (g->when >> 4) : 65536;

	while (n && g->door && !g->over) {
		size_t k = n < most ? n : most;
		const uint8_t head[8] = {
			1, 0, 0, 0, 0, (uint8_t)(k >> 16), (uint8_t)(k >> 8), (uint8_t)k};
		if (!framed)
			door_feed(g->door, head, 8);
		if (g->door && !g->over)
			door_feed(g->door, p, k);
		turn(l);
		struct door *d = g->door;
		if (d && !g->over) {
			fuzz_check(d->out.len < DOOR_OUT_MAX + DOOR_FRAME_SEND + 32768);
			if (d->watching & WATCH_WRITE && g->temper & CLOCK)
				d->watch->cb(d->watch->ctx, WATCH_WRITE);
			turn(l);
		}
		p += k;
		n -= k;
	}
}

static int sink(bool stuck)
{
	int fd[2], small = 1;

	if (!stuck)
		return open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd))
		return -1;
	setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	fcntl(fd[0], F_SETFL, O_NONBLOCK);
	while (write(fd[0], "0123456789abcdef", 16) > 0)
		continue; /* full: each write of the door's fails with EAGAIN */
	/* The other end stays open only while this process says so. */
	static int other = -1;
	if (other >= 0)
		close(other);
	other = fd[1];
	return fd[0];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const uint8_t hello[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
				       "\0\0\0\4\0\0\0\0\0"   /* SETTINGS */
				       "\0\0\x3d\1\4\0\0\0\1" /* HEADERS, stream 1 */
				       "\x83\x10\7:scheme\5chela\x10\12:authority\4door"
				       "\x10\5:path\6/agent\x10\12chela-door\0011";
	static const struct door_events ev = {on_agent, on_exit_status, on_connection, on_log,
					      on_closed};
	struct loop l = {.n_defers = 0};
	struct game *g;
	int fd;

	if (n < 2)
		return 0;
	fd = sink(data[0] & STUCK);
	fuzz_check(fd >= 0);
	g = xcalloc(1, sizeof(*g));
	g->temper = data[0];
	g->when = data[1];
	g->door = door_new(&l, fd, NULL, &ev, g);
	turn(&l);
	if (g->temper & GREETED) {
		feed(g, &l, hello, sizeof(hello) - 1, false);
		fuzz_check(g->agents == 1);
	}
	feed(g, &l, data + 2, n - 2, g->temper & FRAMED);
	for (int i = 0; i < 3 && g->temper & CLOCK && g->door && !g->over; i++) {
		struct timer *t = g->door->timer;
		fuzz_check(t->armed);
		t->armed = false;
		t->cb(t->ctx);
		turn(&l);
	}
	if (g->door)
		door_free(g->door);
	turn(&l);
	free(g);
	return 0;
}
