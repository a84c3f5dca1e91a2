// SPDX-License-Identifier: Apache-2.0
/*
 * The messages table: intake with dedup, what waits, and history. Full-text search: search.c.
 */
#include "store/impl.h"
#include <string.h>

static const char *column(sqlite3_stmt *s, int i)
{
	const char *t = (const char *)sqlite3_column_text(s, i);

	return t ? t : "";
}

void store_read_msg(sqlite3_stmt *s, struct msg_row *m)
{
	m->id = sqlite3_column_int64(s, 0);
	m->chat_id = sqlite3_column_int64(s, 1);
	m->group_id = sqlite3_column_int64(s, 2);
	m->turn_id = sqlite3_column_int64(s, 3);
	m->dir = sqlite3_column_int(s, 4) ? MSG_OUT : MSG_IN;
	m->state = (enum msg_state)sqlite3_column_int(s, 5);
	m->tries = sqlite3_column_int64(s, 6);
	m->sent_ms = sqlite3_column_int64(s, 7);
	m->thread = column(s, 8);
	m->platform_id = column(s, 9);
	m->text = column(s, 10);
	m->text_len = (size_t)sqlite3_column_bytes(s, 10);
	m->sender = column(s, 11);
	m->notice = sqlite3_column_int(s, 12) != 0;
	m->session = column(s, 13);
	m->sender_id = sqlite3_column_int64(s, 14);
	m->task_run_id = sqlite3_column_int64(s, 15);
}

int store_each_msg(struct store *st, sqlite3_stmt *s, msg_fn *fn, void *ctx, struct err *e)
{
	struct msg_row m;
	int rc;

	while ((rc = store_step(st, s, e)) > 0) {
		store_read_msg(s, &m);
		fn(ctx, &m);
	}
	return rc;
}

static int find_dup(struct store *st, const struct msg_new *m, int64_t *id, struct err *e)
{
	static const char sql[] =
		"SELECT id FROM messages WHERE chat_id = ?1 AND dir = 0 AND platform_id = ?2";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);
	int rc;

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, m->chat_id);
	bind_text(s, 2, m->platform_id);
	rc = store_step(st, s, e);
	if (rc > 0)
		*id = sqlite3_column_int64(s, 0);
	return rc > 0 ? 0 : rc < 0 ? -1 : err_set(e, E_BUG, "a duplicate that is not there");
}

int store_message_in(struct store *st, const struct msg_new *m, int64_t *id, bool *dup,
		     struct err *e)
{
	static const char sql[] =
		"INSERT INTO messages(chat_id, group_id, session, thread, dir, state, platform_id,"
		" sender_id, text, sent_ms, stored_ms, task_run_id)"
		" VALUES (?1, ?2, ?10, ?3, 0, ?4, ?5, nullif(?6, 0), ?7, ?8, ?9, nullif(?11, 0))"
		" ON CONFLICT(chat_id, dir, platform_id) DO NOTHING";
	_cleanup_stmt_ sqlite3_stmt *s = store_write(st, sql, e);

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, m->chat_id);
	sqlite3_bind_int64(s, 2, m->group_id);
	bind_text(s, 3, m->thread);
	sqlite3_bind_int(s, 4, m->state);
	bind_text(s, 5, m->platform_id);
	sqlite3_bind_int64(s, 6, m->sender_id);
	sqlite3_bind_text64(s, 7, m->text, m->text_len, SQLITE_STATIC, SQLITE_UTF8);
	sqlite3_bind_int64(s, 8, m->sent_ms);
	sqlite3_bind_int64(s, 9, store_now(st));
	bind_text(s, 10, m->session);
	sqlite3_bind_int64(s, 11, m->task_run_id);
	if (store_done(st, s, e) < 0)
		return -1;
	*dup = sqlite3_changes(st->db) == 0;
	if (*dup)
		return find_dup(st, m, id, e);
	*id = sqlite3_last_insert_rowid(st->db);
	return store_index_later(st, m->text_len, e);
}

