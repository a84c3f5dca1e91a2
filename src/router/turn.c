// SPDX-License-Identifier: Apache-2.0
/*
 * A turn: from the first message handed to the agent until none is left in its hands. Owns the
 * leases and reads the agent's events. The rule that everything hangs on: a result covers the
 * lines that were started since the result before (its own list of them is cut at 64), and the
 * answer, the outbox row, the states and the session id are one transaction. A line that the
 * agent is done with and never started is handed in again.
 */
#include <string.h>
#include "base/log.h"
#include "base/str.h"
#include "router/ask.h"
#include "router/reset.h"
#include "router/schedule.h"

#define REPLY_MAX	((size_t)256 << 10)
#define INTERRUPT_GRACE 10000 /* ms for the agent to stop when asked */

static void turn_lease_unlink(struct session *s, struct lease *l)
{
	struct lease **p = &s->leases;

	while (*p != l)
		p = &(*p)->next;
	*p = l->next;
	free(l->platform_id);
	free(l);
}

static void free_leases(struct session *s)
{
	while (s->leases)
		turn_lease_unlink(s, s->leases);
}

/* --- the end of messages and turns -------------------------------------------------------- */

static void turn_ended(struct session *s)
{
	ask_close(s, "Closed: the turn is over.");
	s->turn_id = 0;
	free_leases(s);
	timer_stop(s->limit);
	s->in_grace = false;
	s->stop_asked = s->timed_out = false;
	delivery_progress(s, PROGRESS_END, "");
	s->run_id = 0;
	/* Whatever the agent does from now on, nobody has asked for it. */
	s->by = (struct actor){.role = ROLE_NONE};
}

void turn_abort(struct session *s, const char *why, bool count, int64_t max_tries)
{
	struct fail_notice f = {.r = s->r,
				.why = s->stop_asked ? s->stop_words : why,
				.stopped = s->stop_asked && !s->timed_out};
	struct err e = ERR_INIT;

	buf_reset(&s->out);
	s->out_pos = 0;
	s->writing = false;
	compact_abort(s, f.why);
	if (!s->turn_id)
		return;
	/* Who asked to stop wants no second try. */
	if (s->stop_asked)
		max_tries = 0;
	if (store_turn_close(s->r->store, s->turn_id, why, count || s->stop_asked, max_tries,
			     fail_notice_add, &f, &e) < 0)
		router_fatal(s->r, &e);
	else
		fail_notice_end(&f);
	turn_ended(s);
}

/* When no lease is left, the turn is over; the next one may begin. */
static void close_if_done(struct session *s)
{
	struct err e = ERR_INIT;
	char thread[128];
	int64_t chat;

	if (s->leases || !s->turn_id || compact_runs(s))
		return;
	if (store_turn_close(s->r->store, s->turn_id, "", false, 0, NULL, NULL, &e) < 0) {
		router_fatal(s->r, &e);
		return;
	}
	turn_ended(s);
	session_set_state(s, SESSION_READY);
	/* What was given back by the agent is handed in again; else this sandbox has done what it is for. */
	if (s->kind == SANDBOX_TASK && !session_waiting_chat(s, &chat, thread, sizeof(thread))) {
		session_stop_sandbox(s);
		return;
	}
	if (session_leaves(s))
		return;
	timer_start(s->idle, s->r->o.cfg->idle_stop_ms, 0);
	/* Whoever waits for a place comes first: this session may lose its own here, and queues up again. */
	queue_run(s->r);
	turn_feed(s);
}

static void end_lease(struct session *s, struct lease *l, bool failed)
{
	struct err e = ERR_INIT;
	int rc = failed ? store_failed(s->r->store, s->turn_id, l->msg_id, &e)
			: store_answered(s->r->store, s->turn_id, l->msg_id, &e);

	if (rc < 0)
		router_fatal(s->r, &e);
	delivery_settled(s->r, s->chat_id, l->platform_id, failed);
	turn_lease_unlink(s, l);
}

static bool names(const cJSON *uuids, const char *uuid)
{
	const cJSON *u;

	cJSON_ArrayForEach(u, uuids)
	{
		if (cJSON_IsString(u) && streq(u->valuestring, uuid))
			return true;
	}
	return false;
}

/* Ends the leases that a result covers. Returns how many. */
static size_t end_covered(struct session *s, const cJSON *uuids, bool failed)
{
	size_t n = 0;

	for (struct lease *l = s->leases, *next; l; l = next) {
		next = l->next;
		if (!l->started && !names(uuids, l->uuid))
			continue;
		end_lease(s, l, failed);
		n++;
	}
	return n;
}

