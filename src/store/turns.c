// SPDX-License-Identifier: Apache-2.0
/*
 * Turns and leases: which messages are in whose hands. It exists so that "answered" is a fact in
 * the database and never a guess from an exit code.
 */
#include "store/impl.h"

int store_turn_open(struct store *st, int64_t group_id, const char *session, int64_t *turn_id,
		    struct err *e)
{
	return sql_insert(st,
			  "INSERT INTO turns(group_id, session, started_ms) VALUES (?1, ?2, ?3)",
			  ARGS(group_id, session, store_now(st)), turn_id, e);
}

/* Runs a one-row update of a turn's message and insists that it changed one row. */
static int move_one(struct store *st, const char *sql, int64_t turn_id, int64_t msg_id,
		    const char *what, struct err *e)
{
	int n = sql_changed(st, sql, ARGS(turn_id, msg_id), e);

	if (n == 0)
		return err_set(e, E_BUG, "message %lld cannot be %s in turn %lld",
			       (long long)msg_id, what, (long long)turn_id);
	return n < 0 ? -1 : 0;
}

int store_lease(struct store *st, int64_t turn_id, int64_t msg_id, struct err *e)
{
	return move_one(st,
			"UPDATE messages SET state = 2, turn_id = ?1 WHERE id = ?2 AND state = 1",
			turn_id, msg_id, "leased", e);
}

#define LEASED " WHERE id = ?2 AND turn_id = ?1 AND state = 2"

int store_answered(struct store *st, int64_t turn_id, int64_t msg_id, struct err *e)
{
	return move_one(st, "UPDATE messages SET state = 3" LEASED, turn_id, msg_id, "answered", e);
}

int store_failed(struct store *st, int64_t turn_id, int64_t msg_id, struct err *e)
{
	return move_one(st, "UPDATE messages SET state = 4" LEASED, turn_id, msg_id, "failed", e);
}

int store_unlease(struct store *st, int64_t turn_id, int64_t msg_id, struct err *e)
{
	return move_one(st, "UPDATE messages SET state = 1" LEASED, turn_id, msg_id, "given back",
			e);
}

/* Tells of the leased messages that have no try left, then marks them failed. */
static int fail_spent(struct store *st, int64_t turn_id, int64_t max_tries, msg_fn *failed,
		      void *ctx, struct err *e)
{
	static const char list[] = "SELECT " MSG_COLUMNS " FROM messages m WHERE m.turn_id = ?1"
				   " AND m.state = 2 AND m.tries >= ?2 ORDER BY m.id";
	static const char mark[] =
		"UPDATE messages SET state = 4 WHERE turn_id = ?1 AND state = 2 AND tries >= ?2";
	sqlite3_stmt *s = sql_read(st, list, ARGS(turn_id, max_tries), e);

	if (store_each_msg(st, s, failed, ctx, e) < 0)
		return -1;
	return sql_run(st, mark, ARGS(turn_id, max_tries), e);
}

int store_turn_close(struct store *st, int64_t turn_id, const char *error, bool count_try,
		     int64_t max_tries, msg_fn *failed, void *ctx, struct err *e)
{
	static const char count[] =
		"UPDATE messages SET tries = tries + ?2 WHERE turn_id = ?1 AND state = 2";
	static const char back[] = "UPDATE messages SET state = 1 WHERE turn_id = ?1 AND state = 2";
	static const char end[] = "UPDATE turns SET ended_ms = ?2, error = nullif(?3, '')"
				  " WHERE id = ?1 AND ended_ms IS NULL";

	if (sql_run(st, count, ARGS(turn_id, count_try), e) < 0 ||
	    (count_try && fail_spent(st, turn_id, max_tries, failed, ctx, e) < 0) ||
	    sql_run(st, back, ARGS(turn_id), e) < 0 ||
	    sql_run(st, end, ARGS(turn_id, store_now(st), error), e) < 0)
		return -1;
	return store_index_batch(st, e);
}

int store_fail_pending(struct store *st, int64_t group_id, const char *session, msg_fn *failed,
		       void *ctx, struct err *e)
{
	/* Two conditions, for each has an index of its own. */
	static const char list[] =
		"SELECT " MSG_COLUMNS " FROM messages m WHERE m.id IN (SELECT id FROM messages"
		"  WHERE group_id = ?1 AND session = ?2 AND " MSG_OPEN
		" = 1 UNION ALL SELECT id FROM messages"
		"  WHERE state = 5 AND group_id = ?1 AND session = ?2) ORDER BY m.id";
	static const char ready[] =
		"UPDATE messages SET state = 4 WHERE group_id = ?1 AND session = ?2 AND " MSG_OPEN
		" = 1";
	static const char fetching[] =
		"UPDATE messages SET state = 4 WHERE state = 5 AND group_id = ?1 AND session = ?2";
	/* In the transaction from the start: whoever is told of them writes. */
	sqlite3_stmt *s = sql_write(st, list, ARGS(group_id, session), e);

	if (store_each_msg(st, s, failed, ctx, e) < 0 ||
	    sql_run(st, ready, ARGS(group_id, session), e) < 0)
		return -1;
	return sql_run(st, fetching, ARGS(group_id, session), e);
}

int store_recover(struct store *st, int64_t max_tries, msg_fn *failed, void *ctx, struct err *e)
{
	/* Those that hold messages; and what ended without its end on record (a summary has no message), as far back as it can be. */
	static const char sql[] =
		"SELECT min(id) FROM (SELECT min(turn_id) AS id FROM messages WHERE " MSG_OPEN
		" = 2"
		" UNION ALL SELECT min(id) FROM turns WHERE ended_ms IS NULL"
		" AND id > (SELECT max(id) FROM turns) - 10000)";
	int64_t turn;

	for (;;) {
		if (sql_get(st, sql, NULL, COLS(&turn), e) < 0)
			return -1;
		if (turn == 0)
			return 0;
		if (store_turn_close(st, turn, "the server stopped during this turn", true,
				     max_tries, failed, ctx, e) < 0)
			return -1;
	}
}
