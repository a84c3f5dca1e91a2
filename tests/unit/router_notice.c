// SPDX-License-Identifier: Apache-2.0
/*
 * Notices of messages that could not be answered: at once for the first few, counted and told together after that, at the end and
 * after a crash too. No count may get lost and no chat be flooded.
 */
#include "router_rig.h"
#include "router/impl.h"

static int64_t main_chat(struct house *h)
{
	struct err e = ERR_INIT;
	struct chat_row c;
	struct group_row g;

	assert_ok(store_group_ensure(h->st, "main", true, &g, &e), &e);
	assert_ok(store_chat_ensure(h->st, "console", "main", "", &c, &e), &e);
	assert_ok(store_chat_link(h->st, c.id, g.id, &e), &e);
	return c.id;
}

static void fail_one(struct house *h, int64_t chat, const char *why)
{
	struct fail_notice f = {.r = h->router, .why = why};
	struct msg_row m = {.chat_id = chat, .group_id = 1, .thread = "t", .platform_id = "p"};

	fail_notice_add(&f, &m);
	fail_notice_end(&f);
}

static void note(void *ctx, const char *key, const char *value)
{
	buf_putf(ctx, "%s=%s\n", key, value);
}

static void held(struct house *h, const char *want)
{
	struct err e = ERR_INIT;
	struct buf got = {0};

	assert_ok(store_settings_each(h->st, "held.", note, &got, &e), &e);
	assert_string_equal(got.p ? got.p : "", want);
	buf_free(&got);
}

static void a_flood_is_counted_and_told_at_the_end(void **state)
{
	struct house *h = *state;
	struct err e = ERR_INIT;
	struct buf got = {0};
	int64_t chat = main_chat(h);

	house_start(h);
	house_join(h, "main");
	for (int i = 0; i < 4; i++)
		fail_one(h, chat, "no luck");
	await(h, &h->n_notices, 4);
	for (int i = 0; i < 3; i++)
		fail_one(h, chat, "still none");
	settle(h);
	assert_int_equal(h->n_notices, 4);
	held(h, "held.1=1 3 t\nstill none\n");
	notice_flush(h->router);
	await(h, &h->n_notices, 5);
	assert_non_null(strstr(h->notices.p, "I could not answer 3 more messages: still none"));
	held(h, "");
	assert_ok(store_commit(h->st, &e), &e);
	buf_free(&got);
}

static void note_text(void *ctx, const struct msg_row *m)
{
	buf_putf(ctx, "%s\n", m->text);
}

static void what_a_crash_left_is_told_at_the_start(void **state)
{
	struct house *h = *state;
	struct err e = ERR_INIT;
	struct buf got = {0};
	int64_t chat = main_chat(h);

	assert_ok(store_setting_set(h->st, "held.1", "1 7 t\nthe lights went out", &e), &e);
	assert_ok(store_commit(h->st, &e), &e);
	house_start(h);
	assert_ok(store_history(h->st, chat, 0, 10, note_text, &got, &e), &e);
	assert_string_equal(got.p, "I could not answer 7 more messages: the lights went out\n");
	held(h, "");
	buf_free(&got);
}

/* A row whose chat has been taken from its group, or never had one: told under the row's own group. */
static void a_lost_message_of_a_chat_without_a_group(void **state)
{
	struct house *h = *state;
	struct chat_row c;
	struct err e = ERR_INIT, why = ERR_INIT;

	main_chat(h);
	assert_ok(store_chat_ensure(h->st, "console", "elsewhere", "", &c, &e), &e);
	assert_int_equal(c.group_id, 0);
	house_start(h);
	house_join(h, "main");
	err_set(&why, E_INVAL, "too odd");
	notice_undelivered(h->router, &c, 1, "", 12, &why);
	notice_undelivered(h->router, &c, 1, "", 13, &why); /* the same class: once in a window */
	await(h, &h->n_notices, 1);
	settle(h);
	assert_int_equal(h->n_notices, 1);
	assert_non_null(strstr(h->notices.p, "chela outbox retry 12"));
	assert_int_equal(h->fatals, 0);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, house_setup, house_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_flood_is_counted_and_told_at_the_end),
		TEST(what_a_crash_left_is_told_at_the_start),
		TEST(a_lost_message_of_a_chat_without_a_group),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
