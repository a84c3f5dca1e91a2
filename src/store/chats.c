// SPDX-License-Identifier: Apache-2.0
/*
 * Groups, chats, senders and agent sessions: who there is, and which session belongs to whom.
 */
#include "store/impl.h"
#include <string.h>
#include "base/str.h"

static void read_group(sqlite3_stmt *s, struct group_row *g)
{
	g->id = sqlite3_column_int64(s, 0);
	str_copy(g->name, sizeof(g->name), (const char *)sqlite3_column_text(s, 1));
	g->is_main = sqlite3_column_int(s, 2) != 0;
}

int store_group_get(struct store *st, const char *name, struct group_row *out, struct err *e)
{
	static const char sql[] = "SELECT id, name, is_main FROM groups WHERE name = ?1";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);
	int rc;

	if (!s)
		return -1;
	bind_text(s, 1, name);
	rc = store_step(st, s, e);
	if (rc < 0)
		return -1;
	if (rc == 0)
		return err_set(e, E_GONE, "there is no group \"%.64s\"", name);
	read_group(s, out);
	return 0;
}

int store_group_ensure(struct store *st, const char *name, bool is_main, struct group_row *out,
		       struct err *e)
{
	static const char sql[] =
		"INSERT INTO groups(name, is_main, created_ms) VALUES (?1, ?2, ?3)"
		" ON CONFLICT(name) DO NOTHING";
	_cleanup_stmt_ sqlite3_stmt *s = NULL;

	if (!str_is_name(name))
		return err_set(e, E_INVAL,
			       "\"%.64s\" is no group name: use a-z, 0-9, - and _, at most 64, "
			       "beginning with a letter or digit",
			       name);
	s = store_write(st, sql, e);
	if (!s)
		return -1;
	bind_text(s, 1, name);
	sqlite3_bind_int(s, 2, is_main);
	sqlite3_bind_int64(s, 3, store_now(st));
	if (store_done(st, s, e) < 0)
		return -1;
	return store_group_get(st, name, out, e);
}

int store_group_each(struct store *st, group_fn *fn, void *ctx, struct err *e)
{
	static const char sql[] = "SELECT id, name, is_main FROM groups ORDER BY id";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);
	struct group_row g;
	int rc;

	if (!s)
		return -1;
	while ((rc = store_step(st, s, e)) > 0) {
		read_group(s, &g);
		fn(ctx, &g);
	}
	return rc;
}

static int read_chat(struct store *st, sqlite3_stmt *s, struct chat_row *out, struct err *e)
{
	int rc = store_step(st, s, e);

	if (rc < 0)
		return -1;
	if (rc == 0)
		return err_set(e, E_GONE, "there is no such chat");
	out->id = sqlite3_column_int64(s, 0);
	out->group_id = sqlite3_column_int64(s, 1);
	str_copy(out->channel, sizeof(out->channel), (const char *)sqlite3_column_text(s, 2));
	str_copy(out->platform_id, sizeof(out->platform_id),
		 (const char *)sqlite3_column_text(s, 3));
	return 0;
}

#define CHAT_COLUMNS                                                                               \
	"SELECT c.id, coalesce(gc.group_id, 0), c.channel, c.platform_id FROM chats c"             \
	" LEFT JOIN group_chats gc ON gc.chat_id = c.id"

int store_chat_get(struct store *st, int64_t id, struct chat_row *out, struct err *e)
{
	static const char sql[] = CHAT_COLUMNS " WHERE c.id = ?1";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, id);
	return read_chat(st, s, out, e);
}

static int find_chat(struct store *st, const char *channel, const char *platform_id,
		     struct chat_row *out, struct err *e)
{
	static const char sql[] = CHAT_COLUMNS " WHERE c.channel = ?1 AND c.platform_id = ?2";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);

	if (!s)
		return -1;
	bind_text(s, 1, channel);
	bind_text(s, 2, platform_id);
	return read_chat(st, s, out, e);
}

