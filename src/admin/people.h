// SPDX-License-Identifier: Apache-2.0
/* How commands name people, and the command that explains them. */
#ifndef CHELA_ADMIN_PEOPLE_H
#define CHELA_ADMIN_PEOPLE_H
#include "admin/command.h"

/* "telegram:123" in two; false: it is none. The console has no identities. */
bool people_split_id(const char *word, char channel[32], const char **id);
/* By number, name or CHANNEL:ID. make: an identity that is nobody's gets a person, also when it was never seen. */
int people_find_person(const struct command *c, const char *word, bool make, int64_t *id,
		       struct err *e) must_check;
/* people_why.c */
int people_why(struct command *c, struct err *e) must_check;

#endif
