// SPDX-License-Identifier: Apache-2.0
/*
 * Delivery when the platform is odd: chats that get new ids, also while a row is sent to them, limits without an end, and a
 * channel that is not configured for a while.
 */
#include "router_delivery_rig.h"

static void a_moved_chat_is_followed(void **state)
{
	struct house *h = *state;
	struct err e = ERR_INIT;
	struct chat_row row;
	int64_t chat = chat_of(h, "c");

	post(h, chat, "one");
	house_start(h);
	await(h, &platform.n, 1);
	channel_on_sent(platform.chan, platform.posts[0].id, &(struct sent){.moved_to = "new"});
	await(h, &platform.n, 2);
	assert_string_equal(platform.posts[1].text, "one");
	assert_ok(store_chat_get(h->st, chat, &row, &e), &e);
	assert_string_equal(row.platform_id, "new");
}

/* The platform tells of the move while a row is on its way: once it goes, and what follows it goes to the new id. */
static void a_chat_that_moves_while_it_is_sent_to(void **state)
{
	struct house *h = *state;
	int64_t chat = chat_of(h, "c");

	post(h, chat, "one");
	post(h, chat, "two");
	house_start(h);
	await(h, &platform.n, 1);
	channel_on_moved(platform.chan, "c", "new");
	settle(h);
	assert_int_equal(platform.n, 1);
	arrived(0, "p1");
	await(h, &platform.n, 2);
	assert_string_equal(platform.posts[1].text, "two");
	assert_string_equal(platform.posts[1].chat, "new");
}

/* The same where messages under the new id were there first: two rows of chats become one. */
static void a_chat_that_moves_into_another_while_it_is_sent_to(void **state)
{
	struct house *h = *state;
	int64_t chat = chat_of(h, "c");

	chat_of(h, "new");
	post(h, chat, "one");
	post(h, chat, "two");
	house_start(h);
	await(h, &platform.n, 1);
	channel_on_moved(platform.chan, "c", "new");
	await(h, &platform.n, 2);
	assert_string_equal(platform.posts[1].text, "two"); /* and not "one", which is on its way */
	assert_string_equal(platform.posts[1].chat, "new");
	arrived(0, "p1");
	arrived(1, "p2");
	settle(h);
	assert_int_equal(platform.n, 2);
	assert_int_equal(count(h, OUT_SENT), 2);
}

static void a_chat_that_moves_to_itself_stays(void **state)
{
	struct house *h = *state;
	struct err e = ERR_INIT, why = ERR_INIT;
	int64_t chat = chat_of(h, "c"), began;
	struct group_row g;
	struct chat_row row;

	assert_ok(store_group_get(h->st, "main", &g, &e), &e);
	assert_ok(store_chat_link(h->st, chat, g.id, &e), &e);
	post(h, chat, "one");
	house_start(h);
	await(h, &platform.n, 1);
	channel_on_moved(platform.chan, "c", "c");
	channel_on_moved(platform.chan, "nobody", "c");
	settle(h);
	assert_int_equal(platform.n, 1);
	began = loop_now(h->l);
	err_set(&why, E_TEMP, "look at c");
	channel_on_sent(platform.chan, platform.posts[0].id,
			&(struct sent){.why = &why, .moved_to = "c"});
	await(h, &platform.n, 2);
	assert_true(loop_now(h->l) - began >= 900); /* no spin */
	assert_ok(store_chat_get(h->st, chat, &row, &e), &e);
	assert_int_equal(row.group_id, g.id);
}

static void what_waits_for_a_channel_that_is_off_has_its_form(void **state)
{
	struct house *h = *state;
	int64_t chat = chat_of(h, "c");

	platform.absent = true;
	house_start(h);
	assert_true(delivery_post(h->router, &(struct out_new){.chat_id = chat,
							       .group_id = 1,
							       .thread = "",
							       .text = "**bold** text"}) > 0);
	settle(h);
	house_stop(h);
	platform.absent = false;
	house_start(h);
	await(h, &platform.n, 1);
	assert_string_equal(platform.posts[0].text, "bold text");
}

static void a_limit_without_a_time_is_asked_less_and_less(void **state)
{
	struct house *h = *state;
	int64_t began = loop_now(h->l);

	post(h, chat_of(h, "c"), "one");
	house_start(h);
	for (int i = 0; i < 3; i++) {
		await(h, &platform.n, i + 1);
		fail_with(platform.posts[i].id, E_LIMIT);
	}
	await(h, &platform.n, 4);
	assert_true(loop_now(h->l) - began >= 4000); /* not three times the same second */
	assert_int_equal(peek(h->file, "SELECT tries FROM outbox"), 0);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, delivery_setup, house_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_moved_chat_is_followed),
		TEST(a_chat_that_moves_while_it_is_sent_to),
		TEST(a_chat_that_moves_into_another_while_it_is_sent_to),
		TEST(a_chat_that_moves_to_itself_stays),
		TEST(what_waits_for_a_channel_that_is_off_has_its_form),
		TEST(a_limit_without_a_time_is_asked_less_and_less),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
