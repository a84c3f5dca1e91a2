// SPDX-License-Identifier: Apache-2.0
/*
 * The answer as it grows: in a thread as a stream of Slack's (chat.startStream and so on), elsewhere, or where Slack refuses streams, as a message
 * that is edited. One request of a draft is out at a time; what comes meanwhile is dropped, the core brings newer text. A draft that was
 * begun is always found again: a final text that comes while the beginning is out waits for it, and one whose outcome is not known
 * is looked for, so that no half-written message stays behind while the server lives.
 */
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "channels/slack/slack.h"

#define DRAFTS_MAX 512
#define APPEND_MAX 11000   /* bytes of one append; Slack takes 12,000 characters */
#define KEEP_MS	   1800000 /* a draft that nobody touched for so long is forgotten */
#define REFUSED_MS 600000  /* then a stream is tried again */
#define EDIT_MS	   2000 /* all edits of drafts: Slack takes 50 a minute, and final texts need some */

struct slack_draft {
	LIST_ENTRY(slack_draft) link;
	struct slack *s;
	char chat[SLACK_ID], thread[SLACK_TS], ts[SLACK_TS];
	char key[33]; /* in the metadata of one that is a message of its own */
	bool stream;  /* Slack has it open as a stream */
	bool lost;    /* begun, and no answer: it may be there */
	char *first;  /* what the first request held */
	char *sent;   /* what a stream holds by now, as far as we know; NULL when we do not */
	int64_t begun_wall, touched;
	struct slack_call *call;
	struct slack_look *look;
	struct slack_job *waiter; /* the final text */
};

static void draft_free(struct slack_draft *d)
{
	LIST_REMOVE(d, link);
	slack_call_cancel(&d->call);
	slack_look_cancel(&d->look);
	free(d->first);
	free(d->sent);
	free(d);
}

static struct slack_draft *find(struct slack *s, const char *chat, const char *thread)
{
	struct slack_draft *d;

	LIST_FOREACH(d, &s->drafts, link)
	{
		if (streq(d->chat, chat) && streq(d->thread, thread))
			break;
	}
	return d;
}

/* Lets go of drafts that nobody waits for; false when there are too many all the same. */
static bool make_room(struct slack *s)
{
	int64_t now = loop_now(s->loop);
	size_t n = 0;

	for (struct slack_draft *d = LIST_FIRST(&s->drafts), *next; d; d = next) {
		next = LIST_NEXT(d, link);
		if (!d->waiter && !d->call && now - d->touched > KEEP_MS)
			draft_free(d);
		else
			n++;
	}
	return n < DRAFTS_MAX;
}

static struct slack_draft *draft_new(struct slack *s, const char *chat, const char *thread)
{
	struct slack_draft *d = xcalloc(1, sizeof(*d));

	str_random_hex(d->key, 16);
	d->s = s;
	str_copy(d->chat, sizeof(d->chat), chat);
	str_copy(d->thread, sizeof(d->thread), thread);
	d->begun_wall = clock_wall(s->c->clk);
	d->touched = loop_now(s->loop);
	LIST_INSERT_HEAD(&s->drafts, d, link);
	return d;
}

/* --- the beginning --------------------------------------------------------------------------------- */

static void tell_waiter(struct slack_draft *d, const char *ts)
{
	struct slack_job *j = d->waiter;

	d->waiter = NULL;
	if (!*ts)
		draft_free(d);
	slack_job_drafted(j, ts);
}

static void on_looked(void *ctx, enum slack_found f, const char *ts, const struct err *why,
		      int64_t retry_ms)
{
	struct slack_draft *d = ctx;
	struct slack_job *j = d->waiter;
	struct err copy;

	d->look = NULL;
	if (f == SLACK_CANNOT_TELL) {
		/* The row comes again, finds the draft still lost, and looks again. */
		copy = *why;
		d->waiter = NULL;
		slack_job_fail(j, &copy, retry_ms, false);
		return;
	}
	if (f == SLACK_FOUND)
		str_copy(d->ts, sizeof(d->ts), ts);
	d->lost = false;
	tell_waiter(d, f == SLACK_FOUND ? d->ts : "");
}

