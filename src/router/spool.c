// SPDX-License-Identifier: Apache-2.0
/*
 * The spool: copies of files that wait to be sent, one file a row of the outbox. It exists because the agent may change or remove its own file
 * while the row waits, perhaps for days. A file here is named by at most one row; one that no row names is removed at start. Nothing
 * but these copies may ever be removed here.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/log.h"
#include "base/str.h"
#include "router/impl.h"

#define SPOOL_MAX ((int64_t)2 << 30) /* bytes of all files together */

static void note_row(void *ctx, const struct out_row *o)
{
	struct err e = ERR_INIT;
	_cleanup_json_ cJSON *args = NULL;
	const char *path, *slash;

	if (o->args)
		args = json_parse(o->args, strlen(o->args), OUT_ARGS_MAX, &e);
	path = args ? json_peek_str(args, "file.path") : NULL;
	slash = path ? strrchr(path, '/') : NULL;
	if (slash)
		g_hash_table_add(ctx, xstrdup(slash + 1));
}

/* Removes what nobody names; counts the rest. */
static int sweep(struct router *r, GHashTable *names, struct err *e)
{
	DIR *dir = opendir(r->spool);
	struct dirent *d;
	struct stat st;

	if (!dir)
		return err_sys(e, errno, "cannot read the folder %s", r->spool);
	while ((d = readdir(dir))) {
		const char *name = d->d_name;

		if (!str_is_uuid(name))
			continue;
		if (!g_hash_table_contains(names, name)) {
			log_info("spool", "removed what no message names", "file=%s", name);
			unlinkat(dirfd(dir), name, 0);
		} else if (fstatat(dirfd(dir), name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
			r->spool_bytes += st.st_size;
		}
	}
	closedir(dir);
	return 0;
}

int spool_open(struct router *r, struct err *e)
{
	_cleanup_free_ char *home = realpath(r->o.cfg->home, NULL);
	GHashTable *names;
	int rc;

	if (!home)
		return err_sys(e, errno, "cannot use the folder %s", r->o.cfg->home);
	r->spool = xasprintf("%s/spool", home);
	if (mkdir(r->spool, 0700) < 0 && errno != EEXIST)
		return err_sys(e, errno, "cannot make the folder %s", r->spool);
	names = g_hash_table_new_full(g_str_hash, g_str_equal, free, NULL);
	rc = store_out_list(r->store, true, INT64_MAX, note_row, names, e);
	if (rc == 0)
		rc = sweep(r, names, e);
	g_hash_table_destroy(names);
	return rc;
}

void spool_close(struct router *r)
{
	free(r->spool);
	r->spool = NULL;
}

int spool_make(struct router *r, int64_t size, char **path, int *fd, struct err *e)
{
	_cleanup_free_ char *name = NULL;
	char uuid[37];
	int f, rc;

	if (r->spool_bytes + size > SPOOL_MAX)
		return err_set(e, E_LIMIT,
			       "too many files wait to be sent: %lld MB, and %lld MB are allowed",
			       (long long)(r->spool_bytes >> 20), (long long)(SPOOL_MAX >> 20));
	str_uuid4(uuid);
	name = xasprintf("%s/%s", r->spool, uuid);
	f = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (f < 0)
		return err_sys(e, errno, "cannot make a file in %s", r->spool);
	/* A full disk shows here, before anything is copied. */
	rc = posix_fallocate(f, 0, size);
	if (rc) {
		unlink(name);
		close(f);
		return err_sys(e, rc, "cannot keep %lld bytes in %s", (long long)size, r->spool);
	}
	r->spool_bytes += size;
	*path = steal_ptr(&name);
	*fd = f;
	return 0;
}

struct sync *spool_keep(struct router *r, int fd, sync_fn *fn, void *ctx, struct err *e)
{
	_cleanup_close_ int folder = open(r->spool, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (folder >= 0)
		return sync_start(r->loop, fd, folder, fn, ctx, e);
	err_sys(e, errno, "cannot open the folder %s", r->spool);
	return NULL;
}

void spool_release(struct router *r, const char *path)
{
	struct stat st;

	if (lstat(path, &st) == 0 && unlink(path) == 0)
		r->spool_bytes -= st.st_size;
	else if (errno != ENOENT)
		log_warn("spool", "a file stays", "errno=%d", errno);
}
