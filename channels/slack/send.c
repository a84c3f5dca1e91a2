// SPDX-License-Identifier: Apache-2.0
/*
 * What goes out: one job a row of the outbox. Texts and questions are posted at most one a second and chat, with the row's key in
 * the message's metadata; a row that may have arrived is looked for first. A text whose draft is there already replaces it. It must
 * never post again what cannot be told to be absent, and never let one chat's pace hold another's.
 */
#include <string.h>
#include "base/str.h"
#include "channels/slack/slack.h"

#define PACE_MS	    1000
#define HOLD_MS	    60000 /* a limit of Slack's that is over so soon is waited out here */
#define SKEW_MS	    60000 /* Slack's clock against ours */
#define REMOVE_MOST 10

struct slack_pace {
	struct slack_pace *next;
	int64_t due;
	char chat[SLACK_ID];
};

static void text_go(struct slack_job *j);
static void update(struct slack_job *j);

/* --- jobs ---------------------------------------------------------------------------------------- */

static void job_free(struct slack_job *j)
{
	LIST_REMOVE(j, link);
	slack_draft_forget(j);
	slack_call_cancel(&j->call);
	slack_look_cancel(&j->look);
	slack_upload_cancel(&j->upload);
	timer_free(j->wait);
	for (size_t i = 0; i < j->n_buttons; i++) {
		free((char *)j->buttons[i].label);
		free((char *)j->buttons[i].value);
	}
	free(j->buttons);
	free((char *)j->file.path);
	free((char *)j->file.name);
	free((char *)j->file.mime);
	free(j->chat);
	free(j->thread);
	free(j->body);
	free(j->target);
	free(j);
}

void slack_job_done(struct slack_job *j, const char *platform_id)
{
	char id[SLACK_KEY];
	struct channel *c = j->s->c;
	int64_t out = j->id;

	str_copy(id, sizeof(id), platform_id);
	job_free(j);
	channel_on_sent(c, out, &(struct sent){.platform_id = id});
}

void slack_job_fail(struct slack_job *j, const struct err *why, int64_t retry_ms, bool unsure)
{
	struct err copy = *why;
	struct channel *c = j->s->c;
	int64_t out = j->id;

	job_free(j);
	channel_on_sent(c, out,
			&(struct sent){.why = &copy, .retry_ms = retry_ms, .unsure = unsure});
}

void slack_job_refused(struct slack_job *j, const struct slack_reply *r)
{
	struct err why = r->why;

	/* Nothing is wrong with the row: it waits for a token that works. */
	if (r->dead_token) {
		slack_stuck(j->s, why.msg);
		why.code = E_TEMP;
	}
	slack_job_fail(j, &why, r->retry_ms, r->unsure);
}

int64_t slack_pace(struct slack *s, const char *chat)
{
	int64_t now = loop_now(s->loop);
	struct slack_pace *p, **at = &s->paces;

	while ((p = *at)) {
		if (p->due <= now) {
			*at = p->next;
			free(p);
			continue;
		}
		if (streq(p->chat, chat))
			return p->due - now;
		at = &p->next;
	}
	p = xcalloc(1, sizeof(*p));
	p->next = s->paces;
	p->due = now + PACE_MS;
	str_copy(p->chat, sizeof(p->chat), chat);
	s->paces = p;
	return 0;
}

/* --- texts and questions --------------------------------------------------------------------------- */

void slack_arg_metadata(struct buf *form, const char *type, const char *key)
{
	_cleanup_free_ char *json =
		xasprintf("{\"event_type\":\"%s\",\"event_payload\":{\"key\":\"%s\"}}", type, key);

	slack_arg(form, "metadata", json);
}

static void on_posted(void *ctx, const struct slack_reply *r)
{
	struct slack_job *j = ctx;
	const char *ts = json_peek_str(r->json, "ts");
	struct err e = ERR_INIT;

	j->call = NULL;
	if (r->why.code && *j->thread &&
	    (streq(r->error, "thread_not_found") || streq(r->error, "cannot_reply_to_message"))) {
		*j->thread = '\0'; /* what it answers is gone: the chat is not */
		text_go(j);
	} else if (r->why.code) {
		slack_job_refused(j, r);
	} else if (!ts || !slack_is_ts(ts)) {
		err_set(&e, E_TEMP, "Slack: chat.postMessage gave no ts");
		slack_job_fail(j, &e, 0, true);
	} else {
		slack_job_done(j, ts);
	}
}

static void on_wait(void *ctx)
{
	struct slack_job *j = ctx;

	j->then(j);
}

void slack_job_later(struct slack_job *j, int64_t ms, void (*then)(struct slack_job *j))
{
	if (!j->wait)
		j->wait = timer_new(j->s->loop, "slack pace", on_wait, j);
	j->then = then;
	timer_start(j->wait, ms, 0);
}