int store_pending(struct store *st, int64_t group_id, const char *session, int64_t after,
		  int64_t limit, msg_fn *fn, void *ctx, struct err *e)
{
	static const char sql[] = "SELECT " MSG_COLUMNS " FROM messages m WHERE m.group_id = ?1"
				  " AND m.session = ?2 AND m.state = 1 AND m.id > ?3"
				  " AND NOT EXISTS (SELECT 1 FROM messages f WHERE f.state = 5"
				  "  AND f.chat_id = m.chat_id AND f.id < m.id)"
				  " ORDER BY m.id LIMIT ?4";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, group_id);
	bind_text(s, 2, session);
	sqlite3_bind_int64(s, 3, after);
	sqlite3_bind_int64(s, 4, limit);
	return store_each_msg(st, s, fn, ctx, e);
}

int store_pending_sessions(struct store *st, pending_fn *fn, void *ctx, struct err *e)
{
	static const char sql[] = "SELECT group_id, session, min(id) AS oldest FROM messages"
				  " WHERE state = 1 GROUP BY group_id, session ORDER BY oldest";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);
	int rc;

	if (!s)
		return -1;
	while ((rc = store_step(st, s, e)) > 0)
		fn(ctx, sqlite3_column_int64(s, 0), column(s, 1), sqlite3_column_int64(s, 2));
	return rc;
}

int store_history(struct store *st, int64_t chat_id, int64_t after, int64_t limit, msg_fn *fn,
		  void *ctx, struct err *e)
{
	static const char from[] =
		"SELECT " MSG_COLUMNS " FROM messages m WHERE m.chat_id = ?1"
		" AND m.id > ?2 AND m.state <> 6 AND " MSG_OF_CHATS_GROUP " ORDER BY m.id LIMIT ?3";
	static const char tail[] =
		"SELECT " MSG_COLUMNS " FROM messages m WHERE m.id IN"
		" (SELECT id FROM messages WHERE chat_id = ?1 AND state <> 6"
		"  ORDER BY id DESC LIMIT -?2) AND " MSG_OF_CHATS_GROUP " ORDER BY m.id LIMIT ?3";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, after < 0 ? tail : from, e);

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, chat_id);
	sqlite3_bind_int64(s, 2, after);
	sqlite3_bind_int64(s, 3, limit);
	return store_each_msg(st, s, fn, ctx, e);
}

int store_message_get(struct store *st, int64_t id, msg_fn *fn, void *ctx, struct err *e)
{
	static const char sql[] = "SELECT " MSG_COLUMNS " FROM messages m WHERE m.id = ?1";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);
	struct msg_row m;
	int rc;

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, id);
	rc = store_step(st, s, e);
	if (rc == 0)
		return err_set(e, E_GONE, "there is no message %lld", (long long)id);
	if (rc < 0)
		return -1;
	store_read_msg(s, &m);
	fn(ctx, &m);
	return 0;
}

int store_message_counts(struct store *st, int64_t group_id, int64_t by_state[5], struct err *e)
{
	/* What is open has an index of its own for each state; what is done is looked at row by row, so only so far back. */
	static const char sql[] =
		"SELECT 1, count(*) FROM messages WHERE state = 1 AND (?1 = 0 OR group_id = ?1)"
		" UNION ALL"
		" SELECT 2, count(*) FROM messages WHERE state = 2 AND (?1 = 0 OR group_id = ?1)"
		" UNION ALL"
		" SELECT 1, count(*) FROM messages WHERE state = 5 AND (?1 = 0 OR group_id = ?1)"
		" UNION ALL"
		" SELECT state, count(*) FROM messages WHERE state IN (0, 3, 4) AND dir = 0"
		" AND id > (SELECT max(id) FROM messages) - ?2 AND (?1 = 0 OR group_id = ?1)"
		" GROUP BY +state";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);
	int rc;

	memset(by_state, 0, 5 * sizeof(by_state[0]));
	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, group_id);
	sqlite3_bind_int64(s, 2, STORE_COUNTED);
	while ((rc = store_step(st, s, e)) > 0)
		by_state[sqlite3_column_int(s, 0)] += sqlite3_column_int64(s, 1);
	return rc;
}
