// SPDX-License-Identifier: Apache-2.0
/*
 * Groups with their settings, and agent sessions: which there are, and which session belongs to whom.
 */
#include "store/impl.h"
#include "base/str.h"

#define GROUP_COLUMNS "SELECT id, name, is_main, paused, removed_ms <> 0 FROM groups"
#define GROUP_COLS(g) COLS(&(g)->id, &(g)->name, &(g)->is_main, &(g)->paused, &(g)->removed)

int store_group_get(struct store *st, const char *name, struct group_row *out, struct err *e)
{
	static const char sql[] = GROUP_COLUMNS " WHERE name = ?1 AND removed_ms = 0";
	int rc = sql_one(st, sql, ARGS(name), GROUP_COLS(out), e);

	if (rc == 0)
		return err_set(
			e, E_GONE,
			"there is no group \"%.64s\"; chela groups lists them, chela groups add makes one",
			name);
	return rc < 0 ? -1 : 0;
}

int store_group_taken(struct store *st, const char *name, bool *yes, struct err *e)
{
	return sql_get(st, "SELECT 1 FROM groups WHERE name = ?1", ARGS(name), COLS(yes), e);
}

int store_group_at(struct store *st, int64_t id, struct group_row *out, struct err *e)
{
	int rc = sql_one(st, GROUP_COLUMNS " WHERE id = ?1", ARGS(id), GROUP_COLS(out), e);

	return sql_found(rc, "group", id, e);
}

/* A name whose old data is not all gone yet. */
static int refuse_purging(struct store *st, const char *name, struct err *e)
{
	static const char sql[] =
		"SELECT 1 FROM settings s JOIN groups g ON s.key = 'purge.' || g.id"
		" WHERE g.name = ?1";
	bool yes;

	if (sql_get(st, sql, ARGS(name), COLS(&yes), e) < 0)
		return -1;
	return !yes ? 0
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
	if (refuse_purging(st, name, e) < 0 ||
	    sql_run(st, sql, ARGS(name, is_main, store_now(st)), e) < 0)
		return -1;
	return store_group_get(st, name, out, e);
}

int store_group_each(struct store *st, group_fn *fn, void *ctx, struct err *e)
{
	static const char sql[] = GROUP_COLUMNS " WHERE removed_ms = 0 ORDER BY id";
	_cleanup_stmt_ sqlite3_stmt *s = sql_read(st, sql, NULL, e);
	struct group_row g;
	int rc;

	while ((rc = sql_row(st, s, GROUP_COLS(&g), e)) > 0)
		fn(ctx, &g);
	return rc;
}

int store_group_settings(struct store *st, int64_t group_id, char **json, struct err *e)
{
	static const char sql[] = "SELECT settings FROM groups WHERE id = ?1";

	return sql_found(sql_one(st, sql, ARGS(group_id), COLS(json), e), "group", group_id, e);
}

int store_group_settings_set(struct store *st, int64_t group_id, const char *json, struct err *e)
{
	static const char sql[] = "UPDATE groups SET settings = ?2 WHERE id = ?1";

	return sql_found(sql_changed(st, sql, ARGS(group_id, json), e), "group", group_id, e);
}

int store_session_get(struct store *st, int64_t group_id, const char *session, char out[37],
		      struct err *e)
{
	return sql_get(st, "SELECT session_id FROM sessions WHERE group_id = ?1 AND session = ?2",
		       ARGS(group_id, session), COLS((char(*)[37])out), e);
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

	return id[0] ? sql_run(st, put, ARGS(group_id, session, id, store_now(st)), e)
		     : sql_run(st, del, ARGS(group_id, session), e);
}

int store_session_each(struct store *st, int64_t group_id, session_key_fn *fn, void *ctx,
		       struct err *e)
{
	static const char sql[] = "SELECT session FROM sessions WHERE group_id = ?1";
	_cleanup_stmt_ sqlite3_stmt *s = sql_read(st, sql, ARGS(group_id), e);
	const char *session;
	int rc;

	while ((rc = sql_row(st, s, COLS(&session), e)) > 0)
		fn(ctx, session);
	return rc;
}
