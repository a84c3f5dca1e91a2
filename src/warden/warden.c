// SPDX-License-Identifier: Apache-2.0
/*
 * The server's side of the warden: asks go out over the pair, answers come back as events. It
 * queues what the kernel does not take at once, so nothing is lost, and it remembers which ids are
 * alive, so that a stop that crosses a start can never leak a descriptor or a late event.
 */
#include "warden/warden.h"
#include <errno.h>
#include <string.h>
#include "base/log.h"
#include "base/str.h"
#include "runtime/packets.h"
#include "warden/wire.h"

#define QUEUE_MAX 1024

struct live {
	struct live *next;
	uint64_t id;
	bool stopping;
};

struct warden {
	struct loop *loop;
	struct watch *watch;
	struct packets pair;
	const struct warden_events *ev;
	void *ctx;
	uint64_t last_id;
	struct live *live;
	bool gone;    /* lost was told */
	bool reading; /* inside on_ready: warden_free only marks */
	bool dead;
};

static struct live **live_find(struct warden *w, uint64_t id)
{
	struct live **l = &w->live;

	while (*l && (*l)->id != id)
		l = &(*l)->next;
	return l;
}

static void live_drop(struct live **l)
{
	struct live *old = *l;

	*l = old->next;
	free(old);
}

static void drop_all(struct warden *w)
{
	while (w->live)
		live_drop(&w->live);
	packets_fini(&w->pair);
}

static void flush(struct warden *w)
{
	packets_flush(&w->pair);
	watch_set(w->watch, WATCH_READ | (w->pair.n ? WATCH_WRITE : 0));
}

static int ask(struct warden *w, const struct wire_ask *a, struct err *e)
{
	if (w->gone)
		return err_set(e, E_GONE, "the warden has ended; restart the server");
	if (w->pair.n >= QUEUE_MAX)
		return err_set(e, E_LIMIT, "the warden does not keep up");
	packets_add(&w->pair, a, -1);
	flush(w);
	return 0;
}

static void on_tell(struct warden *w, const struct wire_tell *t, int fd)
{
	_cleanup_close_ int door = fd;
	struct live **l = live_find(w, t->id);
	struct err why = ERR_INIT;

	if (t->op == TELL_STATUS) {
		w->ev->status(w->ctx, &t->status);
		return;
	}
	if (!*l)
		return;
	switch (t->op) {
	case TELL_STARTED:
		if (door >= 0 && !(*l)->stopping)
			w->ev->started(w->ctx, t->id, steal_fd(&door));
		break;
	case TELL_FAILED:
		live_drop(l);
		err_set(&why, (enum err_code)t->how, "%s", t->text);
		w->ev->failed(w->ctx, t->id, &why);
		break;
	case TELL_ENDED:
		live_drop(l);
		w->ev->ended(w->ctx, t->id, (enum sandbox_end)t->how, t->code, t->text);
		break;
	default:
		log_oops("the warden sent op %u", t->op);
	}
}

static void lose(struct warden *w, const char *how)
{
	struct err why = ERR_INIT;

	err_set(&why, E_GONE, "the warden has ended (%s); no sandbox can be started", how);
	w->gone = true;
	drop_all(w);
	watch_set(w->watch, 0);
	w->ev->lost(w->ctx, &why);
}

static void on_ready(void *ctx, int events)
{
	struct warden *w = ctx;

	if (events & WATCH_WRITE)
		flush(w);
	w->reading = true;
	while (!w->dead && !w->gone) {
		struct wire_tell t;
		int fd = -1;
		ssize_t n = packets_recv(&w->pair, &t, sizeof(t), &fd);

		if (n == (ssize_t)sizeof(t)) {
			t.text[sizeof(t.text) - 1] = '\0';
			on_tell(w, &t, fd);
			continue;
		}
		if (fd >= 0)
			close(fd);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		lose(w, n == 0 ? "end of the pair" : n < 0 ? strerror(errno) : "a torn message");
	}
	w->reading = false;
	if (w->dead)
		warden_free(w);
}

struct warden *warden_new(struct loop *l, int fd, const struct warden_events *ev, void *ctx)
{
	struct warden *w = xcalloc(1, sizeof(*w));

	w->loop = l;
	packets_init(&w->pair, fd, sizeof(struct wire_ask));
	w->ev = ev;
	w->ctx = ctx;
	w->watch = watch_new(l, "warden", fd, on_ready, w);
	watch_set(w->watch, WATCH_READ);
	return w;
}

void warden_free(struct warden *w)
{
	if (!w)
		return;
	w->dead = true;
	if (w->reading)
		return;
	drop_all(w);
	watch_free(w->watch);
	close(w->pair.fd);
	free(w);
}

uint64_t warden_start(struct warden *w, const struct sandbox_request *r, struct err *e)
{
	struct wire_ask a = {.op = ASK_START, .kind = r->kind, .resume = r->resume};
	struct live *l;

	a.id = ++w->last_id;
	if (!str_copy(a.group, sizeof(a.group), r->group) ||
	    !str_copy(a.session_id, sizeof(a.session_id), r->session_id) ||
	    !str_copy(a.model, sizeof(a.model), r->model) ||
	    !str_copy(a.skills, sizeof(a.skills), r->skills)) {
		err_set(e, E_INVAL, "a name in the request is too long");
		return 0;
	}
	if (ask(w, &a, e) < 0)
		return 0;
	l = xcalloc(1, sizeof(*l));
	l->id = a.id;
	l->next = w->live;
	w->live = l;
	return a.id;
}

void warden_stop(struct warden *w, uint64_t id)
{
	struct wire_ask a = {.op = ASK_STOP, .id = id};
	struct live **l = live_find(w, id);
	struct err e = ERR_INIT;

	if (!*l || (*l)->stopping)
		return;
	(*l)->stopping = true;
	if (ask(w, &a, &e) < 0)
		log_error("warden", "could not ask for a stop", "id=%llu why=\"%s\"",
			  (unsigned long long)id, e.msg);
}

void warden_ask_status(struct warden *w)
{
	struct wire_ask a = {.op = ASK_STATUS};
	struct err e = ERR_INIT;

	if (ask(w, &a, &e) < 0 && !w->gone)
		log_warn("warden", "could not ask for the status", "why=\"%s\"", e.msg);
}
