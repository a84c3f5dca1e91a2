// SPDX-License-Identifier: Apache-2.0
/*
 * What a platform shows of us: the ids of the parts of a message that was sent, and of the draft of one that is being made. It must
 * survive a crash, so that an answer replaces its draft instead of standing beside it.
 */
#include "base/str.h"
#include "store/impl.h"

int store_out_parts(struct store *st, int64_t message_id, platform_id_fn *fn, void *ctx,
		    struct err *e)
{
	static const char sql[] =
		"SELECT 0, platform_id FROM messages WHERE id = ?1 AND dir = 1"
		" AND platform_id IS NOT NULL UNION ALL"
		" SELECT part, platform_id FROM outbox WHERE message_id = ?1 AND part > 0"
		" AND state = 2 AND op IN (0, 3, 4) AND platform_id IS NOT NULL ORDER BY 1";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);
	int rc;

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, message_id);
	while ((rc = store_step(st, s, e)) > 0)
		fn(ctx, sqlite3_column_int(s, 0), (const char *)sqlite3_column_text(s, 1));
	return rc;
}

int store_draft_set(struct store *st, int64_t chat_id, const char *thread, const char *platform_id,
		    struct err *e)
{
	static const char put[] =
		"INSERT INTO drafts(chat_id, thread, platform_id) VALUES (?1, ?2, ?3)"
		" ON CONFLICT(chat_id, thread) DO UPDATE SET platform_id = excluded.platform_id";
	static const char del[] = "DELETE FROM drafts WHERE chat_id = ?1 AND thread = ?2";
	_cleanup_stmt_ sqlite3_stmt *s = store_write(st, platform_id[0] ? put : del, e);

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, chat_id);
	bind_text(s, 2, thread);
	if (platform_id[0])
		bind_text(s, 3, platform_id);
	return store_done(st, s, e);
}

int store_draft_get(struct store *st, int64_t chat_id, const char *thread, char out[128],
		    struct err *e)
{
	/* Its id may come late, when the answer has taken its place already: that is no draft any more. */
	static const char sql[] =
		"SELECT platform_id FROM drafts d WHERE chat_id = ?1 AND thread = ?2"
		" AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.chat_id = d.chat_id"
		"  AND m.dir = 1 AND m.platform_id = d.platform_id)";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);
	int rc;

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, chat_id);
	bind_text(s, 2, thread);
	rc = store_step(st, s, e);
	if (rc < 0)
		return -1;
	if (!rc || !str_copy(out, 128, (const char *)sqlite3_column_text(s, 0)))
		out[0] = '\0';
	return 0;
}
