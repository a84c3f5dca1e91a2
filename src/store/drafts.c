// SPDX-License-Identifier: Apache-2.0
/*
 * What a platform shows of us: the ids of the parts of a message that was sent, and of the draft of one that is being made. It must
 * survive a crash, so that an answer replaces its draft instead of standing beside it.
 */
#include "store/impl.h"

int store_out_parts(struct store *st, int64_t message_id, platform_id_fn *fn, void *ctx,
		    struct err *e)
{
	static const char sql[] =
		"SELECT 0, platform_id FROM messages WHERE id = ?1 AND dir = 1"
		" AND platform_id IS NOT NULL UNION ALL"
		" SELECT part, platform_id FROM outbox WHERE message_id = ?1 AND part > 0"
		" AND state = 2 AND op IN (0, 3, 4) AND platform_id IS NOT NULL ORDER BY 1";
	_cleanup_stmt_ sqlite3_stmt *s = sql_read(st, sql, ARGS(message_id), e);
	const char *platform_id;
	int part, rc;

	while ((rc = sql_row(st, s, COLS(&part, &platform_id), e)) > 0)
		fn(ctx, part, platform_id);
	return rc;
}

int store_draft_set(struct store *st, int64_t chat_id, const char *thread, const char *platform_id,
		    struct err *e)
{
	static const char put[] =
		"INSERT INTO drafts(chat_id, thread, platform_id) VALUES (?1, ?2, ?3)"
		" ON CONFLICT(chat_id, thread) DO UPDATE SET platform_id = excluded.platform_id";
	static const char del[] = "DELETE FROM drafts WHERE chat_id = ?1 AND thread = ?2";

	return platform_id[0] ? sql_run(st, put, ARGS(chat_id, thread, platform_id), e)
			      : sql_run(st, del, ARGS(chat_id, thread), e);
}

int store_draft_get(struct store *st, int64_t chat_id, const char *thread, char out[128],
		    struct err *e)
{
	/* Its id may come late, when the answer has taken its place already: that is no draft any more. */
	static const char sql[] =
		"SELECT platform_id FROM drafts d WHERE chat_id = ?1 AND thread = ?2"
		" AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.chat_id = d.chat_id"
		"  AND m.dir = 1 AND m.platform_id = d.platform_id)";

	return sql_get(st, sql, ARGS(chat_id, thread), COLS((char(*)[128])out), e);
}
