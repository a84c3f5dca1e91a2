// SPDX-License-Identifier: Apache-2.0
/*
 * Host names to addresses without stopping the loop: getaddrinfo(3) on the loop library's own threads. For those who connect by
 * themselves; the HTTP client has a resolver of its own.
 */
#ifndef CHELA_RUNTIME_DNS_H
#define CHELA_RUNTIME_DNS_H
#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"
#include "base/mem.h"
#include "runtime/loop.h"

#define DNS_MAX 8 /* addresses of a name that are told */

struct dns_addr {
	char ip[46]; /* a literal */
	bool v6;
	bool loopback; /* 127.0.0.0/8 or ::1 */
};
struct dns;
/* In the order to be tried (RFC 6724). n 0: why says (E_TEMP; E_GONE when there is no such name). The lookup is over and freed. */
typedef void dns_fn(void *ctx, const struct dns_addr *v, size_t n, const struct err *why);

/* Reads a literal address; false when it is none. */
bool dns_literal(const char *host, struct dns_addr *a);
/* Starts a lookup; fn is called once, from the loop only. */
struct dns *dns_lookup(struct loop *l, const char *host, dns_fn *fn, void *ctx,
		       struct err *e) must_check;
/* Forgets it: no call any more. NULL is fine. */
void dns_cancel(struct dns *d);

#endif
