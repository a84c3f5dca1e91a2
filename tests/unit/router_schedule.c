// SPDX-License-Identifier: Apache-2.0
/* The scheduler in a whole router: what a run becomes, how it ends, what is made up for, who waits for whom. */
#include "router_schedule_rig.h"

static void a_run_is_a_turn_of_its_own(void **state)
{
	struct house *h = *state;
	struct buf b = {0};

	house_start(h);
	house_join(h, "main");
	task(h, "main", "name=briefing|prompt=Sum up what is new|schedule=cron 0 9 * * *");
	rounds(h, 5);
	assert_int_equal(h->n_boxes, 0);
	pass(h, HOUR);
	await(h, &h->n_lines, 1);
	assert_string_equal(h->boxes[0]->lines[0].text,
			    "[scheduled task briefing, run 1, 09:00Z] Sum up what is new");
	assert_int_equal(h->boxes[0]->ask.kind, SANDBOX_GROUP);
	/* What people say in the meantime waits for its own turn. */
	say(h, "main", "a", "hello");
	await(h, &h->n_stored, 1);
	rounds(h, 5);
	assert_int_equal(h->n_lines, 1);
	assert_int_equal(h->n_progress, 0);
	answer(h->boxes[0], 0, "all is well");
	await(h, &h->n_said, 1);
	await(h, &h->n_lines, 2);
	assert_has(&h->said, "all is well");
	assert_string_equal(h->boxes[0]->lines[1].text, "[operator, 00:00Z] hello");
	answer(h->boxes[0], 1, "hi");
	await(h, &h->n_said, 2);
	assert_runs(h, "60:ok:all is well;");
	assert_int_equal(look(h, "SELECT count(*) FROM task_runs WHERE message_id IS NOT NULL AND "
				 "turn_id IS NOT NULL AND ended_ms >= started_ms"),
			 1);
	buf_free(&b);
}

static void a_task_waits_for_the_turn_that_runs(void **state)
{
	struct house *h = *state;

	house_start(h);
	house_join(h, "main");
	say(h, "main", "a", "hello");
	await(h, &h->n_lines, 1);
	task(h, "main", "name=t|prompt=p|schedule=every 1h");
	pass(h, HOUR);
	say(h, "main", "b", "after the task");
	await(h, &h->n_stored, 2);
	rounds(h, 5);
	assert_int_equal(h->n_lines, 1); /* behind the task, which is no part of this turn */
	answer(h->boxes[0], 0, "hi");
	await(h, &h->n_lines, 2);
	assert_has(&(struct buf){.p = h->boxes[0]->lines[1].text}, "[scheduled task t, run 1,");
	answer(h->boxes[0], 1, "done");
	await(h, &h->n_lines, 3);
	assert_string_equal(h->boxes[0]->lines[2].text, "[operator, 00:00Z] after the task");
}

static void nothing_to_tell_is_not_told(void **state)
{
	struct house *h = *state;

	house_start(h);
	house_join(h, "main");
	task(h, "main", "name=t|prompt=p|schedule=every 1h");
	pass(h, HOUR);
	await(h, &h->n_lines, 1);
	answer(h->boxes[0], 0, "<internal>nothing new</internal>");
	rounds(h, 10);
	assert_runs(h, "60:ok:<internal>nothing new</internal>;");
	assert_int_equal(h->n_said + h->n_notices, 0);
}

static void an_isolated_run_has_a_sandbox_that_goes_with_it(void **state)
{
	struct house *h = *state;

	house_start(h);
	house_join(h, "main");
	say(h, "main", "a", "hello");
	await(h, &h->n_lines, 1); /* the group's own sandbox is busy and stays so */
	task(h, "main", "name=t|prompt=p|schedule=every 1h|context=isolated");
	pass(h, HOUR);
	await(h, &h->n_lines, 2);
	assert_int_equal(h->n_boxes, 2);
	assert_int_equal(h->boxes[1]->ask.kind, SANDBOX_TASK);
	assert_false(h->boxes[1]->ask.resume);
	answer(h->boxes[1], 0, "alone");
	await(h, &h->n_said, 1);
	await(h, &h->n_stops, 1);
	assert_true(h->boxes[1]->ended);
	assert_false(h->boxes[0]->ended);
	assert_runs(h, "60:ok:alone;");
	/* Nothing of it stays: the next one starts anew. */
	assert_int_equal(look(h, "SELECT count(*) FROM sessions WHERE session <> ''"), 0);
	pass(h, HOUR);
	await(h, &h->n_boxes, 3);
	assert_string_not_equal(h->boxes[2]->ask.session_id, h->boxes[1]->ask.session_id);
}

