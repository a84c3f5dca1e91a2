// SPDX-License-Identifier: Apache-2.0
/*
 * What an agent is told before the first message: the facts that it cannot know (its name, whose group this is, the time), whenever they differ from what it was
 * told in this sandbox, so also once a day; and what the session before this one left behind. Titles are strangers' words and must not pass for ours.
 */
#include <string.h>
#include "base/str.h"
#include "base/zone.h"
#include "router/inbox.h"
#include "router/reset.h"

#define LAST_ROWS  10
#define LAST_BYTES 300 /* of one of them */

static uint64_t hash_of(const char *p, size_t n)
{
	uint64_t h = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < n; i++)
		h = (h ^ (unsigned char)p[i]) * 0x100000001b3ull;
	return h ? h : 1;
}

/* --- facts -------------------------------------------------------------------------------- */

static void put_chat(struct session *s, struct buf *out)
{
	struct chat_row chat;
	struct err e = ERR_INIT;
	char title[96], words[96];

	if (store_chat_get(s->r->store, s->chat_id, &chat, &e) < 0 ||
	    store_chat_title(s->r->store, s->chat_id, title, sizeof(title), &e) < 0) {
		router_fatal(s->r, &e);
		return;
	}
	buf_putf(out, "This chat is on %s", chat.channel);
	if (chat.direct)
		buf_puts(out, ", with one person");
	str_one_line(words, sizeof(words), title);
	for (char *p = words; *p; p++)
		*p = strchr("<>\"[]", *p) ? ' ' : *p;
	if (words[0] && !streq(chat.channel, "console"))
		buf_putf(out, "; its title there is \"%s\"", words);
	buf_puts(out, ".\n");
}

static void put_facts(struct session *s, struct buf *text)
{
	const struct group_settings *set = settings_get(s->r, s->group.id);
	_cleanup_(buf_free) struct buf b = {0};
	char now[40];
	size_t day;
	uint64_t h;

	buf_putf(&b, "You are called %s. This is the group %s%s.\n", set->name, s->group.name,
		 s->group.is_main ? ", the main group, whose people run this server" : "");
	put_chat(s, &b);
	inbox_put_time(clock_wall(s->r->o.clk), set->tz, now);
	buf_putf(&b, "Time zone: %s. ", set->zone);
	day = b.len + strlen("It is Mon 2026-11-23"); /* the hour is no news */
	buf_putf(&b, "It is %s.\n", now);
	h = hash_of(b.p, day < b.len ? day : b.len);
	if (h == s->facts)
		return;
	s->facts = h;
	buf_puts(text, "<facts>\n");
	buf_put(text, b.p, b.len);
	buf_puts(text, "</facts>\n");
}

/* --- what is carried over ----------------------------------------------------------------- */

struct last {
	struct buf *out;
	const struct zone *tz;
};

static void add_last(void *ctx, const struct msg_row *m)
{
	struct last *l = ctx;
	struct msg_row cut = *m;

	if (m->state == MSG_PENDING || m->state == MSG_LEASED || m->state == MSG_FETCHING ||
	    m->notice || m->text[0] == '/')
		return;
	if (cut.text_len > LAST_BYTES)
		cut.text_len = str_utf8_floor(cut.text, LAST_BYTES);
	if (m->dir == MSG_OUT) {
		buf_puts(l->out, "[you] ");
		inbox_put_text(l->out, cut.text, cut.text_len);
	} else {
		inbox_put_line(l->out, &cut, l->tz);
	}
	buf_puts(l->out, cut.text_len < m->text_len ? " [...]\n" : "\n");
}

struct newest {
	int64_t chat_id, last_ms;
};

static void note_newest(void *ctx, const struct chat_info *c)
{
	struct newest *n = ctx;

	if (!n->chat_id || c->last_ms > n->last_ms) {
		n->chat_id = c->chat.id;
		n->last_ms = c->last_ms;
	}
}

int64_t opening_newest_chat(struct router *r, int64_t group_id, struct err *e)
{
	struct newest n = {0};

	return store_chat_each(r->store, group_id, note_newest, &n, e) < 0 ? -1 : n.chat_id;
}

char *opening_carry(struct router *r, const struct group_row *g, int64_t chat_id,
		    const char *archive, struct err *e)
{
	const struct group_settings *set = settings_get(r, g->id);
	struct buf b = {0};
	struct last l = {&b, set->tz};
	char now[40];

	if (!chat_id)
		chat_id = opening_newest_chat(r, g->id, e);
	if (chat_id < 0)
		return NULL;
	inbox_put_time(clock_wall(r->o.clk), set->tz, now);
	buf_putf(&b,
		 "<earlier-conversation note=\"this is a new conversation; the one before it was "
		 "closed %s",
		 now);
	if (archive[0])
		buf_putf(&b, " and can be read in /workspace/%s", archive);
	buf_puts(&b, "; its last lines, for context only\">\n");
	if (chat_id &&
	    store_history(r->store, chat_id, -LAST_ROWS, LAST_ROWS, add_last, &l, e) < 0) {
		buf_free(&b);
		return NULL;
	}
	buf_puts(&b, "</earlier-conversation>\n");
	return buf_steal(&b);
}

/* --- before the first message ------------------------------------------------------------- */

void opening_put(struct session *s, struct buf *text)
{
	_cleanup_free_ char *carry = NULL;
	struct err e = ERR_INIT;

	put_facts(s, text);
	if (s->kind != SANDBOX_GROUP || s->resuming || s->carried || s->rebuild)
		return;
	if (store_carry_get(s->r->store, s->group.id, s->key, &carry, &e) < 0) {
		router_fatal(s->r, &e);
		return;
	}
	if (carry)
		buf_puts(text, carry);
	s->carried = carry != NULL;
}

void opening_heard(struct session *s)
{
	struct err e = ERR_INIT;

	if (!s->carried)
		return;
	s->carried = false;
	/* From now on the session's own memory has it; until then each new try is told again. */
	s->resuming = true;
	if (store_carry_set(s->r->store, s->group.id, s->key, NULL, &e) < 0)
		router_fatal(s->r, &e);
}
