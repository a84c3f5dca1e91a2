// SPDX-License-Identifier: Apache-2.0
/*
 * Checks a value against the part of JSON Schema that our tools are written in (see mcp.h). Other
 * keywords are shown to the client and not checked here. The error is for the model to act on.
 */
#ifndef CHELA_GATEWAY_MCP_SCHEMA_H
#define CHELA_GATEWAY_MCP_SCHEMA_H
#include "base/json.h"

/* 0, or -1 with what was expected, what came, and the nearest argument name. */
int mcp_schema_check(const cJSON *schema, const cJSON *value, struct err *e) must_check;

#endif
