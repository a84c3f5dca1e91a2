// SPDX-License-Identifier: Apache-2.0
/*
 * Files that came with messages: what the platform said of each, and what became of it. The bytes are never here.
 */
#include "store/impl.h"

int store_file_add(struct store *st, const struct file_row *f, struct err *e)
{
	static const char sql[] = "INSERT INTO files(message_id, name, mime, size, ref, voice)"
				  " VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
	_cleanup_stmt_ sqlite3_stmt *s = store_write(st, sql, e);

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, f->message_id);
	bind_text(s, 2, f->name);
	bind_text(s, 3, f->mime);
	sqlite3_bind_int64(s, 4, f->size);
	bind_text(s, 5, f->ref);
	sqlite3_bind_int(s, 6, f->voice);
	return store_done(st, s, e);
}

int store_files(struct store *st, int64_t message_id, file_fn *fn, void *ctx, struct err *e)
{
	static const char sql[] = "SELECT id, message_id, size, name, mime, ref, voice, state,"
				  " path, note FROM files WHERE message_id = ?1 ORDER BY id";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);
	int rc;

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, message_id);
	while ((rc = store_step(st, s, e)) > 0) {
		struct file_row f = {
			.id = sqlite3_column_int64(s, 0),
			.message_id = sqlite3_column_int64(s, 1),
			.size = sqlite3_column_int64(s, 2),
			.name = (const char *)sqlite3_column_text(s, 3),
			.mime = (const char *)sqlite3_column_text(s, 4),
			.ref = (const char *)sqlite3_column_text(s, 5),
			.voice = sqlite3_column_int(s, 6) != 0,
			.state = (enum file_state)sqlite3_column_int(s, 7),
			.path = (const char *)sqlite3_column_text(s, 8),
			.note = (const char *)sqlite3_column_text(s, 9),
		};

		fn(ctx, &f);
	}
	return rc;
}

int store_file_done(struct store *st, const struct file_row *f, struct err *e)
{
	static const char sql[] = "UPDATE files SET state = ?2, path = ?3, note = ?4, mime = ?5,"
				  " size = ?6 WHERE id = ?1";
	_cleanup_stmt_ sqlite3_stmt *s = store_write(st, sql, e);

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, f->id);
	sqlite3_bind_int(s, 2, f->state);
	bind_text(s, 3, f->path);
	bind_text(s, 4, f->note);
	bind_text(s, 5, f->mime);
	sqlite3_bind_int64(s, 6, f->size);
	return store_done(st, s, e);
}
