// SPDX-License-Identifier: Apache-2.0
/*
 * Notices: what Chela itself tells a chat when something could not be done. Every message that is given up ends in one, and no chat gets
 * a flood of them: past a few in a minute they are counted and told together.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "base/redact.h"
#include "base/str.h"
#include "router/schedule.h"

#define BURST	       4
#define WINDOW_MS      60000
#define UNDELIVERED_MS 600000 /* one notice a chat and class of error in this time */

/* What a chat was told lately. */
struct told {
	struct router *r;
	int64_t chat_id, group_id;
	char thread[128];
	int64_t given, brief;		   /* notices in this window; brief ones */
	int64_t held;			   /* messages that none was given for yet */
	char why[200];			   /* of the last of those */
	int64_t undelivered_ms[E_BUG + 1]; /* when a lost message was last told, by class */
	struct timer *window;
};

static void told_free(struct told *t)
{
	map_del(&t->r->told, t->chat_id);
	timer_free(t->window);
	free(t);
}

static bool told_is_old(const struct told *t)
{
	int64_t now = loop_now(t->r->loop);

	for (size_t i = 0; i <= E_BUG; i++) {
		if (t->undelivered_ms[i] && now - t->undelivered_ms[i] < UNDELIVERED_MS)
			return false;
	}
	return true;
}

static void tell_failed(struct told *t, int64_t n, const char *more, const char *why)
{
	if (n == 1 && !more[0])
		delivery_notice(t->r, t->chat_id, t->group_id, t->thread,
				"I could not answer your message: %s", why);
	else
		delivery_notice(t->r, t->chat_id, t->group_id, t->thread,
				"I could not answer %lld %smessage%s: %s", (long long)n, more,
				n == 1 ? "" : "s", why);
}

#define HELD_KEY "held."

/* What is held back is durable with the failures that it counts: a crash must not swallow it. */
static void hold(struct told *t, int64_t n, const char *why)
{
	struct err e = ERR_INIT;
	_cleanup_free_ char *value = NULL;
	char key[40];

	t->held += n;
	if (n)
		snprintf(t->why, sizeof(t->why), "%s", why);
	else
		t->held = 0;
	value = xasprintf("%lld %lld %s\n%s", (long long)t->group_id, (long long)t->held, t->thread,
			  t->why);
	snprintf(key, sizeof(key), HELD_KEY "%lld", (long long)t->chat_id);
	if (store_setting_set(t->r->store, key, n ? value : NULL, &e) < 0)
		router_fatal(t->r, &e);
}

static void tell_held(struct told *t)
{
	tell_failed(t, t->held, "more ", t->why);
	hold(t, 0, "");
}

static void window_end(void *ctx)
{
	struct told *t = ctx;

	t->brief = 0;
	if (t->held) {
		tell_held(t);
		t->given = BURST; /* and the next wait again */
		timer_start(t->window, WINDOW_MS, 0);
	} else if (told_is_old(t)) {
		told_free(t);
	} else {
		t->given = 0;
		timer_start(t->window, UNDELIVERED_MS, 0);
	}
}

static struct told *told_get(struct router *r, int64_t chat_id)
{
	struct told *t = map_get(&r->told, chat_id);

	if (t)
		return t;
	t = xcalloc(1, sizeof(*t));
	t->r = r;
	t->chat_id = chat_id;
	t->window = timer_new(r->loop, "notice window", window_end, t);
	timer_start(t->window, WINDOW_MS, 0);
	map_put(&r->told, chat_id, t);
	return t;
}

void notice_free(struct router *r)
{
	for (size_t i = 0; i < r->told.cap; i++) {
		struct told *t = r->told.slots[i].value;

		if (!t)
			continue;
		timer_free(t->window);
		free(t);
	}
	map_free(&r->told);
}

void notice_flush(struct router *r)
{
	for (size_t i = 0; i < r->told.cap; i++) {
		struct told *t = r->told.slots[i].value;

		if (t && t->held)
			tell_held(t);
	}
}

static void recall(void *ctx, const char *key, const char *value)
{
	struct told *t = told_get(ctx, strtoll(key + strlen(HELD_KEY), NULL, 10));
	const char *nl = strchr(value, '\n');
	char *p;

	t->group_id = strtoll(value, &p, 10);
	t->held = strtoll(p, &p, 10);
	snprintf(t->thread, sizeof(t->thread), "%.*s", nl && *p ? (int)(nl - p - 1) : 0,
		 *p ? p + 1 : p);
	snprintf(t->why, sizeof(t->why), "%s", nl ? nl + 1 : "");
}

