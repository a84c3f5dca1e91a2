// SPDX-License-Identifier: Apache-2.0
/*
 * A duplex whose other end is the test: what the code under test writes lies in `out`, and the
 * test plays the peer by mem_give, mem_eof and mem_close. `stuck` makes it take nothing on.
 */
#ifndef CHELA_TESTS_MEM_DUPLEX_H
#define CHELA_TESTS_MEM_DUPLEX_H
#include "unit.h"
#include "base/buf.h"
#include "runtime/duplex.h"

struct mem {
	struct duplex d;
	struct buf out;
	size_t given, credited;
	size_t pending; /* grows with each write while stuck */
	bool stuck, finished, reset, closed;
};

static inline struct mem *mem_of(const struct duplex *d)
{
	return container_of(d, struct mem, d);
}

static inline int mem_write(struct duplex *d, const void *p, size_t n, struct err *e maybe_unused)
{
	struct mem *m = mem_of(d);

	assert_false(m->finished || m->reset || m->closed);
	buf_put(&m->out, p, n);
	m->pending += m->stuck ? n : 0;
	return 0;
}

static inline size_t mem_pending(const struct duplex *d)
{
	return mem_of(d)->pending;
}

static inline void mem_consumed(struct duplex *d, size_t n)
{
	struct mem *m = mem_of(d);

	assert_false(m->reset || m->closed);
	m->credited += n;
	assert_true(m->credited <= m->given);
}

static inline void mem_finish(struct duplex *d)
{
	struct mem *m = mem_of(d);

	assert_false(m->finished || m->reset || m->closed);
	m->finished = true;
}

static inline void mem_reset(struct duplex *d)
{
	struct mem *m = mem_of(d);

	assert_false(m->reset || m->closed);
	m->reset = true;
}

static inline void mem_init(struct mem *m)
{
	static const struct duplex_ops ops = {mem_write, mem_pending, mem_consumed, mem_finish,
					      mem_reset};

	memset(m, 0, sizeof(*m));
	m->d.ops = &ops;
	m->d.high_water = 65536;
}

static inline void mem_give(struct mem *m, const void *p, size_t n)
{
	/* A copy of exactly n bytes, so that a sanitizer sees a read past the end. */
	uint8_t *copy = xmalloc(n ? n : 1);

	memcpy(copy, p, n);
	m->given += n;
	if (!m->reset && !m->closed)
		m->d.ev->data(m->d.ctx, copy, n);
	free(copy);
}

static inline void mem_gives(struct mem *m, const char *s)
{
	mem_give(m, s, strlen(s));
}

static inline void mem_eof(struct mem *m)
{
	if (!m->reset && !m->closed)
		m->d.ev->eof(m->d.ctx);
}

/* Everything written is taken, and the writer is told. */
static inline void mem_drain(struct mem *m)
{
	bool was = m->pending > m->d.high_water;

	m->pending = 0;
	if (was && !m->reset && !m->closed)
		m->d.ev->drained(m->d.ctx);
}

/* The connection is over, and what was kept is freed. */
static inline void mem_close(struct mem *m)
{
	if (!m->reset && !m->closed) {
		m->closed = true;
		m->d.ev->closed(m->d.ctx, NULL);
	}
	buf_free(&m->out);
}
#endif
