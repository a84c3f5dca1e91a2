// SPDX-License-Identifier: Apache-2.0
/*
 * What a decision about an approval does; see approve.h. Whoever decides has seen what was shown: if that is not true any more, nothing is granted.
 */
#include <string.h>
#include "base/str.h"
#include "router/approve.h"
#include "router/groups.h"

struct deciding {
	struct router *r;
	const struct actor *by;
	struct buf *said;
	struct approval_row row; /* strings: only payload, ours */
	char *payload;
	struct approval_subject now;
	struct group_row group; /* of the chat; id 0 = none */
	struct standing standing;
};

static void copy_row(void *ctx, const struct approval_row *a)
{
	struct deciding *d = ctx;

	d->row = *a;
	d->payload = xstrdup(a->payload);
}

static void deciding_end(struct deciding *d)
{
	free(d->payload);
	subject_free(&d->now);
}

/* The approval, which must be open, and what is true now. */
static int deciding_begin(struct deciding *d, int64_t id, struct err *e)
{
	struct router *r = d->r;
	struct chat_row chat;
	struct place p = {.chat = &chat};

	if (store_approval_get(r->store, id, copy_row, d, e) < 0)
		return -1;
	if (d->row.state == APPROVAL_OPEN &&
	    clock_wall(r->o.clk) - d->row.asked_ms > APPROVAL_EXPIRE_MS) {
		approve_expire(r);
		d->row.state = APPROVAL_EXPIRED;
	}
	if (d->row.state != APPROVAL_OPEN)
		return err_set(e, E_INVAL, "approval %lld is %s already", (long long)id,
			       approval_state_word(d->row.state));
	if (store_chat_get(r->store, d->row.chat_id, &chat, e) < 0 ||
	    (chat.group_id && store_group_at(r->store, chat.group_id, &d->group, e) < 0))
		return -1;
	p.group = d->group.id ? &d->group : NULL;
	p.sender_id = d->row.sender_id;
	return people_judge(r, &p, &d->standing, NULL, e);
}

static int settle(struct deciding *d, enum approval_state state, struct err *e)
{
	bool done;

	if (store_approval_decide(d->r->store, d->row.id, state, d->by->who, &done, e) < 0)
		return -1;
	if (!done)
		return err_set(e, E_INVAL, "approval %lld is decided already",
			       (long long)d->row.id);
	if (state == APPROVAL_GRANTED && d->row.held) {
		store_after_commit(d->r->store, approve_again, d->r);
		buf_putf(d->said, " %lld held message%s taken in.", (long long)d->row.held,
			 d->row.held == 1 ? " is" : "s are");
	}
	return 0;
}

/* What was shown is not true any more. */
static int renew(struct deciding *d, struct err *e)
{
	struct router *r = d->r;
	struct approval_row row = d->row;
	int64_t id;

	row.payload = d->now.payload.p;
	row.hash = d->now.hash;
	if (settle(d, APPROVAL_STALE, e) < 0 || store_approval_add(r->store, &row, &id, e) < 0 ||
	    store_held_move(r->store, d->row.id, id, e) < 0)
		return -1;
	approve_ask_main(r, &d->now, d->row.kind, id);
	return err_set(e, E_PERM,
		       "not approved: what approval %lld showed has changed since; it is asked "
		       "anew as approval %lld",
		       (long long)d->row.id, (long long)id);
}

static int grant_person(struct deciding *d, const char *word, struct err *e)
{
	int role = word[0] ? role_of_word(word) : ROLE_MEMBER;
	int64_t person;

	if (role < ROLE_GUEST)
		return err_set(e, E_INVAL,
			       "\"%.40s\" is no role: use guest, member, admin or owner", word);
	if (role > (int)d->by->role)
		return err_set(e, E_PERM, "you are %s here: that is the most that you can give",
			       role_word(d->by->role));
	if (store_person_make(d->r->store, d->row.sender_id, "", &person, e) < 0 ||
	    store_role_set(d->r->store, person, d->group.id, (enum role)role, d->by->who, e) < 0)
		return -1;
	buf_putf(d->said, "Approved: %s is %s of %s.", d->now.who, role_word((enum role)role),
		 d->group.name);
	return settle(d, APPROVAL_GRANTED, e);
}

