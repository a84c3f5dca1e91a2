// SPDX-License-Identifier: Apache-2.0
/*
 * People, their roles, and the record of what was asked for. It must never raise anybody's role by itself: where two rows turn out to be one person,
 * blocked stays blocked.
 */
#include "store/people.h"
#include "base/str.h"
#include "store/impl.h"
#include "store/people_impl.h"

static const char *const words[] = {"blocked", "none", "guest", "member", "admin", "owner"};

const char *role_word(enum role r)
{
	return r < ROLE_BLOCKED || r > ROLE_OWNER ? "unknown" : words[r - ROLE_BLOCKED];
}

int role_of_word(const char *w)
{
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (streq(words[i], w))
			return (int)i + ROLE_BLOCKED;
	}
	return -2;
}

/* --- people ------------------------------------------------------------------------------- */

SQL_TELL(person, &row.id, &row.name, &row.role, &row.everywhere)

int store_person_each(struct store *st, int64_t group_id, person_fn *fn, void *ctx, struct err *e)
{
	static const char sql[] =
		"SELECT p.id, p.name, iif(?1 = 0, 0, coalesce(h.role, 0)), coalesce(w.role, 0)"
		" FROM people p LEFT JOIN roles h ON h.person_id = p.id AND h.group_id = ?1"
		" LEFT JOIN roles w ON w.person_id = p.id AND w.group_id = 0"
		" WHERE ?1 = 0 OR h.role IS NOT NULL OR w.role IS NOT NULL"
		" ORDER BY p.name COLLATE NOCASE, p.id";

	return tell_person(st, sql_read(st, sql, ARGS(group_id), e), fn, ctx, e) < 0 ? -1 : 0;
}

int store_person_get(struct store *st, int64_t id, person_fn *fn, void *ctx, struct err *e)
{
	static const char sql[] = "SELECT p.id, p.name, 0, coalesce(w.role, 0) FROM people p"
				  " LEFT JOIN roles w ON w.person_id = p.id AND w.group_id = 0"
				  " WHERE p.id = ?1";

	return sql_found(tell_person(st, sql_read(st, sql, ARGS(id), e), fn, ctx, e), "person", id,
			 e);
}

int store_person_named(struct store *st, const char *name, int64_t *id, int64_t *n, struct err *e)
{
	static const char sql[] =
		"SELECT coalesce(min(id), 0), count(*) FROM people WHERE name = ?1 COLLATE NOCASE";

	return sql_get(st, sql, ARGS(name), COLS(id, n), e);
}

int store_person_of(struct store *st, int64_t sender_id, int64_t *person_id, struct err *e)
{
	return sql_get(st, "SELECT coalesce(person_id, 0) FROM senders WHERE id = ?1",
		       ARGS(sender_id), COLS(person_id), e);
}

static int insert_person(struct store *st, int64_t sender_id, const char *name, int64_t *id,
			 struct err *e)
{
	static const char sql[] =
		"INSERT INTO people(name, created_ms) SELECT CASE WHEN ?2 <> '' THEN ?2"
		" WHEN name <> '' THEN name ELSE platform_id END, ?3 FROM senders WHERE id = ?1";

	if (sql_insert(st, sql, ARGS(sender_id, name, store_now(st)), id, e) < 0)
		return -1;
	return sql_found(*id > 0, "sender", sender_id, e);
}

int store_person_make(struct store *st, int64_t sender_id, const char *name, int64_t *person_id,
		      struct err *e)
{
	if (store_person_of(st, sender_id, person_id, e) < 0)
		return -1;
	if (*person_id)
		return 0;
	if (insert_person(st, sender_id, name, person_id, e) < 0)
		return -1;
	return store_sender_give(st, sender_id, *person_id, e);
}

int store_person_join(struct store *st, int64_t person_id, int64_t sender_id, struct err *e)
{
	return store_sender_give(st, sender_id, person_id, e);
}

int store_person_melt(struct store *st, int64_t from, int64_t into, struct err *e)
{
	static const char left[] = "SELECT 1 FROM senders WHERE person_id = ?1 LIMIT 1";
	static const char roles[] =
		"INSERT INTO roles(person_id, group_id, role, given_by, given_ms)"
		" SELECT ?2, group_id, role, given_by, given_ms FROM roles WHERE person_id = ?1"
		" ON CONFLICT(person_id, group_id) DO UPDATE SET role ="
		" iif(min(role, excluded.role) < 0, -1, max(role, excluded.role))";
	static const char gone[] = "DELETE FROM people WHERE id = ?1";
	bool has;

	if (sql_get(st, left, ARGS(from), COLS(&has), e) < 0)
		return -1;
	if (has)
		return 0;
	if (sql_run(st, roles, ARGS(from, into), e) < 0)
		return -1;
	return sql_run(st, gone, ARGS(from), e);
}

