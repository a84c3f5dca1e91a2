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

	if (sql_insert(st, sql,
		       ARGS(o->chat_id, o->group_id, o->thread, o->text, store_now(st), o->turn_id,
			    o->kind == OUT_NOTICE),
		       id, e) < 0)
		return -1;
	return store_index_later(st, strlen(o->text), e);
}

int store_out_add(struct store *st, const struct out_new *o, int64_t *id, int64_t *message_id,
		  struct err *e)
{
	static const char sql[] =
		"INSERT INTO outbox(chat_id, message_id, turn_id, kind, op, part, key, body, args)"
		" VALUES (?1, ?2, nullif(?3, 0), ?4, ?5, ?6, ?7, ?8, ?9)";
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
	return sql_insert(st, sql,
			  ARGS(o->chat_id, *message_id, o->turn_id, o->kind, o->op, o->part, key,
			       o->body, o->args),
			  id, e);
}

#define ROW                                                                                         \
	"o.id, o.chat_id, o.turn_id, o.message_id, o.tries, o.kind, o.state, o.op, o.part,"         \
	" o.again, o.key, m.thread, m.text, ifnull(o.body, m.text), o.args, o.next_ms, m.group_id," \
	" m.stored_ms"

static void read_row(sqlite3_stmt *s, struct out_row *r)
{
	*r = (struct out_row){0};
	sql_columns(s, COLS(&r->id, &r->chat_id, &r->turn_id, &r->message_id, &r->tries, &r->kind,
			    &r->state, &r->op, &r->part, &r->again, &r->key, &r->thread, &r->text,
			    &r->body, &r->args, &r->due_ms, &r->group_id, &r->made_ms));
	if (!r->args[0])
		r->args = NULL;
}

int store_out_next(struct store *st, int64_t chat_id, int64_t now_ms, out_fn *fn, void *ctx,
		   int64_t *due_ms, struct err *e)
{
	static const char sql[] =
		"SELECT " ROW " FROM outbox o JOIN messages m ON m.id = o.message_id"
		" WHERE o.chat_id = ?1 AND o.state < 2 ORDER BY o.id LIMIT 1";
	_cleanup_stmt_ sqlite3_stmt *s = sql_read(st, sql, ARGS(chat_id), e);
	struct out_row r;
	int rc = store_step(st, s, e);

	*due_ms = 0;
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
	_cleanup_stmt_ sqlite3_stmt *s = sql_read(st, sql, ARGS(all, limit), e);
	struct out_row r;
	int rc;

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
	_cleanup_stmt_ sqlite3_stmt *s = sql_read(st, sql, NULL, e);
	int64_t chat_id;
	int rc;

	while ((rc = sql_row(st, s, COLS(&chat_id), e)) > 0)
		fn(ctx, chat_id);
	return rc;
}

/* One row moves. */
static int set_out(struct store *st, const char *sql, const struct arg *args, int64_t id,
		   struct err *e)
{
	int n = sql_changed(st, sql, args, e);

	if (n == 0)
		return err_set(e, E_BUG, "outbox row %lld is not in the expected state",
			       (long long)id);
	return n < 0 ? -1 : 0;
}

int store_out_sending(struct store *st, int64_t id, struct err *e)
{
	static const char sql[] = "UPDATE outbox SET state = 1, next_ms = 0, error = NULL"
				  " WHERE id = ?1 AND state = 0";

	return set_out(st, sql, ARGS(id), id, e);
}

int store_out_sent(struct store *st, int64_t id, const char *platform_id, struct err *e)
{
	static const char sql[] = "UPDATE outbox SET state = 2, next_ms = 0, platform_id = ?2"
				  " WHERE id = ?1 AND ?2 IS NOT NULL";
	/* Only of a message of ours: a reaction is about somebody else's. */
	static const char msg[] =
		"UPDATE OR IGNORE messages SET platform_id = ?2 WHERE platform_id IS NULL"
		" AND dir = 1 AND id = (SELECT message_id FROM outbox WHERE id = ?1)";

	if (sql_run(st, msg, ARGS(id, platform_id), e) < 0)
		return -1;
	return set_out(st, sql, ARGS(id, platform_id), id, e);
}

