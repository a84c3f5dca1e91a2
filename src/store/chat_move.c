// SPDX-License-Identifier: Apache-2.0
/*
 * A chat that its platform gave a new id (Telegram: a group that became a supergroup). The row keeps its history and its group; when messages under the
 * new id came first, what is to be sent and the group go over to that row.
 */
#include "store/impl.h"

static int find_chat(struct store *st, const char *channel, const char *id, int64_t *out,
		     struct err *e)
{
	static const char sql[] = "SELECT id FROM chats WHERE channel = ?1 AND platform_id = ?2";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);
	int rc;

	*out = 0;
	if (!s)
		return -1;
	bind_text(s, 1, channel);
	bind_text(s, 2, id);
	rc = store_step(st, s, e);
	if (rc > 0)
		*out = sqlite3_column_int64(s, 0);
	return rc < 0 ? -1 : 0;
}

static int run(struct store *st, const char *sql, int64_t from, int64_t to, const char *text,
	       int64_t but, struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *s = store_write(st, sql, e);

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, from);
	if (sqlite3_bind_parameter_count(s) > 1) {
		if (text)
			bind_text(s, 2, text);
		else
			sqlite3_bind_int64(s, 2, to);
	}
	if (sqlite3_bind_parameter_count(s) > 2)
		sqlite3_bind_int64(s, 3, but);
	return store_done(st, s, e);
}

int store_chat_move(struct store *st, const char *channel, const char *id, const char *new_id,
		    int64_t but, int64_t *from, int64_t *to, struct err *e)
{
	static const char rename[] = "UPDATE chats SET platform_id = ?2 WHERE id = ?1";
	/* A row that is being sent stays: under the new chat it would be sent a second time. */
	static const char outbox[] =
		"UPDATE outbox SET chat_id = ?2 WHERE chat_id = ?1 AND state < 2 AND state = 0"
		" AND id != ?3"; /* state < 2: the words of the partial index */
	static const char link[] =
		"INSERT OR IGNORE INTO group_chats(chat_id, group_id, invited)"
		" SELECT ?2, group_id, invited FROM group_chats WHERE chat_id = ?1";
	static const char unlink[] = "DELETE FROM group_chats WHERE chat_id = ?1";
	static const char tasks[] = "UPDATE tasks SET chat_id = ?2 WHERE chat_id = ?1";
	static const char asked[] =
		"UPDATE OR IGNORE approvals SET chat_id = ?2 WHERE chat_id = ?1";

	if (find_chat(st, channel, id, from, e) < 0 || find_chat(st, channel, new_id, to, e) < 0)
		return -1;
	if (!*from || *from == *to)
		return 0;
	if (!*to) {
		*to = *from;
		return run(st, rename, *from, 0, new_id, 0, e);
	}
	if (run(st, outbox, *from, *to, NULL, but, e) < 0 ||
	    run(st, link, *from, *to, NULL, 0, e) < 0 ||
	    run(st, tasks, *from, *to, NULL, 0, e) < 0 ||
	    run(st, asked, *from, *to, NULL, 0, e) < 0)
		return -1;
	return run(st, unlink, *from, 0, NULL, 0, e);
}
