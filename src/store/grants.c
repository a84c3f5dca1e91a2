// SPDX-License-Identifier: Apache-2.0
/* What one group's agent may do to another group; see grants.h. A group that was removed neither has grants nor is the object of one. */
#include "store/grants.h"
#include "store/impl.h"

int store_grant_add(struct store *st, int64_t group_id, const char *act, int64_t target_id,
		    const char *by, bool *fresh, struct err *e)
{
	return sql_did(st,
		       "INSERT INTO grants(group_id, act, target_id, given_by, given_ms)"
		       " VALUES (?1, ?2, ?3, ?4, ?5)"
		       " ON CONFLICT(group_id, act, target_id) DO NOTHING",
		       ARGS(group_id, act, target_id, by, store_now(st)), fresh, e);
}

int store_grant_remove(struct store *st, int64_t group_id, const char *act, int64_t target_id,
		       bool *was, struct err *e)
{
	return sql_did(st, "DELETE FROM grants WHERE group_id = ?1 AND act = ?2 AND target_id = ?3",
		       ARGS(group_id, act, target_id), was, e);
}

int store_grant_has(struct store *st, int64_t group_id, const char *act, int64_t target_id,
		    bool *yes, struct err *e)
{
	return sql_get(st,
		       "SELECT 1 FROM grants JOIN groups g ON g.id = target_id"
		       " WHERE group_id = ?1 AND act = ?2 AND target_id = ?3 AND g.removed_ms = 0",
		       ARGS(group_id, act, target_id), COLS(yes), e);
}

SQL_TELL(grant, &row.group, &row.act, &row.target, &row.by, &row.given_ms)

int store_grant_each(struct store *st, int64_t group_id, grant_fn *fn, void *ctx, struct err *e)
{
	static const char sql[] =
		"SELECT g.name, r.act, t.name, r.given_by, r.given_ms FROM grants r"
		" JOIN groups g ON g.id = r.group_id JOIN groups t ON t.id = r.target_id"
		" WHERE (?1 = 0 OR r.group_id = ?1) AND g.removed_ms = 0 AND t.removed_ms = 0"
		" ORDER BY g.name, r.act, t.name";

	return tell_grant(st, sql_read(st, sql, ARGS(group_id), e), fn, ctx, e) < 0 ? -1 : 0;
}
