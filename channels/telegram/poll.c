// SPDX-License-Identifier: Apache-2.0
/*
 * The long poll: getMe, deleteWebhook, one getUpdates that does not wait, then getUpdates for ever. It exists to lose nothing: the
 * offset, which makes Telegram forget, moves on only after the whole batch is durable. Health is the age of the last good
 * getUpdates; getMe proves nothing (it works while another program steals the updates, 409). No answer may ever be fatal here.
 */
#include "base/backoff.h"
#include "base/log.h"
#include "base/str.h"
#include "channels/telegram/telegram.h"

#define BATCH	      100
#define STEP_MS	      30000 /* getMe, deleteWebhook, the first poll */
#define POLL_SLACK_MS 15000 /* an answer to a poll may be later than asked for by so much */
#define RETRY_MAX_MS  30000
/* After a week without an update Telegram counts on from anywhere, maybe from below our offset; by then nothing is unconfirmed. */
#define OFFSET_MAX_MS ((int64_t)6 * 24 * 3600 * 1000)

/* Updates in the core's hands. Lives until the core has told of each, also when the channel is gone or has started anew. */
struct tg_batch {
	struct telegram *t; /* NULL = nobody asks any more */
	size_t waiting;
	int64_t next; /* the offset once all is durable; 0 = as it was */
	bool filling;
	bool failed;
	struct err why;
};
struct item {
	struct tg_batch *b;
	char *press; /* callback query to be answered, or NULL */
};

static void ask(struct telegram *t);

static void leave_batch(struct telegram *t)
{
	if (t->poll.batch)
		t->poll.batch->t = NULL;
	t->poll.batch = NULL;
}

static void stop(struct telegram *t, enum channel_state st, const struct err *why, int64_t retry_ms)
{
	struct tg_poll *p = &t->poll;

	p->step = TG_OFF;
	tg_cancel(steal_ptr(&p->call));
	timer_stop(p->next);
	timer_stop(p->watchdog);
	leave_batch(t);
	channel_on_state(t->c, st, why->msg, retry_ms);
}

static void again(struct telegram *t, int64_t ms)
{
	timer_start(t->poll.next, ms, 0);
}

static void on_next(void *ctx)
{
	struct telegram *t = ctx;

	/* a batch still waits: its end asks */
	if (!t->poll.call && !t->poll.batch && t->poll.step != TG_OFF)
		ask(t);
}

static void on_watchdog(void *ctx)
{
	struct telegram *t = ctx;
	struct err e = ERR_INIT;

	if (t->poll.batch) { /* the platform does its part: we are late ourselves */
		timer_start(t->poll.watchdog, t->watchdog_ms, 0);
		return;
	}
	err_set(&e, E_TEMP, "no good answer to getUpdates for %lld s%s%s",
		(long long)t->watchdog_ms / 1000, t->poll.last[0] ? "; the last said: " : "",
		t->poll.last);
	stop(t, CHANNEL_DOWN, &e, 0);
}

/* --- what a failure means ------------------------------------------------------------------ */

static void token_refused(struct telegram *t)
{
	struct err e = ERR_INIT;

	err_set(&e, E_AUTH,
		"Telegram refuses the bot token: ask @BotFather for the token (/token) and put it into %.120s",
		t->token_file);
	stop(t, CHANNEL_STUCK, &e, 0);
}

/* Two of us, or an earlier poll that Telegram still holds (up to half a minute after a restart). */
static bool conflict(struct telegram *t, const struct tg_reply *r)
{
	struct tg_poll *p = &t->poll;
	int64_t now = loop_now(t->c->loop);
	struct err e = ERR_INIT;

	if (!p->conflicts++)
		p->conflict_ms = now;
	if (p->conflicts % 16 == 1)
		log_warn("telegram", "conflict", "count=%lld err=\"%s\"", (long long)p->conflicts,
			 r->why.msg);
	if (now - p->conflict_ms < t->conflict_stuck_ms)
		return false;
	err_set(&e, E_PERM,
		"another program has been receiving this bot's messages for %lld min (409): stop it, or "
		"make a new token with @BotFather (/revoke)",
		(long long)(now - p->conflict_ms) / 60000);
	stop(t, CHANNEL_STUCK, &e, 0);
	return true;
}

