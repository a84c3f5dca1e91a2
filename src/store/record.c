// SPDX-License-Identifier: Apache-2.0
/* Sums over usage, and the record of what was asked for; see record.h. */
#include "store/record.h"
#include "store/impl.h"

/* Each turn first, by the group's index; it belongs to the day of its first call. */
#define TURNS                                                                                      \
	"(SELECT u.turn_id AS turn, g.name AS name, min(u.at_ms) AS at, count(*) AS calls,"        \
	" sum(u.input) AS input, sum(u.output) AS output, sum(u.cache_read) AS cache_read,"        \
	" sum(u.cache_write) AS cache_write,"                                                      \
	" coalesce((SELECT cost_micro FROM turns WHERE id = u.turn_id), 0) AS cost"                \
	" FROM groups g CROSS JOIN usage u ON u.group_id = g.id AND u.at_ms >= ?1"                 \
	" WHERE ?2 = 0 OR g.id = ?2 GROUP BY coalesce(u.turn_id, -u.id))"
#define SUMS                                                                                       \
	" count(turn), sum(calls), sum(input), sum(output), sum(cache_read), sum(cache_write),"    \
	" sum(cost) FROM " TURNS

SQL_TELL(usage, &row.what, &row.turns, &row.calls, &row.input, &row.output, &row.cache_read,
	 &row.cache_write, &row.cost_micro)

static int each_usage(struct store *st, const char *sql, int64_t group_id, int64_t since_ms,
		      usage_fn *fn, void *ctx, struct err *e)
{
	sqlite3_stmt *s = sql_read(st, sql, ARGS(since_ms, group_id), e);

	return tell_usage(st, s, fn, ctx, e) < 0 ? -1 : 0;
}

int store_usage_days(struct store *st, int64_t group_id, int64_t since_ms, usage_fn *fn, void *ctx,
		     struct err *e)
{
	static const char sql[] = "SELECT strftime('%Y-%m-%d', at / 1000, 'unixepoch')," SUMS
				  " GROUP BY 1 ORDER BY 1 DESC";

	return each_usage(st, sql, group_id, since_ms, fn, ctx, e);
}

int store_usage_groups(struct store *st, int64_t since_ms, usage_fn *fn, void *ctx, struct err *e)
{
	static const char sql[] =
		"SELECT name," SUMS " GROUP BY 1 ORDER BY sum(input) + sum(output) DESC, 1";

	return each_usage(st, sql, 0, since_ms, fn, ctx, e);
}

SQL_TELL(act, &row.id, &row.at_ms, &row.who, &row.via, &row.act, &row.group, &row.allowed)

int store_act_each(struct store *st, int64_t limit, act_fn *fn, void *ctx, struct err *e)
{
	static const char sql[] =
		"SELECT * FROM (SELECT a.id, a.at_ms, a.who, a.via, a.act,"
		" coalesce((SELECT name FROM groups WHERE id = a.group_id), ''), a.allowed"
		" FROM acts a ORDER BY a.id DESC LIMIT ?1) ORDER BY 1";

	return tell_act(st, sql_read(st, sql, ARGS(limit), e), fn, ctx, e) < 0 ? -1 : 0;
}
