// SPDX-License-Identifier: Apache-2.0
/*
 * `chela restore FILE`: see backup.h. All is unpacked and checked beside the old state first; then the two are exchanged by renames, and the old one is kept. The
 * home's own identity (instance) stays: two homes must never think that they own each other's sandboxes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "admin/archive.h"
#include "admin/backup.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"
#include "base/tree.h"
#include "router/workspace.h"
#include "runtime/home.h"
#include "store/copy.h"

struct restore {
	char home[PATH_CAP];
	int dir, lock;
	char fresh[64], old[64]; /* folders below home */
	struct archive_info info;
	bool torn; /* neither could the new state be put in place nor the old one put back */
};

static int open_home(struct restore *r, const char *home, struct err *e)
{
	char here[PATH_CAP], instance[37];

	if (home[0] != '/' && !getcwd(here, sizeof(here)))
		return err_sys(e, errno, "cannot tell the current folder");
	if ((size_t)snprintf(r->home, sizeof(r->home), "%s%s%s", home[0] == '/' ? "" : here,
			     home[0] == '/' ? "" : "/", home) >= sizeof(r->home))
		return err_set(e, E_INVAL, "the path of the home folder is too long");
	if (home_prepare(r->home, instance, e) < 0)
		return -1;
	r->dir = open(r->home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r->dir < 0)
		return err_sys(e, errno, "cannot open %s", r->home);
	r->lock = openat(r->dir, "server.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (r->lock < 0)
		return err_sys(e, errno, "cannot open %s/server.lock", r->home);
	if (flock(r->lock, LOCK_EX | LOCK_NB) < 0)
		return err_set(
			e, E_PERM,
			"a server runs with the home %s: stop it first (systemctl stop chela, "
			"or Ctrl-C where it runs)",
			r->home);
	return 0;
}

static int unpack(struct restore *r, const char *file, struct err *e)
{
	_cleanup_close_ int into = -1;
	struct stat st;
	uid_t agent;
	char uuid[37];

	if (fstat(r->dir, &st) < 0)
		return err_sys(e, errno, "cannot look at %s", r->home);
	/* Whom the agent is where the server runs as this home's owner. */
	agent = st.st_uid ? st.st_uid : workspace_agent_uid();
	str_uuid4(uuid);
	snprintf(r->fresh, sizeof(r->fresh), "restore-%s", uuid);
	if (mkdirat(r->dir, r->fresh, 0700) < 0)
		return err_sys(e, errno, "cannot make a folder in %s", r->home);
	into = openat(r->dir, r->fresh, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (into < 0)
		return err_sys(e, errno, "cannot open %s/%s", r->home, r->fresh);
	return archive_read(file, into, st.st_uid, agent, &r->info, e);
}

/* The database of the archive: whole, not newer than we are, and at home here. */
static int check(struct restore *r, struct err *e)
{
	_cleanup_free_ char *db = xasprintf("%s/%s/chela.db", r->home, r->fresh);
	_cleanup_free_ char *spool = xasprintf("%s/spool", r->home);
	_cleanup_json_ cJSON *about =
		json_parse(r->info.about, strlen(r->info.about), JSON_MAX_DEFAULT, e);
	struct stat st;
	int schema;

	if (!about)
		return -1;
	if (json_peek_i64(about, "format", 0) != 1)
		return err_set(
			e, E_INVAL,
			"the archive is of a newer version of chela (%.40s): install that first",
			json_peek_str(about, "version") ? json_peek_str(about, "version") : "?");
	if (access(db, F_OK) < 0)
		return err_set(e, E_INVAL, "there is no database in the archive");
	if (store_check(db, &schema, e) < 0)
		return -1;
	if (schema >= 2 && store_rehome(db, spool, e) < 0)
		return -1;
	if (fstat(r->dir, &st) == 0 && geteuid() == 0 && chown(db, st.st_uid, st.st_gid) < 0)
		return err_sys(e, errno, "cannot give %s to its owner", db);
	if (syncfs(r->dir) < 0)
		return err_sys(e, errno, "cannot write %s", r->home);
	return 0;
}

/* From one folder to another, both below home. Nothing when it is not there. */
static int move(struct restore *r, const char *name, const char *from, const char *to,
		struct err *e)
{
	_cleanup_free_ char *a = from[0] ? xasprintf("%s/%s", from, name) : xstrdup(name);
	_cleanup_free_ char *b = to[0] ? xasprintf("%s/%s", to, name) : xstrdup(name);

	if (renameat(r->dir, a, r->dir, b) < 0 && errno != ENOENT)
		return err_sys(e, errno, "cannot move %s/%s to %s", r->home, a, b);
	return 0;
}

static bool in_archive(const struct restore *r, const char *name)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", r->fresh, name);
	struct stat st;

	return fstatat(r->dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* What is exchanged: what the archive has, and the database's own helpers. */
static int exchange(struct restore *r, struct err *e)
{
	static const char *const helpers[] = {"chela.db-wal", "chela.db-shm"};
	struct err why = ERR_INIT;
	size_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < ARRAY_LEN(helpers); i++)
		rc = move(r, helpers[i], "", r->old, e);
	for (i = 0; rc == 0 && archive_tops[i]; i++) {
		if (!in_archive(r, archive_tops[i]))
			continue;
		rc = move(r, archive_tops[i], "", r->old, e);
		if (rc == 0)
			rc = move(r, archive_tops[i], r->fresh, "", e);
	}
	if (rc == 0)
		return fsync(r->dir) < 0 ? err_sys(e, errno, "cannot write %s", r->home) : 0;
	/* Back: what stands in old was there before. */
	for (i = 0; i < ARRAY_LEN(helpers); i++)
		rc = move(r, helpers[i], r->old, "", &why);
	for (i = 0; archive_tops[i]; i++) {
		_cleanup_free_ char *kept = xasprintf("%s/%s", r->old, archive_tops[i]);
		struct stat st;

		if (fstatat(r->dir, kept, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (move(r, archive_tops[i], "", r->fresh, &why) < 0 ||
		    move(r, archive_tops[i], r->old, "", &why) < 0) {
			r->torn = true;
			return err_set(e, E_IO, "%s; what was there lies in %s/%s", why.msg,
				       r->home, r->old);
		}
	}
	return -1;
}

static int swap(struct restore *r, struct err *e)
{
	char now[25];

	clock_format(clock_wall(&clock_system), now);
	snprintf(r->old, sizeof(r->old), "before-restore-%.10s-%.2s%.2s%.2s", now, now + 11,
		 now + 14, now + 17);
	if (mkdirat(r->dir, r->old, 0700) < 0)
		return err_sys(e, errno, "cannot make %s/%s", r->home, r->old);
	return exchange(r, e);
}

static void tell(const struct restore *r, const char *file)
{
	_cleanup_json_ cJSON *j = cJSON_Parse(r->info.about);
	const char *made = j ? json_peek_str(j, "made") : NULL;
	const cJSON *secrets = j ? cJSON_GetObjectItemCaseSensitive(j, "secrets") : NULL;

	printf("%s of %.30s is in force in %s: %lld files, %lld bytes.\n", file, made ? made : "?",
	       r->home, (long long)r->info.files, (long long)r->info.bytes);
	printf("What was there before lies in %s/%s; remove it when you need it no more.\n",
	       r->home, r->old);
	if (!cJSON_IsTrue(secrets))
		printf("The archive holds no secrets: put the key and token files that "
		       "config/chela.yaml names into %s/secrets again.\n",
		       r->home);
	printf("Next: chela doctor, then start the server (systemctl start chela, or chela serve).\n");
}

int cmd_restore(const struct cli *c)
{
	struct restore r = {.dir = -1, .lock = -1};
	struct err e = ERR_INIT, why = ERR_INIT;
	size_t budget = SIZE_MAX;
	bool ok;

	if (c->argc != 1 || c->argv[0][0] == '-') {
		fprintf(stderr, "usage: chela restore FILE.tar.gz\n");
		return 2;
	}
	ok = open_home(&r, c->home, &e) == 0 && unpack(&r, c->argv[0], &e) == 0 &&
	     check(&r, &e) == 0 && swap(&r, &e) == 0;
	if (r.fresh[0] && tree_remove(r.dir, r.fresh, &budget, &why) < 0)
		fprintf(stderr, "chela: %s\n", why.msg);
	if (ok)
		tell(&r, c->argv[0]);
	free(r.info.about);
	cleanup_close_p(&r.lock);
	cleanup_close_p(&r.dir);
	if (ok)
		return 0;
	if (!r.torn)
		err_wrap(&e, "restoring (nothing was changed)");
	return cli_fail(&e);
}