static void take_back(struct session *s, struct lease *l)
{
	struct err e = ERR_INIT;

	log_warn("turn", "to be handed in again", "group=%s message=%lld", s->group.name,
		 (long long)l->msg_id);
	if (store_unlease(s->r->store, s->turn_id, l->msg_id, &e) < 0)
		router_fatal(s->r, &e);
	turn_lease_unlink(s, l);
}

static void post_reply(struct session *s, const char *result)
{
	_cleanup_free_ char *text = xstrdup(result ? result : "");
	size_t n = agent_strip_internal(text);
	struct out_new o = {
		.chat_id = s->chat_id,
		.group_id = s->group.id,
		.turn_id = s->turn_id,
		.thread = s->thread,
		.text = text,
		.kind = OUT_REPLY,
	};

	if (n > REPLY_MAX) {
		text[str_utf8_floor(text, REPLY_MAX)] = '\0';
		delivery_post(s->r, &o);
		delivery_notice(s->r, s->chat_id, s->group.id, s->thread,
				"The answer was cut: it had %zu bytes.", n);
	} else if (n) {
		delivery_post(s->r, &o);
	} else if (s->run_id) {
		return; /* a task that has nothing to tell says nothing */
	} else if (!s->spoke || progress_stands(s)) {
		/* Also when a tool spoke: a draft must not stay as if it were the answer. */
		delivery_notice(s->r, s->chat_id, s->group.id, s->thread, "Done, without words.");
	}
}

static void tell_stopped(struct session *s)
{
	/* A task that took too long is told of by its own notice, once no try is left. */
	if (s->stop_told || (s->run_id && s->timed_out))
		return;
	s->stop_told = true;
	delivery_notice(s->r, s->chat_id, s->group.id, s->thread, "%s", s->stop_words);
}

static void session_is_lost(struct session *s)
{
	struct err e = ERR_INIT;
	int64_t chat = s->chat_id;
	char thread[128] = "", archive[ARCHIVE_NAME];

	if (store_session_set(s->r->store, s->group.id, s->key, "", &e) < 0) {
		router_fatal(s->r, &e);
		return;
	}
	if (s->turn_id || session_waiting_chat(s, &chat, thread, sizeof(thread)))
		delivery_notice(s->r, chat, s->group.id, s->turn_id ? s->thread : thread,
				"Our earlier session could not be resumed. I start a new one and "
				"take the recent messages along.");
	s->rebuild = true;
	archive_note(s->r, &s->group, archive);
	session_drop(s, "the earlier session is gone", false, s->r->o.cfg->tries);
	s->failures = 0;
}

/* What the agent reckons that its sandbox has cost is a sum: the difference is this turn's. */
static void add_cost(struct session *s, const struct agent_event *ev)
{
	struct err e = ERR_INIT;
	int64_t more =
		ev->cost_micro < s->cost_seen ? ev->cost_micro : ev->cost_micro - s->cost_seen;

	if (ev->cost_micro < 0)
		return;
	s->cost_seen = ev->cost_micro;
	if (s->turn_id && more && store_turn_cost(s->r->store, s->turn_id, more, &e) < 0)
		router_fatal(s->r, &e);
}

/* The result of a task's turn, which a notice of the task's own follows when it has failed. */
static void end_run(struct session *s, const struct agent_event *ev, bool stopped)
{
	const char *text = ev->text ? ev->text : "";

	if (stopped)
		run_over(s->r, s->run_id, s->turn_id, s->timed_out ? RUN_FAILED : RUN_STOPPED, "",
			 s->stop_words);
	else if (ev->is_error)
		run_over(s->r, s->run_id, s->turn_id, RUN_FAILED, "",
			 text[0] ? text : "no reason given");
	else
		run_over(s->r, s->run_id, s->turn_id, RUN_OK, text, "");
}

/* The agent was quicker with a follow-up than the second interrupt. */
static bool is_late(const struct session *s)
{
	for (const struct lease *l = s->leases; l; l = l->next) {
		if (l->started && l->late)
			return true;
	}
	return false;
}

static void on_result(struct session *s, const struct agent_event *ev)
{
	struct err e = ERR_INIT;
	bool stopped = s->stop_asked && (ev->aborted || is_late(s));
	size_t n;

	if (ev->unknown_session && s->resuming) {
		session_is_lost(s);
		return;
	}
	add_cost(s, ev);
	if (compact_result(s, ev)) {
		close_if_done(s);
		return;
	}
	n = end_covered(s, ev->uuids, ev->is_error || stopped);
	if (n)
		s->unasked = s->given_back = 0;
	if (n && s->run_id)
		end_run(s, ev, stopped);
	if (stopped)
		tell_stopped(s);
	else if (n && ev->is_error && s->run_id)
		s->spoke = false; /* the run's own notice says it */
	else if (n && ev->is_error)
		delivery_notice(s->r, s->chat_id, s->group.id, s->thread,
				"I could not answer: %.400s",
				ev->text ? ev->text : "no reason given");
	else if (n || (!ev->is_error && s->chat_id && ev->text && ev->text[0] &&
		       ++s->unasked <= UNASKED_MAX))
		post_reply(
			s,
			ev->text); /* also when the agent spoke by itself: a task of its own ended */
	if (n && !ev->is_error && ev->session_id && s->kind == SANDBOX_GROUP &&
	    store_session_set(s->r->store, s->group.id, s->key, ev->session_id, &e) < 0)
		router_fatal(s->r, &e);
	if (n && !ev->is_error)
		opening_heard(s);
	s->failures = 0;
	s->spoke = false;
	progress_answered(s);
	close_if_done(s);
}

