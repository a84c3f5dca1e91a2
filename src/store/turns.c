// SPDX-License-Identifier: Apache-2.0
/*
 * Turns and leases: which messages are in whose hands. It exists so that "answered" is a fact in
 * the database and never a guess from an exit code. Also what each turn used.
 */
#include "store/impl.h"
#include <string.h>

int store_turn_open(struct store *st, int64_t group_id, const char *session, int64_t *turn_id,
		    struct err *e)
{
	static const char sql[] =
		"INSERT INTO turns(group_id, session, started_ms) VALUES (?1, ?2, ?3)";
	_cleanup_stmt_ sqlite3_stmt *s = store_write(st, sql, e);

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, group_id);
	bind_text(s, 2, session);
	sqlite3_bind_int64(s, 3, store_now(st));
	if (store_done(st, s, e) < 0)
		return -1;
	*turn_id = sqlite3_last_insert_rowid(st->db);
	return 0;
}

/* Runs a one-row update bound to (turn, message) and insists that it changed one row. */
static int move_one(struct store *st, const char *sql, int64_t turn_id, int64_t msg_id,
		    const char *what, struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *s = store_write(st, sql, e);

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, turn_id);
	sqlite3_bind_int64(s, 2, msg_id);
	if (store_done(st, s, e) < 0)
		return -1;
	if (sqlite3_changes(st->db) != 1)
		return err_set(e, E_BUG, "message %lld cannot be %s in turn %lld",
			       (long long)msg_id, what, (long long)turn_id);
	return 0;
}

int store_lease(struct store *st, int64_t turn_id, int64_t msg_id, struct err *e)
{
	static const char sql[] =
		"UPDATE messages SET state = 2, turn_id = ?1 WHERE id = ?2 AND state = 1";

	return move_one(st, sql, turn_id, msg_id, "leased", e);
}

int store_answered(struct store *st, int64_t turn_id, int64_t msg_id, struct err *e)
{
	static const char sql[] =
		"UPDATE messages SET state = 3 WHERE id = ?2 AND turn_id = ?1 AND state = 2";

	return move_one(st, sql, turn_id, msg_id, "answered", e);
}

int store_failed(struct store *st, int64_t turn_id, int64_t msg_id, struct err *e)
{
	static const char sql[] =
		"UPDATE messages SET state = 4 WHERE id = ?2 AND turn_id = ?1 AND state = 2";

	return move_one(st, sql, turn_id, msg_id, "failed", e);
}

int store_unlease(struct store *st, int64_t turn_id, int64_t msg_id, struct err *e)
{
	static const char sql[] =
		"UPDATE messages SET state = 1 WHERE id = ?2 AND turn_id = ?1 AND state = 2";

	return move_one(st, sql, turn_id, msg_id, "given back", e);
}

/* Tells of the leased messages that have no try left, then marks them failed. */
static int fail_spent(struct store *st, int64_t turn_id, int64_t max_tries, msg_fn *failed,
		      void *ctx, struct err *e)
{
	static const char list[] = "SELECT " MSG_COLUMNS " FROM messages m WHERE m.turn_id = ?1"
				   " AND m.state = 2 AND m.tries >= ?2 ORDER BY m.id";
	static const char mark[] =
		"UPDATE messages SET state = 4 WHERE turn_id = ?1 AND state = 2 AND tries >= ?2";
	_cleanup_stmt_ sqlite3_stmt *l = store_read(st, list, e);
	_cleanup_stmt_ sqlite3_stmt *m = store_write(st, mark, e);

	if (!l || !m)
		return -1;
	sqlite3_bind_int64(l, 1, turn_id);
	sqlite3_bind_int64(l, 2, max_tries);
	if (store_each_msg(st, l, failed, ctx, e) < 0)
		return -1;
	sqlite3_bind_int64(m, 1, turn_id);
	sqlite3_bind_int64(m, 2, max_tries);
	return store_done(st, m, e);
}

int store_turn_close(struct store *st, int64_t turn_id, const char *error, bool count_try,
		     int64_t max_tries, msg_fn *failed, void *ctx, struct err *e)
{
	static const char count[] =
		"UPDATE messages SET tries = tries + ?2 WHERE turn_id = ?1 AND state = 2";
	static const char back[] = "UPDATE messages SET state = 1 WHERE turn_id = ?1 AND state = 2";
	static const char end[] = "UPDATE turns SET ended_ms = ?2, error = nullif(?3, '')"
				  " WHERE id = ?1 AND ended_ms IS NULL";
	_cleanup_stmt_ sqlite3_stmt *c = store_write(st, count, e);
	_cleanup_stmt_ sqlite3_stmt *b = c ? store_write(st, back, e) : NULL;
	_cleanup_stmt_ sqlite3_stmt *t = b ? store_write(st, end, e) : NULL;

	if (!t)
		return -1;
	sqlite3_bind_int64(c, 1, turn_id);
	sqlite3_bind_int(c, 2, count_try);
	if (store_done(st, c, e) < 0)
		return -1;
	if (count_try && fail_spent(st, turn_id, max_tries, failed, ctx, e) < 0)
		return -1;
	sqlite3_bind_int64(b, 1, turn_id);
	if (store_done(st, b, e) < 0)
		return -1;
	sqlite3_bind_int64(t, 1, turn_id);
	sqlite3_bind_int64(t, 2, store_now(st));
	bind_text(t, 3, error);
	return store_done(st, t, e) < 0 ? -1 : store_index_batch(st, e);
}

