// SPDX-License-Identifier: Apache-2.0
/* Small facts that must survive the server, by key; the owner of a key gives it a prefix of its own. */
#include <string.h>
#include "store/impl.h"

int store_setting_set(struct store *st, const char *key, const char *value, struct err *e)
{
	static const char put[] = "INSERT INTO settings(key, value) VALUES (?1, ?2)"
				  " ON CONFLICT(key) DO UPDATE SET value = excluded.value";
	static const char del[] = "DELETE FROM settings WHERE key = ?1";
	_cleanup_stmt_ sqlite3_stmt *s = store_write(st, value ? put : del, e);

	if (!s)
		return -1;
	bind_text(s, 1, key);
	if (value)
		bind_text(s, 2, value);
	return store_done(st, s, e);
}

int store_settings_each(struct store *st, const char *prefix, setting_row_fn *fn, void *ctx,
			struct err *e)
{
	static const char sql[] =
		"SELECT key, value FROM settings WHERE substr(key, 1, ?2) = ?1 ORDER BY key";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);
	int rc;

	if (!s)
		return -1;
	bind_text(s, 1, prefix);
	sqlite3_bind_int64(s, 2, (int64_t)strlen(prefix));
	while ((rc = store_step(st, s, e)) > 0)
		fn(ctx, (const char *)sqlite3_column_text(s, 0),
		   (const char *)sqlite3_column_text(s, 1));
	return rc;
}
