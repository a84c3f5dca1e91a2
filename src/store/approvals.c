// SPDX-License-Identifier: Apache-2.0
/* See approvals.h. */
#include "store/approvals.h"
#include "store/impl.h"

#define FORGET_MS ((int64_t)30 * 86400000) /* before what has expired */

const char *approval_state_word(enum approval_state s)
{
	static const char *const words[] = {"open", "granted", "denied", "expired", "stale"};

	return (size_t)s < ARRAY_LEN(words) ? words[s] : "unknown";
}

#define APPROVAL_COLUMNS                                                                           \
	"SELECT a.id, a.kind, a.chat_id, a.sender_id, a.payload, a.hash, a.state, a.asked_ms,"     \
	" coalesce(a.decided_ms, 0), coalesce(a.decided_by, ''),"                                  \
	" (SELECT count(*) FROM held h WHERE h.approval_id = a.id) FROM approvals a "

static void read_approval(sqlite3_stmt *s, struct approval_row *a)
{
	*a = (struct approval_row){
		.id = sqlite3_column_int64(s, 0),
		.kind = (enum approval_kind)sqlite3_column_int(s, 1),
		.chat_id = sqlite3_column_int64(s, 2),
		.sender_id = sqlite3_column_int64(s, 3),
		.payload = (const char *)sqlite3_column_text(s, 4),
		.hash = (const char *)sqlite3_column_text(s, 5),
		.state = (enum approval_state)sqlite3_column_int(s, 6),
		.asked_ms = sqlite3_column_int64(s, 7),
		.decided_ms = sqlite3_column_int64(s, 8),
		.decided_by = (const char *)sqlite3_column_text(s, 9),
		.held = sqlite3_column_int64(s, 10),
	};
}

/* One row with one number, or none. */
static int number(struct store *st, sqlite3_stmt *s, int64_t *out, struct err *e)
{
	int rc = store_step(st, s, e);

	*out = rc > 0 ? sqlite3_column_int64(s, 0) : 0;
	return rc < 0 ? -1 : 0;
}

int store_approval_add(struct store *st, const struct approval_row *a, int64_t *id, struct err *e)
{
	static const char sql[] =
		"INSERT INTO approvals(kind, chat_id, sender_id, payload, hash, asked_ms)"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING id";
	_cleanup_stmt_ sqlite3_stmt *s = store_write(st, sql, e);

	if (!s)
		return -1;
	sqlite3_bind_int(s, 1, (int)a->kind);
	sqlite3_bind_int64(s, 2, a->chat_id);
	sqlite3_bind_int64(s, 3, a->sender_id);
	bind_text(s, 4, a->payload);
	bind_text(s, 5, a->hash);
	sqlite3_bind_int64(s, 6, store_now(st));
	return number(st, s, id, e);
}

int store_approval_get(struct store *st, int64_t id, approval_fn *fn, void *ctx, struct err *e)
{
	static const char sql[] = APPROVAL_COLUMNS "WHERE a.id = ?1";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);
	struct approval_row a;
	int rc;

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, id);
	rc = store_step(st, s, e);
	if (rc <= 0)
		return rc < 0 ? -1 : err_set(e, E_GONE, "there is no approval %lld", (long long)id);
	read_approval(s, &a);
	fn(ctx, &a);
	return 0;
}

int store_approval_open(struct store *st, enum approval_kind kind, int64_t chat_id,
			int64_t sender_id, int64_t *id, struct err *e)
{
	static const char sql[] =
		"SELECT id FROM approvals WHERE state = 0 AND kind = ?1 AND chat_id = ?2"
		" AND (?3 = 0 OR sender_id = ?3) ORDER BY id LIMIT 1";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);

	if (!s)
		return -1;
	sqlite3_bind_int(s, 1, (int)kind);
	sqlite3_bind_int64(s, 2, chat_id);
	sqlite3_bind_int64(s, 3, sender_id);
	return number(st, s, id, e);
}

int store_approval_denied(struct store *st, int64_t chat_id, bool *yes, struct err *e)
{
	static const char sql[] =
		"SELECT state = 2 FROM approvals WHERE kind = 0 AND chat_id = ?1 AND state IN (1, 2)"
		" ORDER BY id DESC LIMIT 1";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);
	int64_t n;

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, chat_id);
	if (number(st, s, &n, e) < 0)
		return -1;
	*yes = n != 0;
	return 0;
}

int store_approval_each(struct store *st, bool all, int64_t limit, approval_fn *fn, void *ctx,
			struct err *e)
{
	static const char open[] = APPROVAL_COLUMNS "WHERE a.state = 0 ORDER BY a.id LIMIT ?1";
	static const char every[] = APPROVAL_COLUMNS "ORDER BY a.id DESC LIMIT ?1";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, all ? every : open, e);
	struct approval_row a;
	int rc;

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, limit);
	while ((rc = store_step(st, s, e)) > 0) {
		read_approval(s, &a);
		fn(ctx, &a);
	}
	return rc;
}

int store_approval_counts(struct store *st, int64_t *open, int64_t *untold, int64_t *oldest_ms,
			  struct err *e)
{
	static const char sql[] = "SELECT count(*), coalesce(sum(told = 0), 0),"
				  " coalesce(min(asked_ms), 0) FROM approvals WHERE state = 0";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);

	if (!s || store_step(st, s, e) < 0)
		return -1;
	*open = sqlite3_column_int64(s, 0);
	*untold = sqlite3_column_int64(s, 1);
	*oldest_ms = sqlite3_column_int64(s, 2);
	return 0;
}

