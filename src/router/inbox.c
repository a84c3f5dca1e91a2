// SPDX-License-Identifier: Apache-2.0
/*
 * The inbox: the channels' up-calls. A message is stored first, then (after the commit) the platform is told, then the group's
 * session is woken. It must never tell a platform anything that is not durable.
 */
#include "router/impl.h"
#include <string.h>
#include "base/log.h"
#include "base/str.h"

/* The answer to the channel, given after the commit. */
struct receipt {
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

	rc->fn(rc->ctx, rc->id, rc->dup, rc->refused ? &rc->why : NULL);
	free(rc);
}

/* Which group a chat belongs to. A console chat is named like its group. */
static int find_group(struct router *r, struct channel *c, const struct inbound *m,
		      struct chat_row *chat, struct group_row *g, struct err *e)
{
	if (streq(c->ops->name, "console")) {
		if (store_group_get(r->store, m->chat, g, e) < 0)
			return -1;
		if (store_chat_ensure(r->store, c->ops->name, m->chat, m->chat_title, chat, e) < 0)
			return -1;
		if (chat->group_id != g->id)
			return store_chat_link(r->store, chat->id, g->id, e);
		return 0;
	}
	return err_set(e, E_PERM, "chat %s of %s belongs to no group", m->chat, c->ops->name);
}

static int check(const struct inbound *m, struct err *e)
{
	if (m->text_len > INBOUND_TEXT_MAX)
		return err_set(e, E_INVAL,
			       "a message of %zu bytes is over the limit of %zu: send it in parts",
			       m->text_len, INBOUND_TEXT_MAX);
	if (!str_is_utf8(m->text, m->text_len) || memchr(m->text, '\0', m->text_len))
		return err_set(e, E_INVAL, "a message must be UTF-8 text without NUL");
	if (!m->text_len)
		return err_set(e, E_INVAL, "a message must not be empty");
	return 0;
}

static int take(struct router *r, struct channel *c, const struct inbound *m, struct receipt *rc,
		struct err *e)
{
	struct chat_row chat;
	struct group_row g;
	struct msg_new n = {
		.session = "",
		.thread = m->thread,
		.platform_id = m->id,
		.text = m->text,
		.text_len = m->text_len,
		.sent_ms = m->sent_ms,
		.state = MSG_PENDING,
	};

	if (check(m, e) < 0 || find_group(r, c, m, &chat, &g, e) < 0)
		return -1;
	if (store_sender_ensure(r->store, c->ops->name, m->sender, m->sender_name, &n.sender_id,
				e) < 0)
		return -1;
	n.chat_id = chat.id;
	n.group_id = g.id;
	if (store_message_in(r->store, &n, &rc->id, &rc->dup, e) < 0)
		return -1;
	if (!rc->dup)
		session_wake(session_get(r, &g, n.session));
	return 0;
}

static void on_message(void *up, struct channel *c, const struct inbound *m, stored_fn *fn,
		       void *ctx)
{
	struct router *r = up;
	struct receipt *rc = xcalloc(1, sizeof(*rc));

	rc->fn = fn;
	rc->ctx = ctx;
	if (take(r, c, m, rc, &rc->why) < 0) {
		rc->refused = true;
		if (rc->why.code == E_IO || rc->why.code == E_BUG)
			router_fatal(r, &rc->why);
	}
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
}

static void on_moved(void *up, struct channel *c, const char *chat, const char *new_chat)
{
	delivery_moved(up, c, chat, new_chat);
}

static void on_stop(void *up, struct channel *c, const char *chat_id, const char *thread)
{
	struct router *r = up;
	struct err e = ERR_INIT;
	struct chat_row chat;

	(void)thread;
	if (store_chat_ensure(r->store, c->ops->name, chat_id, chat_id, &chat, &e) < 0) {
		router_fatal(r, &e);
		return;
	}
	for (struct session *s = r->sessions; s; s = s->next) {
		if (s->group.id == chat.group_id)
			turn_interrupt(s, "Stopped.");
	}
}

void inbox_init(struct channel_up *up)
{
	*up = (struct channel_up){
		.message = on_message,
		.sent = on_sent,
		.state = on_state,
		.stop = on_stop,
		.moved = on_moved,
	};
}