static void look_for(struct slack_draft *d)
{
	struct slack_want w = {.key = d->key, .bare = d->stream};

	d->look = slack_look(d->s, d->chat, d->thread, &w, d->begun_wall - 5000, on_looked, d);
}

static void on_begun(void *ctx, const struct slack_reply *r)
{
	struct slack_draft *d = ctx;
	struct slack *s = d->s;
	const char *ts = json_peek_str(r->json, "ts");
	bool ok = !r->why.code && ts && slack_is_ts(ts);

	d->call = NULL;
	d->touched = loop_now(s->loop);
	if (ok) {
		str_copy(d->ts, sizeof(d->ts), ts);
		d->sent = steal_ptr(&d->first);
		if (d->waiter)
			tell_waiter(d, d->ts);
		else
			channel_on_draft(s->c, d->chat, d->thread, d->ts);
		return;
	}
	if (!r->why.code || r->unsure) {
		d->lost = true;
		if (d->waiter)
			look_for(d);
		return;
	}
	/* No stream for this app or in this place: the next draft comes as a message. */
	if (d->stream && r->why.code != E_LIMIT && r->why.code != E_TEMP && !r->dead_token) {
		log_info("slack", "no streams", "err=\"%s\"", r->why.msg);
		s->no_stream = loop_now(s->loop) + REFUSED_MS;
	}
	if (d->waiter)
		tell_waiter(d, "");
	else
		draft_free(d);
}

/* Markdown as the agent wrote it, but nothing that Slack could take for a mention: whether it looks for <!channel> in Markdown
 * is not documented, and whoever talks the agent into writing that must not wake a workspace. A "<" at the end may become one. */
static void arg_markdown(struct buf *form, const char *md)
{
	struct buf b = {0};

	for (const char *p = md; *p;) {
		size_t n = strcspn(p, "<");

		buf_put(&b, p, n);
		p += n;
		if (*p != '<')
			break;
		buf_puts(&b, !p[1] || strchr("!@#", p[1]) ? "&lt;" : "<");
		p++;
	}
	slack_arg(form, "markdown_text", b.p ? b.p : "");
	buf_free(&b);
}

static void begin_message(struct slack_draft *d)
{
	struct buf form = {0};

	if (slack_pace(d->s, d->chat) > 0) {
		draft_free(d);
		return;
	}
	slack_args(&form, "channel", d->chat, "text", d->first, NULL);
	if (*d->thread)
		slack_arg(&form, "thread_ts", d->thread);
	slack_args(&form, "unfurl_links", "false", "unfurl_media", "false", NULL);
	slack_arg_metadata(&form, "chela_draft", d->key);
	d->call = slack_call(d->s, SLACK_POST, &form, on_begun, d);
}

static void begin_stream(struct slack_draft *d, const struct draft *u)
{
	struct slack *s = d->s;
	struct buf form = {0};
	size_t n = str_utf8_floor(u->text, strnlen(u->text, APPEND_MAX));

	free(d->first);
	d->first = xstrndup(u->text, n);
	slack_args(&form, "channel", d->chat, "thread_ts", d->thread, NULL);
	arg_markdown(&form, d->first);
	if (d->chat[0] != 'D' && slack_is_id(u->sender)) {
		slack_args(&form, "recipient_user_id", u->sender, "recipient_team_id", s->self.team,
			   NULL);
	}
	d->call = slack_call(s, SLACK_START_STREAM, &form, on_begun, d);
}

static void begin(struct slack *s, const struct draft *u)
{
	struct slack_draft *d;

	if (!make_room(s))
		return;
	d = draft_new(s, u->chat, u->thread);
	d->stream = *u->thread && s->no_stream <= loop_now(s->loop);
	d->first = xstrdup(u->body);
	if (d->stream)
		begin_stream(d, u);
	else
		begin_message(d);
}

/* --- more of it ------------------------------------------------------------------------------------ */

