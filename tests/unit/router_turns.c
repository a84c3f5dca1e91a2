// SPDX-License-Identifier: Apache-2.0
/* A message's way: stored, leased, in the agent's hands, answered, sent; and what a result covers. */
#include "router_rig.h"

static void one_message_is_answered(void **state)
{
	struct house *h = house_main(state);
	struct err e = ERR_INIT;
	char id[37];

	say(h, "main", "a", "hello");
	await(h, &h->n_stored, 1);
	await(h, &h->n_lines, 1);
	assert_string_equal(h->boxes[0]->ask.group, "main");
	assert_int_equal(h->boxes[0]->ask.resume, 0);
	assert_string_equal(h->boxes[0]->lines[0].text, "[operator, 00:00Z] hello");
	assert_int_equal(in_state(h, MSG_LEASED), 1);
	answer(h->boxes[0], 0, "<internal>hm</internal> good day ");
	await(h, &h->n_settled, 1);
	await(h, &h->n_said, 1);
	assert_string_equal(h->said.p, "good day\n");
	assert_int_equal(in_state(h, MSG_ANSWERED), 1);
	assert_ok(store_session_get(h->st, 1, "", id, &e), &e);
	assert_string_equal(id, SESSION_ID);
	assert_int_equal(h->n_notices, 0);
}

static void a_known_id_is_not_handed_in_twice(void **state)
{
	struct house *h = house_main(state);

	say(h, "main", "a", "hello");
	say(h, "main", "a", "hello");
	await(h, &h->n_dups, 1);
	await(h, &h->n_lines, 1);
	assert_string_equal(h->boxes[0]->lines[0].text, "[operator, 00:00Z] hello");
	answer(h->boxes[0], 0, "yes");
	await(h, &h->n_settled, 1);
	settle(h);
	assert_int_equal(h->n_said, 1);
	assert_int_equal(h->n_lines, 1);
}

static void bad_messages_are_refused_and_nothing_is_kept(void **state)
{
	struct house *h = house_main(state);
	char *big = xcalloc(1, (256 << 10) + 2);

	memset(big, 'x', (256 << 10) + 1);
	say(h, "main", "a", big);
	say(h, "main", "b", "\xff\xfe");
	say(h, "main", "c", "");
	say(h, "nogroup", "d", "hello");
	await(h, &h->n_refused, 4);
	free(big);
	settle(h);
	assert_int_equal(in_state(h, MSG_PENDING), 0);
	assert_int_equal(h->n_boxes, 0);
}

/* What waits goes in as one line; what comes during the turn goes in at once; one result covers what was started. */
static void a_result_covers_what_was_started(void **state)
{
	struct house *h = house_main(state);
	struct box *b;

	say(h, "main", "1", "one");
	say(h, "main", "2", "two");
	await(h, &h->n_lines, 1);
	b = h->boxes[0];
	assert_string_equal(b->lines[0].text, "[operator, 00:00Z] one\n[operator, 00:00Z] two");
	say(h, "main", "3", "three");
	await(h, &h->n_lines, 2);
	say(h, "main", "4", "four");
	await(h, &h->n_lines, 3);
	assert_string_equal(b->lines[2].text, "[operator, 00:00Z] four");
	assert_string_not_equal(b->lines[1].uuid, b->lines[2].uuid);
	lifecycle(b, b->lines[0].uuid, "started");
	lifecycle(b, b->lines[1].uuid, "started");
	lifecycle(b, b->lines[1].uuid, "completed"); /* an injected one is done before the result */
	result(b, "the first three", false);
	await(h, &h->n_settled, 3);
	assert_int_equal(in_state(h, MSG_LEASED), 1);
	answer(b, 2, "the fourth");
	await(h, &h->n_settled, 4);
	await(h, &h->n_said, 2);
	assert_string_equal(h->said.p, "the first three\nthe fourth\n");
}

