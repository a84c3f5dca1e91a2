// SPDX-License-Identifier: Apache-2.0
/* What a group leaves behind: its messages in steps, what is carried over, and its data that goes in steps while others' stays. */
#include "store_rig.h"

static void add_id(void *ctx, const struct msg_row *m)
{
	buf_putf(ctx, "%s%s;", m->dir == MSG_OUT ? "out " : "", m->text);
}

/* A second group whose messages lie between those of the first. */
static void put_for(struct rig *r, const struct group_row *g, const struct chat_row *c, int n)
{
	struct group_row old = r->g;
	struct chat_row old_chat = r->chat;

	r->g = *g;
	r->chat = *c;
	for (int i = 0; i < n; i++)
		put_in(r);
	r->g = old;
	r->chat = old_chat;
}

static struct group_row second(struct rig *r, struct chat_row *c)
{
	struct group_row g;
	struct err e = ERR_INIT;

	assert_ok(store_group_ensure(r->st, "fam", false, &g, &e), &e);
	assert_ok(store_chat_ensure(r->st, "plat", "c1", "", c, &e), &e);
	assert_ok(store_chat_link(r->st, c->id, g.id, &e), &e);
	return g;
}

static void messages_come_in_steps_of_bounded_size(void **state)
{
	struct rig *r = *state;
	struct chat_row c;
	struct group_row g = second(r, &c);
	struct buf all = {0};
	struct err e = ERR_INIT;
	int64_t at = 0;
	bool done = false;
	int steps = 0;

	put_for(r, &g, &c, 1);
	for (int i = 0; i < 1200; i++)
		put_in(r);
	put_out(r, "ours");
	put_for(r, &g, &c, 1);
	commit(r);
	for (; !done; steps++)
		assert_ok(store_group_messages(r->st, g.id, &at, &done, add_id, &all, &e), &e);
	assert_true(steps >= 3);
	assert_string_equal(all.p, "m1;m1202;");
	/* nothing new: at stays at the end, and what comes later is found from there */
	assert_ok(store_archived_set(r->st, g.id, at, &e), &e);
	put_for(r, &g, &c, 1);
	assert_ok(store_archived(r->st, g.id, &at, &e), &e);
	buf_reset(&all);
	assert_ok(store_group_messages(r->st, g.id, &at, &done, add_id, &all, &e), &e);
	assert_true(done);
	assert_string_equal(all.p, "m1203;");
	buf_free(&all);
}

static void what_is_carried_over(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	char *text = NULL;

	assert_ok(store_carry_get(r->st, r->g.id, "", &text, &e), &e);
	assert_null(text);
	assert_ok(store_carry_set(r->st, r->g.id, "", "one", &e), &e);
	assert_ok(store_carry_set(r->st, r->g.id, "", "two", &e), &e);
	assert_ok(store_carry_set(r->st, r->g.id, "5.t", "thread", &e), &e);
	commit(r);
	rig_reopen(r);
	assert_ok(store_carry_get(r->st, r->g.id, "", &text, &e), &e);
	assert_string_equal(text, "two");
	free(text);
	assert_ok(store_carry_set(r->st, r->g.id, "", NULL, &e), &e);
	assert_ok(store_carry_get(r->st, r->g.id, "", &text, &e), &e);
	assert_null(text);
}

static void count_group(void *ctx, const struct group_row *g)
{
	(void)g;
	++*(int *)ctx;
}

static void a_removed_group_is_hidden(void **state)
{
	struct rig *r = *state;
	struct chat_row c;
	struct group_row g = second(r, &c), found;
	struct err e = ERR_INIT;
	int n = 0;

	assert_err(store_group_remove(r->st, r->g.id, false, &e), &e, E_PERM, "main");
	e = (struct err)ERR_INIT;
	assert_ok(store_group_pause(r->st, g.id, true, &e), &e);
	assert_ok(store_group_get(r->st, "fam", &found, &e), &e);
	assert_true(found.paused);
	assert_ok(store_group_remove(r->st, g.id, false, &e), &e);
	assert_err(store_group_get(r->st, "fam", &found, &e), &e, E_GONE, "no group");
	e = (struct err)ERR_INIT;
	assert_ok(store_group_each(r->st, count_group, &n, &e), &e);
	assert_int_equal(n, 1);
	assert_ok(store_chat_get(r->st, c.id, &c, &e), &e);
	assert_int_equal(c.group_id, 0);
	assert_ok(store_group_at(r->st, g.id, &found, &e), &e);
	assert_true(found.removed);
	assert_ok(store_group_ensure(r->st, "fam", false, &found, &e), &e);
	assert_int_equal(found.id, g.id);
	assert_false(found.removed);
}

static int purge(struct rig *r, int64_t group_id, int limit)
{
	struct err e = ERR_INIT;
	int64_t at = 0;
	bool done = false;
	int steps = 0;

	while (!done && steps++ < limit)
		assert_ok(store_group_purge(r->st, group_id, &at, &done, &e), &e);
	return done ? steps : -1;
}