static void on_appended(void *ctx, const struct slack_reply *r)
{
	struct slack_draft *d = ctx;

	d->call = NULL;
	d->touched = loop_now(d->s->loop);
	if (!r->why.code) {
		if (d->first) {
			free(d->sent);
			d->sent = steal_ptr(&d->first);
		}
	} else if (d->stream && r->unsure) {
		/* Whether the piece is there is not known, so no further piece fits: the final text puts it right. */
		free(d->sent);
		d->sent = NULL;
	} else if (streq(r->error, "message_not_in_streaming_state")) {
		d->stream = false; /* Slack ends a stream after some minutes: edits go on with it */
	}
	if (d->waiter)
		tell_waiter(d, d->ts);
}

static void append(struct slack_draft *d, const char *text)
{
	struct buf form = {0};
	size_t have = d->sent ? strlen(d->sent) : 0, n;

	if (!d->sent || strncmp(text, d->sent, have) != 0 || !text[have])
		return;
	n = str_utf8_floor(text + have, strnlen(text + have, APPEND_MAX));
	free(d->first);
	d->first = xstrndup(text, have + n);
	slack_args(&form, "channel", d->chat, "ts", d->ts, NULL);
	arg_markdown(&form, d->first + have);
	d->call = slack_call(d->s, SLACK_APPEND_STREAM, &form, on_appended, d);
}

static void edit(struct slack_draft *d, const char *body)
{
	struct buf form = {0};

	if (d->s->edit_due > loop_now(d->s->loop))
		return;
	d->s->edit_due = loop_now(d->s->loop) + EDIT_MS;
	slack_args(&form, "channel", d->chat, "ts", d->ts, "text", body, "blocks", "[]", NULL);
	d->call = slack_call(d->s, SLACK_UPDATE, &form, on_appended, d);
}

void slack_draft(struct channel *c, const struct draft *u)
{
	struct slack *s = c->priv;
	struct slack_draft *d = find(s, u->chat, u->thread);

	if (!s->up || !slack_is_id(u->chat) || (*u->thread && !slack_is_ts(u->thread)) ||
	    (d && (d->call || d->look || d->waiter || d->lost)))
		return;
	if (!*u->id) {
		/* A new turn. What a former one left behind is no longer ours to change. */
		if (d)
			draft_free(d);
		begin(s, u);
		return;
	}
	if (!d || !streq(d->ts, u->id))
		return;
	if (d->stream)
		append(d, u->text);
	else
		edit(d, u->body);
}

/* --- the final text -------------------------------------------------------------------------------- */

/* An edit that is out must not land on top of the final text; a notice has no claim on a draft whose beginning is out. */
bool slack_draft_await(struct slack_job *j)
{
	struct slack_draft *d = LIST_FIRST(&j->s->drafts);

	if (*j->target) {
		while (d && (!streq(d->chat, j->chat) || !streq(d->ts, j->target)))
			d = LIST_NEXT(d, link);
		if (!d || d->waiter || !d->call)
			return false;
	} else {
		d = find(j->s, j->chat, j->thread);
		if (!d || d->waiter || *d->ts || j->notice || (!d->call && !d->lost))
			return false;
	}
	d->waiter = j;
	if (!d->call)
		look_for(d);
	return true;
}

bool slack_draft_take(struct slack *s, const char *chat, const char *ts)
{
	struct slack_draft *d;

	LIST_FOREACH(d, &s->drafts, link)
	{
		bool stream = d->stream;

		if (!streq(d->chat, chat) || !streq(d->ts, ts))
			continue;
		draft_free(d);
		return stream;
	}
	return false;
}

void slack_draft_forget(struct slack_job *j)
{
	struct slack_draft *d;

	LIST_FOREACH(d, &j->s->drafts, link)
	{
		if (d->waiter == j)
			d->waiter = NULL;
	}
}

void slack_draft_close(struct slack *s)
{
	while (!LIST_EMPTY(&s->drafts))
		draft_free(LIST_FIRST(&s->drafts));
}
