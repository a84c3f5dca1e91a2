// SPDX-License-Identifier: Apache-2.0
/* What goes wrong around a turn: agents and sandboxes that end, a warden that cannot, too few places; nothing is lost, and the
 * chat is told in one line. */
#include "router_rig.h"
#include "router/impl.h"

static void an_agent_that_dies_is_retried_three_times(void **state)
{
	struct house *h = house_main(state);

	say(h, "main", "a", "deadly");
	for (int i = 0; i < 3; i++) {
		await(h, &h->n_lines, i + 1);
		assert_string_equal(h->boxes[i]->lines[0].text, "[operator, 00:00Z] deadly");
		assert_int_equal(in_state(h, MSG_LEASED), 1);
		lifecycle(h->boxes[i], h->boxes[i]->lines[0].uuid, "started");
		agent_dies(h->boxes[i], "the agent ended with code 7");
	}
	await(h, &h->n_failed_msgs, 1);
	await(h, &h->n_notices, 1);
	assert_has(&h->notices, "I could not answer your message: the agent ended with code 7");
	assert_int_equal(in_state(h, MSG_FAILED), 1);
	settle(h);
	assert_int_equal(h->n_boxes, 3);
	assert_int_equal(h->n_notices, 1);
}

static void a_message_survives_one_death(void **state)
{
	struct house *h = house_main(state);

	say(h, "main", "a", "one");
	say(h, "main", "b", "two");
	await(h, &h->n_lines, 1);
	agent_dies(h->boxes[0], "gone");
	await(h, &h->n_lines, 2);
	assert_string_equal(h->boxes[1]->lines[0].text,
			    "[operator, 00:00Z] one\n[operator, 00:00Z] two");
	assert_string_not_equal(h->boxes[1]->lines[0].uuid, h->boxes[0]->lines[0].uuid);
	answer(h->boxes[1], 0, "both");
	await(h, &h->n_settled, 2);
	assert_int_equal(h->n_notices, 0);
}

static void out_of_memory_is_told_in_words(void **state)
{
	struct house *h = *state;

	h->cfg.tries = 1;
	house_main(state);
	say(h, "main", "a", "big work");
	await(h, &h->n_lines, 1);
	box_end(h->boxes[0], SANDBOX_OOM, "the sandbox ran out of memory (1024 MiB)");
	await(h, &h->n_notices, 1);
	assert_has(&h->notices, "out of memory");
}

static void an_engine_that_is_away_delays_and_says_so(void **state)
{
	struct house *h = *state;

	/* it fails now and after half a second, and works after one second and a half */
	h->cfg.delayed_notice_ms = 1000;
	h->fail_left = 2;
	h->fail_code = E_TEMP;
	house_main(state);
	say(h, "main", "a", "hello");
	await(h, &h->n_notices, 1);
	assert_has(&h->notices, "Delayed, not lost: the engine is away");
	await(h, &h->n_lines, 1);
	assert_int_equal(h->n_failed, 2);
	answer(h->boxes[0], 0, "at last");
	await(h, &h->n_said, 1);
	assert_int_equal(h->n_notices, 1);
	assert_int_equal(in_state(h, MSG_ANSWERED), 1);
}

static void what_can_never_start_fails_at_once(void **state)
{
	struct house *h = *state;

	h->fail_left = 99;
	h->fail_code = E_PERM;
	house_main(state);
	say(h, "main", "a", "hello");
	say(h, "main", "b", "hello");
	await(h, &h->n_failed_msgs, 2);
	await(h, &h->n_notices, 1);
	assert_has(&h->notices, "your last 2 messages: the engine is away");
	settle(h);
	assert_int_equal(h->n_failed, 1);
	assert_int_equal(in_state(h, MSG_FAILED), 2);
}

/* The container was removed by somebody while it started, or the disk was full: a message is not lost for that. */
static void what_may_pass_is_tried_again(void **state)
{
	static const enum err_code codes[] = {E_GONE, E_IO, E_LIMIT};
	struct house *h = house_main(state);

	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		char id[2] = {(char)('a' + (int)i)};

		h->fail_left = 1;
		h->fail_code = codes[i];
		say(h, "main", id, "hello");
		await(h, &h->n_lines, (int)i + 1);
		answer(h->boxes[i], 0, "yes");
		await(h, &h->n_said, (int)i + 1);
		agent_dies(h->boxes[i], "over");
		settle(h);
	}
	assert_int_equal(in_state(h, MSG_ANSWERED), 3);
	assert_int_equal(h->n_notices, 0);
}

