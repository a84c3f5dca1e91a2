// SPDX-License-Identifier: Apache-2.0
/*
 * The one error convention. A function that can fail returns 0 or -1 and takes a `struct err *`
 * as its last argument, which lives on the caller's stack and is never NULL. It is untouched on
 * success. Errors are logged where they are handled, never where they are raised. The message is
 * for a person: it names what was wrong and, where there is one, the fix; never a secret.
 */
#ifndef CHELA_BASE_ERR_H
#define CHELA_BASE_ERR_H

enum err_code {
	E_NONE = 0,
	E_IO,	 /* the system or a peer failed us */
	E_PROTO, /* a peer broke the protocol, or bytes are malformed */
	E_AUTH,	 /* credentials are missing or refused */
	E_LIMIT, /* a limit was hit; later may work (retry reads this) */
	E_TEMP,	 /* passing trouble; again may work (retry reads this) */
	E_PERM,	 /* policy says no */
	E_INVAL, /* the caller's or the user's input is wrong */
	E_GONE,	 /* the thing does not exist, or no longer */
	E_BUG,	 /* our own fault */
};

struct err {
	enum err_code code;
	char msg[256];
};

#define ERR_INIT                                                                                   \
	{                                                                                          \
		.code = E_NONE                                                                     \
	}

/* Sets code and message; always returns -1, so that `return err_set(...)` reads well. */
int err_set(struct err *e, enum err_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* As err_set, with ": " and the text of errno value `errnum` appended; the code is E_GONE for
 * ENOENT, else E_IO. */
int err_sys(struct err *e, int errnum, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Puts "while <context>: " before the message; keeps the code; returns -1. */
int err_wrap(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A stable lower-case word for the code ("io", "proto", ...). */
const char *err_word(enum err_code code);

#endif
