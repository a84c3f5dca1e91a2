// SPDX-License-Identifier: Apache-2.0
/*
 * The messages table: intake with dedup, what waits, and history. Full-text search: search.c.
 */
#include "store/impl.h"
#include <string.h>

void store_read_msg(sqlite3_stmt *s, struct msg_row *m)
{
	sql_columns(s, COLS(&m->id, &m->chat_id, &m->group_id, &m->turn_id, &m->dir, &m->state,
			    &m->tries, &m->sent_ms, &m->thread, &m->platform_id, &m->text,
			    &m->sender, &m->notice, &m->session, &m->sender_id, &m->task_run_id));
	m->text_len = (size_t)sqlite3_column_bytes(s, 10);
}

int store_tell_msgs(struct store *st, sqlite3_stmt *take, msg_fn *fn, void *ctx, struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *s = take;
	struct msg_row m;
	int rc, n = 0;

	for (; (rc = store_step(st, s, e)) > 0; n++) {
		store_read_msg(s, &m);
		fn(ctx, &m);
	}
	return rc < 0 ? -1 : n;
}

int store_each_msg(struct store *st, sqlite3_stmt *take, msg_fn *fn, void *ctx, struct err *e)
{
	return store_tell_msgs(st, take, fn, ctx, e) < 0 ? -1 : 0;
}

/* Whoever has a message is never forgotten (store_sender_refused). */
static int mark_heard(struct store *st, int64_t sender_id, struct err *e)
{
	int64_t *known = &st->heard[(uint64_t)sender_id % ARRAY_LEN(st->heard)];

	if (!sender_id || *known == sender_id)
		return 0;
	if (sql_run(st, "UPDATE senders SET heard = 1 WHERE id = ?1 AND heard = 0", ARGS(sender_id),
		    e) < 0)
		return -1;
	*known = sender_id;
	return 0;
}

int store_message_in(struct store *st, const struct msg_new *m, int64_t *id, bool *dup,
		     struct err *e)
{
	static const char sql[] =
		"INSERT INTO messages(chat_id, group_id, thread, dir, state, platform_id, sender_id,"
		" text, sent_ms, stored_ms, session, task_run_id)"
		" VALUES (?1, ?2, ?3, 0, ?4, ?5, nullif(?6, 0), ?7, ?8, ?9, ?10, nullif(?11, 0))"
		" ON CONFLICT(chat_id, dir, platform_id) DO NOTHING";
	static const char known[] =
		"SELECT id FROM messages WHERE chat_id = ?1 AND dir = 0 AND platform_id = ?2";

	if (sql_insert(st, sql,
		       ARGS(m->chat_id, m->group_id, m->thread, m->state, m->platform_id,
			    m->sender_id, arg_text(m->text, m->text_len), m->sent_ms, store_now(st),
			    m->session, m->task_run_id),
		       id, e) < 0)
		return -1;
	*dup = *id == 0;
	if (!*dup)
		return mark_heard(st, m->sender_id, e) < 0 ? -1
							   : store_index_later(st, m->text_len, e);
	if (sql_get(st, known, ARGS(m->chat_id, m->platform_id), COLS(id), e) < 0)
		return -1;
	return *id ? 0 : err_set(e, E_BUG, "a duplicate that is not there");
}

int store_pending(struct store *st, int64_t group_id, const char *session, int64_t after,
		  int64_t limit, msg_fn *fn, void *ctx, struct err *e)
{
	static const char sql[] =
		"SELECT " MSG_COLUMNS " FROM messages m WHERE m.group_id = ?1"
		" AND m.session = ?2 AND state IN (1, 2) AND m.state = 1 AND m.id > ?3"
		" AND NOT EXISTS (SELECT 1 FROM messages f WHERE f.state = 5"
		"  AND f.chat_id = m.chat_id AND f.id < m.id)"
		" ORDER BY m.id LIMIT ?4";
	sqlite3_stmt *s = sql_read(st, sql, ARGS(group_id, session, after, limit), e);

	return store_each_msg(st, s, fn, ctx, e);
}

int store_pending_sessions(struct store *st, pending_fn *fn, void *ctx, struct err *e)
{
	static const char sql[] =
		"SELECT group_id, session, min(id) AS oldest FROM messages"
		" WHERE " MSG_OPEN " = 1 GROUP BY group_id, session ORDER BY oldest";
	_cleanup_stmt_ sqlite3_stmt *s = sql_read(st, sql, NULL, e);
	int64_t group_id, oldest;
	const char *session;
	int rc;

	while ((rc = sql_row(st, s, COLS(&group_id, &session, &oldest), e)) > 0)
		fn(ctx, group_id, session, oldest);
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
	sqlite3_stmt *s = sql_read(st, after < 0 ? tail : from, ARGS(chat_id, after, limit), e);

	return store_each_msg(st, s, fn, ctx, e);
}

int store_message_get(struct store *st, int64_t id, msg_fn *fn, void *ctx, struct err *e)
{
	static const char sql[] = "SELECT " MSG_COLUMNS " FROM messages m WHERE m.id = ?1";
	sqlite3_stmt *s = sql_read(st, sql, ARGS(id), e);

	return sql_found(store_tell_msgs(st, s, fn, ctx, e), "message", id, e);
}

int store_message_counts(struct store *st, int64_t group_id, int64_t by_state[5], struct err *e)
{
	/* What is open has an index of its own for each state; what is done is looked at row by row, so only so far back. */
	static const char sql[] =
		"SELECT 1, count(*) FROM messages WHERE " MSG_OPEN
		" = 1 AND (?1 = 0 OR group_id = ?1)"
		" UNION ALL"
		" SELECT 2, count(*) FROM messages WHERE " MSG_OPEN
		" = 2 AND (?1 = 0 OR group_id = ?1)"
		" UNION ALL"
		" SELECT 1, count(*) FROM messages WHERE state = 5 AND (?1 = 0 OR group_id = ?1)"
		" UNION ALL"
		" SELECT state, count(*) FROM messages WHERE state IN (0, 3, 4) AND dir = 0"
		" AND id > (SELECT max(id) FROM messages) - ?2 AND (?1 = 0 OR group_id = ?1)"
		" GROUP BY +state";
	_cleanup_stmt_ sqlite3_stmt *s = sql_read(st, sql, ARGS(group_id, STORE_COUNTED), e);
	int64_t n;
	int state, rc;

	memset(by_state, 0, 5 * sizeof(by_state[0]));
	while ((rc = sql_row(st, s, COLS(&state, &n), e)) > 0)
		by_state[state] += n;
	return rc;
}
