// SPDX-License-Identifier: Apache-2.0
/*
 * See retention.h. A bite looks at the next rows by id, which is their order in time, and removes those of them that are old and free; it ends for good at
 * the first bite whose last row is too young. Rows that are kept for their own reason are passed over.
 */
#include "store/retention.h"
#include "store/impl.h"

/* Each pair: where a bite ends (its last id and the time of that row), and what goes of it. ?1 after, ?2 limit or last, ?3 before. */
struct statements {
	const char *end, *drop;
};

#define SENT_AGE "(SELECT m.stored_ms FROM messages m WHERE m.id = outbox.message_id)"
#define END_OF(table, age)                                                                         \
	"SELECT id, " age " FROM " table " WHERE id = (SELECT max(id) FROM (SELECT id FROM "       \
	"" table " WHERE id > ?1 ORDER BY id LIMIT ?2))"
#define DROP_OF(table, age, and)                                                                   \
	"DELETE FROM " table " WHERE id > ?1 AND id <= ?2 AND " age " < ?3" and

static const struct statements statements[RETAINED_COUNT] = {
	[RETAINED_SENT] = {END_OF("outbox", SENT_AGE),
			   DROP_OF("outbox", SENT_AGE, " AND state IN (2, 4)")},
	[RETAINED_DEAD] = {END_OF("outbox", SENT_AGE),
			   DROP_OF("outbox", SENT_AGE, " AND state = 3")},
	[RETAINED_RUNS] =
		{END_OF("task_runs", "made_ms"),
		 DROP_OF("task_runs", "made_ms",
			 " AND state >= 3 AND slot_ms < (SELECT max(n.slot_ms) FROM task_runs n"
			 " WHERE n.task_id = task_runs.task_id)")},
	[RETAINED_USAGE] = {END_OF("usage", "at_ms"), DROP_OF("usage", "at_ms", "")},
	[RETAINED_ACTS] = {END_OF("acts", "at_ms"), DROP_OF("acts", "at_ms", "")},
	/* The newest of a chat says where it stands, and to the platform from where to catch up. */
	[RETAINED_MESSAGES] = {END_OF("messages", "stored_ms"),
			       DROP_OF("messages", "stored_ms",
				       " AND state NOT IN (1, 2, 5)"
				       " AND (NOT EXISTS (SELECT 1 FROM group_chats l"
				       "  WHERE l.chat_id = messages.chat_id)"
				       " OR id < (SELECT max(n.id) FROM messages n"
				       "  WHERE n.chat_id = messages.chat_id)"
				       " AND id IS NOT (SELECT s.message_id FROM said s"
				       "  WHERE s.chat_id = messages.chat_id))"
				       " AND NOT EXISTS (SELECT 1 FROM outbox o"
				       "  WHERE o.message_id = messages.id)"
				       " AND NOT EXISTS (SELECT 1 FROM task_runs r"
				       "  WHERE r.message_id = messages.id AND r.state < 3)")},
	/* The newest stays, also of approvals: its number is given to no other. */
	[RETAINED_TURNS] =
		{END_OF("turns", "started_ms"),
		 DROP_OF("turns", "started_ms",
			 " AND ended_ms IS NOT NULL AND id < (SELECT max(id) FROM turns)"
			 " AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.turn_id = turns.id)"
			 " AND NOT EXISTS (SELECT 1 FROM usage u WHERE u.turn_id = turns.id)"
			 " AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.turn_id = turns.id)")},
	[RETAINED_APPROVALS] =
		{END_OF("approvals", "asked_ms"),
		 DROP_OF("approvals", "asked_ms",
			 " AND state <> 0 AND (kind <> 0 OR state <> 2) AND id < (SELECT max(id) FROM approvals)"
			 " AND NOT EXISTS (SELECT 1 FROM held h WHERE h.approval_id = approvals.id)")},
	[RETAINED_CHATS] =
		{END_OF("chats", "created_ms"),
		 DROP_OF("chats", "max(created_ms, seen_ms)",
			 " AND NOT EXISTS (SELECT 1 FROM group_chats l WHERE l.chat_id = chats.id)"
			 " AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.chat_id = chats.id)"
			 " AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.chat_id = chats.id)"
			 " AND NOT EXISTS (SELECT 1 FROM approvals a WHERE a.chat_id = chats.id)"
			 " AND NOT EXISTS (SELECT 1 FROM tasks t WHERE t.chat_id = chats.id)"
			 " AND NOT EXISTS (SELECT 1 FROM drafts d WHERE d.chat_id = chats.id)")},
};

/* Where this bite ends; 0: there is nothing after after_id. *young: what follows is too young as well. */
static int find_end(struct store *st, const struct retain_bite *b, int64_t *last, bool *young,
		    struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, statements[b->what].end, e);
	int rc;

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, b->after_id);
	sqlite3_bind_int64(s, 2, b->limit);
	rc = store_step(st, s, e);
	*last = rc > 0 ? sqlite3_column_int64(s, 0) : 0;
	*young = rc > 0 && sqlite3_column_int64(s, 1) >= b->before_ms;
	return rc < 0 ? -1 : 0;
}

static int tell_gone(struct store *st, const struct retain_bite *b, int64_t last, struct err *e)
{
	static const char sql[] = "SELECT args FROM outbox WHERE id > ?1 AND id <= ?2 AND " SENT_AGE
				  " < ?3 AND state = 3 AND args IS NOT NULL";
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	int rc;

	if (!b->gone || b->what != RETAINED_DEAD)
		return 0;
	s = store_read(st, sql, e);
	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, b->after_id);
	sqlite3_bind_int64(s, 2, last);
	sqlite3_bind_int64(s, 3, b->before_ms);
	while ((rc = store_step(st, s, e)) > 0)
		b->gone(b->ctx, (const char *)sqlite3_column_text(s, 0));
	return rc;
}

/* The sums of days that are old as a whole go with their calls. */
static int drop_days(struct store *st, const struct retain_bite *b, struct err *e)
{
	static const char sql[] =
		"DELETE FROM usage_days WHERE (day, group_id) IN (SELECT day, group_id"
		" FROM usage_days WHERE day < ?1 / 86400000 ORDER BY day LIMIT ?2)";

	return b->what == RETAINED_USAGE ? sql_run(st, sql, ARGS(b->before_ms, b->limit), e) : 0;
}

int store_retain(struct store *st, struct retain_bite *b, struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	bool young;
	int64_t last;

	b->more = false;
	/* The table said is as new as the index is. */
	if (b->what == RETAINED_MESSAGES && store_index(st, e) < 0)
		return -1;
	if (find_end(st, b, &last, &young, e) < 0 || (last && tell_gone(st, b, last, e) < 0) ||
	    drop_days(st, b, e) < 0)
		return -1;
	if (!last)
		return 0;
	s = store_write(st, statements[b->what].drop, e);
	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, b->after_id);
	sqlite3_bind_int64(s, 2, last);
	sqlite3_bind_int64(s, 3, b->before_ms);
	if (store_done(st, s, e) < 0)
		return -1;
	b->removed += sqlite3_changes64(st->db);
	b->after_id = last;
	b->more = !young;
	return 0;
}
