// SPDX-License-Identifier: Apache-2.0
/* The record of what was asked for; see record.h. */
#include "store/record.h"
#include "store/impl.h"

SQL_TELL(act, &row.id, &row.at_ms, &row.who, &row.via, &row.act, &row.group, &row.allowed)

int store_act_each(struct store *st, int64_t limit, act_fn *fn, void *ctx, struct err *e)
{
	static const char sql[] =
		"SELECT * FROM (SELECT a.id, a.at_ms, a.who, a.via, a.act,"
		" coalesce((SELECT name FROM groups WHERE id = a.group_id), ''), a.allowed"
		" FROM acts a ORDER BY a.id DESC LIMIT ?1) ORDER BY 1";

	return tell_act(st, sql_read(st, sql, ARGS(limit), e), fn, ctx, e) < 0 ? -1 : 0;
}