static void of_isolated_runs_two_of_a_group_go_on(void **state)
{
	struct house *h = *state;

	house_start(h);
	house_join(h, "main");
	for (int i = 0; i < 5; i++) {
		char args[100];

		snprintf(args, sizeof(args), "name=t%d|prompt=p|schedule=every 1h|context=isolated",
			 i);
		task(h, "main", args);
	}
	task(h, "other", "name=o|prompt=p|schedule=every 1h|context=isolated");
	pass(h, HOUR);
	await(h, &h->n_lines, 3);
	assert_int_equal(runs_in(h, RUN_RUNNING), 3);
	assert_int_equal(runs_in(h, RUN_WAITING), 3);
	for (int i = 0; i < 6; i++) { /* each end lets the next one begin */
		await_at_least(h, &h->n_lines, i + 1);
		answer(h->boxes[i], 0, "x");
	}
	await(h, &h->n_stops, 6);
	assert_int_equal(runs_in(h, RUN_OK), 6);
}

/* --- catch-up, overlap, the clock --------------------------------------------------------- */

static void after_an_absence_each_task_gets_its_due(void **state)
{
	struct house *h = *state;

	h->silent = true;
	house_start(h);
	task(h, "g1", "name=t|prompt=p|schedule=every 1h|catch_up=skip");
	task(h, "g2", "name=t|prompt=p|schedule=every 1h|catch_up=latest");
	task(h, "g3", "name=t|prompt=p|schedule=every 1h|catch_up=all(3)");
	rounds(h, 5);
	house_stop(h);
	rig_clock.fixed_ms += 5 * HOUR + HOUR / 2;
	house_start(h);
	rounds(h, 10);
	assert_runs(h,
		    "300:waiting:;240:waiting:;180:running:;120:missed:2 slots up to this one did "
		    "not run;300:running:;240:missed:4 slots up to this one did not run;"
		    "300:missed:5 slots up to this one did not run;");
	assert_int_equal(look(h, "SELECT count(DISTINCT next_ms) FROM tasks"), 1);
	assert_int_equal(look(h, "SELECT next_ms FROM tasks LIMIT 1"), T0 + 6 * HOUR);
}

static void a_clock_that_is_set_runs_nothing_twice(void **state)
{
	struct house *h = *state;

	h->silent = true;
	house_start(h);
	task(h, "main", "name=t|prompt=p|schedule=every 1h|overlap=queue|catch_up=latest");
	pass(h, HOUR);
	assert_int_equal(look(h, "SELECT count(*) FROM task_runs"), 1);
	pass(h, -HOUR); /* and the same hour again */
	pass(h, HOUR);
	assert_int_equal(look(h, "SELECT count(*) FROM task_runs"), 1);
	pass(h, 10 * HOUR); /* forward: as if the server had been down */
	assert_int_equal(look(h, "SELECT count(*) FROM task_runs"), 3);
	assert_int_equal(runs_in(h, RUN_MISSED), 1);
	pass(h, -10 * HOUR);
	pass(h, 5 * HOUR);
	assert_int_equal(look(h, "SELECT count(*) FROM task_runs"), 3);
}

static void a_run_that_goes_on_is_overlapped_or_not(void **state)
{
	struct house *h = *state;

	h->silent = true;
	house_start(h);
	task(h, "g1", "name=t|prompt=p|schedule=every 1h|overlap=skip");
	task(h, "g2", "name=t|prompt=p|schedule=every 1h|overlap=queue");
	for (int i = 0; i < 3; i++)
		pass(h, HOUR);
	assert_int_equal(look(h, "SELECT count(*) FROM task_runs WHERE task_id = 1 AND state = 6"),
			 2);
	assert_int_equal(look(h, "SELECT count(*) FROM task_runs WHERE task_id = 1 AND state = 2"),
			 1);
	assert_int_equal(look(h, "SELECT count(*) FROM task_runs WHERE task_id = 2 AND state = 0"),
			 2);
	assert_int_equal(look(h, "SELECT count(*) FROM task_runs WHERE task_id = 2 AND state = 2"),
			 1);
}