static void failed(struct telegram *t, const struct tg_reply *r)
{
	struct tg_poll *p = &t->poll;
	int64_t wait = backoff_ms(p->failures, t->retry_ms, RETRY_MAX_MS);

	str_copy(p->last, sizeof(p->last), r->why.msg);
	if (r->code && r->why.code == E_AUTH) {
		token_refused(t);
		return;
	}
	if (r->code == 409 && conflict(t, r))
		return;
	if (p->step != TG_POLL) {
		stop(t, CHANNEL_DOWN, &r->why, r->retry_ms);
		return;
	}
	/* what was too much, or no JSON, may be fine in smaller helpings */
	if (!r->code && r->why.code == E_LIMIT)
		p->limit = p->limit > 1 ? p->limit / 2 : 1;
	p->failures++;
	log_debug("telegram", "poll failed", "tries=%lld err=\"%s\"", (long long)p->failures,
		  r->why.msg);
	if (r->code == 409 && strstr(r->text, "webhook"))
		p->step = TG_WEBHOOK;
	again(t, r->retry_ms > wait ? r->retry_ms : wait);
}

/* --- updates ------------------------------------------------------------------------------- */

static void on_answered(void *ctx maybe_unused, const struct tg_reply *r)
{
	if (!r->result)
		log_debug("telegram", "press not answered", "err=\"%s\"", r->why.msg);
}

/* Ends the little clock on the button. */
static void answer_press(struct telegram *t, const char *press)
{
	struct err e = ERR_INIT;
	struct tg_body b;

	tg_json(&b, "", "");
	tg_put_str(&b, "callback_query_id", press);
	tg_json_end(&b);
	if (!tg_call(t, "answerCallbackQuery", &b, &(struct tg_opts){.total_ms = STEP_MS},
		     on_answered, t, &e))
		log_warn("telegram", "press not answered", "err=\"%s\"", e.msg);
}

static void batch_end(struct tg_batch *b)
{
	struct telegram *t = b->t;

	if (b->filling || b->waiting)
		return;
	if (t) {
		t->poll.batch = NULL;
		if (b->failed) {
			log_warn("telegram", "not stored", "err=\"%s\"", b->why.msg);
			again(t, backoff_ms(t->poll.failures++, t->retry_ms, RETRY_MAX_MS));
		} else {
			if (b->next) {
				t->poll.offset = b->next;
				t->poll.moved_ms = loop_now(t->c->loop);
			}
			/* in a turn of its own: what the core did about this batch is committed before */
			again(t, 0);
		}
	}
	free(b);
}

static void on_stored(void *ctx, int64_t message_id maybe_unused, bool duplicate maybe_unused,
		      const struct err *why)
{
	struct item *it = ctx;
	struct tg_batch *b = it->b;
	bool kept = !why || why->code == E_PERM || why->code == E_INVAL;

	if (!kept && !b->failed) {
		b->failed = true;
		b->why = *why;
	}
	if (kept && it->press && b->t)
		answer_press(b->t, it->press);
	free(it->press);
	free(it);
	b->waiting--;
	batch_end(b);
}

static void hand_over(struct telegram *t, struct tg_batch *b, struct tg_update *u)
{
	struct item *it;

	if (u->kind == TG_MOVED) {
		channel_on_moved(t->c, u->chat, u->moved_to);
		return;
	}
	if (u->kind == TG_NOTHING) {
		if (u->press)
			answer_press(t, u->press);
		return;
	}
	if (!u->in.sent_ms)
		u->in.sent_ms = clock_wall(t->c->clk);
	it = xcalloc(1, sizeof(*it));
	it->b = b;
	it->press = u->press ? xstrdup(u->press) : NULL;
	b->waiting++;
	channel_on_message(t->c, &u->in, on_stored, it);
}

/* false: not a list of updates. */
static bool take_updates(struct telegram *t, const cJSON *list)
{
	struct tg_batch *b;
	const cJSON *j;

	if (!cJSON_IsArray(list))
		return false;
	b = xcalloc(1, sizeof(*b));
	b->t = t;
	b->filling = true;
	t->poll.batch = b;
	cJSON_ArrayForEach(j, list)
	{
		struct tg_update u;
		struct err e = ERR_INIT;

		if (tg_parse_update(j, &t->me, &u, &e) == 0) {
			hand_over(t, b, &u);
		} else {
			t->poll.skipped++;
			log_warn("telegram", "update passed over", "id=%lld err=\"%s\"",
				 (long long)u.id, e.msg);
		}
		if (u.id >= b->next)
			b->next = u.id + 1;
		tg_update_free(&u);
	}
	b->filling = false;
	batch_end(b);
	return true;
}