static void three_hundred_follow_ups_come_in_order(void **state)
{
	struct house *h = house_main(state);
	struct box *b;
	char id[16], want[48];

	say(h, "main", "first", "begin");
	await(h, &h->n_lines, 1);
	b = h->boxes[0];
	for (int i = 0; i < 300; i++) {
		snprintf(id, sizeof(id), "f%d", i);
		say(h, "main", id, id);
	}
	await(h, &h->n_lines, 301);
	for (int i = 0; i < 300; i++) {
		snprintf(want, sizeof(want), "[operator, 00:00Z] f%d", i);
		assert_string_equal(b->lines[i + 1].text, want);
	}
	for (int i = 0; i <= 300; i++)
		lifecycle(b, b->lines[i].uuid, "started");
	result(b, "all", false);
	await(h, &h->n_settled, 301);
	assert_int_equal(in_state(h, MSG_ANSWERED), 301);
}

static void a_swallowed_line_is_handed_in_again(void **state)
{
	struct house *h = house_main(state);
	struct box *b;

	say(h, "main", "a", "hello");
	await(h, &h->n_lines, 1);
	b = h->boxes[0];
	lifecycle(b, b->lines[0].uuid, "completed");
	await(h, &h->n_lines, 2);
	assert_string_equal(b->lines[1].text, "[operator, 00:00Z] hello");
	assert_string_not_equal(b->lines[1].uuid, b->lines[0].uuid);
	lifecycle(b, b->lines[0].uuid, "started"); /* too late: nobody's line any more */
	answer(b, 1, "now");
	await(h, &h->n_settled, 1);
	settle(h);
	assert_int_equal(h->n_said, 1);
}

static void an_error_result_is_told_once(void **state)
{
	struct house *h = house_main(state);
	struct box *b;

	say(h, "main", "a", "hello");
	await(h, &h->n_lines, 1);
	b = h->boxes[0];
	lifecycle(b, b->lines[0].uuid, "started");
	result(b, "API Error: 400 no", true);
	await(h, &h->n_failed_msgs, 1);
	await(h, &h->n_notices, 1);
	assert_has(&h->notices, "API Error: 400 no");
	assert_int_equal(in_state(h, MSG_FAILED), 1);
	assert_int_equal(h->n_said, 0);
	say(h, "main", "b", "again");
	await(h, &h->n_lines, 2); /* the session goes on */
	answer(b, 1, "fine");
	await(h, &h->n_said, 1);
}

static void a_stop_interrupts_and_says_so(void **state)
{
	struct house *h = house_main(state);
	struct box *b;

	say(h, "main", "a", "long work");
	await(h, &h->n_lines, 1);
	b = h->boxes[0];
	lifecycle(b, b->lines[0].uuid, "started");
	settle(h);
	channel_on_stop(h->console, "main", "");
	await(h, &h->n_lines, 2);
	assert_string_equal(b->lines[1].control, "interrupt");
	agent_says(b,
		   "{\"type\":\"result\",\"subtype\":\"error_during_execution\",\"is_error\":true,"
		   "\"terminal_reason\":\"aborted_streaming\"}");
	lifecycle(b, b->lines[0].uuid, "cancelled");
	await(h, &h->n_failed_msgs, 1);
	await(h, &h->n_notices, 1);
	assert_string_equal(h->notices.p, "Stopped.\n");
	settle(h);
	assert_int_equal(h->n_stops, 0); /* the sandbox stays */
	assert_int_equal(h->n_notices, 1);
}

/* The line still waits for its commit: the interrupt must come after it, or the agent knows of nothing to interrupt. */
static void a_stop_at_once_comes_after_the_line(void **state)
{
	struct house *h = house_main(state);
	struct box *b;

	say(h, "main", "a", "one");
	await(h, &h->n_lines, 1);
	b = h->boxes[0];
	answer(b, 0, "1");
	await(h, &h->n_said, 1);
	say(h, "main", "b", "two");
	channel_on_stop(h->console, "main", "");
	await(h, &h->n_lines, 3);
	assert_string_equal(b->lines[1].text, "[operator, 00:00Z] two");
	assert_string_equal(b->lines[2].control, "interrupt");
}

