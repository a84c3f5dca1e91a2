// SPDX-License-Identifier: Apache-2.0
/*
 * Who somebody is in a place, and what follows from it: one function decides, and says why in words when it is asked to, so that `chela people why`
 * cannot differ from what is done. Also the section `people` of the configuration.
 */
#ifndef CHELA_ROUTER_PEOPLE_H
#define CHELA_ROUTER_PEOPLE_H
#include "base/buf.h"
#include "policy/config.h"
#include "router/may.h"

struct router;

enum verdict {
	VERDICT_TAKE,	 /* listened to, with the role found */
	VERDICT_ASK,	 /* a stranger where strangers are asked for in main, or a chat that is */
	VERDICT_MAKE,	 /* an unknown chat where those get a group of their own */
	VERDICT_IGNORE,	 /* counted and listed */
	VERDICT_BLOCKED, /* counted, never asked for */
};
struct place {
	const struct chat_row *chat;   /* NULL: none, as for an agent */
	const struct group_row *group; /* NULL: the chat belongs to none */
	int64_t sender_id;	       /* 0 = the operator */
	const char *unseen; /* with sender 0: "telegram:5", who has never written; else NULL */
};
struct standing {
	enum verdict verdict;
	enum role role; /* effective, in the group; without one: everywhere */
	int64_t person_id;
	bool invited;  /* has no role yet: what is taken in here must be handed to people_arrive */
	char who[100]; /* "Ann (telegram:123)" */
};
/* why: NULL, or a line for each step is added. */
int people_judge(struct router *r, const struct place *p, struct standing *out, struct buf *why,
		 struct err *e) must_check;

/* people_link.c */
/* The chat belongs to the group from now on. When it is one of a person alone, who has no role there, the person becomes a member: now, or with the
 * first message when we do not know yet who that is. said: one line about that, or nothing. by: who links, for the record. */
int people_link(struct router *r, const struct chat_row *chat, const struct group_row *g,
		const char *by, struct buf *said, struct err *e) must_check;
/* Something of this sender is taken in, in a linked chat with an invitation: it is used up, by giving the role where s says so. */
int people_arrive(struct router *r, const struct chat_row *chat, const struct group_row *g,
		  int64_t sender_id, const struct standing *s, struct err *e) must_check;

enum unknown_chats {
	UNKNOWN_IGNORE,
	UNKNOWN_ASK,
	UNKNOWN_ALLOW
};
struct people_settings {
	enum unknown_chats unknown_chats;
	int64_t ask_max;  /* approvals open at once; past them strangers are counted only */
	int64_t hold_max; /* messages held for one approval */
};
/* Strict, as config_load. */
int people_settings_load(const struct config *cfg, struct people_settings *out,
			 struct err *e) must_check;

#endif
