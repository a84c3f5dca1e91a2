// SPDX-License-Identifier: Apache-2.0
/*
 * Asking before strangers are listened to: what is asked in main, and what a decision does. Nothing here is an agent's to decide: only commands of people
 * reach approval_grant and approval_deny, and the command's rule says whose.
 */
#ifndef CHELA_ROUTER_APPROVE_H
#define CHELA_ROUTER_APPROVE_H
#include "router/inbox.h"
#include "store/approvals.h"

/* --- the inbox's side --------------------------------------------------------------------- */

/* What came in from a stranger, or from an unknown chat: held when it is meant for the assistant, and asked for once. *held is false when it is only
 * counted. */
int approve_hold(struct intake *in, bool *held, struct err *e) must_check;
/* A group of its own for the chat, linked, in which strangers are guests; *made is false when there are too many groups. */
int approve_make_group(struct intake *in, bool *made, struct err *e) must_check;
/* At start, once channels are there: what was granted and is still held is taken in; main is told of what it was not told of. */
int approve_open(struct router *r, struct err *e) must_check;
void approve_close(struct router *r);
/* inbox.c: takes one in again. */
int inbox_again(struct router *r, struct channel *c, const struct inbound *m,
		struct err *e) must_check;

/* --- what is approved --------------------------------------------------------------------- */

struct approval_subject {
	struct chat_row chat;
	char title[64];	    /* as the platform says, on one line */
	char who[100];	    /* "Ann (telegram:5)" */
	struct buf ids;	    /* "telegram:5, telegram:+49 30 ..." */
	char group[65];	    /* that the chat will belong to, or does */
	char role[16];	    /* that the person gets */
	struct buf payload; /* all of this as JSON, always in the same order */
	char hash[65];	    /* of payload */
};
/* As it is now. Free with subject_free, also after an error. */
int subject_read(struct router *r, enum approval_kind kind, int64_t chat_id, int64_t sender_id,
		 struct approval_subject *out, struct err *e) must_check;
void subject_free(struct approval_subject *s);
/* What main is asked, several lines of Markdown. lead: what a command is written behind there. */
void subject_put(const struct approval_subject *s, enum approval_kind kind, int64_t id,
		 const char *lead, struct buf *out);

/* --- what approve_decide.c needs of approve.c ----------------------------------------------- */

#define APPROVAL_EXPIRE_MS ((int64_t)7 * 86400000)

void approve_ask_main(struct router *r, const struct approval_subject *s, enum approval_kind kind,
		      int64_t id);
/* ctx: the router. What is too old expires. */
void approve_expire(void *ctx);
/* ctx: the router. What was granted and is still held is taken in. */
void approve_again(void *ctx);

/* --- decisions ---------------------------------------------------------------------------- */

/* word: the group or the role in place of what was proposed, or "". said: what was done, in words. What was shown is compared with what is true
 * now: if they differ nothing is granted, and it is asked anew. */
int approval_grant(struct router *r, int64_t id, const char *word, const struct actor *by,
		   struct buf *said, struct err *e) must_check;
int approval_deny(struct router *r, int64_t id, const struct actor *by, struct buf *said,
		  struct err *e) must_check;

#endif
