// SPDX-License-Identifier: Apache-2.0
/*
 * What was said while no connection stood: Slack repeats an event three times within minutes and then forgets it. Each chat of the
 * channel is read back from its newest message to the last one that we have, and those threads in it that grew since; chats one
 * after the other, one call at a time, as slowly as Slack asks for. What we have already the store knows by its ts. It must never bring
 * in what was said before the chat's last known message, save a minute of overlap.
 */
#include <string.h>
#include "base/backoff.h"
#include "base/log.h"
#include "base/str.h"
#include "channels/slack/slack.h"

#define OVERLAP_MS 60000
#define MOST_MS	   (14 * 86400000LL) /* no further back than this */
#define ROOTS_MS                                                                                   \
	(2 * 86400000LL) /* threads that began so long before the gap are looked at too ... */
#define ROOT_PAGES 2	 /* ... but no more than these pages for them */
#define PAGES_MAX  20
#define PAGE	   "200"
#define AT_ONCE	   50 /* messages a turn of the loop */
#define TRIES	   5

struct slack_gap {
	char chat[SLACK_ID];
	int64_t since_ms;
};
struct slack_fill {
	struct slack *s;
	struct slack_gap *chats;
	size_t n_chats, at;  /* at: the chat in work */
	cJSON *ready;	     /* messages in order, to be handed in */
	cJSON *roots;	     /* threads (ts as strings) to be read */
	char root[SLACK_TS]; /* the thread in work, or "" */
	char *cursor;
	int pages, root_pages, tries;
	bool history_done; /* of the chat in work: its threads are next */
	int64_t brought;
	struct slack_call *call;
	struct timer *next;
};

static void fill_step(void *ctx);

static void note_chat(void *ctx, const char *chat, const char *last_id, int64_t last_ms)
{
	struct slack_fill *f = ctx;
	int64_t oldest = clock_wall(f->s->c->clk) - MOST_MS;
	char ts[SLACK_TS];

	str_copy(ts, sizeof(ts), last_id);
	ts[strcspn(ts, "/")] = '\0';
	if (!last_ms)
		last_ms = slack_ts_ms(ts);
	if (!last_ms || !slack_is_id(chat))
		return;
	f->chats = xrealloc(f->chats, (f->n_chats + 1) * sizeof(*f->chats));
	str_copy(f->chats[f->n_chats].chat, SLACK_ID, chat);
	last_ms -= OVERLAP_MS;
	/* What came in meanwhile says nothing of a gap that was not filled to its end. */
	for (size_t i = 0; i < f->s->n_gaps; i++) {
		if (streq(f->s->gaps[i].chat, chat) && f->s->gaps[i].since_ms < last_ms)
			last_ms = f->s->gaps[i].since_ms;
	}
	f->chats[f->n_chats++].since_ms = last_ms > oldest ? last_ms : oldest;
}

static struct slack_gap *chat_now(struct slack_fill *f)
{
	return &f->chats[f->at];
}

static void next_in(struct slack_fill *f, int64_t ms)
{
	timer_start(f->next, ms, 0);
}

/* The pages of this chat or thread are through, or given up. */
static void pages_done(struct slack_fill *f)
{
	free(f->cursor);
	f->cursor = NULL;
	f->pages = f->root_pages = f->tries = 0;
	f->history_done = true;
	*f->root = '\0';
	next_in(f, 0);
}

/* --- reading --------------------------------------------------------------------------------------- */

static int64_t member_ms(const cJSON *msg, const char *path)
{
	const char *ts = json_peek_str(msg, path);

	return ts ? slack_ts_ms(ts) : 0;
}

/* Sorts one page; the answer stays the caller's. Returns the time of its oldest message. */
static int64_t take_page(struct slack_fill *f, const cJSON *list)
{
	int64_t since = chat_now(f)->since_ms, oldest = INT64_MAX;
	const cJSON *m;

	cJSON_ArrayForEach(m, list)
	{
		const char *ts = json_peek_str(m, "ts");
		int64_t ms = ts ? slack_ts_ms(ts) : 0;

		if (!ms)
			continue;
		oldest = ms < oldest ? ms : oldest;
		if (!*f->root && member_ms(m, "latest_reply") > since)
			cJSON_AddItemToArray(f->roots, cJSON_CreateString(ts));
		if (ms <= since && member_ms(m, "edited.ts") <= since)
			continue;
		/* The history comes newest first, a thread oldest first. */
		if (*f->root)
			cJSON_AddItemToArray(f->ready, cJSON_Duplicate(m, true));
		else
			cJSON_InsertItemInArray(f->ready, 0, cJSON_Duplicate(m, true));
	}
	return oldest;
}

