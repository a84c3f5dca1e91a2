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

SQL_TELL(approval, &row.id, &row.kind, &row.chat_id, &row.sender_id, &row.payload, &row.hash,
	 &row.state, &row.asked_ms, &row.decided_ms, &row.decided_by, &row.held)

int store_approval_add(struct store *st, const struct approval_row *a, int64_t *id, struct err *e)
{
	return sql_insert(
		st,
		"INSERT INTO approvals(kind, chat_id, sender_id, payload, hash, asked_ms)"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
		ARGS(a->kind, a->chat_id, a->sender_id, a->payload, a->hash, store_now(st)), id, e);
}

int store_approval_get(struct store *st, int64_t id, approval_fn *fn, void *ctx, struct err *e)
{
	sqlite3_stmt *s = sql_read(st, APPROVAL_COLUMNS "WHERE a.id = ?1", ARGS(id), e);

	return sql_found(tell_approval(st, s, fn, ctx, e), "approval", id, e);
}

int store_approval_open(struct store *st, enum approval_kind kind, int64_t chat_id,
			int64_t sender_id, int64_t *id, struct err *e)
{
	return sql_get(st,
		       "SELECT id FROM approvals WHERE state = 0 AND kind = ?1 AND chat_id = ?2"
		       " AND (?3 = 0 OR sender_id = ?3) ORDER BY id LIMIT 1",
		       ARGS(kind, chat_id, sender_id), COLS(id), e);
}

int store_approval_denied(struct store *st, int64_t chat_id, bool *yes, struct err *e)
{
	return sql_get(st,
		       "SELECT state = 2 FROM approvals WHERE kind = 0 AND chat_id = ?1"
		       " AND state IN (1, 2) ORDER BY id DESC LIMIT 1",
		       ARGS(chat_id), COLS(yes), e);
}

int store_approval_each(struct store *st, bool all, int64_t limit, approval_fn *fn, void *ctx,
			struct err *e)
{
	static const char open[] = APPROVAL_COLUMNS "WHERE a.state = 0 ORDER BY a.id LIMIT ?1";
	static const char every[] = APPROVAL_COLUMNS "ORDER BY a.id DESC LIMIT ?1";
	sqlite3_stmt *s = sql_read(st, all ? every : open, ARGS(limit), e);

	return tell_approval(st, s, fn, ctx, e) < 0 ? -1 : 0;
}

int store_approval_counts(struct store *st, int64_t *open, int64_t *untold, int64_t *oldest_ms,
			  struct err *e)
{
	return sql_get(st,
		       "SELECT count(*), coalesce(sum(told = 0), 0), coalesce(min(asked_ms), 0)"
		       " FROM approvals WHERE state = 0",
		       NULL, COLS(open, untold, oldest_ms), e);
}

int store_approval_told(struct store *st, int64_t id, struct err *e)
{
	return sql_run(st,
		       "UPDATE approvals SET told = 1 WHERE state = 0 AND told = 0"
		       " AND (?1 = 0 OR id = ?1)",
		       ARGS(id), e);
}

int store_approval_decide(struct store *st, int64_t id, enum approval_state state, const char *by,
			  bool *done, struct err *e)
{
	return sql_did(st,
		       "UPDATE approvals SET state = ?2, decided_ms = ?3, decided_by = ?4"
		       " WHERE id = ?1 AND state = 0",
		       ARGS(id, state, store_now(st), by), done, e);
}

int store_approval_expire(struct store *st, int64_t before_ms, int64_t *n, struct err *e)
{
	static const char count[] =
		"UPDATE senders SET refused = refused + (SELECT count(*) FROM held h JOIN approvals a"
		" ON a.id = h.approval_id WHERE a.sender_id = senders.id AND a.state = 0"
		" AND a.asked_ms < ?1), seen_ms = max(seen_ms, ?1) WHERE id IN"
		" (SELECT sender_id FROM approvals WHERE state = 0 AND asked_ms < ?1)";
	static const char held[] = "DELETE FROM held WHERE approval_id IN (SELECT id FROM approvals"
				   " WHERE state = 0 AND asked_ms < ?1)";
	static const char end[] = "UPDATE approvals SET state = 3, decided_ms = ?2, decided_by = ''"
				  " WHERE state = 0 AND asked_ms < ?1";
	/* What came to nothing cannot pile up. */
	static const char forget[] = "DELETE FROM approvals WHERE state > 2 AND decided_ms < ?1";
	int ended;

	if (sql_run(st, count, ARGS(before_ms), e) < 0 || sql_run(st, held, ARGS(before_ms), e) < 0)
		return -1;
	ended = sql_changed(st, end, ARGS(before_ms, store_now(st)), e);
	if (ended < 0)
		return -1;
	*n = ended;
	return sql_run(st, forget, ARGS(before_ms - FORGET_MS), e);
}

/* --- held messages ------------------------------------------------------------------------ */

int store_held_add(struct store *st, int64_t approval_id, const char *platform_id,
		   const char *inbound, int64_t max, bool *kept, struct err *e)
{
	return sql_did(st,
		       "INSERT OR IGNORE INTO held(approval_id, platform_id, inbound, held_ms)"
		       " SELECT ?1, ?2, ?3, ?4 WHERE"
		       " (SELECT count(*) FROM held WHERE approval_id = ?1) < ?5",
		       ARGS(approval_id, platform_id, inbound, store_now(st), max), kept, e);
}

int store_held_has(struct store *st, int64_t approval_id, const char *platform_id, bool *yes,
		   struct err *e)
{
	return sql_get(st, "SELECT 1 FROM held WHERE approval_id = ?1 AND platform_id = ?2",
		       ARGS(approval_id, platform_id), COLS(yes), e);
}

int store_held_due(struct store *st, held_fn *fn, void *ctx, struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *s =
		sql_read(st,
			 "SELECT h.id, a.chat_id, h.inbound FROM held h JOIN approvals a"
			 " ON a.id = h.approval_id WHERE a.state = 1 ORDER BY h.id",
			 NULL, e);
	int64_t id, chat_id;
	const char *inbound;
	int rc;

	while ((rc = sql_row(st, s, COLS(&id, &chat_id, &inbound), e)) > 0)
		fn(ctx, id, chat_id, inbound);
	return rc;
}

int store_held_drop(struct store *st, int64_t id, struct err *e)
{
	return sql_run(st, "DELETE FROM held WHERE id = ?1", ARGS(id), e);
}

int store_held_move(struct store *st, int64_t from, int64_t to, struct err *e)
{
	return sql_run(st, "UPDATE OR IGNORE held SET approval_id = ?2 WHERE approval_id = ?1",
		       ARGS(from, to), e);
}

int store_held_clear(struct store *st, int64_t approval_id, struct err *e)
{
	return sql_run(st, "DELETE FROM held WHERE approval_id = ?1", ARGS(approval_id), e);
}
