// SPDX-License-Identifier: Apache-2.0
/*
 * Writing a backup; see archive.h. Much of what goes in belongs to agents, who may change it at any moment: each step is taken from a descriptor, no link is
 * followed, and what changes its size under our hands keeps the size that it began with.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "admin/archive.h"
#include "base/buf.h"
#include "base/str.h"
#include "runtime/digest.h"

#define DEPTH_MAX 100
#define CHUNK	  65536

const char *const archive_tops[] = {"chela.db", "config", "groups",  "sessions", "skills",
				    "audit",	"spool",  "secrets", NULL};

/* gzip between a pipe of ours and the file. */
static int start_packer(struct archive *a, int out, struct err *e)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(e, errno, "cannot make a pipe");
	a->packer = fork();
	if (a->packer == 0) {
		sigset_t none;

		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		if (dup2(fds[0], 0) < 0 || dup2(out, 1) < 0)
			_exit(127);
		execlp("gzip", "gzip", "-c", (char *)NULL);
		_exit(127);
	}
	close(fds[0]);
	a->tar.fd = fds[1];
	return a->packer < 0 ? err_sys(e, errno, "cannot start gzip") : 0;
}

int archive_begin(struct archive *a, int out, struct err *e)
{
	*a = (struct archive){.tar = {.fd = -1}, .manifest = xcalloc(1, sizeof(struct buf))};
	signal(SIGPIPE, SIG_IGN); /* a packer that dies is an error of ours, not our end */
	if (start_packer(a, out, e) == 0)
		return 0;
	archive_drop(a);
	return -1;
}

static void note(struct archive *a, struct digest *d, const char *name, int64_t size)
{
	char hex[65];

	digest_hex(d, hex);
	buf_putf(a->manifest, "%s  %s\n", hex, name);
	a->files++;
	a->bytes += size;
}

int archive_put_text(struct archive *a, const char *name, const char *text, struct err *e)
{
	struct tar_entry t = {.type = TAR_FILE, .mode = 0600, .size = (int64_t)strlen(text)};
	struct digest *d = digest_new();
	int rc = -1;

	str_copy(t.name, sizeof(t.name), name);
	digest_add(d, text, strlen(text));
	if (tar_begin(&a->tar, &t, e) == 0 && tar_write(&a->tar, text, strlen(text), e) == 0 &&
	    tar_end(&a->tar, e) == 0)
		rc = 0;
	if (rc == 0)
		note(a, d, name, t.size);
	digest_free(d);
	return rc;
}

/* The bytes of an open file; what is missing at its end counts as zeroes, in the archive and in its sum. */
static int put_bytes(struct archive *a, int fd, const struct tar_entry *t, struct err *e)
{
	static const char zeroes[CHUNK];
	struct digest *d = digest_new();
	_cleanup_free_ char *chunk = xcalloc(1, CHUNK);
	int rc = tar_begin(&a->tar, t, e);

	for (int64_t left = t->size; rc == 0 && left > 0;) {
		size_t want = left < CHUNK ? (size_t)left : CHUNK;
		ssize_t n = read(fd, chunk, want);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			rc = err_sys(e, errno, "cannot read %s", t->name);
			break;
		}
		if (n == 0) {
			digest_add(d, zeroes, want);
			left -= (int64_t)want;
			continue;
		}
		digest_add(d, chunk, (size_t)n);
		rc = tar_write(&a->tar, chunk, (size_t)n, e);
		left -= n;
	}
	if (rc == 0)
		rc = tar_end(&a->tar, e);
	if (rc == 0)
		note(a, d, t->name, t->size);
	digest_free(d);
	return rc;
}

static int put_file(struct archive *a, int dir, const char *leaf, struct tar_entry *t,
		    struct err *e)
{
	_cleanup_close_ int fd = openat(dir, leaf, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0 && (errno == ENOENT || errno == ELOOP))
		return 0; /* gone, or something else by now */
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, errno, "cannot read %s", t->name);
	if (!S_ISREG(st.st_mode))
		return 0;
	t->size = st.st_size;
	return put_bytes(a, fd, t, e);
}

static int put_any(struct archive *a, int dir, const char *leaf, const char *name, int depth,
		   struct err *e);

