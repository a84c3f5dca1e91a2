// SPDX-License-Identifier: Apache-2.0
/*
 * Stream sockets (unix and loopback TCP) as duplexes, and listeners. Reads go into one shared
 * buffer, at most 64 KiB at a time; output is tried at once and queued when the kernel is full,
 * hard cap 4 MiB a connection. Reading pauses when more than 256 KiB are not yet credited.
 */
#ifndef CHELA_RUNTIME_CONN_H
#define CHELA_RUNTIME_CONN_H
#include <sys/types.h>
#include "runtime/duplex.h"
#include "runtime/loop.h"

/* Takes a connected non-blocking stream descriptor. Set ev and ctx right after; data comes from the loop only. */
struct duplex *conn_new(struct loop *l, const char *what, int fd);
/* Connects to a unix socket path (at most 107 bytes; longer paths go through /proc/self/fd of the folder). */
struct duplex *conn_unix(struct loop *l, const char *what, const char *path,
			 struct err *e) must_check;

struct listener;
typedef void listener_fn(void *ctx, int fd,
			 uid_t peer_uid); /* fd is the callee's; uid -1 for TCP */
/* A unix socket, mode 0600, made by bind to a temporary name and rename, so that a stale file is replaced
 * and a living server is refused (E_LIMIT: "another server answers on PATH"). */
struct listener *listener_unix(struct loop *l, const char *what, const char *path, listener_fn *fn,
			       void *ctx, struct err *e) must_check;
/* 127.0.0.1; port 0 = any; *port is set. For tests and bench. */
struct listener *listener_tcp(struct loop *l, const char *what, int *port, listener_fn *fn,
			      void *ctx, struct err *e) must_check;
void listener_free(struct listener *s); /* unlinks the socket file */

#endif
