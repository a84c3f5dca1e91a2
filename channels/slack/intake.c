// SPDX-License-Identifier: Apache-2.0
/*
 * Events on their way to the core: in the order in which they came, each as soon as the names in it are known, or 1.5 s later with
 * ids in their place. Slack is told only when the core says that the message is durable (or refused for good): an event that
 * dies with us before that comes again. It must never acknowledge anything else.
 */
#include <string.h>
#include "base/log.h"
#include "base/str.h"
#include "channels/slack/slack.h"

#define NAME_CAP     128
#define NAME_WAIT_MS 1500 /* Slack waits 3 s for the acknowledgement */
#define AT_ONCE	     50	  /* a turn of the loop */
#define HELD_MAX     5000 /* then nobody waits for names */
#define NAMES_AT_ONCE                                                                              \
	200 /* of one message; whoever is named after these is named by the id: the table of names is shared */

struct slack_in {
	struct slack_in *next;
	struct slack_event ev;
	struct slack_ack *ack;
	int64_t deadline;
};

/* Lives until the core has told about the message; s is NULL once the channel is closed. */
struct slack_ack {
	LIST_ENTRY(slack_ack) link;
	struct slack *s;
	uint64_t serial;
	char envelope[];
};

static struct slack_ack *ack_new(struct slack *s, uint64_t serial, const char *envelope)
{
	size_t n = strlen(envelope) + 1;
	struct slack_ack *a = xcalloc(1, sizeof(*a) + n);

	a->s = s;
	a->serial = serial;
	memcpy(a->envelope, envelope, n);
	LIST_INSERT_HEAD(&s->acks, a, link);
	return a;
}

static void ack_free(struct slack_ack *a)
{
	if (a->s)
		LIST_REMOVE(a, link);
	free(a);
}

static void on_stored(void *ctx, int64_t message_id maybe_unused, bool duplicate maybe_unused,
		      const struct err *why)
{
	struct slack_ack *a = ctx;

	if (why && why->code != E_PERM && why->code != E_INVAL)
		log_warn("slack", "not stored", "err=\"%s\"", why->msg);
	else if (a->s && *a->envelope)
		slack_acknowledge(a->s, a->serial, a->envelope);
	ack_free(a);
}

struct naming {
	struct slack *s;
	bool missing;
	int asked;
};

static const char *name_of(void *ctx, char kind, const char *id)
{
	struct naming *k = ctx;
	const char *name;

	if (k->asked++ == NAMES_AT_ONCE) {
		k->asked = NAMES_AT_ONCE;
		return NULL;
	}
	name = slack_name(k->s, kind, id);
	k->missing |= !name;
	return name;
}

/* users.info knows nothing of bots' own ids. */
static bool is_user(const struct slack_event *ev)
{
	return ev->user[0] != 'B' && !streq(ev->user, "UNKNOWN");
}

/* Whether all names are there; asks for those that are not. */
static bool is_named(struct slack *s, const struct slack_event *ev)
{
	struct naming k = {.s = s};

	if (!*ev->user_name && is_user(ev))
		name_of(&k, 'U', ev->user);
	if (!ev->direct)
		name_of(&k, 'C', ev->chat);
	if (ev->kind == INBOUND_MESSAGE || ev->kind == INBOUND_EDIT) {
		slack_text(NULL, ev->raw, name_of, &k);
		slack_text(NULL, ev->quote, name_of, &k);
	}
	return !k.missing;
}

