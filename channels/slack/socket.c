// SPDX-License-Identifier: Apache-2.0
/*
 * The Socket Mode connections: two at a time, so that a drop or a refresh of one leaves no gap. When Slack says that it will close
 * one, the next is opened first and the old one is read and acknowledged until it ends. The channel is up from the first hello until
 * none is left and the next attempt has failed; then the core decides when to connect again. It must never acknowledge by itself
 * what holds an event for the core (intake.c does, after the commit), and never open more than one connection at a time.
 * (https://docs.slack.dev/apis/events-api/using-socket-mode)
 */
#include <string.h>
#include "base/backoff.h"
#include "base/log.h"
#include "base/str.h"
#include "channels/slack/slack.h"

#define WANTED	 2
#define HELLO_MS 10000
#define DRAIN_MS                                                                                   \
	60000 /* Slack closes 10 s after its warning; a connection that stays is closed by us */
#define BURST_MS    10000 /* no more than SLACK_BURST connections in so long */
#define TOO_MANY_MS 30000
#define RETRY_LEAST 500
#define RETRY_MOST  300000
#define MESSAGE_MAX ((size_t)2 << 20)

static void settle(struct slack *s, const char *why, int64_t retry_ms);

static size_t count(const struct slack *s, unsigned states)
{
	size_t n = 0;

	for (size_t i = 0; i < SLACK_SOCKS; i++)
		n += states >> s->socks[i].st & 1;
	return n;
}
#define OPENING (1U << SOCK_ASKING | 1U << SOCK_CONNECTING)
#define OPEN	(1U << SOCK_UP | 1U << SOCK_DRAINING)

static void sock_free(struct slack_sock *k)
{
	slack_call_cancel(&k->call);
	if (k->ws)
		ws_drop(k->ws);
	timer_free(k->due);
	*k = (struct slack_sock){0};
}

/* A connection ended, or an attempt failed: only one that never said hello counts as a failure. */
static void sock_ended(struct slack_sock *k)
{
	if (k->st == SOCK_ASKING || k->st == SOCK_CONNECTING)
		k->s->tries++;
	k->ws = NULL;
	sock_free(k);
}

static void on_due(void *ctx)
{
	struct slack_sock *k = ctx;
	struct slack *s = k->s;

	if (k->st == SOCK_DRAINING) {
		ws_close(k->ws, 1000);
		return;
	}
	ws_drop(k->ws);
	sock_ended(k);
	settle(s, "Slack's connection said no hello within 10 s", 0);
}

static void on_open(void *ctx)
{
	struct slack_sock *k = ctx;

	timer_start(k->due, HELLO_MS, 0);
}

static void sock_hello(struct slack_sock *k, int64_t connections)
{
	struct slack *s = k->s;
	int64_t ours;

	if (k->st != SOCK_CONNECTING)
		return;
	timer_stop(k->due);
	k->st = SOCK_UP;
	s->tries = 0;
	ours = (int64_t)count(s, OPEN);
	s->others = connections > ours ? connections - ours : 0;
	log_debug("slack", "connection up", "serial=%llu open=%lld others=%lld",
		  (unsigned long long)k->serial, (long long)ours, (long long)s->others);
	if (!s->up) {
		s->up = true;
		s->trying = false;
		channel_on_state(s->c, CHANNEL_UP, "", 0);
	}
	if (s->gap && s->up) {
		s->gap = false;
		slack_fill_start(s);
	}
	settle(s, "", 0);
}

static void sock_disconnect(struct slack_sock *k, enum slack_reason reason)
{
	struct slack *s = k->s;

	if (reason == SLACK_LINK_DISABLED) {
		slack_stuck(
			s,
			"Slack: Socket Mode is switched off for the app: switch it on in the app's "
			"settings under Socket Mode");
		return;
	}
	if (k->st != SOCK_UP)
		return;
	log_debug("slack", "connection drains", "serial=%llu reason=%d",
		  (unsigned long long)k->serial, (int)reason);
	k->st = SOCK_DRAINING;
	timer_start(k->due, DRAIN_MS, 0);
	if (reason == SLACK_TOO_MANY)
		timer_start(s->retry, TOO_MANY_MS + backoff_ms(0, TOO_MANY_MS, TOO_MANY_MS) / 4, 0);
	settle(s, "", 0);
}

