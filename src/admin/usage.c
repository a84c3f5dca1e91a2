// SPDX-License-Identifier: Apache-2.0
/* `chela usage`: what the agents' calls of the model came to, by day and by group. */
#include <string.h>
#include "admin/command.h"
#include "base/str.h"
#include "store/record.h"

#define DAYS_MAX 366
#define DAY_MS	 ((int64_t)86400000)

static void put_row(void *ctx, const struct usage_row *u)
{
	struct listing *t = ctx;

	t->n++;
	reply_line(t->r, "%-12s %5lld turns  %9lld in  %9lld out  %9lld cached  $%.4f", u->what,
		   (long long)u->turns, (long long)(u->input + u->cache_write),
		   (long long)u->output, (long long)u->cache_read, (double)u->cost_micro / 1e6);
}

static int put_tables(struct command *c, const struct group_row *g, int64_t days, struct err *e)
{
	int64_t now = clock_wall(c->o->clk);
	int64_t since = (now / DAY_MS - (days - 1)) * DAY_MS;
	struct listing t = {.r = c->r};

	if (g)
		reply_line(c->r, "%s, the last %lld days (UTC):", g->name, (long long)days);
	else
		reply_line(c->r, "All groups, the last %lld days (UTC):", (long long)days);
	if (store_usage_days(c->o->store, g ? g->id : 0, since, put_row, &t, e) < 0)
		return -1;
	if (!t.n) {
		reply_line(c->r, "No call of the model.");
		return 0;
	}
	if (!g) {
		reply_line(c->r, "By group:");
		if (store_usage_groups(c->o->store, since, put_row, &t, e) < 0)
			return -1;
	}
	reply_line(c->r, "in: new and cache-writing tokens; cached: read from the cache; $: by the "
			 "agent's own reckoning.");
	return 0;
}

/* [GROUP] [DAYS]: a number is days. */
static int usage(struct command *c, struct err *e)
{
	struct group_row g;
	const char *name = NULL;
	int64_t days = 7;

	for (int i = 0; i < c->argc; i++) {
		if (!c->argv[i][strspn(c->argv[i], "0123456789")] && c->argv[i][0]) {
			if (str_to_i64(c->argv[i], 1, DAYS_MAX, &days, e) < 0)
				return err_wrap(e, "reading DAYS");
		} else if (name) {
			return err_set(e, E_INVAL, "\"%.40s\" is no number of days", c->argv[i]);
		} else {
			name = c->argv[i];
		}
	}
	if (!name && c->where != CMD_GROUP)
		return put_tables(c, NULL, days, e);
	return command_group(c, name, &g, e) < 0 ? -1 : put_tables(c, &g, days, e);
}

const struct command_form commands_usage[] = {
	{"usage", "[GROUP] [DAYS]", "tokens, turns and costs by day and group", CMD_EVERYWHERE,
	 ROLE_MEMBER, .max = 2, .run = usage},
	{0},
};
