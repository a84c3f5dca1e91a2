// SPDX-License-Identifier: Apache-2.0
/* Skills of groups; see skills.h. A row without a name says that the group has had its first skills. */
#include "store/skills.h"
#include "store/impl.h"

static int each(struct store *st, sqlite3_stmt *take, skill_row_fn *fn, void *ctx, struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *s = take;
	struct skill_row r;
	const struct col *cols = COLS(&r.group_id, &r.group, &r.skill, &r.hash, &r.by, &r.at_ms);
	int rc;

	while ((rc = sql_row(st, s, cols, e)) > 0)
		fn(ctx, &r);
	return rc;
}

int store_skill_each(struct store *st, int64_t group_id, skill_row_fn *fn, void *ctx, struct err *e)
{
	static const char sql[] =
		"SELECT g.id, g.name, s.skill, s.hash, s.enabled_by, s.enabled_ms"
		" FROM group_skills s JOIN groups g ON g.id = s.group_id"
		" WHERE (?1 = 0 OR g.id = ?1) AND g.removed_ms = 0 AND s.skill <> ''"
		" ORDER BY g.name, s.skill";

	return each(st, sql_read(st, sql, ARGS(group_id), e), fn, ctx, e);
}

int store_skill_uses(struct store *st, const char *skill, skill_row_fn *fn, void *ctx,
		     struct err *e)
{
	static const char sql[] = "SELECT g.id, g.name, s.skill, s.hash, '', s.first_ms"
				  " FROM skill_uses s JOIN groups g ON g.id = s.group_id"
				  " WHERE s.skill = ?1 ORDER BY s.first_ms DESC, g.name LIMIT 50";

	return each(st, sql_read(st, sql, ARGS(skill), e), fn, ctx, e);
}

int store_skill_enable(struct store *st, int64_t group_id, const char *skill, const char *hash,
		       const char *by, struct err *e)
{
	return sql_run(st,
		       "INSERT INTO group_skills(group_id, skill, hash, enabled_by, enabled_ms)"
		       " VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT(group_id, skill)"
		       " DO UPDATE SET hash = excluded.hash, enabled_by = excluded.enabled_by,"
		       " enabled_ms = excluded.enabled_ms",
		       ARGS(group_id, skill, hash, by, store_now(st)), e);
}

int store_skill_disable(struct store *st, int64_t group_id, const char *skill, bool *was,
			struct err *e)
{
	return sql_did(st, "DELETE FROM group_skills WHERE group_id = ?1 AND skill = ?2",
		       ARGS(group_id, skill), was, e);
}

int store_skill_changed(struct store *st, int64_t group_id, const char *skill, const char *hash,
			struct err *e)
{
	return sql_run(st, "UPDATE group_skills SET hash = ?3 WHERE group_id = ?1 AND skill = ?2",
		       ARGS(group_id, skill, hash), e);
}

int store_skill_used(struct store *st, int64_t group_id, const char *skill, const char *hash,
		     struct err *e)
{
	return sql_run(st,
		       "INSERT INTO skill_uses(group_id, skill, hash, first_ms)"
		       " VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
		       ARGS(group_id, skill, hash, store_now(st)), e);
}

int store_skill_first(struct store *st, int64_t group_id, bool *first, struct err *e)
{
	bool had;

	if (sql_get(st, "SELECT 1 FROM group_skills WHERE group_id = ?1 AND skill = ''",
		    ARGS(group_id), COLS(&had), e) < 0)
		return -1;
	*first = !had;
	return had ? 0 : store_skill_enable(st, group_id, "", "", "", e);
}