static void on_text(void *ctx, const char *p, size_t n)
{
	struct slack_sock *k = ctx;
	struct slack *s = k->s;
	struct slack_frame f;
	struct err e = ERR_INIT;

	if (slack_frame_parse(p, n, &s->self, &f, &e) < 0) {
		log_warn("slack", "frame ignored", "bytes=%zu err=\"%s\"", n, e.msg);
		return;
	}
	switch (f.type) {
	case SLACK_FRAME_HELLO:
		sock_hello(k, f.num_connections);
		break;
	case SLACK_FRAME_DISCONNECT:
		sock_disconnect(k, f.reason);
		break;
	case SLACK_FRAME_ENVELOPE:
		if (f.ev.use)
			slack_intake(s, &f.ev, k->serial, f.envelope);
		else
			slack_acknowledge(s, k->serial, f.envelope);
		break;
	case SLACK_FRAME_OTHER:
		break;
	}
	slack_event_free(&f.ev);
}

static void on_closed(void *ctx, int code, const struct err *why)
{
	struct slack_sock *k = ctx;
	struct slack *s = k->s;
	struct err e = ERR_INIT;

	err_set(&e, E_TEMP, "Slack's connection closed (%d)%s%.180s", code, why ? ": " : "",
		why ? why->msg : "");
	log_debug("slack", "connection closed", "serial=%llu err=\"%s\"",
		  (unsigned long long)k->serial, e.msg);
	sock_ended(k);
	settle(s, e.msg, 0);
}

static const struct ws_events sock_events = {
	.open = on_open,
	.text = on_text,
	.closed = on_closed,
};

/* The ticket in the URL is a secret for some seconds: it goes into no message. */
static void on_url(void *ctx, const struct slack_reply *r)
{
	struct slack_sock *k = ctx;
	struct slack *s = k->s;
	const char *url = json_peek_str(r->json, "url");
	struct ws_spec spec = {
		.url = url,
		.ping_ms = s->ping_ms,
		.idle_ms = s->ping_ms * 5 / 2,
		.max_message = MESSAGE_MAX,
	};
	struct err e = r->why;

	k->call = NULL;
	if (!e.code && (!url || (!str_starts(url, "wss://") && !str_starts(url, "ws://"))))
		err_set(&e, E_PROTO, "Slack: apps.connections.open gave no wss:// address");
	if (!e.code)
		k->ws = ws_open(s->wsc, &spec, &sock_events, k, &e);
	if (k->ws) {
		k->st = SOCK_CONNECTING;
		return;
	}
	if (r->why.code == E_AUTH)
		slack_stuck(s, e.msg);
	sock_ended(k);
	settle(s, e.msg, r->retry_ms);
}

static void open_one(struct slack *s)
{
	struct buf form = {0};

	for (size_t i = 0; i < SLACK_SOCKS; i++) {
		struct slack_sock *k = &s->socks[i];

		if (k->st != SOCK_FREE)
			continue;
		*k = (struct slack_sock){.s = s, .st = SOCK_ASKING, .serial = ++s->serial};
		k->due = timer_new(s->loop, "slack connection", on_due, k);
		s->opened[s->n_opened++ % SLACK_BURST] = loop_now(s->loop);
		k->call = slack_call(s, SLACK_OPEN, &form, on_url, k);
		return;
	}
}

/* How long to wait before the next one: after failures longer and longer; else not at all, unless they come and go in a hurry. */
static int64_t next_wait(const struct slack *s, int64_t retry_ms)
{
	int64_t oldest = s->opened[s->n_opened % SLACK_BURST];

	if (retry_ms)
		return retry_ms;
	if (s->tries)
		return backoff_ms(s->tries - 1, RETRY_LEAST, RETRY_MOST);
	return s->n_opened < SLACK_BURST ? 0 : oldest + BURST_MS - loop_now(s->loop);
}

