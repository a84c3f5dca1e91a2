// SPDX-License-Identifier: Apache-2.0
/*
 * Signs of life while a turn runs: typing, tools in words, and the answer as far as it is known. Where the platform shows a draft, its text is kept here and
 * drawn at the channel's pace; only the newest is ever shown. Nothing here is durable but the draft's id, and nothing here may hold up an
 * answer: while something waits to be sent to the chat, nothing is drawn, because the answer may just be taking the draft's place.
 */
#include <string.h>
#include "base/redact.h"
#include "base/str.h"
#include "router/format.h"
#include "router/impl.h"
#include "router/markdown.h"
#include "router/settings.h"

#define DRAFT_MAX ((size_t)64 << 10) /* bytes; more than any platform shows at once */
#define FIRST_MS  700		     /* before the first draft: a short answer comes without one */

struct progress {
	struct progress *next;
	struct session *s;
	bool active; /* a turn runs, and its chat has drafts */
	struct channel *chan;
	struct chat_row chat;
	char *thread;
	char reply_to[128], sender[128]; /* of the message that began the turn */
	struct buf text;
	char words[200]; /* what the agent does now */
	bool fresh;	 /* the next text replaces this one */
	bool dirty;
	char *last;	  /* as it was drawn */
	int64_t drawn_ms; /* when; 0 = never */
	struct timer *pace;
};

/* --- drawing ------------------------------------------------------------------------------ */

static bool first_part(void *ctx, const char *body, size_t n)
{
	*(char **)ctx = xstrndup(body, n);
	return false;
}

/* The text so far, and the tool on a line of its own. */
static void compose(const struct progress *p, struct buf *md)
{
	size_t n = str_utf8_floor(p->text.p ? p->text.p : "", p->text.len);

	buf_put(md, p->text.p ? p->text.p : "", n);
	if (!p->words[0])
		return;
	buf_puts(md, n ? "\n\n_… " : "_… ");
	markdown_put_plain(md, p->words);
	buf_puts(md, "_");
}

/* How long this chat has to wait for its next draft; sessions of its threads draw at the same pace. */
static int64_t must_wait(const struct progress *p)
{
	struct router *r = p->s->r;
	int64_t now = loop_now(r->loop), wait = 0;

	for (const struct progress *q = r->drawings; q; q = q->next) {
		int64_t left = q->drawn_ms ? q->drawn_ms + p->chan->ops->draft_ms - now : 0;

		if (q->chat.id == p->chat.id && left > wait)
			wait = left;
	}
	return wait;
}

static void show(struct progress *p, const char *md, char *body)
{
	struct router *r = p->s->r;
	struct err e = ERR_INIT;
	char id[128];
	struct draft d = {
		.chat = p->chat.platform_id,
		.thread = p->thread,
		.reply_to = p->reply_to,
		.sender = p->sender,
		.id = id,
		.text = md,
		.body = body,
	};

	if (store_draft_get(r->store, p->chat.id, p->thread, id, &e) < 0) {
		router_fatal(r, &e);
		free(body);
		return;
	}
	free(p->last);
	p->last = body;
	p->drawn_ms = loop_now(r->loop);
	p->chan->ops->draft(p->chan, &d);
}

static void draw(void *ctx)
{
	struct progress *p = ctx;
	const struct channel_ops *ops = p->chan ? p->chan->ops : NULL;
	_cleanup_(buf_free) struct buf md = {0};
	struct format_limits limits;
	char *body = NULL;
	int64_t wait;

	if (!p->active || !p->dirty || p->s->r->fatal)
		return;
	wait = must_wait(p);
	if (!wait && (!p->chan->ready || map_get(&p->s->r->lanes, p->chat.id)))
		wait = ops->draft_ms > 100 ? ops->draft_ms : 100;
	if (wait) {
		timer_start(p->pace, wait, 0);
		return;
	}
	p->dirty = false;
	compose(p, &md);
	limits = (struct format_limits){ops->format, ops->unit, ops->max_text};
	if (md.len)
		format_render(md.p, md.len, &limits, first_part, &body);
	if (!body || (p->last && streq(body, p->last)))
		free(body);
	else
		show(p, md.p, body);
}

static void touch(struct progress *p)
{
	int64_t first = p->chan->ops->draft_ms < FIRST_MS ? p->chan->ops->draft_ms : FIRST_MS;

	p->dirty = true;
	if (!timer_active(p->pace))
		timer_start(p->pace, p->last ? must_wait(p) : first, 0);
}

/* --- what is to be drawn ------------------------------------------------------------------ */

static void clear(struct progress *p)
{
	buf_free(&p->text);
	p->words[0] = '\0';
	p->fresh = p->dirty = false;
	free(p->last);
	p->last = NULL;
	timer_stop(p->pace);
}

static struct progress *progress_get(struct session *s)
{
	struct progress *p = s->progress;

	if (p)
		return p;
	p = xcalloc(1, sizeof(*p));
	p->s = s;
	p->pace = timer_new(s->r->loop, "draft", draw, p);
	p->next = s->r->drawings;
	s->r->drawings = p;
	s->progress = p;
	return p;
}