/* An engine that hangs: neither the start nor the stop has an end. */
static void a_sandbox_that_does_not_end_is_told_of(void **state)
{
	struct house *h = *state;

	h->cfg.delayed_notice_ms = 200;
	house_main(state);
	say(h, "main", "a", "hello");
	await(h, &h->n_lines, 1);
	h->silent = true;
	h->boxes[0]->ended = true;
	watch_free(steal_ptr(&h->boxes[0]->r->w));
	close(h->boxes[0]->r->fd);
	await(h, &h->n_stops, 1);
	await(h, &h->n_notices, 1);
	assert_has(&h->notices, "Delayed, not lost: ");
	say(h, "main", "b", "still there?");
	settle(h);
	assert_int_equal(h->n_notices, 1);
}

static void an_agent_that_gives_all_back_has_no_endless_loop(void **state)
{
	struct house *h = *state;
	int n = 0;

	h->cfg.tries = 1;
	house_main(state);
	say(h, "main", "a", "hello");
	while (!h->n_stops && n < 200) {
		await(h, &h->n_lines, ++n);
		lifecycle(h->boxes[0], h->boxes[0]->lines[n - 1].uuid, "completed");
		settle(h);
	}
	assert_in_range(n, 2, 100);
	await(h, &h->n_failed_msgs, 1);
	await(h, &h->n_notices, 1);
	assert_has(&h->notices, "gives back whatever it is handed");
	assert_int_equal(in_state(h, MSG_FAILED), 1);
}

static void a_sandbox_that_never_speaks_is_given_up(void **state)
{
	struct house *h = *state;

	h->cfg.start_ms = 50;
	h->silent = true;
	house_main(state);
	say(h, "main", "a", "hello");
	await(h, &h->n_stops, 1);
	assert_int_equal(in_state(h, MSG_PENDING), 1); /* it was in nobody's hands */
	assert_int_equal(h->fatals, 0);
}

static void an_unknown_session_starts_anew_with_the_history(void **state)
{
	struct house *h = *state;
	struct err e = ERR_INIT;
	struct group_row g;
	struct box *b;

	assert_ok(store_group_ensure(h->st, "main", true, &g, &e), &e);
	assert_ok(store_session_set(h->st, g.id, "", SESSION_ID, &e), &e);
	house_main(state);
	say(h, "main", "a", "remember the heron");
	await(h, &h->n_lines, 1);
	assert_int_equal(h->boxes[0]->ask.resume, 1);
	assert_string_equal(h->boxes[0]->ask.session_id, SESSION_ID);
	answer(h->boxes[0], 0, "I will");
	await(h, &h->n_said, 1);
	agent_dies(h->boxes[0], "ended");
	say(h, "main", "b", "what was it?");
	await(h, &h->n_lines, 2);
	b = h->boxes[1];
	agent_says(b,
		   "{\"type\":\"result\",\"subtype\":\"error_during_execution\",\"is_error\":true,"
		   "\"errors\":[\"No conversation found with session ID: x\"]}");
	await(h, &h->n_lines, 3);
	assert_int_equal(h->n_boxes, 3);
	b = h->boxes[2];
	assert_int_equal(b->ask.resume, 0);
	assert_string_not_equal(b->ask.session_id, SESSION_ID);
	assert_non_null(strstr(b->lines[0].text, "<earlier-conversation"));
	assert_non_null(strstr(b->lines[0].text, "remember the heron"));
	assert_non_null(strstr(b->lines[0].text, "[you] I will"));
	assert_non_null(strstr(b->lines[0].text, "[operator, 00:00Z] what was it?"));
	await(h, &h->n_notices, 1);
	assert_has(&h->notices, "could not be resumed");
	answer(b, 0, "the heron");
	await(h, &h->n_settled, 2);
	assert_int_equal(in_state(h, MSG_ANSWERED), 2);
}

static const char *const groups[] = {"main", "two", "three"};

