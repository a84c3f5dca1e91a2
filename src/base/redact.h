// SPDX-License-Identifier: Apache-2.0
/*
 * Secrets, and keeping them out of text. `struct secret` holds a value that has no printf path;
 * registering it makes the redactor replace every occurrence in any text that leaves (logs,
 * errors, notices) by "[redacted:<name>]". Well-known token shapes (sk-ant-..., xoxb-, xapp-, bot tokens,
 * Bearer values) are replaced even when nobody registered them.
 */
#ifndef CHELA_BASE_REDACT_H
#define CHELA_BASE_REDACT_H
#include <stddef.h>
#include "base/buf.h"
#include "base/err.h"

#define SECRET_MAX 8192

struct secret {
	char name[48]; /* for messages: "anthropic_key" */
	char *value;   /* NUL-ended; zeroed on free */
	size_t len;
};
/* Reads a secret from a file: mode must not allow group or others (0600/0400), one trailing newline is cut,
 * control characters are refused. Error names file and fix (chmod 600 FILE). Registers it for redaction. */
int secret_load(struct secret *s, const char *name, const char *file, struct err *e) must_check;
/* As above from memory (an environment variable); the value is copied. */
int secret_set(struct secret *s, const char *name, const char *value, struct err *e) must_check;
void secret_free(struct secret *s);

/* Appends text to `out` with all secrets replaced. */
void redact(struct buf *out, const char *p, size_t n);

#endif