static int put_folder(struct archive *a, int dir, const char *leaf, const struct tar_entry *t,
		      int depth, struct err *e)
{
	int fd = openat(dir, leaf, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), rc;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de;

	if (!d && (errno == ENOENT || errno == ELOOP || errno == ENOTDIR))
		return 0;
	if (!d)
		return err_sys(e, errno, "cannot read the folder %s", t->name);
	rc = tar_begin(&a->tar, t, e);
	if (rc == 0)
		rc = tar_end(&a->tar, e);
	while (rc == 0 && (de = readdir(d))) {
		_cleanup_free_ char *name = xasprintf("%s/%s", t->name, de->d_name);

		if (!streq(de->d_name, ".") && !streq(de->d_name, ".."))
			rc = put_any(a, dirfd(d), de->d_name, name, depth + 1, e);
	}
	closedir(d);
	return rc;
}

static int put_link(struct archive *a, int dir, const char *leaf, struct tar_entry *t,
		    struct err *e)
{
	ssize_t n = readlinkat(dir, leaf, t->target, sizeof(t->target) - 1);

	if (n <= 0)
		return 0;
	t->target[n] = '\0';
	return tar_begin(&a->tar, t, e) < 0 ? -1 : tar_end(&a->tar, e);
}

static int put_any(struct archive *a, int dir, const char *leaf, const char *name, int depth,
		   struct err *e)
{
	struct tar_entry *t;
	struct stat st;
	int rc = 0;

	if (fstatat(dir, leaf, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(e, errno, "cannot look at %s", name);
	/* A link in place of a folder of ours is told of: what it leads to is not in the archive. */
	if (depth > DEPTH_MAX || !tar_name_ok(name) || (depth == 0 && S_ISLNK(st.st_mode)) ||
	    (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode) && !S_ISLNK(st.st_mode))) {
		a->left_out++;
		return 0;
	}
	t = xcalloc(1, sizeof(*t)); /* large, and we go down */
	str_copy(t->name, sizeof(t->name), name);
	t->mode = st.st_mode & 0777;
	t->uid = st.st_uid;
	t->gid = st.st_gid;
	t->mtime_s = st.st_mtime;
	t->type = S_ISREG(st.st_mode) ? TAR_FILE : S_ISDIR(st.st_mode) ? TAR_FOLDER : TAR_LINK;
	if (t->type == TAR_FILE)
		rc = put_file(a, dir, leaf, t, e);
	else if (t->type == TAR_FOLDER)
		rc = put_folder(a, dir, leaf, t, depth, e);
	else
		rc = put_link(a, dir, leaf, t, e);
	free(t);
	return rc;
}

int archive_put_tree(struct archive *a, int dir, const char *leaf, const char *name, struct err *e)
{
	return put_any(a, dir, leaf, name, 0, e);
}

static int wait_packer(struct archive *a, struct err *e)
{
	pid_t pid = a->packer;
	int st = 0;

	if (a->tar.fd >= 0)
		close(a->tar.fd);
	a->tar.fd = -1;
	a->packer = 0;
	while (pid > 0 && waitpid(pid, &st, 0) < 0 && errno == EINTR)
		;
	if (st == 0)
		return 0;
	return err_set(e, E_IO, "gzip failed (%s %d)%s", WIFEXITED(st) ? "exit status" : "signal",
		       WIFEXITED(st) ? WEXITSTATUS(st) : WTERMSIG(st),
		       WIFEXITED(st) && WEXITSTATUS(st) == 127 ? ": is it installed?" : "");
}

int archive_end(struct archive *a, struct err *e)
{
	struct tar_entry t = {.name = "MANIFEST", .type = TAR_FILE, .mode = 0600};
	int rc;

	t.size = (int64_t)a->manifest->len;
	rc = tar_begin(&a->tar, &t, e);
	if (rc == 0)
		rc = tar_write(&a->tar, a->manifest->p, a->manifest->len, e);
	if (rc == 0)
		rc = tar_end(&a->tar, e);
	if (rc == 0)
		rc = tar_finish(&a->tar, e);
	if (rc < 0)
		archive_drop(a);
	else
		rc = wait_packer(a, e);
	archive_drop(a);
	return rc;
}

void archive_drop(struct archive *a)
{
	struct err ignored = ERR_INIT; /* given up anyway */

	if (a->packer > 0)
		wait_packer(a, &ignored);
	if (a->manifest)
		buf_free(a->manifest);
	free(a->manifest);
	a->manifest = NULL;
}
