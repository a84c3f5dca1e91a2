// SPDX-License-Identifier: Apache-2.0
/*
 * Delivery: outbox rows to channels, one lane a chat, in order, with retry by class of error. It exists so that a reply is never lost
 * between the agent and the platform; it must never send a row whose transaction is not durable, never let one chat wait for
 * another, and never send blindly twice: where a platform can neither be asked nor knows a repeat, the second try says what it is.
 */
#include "router/impl.h"
#include <string.h>
#include "base/backoff.h"
#include "base/log.h"
#include "base/str.h"

#define OUT_MAX_TRIES 14
#define RETRY_LEAST   1000
#define RETRY_MOST    300000

struct lane {
	struct router *r;
	int64_t chat_id;
	struct chat_row chat;
	struct channel *chan;
	int64_t out_id; /* the row in the channel's hands; 0 = none */
	int64_t tries, group_id;
	int64_t held_id,
		holds; /* how often the platform's limit held this row back, one time after the other */
	enum out_kind kind;
	int op;
	bool drawn; /* it replaces a draft */
	char *thread, *spool;
	struct timer *due;
	bool queued; /* a run is deferred */
	bool again;
};

static struct lane *lane_get(struct router *r, int64_t chat_id)
{
	struct lane *l = map_get(&r->lanes, chat_id);
	struct err e = ERR_INIT;

	if (l)
		return l;
	l = xcalloc(1, sizeof(*l));
	l->r = r;
	l->chat_id = chat_id;
	if (store_chat_get(r->store, chat_id, &l->chat, &e) < 0) {
		router_fatal(r, &e);
		free(l);
		return NULL;
	}
	l->chan = router_channel(r, l->chat.channel);
	map_put(&r->lanes, chat_id, l);
	return l;
}

static void lane_row_gone(struct lane *l)
{
	if (l->out_id)
		map_del(&l->r->sending, l->out_id);
	l->out_id = 0;
	free(l->thread);
	free(l->spool);
	l->thread = l->spool = NULL;
}

static void lane_free(struct lane *l)
{
	lane_row_gone(l);
	map_del(&l->r->lanes, l->chat_id);
	timer_free(l->due);
	store_forget(l->r->store, l);
	free(l);
}

/* --- a row to the channel ----------------------------------------------------------------- */

#define BUTTONS_MAX 10

struct parcel {
	struct outbound o;
	struct out_file file;
	struct out_button buttons[BUTTONS_MAX];
	char draft[128];
};

static void read_args(struct parcel *p, const cJSON *args)
{
	const cJSON *file = cJSON_GetObjectItemCaseSensitive(args, "file");
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(args, "buttons"), *b;
	const char *s;

	if ((s = json_peek_str(args, "target")))
		p->o.target = s;
	if ((s = json_peek_str(args, "emoji")))
		p->o.emoji = s;
	if (file) {
		p->file = (struct out_file){
			.path = json_peek_str(file, "path"),
			.name = json_peek_str(file, "name"),
			.mime = json_peek_str(file, "mime"),
			.size = json_peek_i64(file, "size", 0),
		};
		p->o.file = &p->file;
	}
	cJSON_ArrayForEach(b, list)
	{
		if (p->o.n_buttons == BUTTONS_MAX)
			break;
		p->buttons[p->o.n_buttons++] = (struct out_button){
			json_peek_str(b, "label"),
			json_peek_str(b, "value"),
		};
	}
	p->o.buttons = p->buttons;
}

/* A text takes the place of the draft that shows its beginning; so does a notice of why no more comes, but not one that comes by the way. */
static int find_draft(struct lane *l, const struct out_row *row, struct parcel *p, struct err *e)
{
	if (!l->chan->ops->draft || row->op != OUTBOUND_TEXT || row->part || row->kind == OUT_TOOL)
		return 0;
	if (row->kind == OUT_NOTICE && progress_runs(l->r, l->chat_id, row->thread))
		return 0;
	if (store_draft_get(l->r->store, l->chat_id, row->thread, p->draft, e) < 0)
		return -1;
	p->o.target = p->draft;
	l->drawn = p->draft[0];
	return 0;
}

/* The second try where nobody can tell whether the first arrived: said, not hidden. */
static bool needs_mark(const struct lane *l, const struct out_row *row)
{
	return row->again && !(l->chan->ops->caps & (CHAN_RESEND | CHAN_LOOK)) && !l->drawn &&
	       row->op != OUTBOUND_EDIT && row->op != OUTBOUND_REACTION;
}

