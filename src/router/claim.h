// SPDX-License-Identifier: Apache-2.0
/*
 * Claiming: while no chat of a platform belongs to main, a code that the server prints makes whoever writes it in a chat the owner, and that chat main's. The
 * code is never in the log, the history or the record; it is used once, and a few wrong tries burn it.
 */
#ifndef CHELA_ROUTER_CLAIM_H
#define CHELA_ROUTER_CLAIM_H
#include "router/inbox.h"

/* The code of now, "ABCD-EFGH", made when there is none; NULL when main is claimed. Borrowed until the next call. */
int claim_code(struct router *r, const char **code, struct err *e) must_check;
/* Says the code on the standard error while it is needed and somebody could write it: a channel beside the console is there. */
int claim_announce(struct router *r, struct err *e) must_check;
/* Whether this is "/claim ...", which no agent and no history may see while main can be claimed. */
int claim_is(struct intake *in, bool *yes, struct err *e) must_check;
/* Does it, right or wrong; the chat is known, and belongs to no group. */
int claim_take(struct intake *in, struct err *e) must_check;

#endif
