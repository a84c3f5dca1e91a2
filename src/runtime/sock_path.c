// SPDX-License-Identifier: Apache-2.0
/*
 * Owns the naming of unix sockets and the one way to connect to them.
 */
#include "runtime/sock_path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "runtime/conn.h"

int sock_path(const char *path, struct sockaddr_un *sa, int *dir_fd, struct err *e)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *dir = NULL;
	int n;

	*dir_fd = -1;
	memset(sa, 0, sizeof(*sa));
	sa->sun_family = AF_UNIX;
	if (strlen(path) < sizeof(sa->sun_path)) {
		str_copy(sa->sun_path, sizeof(sa->sun_path), path);
		return 0;
	}
	dir = slash == path ? xstrdup("/")
	      : slash	    ? xstrndup(path, (size_t)(slash - path))
			    : xstrdup(".");
	*dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*dir_fd < 0)
		return err_sys(e, errno, "cannot open the folder %s", dir);
	n = snprintf(sa->sun_path, sizeof(sa->sun_path), "/proc/self/fd/%d/%s", *dir_fd,
		     slash ? slash + 1 : path);
	if (n < 0 || (size_t)n >= sizeof(sa->sun_path)) {
		close(*dir_fd);
		*dir_fd = -1;
		return err_set(e, E_INVAL, "the socket's file name in %s is too long", dir);
	}
	return 0;
}

int sock_path_connect(const struct sockaddr_un *sa)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct stat st;

	bool as_owner = geteuid() == 0 && lstat(sa->sun_path, &st) == 0 && S_ISSOCK(st.st_mode) &&
			st.st_uid != 0 && seteuid(st.st_uid) == 0;
	int rc = fd < 0 ? -1 : connect(fd, (const struct sockaddr *)sa, sizeof(*sa)), why = errno;

	if (as_owner && seteuid(0) < 0)
		die("cannot be root again");
	errno = why;
	return rc < 0 ? -1 : steal_fd(&fd);
}

struct duplex *conn_unix(struct loop *l, const char *what, const char *path, struct err *e)
{
	struct sockaddr_un sa;
	_cleanup_close_ int dir = -1;
	int fd;

	if (sock_path(path, &sa, &dir, e) < 0)
		return NULL;
	fd = sock_path_connect(&sa);
	if (fd < 0) {
		bool full = errno == EAGAIN; /* its queue of callers */
		err_sys(e, errno, "%s: cannot connect to %s", what, path);
		if (full)
			e->code = E_TEMP;
		return NULL;
	}
	return conn_new(l, what, fd);
}
