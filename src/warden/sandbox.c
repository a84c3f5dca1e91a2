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

enum state {
	WAITING,   /* for the engine, or for an older sandbox of the same group to go */
	CREATING,  /* POST create */
	ATTACHING, /* attach and wait are on their way */
	STARTING,  /* POST start */
	CHECKING,  /* GET json, limits */
	RUNNING,   /* the server has the descriptor */
	ENDING,	   /* GET json: how did it end? */
	REMOVING,  /* DELETE */
};

struct sandbox {
	struct warden_process *w;
	struct sandbox *next;
	uint64_t id;
	struct sandbox_request req;
	struct sandbox_policy policy;
	enum state state;
	char name[128]; /* container name, ours alone: known before create returns */
	char image[80];
	char cid[65]; /* "" until created */
	int64_t begun_ms;
	struct attach *attach;
	struct http_call *call; /* create, start, json, delete: one at a time */
	struct http_call *wait;
	int door_fd;
	pid_t pid; /* the engine's word for the container's first process; 0 = not known */
	bool oom;  /* the kernel killed in it for want of memory */
	bool wait_ready;
	bool asked; /* the server wants it gone */
	bool was_running;
	bool failed;
	struct err why; /* when failed */
	int how, code;
	char detail[256];
};

static void remove_container(struct sandbox *s);

