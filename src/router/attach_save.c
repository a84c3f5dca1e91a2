// SPDX-License-Identifier: Apache-2.0
/*
 * Where files that came in are put: groups/<group>/inbox/ below home. The agent owns the group's folder and may change it at any moment, so
 * every step is taken from a descriptor, beneath it and without following a link; the file itself is new, and what it is
 * given away by is its descriptor. It must never write to anything that was there before.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include "base/str.h"
#include "router/inbox.h"
#include "router/workspace.h"

static int open_inbox(const char *home, const char *group, bool make, struct err *e)
{
	_cleanup_close_ int own = workspace_open(home, group, make, e);

	return own < 0 ? -1 : workspace_folder(own, "inbox", make, e);
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
	fd = workspace_create(dir, leaf);
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
	return workspace_give(f->fd, e);
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
