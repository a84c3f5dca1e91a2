// SPDX-License-Identifier: Apache-2.0
/*
 * The tools that the agent has of us, answered with what was really done. The caller is the session whose door the call came through;
 * no argument can name another group or chat. The table at the end is all there is; a tool of more than a few lines has a file of its own.
 */
#include "router/tools.h"
#include <stdarg.h>
#include <string.h>
#include <time.h>
#include "base/str.h"
#include "router/ask.h"
#include "router/inbox.h"

void tool_refuse(struct mcp_call *c, const char *fmt, ...)
{
	char text[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	text[str_utf8_floor(text, strlen(text))] = '\0';
	mcp_reply_text(c, text, true);
}

bool tool_begin(struct session *s, struct mcp_call *c, unsigned cap, const char *what,
		struct tool_place *out)
{
	struct err e = ERR_INIT;

	if (!s->chat_id || !s->turn_id) {
		tool_refuse(c, "Not done: no turn is running, so there is no chat to act on.");
		return false;
	}
	if (store_chat_get(s->r->store, s->chat_id, &out->chat, &e) < 0) {
		tool_refuse(c, "Not done: %s", e.msg);
		router_fatal(s->r, &e);
		return false;
	}
	out->chan = router_channel(s->r, out->chat.channel);
	if (cap && (!out->chan || !(out->chan->ops->caps & cap))) {
		tool_refuse(c,
			    "Not done: this chat is on %s, where Chela has no %s. Say it in your "
			    "answer instead.",
			    out->chat.channel, what);
		return false;
	}
	if (++s->unasked > UNASKED_MAX) {
		tool_refuse(c, "Not done: too many messages before an answer.");
		return false;
	}
	return true;
}

struct wanted {
	const struct session *s;
	struct tool_message *out;
	bool here, named;
};

static void read_message(void *ctx, const struct msg_row *m)
{
	struct wanted *w = ctx;

	w->here = m->chat_id == w->s->chat_id && m->group_id == w->s->group.id;
	w->named = m->platform_id[0] && !msg_is_event(m->platform_id);
	w->out->id = m->id;
	w->out->ours = m->dir == MSG_OUT;
	w->out->notice = m->notice;
	str_copy(w->out->thread, sizeof(w->out->thread), m->thread);
	str_copy(w->out->platform_id, sizeof(w->out->platform_id), m->platform_id);
}

bool tool_message(struct session *s, struct mcp_call *c, int64_t id, struct tool_message *out)
{
	struct wanted w = {.s = s, .out = out};
	struct err e = ERR_INIT;

	memset(out, 0, sizeof(*out));
	if (store_message_get(s->r->store, id, read_message, &w, &e) < 0 && e.code != E_GONE) {
		tool_refuse(c, "Not done: %s", e.msg);
		router_fatal(s->r, &e);
	} else if (
		!w.here) { /* of another chat or not there: the same words, so that no id can be probed */
		tool_refuse(c,
			    "Not done: this chat has no message %lld. search_history shows the "
			    "numbers of its messages.",
			    (long long)id);
	} else if (!w.named) {
		tool_refuse(c,
			    "Not done: message %lld has not been sent yet (or could not be). Try "
			    "again in a moment.",
			    (long long)id);
	} else {
		return true;
	}
	return false;
}

static void send_message(void *peer, struct mcp_call *c, const cJSON *args)
{
	struct session *s = peer;
	_cleanup_free_ char *text = NULL;
	const char *raw = json_peek_str(args, "text");
	struct tool_place place;
	char reply[160];
	int64_t id;

	text = xstrdup(raw ? raw : "");
	if (!agent_strip_internal(text)) {
		tool_refuse(c, "Not sent: the text is empty once <internal> parts are removed.");
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
#define TEXT(name, least, most, what) \
	"\"" name "\":{\"type\":\"string\",\"minLength\":" least ",\"maxLength\":" most \
	",\"description\":\"" what "\"}"
#define INPUT(props, required) \
	"{\"type\":\"object\",\"properties\":{" props "},\"required\":[" required "]," \
	"\"additionalProperties\":false}"

const struct mcp_tool router_tools[] = {
	{
		.name = "send_message",
		.title = "Send a message now",
		.description =
			"Sends a message to the chat that this turn belongs to, at once, before your "
			"final answer. Your final answer is sent by itself: use this only for news "
			"on the way of a long task. Answers with the message's number.",
		.input_schema = INPUT(TEXT("text", "1", "100000", "Markdown text"), "\"text\""),
		.call = send_message,
	},
	{
		.name = "send_file",
		.title = "Send a file",
		.description =
			"Sends a file of /workspace to the chat that this turn belongs to. The file "
			"is copied when you call this; later changes do not reach what is sent.",
		.input_schema = INPUT(
			TEXT("path", "1", "4000", "a regular file, relative to /workspace; no "
			     "symbolic links on the way") ","
			TEXT("name", "1", "120", "the name to show, when it is not the file's") ","
			TEXT("caption", "0", "900", "Markdown text that goes with it"),
			"\"path\""),
		.call = tool_send_file,
		.cancelled = tool_send_file_cancelled,
	},
	{
		.name = "react",
		.title = "React with an emoji",
		.description =
			"Puts one emoji on a message of this chat, instead of or beside an answer. "
			"Platforms allow different emoji: the common ones work everywhere.",
		.input_schema = INPUT(
			TEXT("emoji", "0", "8", "one emoji, such as \xf0\x9f\x91\x8d; an empty "
			     "string takes your reaction away") ","
			MESSAGE_ID("the message's number; unless told, the newest one that you "
				   "were given in this turn"),
			"\"emoji\""),
		.call = tool_react,
	},
	{
		.name = "edit_message",
		.title = "Change a message of yours",
		.description =
			"Replaces the text of a message that you sent to this chat (by send_message, "
			"or as an answer), on the platform and in the history.",
		.input_schema = INPUT(
			MESSAGE_ID("the message's number, from send_message or search_history") ","
			TEXT("text", "1", "100000", "the whole new text, Markdown"),
			"\"message_id\",\"text\""),
		.call = tool_edit_message,
	},
	{
		.name = "ask_user",
		.title = "Ask a question and wait",
		.description =
			"Asks the people of this chat one question with fixed answers, and waits. "
			"Where the platform has buttons they are shown, else the answers are "
			"numbered. Answers with who said what, or says that nobody did in time. One "
			"question at a time; for an open question, just end your turn with it.",
		.input_schema = INPUT(
			TEXT("question", "1", "1000", "Markdown text") ","
			"\"options\":{\"type\":\"array\",\"items\":{\"type\":\"string\","
			"\"minLength\":1,\"maxLength\":40},\"description\":\"2 to 8 short answers, "
			"plain text\"},"
			"\"timeout_s\":{\"type\":\"integer\",\"minimum\":10,\"maximum\":3600,"
			"\"description\":\"how many seconds to wait, 300 unless told\"}",
			"\"question\",\"options\""),
		.call = tool_ask_user,
		.cancelled = tool_ask_user_cancelled,
	},
	{
		.name = "search_history",
		.title = "Search this group's messages",
		.description =
			"Full-text search over all messages of this group, from people and from you, "
			"newest first, each with its number (#123). All words must occur; put a "
			"phrase in double quotes.",
		.input_schema = INPUT(
			TEXT("query", "1", "1000", "words to find") ","
			"\"limit\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":50,"
			"\"description\":\"at most so many, 20 unless told\"}",
			"\"query\""),
		.read_only = true,
		.call = search_history,
	},
};
/* clang-format on */
const size_t router_n_tools = ARRAY_LEN(router_tools);