int store_out_retry(struct store *st, int64_t id, int64_t next_ms, bool again, const char *why,
		    struct err *e)
{
	static const char sql[] = "UPDATE outbox SET state = 0, tries = tries + 1, next_ms = ?2,"
				  " error = ?3, again = iif(?4, 1, again)"
				  " WHERE id = ?1 AND state < 2";

	return set_out(st, sql, ARGS(id, next_ms, why, again), id, e);
}

int store_out_hold(struct store *st, int64_t id, int64_t next_ms, const char *why, struct err *e)
{
	static const char sql[] = "UPDATE outbox SET state = 0, next_ms = ?2, error = ?3"
				  " WHERE id = ?1 AND state < 2";

	return set_out(st, sql, ARGS(id, next_ms, why), id, e);
}

int store_out_dead(struct store *st, int64_t id, const char *class, const char *why, struct err *e)
{
	static const char sql[] = "UPDATE outbox SET state = 3, next_ms = 0, error = ?2,"
				  " class = ?3 WHERE id = ?1 AND state < 2";

	return set_out(st, sql, ARGS(id, why, class), id, e);
}

int store_out_recover(struct store *st, const char *channel, struct err *e)
{
	return sql_run(st,
		       "UPDATE outbox SET state = 0, again = 1,"
		       " error = 'the server stopped while this was being sent'"
		       " WHERE state < 2 AND state = 1"
		       " AND chat_id IN (SELECT id FROM chats WHERE channel = ?1)",
		       ARGS(channel), e);
}

static int no_letter(int64_t id, struct err *e)
{
	return err_set(e, E_GONE, "there is no dead letter %lld: see `chela outbox`",
		       (long long)id);
}

int store_out_revive(struct store *st, int64_t id, int64_t *chat_id, int64_t *n, struct err *e)
{
	static const char find[] = "SELECT chat_id FROM outbox WHERE id = ?1 AND state = 3";
	static const char sql[] = "UPDATE outbox SET state = 0, tries = 0, next_ms = 0"
				  " WHERE state > 2 AND state = 3 AND (id = ?1 OR ?1 = 0)";
	int rc;

	*chat_id = 0;
	rc = sql_one(st, find, ARGS(id), COLS(chat_id), e);
	if (rc == 0 && id)
		return no_letter(id, e);
	rc = rc < 0 ? -1 : sql_changed(st, sql, ARGS(id), e);
	if (rc < 0)
		return -1;
	*n = rc;
	return 0;
}

int store_out_drop(struct store *st, int64_t id, struct err *e)
{
	int n = sql_changed(st, "UPDATE outbox SET state = 4 WHERE id = ?1 AND state = 3", ARGS(id),
			    e);

	return n > 0 ? 0 : n < 0 ? -1 : no_letter(id, e);
}

int store_out_counts(struct store *st, int64_t by_state[6], struct err *e)
{
	/* As store_message_counts: what waits is counted in full. */
	static const char sql[] =
		"SELECT state, count(*), sum(again) FROM outbox WHERE state < 2 GROUP BY +state"
		" UNION ALL SELECT state, count(*), sum(again) FROM outbox WHERE state >= 2"
		" AND id > (SELECT max(id) FROM outbox) - ?1 GROUP BY +state";
	_cleanup_stmt_ sqlite3_stmt *s = sql_read(st, sql, ARGS(STORE_COUNTED), e);
	int64_t n, again;
	int rc, state;

	memset(by_state, 0, 6 * sizeof(by_state[0]));
	while ((rc = sql_row(st, s, COLS(&state, &n, &again), e)) > 0) {
		if (state >= 0 && state < 5)
			by_state[state] = n;
		by_state[5] += again;
	}
	return rc;
}