int store_chat_ensure(struct store *st, const char *channel, const char *platform_id,
		      const char *title, struct chat_row *out, struct err *e)
{
	static const char sql[] = "INSERT INTO chats(channel, platform_id, title, created_ms)"
				  " VALUES (?1, ?2, ?3, ?4)";
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	struct err none = ERR_INIT;

	/* Read first: nearly every message comes from a chat that is known. */
	if (find_chat(st, channel, platform_id, out, &none) == 0)
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
	return find_chat(st, channel, platform_id, out, e);
}

int store_chat_link(struct store *st, int64_t chat_id, int64_t group_id, struct err *e)
{
	static const char sql[] =
		"INSERT INTO group_chats(chat_id, group_id) VALUES (?1, ?2)"
		" ON CONFLICT(chat_id) DO UPDATE SET group_id = excluded.group_id";
	_cleanup_stmt_ sqlite3_stmt *s = store_write(st, sql, e);

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, chat_id);
	sqlite3_bind_int64(s, 2, group_id);
	return store_done(st, s, e);
}

int store_sender_ensure(struct store *st, const char *channel, const char *platform_id,
			const char *name, int64_t *id, struct err *e)
{
	static const char find[] =
		"SELECT id, name FROM senders WHERE channel = ?1 AND platform_id = ?2";
	static const char put[] =
		"INSERT INTO senders(channel, platform_id, name) VALUES (?1, ?2, ?3)"
		" ON CONFLICT(channel, platform_id) DO UPDATE SET name = excluded.name"
		" RETURNING id";
	_cleanup_stmt_ sqlite3_stmt *f = store_read(st, find, e);
	_cleanup_stmt_ sqlite3_stmt *p = NULL;
	int rc;

	if (!f)
		return -1;
	bind_text(f, 1, channel);
	bind_text(f, 2, platform_id);
	rc = store_step(st, f, e);
	if (rc < 0)
		return -1;
	if (rc > 0 && (!name || !name[0] || streq(name, (const char *)sqlite3_column_text(f, 1)))) {
		*id = sqlite3_column_int64(f, 0);
		return 0;
	}
	p = store_write(st, put, e);
	if (!p)
		return -1;
	bind_text(p, 1, channel);
	bind_text(p, 2, platform_id);
	bind_text(p, 3, name ? name : "");
	rc = store_step(st, p, e);
	if (rc <= 0)
		return rc < 0 ? -1 : err_set(e, E_BUG, "database: no sender id came back");
	*id = sqlite3_column_int64(p, 0);
	return 0;
}

int store_session_get(struct store *st, int64_t group_id, const char *session, char out[37],
		      struct err *e)
{
	static const char sql[] =
		"SELECT session_id FROM sessions WHERE group_id = ?1 AND session = ?2";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);
	int rc;

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, group_id);
	bind_text(s, 2, session);
	rc = store_step(st, s, e);
	if (rc < 0)
		return -1;
	str_copy(out, 37, rc ? (const char *)sqlite3_column_text(s, 0) : "");
	return 0;
}

int store_session_set(struct store *st, int64_t group_id, const char *session, const char *id,
		      struct err *e)
{
	static const char put[] =
		"INSERT INTO sessions(group_id, session, session_id, started_ms)"
		" VALUES (?1, ?2, ?3, ?4) ON CONFLICT(group_id, session) DO UPDATE"
		" SET session_id = excluded.session_id, started_ms = excluded.started_ms"
		" WHERE session_id <> excluded.session_id";
	static const char del[] = "DELETE FROM sessions WHERE group_id = ?1 AND session = ?2";
	_cleanup_stmt_ sqlite3_stmt *s = store_write(st, id[0] ? put : del, e);

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, group_id);
	bind_text(s, 2, session);
	if (id[0]) {
		bind_text(s, 3, id);
		sqlite3_bind_int64(s, 4, store_now(st));
	}
	return store_done(st, s, e);
}

int store_main_chat(struct store *st, int64_t *chat_id, int64_t *group_id, struct err *e)
{
	static const char sql[] =
		"SELECT c.id, g.id FROM groups g JOIN group_chats gc ON gc.group_id = g.id"
		" JOIN chats c ON c.id = gc.chat_id WHERE g.is_main = 1"
		" ORDER BY c.channel = 'console', c.seen_ms DESC, c.id LIMIT 1";
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