bool slack_job_hold(struct slack_job *j, enum slack_method m, bool paced,
		    void (*then)(struct slack_job *j))
{
	int64_t ms = j->s->blocked[m] - loop_now(j->s->loop);

	if (ms > HOLD_MS)
		return false;
	if (ms <= 0 && paced)
		ms = slack_pace(j->s, j->chat);
	if (ms <= 0)
		return false;
	slack_job_later(j, ms, then);
	return true;
}

static void post(struct slack_job *j)
{
	struct slack *s = j->s;
	struct buf form = {0};

	if (slack_job_hold(j, SLACK_POST, true, post))
		return;
	slack_args(&form, "channel", j->chat, "text", j->body, NULL);
	if (*j->thread)
		slack_arg(&form, "thread_ts", j->thread);
	if (j->kind == OUTBOUND_ASK)
		slack_arg_question(&form, j->body, j->buttons, j->n_buttons);
	/* Slack would fetch what a link names: a way out for what an agent was talked into writing. */
	slack_args(&form, "unfurl_links", "false", "unfurl_media", "false", NULL);
	slack_arg_metadata(&form, "chela_out", j->key);
	j->call = slack_call(s, SLACK_POST, &form, on_posted, j);
}

static void go(struct slack_job *j)
{
	if (j->kind == OUTBOUND_FILE)
		slack_upload(j);
	else
		post(j);
}

static void on_looked(void *ctx, enum slack_found f, const char *ts, const struct err *why,
		      int64_t retry_ms)
{
	struct slack_job *j = ctx;

	j->look = NULL;
	if (f == SLACK_FOUND)
		slack_job_done(j, ts);
	else if (f == SLACK_ABSENT)
		go(j);
	else
		slack_job_fail(j, why, retry_ms, true);
}

static void text_go(struct slack_job *j)
{
	struct slack_want w = {.key = j->key};

	if (!j->again) {
		go(j);
		return;
	}
	if (j->kind == OUTBOUND_FILE)
		w = (struct slack_want){.file_name = j->file.name, .file_size = j->file.size};
	j->look = slack_look(j->s, j->chat, j->thread, &w, j->made_ms - SKEW_MS, on_looked, j);
}

/* --- edits ----------------------------------------------------------------------------------------- */

static void on_stopped(void *ctx, const struct slack_reply *r)
{
	struct slack_job *j = ctx;

	(void)r; /* a stream that ended by itself is as good; any other trouble shows in the update */
	j->call = NULL;
	update(j);
}

static void stop_stream(struct slack_job *j)
{
	struct buf form = {0};

	j->restreamed = true;
	slack_args(&form, "channel", j->chat, "ts", j->target, NULL);
	j->call = slack_call(j->s, SLACK_STOP_STREAM, &form, on_stopped, j);
}

static void on_updated(void *ctx, const struct slack_reply *r)
{
	struct slack_job *j = ctx;
	bool gone = streq(r->error, "message_not_found") ||
		    streq(r->error, "cant_update_message") || streq(r->error, "edit_window_closed");

	j->call = NULL;
	if (!r->why.code) {
		slack_job_done(j, j->target);
	} else if (streq(r->error, "streaming_state_conflict") && !j->restreamed) {
		stop_stream(j);
	} else if (gone && j->kind == OUTBOUND_TEXT) {
		*j->target = '\0'; /* somebody took the draft away: the answer comes anew */
		text_go(j);
	} else {
		slack_job_refused(j, r);
	}
}

static void update(struct slack_job *j)
{
	struct buf form = {0};

	if (slack_job_hold(j, SLACK_UPDATE, false, update))
		return;
	slack_args(&form, "channel", j->chat, "ts", j->target, "text", j->body, NULL);
	slack_arg(&form, "blocks",
		  "[]"); /* of a stream or a question: else Slack keeps showing those */
	if (j->kind == OUTBOUND_TEXT)
		slack_arg_metadata(&form, "chela_out", j->key);
	j->call = slack_call(j->s, SLACK_UPDATE, &form, on_updated, j);
}

void slack_job_drafted(struct slack_job *j, const char *ts)
{
	char *target;

	if (!*ts) {
		text_go(j);
		return;
	}
	target = xstrdup(ts); /* ts may be j->target */
	free(j->target);
	j->target = target;
	if (slack_draft_take(j->s, j->chat, target))
		stop_stream(j);
	else
		update(j);
}

/* --- reactions ------------------------------------------------------------------------------------- */

static void reactions_get(struct slack_job *j);

static void on_reacted(void *ctx, const struct slack_reply *r)
{
	struct slack_job *j = ctx;

	j->call = NULL;
	if (r->why.code && !streq(r->error, "already_reacted") && !streq(r->error, "no_reaction"))
		slack_job_refused(j, r);
	else if (*j->emoji || --j->left == 0)
		slack_job_done(j, j->target);
	else
		reactions_get(j);
}

static void react(struct slack_job *j, enum slack_method m, const char *name)
{
	struct buf form = {0};

	slack_args(&form, "channel", j->chat, "timestamp", j->target, "name", name, NULL);
	j->call = slack_call(j->s, m, &form, on_reacted, j);
}

