// SPDX-License-Identifier: Apache-2.0
/*
 * One sandbox's life as a state machine over engine calls: create, then attach and wait side by
 * side, then start, then the check that its limits hold, and only then the descriptor goes to the
 * server. Attach and wait come before start, so that no byte and no exit can be missed. Whatever
 * happens, a container that was created is removed before its outcome is told.
 */
#include "warden/sandbox.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include "base/log.h"
#include "base/str.h"
#include "warden/attach.h"

static void remove_container(struct sandbox *s);

static void drop_calls(struct sandbox *s)
{
	engine_cancel(&s->call);
	if (s->wait)
		http_cancel(s->wait);
	attach_cancel(s->attach);
	s->wait = NULL;
	s->attach = NULL;
	if (s->door_fd >= 0)
		close(steal_fd(&s->door_fd));
}

/* The end: tells the outcome and frees. */
static void finish(struct sandbox *s)
{
	struct warden_process *w = s->w;
	struct wire_tell t = {.op = TELL_ENDED, .id = s->id, .how = s->how, .code = s->code};

	if (s->failed && !s->asked) {
		t.op = TELL_FAILED;
		t.how = (int)s->why.code;
		t.code = 0;
		str_copy(t.text, sizeof(t.text), s->why.msg);
	} else {
		str_copy(t.text, sizeof(t.text), s->detail);
	}
	log_info("warden", t.op == TELL_FAILED ? "sandbox failed" : "sandbox ended",
		 "group=%s kind=%s id=%" PRIu64 " how=%d code=%d detail=\"%s\"", s->req.group,
		 spec_kind_word(s->req.kind), s->id, t.how, t.code, t.text);
	drop_calls(s);
	warden_tell(w, &t, -1);
	for (struct sandbox **p = &w->list; *p; p = &(*p)->next)
		if (*p == s) {
			*p = s->next;
			break;
		}
	free(s);
	warden_forget(w);
}

void sandbox_fail(struct sandbox *s, const struct err *why)
{
	if (!s->failed) {
		s->failed = true;
		s->why = *why;
	}
	if (why->code == E_TEMP)
		probe_dirty(s->w->probe);
	remove_container(s);
}

/* Sends one engine call about this container; a call that cannot even be sent ends the sandbox. */
static void call(struct sandbox *s, const char *method, const char *what, const char *body,
		 engine_fn *fn)
{
	struct err e = ERR_INIT;
	char path[256];

	snprintf(path, sizeof(path), "/containers/%s%s", s->cid, what);
	if (engine_call(&s->w->engine, &s->call, method, path, body, fn, s, &e) == 0)
		return;
	if (s->state == REMOVING) {
		probe_dirty(s->w->probe);
		finish(s);
	} else {
		sandbox_fail(s, &e);
	}
}

/* ---- the end ---- */

static void on_removed(void *ctx, int status, const cJSON *j, const struct err *why)
{
	struct sandbox *s = ctx;

	(void)j;
	/* 404: gone already; 409: the engine is at it. Anything else is left to the next sweep. */
	if (why && status != 404 && status != 409) {
		log_warn("warden", "cannot remove a container now", "name=%s why=\"%s\"", s->name,
			 why->msg);
		probe_dirty(s->w->probe);
	}
	finish(s);
}

static void remove_container(struct sandbox *s)
{
	if (s->state == REMOVING)
		return;
	drop_calls(s);
	s->state = REMOVING;
	if (s->cid[0])
		call(s, "DELETE", "?force=1&v=1", NULL, on_removed);
	else
		finish(s);
}

/* Puts into words how it ended, from the engine's State. */
static void judge(struct sandbox *s, const cJSON *j)
{
	bool running = cJSON_IsTrue(json_find(j, "State.Running"));
	bool oom = s->oom || cJSON_IsTrue(json_find(j, "State.OOMKilled"));
	int64_t code = json_peek_i64(j, "State.ExitCode", -1);
	const char *text = json_peek_str(j, "State.Error");

	s->code = (int)code;
	if (oom) {
		s->how = SANDBOX_OOM;
		snprintf(s->detail, sizeof(s->detail),
			 "the sandbox ran out of its %" PRId64 " MiB of memory (sandbox.memory)",
			 s->policy.memory_bytes >> 20);
	} else if (running || (s->asked && code <= 128)) {
		s->how = s->asked ? SANDBOX_STOPPED : SANDBOX_KILLED;
		snprintf(s->detail, sizeof(s->detail), "%s", s->asked ? "stopped" : "lost");
	} else if (code > 128 && code <= 128 + 64) {
		s->how = SANDBOX_KILLED;
		snprintf(s->detail, sizeof(s->detail),
			 "the sandbox was killed by signal %d from outside", (int)code - 128);
	} else {
		s->how = SANDBOX_EXITED;
		snprintf(s->detail, sizeof(s->detail), "the sandbox exited with code %d%s%.120s",
			 (int)code, text && *text ? ": " : "", text ? text : "");
	}
}

