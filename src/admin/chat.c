// SPDX-License-Identifier: Apache-2.0
/* The connection of `chela chat`; see chat.h. */
#include "admin/chat.h"
#include <string.h>
#include "admin/control.h"
#include "base/guest_log.h"
#include "base/str.h"
#include "runtime/conn.h"

#define MAX_TRIES      60
#define LINE_MAX_BYTES ((size_t)8 << 20)

static void on_retry(void *ctx);

static void send_json(struct chat *c, cJSON *j)
{
	_cleanup_free_ char *text = json_print(j);
	struct err e = ERR_INIT;

	cJSON_Delete(j);
	if (!c->d)
		return;
	if (duplex_write(c->d, text, strlen(text), &e) < 0 || duplex_write(c->d, "\n", 1, &e) < 0)
		c->face->trouble(c, e.msg);
}

static cJSON *request(const char *op)
{
	cJSON *j = cJSON_CreateObject();

	cJSON_AddStringToObject(j, "op", op);
	return j;
}

static void send_said(struct chat *c, const struct said *s)
{
	cJSON *j = request("say");

	json_add(j, "id=%s text=%s", s->id, s->text);
	send_json(c, j);
}

void chat_say(struct chat *c, const char *text, size_t n)
{
	struct said **end = &c->said;
	struct said *s;

	/* What the wire cannot carry would have no answer, and be waited for in vain. */
	if (!str_is_utf8(text, n) || memchr(text, '\0', n)) {
		c->face->settled(c, true, "a message must be UTF-8 text without NUL");
		return;
	}
	s = xcalloc(1, sizeof(*s));
	str_uuid4(s->id);
	s->text = xstrndup(text, n);
	while (*end)
		end = &(*end)->next;
	*end = s;
	if (c->greeted)
		send_said(c, s);
}

void chat_stop_turn(struct chat *c)
{
	send_json(c, request("stop"));
}

void chat_sync(struct chat *c)
{
	cJSON *j = request("history");

	cJSON_AddNumberToObject(j, "since", (double)c->last);
	send_json(c, j);
}

void chat_leave(struct chat *c, int status)
{
	if (c->leaving)
		return;
	c->leaving = true;
	c->status = status;
	timer_stop(c->retry);
	if (c->server)
		chat_end_server(c);
	else
		loop_stop(c->loop);
}

/* --- events ------------------------------------------------------------------------------- */

/* An agent's text must not drive the terminal: escape sequences set titles, clipboards and what stands above. */
static const char *to_show(const struct chat *c, const cJSON *ev)
{
	char *text = (char *)json_peek_str(ev, "text");

	for (char *p = text; c->at_terminal && p && *p;) {
		size_t n = strcspn(p, "\n\t\r");

		guest_clean_text(p, n);
		p += n;
		for (; *p && strchr("\n\t\r", *p); p++) {
			if (*p == '\r')
				*p = ' ';
		}
	}
	return text;
}

static void on_message(struct chat *c, const cJSON *ev)
{
	struct chat_message m = {
		.seq = json_peek_i64(ev, "seq", 0),
		.ours = streq(json_peek_str(ev, "dir") ? json_peek_str(ev, "dir") : "", "out"),
		.notice = cJSON_IsTrue(json_find(ev, "notice")),
		.old = c->last < 0,
		.text = to_show(c, ev),
	};

	if (!m.text || (c->last >= 0 && m.seq <= c->last))
		return; /* shown already */
	if (c->last >= 0)
		c->last = m.seq;
	c->face->message(c, &m);
}

static void on_synced(struct chat *c, const cJSON *ev)
{
	int64_t last = json_peek_i64(ev, "last", 0);

	if (last > c->last)
		c->last = last;
	c->was_up = true;
	c->face->synced(c);
}

static void on_settled(struct chat *c, const char *id, bool failed, const char *why)
{
	for (struct said **p = &c->said; *p; p = &(*p)->next) {
		struct said *s = *p;

		if (!streq(s->id, id))
			continue;
		*p = s->next;
		free(s->text);
		free(s);
		c->face->settled(c, failed, why);
		return;
	}
}

static void on_hello(struct chat *c, const cJSON *ev)
{
	const char *name = json_peek_str(ev, "assistant");

	c->greeted = true;
	c->tries = 0;
	if (!c->was_up)
		c->face->ready(c, name ? name : "Chela", cJSON_IsTrue(json_find(ev, "demo")));
	for (const struct said *s = c->said; s; s = s->next)
		send_said(c, s);
}

