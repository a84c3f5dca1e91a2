// SPDX-License-Identifier: Apache-2.0
/*
 * `chela backup FILE`: see backup.h. In its own process, while the server goes on: the database is copied as it is at one moment, and checked; then the files. What waits in the
 * spool is held by links before and after that moment, so that no row of the copy misses its file. The archive is read back before it gets its name.
 */
#include "admin/backup.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "admin/archive.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"
#include "base/tree.h"
#include "store/copy.h"

struct backup {
	struct config cfg;
	const char *file;
	bool secrets;
	char *tmp; /* beside the file; "" again once it has its name */
	int out;
	int home, run;	/* folders */
	char stage[64]; /* in run/ */
	int schema;
};

/* A second name for each file of the spool. One that cannot be linked (another file system) is read in place later. */
static void hold_spool(struct backup *b)
{
	_cleanup_free_ char *to = xasprintf("run/%s/spool", b->stage);
	_cleanup_close_ int kept = -1;
	int fd = openat(b->home, "spool", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de;

	mkdirat(b->home, to, 0700);
	kept = openat(b->home, to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	while (d && kept >= 0 && (de = readdir(d))) {
		if (de->d_name[0] != '.')
			(void)!linkat(fd, de->d_name, kept, de->d_name, 0);
	}
	if (d)
		closedir(d);
}

static int copy_database(struct backup *b, struct err *e)
{
	_cleanup_free_ char *from = xasprintf("%s/chela.db", b->cfg.home);
	_cleanup_free_ char *to = xasprintf("%s/run/%s/chela.db", b->cfg.home, b->stage);

	if (access(from, F_OK) < 0)
		return err_set(e, E_GONE, "there is no database in %s yet: nothing to back up",
			       b->cfg.home);
	hold_spool(b);
	if (store_copy(from, to, e) < 0)
		return -1;
	hold_spool(b);
	return store_check(to, &b->schema, e);
}

static char *about(const struct backup *b)
{
	_cleanup_json_ cJSON *j = cJSON_CreateObject();
	char when[25];

	clock_format(clock_wall(&clock_system), when);
	json_add(j, "format=%lld made=%s version=%s schema=%lld home=%s secrets=%hhd", 1LL, when,
		 CHELA_VERSION, (long long)b->schema, b->cfg.home, b->secrets);
	return json_print(j);
}

static int write_archive(struct backup *b, struct archive *a, struct err *e)
{
	_cleanup_free_ char *text = about(b);
	_cleanup_free_ char *stage = xasprintf("run/%s", b->stage);
	_cleanup_close_ int dir = openat(b->home, stage, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc;

	if (dir < 0)
		return err_sys(e, errno, "cannot open the folder %s", stage);
	if (archive_begin(a, b->out, e) < 0)
		return -1;
	rc = archive_put_text(a, "BACKUP", text, e);
	if (rc == 0)
		rc = archive_put_tree(a, dir, "chela.db", "chela.db", e);
	for (size_t i = 1; rc == 0 && archive_tops[i]; i++) {
		const char *top = archive_tops[i];

		if (streq(top, "secrets") && !b->secrets)
			continue;
		rc = archive_put_tree(a, streq(top, "spool") ? dir : b->home, top, top, e);
	}
	if (rc == 0)
		return archive_end(a, e);
	archive_drop(a);
	return -1;
}

static int make_stage(struct backup *b, struct err *e)
{
	char uuid[37];
	_cleanup_free_ char *path = NULL;

	b->home = open(b->cfg.home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (b->home < 0)
		return err_sys(e, errno, "cannot open %s", b->cfg.home);
	if (mkdirat(b->home, "run", 0700) < 0 && errno != EEXIST)
		return err_sys(e, errno, "cannot make %s/run", b->cfg.home);
	b->run = openat(b->home, "run", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	str_uuid4(uuid);
	snprintf(b->stage, sizeof(b->stage), "backup-%s", uuid);
	if (b->run < 0 || mkdirat(b->run, b->stage, 0700) < 0)
		return err_sys(e, errno, "cannot make a folder in %s/run", b->cfg.home);
	path = xasprintf("%s.%.8s.partial", b->file, uuid);
	b->out = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (b->out < 0)
		return err_sys(e, errno, "cannot make %s", path);
	b->tmp = steal_ptr(&path);
	return 0;
}

/* Reads it back, then gives it its name. */
static int publish(struct backup *b, const struct archive *a, struct err *e)
{
	struct archive_info info;
	_cleanup_free_ char *folder = xstrdup(b->file);
	_cleanup_close_ int dir = -1;
	char *slash = strrchr(folder, '/');

	if (fsync(b->out) < 0)
		return err_sys(e, errno, "cannot write %s", b->tmp);
	if (archive_read(b->tmp, -1, 0, 0, &info, e) < 0)
		return err_wrap(e, "reading the archive back");
	free(info.about);
	if (info.files != a->files || info.bytes != a->bytes)
		return err_set(e, E_IO, "the archive was read back with %lld of %lld files",
			       (long long)info.files, (long long)a->files);
	if (rename(b->tmp, b->file) < 0)
		return err_sys(e, errno, "cannot name the archive %s", b->file);
	free(b->tmp);
	b->tmp = NULL;
	if (slash)
		*(slash == folder ? slash + 1 : slash) = '\0';
	dir = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || fsync(dir) < 0)
		return err_sys(e, errno, "cannot make the name of %s durable", b->file);
	return 0;
}

/* For chela doctor. */
static void leave_note(const struct backup *b)
{
	_cleanup_close_ int fd = openat(
		b->run, "backup", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd >= 0)
		dprintf(fd, "%s\n", b->file);
}

static int tidy(struct backup *b, int rc, struct err *e)
{
	struct err why = ERR_INIT;
	size_t budget = SIZE_MAX;

	if (b->tmp)
		unlink(b->tmp);
	free(b->tmp);
	if (b->run >= 0 && b->stage[0] && tree_remove(b->run, b->stage, &budget, &why) < 0 &&
	    rc == 0)
		rc = err_set(e, E_IO, "the backup is made, but %s", why.msg);
	cleanup_close_p(&b->out);
	cleanup_close_p(&b->run);
	cleanup_close_p(&b->home);
	return rc;
}

static bool below(const char *home, const char *file)
{
	size_t n = strlen(home);

	return strncmp(file, home, n) == 0 && file[n] == '/';
}

int cmd_backup(const struct cli *c)
{
	struct cli words = *c;
	struct backup b = {.out = -1, .home = -1, .run = -1};
	struct archive a = {.tar = {.fd = -1}};
	struct err e = ERR_INIT;
	struct stat st;
	int rc;

	b.secrets = cli_flag(&words, "--with-secrets");
	if (words.argc != 1 || words.argv[0][0] == '-') {
		fprintf(stderr, "usage: chela backup FILE.tar.gz [--with-secrets]\n");
		return 2;
	}
	b.file = words.argv[0];
	if (cli_config(c, false, &b.cfg, &e) < 0)
		return cli_fail(&e);
	rc = make_stage(&b, &e) < 0 || copy_database(&b, &e) < 0 || write_archive(&b, &a, &e) < 0 ||
			     publish(&b, &a, &e) < 0
		     ? -1
		     : 0;
	if (rc == 0)
		leave_note(&b);
	if (tidy(&b, rc, &e) < 0)
		return cli_fail(&e);
	if (stat(b.file, &st) < 0)
		st.st_size = 0;
	printf("%s: %lld files, %lld bytes (packed %lld), schema %d, read back and right%s\n",
	       b.file, (long long)a.files, (long long)a.bytes, (long long)st.st_size, b.schema,
	       b.secrets ? "; it holds the SECRETS: keep it as you keep them"
			 : "; without secrets/ (--with-secrets takes them along)");
	if (b.cfg.file[0] && !below(b.cfg.home, b.cfg.file))
		printf("not in it: %s, which lies outside of the home\n", b.cfg.file);
	if (a.left_out)
		printf("left out: %lld things that are no files (or have a name that no archive may "
		       "hold)\n",
		       (long long)a.left_out);
	return 0;
}
