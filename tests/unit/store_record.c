// SPDX-License-Identifier: Apache-2.0
/* What is kept beside the rows so that it need not be counted: usage by day and by group, what a person said last; and the record of what was asked for. */
#include "store_rig.h"
#include "store/impl.h"
#include "store/people.h"
#include "store/record.h"
#include "store/tasks.h"

#define DAY 86400000

static int64_t turn(struct rig *r, int64_t group, int calls)
{
	struct err e = ERR_INIT;
	int64_t id;

	assert_ok(store_turn_open(r->st, group, "", &id, &e), &e);
	for (int i = 0; i < calls; i++) {
		const struct usage_new u = {.turn_id = id,
					    .group_id = group,
					    .model = "m",
					    .input = 10,
					    .output = 3,
					    .cache_read = 100,
					    .cache_write = 1,
					    .status = 200};

		assert_ok(store_usage_add(r->st, &u, &e), &e);
	}
	return id;
}

static void put_usage(void *ctx, const struct usage_row *u)
{
	buf_putf(ctx, "%s %lld/%lld %lld %lld %lld %lld $%lld\n", u->what, (long long)u->turns,
		 (long long)u->calls, (long long)u->input, (long long)u->output,
		 (long long)u->cache_read, (long long)u->cache_write, (long long)u->cost_micro);
}

static void usage_by_day_and_group(void **state)
{
	struct rig *r = *state;
	struct group_row work;
	struct err e = ERR_INIT;
	const struct usage_new loose = {
		.group_id = r->g.id, .model = "m", .input = 7, .status = 200};
	_cleanup_(buf_free) struct buf out = {0};
	int64_t first;

	assert_ok(store_group_ensure(r->st, "work", false, &work, &e), &e);
	r->clk.fixed_ms = 10 * (int64_t)DAY - 1000; /* the last second of 1970-01-10 */
	first = turn(r, r->g.id, 2);
	r->clk.fixed_ms += 2000;
	turn(r, work.id, 3);
	/* A call after midnight belongs to the turn that began before it. */
	assert_ok(store_usage_add(r->st,
				  &(struct usage_new){.turn_id = first,
						      .group_id = r->g.id,
						      .model = "m",
						      .input = 1,
						      .status = 200},
				  &e),
		  &e);
	assert_ok(store_usage_add(r->st, &loose, &e), &e);
	commit(r);

	assert_ok(store_turn_cost(r->st, first, 1500, &e), &e);
	assert_ok(store_usage_days(r->st, 0, 0, put_usage, &out, &e), &e);
	assert_string_equal(out.p, "1970-01-11 1/4 37 9 300 3 $0\n"
				   "1970-01-10 1/3 21 6 200 2 $1500\n");
	buf_reset(&out);
	assert_ok(store_usage_groups(r->st, 0, put_usage, &out, &e), &e);
	assert_string_equal(out.p, "work 1/3 30 9 300 3 $0\nmain 1/4 28 6 200 2 $1500\n");
	buf_reset(&out);
	assert_ok(store_usage_days(r->st, work.id, 0, put_usage, &out, &e), &e);
	assert_string_equal(out.p, "1970-01-11 1/3 30 9 300 3 $0\n");
	buf_reset(&out);
	assert_ok(store_usage_days(r->st, work.id, 12 * (int64_t)DAY, put_usage, &out, &e), &e);
	assert_int_equal(out.len, 0);
}

/* Whoever asks for a month waits for its days, not for its calls: the loop has 10 ms. */
static void a_month_is_read_by_its_days(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	_cleanup_(buf_free) struct buf out = {0};

	for (int day = 0; day < 30; day++) {
		r->clk.fixed_ms = (100 + day) * (int64_t)DAY;
		for (int i = 0; i < 10; i++)
			turn(r, r->g.id, 10);
	}
	commit(r);
	steps(r);
	assert_ok(store_usage_days(r->st, 0, 100 * (int64_t)DAY, put_usage, &out, &e), &e);
	assert_in_range(steps(r), 30, 30 * 60);
	assert_non_null(strstr(out.p, "1970-04-11 10/100 1000 300 10000 100 $0\n"));
	buf_reset(&out);
	assert_ok(store_usage_days(r->st, r->g.id, 100 * (int64_t)DAY, put_usage, &out, &e), &e);
	assert_in_range(steps(r), 30, 30 * 60);
	buf_reset(&out);
	assert_ok(store_usage_groups(r->st, 100 * (int64_t)DAY, put_usage, &out, &e), &e);
	assert_in_range(steps(r), 30, 30 * 60);
	assert_string_equal(out.p, "main 300/3000 30000 9000 300000 3000 $0\n");
}