static void send_row(void *ctx, const struct out_row *row)
{
	struct lane *l = ctx;
	struct err e = ERR_INIT;
	_cleanup_json_ cJSON *args = NULL;
	_cleanup_free_ char *marked = NULL;
	struct parcel p = {
		.o =
			{
				.id = row->id,
				.message_id = row->message_id,
				.made_ms = row->made_ms,
				.kind = (enum outbound_kind)row->op,
				.chat = l->chat.platform_id,
				.thread = row->thread,
				.text = row->text,
				.body = row->body,
				.target = "",
				.emoji = "",
				.notice = row->kind == OUT_NOTICE,
				.again = row->again,
			},
	};

	l->drawn = false;
	if (row->args && !(args = json_parse(row->args, strlen(row->args), OUT_ARGS_MAX, &e))) {
		router_fatal(l->r, &e);
		return;
	}
	read_args(&p, args);
	if (find_draft(l, row, &p, &e) < 0) {
		router_fatal(l->r, &e);
		return;
	}
	str_copy(p.o.key, sizeof(p.o.key), row->key);
	if (needs_mark(l, row))
		p.o.body = marked = xasprintf(REPEAT_MARK "%s", row->body);
	l->out_id = row->id;
	l->tries = row->tries;
	l->group_id = row->group_id;
	l->kind = row->kind;
	l->op = row->op;
	l->thread = xstrdup(row->thread);
	l->spool = p.file.path ? xstrdup(p.file.path) : NULL;
	map_put(&l->r->sending, row->id, l);
	if (l->chan->ops->send(l->chan, &p.o, &e) < 0)
		delivery_sent(l->r, l->chan, row->id, &(struct sent){.why = &e});
}

/* For a platform that cannot tell a repeat: "sending" is durable before the first byte leaves. */
static void mark_row(void *ctx, const struct out_row *o)
{
	struct lane *l = ctx;
	struct err e = ERR_INIT;

	if (o->state == OUT_SENDING) {
		send_row(ctx, o);
		return;
	}
	if (store_out_sending(l->r->store, o->id, &e) < 0)
		router_fatal(l->r, &e);
	else
		l->again = true;
}

/* --- lanes -------------------------------------------------------------------------------- */

static void lane_due(void *ctx);

static void lane_run(void *ctx)
{
	struct lane *l = ctx;
	struct router *r = l->r;
	int64_t now = clock_wall(r->o.clk), due = 0;
	bool resend_ok;
	struct err e = ERR_INIT;

	l->queued = false;
	if (l->out_id || !l->chan || !l->chan->ready || r->fatal)
		return;
	resend_ok = l->chan->ops->caps & CHAN_RESEND;
	l->again = false;
	if (store_out_next(r->store, l->chat_id, now, resend_ok ? send_row : mark_row, l, &due,
			   &e) < 0) {
		router_fatal(r, &e);
		return;
	}
	if (l->again) {
		l->queued = true;
		store_after_commit(r->store, lane_run, l);
	} else if (due) {
		if (!l->due)
			l->due = timer_new(r->loop, "delivery retry", lane_due, l);
		timer_start(l->due, due - now, 0);
	} else if (!l->out_id && !l->queued) {
		/* Nothing waits; a row that the channel refused at once has queued the next run already. */
		lane_free(l);
	}
}

static void lane_kick(struct lane *l)
{
	if (l->queued || l->out_id)
		return;
	l->queued = true;
	store_after_commit(l->r->store, lane_run, l);
}

/* By way of a commit, too: a row that was marked a moment ago may not be durable yet. */
static void lane_due(void *ctx)
{
	lane_kick(ctx);
}

void delivery_kick(struct router *r, int64_t chat_id)
{
	struct lane *l = lane_get(r, chat_id);

	if (l)
		lane_kick(l);
}

void delivery_channel_ready(struct router *r, struct channel *c)
{
	for (size_t i = 0; i < r->lanes.cap; i++) {
		struct lane *l = r->lanes.slots[i].value;

		if (l && l->chan == c)
			lane_kick(l);
	}
}

/* --- outcomes ----------------------------------------------------------------------------- */

static int on_delivered(struct lane *l, int64_t id, const char *platform_id, struct err *e)
{
	if (store_out_sent(l->r->store, id, platform_id, e) < 0)
		return -1;
	if (l->spool)
		spool_release(l->r, l->spool);
	return l->drawn ? store_draft_set(l->r->store, l->chat_id, l->thread, "", e) : 0;
}

