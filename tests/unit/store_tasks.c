// SPDX-License-Identifier: Apache-2.0
/* Tasks and runs: what is stored comes back, a slot has one row, what is due is found by group, and what a run's turns used is its own. */
#include "store_rig.h"
#include "store/tasks.h"

static int64_t put(struct rig *r, const char *name, int64_t due)
{
	struct err e = ERR_INIT;
	struct task_row t = {.group_id = r->g.id,
			     .chat_id = r->chat.id,
			     .thread = "th",
			     .name = name,
			     .prompt = "do it",
			     .gate = "",
			     .spec = "every 1h",
			     .zone = "Europe/Berlin",
			     .why = "",
			     .anchor_ms = 5,
			     .catch_up = 2,
			     .queue = true,
			     .max_ms = 60,
			     .jitter_ms = 70,
			     .retries = 3,
			     .fail_max = 4,
			     .next_ms = due,
			     .due_ms = due};
	int64_t id = 0;

	assert_ok(store_task_put(r->st, &t, &id, &e), &e);
	return id;
}

static void see_task(void *ctx, const struct task_row *t)
{
	buf_putf(ctx, "%lld %s %s %s %s %s %lld%d%lld%lld%lld%lld%d next=%lld %s %s:%s\n",
		 (long long)t->id, t->name, t->prompt, t->spec, t->zone, t->thread,
		 (long long)t->catch_up, t->queue, (long long)t->max_ms, (long long)t->jitter_ms,
		 (long long)t->retries, (long long)t->fail_max, t->state, (long long)t->next_ms,
		 t->group, t->channel, t->chat);
}

static void what_is_put_comes_back(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	struct buf b = {0};
	int64_t id = put(r, "one", 9000), found = 0;

	put(r, "two", 8000);
	assert_ok(store_task_get(r->st, id, see_task, &b, &e), &e);
	assert_string_equal(b.p, "1 one do it every 1h Europe/Berlin th 216070340 next=9000 main "
				 "console:main\n");
	buf_reset(&b);
	assert_ok(store_task_each(r->st, 0, false, see_task, &b, &e), &e);
	assert_non_null(strstr(b.p, "1 one"));
	assert_non_null(strstr(b.p, "2 two"));
	buf_free(&b);
	assert_ok(store_task_find(r->st, r->g.id, "two", &found, &e), &e);
	assert_int_equal(found, 2);
	assert_ok(store_task_find(r->st, 0, "#1", &found, &e), &e);
	assert_int_equal(found, 1);
	assert_int_equal(store_task_find(r->st, 0, "tow", &found, &e), -1);
	assert_int_equal(e.code, E_GONE);
	assert_non_null(strstr(e.msg, "\"two\""));
	/* Another group sees neither. */
	assert_int_equal(store_task_find(r->st, 77, "one", &found, &e), -1);
	assert_int_equal(e.code, E_GONE);
	assert_null(strstr(e.msg, "did you mean"));
	assert_int_equal(store_task_find(r->st, 77, "1", &found, &e), -1);
}

static void a_live_name_is_taken_once(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	struct task_row t = {.group_id = r->g.id,
			     .chat_id = r->chat.id,
			     .thread = "",
			     .name = "one",
			     .prompt = "x",
			     .gate = "",
			     .spec = "x",
			     .zone = "UTC",
			     .why = ""};
	int64_t id = put(r, "one", 1), other = 0, found = 0;

	assert_int_equal(store_task_put(r->st, &t, &other, &e), -1);
	assert_int_equal(e.code, E_INVAL);
	assert_ok(store_task_state(r->st, id, TASK_CANCELLED, "", &e), &e);
	assert_ok(store_task_find(r->st, 0, "one", &found, &e), &e);
	assert_int_equal(found, id); /* its runs can still be looked at */
	assert_ok(store_task_put(r->st, &t, &other, &e), &e);
	assert_true(other > id);
	assert_ok(store_task_find(r->st, 0, "one", &found, &e), &e);
	assert_int_equal(found, other);
}

