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

static void read_person(sqlite3_stmt *s, struct person_row *p)
{
	*p = (struct person_row){
		.id = sqlite3_column_int64(s, 0),
		.name = (const char *)sqlite3_column_text(s, 1),
		.role = (enum role)sqlite3_column_int(s, 2),
		.everywhere = (enum role)sqlite3_column_int(s, 3),
	};
}

int store_person_each(struct store *st, int64_t group_id, person_fn *fn, void *ctx, struct err *e)
{
	static const char sql[] =
		"SELECT p.id, p.name, iif(?1 = 0, 0, coalesce(h.role, 0)), coalesce(w.role, 0)"
		" FROM people p LEFT JOIN roles h ON h.person_id = p.id AND h.group_id = ?1"
		" LEFT JOIN roles w ON w.person_id = p.id AND w.group_id = 0"
		" WHERE ?1 = 0 OR h.role IS NOT NULL OR w.role IS NOT NULL"
		" ORDER BY p.name COLLATE NOCASE, p.id";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);
	struct person_row p;
	int rc;

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, group_id);
	while ((rc = store_step(st, s, e)) > 0) {
		read_person(s, &p);
		fn(ctx, &p);
	}
	return rc;
}

int store_person_get(struct store *st, int64_t id, person_fn *fn, void *ctx, struct err *e)
{
	static const char sql[] = "SELECT p.id, p.name, 0, coalesce(w.role, 0) FROM people p"
				  " LEFT JOIN roles w ON w.person_id = p.id AND w.group_id = 0"
				  " WHERE p.id = ?1";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);
	struct person_row p;
	int rc;

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, id);
	rc = store_step(st, s, e);
	if (rc <= 0)
		return rc < 0 ? -1 : err_set(e, E_GONE, "there is no person %lld", (long long)id);
	read_person(s, &p);
	fn(ctx, &p);
	return 0;
}

int store_person_named(struct store *st, const char *name, int64_t *id, int64_t *n, struct err *e)
{
	static const char sql[] =
		"SELECT coalesce(min(id), 0), count(*) FROM people WHERE name = ?1 COLLATE NOCASE";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);

	if (!s)
		return -1;
	bind_text(s, 1, name);
	if (store_step(st, s, e) < 0)
		return -1;
	*id = sqlite3_column_int64(s, 0);
	*n = sqlite3_column_int64(s, 1);
	return 0;
}

int store_person_of(struct store *st, int64_t sender_id, int64_t *person_id, struct err *e)
{
	static const char sql[] = "SELECT coalesce(person_id, 0) FROM senders WHERE id = ?1";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);
	int rc;

	*person_id = 0;
	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, sender_id);
	rc = store_step(st, s, e);
	if (rc > 0)
		*person_id = sqlite3_column_int64(s, 0);
	return rc < 0 ? -1 : 0;
}

static int insert_person(struct store *st, int64_t sender_id, const char *name, int64_t *id,
			 struct err *e)
{
	static const char sql[] =
		"INSERT INTO people(name, created_ms) SELECT CASE WHEN ?2 <> '' THEN ?2"
		" WHEN name <> '' THEN name ELSE platform_id END, ?3 FROM senders WHERE id = ?1"
		" RETURNING id";
	_cleanup_stmt_ sqlite3_stmt *s = store_write(st, sql, e);
	int rc;

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, sender_id);
	bind_text(s, 2, name);
	sqlite3_bind_int64(s, 3, store_now(st));
	rc = store_step(st, s, e);
	if (rc < 0)
		return -1;
	if (rc == 0)
		return err_set(e, E_GONE, "there is no sender %lld", (long long)sender_id);
	*id = sqlite3_column_int64(s, 0);
	return 0;
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

static int run_two(struct store *st, const char *sql, int64_t a, int64_t b, struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *s = store_write(st, sql, e);

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, a);
	if (sqlite3_bind_parameter_count(s) > 1)
		sqlite3_bind_int64(s, 2, b);
	return store_done(st, s, e);
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
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, left, e);
	int rc;

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, from);
	rc = store_step(st, s, e);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	return run_two(st, roles, from, into, e) < 0 ? -1 : run_two(st, gone, from, 0, e);
}

int store_person_forget(struct store *st, int64_t person_id, struct err *e)
{
	static const char leave[] = "UPDATE senders SET person_id = NULL WHERE person_id = ?1";
	static const char gone[] = "DELETE FROM people WHERE id = ?1";

	if (store_invites_withdraw(st, person_id, 0, e) < 0 ||
	    run_two(st, leave, person_id, 0, e) < 0 || run_two(st, gone, person_id, 0, e) < 0)
		return -1;
	if (sqlite3_changes(st->db) != 1)
		return err_set(e, E_GONE, "there is no person %lld", (long long)person_id);
	return 0;
}

