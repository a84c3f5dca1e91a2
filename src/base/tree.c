// SPDX-License-Identifier: Apache-2.0
/*
 * The removal of a tree that an enemy has made: links in it, folders a hundred thousand deep, folders that their owner may not read. It never
 * goes down: a folder within a folder is moved up to the top, under a name that cannot be guessed, and emptied there.
 * So it needs two descriptors and no stack, touches each entry at most three times, and can stop and go on at any point.
 */
#include "base/tree.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include "base/str.h"

/* Opens a folder for reading; one that its owner has closed to himself is opened to him first. */
static int open_folder(int dir, const char *name)
{
	_cleanup_close_ int fd = openat(dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	char proc[64];

	if (fd < 0)
		return -1;
	/* By the descriptor: a link may have taken the name by now. */
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	if (geteuid() != 0 && chmod(proc, 0700) < 0)
		return -1;
	return openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static bool is_full(void)
{
	return errno == ENOTEMPTY || errno == EEXIST;
}

/* A file or an empty folder goes at once. 1: a folder with something in it. */
static int remove_one(int dir, const char *name)
{
	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -1;
	if (unlinkat(dir, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	return is_full() ? 1 : -1;
}

static int move_up(int dir, const char *name, int top)
{
	_cleanup_close_ int fd = -1;
	char fresh[37];

	str_uuid4(fresh);
	if (renameat(dir, name, top, fresh) == 0 || errno == ENOENT)
		return 0;
	if (errno != EACCES)
		return -1;
	fd = open_folder(dir, name); /* its own mode forbids that its ".." is changed */
	return fd < 0 ? -1 : renameat(dir, name, top, fresh);
}

typedef int entry_fn(int dir, const char *name, int top, size_t *budget);

/* Calls fn for each entry of the folder name. 1: the budget is used up. */
static int each(int dir, const char *name, int top, entry_fn *fn, size_t *budget)
{
	int fd = open_folder(dir, name), rc = 0, saved;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de;

	if (fd < 0)
		return errno == ENOENT ? 0 : -1;
	if (!d)
		die("no memory for a folder");
	while (rc == 0 && (errno = 0, de = readdir(d))) {
		if (streq(de->d_name, ".") || streq(de->d_name, ".."))
			continue;
		if (*budget) {
			--*budget;
			rc = fn(dirfd(d), de->d_name, top, budget);
		} else {
			rc = 1;
		}
	}
	if (rc == 0 && errno)
		rc = -1;
	saved = errno;
	closedir(d);
	errno = saved;
	return rc;
}

static int below_entry(int dir, const char *name, int top, size_t *budget maybe_unused)
{
	int rc = remove_one(dir, name);

	return rc == 1 ? move_up(dir, name, top) : rc;
}

static int top_entry(int dir, const char *name, int top maybe_unused, size_t *budget)
{
	int rc = remove_one(dir, name);

	if (rc != 1)
		return rc;
	rc = each(dir, name, dir, below_entry, budget);
	if (rc != 0)
		return rc;
	/* Not empty after all: somebody writes into it. The next pass sees it again. */
	return unlinkat(dir, name, AT_REMOVEDIR) < 0 && errno != ENOENT && !is_full() ? -1 : 0;
}

int tree_remove(int dir, const char *name, size_t *budget, struct err *e)
{
	int rc = remove_one(dir, name);

	while (rc == 1 && *budget) {
		--*budget;
		rc = each(dir, name, -1, top_entry, budget);
		if (rc == 0)
			rc = remove_one(dir, name); /* 1: what was moved up, or is new */
	}
	return rc < 0 ? err_sys(e, errno, "cannot remove all of %s", name) : rc;
}
