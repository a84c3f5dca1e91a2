// SPDX-License-Identifier: Apache-2.0
/*
 * The router's house (router_rig.h) with a platform that can do everything, and the agent's MCP client: one HTTP connection a call, through
 * the door like the real one.
 */
#ifndef CHELA_TESTS_ROUTER_TOOLS_RIG_H
#define CHELA_TESTS_ROUTER_TOOLS_RIG_H
#include "router_rig.h"
#include "router/impl.h"

struct parcel_seen {
	int64_t id, message_id;
	enum outbound_kind kind;
	char body[2000], target[64], emoji[40], thread[40];
	char path[300], name[300], mime[64];
	int64_t size;
	size_t n_buttons;
	char labels[8][64], values[8][64];
};

struct draft_seen {
	char body[2000], id[64], reply_to[64], sender[64], thread[40];
	int64_t at_ms;
};

static struct {
	struct house *h;
	struct channel *chan;
	struct parcel_seen sent[100];
	int n;
	bool hold; /* the test tells the outcomes itself */
	struct draft_seen drafts[100];
	int n_drafts;
	char progress[2000]; /* "start tool:words end ..." */
	struct turn_hook *hook;
	int n_replies;
	int spooling; /* 1: a file is being copied, or waits */
} platform;

static int plat_configure(struct yaml_node *section, const char *home, void **priv, struct err *e)
{
	(void)section;
	(void)home;
	(void)e;
	*priv = &platform;
	return 0;
}

static int plat_open(struct channel *c, struct err *e)
{
	(void)e;
	platform.chan = c;
	return 0;
}

static void plat_connect(struct channel *c)
{
	channel_on_state(c, CHANNEL_UP, "", 0);
}

static void plat_close(struct channel *c)
{
	(void)c;
	platform.chan = NULL;
}

/* The platform has it; its id there is p<n>, counted from 1. */
static void delivered(int i)
{
	struct parcel_seen *p = &platform.sent[i];
	char id[40];

	snprintf(id, sizeof(id), "p%d", i + 1);
	if (p->target[0])
		str_copy(id, sizeof(id), p->target);
	if (platform.chan)
		channel_on_sent(platform.chan, p->id, &(struct sent){.platform_id = id});
}

static void deliver_later(void *ctx)
{
	delivered((int)((struct parcel_seen *)ctx - platform.sent));
}

static int plat_send(struct channel *c, const struct outbound *o, struct err *e)
{
	struct parcel_seen *p = &platform.sent[platform.n++];

	(void)e;
	assert_in_range(platform.n, 1, 100);
	*p = (struct parcel_seen){.id = o->id, .message_id = o->message_id, .kind = o->kind};
	str_copy(p->body, sizeof(p->body), o->body);
	str_copy(p->target, sizeof(p->target), o->target);
	str_copy(p->emoji, sizeof(p->emoji), o->emoji);
	str_copy(p->thread, sizeof(p->thread), o->thread);
	if (o->file) {
		str_copy(p->path, sizeof(p->path), o->file->path);
		str_copy(p->name, sizeof(p->name), o->file->name);
		str_copy(p->mime, sizeof(p->mime), o->file->mime);
		p->size = o->file->size;
	}
	p->n_buttons = o->n_buttons;
	for (size_t i = 0; i < o->n_buttons && i < 8; i++) {
		str_copy(p->labels[i], sizeof(p->labels[i]), o->buttons[i].label);
		str_copy(p->values[i], sizeof(p->values[i]), o->buttons[i].value);
	}
	loop_defer(c->loop, "deliver", platform.hold ? nothing : deliver_later, p);
	return 0;
}

static void plat_progress(struct channel *c, const char *chat, const char *thread,
			  enum progress_kind kind, const char *text)
{
	static const char *const words[] = {"start", "text", "tool", "end"};
	size_t n = strlen(platform.progress);

