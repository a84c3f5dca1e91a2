// SPDX-License-Identifier: Apache-2.0
/*
 * Commands that only read, as tools of the main group's agent: the same words and the same answers as in a chat, on behalf of those whose messages are in the running
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

static const struct command_tool *command_of(const struct router *r, const char *name)
{
	const struct command_tool *t = r->o.commands->tools;

	while (t->name && !streq(t->name, name))
		t++;
	return t;
}

static void run(void *peer, struct mcp_call *c, const cJSON *args)
{
	struct session *s = peer;
	const struct command_tool *t = command_of(s->r, mcp_tool_of(c)->name);
	const char *words = json_peek_str(args, "words");
	_cleanup_free_ char *line =
		xasprintf("%s%s%s", t->line, words ? " " : "", words ? words : "");
	struct command_call *k = xcalloc(1, sizeof(*k));
	struct command_ask ask = {.line = line, .by = &s->by, .group = &s->group, .thread = ""};

	for (char *p = line; *p; p++) {
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = ' ';
	}
	*k = (struct command_call){.next = s->r->command_calls, .r = s->r, .call = c};
	s->r->command_calls = k;
	s->r->o.commands->run(s->r->o.commands_ctx, &ask, said, k);
}

struct agent_tool command_as_tool(const struct command_tool *t)
{
	return (struct agent_tool){
		.mcp =
			{
				.name = t->name,
				.title = t->line,
				.description = t->description,
				.input_schema = TOOL_INPUT(
					TOOL_TEXT(
						"words", "1", "200",
						"the words that may follow the command; see the description"),
					""),
				.read_only = true,
				.call = run,
				.cancelled = cancelled,
			},
		.rule = {t->least, true},
	};
}
