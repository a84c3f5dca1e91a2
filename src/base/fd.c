// SPDX-License-Identifier: Apache-2.0
/* See fd.h. It must never keep or close a descriptor of its caller. */
#include "base/fd.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/mem.h"

ssize_t fd_read_all(int fd, char *p, size_t cap)
{
	size_t n = 0;

	while (n < cap) {
		ssize_t r = read(fd, p + n, cap - n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -1;
		if (r == 0)
			break;
		n += (size_t)r;
	}
	return (ssize_t)n;
}

int fd_write_all(int fd, const void *p, size_t n)
{
	const char *at = p;

	while (n) {
		ssize_t w = write(fd, at, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w == 0)
			errno = ENOSPC;
		if (w <= 0)
			return -1;
		at += w;
		n -= (size_t)w;
	}
	return 0;
}

/* One step; a folder on the way is only passed through. Says ELOOP where the kernel says that a link is no folder. */
static int step_into(int dir, const char *name, int flags, mode_t mode)
{
	int fd = openat(dir, name, flags | O_NOFOLLOW | O_CLOEXEC, mode);
	int saved = errno;
	struct stat st;

	if (fd < 0 && saved == ENOTDIR && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISLNK(st.st_mode))
		saved = ELOOP;
	errno = saved;
	return fd;
}

int fd_open_beneath(int dir, const char *path, int flags, mode_t mode)
{
	int at = -1;

	errno = *path ? EXDEV : ENOENT;
	if (*path == '/' || !*path)
		return -1;
	for (;;) {
		size_t n = strcspn(path, "/");
		const char *rest = path + n + strspn(path + n, "/");
		char name[NAME_MAX + 1];
		int next = -1, saved;

		if (n > NAME_MAX) {
			errno = ENAMETOOLONG;
		} else {
			memcpy(name, path, n);
			name[n] = '\0';
			errno = EXDEV;
			if (strcmp(name, "..") != 0)
				next = step_into(at < 0 ? dir : at, name,
						 *rest ? O_PATH | O_DIRECTORY : flags, mode);
		}
		saved = errno;
		if (at >= 0)
			close(at);
		errno = saved;
		if (next < 0 || !*rest)
			return next;
		at = next;
		path = rest;
	}
}

int fd_make_beneath(int dir, const char *path, mode_t mode)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *parent = slash ? xstrndup(path, (size_t)(slash - path)) : NULL;
	_cleanup_close_ int up =
		fd_open_beneath(dir, slash ? parent : ".", O_RDONLY | O_DIRECTORY, 0);

	return up < 0 ? -1 : mkdirat(up, slash ? slash + 1 : path, mode);
}