static void a_slot_has_one_row(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	int64_t id = put(r, "one", 1000), a = 0, b = 7, n, any;

	assert_ok(store_run_add(r->st, id, 1000, false, RUN_WAITING, "", &a, &e), &e);
	assert_true(a > 0);
	assert_ok(store_run_add(r->st, id, 1000, false, RUN_WAITING, "", &b, &e), &e);
	assert_int_equal(b, 0);
	assert_ok(store_run_add(r->st, id, 2000, false, RUN_MISSED, "2 slots", &b, &e), &e);
	assert_ok(store_runs_open(r->st, id, &n, &any, &e), &e);
	assert_int_equal(n, 1);
	assert_int_equal(any, a);
	commit(r);
	assert_int_equal(peek(r, "SELECT ended_ms FROM task_runs WHERE state = 7"), 1000000);
	assert_int_equal(peek(r, "SELECT ended_ms IS NULL FROM task_runs WHERE state = 0"), 1);
}

static void see_id(void *ctx, const struct task_row *t)
{
	*(int64_t *)ctx = t->id;
}

static void due_tasks_are_found_by_group_and_not_of_paused_ones(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	struct group_row other;
	int64_t a = put(r, "a", 500), b, g = 0, due = 0, again = 0, id = 0;

	put(r, "later", 9000);
	assert_ok(store_group_ensure(r->st, "other", false, &other, &e), &e);
	r->g = other;
	b = put(r, "b", 400);
	assert_ok(store_due_next(r->st, 0, &due, &again, &e), &e);
	assert_int_equal(due, 400);
	assert_int_equal(again, 0);
	assert_ok(store_due_group(r->st, 450, 0, &g, &e), &e);
	assert_int_equal(g, other.id);
	assert_ok(store_due_group(r->st, 500, 0, &g, &e), &e);
	assert_int_not_equal(g, other.id);
	assert_ok(store_due_task(r->st, g, 500, see_id, &id, &e), &e);
	assert_int_equal(id, a);
	assert_ok(store_due_group(r->st, 500, g, &g, &e), &e);
	assert_int_equal(g, other.id);
	assert_ok(store_due_task(r->st, g, 500, see_id, &id, &e), &e);
	assert_int_equal(id, b);
	commit(r);
	poke(r, "UPDATE groups SET paused = 1 WHERE name = 'other'");
	assert_ok(store_due_next(r->st, 0, &due, &again, &e), &e);
	assert_int_equal(due, 500);
	assert_ok(store_due_group(r->st, 450, 0, &g, &e), &e);
	assert_int_equal(g, 0);
}

static void runs_wait_in_order_and_count_by_kind(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	int64_t id = put(r, "one", 1), a, b, got, n;

	assert_ok(store_run_add(r->st, id, 1000, false, RUN_WAITING, "", &a, &e), &e);
	assert_ok(store_run_add(r->st, id, 2000, false, RUN_WAITING, "", &b, &e), &e);
	assert_ok(store_wait_run(r->st, r->g.id, false, 5, &got, &e), &e);
	assert_int_equal(got, a);
	assert_ok(store_wait_run(r->st, r->g.id, true, 5, &got, &e), &e);
	assert_int_equal(got, 0);
	assert_ok(store_run_begin(r->st, a, RUN_RUNNING, 0, &e), &e);
	assert_ok(store_runs_going(r->st, r->g.id, false, &n, &e), &e);
	assert_int_equal(n, 1);
	assert_ok(store_runs_going(r->st, 0, true, &n, &e), &e);
	assert_int_equal(n, 0);
	/* It is to be tried again later: the other one may go first. */
	assert_ok(store_run_end(r->st,
				&(struct run_end){.id = a,
						  .state = RUN_WAITING,
						  .next_ms = 90000,
						  .text = "",
						  .error = "no"},
				&e),
		  &e);
	assert_ok(store_wait_run(r->st, r->g.id, false, 89999, &got, &e), &e);
	assert_int_equal(got, b);
	assert_ok(store_runs_drop(r->st, id, "paused", &e), &e);
	assert_ok(store_wait_group(r->st, 90000, 0, &got, &e), &e);
	assert_int_equal(got, 0);
}

