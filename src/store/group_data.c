// SPDX-License-Identifier: Apache-2.0
/*
 * What a group leaves behind: pausing and removing it, deleting its data in steps, how far it is archived, and what is carried over to its next session. Nothing
 * here takes longer because the house is large: whoever reads or deletes much does it in ranges of row ids.
 */
#include <string.h>
#include "base/str.h"
#include "store/impl.h"

#define SPAN	    500 /* rows of a table looked at in one step */
#define PURGE_SPAN  500 /* the same when they are deleted, with their index and their search words */
#define PURGE_TAIL  INT64_MAX
#define PURGE_FIRST ((int64_t)1 << 62) /* at: the outbox is done, messages come */

static int run1(struct store *st, const char *sql, int64_t a, struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *s = store_write(st, sql, e);

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, a);
	return store_done(st, s, e);
}

static int run2(struct store *st, const char *sql, int64_t a, int64_t b, struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *s = store_write(st, sql, e);

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, a);
	sqlite3_bind_int64(s, 2, b);
	return store_done(st, s, e);
}

static int number(struct store *st, const char *sql, int64_t a, int64_t *out, struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);
	int rc;

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, a);
	rc = store_step(st, s, e);
	if (rc > 0)
		*out = sqlite3_column_int64(s, 0);
	return rc < 0 ? -1 : 0;
}

int store_group_pause(struct store *st, int64_t group_id, bool paused, struct err *e)
{
	static const char sql[] = "UPDATE groups SET paused = ?2 WHERE id = ?1";

	return run2(st, sql, group_id, paused, e);
}

int store_archived(struct store *st, int64_t group_id, int64_t *id, struct err *e)
{
	static const char sql[] = "SELECT archived_id FROM groups WHERE id = ?1";

	*id = 0;
	return number(st, sql, group_id, id, e);
}

int store_archived_set(struct store *st, int64_t group_id, int64_t id, struct err *e)
{
	static const char sql[] = "UPDATE groups SET archived_id = ?2 WHERE id = ?1";

	return run2(st, sql, group_id, id, e);
}

/* --- what is carried over ----------------------------------------------------------------- */

int store_carry_get(struct store *st, int64_t group_id, const char *session, char **text,
		    struct err *e)
{
	static const char sql[] = "SELECT text FROM carry WHERE group_id = ?1 AND session = ?2";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);
	int rc;

	*text = NULL;
	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, group_id);
	bind_text(s, 2, session);
	rc = store_step(st, s, e);
	if (rc > 0)
		*text = xstrdup((const char *)sqlite3_column_text(s, 0));
	return rc < 0 ? -1 : 0;
}

int store_carry_set(struct store *st, int64_t group_id, const char *session, const char *text,
		    struct err *e)
{
	static const char put[] =
		"INSERT INTO carry(group_id, session, text) VALUES (?1, ?2, ?3)"
		" ON CONFLICT(group_id, session) DO UPDATE SET text = excluded.text";
	static const char del[] = "DELETE FROM carry WHERE group_id = ?1 AND session = ?2";
	_cleanup_stmt_ sqlite3_stmt *s = store_write(st, text ? put : del, e);

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, group_id);
	bind_text(s, 2, session);
	if (text)
		bind_text(s, 3, text);
	return store_done(st, s, e);
}

/* --- all messages, in steps --------------------------------------------------------------- */

int store_group_messages(struct store *st, int64_t group_id, int64_t *at, bool *done, msg_fn *fn,
			 void *ctx, struct err *e)
{
	static const char sql[] = "SELECT " MSG_COLUMNS " FROM messages m"
				  " WHERE m.id > ?2 AND m.id <= ?3 AND m.group_id = ?1"
				  " AND m.state <> 6 ORDER BY m.id";
	static const char last[] = "SELECT coalesce(max(id), 0) + 0 * ?1 FROM messages";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);
	int64_t end = 0;

	if (!s || number(st, last, 0, &end, e) < 0)
		return -1;
	sqlite3_bind_int64(s, 1, group_id);
	sqlite3_bind_int64(s, 2, *at);
	sqlite3_bind_int64(s, 3, *at + SPAN);
	if (store_each_msg(st, s, fn, ctx, e) < 0)
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
	static const char unlink[] = "DELETE FROM group_chats WHERE group_id = ?1";
	char key[40];

	if (run2(st, hide, group_id, store_now(st), e) < 0)
		return -1;
	if (sqlite3_changes(st->db) != 1)
		return err_set(e, E_PERM, "the group main cannot be removed");
	if (run1(st, unlink, group_id, e) < 0)
		return -1;
	snprintf(key, sizeof(key), "purge.%lld", (long long)group_id);
	return purge ? store_setting_set(st, key, "1", e) : 0;
}

