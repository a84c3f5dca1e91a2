// SPDX-License-Identifier: Apache-2.0
/*
 * Posting: from one message of ours to outbox rows, rendered for the platform of its chat and cut to its limit. It runs in the transaction
 * that the message belongs to, so that all parts are there or none.
 */
#include <string.h>
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "router/format.h"
#include "router/impl.h"

#define CAPTION_MAX 1000 /* units of text that may stand under a file: the least of the platforms */

struct posting {
	struct router *r;
	struct out_new row;
	struct buf last; /* a part is written once it is known whether another follows */
	bool has_last;
	bool caption_fits;
	const struct format_limits *limits;
	const char *args;
	struct err e;
	bool failed;
};

static void put_row(struct posting *p, int op, const char *body, const char *args)
{
	int64_t id;

	p->row.op = op;
	p->row.body = body;
	p->row.args = args;
	if (!p->failed && store_out_add(p->r->store, &p->row, &id, &p->row.message_id, &p->e) < 0)
		p->failed = true;
	p->row.part++;
}

static bool take_part(void *ctx, const char *body, size_t n)
{
	struct posting *p = ctx;

	if (p->has_last)
		put_row(p, OUTBOUND_TEXT, p->last.p, NULL);
	buf_reset(&p->last);
	buf_put(&p->last, body, n);
	p->has_last = true;
	return !p->failed;
}

/* The last part carries what the message brings beside its text. */
static void put_last(struct posting *p, int op)
{
	bool apart = op == OUTBOUND_FILE && p->has_last &&
		     (p->row.part ||
		      format_units(p->limits->unit, p->last.p, p->last.len) > CAPTION_MAX);

	if (apart)
		put_row(p, OUTBOUND_TEXT, p->last.p, NULL);
	put_row(p, op, p->has_last && !apart ? p->last.p : "", p->args);
}

/* Also of a channel that is not configured now: what waits for it is sent in its own form when it comes back. */
static const struct channel_ops *ops_of(const char *name)
{
	for (size_t i = 0; channel_registry[i]; i++) {
		if (streq(channel_registry[i]->name, name))
			return channel_registry[i];
	}
	return NULL;
}

int64_t delivery_post(struct router *r, const struct out_new *o)
{
	struct posting p = {.r = r, .row = *o, .args = o->args};
	struct format_limits limits;
	struct chat_row chat;
	const struct channel_ops *ops;

	if (store_chat_get(r->store, o->chat_id, &chat, &p.e) < 0) {
		router_fatal(r, &p.e);
		return 0;
	}
	/* It was moved while this group worked: what is said for one group is never said in another's chat. */
	if (chat.group_id && chat.group_id != o->group_id) {
		log_warn("delivery", "not said: the chat is another group's by now",
			 "chat=%lld group=%lld", (long long)o->chat_id, (long long)o->group_id);
		return 0;
	}
	ops = ops_of(chat.channel);
	if (o->body || o->op == OUTBOUND_REACTION || !ops || ops->format == FORMAT_MARKDOWN) {
		put_row(&p, o->op, o->body, o->args);
	} else {
		limits = (struct format_limits){ops->format, ops->unit, ops->max_text};
		if (!(ops->caps & (CHAN_RESEND | CHAN_LOOK)))
			limits.max -= strlen(REPEAT_MARK);
		p.limits = &limits;
		format_render(o->text, strlen(o->text), &limits, take_part, &p);
		put_last(&p, o->op);
	}
	buf_free(&p.last);
	if (p.failed) {
		router_fatal(r, &p.e);
		return 0;
	}
	delivery_kick(r, o->chat_id);
	return p.row.message_id;
}
