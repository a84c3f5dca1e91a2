// SPDX-License-Identifier: Apache-2.0
/*
 * Groups with their settings, and agent sessions: which there are, and which session belongs to whom.
 */
#include "store/impl.h"
#include <string.h>
#include "base/str.h"

static void read_group(sqlite3_stmt *s, struct group_row *g)
{
	g->id = sqlite3_column_int64(s, 0);
	str_copy(g->name, sizeof(g->name), (const char *)sqlite3_column_text(s, 1));
	g->is_main = sqlite3_column_int(s, 2) != 0;
	g->paused = sqlite3_column_int(s, 3) != 0;
	g->removed = sqlite3_column_int64(s, 4) != 0;
}

#define GROUP_COLUMNS "SELECT id, name, is_main, paused, removed_ms FROM groups"

int store_group_get(struct store *st, const char *name, struct group_row *out, struct err *e)
{
	static const char sql[] = GROUP_COLUMNS " WHERE name = ?1 AND removed_ms = 0";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);
	int rc;

	if (!s)
		return -1;
	bind_text(s, 1, name);
	rc = store_step(st, s, e);
	if (rc < 0)
		return -1;
	if (rc == 0)
		return err_set(
			e, E_GONE,
			"there is no group \"%.64s\"; chela groups lists them, chela groups add makes one",
			name);
	read_group(s, out);
	return 0;
}

int store_group_taken(struct store *st, const char *name, bool *yes, struct err *e)
{
	static const char sql[] = "SELECT 1 FROM groups WHERE name = ?1";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);
	int rc;

	if (!s)
		return -1;
	bind_text(s, 1, name);
	rc = store_step(st, s, e);
	*yes = rc > 0;
	return rc < 0 ? -1 : 0;
}

int store_group_at(struct store *st, int64_t id, struct group_row *out, struct err *e)
{
	static const char sql[] = GROUP_COLUMNS " WHERE id = ?1";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);
	int rc;

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, id);
	rc = store_step(st, s, e);
	if (rc < 0)
		return -1;
	if (rc == 0)
		return err_set(e, E_GONE, "there is no group %lld", (long long)id);
	read_group(s, out);
	return 0;
}

/* A name whose old data is not all gone yet. */
static int refuse_purging(struct store *st, const char *name, struct err *e)
{
	static const char sql[] =
		"SELECT 1 FROM settings s JOIN groups g ON s.key = 'purge.' || g.id"
		" WHERE g.name = ?1";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);
	int rc;

	if (!s)
		return -1;
	bind_text(s, 1, name);
	rc = store_step(st, s, e);
	return rc <= 0 ? rc
		       : err_set(e, E_TEMP,
				 "the data of the old group \"%.64s\" is still being deleted; try "
				 "again in a moment",
				 name);
}

int store_group_ensure(struct store *st, const char *name, bool is_main, struct group_row *out,
		       struct err *e)
{
	static const char sql[] =
		"INSERT INTO groups(name, is_main, created_ms) VALUES (?1, ?2, ?3)"
		" ON CONFLICT(name) DO UPDATE SET removed_ms = 0 WHERE removed_ms <> 0";
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	struct err none = ERR_INIT;

	if (!str_is_name(name))
		return err_set(e, E_INVAL,
			       "\"%.64s\" is no group name: use a-z, 0-9, - and _, at most 64, "
			       "beginning with a letter or digit",
			       name);
	if (store_group_get(st, name, out, &none) == 0)
		return 0;
	if (none.code != E_GONE) {
		*e = none;
		return -1;
	}
	if (refuse_purging(st, name, e) < 0)
		return -1;
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
	static const char sql[] = GROUP_COLUMNS " WHERE removed_ms = 0 ORDER BY id";
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

int store_group_settings(struct store *st, int64_t group_id, char **json, struct err *e)
{
	static const char sql[] = "SELECT settings FROM groups WHERE id = ?1";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);
	int rc;

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, group_id);
	rc = store_step(st, s, e);
	if (rc < 0)
		return -1;
	if (rc == 0)
		return err_set(e, E_GONE, "there is no group %lld", (long long)group_id);
	*json = xstrdup((const char *)sqlite3_column_text(s, 0));
	return 0;
}

int store_group_settings_set(struct store *st, int64_t group_id, const char *json, struct err *e)
{
	static const char sql[] = "UPDATE groups SET settings = ?2 WHERE id = ?1";
	_cleanup_stmt_ sqlite3_stmt *s = store_write(st, sql, e);

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, group_id);
	bind_text(s, 2, json);
	if (store_done(st, s, e) < 0)
		return -1;
	if (sqlite3_changes(st->db) != 1)
		return err_set(e, E_GONE, "there is no group %lld", (long long)group_id);
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

int store_session_each(struct store *st, int64_t group_id, session_key_fn *fn, void *ctx,
		       struct err *e)
{
	static const char sql[] = "SELECT session FROM sessions WHERE group_id = ?1";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);
	int rc;

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, group_id);
	while ((rc = store_step(st, s, e)) > 0)
		fn(ctx, (const char *)sqlite3_column_text(s, 0));
	return rc;
}