/* Of the group that the chat will belong to: a role that the person has there is neither lessened nor, if it is blocked, taken away. */
static int make_member(struct deciding *d, const struct group_row *g, struct err *e)
{
	struct store *st = d->r->store;
	enum role role;
	int64_t person;

	if (store_person_make(st, d->row.sender_id, "", &person, e) < 0 ||
	    store_role_in(st, person, g->id, &role, e) < 0)
		return -1;
	if (role == ROLE_BLOCKED)
		return err_set(e, E_PERM, "%s is blocked in %s; see people show", d->now.who,
			       g->name);
	return role >= ROLE_MEMBER ? 0
				   : store_role_set(st, person, g->id, ROLE_MEMBER, d->by->who, e);
}

static int grant_chat(struct deciding *d, const char *word, struct err *e)
{
	struct router *r = d->r;
	const char *name = word[0] ? word : d->now.group;
	struct group_row g;
	bool new;

	if (streq(name, "main") && d->by->role < ROLE_OWNER)
		return err_set(e, E_PERM, "only an owner can take a chat into main");
	if (group_make(r, name, &g, &new, e) < 0 || make_member(d, &g, e) < 0 ||
	    store_chat_link(r->store, d->row.chat_id, g.id, e) < 0)
		return -1;
	buf_putf(d->said, "Approved: %.20s:%.80s belongs to %s%s, and %s is a member of it.",
		 d->now.chat.channel, d->now.chat.platform_id, new ? "the new group " : "", g.name,
		 d->now.who);
	return settle(d, APPROVAL_GRANTED, e);
}

static int grant(struct deciding *d, const char *word, struct err *e)
{
	bool chat = d->row.kind == APPROVAL_CHAT;

	if (d->standing.verdict == VERDICT_BLOCKED)
		return err_set(e, E_PERM, "%s is blocked; see people show", d->standing.who);
	if (!chat && !d->group.id)
		return err_set(e, E_GONE, "the chat belongs to no group any more: deny %lld",
			       (long long)d->row.id);
	if (d->group.id && (chat || d->standing.verdict == VERDICT_TAKE)) {
		buf_putf(d->said, "That was settled meanwhile: %s %s %s.",
			 chat ? "the chat" : d->standing.who, chat ? "belongs to" : "may talk in",
			 d->group.name);
		return settle(d, APPROVAL_GRANTED, e);
	}
	if (subject_read(d->r, d->row.kind, d->row.chat_id, d->row.sender_id, &d->now, e) < 0)
		return -1;
	if (!streq(d->now.payload.p, d->payload))
		return renew(d, e);
	return chat ? grant_chat(d, word, e) : grant_person(d, word, e);
}

int approval_grant(struct router *r, int64_t id, const char *word, const struct actor *by,
		   struct buf *said, struct err *e)
{
	struct deciding d = {.r = r, .by = by, .said = said};
	int rc = deciding_begin(&d, id, e);

	if (rc == 0)
		rc = grant(&d, word, e);
	deciding_end(&d);
	return rc;
}

/* A person is blocked in the group; a chat is not asked for any more. */
static int deny(struct deciding *d, struct err *e)
{
	struct store *st = d->r->store;
	int64_t person;

	if (d->row.kind == APPROVAL_PERSON && d->standing.role > ROLE_NONE) {
		buf_putf(d->said, "Nothing is changed: %s is %s there by now.", d->standing.who,
			 role_word(d->standing.role));
		return settle(d, APPROVAL_GRANTED, e);
	}
	if (d->row.kind == APPROVAL_PERSON && d->group.id &&
	    (store_person_make(st, d->row.sender_id, "", &person, e) < 0 ||
	     store_role_set(st, person, d->group.id, ROLE_BLOCKED, d->by->who, e) < 0))
		return -1;
	if (store_held_clear(st, d->row.id, e) < 0 ||
	    (d->row.held && store_sender_refused(st, d->row.sender_id, d->row.held, 1000, e) < 0))
		return -1;
	if (d->row.kind == APPROVAL_PERSON)
		buf_putf(d->said, "Denied: %s is blocked in %s.", d->standing.who,
			 d->group.id ? d->group.name : "no group");
	else
		buf_puts(d->said, "Denied: the chat is not listened to, and not asked for again.");
	return settle(d, APPROVAL_DENIED, e);
}

int approval_deny(struct router *r, int64_t id, const struct actor *by, struct buf *said,
		  struct err *e)
{
	struct deciding d = {.r = r, .by = by, .said = said};
	int rc = deciding_begin(&d, id, e);

	if (rc == 0)
		rc = deny(&d, e);
	deciding_end(&d);
	return rc;
}
