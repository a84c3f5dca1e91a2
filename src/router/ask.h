// SPDX-License-Identifier: Apache-2.0
/*
 * Questions of an agent to the people of its chat (the tool ask_user): open until somebody answers, the time is over, or the call or its turn
 * ends. A question lives in memory only: after a restart its turn is run again and asks again. One question a session at a time, so that a plain
 * number can only mean one thing.
 */
#ifndef CHELA_ROUTER_ASK_H
#define CHELA_ROUTER_ASK_H
#include "router/impl.h"

/* A button with this value was pressed in this chat, by whom the turn acts for as well from then on. False: it belongs to no open question. */
bool ask_press(struct router *r, int64_t chat_id, const char *value, const char *sender_name,
	       const struct actor *by);
/* A message came: true when it answers the question that is open in this chat and thread (an option's number, where no buttons are shown, or an
 * option's text). Then it must not be handed to the agent as well. */
bool ask_answer(struct router *r, int64_t chat_id, const char *thread, const char *text,
		const char *sender_name, const struct actor *by);
/* Gives the session's question up, if it has one: the call is answered with words, and the chat sees that it is closed. */
void ask_close(struct session *s, const char *words);

/* The tool. */
void tool_ask_user(void *peer, struct mcp_call *c, const cJSON *args);
void tool_ask_user_cancelled(void *peer, struct mcp_call *c);

#endif
