// SPDX-License-Identifier: Apache-2.0
/*
 * The inbox: the channels' up-calls. A message is stored first, then (after the commit) the platform is told, then the group's
 * session is woken. It must never tell a platform anything that is not durable.
 */
#include "router/inbox.h"
#include <string.h>
#include "base/log.h"
#include "base/str.h"
#include "router/ask.h"

#define ID_MAX		 127  /* bytes of a platform's id for a chat, a thread or a person */
#define MESSAGE_ID_MAX	 250  /* bytes of one for a message */
#define NAME_MAX_BYTES	 120  /* of a name or title; longer ones are cut */
#define STRANGERS_KEPT	 1000 /* chats that nobody linked */
#define REFUSAL_WINDOW	 60000
#define REFUSALS_IN_MIND 4096

/* The answer to the channel, given after the commit. */
struct receipt {
	stored_fn *fn;
	void *ctx;
	int64_t id;
	bool dup;
	bool refused;
	struct err why;
};

/* Messages of a chat without a group, not yet counted in the store. */
struct refusal {
	int64_t n;
};

static void tell(void *ctx)
{
	struct receipt *rc = ctx;

	rc->fn(rc->ctx, rc->id, rc->dup, rc->refused ? &rc->why : NULL);
	free(rc);
}

/* --- which chat, which group -------------------------------------------------------------- */

static void forget_refusals(struct router *r)
{
	for (size_t i = 0; i < r->refusals.cap; i++)
		free(r->refusals.slots[i].value);
	map_free(&r->refusals);
}

/* A stranger may write as much as the platform lets it: one write and one line in the log a minute. */
static int refuse(struct intake *in, struct err *e)
{
	struct router *r = in->r;
	struct refusal *f = map_get(&r->refusals, in->chat.id);
	char title[NAME_MAX_BYTES + 8];

	if (!f) {
		if (r->refusals.n >= REFUSALS_IN_MIND)
			forget_refusals(r);
		f = xcalloc(1, sizeof(*f));
		map_put(&r->refusals, in->chat.id, f);
	}
	f->n++;
	if (clock_wall(r->o.clk) - in->chat.seen_ms >= REFUSAL_WINDOW) {
		if (store_chat_refused(r->store, in->chat.id, f->n, STRANGERS_KEPT, e) < 0)
			return -1;
		f->n = 0;
		log_quote(title, sizeof(title), in->m->chat_title);
		log_warn("inbox", "a chat without a group",
			 "channel=%s chat=\"%s\" title=%s fix=\"chela groups add GROUP %s:%s\"",
			 in->c->ops->name, in->m->chat, title, in->c->ops->name, in->m->chat);
	}
	return err_set(e, E_PERM, "chat %s:%s belongs to no group: chela groups add GROUP %s:%s",
		       in->c->ops->name, in->m->chat, in->c->ops->name, in->m->chat);
}

static bool is_console(const struct intake *in)
{
	return streq(in->c->ops->name, "console");
}

/* A console chat is named like its group. Other chats belong to a group when the operator said so. */
static int find_group(struct intake *in, struct err *e)
{
	struct store *st = in->r->store;
	const struct inbound *m = in->m;
	char title[NAME_MAX_BYTES + 1];
	bool console = is_console(in);

	if (console && store_group_get(st, m->chat, &in->group, e) < 0)
		return -1;
	str_copy(title, sizeof(title), m->chat_title);
	title[str_utf8_floor(title, strlen(title))] = '\0';
	if (store_chat_seen(st, in->c->ops->name, m->chat, title, m->direct || console, &in->chat,
			    e) < 0)
		return -1;
	if (console && in->chat.group_id != in->group.id)
		return store_chat_link(st, in->chat.id, in->group.id, e);
	if (!in->chat.group_id)
		return refuse(in, e);
	return console ? 0 : store_group_at(st, in->chat.group_id, &in->group, e);
}

static int find_sender(struct intake *in, struct err *e)
{
	const struct inbound *m = in->m;
	char name[NAME_MAX_BYTES + 1];

	str_copy(name, sizeof(name), m->sender_name);
	name[str_utf8_floor(name, strlen(name))] = '\0';
	return store_sender_ensure(in->r->store, in->c->ops->name, m->sender, name,
				   m->sender_alt ? m->sender_alt : "", &in->sender_id, e);
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

int inbox_wakes(struct intake *in, bool *yes, struct err *e)
{
	const struct inbound *m = in->m;

	*yes = m->addressed || m->direct || is_console(in) || in->set->trigger == TRIGGER_ALWAYS;
	/* Who has spoken in a thread is in the conversation there. */
	if (*yes || !m->thread[0] || (in->c->ops->caps & CHAN_ROOMS))
		return 0;
	return store_spoke_in(in->r->store, in->chat.id, m->thread, yes, e);
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
	if (m->n_files || !m->text_len)
		return 0;
	text = xstrndup(m->text, m->text_len);
	if (!ask_answer(in->r, in->chat.id, m->thread, text, m->sender_name))
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

static int take(struct intake *in, struct err *e)
{
	if (check(in->m, e) < 0 || find_group(in, e) < 0 || find_sender(in, e) < 0)
		return -1;
	in->set = settings_get(in->r, in->group.id);
	return in->m->kind == INBOUND_MESSAGE ? take_message(in, e) : inbox_event(in, e);
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
	struct receipt *rc = xcalloc(1, sizeof(*rc));
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
	if (r->fatal)
		free(rc);
	else
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
	attach_close(r);
	settings_free(r);
	forget_refusals(r);
}
