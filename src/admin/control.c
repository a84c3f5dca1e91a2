// SPDX-License-Identifier: Apache-2.0
/* The control socket's server side; see control.h for the protocol. It must never answer another user than our own or root. */
#include "admin/answer.h"
#include "admin/control.h"
#include <string.h>
#include "base/lines.h"
#include "base/log.h"
#include "base/str.h"
#include "channels/console.h"
#include "runtime/conn.h"

#define REQUEST_MAX ((size_t)8 << 20) /* the longest line of a pipe, each byte an escape */

struct client {
	struct client *next;
	struct control *c;
	struct duplex *d;
	struct line_reader lines;
	bool dead;
	char group[65];
	int64_t chat_id;
	struct console_client *console;
	int64_t sent_to;     /* the newest message of the history that went out */
	bool in_history;     /* more of it follows */
	struct say *says;    /* their answers are to come: the struct must live until then */
	int busy;	     /* up-calls on the stack that still use the struct */
	struct reply *reply; /* a command that is being answered */
	struct answer answer;
};

/* One say, until it is stored. */
struct say {
	struct say *next;
	struct client *cl;
	char id[64];
};

struct control {
	struct control_opts o;
	struct listener *listener;
	struct channel *console;
	struct client *clients;
};

void control_path(const char *home, char *buf, size_t cap)
{
	snprintf(buf, cap, "%s/control.sock", home);
}

static void client_free(struct client *cl)
{
	struct client **p = &cl->c->clients;

	while (*p != cl)
		p = &(*p)->next;
	*p = cl->next;
	while (cl->says) {
		struct say *s = cl->says;

		cl->says = s->next;
		free(s);
	}
	buf_free(&cl->lines.buf);
	free(cl);
}

static void client_enter(struct client *cl)
{
	cl->busy++;
}

static void client_leave(struct client *cl)
{
	cl->busy--;
	if (cl->dead && !cl->busy && !cl->says)
		client_free(cl);
}

/* Ends the connection; the struct goes once nothing refers to it. */
static void client_drop(struct client *cl)
{
	if (cl->dead)
		return;
	cl->dead = true;
	if (cl->console)
		console_leave(cl->c->console, cl->console);
	cl->console = NULL;
	router_forget_ask(cl->c->o.router, cl);
	command_cancel(&cl->reply);
	answer_drop(&cl->answer);
	if (cl->d)
		duplex_reset(cl->d);
	cl->d = NULL;
}

/* Sends one event; takes its text. One write, so that the client wakes up once. */
static void put_text(struct client *cl, char *event)
{
	/* Callers hold the client by client_enter: it may be dropped in here. */
	_cleanup_free_ char *text = event;
	size_t n = strlen(text);
	struct err e = ERR_INIT;

	if (cl->dead)
		return;
	text[n] = '\n'; /* for the NUL */
	if (duplex_write(cl->d, text, n + 1, &e) < 0) {
		log_warn("control", "client too slow", "err=\"%s\"", e.msg);
		client_drop(cl);
	}
}

/* Takes j. */
static void put_json(struct client *cl, cJSON *j)
{
	char *text = json_print(j);

	cJSON_Delete(j);
	put_text(cl, text);
}

static void put_event(void *ctx, cJSON *j)
{
	client_enter(ctx);
	put_json(ctx, j);
	client_leave(ctx);
}

static cJSON *event(const char *name)
{
	cJSON *j = cJSON_CreateObject();

	cJSON_AddStringToObject(j, "ev", name);
	return j;
}

static void put_error(struct client *cl, const char *why)
{
	cJSON *j = event("error");

	cJSON_AddStringToObject(j, "why", why);
	put_json(cl, j);
}

static void put_message(struct client *cl, int64_t seq, const char *dir, const char *sender,
			const char *text, bool notice)
{
	cJSON *j = event("message");

	cJSON_AddNumberToObject(j, "seq", (double)seq);
	cJSON_AddStringToObject(j, "dir", dir);
	cJSON_AddStringToObject(j, "sender", sender);
	cJSON_AddStringToObject(j, "text", text);
	cJSON_AddBoolToObject(j, "notice", notice);
	put_json(cl, j);
}

/* --- console events ----------------------------------------------------------------------- */

static void on_message(void *ctx, int64_t seq, const char *text, bool notice)
{
	struct client *cl = ctx;

	client_enter(cl);
	/* What comes while older ones are under way follows them, from the same table. */
	if (!cl->in_history)
		put_message(cl, seq, "out", "", text, notice);
	client_leave(cl);
}

static void on_progress(void *ctx, enum progress_kind kind, const char *text)
{
	static const char *const words[] = {"start", "text", "tool", "end"};
	cJSON *j = event("progress");

	cJSON_AddStringToObject(j, "kind", words[kind]);
	cJSON_AddStringToObject(j, "text", text);
	put_event(ctx, j);
}

static void put_settled(struct client *cl, const char *id, bool failed)
{
	cJSON *j = event("settled");

	cJSON_AddStringToObject(j, "id", id);
	cJSON_AddBoolToObject(j, "failed", failed);
	put_json(cl, j);
}

