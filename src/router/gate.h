// SPDX-License-Identifier: Apache-2.0
/*
 * The gate of the inbox: which chat and group something came from, who said it, and whether it is listened to. What is refused is counted, and
 * nothing of it reaches the history or an agent.
 */
#ifndef CHELA_ROUTER_GATE_H
#define CHELA_ROUTER_GATE_H
#include "router/inbox.h"

/* *pass: chat, group, settings, sender and actor of `in` are set. False: it was dealt with, and is durable after the commit. E_PERM: it is not
 * listened to. */
int gate_enter(struct intake *in, bool *pass, struct err *e) must_check;
/* Writes down what was counted but is not in the store yet. */
int gate_count(struct router *r, struct err *e) must_check;
void gate_close(struct router *r);

#endif
