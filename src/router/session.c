// SPDX-License-Identifier: Apache-2.0
/*
 * A session: one group's conversation and the sandbox it lives in. Owns the states from idle to ready and back, with back-off, and tells the
 * chat when an answer will be late. What happens within a turn is turn.c's. Completion is never read from a sandbox's end: only
 * a result line completes (turn.c); whatever ends early goes back to pending.
 */
#include <string.h>
#include "base/log.h"
#include "base/str.h"
#include "router/reset.h"
#include "router/schedule.h"
#include "router/settings.h"
#include "router/skills.h"

#define LOG_LINES_MINUTE 500	/* a sandbox that does nothing else makes some 100 MB a day of it */
#define DELAY_WINDOW	 600000 /* ms after which a chat is told again that we are late */

static void on_retry(void *ctx);
static void on_limit(void *ctx);
static void on_idle(void *ctx);
static void on_late(void *ctx);

bool session_may_log(struct session *s)
{
	int64_t now = loop_now(s->r->loop);

	if (now - s->log_ms >= 60000) {
		if (s->log_lines > LOG_LINES_MINUTE)
			log_warn("session", "lines left out", "group=%s n=%lld", s->group.name,
				 (long long)(s->log_lines - LOG_LINES_MINUTE));
		s->log_ms = now;
		s->log_lines = 0;
	}
	return ++s->log_lines <= LOG_LINES_MINUTE;
}

void session_set_state(struct session *s, enum session_state st)
{
	s->state = st;
	s->since_ms = loop_now(s->r->loop);
	if (st == SESSION_IDLE)
		session_reap(s->r);
}

struct session *session_get(struct router *r, const struct group_row *g, const char *key)
{
	struct session *s = session_find(r, g->id, key);

	if (s)
		return s;
	s = xcalloc(1, sizeof(*s));
	s->r = r;
	s->group = *g;
	str_copy(s->key, sizeof(s->key), key);
	s->kind = str_starts(key, RUN_KEY)    ? SANDBOX_TASK
		  : str_starts(key, GATE_KEY) ? SANDBOX_TOOL
					      : SANDBOX_GROUP;
	s->lines.max = AGENT_LINE_MAX;
	s->retry = timer_new(r->loop, "session retry", on_retry, s);
	s->limit = timer_new(r->loop, "turn limit", on_limit, s);
	s->idle = timer_new(r->loop, "session idle", on_idle, s);
	s->late = timer_new(r->loop, "session late", on_late, s);
	session_link(s);
	session_set_state(s, SESSION_IDLE);
	return s;
}

void session_free(struct session *s)
{
	session_unlink(s);
	queue_remove(s);
	gateway_drop(s->r->gateway, s);
	progress_free(s);
	store_forget(s->r->store, s);
	if (s->door)
		door_free(s->door);
	progress_free(s);
	gate_free(s);
	compact_free(s);
	timer_free(s->retry);
	timer_free(s->limit);
	timer_free(s->idle);
	timer_free(s->late);
	buf_free(&s->lines.buf);
	buf_free(&s->out);
	/* Left when the server cannot go on: the turn stays open on disk, for the next one to recover. */
	while (s->leases) {
		struct lease *l = s->leases;

		s->leases = l->next;
		free(l->platform_id);
		free(l);
	}
	free(s->thread);
	free(s);
}

struct first {
	int64_t chat_id;
	char *thread;
	size_t cap;
	bool of_task;
};

static void take_first(void *ctx, const struct msg_row *m)
{
	struct first *f = ctx;

	f->chat_id = m->chat_id;
	f->of_task = m->task_run_id != 0;
	str_copy(f->thread, f->cap, m->thread);
}

static void find_first(struct session *s, struct first *f)
{
	struct err e = ERR_INIT;

	if (store_pending(s->r->store, s->group.id, s->key, 0, 1, take_first, f, &e) < 0)
		router_fatal(s->r, &e);
}

bool session_waiting_chat(struct session *s, int64_t *chat_id, char *thread, size_t cap)
{
	struct first f = {.thread = thread, .cap = cap};

	find_first(s, &f);
	*chat_id = f.chat_id;
	return f.chat_id != 0;
}

static bool has_work(struct session *s)
{
	int64_t chat;
	char thread[128];

	if (s->kind == SANDBOX_TOOL)
		return gate_waits(s);
	if (s->compact)
		return true;
	return session_waiting_chat(s, &chat, thread, sizeof(thread));
}

/* Somebody waits from now on. Told once in a while, not for each message: the trouble is the same. */
static void expect_late(struct session *s)
{
	if (s->told_delay && loop_now(s->r->loop) - s->told_ms > DELAY_WINDOW)
		s->told_delay = false;
	if (!timer_active(s->late) && !s->told_delay)
		timer_start(s->late, s->r->o.cfg->delayed_notice_ms, 0);
}

/* Into the queue, at once or after a pause that grows with the failures in a row. */
static void wait_for_place(struct session *s)
{
	int64_t pause = s->failures < 2 ? 0 : 500LL << (s->failures > 7 ? 6 : s->failures - 2);

	session_set_state(s, SESSION_WAITING);
	expect_late(s);
	if (pause) {
		timer_start(s->retry, pause, 0);
		return;
	}
	queue_push(s);
	queue_run(s->r);
}

