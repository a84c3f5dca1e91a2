// SPDX-License-Identifier: Apache-2.0
//
// Byte streams of the runner: what moves between an fd in the sandbox and its HTTP/2 stream, with
// half-close and reset both ways. Two rules keep memory bounded and a slow reader alone with its
// slowness: we read an fd only when the session has window and room for the bytes (so nothing is
// ever read to be kept), and what a reader does not take waits in its own backlog, uncredited, so
// that the host stops at one window. This file knows no frame.
#include "runner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	BACKLOG_FIRST = 64 << 10,
	DISCARD = 16 << 10
};

// False when the bytes would not fit a window (the session enforces it, so: never) or memory.
static bool backlog_add(struct backlog *b, const uint8_t *p, size_t n)
{
	if (b->len + n > STREAM_WINDOW)
		return false;
	if (b->off + b->len + n > b->cap) {
		size_t cap = b->cap ? b->cap : BACKLOG_FIRST;
		while (cap < b->len + n)
			cap *= 2;
		unsigned char *fresh = b->p;
		if (cap != b->cap && !(fresh = malloc(cap)))
			return false;
		if (b->len)
			memmove(fresh, b->p + b->off, b->len);
		if (fresh != b->p)
			free(b->p);
		*b = (struct backlog){.p = fresh, .len = b->len, .cap = cap};
	}
	memcpy(b->p + b->off + b->len, p, n);
	b->len += n;
	return true;
}

static void backlog_take(struct runner *r, struct backlog *b, size_t n)
{
	b->off += n;
	b->len -= n;
	r->door.backlog -= n;
	if (b->len > 0)
		return;
	free(b->p);
	*b = (struct backlog){0};
}

struct flow *flow_find(struct runner *r, int32_t stream)
{
	for (int i = 0; i < FLOW_MAX; i++)
		if (r->flows[i].used && r->flows[i].stream == stream)
			return &r->flows[i];
	return NULL;
}

struct flow *flow_open_tcp(struct runner *r, int fd)
{
	for (unsigned i = 1; i < FLOW_MAX; i++) {
		struct flow *f = &r->flows[i];
		if (f->used)
			continue;
		*f = (struct flow){.used = true, .tcp = true, .stream = -1, .rfd = fd, .wfd = fd};
		watch_init(&f->rd, fd, WATCH_FLOW_READ, i);
		watch_init(&f->wr, -1, WATCH_FLOW_WRITE, i);
		r->tcp_live++;
		return f;
	}
	return NULL; // not reached: the caller counts
}

static void flow_free(struct runner *r, struct flow *f)
{
	watch_set(r, &f->rd, 0);
	close(f->rfd);
	backlog_take(r, &f->back, f->back.len);
	*f = (struct flow){.stream = -1};
	r->tcp_live--;
	r->accept_paused = false;
	door_credit_conn(r);
}

