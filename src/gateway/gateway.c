// SPDX-License-Identifier: Apache-2.0
/*
 * See gateway.h: the routes, the connections and whose they are. The table below is the whole list
 * of what a sandbox may ask for; what is not in it is refused and told to the audit log.
 */
#include "gateway/gateway.h"
#include <string.h>
#include "base/str.h"
#include "gateway/internal.h"

static const struct route {
	const char *method, *path;
	bool mcp; /* or to the model */
} routes[] = {
	{"POST", "/v1/messages", false}, {"POST", "/v1/messages/count_tokens", false},
	{"GET", "/v1/models", false},	 {"HEAD", "/", false},
	{"POST", "/mcp", true},		 {"GET", "/mcp", true},
	{"DELETE", "/mcp", true},
};

bool gateway_is_demo(const struct gateway *g)
{
	return !g->o.key && !g->o.oauth;
}

void gateway_usage(struct gateway *g, void *peer, const struct usage *u)
{
	if (g->o.on_usage)
		g->o.on_usage(peer, u);
}

void gateway_refused(struct gateway *g, void *peer, const char *what, const char *why)
{
	if (g->o.on_refused)
		g->o.on_refused(peer, what, why);
}

/* Queries that our routes know are short words; anything else is no business of theirs. */
static bool query_is_plain(const char *q)
{
	return strlen(q) <= 256 && strspn(q, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					     "0123456789=&_.-") == strlen(q);
}

static const struct http1_handler *on_request(void *ctx, struct http1 *c, const struct http1_req *r,
					      void **x)
{
	struct gconn *k = ctx;
	bool known = false;
	char what[160];

	for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
		const struct http1_service *s = routes[i].mcp ? &k->g->o.mcp : &k->g->model;

		if (!streq(routes[i].path, r->path) || !s->request)
			continue;
		known = true;
		if (streq(routes[i].method, r->method) && query_is_plain(r->query))
			return s->request(s->self, k->peer, c, r, x);
	}
	size_t n = (size_t)snprintf(what, sizeof(what), "%s %s", r->method, r->path);
	for (size_t i = 0; i < n && i < sizeof(what) - 1; i++)
		if (what[i] < ' ' || what[i] > '~')
			what[i] = '.';
	gateway_refused(k->g, k->peer, what,
			known ? "method or query not allowed" : "no such route");
	if (known)
		model_api_error(c, 405, "invalid_request_error",
				"Chela's gateway does not allow this method or query here.");
	else
		model_api_error(
			c, 404, "not_found_error",
			"Chela's gateway lets only the Messages API and its own tools through.");
	return NULL;
}

static void on_refused(void *ctx, const char *what, const char *why)
{
	struct gconn *k = ctx;

	gateway_refused(k->g, k->peer, what, why);
}

static void on_closed(void *ctx, struct http1 *c)
{
	struct gconn *k = ctx;

	(void)c;
	for (struct gconn **p = &k->g->conns; *p; p = &(*p)->next) {
		if (*p == k) {
			*p = k->next;
			break;
		}
	}
	free(k);
}

void gateway_serve(struct gateway *g, struct duplex *d, void *peer)
{
	static const struct http1_events ev = {on_request, on_refused, on_closed};
	struct gconn *k = xcalloc(1, sizeof(*k));

	k->g = g;
	k->peer = peer;
	k->next = g->conns;
	g->conns = k;
	k->c = http1_new(d, &ev, k);
}

/* One at a time and from the start: an abort calls up, and an up-call may drop another peer. */
static bool abort_one(struct gateway *g, void *peer, bool all)
{
	for (struct gconn *k = g->conns; k; k = k->next) {
		if (!all && k->peer != peer)
			continue;
		if (http1_is_dead(k->c))
			continue; /* on its way out, further up the stack */
		http1_abort(k->c);
		return true;
	}
	return false;
}

void gateway_drop(struct gateway *g, void *peer)
{
	while (abort_one(g, peer, false))
		;
}

struct gateway *gateway_new(struct loop *l, const struct gateway_opts *o)
{
	struct gateway *g = xcalloc(1, sizeof(*g));
	struct http_client_opts ho = {.ca_file = o->ca_file};

	g->loop = l;
	g->o = *o;
	g->base_url = xstrdup(o->base_url ? o->base_url : "");
	for (size_t n = strlen(g->base_url); n && g->base_url[n - 1] == '/'; n--)
		g->base_url[n - 1] = '\0';
	g->http = http_client_new(l, &ho);
	g->model = gateway_is_demo(g) ? o->demo : (struct http1_service){model_request, g};
	return g;
}

void gateway_free(struct gateway *g)
{
	if (!g)
		return;
	while (abort_one(g, NULL, true))
		;
	http_client_free(g->http);
	free(g->base_url);
	free(g);
}
