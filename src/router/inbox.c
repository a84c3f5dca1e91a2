// SPDX-License-Identifier: Apache-2.0
/*
 * The inbox: the channels' up-calls. A message is stored first, then (after the commit) the platform is told, then the group's
 * session is woken. It must never tell a platform anything that is not durable.
 */
#include "router/inbox.h"
#include <string.h>
#include "base/log.h"
#include "base/str.h"
#include "router/approve.h"
#include "router/ask.h"
#include "router/gate.h"

#define ID_MAX	       127 /* bytes of a platform's id for a chat, a thread or a person */
#define MESSAGE_ID_MAX 250 /* bytes of one for a message */

/* The answer to the channel, given after the commit. */
struct receipt {
	struct receipt *next;
	struct router *r;
	stored_fn *fn;
	void *ctx;
	int64_t id;
	bool dup;
	bool refused;
	struct err why;
};

static void tell(void *ctx)
{
	struct receipt *rc = ctx;
	struct receipt **p = &rc->r->receipts;

	while (*p != rc)
		p = &(*p)->next;
	*p = rc->next;
	rc->fn(rc->ctx, rc->id, rc->dup, rc->refused ? &rc->why : NULL);
	free(rc);
}

/* --- taking ------------------------------------------------------------------------------- */

static int check(const struct inbound *m, struct err *e)
{
	if (m->text_len > INBOUND_TEXT_MAX)
		return err_set(e, E_INVAL,
			       "a message of %zu bytes is over the limit of %zu: send it in parts",
			       m->text_len, INBOUND_TEXT_MAX);
	if (!str_is_utf8(m->text, m->text_len) || memchr(m->text, '\0', m->text_len))
		return err_set(e, E_INVAL, "a message must be UTF-8 text without NUL");
	if (m->kind == INBOUND_MESSAGE && !m->text_len && !m->n_files)
		return err_set(e, E_INVAL, "a message must not be empty");
	if (!m->chat[0] || strlen(m->chat) > ID_MAX || strlen(m->thread) > ID_MAX ||
	    strlen(m->sender) > ID_MAX)
		return err_set(e, E_INVAL,
			       "the id of a chat, a thread or a person is missing or over %d bytes",
			       ID_MAX);
	if (!m->id[0] || strlen(m->id) > MESSAGE_ID_MAX || msg_is_event(m->id))
		return err_set(e, E_INVAL, "the id of a message must have 1 to %d bytes",
			       MESSAGE_ID_MAX);
	return 0;
}

int inbox_put(struct intake *in, const struct row_new *row, struct err *e)
{
	struct msg_new n = {
		.chat_id = in->chat.id,
		.group_id = in->group.id,
		.sender_id = in->sender_id,
		.session = row->session,
		.thread = row->thread,
		.platform_id = row->platform_id,
		.text = row->text,
		.text_len = row->len,
		.sent_ms = in->m->sent_ms,
		.state = row->state,
	};

	return store_message_in(in->r->store, &n, &in->id, &in->dup, e);
}

static void copy_text(void *ctx, const struct msg_row *m)
{
	buf_puts(ctx, m->text + inbox_quote_len(m->text));
}

/* The text as it is kept: what it replies to, what was written, its files. */
static int compose(struct intake *in, struct buf *text, struct err *e)
{
	_cleanup_(buf_free) struct buf quote = {0};
	const struct inbound *m = in->m;
	struct err none = ERR_INIT;

	if (m->quote && m->quote[0])
		buf_puts(&quote, m->quote);
	else if (m->target && m->target[0] &&
		 store_message_find(in->r->store, in->chat.id, m->target, copy_text, &quote,
				    &none) < 0 &&
		 none.code != E_GONE) {
		*e = none;
		return -1;
	}
	if (quote.len)
		inbox_put_quote(text, quote.p);
	buf_put(text, m->text, m->text_len);
	attach_describe(m, text);
	return 0;
}

/* An answer to a question of the agent's goes to the tool that asked, and to nobody else. */
static int answered(struct intake *in, enum msg_state state, bool *yes, struct err *e)
{
	const struct inbound *m = in->m;
	_cleanup_free_ char *text = NULL;

	*yes = false;
	if (m->n_files || m->forwarded || !m->text_len)
		return 0;
	text = xstrndup(m->text, m->text_len);
	if (!ask_answer(in->r, in->chat.id, m->thread, text, m->sender_name, &in->by))
		return 0;
	if (store_message_move(in->r->store, in->id, state, MSG_ANSWERED, yes, e) < 0)
		return -1;
	delivery_settled(in->r, in->chat.id, m->id, false);
	return 0;
}

static int take_message(struct intake *in, struct err *e)
{
	_cleanup_(buf_free) struct buf text = {0};
	struct router *r = in->r;
	char key[65];
	struct row_new row = {.platform_id = in->m->id, .thread = in->m->thread, .session = key};
	struct attach_for wait;
	bool wakes, done;

	if (inbox_wakes(in, &wakes, e) < 0 || compose(in, &text, e) < 0)
		return -1;
	inbox_session_key(in->set, in->chat.id, in->m->thread, key);
	row.text = text.p ? text.p : "";
	row.len = text.len;
	row.state = wakes ? MSG_PENDING : MSG_CONTEXT;
	if (inbox_put(in, &row, e) < 0)
		return -1;
	if (in->dup)
		return 0;
	if (attach_note(r, in->id, in->m, e) < 0 || answered(in, row.state, &done, e) < 0)
		return -1;
	if (done || !wakes)
		return 0;
	wait = (struct attach_for){in->id, in->chat.id, key, &in->group};
	if (attach_begin(r, in->c, &wait, &done, e) < 0)
		return -1;
	if (!done)
		session_wake(session_get(r, &in->group, key));
	return 0;
}