/* The agent has turned to the follow-up before it hears that this is not wanted either. */
static void a_stop_also_ends_what_begins_after_it(void **state)
{
	struct house *h = house_main(state);
	struct box *b;

	say(h, "main", "a", "long work");
	await(h, &h->n_lines, 1);
	b = h->boxes[0];
	lifecycle(b, b->lines[0].uuid, "started");
	say(h, "main", "b", "later");
	await(h, &h->n_lines, 2);
	channel_on_stop(h->console, "main", "");
	await(h, &h->n_lines, 3);
	agent_says(b,
		   "{\"type\":\"result\",\"subtype\":\"error_during_execution\",\"is_error\":true,"
		   "\"terminal_reason\":\"aborted_streaming\"}");
	await(h, &h->n_failed_msgs, 1);
	lifecycle(b, b->lines[1].uuid, "started");
	await(h, &h->n_lines, 4);
	assert_string_equal(b->lines[3].control, "interrupt");
	agent_says(b,
		   "{\"type\":\"result\",\"subtype\":\"error_during_execution\",\"is_error\":true,"
		   "\"terminal_reason\":\"aborted_streaming\"}");
	await(h, &h->n_failed_msgs, 2);
	await(h, &h->n_notices, 1);
	settle(h);
	assert_int_equal(h->n_notices, 1);
	assert_int_equal(h->n_said, 0);
}

/* It has even answered the follow-up before it hears: that is not told, for the person has said stop before. */
static void an_answer_begun_after_the_stop_is_not_told(void **state)
{
	struct house *h = house_main(state);
	struct box *b;

	say(h, "main", "a", "long work");
	await(h, &h->n_lines, 1);
	b = h->boxes[0];
	lifecycle(b, b->lines[0].uuid, "started");
	say(h, "main", "b", "later");
	await(h, &h->n_lines, 2);
	channel_on_stop(h->console, "main", "");
	await(h, &h->n_lines, 3);
	agent_says(b,
		   "{\"type\":\"result\",\"subtype\":\"error_during_execution\",\"is_error\":true,"
		   "\"terminal_reason\":\"aborted_streaming\"}");
	await(h, &h->n_failed_msgs, 1);
	answer(b, 1, "echo: later");
	await(h, &h->n_failed_msgs, 2);
	await(h, &h->n_notices, 1);
	assert_string_equal(h->notices.p, "Stopped.\n");
	say(h, "main", "c", "and now");
	await(h, &h->n_lines, 5);
	answer(b, 4, "fine");
	await(h, &h->n_said, 1);
	assert_int_equal(h->n_failed_msgs, 2);
	assert_int_equal(h->n_notices, 1);
}

static void bad_lines_are_skipped(void **state)
{
	struct house *h = house_main(state);
	struct box *b;
	size_t n = (8u << 20) + 100;
	char *big = xcalloc(1, n + 1);

	say(h, "main", "a", "hello");
	await(h, &h->n_lines, 1);
	b = h->boxes[0];
	memset(big, 'x', n);
	agent_says(b, "no json");
	agent_says(b, "[]");
	agent_says(b, "{\"type\":\"result\",\"result\":\"nobody asked\",\"is_error\":true}");
	agent_says(b,
		   "{\"type\":\"command_lifecycle\",\"command_uuid\":\"x\",\"state\":\"started\"}");
	agent_says(b, big);
	free(big);
	answer(b, 0, "still here");
	await(h, &h->n_settled, 1);
	await(h, &h->n_said, 1);
	assert_string_equal(h->said.p, "still here\n");
	assert_int_equal(h->n_notices, 0);
}

static void bad_lines_do_not_fill_the_log(void **state)
{
	struct house *h = house_main(state);
	char file[64], text[65536] = "";
	struct buf many = {0};
	int fd, lines = 0;

	say(h, "main", "a", "hello");
	await(h, &h->n_lines, 1);
	snprintf(file, sizeof(file), "%s/log", h->dir);
	fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	log_init(&(struct log_opts){.fd = fd, .level = LOG_INFO});
	for (int i = 0; i < 2000; i++)
		buf_puts(&many, "x\n");
	agent_says(h->boxes[0], many.p);
	buf_free(&many);
	answer(h->boxes[0], 0, "still here");
	await(h, &h->n_settled, 1);
	log_init(&(struct log_opts){.fd = 2, .level = LOG_ERROR});
	assert_true(pread(fd, text, sizeof(text) - 1, 0) > 0);
	close(fd);
	for (const char *p = text; (p = strstr(p, "bad line")); p++)
		lines++;
	assert_in_range(lines, 1, 500);
}

