// SPDX-License-Identifier: Apache-2.0
/*
 * What the files of the gateway share: who is calling, and the errors of the Messages API.
 */
#ifndef CHELA_GATEWAY_INTERNAL_H
#define CHELA_GATEWAY_INTERNAL_H
#include "base/redact.h"
#include "gateway/gateway.h"
#include "runtime/http1.h"

#define MODEL_BODY_MAX ((int64_t)32 << 20) /* the API's own limit */

struct mcp;

struct gateway {
	struct loop *loop;
	struct gateway_opts o;
	char *base_url; /* no slash at the end */
	struct http_client *http;
	struct mcp *mcp;
	struct gconn *conns;
};

/* One connection from inside; its peer is set by whoever owns the door. */
struct gconn {
	struct gateway *g;
	void *peer;
	struct http1 *c;
	struct gconn *next;
};

/* Each answers one request: as http1_events.request. */
const struct http1_handler *model_request(struct gconn *k, struct http1 *c,
					  const struct http1_req *r, void **x);
const struct http1_handler *demo_request(struct gconn *k, struct http1 *c,
					 const struct http1_req *r, void **x);
const struct http1_handler *mcp_request(struct gconn *k, struct http1 *c, const struct http1_req *r,
					void **x);

/* Parses the tools' schemas; dies on one that is no JSON object (they are ours). */
struct mcp *mcp_new(const struct mcp_tool *tools, size_t n);
void mcp_free(struct mcp *m);

void gateway_usage(struct gateway *g, void *peer, const struct usage *u);
void gateway_refused(struct gateway *g, void *peer, const char *what, const char *why);
/* A whole error answer in the Messages API's shape. */
void gateway_api_error(struct http1 *c, int status, const char *type, const char *text);

#endif