static void drop_calls(struct sandbox *s)
{
	if (s->call)
		http_cancel(s->call);
	if (s->wait)
		http_cancel(s->wait);
	attach_cancel(s->attach);
	s->call = s->wait = NULL;
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

/* Sends one engine call for this sandbox; a call that cannot even be sent ends it. */
static bool call(struct sandbox *s, const char *method, const char *path, const char *body,
		 http_fetch_fn *fn)
{
	struct err e = ERR_INIT;

	s->call = engine_call(&s->w->engine, method, path, body, fn, s, &e);
	if (s->call)
		return true;
	if (s->state == REMOVING) {
		probe_dirty(s->w->probe);
		finish(s);
	} else {
		sandbox_fail(s, &e);
	}
	return false;
}

/* ---- the end ---- */

static void on_removed(void *ctx, int status, const char *body, size_t n, const struct err *why)
{
	struct sandbox *s = ctx;
	struct err e = ERR_INIT;

	s->call = NULL;
	/* 404: gone already; 409: the engine is at it. Anything else is left to the next sweep. */
	if (engine_result(&s->w->engine, status, body, n, why, &e) < 0 && status != 404 &&
	    status != 409) {
		log_warn("warden", "cannot remove a container now", "name=%s why=\"%s\"", s->name,
			 e.msg);
		probe_dirty(s->w->probe);
	}
	finish(s);
}

static void remove_container(struct sandbox *s)
{
	char path[160];

	if (s->state == REMOVING)
		return;
	drop_calls(s);
	s->state = REMOVING;
	if (!s->cid[0]) {
		finish(s);
		return;
	}
	snprintf(path, sizeof(path), "/containers/%s?force=1&v=1", s->cid);
	call(s, "DELETE", path, NULL, on_removed);
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

static void on_ended(void *ctx, int status, const char *body, size_t n, const struct err *why)
{
	struct sandbox *s = ctx;
	struct err e = ERR_INIT;
	_cleanup_json_ cJSON *j = NULL;

	s->call = NULL;
	if (engine_result(&s->w->engine, status, body, n, why, &e) == 0)
		j = json_parse(body, n, JSON_MAX_DEFAULT, &e);
	if (j) {
		judge(s, j);
	} else {
		s->how = s->asked ? SANDBOX_STOPPED : SANDBOX_KILLED;
		snprintf(s->detail, sizeof(s->detail), "%.255s", s->asked ? "stopped" : e.msg);
		probe_dirty(s->w->probe);
	}
	remove_container(s);
}

/* A sandbox that ran is over or must be: looks at it before it is removed. */
static void look_back(struct sandbox *s)
{
	char path[128];

	drop_calls(s);
	s->state = ENDING;
	snprintf(path, sizeof(path), "/containers/%s/json", s->cid);
	call(s, "GET", path, NULL, on_ended);
}

void sandbox_stop(struct sandbox *s)
{
	if (s->asked)
		return;
	s->asked = true;
	s->how = SANDBOX_STOPPED;
	str_copy(s->detail, sizeof(s->detail), "stopped");
	if (s->state == RUNNING) {
		enum limits_sight sight = limits_look("", s->pid, s->cid);

		/* A sandbox that is dropped because its agent was killed still runs. One that is dropped because it died is
		 * told of by the wait, with its exit code. */
		s->oom = sight == LIMITS_OOM;
		if (sight != LIMITS_GONE)
			look_back(s);
	} else if (s->state == WAITING || (s->state > CREATING && s->state < RUNNING)) {
		remove_container(s);
	} /* CREATING: the answer names what must be removed. ENDING, REMOVING: under way. */
}

/* ---- the way up ---- */

static void on_checked(void *ctx, int status, const char *body, size_t n, const struct err *why)
{
	struct sandbox *s = ctx;
	struct wire_tell t = {.op = TELL_STARTED, .id = s->id};
	_cleanup_json_ cJSON *j = NULL;
	struct err e = ERR_INIT;
	const char *image;
	int64_t pid;

	s->call = NULL;
	if (engine_result(&s->w->engine, status, body, n, why, &e) == 0)
		j = json_parse(body, n, JSON_MAX_DEFAULT, &e);
	if (!j) {
		sandbox_fail(s, &e);
		return;
	}
	image = json_peek_str(j, "Image");
	pid = json_peek_i64(j, "State.Pid", 0);
	if (!image || !streq(image, s->image))
		err_set(&e, E_PERM, "the engine started another image than %.30s... of the lock",
			s->image);
	else if (pid <= 0 || pid > INT32_MAX)
		err_set(&e, E_TEMP, "the sandbox ended as soon as it was started (code %d)",
			(int)json_peek_i64(j, "State.ExitCode", -1));
	else if (limits_check("", (pid_t)pid, &s->policy, &e) == 0)
		s->was_running = true;
	s->pid = (pid_t)pid;
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

static void on_started(void *ctx, int status, const char *body, size_t n, const struct err *why)
{
	struct sandbox *s = ctx;
	struct err e = ERR_INIT;
	char path[128];

	s->call = NULL;
	if (engine_result(&s->w->engine, status, body, n, why, &e) < 0) {
		err_wrap(&e, "starting the sandbox");
		sandbox_fail(s, &e);
		return;
	}
	s->state = CHECKING;
	snprintf(path, sizeof(path), "/containers/%s/json", s->cid);
	call(s, "GET", path, NULL, on_checked);
}

/* Start only when both the attach and the wait stand. */
static void start_if_ready(struct sandbox *s)
{
	char path[128];

	if (s->state != ATTACHING || s->door_fd < 0 || !s->wait_ready)
		return;
	s->state = STARTING;
	snprintf(path, sizeof(path), "/containers/%s/start", s->cid);
	call(s, "POST", path, NULL, on_started);
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

static void on_created(void *ctx, int status, const char *body, size_t n, const struct err *why)
{
	struct sandbox *s = ctx;
	_cleanup_json_ cJSON *j = NULL;
	const char *cid = NULL;
	struct err e = ERR_INIT;

	s->call = NULL;
	if (engine_result(&s->w->engine, status, body, n, why, &e) < 0) {
		if (status == 404)
			err_set(&e, E_TEMP,
				"the engine does not have the image %.19s... of the lock; make it "
				"with: make image",
				s->image);
		sandbox_fail(s, &e);
		return;
	}
	j = json_parse(body, n, JSON_MAX_DEFAULT, &e);
	if (!j || json_str(j, "Id", &cid, &e) < 0 || !str_copy(s->cid, sizeof(s->cid), cid) ||
	    strlen(cid) != 64 || cid[strspn(cid, "0123456789abcdef")]) {
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
	char path[192];

	s->begun_ms = loop_now(s->w->loop);
	if (policy_load(c, s->req.group, &s->policy, &e) < 0 ||
	    engine_read_lock(c->image_lock, s->image, &e) < 0 ||
	    mounts_prepare(c->home, s->req.group, s->w->agent_uid, &m, &e) < 0) {
		sandbox_fail(s, &e);
		return;
	}
	body = spec_json(&spec);
	s->state = CREATING;
	snprintf(path, sizeof(path), "/containers/create?name=%s", s->name);
	call(s, "POST", path, body, on_created);
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

bool sandbox_waiting(const struct sandbox *s)
{
	return s->state == WAITING;
}

bool sandbox_running(const struct sandbox *s)
{
	return s->state == RUNNING;
}

bool sandbox_stopping(const struct sandbox *s)
{
	return s->asked || s->state >= ENDING;
}

uint64_t sandbox_id(const struct sandbox *s)
{
	return s->id;
}

const char *sandbox_name(const struct sandbox *s)
{
	return s->name;
}

const struct sandbox_request *sandbox_request(const struct sandbox *s)
{
	return &s->req;
}

struct sandbox *sandbox_next(const struct sandbox *s)
{
	return s->next;
}
