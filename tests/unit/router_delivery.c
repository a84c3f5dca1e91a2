// SPDX-License-Identifier: Apache-2.0
/*
 * Delivery over a platform that cannot tell a repeat: what is durable when the first byte leaves, retry, giving up, order, and what a crash in the
 * middle leaves.
 */
#include "router_delivery_rig.h"

static void sending_is_durable_before_the_first_byte(void **state)
{
	struct house *h = *state;
	int64_t chat = chat_of(h, "c");

	post(h, chat, "one");
	post(h, chat, "two");
	house_start(h);
	await(h, &platform.n, 1);
	assert_string_equal(platform.posts[0].text, "one");
	assert_int_equal(platform.posts[0].state_on_disk, OUT_SENDING);
	settle(h);
	assert_int_equal(platform.n, 1); /* one at a time, in order */
	arrived(0, "p1");
	arrived(0, "p1"); /* a repeat harms nobody */
	await(h, &platform.n, 2);
	assert_string_equal(platform.posts[1].text, "two");
	arrived(1, "p2");
	settle(h);
	assert_int_equal(count(h, OUT_SENT), 2);
}

static void a_chat_in_trouble_does_not_hold_up_another(void **state)
{
	struct house *h = *state;

	post(h, chat_of(h, "c"), "one");
	post(h, chat_of(h, "d"), "other");
	house_start(h);
	await(h, &platform.n, 2);
	fail_with(platform.posts[0].id, E_TEMP);
	arrived(1, "p");
	settle(h);
	assert_int_equal(count(h, OUT_SENT), 1);
	assert_int_equal(count(h, OUT_PENDING), 1);
}

static void a_failure_for_now_is_retried_after_a_pause(void **state)
{
	struct house *h = *state;
	int64_t chat = chat_of(h, "c"), began = loop_now(h->l);

	post(h, chat, "one");
	post(h, chat, "two");
	house_start(h);
	await(h, &platform.n, 1);
	fail_with(platform.posts[0].id, E_TEMP);
	await(h, &platform.n, 2);
	assert_true(loop_now(h->l) - began >= 990);
	assert_string_equal(platform.posts[1].text, "one"); /* not overtaken */
	arrived(1, "p1");
	await(h, &platform.n, 3);
	assert_string_equal(platform.posts[2].text, "two");
}

static void a_send_that_fails_at_once_is_retried_too(void **state)
{
	struct house *h = *state;

	post(h, chat_of(h, "c"), "one");
	platform.refuse = E_TEMP;
	house_start(h);
	await(h, &platform.n, 1);
	settle(h);
	assert_int_equal(count(h, OUT_PENDING), 1);
	await(h, &platform.n, 2);
	assert_string_equal(platform.posts[1].text, "one");
	arrived(1, "p1");
	settle(h);
	assert_int_equal(count(h, OUT_SENT), 1);
}

static void the_last_failure_and_a_refusal_are_the_end(void **state)
{
	struct house *h = *state;
	struct err e = ERR_INIT;
	int64_t chat = chat_of(h, "c");
	sqlite3 *db;

	post(h, chat, "one");
	post(h, chat, "two");
	post(h, chat, "three");
	assert_ok(store_commit(h->st, &e), &e);
	assert_int_equal(sqlite3_open(h->file, &db), SQLITE_OK);
	assert_int_equal(
		sqlite3_exec(db, "UPDATE outbox SET tries = 13 WHERE id = 1", NULL, NULL, NULL),
		SQLITE_OK);
	sqlite3_close(db);
	house_start(h);
	await(h, &platform.n, 1);
	fail_with(platform.posts[0].id, E_TEMP); /* its last */
	await(h, &platform.n, 2);
	assert_string_equal(platform.posts[1].text, "two");
	fail_with(platform.posts[1].id, E_PERM); /* for good */
	await(h, &platform.n, 3);
	assert_string_equal(platform.posts[2].text, "three");
	assert_int_equal(count(h, OUT_DEAD), 2);
}

static void a_crash_while_sending_is_never_a_silent_repeat(void **state)
{
	struct house *h = *state;
	int64_t chat = chat_of(h, "c");
	char key[33];

	post(h, chat, "one");
	post(h, chat, "two");
	house_start(h);
	await(h, &platform.n, 1); /* nobody knows whether the platform has it */
	str_copy(key, sizeof(key), platform.posts[0].key);
	house_stop(h);
	assert_true(platform.closed);
	store_close(h->st);
	house_open_store(h);
	house_start(h);
	await(h, &platform.n, 2);
	assert_string_equal(platform.posts[1].text, "(perhaps a repeat) one");
	assert_string_equal(platform.posts[1].key, key);
	assert_true(platform.posts[1].again);
	arrived(1, "p1");
	await(h, &platform.n, 3);
	assert_string_equal(platform.posts[2].text, "two");
	assert_int_equal(count(h, 5), 1);
}

