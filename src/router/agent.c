// SPDX-License-Identifier: Apache-2.0
/*
 * Reading and writing stream-json; see agent.h. It must never act: the session decides what an event means.
 */
#include "router/agent.h"
#include <ctype.h>
#include <string.h>
#include "base/str.h"

#define COST_MAX_USD 1000000

static bool is(const char *a, const char *b)
{
	return a && streq(a, b);
}

/* After a cut: whole characters again, and nothing that breaks a line. */
static void one_line(char *words)
{
	words[str_utf8_floor(words, strlen(words))] = '\0';
	for (char *p = words; *p; p++) {
		if ((unsigned char)*p < ' ')
			*p = ' ';
	}
}

/* The last part of a path. */
static const char *shorten(const char *what, bool path)
{
	const char *slash = path ? strrchr(what, '/') : NULL;

	return slash && slash[1] ? slash + 1 : what;
}

/* How each tool is told; what: the argument that says most, the tail of a path when it is one. */
static const struct tool_phrase {
	const char *name, *words, *what;
	bool path;
} phrases[] = {
	{"Bash", "Runs: ", "command", false},
	{"Read", "Reads ", "file_path", true},
	{"Write", "Writes ", "file_path", true},
	{"Edit", "Changes ", "file_path", true},
	{"NotebookEdit", "Changes ", "notebook_path", true},
	{"Grep", "Searches files for ", "pattern", false},
	{"Glob", "Looks for files: ", "pattern", false},
	{"WebSearch", "Searches the web: ", "query", false},
	{"WebFetch", "Reads ", "url", false},
	{"Task", "Has a helper do this: ", "description", false},
	{"Agent", "Has a helper do this: ", "description", false},
	{"TaskStop", "Stops a task of its own", NULL, false},
	{"Skill", "Uses a skill: ", "skill", false},
	{"mcp__chela__send_message", "Sends a message", NULL, false},
	{"mcp__chela__send_file", "Sends a file: ", "path", true},
	{"mcp__chela__react", "Reacts", NULL, false},
	{"mcp__chela__edit_message", "Changes a message", NULL, false},
	{"mcp__chela__ask_user", "Asks a question", NULL, false},
	{"mcp__chela__command", "Looks at ", "command", false},
	{"mcp__chela__search_history", "Searches the messages: ", "query", false},
};

/* What a tool does, in words a person understands; the arguments are the agent's and are cut. */
static void tool_words(const cJSON *use, char *out, size_t cap)
{
	const cJSON *input = cJSON_GetObjectItemCaseSensitive(use, "input");
	const char *name = json_peek_str(use, "name");
	const char *what;

	for (size_t i = 0; name && i < ARRAY_LEN(phrases); i++) {
		const struct tool_phrase *p = &phrases[i];

		if (!streq(name, p->name))
			continue;
		what = p->what ? json_peek_str(input, p->what) : NULL;
		snprintf(out, cap, "%s%s", p->words,
			 what	   ? shorten(what, p->path)
			 : p->what ? "something"
				   : "");
		one_line(out);
		return;
	}
	what = json_peek_str(input, "description");
	if (name && str_starts(name, "mcp__"))
		name += strlen("mcp__");
	snprintf(out, cap, "Uses %s%s%s", name ? name : "a tool", what ? ": " : "",
		 what ? what : "");
	one_line(out);
}

static void read_assistant(const cJSON *root, struct agent_event *ev)
{
	const cJSON *content = json_find(root, "message.content");
	const cJSON *block;

	cJSON_ArrayForEach(block, content)
	{
		if (!is(json_peek_str(block, "type"), "tool_use"))
			continue;
		tool_words(block, ev->words, sizeof(ev->words));
		ev->text = ev->words;
		ev->kind = AGENT_TOOL;
		return;
	}
}

/* A claim from inside the sandbox: a number that cannot be is no number. */
static int64_t read_cost(const cJSON *root)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(root, "total_cost_usd");

	if (!cJSON_IsNumber(v) || !(v->valuedouble >= 0))
		return -1;
	return v->valuedouble >= COST_MAX_USD ? COST_MAX_USD * 1000000LL
					      : (int64_t)(v->valuedouble * 1e6 + 0.5);
}

static void read_result(const cJSON *root, struct agent_event *ev)
{
	const char *reason = json_peek_str(root, "terminal_reason");
	const cJSON *errors = json_find(root, "errors");
	const cJSON *item;

	ev->kind = AGENT_RESULT;
	ev->cost_micro = read_cost(root);
	ev->is_error = cJSON_IsTrue(json_find(root, "is_error"));
	ev->aborted = reason && str_starts(reason, "aborted");
	ev->text = json_peek_str(root, "result");
	ev->uuids = json_find(root, "user_message_uuids");
	cJSON_ArrayForEach(item, errors)
	{
		if (!cJSON_IsString(item))
			continue;
		if (strstr(item->valuestring, "No conversation found"))
			ev->unknown_session = true;
		if (!ev->text)
			ev->text = item->valuestring;
	}
}

