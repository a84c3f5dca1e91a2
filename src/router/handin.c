// SPDX-License-Identifier: Apache-2.0
/*
 * Handing in: waiting messages become leases and lines towards the agent. The first hand-in of a turn takes all that waits in one chat as one
 * line; what comes later goes in at once, a line each. Lines are written only after the commit that made their leases durable. Each hand-in has a fresh uuid,
 * because the agent swallows one that it has seen.
 */
#include <string.h>
#include "base/log.h"
#include "base/str.h"
#include "router/inbox.h"
#include "router/reset.h"
#include "router/schedule.h"
#include "router/task_may.h"

#define BATCH_ROWS  200
#define WRITE_PIECE ((size_t)64 << 10)
#define SHOWN_MAX   2000 /* bytes of one message of the background */

struct waiting {
	int64_t id, chat_id, sender_id, run_id;
	char *thread, *platform_id, *line; /* line: with its header */
	size_t len;
};
struct batch {
	struct waiting rows[BATCH_ROWS];
	size_t n, taken;       /* taken: leased */
	const struct zone *tz; /* whose clock the heads show */
};

static void collect(void *ctx, const struct msg_row *m)
{
	struct batch *b = ctx;
	struct waiting *w = &b->rows[b->n++];
	struct buf line = {0};

	w->id = m->id;
	w->chat_id = m->chat_id;
	w->sender_id = m->sender_id;
	w->run_id = m->task_run_id;
	w->thread = xstrdup(m->thread);
	/* What is no message of the platform cannot be settled there, nor replied to. */
	w->platform_id = xstrdup(msg_is_event(m->platform_id) ? "" : m->platform_id);
	if (w->run_id)
		inbox_put_text(&line, m->text, m->text_len); /* its head: begin_run */
	else
		inbox_put_line(&line, m, b->tz);
	w->len = line.len;
	w->line = buf_steal(&line);
}

static void batch_free(struct batch *b)
{
	for (size_t i = 0; i < b->n; i++) {
		free(b->rows[i].thread);
		free(b->rows[i].platform_id);
		free(b->rows[i].line);
	}
}

/* From now on the turn is on behalf of this one as well. A task: of who made it, with the rights of today. */
static int act_for(struct session *s, const struct waiting *w, struct err *e)
{
	struct actor a = {.role = ROLE_NONE, .who = "somebody unknown"};
	int rc = 0;

	/* No sender stands for the operator in a task only; a message without one is nobody's. */
	if (w->run_id || w->sender_id)
		rc = actor_of(s->r, &s->group, w->sender_id, &a, e);
	if (rc < 0)
		return -1;
	actor_lessen(&s->by, &a);
	return 0;
}

static int lease_add(struct session *s, const struct waiting *w, const char *uuid, struct err *e)
{
	struct lease **end = &s->leases;
	struct lease *l;

	if (act_for(s, w, e) < 0 || store_lease(s->r->store, s->turn_id, w->id, e) < 0)
		return -1;
	l = xcalloc(1, sizeof(*l));
	l->msg_id = w->id;
	l->platform_id = xstrdup(w->platform_id);
	str_copy(l->uuid, sizeof(l->uuid), uuid);
	while (*end)
		end = &(*end)->next;
	*end = l;
	return 0;
}

/* Writes as much as the door takes politely; the rest follows when it has drained. */
static void write_out(struct session *s)
{
	struct err e = ERR_INIT;

	while (s->agent && s->out_pos < s->out.len &&
	       duplex_pending(s->agent) <= s->agent->high_water) {
		size_t n = s->out.len - s->out_pos;

		if (n > WRITE_PIECE)
			n = WRITE_PIECE;
		if (duplex_write(s->agent, s->out.p + s->out_pos, n, &e) < 0) {
			session_drop(s, e.msg, true, s->r->o.cfg->tries);
			break;
		}
		s->out_pos += n;
	}
	s->writing = s->agent && s->out_pos < s->out.len;
	if (!s->writing) {
		buf_reset(&s->out);
		s->out_pos = 0;
	}
}

void turn_drained(struct session *s)
{
	if (s->writing)
		write_out(s);
	if (s->again)
		turn_feed(s);
}

