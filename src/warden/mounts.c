// SPDX-License-Identifier: Apache-2.0
/*
 * The folders that go into a sandbox. The engine takes paths, so each path is proved first, step by
 * step from home and without following any link: what lies above a group's own folder belongs to
 * the server and is never mounted into a sandbox, hence it cannot change between proof and use.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include "base/log.h"
#include "base/str.h"
#include "warden/sandbox.h"

#define AGENT_UID 10001

uid_t mounts_agent_uid(void)
{
	return geteuid() ? geteuid() : AGENT_UID;
}

/* Opens a folder below dir, each step with O_NOFOLLOW: as openat2(2) with RESOLVE_BENEATH and
 * RESOLVE_NO_SYMLINKS, for the names we use have no "..", and it works where that call does not. */
static int open_beneath(int dir, const char *path)
{
	_cleanup_close_ int fd = -1;
	char step[128];

	for (; *path; path += strcspn(path, "/"), path += *path == '/') {
		int next;

		snprintf(step, sizeof(step), "%.*s", (int)strcspn(path, "/"), path);
		next = openat(fd < 0 ? dir : fd, step,
			      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
		if (next < 0)
			return -1;
		if (fd >= 0)
			close(fd);
		fd = next;
	}
	return steal_fd(&fd);
}

/* Gives a folder that the server made (or the operator, in a checkout) to the agent, with the plain
 * files right in it. Only done while no sandbox ever had the folder: the old owner says so. */
static int adopt(int fd, const struct stat *old, uid_t uid, const char *path, struct err *e)
{
	_cleanup_close_ int copy = open_beneath(fd, ".");
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *de;
	struct stat st;

	if (!d)
		return err_sys(e, errno, "cannot read %s", path);
	copy = -1;
	while ((de = readdir(d)))
		if (fstatat(fd, de->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
		    st.st_nlink == 1 && st.st_uid == old->st_uid &&
		    fchownat(fd, de->d_name, uid, (gid_t)uid, AT_SYMLINK_NOFOLLOW) < 0)
			log_warn("warden", "cannot give a file to the agent",
				 "folder=%s why=\"%s\"", path, strerror(errno));
	closedir(d);
	if (fchown(fd, uid, (gid_t)uid) < 0)
		return err_sys(e, errno, "cannot give %s to user %u", path, (unsigned)uid);
	return 0;
}

/* One folder below home, made when absent. own: it must belong to uid (or still to us, and is then
 * given away); else it must not. */
static int folder(const char *home, const char *rel, uid_t uid, bool own, char *out, size_t cap,
		  struct err *e)
{
	_cleanup_close_ int top = open(home, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int fd = -1;
	struct stat st, home_st;

	if (top < 0 || fstat(top, &home_st) < 0)
		return err_sys(e, errno, "cannot open the home folder %s", home);
	if ((size_t)snprintf(out, cap, "%s/%s", home, rel) >= cap)
		return err_set(e, E_INVAL, "the path of the home folder is too long");
	fd = open_beneath(top, rel);
	if (fd < 0 && errno == ENOENT) {
		char parent[128];
		const char *slash = strrchr(rel, '/');
		_cleanup_close_ int up = -1;

		snprintf(parent, sizeof(parent), "%.*s", (int)(slash - rel), rel);
		up = open_beneath(top, parent);
		if (up < 0 || (mkdirat(up, slash + 1, 0700) < 0 && errno != EEXIST))
			return err_sys(e, errno, "cannot make %s", out);
		fd = open_beneath(top, rel);
	}
	if (fd < 0 && (errno == ELOOP || errno == EXDEV || errno == ENOTDIR))
		return err_set(e, E_PERM, "%s must be a real folder, not a link; replace it", out);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, errno, "cannot open %s", out);
	if (!own && st.st_uid == uid && uid != geteuid())
		return err_set(e, E_PERM,
			       "%s must not belong to the agent's user %u; fix: chown root %s", out,
			       (unsigned)uid, out);
	if (!own || st.st_uid == uid)
		return 0;
	if (st.st_uid != 0 && st.st_uid != home_st.st_uid)
		return err_set(e, E_PERM,
			       "%s belongs to user %u, the agent is user %u; fix: chown -R %u %s",
			       out, (unsigned)st.st_uid, (unsigned)uid, (unsigned)uid, out);
	return adopt(fd, &st, uid, out, e);
}

int mounts_prepare(const char *home, const char *group, uid_t agent_uid, struct mounts *m,
		   struct err *e)
{
	char rel[128];

	snprintf(rel, sizeof(rel), "groups/%s", group);
	if (folder(home, rel, agent_uid, true, m->workspace, sizeof(m->workspace), e) < 0)
		return -1;
	snprintf(rel, sizeof(rel), "sessions/%s", group);
	if (folder(home, rel, agent_uid, true, m->session, sizeof(m->session), e) < 0)
		return -1;
	return folder(home, "groups/global", agent_uid, false, m->global, sizeof(m->global), e);
}