/* What the agent tells of a turn's cost counts whether its first call is on record by then or not. */
static void a_cost_that_comes_first_is_counted(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	_cleanup_(buf_free) struct buf out = {0};
	struct usage_new u = {.group_id = r->g.id, .model = "m", .input = 7, .status = 200};

	r->clk.fixed_ms = 10 * (int64_t)DAY;
	assert_ok(store_turn_open(r->st, r->g.id, "", &u.turn_id, &e), &e);
	assert_ok(store_turn_cost(r->st, u.turn_id, 40, &e), &e);
	for (int i = 0; i < 2; i++)
		assert_ok(store_usage_add(r->st, &u, &e), &e);
	assert_ok(store_turn_cost(r->st, u.turn_id, 2, &e), &e);
	assert_ok(store_usage_days(r->st, 0, 0, put_usage, &out, &e), &e);
	assert_string_equal(out.p, "1970-01-11 1/2 14 0 0 0 $42\n");
}

static void put_act(void *ctx, const struct act_row *a)
{
	buf_putf(ctx, "%lld %s %s %s \"%s\" %d\n", (long long)a->at_ms, a->who, a->via, a->group,
		 a->act, a->allowed);
}

static void the_newest_of_the_record_in_order(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	_cleanup_(buf_free) struct buf out = {0};

	for (int i = 0; i < 5; i++) {
		char act[16];

		snprintf(act, sizeof(act), "act %d", i);
		r->clk.fixed_ms = 1000 + i;
		assert_ok(store_act_add(r->st, "Ann", 0, i == 4 ? 0 : r->g.id, "chat", act, i != 3,
					&e),
			  &e);
	}
	assert_ok(store_act_each(r->st, 3, put_act, &out, &e), &e);
	assert_string_equal(out.p, "1002 Ann chat main \"act 2\" 1\n"
				   "1003 Ann chat main \"act 3\" 0\n"
				   "1004 Ann chat  \"act 4\" 1\n");
}

static void put_newest(void *ctx, const char *chat, const char *last_id, int64_t last_ms)
{
	(void)chat;
	(void)last_ms;
	buf_puts(ctx, last_id);
}

/* What the platform is asked to go on from; and how much was looked at for that. */
static int64_t assert_newest(struct rig *r, const char *id)
{
	_cleanup_(buf_free) struct buf b = {0};
	struct err e = ERR_INIT;

	steps(r);
	assert_ok(store_chat_newest(r->st, r->chat.channel, put_newest, &b, &e), &e);
	assert_string_equal(b.p ? b.p : "", id);
	return steps(r);
}

static void found(void *ctx, const struct msg_row *m)
{
	(void)m;
	++*(int *)ctx;
}

/* Whether the search has them yet or not, however much was said by us since, after a restart too. */
static void what_a_person_said_last(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	struct msg_new event = {.chat_id = r->chat.id,
				.group_id = r->g.id,
				.session = "",
				.thread = "",
				.platform_id = MSG_EVENT "x",
				.text = "x",
				.text_len = 1};
	int64_t id, few;
	bool dup;
	int n = 0;

	assert_ok(store_chat_link(r->st, r->chat.id, r->g.id, &e), &e);
	assert_newest(r, "");
	put_in(r);
	assert_newest(r, "m1");
	assert_ok(store_search(r->st, r->g.id, "m1", 9, found, &n, &e), &e);
	few = assert_newest(r, "m1");
	for (int i = 0; i < 600; i++)
		put_out(r, "a task's words");
	assert_ok(store_message_in(r->st, &event, &id, &dup, &e), &e);
	assert_ok(store_search(r->st, r->g.id, "m1", 9, found, &n, &e), &e);
	assert_in_range(assert_newest(r, "m1"), 1, few + 10);
	put_in(r);
	assert_newest(r, "m2");
	commit(r);
	rig_reopen(r);
	assert_newest(r, "m2");
	assert_ok(store_search(r->st, r->g.id, "m2", 9, found, &n, &e), &e);
	assert_newest(r, "m2");
	assert_int_equal(n, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_a_person_said_last, setup, teardown),
		cmocka_unit_test_setup_teardown(usage_by_day_and_group, setup, teardown),
		cmocka_unit_test_setup_teardown(a_month_is_read_by_its_days, setup, teardown),
		cmocka_unit_test_setup_teardown(a_cost_that_comes_first_is_counted, setup,
						teardown),
		cmocka_unit_test_setup_teardown(the_newest_of_the_record_in_order, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
