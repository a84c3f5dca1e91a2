// SPDX-License-Identifier: Apache-2.0
/*
 * The console channel; see console.h for why it owns no socket. It must never keep a message of its own: what it shows is
 * in the store already.
 */
#include "channels/console.h"
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "base/str.h"

struct console_client {
	struct console_client *next;
	const struct console_events *ev;
	void *ctx;
	char *chat;
};

/* A send whose outcome is told at the end of the loop turn: never from inside send(). */
struct receipt {
	struct channel *chan;
	struct receipt *next;
	int64_t outbox_id, message_id;
};

struct console {
	struct console_client *clients;
	struct receipt *receipts;
};

static int console_configure(struct yaml_node *section maybe_unused, const char *home maybe_unused,
			     void **priv, struct err *e maybe_unused)
{
	*priv = xcalloc(1, sizeof(struct console));
	return 0;
}

static int console_open(struct channel *c maybe_unused, struct err *e maybe_unused)
{
	return 0;
}

static void console_connect(struct channel *c)
{
	channel_on_state(c, CHANNEL_UP, "", 0);
}

static void console_close(struct channel *c)
{
	struct console *con = c->priv;

	/* Clients are left by their owner before; receipts still queued on the loop find chan NULL. */
	for (struct receipt *r = con->receipts; r; r = r->next)
		r->chan = NULL;
	free(con);
	c->priv = NULL;
}

static void tell_receipt(void *ctx)
{
	struct receipt *r = ctx;
	char id[24];

	if (r->chan) {
		struct console *con = r->chan->priv;
		struct receipt **p = &con->receipts;

		while (*p && *p != r)
			p = &(*p)->next;
		if (*p)
			*p = r->next;
		snprintf(id, sizeof(id), "%lld", (long long)r->message_id);
		channel_on_sent(r->chan, r->outbox_id, &(struct sent){.platform_id = id});
	}
	free(r);
}

static int console_send(struct channel *c, const struct outbound *o, struct err *e maybe_unused)
{
	struct console *con = c->priv;
	struct receipt *r = xcalloc(1, sizeof(*r));
	struct console_client *next;

	for (struct console_client *cl = con->clients; cl; cl = next) {
		next = cl->next;
		if (streq(cl->chat, o->chat))
			cl->ev->message(cl->ctx, o->message_id, o->text, o->notice);
	}
	*r = (struct receipt){c, con->receipts, o->id, o->message_id};
	con->receipts = r;
	loop_defer(c->loop, "console receipt", tell_receipt, r);
	return 0;
}

static void console_progress(struct channel *c, const char *chat, const char *thread maybe_unused,
			     enum progress_kind kind, const char *text)
{
	struct console *con = c->priv;

	for (struct console_client *cl = con->clients, *next; cl; cl = next) {
		next = cl->next;
		if (streq(cl->chat, chat))
			cl->ev->progress(cl->ctx, kind, text);
	}
}

static void console_settled(struct channel *c, const char *chat, const char *id, bool failed)
{
	struct console *con = c->priv;

	for (struct console_client *cl = con->clients, *next; cl; cl = next) {
		next = cl->next;
		if (streq(cl->chat, chat))
			cl->ev->settled(cl->ctx, id, failed);
	}
}

struct console_client *console_join(struct channel *c, const char *chat,
				    const struct console_events *ev, void *ctx)
{
	struct console *con = c->priv;
	struct console_client *cl = xcalloc(1, sizeof(*cl));

	*cl = (struct console_client){con->clients, ev, ctx, xstrdup(chat)};
	con->clients = cl;
	return cl;
}

void console_leave(struct channel *c, struct console_client *cl)
{
	struct console *con = c->priv;
	struct console_client **p = &con->clients;

	while (*p && *p != cl)
		p = &(*p)->next;
	if (*p)
		*p = cl->next;
	free(cl->chat);
	free(cl);
}

void console_say(struct channel *c, const char *chat, const char *id, const char *sender,
		 const char *text, size_t len, int64_t now_ms, stored_fn *fn, void *ctx)
{
	struct inbound m = {
		.chat = chat,
		.chat_title = chat,
		.thread = "",
		.id = id,
		.target = "",
		.quote = "",
		.sender_alt = "",
		.direct = true,
		.sender = sender,
		.sender_name = sender,
		.text = text,
		.text_len = len,
		.sent_ms = now_ms,
		.addressed = true,
	};

	channel_on_message(c, &m, fn, ctx);
}

const struct channel_ops console_ops = {
	.name = "console",
	.caps = CHAN_STREAM | CHAN_TYPING | CHAN_RESEND,
	.max_text = 1 << 20,
	.unit = UNIT_BYTES,
	.format = FORMAT_MARKDOWN,
	.configure = console_configure,
	.open = console_open,
	.connect = console_connect,
	.close = console_close,
	.send = console_send,
	.progress = console_progress,
	.settled = console_settled,
};