static void data_goes_in_steps_and_waits_for_what_is_on_its_way(void **state)
{
	struct rig *r = *state;
	struct chat_row c;
	struct group_row g = second(r, &c), old = r->g;
	struct chat_row old_chat = r->chat;
	struct err e = ERR_INIT;
	int64_t flying;
	int n = 0;

	put_in(r);
	put_for(r, &g, &c, 1100);
	r->g = g;
	r->chat = c;
	put_out(r, "sent later");
	flying = put_out(r, "on its way");
	r->g = old;
	r->chat = old_chat;
	put_out(r, "of main");
	assert_ok(store_out_sending(r->st, flying, &e), &e);
	assert_ok(store_session_set(r->st, g.id, "", "11111111-1111-4111-8111-111111111111", &e),
		  &e);
	assert_ok(store_carry_set(r->st, g.id, "", "old", &e), &e);
	assert_ok(store_group_settings_set(r->st, g.id, "{\"trigger\":\"always\"}", &e), &e);
	assert_ok(store_group_remove(r->st, g.id, true, &e), &e);
	commit(r);
	assert_err(store_group_ensure(r->st, "fam", false, &g, &e), &e, E_TEMP, "being deleted");
	e = (struct err)ERR_INIT;
	assert_ok(store_purges(r->st, count_group, &n, &e), &e);
	assert_int_equal(n, 1);
	assert_int_equal(purge(r, g.id, 40), -1); /* one is on its way */
	commit(r);
	assert_int_equal(peek(r, "SELECT count(*) FROM messages WHERE group_id = 2"), 1);
	assert_ok(store_out_sent(r->st, flying, "p1", &e), &e);
	assert_true(purge(r, g.id, 40) > 3);
	commit(r);
	assert_int_equal(peek(r, "SELECT count(*) FROM messages"), 2);
	assert_int_equal(peek(r, "SELECT count(*) FROM outbox"), 1);
	assert_int_equal(peek(r, "SELECT count(*) FROM sessions"), 0);
	assert_int_equal(peek(r, "SELECT count(*) FROM carry"), 0);
	assert_int_equal(peek(r, "SELECT settings = '{}' FROM groups WHERE name = 'fam'"), 1);
	assert_ok(store_group_ensure(r->st, "fam", false, &g, &e), &e);
}

/* Numbers of messages are given out again once the newest have gone. */
static void what_comes_after_a_purge_is_archived(void **state)
{
	struct rig *r = *state;
	struct chat_row c;
	struct group_row g = second(r, &c);
	struct buf all = {0};
	struct err e = ERR_INIT;
	int64_t at = 0;
	bool done = false;

	put_in(r);
	put_for(r, &g, &c, 5);
	assert_ok(store_group_messages(r->st, r->g.id, &at, &done, add_id, &all, &e), &e);
	assert_ok(store_archived_set(r->st, r->g.id, at, &e), &e);
	assert_string_equal(all.p, "m1;");
	assert_ok(store_group_remove(r->st, g.id, true, &e), &e);
	assert_true(purge(r, g.id, 40) > 0);
	put_in(r);
	buf_reset(&all);
	assert_ok(store_archived(r->st, r->g.id, &at, &e), &e);
	assert_ok(store_group_messages(r->st, r->g.id, &at, &done, add_id, &all, &e), &e);
	assert_string_equal(all.p, "m7;");
	buf_free(&all);
}

static void a_chat_that_moves_takes_no_words_along(void **state)
{
	struct rig *r = *state;
	struct chat_row c;
	struct group_row g = second(r, &c);
	struct buf all = {0};
	struct err e = ERR_INIT;
	struct msg_new m = {.chat_id = c.id,
			    .group_id = g.id,
			    .session = "",
			    .thread = "",
			    .platform_id = "x",
			    .text = "secret",
			    .text_len = 6,
			    .state = MSG_CONTEXT};
	int64_t id;
	bool dup;

	assert_ok(store_message_in(r->st, &m, &id, &dup, &e), &e);
	assert_ok(store_context(r->st, c.id, "", INT64_MAX, 0, 10, add_id, &all, &e), &e);
	assert_ok(store_history(r->st, c.id, -30, 30, add_id, &all, &e), &e);
	assert_ok(store_history(r->st, c.id, 0, 30, add_id, &all, &e), &e);
	assert_string_equal(all.p, "secret;secret;secret;");
	assert_ok(store_chat_unlink(r->st, c.id, &e), &e);
	assert_ok(store_chat_link(r->st, c.id, r->g.id, &e), &e);
	m.group_id = r->g.id;
	m.platform_id = "y";
	m.text = "public";
	assert_ok(store_message_in(r->st, &m, &id, &dup, &e), &e);
	buf_reset(&all);
	assert_ok(store_context(r->st, c.id, "", INT64_MAX, 0, 10, add_id, &all, &e), &e);
	assert_ok(store_history(r->st, c.id, -30, 30, add_id, &all, &e), &e);
	assert_ok(store_history(r->st, c.id, 0, 30, add_id, &all, &e), &e);
	assert_string_equal(all.p, "public;public;public;");
	buf_free(&all);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(messages_come_in_steps_of_bounded_size),
		T(what_is_carried_over),
		T(a_removed_group_is_hidden),
		T(data_goes_in_steps_and_waits_for_what_is_on_its_way),
		T(what_comes_after_a_purge_is_archived),
		T(a_chat_that_moves_takes_no_words_along),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
