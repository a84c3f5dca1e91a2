// SPDX-License-Identifier: Apache-2.0
/*
 * The line under a thread that says what the assistant does (assistant.threads.setStatus). Slack takes it away after two minutes or
 * with our next message, so it is set again before that. Top-level chats have no such line. It may be lost freely; at most one
 * request of a thread is out, and only the newest words wait behind it.
 */
#include <string.h>
#include "base/log.h"
#include "base/str.h"
#include "channels/slack/slack.h"

#define REFRESH_MS 90000
#define LEAST_MS   1500 /* between two words of one thread */
#define REFUSED_MS 600000
#define STATUS_MAX 256 /* threads at once */
#define WORDS_MAX  120 /* bytes */
#define THINKING   "is thinking..."

struct slack_status {
	LIST_ENTRY(slack_status) link;
	struct slack *s;
	char chat[SLACK_ID], thread[SLACK_TS];
	char words[WORDS_MAX + 1]; /* to be shown; "" = none any more */
	bool stale;		   /* Slack does not show them yet */
	bool over;		   /* the turn has ended */
	int64_t told;
	struct slack_call *call;
	struct timer *due;
};

static void status_free(struct slack_status *t)
{
	LIST_REMOVE(t, link);
	slack_call_cancel(&t->call);
	timer_free(t->due);
	free(t);
}

static void show(struct slack_status *t);

static void on_shown(void *ctx, const struct slack_reply *r)
{
	struct slack_status *t = ctx;

	t->call = NULL;
	if (r->why.code && r->why.code != E_TEMP && r->why.code != E_LIMIT) {
		log_info("slack", "no status line", "err=\"%s\"", r->why.msg);
		t->s->no_status = loop_now(t->s->loop) + REFUSED_MS;
		status_free(t);
	} else if (t->over && !t->stale) {
		status_free(t);
	} else if (t->stale) {
		show(t);
	} else {
		timer_start(t->due, REFRESH_MS, 0);
	}
}

static void on_due(void *ctx)
{
	struct slack_status *t = ctx;

	t->stale = true;
	show(t);
}

static void show(struct slack_status *t)
{
	struct buf form = {0};
	int64_t wait = t->told + LEAST_MS - loop_now(t->s->loop);

	if (t->call || !t->stale)
		return;
	if (wait > 0) {
		timer_start(t->due, wait, 0);
		return;
	}
	t->stale = false;
	t->told = loop_now(t->s->loop);
	timer_stop(t->due);
	slack_args(&form, "channel_id", t->chat, "thread_ts", t->thread, "status", t->words, NULL);
	t->call = slack_call(t->s, SLACK_SET_STATUS, &form, on_shown, t);
}

static struct slack_status *find(struct slack *s, const char *chat, const char *thread)
{
	struct slack_status *t;

	LIST_FOREACH(t, &s->statuses, link)
	{
		if (streq(t->chat, chat) && streq(t->thread, thread))
			break;
	}
	return t;
}

static struct slack_status *status_new(struct slack *s, const char *chat, const char *thread)
{
	struct slack_status *t;
	size_t n = 0;

	LIST_FOREACH(t, &s->statuses, link)
	{
		n++;
	}
	if (n >= STATUS_MAX)
		return NULL;
	t = xcalloc(1, sizeof(*t));
	t->s = s;
	str_copy(t->chat, sizeof(t->chat), chat);
	str_copy(t->thread, sizeof(t->thread), thread);
	t->told = -LEAST_MS;
	t->due = timer_new(s->loop, "slack status", on_due, t);
	LIST_INSERT_HEAD(&s->statuses, t, link);
	return t;
}

void slack_progress(struct channel *c, const char *chat, const char *thread,
		    enum progress_kind kind, const char *text)
{
	struct slack *s = c->priv;
	struct slack_status *t = find(s, chat, thread);
	const char *words = kind == PROGRESS_START ? THINKING : kind == PROGRESS_TOOL ? text : "";

	if (kind == PROGRESS_TEXT || (!t && kind == PROGRESS_END))
		return;
	if (!t && s->up && slack_is_id(chat) && slack_is_ts(thread) &&
	    s->no_status <= loop_now(s->loop))
		t = status_new(s, chat, thread);
	if (!t)
		return;
	t->over = kind == PROGRESS_END;
	if (!t->over && streq(t->words, words))
		return;
	str_one_line(t->words, sizeof(t->words), words);
	t->stale = true;
	show(t);
}

void slack_status_close(struct slack *s)
{
	while (!LIST_EMPTY(&s->statuses))
		status_free(LIST_FIRST(&s->statuses));
}
