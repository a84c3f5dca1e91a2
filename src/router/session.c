// SPDX-License-Identifier: Apache-2.0
/*
 * A session: one group's conversation and the sandbox it lives in. Owns the states from idle to ready and back, with back-off, and tells the
 * chat when an answer will be late. What happens within a turn is turn.c's. Completion is never read from a sandbox's end: only
 * a result line completes (turn.c); whatever ends early goes back to pending.
 */
#include "router/impl.h"
#include <string.h>
#include "base/log.h"
#include "base/str.h"

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
};

static void take_first(void *ctx, const struct msg_row *m)
{
	struct first *f = ctx;

	f->chat_id = m->chat_id;
	str_copy(f->thread, f->cap, m->thread);
}

bool session_waiting_chat(struct session *s, int64_t *chat_id, char *thread, size_t cap)
{
	struct first f = {0, thread, cap};
	struct err e = ERR_INIT;

	if (store_pending(s->r->store, s->group.id, s->key, 0, 1, take_first, &f, &e) < 0)
		router_fatal(s->r, &e);
	*chat_id = f.chat_id;
	return f.chat_id != 0;
}

static bool has_pending(struct session *s)
{
	int64_t chat;
	char thread[128];

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
	else if (s->state == SESSION_IDLE && !has_pending(s))
		return;
	else if (s->state == SESSION_IDLE)
		wait_for_place(s);
	else
		expect_late(s);
}

void session_start(struct session *s)
{
	struct sandbox_request q = {.kind = SANDBOX_GROUP};
	struct err e = ERR_INIT;

	if (store_session_get(s->r->store, s->group.id, s->key, q.session_id, &e) < 0) {
		router_fatal(s->r, &e);
		return;
	}
	q.resume = q.session_id[0] != '\0';
	if (!q.resume)
		str_uuid4(q.session_id);
	str_copy(s->session_id, sizeof(s->session_id), q.session_id);
	s->resuming = q.resume;
	str_copy(q.group, sizeof(q.group), s->group.name);
	str_copy(q.model, sizeof(q.model), s->r->o.cfg->model_name);
	s->sandbox = warden_start(s->r->warden, &q, &e);
	if (!s->sandbox) {
		router_fatal(s->r, &e);
		return;
	}
	s->no_lines = s->heard = false;
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

	if (!s->turn_id)
		return;
	if (s->in_grace) {
		session_drop(s, "the agent did not stop when asked to", true, 0);
		return;
	}
	snprintf(words, sizeof(words), "I stopped: this took longer than %lld s.",
		 (long long)s->r->o.cfg->turn_ms / 1000);
	turn_interrupt(s, words);
}

static void on_idle(void *ctx)
{
	struct session *s = ctx;

	if (s->state == SESSION_READY && !s->turn_id)
		session_stop_sandbox(s);
}

static void on_late(void *ctx)
{
	struct session *s = ctx;
	int64_t chat;
	char thread[128];
	bool leased = s->turn_id; /* a sandbox that is slow to end holds its messages */

	if (s->state == SESSION_READY ||
	    (!leased && !session_waiting_chat(s, &chat, thread, sizeof(thread))))
		return;
	s->told_delay = true;
	s->told_ms = loop_now(s->r->loop);
	delivery_notice(s->r, leased ? s->chat_id : chat, s->group.id, leased ? s->thread : thread,
			"Delayed, not lost: %s. I will answer as soon as it works.",
			s->why[0] ? s->why : "the sandbox takes long to start");
}

/* --- the agent's stream ------------------------------------------------------------------- */

static void agent_data(void *ctx, const uint8_t *p, size_t n)
{
	struct session *s = ctx;

	if (!s->heard)
		log_info("session", "the agent speaks", "group=%s ms=%lld", s->group.name,
			 (long long)(loop_now(s->r->loop) - s->begun_ms));
	s->heard = true;
	line_feed(&s->lines, p, n, turn_line, s, &s->no_lines);
	if (!s->no_lines && s->agent)
		duplex_consumed(s->agent, n);
}

static void agent_eof(void *ctx)
{
	(void)ctx; /* agent_exit says how it ended */
}

static void agent_drained(void *ctx)
{
	turn_drained(ctx);
}

static void agent_closed(void *ctx, const struct err *why)
{
	struct session *s = ctx;

	s->agent = NULL;
	session_drop(s, why ? why->msg : "the agent ended", true, s->r->o.cfg->tries);
}

static const struct duplex_events agent_events = {
	.data = agent_data,
	.eof = agent_eof,
	.drained = agent_drained,
	.closed = agent_closed,
};

/* --- the door ----------------------------------------------------------------------------- */

