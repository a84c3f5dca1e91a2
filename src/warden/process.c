// SPDX-License-Identifier: Apache-2.0
/*
 * The warden's process: takes asks from the pair as if the server had been taken over, admits sandboxes
 * (cap, one at a time per group), and when the server is gone removes everything of its own and ends. It
 * never ends because the engine is away: that is an answer, not a reason.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include "base/log.h"
#include "base/pages.h"
#include "base/str.h"
#include "warden/powers.h"
#include "warden/sandbox.h"

#define QUEUE_STOP 64	 /* answers queued: read no more asks until the server has taken some */
#define CLOSE_MS   20000 /* for the removal of all sandboxes at the end */
#define CLOSE_SWEEPS                                                                               \
	64 /* steps of the removal of their folders then; the rest is for the next start */

static void flush_tells(struct warden_process *w)
{
	packets_flush(&w->pair);
	if (!w->closing)
		watch_set(w->watch, (w->pair.n < QUEUE_STOP ? WATCH_READ : 0) |
					    (w->pair.n ? WATCH_WRITE : 0));
}

void warden_tell(struct warden_process *w, const struct wire_tell *t, int door_fd)
{
	packets_add(&w->pair, t, door_fd);
	flush_tells(w);
}

/* ---- admission ---- */

/* An older sandbox of the group's one session. Two agents on one transcript would wreck it. */
static struct sandbox *rival(struct warden_process *w, const struct sandbox *s)
{
	for (struct sandbox *i = w->list; i && s->req.kind == SANDBOX_GROUP; i = i->next)
		if (i->req.kind == SANDBOX_GROUP && streq(i->req.group, s->req.group) &&
		    i->id < s->id)
			return i;
	return NULL;
}

static void admit(void *ctx)
{
	struct warden_process *w = ctx;

	w->admitting = false;
	for (;;) {
		struct sandbox *next = NULL;

		for (struct sandbox *s = w->list; s; s = s->next)
			if (s->state == WAITING && !rival(w, s) && (!next || s->id < next->id))
				next = s;
		if (!next || w->closing)
			return;
		if (!probe_clean(w->probe)) {
			probe_run(w->probe, false);
			return;
		}
		w->made = true;
		sandbox_begin(next);
	}
}

static void admit_soon(struct warden_process *w)
{
	if (!w->admitting)
		loop_defer(w->loop, "warden admit", admit, w);
	w->admitting = true;
}

/* ---- folders whose sandbox is gone ---- */

static bool in_use(void *ctx, const char *id)
{
	struct sandbox *s = ((struct warden_process *)ctx)->list;

	while (s && (s->req.kind == SANDBOX_GROUP || !streq(s->req.session_id, id)))
		s = s->next;
	return s != NULL;
}

static bool sweep(struct warden_process *w)
{
	struct err e = ERR_INIT;
	int rc = mounts_sweep(w->cfg->home, in_use, w, &e);

	if (rc < 0)
		log_warn("warden", "a task's folder is left over", "why=\"%s\"", e.msg);
	return rc == 1;
}

static void on_sweep(void *ctx)
{
	struct warden_process *w = ctx;

	if (sweep(w))
		timer_start(w->sweep, 0, 0);
}

void warden_forget(struct warden_process *w)
{
	timer_start(w->sweep, 0, 0);
	if (!w->closing)
		admit_soon(w);
	else if (!w->list && !w->made)
		loop_stop(w->loop);
	else if (!w->list)
		probe_run(w->probe, false);
}

void warden_probed(struct warden_process *w, const struct err *why)
{
	if (w->closing) {
		if (!w->list)
			loop_stop(w->loop);
		return;
	}
	/* The HTTP library has set itself up by now, with 2 MB of TLS that nobody asks for here. */
	if (!w->started)
		pages_give_back();
	w->started = true;
	if (!why) { /* what a crash has left is in nobody's use by now */
		timer_start(w->sweep, 0, 0);
		admit_soon(w);
		return;
	}
	for (struct sandbox *s = w->list; s;) {
		if (s->state != WAITING) {
			s = s->next;
			continue;
		}
		sandbox_fail(s, why); /* frees it: start over */
		s = w->list;
	}
}

