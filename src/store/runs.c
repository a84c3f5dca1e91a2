// SPDX-License-Identifier: Apache-2.0
/*
 * The runs of tasks: one row a slot, from the claim to the end. That a slot has at most one row (UNIQUE) is what makes a claim safe against restarts; it
 * must never be taken out again to run a slot a second time.
 */
#include <string.h>
#include "base/str.h"
#include "store/impl.h"
#include "store/tasks.h"

#define COLUMNS                                                                                    \
	"r.id, r.task_id, r.slot_ms, r.tries, r.next_ms, r.made_ms, coalesce(r.started_ms, 0),"    \
	" coalesce(r.ended_ms, 0), coalesce(r.message_id, 0), coalesce(r.turn_id, 0), r.input,"    \
	" r.output, r.cache_read, r.cache_write, r.cost_micro, r.group_id, r.manual, r.isolated,"  \
	" r.state, r.text, r.error, t.name, g.name"
#define TABLES                                                                                     \
	" FROM task_runs r JOIN tasks t ON t.id = r.task_id JOIN groups g ON g.id = r.group_id"
#define WORKING " NOT IN (SELECT id FROM groups WHERE paused <> 0 OR removed_ms <> 0)"

const char *run_state_word(enum run_state s)
{
	static const char *const words[] = {
		[RUN_WAITING] = "waiting", [RUN_GATE] = "at its gate", [RUN_RUNNING] = "running",
		[RUN_OK] = "ok",	   [RUN_FAILED] = "failed",    [RUN_ASLEEP] = "not woken",
		[RUN_SKIPPED] = "skipped", [RUN_MISSED] = "missed",    [RUN_STOPPED] = "stopped"};

	return (size_t)s < ARRAY_LEN(words) ? words[s] : "unknown";
}

SQL_TELL(run, &row.id, &row.task_id, &row.slot_ms, &row.tries, &row.next_ms, &row.made_ms,
	 &row.started_ms, &row.ended_ms, &row.message_id, &row.turn_id, &row.input, &row.output,
	 &row.cache_read, &row.cache_write, &row.cost_micro, &row.group_id, &row.manual,
	 &row.isolated, &row.state, &row.text, &row.error, &row.task, &row.group)

/* --- reading ------------------------------------------------------------------------------ */

int store_run_each(struct store *st, int64_t group_id, int64_t task_id, int64_t limit, run_fn *fn,
		   void *ctx, struct err *e)
{
	static const char sql[] = "SELECT " COLUMNS TABLES " WHERE (?1 = 0 OR r.group_id = ?1)"
				  " AND (?2 = 0 OR r.task_id = ?2) ORDER BY r.id DESC LIMIT ?3";
	sqlite3_stmt *s = sql_read(st, sql, ARGS(group_id, task_id, limit), e);

	return tell_run(st, s, fn, ctx, e) < 0 ? -1 : 0;
}

int store_run_get(struct store *st, int64_t id, run_fn *fn, void *ctx, struct err *e)
{
	sqlite3_stmt *s = sql_read(st, "SELECT " COLUMNS TABLES " WHERE r.id = ?1", ARGS(id), e);

	return sql_found(tell_run(st, s, fn, ctx, e), "run", id, e);
}

int store_runs_open(struct store *st, int64_t task_id, int64_t *n, int64_t *any, struct err *e)
{
	return sql_get(st,
		       "SELECT count(*), coalesce(min(id), 0) FROM task_runs"
		       " INDEXED BY task_runs_open WHERE task_id = ?1 AND state < 3",
		       ARGS(task_id), COLS(n, any), e);
}

int store_runs_each_open(struct store *st, int64_t task_id, int64_t limit, run_fn *fn, void *ctx,
			 struct err *e)
{
	/* Both by the index of open runs, not along all that ever ran. */
	static const char all[] = "SELECT " COLUMNS TABLES " WHERE r.state < 3"
				  " AND ?1 = 0 ORDER BY +r.id LIMIT ?2";
	static const char one[] = "SELECT " COLUMNS TABLES " WHERE r.state < 3"
				  " AND r.task_id = ?1 ORDER BY +r.id LIMIT ?2";
	sqlite3_stmt *s = sql_read(st, task_id ? one : all, ARGS(task_id, limit), e);

	return tell_run(st, s, fn, ctx, e) < 0 ? -1 : 0;
}

int store_runs_each_going(struct store *st, run_fn *fn, void *ctx, struct err *e)
{
	static const char sql[] =
		"SELECT " COLUMNS TABLES " WHERE r.state IN (1, 2) ORDER BY +r.id";

	return tell_run(st, sql_read(st, sql, NULL, e), fn, ctx, e) < 0 ? -1 : 0;
}

int store_run_newest(struct store *st, int64_t *made_ms, struct err *e)
{
	return sql_get(st, "SELECT made_ms FROM task_runs ORDER BY id DESC LIMIT 1", NULL,
		       COLS(made_ms), e);
}

int store_run_last_ok(struct store *st, int64_t task_id, int64_t *ms, struct err *e)
{
	return sql_get(st,
		       "SELECT max(ended_ms) FROM task_runs WHERE task_id = ?1 AND state IN (3, 5)",
		       ARGS(task_id), COLS(ms), e);
}

int store_wait_group(struct store *st, int64_t now_ms, int64_t after, int64_t *group_id,
		     struct err *e)
{
	return sql_get(st,
		       "SELECT group_id FROM task_runs INDEXED BY task_runs_waiting"
		       " WHERE state = 0 AND group_id > ?2 AND next_ms <= ?1"
		       " AND group_id" WORKING " ORDER BY group_id LIMIT 1",
		       ARGS(now_ms, after), COLS(group_id), e);
}