static void door_agent(void *ctx, struct duplex *d)
{
	struct session *s = ctx;

	s->agent = d;
	d->ev = &agent_events;
	d->ctx = s;
	buf_free(&s->lines.buf);
	s->lines.skipping = false;
	timer_stop(s->retry);
	timer_stop(s->late);
	s->told_delay = false;
	s->why[0] = '\0';
	session_set_state(s, SESSION_READY);
	timer_start(s->idle, s->r->o.cfg->idle_stop_ms, 0);
	log_info("session", "ready", "group=%s resume=%d ms=%lld", s->group.name, s->resuming,
		 (long long)(loop_now(s->r->loop) - s->begun_ms));
	turn_feed(s);
}

static void door_agent_exit(void *ctx, int code, int signo)
{
	struct session *s = ctx;
	char why[80];

	if (signo)
		snprintf(why, sizeof(why), "the agent was ended by signal %d", signo);
	else
		snprintf(why, sizeof(why), "the agent ended with code %d", code);
	session_drop(s, why, true, s->r->o.cfg->tries);
}

static void door_connection(void *ctx, struct duplex *d)
{
	struct session *s = ctx;

	gateway_serve(s->r->gateway, d, s);
}

static void door_log(void *ctx, const char *line)
{
	struct session *s = ctx;

	if (session_may_log(s))
		log_info("sandbox", "log", "group=%s line=\"%s\"", s->group.name, line);
}

static void door_closed(void *ctx, const struct err *why)
{
	struct session *s = ctx;

	s->agent = NULL;
	session_drop(s, why->msg, true, s->r->o.cfg->tries);
}

static const struct door_events door_events = {
	.agent = door_agent,
	.agent_exit = door_agent_exit,
	.connection = door_connection,
	.log = door_log,
	.closed = door_closed,
};

/* --- the warden --------------------------------------------------------------------------- */

static struct session *by_sandbox(struct router *r, uint64_t id)
{
	for (struct session *s = r->sessions; s; s = s->next) {
		if (s->sandbox == id)
			return s;
	}
	return NULL;
}

static void on_started(void *ctx, uint64_t id, int door_fd)
{
	struct router *r = ctx;
	struct session *s = by_sandbox(r, id);

	if (!s || s->state != SESSION_STARTING) {
		close(door_fd);
		return;
	}
	s->door = door_new(r->loop, door_fd, NULL, &door_events, s);
}

/* Trouble that may be over later: of the engine, the disk, or of somebody who removed the container half-way. What policy, the
 * configuration or the protocol says stays so. */
static bool may_pass(enum err_code code)
{
	return code == E_TEMP || code == E_LIMIT || code == E_IO || code == E_GONE;
}

static void on_failed(void *ctx, uint64_t id, const struct err *why)
{
	struct router *r = ctx;
	struct session *s = by_sandbox(r, id);
	struct fail_notice f = {.r = r, .why = why->msg};
	struct err e = ERR_INIT;

	if (!s)
		return;
	s->sandbox = 0;
	timer_stop(s->retry);
	log_warn("session", "no sandbox", "group=%s why=\"%s\"", s->group.name, why->msg);
	str_copy(s->why, sizeof(s->why), why->msg);
	session_set_state(s, SESSION_IDLE);
	if (may_pass(why->code)) {
		s->failures += s->failures < 2 ? 2 : 1;
	} else {
		timer_stop(s->late);
		s->told_delay = false;
		if (store_fail_pending(r->store, s->group.id, s->key, fail_notice_add, &f, &e) < 0)
			router_fatal(r, &e);
		else
			fail_notice_end(&f);
	}
	session_wake(s);
	queue_run(r);
}

static void on_ended(void *ctx, uint64_t id, enum sandbox_end how, int code, const char *detail)
{
	struct router *r = ctx;
	struct session *s = by_sandbox(r, id);

	if (!s)
		return;
	log_info("session", "sandbox ended", "group=%s how=%d code=%d detail=\"%s\"", s->group.name,
		 how, code, detail);
	session_drop(s, detail, true, r->o.cfg->tries);
	s->sandbox = 0;
	/* Only now is it known why it ended: all that we saw was a door that closed, or an agent that was killed. */
	if (how != SANDBOX_STOPPED)
		str_copy(s->why, sizeof(s->why), detail);
	turn_abort(s, s->why, s->drop_count, s->drop_tries);
	session_set_state(s, SESSION_IDLE);
	session_wake(s);
	if (s->state == SESSION_IDLE)
		timer_stop(s->late);
	queue_run(r);
}

static void on_status(void *ctx, const struct warden_status *st)
{
	struct router *r = ctx;

	/* One by one from the list itself: a call may end other askers, who are forgotten there. */
	while (r->asks) {
		struct ask *a = r->asks;

		r->asks = a->next;
		a->fn(a->ctx, st);
		free(a);
	}
}

static void on_lost(void *ctx, const struct err *why)
{
	router_fatal(ctx, why);
}

const struct warden_events router_warden_events = {
	.started = on_started,
	.failed = on_failed,
	.ended = on_ended,
	.status = on_status,
	.lost = on_lost,
};