/* ---- asks ---- */

static bool ended_text(const char *s, size_t cap)
{
	return memchr(s, '\0', cap) != NULL;
}

int warden_check_ask(const struct wire_ask *a, struct sandbox_request *r, struct err *e)
{
	if (!a->id)
		return err_set(e, E_INVAL, "the id must not be 0");
	if (!ended_text(a->group, sizeof(a->group)) ||
	    !ended_text(a->session_id, sizeof(a->session_id)) ||
	    !ended_text(a->model, sizeof(a->model)) || !ended_text(a->skills, sizeof(a->skills)))
		return err_set(e, E_INVAL, "a text has no end");
	if (a->kind > SANDBOX_TOOL || a->resume > 1)
		return err_set(e, E_INVAL, "kind or resume is out of range");
	if (!str_is_name(a->group) || streq(a->group, "global"))
		return err_set(e, E_INVAL, "not the name of a group that can have a sandbox");
	if (!str_is_uuid(a->session_id))
		return err_set(e, E_INVAL, "the session id is no UUID");
	if (!model_name_ok(a->model))
		return err_set(e, E_INVAL, "not a model's name");
	if (a->skills[0] && strspn(a->skills, "0123456789abcdef") != SKILLS_CAP - 1)
		return err_set(e, E_INVAL, "not the name of a set of skills");
	memset(r, 0, sizeof(*r));
	r->kind = (enum sandbox_kind)a->kind;
	r->resume = a->resume == 1;
	str_copy(r->group, sizeof(r->group), a->group);
	str_copy(r->session_id, sizeof(r->session_id), a->session_id);
	str_copy(r->model, sizeof(r->model), a->model);
	str_copy(r->skills, sizeof(r->skills), a->skills);
	return 0;
}

static struct sandbox *find(struct warden_process *w, uint64_t id)
{
	struct sandbox *s = w->list;

	while (s && s->id != id)
		s = s->next;
	return s;
}

static void refuse(struct warden_process *w, uint64_t id, const struct err *why)
{
	struct wire_tell t = {.op = TELL_FAILED, .id = id, .how = (int)why->code};

	log_warn("warden", "refused a request", "id=%llu why=\"%s\"", (unsigned long long)id,
		 why->msg);
	str_copy(t.text, sizeof(t.text), why->msg);
	warden_tell(w, &t, -1);
}

static void on_start(struct warden_process *w, const struct wire_ask *a)
{
	struct sandbox_request r;
	struct err e = ERR_INIT;
	struct sandbox *s, *old;
	int64_t live = 0, all = 0;

	for (s = w->list; s; s = s->next) {
		live += !sandbox_stopping(s);
		all++;
	}
	/* An id that is alive gets no answer: the answer would end the other one at the server. */
	if (find(w, a->id)) {
		log_warn("warden", "an id was used twice", "id=%llu", (unsigned long long)a->id);
		return;
	}
	if (warden_check_ask(a, &r, &e) < 0) {
		refuse(w, a->id, &e);
		return;
	}
	if (live >= w->cfg->max_live || all >= 2 * w->cfg->max_live + 8) {
		err_set(&e, E_LIMIT, "%lld sandboxes are running already (sandbox.max_live)",
			(long long)live);
		refuse(w, a->id, &e);
		return;
	}
	s = sandbox_new(w, a->id, &r);
	old = rival(w, s);
	if (old && !sandbox_stopping(old)) {
		err_set(&e, E_LIMIT, "the group has a sandbox already");
		sandbox_fail(s, &e);
		return;
	}
	admit_soon(w);
}

static void on_ask(struct warden_process *w, const struct wire_ask *a)
{
	struct sandbox *s;

	switch (a->op) {
	case ASK_START:
		on_start(w, a);
		break;
	case ASK_STOP:
		s = find(w, a->id);
		if (s)
			sandbox_stop(s);
		break;
	case ASK_STATUS:
		probe_run(w->probe, true);
		break;
	default:
		log_warn("warden", "an ask of unknown kind", "op=%u", a->op);
	}
}

