// SPDX-License-Identifier: Apache-2.0
/*
 * Memory and cleanup. Out of memory is not recoverable here, so the x-family dies with one line;
 * every size that comes from outside is capped before it gets here. The cleanup attributes give
 * each owner one place to let go; `steal_*` hands ownership on.
 */
#ifndef CHELA_BASE_MEM_H
#define CHELA_BASE_MEM_H
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define must_check			__attribute__((warn_unused_result))
#define maybe_unused			__attribute__((unused))
#define ARRAY_LEN(a)			(sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/* Writes one line to stderr and aborts: for what cannot happen, or cannot be survived. */
void die(const char *what) __attribute__((noreturn));
void *xmalloc(size_t n);
void *xcalloc(size_t n, size_t size); /* dies on overflow of n*size */
void *xrealloc(void *p, size_t n);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);
char *xvasprintf(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0)));
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static inline void cleanup_free_p(void *pp)
{
	free(*(void **)pp);
}
static inline void cleanup_close_p(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
static inline void cleanup_fclose_p(FILE **f)
{
	if (*f)
		fclose(*f);
}
#define _cleanup_(fn)	 __attribute__((cleanup(fn)))
#define _cleanup_free_	 _cleanup_(cleanup_free_p)
#define _cleanup_close_	 _cleanup_(cleanup_close_p)
#define _cleanup_fclose_ _cleanup_(cleanup_fclose_p)

static inline void *steal_ptr_(void *pp)
{
	void *p = *(void **)pp;
	*(void **)pp = NULL;
	return p;
}
#define steal_ptr(pp) ((__typeof__(*(pp)))steal_ptr_(pp))
static inline int steal_fd(int *fd)
{
	int f = *fd;
	*fd = -1;
	return f;
}
#endif
