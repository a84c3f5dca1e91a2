// SPDX-License-Identifier: Apache-2.0
/*
 * What stands behind the door: serves each connection from inside a sandbox as HTTP/1.1 and lets
 * through what is allowed, with the key put in here. Routes: /v1/... to the model API (model.c, or
 * the demo model when no key is configured), /mcp to our tools; anything else (CONNECT, other
 * hosts) is refused and counted. Services that need no secret are handed in by the floor above and
 * see neither key nor routes. The identity of the caller is the connection itself: `peer` is set by
 * whoever owns the door; nothing that the sandbox sends can change it.
 */
#ifndef CHELA_GATEWAY_GATEWAY_H
#define CHELA_GATEWAY_GATEWAY_H
#include <stdbool.h>
#include "base/redact.h"
#include "runtime/duplex.h"
#include "runtime/http1.h"
#include "runtime/loop.h"
#include "runtime/model_api.h"

struct gateway;

struct gateway_opts {
	const char
		*base_url; /* "https://api.anthropic.com" or the operator's; path prefix allowed */
	const char *ca_file;	    /* or NULL */
	const struct secret *key;   /* x-api-key; or NULL */
	const struct secret *oauth; /* Authorization: Bearer; or NULL. Both NULL = demo */
	struct http1_service mcp;   /* answers /mcp; none = no such route */
	struct http1_service demo;  /* answers the model's routes when there is no key */
	/* One model call ended (also a failed one: tokens 0). */
	void (*on_usage)(void *peer, const struct usage *u);
	/* Something was refused at the door: a short reason for the audit log; host/path already cut and cleaned. */
	void (*on_refused)(void *peer, const char *what, const char *why);
};
struct gateway *gateway_new(struct loop *l, const struct gateway_opts *o);
void gateway_free(struct gateway *g);
bool gateway_is_demo(const struct gateway *g);

/* Serves d until it ends. peer is handed to on_usage, on_refused and the services; it must outlive d: call gateway_drop
 * before peer goes away. */
void gateway_serve(struct gateway *g, struct duplex *d, void *peer);
/* Ends all connections of this peer (resets their duplexes; cancels upstream calls). */
void gateway_drop(struct gateway *g, void *peer);

#endif
