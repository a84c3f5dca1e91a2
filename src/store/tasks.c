// SPDX-License-Identifier: Apache-2.0
/*
 * The table of tasks: what is to run, when next, and in what state it is. It exists apart from the runs (runs.c) because a task is changed by people, a
 * run only by the scheduler. It must never compute a time: next and due are told to it.
 */
#include "store/tasks.h"
#include "base/str.h"
#include "store/impl.h"

#define COLUMNS                                                                                    \
	"t.id, t.group_id, t.chat_id, coalesce(t.sender_id, 0), t.thread, t.name, t.prompt, "      \
	"t.gate,"                                                                                  \
	" t.spec, t.zone, t.why, t.anchor_ms, t.context, t.catch_up, t.overlap, t.max_ms,"         \
	" t.jitter_ms, t.retries, t.fail_max, t.failures, t.state, coalesce(t.next_ms, 0),"        \
	" coalesce(t.due_ms, 0), t.created_ms, t.updated_ms, g.name, c.channel, c.platform_id"
#define TABLES " FROM tasks t JOIN groups g ON g.id = t.group_id JOIN chats c ON c.id = t.chat_id"
/* The words of the partial indexes, for a group that works. The indexes are named below, so that a statement that cannot use its own is refused. */
#define DUE                                                                                        \
	"state = 0 AND due_ms IS NOT NULL AND group_id NOT IN"                                     \
	" (SELECT id FROM groups WHERE paused <> 0 OR removed_ms <> 0)"

const char *task_state_word(enum task_state s)
{
	switch (s) {
	case TASK_ACTIVE:
		return "active";
	case TASK_PAUSED:
		return "paused";
	case TASK_DONE:
		return "done";
	case TASK_CANCELLED:
		return "cancelled";
	}
	return "unknown";
}

SQL_TELL(task, &row.id, &row.group_id, &row.chat_id, &row.sender_id, &row.thread, &row.name,
	 &row.prompt, &row.gate, &row.spec, &row.zone, &row.why, &row.anchor_ms, &row.context,
	 &row.catch_up, &row.queue, &row.max_ms, &row.jitter_ms, &row.retries, &row.fail_max,
	 &row.failures, &row.state, &row.next_ms, &row.due_ms, &row.created_ms, &row.updated_ms,
	 &row.group, &row.channel, &row.chat)

/* --- reading ------------------------------------------------------------------------------ */

int store_task_get(struct store *st, int64_t id, task_fn *fn, void *ctx, struct err *e)
{
	sqlite3_stmt *s = sql_read(st, "SELECT " COLUMNS TABLES " WHERE t.id = ?1", ARGS(id), e);

	return sql_found(tell_task(st, s, fn, ctx, e), "task", id, e);
}

int store_task_each(struct store *st, int64_t group_id, bool all, task_fn *fn, void *ctx,
		    struct err *e)
{
	static const char sql[] = "SELECT " COLUMNS TABLES " WHERE (?1 = 0 OR t.group_id = ?1)"
				  " AND (?2 OR t.state < 2) ORDER BY g.name, t.name, t.id";

	return tell_task(st, sql_read(st, sql, ARGS(group_id, all), e), fn, ctx, e) < 0 ? -1 : 0;
}

int store_task_count(struct store *st, int64_t group_id, int64_t *live, struct err *e)
{
	return sql_get(st, "SELECT count(*) FROM tasks WHERE group_id = ?1 AND state < 2",
		       ARGS(group_id), COLS(live), e);
}

/* The name that was probably meant, of those that the asker may see. */
static int no_task(struct store *st, int64_t group_id, const char *word, struct err *e)
{
	static const char sql[] = "SELECT name FROM tasks WHERE (?1 = 0 OR group_id = ?1)"
				  " AND state < 2 ORDER BY id DESC LIMIT 1000";
	_cleanup_stmt_ sqlite3_stmt *s = sql_read(st, sql, ARGS(group_id), e);
	const char *name;
	char best[65] = "";
	size_t least = 4;
	int rc;

	while ((rc = sql_row(st, s, COLS(&name), e)) > 0) {
		size_t d = str_distance(word, name);

		if (d >= least)
			continue;
		least = d;
		str_copy(best, sizeof(best), name);
	}
	if (rc < 0)
		return -1;
	if (best[0])
		return err_set(e, E_GONE, "there is no task \"%.64s\": did you mean \"%s\"?", word,
			       best);
	return err_set(e, E_GONE, "there is no task \"%.64s\"; the list has their names", word);
}

