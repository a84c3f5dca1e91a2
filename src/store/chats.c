// SPDX-License-Identifier: Apache-2.0
/*
 * Chats: which there are, which group each belongs to, and those that nobody linked. A stranger who can write to us can make rows here, so their
 * number has a bound.
 */
#include "store/impl.h"
#include "store/people_impl.h"
#include "base/str.h"

#define CHAT_COLUMNS                                                                               \
	"SELECT c.id, coalesce(gc.group_id, 0), c.channel, c.platform_id, c.direct, c.seen_ms,"    \
	" coalesce(gc.invited <> '', 0), c.title"
#define CHAT_TABLES " FROM chats c LEFT JOIN group_chats gc ON gc.chat_id = c.id"

#define CHAT_PLACES(c)                                                                             \
	&(c)->id, &(c)->group_id, &(c)->channel, &(c)->platform_id, &(c)->direct, &(c)->seen_ms,   \
		&(c)->invited

static const char find[] = CHAT_COLUMNS CHAT_TABLES " WHERE c.channel = ?1 AND c.platform_id = ?2";

/* What reading one chat came to. */
static int found(int rc, struct err *e)
{
	return rc > 0 ? 0 : rc < 0 ? -1 : err_set(e, E_GONE, "there is no such chat");
}

int store_chat_get(struct store *st, int64_t id, struct chat_row *out, struct err *e)
{
	static const char sql[] = CHAT_COLUMNS CHAT_TABLES " WHERE c.id = ?1";

	return found(sql_one(st, sql, ARGS(id), COLS(CHAT_PLACES(out)), e), e);
}

int store_chat_title(struct store *st, int64_t chat_id, char *out, size_t cap, struct err *e)
{
	return sql_text(st, "SELECT title FROM chats WHERE id = ?1", ARGS(chat_id), out, cap, e);
}

int store_chat_find(struct store *st, const char *channel, const char *platform_id,
		    struct chat_row *out, struct err *e)
{
	return found(sql_one(st, find, ARGS(channel, platform_id), COLS(CHAT_PLACES(out)), e), e);
}

int store_chat_ensure(struct store *st, const char *channel, const char *platform_id,
		      const char *title, struct chat_row *out, struct err *e)
{
	static const char sql[] = "INSERT INTO chats(channel, platform_id, title, created_ms)"
				  " VALUES (?1, ?2, ?3, ?4)";
	struct err none = ERR_INIT;

	/* Read first: nearly every message comes from a chat that is known. */
	if (store_chat_find(st, channel, platform_id, out, &none) == 0)
		return 0;
	if (none.code != E_GONE) {
		*e = none;
		return -1;
	}
	if (sql_run(st, sql, ARGS(channel, platform_id, title ? title : "", store_now(st)), e) < 0)
		return -1;
	return store_chat_find(st, channel, platform_id, out, e);
}

static int describe(struct store *st, int64_t id, const char *title, bool direct, struct err *e)
{
	return sql_run(
		st, "UPDATE chats SET title = iif(?2 = '', title, ?2), direct = ?3 WHERE id = ?1",
		ARGS(id, title, direct), e);
}

int store_chat_seen(struct store *st, const char *channel, const char *platform_id,
		    const char *title, bool direct, struct chat_row *out, struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *s = sql_read(st, find, ARGS(channel, platform_id), e);
	int rc = sql_row(st, s, COLS(CHAT_PLACES(out)), e);
	bool same = rc > 0 && out->direct == direct &&
		    (!title[0] || streq(title, (const char *)sqlite3_column_text(s, 7)));

	if (rc < 0)
		return -1;
	out->direct = direct;
	if (rc > 0)
		return same ? 0 : describe(st, out->id, title, direct, e);
	sqlite3_reset(s); /* it is used again below */
	if (store_chat_ensure(st, channel, platform_id, title, out, e) < 0)
		return -1;
	out->direct = direct;
	return direct ? describe(st, out->id, title, direct, e) : 0;
}