static void on_lifecycle(struct session *s, const struct agent_event *ev)
{
	bool back = false, begun = false;

	for (struct lease *l = s->leases, *next; l; l = next) {
		next = l->next;
		if (!streq(l->uuid, ev->uuid))
			continue;
		if (ev->kind == AGENT_STARTED) {
			begun = l->started = true;
			l->late = s->stop_asked;
		} else if (ev->kind == AGENT_CANCELLED && s->stop_asked) {
			tell_stopped(s);
			end_lease(s, l, true);
			if (s->run_id)
				run_over(s->r, s->run_id, s->turn_id,
					 s->timed_out ? RUN_FAILED : RUN_STOPPED, "",
					 s->stop_words);
		} else if (!l->started && (back || s->given_back < UNASKED_MAX)) {
			back = true;
			take_back(s, l);
		} else if (!l->started) {
			session_drop(s, "the agent gives back whatever it is handed", true,
				     s->r->o.cfg->tries);
			return;
		}
	}
	/* It took the next one up before it could be told to leave that. */
	if (begun && s->stop_asked)
		turn_control(s, "interrupt", NULL);
	s->given_back += back;
	close_if_done(s);
}

static void cancel_queued(struct session *s, const struct agent_event *ev)
{
	const cJSON *u;

	if (!s->stop_asked)
		return;
	cJSON_ArrayForEach(u, ev->uuids)
	{
		if (cJSON_IsString(u) && str_is_uuid(u->valuestring))
			turn_control(s, "cancel_async_message", u->valuestring);
	}
}

static void show_partial(struct session *s, const char *text)
{
	_cleanup_(buf_free) struct buf shown = {0};

	partial_feed(&s->partial, text, &shown);
	if (shown.len)
		delivery_progress(s, PROGRESS_TEXT, shown.p);
}

void turn_line(void *ctx, const char *line, size_t n)
{
	struct session *s = ctx;
	struct agent_event ev;
	struct err e = ERR_INIT;

	if (n == 0)
		return;
	if (agent_parse(line, n, &ev, &e) < 0) {
		if (session_may_log(s))
			log_warn("turn", "bad line", "group=%s err=\"%s\"", s->group.name, e.msg);
		return;
	}
	switch (ev.kind) {
	case AGENT_TEXT:
		show_partial(s, ev.text);
		break;
	case AGENT_TOOL:
		s->partial = (struct partial){0};
		/* fall through */
	case AGENT_RETRY:
		delivery_progress(s, PROGRESS_TOOL, ev.text);
		break;
	case AGENT_RESULT:
		s->partial = (struct partial){0};
		on_result(s, &ev);
		break;
	case AGENT_STARTED:
	case AGENT_CANCELLED:
	case AGENT_COMPLETED:
		on_lifecycle(s, &ev);
		break;
	case AGENT_CONTROL:
		cancel_queued(s, &ev);
		break;
	case AGENT_COMPACTED:
		compact_seen(s, &ev);
		break;
	case AGENT_OTHER:
		break;
	}
	agent_event_free(&ev);
}

void turn_interrupt(struct session *s, const char *words)
{
	struct fail_notice f = {.r = s->r, .why = "stopped before it began.", .stopped = true};
	struct err e = ERR_INIT;

	if (s->turn_id && s->stop_asked)
		return;
	if (gate_waits(s)) {
		gate_interrupt(s, words);
		return;
	}
	if (!s->turn_id) {
		if (store_fail_pending(s->r->store, s->group.id, s->key, fail_notice_add, &f, &e) <
		    0)
			router_fatal(s->r, &e);
		else
			fail_notice_end(&f);
		s->told_delay = false; /* who speaks next has been told nothing */
		return;
	}
	s->stop_asked = true;
	snprintf(s->stop_words, sizeof(s->stop_words), "%s", words);
	if (s->state != SESSION_READY)
		return; /* it ends anyway; turn_abort uses the words */
	turn_control(s, "interrupt", NULL);
	s->in_grace = true;
	timer_start(s->limit, INTERRUPT_GRACE, 0);
	ask_close(s, "Closed: the person asked to stop.");
}
