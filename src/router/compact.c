// SPDX-License-Identifier: Apache-2.0
/*
 * Compaction: the agent sums up its conversation and goes on with the summary. It is asked for with the agent's own command, as a line of its own in a turn that
 * answers no message; nothing else is handed in meanwhile. What was said is archived before.
 */
#include <string.h>
#include "base/log.h"
#include "base/str.h"
#include "router/reset.h"

#define COMMAND "/compact"

struct compact {
	compacted_fn *fn; /* NULL: nobody waits for it any more */
	void *ctx;
	int64_t chat_id;
	char thread[128];
	bool running, seen;
	int64_t tokens; /* before */
};

static void over(struct session *s, bool ok, const char *text)
{
	struct compact *c = steal_ptr(&s->compact);

	log_info("session", ok ? "compacted" : "not compacted", "group=%s tokens=%lld why=\"%s\"",
		 s->group.name, (long long)c->tokens, text);
	if (c->fn)
		c->fn(c->ctx, ok, text);
	free(c);
}

int session_compact(struct router *r, const struct group_row *g, const char *key, int64_t chat_id,
		    const char *thread, compacted_fn *fn, void *ctx, struct err *e)
{
	struct session *s = session_find(r, g->id, key);
	char id[37], archive[ARCHIVE_NAME];

	if (s && s->compact)
		return err_set(e, E_INVAL, "it is being compacted already");
	if (store_session_get(r->store, g->id, key, id, e) < 0)
		return -1;
	if (!id[0])
		return err_set(e, E_INVAL,
			       "there is no conversation to compact: the next message begins one");
	if (!chat_id)
		chat_id = opening_newest_chat(r, g->id, e);
	if (chat_id <= 0)
		return chat_id < 0 ? -1 : err_set(e, E_INVAL, "%s has no chat", g->name);
	archive_note(r, g, archive);
	s = session_get(r, g, key);
	s->compact = xcalloc(1, sizeof(*s->compact));
	*s->compact = (struct compact){.fn = fn, .ctx = ctx, .chat_id = chat_id};
	str_copy(s->compact->thread, sizeof(s->compact->thread), thread);
	session_wake(s);
	return 0;
}

void compact_forget(struct router *r, const void *ctx)
{
	for (struct session *s = r->sessions; s; s = s->next) {
		if (s->compact && s->compact->ctx == ctx)
			s->compact->fn = NULL;
	}
}

int compact_hand_in(struct session *s, struct err *e)
{
	struct compact *c = s->compact;
	char uuid[37];

	if (store_turn_open(s->r->store, s->group.id, s->key, &s->turn_id, e) < 0)
		return -1;
	c->running = true;
	s->chat_id = c->chat_id;
	free(s->thread);
	s->thread = xstrdup(c->thread);
	s->stop_asked = s->stop_told = s->spoke = s->in_grace = s->timed_out = false;
	s->run_id = 0;
	timer_stop(s->idle);
	timer_start(s->limit, s->r->o.cfg->turn_ms, 0);
	str_uuid4(uuid);
	return agent_user_line(&s->out, uuid, COMMAND, strlen(COMMAND), e);
}

bool compact_runs(const struct session *s)
{
	return s->compact && s->compact->running;
}

void compact_seen(struct session *s, const struct agent_event *ev)
{
	char archive[ARCHIVE_NAME];

	if (compact_runs(s)) {
		s->compact->seen = true;
		s->compact->tokens = ev->tokens;
		return;
	}
	/* By itself, because its window was full: the details are in our history. */
	if (session_may_log(s))
		log_info("session", "the agent has compacted", "group=%s tokens=%lld",
			 s->group.name, (long long)ev->tokens);
	archive_note(s->r, &s->group, archive);
}

bool compact_result(struct session *s, const struct agent_event *ev)
{
	struct err e = ERR_INIT;
	char text[240], why[181];
	bool ok;

	if (!compact_runs(s))
		return false;
	ok = s->compact->seen && !ev->is_error;
	if (ok && s->compact->tokens > 0)
		snprintf(text, sizeof(text), "Compacted: %lld tokens became a summary.",
			 (long long)s->compact->tokens);
	else if (ok)
		str_copy(text, sizeof(text), "Compacted: the conversation became a summary.");
	else
		snprintf(text, sizeof(text), "Not compacted: %s",
			 ev->text && ev->text[0] ? str_one_line(why, sizeof(why), ev->text)
						 : "the agent gave no reason");
	if (ok && ev->session_id &&
	    store_session_set(s->r->store, s->group.id, s->key, ev->session_id, &e) < 0)
		router_fatal(s->r, &e);
	over(s, ok, text);
	return true;
}

void compact_fail(struct session *s, const char *why)
{
	char text[240];

	if (!s->compact)
		return;
	snprintf(text, sizeof(text), "Not compacted: %.200s", why);
	over(s, false, text);
}

void compact_abort(struct session *s, const char *why)
{
	if (s->compact && (s->compact->running || s->failures))
		compact_fail(s, why);
}

void compact_free(struct session *s)
{
	free(steal_ptr(&s->compact));
}
