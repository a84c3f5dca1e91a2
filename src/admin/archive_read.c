// SPDX-License-Identifier: Apache-2.0
/*
 * Reading a backup; see archive.h. The archive is taken for hostile: its names stay inside, only the folders that a backup has may stand at the top, no file is
 * written through a link or over another, and nothing counts before the manifest has agreed with every byte.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "admin/archive.h"
#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"
#include "runtime/digest.h"

#define CHUNK	     65536
#define MANIFEST_MAX ((int64_t)256 << 20)
#define ABOUT_MAX    4096

struct unpack {
	struct tar_reader tar;
	pid_t unpacker;
	int into;
	uid_t owner, agent;
	struct buf manifest; /* what we have seen */
	struct archive_info *info;
	bool finished; /* the manifest was there, and agreed */
};

static int start_unpacker(struct unpack *u, const char *file, struct err *e)
{
	_cleanup_close_ int in = open(file, O_RDONLY | O_CLOEXEC);
	int fds[2];

	if (in < 0)
		return err_sys(e, errno, "cannot open %s", file);
	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(e, errno, "cannot make a pipe");
	u->unpacker = fork();
	if (u->unpacker == 0) {
		int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

		signal(SIGPIPE, SIG_DFL); /* we may want no more of it */
		/* Its complaints too: what is wrong is told in one line, by us. */
		if (dup2(in, 0) < 0 || dup2(fds[1], 1) < 0 || dup2(null, 2) < 0)
			_exit(127);
		execlp("gzip", "gzip", "-dc", (char *)NULL);
		_exit(127);
	}
	close(fds[1]);
	u->tar.fd = fds[0];
	return u->unpacker < 0 ? err_sys(e, errno, "cannot start gzip") : 0;
}

static int end_unpacker(struct unpack *u, int rc, const char *file, struct err *e)
{
	int st = 0;

	if (u->tar.fd >= 0)
		close(u->tar.fd);
	while (u->unpacker > 0 && waitpid(u->unpacker, &st, 0) < 0 && errno == EINTR)
		;
	/* It has complained; else it was we who wanted no more. */
	if ((rc == 0 && st != 0) || (WIFEXITED(st) && WEXITSTATUS(st) != 0)) {
		*e = (struct err)ERR_INIT;
		return err_set(e, E_INVAL,
			       "%s cannot be unpacked: it was cut short, or is no archive of chela "
			       "backup",
			       file);
	}
	return rc;
}

/* --- what is in it ------------------------------------------------------------------------ */

/* The database is a file, and all else a folder with what is in it: a link there would put the server's own folders anywhere. */
static bool top_ok(const struct tar_entry *t)
{
	size_t n = strcspn(t->name, "/");

	for (size_t i = 0; archive_tops[i]; i++) {
		if (strlen(archive_tops[i]) == n && strncmp(t->name, archive_tops[i], n) == 0)
			return i == 0 ? t->type == TAR_FILE && !t->name[n]
				      : t->name[n] || t->type == TAR_FOLDER;
	}
	return false;
}

/* A small entry as text; the caller frees. */
static char *take_text(struct unpack *u, const struct tar_entry *t, int64_t max, struct err *e)
{
	char *text;

	if (t->type != TAR_FILE || t->size > max) {
		err_set(e, E_INVAL, "the archive's %s is not what it should be", t->name);
		return NULL;
	}
	text = xcalloc(1, (size_t)t->size + 1);
	if (tar_read(&u->tar, text, (size_t)t->size, e) == t->size)
		return text;
	free(text);
	return NULL;
}

static void note(struct unpack *u, struct digest *d, const struct tar_entry *t)
{
	char hex[65];

	digest_hex(d, hex);
	buf_putf(&u->manifest, "%s  %s\n", hex, t->name);
	u->info->files++;
	u->info->bytes += t->size;
}

static int check_manifest(struct unpack *u, const struct tar_entry *t, struct err *e)
{
	_cleanup_free_ char *text = take_text(u, t, MANIFEST_MAX, e);

	if (!text)
		return -1;
	if ((size_t)t->size != u->manifest.len || memcmp(text, u->manifest.p, u->manifest.len) != 0)
		return err_set(e, E_INVAL,
			       "the archive is damaged: a file is not what its manifest says");
	u->finished = true;
	return 0;
}

static int take_about(struct unpack *u, const struct tar_entry *t, struct err *e)
{
	struct digest *d;

	if (u->info->about)
		return err_set(e, E_INVAL, "the archive says twice what it is");
	u->info->about = take_text(u, t, ABOUT_MAX, e);
	if (!u->info->about)
		return -1;
	d = digest_new();
	digest_add(d, u->info->about, (size_t)t->size);
	note(u, d, t);
	digest_free(d);
	return 0;
}

/* --- writing it down ---------------------------------------------------------------------- */