static void a_big_message_reaches_the_agent_whole(void **state)
{
	struct house *h = house_main(state);
	size_t n = 256 << 10;
	char *big = xcalloc(1, n + 1);
	char id[16];
	struct box *b;

	memset(big, '"', n);
	say(h, "main", "first", "begin");
	await(h, &h->n_lines, 1);
	b = h->boxes[0];
	for (int i = 0; i < 5; i++) { /* as much as the door refuses in one piece, and more */
		snprintf(id, sizeof(id), "b%d", i);
		say(h, "main", id, big);
	}
	await(h, &h->n_lines, 6);
	for (int i = 1; i < 6; i++)
		assert_string_equal(b->lines[i].text + strlen("[operator, 00:00Z] "), big);
	free(big);
	assert_int_equal(h->n_boxes, 1);
	assert_int_equal(h->n_notices, 0);
}

static void put_pending(struct house *h, int64_t chat, int64_t group, const char *text)
{
	struct err e = ERR_INIT;
	int64_t id;
	bool dup;
	struct msg_new m = {.chat_id = chat,
			    .group_id = group,
			    .session = "",
			    .thread = "",
			    .platform_id = text,
			    .text = text,
			    .text_len = strlen(text),
			    .state = MSG_PENDING};

	assert_ok(store_message_in(h->st, &m, &id, &dup, &e), &e);
}

static void two_chats_of_a_group_do_not_share_a_turn(void **state)
{
	struct house *h = *state;
	struct err e = ERR_INIT;
	struct group_row g;
	struct chat_row c[2];

	assert_ok(store_group_ensure(h->st, "main", true, &g, &e), &e);
	for (int i = 0; i < 2; i++) {
		assert_ok(store_chat_ensure(h->st, "console", i ? "side" : "main", "", &c[i], &e),
			  &e);
		assert_ok(store_chat_link(h->st, c[i].id, g.id, &e), &e);
	}
	put_pending(h, c[0].id, g.id, "m1");
	put_pending(h, c[1].id, g.id, "s1");
	put_pending(h, c[0].id, g.id, "m2");
	house_start(h);
	house_join(h, "side");
	await(h, &h->n_lines, 1);
	assert_string_equal(h->boxes[0]->lines[0].text,
			    "[someone, 00:00Z] m1\n[someone, 00:00Z] m2");
	answer(h->boxes[0], 0, "for main");
	await(h, &h->n_lines, 2);
	assert_string_equal(h->boxes[0]->lines[1].text, "[someone, 00:00Z] s1");
	answer(h->boxes[0], 1, "for side");
	await(h, &h->n_said, 1);
	assert_string_equal(h->said.p, "for side\n"); /* nothing of the other chat came here */
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, house_setup, house_teardown)
	const struct CMUnitTest tests[] = {
		TEST(one_message_is_answered),
		TEST(a_known_id_is_not_handed_in_twice),
		TEST(bad_messages_are_refused_and_nothing_is_kept),
		TEST(a_result_covers_what_was_started),
		TEST(three_hundred_follow_ups_come_in_order),
		TEST(a_swallowed_line_is_handed_in_again),
		TEST(an_error_result_is_told_once),
		TEST(a_stop_interrupts_and_says_so),
		TEST(a_stop_also_ends_what_begins_after_it),
		TEST(an_answer_begun_after_the_stop_is_not_told),
		TEST(a_stop_at_once_comes_after_the_line),
		TEST(bad_lines_are_skipped),
		TEST(bad_lines_do_not_fill_the_log),
		TEST(a_big_message_reaches_the_agent_whole),
		TEST(two_chats_of_a_group_do_not_share_a_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
