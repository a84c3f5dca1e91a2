// SPDX-License-Identifier: Apache-2.0
/*
 * Events that the bridge keeps until they are acknowledged (PROTOCOL.md § 3): handed to the core in order, acknowledged once all up to
 * a number are durable. It must never acknowledge what a crash could still lose.
 */
#include "base/log.h"
#include "channels/whatsapp/whatsapp.h"

struct wa_taken {
	struct whatsapp *w; /* NULL: of an earlier connection, only the call-back is awaited */
	struct wa_taken *next;
	int64_t seq;
	bool handed; /* the core calls back */
	bool done;
};

static void advance(struct whatsapp *w)
{
	while (w->taken && w->taken->done) {
		struct wa_taken *t = w->taken;

		if (t->seq > w->ack_to)
			w->ack_to = t->seq;
		w->ack_due = true;
		w->taken = t->next;
		if (!w->taken)
			w->taken_end = &w->taken;
		free(t);
	}
}

static void on_stored(void *ctx, int64_t message_id maybe_unused, bool duplicate maybe_unused,
		      const struct err *why)
{
	struct wa_taken *t = ctx;
	struct whatsapp *w = t->w;

	if (!w) {
		free(t);
		return;
	}
	t->handed = false;
	if (why && why->code != E_PERM && why->code != E_INVAL) {
		wa_lost(w, CHANNEL_DOWN, "messages cannot be stored", 0);
		return;
	}
	t->done = true;
	advance(w);
}

void wa_intake_reset(struct whatsapp *w)
{
	while (w->taken) {
		struct wa_taken *t = w->taken;

		w->taken = t->next;
		t->w = NULL;
		if (!t->handed)
			free(t);
	}
	w->taken_end = &w->taken;
	w->ack_due = false;
}

/* After the commit: what was not handed over (a chat that moved) is durable, too. */
void wa_intake_turn(void *ctx)
{
	struct whatsapp *w = ctx;
	struct err e = ERR_INIT;
	char text[48];
	int n;

	for (struct wa_taken *t = w->taken; t; t = t->next)
		if (!t->handed)
			t->done = true;
	advance(w);
	if (!w->ack_due || w->phase != WA_LIVE)
		return;
	w->ack_due = false;
	n = snprintf(text, sizeof(text), "{\"ack\":%lld}", (long long)w->ack_to);
	if (ws_send(w->ws, text, (size_t)n, &e) < 0)
		log_warn("whatsapp", "acknowledgement not sent", "err=\"%s\"", e.msg);
}

/* False: the connection is given up, and what is missing comes again. */
static bool in_order(struct whatsapp *w, int64_t seq)
{
	int64_t gap = seq - w->last_seq - 1;

	if (gap > 0 && !w->first) {
		wa_lost(w, CHANNEL_DOWN, "the bridge has left out events", 0);
		return false;
	}
	if (gap > 0)
		log_error("whatsapp", "events are missing", "from=%lld count=%lld",
			  (long long)w->last_seq + 1, (long long)gap);
	w->first = false;
	if (seq > w->last_seq)
		w->last_seq = seq;
	return true;
}

void wa_take_event(struct whatsapp *w, const struct wa_frame *f)
{
	struct err e = ERR_INIT;
	struct wa_taken *t;
	struct wa_event ev;
	int rc;

	if (f->seq <= w->ack_to || !in_order(w, f->seq))
		return;
	t = xcalloc(1, sizeof(*t));
	*t = (struct wa_taken){.w = w, .seq = f->seq};
	*w->taken_end = t;
	w->taken_end = &t->next;
	rc = wa_parse_event(f->body, &w->state, &ev, &e);
	if (rc < 0) {
		w->skipped++;
		log_warn("whatsapp", "event passed over", "seq=%lld err=\"%s\"", (long long)f->seq,
			 e.msg);
	} else if (ev.kind == WA_INBOUND) {
		if (!ev.in.sent_ms)
			ev.in.sent_ms = clock_wall(w->c->clk);
		t->handed = true;
		channel_on_message(w->c, &ev.in, on_stored, t);
	} else if (ev.kind == WA_MOVED) {
		channel_on_moved(w->c, ev.from, ev.to);
	}
	wa_event_free(&ev);
}
