// SPDX-License-Identifier: Apache-2.0
/*
 * What tools may learn of, and do to, a message of the history: its text after an edit, who wrote it, and how it was sent. The index follows a
 * new text by itself (a trigger of the schema).
 */
#include "store/impl.h"

int store_message_set_text(struct store *st, int64_t id, const char *text, struct err *e)
{
	return sql_run(st, "UPDATE messages SET text = ?2 WHERE id = ?1", ARGS(id, text), e);
}

int store_message_author(struct store *st, int64_t id, char out[128], struct err *e)
{
	return sql_get(st,
		       "SELECT s.platform_id FROM messages m JOIN senders s"
		       " ON s.id = m.sender_id WHERE m.id = ?1",
		       ARGS(id), COLS((char(*)[128])out), e);
}

int store_message_is_by(struct store *st, int64_t id, const char *person, const char *alt,
			bool *yes, struct err *e)
{
	return sql_get(st,
		       "SELECT 1 FROM messages m JOIN senders s ON s.id = m.sender_id"
		       " WHERE m.id = ?1"
		       " AND (s.platform_id IN (?2, ?3) OR (s.alt != '' AND s.alt IN (?2, ?3)))",
		       ARGS(id, person, alt), COLS(yes), e);
}

int store_out_shape(struct store *st, int64_t message_id, struct out_shape *out, struct err *e)
{
	return sql_get(st,
		       "SELECT count(*), ifnull(sum(state = 2), 0), ifnull(max(op), 0) FROM outbox"
		       " WHERE message_id = ?1 AND op IN (0, 3, 4)",
		       ARGS(message_id), COLS(&out->parts, &out->sent, &out->op), e);
}