/* The agent is away for long: what waits has an end, and what is left out has its row. */
static void a_queue_has_an_end(void **state)
{
	struct house *h = *state;

	h->silent = true;
	house_start(h);
	make_group(h, "main");
	task(h, "g1", "name=t|prompt=p|schedule=every 1h|overlap=queue");
	for (int i = 0; i < 104; i++)
		pass(h, HOUR);
	assert_int_equal(look(h, "SELECT count(*) FROM task_runs WHERE state = 2"), 1);
	assert_int_equal(look(h, "SELECT count(*) FROM task_runs WHERE state = 0"), 100);
	assert_int_equal(look(h, "SELECT count(*) FROM task_runs WHERE state = 6 AND"
				 " text || error LIKE 'as many as may wait%'"),
			 3);
	assert_int_equal(look(h, "SELECT count(*) FROM messages WHERE notice = 1 AND"
				 " text LIKE '100 runs of task #1 (t) wait%'"),
			 1);
}

static void jitter_delays_and_a_restart_does_not_move_it(void **state)
{
	struct house *h = *state;
	int64_t due;

	h->silent = true;
	house_start(h);
	task(h, "main", "name=t|prompt=p|schedule=every 1h|jitter=30m");
	due = look(h, "SELECT due_ms - next_ms FROM tasks");
	assert_in_range(due, 1, 30 * MINUTE); /* of this task and slot; it might be 0 for another */
	house_stop(h);
	house_start(h);
	assert_int_equal(look(h, "SELECT due_ms - next_ms FROM tasks"), due);
	pass(h, HOUR + due - 1000);
	assert_int_equal(look(h, "SELECT count(*) FROM task_runs"), 0);
	pass(h, 1000);
	assert_runs(h, "60:running:;");
}

static void a_time_that_is_over_is_done(void **state)
{
	struct house *h = *state;
	struct err e = ERR_INIT;
	int64_t id;

	house_start(h);
	house_join(h, "main");
	id = task(h, "main", "name=once|prompt=p|schedule=at 2026-11-23 09:00");
	pass(h, HOUR);
	await(h, &h->n_lines, 1);
	assert_int_equal(look(h, "SELECT state FROM tasks"), TASK_ACTIVE);
	answer(h->boxes[0], 0, "ready");
	await(h, &h->n_said, 1);
	assert_int_equal(look(h, "SELECT state FROM tasks"), TASK_DONE);
	assert_int_equal(try_task(h, "main", 0, "prompt=p|schedule=at 2026-11-23 08:30", &id, &e),
			 -1);
	assert_int_equal(e.code, E_INVAL);
	assert_non_null(strstr(e.msg, "it is Mon 2026-11-23 09:00"));
}

static void a_paused_group_is_like_a_server_that_is_down(void **state)
{
	struct house *h = *state;

	h->silent = true;
	house_start(h);
	task(h, "g1", "name=t|prompt=p|schedule=every 1h|catch_up=latest");
	look(h, "SELECT 1");
	{
		sqlite3 *db;

		assert_int_equal(sqlite3_open(h->file, &db), SQLITE_OK);
		assert_int_equal(sqlite3_exec(db, "UPDATE groups SET paused = 1 WHERE name = 'g1'",
					      NULL, NULL, NULL),
				 SQLITE_OK);
		pass(h, 3 * HOUR + HOUR / 2);
		assert_int_equal(look(h, "SELECT count(*) FROM task_runs"), 0);
		assert_int_equal(sqlite3_exec(db, "UPDATE groups SET paused = 0", NULL, NULL, NULL),
				 SQLITE_OK);
		sqlite3_close(db);
	}
	pass(h, 1000);
	assert_runs(h, "180:running:;120:missed:2 slots up to this one did not run;");
}

/* --- failures ----------------------------------------------------------------------------- */

static void a_failed_run_is_tried_again_and_then_told_once(void **state)
{
	struct house *h = *state;

	house_start(h);
	house_join(h, "main");
	task(h, "main", "name=t|prompt=p|schedule=every 1d|retries=2|context=isolated");
	pass(h, DAY);
	for (int i = 0; i < 3; i++) {
		await(h, &h->n_lines, i + 1);
		lifecycle(h->boxes[i], h->boxes[i]->lines[0].uuid, "started");
		result(h->boxes[i], "the model is away", true);
		await(h, &h->n_stops, i + 1);
		if (i == 2)
			break;
		assert_int_equal(runs_in(h, RUN_WAITING), 1);
		pass(h, (30000 << i) - 1000);
		assert_int_equal(h->n_lines, i + 1);
		pass(h, 1000);
	}
	await(h, &h->n_notices, 1);
	assert_has(&h->notices, "The task t could not be done (run 1): the model is away");
	assert_runs(h, "1440:failed:the model is away;");
	assert_int_equal(look(h, "SELECT tries FROM task_runs"), 2);
}

