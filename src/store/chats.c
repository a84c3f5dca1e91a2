// SPDX-License-Identifier: Apache-2.0
/*
 * Chats: which there are, which group each belongs to, and those that nobody linked. A stranger who can write to us can make rows here, so their
 * number has a bound.
 */
#include "store/impl.h"
#include "store/people_impl.h"
#include <string.h>
#include "base/str.h"

#define CHAT_COLUMNS                                                                               \
	"SELECT c.id, coalesce(gc.group_id, 0), c.channel, c.platform_id, c.direct, c.seen_ms,"    \
	" c.title, coalesce(gc.invited <> '', 0)"
#define CHAT_TABLES " FROM chats c LEFT JOIN group_chats gc ON gc.chat_id = c.id"

static void read_columns(sqlite3_stmt *s, struct chat_row *out)
{
	out->id = sqlite3_column_int64(s, 0);
	out->group_id = sqlite3_column_int64(s, 1);
	str_copy(out->channel, sizeof(out->channel), (const char *)sqlite3_column_text(s, 2));
	str_copy(out->platform_id, sizeof(out->platform_id),
		 (const char *)sqlite3_column_text(s, 3));
	out->direct = sqlite3_column_int(s, 4) != 0;
	out->seen_ms = sqlite3_column_int64(s, 5);
	out->invited = sqlite3_column_int(s, 7) != 0;
}

static int read_chat(struct store *st, sqlite3_stmt *s, struct chat_row *out, struct err *e)
{
	int rc = store_step(st, s, e);

	if (rc < 0)
		return -1;
	if (rc == 0)
		return err_set(e, E_GONE, "there is no such chat");
	read_columns(s, out);
	return 0;
}

int store_chat_get(struct store *st, int64_t id, struct chat_row *out, struct err *e)
{
	static const char sql[] = CHAT_COLUMNS CHAT_TABLES " WHERE c.id = ?1";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, id);
	return read_chat(st, s, out, e);
}

int store_chat_title(struct store *st, int64_t chat_id, char *out, size_t cap, struct err *e)
{
	static const char sql[] = "SELECT title FROM chats WHERE id = ?1";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);
	int rc;

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, chat_id);
	rc = store_step(st, s, e);
	str_copy(out, cap, rc > 0 ? (const char *)sqlite3_column_text(s, 0) : "");
	out[str_utf8_floor(out, strlen(out))] = '\0';
	return rc < 0 ? -1 : 0;
}

static sqlite3_stmt *find(struct store *st, const char *channel, const char *platform_id,
			  struct err *e)
{
	static const char sql[] =
		CHAT_COLUMNS CHAT_TABLES " WHERE c.channel = ?1 AND c.platform_id = ?2";
	sqlite3_stmt *s = store_read(st, sql, e);

	if (s) {
		bind_text(s, 1, channel);
		bind_text(s, 2, platform_id);
	}
	return s;
}

int store_chat_find(struct store *st, const char *channel, const char *platform_id,
		    struct chat_row *out, struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *s = find(st, channel, platform_id, e);

	return s ? read_chat(st, s, out, e) : -1;
}

int store_chat_ensure(struct store *st, const char *channel, const char *platform_id,
		      const char *title, struct chat_row *out, struct err *e)
{
	static const char sql[] = "INSERT INTO chats(channel, platform_id, title, created_ms)"
				  " VALUES (?1, ?2, ?3, ?4)";
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	struct err none = ERR_INIT;

	/* Read first: nearly every message comes from a chat that is known. */
	if (store_chat_find(st, channel, platform_id, out, &none) == 0)
		return 0;
	if (none.code != E_GONE) {
		*e = none;
		return -1;
	}
	s = store_write(st, sql, e);
	if (!s)
		return -1;
	bind_text(s, 1, channel);
	bind_text(s, 2, platform_id);
	bind_text(s, 3, title ? title : "");
	sqlite3_bind_int64(s, 4, store_now(st));
	if (store_done(st, s, e) < 0)
		return -1;
	return store_chat_find(st, channel, platform_id, out, e);
}

static int describe(struct store *st, int64_t id, const char *title, bool direct, struct err *e)
{
	static const char sql[] =
		"UPDATE chats SET title = iif(?2 = '', title, ?2), direct = ?3 WHERE id = ?1";
	_cleanup_stmt_ sqlite3_stmt *s = store_write(st, sql, e);

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, id);
	bind_text(s, 2, title);
	sqlite3_bind_int(s, 3, direct);
	return store_done(st, s, e);
}

