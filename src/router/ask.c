// SPDX-License-Identifier: Apache-2.0
/*
 * See ask.h. The call stays open at the MCP server while the question is open; whoever closes the question answers the call, once, and shows in
 * the chat how it ended, where the platform lets a message be changed.
 */
#include "router/ask.h"
#include <string.h>
#include <strings.h>
#include "base/str.h"
#include "router/markdown.h"
#include "router/tools.h"

#define OPTIONS_MIN 2
#define OPTIONS_MAX 8
#define OPTION_MAX  40 /* characters; a button's label */
#define WAIT_S	    300

struct question {
	struct question *next;
	struct session *s;
	struct mcp_call *call; /* NULL once answered, or gone */
	char token[16];	       /* "q" and 12 hex digits: no button of an earlier question has it */
	struct channel *chan;
	int64_t chat_id, message_id, timeout_s;
	char *thread, *text;
	char *options[OPTIONS_MAX];
	int n;
	bool buttons;
	struct timer *timer;
};

static void question_free(struct question *q)
{
	struct question **p = &q->s->r->questions;

	while (*p && *p != q)
		p = &(*p)->next;
	if (*p)
		*p = q->next;
	if (q->s->question == q)
		q->s->question = NULL;
	timer_free(q->timer);
	for (int i = 0; i < q->n; i++)
		free(q->options[i]);
	free(q->thread);
	free(q->text);
	free(q);
}

/* The turn's limit counts the agent's time, not the time that people take; how many questions there can be is limited. */
static void hold_limit(struct session *s, bool hold)
{
	if (s->in_grace || s->stop_asked || !s->turn_id)
		return;
	if (hold)
		timer_stop(s->limit);
	else
		timer_start(s->limit, s->r->o.cfg->turn_ms, 0);
}

/* Shows how it ended: Markdown. Buttons go with it. What the platform does not have yet stays as it is. */
static void show_end(const struct question *q, const char *how)
{
	struct session *s = q->s;
	_cleanup_free_ char *text = xasprintf("%s\n\n%s", q->text, how);
	size_t had, needs;
	struct out_new o = {
		.chat_id = q->chat_id,
		.group_id = s->group.id,
		.turn_id = s->turn_id,
		.thread = q->thread,
		.text = text,
		.kind = OUT_TOOL,
		.message_id = q->message_id,
	};

	if (q->chan && (q->chan->ops->caps & CHAN_EDITS) && !s->r->fatal)
		message_edit(s->r, q->chan, &o, &had, &needs);
}

/* The end of each question. reply NULL: nobody waits for the answer any more. */
static void question_end(struct question *q, const char *reply, const char *how)
{
	struct session *s = q->s;
	struct mcp_call *c = q->call;

	show_end(q, how);
	question_free(q);
	hold_limit(s, false);
	if (reply)
		mcp_reply_text(c, reply, false);
}

/* The agent acts on the answer: from here on it acts for who gave it as well. */
static void answered(struct question *q, int option, const char *sender_name,
		     const struct actor *by)
{
	_cleanup_(buf_free) struct buf how = {0}, reply = {0};
	char who[100];

	str_one_line(who, sizeof(who), sender_name[0] ? sender_name : "someone");
	buf_puts(&how, "→ **");
	markdown_put_plain(&how, q->options[option]);
	buf_puts(&how, "** (");
	markdown_put_plain(&how, who);
	buf_puts(&how, ")");
	buf_putf(&reply, "%s answered: %s", who, q->options[option]);
	actor_lessen(&q->s->by, by);
	question_end(q, reply.p, how.p);
}

static void on_timeout(void *ctx)
{
	struct question *q = ctx;
	char reply[80], how[80];

	snprintf(reply, sizeof(reply), "No answer within %lld s.", (long long)q->timeout_s);
	snprintf(how, sizeof(how), "_No answer within %lld s._", (long long)q->timeout_s);
	question_end(q, reply, how);
}

void ask_close(struct session *s, const char *words)
{
	if (s->question)
		question_end(s->question, words, "_This question is closed._");
}

void tool_ask_user_cancelled(void *peer, struct mcp_call *c)
{
	struct session *s = peer;

	if (s->question && s->question->call == c)
		question_end(s->question, NULL, "_This question is closed._");
}

/* --- answers ------------------------------------------------------------------------------ */

bool ask_press(struct router *r, int64_t chat_id, const char *value, const char *sender_name,
	       const struct actor *by)
{
	for (struct question *q = r->questions; q; q = q->next) {
		size_t n = strlen(q->token);
		struct err e = ERR_INIT;
		int64_t option;

		if (q->chat_id != chat_id || strncmp(value, q->token, n) != 0 || value[n] != '.')
			continue;
		if (str_to_i64(value + n + 1, 1, q->n, &option, &e) < 0)
			return false;
		answered(q, (int)option - 1, sender_name, by);
		return true;
	}
	return false;
}

/* Which option a person's text names: "2", "2." or "2)" where the options are numbered, or the option itself. -1: none. */
static int option_named(const struct question *q, const char *text)
{
	char word[OPTION_MAX * 4 + 4];
	struct err e = ERR_INIT;
	int64_t number;
	size_t n;

	text += strspn(text, " \t\r\n");
	if (!str_copy(word, sizeof(word), text))
		return -1;
	n = strlen(word);
	while (n && strchr(" \t\r\n", word[n - 1]))
		n--;
	word[n] = '\0';
	for (int i = 0; i < q->n; i++) {
		if (strcasecmp(word, q->options[i]) == 0)
			return i;
	}
	while (n && strchr(".)", word[n - 1]))
		n--;
	word[n] = '\0';
	if (q->buttons || str_to_i64(word, 1, q->n, &number, &e) < 0)
		return -1;
	return (int)number - 1;
}