void session_wake(struct session *s)
{
	if (s->r->fatal || s->r->draining)
		return;
	if (s->state == SESSION_READY)
		turn_feed(s);
	else if (s->state == SESSION_IDLE && !has_work(s))
		return;
	else if (s->state == SESSION_IDLE)
		wait_for_place(s);
	else
		expect_late(s);
}

void session_start(struct session *s)
{
	struct sandbox_request q = {.kind = s->kind};
	struct err e = ERR_INIT;

	/* What runs once has no session to go on with: the store knows none by such a key. */
	if (store_session_get(s->r->store, s->group.id, s->key, q.session_id, &e) < 0) {
		router_fatal(s->r, &e);
		return;
	}
	session_check_size(s, q.session_id);
	q.resume = q.session_id[0] != '\0';
	if (!q.resume)
		str_uuid4(q.session_id);
	str_copy(s->session_id, sizeof(s->session_id), q.session_id);
	s->resuming = q.resume;
	str_copy(q.group, sizeof(q.group), s->group.name);
	str_copy(q.model, sizeof(q.model), settings_get(s->r, s->group.id)->model);
	/* Unless told, a session that is resumed keeps the model that it had last. */
	if (q.resume && !q.model[0])
		str_copy(q.model, sizeof(q.model), "default");
	if (q.kind != SANDBOX_TOOL)
		skills_of(s->r, &s->group, q.skills);
	if (s->r->fatal)
		return;
	s->sandbox = warden_start(s->r->warden, &q, &e);
	if (!s->sandbox) {
		router_fatal(s->r, &e);
		return;
	}
	s->no_lines = s->heard = false;
	s->cost_seen = 0;
	s->facts = 0;
	s->refresh = s->carried = false;
	s->given_back = 0;
	session_set_state(s, SESSION_STARTING);
	s->begun_ms = s->since_ms;
	timer_start(s->retry, s->r->o.cfg->start_ms, 0);
}

void session_stop_sandbox(struct session *s)
{
	gateway_drop(s->r->gateway, s);
	s->agent = NULL;
	s->writing = false;
	s->no_lines = true;
	if (s->door)
		door_free(s->door);
	s->door = NULL;
	timer_stop(s->retry);
	timer_stop(s->idle);
	timer_stop(s->limit);
	if (s->turn_id)
		expect_late(s);
	session_set_state(s, SESSION_STOPPING);
	warden_stop(s->r->warden, s->sandbox);
}

void session_drop(struct session *s, const char *why, bool count, int64_t max_tries)
{
	if (s->state != SESSION_STARTING && s->state != SESSION_READY)
		return;
	log_warn("session", "dropped", "group=%s why=\"%s\"", s->group.name, why);
	str_copy(s->why, sizeof(s->why), why);
	s->failures++;
	s->drop_count = count;
	s->drop_tries = max_tries;
	session_stop_sandbox(s);
}

static void on_retry(void *ctx)
{
	struct session *s = ctx;

	if (s->state == SESSION_WAITING) {
		queue_push(s);
		queue_run(s->r);
	} else if (s->state == SESSION_STARTING) {
		session_drop(s, "the sandbox did not get ready in time", true, s->r->o.cfg->tries);
	}
}

static void on_limit(void *ctx)
{
	struct session *s = ctx;
	char words[120];

	if (s->kind == SANDBOX_TOOL) {
		gate_limit(s);
		return;
	}
	if (!s->turn_id)
		return;
	if (s->in_grace) {
		session_drop(s, "the agent did not stop when asked to", true, 0);
		return;
	}
	snprintf(words, sizeof(words), "I stopped: this took longer than %lld s.",
		 (long long)s->turn_ms / 1000);
	turn_interrupt(s, words);
	s->timed_out = true;
}

static void on_idle(void *ctx)
{
	struct session *s = ctx;

	if (s->state == SESSION_READY && !s->turn_id && s->kind != SANDBOX_TOOL)
		session_stop_sandbox(s);
}

static void on_late(void *ctx)
{
	struct session *s = ctx;
	char thread[128] = "";
	struct first f = {.thread = thread, .cap = sizeof(thread)};

	if (s->state == SESSION_READY || s->kind != SANDBOX_GROUP)
		return;
	if (s->turn_id) { /* a sandbox that is slow to end holds its messages */
		f.chat_id = s->chat_id;
		f.of_task = s->run_id != 0;
		str_copy(thread, sizeof(thread), s->thread);
	} else {
		find_first(s, &f);
	}
	/* Nobody sits and waits for a task. */
	if (!f.chat_id || f.of_task)
		return;
	s->told_delay = true;
	s->told_ms = loop_now(s->r->loop);
	delivery_notice(s->r, f.chat_id, s->group.id, thread,
			"Delayed, not lost: %s. I will answer as soon as it works.",
			s->why[0] ? s->why : "the sandbox takes long to start");
}
