// SPDX-License-Identifier: Apache-2.0
/*
 * What the files of the MCP server share; for this folder only.
 */
#ifndef CHELA_MCP_IMPL_H
#define CHELA_MCP_IMPL_H
#include "mcp/mcp.h"
#include "runtime/bodies.h"

enum {
	BAD_JSON = -32700,
	BAD_REQUEST = -32600,
	NO_METHOD = -32601,
	BAD_PARAMS = -32602,
	HEADER_MISMATCH = -32020,
	BAD_VERSION = -32022,
};

struct mcp {
	struct mcp_opts o;
	struct bodies bodies;
	cJSON **schemas; /* one a tool */
};

/* One request, from its head to its answer. */
struct mcp_call {
	struct mcp *mcp;
	void *peer;
	struct http1 *c;
	const struct http1_req *r;
	struct body body;
	cJSON *msg;
	const cJSON *id; /* in msg */
	bool modern;
	const struct mcp_tool *tool; /* is running */
};

/* Each answers and frees the call. A result is taken. */
void mcp_fail(struct mcp_call *q, int status, int code, const char *text);
void mcp_succeed(struct mcp_call *q, cJSON *result);
/* How long a client of the modern era may keep a list. */
void mcp_cache_hint(cJSON *result);

/* tools.c: the methods tools/list and tools/call */
void mcp_do_tools_list(struct mcp_call *q, const cJSON *params);
void mcp_do_tools_call(struct mcp_call *q, const cJSON *params);

#endif
