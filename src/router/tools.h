// SPDX-License-Identifier: Apache-2.0
/*
 * What the files of the agent's tools share; tools.c has the table, and the one gate that each call goes through. A tool acts for the people whose messages are in
 * its session's running turn (session.by), and within its session's group: only the main group's agent, asked by an admin, can name another one.
 */
#ifndef CHELA_ROUTER_TOOLS_H
#define CHELA_ROUTER_TOOLS_H
#include "router/impl.h"

/* A tool and who may use it. Tools that only main's agent has (rule.main_only) are neither listed nor callable elsewhere. */
struct agent_tool {
	struct mcp_tool mcp;
	struct rule rule;
	bool acts; /* changes something: an agent may do so only so often before it answers */
};
/* Each ends with one without a name. */
extern const struct agent_tool tools_say[];   /* tools_say.c */
extern const struct agent_tool tools_task[];  /* tools_task.c */
extern const struct agent_tool tools_group[]; /* tools_group.c */

/* What is common to the schemas of their arguments. */
#define TOOL_TEXT(name, least, most, what)                                                         \
	"\"" name "\":{\"type\":\"string\",\"minLength\":" least ",\"maxLength\":" most            \
	",\"description\":\"" what "\"}"
#define TOOL_NUMBER(name, least, most, what)                                                       \
	"\"" name "\":{\"type\":\"integer\",\"minimum\":" least ",\"maximum\":" most               \
	",\"description\":\"" what "\"}"
#define TOOL_INPUT(props, required)                                                                \
	"{\"type\":\"object\",\"properties\":{" props "},\"required\":[" required                  \
	"],\"additionalProperties\":false}"
#define TOOL_GROUP(what) TOOL_TEXT("group", "1", "64", what)

/* tools_command.c: the read-only commands (router_commands.tools) as one tool of main's agent; its words are the caller's to free by command_tool_free. */
struct agent_tool command_tool_make(const struct command_tool *t);
void command_tool_free(struct agent_tool *t);
/* Nobody hears the answers of commands that still run. */
void command_tools_forget(struct router *r);

/* --- for a tool's handler ------------------------------------------------------------------ */

/* One line of the record of who caused what (store_act_add), and whether it was done. */
void tool_record(struct session *s, bool allowed, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The group that a call is about: its argument `group`, else the session's own. False: answered already. To name another group is main's alone, asked by an
 * admin; to all others each name but their own is one that is not there. */
bool tool_group(struct session *s, struct mcp_call *c, const cJSON *args, struct group_row *out);
/* Whether the actor may, beyond the tool's own rule. False: answered already, and recorded. what: "changing settings". */
bool tool_may(struct session *s, struct mcp_call *c, enum role least, const char *what);
/* A failure of ours: the router cannot go on after one of the store. */
void tool_failed(struct session *s, struct mcp_call *c, const struct err *e);

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

/* tools_say.c: the tool send_message to another chat than the turn's; tools_send.c */
void tool_send_elsewhere(struct session *s, struct mcp_call *c, const char *where,
			 const char *text);

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
