// SPDX-License-Identifier: Apache-2.0
/*
 * Copies of the database file, for backups: made beside a server that runs, checked before they are believed. Nothing here writes to the server's own
 * database. Blocking: for commands, never on the loop.
 */
#ifndef CHELA_STORE_COPY_H
#define CHELA_STORE_COPY_H
#include "base/err.h"
#include "base/mem.h"

/* The schema that this program makes. */
int store_schema(void);
/* A whole and compact copy of the database `from`, as it is at one moment, in the new file `to` (0600). */
int store_copy(const char *from, const char *to, struct err *e) must_check;
/* Reads all of it: E_INVAL when it is damaged, or of a newer schema than ours (the message says which). *schema may be NULL. */
int store_check(const char *file, int *schema, struct err *e) must_check;
/* The copy will live in another home: files that wait to be sent lie in the folder spool from now on. */
int store_rehome(const char *file, const char *spool, struct err *e) must_check;

#endif