static int on_failed(struct lane *l, int64_t id, const struct sent *s, struct err *e)
{
	struct router *r = l->r;
	struct err said = *s->why;
	const char *name = l->chat.channel, *why = said.msg;
	bool limit = s->why->code == E_LIMIT;
	int64_t wait;

	notice_words(said.msg, sizeof(said.msg), s->why->msg);
	if (limit && l->held_id != id)
		l->holds = 0;
	l->held_id = limit ? id : 0;
	wait = backoff_ms(limit ? l->holds++ : l->tries, RETRY_LEAST, RETRY_MOST);
	if (wait < s->retry_ms)
		wait = s->retry_ms;
	if (limit) {
		log_info("delivery", "held back", "channel=%s id=%lld ms=%lld", name, (long long)id,
			 (long long)wait);
		return store_out_hold(r->store, id, clock_wall(r->o.clk) + wait, why, e);
	}
	if (s->why->code == E_TEMP && l->tries + 1 < OUT_MAX_TRIES) {
		log_warn("delivery", "will retry", "channel=%s id=%lld unsure=%d err=\"%s\"", name,
			 (long long)id, s->unsure, why);
		return store_out_retry(r->store, id, clock_wall(r->o.clk) + wait, s->unsure, why,
				       e);
	}
	log_error("delivery", "given up", "channel=%s id=%lld class=%s err=\"%s\"", name,
		  (long long)id, err_word(s->why->code), why);
	if (store_out_dead(r->store, id, err_word(s->why->code), why, e) < 0)
		return -1;
	/* A notice about a notice would never end; a reaction that the platform does not know is not worth one. */
	if (l->kind != OUT_NOTICE && l->op != OUTBOUND_REACTION)
		notice_undelivered(r, &l->chat, l->group_id, l->thread, id, &said);
	return 0;
}

void delivery_sent(struct router *r, struct channel *c, int64_t outbox_id, const struct sent *s)
{
	struct lane *l = map_get(&r->sending, outbox_id);
	int64_t chat_id;
	struct err e = ERR_INIT;
	int rc;

	if (!l) {
		log_warn("delivery", "receipt for nothing", "channel=%s id=%lld", c->ops->name,
			 (long long)outbox_id);
		return;
	}
	map_del(&r->sending, outbox_id);
	l->out_id = 0;
	chat_id = l->chat_id;
	if (s->moved_to && !streq(s->moved_to, l->chat.platform_id)) {
		rc = store_out_hold(r->store, outbox_id, 0, "the chat has moved", &e);
		if (rc == 0)
			delivery_moved(r, c, l->chat.platform_id, s->moved_to);
	} else if (s->why) {
		rc = on_failed(l, outbox_id, s, &e);
	} else {
		rc = on_delivered(l, outbox_id, s->platform_id, &e);
	}
	l = map_get(&r->lanes, chat_id);
	if (l)
		lane_row_gone(l);
	if (rc < 0)
		router_fatal(r, &e);
	else
		delivery_kick(r, chat_id);
}

void delivery_moved(struct router *r, struct channel *c, const char *chat, const char *new_chat)
{
	struct err e = ERR_INIT;
	int64_t from = 0, to = 0;
	struct chat_row row;
	struct lane *l = NULL;
	int rc;

	if (streq(chat, new_chat))
		return;
	log_info("delivery", "chat has moved", "channel=%s from=%s to=%s", c->ops->name, chat,
		 new_chat);
	if (store_chat_find(r->store, c->ops->name, chat, &row, &e) == 0)
		l = map_get(&r->lanes, row.id);
	else if (e.code == E_GONE)
		return; /* nothing of ours was ever there */
	rc = e.code ? -1
		    : store_chat_move(r->store, c->ops->name, chat, new_chat, l ? l->out_id : 0,
				      &from, &to, &e);
	/* What is being sent has left for the old id; the rows after it must not. */
	if (rc == 0 && l && l->out_id)
		rc = store_chat_get(r->store, from, &l->chat, &e);
	else if (rc == 0 && l)
		lane_free(l);
	if (rc < 0) {
		router_fatal(r, &e);
		return;
	}
	delivery_kick(r, to);
	if (from != to) /* a row that was just marked has stayed there */
		delivery_kick(r, from);
}

void delivery_free(struct router *r)
{
	for (size_t i = 0; i < r->lanes.cap; i++) {
		struct lane *l = r->lanes.slots[i].value;

		if (!l)
			continue;
		timer_free(l->due);
		store_forget(r->store, l);
		free(l->thread);
		free(l->spool);
		free(l);
	}
	map_free(&r->lanes);
	map_free(&r->sending);
}