static void on_page(void *ctx, const struct slack_reply *r)
{
	struct slack_fill *f = ctx;
	const char *next = json_peek_str(r->json, "response_metadata.next_cursor");
	int64_t oldest, since = chat_now(f)->since_ms;

	f->call = NULL;
	if (r->why.code == E_LIMIT || (r->why.code == E_TEMP && ++f->tries < TRIES)) {
		next_in(f, r->retry_ms ? r->retry_ms : backoff_ms(f->tries, 1000, 60000));
		return;
	}
	if (r->why.code) {
		log_warn("slack", "back-fill given up", "chat=%s err=\"%s\"", chat_now(f)->chat,
			 r->why.msg);
		pages_done(f);
		return;
	}
	oldest = take_page(f, json_find(r->json, "messages"));
	f->pages++;
	if (!*f->root && oldest <= since)
		f->root_pages++;
	if (!next || !*next || f->pages >= PAGES_MAX || f->root_pages >= ROOT_PAGES ||
	    (!*f->root && oldest <= since - ROOTS_MS)) {
		if (f->pages >= PAGES_MAX && next && *next)
			log_warn("slack", "back-fill cut short", "chat=%s pages=%d",
				 chat_now(f)->chat, f->pages);
		pages_done(f);
		return;
	}
	free(f->cursor);
	f->cursor = xstrdup(next);
	next_in(f, 0);
}

static void ask(struct slack_fill *f)
{
	struct buf form = {0};
	char oldest[SLACK_TS];

	slack_args(&form, "channel", chat_now(f)->chat, "limit", PAGE, NULL);
	if (*f->root) {
		snprintf(oldest, sizeof(oldest), "%lld.000000",
			 (long long)(chat_now(f)->since_ms / 1000));
		slack_args(&form, "ts", f->root, "oldest", oldest, NULL);
	}
	if (f->cursor)
		slack_arg(&form, "cursor", f->cursor);
	f->call = slack_call(f->s, *f->root ? SLACK_REPLIES : SLACK_HISTORY, &form, on_page, f);
}

/* --- handing in ------------------------------------------------------------------------------------ */

static void hand_in(struct slack_fill *f, cJSON *msg)
{
	struct slack *s = f->s;
	struct slack_gap *c = chat_now(f);
	char edited[SLACK_TS] = "";
	const char *e = json_peek_str(msg, "edited.ts");
	struct slack_event ev;

	if (e && slack_is_ts(e))
		str_copy(edited, sizeof(edited), e);
	slack_message_parse(msg, c->chat, &s->self, &ev);
	if (ev.use && ev.sent_ms <= c->since_ms) { /* old, and changed during the gap */
		ev.kind = INBOUND_EDIT;
		str_copy(ev.target, sizeof(ev.target), ev.id);
		snprintf(ev.id, sizeof(ev.id), "%s/e%s", ev.target, edited);
		ev.sent_ms = slack_ts_ms(edited);
	}
	if (ev.use) {
		f->brought++;
		slack_intake(s, &ev, 0, "");
	}
	slack_event_free(&ev);
}

/* One step: hand in some of what is there, or read the next thread, page or chat. */
static void fill_step(void *ctx)
{
	struct slack_fill *f = ctx;

	for (int i = 0; i < AT_ONCE && f->ready->child; i++)
		hand_in(f, cJSON_DetachItemFromArray(f->ready, 0));
	if (f->ready->child) {
		next_in(f, 0);
		return;
	}
	if (f->at < f->n_chats && f->history_done && !*f->root && f->roots->child) {
		cJSON *root = cJSON_DetachItemFromArray(f->roots, 0);

		str_copy(f->root, sizeof(f->root), root->valuestring);
		cJSON_Delete(root);
	} else if (f->at < f->n_chats && f->history_done && !*f->root) {
		f->at++;
		f->history_done = false;
	}
	if (f->at < f->n_chats) {
		ask(f);
		return;
	}
	log_info("slack", "back-filled", "chats=%zu messages=%lld", f->n_chats,
		 (long long)f->brought);
	slack_fill_stop(f->s);
}

void slack_fill_start(struct slack *s)
{
	struct slack_fill *f = xcalloc(1, sizeof(*f));

	slack_fill_stop(s);
	*f = (struct slack_fill){.s = s};
	s->fill = f;
	f->ready = cJSON_CreateArray();
	f->roots = cJSON_CreateArray();
	if (!f->ready || !f->roots)
		die("out of memory");
	f->next = timer_new(s->loop, "slack back-fill", fill_step, f);
	channel_each_chat(s->c, note_chat, f);
	next_in(f, 0);
}

void slack_fill_stop(struct slack *s)
{
	struct slack_fill *f = s->fill;

	s->fill = NULL;
	if (!f)
		return;
	free(s->gaps);
	s->gaps = NULL;
	s->n_gaps = f->n_chats - f->at;
	if (s->n_gaps) {
		s->gaps = xcalloc(s->n_gaps, sizeof(*s->gaps));
		memcpy(s->gaps, f->chats + f->at, s->n_gaps * sizeof(*s->gaps));
	}
	slack_call_cancel(&f->call);
	timer_free(f->next);
	cJSON_Delete(f->ready);
	cJSON_Delete(f->roots);
	free(f->chats);
	free(f->cursor);
	free(f);
}