static void a_lost_reply_is_repeated_with_a_mark(void **state)
{
	struct house *h = *state;

	post(h, chat_of(h, "c"), "one");
	house_start(h);
	await(h, &platform.n, 1);
	assert_string_equal(platform.posts[0].text, "one");
	lost_reply(0);
	await(h, &platform.n, 2);
	assert_string_equal(platform.posts[1].text, "(perhaps a repeat) one");
}

static void a_limit_holds_without_counting_a_try(void **state)
{
	struct house *h = *state;
	struct err why = ERR_INIT;
	int64_t began = loop_now(h->l);

	post(h, chat_of(h, "c"), "one");
	house_start(h);
	await(h, &platform.n, 1);
	err_set(&why, E_LIMIT, "slow down");
	channel_on_sent(platform.chan, platform.posts[0].id,
			&(struct sent){.why = &why, .retry_ms = 1500});
	settle(h);
	assert_int_equal(peek(h->file, "SELECT tries FROM outbox"), 0);
	await(h, &platform.n, 2);
	assert_true(loop_now(h->l) - began >= 1490);
	assert_string_equal(platform.posts[1].text, "one");
}

static void a_dead_letter_is_told_and_can_be_revived(void **state)
{
	struct house *h = *state;
	struct err e = ERR_INIT;
	int64_t chat = chat_of(h, "c"), whose, n;
	struct group_row g;

	assert_ok(store_group_get(h->st, "main", &g, &e), &e);
	assert_ok(store_chat_link(h->st, chat, g.id, &e), &e);
	post(h, chat, "one");
	house_start(h);
	await(h, &platform.n, 1);
	fail_with(platform.posts[0].id, E_INVAL);
	await(h, &platform.n,
	      2); /* main is told, which is here the same chat: once, in two parts */
	assert_non_null(strstr(platform.posts[1].text, "could not be delivered"));
	arrived(1, "p2");
	await(h, &platform.n, 3);
	assert_non_null(strstr(platform.posts[2].text, "chela outbox retry 1"));
	arrived(2, "p3");
	settle(h);
	assert_int_equal(platform.n, 3);
	assert_int_equal(count(h, OUT_DEAD), 1);
	assert_ok(store_out_revive(h->st, platform.posts[0].id, &whose, &n, &e), &e);
	assert_int_equal(whose, chat);
	router_kick(h->router, chat);
	await(h, &platform.n, 4);
	assert_string_equal(platform.posts[3].text, "one");
}

static void a_link_that_falls_is_tried_again(void **state)
{
	struct house *h = *state;

	platform.offline = true;
	house_start(h);
	assert_int_equal(platform.connects, 1);
	channel_on_state(platform.chan, CHANNEL_DOWN, "refused", 0);
	await(h, &platform.connects, 2);
	channel_on_state(platform.chan, CHANNEL_DOWN, "refused", 0);
	await(h, &platform.connects, 3);
}

static void a_channel_that_is_down_waits(void **state)
{
	struct house *h = *state;
	int64_t chat = chat_of(h, "c");

	post(h, chat, "one");
	house_start(h);
	channel_on_state(platform.chan, CHANNEL_DOWN, "no network", 60000);
	settle(h);
	if (platform.n == 0) {
		channel_on_state(platform.chan, CHANNEL_UP, "", 0);
		await(h, &platform.n, 1);
	}
	channel_on_state(platform.chan, CHANNEL_DOWN, "no network", 60000);
	arrived(0, "p");
	post(h, chat, "two");
	settle(h);
	assert_int_equal(platform.n, 1);
	channel_on_state(platform.chan, CHANNEL_UP, "", 0);
	await(h, &platform.n, 2);
	assert_string_equal(platform.posts[1].text, "two");
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, delivery_setup, house_teardown)
	const struct CMUnitTest tests[] = {
		TEST(sending_is_durable_before_the_first_byte),
		TEST(a_chat_in_trouble_does_not_hold_up_another),
		TEST(a_failure_for_now_is_retried_after_a_pause),
		TEST(a_send_that_fails_at_once_is_retried_too),
		TEST(the_last_failure_and_a_refusal_are_the_end),
		TEST(a_crash_while_sending_is_never_a_silent_repeat),
		TEST(a_lost_reply_is_repeated_with_a_mark),
		TEST(a_limit_holds_without_counting_a_try),
		TEST(a_dead_letter_is_told_and_can_be_revived),
		TEST(a_link_that_falls_is_tried_again),
		TEST(a_channel_that_is_down_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