static void read_system(const cJSON *root, struct agent_event *ev)
{
	const char *why;

	if (is(json_peek_str(root, "subtype"), "compact_boundary")) {
		ev->kind = AGENT_COMPACTED;
		ev->text = json_peek_str(root, "compact_metadata.trigger");
		ev->tokens = json_peek_i64(root, "compact_metadata.pre_tokens", 0);
		return;
	}
	if (!is(json_peek_str(root, "subtype"), "api_retry"))
		return;
	why = json_peek_str(root, "error");
	snprintf(ev->words, sizeof(ev->words), "the model does not answer (%s %lld), try %lld",
		 why ? why : "unknown", (long long)json_peek_i64(root, "error_status", 0),
		 (long long)json_peek_i64(root, "attempt", 0));
	one_line(ev->words);
	ev->text = ev->words;
	ev->kind = AGENT_RETRY;
}

static void read_lifecycle(const cJSON *root, struct agent_event *ev)
{
	const char *state = json_peek_str(root, "state");

	ev->uuid = json_peek_str(root, "command_uuid");
	if (!ev->uuid)
		return;
	if (is(state, "started"))
		ev->kind = AGENT_STARTED;
	else if (is(state, "cancelled"))
		ev->kind = AGENT_CANCELLED;
	else if (is(state, "completed"))
		ev->kind = AGENT_COMPLETED;
}

int agent_parse(const char *line, size_t n, struct agent_event *ev, struct err *e)
{
	const char *type;

	memset(ev, 0, sizeof(*ev));
	ev->root = json_parse(line, n, AGENT_LINE_MAX, e);
	if (!ev->root)
		return -1;
	if (!cJSON_IsObject(ev->root)) {
		agent_event_free(ev);
		return err_set(e, E_PROTO, "the agent sent a line that is no JSON object");
	}
	type = json_peek_str(ev->root, "type");
	ev->session_id = json_peek_str(ev->root, "session_id");
	if (ev->session_id && !str_is_uuid(ev->session_id))
		ev->session_id = NULL;
	if (is(type, "stream_event")) {
		/* Text of a sub-agent is not text of the answer. */
		if (is(json_peek_str(ev->root, "event.type"), "content_block_delta") &&
		    !json_peek_str(ev->root, "parent_tool_use_id"))
			ev->text = json_peek_str(ev->root, "event.delta.text");
		if (ev->text)
			ev->kind = AGENT_TEXT;
	} else if (is(type, "assistant")) {
		read_assistant(ev->root, ev);
	} else if (is(type, "result")) {
		read_result(ev->root, ev);
	} else if (is(type, "system")) {
		read_system(ev->root, ev);
	} else if (is(type, "command_lifecycle")) {
		read_lifecycle(ev->root, ev);
	} else if (is(type, "control_response")) {
		ev->kind = AGENT_CONTROL;
		ev->request_id = json_peek_str(ev->root, "response.request_id");
		ev->uuids = json_find(ev->root, "response.response.still_queued");
	}
	if (ev->uuids && !cJSON_IsArray(ev->uuids))
		ev->uuids = NULL;
	return 0;
}

void agent_event_free(struct agent_event *ev)
{
	cJSON_Delete(ev->root);
	ev->root = NULL;
}

int agent_user_line(struct buf *out, const char *uuid, const char *text, size_t n, struct err *e)
{
	/* Worst case: every byte becomes a \u escape; asked for first, so that nothing half is written. */
	if (!buf_reserve(out, n * 6 + 256, e))
		return -1;
	buf_putf(out,
		 "{\"type\":\"user\",\"uuid\":\"%s\",\"session_id\":\"\","
		 "\"parent_tool_use_id\":null,\"message\":{\"role\":\"user\",\"content\":",
		 uuid);
	json_put_str(out, text, n);
	buf_puts(out, "}}\n");
	return 0;
}

void agent_control_line(struct buf *out, const char *request_id, const char *subtype,
			const char *message_uuid)
{
	buf_putf(out,
		 "{\"type\":\"control_request\",\"request_id\":\"%s\",\"request\":"
		 "{\"subtype\":\"%s\"",
		 request_id, subtype);
	if (message_uuid) {
		buf_puts(out, ",\"message_uuid\":");
		json_put_str(out, message_uuid, strlen(message_uuid));
	}
	buf_puts(out, "}}\n");
}

static const char open_tag[] = "<internal>", close_tag[] = "</internal>";

void partial_feed(struct partial *p, const char *text, struct buf *out)
{
	for (; *text; text++) {
		const char *tag = p->inside ? close_tag : open_tag;

		if (*text == tag[p->matched]) {
			if (tag[++p->matched] == '\0') {
				p->inside = !p->inside;
				p->matched = 0;
			}
			continue;
		}
		/* What was held back was no tag after all; '<' begins each tag and stands nowhere else in it. */
		if (!p->inside)
			buf_put(out, tag, p->matched);
		p->matched = *text == '<';
		if (!p->inside && !p->matched)
			buf_put(out, text, 1);
	}
}

size_t agent_strip_internal(char *text)
{
	const char *from = text, *start;
	char *to = text;
	size_t n, lead;

	/* Each byte is moved once: a text of a million tags must not hold up the loop. */
	while ((start = strstr(from, open_tag))) {
		const char *end = strstr(start, close_tag);

		memmove(to, from, (size_t)(start - from));
		to += start - from;
		from = end ? end + sizeof(close_tag) - 1 : start + strlen(start);
	}
	memmove(to, from, strlen(from) + 1);
	n = strlen(text);
	while (n && isspace((unsigned char)text[n - 1]))
		n--;
	text[n] = '\0';
	lead = strspn(text, " \t\r\n");
	memmove(text, text + lead, n - lead + 1);
	return n - lead;
}
