// SPDX-License-Identifier: Apache-2.0
/*
 * Requests to the bridge and their answers (PROTOCOL.md § 5): a queue, since only so many may be unanswered, and a limit of time for
 * each, since a bridge may hang. It must never repeat a request by itself: that is the core's to decide.
 */
#include "base/str.h"
#include "channels/whatsapp/whatsapp.h"

#define ASKED_MAX 48 /* the bridge takes 64 */

struct wa_req {
	struct whatsapp *w;
	struct wa_req *next;
	char id[65];
	char *frame; /* NULL once it is sent */
	size_t n;
	int64_t until_ms;
	wa_reply_fn *fn; /* NULL: nobody waits */
	void *ctx;
	bool dropped; /* not to be sent any more */
};

static void req_unlink(struct wa_req *r)
{
	struct whatsapp *w = r->w;
	struct wa_req **p = &w->reqs;

	while (*p != r)
		p = &(*p)->next;
	*p = r->next;
	if (w->reqs_end == &r->next)
		w->reqs_end = p;
	if (!r->frame)
		w->asked--;
}

/* Takes r. */
static void req_end(struct wa_req *r, const cJSON *reply, const struct wa_fail *fail)
{
	wa_reply_fn *fn = r->fn;
	void *ctx = r->ctx;

	req_unlink(r);
	free(r->frame);
	free(r);
	if (fn)
		fn(ctx, reply, fail);
}

static void flush(struct whatsapp *w)
{
	struct err e = ERR_INIT;

	for (struct wa_req *r = w->reqs, *next; r && w->asked < ASKED_MAX && w->phase == WA_LIVE;
	     r = next) {
		next = r->next;
		if (r->frame && r->dropped) {
			req_end(r, NULL, NULL);
			continue;
		}
		if (!r->frame)
			continue;
		if (ws_send(w->ws, r->frame, r->n, &e) < 0)
			return; /* full: an answer makes room, or patience ends */
		free(steal_ptr(&r->frame));
		w->asked++;
	}
}

static void on_patience(void *ctx)
{
	struct whatsapp *w = ctx;
	int64_t now = loop_now(w->c->loop), next = INT64_MAX;
	struct wa_req *late = NULL;

	for (struct wa_req *r = w->reqs; r; r = r->next) {
		if (r->until_ms <= now)
			late = r;
		else if (r->until_ms < next)
			next = r->until_ms;
	}
	if (late) {
		struct wa_fail f = {.unsure = !late->frame};

		err_set(&f.why, E_TEMP, "WhatsApp: the bridge did not answer in time");
		next = now; /* look again: there may be more */
		timer_start(w->patience, 0, 0);
		req_end(late, NULL, &f);
		return;
	}
	if (next != INT64_MAX)
		timer_start(w->patience, next - now, 0);
}

struct wa_req *wa_ask(struct whatsapp *w, const char *id, const char *op, cJSON *members,
		      int64_t timeout_ms, wa_reply_fn *fn, void *ctx, struct err *e)
{
	struct wa_req *r;

	if (!members)
		members = cJSON_CreateObject();
	if (w->phase != WA_LIVE) {
		cJSON_Delete(members);
		err_set(e, E_TEMP, "WhatsApp: the bridge is not connected");
		return NULL;
	}
	r = xcalloc(1, sizeof(*r));
	*r = (struct wa_req){.w = w, .fn = fn, .ctx = ctx};
	if (id)
		str_copy(r->id, sizeof(r->id), id);
	else
		snprintf(r->id, sizeof(r->id), "r%llu", (unsigned long long)++w->last_id);
	json_add(members, "id=%s op=%s", r->id, op);
	r->frame = json_print(members);
	r->n = strlen(r->frame);
	cJSON_Delete(members);
	if (r->n > WA_FRAME_MAX) {
		err_set(e, E_INVAL, "WhatsApp: a request of %zu bytes is too long", r->n);
		free(r->frame);
		free(r);
		return NULL;
	}
	r->until_ms = loop_now(w->c->loop) + timeout_ms;
	*w->reqs_end = r;
	w->reqs_end = &r->next;
	if (!timer_active(w->patience))
		timer_start(w->patience, timeout_ms, 0);
	flush(w);
	return r;
}

void wa_forget(struct wa_req *r)
{
	if (!r)
		return;
	r->fn = NULL;
	r->dropped = true;
}

void wa_on_reply(struct whatsapp *w, const struct wa_frame *f)
{
	struct wa_req *r = w->reqs;

	while (r && (r->frame || !streq(r->id, f->id)))
		r = r->next;
	if (!r)
		return; /* we no longer wait for it */
	req_end(r, f->ok ? f->body : NULL, f->ok ? NULL : &f->fail);
	flush(w);
}

void wa_fail_all(struct whatsapp *w, const struct err *why)
{
	struct wa_req *all = w->reqs;

	/* What its owners ask in return is refused, or belongs to the next connection. */
	w->reqs = NULL;
	w->reqs_end = &w->reqs;
	w->asked = 0;
	while (all) {
		struct wa_req *r = all;
		struct wa_fail f = {.why = *why, .unsure = !r->frame};

		all = r->next;
		if (r->fn)
			r->fn(r->ctx, NULL, &f);
		free(r->frame);
		free(r);
	}
}

void wa_requests_open(struct whatsapp *w)
{
	w->reqs_end = &w->reqs;
	w->patience = timer_new(w->c->loop, "whatsapp patience", on_patience, w);
}