int notice_recover(struct router *r, struct err *e)
{
	if (store_settings_each(r->store, HELD_KEY, recall, r, e) < 0)
		return -1;
	notice_flush(r);
	return 0;
}

void notice_words(char *dst, size_t cap, const char *words)
{
	_cleanup_(buf_free) struct buf clean = {0};

	redact(&clean, words, strlen(words));
	str_copy(dst, cap, clean.p ? clean.p : "");
	dst[str_utf8_floor(dst, strlen(dst))] = '\0';
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

void notice_brief(struct router *r, int64_t chat_id, int64_t group_id, const char *thread,
		  const char *text)
{
	struct told *t = told_get(r, chat_id);

	if (t->brief++ < BURST)
		delivery_notice(r, chat_id, group_id, thread, "%s", text);
}

void notice_main(struct router *r, const char *fmt, ...)
{
	struct err e = ERR_INIT;
	int64_t chat_id = 0, group_id = 0;
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (store_main_chat(r->store, &chat_id, &group_id, &e) < 0)
		router_fatal(r, &e);
	else if (chat_id)
		delivery_notice(r, chat_id, group_id, "", "%s", text);
}

void notice_undelivered(struct router *r, const struct chat_row *chat, int64_t group_id,
			const char *thread, int64_t outbox_id, const struct err *why)
{
	struct told *t = told_get(r, chat->id);
	int64_t now = loop_now(r->loop), *last = &t->undelivered_ms[why->code];
	int64_t main_chat = 0, main_group;
	struct err e = ERR_INIT;

	if (*last && now - *last < UNDELIVERED_MS)
		return;
	*last = now ? now : 1;
	if (store_main_chat(r->store, &main_chat, &main_group, &e) < 0) {
		router_fatal(r, &e);
		return;
	}
	/* The chat itself can be told unless it is gone or we are shut out. */
	if (main_chat != chat->id && why->code != E_GONE && why->code != E_AUTH &&
	    why->code != E_TEMP)
		delivery_notice(r, chat->id, group_id, thread,
				"A message of mine could not be delivered: %.300s", why->msg);
	notice_main(r,
		    "A message for %s:%s could not be delivered: %.200s\nSee `chela outbox`; try "
		    "it again with `chela outbox retry %lld`.",
		    chat->channel, chat->platform_id, why->msg, (long long)outbox_id);
}

const char *router_lead(const char *channel)
{
	return streq(channel, "slack") ? "/chela " : "/";
}

const char *notice_main_lead(struct router *r)
{
	struct err e = ERR_INIT;
	struct chat_row chat = {.id = 0};
	int64_t id, group;

	if (store_main_chat(r->store, &id, &group, &e) < 0 ||
	    (id && store_chat_get(r->store, id, &chat, &e) < 0))
		router_fatal(r, &e);
	return router_lead(chat.channel);
}

/* --- messages that could not be answered -------------------------------------------------- */

void fail_notice_add(void *ctx, const struct msg_row *m)
{
	struct fail_notice *f = ctx;

	if (m->task_run_id) { /* its own notice comes when no try is left */
		run_over(f->r, m->task_run_id, m->turn_id, f->stopped ? RUN_STOPPED : RUN_FAILED,
			 "", f->why);
		return;
	}
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
	struct told *t;

	if (!f->count)
		return;
	t = told_get(f->r, f->chat_id);
	t->group_id = f->group_id;
	str_copy(t->thread, sizeof(t->thread), f->thread);
	if (t->given < BURST) {
		t->given++;
		if (f->count == 1)
			tell_failed(t, 1, "", f->why);
		else
			delivery_notice(f->r, f->chat_id, f->group_id, f->thread,
					"I could not answer your last %lld messages: %s",
					(long long)f->count, f->why);
	} else {
		hold(t, f->count, f->why);
	}
	f->count = 0;
}

/* --- what became of incoming messages ----------------------------------------------------- */

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
	/* An edit or so: the platform knows no message by this id. */
	if (!platform_id[0] || msg_is_event(platform_id))
		return;
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
