// SPDX-License-Identifier: Apache-2.0
/*
 * The connection to the bridge (PROTOCOL.md § 2): hello, welcome, and from then on each frame to whom it concerns. What the session
 * behind it can do is the channel's state; what breaks is told once and left to the core's back-off.
 */
#include <signal.h>
#include "base/log.h"
#include "base/str.h"
#include "channels/whatsapp/whatsapp.h"

#define PING_MS 10000
#define IDLE_MS 30000
/* A break is mended at once, not by the core's back-off, which is for what does not work: so often a minute. */
#define MEND_MS 100
#define MENDS	30
#define MINUTE	60000

/* The outcome of a connect, or news. */
static void report(struct whatsapp *w, enum channel_state st, const char *reason, int64_t retry_ms)
{
	bool news = w->told != st || !streq(w->told_why, reason);

	if (!w->trying && !news)
		return;
	w->trying = false;
	w->told = st;
	str_copy(w->told_why, sizeof(w->told_why), reason);
	channel_on_state(w->c, st, w->told_why, retry_ms);
}

static void report_session(struct whatsapp *w)
{
	char reason[512];
	enum channel_state st = wa_channel_state(&w->state, reason, sizeof(reason));
	/* The bridge tries by itself; the core only looks whether it has got anywhere. */
	int64_t look_ms = st == CHANNEL_DOWN ? w->state.retry_ms + 5000 : 0;

	report(w, st, reason, look_ms);
}

static void take_state(struct whatsapp *w, const cJSON *state)
{
	struct err e = ERR_INIT;

	if (wa_parse_state(state, &w->state, &e) < 0)
		log_warn("whatsapp", "an answer without a state", "err=\"%s\"", e.msg);
	report_session(w);
}

static bool may_mend(struct whatsapp *w)
{
	int64_t now = loop_now(w->c->loop);

	if (w->local && !w->proc)
		return false;
	if (now - w->mend_ms > MINUTE) {
		w->mend_ms = now;
		w->mends = 0;
	}
	return w->mends++ < MENDS;
}

void wa_lost(struct whatsapp *w, enum channel_state st, const char *reason, int64_t retry_ms)
{
	bool mend = w->phase == WA_LIVE && st == CHANNEL_DOWN && may_mend(w);
	struct err e = ERR_INIT;

	ws_drop(steal_ptr(&w->ws));
	timer_stop(w->deadline);
	timer_stop(w->mend);
	if (w->phase != WA_OFF && !mend)
		w->trying = true; /* it is news in any case */
	w->phase = WA_OFF;
	w->probe = NULL;
	wa_intake_reset(w);
	err_set(&e, E_TEMP, "WhatsApp: %s", reason);
	if (mend) {
		log_info("whatsapp", "connection broke", "reason=\"%s\"", reason);
		timer_start(w->mend, MEND_MS, 0);
	} else {
		report(w, st, reason, retry_ms);
	}
	wa_fail_all(w, &e);
	wa_link_lost(w, reason);
}

/* --- frames ---------------------------------------------------------------------------------- */

static void on_welcome(struct whatsapp *w, const struct wa_frame *f)
{
	const cJSON *state = cJSON_GetObjectItemCaseSensitive(f->body, "state");
	struct err e = ERR_INIT;

	if (wa_parse_state(state, &w->state, &e) < 0) {
		wa_lost(w, CHANNEL_DOWN, "the bridge's welcome has no state", 0);
		return;
	}
	if (json_peek_str(f->body, "me.jid"))
		str_copy(w->state.me, sizeof(w->state.me), json_peek_str(f->body, "me.jid"));
	if (json_peek_str(f->body, "me.lid"))
		str_copy(w->state.me_lid, sizeof(w->state.me_lid),
			 json_peek_str(f->body, "me.lid"));
	if (json_peek_str(f->body, "bridge"))
		str_copy(w->bridge, sizeof(w->bridge), json_peek_str(f->body, "bridge"));
	timer_stop(w->deadline);
	w->phase = WA_LIVE;
	w->last_seq = w->ack_to = f->acked;
	w->first = true;
	report_session(w);
	if (w->phase == WA_LIVE)
		wa_link_live(w);
}

static void on_refusal(struct whatsapp *w, const struct wa_frame *f)
{
	static const char TAKEN[] =
		"another program has taken the bridge; end it, or give it a bridge of its own";
	bool settings = streq(f->id, "bad_token") || streq(f->id, "bad_version");
	char reason[400];

	if (streq(f->id, "replaced")) {
		wa_lost(w, CHANNEL_STUCK, TAKEN, 0);
		return;
	}
	snprintf(reason, sizeof(reason), "the bridge refuses us (%s)%s", f->fail.why.msg,
		 settings ? "; look at channels.whatsapp.token_file and at the bridge's version"
			  : "");
	wa_lost(w, settings ? CHANNEL_STUCK : CHANNEL_DOWN, reason, 0);
}

static void on_state_event(struct whatsapp *w, const struct wa_event *ev)
{
	w->state = ev->state;
	report_session(w);
}

/* Events that tell the present; those that are kept go to intake.c. */
static void on_present(struct whatsapp *w, const cJSON *body)
{
	struct err e = ERR_INIT;
	struct wa_event ev;

	if (wa_parse_event(body, &w->state, &ev, &e) < 0)
		log_warn("whatsapp", "event passed over", "err=\"%s\"", e.msg);
	else if (ev.kind == WA_STATE)
		on_state_event(w, &ev);
	if (w->phase == WA_LIVE && ev.kind != WA_NOTHING)
		wa_link_event(w, &ev);
	wa_event_free(&ev);
}