/* The folder that an entry lies in; *leaf is its name there. */
static int parent_of(struct unpack *u, const char *name, const char **leaf, struct err *e)
{
	const char *slash = strrchr(name, '/');
	_cleanup_free_ char *up = slash ? xasprintf("%.*s", (int)(slash - name), name) : NULL;
	int fd = up ? fd_open_beneath(u->into, up, O_RDONLY | O_DIRECTORY, 0)
		    : fcntl(u->into, F_DUPFD_CLOEXEC, 0);

	*leaf = slash ? slash + 1 : name;
	if (fd < 0)
		return err_sys(e, errno, "cannot open the folder of %.200s", name);
	return fd;
}

/* What agents work on belongs to them, the rest to the home's owner. */
static int give(struct unpack *u, int dir, const char *leaf, const struct tar_entry *t,
		struct err *e)
{
	bool agents = (str_starts(t->name, "groups/") || str_starts(t->name, "sessions/"));
	uid_t uid = agents ? u->agent : u->owner;

	if (geteuid() != 0)
		return 0;
	if (fchownat(dir, leaf, uid, (gid_t)uid, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, errno, "cannot give %.200s to user %u", t->name, (unsigned)uid);
	return 0;
}

static int copy_bytes(struct unpack *u, int fd, const struct tar_entry *t, struct err *e)
{
	_cleanup_free_ char *chunk = xcalloc(1, CHUNK);
	struct digest *d = digest_new();
	int rc = 0;

	while (rc == 0) {
		ssize_t n = tar_read(&u->tar, chunk, CHUNK, e);

		if (n <= 0) {
			rc = n < 0 ? -1 : 0;
			break;
		}
		digest_add(d, chunk, (size_t)n);
		if (fd >= 0 && fd_write_all(fd, chunk, (size_t)n) < 0)
			rc = err_sys(e, errno, "cannot write %.200s", t->name);
	}
	if (rc == 0)
		note(u, d, t);
	digest_free(d);
	return rc;
}

static int unpack_file(struct unpack *u, int dir, const char *leaf, const struct tar_entry *t,
		       struct err *e)
{
	const struct timespec when[2] = {{.tv_sec = t->mtime_s}, {.tv_sec = t->mtime_s}};
	_cleanup_close_ int fd =
		openat(dir, leaf, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_sys(e, errno, "cannot make %.200s", t->name);
	if (copy_bytes(u, fd, t, e) < 0)
		return -1;
	if (fchmod(fd, t->mode) < 0 || futimens(fd, when) < 0)
		return err_sys(e, errno, "cannot set the mode of %.200s", t->name);
	return 0;
}

static int unpack_entry(struct unpack *u, const struct tar_entry *t, struct err *e)
{
	_cleanup_close_ int dir = -1;
	const char *leaf;
	int rc = 0;

	if (u->into < 0)
		return t->type == TAR_FILE ? copy_bytes(u, -1, t, e) : 0;
	dir = parent_of(u, t->name, &leaf, e);
	if (dir < 0)
		return -1;
	if (t->type == TAR_FILE)
		rc = unpack_file(u, dir, leaf, t, e);
	else if (t->type == TAR_LINK)
		rc = symlinkat(t->target, dir, leaf);
	else
		rc = mkdirat(dir, leaf, (t->mode & 0777) | 0700);
	if (rc < 0)
		return e->msg[0] ? -1 : err_sys(e, errno, "cannot make %.200s", t->name);
	return give(u, dir, leaf, t, e);
}

static int take_entry(struct unpack *u, const struct tar_entry *t, struct err *e)
{
	if (u->finished)
		return err_set(e, E_INVAL, "the archive goes on behind its manifest");
	if (streq(t->name, "MANIFEST"))
		return check_manifest(u, t, e);
	if (streq(t->name, "BACKUP"))
		return take_about(u, t, e);
	if (!u->info->about)
		return err_set(e, E_INVAL, "this is no backup of chela");
	if (!top_ok(t))
		return err_set(e, E_INVAL, "the archive has something that no backup has: %.100s",
			       t->name);
	return unpack_entry(u, t, e);
}

int archive_read(const char *file, int into, uid_t owner, uid_t agent, struct archive_info *info,
		 struct err *e)
{
	struct unpack u = {
		.tar = {.fd = -1}, .into = into, .owner = owner, .agent = agent, .info = info};
	struct tar_entry *t = xcalloc(1, sizeof(*t));
	int rc = start_unpacker(&u, file, e), more = rc;

	*info = (struct archive_info){0};
	while (rc == 0 && (more = tar_next(&u.tar, t, e)) > 0)
		rc = take_entry(&u, t, e);
	if (more < 0)
		rc = -1;
	if (rc == 0 && !u.finished)
		rc = err_set(e, E_INVAL, "%s has no manifest: it is not whole", file);
	rc = end_unpacker(&u, rc, file, e);
	if (rc < 0) {
		free(info->about);
		info->about = NULL;
	}
	buf_free(&u.manifest);
	free(t);
	return rc;
}
