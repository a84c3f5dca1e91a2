// SPDX-License-Identifier: Apache-2.0
/*
 * Strangers are held here until a person has decided; see approve.h. How much is held and how often main is asked is bounded: whoever can write to us
 * can only fill what the configuration allows.
 */
#include "router/approve.h"
#include <string.h>
#include "base/log.h"
#include "base/str.h"
#include "router/groups.h"
#include "router/held.h"

#define WINDOW_MS   60000 /* between two questions to main */
#define AGAIN_BATCH 25	  /* held messages taken in before the next commit */
#define GROUPS_MAX  200	  /* made for unknown chats without asking */
#define ASKED_NOTICE                                                                               \
	"I do not know you yet. I have asked whether I may talk with you, and keep your message."

struct approvals {
	struct timer *window, *expire;
};

/* --- asking main -------------------------------------------------------------------------- */

static void tell_main(struct router *r, const char *text)
{
	struct err e = ERR_INIT;
	struct out_new o = {.thread = "", .text = text, .kind = OUT_NOTICE};

	if (store_main_chat(r->store, &o.chat_id, &o.group_id, &e) < 0)
		router_fatal(r, &e);
	else if (o.chat_id)
		delivery_post(r, &o);
}

void approve_ask_main(struct router *r, const struct approval_subject *s, enum approval_kind kind,
		      int64_t id)
{
	_cleanup_(buf_free) struct buf text = {0};
	struct err e = ERR_INIT;

	subject_put(s, kind, id, notice_main_lead(r), &text);
	tell_main(r, text.p);
	timer_start(r->approvals->window, WINDOW_MS, 0);
	if (store_approval_told(r->store, id, &e) < 0)
		router_fatal(r, &e);
}

static void arm_expiry(struct router *r)
{
	int64_t open, untold, oldest, wait;
	struct err e = ERR_INIT;

	if (store_approval_counts(r->store, &open, &untold, &oldest, &e) < 0) {
		router_fatal(r, &e);
		return;
	}
	if (!open)
		return;
	wait = oldest + APPROVAL_EXPIRE_MS + 1 - clock_wall(r->o.clk);
	timer_start(r->approvals->expire, wait > 1 ? wait : 1, 0);
}

void approve_expire(void *ctx)
{
	struct router *r = ctx;
	struct err e = ERR_INIT;
	int64_t n;

	if (store_approval_expire(r->store, clock_wall(r->o.clk) - APPROVAL_EXPIRE_MS, &n, &e) < 0)
		router_fatal(r, &e);
	else if (n)
		log_info("people", "approvals expired", "n=%lld", (long long)n);
	if (!r->fatal)
		arm_expiry(r);
}

/* What came within the window is told together. */
static void on_window(void *ctx)
{
	struct router *r = ctx;
	struct err e = ERR_INIT;
	int64_t open, untold, oldest;
	char text[120];

	if (store_approval_counts(r->store, &open, &untold, &oldest, &e) < 0 ||
	    (untold && store_approval_told(r->store, 0, &e) < 0)) {
		router_fatal(r, &e);
		return;
	}
	if (!untold)
		return;
	snprintf(text, sizeof(text), "%lld more %s to be let in: `%sapprovals`", (long long)untold,
		 untold == 1 ? "asks" : "ask", notice_main_lead(r));
	tell_main(r, text);
	timer_start(r->approvals->window, WINDOW_MS, 0);
}

/* --- holding ------------------------------------------------------------------------------ */

static int open_one(struct intake *in, enum approval_kind kind, int64_t *id, struct err *e)
{
	struct router *r = in->r;
	struct approval_subject s;
	struct approval_row row = {
		.kind = kind, .chat_id = in->chat.id, .sender_id = in->sender_id};
	int rc = subject_read(r, kind, in->chat.id, in->sender_id, &s, e);

	if (rc == 0) {
		row.payload = s.payload.p;
		row.hash = s.hash;
		rc = store_approval_add(r->store, &row, id, e);
	}
	if (rc == 0) {
		log_info("people", "a stranger asks", "approval=%lld channel=%s chat=\"%s\"",
			 (long long)*id, s.chat.channel, s.chat.platform_id);
		if (!timer_active(r->approvals->window))
			approve_ask_main(r, &s, kind, *id);
		if (!timer_active(r->approvals->expire))
			arm_expiry(r);
		/* Once, since this is opened once; an unknown chat is told nothing. */
		if (kind == APPROVAL_PERSON)
			notice_brief(r, in->chat.id, in->group.id, in->m->thread, ASKED_NOTICE);
	}
	subject_free(&s);
	return rc;
}

/* Whether what came in is worth a question: said to the assistant, or about something that is held. */
static int is_meant(struct intake *in, int64_t open, bool *yes, struct err *e)
{
	const struct inbound *m = in->m;

	*yes = false;
	if (m->kind == INBOUND_EDIT || m->kind == INBOUND_DELETE)
		return open ? store_held_has(in->r->store, open, m->target, yes, e) : 0;
	/* Nobody saw the words when the person was let in: a command waits for nobody's role. */
	if (m->kind != INBOUND_MESSAGE || commands_is(in))
		return 0;
	if (in->chat.group_id)
		return inbox_wakes(in, yes, e);
	*yes = m->addressed;
	return 0;
}