/* --- roles -------------------------------------------------------------------------------- */

int store_role_row(struct store *st, int64_t person_id, int64_t group_id, enum role *out,
		   struct err *e)
{
	static const char sql[] = "SELECT role FROM roles WHERE person_id = ?1 AND group_id = ?2";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);
	int rc;

	*out = ROLE_NONE;
	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, person_id);
	sqlite3_bind_int64(s, 2, group_id);
	rc = store_step(st, s, e);
	if (rc > 0)
		*out = (enum role)sqlite3_column_int(s, 0);
	return rc < 0 ? -1 : 0;
}

/* One statement: this is asked for each message. */
int store_role_in(struct store *st, int64_t person_id, int64_t group_id, enum role *out,
		  struct err *e)
{
	static const char sql[] = "SELECT iif(min(role) < 0, -1, max(role)) FROM roles"
				  " WHERE person_id = ?1 AND group_id IN (0, ?2)";
	_cleanup_stmt_ sqlite3_stmt *s = NULL;

	*out = ROLE_NONE;
	if (!person_id)
		return 0;
	s = store_read(st, sql, e);
	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, person_id);
	sqlite3_bind_int64(s, 2, group_id);
	if (store_step(st, s, e) < 0)
		return -1;
	if (sqlite3_column_type(s, 0) != SQLITE_NULL)
		*out = (enum role)sqlite3_column_int(s, 0);
	return 0;
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
		"UPDATE messages SET state = 4 WHERE state = 1 AND (?2 = 0 OR group_id = ?2)"
		" AND task_run_id IS NULL AND sender_id IN"
		" (SELECT id FROM senders WHERE person_id = ?1)";
	static const char del[] = "DELETE FROM roles WHERE person_id = ?1 AND group_id = ?2";
	_cleanup_stmt_ sqlite3_stmt *s = NULL;

	if (role == ROLE_NONE)
		return store_invites_withdraw(st, person_id, group_id, e) < 0
			       ? -1
			       : run_two(st, del, person_id, group_id, e);
	s = store_write(st, put, e);
	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, person_id);
	sqlite3_bind_int64(s, 2, group_id);
	sqlite3_bind_int(s, 3, (int)role);
	bind_text(s, 4, by);
	sqlite3_bind_int64(s, 5, store_now(st));
	if (store_done(st, s, e) < 0)
		return -1;
	return role == ROLE_BLOCKED ? run_two(st, unheard, person_id, group_id, e) : 0;
}

int store_role_each(struct store *st, int64_t person_id, role_fn *fn, void *ctx, struct err *e)
{
	static const char sql[] =
		"SELECT r.group_id, coalesce(g.name, ''), r.role, r.given_by FROM roles r"
		" LEFT JOIN groups g ON g.id = r.group_id WHERE r.person_id = ?1"
		" ORDER BY r.group_id";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);
	int rc;

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, person_id);
	while ((rc = store_step(st, s, e)) > 0)
		fn(ctx, sqlite3_column_int64(s, 0), (const char *)sqlite3_column_text(s, 1),
		   (enum role)sqlite3_column_int(s, 2), (const char *)sqlite3_column_text(s, 3));
	return rc;
}

int store_owners(struct store *st, int64_t *n, struct err *e)
{
	static const char sql[] =
		"SELECT count(DISTINCT person_id) FROM roles WHERE role = 4 AND (group_id = 0"
		" OR group_id = (SELECT id FROM groups WHERE is_main = 1))";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);

	if (!s || store_step(st, s, e) < 0)
		return -1;
	*n = sqlite3_column_int64(s, 0);
	return 0;
}

/* --- the record --------------------------------------------------------------------------- */

int store_act_add(struct store *st, const char *who, int64_t sender_id, int64_t group_id,
		  const char *via, const char *act, bool allowed, struct err *e)
{
	static const char sql[] =
		"INSERT INTO acts(at_ms, who, sender_id, group_id, via, act, allowed)"
		" VALUES (?1, ?2, nullif(?3, 0), ?4, ?5, ?6, ?7)";
	_cleanup_stmt_ sqlite3_stmt *s = store_write(st, sql, e);

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, store_now(st));
	bind_text(s, 2, who);
	sqlite3_bind_int64(s, 3, sender_id);
	sqlite3_bind_int64(s, 4, group_id);
	bind_text(s, 5, via);
	bind_text(s, 6, act);
	sqlite3_bind_int(s, 7, allowed);
	return store_done(st, s, e);
}
