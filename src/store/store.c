// SPDX-License-Identifier: Apache-2.0
/*
 * Opening, the statement cache, and the group commit. It exists so that the files beside it hold
 * nothing but their SQL; it knows no table.
 */
#include "store/impl.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include "base/log.h"

/* The cache of pages: 1 MiB is plenty for index pages of a chat's tail, and it is private memory. */
static const char pragmas[] = "PRAGMA journal_mode = WAL;"
			      "PRAGMA synchronous = FULL;"
			      "PRAGMA foreign_keys = ON;"
			      "PRAGMA cache_size = -1024;"
			      "PRAGMA journal_size_limit = 8388608;"
			      "PRAGMA temp_store = MEMORY;";

/* Pages in the log before it is copied into the database: when the owner has time, and at the latest. */
#define LOG_PAGES     1000
#define LOG_PAGES_MAX 8000

static int on_log(void *ctx, sqlite3 *db, const char *name, int pages)
{
	struct store *st = ctx;

	(void)db;
	(void)name;
	st->log_pages = pages;
	return SQLITE_OK;
}

static int open_db(struct store *st, const char *file, struct err *e)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
		    SQLITE_OPEN_NOFOLLOW;
	mode_t old = umask(077);
	int rc = sqlite3_open_v2(file, &st->db, flags, NULL);

	umask(old);
	if (rc != SQLITE_OK)
		return err_set(e, E_IO, "cannot open %s: %s", file,
			       st->db ? sqlite3_errmsg(st->db) : "out of memory");
	sqlite3_busy_timeout(st->db, 2000);
	sqlite3_db_config(st->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_wal_hook(st->db, on_log, st);
	if (sqlite3_exec(st->db, pragmas, NULL, NULL, NULL) != SQLITE_OK)
		return err_set(e, E_IO, "cannot use %s: %s", file, sqlite3_errmsg(st->db));
	return 0;
}

struct store *store_open(const char *file, const struct clock *clk, struct err *e)
{
	struct store *st = xcalloc(1, sizeof(*st));

	/* Memory statistics take a lock and a line each; nobody reads them. Too late is harmless. */
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	st->clk = clk;
	if (open_db(st, file, e) < 0 || store_migrate(st, file, e) < 0 ||
	    store_index_open(st, e) < 0) {
		store_close(st);
		return NULL;
	}
	return st;
}

void store_close(struct store *st)
{
	struct err e = ERR_INIT;

	if (!st)
		return;
	/* Who waits for a commit may have been freed by now; whoever wants to be told commits before the close. */
	st->n_after = 0;
	if (st->in_tx && !st->broken[0] && store_commit(st, &e) < 0)
		log_error("store", "commit at close failed", "err=\"%s\"", e.msg);
	for (size_t i = 0; i < STMT_SLOTS; i++)
		sqlite3_finalize(st->cache[i].stmt);
	sqlite3_close(st->db);
	free(st->after);
	free(st);
}

void store_break(struct store *st, const char *why)
{
	if (!st->broken[0])
		snprintf(st->broken, sizeof(st->broken), "%.190s", why);
}

const char *store_broken(const struct store *st)
{
	return st->broken[0] ? st->broken : NULL;
}

int64_t store_now(const struct store *st)
{
	return clock_wall(st->clk);
}

/* Constraint errors are the caller's bug or answer; everything else means disk and memory disagree. */
int store_fail(struct store *st, struct err *e, const char *what)
{
	int rc = sqlite3_errcode(st->db);

	if (rc == SQLITE_CONSTRAINT)
		return err_set(e, E_BUG, "database: %s (%.40s ...)", sqlite3_errmsg(st->db), what);
	if (!st->broken[0])
		snprintf(st->broken, sizeof(st->broken), "database: %s (%.40s ...)",
			 sqlite3_errmsg(st->db), what);
	return err_set(e, E_IO, "%s", st->broken);
}

static size_t slot_of(const char *sql)
{
	uintptr_t x = (uintptr_t)sql;

	return ((x >> 4) ^ (x >> 12)) & (STMT_SLOTS - 1);
}