/* Whether one more question may be asked. */
static int has_room(struct intake *in, enum approval_kind kind, bool *yes, struct err *e)
{
	int64_t open, untold, oldest;
	bool denied = false;

	if (store_approval_counts(in->r->store, &open, &untold, &oldest, e) < 0 ||
	    (kind == APPROVAL_CHAT &&
	     store_approval_denied(in->r->store, in->chat.id, &denied, e) < 0))
		return -1;
	*yes = !denied && open < in->r->people.ask_max;
	return 0;
}

int approve_hold(struct intake *in, bool *held, struct err *e)
{
	enum approval_kind kind = in->chat.group_id ? APPROVAL_PERSON : APPROVAL_CHAT;
	struct err too_much = ERR_INIT;
	_cleanup_free_ char *text = NULL;
	int64_t id;
	bool go;

	*held = false;
	if (store_approval_open(in->r->store, kind, in->chat.id,
				kind == APPROVAL_PERSON ? in->sender_id : 0, &id, e) < 0 ||
	    is_meant(in, id, &go, e) < 0)
		return -1;
	if (!go || !(text = held_pack(in->m, &too_much)))
		return 0;
	if (!id && has_room(in, kind, &go, e) < 0)
		return -1;
	if (!go || (!id && open_one(in, kind, &id, e) < 0))
		return go ? -1 : 0;
	return store_held_add(in->r->store, id, in->m->id, text, in->r->people.hold_max, held, e);
}

static void count_group(void *ctx, const struct group_row *g)
{
	(void)g;
	++*(int *)ctx;
}

int approve_make_group(struct intake *in, bool *made, struct err *e)
{
	struct router *r = in->r;
	struct approval_subject s;
	int64_t person;
	bool new;
	int n = 0, rc;

	*made = false;
	if (store_group_each(r->store, count_group, &n, e) < 0)
		return -1;
	if (n >= GROUPS_MAX)
		return 0;
	rc = subject_read(r, APPROVAL_CHAT, in->chat.id, in->sender_id, &s, e);
	if (rc == 0 && (group_make(r, s.group, &in->group, &new, e) < 0 ||
			settings_set(r, in->group.id, "strangers", "allow", e) < 0 ||
			store_chat_link(r->store, in->chat.id, in->group.id, e) < 0))
		rc = -1;
	/* Whose chat it is, is a member of what is made for it. */
	if (rc == 0 && in->chat.direct &&
	    (store_person_make(r->store, in->sender_id, "", &person, e) < 0 ||
	     store_role_set(r->store, person, in->group.id, ROLE_MEMBER,
			    "people.unknown_chats: allow", e) < 0))
		rc = -1;
	subject_free(&s);
	in->chat.group_id = in->group.id;
	*made = rc == 0;
	if (*made)
		log_info("people", "an unknown chat got a group", "group=%s channel=%s",
			 in->group.name, in->chat.channel);
	return rc;
}

/* --- taking in what was held -------------------------------------------------------------- */

struct due {
	struct due_one {
		int64_t id, chat_id;
		char *text;
	} list[AGAIN_BATCH];
	size_t n;
	bool more;
	struct router *r;
};

static void note_due(void *ctx, int64_t id, int64_t chat_id, const char *text)
{
	struct due *d = ctx;

	if (d->n == AGAIN_BATCH)
		d->more = true;
	else
		d->list[d->n++] = (struct due_one){id, chat_id, xstrdup(text)};
}

/* With the removal of what was held in one transaction: so never twice. */
static int take_again(struct router *r, const struct due_one *one, struct err *e)
{
	struct chat_row chat;
	struct channel *c;
	struct held h = {0};
	struct err why = ERR_INIT;
	int rc = 0;

	if (store_chat_get(r->store, one->chat_id, &chat, e) < 0)
		return -1;
	c = router_channel(r, chat.channel);
	if (held_unpack(one->text, &h, &why) == 0 && c) {
		h.m.chat = chat.platform_id;
		if (inbox_again(r, c, &h.m, &why) < 0 && (why.code == E_IO || why.code == E_BUG)) {
			*e = why;
			rc = -1;
		}
	}
	if (why.code)
		log_info("people", "what was held is not taken in", "channel=%s err=\"%s\"",
			 chat.channel, why.msg);
	held_free(&h);
	return rc < 0 ? -1 : store_held_drop(r->store, one->id, e);
}

void approve_again(void *ctx)
{
	struct router *r = ctx;
	struct due d = {.r = r};
	struct err e = ERR_INIT;
	int rc = r->fatal ? -1 : store_held_due(r->store, note_due, &d, &e);

	for (size_t i = 0; i < d.n; i++) {
		if (rc == 0)
			rc = take_again(r, &d.list[i], &e);
		free(d.list[i].text);
	}
	if (rc < 0 && !r->fatal)
		router_fatal(r, &e);
	if (rc == 0 && d.more)
		store_after_commit(r->store, approve_again, r);
}

int approve_open(struct router *r, struct err *e)
{
	int64_t open, untold, oldest;

	r->approvals = xcalloc(1, sizeof(*r->approvals));
	r->approvals->window = timer_new(r->loop, "approvals window", on_window, r);
	r->approvals->expire = timer_new(r->loop, "approvals expire", approve_expire, r);
	if (store_approval_counts(r->store, &open, &untold, &oldest, e) < 0)
		return -1;
	arm_expiry(r);
	approve_again(r);
	if (untold)
		timer_start(r->approvals->window, 1, 0);
	return 0;
}

void approve_close(struct router *r)
{
	if (!r->approvals)
		return;
	timer_free(r->approvals->window);
	timer_free(r->approvals->expire);
	free(steal_ptr(&r->approvals));
}