int store_chat_refused(struct store *st, int64_t chat_id, int64_t n, int64_t keep, struct err *e)
{
	static const char count[] =
		"UPDATE chats SET refused = refused + ?2, seen_ms = ?3 WHERE id = ?1";
	static const char prune[] =
		"DELETE FROM chats WHERE id IN (SELECT c.id FROM chats c WHERE c.refused > 0"
		" AND NOT EXISTS (SELECT 1 FROM group_chats g WHERE g.chat_id = c.id)"
		" AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.chat_id = c.id)"
		" AND NOT EXISTS (SELECT 1 FROM approvals a WHERE a.chat_id = c.id)"
		" ORDER BY c.seen_ms DESC, c.id DESC LIMIT -1 OFFSET ?1)"
		" AND NOT EXISTS (SELECT 1 FROM tasks t WHERE t.chat_id = chats.id)"
		" AND NOT EXISTS (SELECT 1 FROM drafts d WHERE d.chat_id = chats.id)";

	if (sql_run(st, count, ARGS(chat_id, n, store_now(st)), e) < 0)
		return -1;
	return sql_run(st, prune, ARGS(keep), e);
}

int store_chat_link(struct store *st, int64_t chat_id, int64_t group_id, struct err *e)
{
	return sql_run(st,
		       "INSERT INTO group_chats(chat_id, group_id) VALUES (?1, ?2)"
		       " ON CONFLICT(chat_id) DO UPDATE SET group_id = excluded.group_id,"
		       " invited = ''",
		       ARGS(chat_id, group_id), e);
}

int store_chat_unlink(struct store *st, int64_t chat_id, struct err *e)
{
	return sql_run(st, "DELETE FROM group_chats WHERE chat_id = ?1", ARGS(chat_id), e);
}

int store_chat_each(struct store *st, int64_t group_id, chat_info_fn *fn, void *ctx, struct err *e)
{
	static const char sql[] = CHAT_COLUMNS
		", c.refused, coalesce(g.name, ''), max(c.seen_ms, coalesce((SELECT stored_ms FROM"
		" messages m WHERE m.chat_id = c.id ORDER BY m.id DESC LIMIT 1), 0))" CHAT_TABLES
		" LEFT JOIN groups g ON g.id = gc.group_id WHERE ?1 = 0 OR gc.group_id = ?1"
		" ORDER BY c.channel, c.id";
	_cleanup_stmt_ sqlite3_stmt *s = sql_read(st, sql, ARGS(group_id), e);
	struct chat_info c;
	const struct col *cols =
		COLS(CHAT_PLACES(&c.chat), &c.title, &c.refused, &c.group, &c.last_ms);
	int rc;

	while ((rc = sql_row(st, s, cols, e)) > 0)
		fn(ctx, &c);
	return rc;
}

int store_chat_newest(struct store *st, const char *channel, chat_newest_fn *fn, void *ctx,
		      struct err *e)
{
	static const char sql[] =
		"SELECT c.platform_id, coalesce(m.platform_id, ''), coalesce(m.sent_ms, 0)"
		" FROM chats c JOIN group_chats gc ON gc.chat_id = c.id"
		" LEFT JOIN messages m ON m.id = " NEWEST_SAID(
			"c.id") " WHERE c.channel = ?1 ORDER BY c.id";
	_cleanup_stmt_ sqlite3_stmt *s = sql_read(st, sql, ARGS(channel), e);
	const char *platform_id, *last_id;
	int64_t last_ms;
	int rc;

	while ((rc = sql_row(st, s, COLS(&platform_id, &last_id, &last_ms), e)) > 0)
		fn(ctx, platform_id, last_id, last_ms);
	return rc;
}

int store_main_chat(struct store *st, int64_t *chat_id, int64_t *group_id, struct err *e)
{
	static const char sql[] =
		"SELECT c.id, g.id FROM groups g JOIN group_chats gc ON gc.group_id = g.id"
		" JOIN chats c ON c.id = gc.chat_id WHERE g.is_main = 1"
		/* Not to somebody alone who has no role there any more. */
		" AND NOT (c.direct AND c.channel <> 'console' AND " CHAT_PEER " <> 0"
		"  AND gc.invited = '' AND coalesce((SELECT iif(min(r.role) < 0, -1, max(r.role))"
		"   FROM roles r JOIN senders p ON p.person_id = r.person_id WHERE p.id = " CHAT_PEER
		"   AND r.group_id IN (0, g.id)), 0) <= 0)"
		" ORDER BY c.channel = 'console', (SELECT max(m.id) FROM messages m"
		"  WHERE m.chat_id = c.id) DESC, c.id LIMIT 1";

	return sql_get(st, sql, NULL, COLS(chat_id, group_id), e);
}