/* For the server, not for the agent. Its row comes first: a message that comes twice is carried out once. */
static int take_command(struct intake *in, struct err *e)
{
	char key[65];
	struct row_new row = {
		.platform_id = in->m->id,
		.thread = in->m->thread,
		.session = key,
		.text = in->m->text,
		.len = in->m->text_len,
		.state = MSG_ANSWERED,
	};

	inbox_session_key(in->set, in->chat.id, in->m->thread, key);
	if (inbox_put(in, &row, e) < 0)
		return -1;
	if (!in->dup)
		commands_run(in, &in->by);
	return 0;
}

static int take(struct intake *in, struct err *e)
{
	bool pass;

	if (check(in->m, e) < 0 || gate_enter(in, &pass, e) < 0)
		return -1;
	if (!pass)
		return 0;
	if (commands_is(in))
		return take_command(in, e);
	return in->m->kind == INBOUND_MESSAGE ? take_message(in, e) : inbox_event(in, e);
}

int inbox_again(struct router *r, struct channel *c, const struct inbound *m, struct err *e)
{
	struct intake in = {.r = r, .c = c, .m = m};

	return take(&in, e);
}

/* --- waking ------------------------------------------------------------------------------- */

struct waking {
	int64_t group_id;
	char (*keys)[65];
	size_t n;
};

static void note_key(void *ctx, int64_t group_id, const char *session, int64_t oldest_id)
{
	struct waking *w = ctx;

	(void)oldest_id;
	if (group_id != w->group_id)
		return;
	w->keys = xrealloc(w->keys, (w->n + 1) * sizeof(*w->keys));
	str_copy(w->keys[w->n++], sizeof(*w->keys), session);
}

void inbox_wake_group(struct router *r, const struct group_row *g)
{
	struct waking w = {.group_id = g->id};
	struct err e = ERR_INIT;

	if (store_pending_sessions(r->store, note_key, &w, &e) < 0)
		router_fatal(r, &e);
	for (size_t i = 0; i < w.n; i++)
		session_wake(session_get(r, g, w.keys[i]));
	free(w.keys);
}

/* --- the up-calls ------------------------------------------------------------------------- */

static void on_message(void *up, struct channel *c, const struct inbound *m, stored_fn *fn,
		       void *ctx)
{
	struct router *r = up;
	struct receipt *rc = xcalloc(1, sizeof(*rc)), **end;
	struct intake in = {.r = r, .c = c, .m = m};

	rc->fn = fn;
	rc->ctx = ctx;
	if (take(&in, &rc->why) < 0) {
		rc->refused = true;
		if (rc->why.code == E_IO || rc->why.code == E_BUG)
			router_fatal(r, &rc->why);
	}
	rc->id = in.id;
	rc->dup = in.dup;
	/* No answer when the server cannot go on: the platform, or the client, says it again. */
	if (r->fatal) {
		free(rc);
		return;
	}
	rc->r = r;
	for (end = &r->receipts; *end; end = &(*end)->next)
		continue;
	*end = rc; /* they are given in this order */
	store_after_commit(r->store, tell, rc);
}

static void on_sent(void *up, struct channel *c, int64_t outbox_id, const struct sent *s)
{
	delivery_sent(up, c, outbox_id, s);
}

static void on_state(void *up, struct channel *c, enum channel_state st, const char *reason,
		     int64_t retry_ms)
{
	link_state(up, c, st, reason, retry_ms);
	if (st == CHANNEL_UP)
		attach_ready(up, c);
}

static void on_moved(void *up, struct channel *c, const char *chat, const char *new_chat)
{
	delivery_moved(up, c, chat, new_chat);
}

static void on_stop(void *up, struct channel *c, const char *chat_id, const char *thread)
{
	struct router *r = up;
	struct err e = ERR_INIT;
	struct group_row g;
	struct chat_row chat;
	char key[65];

	if (store_chat_find(r->store, c->ops->name, chat_id, &chat, &e) < 0) {
		if (e.code != E_GONE)
			router_fatal(r, &e);
		return;
	}
	if (!chat.group_id)
		return;
	if (store_group_at(r->store, chat.group_id, &g, &e) < 0) {
		router_fatal(r, &e);
		return;
	}
	inbox_session_key(settings_get(r, g.id), chat.id, thread, key);
	turn_interrupt(session_get(r, &g, key), "Stopped.");
}

static void on_fetched(void *up, struct channel *c, int64_t fetch_id, int64_t size,
		       const char *mime, const struct err *why)
{
	attach_fetched(up, c, fetch_id, size, mime, why);
}

static void on_chats(void *up, struct channel *c,
		     void (*fn)(void *ctx, const char *chat, const char *last_id, int64_t last_ms),
		     void *ctx)
{
	struct router *r = up;
	struct err e = ERR_INIT;

	if (store_chat_newest(r->store, c->ops->name, fn, ctx, &e) < 0)
		router_fatal(r, &e);
}

void inbox_init(struct channel_up *up)
{
	*up = (struct channel_up){
		.message = on_message,
		.sent = on_sent,
		.state = on_state,
		.stop = on_stop,
		.moved = on_moved,
		.draft = progress_drafted,
		.fetched = on_fetched,
		.chats = on_chats,
	};
}

int inbox_open(struct router *r, struct err *e)
{
	if (people_settings_load(r->o.cfg, &r->people, e) < 0)
		return -1;
	return attach_open(r, e);
}

void inbox_close(struct router *r)
{
	/* What no commit came for any more. */
	while (r->receipts) {
		struct receipt *rc = r->receipts;

		r->receipts = rc->next;
		store_forget(r->store, rc);
		free(rc);
	}
	attach_close(r);
	gate_close(r);
}