static void begin(struct session *s, struct channel *c, const struct chat_row *chat)
{
	struct progress *p = progress_get(s);
	struct err e = ERR_INIT;

	clear(p);
	if (p->chat.id != chat->id)
		p->drawn_ms = 0;
	p->active = true;
	p->chan = c;
	p->chat = *chat;
	free(p->thread);
	p->thread = xstrdup(s->thread ? s->thread : "");
	p->reply_to[0] = p->sender[0] = '\0';
	if (!s->leases)
		return;
	str_copy(p->reply_to, sizeof(p->reply_to), s->leases->platform_id);
	if (store_message_author(s->r->store, s->leases->msg_id, p->sender, &e) < 0)
		router_fatal(s->r, &e);
}

static void add_text(struct progress *p, const char *text)
{
	size_t n = strlen(text), room;

	if (p->fresh)
		buf_reset(&p->text);
	p->fresh = false;
	p->words[0] = '\0';
	room = DRAFT_MAX - p->text.len;
	buf_put(&p->text, text, n < room ? n : room);
	touch(p);
}

static void add_tool(struct progress *p, const char *words)
{
	str_copy(p->words, sizeof(p->words), words);
	p->words[str_utf8_floor(p->words, strlen(p->words))] = '\0';
	p->fresh = true;
	touch(p);
}

static void draw_kind(struct session *s, const struct group_settings *set, enum progress_kind kind,
		      const char *text)
{
	struct progress *p = s->progress;

	if (!p || !p->active)
		return;
	if (kind == PROGRESS_TEXT) {
		add_text(p, text);
	} else if (kind == PROGRESS_TOOL && set->tools) {
		add_tool(p, text);
	} else if (kind == PROGRESS_TOOL) {
		p->fresh = true;
	} else if (kind == PROGRESS_END) {
		p->active = false;
		clear(p);
	}
}

void delivery_progress(struct session *s, enum progress_kind kind, const char *text)
{
	struct router *r = s->r;
	const struct group_settings *set = settings_get(r, s->group.id);
	_cleanup_(buf_free) struct buf safe = {0};
	struct chat_row chat;
	struct channel *c;
	struct err e = ERR_INIT;
	bool wanted = kind == PROGRESS_TEXT    ? set->drafts
		      : kind == PROGRESS_TOOL  ? set->tools
		      : kind == PROGRESS_START ? set->typing
					       : true; /* ends drafts too */

	/* Nobody waits for a task: what it has to tell comes when it is done. */
	if (s->run_id)
		return;
	if (!s->chat_id || store_chat_get(r->store, s->chat_id, &chat, &e) < 0)
		return;
	c = router_channel(r, chat.channel);
	if (!c)
		return;
	if (kind == PROGRESS_TEXT && !(c->ops->caps & CHAN_STREAM))
		wanted = false;
	if (kind == PROGRESS_TOOL) { /* a command may hold a token */
		redact(&safe, text, strlen(text));
		text = safe.p ? safe.p : "";
	}
	/* An end comes also while the channel is down: else what it has begun would never end. */
	if (wanted && (c->ready || kind == PROGRESS_END) && c->ops->progress)
		c->ops->progress(c, chat.platform_id, s->thread ? s->thread : "", kind, text);
	if (kind == PROGRESS_START && c->ops->draft && set->drafts)
		begin(s, c, &chat);
	draw_kind(s, set, kind, text);
}

void progress_answered(struct session *s)
{
	if (s->progress)
		clear(s->progress);
}

bool progress_stands(struct session *s)
{
	struct err e = ERR_INIT;
	char id[128] = "";

	if (s->chat_id &&
	    store_draft_get(s->r->store, s->chat_id, s->thread ? s->thread : "", id, &e) < 0)
		router_fatal(s->r, &e);
	return id[0];
}

bool progress_runs(const struct router *r, int64_t chat_id, const char *thread)
{
	for (const struct progress *p = r->drawings; p; p = p->next) {
		if (p->active && p->chat.id == chat_id && streq(p->thread, thread))
			return true;
	}
	return false;
}

void progress_drafted(void *up, struct channel *c, const char *chat, const char *thread,
		      const char *id)
{
	struct router *r = up;
	struct chat_row row;
	struct err e = ERR_INIT;

	/* Also when its turn is over: the answer that waits to be sent must find it. */
	if (store_chat_find(r->store, c->ops->name, chat, &row, &e) < 0) {
		if (e.code != E_GONE)
			router_fatal(r, &e);
		return;
	}
	if (strlen(id) < 128 && store_draft_set(r->store, row.id, thread, id, &e) < 0)
		router_fatal(r, &e);
}

void progress_free(struct session *s)
{
	struct progress *p = s->progress;
	struct progress **at = &s->r->drawings;

	if (!p)
		return;
	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	clear(p);
	timer_free(p->pace);
	free(p->thread);
	free(p);
	s->progress = NULL;
}
