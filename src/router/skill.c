// SPDX-License-Identifier: Apache-2.0
/*
 * A skill's folder. It is the operator's, so it is read with care for mistakes rather than for attacks: but its text steers agents, so nothing in it may be
 * other than it seems (a link, a pipe, a file that the agent itself could write), and its hash covers every byte and every path.
 */
#include "router/skill.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"
#include "runtime/digest.h"

#define DEPTH_MAX    8
#define PATH_LEN_MAX 255

struct entry {
	char *path; /* below the skill's folder */
	struct stat st;
};

struct skill_tree {
	char name[65];
	int fd;
	uid_t agent;
	struct entry files[SKILL_FILES_MAX];
	size_t n, bytes, seen;
	char print[SKILL_PRINT_CAP];
};

void skill_tree_free(struct skill_tree *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n; i++)
		free(t->files[i].path);
	if (t->fd >= 0)
		close(t->fd);
	free(t);
}

/* Who may change it, and whether the agent can read it at all. */
static int check_owner(const struct skill_tree *t, const char *path, const struct stat *st,
		       struct err *e)
{
	mode_t want = S_ISDIR(st->st_mode) ? S_IROTH | S_IXOTH : S_IROTH;

	if (t->agent == geteuid())
		return 0;
	if (st->st_uid == t->agent)
		return err_set(e, E_PERM,
			       "skills/%s: %s belongs to the agent's user; fix: chown -R root "
			       "skills/%s",
			       t->name, path, t->name);
	if ((st->st_mode & want) != want)
		return err_set(e, E_PERM,
			       "skills/%s: the agent's user cannot read %s; fix: chmod -R a+rX "
			       "skills/%s",
			       t->name, path, t->name);
	return 0;
}

static int walk(struct skill_tree *t, int dir, const char *prefix, int depth, struct err *e);

static int visit(struct skill_tree *t, int dir, const char *prefix, const char *name, int depth,
		 struct err *e)
{
	_cleanup_free_ char *path = xasprintf("%s%s", prefix, name);
	char shown[128];
	struct stat st;

	str_one_line(shown, sizeof(shown), path);
	if (++t->seen > SKILL_FILES_MAX)
		return err_set(e, E_INVAL, "skills/%s has more than %d files", t->name,
			       SKILL_FILES_MAX);
	if (strlen(path) > PATH_LEN_MAX || strchr(path, '\n') || !str_is_utf8(path, strlen(path)))
		return err_set(e, E_INVAL, "skills/%s: %s is no name for a file of a skill",
			       t->name, shown);
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, errno, "skills/%s: cannot look at %s", t->name, shown);
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return err_set(e, E_INVAL,
			       "skills/%s: %s is %s; only plain files and folders can be mounted",
			       t->name, shown, S_ISLNK(st.st_mode) ? "a link" : "no plain file");
	if (check_owner(t, shown, &st, e) < 0)
		return -1;
	if (S_ISDIR(st.st_mode)) {
		_cleanup_free_ char *below = xasprintf("%s/", path);
		int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		if (depth >= DEPTH_MAX) {
			if (fd >= 0)
				close(fd);
			return err_set(e, E_INVAL, "skills/%s is more than %d folders deep",
				       t->name, DEPTH_MAX);
		}
		return walk(t, fd, below, depth + 1, e);
	}
	t->bytes += (size_t)st.st_size;
	if ((size_t)st.st_size > SKILL_BYTES_MAX || t->bytes > SKILL_BYTES_MAX)
		return err_set(e, E_INVAL, "skills/%s is larger than %d KiB", t->name,
			       SKILL_BYTES_MAX >> 10);
	t->files[t->n++] = (struct entry){steal_ptr(&path), st};
	return 0;
}

/* dir is taken. */
static int walk(struct skill_tree *t, int dir, const char *prefix, int depth, struct err *e)
{
	DIR *d = dir < 0 ? NULL : fdopendir(dir);
	struct dirent *de;
	int rc = 0;

	if (!d) {
		err_sys(e, errno, "cannot read skills/%s/%s", t->name, prefix);
		if (dir >= 0)
			close(dir);
		return -1;
	}
	while (rc == 0 && (de = readdir(d)))
		if (!streq(de->d_name, ".") && !streq(de->d_name, ".."))
			rc = visit(t, dirfd(d), prefix, de->d_name, depth, e);
	closedir(d);
	return rc;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->path, ((const struct entry *)b)->path);
}

static void take_print(struct skill_tree *t)
{
	struct digest *d = digest_new();

	for (size_t i = 0; i < t->n; i++) {
		const struct stat *st = &t->files[i].st;
		const int64_t facts[] = {st->st_size,	      (int64_t)st->st_ino,
					 (int64_t)st->st_dev, st->st_mtim.tv_sec,
					 st->st_mtim.tv_nsec, st->st_ctim.tv_sec,
					 st->st_ctim.tv_nsec};

		digest_add(d, t->files[i].path, strlen(t->files[i].path) + 1);
		digest_add(d, facts, sizeof(facts));
	}
	digest_hex(d, t->print);
	digest_free(d);
}