static void deliver(struct slack *s, struct slack_event *ev, struct slack_ack *a)
{
	struct naming k = {.s = s};
	struct buf text = {0}, quote = {0};
	char emoji[128], who[NAME_CAP], where[NAME_CAP];
	const char *name;

	/* Copies: the table may drop a name for the next one that is looked up. */
	name = *ev->user_name ? ev->user_name : is_user(ev) ? name_of(&k, 'U', ev->user) : NULL;
	str_one_line(who, sizeof(who),
		     name ? name : ev->user); /* a bot calls itself what it likes */
	name = ev->direct ? who : name_of(&k, 'C', ev->chat);
	str_one_line(where, sizeof(where), name ? name : ev->chat);

	if (ev->forwarded)
		buf_puts(&text, "[forwarded]\n");
	if (ev->kind == INBOUND_MESSAGE || ev->kind == INBOUND_EDIT)
		slack_text(&text, ev->raw, name_of, &k);
	else if (ev->kind == INBOUND_REACTION && *ev->raw)
		buf_puts(&text, slack_emoji_text(ev->raw, emoji, sizeof(emoji)));
	else
		buf_puts(&text, ev->raw);
	slack_text(&quote, ev->quote, name_of, &k);
	const struct inbound m = {
		.kind = ev->kind,
		.chat = ev->chat,
		.chat_title = where,
		.direct = ev->direct,
		.thread = ev->thread,
		.id = ev->id,
		.target = ev->target,
		.quote = quote.p ? quote.p : "",
		.sender = ev->user,
		.sender_name = who,
		.sender_alt = "",
		.text = text.p ? text.p : "",
		.text_len = text.len,
		.files = ev->files,
		.n_files = ev->n_files,
		.sent_ms = ev->sent_ms ? ev->sent_ms : clock_wall(s->c->clk),
		.addressed = ev->addressed,
		.forwarded = ev->forwarded,
	};
	channel_on_message(s->c, &m, on_stored, a);
	buf_free(&text);
	buf_free(&quote);
}

static struct slack_in *pop(struct slack *s)
{
	struct slack_in *in = s->in_first;

	s->in_first = in->next;
	if (!s->in_first)
		s->in_last = NULL;
	s->in_count--;
	return in;
}

static void in_free(struct slack_in *in)
{
	slack_event_free(&in->ev);
	free(in);
}

static void on_due(void *ctx)
{
	slack_intake_run(ctx);
}

static void wait_for(struct slack *s, int64_t ms)
{
	if (!s->in_timer)
		s->in_timer = timer_new(s->loop, "slack intake", on_due, s);
	timer_start(s->in_timer, ms, 0);
}

void slack_intake_run(struct slack *s)
{
	for (int i = 0; s->in_first; i++) {
		struct slack_in *in = s->in_first;
		int64_t left = in->deadline - loop_now(s->loop);

		if (i == AT_ONCE) {
			wait_for(s, 0);
			return;
		}
		if (left > 0 && s->in_count < HELD_MAX && !is_named(s, &in->ev)) {
			wait_for(s, left);
			return;
		}
		pop(s);
		deliver(s, &in->ev, steal_ptr(&in->ack));
		in_free(in);
	}
	if (s->in_timer)
		timer_stop(s->in_timer);
}

void slack_intake(struct slack *s, struct slack_event *ev, uint64_t serial, const char *envelope)
{
	struct slack_ack *a = ack_new(s, serial, envelope);
	struct slack_in *in;

	if (!s->in_first && is_named(s, ev)) {
		deliver(s, ev, a);
		slack_event_free(ev);
		return;
	}
	in = xcalloc(1, sizeof(*in));
	in->ev = *ev;
	*ev = (struct slack_event){0};
	in->ack = a;
	in->deadline = loop_now(s->loop) + NAME_WAIT_MS;
	*(s->in_last ? &s->in_last->next : &s->in_first) = in;
	s->in_last = in;
	if (++s->in_count == 1)
		wait_for(s, NAME_WAIT_MS);
}

void slack_intake_close(struct slack *s)
{
	struct slack_ack *a;

	while (s->in_first) {
		struct slack_in *in = pop(s);

		ack_free(in->ack);
		in_free(in);
	}
	LIST_FOREACH(a, &s->acks, link)
	{
		a->s = NULL;
	}
	LIST_INIT(&s->acks);
	timer_free(s->in_timer);
	s->in_timer = NULL;
}
