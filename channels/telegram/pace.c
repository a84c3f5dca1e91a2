// SPDX-License-Identifier: Apache-2.0
/*
 * Telegram's rates (core.telegram.org/bots/faq): about one message a second to a chat with short bursts, 20 a minute to a group, 30
 * a second in all. It exists so that a 429 is the exception: each one stops a chat for seconds to minutes. Pure: time is an
 * argument. Kept are only the chats that got something within the last minute.
 */
#include "base/str.h"
#include "channels/telegram/telegram.h"

struct pace_chat {
	struct pace_chat *next;
	char chat[TG_ID_CAP];
	int64_t free_ms;	  /* when the burst is whole again (generic cell rate algorithm) */
	int64_t hold_ms;	  /* the platform's word */
	int64_t sent[PACE_GROUP]; /* groups: when the last ones left; a ring */
	size_t at;
};

static bool is_group(const char *chat)
{
	return chat[0] == '-';
}

static struct pace_chat *find(const struct pace *p, const char *chat)
{
	struct pace_chat *c = p->chats;

	while (c && !streq(c->chat, chat))
		c = c->next;
	return c;
}

/* Drops what says nothing any more; makes the entry when it is not there. */
static struct pace_chat *get(struct pace *p, const char *chat, int64_t now)
{
	struct pace_chat *hit = NULL, *c;

	for (struct pace_chat **q = &p->chats; (c = *q);) {
		size_t last = (c->at + PACE_GROUP - 1) % PACE_GROUP;

		if (streq(c->chat, chat)) {
			hit = c;
		} else if (c->free_ms <= now && c->hold_ms <= now &&
			   c->sent[last] <= now - PACE_GROUP_MS) {
			*q = c->next;
			free(c);
			continue;
		}
		q = &c->next;
	}
	if (hit)
		return hit;
	c = xcalloc(1, sizeof(*c));
	str_copy(c->chat, sizeof(c->chat), chat);
	for (size_t i = 0; i < PACE_GROUP; i++)
		c->sent[i] = INT64_MIN / 2;
	c->next = p->chats;
	p->chats = c;
	return c;
}

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

int64_t pace_all(const struct pace *p, int64_t now)
{
	int64_t oldest = p->all[p->at];

	return oldest ? later(now, oldest + PACE_ALL_MS) : now;
}

int64_t pace_when(const struct pace *p, const char *chat, int64_t now)
{
	const struct pace_chat *c = find(p, chat);
	int64_t when = pace_all(p, now);

	if (!c)
		return when;
	when = later(when, c->free_ms - (PACE_BURST - 1) * PACE_CHAT_MS);
	when = later(when, c->hold_ms);
	if (is_group(chat))
		when = later(when, c->sent[c->at] + PACE_GROUP_MS);
	return when;
}

void pace_take(struct pace *p, const char *chat, int64_t now)
{
	struct pace_chat *c = get(p, chat, now);

	p->all[p->at] = now;
	p->at = (p->at + 1) % PACE_ALL;
	c->free_ms = later(c->free_ms, now) + PACE_CHAT_MS;
	c->sent[c->at] = now;
	c->at = (c->at + 1) % PACE_GROUP;
}

void pace_hold(struct pace *p, const char *chat, int64_t now, int64_t until)
{
	struct pace_chat *c = get(p, chat, now);

	c->hold_ms = later(c->hold_ms, until);
}

size_t pace_left(const struct pace *p, const char *chat, int64_t now)
{
	const struct pace_chat *c = find(p, chat);
	size_t n = PACE_GROUP;

	if (!c || !is_group(chat))
		return n;
	for (size_t i = 0; i < PACE_GROUP; i++)
		n -= c->sent[i] > now - PACE_GROUP_MS;
	return n;
}

void pace_free(struct pace *p)
{
	struct pace_chat *c;

	while ((c = p->chats)) {
		p->chats = c->next;
		free(c);
	}
}
