// SPDX-License-Identifier: Apache-2.0
/*
 * The one growable byte buffer. Always NUL-ended (so `p` can be read as a C string when the
 * content has no NUL), with a hard cap: growing past `max` fails with E_LIMIT instead of eating
 * the host. A zeroed struct buf with max 0 means "no cap beyond BUF_MAX".
 */
#ifndef CHELA_BASE_BUF_H
#define CHELA_BASE_BUF_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/mem.h"

#define BUF_MAX ((size_t)64 << 20)

struct buf {
	char *p;    /* NULL until first use */
	size_t len; /* bytes held, NUL not counted */
	size_t cap;
	size_t max; /* 0 = BUF_MAX */
};

void buf_init(struct buf *b, size_t max);
void buf_free(struct buf *b);  /* safe on a zeroed buf; leaves it zeroed (max kept) */
void buf_reset(struct buf *b); /* len = 0; keeps memory up to 64 KiB, gives the rest back */
int buf_add(struct buf *b, const void *p, size_t n, struct err *e) must_check;
int buf_adds(struct buf *b, const char *s, struct err *e) must_check;
int buf_addf(struct buf *b, struct err *e, const char *fmt, ...) must_check
	__attribute__((format(printf, 3, 4)));
/* Makes room for n more bytes and returns where to write; then buf_commit. NULL past the cap. */
char *buf_reserve(struct buf *b, size_t n, struct err *e) must_check;
/* Counts n bytes written at the place buf_reserve gave (n <= what was asked for). */
void buf_commit(struct buf *b, size_t n);
void buf_drop(struct buf *b, size_t n); /* removes n bytes from the front */
/* Gives the bytes away (caller frees); the buffer is empty after. Never NULL. */
char *buf_steal(struct buf *b);
/* The variants without an error are for text of ours that is bounded by construction: die past max. */
void buf_put(struct buf *b, const void *p, size_t n);
void buf_puts(struct buf *b, const char *s);
void buf_putf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