int store_approval_told(struct store *st, int64_t id, struct err *e)
{
	static const char sql[] =
		"UPDATE approvals SET told = 1 WHERE state = 0 AND told = 0 AND (?1 = 0 OR id = ?1)";
	_cleanup_stmt_ sqlite3_stmt *s = store_write(st, sql, e);

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, id);
	return store_done(st, s, e);
}

int store_approval_decide(struct store *st, int64_t id, enum approval_state state, const char *by,
			  bool *done, struct err *e)
{
	static const char sql[] = "UPDATE approvals SET state = ?2, decided_ms = ?3,"
				  " decided_by = ?4 WHERE id = ?1 AND state = 0";
	_cleanup_stmt_ sqlite3_stmt *s = store_write(st, sql, e);

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, id);
	sqlite3_bind_int(s, 2, (int)state);
	sqlite3_bind_int64(s, 3, store_now(st));
	bind_text(s, 4, by);
	if (store_done(st, s, e) < 0)
		return -1;
	*done = sqlite3_changes(st->db) == 1;
	return 0;
}

static int run(struct store *st, const char *sql, int64_t a, int64_t b, struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *s = store_write(st, sql, e);

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, a);
	if (sqlite3_bind_parameter_count(s) > 1)
		sqlite3_bind_int64(s, 2, b);
	return store_done(st, s, e);
}

int store_approval_expire(struct store *st, int64_t before_ms, int64_t *n, struct err *e)
{
	static const char count[] =
		"UPDATE senders SET refused = refused + (SELECT count(*) FROM held h JOIN approvals a"
		" ON a.id = h.approval_id WHERE a.sender_id = senders.id AND a.state = 0"
		" AND a.asked_ms < ?1), seen_ms = max(seen_ms, ?2) WHERE id IN"
		" (SELECT sender_id FROM approvals WHERE state = 0 AND asked_ms < ?1)";
	static const char held[] = "DELETE FROM held WHERE approval_id IN (SELECT id FROM approvals"
				   " WHERE state = 0 AND asked_ms < ?1)";
	static const char end[] = "UPDATE approvals SET state = 3, decided_ms = ?2, decided_by = ''"
				  " WHERE state = 0 AND asked_ms < ?1";

	/* What came to nothing cannot pile up. */
	static const char forget[] = "DELETE FROM approvals WHERE state > 2 AND decided_ms < ?1";

	if (run(st, count, before_ms, before_ms, e) < 0 || run(st, held, before_ms, 0, e) < 0 ||
	    run(st, end, before_ms, store_now(st), e) < 0)
		return -1;
	*n = sqlite3_changes(st->db);
	return run(st, forget, before_ms - FORGET_MS, 0, e);
}

/* --- held messages ------------------------------------------------------------------------ */

int store_held_add(struct store *st, int64_t approval_id, const char *platform_id,
		   const char *inbound, int64_t max, bool *kept, struct err *e)
{
	static const char sql[] =
		"INSERT OR IGNORE INTO held(approval_id, platform_id, inbound, held_ms)"
		" SELECT ?1, ?2, ?3, ?4 WHERE"
		" (SELECT count(*) FROM held WHERE approval_id = ?1) < ?5";
	_cleanup_stmt_ sqlite3_stmt *s = store_write(st, sql, e);

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, approval_id);
	bind_text(s, 2, platform_id);
	bind_text(s, 3, inbound);
	sqlite3_bind_int64(s, 4, store_now(st));
	sqlite3_bind_int64(s, 5, max);
	if (store_done(st, s, e) < 0)
		return -1;
	*kept = sqlite3_changes(st->db) == 1;
	return 0;
}

int store_held_has(struct store *st, int64_t approval_id, const char *platform_id, bool *yes,
		   struct err *e)
{
	static const char sql[] = "SELECT 1 FROM held WHERE approval_id = ?1 AND platform_id = ?2";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);
	int64_t n;

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, approval_id);
	bind_text(s, 2, platform_id);
	if (number(st, s, &n, e) < 0)
		return -1;
	*yes = n != 0;
	return 0;
}

int store_held_due(struct store *st, held_fn *fn, void *ctx, struct err *e)
{
	static const char sql[] = "SELECT h.id, a.chat_id, h.inbound FROM held h JOIN approvals a"
				  " ON a.id = h.approval_id WHERE a.state = 1 ORDER BY h.id";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);
	int rc;

	if (!s)
		return -1;
	while ((rc = store_step(st, s, e)) > 0)
		fn(ctx, sqlite3_column_int64(s, 0), sqlite3_column_int64(s, 1),
		   (const char *)sqlite3_column_text(s, 2));
	return rc;
}

int store_held_drop(struct store *st, int64_t id, struct err *e)
{
	static const char sql[] = "DELETE FROM held WHERE id = ?1";

	return run(st, sql, id, 0, e);
}

int store_held_move(struct store *st, int64_t from, int64_t to, struct err *e)
{
	static const char sql[] =
		"UPDATE OR IGNORE held SET approval_id = ?2 WHERE approval_id = ?1";

	return run(st, sql, from, to, e);
}

int store_held_clear(struct store *st, int64_t approval_id, struct err *e)
{
	static const char sql[] = "DELETE FROM held WHERE approval_id = ?1";

	return run(st, sql, approval_id, 0, e);
}