int store_wait_run(struct store *st, int64_t group_id, bool isolated, int64_t now_ms,
		   int64_t *run_id, struct err *e)
{
	return sql_get(st,
		       "SELECT id FROM task_runs INDEXED BY task_runs_waiting"
		       " WHERE state = 0 AND group_id = ?1 AND isolated = ?2 AND next_ms <= ?3"
		       " AND group_id" WORKING " ORDER BY id LIMIT 1",
		       ARGS(group_id, isolated, now_ms), COLS(run_id), e);
}

int store_runs_going(struct store *st, int64_t group_id, bool isolated, int64_t *n, struct err *e)
{
	return sql_get(st,
		       "SELECT count(*) FROM task_runs INDEXED BY task_runs_going"
		       " WHERE state IN (1, 2) AND (?1 = 0 OR group_id = ?1) AND isolated = ?2",
		       ARGS(group_id, isolated), COLS(n), e);
}

/* --- writing ------------------------------------------------------------------------------ */

int store_run_add(struct store *st, int64_t task_id, int64_t slot_ms, bool manual,
		  enum run_state state, const char *text, int64_t *id, struct err *e)
{
	return sql_insert(st,
			  "INSERT INTO task_runs(task_id, group_id, isolated, slot_ms, manual,"
			  " state, made_ms, ended_ms, text)"
			  " SELECT id, group_id, context, ?2, ?3, ?4, ?5, iif(?4 > 2, ?5, NULL), ?6"
			  " FROM tasks WHERE id = ?1 ON CONFLICT(task_id, slot_ms) DO NOTHING",
			  ARGS(task_id, slot_ms, manual, state, store_now(st), text), id, e);
}

/* What a change of a run that must go on came to. */
static int going_on(int rows, int64_t id, struct err *e)
{
	if (rows == 0)
		return err_set(e, E_GONE, "run %lld is over", (long long)id);
	return rows < 0 ? -1 : 0;
}

int store_run_begin(struct store *st, int64_t id, enum run_state state, int64_t message_id,
		    struct err *e)
{
	static const char sql[] =
		"UPDATE task_runs SET state = ?2, message_id = nullif(?3, 0), next_ms = 0,"
		" started_ms = coalesce(started_ms, ?4) WHERE id = ?1 AND state < 3";
	int n = sql_changed(st, sql, ARGS(id, state, message_id, store_now(st)), e);

	return going_on(n, id, e);
}

/* Adds what a turn used to the run whose number is ?1; ?2 is the turn. */
#define SPENT                                                                                      \
	" input = input + coalesce((SELECT sum(input) FROM usage WHERE turn_id = ?2), 0),"         \
	" output = output + coalesce((SELECT sum(output) FROM usage WHERE turn_id = ?2), 0),"      \
	" cache_read = cache_read"                                                                 \
	"  + coalesce((SELECT sum(cache_read) FROM usage WHERE turn_id = ?2), 0),"                 \
	" cache_write = cache_write"                                                               \
	"  + coalesce((SELECT sum(cache_write) FROM usage WHERE turn_id = ?2), 0),"                \
	" cost_micro = cost_micro + coalesce((SELECT cost_micro FROM turns WHERE id = ?2), 0)"

static int add_spent(struct store *st, int64_t id, struct err *e)
{
	static const char turn[] = "SELECT coalesce(turn_id, 0) FROM task_runs WHERE id = ?1";
	static const char sql[] = "UPDATE task_runs SET" SPENT ", turn_id = NULL WHERE id = ?1";
	int64_t last;

	if (sql_get(st, turn, ARGS(id), COLS(&last), e) < 0)
		return -1;
	return last ? sql_run(st, sql, ARGS(id, last), e) : 0;
}

int store_run_turn(struct store *st, int64_t id, int64_t turn_id, struct err *e)
{
	/* What an earlier try used in a turn that came to nothing is the run's all the same. */
	if (add_spent(st, id, e) < 0)
		return -1;
	return sql_run(st, "UPDATE task_runs SET turn_id = ?2 WHERE id = ?1 AND state < 3",
		       ARGS(id, turn_id), e);
}

static struct arg cut(const char *text)
{
	size_t n = strlen(text);

	return arg_text(text, n > RUN_TEXT_MAX ? str_utf8_floor(text, RUN_TEXT_MAX) : n);
}

int store_run_end(struct store *st, const struct run_end *end, struct err *e)
{
	/* The turn stays named in a run that is over; one that is tried again has none. */
	static const char sql[] =
		"UPDATE task_runs SET state = ?3, next_ms = ?4, text = ?5, error = ?6,"
		" ended_ms = iif(?3 > 2, ?7, NULL), tries = tries + (?3 = 0),"
		" message_id = iif(?3 = 0, NULL, message_id),"
		" turn_id = iif(?3 = 0, NULL, nullif(?2, 0)) WHERE id = ?1 AND state < 3";
	int n;

	if (add_spent(st, end->id, e) < 0)
		return -1;
	n = sql_changed(st, sql,
			ARGS(end->id, end->turn_id, end->state, end->next_ms, cut(end->text),
			     cut(end->error), store_now(st)),
			e);
	return going_on(n, end->id, e);
}

int store_runs_drop(struct store *st, int64_t task_id, const char *why, struct err *e)
{
	return sql_run(st,
		       "UPDATE task_runs INDEXED BY task_runs_open"
		       " SET state = 8, ended_ms = ?2, error = ?3"
		       " WHERE task_id = ?1 AND state < 3 AND state = 0",
		       ARGS(task_id, store_now(st), why), e);
}