static int open_skill(const char *home, struct skill_tree *t, struct err *e)
{
	_cleanup_close_ int top = open(home, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_free_ char *rel = xasprintf("skills/%s", t->name);
	struct stat st;

	t->fd = top < 0 ? -1 : fd_open_beneath(top, rel, O_RDONLY | O_DIRECTORY, 0);
	if (t->fd < 0 && errno == ENOENT)
		return err_set(e, E_GONE,
			       "there is no skill \"%s\" (no folder skills/%s); chela skills lists "
			       "them",
			       t->name, t->name);
	if (t->fd < 0 && (errno == ELOOP || errno == ENOTDIR))
		return err_set(e, E_PERM, "skills/%s must be a real folder, not a link", t->name);
	if (t->fd < 0 || fstat(t->fd, &st) < 0)
		return err_sys(e, errno, "cannot open skills/%s", t->name);
	return check_owner(t, "the folder", &st, e);
}

struct skill_tree *skill_look(const char *home, const char *name, uid_t agent, struct err *e)
{
	_cleanup_(cleanup_skill_tree_p) struct skill_tree *t = xcalloc(1, sizeof(*t));

	t->fd = -1;
	t->agent = agent;
	if (!skill_name_ok(name)) {
		err_set(e, E_INVAL, "a skill's name is made of a-z, 0-9 and -, at most 64");
		return NULL;
	}
	str_copy(t->name, sizeof(t->name), name);
	if (open_skill(home, t, e) < 0 ||
	    walk(t, openat(t->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), "", 0, e) < 0)
		return NULL;
	qsort(t->files, t->n, sizeof(t->files[0]), by_path);
	take_print(t);
	return steal_ptr(&t);
}

const char *skill_print(const struct skill_tree *t)
{
	return t->print;
}

/* One file, exactly as long as it was when it was looked at. */
static int read_file(const struct skill_tree *t, const struct entry *f, struct buf *out,
		     struct err *e)
{
	_cleanup_close_ int fd = fd_open_beneath(t->fd, f->path, O_RDONLY | O_NONBLOCK, 0);
	size_t size = (size_t)f->st.st_size;
	struct stat st;
	ssize_t n;
	char *p;

	buf_reset(out);
	p = buf_reserve(out, size + 1, e);
	if (!p)
		return -1;
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    (n = fd_read_all(fd, p, size + 1)) < 0)
		return err_sys(e, errno, "skills/%s: cannot read %s", t->name, f->path);
	if ((size_t)n != size)
		return err_set(e, E_TEMP, "skills/%s: %s is being changed", t->name, f->path);
	buf_commit(out, size);
	return 0;
}

/* The folders on the way to a file, where they are not there yet. */
static int make_folders(int to, const char *path)
{
	for (const char *slash = path; (slash = strchr(slash, '/')); slash++) {
		_cleanup_free_ char *folder = xstrndup(path, (size_t)(slash - path));
		_cleanup_close_ int fd = -1;

		if (fd_make_beneath(to, folder, 0755) < 0 && errno != EEXIST)
			return -1;
		fd = fd_open_beneath(to, folder, O_RDONLY | O_DIRECTORY, 0);
		if (fd < 0 || fchmod(fd, 0755) < 0)
			return -1;
	}
	return 0;
}

static int write_file(const struct skill_tree *t, int to, const struct entry *f,
		      const struct buf *text, struct err *e)
{
	_cleanup_close_ int fd = -1;
	mode_t mode = f->st.st_mode & S_IXUSR ? 0755 : 0644;

	if (make_folders(to, f->path) == 0)
		fd = fd_open_beneath(to, f->path, O_WRONLY | O_CREAT | O_EXCL, mode);
	if (fd < 0 || write(fd, text->p, text->len) != (ssize_t)text->len || fchmod(fd, mode) < 0)
		return err_sys(e, errno, "cannot copy %s of skills/%s", f->path, t->name);
	return 0;
}

static void hash_file(struct digest *d, const char *path, const char *text, size_t n)
{
	char size[32];

	snprintf(size, sizeof(size), "\n%zu\n", n);
	digest_add(d, path, strlen(path));
	digest_add(d, size, strlen(size));
	digest_add(d, text, n);
}

void skill_hash_text(const char *text, size_t n, char out[65])
{
	struct digest *d = digest_new();

	hash_file(d, SKILL_FILE, text, n);
	digest_hex(d, out);
	digest_free(d);
}

/* All of it, in order: into the hash, and where to is a folder, there as well. */
static int pass(const struct skill_tree *t, int to, struct skill *s, struct err *e)
{
	_cleanup_(buf_free) struct buf text = {0};
	struct digest *d = digest_new();
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < t->n; i++) {
		const struct entry *f = &t->files[i];

		rc = read_file(t, f, &text, e);
		if (rc < 0)
			break;
		hash_file(d, f->path, text.p, text.len);
		if (to >= 0)
			rc = write_file(t, to, f, &text, e);
		else if (streq(f->path, SKILL_FILE))
			rc = skill_parse(text.p, text.len, t->name, s, e);
	}
	digest_hex(d, s->hash);
	digest_free(d);
	return rc;
}

int skill_read(const struct skill_tree *t, struct skill *out, struct err *e)
{
	struct skill s = {0};

	if (pass(t, -1, &s, e) < 0)
		return -1;
	if (!s.name[0])
		return err_set(e, E_INVAL, "skills/%s has no " SKILL_FILE, t->name);
	s.files = t->n;
	s.bytes = t->bytes;
	*out = s;
	return 0;
}

int skill_copy(const struct skill_tree *t, int dir, const char *hash, struct err *e)
{
	_cleanup_close_ int to = -1;
	struct skill s = {0};

	if (fd_make_beneath(dir, t->name, 0755) < 0)
		return err_sys(e, errno, "cannot make a copy of skills/%s", t->name);
	to = fd_open_beneath(dir, t->name, O_RDONLY | O_DIRECTORY, 0);
	if (to < 0 || fchmod(to, 0755) < 0)
		return err_sys(e, errno, "cannot make a copy of skills/%s", t->name);
	if (pass(t, to, &s, e) < 0)
		return -1;
	if (!streq(s.hash, hash))
		return err_set(e, E_TEMP, "skills/%s is being changed", t->name);
	return 0;
}
