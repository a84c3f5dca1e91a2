// SPDX-License-Identifier: Apache-2.0
/*
 * The attach by hand. The answer's head is read byte by byte (about 150 of them, once a sandbox):
 * whatever follows it belongs to the door and must stay in the socket.
 */
#include "warden/attach.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include "runtime/sock_path.h"

#define HEAD_MAX  4096
#define ANSWER_MS 30000

struct attach {
	int fd;
	struct watch *watch;
	struct timer *timer;
	attach_fn *fn;
	void *ctx;
	size_t len;
	char head[HEAD_MAX];
};

int attach_connect(const char *path, int *errnum)
{
	_cleanup_close_ int dir = -1;
	struct sockaddr_un sa;
	struct err e = ERR_INIT;
	int fd;

	errno = ENAMETOOLONG; /* unless something else is wrong */
	fd = sock_path(path, &sa, &dir, &e) < 0 ? -1 : sock_path_connect(&sa);

	*errnum = fd < 0 ? errno : 0;
	return fd;
}

void attach_cancel(struct attach *a)
{
	if (!a)
		return;
	watch_free(a->watch);
	timer_free(a->timer);
	if (a->fd >= 0)
		close(a->fd);
	free(a);
}

static void finish(struct attach *a, const struct err *why)
{
	attach_fn *fn = a->fn;
	void *ctx = a->ctx;
	int fd = why ? -1 : steal_fd(&a->fd);

	attach_cancel(a);
	fn(ctx, fd, why);
}

static void on_late(void *ctx)
{
	struct err why = ERR_INIT;

	err_set(&why, E_TEMP, "the Docker engine did not answer the attach in time");
	finish(ctx, &why);
}

/* 1 = the head is complete, 0 = more must come, -1 = broken. */
static int read_head(struct attach *a, struct err *e)
{
	for (;;) {
		ssize_t n = recv(a->fd, a->head + a->len, 1, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n < 0)
			return err_set(e, E_TEMP, "the attach broke: %s", strerror(errno));
		if (n == 0)
			return err_set(e, E_TEMP, "the Docker engine closed the attach");
		a->len++;
		if (a->len >= 4 && !memcmp(a->head + a->len - 4, "\r\n\r\n", 4))
			return 1;
		if (a->len == sizeof(a->head) - 1)
			return err_set(e, E_PROTO, "the answer to the attach has no end");
	}
}

static void on_ready(void *ctx, int events)
{
	struct attach *a = ctx;
	struct err why = ERR_INIT;
	int r = read_head(a, &why);

	(void)events;
	if (r == 0)
		return;
	a->head[a->len] = '\0';
	if (r > 0 && strncmp(a->head, "HTTP/1.1 101 ", 13) &&
	    strncmp(a->head, "HTTP/1.1 200 ", 13)) {
		a->head[strcspn(a->head, "\r\n")] = '\0';
		r = err_set(&why, E_TEMP, "the Docker engine refused the attach: %.100s", a->head);
	}
	finish(a, r < 0 ? &why : NULL);
}

struct attach *attach_start(struct loop *l, const char *socket_path, const char *container,
			    attach_fn *fn, void *ctx, struct err *e)
{
	char ask[512];
	int errnum, n, fd = attach_connect(socket_path, &errnum);
	struct attach *a;

	if (fd < 0) {
		err_set(e, E_TEMP, "cannot connect to %s: %s", socket_path, strerror(errnum));
		return NULL;
	}
	n = snprintf(
		ask, sizeof(ask),
		"POST /containers/%s/attach?stream=1&stdin=1&stdout=1&stderr=1&logs=0 HTTP/1.1\r\n"
		"Host: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n",
		container);
	if (n < 0 || (size_t)n >= sizeof(ask) || send(fd, ask, (size_t)n, MSG_NOSIGNAL) != n) {
		err_set(e, E_TEMP, "cannot send the attach to %s", socket_path);
		close(fd);
		return NULL;
	}
	a = xcalloc(1, sizeof(*a));
	a->fd = fd;
	a->fn = fn;
	a->ctx = ctx;
	a->watch = watch_new(l, "warden attach", fd, on_ready, a);
	watch_set(a->watch, WATCH_READ);
	a->timer = timer_new(l, "warden attach", on_late, a);
	timer_start(a->timer, ANSWER_MS, 0);
	return a;
}
