// SPDX-License-Identifier: Apache-2.0
/*
 * The outbox: what is to be sent, per chat and in order, until the platform has it or it is given up. The text lives
 * in the history row (messages); the outbox row is only the work.
 */
#include "store/impl.h"
#include <string.h>

int store_out_add(struct store *st, const struct out_new *o, int64_t *id, struct err *e)
{
	static const char msg[] =
		"INSERT INTO messages(chat_id, group_id, thread, dir, state, text, sent_ms,"
		" stored_ms, turn_id, notice)"
		" VALUES (?1, ?2, ?3, 1, 0, ?4, ?5, ?5, nullif(?6, 0), ?7)";
	static const char out[] = "INSERT INTO outbox(chat_id, message_id, turn_id, kind)"
				  " VALUES (?1, ?2, nullif(?3, 0), ?4)";
	_cleanup_stmt_ sqlite3_stmt *m = store_write(st, msg, e);
	_cleanup_stmt_ sqlite3_stmt *s = m ? store_write(st, out, e) : NULL;

	if (!s)
		return -1;
	sqlite3_bind_int64(m, 1, o->chat_id);
	sqlite3_bind_int64(m, 2, o->group_id);
	bind_text(m, 3, o->thread);
	bind_text(m, 4, o->text);
	sqlite3_bind_int64(m, 5, store_now(st));
	sqlite3_bind_int64(m, 6, o->turn_id);
	sqlite3_bind_int(m, 7, o->kind == OUT_NOTICE);
	if (store_done(st, m, e) < 0)
		return -1;
	sqlite3_bind_int64(s, 1, o->chat_id);
	sqlite3_bind_int64(s, 2, sqlite3_last_insert_rowid(st->db));
	sqlite3_bind_int64(s, 3, o->turn_id);
	sqlite3_bind_int(s, 4, o->kind);
	if (store_done(st, s, e) < 0)
		return -1;
	*id = sqlite3_last_insert_rowid(st->db);
	return store_index_later(st, strlen(o->text), e);
}

int store_out_next(struct store *st, int64_t chat_id, int64_t now_ms, out_fn *fn, void *ctx,
		   int64_t *due_ms, struct err *e)
{
	static const char sql[] =
		"SELECT o.id, o.chat_id, o.turn_id, o.message_id, o.tries, o.kind, o.state,"
		" m.thread, m.text, o.next_ms FROM outbox o JOIN messages m ON m.id = o.message_id"
		" WHERE o.chat_id = ?1 AND o.state < 2 ORDER BY o.id LIMIT 1";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);
	struct out_row r;
	int rc;

	*due_ms = 0;
	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, chat_id);
	rc = store_step(st, s, e);
	if (rc <= 0)
		return rc;
	r = (struct out_row){
		.id = sqlite3_column_int64(s, 0),
		.chat_id = sqlite3_column_int64(s, 1),
		.turn_id = sqlite3_column_int64(s, 2),
		.message_id = sqlite3_column_int64(s, 3),
		.tries = sqlite3_column_int64(s, 4),
		.kind = (enum out_kind)sqlite3_column_int(s, 5),
		.state = (enum out_state)sqlite3_column_int(s, 6),
		.thread = (const char *)sqlite3_column_text(s, 7),
		.text = (const char *)sqlite3_column_text(s, 8),
	};
	*due_ms = sqlite3_column_int64(s, 9);
	if (*due_ms <= now_ms) {
		*due_ms = 0;
		fn(ctx, &r);
	}
	return 0;
}

int store_out_chats(struct store *st, chat_fn *fn, void *ctx, struct err *e)
{
	static const char sql[] = "SELECT DISTINCT chat_id FROM outbox WHERE state < 2";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);
	int rc;

	if (!s)
		return -1;
	while ((rc = store_step(st, s, e)) > 0)
		fn(ctx, sqlite3_column_int64(s, 0));
	return rc;
}

static int set_out(struct store *st, const char *sql, int64_t id, int64_t ms, const char *why,
		   struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *s = store_write(st, sql, e);

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, id);
	sqlite3_bind_int64(s, 2, ms);
	bind_text(s, 3, why);
	if (store_done(st, s, e) < 0)
		return -1;
	if (sqlite3_changes(st->db) != 1)
		return err_set(e, E_BUG, "outbox row %lld is not in the expected state",
			       (long long)id);
	return 0;
}

int store_out_sending(struct store *st, int64_t id, struct err *e)
{
	static const char sql[] = "UPDATE outbox SET state = 1, next_ms = ?2, error = ?3"
				  " WHERE id = ?1 AND state = 0";

	return set_out(st, sql, id, 0, NULL, e);
}

int store_out_sent(struct store *st, int64_t id, const char *platform_id, struct err *e)
{
	static const char sql[] =
		"UPDATE outbox SET state = 2, next_ms = ?2 WHERE id = ?1 AND ?3 IS NOT NULL";
	static const char msg[] = "UPDATE OR IGNORE messages SET platform_id = ?2"
				  " WHERE id = (SELECT message_id FROM outbox WHERE id = ?1)";
	_cleanup_stmt_ sqlite3_stmt *m = store_write(st, msg, e);

	if (!m)
		return -1;
	sqlite3_bind_int64(m, 1, id);
	bind_text(m, 2, platform_id);
	if (store_done(st, m, e) < 0)
		return -1;
	return set_out(st, sql, id, 0, platform_id, e);
}

int store_out_retry(struct store *st, int64_t id, int64_t next_ms, const char *why, struct err *e)
{
	static const char sql[] = "UPDATE outbox SET state = 0, tries = tries + 1, next_ms = ?2,"
				  " error = ?3 WHERE id = ?1 AND state < 2";

	return set_out(st, sql, id, next_ms, why, e);
}

int store_out_dead(struct store *st, int64_t id, const char *why, struct err *e)
{
	static const char sql[] = "UPDATE outbox SET state = 3, next_ms = ?2, error = ?3"
				  " WHERE id = ?1 AND state < 2";

	return set_out(st, sql, id, 0, why, e);
}

int store_out_recover(struct store *st, const char *channel, bool resend_ok, struct err *e)
{
	static const char sql[] = "UPDATE outbox SET state = ?2, error = 'the server stopped while"
				  " this was being sent' WHERE state = 1 AND chat_id IN"
				  " (SELECT id FROM chats WHERE channel = ?1)";
	_cleanup_stmt_ sqlite3_stmt *s = store_write(st, sql, e);

	if (!s)
		return -1;
	bind_text(s, 1, channel);
	sqlite3_bind_int(s, 2, resend_ok ? OUT_PENDING : OUT_UNSURE);
	return store_done(st, s, e);
}

int store_out_counts(struct store *st, int64_t by_state[5], struct err *e)
{
	static const char sql[] = "SELECT state, count(*) FROM outbox GROUP BY state";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);
	int rc;

	memset(by_state, 0, 5 * sizeof(by_state[0]));
	if (!s)
		return -1;
	while ((rc = store_step(st, s, e)) > 0) {
		int state = sqlite3_column_int(s, 0);

		if (state >= 0 && state < 5)
			by_state[state] = sqlite3_column_int64(s, 1);
	}
	return rc;
}