static void on_settled(void *ctx, const char *platform_id, bool failed)
{
	client_enter(ctx);
	put_settled(ctx, platform_id, failed);
	client_leave(ctx);
}

static const struct console_events console_events = {
	.message = on_message,
	.progress = on_progress,
	.settled = on_settled,
};

/* --- requests ----------------------------------------------------------------------------- */

static void put_row(void *ctx, const struct msg_row *m)
{
	struct client *cl = ctx;

	cl->sent_to = m->id;
	put_message(cl, m->id, m->dir == MSG_OUT ? "out" : "in", m->sender, m->text, m->notice);
}

static void note_place(void *ctx, const struct msg_row *m)
{
	*(int64_t *)ctx = m->id - 1;
}

/* A message at a time, as long as the client reads: twenty of the greatest are more than may be queued for it. */
static int more_history(struct client *cl, struct err *e)
{
	cJSON *j;

	while (cl->in_history && !cl->dead && duplex_pending(cl->d) <= cl->d->high_water) {
		int64_t from = cl->sent_to;

		if (store_history(cl->c->o.store, cl->chat_id, from, 1, put_row, cl, e) < 0)
			return -1;
		if (cl->sent_to != from)
			continue;
		cl->in_history = false;
		j = event("synced");
		cJSON_AddNumberToObject(j, "last", (double)from);
		put_json(cl, j);
	}
	return 0;
}

static int send_history(struct client *cl, int64_t since, struct err *e)
{
	int64_t from = since < 0 ? 0 : since;

	if (since < 0 &&
	    store_history(cl->c->o.store, cl->chat_id, since, 1, note_place, &from, e) < 0)
		return -1;
	cl->sent_to = from;
	cl->in_history = true;
	return more_history(cl, e);
}

/* A client that comes in the middle of a turn has missed its start. */
static void tell_working(void *ctx, const struct session_status *s)
{
	struct client *cl = ctx;

	if (streq(s->group, cl->group) && streq(s->state, "working"))
		on_progress(cl, PROGRESS_START, "");
}

static int do_chat(struct client *cl, const cJSON *req, struct err *e)
{
	struct control *c = cl->c;
	struct chat_row chat;
	struct group_row g;
	const char *name;
	int64_t since;
	cJSON *j;

	if (json_str(req, "group", &name, e) < 0 ||
	    json_i64_opt(req, "since", -20, &since, e) < 0 ||
	    store_group_get(c->o.store, name, &g, e) < 0 ||
	    store_chat_ensure(c->o.store, "console", g.name, g.name, &chat, e) < 0)
		return -1;
	if (chat.group_id != g.id && store_chat_link(c->o.store, chat.id, g.id, e) < 0)
		return -1;
	if (cl->console)
		return err_set(e, E_INVAL, "this connection has a chat already");
	str_copy(cl->group, sizeof(cl->group), g.name);
	cl->chat_id = chat.id;
	cl->console = console_join(c->console, cl->group, &console_events, cl);
	j = event("hello");
	cJSON_AddStringToObject(j, "group", g.name);
	cJSON_AddStringToObject(j, "assistant", c->o.cfg->assistant);
	cJSON_AddBoolToObject(j, "demo", router_is_demo(c->o.router));
	put_json(cl, j);
	router_each_session(c->o.router, tell_working, cl);
	return send_history(cl, since, e);
}

static void is_settled(void *ctx, const struct msg_row *m)
{
	if (m->state == MSG_ANSWERED || m->state == MSG_FAILED)
		put_settled(ctx, m->platform_id, m->state == MSG_FAILED);
}

static void on_stored(void *ctx, int64_t message_id, bool duplicate, const struct err *why)
{
	struct say *s = ctx;
	struct client *cl = s->cl;
	struct say **p = &cl->says;
	struct err e = ERR_INIT;
	cJSON *j = event(why ? "refused" : "stored");

	client_enter(cl);
	while (*p != s)
		p = &(*p)->next;
	*p = s->next;
	cJSON_AddStringToObject(j, "id", s->id);
	if (why) {
		cJSON_AddStringToObject(j, "why", why->msg);
	} else {
		cJSON_AddNumberToObject(j, "seq", (double)message_id);
		cJSON_AddBoolToObject(j, "duplicate", duplicate);
	}
	free(s);
	put_json(cl, j);
	/* A client that came back and said it again wants to know how the first one went. */
	if (duplicate && !why && !cl->dead &&
	    store_message_get(cl->c->o.store, message_id, is_settled, cl, &e) < 0)
		put_error(cl, e.msg);
	client_leave(cl);
}