static void on_ended(void *ctx, int status, const cJSON *j, const struct err *why)
{
	struct sandbox *s = ctx;

	(void)status;
	if (!why) {
		judge(s, j);
	} else {
		s->how = s->asked ? SANDBOX_STOPPED : SANDBOX_KILLED;
		snprintf(s->detail, sizeof(s->detail), "%.255s", s->asked ? "stopped" : why->msg);
		probe_dirty(s->w->probe);
	}
	remove_container(s);
}

/* A sandbox that ran is over or must be: looks at it before it is removed. */
static void look_back(struct sandbox *s)
{
	s->oom |= limits_oom(s->memory_dir);
	drop_calls(s);
	s->state = ENDING;
	call(s, "GET", "/json", NULL, on_ended);
}

void sandbox_stop(struct sandbox *s)
{
	if (s->asked)
		return;
	s->asked = true;
	s->how = SANDBOX_STOPPED;
	str_copy(s->detail, sizeof(s->detail), "stopped");
	if (s->state == RUNNING) {
		/* A sandbox that is dropped because its agent was killed still runs. One that is dropped because it died is
		 * told of by the wait, with its exit code. */
		s->oom = limits_oom(s->memory_dir);
		if (!limits_exiting("", s->pid))
			look_back(s);
	} else if (s->state == WAITING || (s->state > CREATING && s->state < RUNNING)) {
		remove_container(s);
	} /* CREATING: the answer names what must be removed. ENDING, REMOVING: under way. */
}

/* ---- the way up ---- */

static void on_checked(void *ctx, int status, const cJSON *j, const struct err *why)
{
	struct sandbox *s = ctx;
	struct wire_tell t = {.op = TELL_STARTED, .id = s->id};
	struct err e = ERR_INIT;
	const char *image = json_peek_str(j, "Image");
	int64_t pid = json_peek_i64(j, "State.Pid", 0);

	(void)status;
	if (why)
		e = *why;
	else if (!image || !streq(image, s->image))
		err_set(&e, E_PERM, "the engine started another image than %.30s... of the lock",
			s->image);
	else if (pid <= 0 || pid > INT32_MAX)
		err_set(&e, E_TEMP, "the sandbox ended as soon as it was started (code %d)",
			(int)json_peek_i64(j, "State.ExitCode", -1));
	else if (limits_check("", (pid_t)pid, &s->policy, &e) == 0)
		s->was_running = true;
	s->pid = (pid_t)pid;
	limits_where("", s->pid, s->memory_dir, sizeof(s->memory_dir));
	if (!s->was_running) {
		sandbox_fail(s, &e);
		return;
	}
	s->state = RUNNING;
	log_info("warden", "sandbox started", "group=%s kind=%s id=%" PRIu64 " ms=%lld runtime=%s",
		 s->req.group, spec_kind_word(s->req.kind), s->id,
		 (long long)(loop_now(s->w->loop) - s->begun_ms), s->policy.runtime);
	warden_tell(s->w, &t, steal_fd(&s->door_fd));
}

static void on_started(void *ctx, int status, const cJSON *j, const struct err *why)
{
	struct sandbox *s = ctx;

	(void)status, (void)j;
	if (why) {
		struct err e = *why;

		err_wrap(&e, "starting the sandbox");
		sandbox_fail(s, &e);
		return;
	}
	s->state = CHECKING;
	call(s, "GET", "/json", NULL, on_checked);
}

/* Start only when both the attach and the wait stand. */
static void start_if_ready(struct sandbox *s)
{
	if (s->state != ATTACHING || s->door_fd < 0 || !s->wait_ready)
		return;
	s->state = STARTING;
	call(s, "POST", "/start", NULL, on_started);
}

