// SPDX-License-Identifier: Apache-2.0
/*
 * What a group leaves behind: pausing and removing it, deleting its data in steps, how far it is archived, and what is carried over to its next session. Nothing
 * here takes longer because the house is large: whoever reads or deletes much does it in ranges of row ids.
 */
#include "store/impl.h"

#define SPAN	    500 /* rows of a table looked at in one step */
#define PURGE_SPAN  500 /* the same when they are deleted, with their index and their search words */
#define PURGE_TAIL  INT64_MAX
#define PURGE_FIRST ((int64_t)1 << 62) /* at: the outbox is done, messages come */

int store_group_pause(struct store *st, int64_t group_id, bool paused, struct err *e)
{
	return sql_run(st, "UPDATE groups SET paused = ?2 WHERE id = ?1", ARGS(group_id, paused),
		       e);
}

int store_archived(struct store *st, int64_t group_id, int64_t *id, struct err *e)
{
	return sql_get(st, "SELECT archived_id FROM groups WHERE id = ?1", ARGS(group_id), COLS(id),
		       e);
}

int store_archived_set(struct store *st, int64_t group_id, int64_t id, struct err *e)
{
	return sql_run(st, "UPDATE groups SET archived_id = ?2 WHERE id = ?1", ARGS(group_id, id),
		       e);
}

/* --- what is carried over ----------------------------------------------------------------- */

int store_carry_get(struct store *st, int64_t group_id, const char *session, char **text,
		    struct err *e)
{
	return sql_get(st, "SELECT text FROM carry WHERE group_id = ?1 AND session = ?2",
		       ARGS(group_id, session), COLS(text), e);
}

int store_carry_set(struct store *st, int64_t group_id, const char *session, const char *text,
		    struct err *e)
{
	static const char put[] =
		"INSERT INTO carry(group_id, session, text) VALUES (?1, ?2, ?3)"
		" ON CONFLICT(group_id, session) DO UPDATE SET text = excluded.text";
	static const char del[] = "DELETE FROM carry WHERE group_id = ?1 AND session = ?2";

	return text ? sql_run(st, put, ARGS(group_id, session, text), e)
		    : sql_run(st, del, ARGS(group_id, session), e);
}

/* --- all messages, in steps --------------------------------------------------------------- */

#define NEWEST_MESSAGE "SELECT coalesce(max(id), 0) FROM messages"

int store_group_messages(struct store *st, int64_t group_id, int64_t *at, bool *done, msg_fn *fn,
			 void *ctx, struct err *e)
{
	static const char sql[] = "SELECT " MSG_COLUMNS " FROM messages m"
				  " WHERE m.id > ?2 AND m.id <= ?3 AND m.group_id = ?1"
				  " AND m.state <> 6 ORDER BY m.id";
	int64_t end;

	if (sql_get(st, NEWEST_MESSAGE, NULL, COLS(&end), e) < 0)
		return -1;
	if (store_each_msg(st, sql_read(st, sql, ARGS(group_id, *at, *at + SPAN), e), fn, ctx, e))
		return -1;
	*done = *at + SPAN >= end;
	*at = *done ? end : *at + SPAN;
	return 0;
}

/* --- the end of a group ------------------------------------------------------------------- */

int store_group_remove(struct store *st, int64_t group_id, bool purge, struct err *e)
{
	static const char hide[] =
		"UPDATE groups SET removed_ms = ?2 WHERE id = ?1 AND is_main = 0";
	int n = sql_changed(st, hide, ARGS(group_id, store_now(st)), e);
	char key[40];

	if (n == 0)
		return err_set(e, E_PERM, "the group main cannot be removed");
	if (n < 0 ||
	    sql_run(st, "DELETE FROM group_chats WHERE group_id = ?1", ARGS(group_id), e) < 0)
		return -1;
	snprintf(key, sizeof(key), "purge.%lld", (long long)group_id);
	return purge ? store_setting_set(st, key, "1", e) : 0;
}

