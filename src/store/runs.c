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

static const char *column(sqlite3_stmt *s, int i)
{
	const char *t = (const char *)sqlite3_column_text(s, i);

	return t ? t : "";
}

static void read_run(sqlite3_stmt *s, struct run_row *r)
{
	int64_t *const number[] = {&r->id,	   &r->task_id,	    &r->slot_ms,    &r->tries,
				   &r->next_ms,	   &r->made_ms,	    &r->started_ms, &r->ended_ms,
				   &r->message_id, &r->turn_id,	    &r->input,	    &r->output,
				   &r->cache_read, &r->cache_write, &r->cost_micro, &r->group_id};

	for (size_t i = 0; i < ARRAY_LEN(number); i++)
		*number[i] = sqlite3_column_int64(s, (int)i);
	r->manual = sqlite3_column_int(s, 16) != 0;
	r->isolated = sqlite3_column_int(s, 17) != 0;
	r->state = (enum run_state)sqlite3_column_int(s, 18);
	r->text = column(s, 19);
	r->error = column(s, 20);
	r->task = column(s, 21);
	r->group = column(s, 22);
}

static int each(struct store *st, sqlite3_stmt *s, run_fn *fn, void *ctx, struct err *e)
{
	struct run_row r;
	int rc;

	while ((rc = store_step(st, s, e)) > 0) {
		read_run(s, &r);
		fn(ctx, &r);
	}
	return rc;
}

/* The first column of the first row; 0 = there is none. */
static int one(struct store *st, sqlite3_stmt *s, int64_t *out, struct err *e)
{
	int rc = store_step(st, s, e);

	*out = rc > 0 ? sqlite3_column_int64(s, 0) : 0;
	return rc < 0 ? -1 : 0;
}

/* --- reading ------------------------------------------------------------------------------ */

int store_run_each(struct store *st, int64_t group_id, int64_t task_id, int64_t limit, run_fn *fn,
		   void *ctx, struct err *e)
{
	static const char sql[] = "SELECT " COLUMNS TABLES " WHERE (?1 = 0 OR r.group_id = ?1)"
				  " AND (?2 = 0 OR r.task_id = ?2) ORDER BY r.id DESC LIMIT ?3";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, group_id);
	sqlite3_bind_int64(s, 2, task_id);
	sqlite3_bind_int64(s, 3, limit);
	return each(st, s, fn, ctx, e);
}

int store_run_get(struct store *st, int64_t id, run_fn *fn, void *ctx, struct err *e)
{
	static const char sql[] = "SELECT " COLUMNS TABLES " WHERE r.id = ?1";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);
	struct run_row r;
	int rc;

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, id);
	rc = store_step(st, s, e);
	if (rc <= 0)
		return rc < 0 ? -1 : err_set(e, E_GONE, "there is no run %lld", (long long)id);
	read_run(s, &r);
	fn(ctx, &r);
	return 0;
}

int store_runs_open(struct store *st, int64_t task_id, int64_t *n, int64_t *any, struct err *e)
{
	static const char sql[] =
		"SELECT count(*), coalesce(min(id), 0) FROM task_runs INDEXED BY task_runs_open WHERE task_id = ?1"
		" AND state < 3";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, task_id);
	if (store_step(st, s, e) < 0)
		return -1;
	*n = sqlite3_column_int64(s, 0);
	*any = sqlite3_column_int64(s, 1);
	return 0;
}

int store_runs_each_open(struct store *st, int64_t task_id, int64_t limit, run_fn *fn, void *ctx,
			 struct err *e)
{
	/* Both by the index of open runs, not along all that ever ran. */
	static const char all[] = "SELECT " COLUMNS TABLES " WHERE r.state < 3"
				  " AND ?1 = 0 ORDER BY +r.id LIMIT ?2";
	static const char one[] = "SELECT " COLUMNS TABLES " WHERE r.state < 3"
				  " AND r.task_id = ?1 ORDER BY +r.id LIMIT ?2";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, task_id ? one : all, e);

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, task_id);
	sqlite3_bind_int64(s, 2, limit);
	return each(st, s, fn, ctx, e);
}

