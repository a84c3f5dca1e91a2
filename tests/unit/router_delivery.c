// SPDX-License-Identifier: Apache-2.0
/*
 * Delivery over a channel of the test's own, whose platform cannot tell a repeat (neither CHAN_RESEND nor CHAN_LOOK): what is durable when the
 * first byte leaves, retry, giving up, order, and what a crash in the middle leaves.
 */
#include "router_rig.h"
#include <sqlite3.h>

struct post {
	int64_t id;
	char text[64], key[33], chat[16];
	bool again;
	int64_t state_on_disk; /* as another program saw it during send */
};

static struct {
	struct channel *chan;
	struct post posts[20];
	int n;
	char file[48];
	bool closed, offline;
	int connects;
	enum err_code refuse; /* the next send fails at once */
} platform;

static int64_t peek(const char *file, const char *sql)
{
	sqlite3 *db;
	sqlite3_stmt *s;
	int64_t v;

	assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
	if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK)
		fail_msg("%s", sqlite3_errmsg(db));
	assert_int_equal(sqlite3_step(s), SQLITE_ROW);
	v = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	sqlite3_close(db);
	return v;
}

static int fake_configure(struct yaml_node *section, const char *home, void **priv, struct err *e)
{
	(void)section;
	(void)home;
	(void)e;
	*priv = &platform;
	return 0;
}

static int fake_open(struct channel *c, struct err *e)
{
	(void)e;
	platform.chan = c;
	return 0;
}

static void fake_connect(struct channel *c)
{
	platform.connects++;
	if (!platform.offline)
		channel_on_state(c, CHANNEL_UP, "", 0);
}

static void fake_close(struct channel *c)
{
	(void)c;
	platform.closed = true;
}

static int fake_send(struct channel *c, const struct outbound *o, struct err *e)
{
	struct post *p = &platform.posts[platform.n++];
	char sql[80];

	assert_in_range(platform.n, 1, 20);
	assert_ptr_equal(c, platform.chan);
	p->id = o->id;
	str_copy(p->text, sizeof(p->text), o->body);
	str_copy(p->key, sizeof(p->key), o->key);
	str_copy(p->chat, sizeof(p->chat), o->chat);
	p->again = o->again;
	snprintf(sql, sizeof(sql), "SELECT state FROM outbox WHERE id = %lld", (long long)o->id);
	p->state_on_disk = peek(platform.file, sql);
	loop_defer(c->loop, "seen", nothing, NULL);
	if (platform.refuse) {
		err_set(e, platform.refuse, "not now");
		platform.refuse = E_NONE;
		return -1;
	}
	return 0;
}

static const struct channel_ops fake = {.name = "fake",
					.max_text = 100,
					.unit = UNIT_CODE_POINTS,
					.format = FORMAT_PLAIN,
					.configure = fake_configure,
					.open = fake_open,
					.connect = fake_connect,
					.close = fake_close,
					.send = fake_send};

/* In place of registry.c's. */
const struct channel_ops *const channel_registry[] = {&console_ops, &fake, NULL};

static int64_t chat_of(struct house *h, const char *name)
{
	struct err e = ERR_INIT;
	struct group_row g;
	struct chat_row c;

	assert_ok(store_group_ensure(h->st, "main", true, &g, &e), &e);
	assert_ok(store_chat_ensure(h->st, "fake", name, "", &c, &e), &e);
	return c.id;
}

static void post(struct house *h, int64_t chat, const char *text)
{
	struct err e = ERR_INIT;
	struct out_new o = {.chat_id = chat, .group_id = 1, .thread = "", .text = text};
	int64_t id, message;

	assert_ok(store_out_add(h->st, &o, &id, &message, &e), &e);
}

static int64_t count(struct house *h, enum out_state s)
{
	struct err e = ERR_INIT;
	int64_t by[6];

	assert_ok(store_out_counts(h->st, by, &e), &e);
	return by[s];
}

static void fail_with(int64_t id, enum err_code code)
{
	struct err why = ERR_INIT;

	err_set(&why, code, "the platform says no");
	channel_on_sent(platform.chan, id, &(struct sent){.why = &why});
}

static void arrived(int post, const char *platform_id)
{
	channel_on_sent(platform.chan, platform.posts[post].id,
			&(struct sent){.platform_id = platform_id});
}

static void lost_reply(int post)
{
	struct err why = ERR_INIT;

	err_set(&why, E_TEMP, "the connection broke");
	channel_on_sent(platform.chan, platform.posts[post].id,
			&(struct sent){.why = &why, .unsure = true});
}

static int delivery_setup(void **state)
{
	struct house *h;

	memset(&platform, 0, sizeof(platform));
	house_setup(state);
	h = *state;
	str_copy(platform.file, sizeof(platform.file), h->file);
	return 0;
}

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
		TEST(a_limit_without_a_time_is_asked_less_and_less),
		TEST(a_moved_chat_is_followed),
		TEST(a_chat_that_moves_while_it_is_sent_to),
		TEST(a_chat_that_moves_into_another_while_it_is_sent_to),
		TEST(a_chat_that_moves_to_itself_stays),
		TEST(a_dead_letter_is_told_and_can_be_revived),
		TEST(a_link_that_falls_is_tried_again),
		TEST(a_channel_that_is_down_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
