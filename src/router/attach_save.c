// SPDX-License-Identifier: Apache-2.0
/*
 * Where files that came in are put: groups/<group>/inbox/ below home. The agent owns the group's folder and may change it at any moment, so
 * every step is taken from a descriptor, beneath it and without following a link; the file itself is new, and what it is
 * given away by is its descriptor. It must never write to anything that was there before.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include "base/fd.h"
#include "base/str.h"
#include "router/inbox.h"

#define AGENT_UID 10001 /* as in the warden's mounts: the agent's user when the server is root */

static uid_t agent_uid(void)
{
	return geteuid() ? geteuid() : AGENT_UID;
}

/* A folder of the agent's below dir, made when absent. */
static int open_folder(int dir, const char *name, mode_t mode, bool give, struct err *e)
{
	_cleanup_close_ int fd = fd_open_beneath(dir, name, O_RDONLY | O_DIRECTORY, 0);

	if (fd < 0 && errno == ENOENT) {
		if (mkdirat(dir, name, mode) < 0 && errno != EEXIST)
			return err_sys(e, errno, "cannot make the folder %s", name);
		fd = fd_open_beneath(dir, name, O_RDONLY | O_DIRECTORY, 0);
		if (fd >= 0 && give && geteuid() == 0 &&
		    fchown(fd, agent_uid(), (gid_t)agent_uid()) < 0)
			return err_sys(e, errno, "cannot give %s to the agent", name);
	}
	if (fd < 0 && (errno == ELOOP || errno == ENOTDIR || errno == EXDEV))
		return err_set(e, E_PERM, "%s in the group's folder is not a folder", name);
	if (fd < 0)
		return err_sys(e, errno, "cannot open the folder %s", name);
	return steal_fd(&fd);
}

static int open_inbox(const char *home, const char *group, bool make, struct err *e)
{
	_cleanup_close_ int top = open(home, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int own = -1;
	char path[80];

	if (top < 0)
		return err_sys(e, errno, "cannot open the home folder");
	snprintf(path, sizeof(path), "groups/%.64s", group);
	if (make && mkdirat(top, "groups", 0700) < 0 && errno != EEXIST)
		return err_sys(e, errno, "cannot make the folder groups");
	/* The warden gives this folder to the agent when it makes the first sandbox. */
	own = make ? open_folder(top, path, 0700, false, e)
		   : fd_open_beneath(top, path, O_RDONLY | O_DIRECTORY, 0);
	if (own < 0)
		return make ? -1 : err_sys(e, errno, "cannot open the group's folder");
	return make ? open_folder(own, "inbox", 0755, true, e)
		    : fd_open_beneath(own, "inbox", O_RDONLY | O_DIRECTORY, 0);
}

int attach_create(const char *home, const char *group, const char *leaf, struct saved_file *out,
		  struct err *e)
{
	_cleanup_close_ int dir = open_inbox(home, group, true, e);
	int fd;

	*out = (struct saved_file){.dir = -1, .fd = -1};
	if (dir < 0)
		return -1;
	/* Left by a try before: the name is ours, for the message's number is in it. */
	unlinkat(dir, leaf, 0);
	fd = fd_open_beneath(dir, leaf, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(e, errno, "cannot make inbox/%s", leaf);
	out->fd = fd;
	out->dir = steal_fd(&dir);
	str_copy(out->leaf, sizeof(out->leaf), leaf);
	return 0;
}

int attach_publish(struct saved_file *f, int64_t *size, const char **mime, struct err *e)
{
	uint8_t head[16];
	struct stat st;
	ssize_t n;

	if (fstat(f->fd, &st) < 0)
		return err_sys(e, errno, "cannot look at inbox/%s", f->leaf);
	n = pread(f->fd, head, sizeof(head), 0);
	if (n < 0)
		return err_sys(e, errno, "cannot read inbox/%s", f->leaf);
	*size = st.st_size;
	*mime = attach_sniff(head, (size_t)n);
	if (geteuid() == 0 && fchown(f->fd, agent_uid(), (gid_t)agent_uid()) < 0)
		return err_sys(e, errno, "cannot give inbox/%s to the agent", f->leaf);
	if (fchmod(f->fd, 0644) < 0)
		return err_sys(e, errno, "cannot open inbox/%s to the agent", f->leaf);
	return 0;
}

void attach_drop(struct saved_file *f, bool remove)
{
	if (remove && f->dir >= 0)
		unlinkat(f->dir, f->leaf, 0);
	if (f->fd >= 0)
		close(f->fd);
	if (f->dir >= 0)
		close(f->dir);
	f->fd = f->dir = -1;
}

void attach_remove(const char *home, const char *group, const char *leaf)
{
	struct err e = ERR_INIT;
	_cleanup_close_ int dir = open_inbox(home, group, false, &e);

	if (dir >= 0)
		unlinkat(dir, leaf, 0);
}