int store_task_find(struct store *st, int64_t group_id, const char *word, int64_t *id,
		    struct err *e)
{
	/* By name the live one of a group, or else its newest. */
	static const char sql[] =
		"SELECT id, state FROM tasks t WHERE (?1 = 0 OR group_id = ?1)"
		" AND ((?3 <> 0 AND id = ?3) OR (?3 = 0 AND name = ?2"
		"  AND id = (SELECT x.id FROM tasks x WHERE x.group_id = t.group_id AND x.name = ?2"
		"   ORDER BY x.state < 2 DESC, x.id DESC LIMIT 1))) ORDER BY state >= 2 LIMIT 2";
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	struct err none = ERR_INIT;
	int64_t number = 0, other;
	enum task_state state, others;
	int rc;

	if (str_to_i64(word[0] == '#' ? word + 1 : word, 1, INT64_MAX, &number, &none) < 0)
		number = 0;
	s = sql_read(st, sql, ARGS(group_id, word, number), e);
	rc = sql_row(st, s, COLS(id, &state), e);
	if (rc <= 0)
		return rc < 0 ? -1 : no_task(st, group_id, word, e);
	rc = sql_row(st, s, COLS(&other, &others), e);
	/* A live one is meant before those that are over elsewhere. */
	if (rc > 0 && state < TASK_DONE && others >= TASK_DONE)
		return 0;
	if (rc > 0)
		return err_set(e, E_INVAL,
			       "more than one group has a task \"%.64s\": say its number, such as "
			       "%lld",
			       word, (long long)*id);
	return rc;
}

int store_task_after(struct store *st, int64_t id, task_fn *fn, void *ctx, struct err *e)
{
	static const char sql[] =
		"SELECT " COLUMNS TABLES " WHERE t.id > ?1 AND t.state = 0 ORDER BY t.id LIMIT 1";
	int n = tell_task(st, sql_read(st, sql, ARGS(id), e), fn, ctx, e);

	return n > 0 ? 0 : n < 0 ? -1 : err_set(e, E_GONE, "there is no further task");
}

/* --- writing ------------------------------------------------------------------------------ */

static int name_is_free(struct store *st, const struct task_row *t, struct err *e)
{
	static const char sql[] =
		"SELECT id FROM tasks WHERE group_id = ?1 AND name = ?2 AND state < 2 AND id <> ?3";
	int64_t other;

	if (sql_get(st, sql, ARGS(t->group_id, t->name, t->id), COLS(&other), e) < 0)
		return -1;
	return !other ? 0
		      : err_set(e, E_INVAL,
				"name: this group has a task \"%s\" already (#%lld): take another "
				"name, or change that one",
				t->name, (long long)other);
}

