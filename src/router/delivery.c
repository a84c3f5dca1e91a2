// SPDX-License-Identifier: Apache-2.0
/*
 * Delivery: outbox rows to channels, one lane a chat, in order, with retry. It exists so that a reply is never lost between the agent
 * and the platform; it must never send a row whose transaction is not durable, and never let one chat wait for another.
 */
#include "router/impl.h"
#include <stdarg.h>
#include <string.h>
#include <sys/random.h>
#include "base/log.h"
#include "base/str.h"

#define OUT_MAX_TRIES 8

struct lane {
	struct lane *next;
	struct router *r;
	int64_t chat_id;
	struct chat_row chat;
	struct channel *chan;
	int64_t out_id; /* the row in the channel's hands; 0 = none */
	int64_t tries;
	struct timer *due;
	bool queued; /* a run is deferred */
	bool again;
};

static struct lane *lane_get(struct router *r, int64_t chat_id)
{
	struct lane *l;
	struct err e = ERR_INIT;

	for (l = r->lanes; l; l = l->next) {
		if (l->chat_id == chat_id)
			return l;
	}
	l = xcalloc(1, sizeof(*l));
	l->r = r;
	l->chat_id = chat_id;
	if (store_chat_get(r->store, chat_id, &l->chat, &e) < 0) {
		router_fatal(r, &e);
		free(l);
		return NULL;
	}
	l->chan = router_channel(r, l->chat.channel);
	l->next = r->lanes;
	r->lanes = l;
	return l;
}

static void lane_free(struct lane *l)
{
	struct lane **p = &l->r->lanes;

	while (*p != l)
		p = &(*p)->next;
	*p = l->next;
	timer_free(l->due);
	store_forget(l->r->store, l);
	free(l);
}

static void send_row(void *ctx, const struct out_row *o)
{
	struct lane *l = ctx;
	struct outbound out = {
		.id = o->id,
		.message_id = o->message_id,
		.chat = l->chat.platform_id,
		.thread = o->thread,
		.text = o->text,
		.notice = o->kind == OUT_NOTICE,
	};
	struct err e = ERR_INIT;

	l->out_id = o->id;
	l->tries = o->tries;
	if (l->chan->ops->send(l->chan, &out, &e) < 0)
		delivery_sent(l->r, l->chan, o->id, NULL, &e);
}

static void lane_run(void *ctx);

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

static void lane_timer(void *ctx)
{
	lane_run(ctx);
}

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
			l->due = timer_new(r->loop, "delivery retry", lane_timer, l);
		timer_start(l->due, due - now, 0);
	} else if (!l->out_id && !l->queued) {
		/* Nothing waits; a row that the channel refused at once has queued the next run already. */
		lane_free(l);
	}
}

void delivery_kick(struct router *r, int64_t chat_id)
{
	struct lane *l = lane_get(r, chat_id);

	if (!l || l->queued || l->out_id)
		return;
	l->queued = true;
	store_after_commit(r->store, lane_run, l);
}

void delivery_channel_ready(struct router *r, struct channel *c)
{
	for (struct lane *l = r->lanes; l; l = l->next) {
		if (l->chan == c && !l->queued && !l->out_id) {
			l->queued = true;
			store_after_commit(r->store, lane_run, l);
		}
	}
}

/* 1 s, 2 s, 4 s ... 5 min, and up to a quarter more, so that many chats do not come back at once. */
static int64_t back_off(int64_t tries)
{
	int64_t ms = tries > 8 ? 300000 : 1000LL << tries;
	uint16_t rnd = 0;

	if (getrandom(&rnd, sizeof(rnd), GRND_NONBLOCK) < 0)
		rnd = 0;
	return ms + ms * (rnd & 1023) / 4096;
}

void delivery_sent(struct router *r, struct channel *c, int64_t outbox_id, const char *platform_id,
		   const struct err *why)
{
	struct lane *l = r->lanes;
	struct err e = ERR_INIT;
	int rc;

	while (l && l->out_id != outbox_id)
		l = l->next;
	if (!l) {
		log_warn("delivery", "receipt for nothing", "channel=%s id=%lld", c->ops->name,
			 (long long)outbox_id);
		return;
	}
	l->out_id = 0;
	if (!why) {
		rc = store_out_sent(r->store, outbox_id, platform_id, &e);
	} else if ((why->code == E_TEMP || why->code == E_LIMIT) && l->tries + 1 < OUT_MAX_TRIES) {
		log_warn("delivery", "will retry", "channel=%s id=%lld err=\"%s\"", c->ops->name,
			 (long long)outbox_id, why->msg);
		rc = store_out_retry(r->store, outbox_id, clock_wall(r->o.clk) + back_off(l->tries),
				     why->msg, &e);
	} else {
		log_error("delivery", "given up", "channel=%s id=%lld err=\"%s\"", c->ops->name,
			  (long long)outbox_id, why->msg);
		rc = store_out_dead(r->store, outbox_id, why->msg, &e);
	}
	if (rc < 0)
		router_fatal(r, &e);
	else
		delivery_kick(r, l->chat_id);
}

