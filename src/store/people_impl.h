// SPDX-License-Identifier: Apache-2.0
/* What senders.c and people.c share: keeping the identities of a person and the people themselves in step. */
#ifndef CHELA_STORE_PEOPLE_IMPL_H
#define CHELA_STORE_PEOPLE_IMPL_H
#include "store/impl.h"
#include "store/people.h"

/* Of the chat c: the id of the sender who is alone with us in it, 0 = it is no direct chat, or nobody knows yet. */
#define CHAT_PEER                                                                                                   \
	"iif(c.direct, coalesce((SELECT s.id FROM senders s WHERE s.channel = c.channel"                            \
	" AND s.platform_id = c.platform_id), (SELECT min(s.id) FROM senders s"                                     \
	" WHERE s.channel = c.channel AND s.alt = c.platform_id AND s.alt <> ''),"                                  \
	" (SELECT m.sender_id FROM messages m WHERE m.id = " NEWEST_SAID(                                           \
		"c.id") "),"                                                                                        \
			" (SELECT a.sender_id FROM approvals a WHERE a.chat_id = c.id ORDER BY a.id DESC LIMIT 1)," \
			" 0), 0)"

struct twin {
	int64_t id, person_id;
};
/* senders.c: the sender, and every one that is the same person on its platform, is this person's from now on; who loses them so
 * is melted in. */
int store_sender_give(struct store *st, int64_t id, int64_t person_id, struct err *e) must_check;
/* people.c: `from` has lost an identity to `into`. Once it has none left its roles go over and it is gone. */
int store_person_melt(struct store *st, int64_t from, int64_t into, struct err *e) must_check;

/* invites.c: see store_chat_invite; group 0 = in all. */
int store_invites_withdraw(struct store *st, int64_t person_id, int64_t group_id,
			   struct err *e) must_check;

#endif
