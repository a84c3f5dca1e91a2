// SPDX-License-Identifier: Apache-2.0
/* Skills of groups; see skills.h. A row without a name says that the group has had its first skills. */
#include "store/skills.h"
#include "store/impl.h"

static int each(struct store *st, sqlite3_stmt *s, skill_row_fn *fn, void *ctx, struct err *e)
{
	int rc;

	while ((rc = store_step(st, s, e)) > 0) {
		struct skill_row row = {
			.group_id = sqlite3_column_int64(s, 0),
			.group = (const char *)sqlite3_column_text(s, 1),
			.skill = (const char *)sqlite3_column_text(s, 2),
			.hash = (const char *)sqlite3_column_text(s, 3),
			.by = (const char *)sqlite3_column_text(s, 4),
			.at_ms = sqlite3_column_int64(s, 5),
		};

		fn(ctx, &row);
	}
	return rc;
}

int store_skill_each(struct store *st, int64_t group_id, skill_row_fn *fn, void *ctx, struct err *e)
{
	static const char sql[] =
		"SELECT g.id, g.name, s.skill, s.hash, s.enabled_by, s.enabled_ms"
		" FROM group_skills s JOIN groups g ON g.id = s.group_id"
		" WHERE (?1 = 0 OR g.id = ?1) AND g.removed_ms = 0 AND s.skill <> ''"
		" ORDER BY g.name, s.skill";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, group_id);
	return each(st, s, fn, ctx, e);
}

int store_skill_uses(struct store *st, const char *skill, skill_row_fn *fn, void *ctx,
		     struct err *e)
{
	static const char sql[] = "SELECT g.id, g.name, s.skill, s.hash, '', s.first_ms"
				  " FROM skill_uses s JOIN groups g ON g.id = s.group_id"
				  " WHERE s.skill = ?1 ORDER BY s.first_ms DESC, g.name LIMIT 50";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);

	if (!s)
		return -1;
	bind_text(s, 1, skill);
	return each(st, s, fn, ctx, e);
}

/* Runs a statement that takes the group, the skill and up to two more words. */
static int change(struct store *st, sqlite3_stmt *s, int64_t group_id, const char *skill,
		  const char *hash, const char *by, struct err *e)
{
	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, group_id);
	bind_text(s, 2, skill);
	if (hash)
		bind_text(s, 3, hash);
	if (by)
		bind_text(s, 4, by);
	return store_done(st, s, e);
}

int store_skill_enable(struct store *st, int64_t group_id, const char *skill, const char *hash,
		       const char *by, struct err *e)
{
	static const char sql[] =
		"INSERT INTO group_skills(group_id, skill, hash, enabled_by, enabled_ms)"
		" VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT(group_id, skill)"
		" DO UPDATE SET hash = excluded.hash, enabled_by = excluded.enabled_by,"
		" enabled_ms = excluded.enabled_ms";
	_cleanup_stmt_ sqlite3_stmt *s = store_write(st, sql, e);

	if (s)
		sqlite3_bind_int64(s, 5, store_now(st));
	return change(st, s, group_id, skill, hash, by, e);
}

int store_skill_disable(struct store *st, int64_t group_id, const char *skill, bool *was,
			struct err *e)
{
	static const char sql[] = "DELETE FROM group_skills WHERE group_id = ?1 AND skill = ?2";
	_cleanup_stmt_ sqlite3_stmt *s = store_write(st, sql, e);

	if (change(st, s, group_id, skill, NULL, NULL, e) < 0)
		return -1;
	*was = sqlite3_changes(st->db) > 0;
	return 0;
}

int store_skill_changed(struct store *st, int64_t group_id, const char *skill, const char *hash,
			struct err *e)
{
	static const char sql[] =
		"UPDATE group_skills SET hash = ?3 WHERE group_id = ?1 AND skill = ?2";
	_cleanup_stmt_ sqlite3_stmt *s = store_write(st, sql, e);

	return change(st, s, group_id, skill, hash, NULL, e);
}

int store_skill_used(struct store *st, int64_t group_id, const char *skill, const char *hash,
		     struct err *e)
{
	static const char sql[] = "INSERT INTO skill_uses(group_id, skill, hash, first_ms)"
				  " VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
	_cleanup_stmt_ sqlite3_stmt *s = store_write(st, sql, e);

	if (s)
		sqlite3_bind_int64(s, 4, store_now(st));
	return change(st, s, group_id, skill, hash, NULL, e);
}

int store_skill_first(struct store *st, int64_t group_id, bool *first, struct err *e)
{
	static const char sql[] = "SELECT 1 FROM group_skills WHERE group_id = ?1 AND skill = ''";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);
	int rc;

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, group_id);
	rc = store_step(st, s, e);
	*first = rc == 0;
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	return store_skill_enable(st, group_id, "", "", "", e);
}
