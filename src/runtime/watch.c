// SPDX-License-Identifier: Apache-2.0
/*
 * Owns readiness events: a uv_poll for all that epoll takes, and an idle handle for what is always
 * ready and which epoll refuses (regular files, /dev/null), so that `chela chat < file` reads like
 * a pipe. It never reads, writes or closes the descriptor.
 */
#include <uv.h>

#include "base/log.h"
#include "runtime/loop.h"
#include "runtime/loop_internal.h"

struct watch {
	union {
		uv_handle_t handle;
		uv_poll_t poll;
		uv_idle_t idle;
	} uv;
	struct loop *loop;
	const char *what;
	void (*cb)(void *ctx, int events);
	void *ctx;
	int events; /* what the owner wants */
	bool always_ready;
	bool closing;
};

static void on_poll(uv_poll_t *h, int status, int uv_events);

static void watch_arm(struct watch *w)
{
	int ev = (w->events & WATCH_READ ? UV_READABLE : 0) |
		 (w->events & WATCH_WRITE ? UV_WRITABLE : 0);

	if (ev)
		uv_poll_start(&w->uv.poll, ev, on_poll);
	else
		uv_poll_stop(&w->uv.poll);
}

static void on_poll(uv_poll_t *h, int status, int uv_events)
{
	struct watch *w = h->data;
	uint64_t start = loop_enter(w->loop);
	int events = (uv_events & UV_READABLE ? WATCH_READ : 0) |
		     (uv_events & UV_WRITABLE ? WATCH_WRITE : 0);

	/* On POLLERR libuv stops the handle; the owner learns the error by reading or writing. */
	if (status < 0) {
		events = w->events;
		if (w->events)
			watch_arm(w);
	}
	events &= w->events;
	if (events)
		w->cb(w->ctx, events);
	loop_leave(w->loop, w->what, start);
}

static void on_always(uv_idle_t *h)
{
	struct watch *w = h->data;
	uint64_t start = loop_enter(w->loop);

	w->cb(w->ctx, w->events);
	loop_leave(w->loop, w->what, start);
}

struct watch *watch_new(struct loop *l, const char *what, int fd, void (*cb)(void *ctx, int events),
			void *ctx)
{
	struct watch *w = xcalloc(1, sizeof(*w));
	int rc = uv_poll_init(loop_uv(l), &w->uv.poll, fd);

	if (rc < 0) {
		if (rc == UV_EEXIST)
			log_oops("%s: descriptor %d is watched twice", what, fd);
		else if (rc != UV_EPERM)
			log_error("loop", "cannot watch a descriptor", "what=%s fd=%d error=%s",
				  what, fd, uv_err_name(rc));
		/* Read and write tell the owner the truth, be it data or an error. */
		w->always_ready = true;
		uv_idle_init(loop_uv(l), &w->uv.idle);
	}
	w->uv.handle.data = w;
	w->loop = l;
	w->what = what;
	w->cb = cb;
	w->ctx = ctx;
	return w;
}

void watch_set(struct watch *w, int events)
{
	if (w->closing || w->events == events)
		return;
	w->events = events;
	if (!w->always_ready)
		watch_arm(w);
	else if (events)
		uv_idle_start(&w->uv.idle, on_always);
	else
		uv_idle_stop(&w->uv.idle);
}

static void watch_closed(uv_handle_t *h)
{
	free(h->data);
}

void watch_free(struct watch *w)
{
	if (!w || w->closing)
		return;
	w->closing = true;
	w->events = 0;
	if (!w->always_ready)
		uv_poll_stop(&w->uv.poll); /* out of epoll now: the number may be reused at once */
	uv_close(&w->uv.handle, watch_closed);
}
