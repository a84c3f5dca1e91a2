// SPDX-License-Identifier: Apache-2.0
/*
 * Errors: formats the message into the caller's struct. Long messages are cut at a whole UTF-8
 * character, since they end up in chats and JSON. It must never allocate or log.
 */
#include "base/err.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/str.h"

/* Writes the text at m[at..] and returns the new length, cut at a whole character. */
__attribute__((format(printf, 4, 0))) static size_t put(char *m, size_t cap, size_t at,
							const char *fmt, va_list ap)
{
	int n = vsnprintf(m + at, cap - at, fmt, ap);

	if (n < 0) {
		m[at] = '\0';
		return at;
	}
	if ((size_t)n < cap - at)
		return at + (size_t)n;
	at = str_utf8_floor(m, cap - 1);
	m[at] = '\0';
	return at;
}

__attribute__((format(printf, 4, 5))) static size_t putf(char *m, size_t cap, size_t at,
							 const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	at = put(m, cap, at, fmt, ap);
	va_end(ap);
	return at;
}

/* The message may be an argument of its own replacement, so the text is built apart first. */
static int finish(struct err *e, enum err_code code, const char *m, size_t n)
{
	e->code = code;
	memcpy(e->msg, m, n + 1);
	return -1;
}

int err_set(struct err *e, enum err_code code, const char *fmt, ...)
{
	char m[sizeof(e->msg)];
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	n = put(m, sizeof(m), 0, fmt, ap);
	va_end(ap);
	return finish(e, code, m, n);
}

int err_sys(struct err *e, int errnum, const char *fmt, ...)
{
	char m[sizeof(e->msg)], text[128];
	enum err_code code = errnum == ENOENT ? E_GONE : E_IO;
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	n = put(m, sizeof(m), 0, fmt, ap);
	va_end(ap);
	n = putf(m, sizeof(m), n, ": %s", strerror_r(errnum, text, sizeof(text)));
	return finish(e, code, m, n);
}

int err_wrap(struct err *e, const char *fmt, ...)
{
	char m[sizeof(e->msg)];
	va_list ap;
	size_t n;

	n = putf(m, sizeof(m), 0, "while ");
	va_start(ap, fmt);
	n = put(m, sizeof(m), n, fmt, ap);
	va_end(ap);
	n = putf(m, sizeof(m), n, ": %s", e->msg);
	return finish(e, e->code, m, n);
}

const char *err_word(enum err_code code)
{
	static const char *const words[] = {
		[E_NONE] = "none",   [E_IO] = "io",	[E_PROTO] = "proto", [E_AUTH] = "auth",
		[E_LIMIT] = "limit", [E_TEMP] = "temp", [E_PERM] = "perm",   [E_INVAL] = "inval",
		[E_GONE] = "gone",   [E_BUG] = "bug",
	};

	if ((size_t)code >= ARRAY_LEN(words))
		return "unknown";
	return words[code];
}
