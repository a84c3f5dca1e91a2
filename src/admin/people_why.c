// SPDX-License-Identifier: Apache-2.0
/*
 * `chela people why`: walks the decision about somebody in a chat. The words come from the code that decides (router/people.c); and how commands
 * name people.
 */
#include <string.h>
#include <strings.h>
#include "admin/people.h"
#include "base/str.h"
#include "channels/channel.h"
#include "router/people.h"
#include "router/settings.h"

#define IDS_MAX 20

static void nothing(void *ctx maybe_unused, const struct person_row *p maybe_unused)
{
}

bool people_split_id(const char *word, char channel[32], const char **id)
{
	const char *colon = strchr(word, ':');

	if (!colon || !colon[1] || colon == word || colon - word > 31 || strlen(colon + 1) > 127)
		return false;
	snprintf(channel, 32, "%.*s", (int)(colon - word), word);
	*id = colon + 1;
	for (size_t i = 0; channel_registry[i]; i++) {
		if (streq(channel_registry[i]->name, channel) && !streq(channel, "console"))
			return true;
	}
	return false;
}

struct seek {
	const char *word;
	int64_t number, id, n;
};

static void seek_person(void *ctx, const struct person_row *p)
{
	struct seek *q = ctx;

	if (q->number ? p->id != q->number : strcasecmp(p->name, q->word) != 0)
		return;
	q->id = p->id;
	q->n++;
}

/* In a group's own chat people are those of the group: who is nobody there has neither a number nor a name. */
static int find_here(const struct command *c, const char *word, int64_t *id, struct err *e)
{
	struct seek q = {.word = word};
	struct err none = ERR_INIT;

	if (str_to_i64(word, 1, INT64_MAX, &q.number, &none) < 0)
		q.number = 0;
	if (store_person_each(c->o->store, c->here->id, seek_person, &q, e) < 0)
		return -1;
	*id = q.id;
	if (q.n > 1)
		return err_set(e, E_INVAL,
			       "%lld people are called \"%.60s\": use the number that "
			       "%speople list shows",
			       (long long)q.n, word, c->lead);
	return q.n ? 0
		   : err_set(e, E_GONE,
			     "there is no person \"%.60s\" in %s: use a number or name of %speople "
			     "list, or CHANNEL:ID",
			     word, c->here->name, c->lead);
}

int people_find_person(const struct command *c, const char *word, bool make, int64_t *id,
		       struct err *e)
{
	struct store *st = c->o->store;
	struct err none = ERR_INIT;
	int64_t n, sender;
	char channel[32];
	const char *pid;

	if (c->where == CMD_GROUP && !people_split_id(word, channel, &pid))
		return find_here(c, word, id, e);
	if (str_to_i64(word, 1, INT64_MAX, id, &none) == 0)
		return store_person_get(st, *id, nothing, NULL, e);
	if (!people_split_id(word, channel, &pid)) {
		if (store_person_named(st, word, id, &n, e) < 0)
			return -1;
		if (n > 1)
			return err_set(e, E_INVAL,
				       "%lld people are called \"%.60s\": use the number that "
				       "%speople list shows",
				       (long long)n, word, c->lead);
		return n ? 0
			 : err_set(e, E_GONE,
				   "nobody with a role is called \"%.60s\": use a number or name "
				   "of %speople list, or CHANNEL:ID, such as %speople strangers shows",
				   word, c->lead, c->lead);
	}
	none = (struct err)ERR_INIT;
	if (store_sender_find(st, channel, pid, &sender, &none) < 0) {
		if (none.code != E_GONE || !make) {
			*e = none;
			return -1;
		}
		if (store_sender_ensure(st, channel, pid, "", "", &sender, e) < 0)
			return -1;
	}
	if (make)
		return store_person_make(st, sender, "", id, e);
	if (store_person_of(st, sender, id, e) < 0)
		return -1;
	return *id ? 0 : err_set(e, E_GONE, "%.60s is nobody with a role", word);
}

struct as {
	const char *channel;
	int64_t id;
};

static void note_channel(void *ctx, const struct sender_row *s)
{
	struct as *q = ctx;

	if (!q->id || streq(s->channel, q->channel))
		q->id = s->id;
}

/* As whom the person would write in a chat of that channel; 0: never seen. */
static int find_sender(const struct command *c, const char *word, const char *channel,
		       struct place *p, struct err *e)
{
	struct store *st = c->o->store;
	struct err none = ERR_INIT;
	struct as q = {.channel = channel};
	int64_t person;
	char own[32];
	const char *pid;

	if (people_split_id(word, own, &pid)) {
		if (store_sender_find(st, own, pid, &p->sender_id, &none) == 0)
			return 0;
		p->unseen = word;
		*e = none;
		return none.code == E_GONE ? 0 : -1;
	}
	if (people_find_person(c, word, false, &person, e) < 0 ||
	    store_sender_each(st, person, IDS_MAX, note_channel, &q, e) < 0)
		return -1;
	p->sender_id = q.id;
	return q.id ? 0 : err_set(e, E_GONE, "person %lld has no identity", (long long)person);
}

static void say_trigger(void *ctx, const char *key, const char *value,
			const char *choices maybe_unused, bool own maybe_unused)
{
	if (streq(key, "trigger"))
		buf_putf(ctx, "\nWhat wakes the assistant there: the trigger is %s.", value);
}

int people_why(struct command *c, struct err *e)
{
	_cleanup_(buf_free) struct buf text = {0};
	struct router *r = c->o->router;
	struct chat_row chat;
	struct group_row g;
	struct standing s;
	struct place p = {.chat = &chat};
	char channel[32];
	const char *id;

	if (!people_split_id(c->argv[0], channel, &id))
		return err_set(e, E_INVAL, "\"%.60s\" is no CHANNEL:CHAT; %schats lists them",
			       c->argv[0], c->lead);
	if (store_chat_find(c->o->store, channel, id, &chat, e) < 0)
		return e->code == E_GONE
			       ? err_set(e, E_GONE,
					 "no chat \"%.60s\" was seen; %schats lists those that were",
					 c->argv[0], c->lead)
			       : -1;
	if ((chat.group_id && store_group_at(c->o->store, chat.group_id, &g, e) < 0) ||
	    find_sender(c, c->argv[1], channel, &p, e) < 0)
		return -1;
	p.group = chat.group_id ? &g : NULL;
	if (people_judge(r, &p, &s, &text, e) < 0 ||
	    (p.group && s.verdict == VERDICT_TAKE &&
	     settings_each(r, g.id, say_trigger, &text, e) < 0))
		return -1;
	reply_text(c->r, text.p);
	return 0;
}
