// SPDX-License-Identifier: Apache-2.0
/*
 * A chat that its platform gave a new id (Telegram: a group that became a supergroup). The row keeps its history and its group; when messages under the
 * new id came first, what is to be sent and the group go over to that row.
 */
#include "store/impl.h"

int store_chat_move(struct store *st, const char *channel, const char *id, const char *new_id,
		    int64_t but, int64_t *from, int64_t *to, struct err *e)
{
	static const char find[] = "SELECT id FROM chats WHERE channel = ?1 AND platform_id = ?2";
	/* A row that is being sent stays: under the new chat it would be sent a second time. */
	static const char outbox[] =
		"UPDATE outbox SET chat_id = ?2 WHERE chat_id = ?1 AND state < 2 AND state = 0"
		" AND id != ?3"; /* state < 2: the words of the partial index */
	static const char *const rest[] = {
		"INSERT OR IGNORE INTO group_chats(chat_id, group_id, invited)"
		" SELECT ?2, group_id, invited FROM group_chats WHERE chat_id = ?1",
		"UPDATE tasks SET chat_id = ?2 WHERE chat_id = ?1",
		"UPDATE OR IGNORE approvals SET chat_id = ?2 WHERE chat_id = ?1",
	};

	if (sql_get(st, find, ARGS(channel, id), COLS(from), e) < 0 ||
	    sql_get(st, find, ARGS(channel, new_id), COLS(to), e) < 0)
		return -1;
	if (!*from || *from == *to)
		return 0;
	if (!*to) {
		*to = *from;
		return sql_run(st, "UPDATE chats SET platform_id = ?2 WHERE id = ?1",
			       ARGS(*from, new_id), e);
	}
	if (sql_run(st, outbox, ARGS(*from, *to, but), e) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(rest); i++) {
		if (sql_run(st, rest[i], ARGS(*from, *to), e) < 0)
			return -1;
	}
	return sql_run(st, "DELETE FROM group_chats WHERE chat_id = ?1", ARGS(*from), e);
}