int store_fail_pending(struct store *st, int64_t group_id, const char *session, msg_fn *failed,
		       void *ctx, struct err *e)
{
	/* Two conditions, for each has an index of its own. */
	static const char list[] =
		"SELECT " MSG_COLUMNS " FROM messages m WHERE m.id IN (SELECT id FROM messages"
		"  WHERE group_id = ?1 AND session = ?2 AND state = 1 UNION ALL SELECT id FROM messages"
		"  WHERE state = 5 AND group_id = ?1 AND session = ?2) ORDER BY m.id";
	static const char ready[] =
		"UPDATE messages SET state = 4 WHERE group_id = ?1 AND session = ?2 AND state = 1";
	static const char fetching[] =
		"UPDATE messages SET state = 4 WHERE state = 5 AND group_id = ?1 AND session = ?2";
	_cleanup_stmt_ sqlite3_stmt *l = store_read(st, list, e);
	_cleanup_stmt_ sqlite3_stmt *r = l ? store_write(st, ready, e) : NULL;
	_cleanup_stmt_ sqlite3_stmt *f = r ? store_write(st, fetching, e) : NULL;
	sqlite3_stmt *const all[] = {l, r, f};

	if (!f)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		sqlite3_bind_int64(all[i], 1, group_id);
		bind_text(all[i], 2, session);
	}
	if (store_each_msg(st, l, failed, ctx, e) < 0 || store_done(st, r, e) < 0)
		return -1;
	return store_done(st, f, e);
}

int store_recover(struct store *st, int64_t max_tries, msg_fn *failed, void *ctx, struct err *e)
{
	static const char sql[] = "SELECT min(id) FROM turns WHERE ended_ms IS NULL";

	for (;;) {
		_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);
		int64_t turn;

		if (!s || store_step(st, s, e) < 0)
			return -1;
		turn = sqlite3_column_int64(s, 0);
		if (turn == 0)
			return 0;
		sqlite3_reset(s);
		if (store_turn_close(st, turn, "the server stopped during this turn", true,
				     max_tries, failed, ctx, e) < 0)
			return -1;
	}
}

int store_usage_add(struct store *st, const struct usage_new *u, struct err *e)
{
	static const char sql[] =
		"INSERT INTO usage(at_ms, turn_id, group_id, model, input, output,"
		" cache_read, cache_write, status)"
		" VALUES (?1, nullif(?2, 0), ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
	_cleanup_stmt_ sqlite3_stmt *s = store_write(st, sql, e);

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, store_now(st));
	sqlite3_bind_int64(s, 2, u->turn_id);
	sqlite3_bind_int64(s, 3, u->group_id);
	bind_text(s, 4, u->model);
	sqlite3_bind_int64(s, 5, u->input);
	sqlite3_bind_int64(s, 6, u->output);
	sqlite3_bind_int64(s, 7, u->cache_read);
	sqlite3_bind_int64(s, 8, u->cache_write);
	sqlite3_bind_int(s, 9, u->status);
	return store_done(st, s, e);
}

int store_usage_sum(struct store *st, int64_t group_id, int64_t since_ms, struct usage_sum *out,
		    struct err *e)
{
	/* By group, for the index: not the whole history for the sum of a day. */
	static const char sql[] =
		"SELECT count(*), coalesce(sum(input), 0), coalesce(sum(output), 0),"
		" coalesce(sum(cache_read), 0), coalesce(sum(cache_write), 0),"
		" count(DISTINCT turn_id) FROM groups g CROSS JOIN usage u"
		" WHERE (?1 = 0 OR g.id = ?1) AND u.group_id = g.id AND u.at_ms >= ?2";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, group_id);
	sqlite3_bind_int64(s, 2, since_ms);
	if (store_step(st, s, e) < 0)
		return -1;
	out->calls = sqlite3_column_int64(s, 0);
	out->input = sqlite3_column_int64(s, 1);
	out->output = sqlite3_column_int64(s, 2);
	out->cache_read = sqlite3_column_int64(s, 3);
	out->cache_write = sqlite3_column_int64(s, 4);
	out->turns = sqlite3_column_int64(s, 5);
	return 0;
}