int store_person_forget(struct store *st, int64_t person_id, struct err *e)
{
	static const char leave[] = "UPDATE senders SET person_id = NULL WHERE person_id = ?1";
	static const char gone[] = "DELETE FROM people WHERE id = ?1";

	if (store_invites_withdraw(st, person_id, 0, e) < 0 ||
	    sql_run(st, leave, ARGS(person_id), e) < 0)
		return -1;
	return sql_found(sql_changed(st, gone, ARGS(person_id), e), "person", person_id, e);
}

/* --- roles -------------------------------------------------------------------------------- */

int store_role_row(struct store *st, int64_t person_id, int64_t group_id, enum role *out,
		   struct err *e)
{
	return sql_get(st, "SELECT role FROM roles WHERE person_id = ?1 AND group_id = ?2",
		       ARGS(person_id, group_id), COLS(out), e);
}

/* One statement: this is asked for each message. */
int store_role_in(struct store *st, int64_t person_id, int64_t group_id, enum role *out,
		  struct err *e)
{
	*out = ROLE_NONE;
	if (!person_id)
		return 0;
	return sql_get(st,
		       "SELECT iif(min(role) < 0, -1, max(role)) FROM roles"
		       " WHERE person_id = ?1 AND group_id IN (0, ?2)",
		       ARGS(person_id, group_id), COLS(out), e);
}

int store_role_set(struct store *st, int64_t person_id, int64_t group_id, enum role role,
		   const char *by, struct err *e)
{
	static const char put[] =
		"INSERT INTO roles(person_id, group_id, role, given_by, given_ms)"
		" VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT(person_id, group_id) DO UPDATE SET"
		" role = excluded.role, given_by = excluded.given_by, given_ms = excluded.given_ms";
	/* What waits is not heard any more either. A task's message is its run's to end. */
	static const char unheard[] =
		"UPDATE messages SET state = 4 WHERE " MSG_OPEN " = 1 AND (?2 = 0 OR group_id = ?2)"
		" AND task_run_id IS NULL AND sender_id IN"
		" (SELECT id FROM senders WHERE person_id = ?1)";
	static const char del[] = "DELETE FROM roles WHERE person_id = ?1 AND group_id = ?2";

	if (role == ROLE_NONE)
		return store_invites_withdraw(st, person_id, group_id, e) < 0
			       ? -1
			       : sql_run(st, del, ARGS(person_id, group_id), e);
	if (sql_run(st, put, ARGS(person_id, group_id, role, by, store_now(st)), e) < 0)
		return -1;
	return role == ROLE_BLOCKED ? sql_run(st, unheard, ARGS(person_id, group_id), e) : 0;
}

int store_role_each(struct store *st, int64_t person_id, role_fn *fn, void *ctx, struct err *e)
{
	static const char sql[] =
		"SELECT r.group_id, coalesce(g.name, ''), r.role, r.given_by FROM roles r"
		" LEFT JOIN groups g ON g.id = r.group_id WHERE r.person_id = ?1"
		" ORDER BY r.group_id";
	_cleanup_stmt_ sqlite3_stmt *s = sql_read(st, sql, ARGS(person_id), e);
	const char *group, *by;
	int64_t group_id;
	enum role role;
	int rc;

	while ((rc = sql_row(st, s, COLS(&group_id, &group, &role, &by), e)) > 0)
		fn(ctx, group_id, group, role, by);
	return rc;
}

int store_owners(struct store *st, int64_t *n, struct err *e)
{
	return sql_get(
		st,
		"SELECT count(DISTINCT person_id) FROM roles WHERE role = 4 AND (group_id = 0"
		" OR group_id = (SELECT id FROM groups WHERE is_main = 1))",
		NULL, COLS(n), e);
}

/* --- the record --------------------------------------------------------------------------- */

int store_act_add(struct store *st, const char *who, int64_t sender_id, int64_t group_id,
		  const char *via, const char *act, bool allowed, struct err *e)
{
	return sql_run(st,
		       "INSERT INTO acts(at_ms, who, sender_id, group_id, via, act, allowed)"
		       " VALUES (?1, ?2, nullif(?3, 0), ?4, ?5, ?6, ?7)",
		       ARGS(store_now(st), who, sender_id, group_id, via, act, allowed), e);
}
