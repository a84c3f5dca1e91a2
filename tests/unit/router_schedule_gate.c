// SPDX-License-Identifier: Apache-2.0
/* Gates: the script that decides whether the model is woken, and everything that can be wrong with what it says. */
#include "router_schedule_rig.h"

/* A stream that says bytes on both channels and ends. */
static void script_says(struct box *b, const char *out, const char *err, const char *code)
{
	if (err[0]) {
		put_frame(&b->r->tx, 2, err, strlen(err));
		peer_write(b->r);
	}
	b->r->ps[0].trailer = "chela-exit";
	b->r->ps[0].value = code;
	peer_say(b->r, &b->r->ps[0], out, strlen(out), true);
}

static struct box *gate_of(struct house *h, const char *more)
{
	char args[300];

	house_start(h);
	house_join(h, "main");
	snprintf(args, sizeof(args),
		 "name=news|prompt=Tell|schedule=every 1h|gate=echo a; echo b%s", more);
	task(h, "main", args);
	pass(h, HOUR);
	await(h, &h->n_lines, 1);
	return h->boxes[0];
}

static void the_script_has_a_sandbox_of_its_own(void **state)
{
	struct house *h = *state;
	struct box *b = gate_of(h, "");

	assert_int_equal(b->ask.kind, SANDBOX_TOOL);
	assert_string_equal(
		b->r->ps[0].got.p,
		"export CHELA_TASK=news CHELA_RUN=1 CHELA_LAST_OK_MS=0\necho a; echo b\n");
	assert_int_equal(runs_in(h, RUN_GATE), 1);
	script_says(b, "thinking\n{\"wake\": false, \"data\": 7}\n\n", "", "0");
	await(h, &h->n_stops, 1);
	rounds(h, 5);
	assert_runs(h, "60:not woken:7;");
	assert_int_equal(h->n_boxes, 1);
	assert_int_equal(h->n_said + h->n_notices, 0);
	/* The next one knows when the last went well. */
	pass(h, HOUR);
	await(h, &h->n_lines, 2);
	assert_non_null(strstr(h->boxes[1]->r->ps[0].got.p, "CHELA_LAST_OK_MS=17954244"));
}

/* The runner listens in every sandbox: a script could ask the model there, or a tool. */
static void a_script_has_no_model_and_no_tools(void **state)
{
	static const char *const asks[] = {
		"POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
		"POST /mcp HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
	};
	struct house *h = *state;
	struct box *b = gate_of(h, "");

	for (size_t i = 0; i < ARRAY_LEN(asks); i++) {
		struct peer_stream *s = peer_request(b->r, "/tcp", NULL);

		peer_say(b->r, s, asks[i], strlen(asks[i]), false);
		rounds(h, 5);
		assert_int_equal(s->got.len, 0);
		assert_true(s->closed);
	}
	script_says(b, "{\"wake\": false}\n", "", "0");
	await(h, &h->n_stops, 1);
	assert_runs(h, "60:not woken:;");
}

static void what_it_found_goes_to_the_model(void **state)
{
	struct house *h = *state;
	struct box *b = gate_of(h, "");

	script_says(b, "{\"wake\":true,\"data\":{\"mail\":[\"a\\n[Ann, 08:00Z] b\"]}}", "", "0");
	await(h, &h->n_lines, 2);
	assert_int_equal(h->boxes[1]->ask.kind, SANDBOX_GROUP);
	assert_string_equal(h->boxes[1]->lines[0].text,
			    "[scheduled task news, run 1, 09:00Z] Tell\n\nThe task's gate script "
			    "says: {\"mail\":[\"a\\n[Ann, 08:00Z] b\"]}");
	assert_int_equal(runs_in(h, RUN_RUNNING), 1);
	answer(h->boxes[1], 0, "mail from Ann");
	await(h, &h->n_said, 1);
	assert_runs(h, "60:ok:mail from Ann;");
}

/* One run whose script says this; the run's end is awaited. */
static void bad(void **state, const char *out, const char *err, const char *code, const char *why)
{
	struct house *h = *state;
	_cleanup_free_ char *want = xasprintf("60:failed:its gate: %s;", why);

	script_says(gate_of(h, ""), out, err, code);
	await(h, &h->n_notices, 1);
	assert_has(&h->notices, "The task news could not be done (run 1): its gate: ");
	assert_runs(h, want);
	assert_int_equal(h->n_boxes, 1);
}

static void a_code_that_is_not_0_fails_with_the_last_words(void **state)
{
	bad(state, "{\"wake\":true}\n", "agent: curl: (6) no\x1b[1m such host\n", "6",
	    "it ended with code 6: curl: (6) no?[1m such host");
}

static void words_that_come_late_are_heard(void **state)
{
	struct house *h = *state;
	struct box *b = gate_of(h, "");
	static const char late[] = "runner: agent exited with 3\nagent: no mailbox\n";

	script_says(b, "some output\n", "", "3");
	rounds(h, 3);
	assert_int_equal(runs_in(h, RUN_GATE), 1);
	put_frame(&b->r->tx, 2, late, sizeof(late) - 1);
	peer_write(b->r);
	await(h, &h->n_notices, 1);
	assert_runs(h, "60:failed:its gate: it ended with code 3: no mailbox;");
}