static void start_three_groups(struct house *h)
{
	struct err e = ERR_INIT;
	struct group_row g;

	for (size_t i = 0; i < ARRAY_LEN(groups); i++)
		assert_ok(store_group_ensure(h->st, groups[i], i == 0, &g, &e), &e);
	house_start(h);
	for (size_t i = 0; i < ARRAY_LEN(groups); i++)
		house_join(h, groups[i]);
}

static void one_place_serves_three_groups_in_order(void **state)
{
	struct house *h = *state;

	h->cfg.max_live = 1;
	start_three_groups(h);
	for (size_t i = 0; i < ARRAY_LEN(groups); i++)
		say(h, groups[i], "a", groups[i]);
	for (int i = 0; i < 3; i++) {
		await(h, &h->n_lines, i + 1);
		assert_int_equal(h->n_boxes, i + 1);
		assert_string_equal(h->boxes[i]->ask.group, groups[i]);
		settle(h);
		assert_int_equal(h->n_boxes, i + 1); /* a busy one is not put out */
		answer(h->boxes[i], 0, groups[i]);
		await(h, &h->n_said, i + 1);
	}
	assert_int_equal(h->n_stops, 2); /* each idle one gave up its place */
	assert_string_equal(h->said.p, "main\ntwo\nthree\n");
}

static void a_chatty_group_does_not_starve_another(void **state)
{
	struct house *h = *state;

	h->cfg.max_live = 1;
	start_three_groups(h);
	say(h, "main", "a", "first");
	await(h, &h->n_lines, 1);
	say(h, "two", "a", "second");
	await(h, &h->n_stored, 2);
	say(h, "main", "b", "third"); /* must wait: somebody waits for the place */
	await(h, &h->n_stored, 3);
	settle(h);
	assert_int_equal(h->n_lines, 1);
	answer(h->boxes[0], 0, "1");
	await(h, &h->n_lines, 2);
	assert_string_equal(h->boxes[1]->ask.group, "two");
	answer(h->boxes[1], 0, "2");
	await(h, &h->n_lines, 3);
	assert_string_equal(h->boxes[2]->ask.group, "main");
	answer(h->boxes[2], 0, "3");
	await(h, &h->n_said, 3);
	assert_string_equal(h->said.p, "1\n2\n3\n");
}

static void an_idle_sandbox_is_stopped_and_comes_back(void **state)
{
	struct house *h = *state;

	h->cfg.idle_stop_ms = 30;
	house_main(state);
	say(h, "main", "a", "hello");
	await(h, &h->n_lines, 1);
	answer(h->boxes[0], 0, "one");
	await(h, &h->n_stops, 1);
	assert_int_equal(h->n_said, 1);
	say(h, "main", "b", "again");
	await(h, &h->n_lines, 2);
	assert_int_equal(h->boxes[1]->ask.resume, 1);
	assert_string_equal(h->boxes[1]->ask.session_id, SESSION_ID);
	answer(h->boxes[1], 0, "two");
	await(h, &h->n_said, 2);
	assert_int_equal(h->n_notices, 0);
}

static void a_turn_that_takes_too_long_is_interrupted(void **state)
{
	struct house *h = *state;
	struct box *b;

	h->cfg.turn_ms = 1000;
	house_main(state);
	say(h, "main", "a", "forever");
	await(h, &h->n_lines, 1);
	b = h->boxes[0];
	lifecycle(b, b->lines[0].uuid, "started");
	await(h, &h->n_lines, 2);
	assert_string_equal(b->lines[1].control, "interrupt");
	agent_says(b,
		   "{\"type\":\"result\",\"subtype\":\"error_during_execution\",\"is_error\":true,"
		   "\"terminal_reason\":\"aborted_tools\"}");
	await(h, &h->n_notices, 1);
	assert_has(&h->notices, "longer than 1 s");
	assert_int_equal(in_state(h, MSG_FAILED), 1);
}

static void a_stop_before_the_turn_fails_what_waits(void **state)
{
	struct house *h = *state;

	h->silent = true;
	house_main(state);
	say(h, "main", "a", "hello");
	await(h, &h->n_stored, 1);
	channel_on_stop(h->console, "main", "");
	await(h, &h->n_failed_msgs, 1);
	await(h, &h->n_notices, 1);
	assert_has(&h->notices, "stopped before it began");
}

