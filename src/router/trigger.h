// SPDX-License-Identifier: Apache-2.0
/* What wakes the assistant: the group's rule, asked of one incoming message. */
#ifndef CHELA_ROUTER_TRIGGER_H
#define CHELA_ROUTER_TRIGGER_H
#include "router/inbox.h"

enum wake {
	WAKE_NO,	/* kept as context */
	WAKE_ADDRESSED, /* named, replied to, or in a chat with nobody else */
	WAKE_ALWAYS,	/* trigger always */
	WAKE_WORD,	/* trigger word or regex */
	WAKE_STICKY	/* the assistant has spoken in this thread */
};
/* In words, for `people why` and the log: "it is addressed to the assistant". */
const char *wake_words(enum wake w);
/* Chat, group and settings of `in` are known. */
int trigger_wakes(struct intake *in, enum wake *out, struct err *e) must_check;

#endif
