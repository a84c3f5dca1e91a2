// SPDX-License-Identifier: Apache-2.0
/* What one group's agent may do to another group; see grants.h. A group that was removed neither has grants nor is the object of one. */
#include "store/grants.h"
#include "store/impl.h"

int store_grant_add(struct store *st, int64_t group_id, const char *act, int64_t target_id,
		    const char *by, bool *fresh, struct err *e)
{
	static const char sql[] =
		"INSERT INTO grants(group_id, act, target_id, given_by, given_ms)"
		" VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT(group_id, act, target_id) DO NOTHING";
	_cleanup_stmt_ sqlite3_stmt *s = store_write(st, sql, e);

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, group_id);
	bind_text(s, 2, act);
	sqlite3_bind_int64(s, 3, target_id);
	bind_text(s, 4, by);
	sqlite3_bind_int64(s, 5, store_now(st));
	if (store_done(st, s, e) < 0)
		return -1;
	*fresh = sqlite3_changes(st->db) > 0;
	return 0;
}

int store_grant_remove(struct store *st, int64_t group_id, const char *act, int64_t target_id,
		       bool *was, struct err *e)
{
	static const char sql[] =
		"DELETE FROM grants WHERE group_id = ?1 AND act = ?2 AND target_id = ?3";
	_cleanup_stmt_ sqlite3_stmt *s = store_write(st, sql, e);

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, group_id);
	bind_text(s, 2, act);
	sqlite3_bind_int64(s, 3, target_id);
	if (store_done(st, s, e) < 0)
		return -1;
	*was = sqlite3_changes(st->db) > 0;
	return 0;
}

int store_grant_has(struct store *st, int64_t group_id, const char *act, int64_t target_id,
		    bool *yes, struct err *e)
{
	static const char sql[] =
		"SELECT 1 FROM grants JOIN groups g ON g.id = target_id"
		" WHERE group_id = ?1 AND act = ?2 AND target_id = ?3 AND g.removed_ms = 0";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);
	int rc;

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, group_id);
	bind_text(s, 2, act);
	sqlite3_bind_int64(s, 3, target_id);
	rc = store_step(st, s, e);
	*yes = rc > 0;
	return rc < 0 ? -1 : 0;
}

int store_grant_each(struct store *st, int64_t group_id, grant_fn *fn, void *ctx, struct err *e)
{
	static const char sql[] =
		"SELECT g.name, r.act, t.name, r.given_by, r.given_ms FROM grants r"
		" JOIN groups g ON g.id = r.group_id JOIN groups t ON t.id = r.target_id"
		" WHERE (?1 = 0 OR r.group_id = ?1) AND g.removed_ms = 0 AND t.removed_ms = 0"
		" ORDER BY g.name, r.act, t.name";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);
	int rc;

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, group_id);
	while ((rc = store_step(st, s, e)) > 0) {
		struct grant_row g = {
			.group = (const char *)sqlite3_column_text(s, 0),
			.act = (const char *)sqlite3_column_text(s, 1),
			.target = (const char *)sqlite3_column_text(s, 2),
			.by = (const char *)sqlite3_column_text(s, 3),
			.given_ms = sqlite3_column_int64(s, 4),
		};

		fn(ctx, &g);
	}
	return rc;
}
