// SPDX-License-Identifier: Apache-2.0
/*
 * The tools that talk with the people of the turn's chat, and the one that finds what was said. Guests have them all: it is their conversation.
 */
#include <string.h>
#include <time.h>
#include "base/str.h"
#include "router/ask.h"
#include "router/inbox.h"
#include "router/tools.h"

static void send_message(void *peer, struct mcp_call *c, const cJSON *args)
{
	struct session *s = peer;
	_cleanup_free_ char *text = NULL;
	const char *raw = json_peek_str(args, "text"), *where = json_peek_str(args, "chat");
	struct tool_place place;
	char reply[160];
	int64_t id;

	text = xstrdup(raw ? raw : "");
	if (!agent_strip_internal(text)) {
		tool_refuse(c, "Not sent: the text is empty once <internal> parts are removed.");
		return;
	}
	if (where) {
		tool_send_elsewhere(s, c, where, text);
		return;
	}
	if (!tool_begin(s, c, 0, "", &place))
		return;
	s->spoke = true;
	id = delivery_post(s->r, &(struct out_new){
					 .chat_id = s->chat_id,
					 .group_id = s->group.id,
					 .turn_id = s->turn_id,
					 .thread = s->thread,
					 .text = text,
					 .kind = OUT_TOOL,
				 });
	snprintf(reply, sizeof(reply),
		 "Queued as message %lld of this chat; it is sent in order, and again if the "
		 "platform fails.",
		 (long long)id);
	mcp_reply_text(c, reply, false);
}

#define FOUND_MAX 1000 /* bytes of one message that was found */

struct found {
	struct buf out;
	int64_t n;
};

/* People write what they like, and call themselves so: nothing of it may pass for another message that was found. */
static void put_found(struct buf *out, const struct msg_row *m)
{
	size_t n = m->text_len < FOUND_MAX ? m->text_len : str_utf8_floor(m->text, FOUND_MAX);
	_cleanup_(buf_free) struct buf text = {0};
	char who[80];

	str_one_line(who, sizeof(who), m->sender);
	buf_putf(out, "%s: ", m->notice ? "server" : m->dir == MSG_OUT ? "assistant" : who);
	inbox_put_text(&text, m->text, n);
	for (const char *p = text.p ? text.p : ""; *p;) {
		size_t len = strcspn(p, "\n\v\f\r");

		buf_put(out, p, len);
		p += len;
		if (*p && p++)
			buf_puts(out, "\n    ");
	}
	buf_puts(out, n < m->text_len ? " [...]\n" : "\n");
}

static void add_found(void *ctx, const struct msg_row *m)
{
	struct found *f = ctx;
	char when[32];
	struct tm tm;
	time_t t = (time_t)(m->sent_ms / 1000);

	gmtime_r(&t, &tm);
	strftime(when, sizeof(when), "%Y-%m-%d %H:%MZ", &tm);
	buf_putf(&f->out, "#%lld %s ", (long long)m->id, when);
	put_found(&f->out, m);
	f->n++;
}

static void search_history(void *peer, struct mcp_call *c, const cJSON *args)
{
	struct session *s = peer;
	struct found f = {0};
	struct err e = ERR_INIT;
	const char *query = json_peek_str(args, "query");

	if (store_search(s->r->store, s->group.id, query ? query : "",
			 json_peek_i64(args, "limit", 20), add_found, &f, &e) < 0)
		mcp_reply_text(c, e.msg, true);
	else if (!f.n)
		mcp_reply_text(c, "Nothing found.", false);
	else
		mcp_reply_text(c, f.out.p, false);
	buf_free(&f.out);
}

/* clang-format off */
#define MESSAGE_ID(what) \
	"\"message_id\":{\"type\":\"integer\",\"minimum\":1,\"description\":\"" what "\"}"

