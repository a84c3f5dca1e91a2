// SPDX-License-Identifier: Apache-2.0
/* See notify.h. One datagram a message, as the protocol has it; libsystemd is not needed for that. */
#include "runtime/notify.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include "base/fd.h"
#include "base/str.h"

#define MESSAGE_CAP 2048

static int reach(const char *where, struct err *e)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	size_t n = strlen(where);
	_cleanup_close_ int fd = -1;
	socklen_t len;

	if ((where[0] != '/' && where[0] != '@') || n < 2 || n >= sizeof(a.sun_path))
		return err_set(e, E_INVAL, "NOTIFY_SOCKET is neither a path nor @NAME: %.120s",
			       where);
	memcpy(a.sun_path, where, n);
	len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + 1);
	if (where[0] == '@') {
		a.sun_path[0] = '\0';
		len--; /* an abstract name has no end but its length */
	}
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, len) < 0)
		return err_sys(e, errno, "cannot reach the service manager at %.120s", where);
	return steal_fd(&fd);
}

int notify_open(struct notify *n, pid_t main_pid, struct err *e)
{
	const char *where = getenv("NOTIFY_SOCKET");
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	int64_t us = 0, whom = main_pid;
	struct err why = ERR_INIT;

	*n = (struct notify){.fd = -1};
	if (!where || !where[0])
		return 0;
	n->fd = reach(where, e);
	if (n->fd < 0)
		return -1;
	if (pid && pid[0] && str_to_i64(pid, 1, INT32_MAX, &whom, &why) < 0)
		return err_set(e, E_INVAL, "WATCHDOG_PID is no number: %.40s", pid);
	if (usec && usec[0] && str_to_i64(usec, 1, INT64_MAX / 2, &us, &why) < 0)
		return err_set(e, E_INVAL, "WATCHDOG_USEC is no number: %.40s", usec);
	if (us && whom == main_pid)
		n->watchdog_ms = us / 2000 > 0 ? us / 2000 : 1;
	return 0;
}

void notify_close(struct notify *n)
{
	if (n->fd >= 0)
		close(n->fd);
	n->fd = -1;
}

void notify_send(const struct notify *n, const char *fmt, ...)
{
	char text[MESSAGE_CAP];
	va_list ap;
	int len;

	if (n->fd < 0)
		return;
	va_start(ap, fmt);
	len = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (len >= (int)sizeof(text))
		len = (int)str_utf8_floor(text, sizeof(text) - 1);
	if (len > 0)
		(void)!send(n->fd, text, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void notify_reloading(const struct notify *n)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	notify_send(n, "RELOADING=1\nMONOTONIC_USEC=%lld",
		    (long long)t.tv_sec * 1000000 + t.tv_nsec / 1000);
}
