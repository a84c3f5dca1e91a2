// SPDX-License-Identifier: Apache-2.0
/*
 * Wiring of the router: channels, gateway, warden and sessions, from start to stop; see router.h.
 */
#include "router/impl.h"
#include <string.h>
#include "base/log.h"
#include "base/str.h"
#include "router/archive.h"
#include "router/export.h"
#include "router/groups.h"
#include "router/approve.h"
#include "router/claim.h"
#include "router/retention.h"
#include "router/schedule.h"
#include "router/settings.h"
#include "router/skills.h"

#define COMMIT_ROUNDS 16 /* commits in one turn of the loop before others get their turn */

void router_fatal(struct router *r, const struct err *why)
{
	if (r->fatal)
		return;
	r->fatal = true;
	/* What this turn of the loop wrote so far may be half of a truth: it must not become durable. */
	store_break(r->store, why->msg);
	log_error("router", "cannot go on", "code=%s err=\"%s\"", err_word(why->code), why->msg);
	r->o.fatal(r->o.ctx, why);
}

static void checkpoint(void *ctx)
{
	struct router *r = ctx;
	struct err e = ERR_INIT;

	if (!r->fatal && store_checkpoint(r->store, &e) < 0)
		router_fatal(r, &e);
}

static void turn_end_hook(void *ctx)
{
	struct router *r = ctx;
	struct err e = ERR_INIT;

	/* What waited for the commit may write again: all of it is durable before the loop sleeps. */
	for (int round = 0; !r->fatal && store_dirty(r->store); round++) {
		if (round == COMMIT_ROUNDS) {
			loop_defer(r->loop, "store commit", turn_end_hook, r);
			return;
		}
		if (store_commit(r->store, &e) < 0)
			router_fatal(r, &e);
	}
	/* After the door, which writes what the commit let go when its own deferred call comes. */
	if (!r->fatal && store_checkpoint_due(r->store))
		loop_defer(r->loop, "store checkpoint", checkpoint, r);
	drain_check(r);
}

static void on_usage(void *peer, const struct usage *u)
{
	struct session *s = peer;
	struct err e = ERR_INIT;
	struct usage_new n = {
		.turn_id = s->turn_id,
		.group_id = s->group.id,
		.model = u->model,
		.input = u->input_tokens,
		.output = u->output_tokens,
		.cache_read = u->cache_read_tokens,
		.cache_write = u->cache_write_tokens,
		.status = u->status,
	};

	log_debug("model", "call", "group=%s model=%s status=%d in=%lld out=%lld first_us=%lld",
		  s->group.name, u->model, u->status, (long long)u->input_tokens,
		  (long long)u->output_tokens, (long long)u->first_byte_us);
	if (u->status >= 400 && session_may_log(s))
		log_warn("model", "refused", "group=%s status=%d%s", s->group.name, u->status,
			 u->status == 401 || u->status == 403
				 ? " fix=\"check the key: model.key_file, model.oauth_token_file "
				   "or ANTHROPIC_API_KEY\""
				 : "");
	if (store_usage_add(s->r->store, &n, &e) < 0)
		router_fatal(s->r, &e);
}

static void on_refused(void *peer, const char *what, const char *why)
{
	struct session *s = peer;

	if (session_may_log(s))
		log_warn("door", "refused", "group=%s what=\"%s\" why=\"%s\"", s->group.name, what,
			 why);
}

static void open_gateway(struct router *r)
{
	const struct config *cfg = r->o.cfg;
	struct gateway_opts g = {
		.base_url = cfg->model_base_url,
		.ca_file = cfg->model_ca_file[0] ? cfg->model_ca_file : NULL,
		.key = r->o.key,
		.oauth = r->o.oauth,
		.on_usage = on_usage,
		.on_refused = on_refused,
	};
	struct mcp_opts m = tools_open(r);

	m.on_refused = on_refused;
	r->mcp = mcp_new(&m);
	g.mcp = mcp_service(r->mcp);
	r->demo = demo_new(r->loop, on_usage);
	g.demo = demo_service(r->demo);
	r->gateway = gateway_new(r->loop, &g);
}

static void kick_chat(void *ctx, int64_t chat_id)
{
	delivery_kick(ctx, chat_id);
}

struct wake_list {
	struct router *r;
	struct waiting_session {
		int64_t group_id;
		char key[65];
	} * list;
	size_t n, cap;
};

static void note_waiting(void *ctx, int64_t group_id, const char *session,
			 int64_t oldest_id maybe_unused)
{
	struct wake_list *w = ctx;

	if (w->n == w->cap) {
		w->cap = w->cap ? w->cap * 2 : 64;
		w->list = xrealloc(w->list, w->cap * sizeof(*w->list));
	}
	w->list[w->n].group_id = group_id;
	str_copy(w->list[w->n++].key, sizeof(w->list[0].key), session);
}

static void wake_group(void *ctx, const struct group_row *g)
{
	struct wake_list *w = ctx;

	for (size_t i = 0; i < w->n; i++) {
		if (w->list[i].group_id == g->id)
			session_wake(session_get(w->r, g, w->list[i].key));
	}
}