static void on_attached(void *ctx, int fd, const struct err *why)
{
	struct sandbox *s = ctx;

	s->attach = NULL;
	if (why) {
		sandbox_fail(s, why);
		return;
	}
	s->door_fd = fd;
	start_if_ready(s);
}

static void on_wait_head(void *ctx, int status, const struct http_header *h, size_t n)
{
	struct sandbox *s = ctx;

	(void)h;
	(void)n;
	if (status != 200)
		return; /* its end tells */
	s->wait_ready = true;
	start_if_ready(s);
}

static void on_wait_done(void *ctx, const struct err *why)
{
	struct sandbox *s = ctx;
	struct err e = ERR_INIT;

	s->wait = NULL;
	if (s->state == RUNNING) {
		look_back(s);
	} else if (s->state < CHECKING) {
		err_set(&e, E_TEMP, "the engine gave up on the sandbox: %.150s",
			why ? why->msg : "it ended before it ran");
		sandbox_fail(s, &e);
	}
	/* CHECKING: the inspection under way sees the same and says more. */
}

static bool start_wait(struct sandbox *s, struct err *e)
{
	static const struct http_events ev = {.head = on_wait_head, .done = on_wait_done};
	char url[160];
	struct http_spec spec = {.method = "POST", .url = url, .idle_ms = -1};

	snprintf(url, sizeof(url), "http://docker/containers/%s/wait?condition=next-exit", s->cid);
	s->wait = http_start(s->w->engine.http, &spec, &ev, s, e);
	return s->wait != NULL;
}

static void on_created(void *ctx, int status, const cJSON *j, const struct err *why)
{
	struct sandbox *s = ctx;
	const char *cid = json_peek_str(j, "Id");
	struct err e = ERR_INIT;

	if (why) {
		e = *why;
		if (status == 404)
			err_set(&e, E_TEMP,
				"the engine does not have the image %.19s... of the lock; make it "
				"with: make image",
				s->image);
		sandbox_fail(s, &e);
		return;
	}
	if (!cid || !str_copy(s->cid, sizeof(s->cid), cid) || strlen(cid) != 64 ||
	    cid[strspn(cid, "0123456789abcdef")]) {
		s->cid[0] = '\0';
		err_set(&e, E_PROTO, "the engine gave a container no usable id");
		probe_dirty(s->w->probe);
		sandbox_fail(s, &e);
		return;
	}
	if (s->asked) {
		remove_container(s);
		return;
	}
	s->state = ATTACHING;
	s->attach = attach_start(s->w->loop, s->w->cfg->engine_socket, s->cid, on_attached, s, &e);
	if (!s->attach || !start_wait(s, &e))
		sandbox_fail(s, &e);
}

void sandbox_begin(struct sandbox *s)
{
	const struct config *c = s->w->cfg;
	struct mounts m;
	struct spec spec = {.instance = c->instance,
			    .run = s->w->run,
			    .image = s->image,
			    .req = &s->req,
			    .mounts = &m,
			    .policy = &s->policy,
			    .agent_uid = s->w->agent_uid,
			    .model_retries = c->model_retries,
			    .seccomp = seccomp_profile};
	_cleanup_free_ char *body = NULL;
	struct err e = ERR_INIT;
	char create[192];

	s->begun_ms = loop_now(s->w->loop);
	if (policy_load(c, s->req.group, &s->policy, &e) < 0 ||
	    engine_read_lock(c->image_lock, s->image, &e) < 0 ||
	    mounts_prepare(c->home, &s->req, s->w->agent_uid, &m, &e) < 0) {
		sandbox_fail(s, &e);
		return;
	}
	body = spec_json(&spec);
	s->state = CREATING;
	snprintf(create, sizeof(create), "create?name=%s", s->name);
	call(s, "POST", create, body, on_created);
}

struct sandbox *sandbox_new(struct warden_process *w, uint64_t id, const struct sandbox_request *r)
{
	struct sandbox *s = xcalloc(1, sizeof(*s));

	s->w = w;
	s->id = id;
	s->req = *r;
	s->door_fd = -1;
	s->state = WAITING;
	snprintf(s->name, sizeof(s->name), "chela-%.8s-%s-%.8s-%" PRIu64, w->cfg->instance,
		 r->group, w->run, id);
	s->next = w->list;
	w->list = s;
	return s;
}

bool sandbox_stopping(const struct sandbox *s)
{
	return s->asked || s->state >= ENDING;
}