/* After the commit: the leases are durable, so the agent may have the lines. */
static void flush_out(void *ctx)
{
	struct session *s = ctx;

	s->out_armed = false;
	if (s->state == SESSION_READY)
		write_out(s);
	else
		buf_reset(&s->out);
	if (s->begins && s->turn_id)
		delivery_progress(s, PROGRESS_START, "");
	s->begins = false;
	if (s->state == SESSION_READY && s->again)
		turn_feed(s);
}

void turn_control(struct session *s, const char *subtype, const char *uuid)
{
	_cleanup_(buf_free) struct buf b = {0};
	struct err e = ERR_INIT;
	char id[32];

	snprintf(id, sizeof(id), "chela-%lld", (long long)++s->requests);
	/* Never into the middle of a line that is still being written, nor before lines that wait for the commit: an
	 * interrupt of what is not there yet would be lost. */
	agent_control_line(s->writing || s->out_armed ? &s->out : &b, id, subtype, uuid);
	if (b.len && s->agent && duplex_write(s->agent, b.p, b.len, &e) < 0)
		session_drop(s, e.msg, true, s->r->o.cfg->tries);
}

/* At most SHOWN_MAX bytes of a message that is handed in as background; who: instead of its sender and time, or NULL. */
static void put_short(struct buf *out, const char *who, const struct msg_row *m,
		      const struct zone *tz)
{
	struct msg_row cut = *m;

	if (cut.text_len > SHOWN_MAX)
		cut.text_len = str_utf8_floor(cut.text, SHOWN_MAX);
	if (who) {
		buf_putf(out, "[%s] ", who);
		inbox_put_text(out, cut.text, cut.text_len);
	} else {
		inbox_put_line(out, &cut, tz);
	}
	buf_puts(out, cut.text_len < m->text_len ? " [...]\n" : "\n");
}

struct retold {
	struct buf *text;
	const struct zone *tz;
};

static void add_history(void *ctx, const struct msg_row *m)
{
	struct retold *t = ctx;
	const char *who = m->notice	      ? "server"
			  : m->dir == MSG_OUT ? "you"
			  : m->task_run_id    ? "scheduled task"
					      : NULL;

	if (m->state != MSG_LEASED && m->state != MSG_PENDING && m->state != MSG_FETCHING)
		put_short(t->text, who, m, t->tz);
}

/* The agent's own memory of this conversation is lost: give it ours. */
static void put_history(struct session *s, struct buf *text)
{
	struct retold t = {text, settings_get(s->r, s->group.id)->tz};
	struct err e = ERR_INIT;

	buf_puts(text, "<earlier-conversation note=\"your session could not be resumed; this is "
		       "the recent history, for context only\">\n");
	if (store_history(s->r->store, s->chat_id, -30, 30, add_history, &t, &e) < 0)
		router_fatal(s->r, &e);
	buf_puts(text, "</earlier-conversation>\n");
	s->rebuild = false;
}

struct said {
	char *lines[CONTEXT_MAX];
	size_t n;
	const struct zone *tz;
};

static void note_said(void *ctx, const struct msg_row *m)
{
	struct said *q = ctx;
	struct buf b = {0};

	put_short(&b, NULL, m, q->tz);
	q->lines[q->n++] = buf_steal(&b);
}

/* What was said before this message and not to the assistant, oldest first. */
static int put_context(struct session *s, const struct waiting *w, struct buf *text, struct err *e)
{
	struct said q = {.n = 0};
	const struct group_settings *set = settings_get(s->r, s->group.id);
	int64_t since = clock_wall(s->r->o.clk) - set->context_ms;
	int rc = 0;

	q.tz = set->tz;
	if (s->kind == SANDBOX_GROUP)
		rc = store_context(s->r->store, w->chat_id, s->key, w->id, since, set->context_rows,
				   note_said, &q, e);
	if (q.n)
		buf_puts(text, "<context note=\"said in this chat before the next message, not to "
			       "you\">\n");
	for (size_t i = q.n; i-- > 0;) {
		buf_puts(text, q.lines[i]);
		free(q.lines[i]);
	}
	if (q.n)
		buf_puts(text, "</context>\n");
	return rc;
}

