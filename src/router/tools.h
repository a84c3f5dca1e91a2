// SPDX-License-Identifier: Apache-2.0
/*
 * What the files of the agent's tools share; tools.c has the table. A tool acts on the chat of its session's running turn and on nothing
 * else: no argument can name a chat, a group or a path outside the group's folder.
 */
#ifndef CHELA_ROUTER_TOOLS_H
#define CHELA_ROUTER_TOOLS_H
#include "router/impl.h"

/* Where a call acts. */
struct tool_place {
	struct chat_row chat;
	struct channel *chan; /* NULL: the configuration has it no more; only without a cap */
};
/* For a tool that puts something into the chat: a turn must run, the platform must have `cap` (0 = nothing asked; what: "files"), and there
 * must not have been too many before an answer. False: answered already, in words. */
bool tool_begin(struct session *s, struct mcp_call *c, unsigned cap, const char *what,
		struct tool_place *out);
/* Answers with a tool error; printf-like. */
void tool_refuse(struct mcp_call *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A message of the session's own chat. False: answered already, in words. */
struct tool_message {
	int64_t id;
	bool ours, notice;
	char thread[128], platform_id[128];
};
bool tool_message(struct session *s, struct mcp_call *c, int64_t id, struct tool_message *out);

/* tools_edit.c */
enum edit_outcome {
	EDIT_OK,
	EDIT_UNSENT, /* the platform does not have all of it */
	EDIT_PARTS,  /* the new text goes into another number of messages */
	EDIT_FATAL,
};
/* Replaces the text of a sent message of ours, on its platform and in the history. o: chat, group, turn, kind, message_id, text. had and needs are set with
 * EDIT_PARTS. A closed question loses its buttons by it. */
enum edit_outcome message_edit(struct router *r, const struct channel *c, const struct out_new *o,
			       size_t *had, size_t *needs);
void tool_edit_message(void *peer, struct mcp_call *c, const cJSON *args);
void tool_react(void *peer, struct mcp_call *c, const cJSON *args);

/* tools_file.c */
void tool_send_file(void *peer, struct mcp_call *c, const cJSON *args);
void tool_send_file_cancelled(void *peer, struct mcp_call *c);

#endif