static void on_text(void *ctx, const char *p, size_t n)
{
	struct whatsapp *w = ctx;
	struct err e = ERR_INIT;
	_cleanup_json_ cJSON *j = json_parse(p, n, WA_FRAME_MAX, &e);
	struct wa_frame f;

	if (!j || wa_parse_frame(j, &f, &e) < 0) {
		log_warn("whatsapp", "bad frame", "err=\"%s\"", e.msg);
		wa_lost(w, CHANNEL_DOWN, "the bridge sends what is no frame of ours", 0);
	} else if (f.kind == WA_REFUSAL) {
		on_refusal(w, &f);
	} else if ((f.kind == WA_WELCOME) != (w->phase == WA_GREETING)) {
		wa_lost(w, CHANNEL_DOWN, "the bridge's frames are out of order", 0);
	} else if (f.kind == WA_WELCOME) {
		on_welcome(w, &f);
	} else if (f.kind == WA_REPLY) {
		wa_on_reply(w, &f);
	} else if (f.seq) {
		wa_take_event(w, &f);
	} else {
		on_present(w, f.body);
	}
}

/* --- the websocket --------------------------------------------------------------------------- */

static void on_open(void *ctx)
{
	struct whatsapp *w = ctx;
	cJSON *j = cJSON_CreateObject(), *hello = cJSON_AddObjectToObject(j, "hello");
	struct err e = ERR_INIT;
	char *text;
	int rc;

	json_add(hello, "version=%lld token=%s client=%s", 1LL, w->token.value,
		 "chela/" CHELA_VERSION);
	text = json_print(j);
	cJSON_Delete(j);
	w->phase = WA_GREETING;
	rc = ws_send(w->ws, text, strlen(text), &e);
	explicit_bzero(text, strlen(text));
	free(text);
	if (rc < 0)
		wa_lost(w, CHANNEL_DOWN, e.msg, 0);
}

static void on_closed(void *ctx, int code, const struct err *why)
{
	struct whatsapp *w = ctx;
	char reason[400];

	w->ws = NULL; /* it frees itself */
	(void)code;   /* a refusal says why before it closes */
	snprintf(reason, sizeof(reason),
		 why->code == E_AUTH ? "%s; look at channels.whatsapp.bridge and ca_file"
				     : "no connection to the bridge (%s)",
		 why->msg);
	wa_lost(w, why->code == E_AUTH ? CHANNEL_STUCK : CHANNEL_DOWN, reason, 0);
}

void wa_dial(struct whatsapp *w)
{
	static const struct ws_events ev = {on_open, on_text, on_closed};
	struct ws_spec s = {.url = w->url, .ping_ms = PING_MS, .idle_ms = IDLE_MS};
	struct err e = ERR_INIT;

	w->phase = WA_DIALING;
	w->ws = ws_open(w->client, &s, &ev, w, &e);
	if (!w->ws)
		wa_lost(w, CHANNEL_STUCK, e.msg, 0);
}

static void on_deadline(void *ctx)
{
	struct whatsapp *w = ctx;

	if (w->proc) { /* it hangs: a new one */
		proc_kill(w->proc, SIGKILL);
		wa_bridge_stop(w);
		wa_lost(w, CHANNEL_DOWN, "the bridge did not get ready in time", 0);
	} else {
		wa_lost(w, CHANNEL_DOWN, "the bridge does not answer", 0);
	}
}

/* --- connect --------------------------------------------------------------------------------- */

static void on_probe(void *ctx, const cJSON *reply, const struct wa_fail *fail)
{
	struct whatsapp *w = ctx;

	w->probe = NULL;
	if (w->phase != WA_LIVE)
		return;
	if (fail) {
		wa_lost(w, CHANNEL_DOWN, "the bridge does not answer", 0);
		return;
	}
	take_state(w, cJSON_GetObjectItemCaseSensitive(reply, "state"));
}

static void begin(struct whatsapp *w)
{
	struct err e = ERR_INIT;

	timer_stop(w->mend);
	timer_start(w->deadline, w->start_ms, 0);
	if (!w->local || w->proc) {
		wa_dial(w);
		return;
	}
	w->phase = WA_STARTING;
	if (wa_bridge_start(w, &e) < 0)
		wa_lost(w, CHANNEL_STUCK, e.msg, 0);
}

static void on_mend(void *ctx)
{
	begin(ctx);
}

void wa_connect(struct channel *c)
{
	struct whatsapp *w = c->priv;
	struct err e = ERR_INIT;

	w->trying = true;
	if (w->phase == WA_LIVE) {
		if (!w->probe)
			w->probe = wa_ask(w, NULL, "ping", NULL, w->start_ms, on_probe, w, &e);
	} else if (w->phase == WA_OFF) {
		begin(w);
	} /* else it has begun already: a mend, or the operator's `link` */
}

void wa_wire_open(struct whatsapp *w)
{
	w->client = ws_client_new(w->c->loop, w->ca_file);
	w->deadline = timer_new(w->c->loop, "whatsapp deadline", on_deadline, w);
	w->mend = timer_new(w->c->loop, "whatsapp mend", on_mend, w);
}

void wa_wire_close(struct whatsapp *w)
{
	struct err e = ERR_INIT;

	ws_drop(steal_ptr(&w->ws));
	w->phase = WA_OFF;
	err_set(&e, E_TEMP, "WhatsApp: closing");
	wa_fail_all(w, &e); /* their owners are gone already */
	wa_intake_reset(w);
	ws_client_free(w->client);
	timer_free(w->deadline);
	timer_free(w->mend);
}