static void on_updates(struct telegram *t, const struct tg_reply *r)
{
	struct tg_poll *p = &t->poll;

	p->good_ms = loop_now(t->c->loop);
	p->failures = p->conflicts = 0;
	p->limit = BATCH;
	p->last[0] = '\0';
	timer_start(p->watchdog, t->watchdog_ms, 0);
	if (p->step == TG_FIRST) {
		p->step = TG_POLL;
		channel_on_state(t->c, CHANNEL_UP, t->me.name, 0);
		if (p->step != TG_POLL)
			return; /* stopped from inside */
	}
	if (!take_updates(t, r->result)) {
		struct tg_reply bad = {.text = ""};

		err_set(&bad.why, E_PROTO, "Telegram: getUpdates gave no list");
		failed(t, &bad);
	}
}

/* --- steps --------------------------------------------------------------------------------- */

static void on_reply(void *ctx, const struct tg_reply *r)
{
	struct telegram *t = ctx;
	struct tg_poll *p = &t->poll;
	struct err e = ERR_INIT;

	p->call = NULL;
	if (!r->result) {
		failed(t, r);
	} else if (p->step == TG_ME) {
		if (tg_parse_me(r->result, &t->me, &e) < 0) {
			stop(t, CHANNEL_DOWN, &e, 0);
			return;
		}
		p->step = TG_WEBHOOK;
		ask(t);
	} else if (p->step == TG_WEBHOOK) {
		p->step = t->c->ready ? TG_POLL : TG_FIRST;
		ask(t);
	} else {
		on_updates(t, r);
	}
}

static void ask(struct telegram *t)
{
	static const char *const methods[] = {
		[TG_ME] = "getMe",
		[TG_WEBHOOK] = "deleteWebhook",
		[TG_FIRST] = "getUpdates",
		[TG_POLL] = "getUpdates",
	};
	struct tg_poll *p = &t->poll;
	int64_t wait_s = p->step == TG_POLL ? t->poll_s : 0;
	struct tg_opts o = {.total_ms = STEP_MS};
	struct err e = ERR_INIT;
	struct tg_body b;
	char num[24];

	tg_json(&b, "", "");
	if (p->step == TG_WEBHOOK)
		tg_put_raw(&b, "drop_pending_updates", "false");
	if (p->step == TG_FIRST || p->step == TG_POLL) {
		if (p->offset && loop_now(t->c->loop) - p->moved_ms > OFFSET_MAX_MS)
			p->offset = 0;
		if (p->offset) {
			snprintf(num, sizeof(num), "%lld", (long long)p->offset);
			tg_put_raw(&b, "offset", num);
		}
		snprintf(num, sizeof(num), "%lld", (long long)p->limit);
		tg_put_raw(&b, "limit", num);
		snprintf(num, sizeof(num), "%lld", (long long)wait_s);
		tg_put_raw(&b, "timeout", num);
		/* without this list reactions do not come */
		tg_put_raw(
			&b, "allowed_updates",
			"[\"message\",\"edited_message\",\"callback_query\",\"message_reaction\"]");
		o.idle_ms = wait_s * 1000 + POLL_SLACK_MS;
		o.total_ms = 0;
	}
	tg_json_end(&b);
	p->call = tg_call(t, methods[p->step], &b, &o, on_reply, t, &e);
	if (!p->call)
		stop(t, CHANNEL_DOWN, &e, 0);
}

void tg_connect(struct channel *c)
{
	struct telegram *t = c->priv;
	struct tg_poll *p = &t->poll;

	if (!p->next) {
		p->next = timer_new(c->loop, "telegram poll", on_next, t);
		p->watchdog = timer_new(c->loop, "telegram watchdog", on_watchdog, t);
	}
	p->step = TG_ME;
	p->limit = BATCH;
	p->failures = 0;
	p->last[0] = '\0';
	ask(t);
}

void tg_poll_close(struct telegram *t)
{
	t->poll.step = TG_OFF;
	leave_batch(t);
	tg_cancel(steal_ptr(&t->poll.call));
	timer_free(t->poll.next);
	timer_free(t->poll.watchdog);
}