static void no_words_at_all_are_not_waited_for(void **state)
{
	bad(state, "some output\n", "", "3", "it ended with code 3");
}

static void silence_fails(void **state)
{
	bad(state, "", "", "0",
	    "its last line is no JSON object with \"wake\", such as {\"wake\": false}");
}

static void what_is_no_json_fails(void **state)
{
	bad(state, "{\"wake\":true}\nand more words\n", "", "0",
	    "its last line is no JSON object with \"wake\", such as {\"wake\": false}: and more "
	    "words");
}

static void a_word_is_no_decision(void **state)
{
	bad(state, "{\"wake\":\"yes\"}", "", "0",
	    "its last line is no JSON object with \"wake\", such as {\"wake\": false}: "
	    "{\"wake\":\"yes\"}");
}

static void too_much_data_fails(void **state)
{
	struct buf b = {0};

	buf_puts(&b, "{\"wake\":true,\"data\":\"");
	for (int i = 0; i < 17000; i++)
		buf_puts(&b, "x");
	buf_puts(&b, "\"}\n");
	bad(state, b.p, "", "0", "its data has more than 16 KiB");
	buf_free(&b);
}

static void a_flood_ends_it(void **state)
{
	struct house *h = *state;
	struct box *b = gate_of(h, "");
	struct buf flood = {0};

	for (int i = 0; i < 300 * 1024; i++)
		buf_puts(&flood, "x");
	peer_say(b->r, &b->r->ps[0], flood.p, flood.len, false);
	await(h, &h->n_notices, 1);
	assert_runs(h, "60:failed:its gate: it said more than 256 KiB;");
	await(h, &h->n_stops, 1);
	buf_free(&flood);
}

static void a_sandbox_that_dies_fails_it(void **state)
{
	struct house *h = *state;

	box_end(gate_of(h, "|retries=1"), SANDBOX_OOM, "out of memory");
	rounds(h, 5);
	assert_runs(h, "60:waiting:its gate: out of memory;");
	pass(h, 30000);
	await(h, &h->n_lines, 2);
	script_says(h->boxes[1], "{\"wake\":false}", "", "0");
	await(h, &h->n_stops, 1);
	assert_runs(h, "60:not woken:;");
}

static void a_cancelled_gate_goes(void **state)
{
	struct house *h = *state;
	struct err e = ERR_INIT;

	gate_of(h, "");
	assert_ok(task_cancel(h->router, 1, &e), &e);
	await(h, &h->n_stops, 1);
	assert_runs(h, "60:stopped:I stopped: the task was cancelled.;");
}

static void a_stop_of_the_group_stops_it(void **state)
{
	struct house *h = *state;
	struct err e = ERR_INIT;
	struct group_row g;

	gate_of(h, "");
	assert_ok(store_group_get(h->st, "main", &g, &e), &e);
	assert_int_equal(router_stop_turns(h->router, &g, 0, ""), 1);
	await(h, &h->n_stops, 1);
	assert_runs(h, "60:stopped:Stopped.;");
}

static void a_restart_asks_the_gate_again(void **state)
{
	struct house *h = *state;

	gate_of(h, "");
	house_stop(h);
	house_start(h);
	await(h, &h->n_lines, 2);
	assert_int_equal(h->boxes[0]->ask.kind, SANDBOX_TOOL);
	script_says(h->boxes[0], "{\"wake\":false}", "", "0");
	await_at_least(h, &h->n_stops, 1);
	rounds(h, 5);
	assert_runs(h, "60:not woken:;");
}

static void other_work_of_the_group_does_not_wait_for_it(void **state)
{
	struct house *h = *state;

	gate_of(h, "");
	say(h, "main", "a", "hello");
	await(h, &h->n_lines, 2);
	answer(h->boxes[1], 0, "hi");
	await(h, &h->n_said, 1);
	assert_int_equal(runs_in(h, RUN_GATE), 1);
}

static void an_engine_that_never_can_fails_it(void **state)
{
	struct house *h = *state;

	h->fail_left = 1;
	h->fail_code = E_PERM;
	house_start(h);
	house_join(h, "main");
	task(h, "main", "name=t|prompt=p|schedule=every 1h|gate=true");
	pass(h, HOUR);
	await(h, &h->n_notices, 1);
	assert_runs(h, "60:failed:its gate: the engine is away;");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, schedule_setup, house_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_script_has_a_sandbox_of_its_own),
		TEST(a_script_has_no_model_and_no_tools),
		TEST(what_it_found_goes_to_the_model),
		TEST(a_code_that_is_not_0_fails_with_the_last_words),
		TEST(words_that_come_late_are_heard),
		TEST(no_words_at_all_are_not_waited_for),
		TEST(silence_fails),
		TEST(what_is_no_json_fails),
		TEST(a_word_is_no_decision),
		TEST(too_much_data_fails),
		TEST(a_flood_ends_it),
		TEST(a_sandbox_that_dies_fails_it),
		TEST(a_cancelled_gate_goes),
		TEST(a_stop_of_the_group_stops_it),
		TEST(a_restart_asks_the_gate_again),
		TEST(other_work_of_the_group_does_not_wait_for_it),
		TEST(an_engine_that_never_can_fails_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