sqlite3_stmt *store_read(struct store *st, const char *sql, struct err *e)
{
	size_t i = slot_of(sql);

	if (st->broken[0]) {
		err_set(e, E_IO, "%s", st->broken);
		return NULL;
	}
	while (st->cache[i].sql && st->cache[i].sql != sql)
		i = (i + 1) & (STMT_SLOTS - 1);
	if (st->cache[i].sql)
		return st->cache[i].stmt;
	if (sqlite3_prepare_v3(st->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &st->cache[i].stmt,
			       NULL) != SQLITE_OK) {
		store_fail(st, e, sql);
		return NULL;
	}
	st->cache[i].sql = sql;
	return st->cache[i].stmt;
}

sqlite3_stmt *store_write(struct store *st, const char *sql, struct err *e)
{
	static const char begin[] = "BEGIN IMMEDIATE";

	if (!st->in_tx) {
		_cleanup_stmt_ sqlite3_stmt *b = store_read(st, begin, e);

		if (store_done(st, b, e) < 0)
			return NULL;
		st->in_tx = true;
	}
	return store_read(st, sql, e);
}

int store_step(struct store *st, sqlite3_stmt *s, struct err *e)
{
	int rc;

	if (!s)
		return -1;
	rc = sqlite3_step(s);
	if (rc == SQLITE_ROW)
		return 1;
	if (rc == SQLITE_DONE)
		return 0;
	return store_fail(st, e, sqlite3_sql(s));
}

int store_done(struct store *st, sqlite3_stmt *s, struct err *e)
{
	int rc = store_step(st, s, e);

	if (rc > 0)
		return err_set(e, E_BUG, "database: a row where none was expected");
	return rc;
}

int store_commit(struct store *st, struct err *e)
{
	static const char commit[] = "COMMIT";
	struct after *list;
	size_t n;

	if (st->in_tx) {
		_cleanup_stmt_ sqlite3_stmt *s = store_read(st, commit, e);

		if (store_done(st, s, e) < 0)
			return -1;
		st->in_tx = false;
		if (st->log_pages >= LOG_PAGES_MAX && store_checkpoint(st, e) < 0)
			return -1;
	}
	if (st->broken[0])
		return err_set(e, E_IO, "%s", st->broken);
	/* The calls may write and queue again: those wait for the next commit. */
	list = steal_ptr(&st->after);
	n = st->n_after;
	st->n_after = st->cap_after = 0;
	for (size_t i = 0; i < n; i++) {
		st->running = list;
		st->n_running = n;
		if (list[i].cb)
			list[i].cb(list[i].ctx);
	}
	st->running = NULL;
	free(list);
	return 0;
}

bool store_checkpoint_due(const struct store *st)
{
	return st->log_pages >= LOG_PAGES && !st->in_tx && !st->broken[0];
}

int store_checkpoint(struct store *st, struct err *e)
{
	int rc;

	if (!store_checkpoint_due(st))
		return 0;
	st->log_pages = 0; /* the next commit says how many are left */
	rc = sqlite3_wal_checkpoint_v2(st->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	/* Busy: somebody else reads or does the same. It will come round again. */
	return rc == SQLITE_OK || rc == SQLITE_BUSY ? 0 : store_fail(st, e, "checkpoint");
}

bool store_dirty(const struct store *st)
{
	return st->in_tx || st->n_after;
}

void store_after_commit(struct store *st, void (*cb)(void *ctx), void *ctx)
{
	if (st->n_after == st->cap_after) {
		st->cap_after = st->cap_after ? st->cap_after * 2 : 16;
		st->after = xrealloc(st->after, st->cap_after * sizeof(*st->after));
	}
	st->after[st->n_after++] = (struct after){cb, ctx};
}

static void forget_in(struct after *list, size_t n, const void *ctx)
{
	for (size_t i = 0; i < n; i++) {
		if (list[i].ctx == ctx)
			list[i].cb = NULL;
	}
}

void store_forget(struct store *st, const void *ctx)
{
	forget_in(st->after, st->n_after, ctx);
	if (st->running)
		forget_in(st->running, st->n_running, ctx);
}
