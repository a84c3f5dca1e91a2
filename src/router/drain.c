// SPDX-License-Identifier: Apache-2.0
/*
 * The graceful end: no turn begins any more, those that run may come to their end, and what is on its way to a platform may arrive. Messages that come in are
 * stored as always and wait for the next start: that loses nothing, and needs no word to the platforms.
 */
#include "base/log.h"
#include "router/impl.h"

static void end(struct router *r)
{
	void (*done)(void *ctx) = r->drained;

	r->drained = NULL;
	timer_stop(r->drain_limit);
	if (done)
		done(r->drained_ctx);
}

static size_t running(const struct router *r)
{
	size_t n = 0;

	for (const struct session *s = r->sessions; s; s = s->next)
		n += s->turn_id != 0;
	return n;
}

void drain_check(struct router *r)
{
	if (r->drained && (r->fatal || (!running(r) && !r->sending.n)))
		end(r);
}

static void on_limit(void *ctx)
{
	struct router *r = ctx;

	log_warn("router", "turns are cut off and handed in again at the next start",
		 "turns=%zu sending=%zu", running(r), r->sending.n);
	end(r);
}

static void first_look(void *ctx)
{
	drain_check(ctx);
}

void router_drain(struct router *r, int64_t limit_ms, void (*done)(void *ctx), void *ctx)
{
	r->draining = true;
	r->drained = done;
	r->drained_ctx = ctx;
	if (!r->drain_limit)
		r->drain_limit = timer_new(r->loop, "drain limit", on_limit, r);
	timer_start(r->drain_limit, limit_ms, 0);
	log_info("router", "no turn begins any more", "turns=%zu sending=%zu", running(r),
		 r->sending.n);
	loop_defer(r->loop, "drain", first_look, r);
}

void router_tell_main(struct router *r, const char *text)
{
	notice_main(r, "%s", text);
}
