// SPDX-License-Identifier: Apache-2.0
/*
 * People and what they may: a person has one or more identities (rows of `senders`, one a platform; on WhatsApp the LID and the phone
 * number are two) and a role, in one group or everywhere. Who has no role is a stranger. Part of the store (store.h).
 */
#ifndef CHELA_STORE_PEOPLE_H
#define CHELA_STORE_PEOPLE_H
#include "store/store.h"

/* Stored as these numbers. */
enum role {
	ROLE_BLOCKED = -1, /* never listened to, whatever the group allows */
	ROLE_NONE = 0,	   /* a stranger */
	ROLE_GUEST = 1,	   /* talks with the agent */
	ROLE_MEMBER = 2,   /* and schedules, and commands what is the group's own and harmless */
	ROLE_ADMIN = 3, /* and changes the group; in main: the server's groups, people and tasks */
	ROLE_OWNER = 4	/* everything */
};
/* "blocked", "none", "guest", ...; NULL-ended list of those that can be given, from "guest" on; -2 = no such word. */
const char *role_word(enum role r);
int role_of_word(const char *w);

struct person_row { /* strings are borrowed for the call */
	int64_t id;
	const char *name;
	enum role role; /* store_person_each: in the group asked for; else ROLE_NONE */
	enum role everywhere;
};
typedef void person_fn(void *ctx, const struct person_row *p);
/* Those with a role in the group or everywhere; group 0: all people. By name. */
int store_person_each(struct store *st, int64_t group_id, person_fn *fn, void *ctx,
		      struct err *e) must_check;
/* By number; E_GONE. */
int store_person_get(struct store *st, int64_t id, person_fn *fn, void *ctx,
		     struct err *e) must_check;
/* Who this sender is: by the identity itself, or by its second one (store_sender_ensure keeps `alt`). 0 = nobody we know. */
int store_person_of(struct store *st, int64_t sender_id, int64_t *person_id,
		    struct err *e) must_check;
/* A new person with this identity, or the one that it has. name "" = what the platform says. */
int store_person_make(struct store *st, int64_t sender_id, const char *name, int64_t *person_id,
		      struct err *e) must_check;
/* The identity (with its second one) belongs to this person from now on. A person who is left without any is gone, and the roles go over:
 * blocked stays blocked, else the greater. */
int store_person_join(struct store *st, int64_t person_id, int64_t sender_id,
		      struct err *e) must_check;
/* The person and all that is known of who it may be; the identities stay, of nobody. E_GONE. */
int store_person_forget(struct store *st, int64_t person_id, struct err *e) must_check;
/* By name: *n people have it (upper and lower case alike), the first is *id. */
int store_person_named(struct store *st, const char *name, int64_t *id, int64_t *n,
		       struct err *e) must_check;
/* The effective role in a group: blocked in either place is blocked, else the greater of the group's and everywhere's. group 0: only
 * everywhere. person 0: ROLE_NONE. */
int store_role_in(struct store *st, int64_t person_id, int64_t group_id, enum role *out,
		  struct err *e) must_check;
/* ROLE_NONE takes the row away. group 0 = everywhere. */
int store_role_set(struct store *st, int64_t person_id, int64_t group_id, enum role role,
		   const char *by, struct err *e) must_check;
/* The role that stands in this very row (group 0 = everywhere), ROLE_NONE when there is none. */
int store_role_row(struct store *st, int64_t person_id, int64_t group_id, enum role *out,
		   struct err *e) must_check;
/* Groups in which the person has a role; group 0 is everywhere. */
typedef void role_fn(void *ctx, int64_t group_id, const char *group, enum role role,
		     const char *given_by);
int store_role_each(struct store *st, int64_t person_id, role_fn *fn, void *ctx,
		    struct err *e) must_check;
/* invites.c: the sender who is alone with us in a direct chat; 0 = it is none, or nobody knows yet. */
int store_chat_peer(struct store *st, int64_t chat_id, int64_t *sender_id,
		    struct err *e) must_check;
/* Whoever writes first in this linked chat, alone with us, is to become a member; by: who let them, "" takes it back. Linking takes it back too, and so
 * does taking a role away from anybody of that channel in the group. */
int store_chat_invite(struct store *st, int64_t chat_id, const char *by, struct err *e) must_check;
int store_chat_invited(struct store *st, int64_t chat_id, char *by, size_t cap,
		       struct err *e) must_check;
/* A direct chat of the person that belongs to the group, "telegram:1001", or "". */
int store_person_chat(struct store *st, int64_t person_id, int64_t group_id, char *out, size_t cap,
		      struct err *e) must_check;
/* How many people are owners, everywhere or in main. */
int store_owners(struct store *st, int64_t *n, struct err *e) must_check;

struct sender_row {		  /* strings are borrowed for the call */
	int64_t id, person_id;	  /* person 0 = none */
	int64_t refused, seen_ms; /* messages that were not taken; the last one */
	const char *channel, *platform_id, *alt, *name;
};
typedef void sender_fn(void *ctx, const struct sender_row *s);
int store_sender_get(struct store *st, int64_t id, sender_fn *fn, void *ctx,
		     struct err *e) must_check;
/* By platform id, or by the second identity. E_GONE. */
int store_sender_find(struct store *st, const char *channel, const char *platform_id, int64_t *id,
		      struct err *e) must_check;
/* n more messages of it were not taken. Of those that are nobody's and wrote nothing that was kept, only the `keep` newest stay. */
int store_sender_refused(struct store *st, int64_t id, int64_t n, int64_t keep,
			 struct err *e) must_check;
/* Of one person; person 0: those of nobody that were refused, newest first, at most limit. */
int store_sender_each(struct store *st, int64_t person_id, int64_t limit, sender_fn *fn, void *ctx,
		      struct err *e) must_check;
/* One line of the record of what was asked for and how it was decided. via: "cli", "chat", "agent". */
int store_act_add(struct store *st, const char *who, int64_t sender_id, int64_t group_id,
		  const char *via, const char *act, bool allowed, struct err *e) must_check;

#endif
