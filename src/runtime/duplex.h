// SPDX-License-Identifier: Apache-2.0
/*
 * A two-way byte stream with flow control, half-close and reset: what a door stream and a socket
 * have in common, so that the gateway serves either without knowing which. The provider embeds
 * `struct duplex` and fills `ops`; the user sets `ev` and `ctx`.
 *
 * Life: alive until `closed` was called or the user called duplex_reset. After either, the user must not touch it
 * again; the provider frees it. No up-call comes after that, and none comes from inside a
 * down-call, except that duplex_write may not fail synchronously for a dead peer: it says so by `closed`.
 */
#ifndef CHELA_RUNTIME_DUPLEX_H
#define CHELA_RUNTIME_DUPLEX_H
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/mem.h"

struct duplex;

struct duplex_events {
	/* Bytes came; p is valid during the call only. Each byte must be credited by duplex_consumed
	 * (now or later), or the peer is stopped once the window is used up. */
	void (*data)(void *ctx, const uint8_t *p, size_t n);
	/* The peer will send no more (half-close). Sending goes on. */
	void (*eof)(void *ctx);
	/* Output went below the low-water mark (half the high-water mark) after it had been above. */
	void (*drained)(void *ctx);
	/* Over. why is NULL when both sides ended in order. The last call. */
	void (*closed)(void *ctx, const struct err *why);
};

struct duplex_ops {
	int (*write)(struct duplex *d, const void *p, size_t n, struct err *e);
	size_t (*pending)(const struct duplex *d);
	void (*consumed)(struct duplex *d, size_t n);
	void (*finish)(struct duplex *d);
	void (*reset)(struct duplex *d);
};

struct duplex {
	const struct duplex_ops *ops;
	const struct duplex_events *ev;
	void *ctx;
	size_t high_water; /* set by the provider: a polite user stops writing when pending > high_water */
};

/* Queues a copy of n bytes. Fails with E_LIMIT when the queue is past the provider's hard cap. */
static inline int duplex_write(struct duplex *d, const void *p, size_t n, struct err *e)
{
	return d->ops->write(d, p, n, e);
}
/* Bytes queued and not yet taken by the kernel or the peer's window. */
static inline size_t duplex_pending(const struct duplex *d)
{
	return d->ops->pending(d);
}
static inline void duplex_consumed(struct duplex *d, size_t n)
{
	d->ops->consumed(d, n);
}
/* Half-close after what is queued. closed() follows once the peer has ended too. */
static inline void duplex_finish(struct duplex *d)
{
	d->ops->finish(d);
}
/* Drops everything now; no up-call follows; the pointer is dead after this. */
static inline void duplex_reset(struct duplex *d)
{
	d->ops->reset(d);
}
#endif