static void on_late(void *ctx)
{
	struct warden_process *w = ctx;

	log_error("warden", "could not remove all sandboxes in time", "ms=%d", CLOSE_MS);
	loop_stop(w->loop);
}

/* The server is gone. */
static void close_down(struct warden_process *w)
{
	struct sandbox *s;

	if (w->closing)
		return;
	w->closing = true;
	watch_set(w->watch, 0);
	timer_start(w->deadline, CLOSE_MS, 0);
	for (;;) {
		for (s = w->list; s && sandbox_stopping(s);)
			s = s->next;
		if (!s)
			break;
		sandbox_stop(s);
	}
	if (!w->list)
		warden_forget(w);
}

static void on_pair(void *ctx, int events)
{
	struct warden_process *w = ctx;

	if (events & WATCH_WRITE)
		flush_tells(w);
	while (w->pair.n < QUEUE_STOP) {
		struct wire_ask a;
		/* No room for control data: a descriptor that the server might send is dropped. */
		ssize_t n = packets_recv(&w->pair, &a, sizeof(a), NULL);

		if (n == (ssize_t)sizeof(a)) {
			on_ask(w, &a);
		} else if (n > 0) {
			log_warn("warden", "an ask of wrong length", "n=%zd", n);
		} else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
			close_down(w);
			return;
		} else if (errno == EAGAIN) {
			break;
		}
	}
}

/* ---- the process ---- */

static void settle(int fd)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	prctl(PR_SET_NAME, "chela-warden");
	/* The terminal's and the service manager's signals are for the server; its end is ours. */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	if (null >= 0) {
		dup2(null, 0);
		dup2(null, 1);
	}
	if (fd > 3)
		close_range(3, (unsigned)fd - 1, 0);
	close_range((unsigned)fd + 1, ~0U, 0);
}

int warden_process_run(const struct config *cfg, int fd)
{
	struct warden_process w = {.cfg = cfg, .agent_uid = mounts_agent_uid()};
	struct err e = ERR_INIT;

	packets_init(&w.pair, fd, sizeof(struct wire_tell));
	str_uuid4(w.run);
	w.loop = loop_new(&e);
	if (!w.loop) {
		log_error("warden", "cannot start", "why=\"%s\"", e.msg);
		return 1;
	}
	engine_init(&w.engine, w.loop, cfg->engine_socket);
	w.probe = probe_new(&w);
	w.deadline = timer_new(w.loop, "warden end", on_late, &w);
	w.sweep = timer_new(w.loop, "warden sweep", on_sweep, &w);
	w.watch = watch_new(w.loop, "warden pair", fd, on_pair, &w);
	watch_set(w.watch, WATCH_READ);
	probe_run(w.probe, false);
	loop_run(w.loop);
	for (int i = 0; i < CLOSE_SWEEPS && sweep(&w); i++)
		;
	packets_fini(&w.pair);
	probe_free(w.probe);
	timer_free(w.deadline);
	timer_free(w.sweep);
	watch_free(w.watch);
	engine_fini(&w.engine);
	loop_free(w.loop);
	close(fd);
	return 0;
}

pid_t warden_fork(const struct config *cfg, int *fd, struct err *e)
{
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return err_sys(e, errno, "cannot make the warden's socket pair");
	pid = fork();
	if (pid < 0) {
		int saved = errno;

		close(pair[0]);
		close(pair[1]);
		return err_sys(e, saved, "cannot start the warden");
	}
	if (pid > 0) {
		close(pair[1]);
		*fd = pair[0];
		return pid;
	}
	settle(pair[1]);
	warden_drop_powers();
	int code = warden_process_run(cfg, pair[1]);
#ifdef __SANITIZE_ADDRESS__
	exit(code); /* so that leaks are reported */
#else
	_exit(code);
#endif
}