int store_runs_each_going(struct store *st, run_fn *fn, void *ctx, struct err *e)
{
	static const char sql[] =
		"SELECT " COLUMNS TABLES " WHERE r.state IN (1, 2) ORDER BY +r.id";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);

	return s ? each(st, s, fn, ctx, e) : -1;
}

int store_run_newest(struct store *st, int64_t *made_ms, struct err *e)
{
	static const char sql[] = "SELECT made_ms FROM task_runs ORDER BY id DESC LIMIT 1";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);

	return s ? one(st, s, made_ms, e) : -1;
}

int store_run_last_ok(struct store *st, int64_t task_id, int64_t *ms, struct err *e)
{
	static const char sql[] = "SELECT max(ended_ms) FROM task_runs WHERE task_id = ?1"
				  " AND state IN (3, 5)";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, task_id);
	return one(st, s, ms, e);
}

int store_wait_group(struct store *st, int64_t now_ms, int64_t after, int64_t *group_id,
		     struct err *e)
{
	static const char sql[] =
		"SELECT group_id FROM task_runs INDEXED BY task_runs_waiting WHERE state = 0 AND group_id > ?2 AND next_ms <= ?1"
		" AND group_id" WORKING " ORDER BY group_id LIMIT 1";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, now_ms);
	sqlite3_bind_int64(s, 2, after);
	return one(st, s, group_id, e);
}

int store_wait_run(struct store *st, int64_t group_id, bool isolated, int64_t now_ms,
		   int64_t *run_id, struct err *e)
{
	static const char sql[] =
		"SELECT id FROM task_runs INDEXED BY task_runs_waiting WHERE state = 0 AND group_id = ?1 AND isolated = ?2"
		" AND next_ms <= ?3 AND group_id" WORKING " ORDER BY id LIMIT 1";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, group_id);
	sqlite3_bind_int(s, 2, isolated);
	sqlite3_bind_int64(s, 3, now_ms);
	return one(st, s, run_id, e);
}

int store_runs_going(struct store *st, int64_t group_id, bool isolated, int64_t *n, struct err *e)
{
	static const char sql[] =
		"SELECT count(*) FROM task_runs INDEXED BY task_runs_going WHERE state IN (1, 2)"
		" AND (?1 = 0 OR group_id = ?1) AND isolated = ?2";
	_cleanup_stmt_ sqlite3_stmt *s = store_read(st, sql, e);

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, group_id);
	sqlite3_bind_int(s, 2, isolated);
	return one(st, s, n, e);
}

/* --- writing ------------------------------------------------------------------------------ */

int store_run_add(struct store *st, int64_t task_id, int64_t slot_ms, bool manual,
		  enum run_state state, const char *text, int64_t *id, struct err *e)
{
	static const char sql[] =
		"INSERT INTO task_runs(task_id, group_id, isolated, slot_ms, manual, state, made_ms,"
		" ended_ms, text) SELECT id, group_id, context, ?2, ?3, ?4, ?5,"
		" iif(?4 > 2, ?5, NULL), ?6 FROM tasks WHERE id = ?1"
		" ON CONFLICT(task_id, slot_ms) DO NOTHING";
	_cleanup_stmt_ sqlite3_stmt *s = store_write(st, sql, e);

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, task_id);
	sqlite3_bind_int64(s, 2, slot_ms);
	sqlite3_bind_int(s, 3, manual);
	sqlite3_bind_int(s, 4, state);
	sqlite3_bind_int64(s, 5, store_now(st));
	bind_text(s, 6, text);
	if (store_done(st, s, e) < 0)
		return -1;
	*id = sqlite3_changes(st->db) ? sqlite3_last_insert_rowid(st->db) : 0;
	return 0;
}

