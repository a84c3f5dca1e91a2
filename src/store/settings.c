// SPDX-License-Identifier: Apache-2.0
/* Small facts that must survive the server, by key; the owner of a key gives it a prefix of its own. */
#include <string.h>
#include "store/impl.h"

int store_setting_set(struct store *st, const char *key, const char *value, struct err *e)
{
	static const char put[] = "INSERT INTO settings(key, value) VALUES (?1, ?2)"
				  " ON CONFLICT(key) DO UPDATE SET value = excluded.value";
	static const char del[] = "DELETE FROM settings WHERE key = ?1";

	return value ? sql_run(st, put, ARGS(key, value), e) : sql_run(st, del, ARGS(key), e);
}

int store_settings_each(struct store *st, const char *prefix, setting_row_fn *fn, void *ctx,
			struct err *e)
{
	static const char sql[] =
		"SELECT key, value FROM settings WHERE substr(key, 1, ?2) = ?1 ORDER BY key";
	_cleanup_stmt_ sqlite3_stmt *s =
		sql_read(st, sql, ARGS(prefix, (int64_t)strlen(prefix)), e);
	const char *key, *value;
	int rc;

	while ((rc = sql_row(st, s, COLS(&key, &value), e)) > 0)
		fn(ctx, key, value);
	return rc;
}