/* What waited when we stopped, oldest first, goes on. */
static int wake_all(struct router *r, struct err *e)
{
	struct wake_list w = {.r = r};
	int rc = store_pending_sessions(r->store, note_waiting, &w, e);

	if (rc == 0)
		rc = store_group_each(r->store, wake_group, &w, e);
	free(w.list);
	return rc;
}

static int recover(struct router *r, struct err *e)
{
	struct fail_notice f = {
		.r = r,
		.why = "the server stopped each time while this was being answered",
	};

	if (store_recover(r->store, r->o.cfg->tries, fail_notice_add, &f, e) < 0)
		return -1;
	fail_notice_end(&f);
	return 0;
}

struct router *router_new(const struct router_opts *o, struct err *e)
{
	struct router *r = xcalloc(1, sizeof(*r));

	r->o = *o;
	r->loop = o->loop;
	r->store = o->store;
	r->queue_tail = &r->queue;
	r->hook = loop_on_turn_end(r->loop, "store commit", turn_end_hook, r);
	r->warden = warden_new(r->loop, o->warden_fd, &router_warden_events, r);
	open_gateway(r);
	inbox_init(&r->up);
	if (settings_open(r, o->cfg, e) < 0 || skills_open(r, e) < 0 || groups_open(r, e) < 0 ||
	    spool_open(r, e) < 0 || inbox_open(r, e) < 0 || !(r->retention = retention_new(r, e)) ||
	    links_open(r, e) < 0 || approve_open(r, e) < 0 || recover(r, e) < 0 ||
	    notice_recover(r, e) < 0 || store_out_chats(r->store, kick_chat, r, e) < 0 ||
	    wake_all(r, e) < 0 || schedule_open(r, e) < 0) {
		router_free(r);
		return NULL;
	}
	/* Before the commit: what it lets go to a channel that is ready at once need not wait for the loop's first event. */
	links_connect(r);
	if (claim_announce(r, e) < 0 || store_commit(r->store, e) < 0) {
		router_free(r);
		return NULL;
	}
	return r;
}

/* A stop is nobody's fault: leases go back without a try counted. */
static void stop_sessions(struct router *r)
{
	for (struct session *s = r->sessions; s; s = s->next) {
		turn_abort(s, "the server was stopped", false, INT64_MAX);
		if (s->state == SESSION_STARTING || s->state == SESSION_READY)
			session_stop_sandbox(s);
	}
}

void router_free(struct router *r)
{
	struct err e = ERR_INIT;

	if (!r->fatal) {
		stop_sessions(r);
		notice_flush(r);
		if (store_commit(r->store, &e) < 0)
			log_error("router", "last commit failed", "err=\"%s\"", e.msg);
	}
	schedule_close(r);
	while (r->sessions)
		session_free(r->sessions);
	links_close(r);
	inbox_close(r);
	approve_close(r);
	delivery_free(r);
	notice_free(r);
	store_forget(r->store, r);
	while (r->asks) {
		struct ask *a = r->asks;

		r->asks = a->next;
		free(a);
	}
	export_close(r);
	archive_close(r);
	skills_close(r);
	groups_close(r);
	settings_free(r);
	gateway_free(r->gateway);
	mcp_free(r->mcp);
	tools_close(r);
	demo_free(r->demo);
	warden_free(r->warden);
	timer_free(r->drain_limit);
	retention_free(r->retention);
	turn_hook_free(r->hook);
	spool_close(r);
	map_free(&r->by_group);
	free(r);
}

struct channel *router_channel(struct router *r, const char *name)
{
	for (size_t i = 0; i < r->n_chans; i++) {
		if (streq(r->chans[i].ops->name, name))
			return &r->chans[i];
	}
	return NULL;
}

void router_kick(struct router *r, int64_t chat_id)
{
	delivery_kick(r, chat_id);
}

static const char *state_word(const struct session *s)
{
	switch (s->state) {
	case SESSION_IDLE:
		return "idle";
	case SESSION_WAITING:
		return "waiting";
	case SESSION_STARTING:
		return "starting";
	case SESSION_READY:
		return s->turn_id ? "working" : "ready";
	case SESSION_STOPPING:
		return "stopping";
	}
	return "unknown";
}

void router_each_session(struct router *r, session_status_fn *fn, void *ctx)
{
	for (struct session *s = r->sessions; s; s = s->next) {
		struct session_status st = {
			.state = state_word(s),
			.since_ms = loop_now(r->loop) - s->since_ms,
		};

		str_copy(st.group, sizeof(st.group), s->group.name);
		str_copy(st.why, sizeof(st.why), s->why);
		for (const struct lease *l = s->leases; l; l = l->next)
			st.leased++;
		fn(ctx, &st);
	}
}

void router_ask_warden(struct router *r, warden_status_fn *fn, void *ctx)
{
	struct ask *a = xcalloc(1, sizeof(*a));

	*a = (struct ask){r->asks, fn, ctx};
	r->asks = a;
	warden_ask_status(r->warden);
}

void router_forget_ask(struct router *r, const void *ctx)
{
	for (struct ask **p = &r->asks; *p;) {
		struct ask *a = *p;

		if (a->ctx == ctx) {
			*p = a->next;
			free(a);
		} else {
			p = &a->next;
		}
	}
}

bool router_is_demo(const struct router *r)
{
	return gateway_is_demo(r->gateway);
}
