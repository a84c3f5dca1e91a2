// SPDX-License-Identifier: Apache-2.0
/*
 * Signs of life while a turn runs: "typing", which Telegram shows for 5 s, and the answer as far as it is known: a draft in a
 * private chat (sendMessageDraft, gone by itself after 30 s), a message that is edited in a group. All of it may be dropped; none of
 * it may ever come after, or overwrite, the answer, nor use up the messages a minute that a group's answers need.
 */
#include "base/log.h"
#include "base/str.h"
#include "channels/telegram/telegram.h"

#define CALL_MS 10000
#define RESERVE 8 /* of PACE_GROUP: kept for answers */

/* A turn in one chat, from PROGRESS_START (or its first draft) to PROGRESS_END and the last call's outcome. */
struct tg_live {
	LIST_ENTRY(tg_live) link;
	struct telegram *t;
	char chat[TG_ID_CAP], thread[TG_ID_CAP];
	char msg[TG_ID_CAP]; /* groups: the message that is edited */
	int64_t draft_id;
	int64_t last_ms; /* when the last draft left; 0 = none */
	struct tg_call *call, *typing;
	struct timer *timer;
	bool no_more; /* no new message: the first one's fate is not known */
	bool ended;
};

static bool in_group(const struct tg_live *l)
{
	return l->chat[0] == '-';
}

static void live_free(struct tg_live *l)
{
	LIST_REMOVE(l, link);
	tg_cancel(l->call);
	tg_cancel(l->typing);
	timer_free(l->timer);
	free(l);
}

static struct tg_live *find(struct telegram *t, const char *chat, const char *thread)
{
	struct tg_live *l = LIST_FIRST(&t->lives);

	while (l && (l->ended || !streq(l->chat, chat) || !streq(l->thread, thread)))
		l = LIST_NEXT(l, link);
	return l;
}

static struct tg_live *get(struct telegram *t, const char *chat, const char *thread)
{
	struct tg_live *l = find(t, chat, thread);

	if (l || !tg_is_id(chat) || (*thread && !tg_is_id(thread)))
		return l;
	l = xcalloc(1, sizeof(*l));
	l->t = t;
	str_copy(l->chat, sizeof(l->chat), chat);
	str_copy(l->thread, sizeof(l->thread), thread);
	/* not zero, and not the one of the turn before */
	t->draft_seq = t->draft_seq % INT32_MAX + 1;
	l->draft_id = t->draft_seq;
	LIST_INSERT_HEAD(&t->lives, l, link);
	return l;
}

void tg_draft_used(struct telegram *t, const char *chat, const char *thread)
{
	struct tg_live *l = find(t, chat, thread);

	if (l)
		l->draft_id = t->draft_seq = t->draft_seq % INT32_MAX + 1;
}

bool tg_draft_busy(const struct telegram *t, const char *chat, const char *thread)
{
	const struct tg_live *l;

	LIST_FOREACH(l, &t->lives, link)
	{
		if (l->call && streq(l->chat, chat) && streq(l->thread, thread))
			return true;
	}
	return false;
}

/* --- typing -------------------------------------------------------------------------------- */

static void on_typed(void *ctx, const struct tg_reply *r)
{
	struct tg_live *l = ctx;

	l->typing = NULL;
	/* Nobody is there any more: the chat's end may come under its new id, which is another's. */
	if (!r->result && (r->moved_to || r->why.code == E_GONE))
		timer_stop(l->timer);
}

static void type(void *ctx)
{
	struct tg_live *l = ctx;
	struct err e = ERR_INIT;
	struct tg_body b;

	if (l->typing || !l->t->c->ready)
		return;
	tg_json(&b, l->chat, l->thread);
	tg_put_str(&b, "action", "typing");
	tg_json_end(&b);
	l->typing = tg_call(l->t, "sendChatAction", &b, &(struct tg_opts){.total_ms = CALL_MS},
			    on_typed, l, &e);
	if (!l->typing)
		log_debug("telegram", "no typing", "err=\"%s\"", e.msg);
}

void tg_progress(struct channel *c, const char *chat, const char *thread, enum progress_kind kind,
		 const char *text maybe_unused)
{
	struct telegram *t = c->priv;
	struct tg_live *l;

	if (kind == PROGRESS_START) {
		l = get(t, chat, thread);
		if (!l || l->timer)
			return;
		l->timer = timer_new(c->loop, "telegram typing", type, l);
		timer_start(l->timer, t->typing_ms, t->typing_ms);
		type(l);
	} else if (kind == PROGRESS_END && (l = find(t, chat, thread))) {
		l->ended = true;
		if (l->timer)
			timer_stop(l->timer);
		if (!l->call)
			live_free(l);
	}
}