bool ask_answer(struct router *r, int64_t chat_id, const char *thread, const char *text,
		const char *sender_name, const struct actor *by)
{
	for (struct question *q = r->questions; q; q = q->next) {
		int option;

		if (q->chat_id != chat_id || !streq(q->thread, thread))
			continue;
		option = option_named(q, text);
		if (option < 0)
			return false;
		answered(q, option, sender_name, by);
		return true;
	}
	return false;
}

/* --- asking ------------------------------------------------------------------------------- */

/* False: answered already. */
static bool read_options(struct question *q, struct mcp_call *c, const cJSON *list)
{
	const cJSON *o;

	cJSON_ArrayForEach(o, list)
	{
		if (q->n == OPTIONS_MAX) {
			tool_refuse(c, "Not asked: at most %d options.", OPTIONS_MAX);
			return false;
		}
		char *text = q->options[q->n++] = xstrdup(o->valuestring);
		for (char *p = text; *p; p++) {
			if ((unsigned char)*p < ' ')
				*p = ' ';
		}
		if (text[0] == ' ' || text[strlen(text) - 1] == ' ') {
			tool_refuse(c, "Not asked: option %d begins or ends with a space.", q->n);
			return false;
		}
		for (int i = 0; i < q->n - 1; i++) {
			if (strcasecmp(text, q->options[i]) != 0)
				continue;
			tool_refuse(c, "Not asked: options %d and %d are the same.", i + 1, q->n);
			return false;
		}
	}
	if (q->n >= OPTIONS_MIN)
		return true;
	tool_refuse(c, "Not asked: give %d to %d options.", OPTIONS_MIN, OPTIONS_MAX);
	return false;
}

static char *button_args(const struct question *q)
{
	_cleanup_json_ cJSON *args = cJSON_CreateObject();
	cJSON *list = cJSON_AddArrayToObject(args, "buttons");
	char value[32];

	for (int i = 0; i < q->n; i++) {
		cJSON *b = cJSON_CreateObject();

		snprintf(value, sizeof(value), "%s.%d", q->token, i + 1);
		cJSON_AddStringToObject(b, "label", q->options[i]);
		cJSON_AddStringToObject(b, "value", value);
		cJSON_AddItemToArray(list, b);
	}
	return json_print(args);
}

static char *numbered(const struct question *q)
{
	struct buf b = {0};

	buf_putf(&b, "%s\n\n", q->text);
	for (int i = 0; i < q->n; i++) {
		buf_putf(&b, "%d. ", i + 1);
		markdown_put_plain(&b, q->options[i]);
		buf_puts(&b, "\n");
	}
	buf_puts(&b, "\nReply with a number.");
	return buf_steal(&b);
}

static void question_post(struct question *q)
{
	struct session *s = q->s;
	_cleanup_free_ char *args = q->buttons ? button_args(q) : NULL;
	_cleanup_free_ char *list = q->buttons ? NULL : numbered(q);

	q->message_id = delivery_post(s->r, &(struct out_new){
						    .chat_id = q->chat_id,
						    .group_id = s->group.id,
						    .turn_id = s->turn_id,
						    .thread = q->thread,
						    .text = list ? list : q->text,
						    .kind = OUT_TOOL,
						    .op = list ? OUTBOUND_TEXT : OUTBOUND_ASK,
						    .args = args,
					    });
}

static void make_token(char token[16])
{
	char uuid[37];

	str_uuid4(uuid);
	snprintf(token, 16, "q%.12s", uuid + 24);
}

void tool_ask_user(void *peer, struct mcp_call *c, const cJSON *args)
{
	struct session *s = peer;
	struct tool_place place;
	struct question *q;
	char *text;

	if (s->question) {
		tool_refuse(c, "Not asked: another question is open; wait for its answer.");
		return;
	}
	if (!tool_begin(s, c, 0, "", &place))
		return;
	text = xstrdup(json_peek_str(args, "question"));
	q = xcalloc(1, sizeof(*q));
	q->s = s;
	q->text = text;
	if (!agent_strip_internal(text)) {
		tool_refuse(c, "Not asked: the question is empty once <internal> parts are "
			       "removed.");
		question_free(q);
		return;
	}
	if (!read_options(q, c, json_find(args, "options"))) {
		question_free(q);
		return;
	}
	q->call = c;
	q->chan = place.chan;
	q->chat_id = s->chat_id;
	q->thread = xstrdup(s->thread ? s->thread : "");
	q->buttons = place.chan && (place.chan->ops->caps & CHAN_BUTTONS);
	q->timeout_s = json_peek_i64(args, "timeout_s", WAIT_S);
	make_token(q->token);
	q->timer = timer_new(s->r->loop, "ask_user", on_timeout, q);
	timer_start(q->timer, q->timeout_s * 1000, 0);
	q->next = s->r->questions;
	s->r->questions = s->question = q;
	hold_limit(s, true);
	question_post(q);
}
