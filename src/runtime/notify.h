// SPDX-License-Identifier: Apache-2.0
/*
 * The service manager's side channel (sd_notify(3)'s protocol): readiness, one line of status, the watchdog. Without NOTIFY_SOCKET in the
 * environment everything here does nothing. The socket is opened before powers are dropped, for the front cannot see /run after that.
 */
#ifndef CHELA_RUNTIME_NOTIFY_H
#define CHELA_RUNTIME_NOTIFY_H
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/err.h"
#include "base/mem.h"

struct notify {
	int fd;		     /* -1: nobody listens */
	int64_t watchdog_ms; /* how often a sign of life is due (half of what the manager allows); 0 = never */
};

/* Reads NOTIFY_SOCKET (a path, or "@name" in the abstract namespace), WATCHDOG_USEC and WATCHDOG_PID (whom the watchdog is meant for: main_pid, or nobody
 * named). A socket that cannot be reached is an error: the manager would wait for nothing. */
int notify_open(struct notify *n, pid_t main_pid, struct err *e) must_check;
void notify_close(struct notify *n);
/* Lines such as "READY=1\nSTATUS=all is well", made as by printf; what does not fit one message is cut. Never blocks; a manager that does not read is not waited for. */
void notify_send(const struct notify *n, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* "RELOADING=1" with the time that the protocol asks for. READY=1 ends it. */
void notify_reloading(const struct notify *n);

#endif