static void too_many_failures_in_a_row_pause_the_task(void **state)
{
	struct house *h = *state;
	struct err e = ERR_INIT;
	int64_t id;

	house_start(h);
	house_join(h, "main");
	id = task(h, "main", "name=t|prompt=p|schedule=every 1d|max_failures=2|context=isolated");
	for (int i = 0; i < 4; i++) { /* failed, well, failed, failed */
		pass(h, DAY);
		await(h, &h->n_lines, i + 1);
		lifecycle(h->boxes[i], h->boxes[i]->lines[0].uuid, "started");
		result(h->boxes[i], i == 1 ? "" : "no luck", i != 1);
		await(h, &h->n_stops, i + 1);
		assert_int_equal(look(h, "SELECT state FROM tasks"),
				 i == 3 ? TASK_PAUSED : TASK_ACTIVE);
	}
	await(h, &h->n_notices, 3);
	assert_has(&h->notices, "The task t is paused: it failed 2 times in a row, last: no luck");
	assert_has(&h->notices, "chela tasks resume 1");
	pass(h, 3 * DAY);
	assert_int_equal(h->n_lines, 4);
	assert_ok(task_resume(h->router, id, &e), &e);
	rounds(h, 5);
	assert_int_equal(h->n_lines, 4); /* from the next slot on */
	pass(h, DAY);
	await(h, &h->n_lines, 5);
}

static void a_sandbox_that_dies_each_time_fails_the_run(void **state)
{
	struct house *h = *state;

	house_start(h);
	house_join(h, "main");
	task(h, "main", "name=t|prompt=p|schedule=every 1d");
	pass(h, DAY);
	for (int i = 0; i < 3; i++) {
		await(h, &h->n_lines, i + 1);
		agent_dies(h->boxes[i], "the agent ended with code 7");
	}
	await(h, &h->n_notices, 1);
	assert_has(&h->notices,
		   "The task t could not be done (run 1): the agent ended with code 7");
	assert_runs(h, "1440:failed:the agent ended with code 7;");
	assert_int_equal(in_state(h, MSG_FAILED), 1);
}

static void a_person_stops_a_run(void **state)
{
	struct house *h = *state;
	struct err e = ERR_INIT;
	int64_t id;

	house_start(h);
	house_join(h, "main");
	id = task(h, "main", "name=t|prompt=p|schedule=every 1d|retries=3");
	pass(h, DAY);
	await(h, &h->n_lines, 1);
	lifecycle(h->boxes[0], h->boxes[0]->lines[0].uuid, "started");
	rounds(h, 3);
	assert_ok(task_cancel(h->router, id, &e), &e);
	await(h, &h->n_lines, 2);
	assert_string_equal(h->boxes[0]->lines[1].control, "interrupt");
	agent_says(h->boxes[0], "{\"type\":\"result\",\"subtype\":\"error_during_execution\","
				"\"is_error\":true,\"terminal_reason\":\"aborted_by_user\"}");
	await(h, &h->n_notices, 1);
	assert_has(&h->notices, "I stopped: the task was cancelled.");
	assert_runs(h, "1440:stopped:I stopped: the task was cancelled.;");
	assert_int_equal(look(h, "SELECT state FROM tasks"), TASK_CANCELLED);
	assert_int_equal(look(h, "SELECT next_ms IS NULL FROM tasks"), 1);
	assert_int_equal(task_cancel(h->router, id, &e), -1);
}

static void a_stop_in_its_chat_stops_an_isolated_run(void **state)
{
	struct house *h = *state;
	struct err e = ERR_INIT;
	struct group_row g;
	struct chat_row c;

	house_start(h);
	house_join(h, "main");
	task(h, "main", "name=t|prompt=p|schedule=every 1h|context=isolated");
	pass(h, HOUR);
	await(h, &h->n_lines, 1);
	lifecycle(h->boxes[0], h->boxes[0]->lines[0].uuid, "started");
	rounds(h, 3);
	assert_ok(store_group_get(h->st, "main", &g, &e), &e);
	assert_ok(store_chat_find(h->st, "console", "main", &c, &e), &e);
	assert_int_equal(router_stop_turns(h->router, &g, c.id + 1000, ""), 0);
	assert_int_equal(router_stop_turns(h->router, &g, c.id, ""), 1);
	await(h, &h->n_lines, 2);
	agent_says(h->boxes[0], "{\"type\":\"result\",\"subtype\":\"error_during_execution\","
				"\"is_error\":true,\"terminal_reason\":\"aborted_by_user\"}");
	await(h, &h->n_stops, 1);
	assert_runs(h, "60:stopped:Stopped.;");
}