int store_chat_seen(struct store *st, const char *channel, const char *platform_id,
		    const char *title, bool direct, struct chat_row *out, struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *s = find(st, channel, platform_id, e);
	struct err none = ERR_INIT;
	bool same;

	if (!s)
		return -1;
	if (read_chat(st, s, out, &none) == 0) {
		same = out->direct == direct &&
		       (!title[0] || streq(title, (const char *)sqlite3_column_text(s, 6)));
		out->direct = direct;
		return same ? 0 : describe(st, out->id, title, direct, e);
	}
	if (none.code != E_GONE) {
		*e = none;
		return -1;
	}
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
	_cleanup_stmt_ sqlite3_stmt *s = store_write(st, count, e);
	_cleanup_stmt_ sqlite3_stmt *p = s ? store_write(st, prune, e) : NULL;

	if (!p)
		return -1;
	sqlite3_bind_int64(s, 1, chat_id);
	sqlite3_bind_int64(s, 2, n);
	sqlite3_bind_int64(s, 3, store_now(st));
	sqlite3_bind_int64(p, 1, keep);
	return store_done(st, s, e) < 0 ? -1 : store_done(st, p, e);
}

int store_chat_link(struct store *st, int64_t chat_id, int64_t group_id, struct err *e)
{
	static const char sql[] =
		"INSERT INTO group_chats(chat_id, group_id) VALUES (?1, ?2)"
		" ON CONFLICT(chat_id) DO UPDATE SET group_id = excluded.group_id, invited = ''";
	_cleanup_stmt_ sqlite3_stmt *s = store_write(st, sql, e);

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, chat_id);
	sqlite3_bind_int64(s, 2, group_id);
	return store_done(st, s, e);
}

int store_chat_unlink(struct store *st, int64_t chat_id, struct err *e)
{
	static const char sql[] = "DELETE FROM group_chats WHERE chat_id = ?1";
	_cleanup_stmt_ sqlite3_stmt *s = store_write(st, sql, e);

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, chat_id);
	return store_done(st, s, e);
}

int store_chat_each(struct store *st, int64_t group_id, chat_info_fn *fn, void *ctx, struct err *e)
{
	static const char sql[] = CHAT_COLUMNS
		", c.refused, coalesce(g.name, ''), max(c.seen_ms, coalesce((SELECT stored_ms FROM"
		" messages m WHERE m.chat_id = c.id ORDER BY m.id DESC LIMIT 1), 0))" CHAT_TABLES
		" LEFT JOIN groups g ON g.id = gc.group_id WHERE ?1 = 0 OR gc.group_id = ?1"
		" ORDER BY c.channel, c.id";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);
	struct chat_info c;
	int rc;

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, group_id);
	while ((rc = store_step(st, s, e)) > 0) {
		read_columns(s, &c.chat);
		c.title = (const char *)sqlite3_column_text(s, 6);
		c.refused = sqlite3_column_int64(s, 8);
		c.group = (const char *)sqlite3_column_text(s, 9);
		c.last_ms = sqlite3_column_int64(s, 10);
		fn(ctx, &c);
	}
	return rc;
}

int store_chat_newest(struct store *st, const char *channel, chat_newest_fn *fn, void *ctx,
		      struct err *e)
{
	static const char sql[] =
		"SELECT c.platform_id, coalesce(m.platform_id, ''), coalesce(m.sent_ms, 0)"
		" FROM chats c JOIN group_chats gc ON gc.chat_id = c.id"
		" LEFT JOIN messages m ON m.id = (SELECT n.id FROM messages n"
		"  WHERE n.chat_id = c.id AND n.dir = 0 AND substr(n.platform_id, 1, 6) <> '" MSG_EVENT
		"' ORDER BY n.id DESC LIMIT 1) WHERE c.channel = ?1 ORDER BY c.id";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);
	int rc;

	if (!s)
		return -1;
	bind_text(s, 1, channel);
	while ((rc = store_step(st, s, e)) > 0)
		fn(ctx, (const char *)sqlite3_column_text(s, 0),
		   (const char *)sqlite3_column_text(s, 1), sqlite3_column_int64(s, 2));
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
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);
	int rc;

	*chat_id = *group_id = 0;
	if (!s)
		return -1;
	rc = store_step(st, s, e);
	if (rc <= 0)
		return rc;
	*chat_id = sqlite3_column_int64(s, 0);
	*group_id = sqlite3_column_int64(s, 1);
	return 0;
}