int store_run_begin(struct store *st, int64_t id, enum run_state state, int64_t message_id,
		    struct err *e)
{
	static const char sql[] =
		"UPDATE task_runs SET state = ?2, message_id = nullif(?3, 0), next_ms = 0,"
		" started_ms = coalesce(started_ms, ?4) WHERE id = ?1 AND state < 3";
	_cleanup_stmt_ sqlite3_stmt *s = store_write(st, sql, e);

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, id);
	sqlite3_bind_int(s, 2, state);
	sqlite3_bind_int64(s, 3, message_id);
	sqlite3_bind_int64(s, 4, store_now(st));
	if (store_done(st, s, e) < 0)
		return -1;
	if (sqlite3_changes(st->db) != 1)
		return err_set(e, E_GONE, "run %lld is over", (long long)id);
	return 0;
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
	_cleanup_stmt_ sqlite3_stmt *t = store_read(st, turn, e);
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	int64_t last = 0;

	if (!t)
		return -1;
	sqlite3_bind_int64(t, 1, id);
	if (one(st, t, &last, e) < 0)
		return -1;
	if (!last)
		return 0;
	s = store_write(st, sql, e);
	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, id);
	sqlite3_bind_int64(s, 2, last);
	return store_done(st, s, e);
}

int store_run_turn(struct store *st, int64_t id, int64_t turn_id, struct err *e)
{
	static const char sql[] = "UPDATE task_runs SET turn_id = ?2 WHERE id = ?1 AND state < 3";
	_cleanup_stmt_ sqlite3_stmt *s = NULL;

	/* What an earlier try used in a turn that came to nothing is the run's all the same. */
	if (add_spent(st, id, e) < 0)
		return -1;
	s = store_write(st, sql, e);
	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, id);
	sqlite3_bind_int64(s, 2, turn_id);
	return store_done(st, s, e);
}

static void bind_cut(sqlite3_stmt *s, int i, const char *text)
{
	size_t n = strlen(text);

	if (n > RUN_TEXT_MAX)
		n = str_utf8_floor(text, RUN_TEXT_MAX);
	sqlite3_bind_text64(s, i, text, n, SQLITE_STATIC, SQLITE_UTF8);
}

int store_run_end(struct store *st, const struct run_end *end, struct err *e)
{
	/* The turn stays named in a run that is over; one that is tried again has none. */
	static const char sql[] =
		"UPDATE task_runs SET state = ?3, next_ms = ?4, text = ?5, error = ?6,"
		" ended_ms = iif(?3 > 2, ?7, NULL), tries = tries + (?3 = 0),"
		" message_id = iif(?3 = 0, NULL, message_id), turn_id = iif(?3 = 0, NULL, ?2)"
		" WHERE id = ?1 AND state < 3";
	_cleanup_stmt_ sqlite3_stmt *s = NULL;

	if (add_spent(st, end->id, e) < 0)
		return -1;
	s = store_write(st, sql, e);
	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, end->id);
	if (end->turn_id)
		sqlite3_bind_int64(s, 2, end->turn_id);
	sqlite3_bind_int(s, 3, end->state);
	sqlite3_bind_int64(s, 4, end->next_ms);
	bind_cut(s, 5, end->text);
	bind_cut(s, 6, end->error);
	sqlite3_bind_int64(s, 7, store_now(st));
	if (store_done(st, s, e) < 0)
		return -1;
	if (sqlite3_changes(st->db) != 1)
		return err_set(e, E_GONE, "run %lld is over", (long long)end->id);
	return 0;
}

int store_runs_drop(struct store *st, int64_t task_id, const char *why, struct err *e)
{
	static const char sql[] =
		"UPDATE task_runs INDEXED BY task_runs_open SET state = 8, ended_ms = ?2, error = ?3"
		" WHERE task_id = ?1 AND state < 3 AND state = 0";
	_cleanup_stmt_ sqlite3_stmt *s = store_write(st, sql, e);

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, task_id);
	sqlite3_bind_int64(s, 2, store_now(st));
	bind_text(s, 3, why);
	return store_done(st, s, e);
}

int store_turn_cost(struct store *st, int64_t turn_id, int64_t micro, struct err *e)
{
	static const char sql[] = "UPDATE turns SET cost_micro = cost_micro + ?2 WHERE id = ?1";
	_cleanup_stmt_ sqlite3_stmt *s = store_write(st, sql, e);

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, turn_id);
	sqlite3_bind_int64(s, 2, micro);
	return store_done(st, s, e);
}
