// SPDX-License-Identifier: Apache-2.0
/* A house (router_rig.h) with a clock of its own for the tasks, and short ways to make tasks, to let time pass and to look at runs. The timer of the scheduler
 * goes by the loop's clock, so a test that moves the clock kicks it, as the kernel does when the clock is set. */
#ifndef CHELA_TESTS_ROUTER_SCHEDULE_RIG_H
#define CHELA_TESTS_ROUTER_SCHEDULE_RIG_H
#include "router_rig.h"
#include <sqlite3.h>
#include "router/schedule.h"

#define MINUTE 60000
#define HOUR   (60 * MINUTE)
#define DAY    (24 * (int64_t)HOUR)
/* Mon 2026-11-23 08:00:00Z */
#define T0 INT64_C(1795420800000)

static struct clock rig_clock;

static int64_t real_mono(const struct clock *c maybe_unused)
{
	return clock_system.mono_us(&clock_system);
}

static maybe_unused int schedule_setup(void **state)
{
	struct house *h;

	house_setup(state);
	h = *state;
	store_close(h->st);
	rig_clock = clock_fixed(T0);
	rig_clock.mono_us = real_mono; /* a step's time is real */
	h->clk = &rig_clock;
	house_open_store(h);
	return 0;
}

/* A group with a chat of its own; "main" is there already, with the console's. */
static maybe_unused int64_t make_group(struct house *h, const char *name)
{
	struct err e = ERR_INIT;
	struct group_row g;
	struct chat_row c;

	assert_ok(store_group_ensure(h->st, name, streq(name, "main"), &g, &e), &e);
	assert_ok(store_chat_ensure(h->st, "console", name, "", &c, &e), &e);
	assert_ok(store_chat_link(h->st, c.id, g.id, &e), &e);
	return g.id;
}

/* args: "name=x|prompt=y|..." */
static maybe_unused int try_task(struct house *h, const char *group, int64_t id, const char *args,
				 int64_t *out, struct err *e)
{
	_cleanup_free_ char *copy = xstrdup(args);
	_cleanup_json_ cJSON *j = cJSON_CreateObject();
	struct group_row g;
	struct actor by;
	struct task_place where = {.group = &g, .thread = ""};
	char *rest = copy, *one;

	while ((one = strsep(&rest, "|"))) {
		char *eq = strchr(one, '=');

		*eq = '\0';
		cJSON_AddStringToObject(j, one, eq + 1);
	}
	make_group(h, group);
	assert_ok(store_group_get(h->st, group, &g, e), e);
	actor_operator(&by);
	return task_put(h->router, &where, &by, id, j, out, e);
}

static maybe_unused int64_t task(struct house *h, const char *group, const char *args)
{
	struct err e = ERR_INIT;
	int64_t id = 0;

	assert_ok(try_task(h, group, 0, args, &id, &e), &e);
	return id;
}

/* A few rounds through the kernel, until all that follows from what has happened has happened. */
static maybe_unused void rounds(struct house *h, int n)
{
	struct pulse p = {h, 0};
	struct timer *t = timer_new(h->l, "pulse", pulse_once, &p);

	timer_start(t, 1, 1);
	await_at_least(h, &p.n, n);
	timer_free(t);
}

static maybe_unused void pass(struct house *h, int64_t ms)
{
	rig_clock.fixed_ms += ms;
	schedule_kick(h->router);
	rounds(h, 10);
}

/* Of what is written, whether it is durable yet or not. */
static int64_t look(struct house *h, const char *sql)
{
	struct err e = ERR_INIT;
	sqlite3 *db;
	sqlite3_stmt *s;
	int64_t v;

	assert_ok(store_commit(h->st, &e), &e);
	assert_int_equal(sqlite3_open(h->file, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 2000);
	if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	assert_int_equal(sqlite3_step(s), SQLITE_ROW);
	v = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	sqlite3_close(db);
	return v;
}

static maybe_unused int64_t runs_in(struct house *h, enum run_state state)
{
	char sql[80];

	snprintf(sql, sizeof(sql), "SELECT count(*) FROM task_runs WHERE state = %d", state);
	return look(h, sql);
}

static maybe_unused void put_run_words(void *ctx, const struct run_row *r)
{
	buf_putf(ctx, "%lld:%s:%s%s;", (long long)((r->slot_ms - T0) / MINUTE),
		 run_state_word(r->state), r->text, r->error);
}

/* All runs, newest first: "MINUTES AFTER T0:STATE:WORDS;" each. */
#define assert_runs(h, want)                                                                       \
	do {                                                                                       \
		struct buf words_ = {0};                                                           \
		struct err e_ = ERR_INIT;                                                          \
		assert_ok(store_run_each((h)->st, 0, 0, 1000, put_run_words, &words_, &e_), &e_);  \
		assert_string_equal(words_.p ? words_.p : "", want);                               \
		buf_free(&words_);                                                                 \
	} while (0)

#endif
