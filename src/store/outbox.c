// SPDX-License-Identifier: Apache-2.0
/*
 * The outbox: what is to be sent, per chat and in order, until the platform has it or it is given up. The text lives
 * in the history row (messages); the outbox row is only the work: one row a part.
 */
#include "store/impl.h"
#include <string.h>
#include "base/str.h"

static int add_message(struct store *st, const struct out_new *o, int64_t *id, struct err *e)
{
	static const char sql[] =
		"INSERT INTO messages(chat_id, group_id, thread, dir, state, text, sent_ms,"
		" stored_ms, turn_id, notice)"
		" VALUES (?1, ?2, ?3, 1, 0, ?4, ?5, ?5, nullif(?6, 0), ?7)";
	_cleanup_stmt_ sqlite3_stmt *m = store_write(st, sql, e);

	if (!m)
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
	*id = sqlite3_last_insert_rowid(st->db);
	return store_index_later(st, strlen(o->text), e);
}

int store_out_add(struct store *st, const struct out_new *o, int64_t *id, int64_t *message_id,
		  struct err *e)
{
	static const char sql[] =
		"INSERT INTO outbox(chat_id, message_id, turn_id, kind, op, part, key, body, args)"
		" VALUES (?1, ?2, nullif(?3, 0), ?4, ?5, ?6, ?7, ?8, ?9)";
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	char uuid[37], key[33];
	size_t n = 0;

	*message_id = o->message_id;
	if (!o->message_id && add_message(st, o, message_id, e) < 0)
		return -1;
	str_uuid4(uuid);
	for (const char *p = uuid; *p; p++) {
		if (*p != '-')
			key[n++] = *p;
	}
	key[n] = '\0';
	s = store_write(st, sql, e);
	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, o->chat_id);
	sqlite3_bind_int64(s, 2, *message_id);
	sqlite3_bind_int64(s, 3, o->turn_id);
	sqlite3_bind_int(s, 4, o->kind);
	sqlite3_bind_int(s, 5, o->op);
	sqlite3_bind_int(s, 6, o->part);
	bind_text(s, 7, key);
	bind_text(s, 8, o->body);
	bind_text(s, 9, o->args);
	if (store_done(st, s, e) < 0)
		return -1;
	*id = sqlite3_last_insert_rowid(st->db);
	return 0;
}

#define ROW                                                                                         \
	"o.id, o.chat_id, o.turn_id, o.message_id, o.tries, o.kind, o.state, o.op, o.part,"         \
	" o.again, o.key, m.thread, m.text, ifnull(o.body, m.text), o.args, o.next_ms, m.group_id," \
	" m.stored_ms"

static void read_row(sqlite3_stmt *s, struct out_row *r)
{
	*r = (struct out_row){
		.id = sqlite3_column_int64(s, 0),
		.chat_id = sqlite3_column_int64(s, 1),
		.turn_id = sqlite3_column_int64(s, 2),
		.message_id = sqlite3_column_int64(s, 3),
		.tries = sqlite3_column_int64(s, 4),
		.kind = (enum out_kind)sqlite3_column_int(s, 5),
		.state = (enum out_state)sqlite3_column_int(s, 6),
		.op = sqlite3_column_int(s, 7),
		.part = sqlite3_column_int(s, 8),
		.again = sqlite3_column_int(s, 9),
		.key = (const char *)sqlite3_column_text(s, 10),
		.thread = (const char *)sqlite3_column_text(s, 11),
		.text = (const char *)sqlite3_column_text(s, 12),
		.body = (const char *)sqlite3_column_text(s, 13),
		.args = (const char *)sqlite3_column_text(s, 14),
		.due_ms = sqlite3_column_int64(s, 15),
		.group_id = sqlite3_column_int64(s, 16),
		.made_ms = sqlite3_column_int64(s, 17),
	};
}

int store_out_next(struct store *st, int64_t chat_id, int64_t now_ms, out_fn *fn, void *ctx,
		   int64_t *due_ms, struct err *e)
{
	static const char sql[] =
		"SELECT " ROW " FROM outbox o JOIN messages m ON m.id = o.message_id"
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
	read_row(s, &r);
	if (r.due_ms > now_ms)
		*due_ms = r.due_ms;
	else
		fn(ctx, &r);
	return 0;
}

int store_out_list(struct store *st, bool all, int64_t limit, out_fn *fn, void *ctx, struct err *e)
{
	/* "state > 2" are the words of the partial index: without them all that was ever sent is looked at. */
	static const char sql[] =
		"SELECT " ROW ", ifnull(o.error, ''), ifnull(o.class, ''), c.channel, c.platform_id"
		" FROM outbox o JOIN messages m ON m.id = o.message_id"
		" JOIN chats c ON c.id = o.chat_id"
		" WHERE o.id IN (SELECT id FROM outbox WHERE state > 2 AND state = 3 UNION ALL"
		"  SELECT id FROM outbox WHERE state < 2 AND ?1) ORDER BY o.id LIMIT ?2";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);
	struct out_row r;
	int rc;

	if (!s)
		return -1;
	sqlite3_bind_int(s, 1, all);
	sqlite3_bind_int64(s, 2, limit);
	while ((rc = store_step(st, s, e)) > 0) {
		read_row(s, &r);
		r.error = (const char *)sqlite3_column_text(s, 18);
		r.class = (const char *)sqlite3_column_text(s, 19);
		r.channel = (const char *)sqlite3_column_text(s, 20);
		r.chat_name = (const char *)sqlite3_column_text(s, 21);
		fn(ctx, &r);
	}
	return rc;
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

