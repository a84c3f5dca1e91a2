// SPDX-License-Identifier: Apache-2.0
/*
 * service_rig.h with the gateway between. Behind it, in place of the tools and of the demo model, a
 * service that answers 200 with its own name, or waits when the path's query is "wait".
 */
#ifndef CHELA_TESTS_GATEWAY_RIG_H
#define CHELA_TESTS_GATEWAY_RIG_H
#include "service_rig.h"
#include "gateway/gateway.h"

static char tools_name[] = "the tools", demo_name[] = "the demo model";
static int stand_in_gone; /* requests that were waiting when their connection ended */

static void stand_in_body(void *x maybe_unused, const uint8_t *p maybe_unused,
			  size_t n maybe_unused)
{
}

static void stand_in_end(void *x maybe_unused)
{
}

static void stand_in_left(void *x maybe_unused)
{
	stand_in_gone++;
}

static const struct http1_handler *stand_in(void *self, void *peer, struct http1 *c,
					    const struct http1_req *r, void **x)
{
	static const struct http1_handler waits = {stand_in_body, stand_in_end, NULL,
						   stand_in_left};

	assert_non_null(peer);
	*x = peer;
	if (streq(r->query, "wait"))
		return &waits;
	http1_reply(c, 200, "text/plain", self, strlen(self));
	return NULL;
}

static void rig_gateway(struct rig *r)
{
	gateway_serve(r->g, &r->m.d, r);
}

/* o: base_url and keys; the rest is set here. */
static inline void rig_start(struct rig *r, struct fix *f, struct gateway_opts o)
{
	rig_begin(r, f);
	o.on_usage = rig_usage;
	o.on_refused = rig_refused;
	o.mcp = (struct http1_service){stand_in, tools_name};
	o.demo = (struct http1_service){stand_in, demo_name};
	r->g = gateway_new(f->l, &o);
	r->serve = rig_gateway;
	stand_in_gone = 0;
	r->serve(r);
}

static inline void rig_stop(struct rig *r)
{
	rig_end(r);
	gateway_free(r->g);
}
#endif
