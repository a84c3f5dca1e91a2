// SPDX-License-Identifier: Apache-2.0
/*
 * Who is alone with the assistant in a direct chat, and the invitation that linking the chat of somebody unknown leaves: whoever writes there
 * first is to get a role. It exists so that a place in a group is always a row that somebody gave and that can be taken away.
 */
#include "base/str.h"
#include "store/impl.h"
#include "store/people_impl.h"

static int run(struct store *st, const char *sql, int64_t a, int64_t b, struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *s = store_write(st, sql, e);

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, a);
	sqlite3_bind_int64(s, 2, b);
	return store_done(st, s, e);
}

int store_chat_peer(struct store *st, int64_t chat_id, int64_t *sender_id, struct err *e)
{
	static const char sql[] = "SELECT " CHAT_PEER " FROM chats c WHERE c.id = ?1";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);
	int rc;

	*sender_id = 0;
	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, chat_id);
	rc = store_step(st, s, e);
	if (rc > 0)
		*sender_id = sqlite3_column_int64(s, 0);
	return rc < 0 ? -1 : 0;
}

int store_chat_invite(struct store *st, int64_t chat_id, const char *by, struct err *e)
{
	static const char sql[] = "UPDATE group_chats SET invited = ?2 WHERE chat_id = ?1";
	_cleanup_stmt_ sqlite3_stmt *s = store_write(st, sql, e);

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, chat_id);
	bind_text(s, 2, by);
	return store_done(st, s, e);
}

int store_chat_invited(struct store *st, int64_t chat_id, char *by, size_t cap, struct err *e)
{
	static const char sql[] = "SELECT invited FROM group_chats WHERE chat_id = ?1";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);
	int rc;

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, chat_id);
	rc = store_step(st, s, e);
	str_copy(by, cap, rc > 0 ? (const char *)sqlite3_column_text(s, 0) : "");
	by[str_utf8_floor(by, strlen(by))] = '\0';
	return rc < 0 ? -1 : 0;
}

int store_invites_withdraw(struct store *st, int64_t person_id, int64_t group_id, struct err *e)
{
	static const char sql[] =
		"UPDATE group_chats SET invited = '' WHERE invited <> ''"
		" AND (?2 = 0 OR group_id = ?2) AND chat_id IN (SELECT c.id FROM chats c"
		"  JOIN senders s ON s.channel = c.channel WHERE s.person_id = ?1)";

	return run(st, sql, person_id, group_id, e);
}

int store_person_chat(struct store *st, int64_t person_id, int64_t group_id, char *out, size_t cap,
		      struct err *e)
{
	static const char sql[] =
		"SELECT c.channel || ':' || c.platform_id FROM group_chats gc"
		" JOIN chats c ON c.id = gc.chat_id AND c.direct = 1 WHERE gc.group_id = ?2"
		" AND (SELECT person_id FROM senders WHERE id = " CHAT_PEER ") = ?1"
		" ORDER BY c.id LIMIT 1";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);
	int rc;

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, person_id);
	sqlite3_bind_int64(s, 2, group_id);
	rc = store_step(st, s, e);
	str_copy(out, cap, rc > 0 ? (const char *)sqlite3_column_text(s, 0) : "");
	return rc < 0 ? -1 : 0;
}
