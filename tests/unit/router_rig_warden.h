// SPDX-License-Identifier: Apache-2.0
/* The router's house (router_rig.h): what it holds, and the fake warden with the fake agents in its sandboxes. */
#ifndef CHELA_TESTS_ROUTER_RIG_WARDEN_H
#define CHELA_TESTS_ROUTER_RIG_WARDEN_H
#include "door_peer.h"
#include <ftw.h>
#include "base/json.h"
#include "base/lines.h"
#include "channels/console.h"
#include "router/router.h"
#include "warden/wire.h"

#define MAX_BOXES 16
#define MAX_LINES 700

/* One line that the agent read. */
struct heard {
	char *facts; /* "" = none */
	char *text;  /* what the person wrote, or "" */
	char uuid[37];
	char control[32];
};

/* One sandbox: the runner's end of a door, and the agent's eyes. */
struct box {
	struct house *h;
	struct rig *r; /* only the peer's half is used */
	struct wire_ask ask;
	bool ended;
	struct line_reader in;
	struct heard lines[MAX_LINES];
	int n_lines;
};

struct house {
	struct loop *l;
	struct timer *dog;
	struct turn_hook *hook;
	char dir[32], file[48];
	struct config cfg;
	const struct clock *clk; /* NULL: the system's */
	struct store *st;
	struct router *router;
	struct channel *console;
	struct console_client *clients[4];
	int n_clients;
	/* the warden */
	int wfd;
	struct watch *w;
	struct box *boxes[MAX_BOXES];
	int n_boxes, n_stops, n_failed, n_lines, n_eofs;
	int fail_left; /* starts to refuse with fail_code */
	enum err_code fail_code;
	bool silent; /* starts and stops are not answered */
	/* what the chat saw */
	struct buf said, notices; /* each text and a newline */
	int n_said, n_notices, n_settled, n_failed_msgs, n_stored, n_refused, n_dups, n_progress;
	int fatals;
	enum err_code fatal_code;
	/* what is awaited */
	const int *count;
	int want;
};

/* --- the fake warden and the fake agent --------------------------------------------------- */

static void tell(struct house *h, const struct wire_tell *t, int fd)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} ctl = {0};
	struct iovec iov = {(void *)t, sizeof(*t)};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

	if (fd >= 0) {
		struct cmsghdr *c = &ctl.align;

		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
		m.msg_control = &ctl;
		m.msg_controllen = sizeof(ctl);
	}
	assert_int_equal(sendmsg(h->wfd, &m, MSG_NOSIGNAL), sizeof(*t));
}

/* What a session begins with, apart from what people say. */
static void take_facts(struct heard *x, const char *text)
{
	static const char end_tag[] = "</facts>\n";
	const char *end = strncmp(text, "<facts>\n", 8) == 0 ? strstr(text, end_tag) : NULL;
	size_t n = end ? (size_t)(end - text) + strlen(end_tag) : 0;

	x->facts = xstrndup(text, n);
	x->text = xstrdup(text + n);
}

static void box_line(void *ctx, const char *line, size_t n)
{
	struct box *b = ctx;
	struct err e = ERR_INIT;
	struct heard *x = &b->lines[b->n_lines++];
	cJSON *j = json_parse(line, n, 8 << 20, &e);
	const char *text, *uuid, *control;

	assert_in_range(b->n_lines, 0, MAX_LINES);
	if (!j)
		fail_msg("the agent was sent no JSON: %.200s", line);
	text = json_peek_str(j, "message.content");
	uuid = json_peek_str(j, "uuid");
	control = json_peek_str(j, "request.subtype");
	take_facts(x, text ? text : "");
	str_copy(x->uuid, sizeof(x->uuid), uuid ? uuid : "");
	str_copy(x->control, sizeof(x->control), control ? control : "");
	cJSON_Delete(j);
	b->h->n_lines++;
}

static void box_ready(void *ctx, int events)
{
	struct box *b = ctx;
	struct peer_stream *s = &b->r->ps[0];
	bool dead = false;

	peer_ready(b->r, events);
	if (b->ask.kind == SANDBOX_TOOL) { /* a script, whole once its end has come */
		if (s->ended && !b->n_lines++)
			b->h->n_lines++;
		return;
	}
	line_feed(&b->in, (const uint8_t *)s->got.p, s->got.len, box_line, b, &dead);
	buf_reset(&s->got);
	if (b->r->peer_eof)
		b->h->n_eofs++;
}

