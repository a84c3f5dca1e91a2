// SPDX-License-Identifier: Apache-2.0
/*
 * Files that came with messages: what the platform said of each, and what became of it. The bytes are never here.
 */
#include "store/impl.h"

int store_file_add(struct store *st, const struct file_row *f, struct err *e)
{
	return sql_run(st,
		       "INSERT INTO files(message_id, name, mime, size, ref, voice)"
		       " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
		       ARGS(f->message_id, f->name, f->mime, f->size, f->ref, f->voice), e);
}

SQL_TELL(file, &row.id, &row.message_id, &row.size, &row.name, &row.mime, &row.ref, &row.voice,
	 &row.state, &row.path, &row.note)

int store_files(struct store *st, int64_t message_id, file_fn *fn, void *ctx, struct err *e)
{
	static const char sql[] = "SELECT id, message_id, size, name, mime, ref, voice, state,"
				  " path, note FROM files WHERE message_id = ?1 ORDER BY id";

	return tell_file(st, sql_read(st, sql, ARGS(message_id), e), fn, ctx, e) < 0 ? -1 : 0;
}

int store_file_done(struct store *st, const struct file_row *f, struct err *e)
{
	return sql_run(st,
		       "UPDATE files SET state = ?2, path = ?3, note = ?4, mime = ?5, size = ?6"
		       " WHERE id = ?1",
		       ARGS(f->id, f->state, f->path, f->note, f->mime, f->size), e);
}
