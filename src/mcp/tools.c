// SPDX-License-Identifier: Apache-2.0
/*
 * The methods tools/list and tools/call. Tools are data; what a peer does not have is not listed, and calling it is as calling what is not there: the answer
 * must not tell that others have it.
 */
#include <string.h>
#include "base/json_schema.h"
#include "base/str.h"
#include "mcp/impl.h"

static bool has(const struct mcp_call *q, const struct mcp_tool *t)
{
	return !q->mcp->o.has || q->mcp->o.has(q->peer, t);
}

void mcp_do_tools_list(struct mcp_call *q, const cJSON *params)
{
	const struct mcp *m = q->mcp;
	cJSON *result = cJSON_CreateObject();
	cJSON *list = cJSON_AddArrayToObject(result, "tools");

	(void)params; /* one page: a cursor has nothing to point at */
	for (size_t i = 0; i < m->o.n_tools; i++) {
		const struct mcp_tool *t = &m->o.tools[i];
		cJSON *j;

		if (!has(q, t))
			continue;
		j = cJSON_CreateObject();
		cJSON_AddStringToObject(j, "name", t->name);
		if (t->title)
			cJSON_AddStringToObject(j, "title", t->title);
		cJSON_AddStringToObject(j, "description", t->description);
		cJSON_AddItemToObject(j, "inputSchema", cJSON_Duplicate(m->schemas[i], true));
		cJSON *a = cJSON_AddObjectToObject(j, "annotations");
		cJSON_AddBoolToObject(a, "readOnlyHint", t->read_only);
		cJSON *meta = cJSON_AddObjectToObject(j, "_meta");
		cJSON_AddTrueToObject(meta, "anthropic/alwaysLoad"); /* not behind a tool search */
		cJSON_AddItemToArray(list, j);
	}
	if (q->modern)
		mcp_cache_hint(result);
	mcp_succeed(q, result);
}

static void unknown_tool(struct mcp_call *q, const char *name)
{
	const struct mcp *m = q->mcp;
	const char **names = xcalloc(m->o.n_tools + 1, sizeof(*names));
	char text[256];
	size_t n = 0;

	for (size_t i = 0; i < m->o.n_tools; i++) {
		if (has(q, &m->o.tools[i]))
			names[n++] = m->o.tools[i].name;
	}
	const char *near = str_nearest(name, names);
	snprintf(text, sizeof(text), "Unknown tool: %.100s%s%s%s", name,
		 near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
	free(names);
	mcp_fail(q, 200, BAD_PARAMS, text);
}

void mcp_do_tools_call(struct mcp_call *q, const cJSON *params)
{
	const struct mcp *m = q->mcp;
	const char *name = params ? json_peek_str(params, "name") : NULL;
	cJSON *args = params ? cJSON_GetObjectItemCaseSensitive(params, "arguments") : NULL;
	struct err e = ERR_INIT;
	size_t i = 0;

	if (!name) {
		mcp_fail(q, 200, BAD_PARAMS, "params.name: expected the name of a tool");
		return;
	}
	while (i < m->o.n_tools && !(streq(m->o.tools[i].name, name) && has(q, &m->o.tools[i])))
		i++;
	if (i == m->o.n_tools) {
		unknown_tool(q, name);
		return;
	}
	if (!args)
		args = cJSON_AddObjectToObject((cJSON *)(uintptr_t)params, "arguments");
	if (json_schema_check(m->schemas[i], args, &e) < 0) {
		char text[320];
		snprintf(text, sizeof(text), "%s: %s", name, e.msg);
		mcp_fail(q, 200, BAD_PARAMS, text);
		return;
	}
	q->tool = &m->o.tools[i];
	q->tool->call(q->peer, q, args);
}
