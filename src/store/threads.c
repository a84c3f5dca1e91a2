// SPDX-License-Identifier: Apache-2.0
/*
 * What a message is surrounded by, for the inbox: the row that an event is about, what was said before, whether a thread is ours, and what waits for
 * its files. Each looks at the end of a chat only: a chat may have a million messages.
 */
#include "store/impl.h"

int store_message_find(struct store *st, int64_t chat_id, const char *platform_id, msg_fn *fn,
		       void *ctx, struct err *e)
{
	static const char whole[] = "SELECT " MSG_COLUMNS " FROM messages m WHERE m.chat_id = ?1"
				    " AND m.dir IN (0, 1) AND m.platform_id = ?2"
				    " ORDER BY m.id DESC LIMIT 1";
	static const char part[] =
		"SELECT " MSG_COLUMNS " FROM messages m WHERE m.id ="
		" (SELECT o.message_id FROM outbox o WHERE o.id > (SELECT max(id) FROM outbox) - 4000"
		"  AND o.chat_id = ?1 AND o.platform_id = ?2 ORDER BY o.id DESC LIMIT 1)";
	static const char *const sql[] = {whole, part};
	int n = 0;

	for (size_t i = 0; i < ARRAY_LEN(sql) && n == 0; i++)
		n = store_tell_msgs(st, sql_read(st, sql[i], ARGS(chat_id, platform_id), e), fn,
				    ctx, e);
	return n > 0 ? 0 : n < 0 ? -1 : err_set(e, E_GONE, "there is no such message");
}

int store_message_move(struct store *st, int64_t id, enum msg_state from, enum msg_state to,
		       bool *moved, struct err *e)
{
	return sql_did(st, "UPDATE messages SET state = ?3 WHERE id = ?1 AND state = ?2",
		       ARGS(id, from, to), moved, e);
}

/* Whether a message that came in has its own hand-in, with the context before it: one that only answered a question (no turn), failed or
 * was taken back has not. */
static bool ends_context(const struct msg_row *m)
{
	return m->dir == MSG_IN &&
	       (m->state == MSG_PENDING || m->state == MSG_LEASED || m->state == MSG_FETCHING ||
		(m->state == MSG_ANSWERED && m->turn_id));
}

int store_context(struct store *st, int64_t chat_id, const char *session, int64_t before,
		  int64_t since_ms, int64_t limit, msg_fn *fn, void *ctx, struct err *e)
{
	static const char sql[] =
		"SELECT " MSG_COLUMNS ", " MSG_OF_CHATS_GROUP
		" FROM messages m WHERE m.chat_id = ?1"
		" AND m.id < ?2 AND (m.dir = 1 OR m.session = ?3) ORDER BY m.id DESC LIMIT 200";
	_cleanup_stmt_ sqlite3_stmt *s = sql_read(st, sql, ARGS(chat_id, before, session), e);
	struct msg_row m;
	int rc = s ? 0 : -1;

	while (limit > 0 && (rc = store_step(st, s, e)) > 0) {
		store_read_msg(s, &m);
		if (ends_context(&m) || m.sent_ms < since_ms ||
		    !sqlite3_column_int(s, MSG_N_COLUMNS))
			return 0;
		if (m.dir == MSG_OUT || m.state != MSG_CONTEXT)
			continue;
		fn(ctx, &m);
		limit--;
	}
	return rc < 0 ? -1 : 0;
}

int store_spoke_in(struct store *st, int64_t chat_id, const char *thread, bool *yes, struct err *e)
{
	/* the words of the partial index messages_ours_in_threads: this is asked of every message of a thread */
	return sql_get(st,
		       "SELECT 1 FROM messages WHERE chat_id = ?1 AND thread = ?2"
		       " AND dir = 1 AND thread != '' LIMIT 1",
		       ARGS(chat_id, thread), COLS(yes), e);
}

int store_fetching(struct store *st, const char *channel, msg_fn *fn, void *ctx, struct err *e)
{
	static const char sql[] = "SELECT " MSG_COLUMNS " FROM messages m JOIN chats c"
				  " ON c.id = m.chat_id WHERE m.state = 5 AND c.channel = ?1"
				  " ORDER BY m.id";

	return store_each_msg(st, sql_read(st, sql, ARGS(channel), e), fn, ctx, e);
}
