// SPDX-License-Identifier: Apache-2.0
/*
 * The MCP server (streamable HTTP, stateless JSON answers): initialize, ping, tools/list,
 * tools/call. Tools are data: a const array handed in by the floor above, so this file knows none
 * of them. Arguments are checked against the tool's input schema (the subset of JSON Schema that
 * we write: type, properties, required, enum, minLength/maxLength, minimum/maximum, items,
 * additionalProperties:false) before the handler runs; a wrong one gets a JSON-RPC error -32602 that says what was expected.
 */
#ifndef CHELA_GATEWAY_MCP_H
#define CHELA_GATEWAY_MCP_H
#include <stdbool.h>
#include <stddef.h>
#include "base/json.h"

struct mcp_call; /* one tools/call in flight */

struct mcp_tool {
	const char *name; /* [a-z_]+ */
	const char *title;
	const char *description;  /* for the model */
	const char *input_schema; /* JSON text, an object schema */
	bool read_only;		  /* annotation */
	/* Answers now or later by exactly one mcp_reply_*; args is borrowed for the call only. peer: see
	 * gateway_serve. Must stop using `c` when cancelled says so (may be NULL when it always answers at once). */
	void (*call)(void *peer, struct mcp_call *c, const cJSON *args);
	void (*cancelled)(void *peer, struct mcp_call *c);
};

/* A plain text result; is_error marks a tool error that the model should read. Frees c. */
void mcp_reply_text(struct mcp_call *c, const char *text, bool is_error);
/* A whole `content` array of the result (taken), e.g. for images. Frees c. */
void mcp_reply_content(struct mcp_call *c, cJSON *content, bool is_error);

#endif