int store_task_put(struct store *st, const struct task_row *t, int64_t *id, struct err *e)
{
	static const char add[] =
		"INSERT INTO tasks(group_id, sender_id, chat_id, thread, name, prompt, gate, spec,"
		" zone, why, anchor_ms, context, catch_up, overlap, max_ms, jitter_ms, retries,"
		" fail_max, failures, state, next_ms, due_ms, updated_ms, created_ms)"
		" VALUES (?2, nullif(?3, 0), ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15,"
		" ?16, ?17, ?18, ?19, ?20, ?21, nullif(?22, 0), nullif(?23, 0), ?24, ?24)";
	static const char set[] =
		"UPDATE tasks SET chat_id = ?4, thread = ?5, name = ?6, prompt = ?7, gate = ?8,"
		" spec = ?9, zone = ?10, why = ?11, anchor_ms = ?12, context = ?13, catch_up = ?14,"
		" overlap = ?15, max_ms = ?16, jitter_ms = ?17, retries = ?18, fail_max = ?19,"
		" failures = ?20, state = ?21, next_ms = nullif(?22, 0), due_ms = nullif(?23, 0),"
		" updated_ms = ?24 WHERE id = ?1";
	int n;

	if (t->state < TASK_DONE && name_is_free(st, t, e) < 0)
		return -1;
	n = sql_changed(st, t->id ? set : add,
			ARGS(t->id, t->group_id, t->sender_id, t->chat_id, t->thread, t->name,
			     t->prompt, t->gate, t->spec, t->zone, t->why, t->anchor_ms, t->context,
			     t->catch_up, t->queue, t->max_ms, t->jitter_ms, t->retries,
			     t->fail_max, t->failures, t->state, t->next_ms, t->due_ms,
			     store_now(st)),
			e);
	if (n > 0)
		*id = t->id ? t->id : sqlite3_last_insert_rowid(st->db);
	return sql_found(n, "task", t->id, e);
}

int store_task_next(struct store *st, int64_t id, int64_t next_ms, int64_t due_ms, struct err *e)
{
	return sql_run(st,
		       "UPDATE tasks SET next_ms = nullif(?2, 0), due_ms = nullif(?3, 0)"
		       " WHERE id = ?1",
		       ARGS(id, next_ms, due_ms), e);
}

int store_task_state(struct store *st, int64_t id, enum task_state state, const char *why,
		     struct err *e)
{
	return sql_run(st, "UPDATE tasks SET state = ?2, why = ?3, updated_ms = ?4 WHERE id = ?1",
		       ARGS(id, state, why, store_now(st)), e);
}

int store_task_failures(struct store *st, int64_t id, int64_t n, struct err *e)
{
	return sql_run(st, "UPDATE tasks SET failures = ?2 WHERE id = ?1 AND failures <> ?2",
		       ARGS(id, n), e);
}

/* --- what is due -------------------------------------------------------------------------- */

int store_due_next(struct store *st, int64_t now_ms, int64_t *due_ms, int64_t *again_ms,
		   struct err *e)
{
	static const char task[] = "SELECT due_ms FROM tasks INDEXED BY tasks_due WHERE " DUE
				   " ORDER BY due_ms LIMIT 1";
	static const char again[] =
		"SELECT next_ms FROM task_runs INDEXED BY task_runs_again WHERE state = 0 AND next_ms > 0"
		" AND next_ms > ?1 AND group_id NOT IN"
		" (SELECT id FROM groups WHERE paused <> 0 OR removed_ms <> 0)"
		" ORDER BY next_ms LIMIT 1";

	if (sql_get(st, task, NULL, COLS(due_ms), e) < 0)
		return -1;
	return sql_get(st, again, ARGS(now_ms), COLS(again_ms), e);
}

int store_due_group(struct store *st, int64_t now_ms, int64_t after, int64_t *group_id,
		    struct err *e)
{
	return sql_get(st,
		       "SELECT group_id FROM tasks INDEXED BY tasks_due_by_group WHERE " DUE
		       " AND due_ms <= ?1 AND group_id > ?2 ORDER BY group_id LIMIT 1",
		       ARGS(now_ms, after), COLS(group_id), e);
}

int store_due_task(struct store *st, int64_t group_id, int64_t now_ms, task_fn *fn, void *ctx,
		   struct err *e)
{
	static const char sql[] = "SELECT " COLUMNS TABLES " WHERE t.id = (SELECT id FROM tasks"
				  " INDEXED BY tasks_due_by_group WHERE group_id = ?1"
				  " AND state = 0 AND due_ms IS NOT NULL AND due_ms <= ?2"
				  " ORDER BY due_ms, id LIMIT 1)";
	int n = tell_task(st, sql_read(st, sql, ARGS(group_id, now_ms), e), fn, ctx, e);

	return n > 0 ? 0 : n < 0 ? -1 : err_set(e, E_GONE, "no task of this group is due");
}