int store_purges(struct store *st, group_fn *fn, void *ctx, struct err *e)
{
	static const char sql[] = "SELECT g.id, g.name FROM groups g"
				  " JOIN settings s ON s.key = 'purge.' || g.id ORDER BY g.id";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);
	struct group_row g = {.removed = true};
	int rc;

	if (!s)
		return -1;
	while ((rc = store_step(st, s, e)) > 0) {
		g.id = sqlite3_column_int64(s, 0);
		str_copy(g.name, sizeof(g.name), (const char *)sqlite3_column_text(s, 1));
		fn(ctx, &g);
	}
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
		if (run1(st, all[i], group_id, e) < 0)
			return -1;
	}
	return 0;
}

static int purge_range(struct store *st, const char *sql, int64_t group_id, int64_t from,
		       struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *s = store_write(st, sql, e);

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, group_id);
	sqlite3_bind_int64(s, 2, from);
	sqlite3_bind_int64(s, 3, from + PURGE_SPAN);
	return store_done(st, s, e);
}

int store_group_purge(struct store *st, int64_t group_id, int64_t *at, bool *done, struct err *e)
{
	static const char tasks[] = "DELETE FROM tasks WHERE id IN"
				    " (SELECT id FROM tasks WHERE group_id = ?1 LIMIT 20)";
	static const char outbox[] =
		"DELETE FROM outbox WHERE id IN (SELECT o.id FROM outbox o JOIN messages m"
		" ON m.id = o.message_id WHERE m.group_id = ?1 AND o.state <> 1"
		" AND o.id > ?2 AND o.id <= ?3)";
	static const char out_end[] = "SELECT coalesce(max(id), 0) + 0 * ?1 FROM outbox";
	static const char messages[] =
		"DELETE FROM messages WHERE group_id = ?1 AND id > ?2 AND id <= ?3"
		" AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.message_id = messages.id)";
	static const char flying[] =
		"SELECT count(*) FROM outbox o JOIN messages m ON m.id = o.message_id"
		" WHERE o.state < 2 AND o.state = 1 AND m.group_id = ?1";
	/* The numbers of the newest are given out again: what comes is not archived yet, in any group. */
	static const char again[] =
		"UPDATE groups SET archived_id = (SELECT coalesce(max(id), 0) FROM messages)"
		" WHERE archived_id > (SELECT coalesce(max(id), 0) FROM messages) + 0 * ?1";
	static const char msg_end[] = "SELECT coalesce(max(id), 0) + 0 * ?1 FROM messages";
	int64_t end = 0, from;

	*done = false;
	if (*at < PURGE_FIRST) {
		if (purge_range(st, outbox, group_id, *at, e) < 0 ||
		    number(st, out_end, 0, &end, e) < 0)
			return -1;
		*at = *at + PURGE_SPAN >= end ? PURGE_FIRST : *at + PURGE_SPAN;
		return 0;
	}
	if (*at < PURGE_TAIL) {
		from = *at - PURGE_FIRST;
		if (purge_range(st, messages, group_id, from, e) < 0 ||
		    run1(st, again, group_id, e) < 0 || number(st, msg_end, 0, &end, e) < 0)
			return -1;
		*at = from + PURGE_SPAN >= end ? PURGE_TAIL : *at + PURGE_SPAN;
		return 0;
	}
	if (run1(st, tasks, group_id, e) < 0)
		return -1;
	if (sqlite3_changes(st->db) > 0)
		return 0;
	/* What is on its way to a platform is waited for: who sends it still has to say how it went. */
	if (number(st, flying, group_id, &end, e) < 0)
		return -1;
	if (end) {
		*at = 0;
		return 0;
	}
	*done = true;
	return purge_rest(st, group_id, e);
}
