// SPDX-License-Identifier: Apache-2.0
/*
 * Owns listening sockets and, for unix sockets, the file that names one. A file that an earlier
 * server left is replaced; one behind which a server answers is never touched. The socket appears
 * under its name only when it is complete: mode 0600 and listening.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/log.h"
#include "runtime/conn.h"
#include "runtime/sock_path.h"

#define BACKLOG	      128
#define ACCEPT_BATCH  16
#define FULL_PAUSE_MS 200

struct listener {
	struct loop *loop;
	const char *what;
	int fd;
	struct watch *watch;
	struct timer *pause; /* runs while the process is out of descriptors */
	listener_fn *fn;
	void *ctx;
	char *path; /* NULL for TCP */
	dev_t dev;
	ino_t ino;
	bool dead;
};

static uid_t peer_uid(int fd)
{
	struct ucred cred;
	socklen_t n = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) < 0)
		return (uid_t)-1;
	return cred.uid;
}

static void on_pause_over(void *ctx)
{
	struct listener *s = ctx;

	watch_set(s->watch, WATCH_READ);
}

static void on_callers(void *ctx, int events maybe_unused)
{
	struct listener *s = ctx;

	for (int i = 0; i < ACCEPT_BATCH && !s->dead; i++) {
		int fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			s->fn(s->ctx, fd, s->path ? peer_uid(fd) : (uid_t)-1);
			continue;
		}
		if (errno == EAGAIN || errno == EWOULDBLOCK)
			return;
		if (errno == EINTR || errno == ECONNABORTED)
			continue;
		/* Out of descriptors or memory: the caller stays in the queue, so that accepting
		 * again at once would only spin. */
		log_warn("listener", "cannot accept", "what=%s errno=%d", s->what, errno);
		watch_set(s->watch, 0);
		timer_start(s->pause, FULL_PAUSE_MS, 0);
		return;
	}
}

static struct listener *listener_make(struct loop *l, const char *what, int fd, listener_fn *fn,
				      void *ctx)
{
	struct listener *s = xcalloc(1, sizeof(*s));

	s->loop = l;
	s->what = what;
	s->fd = fd;
	s->fn = fn;
	s->ctx = ctx;
	s->watch = watch_new(l, what, fd, on_callers, s);
	s->pause = timer_new(l, what, on_pause_over, s);
	watch_set(s->watch, WATCH_READ);
	return s;
}

/* Locks the folder of `path`, so that of two servers that start at once only one gets the name. */
static int lock_folder(const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *dir =
		slash ? xstrndup(path, slash == path ? 1 : (size_t)(slash - path)) : xstrdup(".");
	_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, errno, "cannot open the folder %s", dir);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return err_set(e, E_LIMIT, "another server starts in %s at this moment", dir);
	return steal_fd(&fd);
}

/* 0 when nobody listens at the path (no file, or a stale one). */
static int refuse_living(const char *path, struct err *e)
{
	struct sockaddr_un sa;
	_cleanup_close_ int dir = -1;
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : err_sys(e, errno, "cannot look at %s", path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(e, E_INVAL, "%s exists and is not a socket; move it away", path);
	if (sock_path(path, &sa, &dir, e) < 0)
		return -1;
	fd = sock_path_connect(&sa);
	if (fd >= 0 || errno == EAGAIN)
		return err_set(e, E_LIMIT, "another server answers on %s", path);
	if (errno == ECONNREFUSED || errno == ENOENT)
		return 0;
	return err_sys(e, errno, "cannot tell whether a server answers on %s", path);
}

static int bind_and_name(int fd, const char *path, struct stat *st, struct err *e)
{
	_cleanup_free_ char *tmp = xasprintf("%s.%ld", path, (long)getpid());
	struct sockaddr_un sa;
	_cleanup_close_ int dir = -1;

	if (sock_path(tmp, &sa, &dir, e) < 0)
		return -1;
	unlink(tmp); /* of a dead process with our number */
	if (bind(fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0)
		return err_sys(e, errno, "cannot make the socket %s", tmp);
	if (chmod(tmp, 0600) < 0 || listen(fd, BACKLOG) < 0 || lstat(tmp, st) < 0 ||
	    rename(tmp, path) < 0) {
		err_sys(e, errno, "cannot listen on %s", path);
		unlink(tmp);
		return -1;
	}
	return 0;
}

struct listener *listener_unix(struct loop *l, const char *what, const char *path, listener_fn *fn,
			       void *ctx, struct err *e)
{
	_cleanup_close_ int fd = -1;
	_cleanup_close_ int lock = lock_folder(path, e);
	struct listener *s;
	struct stat st;

	if (lock < 0 || refuse_living(path, e) < 0)
		return NULL;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		err_sys(e, errno, "cannot make a socket");
		return NULL;
	}
	if (bind_and_name(fd, path, &st, e) < 0)
		return NULL;
	s = listener_make(l, what, steal_fd(&fd), fn, ctx);
	s->path = xstrdup(path);
	s->dev = st.st_dev;
	s->ino = st.st_ino;
	return s;
}

struct listener *listener_tcp(struct loop *l, const char *what, int *port, listener_fn *fn,
			      void *ctx, struct err *e)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_in sa = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)*port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t n = sizeof(sa);
	int on = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(fd, BACKLOG) < 0 ||
	    getsockname(fd, (struct sockaddr *)&sa, &n) < 0) {
		err_sys(e, errno, "cannot listen on 127.0.0.1:%d", *port);
		return NULL;
	}
	*port = ntohs(sa.sin_port);
	return listener_make(l, what, steal_fd(&fd), fn, ctx);
}

void listener_free(struct listener *s)
{
	struct stat st;

	if (!s || s->dead)
		return;
	s->dead = true;
	watch_free(s->watch);
	timer_free(s->pause);
	/* Only the file that is ours: another server may have taken the name since. */
	if (s->path && lstat(s->path, &st) == 0 && st.st_dev == s->dev && st.st_ino == s->ino)
		unlink(s->path);
	close(s->fd);
	free(s->path);
	s->path = NULL;
	loop_free_later(s->loop, s);
}
