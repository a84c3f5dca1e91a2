// SPDX-License-Identifier: Apache-2.0
/* See own_mounts.h. Machines may forbid user namespaces half-way (made, but without powers in them), so a child tries it first. */
#include "runtime/own_mounts.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/mem.h"

static int write_file(const char *path, const char *text)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
}

static int with_user_namespace(void)
{
	char uids[40], gids[40];

	snprintf(uids, sizeof(uids), "%u %u 1", (unsigned)geteuid(), (unsigned)geteuid());
	snprintf(gids, sizeof(gids), "%u %u 1", (unsigned)getegid(), (unsigned)getegid());
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 ||
	    write_file("/proc/self/setgroups", "deny") < 0 ||
	    write_file("/proc/self/uid_map", uids) < 0 ||
	    write_file("/proc/self/gid_map", gids) < 0)
		return -1;
	return mount("none", "/", "none", MS_REC | MS_SLAVE, NULL);
}

int own_mounts(void)
{
	int st = 0;
	pid_t pid;

	if (unshare(CLONE_NEWNS) == 0)
		return 0;
	if (errno != EPERM || geteuid() == 0)
		return -1;
	pid = fork();
	if (pid == 0)
		_exit(with_user_namespace() == 0 ? 0 : 1);
	while (pid > 0 && waitpid(pid, &st, 0) < 0 && errno == EINTR)
		;
	if (pid > 0 && st == 0)
		return with_user_namespace();
	errno = EPERM;
	return -1;
}