int store_purges(struct store *st, group_fn *fn, void *ctx, struct err *e)
{
	static const char sql[] = "SELECT g.id, g.name FROM groups g"
				  " JOIN settings s ON s.key = 'purge.' || g.id ORDER BY g.id";
	_cleanup_stmt_ sqlite3_stmt *s = sql_read(st, sql, NULL, e);
	struct group_row g = {.removed = true};
	int rc;

	while ((rc = sql_row(st, s, COLS(&g.id, &g.name), e)) > 0)
		fn(ctx, &g);
	return rc;
}

/* What is small, at the end: after it the group is as one that was just made. */
static int purge_rest(struct store *st, int64_t group_id, struct err *e)
{
	static const char *const all[] = {
		"DELETE FROM sessions WHERE group_id = ?1",
		"DELETE FROM carry WHERE group_id = ?1",
		"DELETE FROM group_skills WHERE group_id = ?1",
		"DELETE FROM skill_uses WHERE group_id = ?1",
		"DELETE FROM grants WHERE group_id = ?1 OR target_id = ?1",
		"DELETE FROM roles WHERE group_id = ?1",
		"UPDATE groups SET settings = '{}', archived_id = 0, paused = 0 WHERE id = ?1",
		"DELETE FROM settings WHERE key = 'purge.' || ?1",
	};
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		if (sql_run(st, all[i], ARGS(group_id), e) < 0)
			return -1;
	}
	return 0;
}

int store_group_purge(struct store *st, int64_t group_id, int64_t *at, bool *done, struct err *e)
{
	static const char tasks[] = "DELETE FROM tasks WHERE id IN"
				    " (SELECT id FROM tasks WHERE group_id = ?1 LIMIT 20)";
	static const char outbox[] =
		"DELETE FROM outbox WHERE id IN (SELECT o.id FROM outbox o JOIN messages m"
		" ON m.id = o.message_id WHERE m.group_id = ?1 AND o.state <> 1"
		" AND o.id > ?2 AND o.id <= ?3)";
	static const char messages[] =
		"DELETE FROM messages WHERE group_id = ?1 AND id > ?2 AND id <= ?3"
		" AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.message_id = messages.id)";
	static const char flying[] =
		"SELECT count(*) FROM outbox o JOIN messages m ON m.id = o.message_id"
		" WHERE o.state < 2 AND o.state = 1 AND m.group_id = ?1";
	/* The numbers of the newest are given out again: what comes is not archived yet, in any group. */
	static const char again[] = "UPDATE groups SET archived_id = (" NEWEST_MESSAGE ")"
				    " WHERE archived_id > (" NEWEST_MESSAGE ")";
	int64_t end, from;
	int gone;

	*done = false;
	if (*at < PURGE_FIRST) {
		if (sql_run(st, outbox, ARGS(group_id, *at, *at + PURGE_SPAN), e) < 0 ||
		    sql_get(st, "SELECT coalesce(max(id), 0) FROM outbox", NULL, COLS(&end), e) < 0)
			return -1;
		*at = *at + PURGE_SPAN >= end ? PURGE_FIRST : *at + PURGE_SPAN;
		return 0;
	}
	if (*at < PURGE_TAIL) {
		from = *at - PURGE_FIRST;
		if (sql_run(st, messages, ARGS(group_id, from, from + PURGE_SPAN), e) < 0 ||
		    sql_run(st, again, NULL, e) < 0 ||
		    sql_get(st, NEWEST_MESSAGE, NULL, COLS(&end), e) < 0)
			return -1;
		*at = from + PURGE_SPAN >= end ? PURGE_TAIL : *at + PURGE_SPAN;
		return 0;
	}
	gone = sql_changed(st, tasks, ARGS(group_id), e);
	if (gone)
		return gone < 0 ? -1 : 0;
	/* What is on its way to a platform is waited for: who sends it still has to say how it went. */
	if (sql_get(st, flying, ARGS(group_id), COLS(&end), e) < 0)
		return -1;
	if (end) {
		*at = 0;
		return 0;
	}
	*done = true;
	return purge_rest(st, group_id, e);
}
