// SPDX-License-Identifier: Apache-2.0
/*
 * Owns lookups of names. A lookup that nobody waits for any more still ends on its thread, so it outlives its owner: the loop
 * is held until then. It must never call getaddrinfo on the loop's own thread.
 */
#include "runtime/dns.h"

#include <arpa/inet.h>
#include <uv.h>

#include "base/str.h"
#include "runtime/loop_internal.h"

struct dns {
	uv_getaddrinfo_t req;
	struct loop *loop;
	dns_fn *fn; /* NULL: cancelled */
	void *ctx;
	char host[256];
};

static bool is_loopback(int family, const void *in)
{
	if (family == AF_INET)
		return *(const uint8_t *)in == 127;
	return IN6_IS_ADDR_LOOPBACK((const struct in6_addr *)in);
}

static bool fill(struct dns_addr *a, int family, const void *in)
{
	a->v6 = family == AF_INET6;
	a->loopback = is_loopback(family, in);
	return inet_ntop(family, in, a->ip, sizeof(a->ip)) != NULL;
}

bool dns_literal(const char *host, struct dns_addr *a)
{
	uint8_t in[sizeof(struct in6_addr)];
	int family = strchr(host, ':') ? AF_INET6 : AF_INET;

	return inet_pton(family, host, in) == 1 && fill(a, family, in);
}

static size_t collect(const struct addrinfo *list, struct dns_addr v[DNS_MAX])
{
	size_t n = 0;

	for (const struct addrinfo *i = list; i && n < DNS_MAX; i = i->ai_next) {
		const void *in = NULL;

		if (i->ai_family == AF_INET)
			in = &((const struct sockaddr_in *)i->ai_addr)->sin_addr;
		else if (i->ai_family == AF_INET6)
			in = &((const struct sockaddr_in6 *)i->ai_addr)->sin6_addr;
		if (in && fill(&v[n], i->ai_family, in))
			n++;
	}
	return n;
}

static void on_result(uv_getaddrinfo_t *req, int status, struct addrinfo *list)
{
	struct dns *d = req->data;
	struct loop *l = d->loop;
	struct dns_addr v[DNS_MAX];
	size_t n = status == 0 ? collect(list, v) : 0;
	struct err e = ERR_INIT;
	uint64_t start = loop_enter(l);

	uv_freeaddrinfo(list);
	if (n == 0)
		err_set(&e, status == UV_EAI_NONAME ? E_GONE : E_TEMP, "cannot resolve %s: %s",
			d->host, status < 0 ? uv_strerror(status) : "it has no address");
	if (d->fn)
		d->fn(d->ctx, v, n, n ? NULL : &e);
	free(d);
	loop_hold(l, -1);
	loop_leave(l, "dns", start);
}

struct dns *dns_lookup(struct loop *l, const char *host, dns_fn *fn, void *ctx, struct err *e)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct dns *d = xcalloc(1, sizeof(*d));
	int rc;

	*d = (struct dns){.loop = l, .fn = fn, .ctx = ctx};
	d->req.data = d;
	str_copy(d->host, sizeof(d->host), host);
	rc = uv_getaddrinfo(loop_uv(l), &d->req, on_result, host, NULL, &hints);
	if (rc < 0) {
		err_set(e, E_TEMP, "cannot resolve %s: %s", d->host, uv_strerror(rc));
		free(d);
		return NULL;
	}
	loop_hold(l, 1);
	return d;
}

void dns_cancel(struct dns *d)
{
	if (!d)
		return;
	d->fn = NULL;
	uv_cancel((uv_req_t *)&d->req); /* on_result comes all the same */
}