struct asker {
	struct house *h;
	int told;
};

static void leave_when_told(void *ctx, const struct warden_status *st)
{
	struct asker *a = ctx;

	(void)st;
	a->told++;
	router_forget_ask(a->h->router, a);
}

static void who_left_is_not_told_the_status(void **state)
{
	struct house *h = house_main(state);
	struct asker a = {h, 0}, b = {h, 0};
	struct wire_tell t = {.op = TELL_STATUS};

	router_ask_warden(h->router, leave_when_told, &b);
	router_ask_warden(h->router, leave_when_told, &a);
	router_ask_warden(h->router, leave_when_told, &a);
	tell(h, &t, -1);
	await(h, &b.told, 1);
	assert_int_equal(a.told, 1);
}

static void write_half(void *ctx)
{
	struct house *h = ctx;
	struct group_row g;
	struct err e = ERR_INIT;

	assert_ok(store_group_ensure(h->st, "half", false, &g, &e), &e);
	err_set(&e, E_BUG, "the other half cannot be written");
	router_fatal(h->router, &e);
}

/* Half of what belongs together must not become durable when the server cannot go on. */
static void what_a_fatal_turn_wrote_is_not_kept(void **state)
{
	struct house *h = house_main(state);
	struct group_row g;
	struct err e = ERR_INIT;

	settle(h);
	loop_defer(h->l, "half", write_half, h);
	await(h, &h->fatals, 1);
	house_stop(h);
	store_close(h->st);
	house_open_store(h);
	assert_err(store_group_get(h->st, "half", &g, &e), &e, E_GONE, "half");
}

static void a_lost_warden_is_fatal_and_loses_nothing(void **state)
{
	struct house *h = house_main(state);

	say(h, "main", "a", "hello");
	await(h, &h->n_lines, 1);
	shutdown(h->wfd, SHUT_RDWR);
	await(h, &h->fatals, 1);
	assert_int_equal(h->fatal_code, E_GONE);
	house_stop(h);
	/* The next server finds the message in the agent's hands, and hands it in again. */
	store_close(h->st);
	house_open_store(h);
	h->n_lines = 0;
	house_start(h);
	house_join(h, "main");
	await(h, &h->n_lines, 1);
	answer(h->boxes[0], 0, "yes");
	await(h, &h->n_said, 1);
	assert_int_equal(in_state(h, MSG_ANSWERED), 1);
}

static void a_stop_of_the_server_counts_no_try(void **state)
{
	struct house *h = *state;

	h->cfg.tries = 1;
	house_main(state);
	say(h, "main", "a", "hello");
	await(h, &h->n_lines, 1);
	house_stop(h);
	store_close(h->st);
	house_open_store(h);
	h->n_lines = 0;
	house_start(h);
	house_join(h, "main");
	await(h, &h->n_lines, 1);
	answer(h->boxes[0], 0, "yes");
	await(h, &h->n_said, 1);
	assert_int_equal(h->n_notices, 0);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, house_setup, house_teardown)
	const struct CMUnitTest tests[] = {
		TEST(an_agent_that_dies_is_retried_three_times),
		TEST(a_message_survives_one_death),
		TEST(out_of_memory_is_told_in_words),
		TEST(an_engine_that_is_away_delays_and_says_so),
		TEST(what_can_never_start_fails_at_once),
		TEST(what_may_pass_is_tried_again),
		TEST(a_sandbox_that_does_not_end_is_told_of),
		TEST(an_agent_that_gives_all_back_has_no_endless_loop),
		TEST(a_sandbox_that_never_speaks_is_given_up),
		TEST(an_unknown_session_starts_anew_with_the_history),
		TEST(one_place_serves_three_groups_in_order),
		TEST(a_chatty_group_does_not_starve_another),
		TEST(an_idle_sandbox_is_stopped_and_comes_back),
		TEST(a_turn_that_takes_too_long_is_interrupted),
		TEST(a_stop_before_the_turn_fails_what_waits),
		TEST(who_left_is_not_told_the_status),
		TEST(what_a_fatal_turn_wrote_is_not_kept),
		TEST(a_lost_warden_is_fatal_and_loses_nothing),
		TEST(a_stop_of_the_server_counts_no_try),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
