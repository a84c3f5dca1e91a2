// SPDX-License-Identifier: Apache-2.0
/*
 * The MCP server (streamable HTTP, stateless JSON answers): initialize, ping, tools/list,
 * tools/call. Tools are data: a const array handed in by the floor above, so this file knows none
 * of them. Arguments are checked against the tool's input schema (the subset of JSON Schema that
 * we write: type, properties, required, enum, minLength/maxLength, minimum/maximum, items,
 * additionalProperties:false) before the handler runs; a wrong one gets a JSON-RPC error -32602 that says what was expected.
 */
#ifndef CHELA_MCP_MCP_H
#define CHELA_MCP_MCP_H
#include <stdbool.h>
#include <stddef.h>
#include "base/json.h"
#include "runtime/http1.h"

struct mcp;
struct mcp_call; /* one tools/call in flight */

struct mcp_tool {
	const char *name; /* [a-z_]+ */
	const char *title;
	const char *description;  /* for the model */
	const char *input_schema; /* JSON text, an object schema */
	bool read_only;		  /* annotation */
	/* Answers now or later by exactly one mcp_reply_*; args is borrowed for the call only. peer: the
	 * owner of the connection. Must stop using `c` when cancelled says so (may be NULL when it always answers at once). */
	void (*call)(void *peer, struct mcp_call *c, const cJSON *args);
	void (*cancelled)(void *peer, struct mcp_call *c);
};

struct mcp_opts {
	const struct mcp_tool *tools; /* borrowed for mcp's life */
	size_t n_tools;
	/* Something was refused: a short reason for the audit log. May be NULL. */
	void (*on_refused)(void *peer, const char *what, const char *why);
	/* Which tools this peer has at all; the others are not listed, and calling one is as calling what is not there. NULL = all. */
	bool (*has)(void *peer, const struct mcp_tool *t);
};
/* Dies on a tool whose schema is no JSON object (they are ours). */
struct mcp *mcp_new(const struct mcp_opts *o);
/* After the last connection that it answers on. */
void mcp_free(struct mcp *m);
/* Every request of one path, whatever its method. */
struct http1_service mcp_service(struct mcp *m);

/* The tool that is being called. */
const struct mcp_tool *mcp_tool_of(const struct mcp_call *c);
/* A plain text result; is_error marks a tool error that the model should read. Frees c. */
void mcp_reply_text(struct mcp_call *c, const char *text, bool is_error);
/* A whole `content` array of the result (taken), e.g. for images. Frees c. */
void mcp_reply_content(struct mcp_call *c, cJSON *content, bool is_error);

#endif
