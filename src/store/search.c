// SPDX-License-Identifier: Apache-2.0
/*
 * Full-text search and its index. The index is brought up to date in batches: when a turn ends, when much
 * has come, and before each search; so a message on its way to the agent does not pay for it (it
 * was a third of the work, and half of the bytes to be synced). What is indexed is read from the index itself (its
 * highest row), so there is no second record that could disagree. With it goes what
 * a person said last in each chat.
 */
#include "store/impl.h"
#include <ctype.h>
#include <string.h>
#include "base/buf.h"

/* In messages of 4 KiB: a batch at the end of a turn, and the most that may wait. */
#define INDEX_BATCH 64
#define INDEX_MAX   512
#define INDEX_BYTES 4096

int store_index(struct store *st, struct err *e)
{
	static const char sql[] =
		"INSERT INTO messages_fts(rowid, text) SELECT id, text FROM messages"
		" WHERE id > (SELECT coalesce(max(id), 0) FROM messages_fts_docsize) ORDER BY id";

	static const char said[] =
		"INSERT INTO said(chat_id, message_id) SELECT chat_id, max(id) FROM messages"
		" WHERE id > " INDEXED_UP_TO " AND " IS_SAID " GROUP BY chat_id"
		" ON CONFLICT DO UPDATE SET message_id = excluded.message_id";

	if (!st->unindexed)
		return 0;
	if (sql_run(st, said, NULL, e) < 0 || sql_run(st, sql, NULL, e) < 0)
		return -1;
	st->unindexed = 0;
	return 0;
}

int store_index_later(struct store *st, size_t text_len, struct err *e)
{
	st->unindexed += 1 + (int64_t)(text_len / INDEX_BYTES);
	return st->unindexed < INDEX_MAX ? 0 : store_index(st, e);
}

int store_index_batch(struct store *st, struct err *e)
{
	return st->unindexed < INDEX_BATCH ? 0 : store_index(st, e);
}

int store_index_open(struct store *st, struct err *e)
{
	static const char sql[] = "SELECT coalesce((SELECT max(id) FROM messages), 0)"
				  " > coalesce((SELECT max(id) FROM messages_fts_docsize), 0)";
	bool behind;

	if (sql_get(st, sql, NULL, COLS(&behind), e) < 0)
		return -1;
	/* How much text it is nobody counts: the next batch takes it. */
	st->unindexed = behind ? INDEX_BATCH : 0;
	return 0;
}

/* Each word becomes a quoted FTS5 string, so that no operator of FTS5 can be typed; "a phrase" stays one. */
static void fts_query(struct buf *out, const char *q)
{
	while (*q) {
		bool quoted = *q == '"';
		size_t n;

		if (isspace((unsigned char)*q)) {
			q++;
			continue;
		}
		if (quoted)
			q++;
		n = quoted ? strcspn(q, "\"") : strcspn(q, " \t\r\n\"");
		if (n) {
			buf_puts(out, out->len ? " \"" : "\"");
			buf_put(out, q, n);
			buf_puts(out, "\"");
		}
		q += n + (quoted && q[n] == '"');
	}
}

int store_search(struct store *st, int64_t group_id, const char *query, int64_t limit, msg_fn *fn,
		 void *ctx, struct err *e)
{
	static const char sql[] = "SELECT " MSG_COLUMNS " FROM messages_fts f"
				  " JOIN messages m ON m.id = f.rowid"
				  " WHERE messages_fts MATCH ?1 AND m.group_id = ?2"
				  " ORDER BY f.rowid DESC LIMIT ?3";
	_cleanup_(buf_free) struct buf q = {0};

	fts_query(&q, query);
	if (!q.len)
		return err_set(e, E_INVAL, "the search has no words");
	if (store_index(st, e) < 0)
		return -1;
	return store_each_msg(st, sql_read(st, sql, ARGS(q.p, group_id, limit), e), fn, ctx, e);
}