const struct agent_tool tools_say[] = {
	{
		.mcp = {
			.name = "send_message",
			.title = "Send a message now",
			.description =
				"Sends a message to the chat that this turn belongs to, at once, before your "
				"final answer. Your final answer is sent by itself: use this only for news "
				"on the way of a long task. Answers with the message's number.",
			.input_schema = TOOL_INPUT(
				TOOL_TEXT("text", "1", "100000", "Markdown text") ","
				TOOL_TEXT("chat", "1", "160", "another chat: the name of a group, or "
					  "CHANNEL:CHAT. Needs the main group, or a grant that "
					  "the operator gave this group"),
				"\"text\""),
			.call = send_message,
		},
		.rule = {ROLE_GUEST, false},
	},
	{
		.mcp = {
			.name = "send_file",
			.title = "Send a file",
			.description =
				"Sends a file of /workspace to the chat that this turn belongs to. The file "
				"is copied when you call this; later changes do not reach what is sent.",
			.input_schema = TOOL_INPUT(
				TOOL_TEXT("path", "1", "4000", "a regular file, relative to /workspace; no "
				     "symbolic links on the way") ","
				TOOL_TEXT("name", "1", "120", "the name to show, when it is not the file's") ","
				TOOL_TEXT("caption", "0", "900", "Markdown text that goes with it"),
				"\"path\""),
			.call = tool_send_file,
			.cancelled = tool_send_file_cancelled,
		},
		.rule = {ROLE_GUEST, false},
	},
	{
		.mcp = {
			.name = "react",
			.title = "React with an emoji",
			.description =
				"Puts one emoji on a message of this chat, instead of or beside an answer. "
				"Platforms allow different emoji: the common ones work everywhere.",
			.input_schema = TOOL_INPUT(
				TOOL_TEXT("emoji", "0", "8", "one emoji, such as \xf0\x9f\x91\x8d; an empty "
				     "string takes your reaction away") ","
				MESSAGE_ID("the message's number; unless told, the newest one that you "
					   "were given in this turn"),
				"\"emoji\""),
			.call = tool_react,
		},
		.rule = {ROLE_GUEST, false},
	},
	{
		.mcp = {
			.name = "edit_message",
			.title = "Change a message of yours",
			.description =
				"Replaces the text of a message that you sent to this chat (by send_message, "
				"or as an answer), on the platform and in the history.",
			.input_schema = TOOL_INPUT(
				MESSAGE_ID("the message's number, from send_message or search_history") ","
				TOOL_TEXT("text", "1", "100000", "the whole new text, Markdown"),
				"\"message_id\",\"text\""),
			.call = tool_edit_message,
		},
		.rule = {ROLE_GUEST, false},
	},
	{
		.mcp = {
			.name = "ask_user",
			.title = "Ask a question and wait",
			.description =
				"Asks the people of this chat one question with fixed answers, and waits. "
				"Where the platform has buttons they are shown, else the answers are "
				"numbered. Answers with who said what, or says that nobody did in time. One "
				"question at a time; for an open question, just end your turn with it.",
			.input_schema = TOOL_INPUT(
				TOOL_TEXT("question", "1", "1000", "Markdown text") ","
				"\"options\":{\"type\":\"array\",\"items\":{\"type\":\"string\","
				"\"minLength\":1,\"maxLength\":40},\"description\":\"2 to 8 short answers, "
				"plain text\"},"
				"\"timeout_s\":{\"type\":\"integer\",\"minimum\":10,\"maximum\":3600,"
				"\"description\":\"how many seconds to wait, 300 unless told\"}",
				"\"question\",\"options\""),
			.call = tool_ask_user,
			.cancelled = tool_ask_user_cancelled,
		},
		.rule = {ROLE_GUEST, false},
	},
	{
		.mcp = {
			.name = "search_history",
			.title = "Search this group's messages",
			.description =
				"Full-text search over all messages of this group, from people and from you, "
				"newest first, each with its number (#123). All words must occur; put a "
				"phrase in double quotes.",
			.input_schema = TOOL_INPUT(
				TOOL_TEXT("query", "1", "1000", "words to find") ","
				"\"limit\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":50,"
				"\"description\":\"at most so many, 20 unless told\"}",
				"\"query\""),
			.read_only = true,
			.call = search_history,
		},
		.rule = {ROLE_GUEST, false},
	},
	{.mcp = {.name = NULL}},
};
/* clang-format on */
