// SPDX-License-Identifier: Apache-2.0
/*
 * The tools that the agent has of us, answered with what was really done. The caller is the session whose door the call came through;
 * no argument can name another group.
 */
#include "router/impl.h"
#include <string.h>
#include <time.h>
#include "base/str.h"

static void send_message(void *peer, struct mcp_call *c, const cJSON *args)
{
	struct session *s = peer;
	_cleanup_free_ char *text = NULL;
	const char *raw = json_peek_str(args, "text");
	struct out_new o = {
		.chat_id = s->chat_id,
		.group_id = s->group.id,
		.turn_id = s->turn_id,
		.thread = s->thread ? s->thread : "",
		.kind = OUT_TOOL,
	};

	text = xstrdup(raw ? raw : "");
	if (!agent_strip_internal(text)) {
		mcp_reply_text(c, "Not sent: the text is empty once <internal> parts are removed.",
			       true);
		return;
	}
	if (!s->chat_id || !s->turn_id) {
		mcp_reply_text(c, "Not sent: no turn is running, so there is no chat to send to.",
			       true);
		return;
	}
	if (++s->unasked > UNASKED_MAX) {
		mcp_reply_text(c, "Not sent: too many messages before an answer.", true);
		return;
	}
	o.text = text;
	s->spoke = true;
	delivery_post(s->r, &o);
	mcp_reply_text(c,
		       "Queued for this chat; it is sent in order, and again if the platform "
		       "fails.",
		       false);
}

struct found {
	struct buf out;
	int64_t n;
};

static void add_found(void *ctx, const struct msg_row *m)
{
	struct found *f = ctx;
	char when[32];
	struct tm tm;
	time_t t = (time_t)(m->sent_ms / 1000);

	gmtime_r(&t, &tm);
	strftime(when, sizeof(when), "%Y-%m-%d %H:%MZ", &tm);
	buf_putf(&f->out, "%s %s: %.*s%s\n", when, m->dir == MSG_OUT ? "assistant" : m->sender,
		 (int)str_utf8_floor(m->text, m->text_len < 1000 ? m->text_len : 1000), m->text,
		 m->text_len > 1000 ? " [...]" : "");
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

const struct mcp_tool router_tools[] = {
	{
		.name = "send_message",
		.title = "Send a message now",
		.description =
			"Sends a message to the chat that this turn belongs to, at once, before your "
			"final answer. Your final answer is sent by itself: use this only for news "
			"on the way of a long task.",
		.input_schema =
			"{\"type\":\"object\",\"properties\":{\"text\":{\"type\":\"string\","
			"\"minLength\":1,\"maxLength\":100000,\"description\":\"Markdown text\"}},"
			"\"required\":[\"text\"],\"additionalProperties\":false}",
		.call = send_message,
	},
	{
		.name = "search_history",
		.title = "Search this group's messages",
		.description =
			"Full-text search over all messages of this group, from people and from you, "
			"newest first. All words must occur; put a phrase in double quotes.",
		.input_schema =
			"{\"type\":\"object\",\"properties\":{\"query\":{\"type\":\"string\","
			"\"minLength\":1,\"maxLength\":1000,\"description\":\"words to find\"},"
			"\"limit\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":50,"
			"\"description\":\"at most so many, 20 unless told\"}},"
			"\"required\":[\"query\"],\"additionalProperties\":false}",
		.read_only = true,
		.call = search_history,
	},
};
const size_t router_n_tools = ARRAY_LEN(router_tools);
