// SPDX-License-Identifier: Apache-2.0
/*
 * Commands that only read, as one tool of the main group's agent: the same words and the same answers as in a chat, on behalf of those whose messages are in the running
 * turn. The floor above carries them out, and decides once more whether that actor may.
 */
#include <string.h>
#include "base/str.h"
#include "router/tools.h"

#define ANSWER_MAX ((size_t)64 << 10) /* bytes of one answer: a model reads it */

struct command_call {
	struct command_call *next;
	struct router *r;      /* NULL: it is no more */
	struct mcp_call *call; /* NULL: nobody waits for the answer */
};

static void unlink_call(struct command_call *k)
{
	struct command_call **p = &k->r->command_calls;

	while (*p && *p != k)
		p = &(*p)->next;
	if (*p)
		*p = k->next;
}

static void said(void *ctx, const char *text, int status)
{
	struct command_call *k = ctx;
	size_t n = strlen(text);

	if (k->r)
		unlink_call(k);
	if (k->call && n > ANSWER_MAX) {
		_cleanup_free_ char *cut =
			xasprintf("%.*s\n[cut: the answer has %zu bytes]",
				  (int)str_utf8_floor(text, ANSWER_MAX), text, n);

		mcp_reply_text(k->call, cut, status != 0);
	} else if (k->call) {
		mcp_reply_text(k->call, n ? text : "Done.", status != 0);
	}
	free(k);
}

static void cancelled(void *peer, struct mcp_call *c)
{
	struct session *s = peer;

	for (struct command_call *k = s->r->command_calls; k; k = k->next) {
		if (k->call == c)
			k->call = NULL;
	}
}

void command_tools_forget(struct router *r)
{
	for (struct command_call *k = r->command_calls, *next; k; k = next) {
		next = k->next;
		k->call = NULL;
		k->r = NULL;
	}
	r->command_calls = NULL;
}

static const struct command_tool *command_of(const struct router *r, const char *line)
{
	const struct command_tool *t = r->o.commands->tools;

	while (!streq(t->line, line)) /* one of them: the schema has checked it */
		t++;
	return t;
}

static void run(void *peer, struct mcp_call *c, const cJSON *args)
{
	struct session *s = peer;
	const struct command_tool *t = command_of(s->r, json_peek_str(args, "command"));
	const char *words = json_peek_str(args, "words");
	_cleanup_free_ char *line =
		xasprintf("%s%s%s", t->line, words ? " " : "", words ? words : "");
	struct command_ask ask = {.line = line, .by = &s->by, .group = &s->group, .thread = ""};
	struct command_call *k;

	if (!tool_may(s, c, t->least, t->line))
		return;
	for (char *p = line; *p; p++) {
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = ' ';
	}
	k = xcalloc(1, sizeof(*k));
	*k = (struct command_call){.next = s->r->command_calls, .r = s->r, .call = c};
	s->r->command_calls = k;
	s->r->o.commands->run(s->r->o.commands_ctx, &ask, said, k);
}

/* One tool and not one for each: an agent reads and sets up each tool that it has at every start, and pays for its words in every call of the model. */
struct agent_tool command_tool_make(const struct command_tool *t)
{
	struct buf names = {0}, all = {0}, schema = {0};

	buf_puts(&all, "What this server shows its operator. Changes nothing. Commands:");
	for (; t->line; t++) {
		buf_putf(&names, "%s\"%s\"", names.len ? "," : "", t->line);
		buf_putf(&all, "\n%s: %s", t->line, t->description);
	}
	buf_putf(&schema,
		 TOOL_INPUT("\"command\":{\"type\":\"string\",\"enum\":[%s]}," TOOL_TEXT(
				    "words", "1", "200", "what follows the command"),
			    "\"command\""),
		 names.p);
	buf_free(&names);
	return (struct agent_tool){
		.mcp =
			{
				.name = COMMAND_TOOL,
				.title = "Read-only command",
				.description = buf_steal(&all),
				.input_schema = buf_steal(&schema),
				.read_only = true,
				.call = run,
				.cancelled = cancelled,
			},
		.rule = {ROLE_GUEST, true}, /* each command's own: run() */
	};
}

void command_tool_free(struct agent_tool *t)
{
	free((char *)(uintptr_t)t->mcp.description);
	free((char *)(uintptr_t)t->mcp.input_schema);
}
