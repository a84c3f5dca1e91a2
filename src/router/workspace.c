// SPDX-License-Identifier: Apache-2.0
/* See workspace.h. It must never write to anything that was there before. */
#include "router/workspace.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include "base/fd.h"

#define AGENT_UID 10001 /* as in the warden's mounts: the agent's user when the server is root */

uid_t workspace_agent_uid(void)
{
	return geteuid() ? geteuid() : AGENT_UID;
}

static int open_folder(int dir, const char *name, mode_t mode, bool make, bool give, struct err *e)
{
	_cleanup_close_ int fd = fd_open_beneath(dir, name, O_RDONLY | O_DIRECTORY, 0);

	if (fd < 0 && errno == ENOENT && make) {
		if (mkdirat(dir, name, mode) < 0 && errno != EEXIST)
			return err_sys(e, errno, "cannot make the folder %s", name);
		fd = fd_open_beneath(dir, name, O_RDONLY | O_DIRECTORY, 0);
		if (fd >= 0 && give && geteuid() == 0 &&
		    fchown(fd, workspace_agent_uid(), (gid_t)workspace_agent_uid()) < 0)
			return err_sys(e, errno, "cannot give %s to the agent", name);
	}
	if (fd < 0 && (errno == ELOOP || errno == ENOTDIR || errno == EXDEV))
		return err_set(e, E_PERM, "%s in the group's folder is not a folder", name);
	if (fd < 0)
		return err_sys(e, errno, "cannot open the folder %s", name);
	return steal_fd(&fd);
}

int workspace_open(const char *home, const char *group, bool make, struct err *e)
{
	_cleanup_close_ int top = open(home, O_PATH | O_DIRECTORY | O_CLOEXEC);
	char path[80];

	if (top < 0)
		return err_sys(e, errno, "cannot open the home folder");
	snprintf(path, sizeof(path), "groups/%.64s", group);
	if (make && mkdirat(top, "groups", 0700) < 0 && errno != EEXIST)
		return err_sys(e, errno, "cannot make the folder groups");
	/* The warden gives this folder to the agent when it makes the first sandbox. */
	return open_folder(top, path, 0700, make, false, e);
}

int workspace_folder(int dir, const char *name, bool make, struct err *e)
{
	return open_folder(dir, name, 0755, make, true, e);
}

int workspace_create(int dir, const char *name)
{
	return fd_open_beneath(dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
}

int workspace_give(int fd, struct err *e)
{
	if (geteuid() == 0 && fchown(fd, workspace_agent_uid(), (gid_t)workspace_agent_uid()) < 0)
		return err_sys(e, errno, "cannot give a file to the agent");
	if (fchmod(fd, 0644) < 0)
		return err_sys(e, errno, "cannot open a file to the agent");
	return 0;
}