static int do_say(struct client *cl, const cJSON *req, struct err *e)
{
	const char *id, *text;
	struct say *s;

	if (json_str(req, "id", &id, e) < 0 || json_str(req, "text", &text, e) < 0)
		return -1;
	if (!cl->console)
		return err_set(e, E_INVAL, "say needs a chat first");
	if (!id[0] || strlen(id) >= sizeof(s->id))
		return err_set(e, E_INVAL, "id must have 1 to %zu characters", sizeof(s->id) - 1);
	s = xcalloc(1, sizeof(*s));
	s->cl = cl;
	str_copy(s->id, sizeof(s->id), id);
	s->next = cl->says;
	cl->says = s;
	console_say(cl->c->console, cl->group, id, "operator", text, strlen(text),
		    clock_wall(cl->c->o.clk), on_stored, s);
	return 0;
}

static void on_warden_status(void *ctx, const struct warden_status *st)
{
	struct client *cl = ctx;

	put_event(cl, status_json(&cl->c->o, st));
}

static void put_answer(void *ctx, const cJSON *events)
{
	const cJSON *j;

	client_enter(ctx);
	cJSON_ArrayForEach(j, events)
	{
		put_text(ctx, json_print(j));
	}
	client_leave(ctx);
}

static int handle(struct client *cl, const cJSON *req, struct err *e)
{
	const char *op;
	int64_t since;

	if (json_str(req, "op", &op, e) < 0)
		return -1;
	if (streq(op, "chat"))
		return do_chat(cl, req, e);
	if (streq(op, "say"))
		return do_say(cl, req, e);
	if (streq(op, "command"))
		return command_run(&cl->c->o, req, &cl->reply, &answer_to, &cl->answer, e);
	if (streq(op, "status")) {
		router_ask_warden(cl->c->o.router, on_warden_status, cl);
		return 0;
	}
	if (!cl->console && (streq(op, "stop") || streq(op, "history")))
		return err_set(e, E_INVAL, "%s needs a chat first", op);
	if (streq(op, "stop")) {
		channel_on_stop(cl->c->console, cl->group, "");
		return 0;
	}
	if (streq(op, "history"))
		return json_i64(req, "since", &since, e) < 0 ? -1 : send_history(cl, since, e);
	return err_set(e, E_INVAL,
		       "unknown op \"%.32s\": use chat, say, stop, history, status or command", op);
}

static void on_line(void *ctx, const char *line, size_t n)
{
	struct client *cl = ctx;
	struct err e = ERR_INIT;
	_cleanup_json_ cJSON *req = json_parse(line, n, REQUEST_MAX, &e);

	if (!req || handle(cl, req, &e) < 0)
		put_error(cl, e.msg);
}

static void client_data(void *ctx, const uint8_t *p, size_t n)
{
	struct client *cl = ctx;

	client_enter(cl);
	line_feed(&cl->lines, p, n, on_line, cl, &cl->dead);
	if (!cl->dead && cl->lines.skipped) {
		cl->lines.skipped = 0;
		put_error(cl, "a request is too long: it was not read");
	}
	if (!cl->dead)
		duplex_consumed(cl->d, n);
	client_leave(cl);
}

static void client_eof(void *ctx)
{
	client_enter(ctx);
	client_drop(ctx);
	client_leave(ctx);
}

static void client_drained(void *ctx)
{
	struct client *cl = ctx;
	struct err e = ERR_INIT;

	client_enter(cl);
	if (more_history(cl, &e) < 0)
		put_error(cl, e.msg);
	client_leave(cl);
}

static void client_closed(void *ctx, const struct err *why)
{
	struct client *cl = ctx;

	(void)why;
	cl->d = NULL;
	client_enter(cl);
	client_drop(cl);
	client_leave(cl);
}

static const struct duplex_events client_events = {
	.data = client_data,
	.eof = client_eof,
	.drained = client_drained,
	.closed = client_closed,
};

static void on_accept(void *ctx, int fd, uid_t peer_uid)
{
	struct control *c = ctx;
	struct client *cl;

	if (peer_uid != 0 && peer_uid != geteuid()) {
		log_warn("control", "refused", "uid=%u", (unsigned)peer_uid);
		close(fd);
		return;
	}
	cl = xcalloc(1, sizeof(*cl));
	cl->c = c;
	cl->answer = (struct answer){.store = c->o.store, .put = put_answer, .ctx = cl};
	cl->lines.max = REQUEST_MAX;
	cl->d = conn_new(c->o.loop, "control client", fd);
	cl->d->ev = &client_events;
	cl->d->ctx = cl;
	cl->next = c->clients;
	c->clients = cl;
}

struct control *control_new(const struct control_opts *o, struct err *e)
{
	struct control *c = xcalloc(1, sizeof(*c));
	char path[PATH_CAP];

	c->o = *o;
	c->console = router_channel(o->router, "console");
	control_path(o->cfg->home, path, sizeof(path));
	c->listener = listener_unix(o->loop, "control socket", path, on_accept, c, e);
	if (c->listener && c->console)
		return c;
	if (c->listener)
		err_set(e, E_BUG, "there is no console channel");
	control_free(c);
	return NULL;
}

void control_free(struct control *c)
{
	if (c->listener)
		listener_free(c->listener);
	while (c->clients) {
		client_drop(c->clients);
		client_free(c->clients);
	}
	free(c);
}
