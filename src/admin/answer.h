// SPDX-License-Identifier: Apache-2.0
/*
 * The answer to a command on the control socket, as events: it goes out in order, and never before what the command has written is durable. A server that is killed
 * must not have said "done" of something that its database does not have.
 */
#ifndef CHELA_ADMIN_ANSWER_H
#define CHELA_ADMIN_ANSWER_H
#include "admin/command.h"

struct answer {
	struct store *store;
	void (*put)(void *ctx, const cJSON *events); /* an array; may drop the answer */
	void *ctx;
	cJSON *held; /* what waits for a commit; NULL = nothing does */
};
/* For command_run, with the answer as its context. */
extern const struct reply_to answer_to;
/* Nothing is put any more. */
void answer_drop(struct answer *a);

#endif
