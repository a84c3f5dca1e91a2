// SPDX-License-Identifier: Apache-2.0
/*
 * What tools may learn of, and do to, a message of the history: its text after an edit, who wrote it, and how it was sent. The index follows a
 * new text by itself (a trigger of the schema).
 */
#include "base/str.h"
#include "store/impl.h"

int store_message_set_text(struct store *st, int64_t id, const char *text, struct err *e)
{
	static const char sql[] = "UPDATE messages SET text = ?2 WHERE id = ?1";
	_cleanup_stmt_ sqlite3_stmt *s = store_write(st, sql, e);

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, id);
	bind_text(s, 2, text);
	return store_done(st, s, e);
}

int store_message_author(struct store *st, int64_t id, char out[128], struct err *e)
{
	static const char sql[] = "SELECT s.platform_id FROM messages m JOIN senders s"
				  " ON s.id = m.sender_id WHERE m.id = ?1";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);
	int rc;

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, id);
	rc = store_step(st, s, e);
	if (rc < 0)
		return -1;
	if (!rc || !str_copy(out, 128, (const char *)sqlite3_column_text(s, 0)))
		out[0] = '\0';
	return 0;
}

int store_message_is_by(struct store *st, int64_t id, const char *person, const char *alt,
			bool *yes, struct err *e)
{
	static const char sql[] =
		"SELECT 1 FROM messages m JOIN senders s ON s.id = m.sender_id WHERE m.id = ?1"
		" AND (s.platform_id IN (?2, ?3) OR (s.alt != '' AND s.alt IN (?2, ?3)))";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);
	int rc;

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, id);
	bind_text(s, 2, person);
	bind_text(s, 3, alt);
	rc = store_step(st, s, e);
	*yes = rc > 0;
	return rc < 0 ? -1 : 0;
}

int store_out_shape(struct store *st, int64_t message_id, struct out_shape *out, struct err *e)
{
	static const char sql[] =
		"SELECT count(*), ifnull(sum(state = 2), 0), ifnull(max(op), 0) FROM outbox"
		" WHERE message_id = ?1 AND op IN (0, 3, 4)";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, message_id);
	if (store_step(st, s, e) < 0)
		return -1;
	out->parts = sqlite3_column_int64(s, 0);
	out->sent = sqlite3_column_int64(s, 1);
	out->op = sqlite3_column_int(s, 2);
	return 0;
}
