// SPDX-License-Identifier: Apache-2.0
/*
 * Looking whether a message of ours has arrived, before it is sent a second time: through the chat's history, or a thread's
 * replies, by the private key in the message's metadata. "Not there" is said only when all was read; when that cannot be, the answer is
 * "cannot tell", never a guess.
 */
#include <string.h>
#include "base/str.h"
#include "channels/slack/slack.h"

#define PAGE  "200"
#define PAGES 20

struct slack_look {
	struct slack *s;
	char *chat, *thread, *key, *file_id, *file_name, *cursor;
	int64_t file_size, since_ms;
	bool bare;
	int pages;
	struct slack_call *call;
	slack_look_fn *fn;
	void *ctx;
};

static void look_free(struct slack_look *l)
{
	slack_call_cancel(&l->call);
	free(l->chat);
	free(l->thread);
	free(l->key);
	free(l->file_id);
	free(l->file_name);
	free(l->cursor);
	free(l);
}

static void look_tell(struct slack_look *l, enum slack_found f, const char *ts,
		      const struct err *why, int64_t retry_ms)
{
	slack_look_fn *fn = l->fn;
	void *ctx = l->ctx;

	look_free(l);
	fn(ctx, f, ts, why, retry_ms);
}

static bool has_file(const struct slack_look *l, const cJSON *msg)
{
	const cJSON *f;

	cJSON_ArrayForEach(f, json_find(msg, "files"))
	{
		const char *id = json_peek_str(f, "id"), *name = json_peek_str(f, "name");

		if (l->file_id && id && streq(id, l->file_id))
			return true;
		if (!l->file_id && name && streq(name, l->file_name) &&
		    json_peek_i64(f, "size", -1) == l->file_size)
			return true;
	}
	return false;
}

static bool matches(const struct slack_look *l, const cJSON *msg)
{
	const char *user = json_peek_str(msg, "user"), *bot = json_peek_str(msg, "bot_id");
	const char *key = json_peek_str(msg, "metadata.event_payload.key");

	if (!(user && streq(user, l->s->self.user)) && !(bot && *bot && streq(bot, l->s->self.bot)))
		return false;
	if (l->key && key && streq(key, l->key))
		return true;
	if (l->bare)
		return !key && !json_find(msg, "files.0");
	return (l->file_id || l->file_name) && has_file(l, msg);
}

static void look_page(struct slack_look *l);

static void on_page(void *ctx, const struct slack_reply *r)
{
	struct slack_look *l = ctx;
	const char *next = json_peek_str(r->json, "response_metadata.next_cursor");
	const cJSON *list = json_find(r->json, "messages"), *m;
	struct err e = ERR_INIT;

	l->call = NULL;
	if (r->why.code) {
		look_tell(l, SLACK_CANNOT_TELL, "", &r->why, r->retry_ms);
		return;
	}
	if (!cJSON_IsArray(list)) {
		err_set(&e, E_TEMP, "Slack: a history without messages");
		look_tell(l, SLACK_CANNOT_TELL, "", &e, 0);
		return;
	}
	cJSON_ArrayForEach(m, list)
	{
		const char *ts = json_peek_str(m, "ts");

		if (ts && slack_is_ts(ts) && slack_ts_ms(ts) >= l->since_ms && matches(l, m)) {
			look_tell(l, SLACK_FOUND, ts, NULL, 0);
			return;
		}
	}
	if (!next || !*next) {
		look_tell(l, SLACK_ABSENT, "", NULL, 0);
	} else if (++l->pages == PAGES || strlen(next) > 1000) {
		err_set(&e, E_IO,
			"it may have been sent before a break, and Slack's history is too long to "
			"tell: not sent again");
		look_tell(l, SLACK_CANNOT_TELL, "", &e, 0);
	} else {
		free(l->cursor);
		l->cursor = xstrdup(next);
		look_page(l);
	}
}

static void look_page(struct slack_look *l)
{
	struct buf form = {0};
	char oldest[SLACK_TS];

	snprintf(oldest, sizeof(oldest), "%lld.%06d", (long long)(l->since_ms / 1000),
		 (int)(l->since_ms % 1000) * 1000);
	slack_arg(&form, "channel", l->chat);
	if (*l->thread)
		slack_arg(&form, "ts", l->thread);
	slack_args(&form, "oldest", oldest, "limit", PAGE, "include_all_metadata", "true", NULL);
	if (l->cursor)
		slack_arg(&form, "cursor", l->cursor);
	l->call = slack_call(l->s, *l->thread ? SLACK_REPLIES : SLACK_HISTORY, &form, on_page, l);
}

struct slack_look *slack_look(struct slack *s, const char *chat, const char *thread,
			      const struct slack_want *w, int64_t since_ms, slack_look_fn *fn,
			      void *ctx)
{
	struct slack_look *l = xcalloc(1, sizeof(*l));

	*l = (struct slack_look){
		.s = s,
		.chat = xstrdup(chat),
		.thread = xstrdup(thread),
		.key = w->key ? xstrdup(w->key) : NULL,
		.file_id = w->file_id ? xstrdup(w->file_id) : NULL,
		.file_name = w->file_name ? xstrdup(w->file_name) : NULL,
		.file_size = w->file_size,
		.since_ms = since_ms,
		.bare = w->bare,
		.fn = fn,
		.ctx = ctx,
	};
	look_page(l);
	return l;
}

void slack_look_cancel(struct slack_look **l)
{
	if (*l)
		look_free(*l);
	*l = NULL;
}