void flow_abort(struct runner *r, struct flow *f)
{
	struct linger hard = {.l_onoff = 1, .l_linger = 0};
	(void)setsockopt(f->rfd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
	flow_free(r, f);
}

// The reader in the sandbox is gone. A tcp connection ends as a whole; the agent may close its
// stdin and live, so what still comes for it is thrown away.
static void flow_write_broken(struct runner *r, struct flow *f)
{
	if (f->tcp) {
		door_reset(r, f);
		flow_abort(r, f);
		return;
	}
	log_line(&r->log, "the agent has closed its stdin");
	watch_set(r, &f->wr, 0);
	close(f->wfd);
	f->wfd = -1;
	f->write_done = true;
	door_credit_stream(r, f->stream, f->back.len);
	backlog_take(r, &f->back, f->back.len);
	door_credit_conn(r);
}

// How many of `n` bytes the fd takes now; -1 when it is broken.
static ssize_t write_some(int fd, const uint8_t *p, size_t n)
{
	size_t done = 0;
	while (done < n) {
		ssize_t k = write(fd, p + done, n - done);
		if (k > 0)
			done += (size_t)k;
		else if (k < 0 && errno == EINTR)
			continue;
		else if (k < 0 && errno == EAGAIN)
			break;
		else
			return -1;
	}
	return (ssize_t)done;
}

// Pass on the host's end once the reader has all bytes, and free what has ended on all sides.
static void flow_settle(struct runner *r, struct flow *f)
{
	if (f->back.len == 0 && f->host_eof && !f->write_done) {
		f->write_done = true;
		if (f->tcp) {
			(void)shutdown(f->wfd, SHUT_WR);
		} else {
			watch_set(r, &f->wr, 0);
			close(f->wfd);
			f->wfd = -1;
		}
	}
	if (f->tcp && f->stream < 0 && f->write_done && f->read_eof)
		flow_free(r, f);
}

static void flow_drain(struct runner *r, struct flow *f)
{
	if (f->back.len == 0)
		return;
	ssize_t n = write_some(f->wfd, f->back.p + f->back.off, f->back.len);
	if (n < 0) {
		flow_write_broken(r, f);
		return;
	}
	backlog_take(r, &f->back, (size_t)n);
	door_credit_stream(r, f->stream, (size_t)n);
	door_credit_conn(r);
	flow_settle(r, f);
}

void flow_push(struct runner *r, struct flow *f, const uint8_t *p, size_t n)
{
	if (f->write_done) {
		door_credit_stream(r, f->stream, n);
		return;
	}
	ssize_t k = f->back.len ? 0 : write_some(f->wfd, p, n);
	if (k < 0) {
		int32_t stream = f->stream;
		flow_write_broken(r, f);
		door_credit_stream(r, stream, n);
		return;
	}
	door_credit_stream(r, f->stream, (size_t)k);
	if ((size_t)k == n)
		return;
	if (!backlog_add(&f->back, p + k, n - (size_t)k)) {
		runner_end(r, EXIT_BROKEN, "no room for a backlog of %zu bytes", f->back.len + n);
		return;
	}
	r->door.backlog += n - (size_t)k;
}

void flow_push_end(struct runner *r, struct flow *f)
{
	f->host_eof = true;
	flow_settle(r, f);
}

void flow_stream_closed(struct runner *r, struct flow *f, bool clean)
{
	f->stream = -1;
	f->deferred = false;
	if (!f->tcp)
		return;
	if (!clean || !f->host_eof)
		flow_abort(r, f);
	else
		flow_settle(r, f);
}

// All that the agent has written is read: pipe at its end, or empty with the writer dead.
static ssize_t flow_finish(struct runner *r, struct flow *f, uint32_t *flags)
{
	*flags |= NGHTTP2_DATA_FLAG_EOF;
	f->read_eof = true;
	if (!f->tcp) {
		*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM; // the trailers carry it
		door_agent_trailers(r, f->stream);
	}
	return 0;
}

ssize_t flow_pull(struct runner *r, struct flow *f, uint8_t *p, size_t n, uint32_t *flags)
{
	ssize_t k;
	do
		k = f->read_eof ? 0 : read(f->rfd, p, n);
	while (k < 0 && errno == EINTR);
	if (k > 0)
		return k;
	if (k < 0 && errno != EAGAIN && f->tcp)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; // becomes RST_STREAM
	bool end = k == 0 || errno != EAGAIN;
	if (f->tcp ? end : r->agent.exited)
		return flow_finish(r, f, flags);
	f->read_eof = end;
	f->deferred = true;
	return NGHTTP2_ERR_DEFERRED;
}

void flow_resume(struct runner *r, struct flow *f)
{
	if (!f->deferred)
		return;
	f->deferred = false;
	int rv = nghttp2_session_resume_data(r->door.session, f->stream);
	if (rv != 0)
		runner_end(r, EXIT_BROKEN, "resume: %s", nghttp2_strerror(rv));
}

// The host is done with the stream, the client not yet: swallow what it says until it closes.
static void flow_swallow(struct runner *r, struct flow *f)
{
	uint8_t p[DISCARD];
	ssize_t n = read(f->rfd, p, sizeof p);
	if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		return;
	f->read_eof = true;
	flow_settle(r, f);
}

void flow_ready(struct runner *r, struct flow *f, uint32_t events)
{
	if (f->tcp && (events & EPOLLERR)) {
		door_reset(r, f);
		flow_abort(r, f);
		return;
	}
	if (events & (EPOLLOUT | EPOLLERR))
		flow_drain(r, f);
	if (!f->used || !(events & (EPOLLIN | EPOLLHUP)))
		return;
	if (f->tcp && f->stream < 0 && f->write_done)
		flow_swallow(r, f);
	else
		flow_resume(r, f);
}

void flow_rearm(struct runner *r, struct flow *f)
{
	bool swallowing = f->tcp && f->stream < 0 && f->write_done;
	uint32_t in = (f->deferred && !f->read_eof) || swallowing ? EPOLLIN : 0;
	uint32_t out = f->back.len ? EPOLLOUT : 0;
	if (!f->tcp) {
		watch_set(r, &f->rd, in);
		if (f->wfd >= 0)
			watch_set(r, &f->wr, out);
		return;
	}
	// A client that has ended its side can still be reset: stay registered for that alone.
	uint32_t reset = f->read_eof && !f->write_done ? EPOLLERR : 0;
	watch_set(r, &f->rd, in | out | reset);
}