/* One row moves; text binds to ?3 and more to ?4, ms to ?2. */
static int set_out(struct store *st, const char *sql, int64_t id, int64_t ms, const char *text,
		   const char *more, struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *s = store_write(st, sql, e);

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, id);
	sqlite3_bind_int64(s, 2, ms);
	bind_text(s, 3, text);
	if (sqlite3_bind_parameter_count(s) > 3)
		bind_text(s, 4, more);
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

	return set_out(st, sql, id, 0, NULL, NULL, e);
}

int store_out_sent(struct store *st, int64_t id, const char *platform_id, struct err *e)
{
	static const char sql[] = "UPDATE outbox SET state = 2, next_ms = ?2, platform_id = ?3"
				  " WHERE id = ?1 AND ?3 IS NOT NULL";
	/* Only of a message of ours: a reaction is about somebody else's. */
	static const char msg[] =
		"UPDATE OR IGNORE messages SET platform_id = ?2 WHERE platform_id IS NULL"
		" AND dir = 1 AND id = (SELECT message_id FROM outbox WHERE id = ?1)";
	_cleanup_stmt_ sqlite3_stmt *m = store_write(st, msg, e);

	if (!m)
		return -1;
	sqlite3_bind_int64(m, 1, id);
	bind_text(m, 2, platform_id);
	if (store_done(st, m, e) < 0)
		return -1;
	return set_out(st, sql, id, 0, platform_id, NULL, e);
}

int store_out_retry(struct store *st, int64_t id, int64_t next_ms, bool again, const char *why,
		    struct err *e)
{
	static const char plain[] = "UPDATE outbox SET state = 0, tries = tries + 1, next_ms = ?2,"
				    " error = ?3 WHERE id = ?1 AND state < 2";
	static const char twice[] = "UPDATE outbox SET state = 0, tries = tries + 1, next_ms = ?2,"
				    " error = ?3, again = 1 WHERE id = ?1 AND state < 2";

	return set_out(st, again ? twice : plain, id, next_ms, why, NULL, e);
}

int store_out_hold(struct store *st, int64_t id, int64_t next_ms, const char *why, struct err *e)
{
	static const char sql[] = "UPDATE outbox SET state = 0, next_ms = ?2, error = ?3"
				  " WHERE id = ?1 AND state < 2";

	return set_out(st, sql, id, next_ms, why, NULL, e);
}

int store_out_dead(struct store *st, int64_t id, const char *class, const char *why, struct err *e)
{
	static const char sql[] = "UPDATE outbox SET state = 3, next_ms = ?2, error = ?3,"
				  " class = ?4 WHERE id = ?1 AND state < 2";

	return set_out(st, sql, id, 0, why, class, e);
}

int store_out_recover(struct store *st, const char *channel, struct err *e)
{
	static const char sql[] =
		"UPDATE outbox SET state = 0, again = 1, error = 'the server"
		" stopped while this was being sent' WHERE state < 2 AND state = 1 AND chat_id"
		" IN (SELECT id FROM chats WHERE channel = ?1)";
	_cleanup_stmt_ sqlite3_stmt *s = store_write(st, sql, e);

	if (!s)
		return -1;
	bind_text(s, 1, channel);
	return store_done(st, s, e);
}

int store_out_revive(struct store *st, int64_t id, int64_t *chat_id, int64_t *n, struct err *e)
{
	static const char find[] = "SELECT chat_id FROM outbox WHERE id = ?1 AND state = 3";
	static const char sql[] = "UPDATE outbox SET state = 0, tries = 0, next_ms = 0"
				  " WHERE state > 2 AND state = 3 AND (id = ?1 OR ?1 = 0)";
	_cleanup_stmt_ sqlite3_stmt *f = store_read(st, find, e);
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	int rc;

	if (!f)
		return -1;
	sqlite3_bind_int64(f, 1, id);
	rc = store_step(st, f, e);
	if (rc < 0)
		return -1;
	if (!rc && id)
		return err_set(e, E_GONE, "there is no dead letter %lld: see `chela outbox`",
			       (long long)id);
	*chat_id = rc ? sqlite3_column_int64(f, 0) : 0;
	s = store_write(st, sql, e);
	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, id);
	if (store_done(st, s, e) < 0)
		return -1;
	*n = sqlite3_changes(st->db);
	return 0;
}

int store_out_drop(struct store *st, int64_t id, struct err *e)
{
	static const char sql[] = "UPDATE outbox SET state = 4 WHERE id = ?1 AND state = 3";
	_cleanup_stmt_ sqlite3_stmt *s = store_write(st, sql, e);

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, id);
	if (store_done(st, s, e) < 0)
		return -1;
	if (sqlite3_changes(st->db) != 1)
		return err_set(e, E_GONE, "there is no dead letter %lld: see `chela outbox`",
			       (long long)id);
	return 0;
}

int store_out_counts(struct store *st, int64_t by_state[6], struct err *e)
{
	/* As store_message_counts: what waits is counted in full. */
	static const char sql[] =
		"SELECT state, count(*), sum(again) FROM outbox WHERE state < 2 GROUP BY +state"
		" UNION ALL SELECT state, count(*), sum(again) FROM outbox WHERE state >= 2"
		" AND id > (SELECT max(id) FROM outbox) - ?1 GROUP BY +state";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);
	int rc;

	memset(by_state, 0, 6 * sizeof(by_state[0]));
	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, STORE_COUNTED);
	while ((rc = store_step(st, s, e)) > 0) {
		int state = sqlite3_column_int(s, 0);

		if (state >= 0 && state < 5)
			by_state[state] = sqlite3_column_int64(s, 1);
		by_state[5] += sqlite3_column_int64(s, 2);
	}
	return rc;
}
