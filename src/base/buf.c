// SPDX-License-Identifier: Apache-2.0
/*
 * The growable byte buffer. Growth doubles, but never past the cap, so that one hostile peer
 * cannot make us hold twice its limit. A failed add leaves the buffer as it was.
 */
#include "base/buf.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define KEEP_ON_RESET ((size_t)64 << 10)

static size_t cap_of(const struct buf *b)
{
	return b->max ? b->max : BUF_MAX;
}

/* Makes room for n bytes and the NUL; false past the cap. */
static bool grow(struct buf *b, size_t n)
{
	size_t max = cap_of(b), want, cap;

	if (n > max || b->len > max - n)
		return false;
	want = b->len + n + 1;
	if (want <= b->cap)
		return true;
	cap = b->cap * 2;
	if (cap < 64)
		cap = 64;
	if (cap > max + 1)
		cap = max + 1;
	if (cap < want)
		cap = want;
	b->p = xrealloc(b->p, cap);
	b->cap = cap;
	return true;
}

static int too_big(const struct buf *b, struct err *e)
{
	return err_set(e, E_LIMIT, "more than %zu bytes", cap_of(b));
}

/* 0, or -1 past the cap. */
__attribute__((format(printf, 2, 0))) static int vaddf(struct buf *b, const char *fmt, va_list ap)
{
	size_t room = b->cap - b->len;
	va_list again;
	int n;

	va_copy(again, ap);
	n = vsnprintf(b->p ? b->p + b->len : NULL, b->p ? room : 0, fmt, ap);
	if (n < 0)
		die("buf: bad format");
	if (!b->p || (size_t)n >= room) {
		if (!grow(b, (size_t)n)) {
			if (b->p)
				b->p[b->len] = '\0';
			va_end(again);
			return -1;
		}
		vsnprintf(b->p + b->len, (size_t)n + 1, fmt, again);
	} else if ((size_t)n > cap_of(b) - b->len) {
		/* fits in memory from before the cap was lowered, yet is past it */
		b->p[b->len] = '\0';
		va_end(again);
		return -1;
	}
	va_end(again);
	b->len += (size_t)n;
	return 0;
}

void buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){.max = max};
}

void buf_free(struct buf *b)
{
	free(b->p);
	buf_init(b, b->max);
}

void buf_reset(struct buf *b)
{
	if (b->cap > KEEP_ON_RESET) {
		buf_free(b);
		return;
	}
	b->len = 0;
	if (b->p)
		b->p[0] = '\0';
}

int buf_add(struct buf *b, const void *p, size_t n, struct err *e)
{
	if (!grow(b, n))
		return too_big(b, e);
	if (n)
		memcpy(b->p + b->len, p, n);
	b->len += n;
	b->p[b->len] = '\0';
	return 0;
}

int buf_adds(struct buf *b, const char *s, struct err *e)
{
	return buf_add(b, s, strlen(s), e);
}

int buf_addf(struct buf *b, struct err *e, const char *fmt, ...)
{
	va_list ap;
	int rc;

	va_start(ap, fmt);
	rc = vaddf(b, fmt, ap);
	va_end(ap);
	return rc ? too_big(b, e) : 0;
}

char *buf_reserve(struct buf *b, size_t n, struct err *e)
{
	if (!grow(b, n)) {
		too_big(b, e);
		return NULL;
	}
	b->p[b->len] = '\0';
	return b->p + b->len;
}

void buf_commit(struct buf *b, size_t n)
{
	if (n >= b->cap - b->len)
		die("buf: more committed than reserved");
	b->len += n;
	b->p[b->len] = '\0';
}

void buf_drop(struct buf *b, size_t n)
{
	if (n > b->len)
		die("buf: more dropped than held");
	if (!n)
		return;
	b->len -= n;
	memmove(b->p, b->p + n, b->len);
	b->p[b->len] = '\0';
}

char *buf_steal(struct buf *b)
{
	char *p = b->p ? b->p : xstrdup("");

	buf_init(b, b->max);
	return p;
}

void buf_put(struct buf *b, const void *p, size_t n)
{
	struct err e = ERR_INIT;

	if (buf_add(b, p, n, &e))
		die("buf: text of ours is past its cap");
}

void buf_puts(struct buf *b, const char *s)
{
	buf_put(b, s, strlen(s));
}

void buf_putf(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (vaddf(b, fmt, ap))
		die("buf: text of ours is past its cap");
	va_end(ap);
}