	(void)c;
	(void)thread;
	assert_string_equal(chat, "room");
	snprintf(platform.progress + n, sizeof(platform.progress) - n, "%s%s%s ", words[kind],
		 text[0] ? ":" : "", text);
}

static void plat_draft(struct channel *c, const struct draft *d)
{
	struct draft_seen *s = &platform.drafts[platform.n_drafts++];

	assert_in_range(platform.n_drafts, 1, 100);
	assert_string_equal(d->chat, "room");
	str_copy(s->body, sizeof(s->body), d->body);
	str_copy(s->id, sizeof(s->id), d->id);
	str_copy(s->reply_to, sizeof(s->reply_to), d->reply_to);
	str_copy(s->sender, sizeof(s->sender), d->sender);
	str_copy(s->thread, sizeof(s->thread), d->thread);
	s->at_ms = loop_now(c->loop);
	loop_defer(c->loop, "drawn", nothing, NULL);
}

#define ALL_CAPS                                                                                   \
	(CHAN_THREADS | CHAN_EDITS | CHAN_REACTIONS | CHAN_FILES | CHAN_TYPING | CHAN_BUTTONS |    \
	 CHAN_RESEND)

/* Tests take powers away before the house starts. */
static struct channel_ops plat = {
	.name = "plat",
	.caps = ALL_CAPS,
	.max_text = 200,
	.unit = UNIT_CODE_POINTS,
	.format = FORMAT_PLAIN,
	.max_file = 1 << 20,
	.draft_ms = 50,
	.configure = plat_configure,
	.open = plat_open,
	.connect = plat_connect,
	.close = plat_close,
	.send = plat_send,
	.progress = plat_progress,
	.draft = plat_draft,
};
/* In place of registry.c's. */
const struct channel_ops *const channel_registry[] = {&console_ops, &plat, NULL};

/* --- people ------------------------------------------------------------------------------- */

static maybe_unused void hear_in(struct house *h, const char *thread, const char *id,
				 const char *text)
{
	struct inbound m = {
		.kind = INBOUND_MESSAGE,
		.chat = "room",
		.chat_title = "Room",
		.thread = thread,
		.id = id,
		.target = "",
		.quote = "",
		.sender = "U1",
		.sender_name = "Ann",
		.sender_alt = "",
		.text = text,
		.text_len = strlen(text),
		.sent_ms = 1000,
		.addressed = true,
	};

	channel_on_message(platform.chan, &m, stored, h);
}

static maybe_unused void hear(struct house *h, const char *id, const char *text)
{
	hear_in(h, "", id, text);
}

/* --- the agent's calls -------------------------------------------------------------------- */

/* The body of the answer, once it is whole; else NULL. */
static const char *reply_body(const struct peer_stream *s)
{
	const char *head = s->got.p, *len, *body;

	if (!head || !(body = strstr(head, "\r\n\r\n")))
		return NULL;
	len = strcasestr(head, "content-length:");
	if (!len || len > body)
		return NULL;
	body += 4;
	return s->got.len - (size_t)(body - head) >= (size_t)strtoul(len + 15, NULL, 10) ? body
											 : NULL;
}

static void count_replies(void *ctx)
{
	struct house *h = ctx;
	int n = 0;

	for (int i = 0; i < h->n_boxes; i++) {
		for (int k = 1; k < h->boxes[i]->r->n_ps; k++)
			n += reply_body(&h->boxes[i]->r->ps[k]) != NULL;
	}
	int spooling = h->router && h->router->spool_bytes > 0;
	if (n != platform.n_replies || spooling != platform.spooling)
		loop_defer(h->l, "replied", nothing, h);
	platform.n_replies = n;
	platform.spooling = spooling;
}

static struct peer_stream *call_tool(struct box *b, const char *name, const char *args)
{
	struct peer_stream *s = peer_request(b->r, "/tcp", NULL);
	struct buf body = {0}, http = {0};

