// SPDX-License-Identifier: Apache-2.0
/*
 * Who is alone with the assistant in a direct chat, and the invitation that linking the chat of somebody unknown leaves: whoever writes there
 * first is to get a role. It exists so that a place in a group is always a row that somebody gave and that can be taken away.
 */
#include "store/impl.h"
#include "store/people_impl.h"

int store_chat_peer(struct store *st, int64_t chat_id, int64_t *sender_id, struct err *e)
{
	return sql_get(st, "SELECT " CHAT_PEER " FROM chats c WHERE c.id = ?1", ARGS(chat_id),
		       COLS(sender_id), e);
}

int store_chat_invite(struct store *st, int64_t chat_id, const char *by, struct err *e)
{
	return sql_run(st, "UPDATE group_chats SET invited = ?2 WHERE chat_id = ?1",
		       ARGS(chat_id, by), e);
}

int store_chat_invited(struct store *st, int64_t chat_id, char *by, size_t cap, struct err *e)
{
	return sql_text(st, "SELECT invited FROM group_chats WHERE chat_id = ?1", ARGS(chat_id), by,
			cap, e);
}

int store_invites_withdraw(struct store *st, int64_t person_id, int64_t group_id, struct err *e)
{
	return sql_run(st,
		       "UPDATE group_chats SET invited = '' WHERE invited <> ''"
		       " AND (?2 = 0 OR group_id = ?2) AND chat_id IN (SELECT c.id FROM chats c"
		       "  JOIN senders s ON s.channel = c.channel WHERE s.person_id = ?1)",
		       ARGS(person_id, group_id), e);
}

int store_person_chat(struct store *st, int64_t person_id, int64_t group_id, char *out, size_t cap,
		      struct err *e)
{
	static const char sql[] =
		"SELECT c.channel || ':' || c.platform_id FROM group_chats gc"
		" JOIN chats c ON c.id = gc.chat_id AND c.direct = 1 WHERE gc.group_id = ?2"
		" AND (SELECT person_id FROM senders WHERE id = " CHAT_PEER ") = ?1"
		" ORDER BY c.id LIMIT 1";

	return sql_text(st, sql, ARGS(person_id, group_id), out, cap, e);
}
