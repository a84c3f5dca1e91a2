// SPDX-License-Identifier: Apache-2.0
/*
 * What the files of the gateway share: who is calling, and the way to the real API.
 */
#ifndef CHELA_GATEWAY_INTERNAL_H
#define CHELA_GATEWAY_INTERNAL_H
#include "base/redact.h"
#include "gateway/gateway.h"
#include "runtime/http1.h"

struct gateway {
	struct loop *loop;
	struct gateway_opts o;
	char *base_url; /* no slash at the end */
	struct http_client *http;
	struct http1_service model; /* model.c, or the demo model */
	struct gconn *conns;
};

/* One connection from inside; its peer is set by whoever owns the door. */
struct gconn {
	struct gateway *g;
	void *peer;
	struct http1 *c;
	struct gconn *next;
};

/* The way to the real API: an http1_service.request, self is the gateway. */
const struct http1_handler *model_request(void *self, void *peer, struct http1 *c,
					  const struct http1_req *r, void **x);

void gateway_usage(struct gateway *g, void *peer, const struct usage *u);
void gateway_refused(struct gateway *g, void *peer, const char *what, const char *why);

#endif