static void box_open(struct house *h, const struct wire_ask *a)
{
	struct box *b = xcalloc(1, sizeof(*b));
	struct wire_tell t = {.op = TELL_STARTED, .id = a->id};
	int fd[2];

	assert_in_range(h->n_boxes, 0, MAX_BOXES - 1);
	b->h = h;
	b->ask = *a;
	b->in.max = 8 << 20;
	b->r = xcalloc(1, sizeof(*b->r));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	b->r->l = h->l;
	b->r->fd = fd[1];
	fcntl(fd[1], F_SETFL, O_NONBLOCK);
	b->r->w = watch_new(h->l, "box", fd[1], box_ready, b);
	b->r->cl = peer_session(b->r);
	tell(h, &t, fd[0]);
	close(fd[0]);
	peer_request(b->r, "/agent", "1");
	peer_write(b->r);
	h->boxes[h->n_boxes++] = b;
}

static void box_end(struct box *b, enum sandbox_end how, const char *detail)
{
	struct wire_tell t = {.op = TELL_ENDED, .how = how, .id = b->ask.id};

	if (b->ended)
		return;
	b->ended = true;
	str_copy(t.text, sizeof(t.text), detail);
	watch_free(steal_ptr(&b->r->w));
	close(b->r->fd);
	tell(b->h, &t, -1);
}

static void warden_ready(void *ctx, int events)
{
	struct house *h = ctx;
	struct wire_ask a;

	(void)events;
	while (recv(h->wfd, &a, sizeof(a), MSG_DONTWAIT) == (ssize_t)sizeof(a)) {
		struct wire_tell t = {.op = TELL_FAILED, .how = h->fail_code, .id = a.id};

		if (a.op == ASK_STOP)
			h->n_stops++;
		if (h->silent)
			continue;
		if (a.op == ASK_START && h->fail_left > 0) {
			h->fail_left--;
			h->n_failed++;
			str_copy(t.text, sizeof(t.text), "the engine is away");
			tell(h, &t, -1);
		} else if (a.op == ASK_START) {
			box_open(h, &a);
		}
		for (int i = 0; a.op == ASK_STOP && i < h->n_boxes; i++) {
			if (h->boxes[i]->ask.id == a.id)
				box_end(h->boxes[i], SANDBOX_STOPPED, "stopped");
		}
	}
}

/* The agent says one line. */
static void agent_says(struct box *b, const char *line)
{
	struct buf l = {0};

	buf_putf(&l, "%s\n", line);
	peer_say(b->r, &b->r->ps[0], l.p, l.len, false);
	buf_free(&l);
}

static maybe_unused void lifecycle(struct box *b, const char *uuid, const char *state)
{
	char line[200];

	snprintf(line, sizeof(line),
		 "{\"type\":\"command_lifecycle\",\"command_uuid\":\"%s\",\"state\":\"%s\"}", uuid,
		 state);
	agent_says(b, line);
}

#define SESSION_ID "99999999-9999-4999-8999-999999999999"

static maybe_unused void result(struct box *b, const char *text, bool error)
{
	char line[600];

	snprintf(line, sizeof(line),
		 "{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":%s,\"result\":\"%s\","
		 "\"session_id\":\"" SESSION_ID "\"}",
		 error ? "true" : "false", text);
	agent_says(b, line);
}

/* Line i is begun, answered with text, and done. */
static maybe_unused void answer(struct box *b, int i, const char *text)
{
	lifecycle(b, b->lines[i].uuid, "started");
	result(b, text, false);
	lifecycle(b, b->lines[i].uuid, "completed");
}

/* The agent's process ends: a trailer on its stream, then the sandbox. */
static maybe_unused void agent_dies(struct box *b, const char *detail)
{
	box_end(b, SANDBOX_EXITED, detail);
}

static void nothing(void *ctx)
{
	(void)ctx;
}

/* What is seen inside another turn-end hook is looked at in a further turn. */
static void seen(struct house *h, int *count)
{
	*count += 1;
	loop_defer(h->l, "seen", nothing, h);
}

#endif