static void on_line(void *ctx, const char *line, size_t n)
{
	struct chat *c = ctx;
	struct err e = ERR_INIT;
	_cleanup_json_ cJSON *ev = json_parse(line, n, LINE_MAX_BYTES, &e);
	const char *name = ev ? json_peek_str(ev, "ev") : NULL;
	const char *id = ev ? json_peek_str(ev, "id") : NULL;
	const char *why = ev ? json_peek_str(ev, "why") : NULL;

	if (!name) {
		c->face->trouble(c, "the server sent a line that was not understood");
	} else if (streq(name, "hello")) {
		on_hello(c, ev);
	} else if (streq(name, "message")) {
		on_message(c, ev);
	} else if (streq(name, "synced")) {
		on_synced(c, ev);
	} else if (streq(name, "settled") && id) {
		on_settled(c, id, cJSON_IsTrue(json_find(ev, "failed")), NULL);
	} else if (streq(name, "refused") && id) {
		on_settled(c, id, true, why ? why : "refused");
	} else if (streq(name, "progress")) {
		const char *kind = json_peek_str(ev, "kind"), *text = to_show(c, ev);

		c->face->progress(c, kind ? kind : "", text ? text : "");
	} else if (streq(name, "error")) {
		/* Before the greeting an error is about the chat itself: there is no such group. */
		c->face->trouble(c, why ? why : "the server reports an error");
		if (!c->greeted)
			chat_leave(c, 1);
	}
}

static void on_data(void *ctx, const uint8_t *p, size_t n)
{
	struct chat *c = ctx;

	line_feed(&c->lines, p, n, on_line, c, &c->dead);
	if (c->d)
		duplex_consumed(c->d, n);
}

static void on_lost(struct chat *c)
{
	c->d = NULL;
	c->greeted = false;
	buf_free(&c->lines.buf);
	if (c->leaving)
		return;
	c->face->trouble(c, "the server is gone; waiting for it to come back");
	timer_start(c->retry, 50, 0);
}

static void on_eof(void *ctx)
{
	struct chat *c = ctx;

	if (c->d)
		duplex_reset(c->d);
	on_lost(c);
}

static void on_drained(void *ctx maybe_unused)
{
}

static void on_closed(void *ctx, const struct err *why maybe_unused)
{
	on_lost(ctx);
}

static const struct duplex_events events = {on_data, on_eof, on_drained, on_closed};

bool chat_connect(struct chat *c, struct err *e)
{
	char path[PATH_CAP];
	cJSON *j;

	control_path(c->cfg->home, path, sizeof(path));
	c->d = conn_unix(c->loop, "chat", path, e);
	if (!c->d)
		return false;
	c->d->ev = &events;
	c->d->ctx = c;
	j = request("chat");
	json_add(j, "group=%s since=%lld", c->group,
		 (long long)(c->last < 0 ? c->face->since : c->last));
	send_json(c, j);
	return true;
}

static void on_retry(void *ctx)
{
	struct chat *c = ctx;
	struct err e = ERR_INIT;

	if (chat_connect(c, &e))
		return;
	if (++c->tries > MAX_TRIES) {
		c->face->trouble(c, "the server did not come back; start it with: chela serve");
		chat_leave(c, 1);
		return;
	}
	timer_start(c->retry, c->tries < 10 ? 100 : 1000, 0);
}

static int begin(struct chat *c, struct err *e)
{
	c->loop = loop_new(e);
	if (!c->loop)
		return -1;
	c->retry = timer_new(c->loop, "chat reconnect", on_retry, c);
	if (!chat_connect(c, e)) {
		struct err why = *e;

		if (!c->serve)
			return err_set(
				e, why.code,
				"no server answers (%s); start one with: chela serve, or use "
				"chat --serve",
				why.msg);
		*e = (struct err)ERR_INIT;
		if (chat_start_server(c, e) < 0)
			return -1;
	}
	return c->face->open(c, e);
}

static void end(struct chat *c)
{
	if (c->priv)
		c->face->close(c);
	if (c->d)
		duplex_reset(c->d);
	buf_free(&c->lines.buf);
	chat_server_free(c);
	timer_free(c->retry);
	while (c->said) {
		struct said *s = c->said;

		c->said = s->next;
		free(s->text);
		free(s);
	}
	if (c->loop)
		loop_free(c->loop);
}

int cmd_chat(const struct cli *cli)
{
	struct cli words = *cli;
	struct config cfg;
	struct err e = ERR_INIT;
	struct chat c = {.last = -1, .ready_fd = -1, .group = "main"};

	c.serve = cli_flag(&words, "--serve");
	if (words.argc > 0 && words.argv[0][0] != '-') {
		c.group = words.argv[0];
		words.argc--;
		words.argv++;
	}
	if (cli_no_more(&words, "chat [--serve] [GROUP]", &e) < 0 ||
	    cli_config(cli, c.serve, &cfg, &e) < 0)
		return cli_fail(&e);
	c.cfg = &cfg;
	c.at_terminal = isatty(1);
	c.face = isatty(0) && isatty(1) ? &chat_term : &chat_pipe;
	c.lines.max = LINE_MAX_BYTES;
	if (begin(&c, &e) < 0)
		c.status = cli_fail(&e);
	else
		loop_run(c.loop);
	end(&c);
	return c.status;
}