static void see_run(void *ctx, const struct run_row *x)
{
	buf_putf(ctx, "%s %lld %lld %lld %lld $%lld try=%lld turn=%lld \"%s\" \"%s\"",
		 run_state_word(x->state), (long long)x->input, (long long)x->output,
		 (long long)x->cache_read, (long long)x->cache_write, (long long)x->cost_micro,
		 (long long)x->tries, (long long)x->turn_id, x->text, x->error);
}

/* One turn that used 10, 20, 30, 40 tokens and two millionths. */
static int64_t a_turn(struct rig *r, int64_t run)
{
	struct err e = ERR_INIT;
	struct usage_new u = {.group_id = r->g.id,
			      .model = "m",
			      .input = 10,
			      .output = 20,
			      .cache_read = 30,
			      .cache_write = 40,
			      .status = 200};

	assert_ok(store_turn_open(r->st, r->g.id, "", &u.turn_id, &e), &e);
	assert_ok(store_run_turn(r->st, run, u.turn_id, &e), &e);
	assert_ok(store_usage_add(r->st, &u, &e), &e);
	assert_ok(store_turn_cost(r->st, u.turn_id, 2, &e), &e);
	return u.turn_id;
}

static void a_run_has_used_what_all_its_turns_used(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	struct buf b = {0};
	int64_t id = put(r, "one", 1), run = 0, turn;

	assert_ok(store_run_add(r->st, id, 1000, false, RUN_WAITING, "", &run, &e), &e);
	a_turn(r, run); /* came to nothing: a crash */
	turn = a_turn(r, run);
	assert_ok(store_run_end(r->st,
				&(struct run_end){.id = run,
						  .turn_id = turn,
						  .state = RUN_WAITING,
						  .next_ms = 5,
						  .text = "",
						  .error = "no"},
				&e),
		  &e);
	turn = a_turn(r, run);
	assert_ok(store_run_end(r->st,
				&(struct run_end){.id = run,
						  .turn_id = turn,
						  .state = RUN_OK,
						  .text = "said",
						  .error = ""},
				&e),
		  &e);
	assert_ok(store_run_get(r->st, run, see_run, &b, &e), &e);
	assert_string_equal(b.p, "ok 30 60 90 120 $6 try=1 turn=3 \"said\" \"\"");
	buf_free(&b);
	assert_int_equal(
		store_run_end(r->st,
			      &(struct run_end){
				      .id = run, .state = RUN_FAILED, .text = "", .error = "late"},
			      &e),
		-1);
	assert_int_equal(e.code, E_GONE);
}

static void what_a_run_said_is_cut_between_characters(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	struct buf text = {0};
	int64_t id = put(r, "one", 1), run = 0;

	for (size_t i = 0; i <= RUN_TEXT_MAX / 3; i++)
		buf_puts(&text, "\xe2\x82\xac"); /* one more than fits, 65536 is no multiple of 3 */
	assert_ok(store_run_add(r->st, id, 1000, false, RUN_WAITING, "", &run, &e), &e);
	assert_ok(store_run_end(r->st,
				&(struct run_end){
					.id = run, .state = RUN_OK, .text = text.p, .error = ""},
				&e),
		  &e);
	commit(r);
	assert_int_equal(peek(r, "SELECT length(CAST(text AS BLOB)) FROM task_runs") % 3, 0);
	assert_int_equal(peek(r, "SELECT length(text) FROM task_runs"), RUN_TEXT_MAX / 3);
	buf_free(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_put_comes_back, setup, teardown),
		cmocka_unit_test_setup_teardown(a_live_name_is_taken_once, setup, teardown),
		cmocka_unit_test_setup_teardown(a_slot_has_one_row, setup, teardown),
		cmocka_unit_test_setup_teardown(due_tasks_are_found_by_group_and_not_of_paused_ones,
						setup, teardown),
		cmocka_unit_test_setup_teardown(runs_wait_in_order_and_count_by_kind, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_run_has_used_what_all_its_turns_used, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_a_run_said_is_cut_between_characters, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
