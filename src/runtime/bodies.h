// SPDX-License-Identifier: Apache-2.0
/*
 * Request bodies that are held whole before they are read. Each has a cap, but one sandbox may open many
 * connections: so what all bodies of one owner hold together has a cap too.
 */
#ifndef CHELA_RUNTIME_BODIES_H
#define CHELA_RUNTIME_BODIES_H
#include <sys/queue.h>
#include "base/buf.h"

struct body {
	LIST_ENTRY(body) link;
	const void *owner;
	struct buf buf;
};
LIST_HEAD(bodies, body);

static inline void body_open(struct bodies *all, struct body *b, const void *owner, size_t max)
{
	b->owner = owner;
	buf_init(&b->buf, max);
	LIST_INSERT_HEAD(all, b, link);
}

static inline void body_close(struct body *b)
{
	LIST_REMOVE(b, link);
	buf_free(&b->buf);
}

/* -1 when the body, or all of its owner together, would hold more than max bytes. */
static inline int body_add(struct bodies *all, struct body *b, const void *p, size_t n, size_t max,
			   struct err *e)
{
	const struct body *o;
	size_t sum = n;

	LIST_FOREACH(o, all, link)
	sum += o->owner == b->owner ? o->buf.len : 0;
	if (sum > max)
		return err_set(e, E_LIMIT, "the requests together are larger than %zu bytes", max);
	return buf_add(&b->buf, p, n, e);
}

#endif
