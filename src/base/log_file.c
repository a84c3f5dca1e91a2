// SPDX-License-Identifier: Apache-2.0
/* See log_file.h. Which file is the log belongs to the process, like descriptor 2 itself and the logger (base/log.h). */
#include "base/log_file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/str.h"

#define FLAGS (O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK)

static struct {
	char path[1024]; /* "" = none */
	int64_t max;
	int keep;
} file;

static bool open_anew(int *why)
{
	_cleanup_close_ int fd = open(file.path, FLAGS, 0600);

	*why = errno;
	if (fd < 0)
		return false;
	if (dup3(fd, 2, 0) >= 0)
		return true;
	*why = errno;
	return false;
}

int log_file_open(const char *path, int64_t max_bytes, int keep, struct err *e)
{
	int why = 0;

	if (!str_copy(file.path, sizeof(file.path), path)) {
		file.path[0] = '\0';
		return err_set(e, E_INVAL, "the path of the log file is too long");
	}
	file.max = max_bytes;
	file.keep = keep;
	if (open_anew(&why))
		return 0;
	err_sys(e, why, "cannot write the log file %s", path);
	file.path[0] = '\0';
	return -1;
}

/* chela.log.4 becomes chela.log.5, ..., chela.log becomes chela.log.1. */
static void put_aside(void)
{
	char from[sizeof(file.path) + 16], to[sizeof(file.path) + 16];

	for (int i = file.keep; i > 0; i--) {
		snprintf(to, sizeof(to), "%s.%d", file.path, i);
		if (i > 1)
			snprintf(from, sizeof(from), "%s.%d", file.path, i - 1);
		else
			str_copy(from, sizeof(from), file.path);
		(void)!rename(from, to);
	}
	if (!file.keep)
		unlink(file.path);
}

static bool is_ours(const struct stat *st)
{
	struct stat open_one;

	return fstat(2, &open_one) == 0 && open_one.st_ino == st->st_ino &&
	       open_one.st_dev == st->st_dev;
}

void log_file_room(size_t n)
{
	_cleanup_close_ int lock = -1;
	struct stat st;
	int saved = errno, why, how;

	if (!file.path[0])
		return;
	if (stat(file.path, &st) < 0 || !is_ours(&st)) {
		open_anew(&why);
	} else if (st.st_size && st.st_size + (int64_t)n > file.max) {
		/* Of a description of its own: ours is shared with the other processes. */
		lock = open(file.path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
		/* Whoever puts it aside may be slow on a busy machine: past twice the size the others wait. */
		how = LOCK_EX | (st.st_size < 2 * file.max ? LOCK_NB : 0);
		if (lock >= 0 && flock(lock, how) == 0 && fstat(lock, &st) == 0 && is_ours(&st)) {
			if (stat(file.path, &st) == 0 && is_ours(&st))
				put_aside();
			open_anew(&why);
		}
	}
	errno = saved;
}
