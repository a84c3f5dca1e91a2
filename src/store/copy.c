// SPDX-License-Identifier: Apache-2.0
/* See copy.h. */
#include "store/copy.h"
#include <string.h>
#include <sys/stat.h>
#include "base/str.h"
#include "store/impl.h"

#define PATIENCE_MS 30000 /* for a server that writes */

static void close_db(sqlite3 **db)
{
	sqlite3_close(*db);
}

static int open_copy(const char *file, int flags, sqlite3 **db, struct err *e)
{
	int rc =
		sqlite3_open_v2(file, db, flags | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_NOMUTEX, NULL);

	if (rc != SQLITE_OK)
		return err_set(e, E_IO, "cannot open %s: %s", file,
			       *db ? sqlite3_errmsg(*db) : "out of memory");
	sqlite3_busy_timeout(*db, PATIENCE_MS);
	return 0;
}

int store_copy(const char *from, const char *to, struct err *e)
{
	_cleanup_(close_db) sqlite3 *db = NULL;
	char *sql;
	mode_t old;
	int rc;

	if (open_copy(from, SQLITE_OPEN_READONLY, &db, e) < 0)
		return -1;
	sql = sqlite3_mprintf("VACUUM INTO %Q", to);
	old = umask(077);
	rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
	umask(old);
	sqlite3_free(sql);
	if (rc != SQLITE_OK)
		return err_set(e, E_IO, "cannot copy %s to %s: %s", from, to, sqlite3_errmsg(db));
	return 0;
}

static int take_word(void *ctx, int n, char **values, char **names)
{
	(void)names;
	if (n == 1 && values[0])
		str_copy(ctx, 200, values[0]);
	return 0;
}

static int ask(sqlite3 *db, const char *file, const char *sql, char word[200], struct err *e)
{
	word[0] = '\0';
	if (sqlite3_exec(db, sql, take_word, word, NULL) == SQLITE_OK)
		return 0;
	return err_set(e, E_INVAL, "%s is damaged: %s", file, sqlite3_errmsg(db));
}

int store_check(const char *file, int *schema, struct err *e)
{
	_cleanup_(close_db) sqlite3 *db = NULL;
	char word[200];
	int64_t v;

	if (open_copy(file, SQLITE_OPEN_READONLY, &db, e) < 0 ||
	    ask(db, file, "PRAGMA user_version", word, e) < 0 ||
	    str_to_i64(word, 0, 1 << 30, &v, e) < 0)
		return -1;
	if (schema)
		*schema = (int)v;
	if (v > store_schema())
		return err_set(e, E_INVAL,
			       "the database in it has schema %lld, this program knows up to %d: "
			       "install the newer version first",
			       (long long)v, store_schema());
	if (v < 1)
		return err_set(e, E_INVAL, "%s is no database of chela", file);
	if (ask(db, file, "PRAGMA integrity_check(1)", word, e) < 0)
		return -1;
	if (!streq(word, "ok"))
		return err_set(e, E_INVAL, "%s is damaged: %s", file, word);
	return 0;
}

int store_rehome(const char *file, const char *spool, struct err *e)
{
	/* The name alone of the old path: what is behind its last slash. */
	static const char base[] = "replace(json_extract(args, '$.file.path'),"
				   " rtrim(json_extract(args, '$.file.path'),"
				   " replace(json_extract(args, '$.file.path'), '/', '')), '')";
	_cleanup_(close_db) sqlite3 *db = NULL;
	char *sql;
	int rc;

	if (open_copy(file, SQLITE_OPEN_READWRITE, &db, e) < 0)
		return -1;
	sql = sqlite3_mprintf("PRAGMA journal_mode = DELETE; UPDATE outbox SET args ="
			      " json_set(args, '$.file.path', %Q || '/' || %s)"
			      " WHERE args IS NOT NULL AND json_valid(args)"
			      " AND json_extract(args, '$.file.path') LIKE '/%%'",
			      spool, base);
	rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
	sqlite3_free(sql);
	if (rc != SQLITE_OK)
		return err_set(e, E_INVAL, "%s: %s", file, sqlite3_errmsg(db));
	return 0;
}