/* head: of a task's message, what stands before it. */
static int open_turn(struct session *s, const struct waiting *first, struct buf *head,
		     struct err *e)
{
	s->chat_id = first->chat_id;
	free(s->thread);
	s->thread = xstrdup(first->thread);
	s->stop_asked = s->stop_told = s->spoke = false;
	if (store_turn_open(s->r->store, s->group.id, s->key, &s->turn_id, e) < 0)
		return -1;
	timer_stop(s->idle);
	s->in_grace = s->timed_out = false;
	s->turn_ms = s->r->o.cfg->turn_ms;
	s->by = (struct actor){.role = ROLE_NONE};
	s->run_id = first->run_id;
	if (s->run_id && run_turn(s, first->run_id, head, e) < 0)
		return -1;
	timer_start(s->limit, s->turn_ms, 0);
	s->begins = true;
	return 0;
}

static bool of_turn(const struct session *s, const struct waiting *w)
{
	return !w->run_id && !s->run_id && w->chat_id == s->chat_id && streq(w->thread, s->thread);
}

/* The first hand-in of a turn: all that waits in this chat, as one line. */
static int hand_in_together(struct session *s, struct batch *b, struct err *e)
{
	_cleanup_(buf_free) struct buf text = {0}, piece = {0}, head = {0};
	bool first = true, rebuilt = s->rebuild;
	char uuid[37];

	if (open_turn(s, &b->rows[0], &head, e) < 0)
		return -1;
	str_uuid4(uuid);
	opening_put(s, &text);
	if (rebuilt)
		put_history(s, &text);
	for (size_t i = 0; i < b->n; i++) {
		const struct waiting *w = &b->rows[i];

		/* A task's message is a turn of its own. */
		if (s->run_id ? i > 0 : !of_turn(s, w))
			continue;
		buf_reset(&piece);
		/* The history has it already. */
		if (!rebuilt && put_context(s, w, &piece, e) < 0)
			return -1;
		buf_put(&piece, head.p ? head.p : "", head.len);
		buf_put(&piece, w->line, w->len);
		if (!first && text.len + piece.len > TURN_BATCH_MAX)
			break;
		if (lease_add(s, w, uuid, e) < 0)
			return -1;
		b->taken++;
		if (!first)
			buf_puts(&text, "\n");
		first = false;
		buf_put(&text, piece.p, piece.len);
	}
	return agent_user_line(&s->out, uuid, text.p, text.len, e);
}

/* Messages that come during a turn: one line each, at once; until one waits that is for a turn of its own, which must come. */
static int hand_in_each(struct session *s, struct batch *b, struct err *e)
{
	char uuid[37];

	for (size_t i = 0; i < b->n && s->out.len < TURN_BATCH_MAX; i++) {
		_cleanup_(buf_free) struct buf piece = {0};
		const struct waiting *w = &b->rows[i];

		if (!of_turn(s, w))
			break;
		if (put_context(s, w, &piece, e) < 0)
			return -1;
		buf_put(&piece, w->line, w->len);
		str_uuid4(uuid);
		if (lease_add(s, w, uuid, e) < 0 ||
		    agent_user_line(&s->out, uuid, piece.p, piece.len, e) < 0)
			return -1;
		b->taken++;
	}
	return 0;
}

void turn_feed(struct session *s)
{
	struct err e = ERR_INIT;
	struct batch *b;
	int rc;

	s->again = true;
	if (s->r->draining || s->state != SESSION_READY || !s->agent || s->stop_asked ||
	    s->out_armed || s->writing || duplex_pending(s->agent) > s->agent->high_water)
		return;
	/* A turn that others wait behind takes nothing more in, or it might never end; a task's takes nothing in ever. */
	if (s->turn_id && (s->r->queue || s->run_id || s->compact))
		return;
	b = xmalloc(sizeof(*b)); /* of the rows, only those that there are */
	b->n = b->taken = 0;
	b->tz = settings_get(s->r, s->group.id)->tz;
	if (s->compact)
		rc = compact_hand_in(s, &e);
	else
		rc = store_pending(s->r->store, s->group.id, s->key, 0, BATCH_ROWS, collect, b, &e);
	if (rc == 0 && b->n)
		rc = s->turn_id ? hand_in_each(s, b, &e) : hand_in_together(s, b, &e);
	/* All that waited is on its way: what comes later says so itself. */
	s->again = b->taken < b->n || b->n == BATCH_ROWS;
	batch_free(b);
	free(b);
	if (rc < 0) {
		router_fatal(s->r, &e);
	} else if (s->out.len) {
		s->out_armed = true;
		store_after_commit(s->r->store, flush_out, s);
	}
}
