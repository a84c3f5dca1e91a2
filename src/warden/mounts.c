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
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "base/tree.h"
#include "warden/sandbox.h"

#define AGENT_UID  10001
#define SWEEP_STEP 4096 /* entries removed before other work has its turn */

uid_t mounts_agent_uid(void)
{
	return geteuid() ? geteuid() : AGENT_UID;
}

static int open_folder(int dir, const char *path)
{
	return fd_open_beneath(dir, path, O_RDONLY | O_DIRECTORY | O_NONBLOCK, 0);
}

/* Gives a folder that the server made (or the operator, in a checkout) to the agent, with the plain
 * files right in it. Only done while no sandbox ever had the folder: the old owner says so. */
static int adopt(int fd, const struct stat *old, uid_t uid, const char *path, struct err *e)
{
	_cleanup_close_ int copy = open_folder(fd, ".");
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

static int open_home(const char *home)
{
	return open(home, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

enum owner {
	AGENTS, /* made when absent, and given to the agent's user */
	FRESH,	/* must not be there yet; not the agent's, who must not replace what is in it */
	GIVEN,	/* must be there; not the agent's, who must not change what others are given */
};

/* One folder below home, made where that is due, and proved. */
static int folder(const char *home, const char *rel, uid_t uid, enum owner own, struct err *e)
{
	_cleanup_close_ int top = open_home(home);
	_cleanup_close_ int fd = -1;
	struct stat st, home_st;

	if (top < 0 || fstat(top, &home_st) < 0)
		return err_sys(e, errno, "cannot open the home folder %s", home);
	if (own != FRESH)
		fd = open_folder(top, rel);
	if (own == FRESH || (fd < 0 && errno == ENOENT && own == AGENTS))
		fd = fd_make_beneath(top, rel, 0700) < 0 ? -1 : open_folder(top, rel);
	if (fd < 0 && errno == EEXIST)
		return err_set(e, E_TEMP, "%s/%s is there already", home, rel);
	if (fd < 0 && (errno == ELOOP || errno == EXDEV || errno == ENOTDIR))
		return err_set(e, E_PERM, "%s/%s must be a real folder, not a link; replace it",
			       home, rel);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, errno, "cannot open %s/%s", home, rel);
	if (own != AGENTS && st.st_uid == uid && uid != geteuid())
		return err_set(e, E_PERM,
			       "%s/%s must not belong to the agent's user %u; fix: chown -R root",
			       home, rel, (unsigned)uid);
	if (own != AGENTS || st.st_uid == uid)
		return 0;
	if (st.st_uid != 0 && st.st_uid != home_st.st_uid)
		return err_set(
			e, E_PERM,
			"%s/%s belongs to user %u, the agent is user %u; fix: chown -R %u it", home,
			rel, (unsigned)st.st_uid, (unsigned)uid, (unsigned)uid);
	return adopt(fd, &st, uid, rel, e);
}

struct plan {
	const char *home;
	uid_t uid;
	struct mounts *m;
	struct err *e;
};

/* Puts the folder <top>/<name><below> of home at target. */
static int add(const struct plan *p, enum owner own, bool writable, const char *target,
	       const char *top, const char *name, const char *below)
{
	struct mount *to = &p->m->list[p->m->n++];
	char rel[160];

	snprintf(rel, sizeof(rel), "%s/%s%s", top, name, below);
	to->target = target;
	to->writable = writable;
	if ((size_t)snprintf(to->source, sizeof(to->source), "%s/%s", p->home, rel) >=
	    sizeof(to->source))
		return err_set(p->e, E_INVAL, "the path of the home folder is too long");
	return folder(p->home, rel, p->uid, own, p->e);
}

int mounts_prepare(const char *home, const struct sandbox_request *r, uid_t agent_uid,
		   struct mounts *m, struct err *e)
{
	const struct plan p = {home, agent_uid, m, e};
	bool group = r->kind == SANDBOX_GROUP;
	char name[66];

	m->n = 0;
	if (group) {
		if (add(&p, AGENTS, true, "/workspace", "groups", r->group, "") < 0 ||
		    add(&p, AGENTS, true, "/session", "sessions", r->group, "") < 0)
			return -1;
	} else {
		snprintf(name, sizeof(name), "tasks/%s", r->session_id);
		if (folder(home, name, agent_uid, FRESH, e) < 0 ||
		    add(&p, AGENTS, true, "/workspace", "tasks", r->session_id, "/workspace") < 0 ||
		    add(&p, AGENTS, true, "/session", "tasks", r->session_id, "/session") < 0 ||
		    add(&p, AGENTS, false, "/group", "groups", r->group, "") < 0)
			return -1;
	}
	/* Shared by all: only the agent of main, while it talks with people, may write there. */
	if (add(&p, AGENTS, group && streq(r->group, "main"), "/global", "groups", "global", "") <
	    0)
		return -1;
	if (r->skills[0] && r->kind != SANDBOX_TOOL)
		return add(&p, GIVEN, false, "/skills/.claude/skills", "skillsets", r->skills, "");
	return 0;
}

int mounts_sweep(const char *home, bool (*in_use)(void *ctx, const char *id), void *ctx,
		 struct err *e)
{
	_cleanup_close_ int top = open_home(home);
	int fd = top < 0 ? -1 : open_folder(top, "tasks"), rc = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	size_t budget = SWEEP_STEP;
	struct dirent *de;

	if (!d)
		return fd < 0 && errno == ENOENT ? 0 : err_sys(e, errno, "cannot read tasks/");
	while (rc == 0 && (de = readdir(d)))
		if (str_is_uuid(de->d_name) && !in_use(ctx, de->d_name))
			rc = tree_remove(fd, de->d_name, &budget, e);
	closedir(d);
	return rc;
}