/* --- drafts -------------------------------------------------------------------------------- */

static void on_deleted(void *ctx maybe_unused, const struct tg_reply *r)
{
	if (!r->result)
		log_warn("telegram", "a draft stays behind", "err=\"%s\"", r->why.msg);
}

/* The turn was over before the draft's id was known: nobody can replace it by the answer. */
static void take_back(struct telegram *t, const char *chat, const char *msg)
{
	struct err e = ERR_INIT;
	struct tg_body b;

	tg_json(&b, chat, "");
	tg_put_raw(&b, "message_id", msg);
	tg_json_end(&b);
	if (!tg_call(t, "deleteMessage", &b, &(struct tg_opts){.total_ms = CALL_MS}, on_deleted, t,
		     &e))
		log_warn("telegram", "a draft stays behind", "err=\"%s\"", e.msg);
}

static void failed(struct tg_live *l, const struct tg_reply *r)
{
	struct telegram *t = l->t;

	if (r->code == 429)
		pace_hold(&t->pace, l->chat, loop_now(t->c->loop),
			  loop_now(t->c->loop) + r->retry_ms);
	if (in_group(l) && !l->msg[0])
		l->no_more = true;
	/* an older server of one's own has no such method */
	if (!in_group(l) && r->code == 404)
		t->no_drafts = true;
	log_debug("telegram", "draft dropped", "err=\"%s\"", r->why.msg);
}

static void on_draft(void *ctx, const struct tg_reply *r)
{
	struct tg_live *l = ctx;
	struct telegram *t = l->t;
	bool ended = l->ended;

	l->call = NULL;
	if (!r->result) {
		failed(l, r);
	} else if (in_group(l) && !l->msg[0]) {
		tg_id_text(l->msg, r->result, "message_id");
		if (!l->msg[0])
			l->no_more = true;
		else if (tg_send_adopt(t, l->chat, l->thread, l->msg))
			l->msg[0] = '\0';
		else if (ended)
			take_back(t, l->chat, l->msg);
		else
			channel_on_draft(t->c, l->chat, l->thread, l->msg);
	}
	if (ended)
		live_free(l);
	tg_send_run(t);
}

/* Whether the rates leave room for something that is only nice to have. */
static bool may_draft(struct tg_live *l, const char *body)
{
	struct telegram *t = l->t;
	int64_t now = loop_now(t->c->loop);

	if (l->call || !t->c->ready || !*body || (in_group(l) && !l->msg[0] && l->no_more))
		return false;
	if (!in_group(l))
		return !t->no_drafts;
	if (l->last_ms && now - l->last_ms < t->group_draft_ms)
		return false;
	return pace_when(&t->pace, l->chat, now) <= now &&
	       pace_left(&t->pace, l->chat, now) > RESERVE;
}

void tg_draft(struct channel *c, const struct draft *d)
{
	struct telegram *t = c->priv;
	struct tg_live *l = get(t, d->chat, d->thread);
	const char *method = "sendMessageDraft";
	struct err e = ERR_INIT;
	struct tg_body b;
	char num[24];

	if (!l)
		return;
	if (!l->call) /* the core knows which message is still a draft */
		str_copy(l->msg, sizeof(l->msg), tg_is_id(d->id) ? d->id : "");
	if (!may_draft(l, d->body))
		return;
	tg_json(&b, l->chat, in_group(l) && l->msg[0] ? "" : l->thread);
	if (in_group(l)) {
		method = l->msg[0] ? "editMessageText" : "sendMessage";
		if (l->msg[0])
			tg_put_raw(&b, "message_id", l->msg);
		pace_take(&t->pace, l->chat, loop_now(c->loop));
	} else {
		snprintf(num, sizeof(num), "%lld", (long long)l->draft_id);
		tg_put_raw(&b, "draft_id", num);
	}
	tg_put_str(&b, "text", d->body);
	tg_put_str(&b, "parse_mode", "HTML");
	tg_json_end(&b);
	l->last_ms = loop_now(c->loop);
	l->call = tg_call(t, method, &b, &(struct tg_opts){.total_ms = CALL_MS}, on_draft, l, &e);
	if (!l->call)
		log_debug("telegram", "draft dropped", "err=\"%s\"", e.msg);
}

void tg_draft_close(struct telegram *t)
{
	while (!LIST_EMPTY(&t->lives))
		live_free(LIST_FIRST(&t->lives));
}
