// SPDX-License-Identifier: Apache-2.0
/*
 * What the agents' calls of the model came to. Each call has its row, and a sum for each day and group goes along with it in the same transaction: a year is
 * read as some hundred rows, not as all its calls. A turn, with all its calls and its cost, belongs to the day (UTC) of its first call.
 */
#include "store/impl.h"
#include "store/record.h"
#include "store/tasks.h"

#define DAY_MS ((int64_t)86400000)

/* A turn's first call: when, and what the agent has told of the turn's cost before it. */
static int first_call(struct store *st, int64_t turn_id, int64_t *at_ms, int64_t *cost,
		      struct err *e)
{
	static const char sql[] =
		"SELECT (SELECT at_ms FROM usage WHERE turn_id = ?1"
		" ORDER BY id LIMIT 1), (SELECT cost_micro FROM turns WHERE id = ?1)";

	return sql_get(st, sql, ARGS(turn_id), COLS(at_ms, cost), e);
}

int store_usage_add(struct store *st, const struct usage_new *u, struct err *e)
{
	static const char day[] =
		"INSERT INTO usage_days(day, group_id, turns, calls, input, output, cache_read,"
		" cache_write, cost_micro) VALUES (?1, ?2, ?3, 1, ?4, ?5, ?6, ?7, ?8)"
		" ON CONFLICT DO UPDATE SET turns = turns + ?3, calls = calls + 1,"
		" input = input + ?4, output = output + ?5, cache_read = cache_read + ?6,"
		" cache_write = cache_write + ?7, cost_micro = cost_micro + ?8";
	static const char call[] = "INSERT INTO usage(at_ms, turn_id, group_id, model, input,"
				   " output, cache_read, cache_write, status)"
				   " VALUES (?1, nullif(?2, 0), ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
	int64_t now = store_now(st), at = 0, cost = 0;
	bool first;

	if (u->turn_id && first_call(st, u->turn_id, &at, &cost, e) < 0)
		return -1;
	first = u->turn_id && !at;
	if (sql_run(st, day,
		    ARGS((at ? at : now) / DAY_MS, u->group_id, first, u->input, u->output,
			 u->cache_read, u->cache_write, first ? cost : 0),
		    e) < 0)
		return -1;
	return sql_run(st, call,
		       ARGS(now, u->turn_id, u->group_id, u->model, u->input, u->output,
			    u->cache_read, u->cache_write, u->status),
		       e);
}

int store_turn_cost(struct store *st, int64_t turn_id, int64_t micro, struct err *e)
{
	static const char turn[] = "UPDATE turns SET cost_micro = cost_micro + ?2 WHERE id = ?1";
	static const char day[] =
		"UPDATE usage_days SET cost_micro = cost_micro + ?2 WHERE (day, group_id) ="
		" (SELECT at_ms / 86400000, group_id FROM usage WHERE turn_id = ?1"
		"  ORDER BY id LIMIT 1)";

	if (sql_run(st, turn, ARGS(turn_id, micro), e) < 0)
		return -1;
	return sql_run(st, day, ARGS(turn_id, micro), e);
}

int store_usage_sum(struct store *st, int64_t group_id, int64_t since_ms, struct usage_sum *out,
		    struct err *e)
{
	/* By group, for the index: not the whole history for the sum of a day. */
	static const char sql[] =
		"SELECT count(*), coalesce(sum(input), 0), coalesce(sum(output), 0),"
		" coalesce(sum(cache_read), 0), coalesce(sum(cache_write), 0),"
		" count(DISTINCT turn_id) FROM groups g CROSS JOIN usage u"
		" WHERE (?1 = 0 OR g.id = ?1) AND u.group_id = g.id AND u.at_ms >= ?2";

	return sql_get(st, sql, ARGS(group_id, since_ms),
		       COLS(&out->calls, &out->input, &out->output, &out->cache_read,
			    &out->cache_write, &out->turns),
		       e);
}

/* --- by day and by group ------------------------------------------------------------------ */

#define SUMS                                                                                       \
	" sum(turns), sum(calls), sum(input), sum(output), sum(cache_read), sum(cache_write),"     \
	" sum(cost_micro)"

SQL_TELL(usage, &row.what, &row.turns, &row.calls, &row.input, &row.output, &row.cache_read,
	 &row.cache_write, &row.cost_micro)

int store_usage_days(struct store *st, int64_t group_id, int64_t since_ms, usage_fn *fn, void *ctx,
		     struct err *e)
{
	static const char sql[] =
		"SELECT strftime('%Y-%m-%d', day * 86400, 'unixepoch')," SUMS " FROM usage_days"
		" WHERE day >= ?1 AND (?2 = 0 OR group_id = ?2) GROUP BY day ORDER BY day DESC";
	sqlite3_stmt *s = sql_read(st, sql, ARGS(since_ms / DAY_MS, group_id), e);

	return tell_usage(st, s, fn, ctx, e) < 0 ? -1 : 0;
}

int store_usage_groups(struct store *st, int64_t since_ms, usage_fn *fn, void *ctx, struct err *e)
{
	static const char sql[] =
		"SELECT (SELECT name FROM groups WHERE id = group_id)," SUMS " FROM usage_days"
		" WHERE day >= ?1 GROUP BY group_id ORDER BY sum(input) + sum(output) DESC, 1";
	sqlite3_stmt *s = sql_read(st, sql, ARGS(since_ms / DAY_MS), e);

	return tell_usage(st, s, fn, ctx, e) < 0 ? -1 : 0;
}