static void on_reactions(void *ctx, const struct slack_reply *r)
{
	struct slack_job *j = ctx;
	const cJSON *one, *user;

	j->call = NULL;
	if (r->why.code) {
		slack_job_refused(j, r);
		return;
	}
	cJSON_ArrayForEach(one, json_find(r->json, "message.reactions"))
	{
		const char *name = json_peek_str(one, "name");

		cJSON_ArrayForEach(user, json_find(one, "users"))
		{
			if (!name || !cJSON_IsString(user) ||
			    !streq(user->valuestring, j->s->self.user))
				continue;
			react(j, SLACK_UNREACT, name);
			return;
		}
	}
	slack_job_done(j, j->target);
}

static void reactions_get(struct slack_job *j)
{
	struct buf form = {0};

	slack_args(&form, "channel", j->chat, "timestamp", j->target, "full", "true", NULL);
	j->call = slack_call(j->s, SLACK_REACTIONS, &form, on_reactions, j);
}

/* --- the op ---------------------------------------------------------------------------------------- */

static void copy_parts(struct slack_job *j, const struct outbound *o)
{
	if (o->file && o->kind == OUTBOUND_FILE)
		j->file = (struct out_file){xstrdup(o->file->path), xstrdup(o->file->name),
					    xstrdup(o->file->mime), o->file->size};
	if (!o->n_buttons || o->kind != OUTBOUND_ASK)
		return;
	j->buttons = xcalloc(o->n_buttons, sizeof(*j->buttons));
	j->n_buttons = o->n_buttons;
	for (size_t i = 0; i < o->n_buttons; i++) {
		j->buttons[i].label = xstrdup(o->buttons[i].label);
		j->buttons[i].value = xstrdup(o->buttons[i].value);
	}
}

static int check(const struct outbound *o, char emoji[64], struct err *e)
{
	if (!slack_is_id(o->chat))
		return err_set(e, E_GONE, "%.60s is no Slack channel", o->chat);
	if (*o->thread && !slack_is_ts(o->thread))
		return err_set(e, E_INVAL, "%.60s is no thread of Slack", o->thread);
	if ((o->kind == OUTBOUND_EDIT || o->kind == OUTBOUND_REACTION) && !slack_is_ts(o->target))
		return err_set(e, E_INVAL,
			       "%.60s is no message that can be changed or reacted to (a file sent "
			       "to Slack is none)",
			       o->target);
	if (o->kind == OUTBOUND_TEXT && *o->target && !slack_is_ts(o->target))
		return err_set(e, E_BUG, "%.60s is no draft of Slack", o->target);
	if (o->kind == OUTBOUND_REACTION && *o->emoji && !slack_emoji_name(o->emoji, emoji, 64))
		return err_set(
			e, E_INVAL,
			"Slack's name of the emoji %.20s is not known here: take a common one, "
			"such as \xf0\x9f\x91\x8d \xe2\x9d\xa4 \xe2\x9c\x85 \xf0\x9f\x8e\x89",
			o->emoji);
	if (o->kind == OUTBOUND_FILE && !o->file)
		return err_set(e, E_BUG, "a file row without its file");
	return 0;
}

static void job_start(struct slack_job *j)
{
	switch (j->kind) {
	case OUTBOUND_TEXT:
		if (!slack_draft_await(j))
			slack_job_drafted(j, j->target);
		break;
	case OUTBOUND_ASK:
	case OUTBOUND_FILE:
		text_go(j);
		break;
	case OUTBOUND_EDIT:
		update(j);
		break;
	case OUTBOUND_REACTION:
		if (*j->emoji) {
			react(j, SLACK_REACT, j->emoji);
		} else {
			j->left = REMOVE_MOST;
			reactions_get(j);
		}
		break;
	}
}

int slack_send(struct channel *c, const struct outbound *o, struct err *e)
{
	struct slack *s = c->priv;
	struct slack_job *j;
	char emoji[64] = "";

	if (check(o, emoji, e) < 0)
		return -1;
	j = xcalloc(1, sizeof(*j));
	*j = (struct slack_job){
		.s = s,
		.id = o->id,
		.kind = o->kind,
		.chat = xstrdup(o->chat),
		.thread = xstrdup(o->thread),
		.body = xstrdup(o->body ? o->body : ""),
		.target = xstrdup(o->target ? o->target : ""),
		.again = o->again,
		.made_ms = o->made_ms,
		.notice = o->notice,
	};
	str_copy(j->key, sizeof(j->key), o->key);
	str_copy(j->emoji, sizeof(j->emoji), emoji);
	copy_parts(j, o);
	LIST_INSERT_HEAD(&s->jobs, j, link);
	job_start(j);
	return 0;
}

void slack_send_close(struct slack *s)
{
	while (!LIST_EMPTY(&s->jobs))
		job_free(LIST_FIRST(&s->jobs));
	while (s->paces) {
		struct slack_pace *p = s->paces;

		s->paces = p->next;
		free(p);
	}
}