	buf_putf(&body,
		 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":"
		 "\"%s\",\"arguments\":%s}}",
		 name, args);
	buf_putf(&http,
		 "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:2435\r\nContent-Type: application/json\r\n"
		 "Content-Length: %zu\r\n\r\n%s",
		 body.len, body.p);
	peer_say(b->r, s, http.p, http.len, false);
	buf_free(&body);
	buf_free(&http);
	return s;
}

/* What the tool said; the caller frees. *error: a tool error, or a refusal of the arguments. */
static char *words_of(const struct peer_stream *s, bool *error)
{
	struct err e = ERR_INIT;
	const char *body = reply_body(s);
	_cleanup_json_ cJSON *j = NULL;
	const char *text;

	assert_non_null(body);
	j = json_parse(body, strlen(body), 1 << 20, &e);
	if (!j)
		fail_msg("no JSON: %s", body);
	*error = json_find(j, "error") || cJSON_IsTrue(json_find(j, "result.isError"));
	text = json_peek_str(j, json_find(j, "error") ? "error.message" : "result.content.0.text");
	if (!text)
		fail_msg("no words: %s", body);
	return xstrdup(text);
}

/* Calls and awaits the answer, which must be (no) error and hold these words. */
static void expect_tool(struct house *h, struct box *b, const char *name, const char *args,
			bool error, const char *words)
{
	struct peer_stream *s = call_tool(b, name, args);
	_cleanup_free_ char *said = NULL;
	bool is_error;

	await_at_least(h, &platform.n_replies, platform.n_replies + 1);
	said = words_of(s, &is_error);
	if (is_error != error || !strstr(said, words))
		fail_msg("%s %s: expected %s \"%s\", got %s \"%s\"", name, args,
			 error ? "error" : "answer", words, is_error ? "error" : "answer", said);
}
#define works(h, b, name, args, words)	 expect_tool(h, b, name, args, false, words)
#define refuses(h, b, name, args, words) expect_tool(h, b, name, args, true, words)

/* --- the house ---------------------------------------------------------------------------- */

static int tools_setup(void **state)
{
	house_setup(state);
	memset(&platform, 0, sizeof(platform));
	plat.caps = ALL_CAPS;
	plat.draft = plat_draft;
	platform.h = *state;
	platform.hook = loop_on_turn_end(platform.h->l, "replies", count_replies, platform.h);
	return 0;
}

static int tools_teardown(void **state)
{
	turn_hook_free(platform.hook);
	return house_teardown(state);
}

/* The chat "room" belongs to the main group, and Ann owns it. */
static struct house *tools_house(void **state)
{
	struct house *h = *state;
	struct err e = ERR_INIT;
	struct group_row g;
	struct chat_row c;
	int64_t sender, person;

	assert_ok(store_group_ensure(h->st, "main", true, &g, &e), &e);
	assert_ok(store_chat_ensure(h->st, "plat", "room", "Room", &c, &e), &e);
	assert_ok(store_chat_link(h->st, c.id, g.id, &e), &e);
	assert_ok(store_sender_ensure(h->st, "plat", "U1", "Ann", "", &sender, &e), &e);
	assert_ok(store_person_make(h->st, sender, "", &person, &e), &e);
	assert_ok(store_role_set(h->st, person, 0, ROLE_OWNER, "the test", &e), &e);
	house_start(h);
	return h;
}

/* With a message in the agent's hands. */
static maybe_unused struct box *busy(struct house *h)
{
	hear(h, "m1", "do something");
	await(h, &h->n_lines, 1);
	lifecycle(h->boxes[0], h->boxes[0]->lines[0].uuid, "started");
	return h->boxes[0];
}

/* Runs for so long: for what must not happen by a timer. */
static maybe_unused void settle_ms(struct house *h, int64_t ms)
{
	struct pulse p = {h, 0};
	struct timer *t = timer_new(h->l, "while", pulse_once, &p);

	timer_start(t, ms, 0);
	await(h, &p.n, 1);
	timer_free(t);
}

#define TOOL_TEST(fn) cmocka_unit_test_setup_teardown(fn, tools_setup, tools_teardown)

#endif