static void a_run_that_takes_too_long_fails(void **state)
{
	struct house *h = *state;

	house_start(h);
	house_join(h, "main");
	task(h, "main", "name=t|prompt=p|schedule=every 1d|max_run=1s");
	pass(h, DAY);
	await(h, &h->n_lines, 1);
	lifecycle(h->boxes[0], h->boxes[0]->lines[0].uuid, "started");
	await(h, &h->n_lines, 2); /* a second later */
	assert_string_equal(h->boxes[0]->lines[1].control, "interrupt");
	agent_says(h->boxes[0], "{\"type\":\"result\",\"subtype\":\"error_during_execution\","
				"\"is_error\":true,\"terminal_reason\":\"aborted_by_user\"}");
	await(h, &h->n_notices, 1);
	assert_has(&h->notices, "(run 1): I stopped: this took longer than 1 s.");
	assert_runs(h, "1440:failed:I stopped: this took longer than 1 s.;");
}

static void a_task_whose_chat_went_to_another_group_fails_with_the_way_out(void **state)
{
	struct house *h = *state;
	struct err e = ERR_INIT;
	struct chat_row c;
	struct group_row other;

	house_start(h);
	house_join(h, "main");
	task(h, "g1", "name=t|prompt=p|schedule=every 1h|max_failures=1");
	assert_ok(store_chat_find(h->st, "console", "g1", &c, &e), &e);
	assert_ok(store_group_ensure(h->st, "g2", false, &other, &e), &e);
	assert_ok(store_chat_link(h->st, c.id, other.id, &e), &e);
	pass(h, HOUR);
	assert_int_equal(runs_in(h, RUN_FAILED), 1);
	assert_int_equal(h->n_lines, 0);
	assert_int_equal(look(h, "SELECT state FROM tasks"), TASK_PAUSED);
}

static void what_it_cost_is_kept(void **state)
{
	struct house *h = *state;

	house_start(h);
	house_join(h, "main");
	task(h, "main", "name=t|prompt=p|schedule=every 1h");
	for (int i = 0; i < 2; i++) {
		char line[300];

		pass(h, HOUR);
		await(h, &h->n_lines, i + 1);
		lifecycle(h->boxes[0], h->boxes[0]->lines[i].uuid, "started");
		snprintf(line, sizeof(line),
			 "{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false,"
			 "\"result\":\"x\",\"session_id\":\"" SESSION_ID
			 "\",\"total_cost_usd\":%s}",
			 i ? "0.0500005" : "0.02");
		agent_says(h->boxes[0], line);
		await(h, &h->n_said, i + 1);
	}
	/* The agent tells a sum. */
	assert_int_equal(look(h, "SELECT cost_micro FROM task_runs WHERE id = 1"), 20000);
	assert_int_equal(look(h, "SELECT cost_micro FROM task_runs WHERE id = 2"), 30001);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, schedule_setup, house_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_run_is_a_turn_of_its_own),
		TEST(a_task_waits_for_the_turn_that_runs),
		TEST(nothing_to_tell_is_not_told),
		TEST(an_isolated_run_has_a_sandbox_that_goes_with_it),
		TEST(of_isolated_runs_two_of_a_group_go_on),
		TEST(after_an_absence_each_task_gets_its_due),
		TEST(a_clock_that_is_set_runs_nothing_twice),
		TEST(a_run_that_goes_on_is_overlapped_or_not),
		TEST(a_queue_has_an_end),
		TEST(jitter_delays_and_a_restart_does_not_move_it),
		TEST(a_time_that_is_over_is_done),
		TEST(a_paused_group_is_like_a_server_that_is_down),
		TEST(a_failed_run_is_tried_again_and_then_told_once),
		TEST(too_many_failures_in_a_row_pause_the_task),
		TEST(a_sandbox_that_dies_each_time_fails_the_run),
		TEST(a_person_stops_a_run),
		TEST(a_stop_in_its_chat_stops_an_isolated_run),
		TEST(a_run_that_takes_too_long_fails),
		TEST(a_task_whose_chat_went_to_another_group_fails_with_the_way_out),
		TEST(what_it_cost_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