void delivery_free(struct router *r)
{
	while (r->lanes)
		lane_free(r->lanes);
	for (size_t i = 0; i < r->n_settled; i++)
		free(r->settled[i].platform_id);
	free(r->settled);
}

void delivery_post(struct router *r, const struct out_new *o)
{
	struct err e = ERR_INIT;
	int64_t id;

	if (store_out_add(r->store, o, &id, &e) < 0)
		router_fatal(r, &e);
	else
		delivery_kick(r, o->chat_id);
}

void delivery_notice(struct router *r, int64_t chat_id, int64_t group_id, const char *thread,
		     const char *fmt, ...)
{
	char text[512];
	va_list ap;
	struct out_new o = {
		.chat_id = chat_id,
		.group_id = group_id,
		.thread = thread ? thread : "",
		.text = text,
		.kind = OUT_NOTICE,
	};

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	text[str_utf8_floor(text, strlen(text))] = '\0';
	/* The form, not the text: that may quote what the model's API, and so a person, said. */
	log_info("delivery", "notice", "chat=%lld form=\"%s\"", (long long)chat_id, fmt);
	delivery_post(r, &o);
}

static void tell_settled(void *ctx)
{
	struct router *r = ctx;
	struct settled *list = steal_ptr(&r->settled);
	size_t n = r->n_settled;

	r->n_settled = r->cap_settled = 0;
	r->settle_armed = false;
	for (size_t i = 0; i < n; i++) {
		struct chat_row chat;
		struct channel *c = NULL;
		struct err e = ERR_INIT;

		if (store_chat_get(r->store, list[i].chat_id, &chat, &e) == 0)
			c = router_channel(r, chat.channel);
		if (c && c->ops->settled)
			c->ops->settled(c, chat.platform_id, list[i].platform_id, list[i].failed);
		free(list[i].platform_id);
	}
	free(list);
}

void delivery_settled(struct router *r, int64_t chat_id, const char *platform_id, bool failed)
{
	if (r->n_settled == r->cap_settled) {
		r->cap_settled = r->cap_settled ? r->cap_settled * 2 : 16;
		r->settled = xrealloc(r->settled, r->cap_settled * sizeof(*r->settled));
	}
	r->settled[r->n_settled++] = (struct settled){chat_id, xstrdup(platform_id), failed};
	if (!r->settle_armed) {
		r->settle_armed = true;
		store_after_commit(r->store, tell_settled, r);
	}
}

void delivery_progress(struct session *s, enum progress_kind kind, const char *text)
{
	struct router *r = s->r;
	struct chat_row chat;
	struct channel *c;
	struct err e = ERR_INIT;

	if (!s->chat_id || store_chat_get(r->store, s->chat_id, &chat, &e) < 0)
		return;
	c = router_channel(r, chat.channel);
	if (c && c->ready && c->ops->progress)
		c->ops->progress(c, chat.platform_id, s->thread ? s->thread : "", kind, text);
}

void fail_notice_add(void *ctx, const struct msg_row *m)
{
	struct fail_notice *f = ctx;

	if (f->count && f->chat_id != m->chat_id)
		fail_notice_end(f);
	f->chat_id = m->chat_id;
	f->group_id = m->group_id;
	str_copy(f->thread, sizeof(f->thread), m->thread);
	f->count++;
	delivery_settled(f->r, m->chat_id, m->platform_id, true);
}

void fail_notice_end(struct fail_notice *f)
{
	if (f->count == 1)
		delivery_notice(f->r, f->chat_id, f->group_id, f->thread,
				"I could not answer your message: %s", f->why);
	else if (f->count > 1)
		delivery_notice(f->r, f->chat_id, f->group_id, f->thread,
				"I could not answer your last %lld messages: %s",
				(long long)f->count, f->why);
	f->count = 0;
}