/* After any change: opens what is missing, or tells the core that nothing is left. */
static void settle(struct slack *s, const char *why, int64_t retry_ms)
{
	size_t wanted = s->up ? WANTED : 1, open = count(s, OPEN), opening = count(s, OPENING);
	int64_t wait = next_wait(s, retry_ms);

	if ((!s->up && !s->trying) || timer_active(s->verdict))
		return;
	s->gap |= !open;
	if (!opening && count(s, 1U << SOCK_UP) < wanted && !timer_active(s->retry)) {
		if (wait <= 0) {
			open_one(s);
			return;
		}
		timer_start(s->retry, wait, 0);
	}
	if (!open && !opening)
		slack_down(s, CHANNEL_DOWN, why, retry_ms);
}

static void on_retry(void *ctx)
{
	struct slack *s = ctx;

	if (s->up && !count(s, OPENING) && count(s, 1U << SOCK_UP) < WANTED)
		open_one(s);
}

static void on_verdict(void *ctx)
{
	struct slack *s = ctx;
	_cleanup_free_ char *reason = steal_ptr(&s->stuck_reason);

	slack_down(s, CHANNEL_STUCK, reason, 0);
}

void slack_stuck(struct slack *s, const char *reason)
{
	if ((!s->up && !s->trying) || timer_active(s->verdict))
		return;
	s->stuck_reason = xstrdup(reason);
	timer_start(s->verdict, 0, 0);
}

void slack_down(struct slack *s, enum channel_state st, const char *reason, int64_t retry_ms)
{
	slack_socket_close(s);
	slack_fill_stop(s);
	s->up = s->trying = false;
	s->gap = true;
	channel_on_state(s->c, st, *reason ? reason : "Slack closed the connection", retry_ms);
}

static void on_hail(void *ctx, const struct slack_reply *r)
{
	struct slack *s = ctx;
	const char *user = json_peek_str(r->json, "user_id"),
		   *bot = json_peek_str(r->json, "bot_id");
	const char *team = json_peek_str(r->json, "team_id");

	s->hail = NULL;
	if (!r->why.code && (!user || !slack_is_id(user))) {
		slack_down(s, CHANNEL_DOWN, "Slack: auth.test does not say who we are", 0);
		return;
	}
	if (r->why.code) {
		slack_down(s, r->why.code == E_AUTH ? CHANNEL_STUCK : CHANNEL_DOWN, r->why.msg,
			   r->retry_ms);
		return;
	}
	str_copy(s->self.user, sizeof(s->self.user), user);
	str_copy(s->self.bot, sizeof(s->self.bot), bot ? bot : "");
	str_copy(s->self.team, sizeof(s->self.team), team ? team : "");
	open_one(s);
}

void slack_connect(struct slack *s)
{
	struct buf form = {0};

	if (!s->retry) {
		s->retry = timer_new(s->loop, "slack retry", on_retry, s);
		s->verdict = timer_new(s->loop, "slack stuck", on_verdict, s);
	}
	s->trying = true;
	s->gap = true;
	s->tries = 0;
	s->hail = slack_call(s, SLACK_AUTH_TEST, &form, on_hail, s);
}

void slack_acknowledge(struct slack *s, uint64_t serial, const char *envelope)
{
	struct buf b = {0};
	struct err e = ERR_INIT;

	for (size_t i = 0; i < SLACK_SOCKS; i++) {
		struct slack_sock *k = &s->socks[i];

		if (k->serial != serial || (k->st != SOCK_UP && k->st != SOCK_DRAINING))
			continue;
		buf_puts(&b, "{\"envelope_id\":");
		json_put_str(&b, envelope, strlen(envelope));
		buf_puts(&b, "}");
		if (ws_send(k->ws, b.p, b.len, &e) < 0)
			log_warn("slack", "acknowledgement not sent", "err=\"%s\"", e.msg);
	}
	buf_free(&b);
}

void slack_socket_close(struct slack *s)
{
	slack_call_cancel(&s->hail);
	for (size_t i = 0; i < SLACK_SOCKS; i++)
		sock_free(&s->socks[i]);
	if (s->retry) {
		timer_stop(s->retry);
		timer_stop(s->verdict);
	}
	free(s->stuck_reason);
	s->stuck_reason = NULL;
}
