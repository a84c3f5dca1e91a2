// SPDX-License-Identifier: Apache-2.0
/*
 * What linking a chat to a group gives to the person who is alone with the assistant in it: a role, in the same transaction, which can be taken away like
 * any other. It must never give one twice by itself: a linked chat is no standing of its own.
 */
#include <string.h>
#include "base/log.h"
#include "base/str.h"
#include "router/impl.h"
#include "router/people.h"

/* Whom we know to be there. */
static int let_in(struct router *r, const struct group_row *g, int64_t sender_id, const char *by,
		  struct buf *said, struct err *e)
{
	struct place p = {.group = g, .sender_id = sender_id};
	struct standing s;
	int64_t person;

	if (people_judge(r, &p, &s, NULL, e) < 0)
		return -1;
	if (s.role == ROLE_BLOCKED) {
		buf_putf(said, "%s is blocked in %s, so not heard there.", s.who, g->name);
		return 0;
	}
	if (store_person_make(r->store, sender_id, "", &person, e) < 0 ||
	    store_role_in(r->store, person, g->id, &s.role, e) < 0)
		return -1;
	if (s.role == ROLE_NONE) {
		s.role = ROLE_MEMBER;
		if (store_role_set(r->store, person, g->id, ROLE_MEMBER, by, e) < 0)
			return -1;
	}
	buf_putf(said, "%s is %s of %s, until that role is changed or taken away.", s.who,
		 role_word(s.role), g->name);
	return 0;
}

int people_link(struct router *r, const struct chat_row *chat, const struct group_row *g,
		const char *by, struct buf *said, struct err *e)
{
	char title[8];
	int64_t peer;

	if (chat->group_id == g->id)
		return 0; /* what was taken away since it was linked stays so */
	if (store_chat_link(r->store, chat->id, g->id, e) < 0 ||
	    store_chat_peer(r->store, chat->id, &peer, e) < 0)
		return -1;
	if (peer)
		return let_in(r, g, peer, by, said, e);
	if (store_chat_title(r->store, chat->id, title, sizeof(title), e) < 0)
		return -1;
	if (!chat->direct && (title[0] || chat->seen_ms))
		return 0; /* a chat of several */
	if (chat->direct)
		buf_putf(said, "The person there is a member of %s from the first message on.",
			 g->name);
	else
		buf_putf(said,
			 "If it is a chat with one person alone, that person is a member of %s "
			 "from the first message on.",
			 g->name);
	return store_chat_invite(r->store, chat->id, by, e);
}

int people_arrive(struct router *r, const struct chat_row *chat, const struct group_row *g,
		  int64_t sender_id, const struct standing *s, struct err *e)
{
	struct store *st = r->store;
	char by[120], act[330];
	int64_t person;

	if (s->invited) {
		if (store_chat_invited(st, chat->id, by, sizeof(by), e) < 0)
			return -1;
		snprintf(act, sizeof(act), "member by the link of %.31s:%.127s, made by %.110s",
			 chat->channel, chat->platform_id, by);
		if (store_person_make(st, sender_id, "", &person, e) < 0 ||
		    store_role_set(st, person, g->id, s->role, by, e) < 0 ||
		    store_act_add(st, s->who, sender_id, g->id, "chat", act, true, e) < 0)
			return -1;
		log_info("people", "the person of a linked chat is a member",
			 "group=%s channel=%s person=%lld", g->name, chat->channel,
			 (long long)person);
	}
	return store_chat_invite(st, chat->id, "", e);
}
