// SPDX-License-Identifier: Apache-2.0
/*
 * What the tests of everything that answers a sandbox share: a loop with a watchdog, one connection
 * from "inside" (a mem duplex) to a service, and records of what its owner was told. Conditions are
 * awaited at turn ends, never by time. gateway_rig.h puts the gateway in the service's place.
 */
#ifndef CHELA_TESTS_SERVICE_RIG_H
#define CHELA_TESTS_SERVICE_RIG_H
#include "runtime_fix.h"
#include "mem_duplex.h"
#include "base/str.h"
#include "runtime/http1.h"
#include "runtime/model_api.h"

struct rig {
	struct fix *f;
	struct http1_service service; /* answers the connection, when there is no gateway */
	struct gateway *g;
	void (*serve)(struct rig *r); /* puts m on the other end */
	struct http1 *c;
	struct mem m;
	struct usage usage; /* of the last call */
	int usages, refusals;
	char refused[256]; /* "what: why" of the last one */
	bool (*done)(struct rig *r);
	struct turn_hook *hook;
};

maybe_unused static void rig_usage(void *peer, const struct usage *u)
{
	struct rig *r = peer;

	r->usage = *u;
	r->usages++;
}

maybe_unused static void rig_refused(void *peer, const char *what, const char *why)
{
	struct rig *r = peer;

	r->refusals++;
	snprintf(r->refused, sizeof(r->refused), "%s: %s", what, why);
}

static void rig_look(void *ctx)
{
	struct rig *r = ctx;

	if (!r->done || !r->done(r))
		return;
	r->done = NULL; /* once: a stop after the loop has stopped would stop the next run */
	loop_stop(r->f->l);
}

static void rig_nothing(void *ctx maybe_unused)
{
}

/* Runs the loop until done(r); the watchdog of the loop fails a test that hangs. */
static inline void rig_until(struct rig *r, bool (*done)(struct rig *r))
{
	if (done(r))
		return;
	r->done = done;
	loop_defer(r->f->l, "rig", rig_nothing, r);
	loop_run(r->f->l);
	assert_true(done(r));
}

static const struct http1_handler *rig_request(void *ctx, struct http1 *c,
					       const struct http1_req *req, void **x)
{
	struct rig *r = ctx;

	return r->service.request(r->service.self, r, c, req, x);
}

static void rig_closed(void *ctx, struct http1 *c maybe_unused)
{
	((struct rig *)ctx)->c = NULL;
}

static void rig_serve(struct rig *r)
{
	static const struct http1_events ev = {rig_request, rig_refused, rig_closed};

	r->c = http1_new(&r->m.d, &ev, r);
}

static inline void rig_begin(struct rig *r, struct fix *f)
{
	memset(r, 0, sizeof(*r));
	r->f = f;
	r->serve = rig_serve;
	r->hook = loop_on_turn_end(f->l, "rig", rig_look, r);
	mem_init(&r->m);
}

/* All requests go to this service. */
static inline void rig_start_service(struct rig *r, struct fix *f, struct http1_service s)
{
	rig_begin(r, f);
	r->service = s;
	r->serve(r);
}

/* Another connection in place of the first one. */
static inline void rig_again(struct rig *r)
{
	mem_close(&r->m);
	mem_init(&r->m);
	r->serve(r);
}

/* Then the service may be freed. */
static inline void rig_end(struct rig *r)
{
	mem_close(&r->m);
	turn_hook_free(r->hook);
}

static inline const char *rig_out(const struct rig *r)
{
	return r->m.out.p ? r->m.out.p : "";
}

/* A request with a body and its Content-Length. `head`: method, target and extra header lines. */
static inline void rig_ask(struct rig *r, const char *line, const char *headers, const char *body)
{
	_cleanup_free_ char *text = xasprintf("%s HTTP/1.1\r\nHost: 127.0.0.1:2435\r\n%s"
					      "Content-Length: %zu\r\n\r\n%s",
					      line, headers, strlen(body), body);
	buf_reset(&r->m.out);
	mem_gives(&r->m, text);
}

/* One whole response with Content-Length or the last chunk is there. */
static inline bool rig_answered(struct rig *r)
{
	const char *end = strstr(rig_out(r), "\r\n\r\n"), *len;

	if (r->m.reset)
		return true;
	if (!end)
		return false;
	len = strcasestr(rig_out(r), "\r\nContent-Length: ");
	if (len && len < end)
		return strlen(end + 4) >= strtoul(len + 18, NULL, 10);
	return strstr(end, "\r\n0\r\n\r\n") != NULL;
}
#endif
