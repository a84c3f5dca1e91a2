// SPDX-License-Identifier: Apache-2.0
/*
 * What a session hears: from the agent's stream, from the door and from the warden. It exists apart from session.c, which decides what state a session is
 * in; here each event only finds its session and is told on. It must never trust an event to be about a sandbox that still is the session's.
 */
#include <string.h>
#include "base/log.h"
#include "base/str.h"
#include "router/reset.h"
#include "router/schedule.h"

/* --- the agent's stream ------------------------------------------------------------------- */

static void agent_data(void *ctx, const uint8_t *p, size_t n)
{
	struct session *s = ctx;

	if (!s->heard)
		log_info("session", "the agent speaks", "group=%s ms=%lld", s->group.name,
			 (long long)(loop_now(s->r->loop) - s->begun_ms));
	s->heard = true;
	if (s->gate) {
		gate_data(s, p, n);
		return;
	}
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
	if (gate_exited(s))
		return;
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
	if (s->gate)
		gate_ready(s);
	else
		turn_feed(s);
}

static void door_agent_exit(void *ctx, int code, int signo)
{
	struct session *s = ctx;
	char why[80];

	if (s->gate) {
		gate_exit(s, code, signo);
		return;
	}
	if (signo)
		snprintf(why, sizeof(why), "the agent was ended by signal %d", signo);
	else
		snprintf(why, sizeof(why), "the agent ended with code %d", code);
	session_drop(s, why, true, s->r->o.cfg->tries);
}

static void door_connection(void *ctx, struct duplex *d)
{
	struct session *s = ctx;

	/* A gate's script is nobody's turn: no model, no tools. */
	if (s->kind == SANDBOX_TOOL)
		duplex_reset(d);
	else
		gateway_serve(s->r->gateway, d, s);
}

static void door_log(void *ctx, const char *line)
{
	struct session *s = ctx;

	if (s->gate)
		gate_log(s, line);
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
	compact_fail(s, why->msg);
	session_set_state(s, SESSION_IDLE);
	if (may_pass(why->code)) {
		s->failures += s->failures < 2 ? 2 : 1;
	} else {
		timer_stop(s->late);
		s->told_delay = false;
		gate_fail(s, why->msg);
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
	gate_fail(s, s->why);
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
