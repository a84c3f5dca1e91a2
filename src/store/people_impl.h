// SPDX-License-Identifier: Apache-2.0
/* What senders.c and people.c share: keeping the identities of a person and the people themselves in step. */
#ifndef CHELA_STORE_PEOPLE_IMPL_H
#define CHELA_STORE_PEOPLE_IMPL_H
#include "store/people.h"

struct twin {
	int64_t id, person_id;
};
/* senders.c: the sender, and every one that is the same person on its platform, is this person's from now on; who loses them so
 * is melted in. */
int store_sender_give(struct store *st, int64_t id, int64_t person_id, struct err *e) must_check;
/* people.c: `from` has lost an identity to `into`. Once it has none left its roles go over and it is gone. */
int store_person_melt(struct store *st, int64_t from, int64_t into, struct err *e) must_check;

#endif
