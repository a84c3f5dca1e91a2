// SPDX-License-Identifier: Apache-2.0
/* Tasks whose ground has gone: the chat is another group's, who made it may not any more, the time zone is unknown. */
#include "router_schedule_rig.h"
#include "store/people.h"

static const struct task_row hourly = {.thread = "",
				       .name = "t",
				       .prompt = "p",
				       .gate = "",
				       .why = "",
				       .spec = "every 1h",
				       .zone = "UTC",
				       .next_ms = T0 + HOUR,
				       .due_ms = T0 + HOUR,
				       .anchor_ms = T0,
				       .fail_max = 3,
				       .catch_up = 1};

static int64_t chat_in(struct house *h, const char *id, int64_t group)
{
	struct err e = ERR_INIT;
	struct chat_row c;

	assert_ok(store_chat_seen(h->st, "telegram", id, "", str_starts(id, "dm"), &c, &e), &e);
	assert_ok(store_chat_link(h->st, c.id, group, &e), &e);
	return c.id;
}

static int64_t person(struct house *h, const char *id, int64_t group, enum role role)
{
	struct err e = ERR_INIT;
	int64_t sender, p;

	assert_ok(store_sender_ensure(h->st, "telegram", id, id, "", &sender, &e), &e);
	assert_ok(store_person_make(h->st, sender, "", &p, &e), &e);
	assert_ok(store_role_set(h->st, p, group, role, "test", &e), &e);
	return sender;
}

static int64_t put(struct house *h, int64_t group, int64_t chat, int64_t sender)
{
	struct err e = ERR_INIT;
	struct task_row t = hourly;
	int64_t id = 0;

	t.group_id = group;
	t.chat_id = chat;
	t.sender_id = sender;
	assert_ok(store_task_put(h->st, &t, &id, &e), &e);
	return id;
}

static void move(struct house *h, int64_t chat, int64_t group)
{
	struct err e = ERR_INIT;

	assert_ok(store_chat_unlink(h->st, chat, &e), &e);
	if (group)
		assert_ok(store_chat_link(h->st, chat, group, &e), &e);
}

static int64_t posts_to(struct house *h, int64_t chat)
{
	char sql[80];

	snprintf(sql, sizeof(sql), "SELECT count(*) FROM outbox WHERE chat_id = %lld",
		 (long long)chat);
	return look(h, sql);
}

/* --- the chat ----------------------------------------------------------------------------- */

static void a_chat_that_is_anothers_hears_nothing_of_it(void **state)
{
	struct house *h = *state;
	int64_t chat, own, other;

	for (int linked = 0; linked < 2; linked++) {
		if (!linked) {
			house_start(h);
			house_join(h, "main");
			make_group(h, "main");
		}
		other = make_group(h, linked ? "g3" : "g2");
		own = make_group(h, linked ? "g4" : "g1");
		chat = chat_in(h, linked ? "c2" : "c1", own);
		put(h, own, chat, 0);
		move(h, chat, linked ? other : 0);
		for (int n = 1; n <= 3; n++)
			pass(h, HOUR);
		/* The first failure and the pause: main hears of both. */
		await(h, &h->n_notices, 2 * (linked + 1));
		assert_has(&h->notices, "could not be done (run ");
		assert_has(&h->notices, "is paused: it failed 3 times in a row");
		assert_int_equal(posts_to(h, chat), 0);
	}
	assert_int_equal(h->n_lines, 0);
}

static void neither_does_one_that_moves_during_the_run(void **state)
{
	struct house *h = *state;
	int64_t chat, g1, g2;

	house_start(h);
	g1 = make_group(h, "g1");
	g2 = make_group(h, "g2");
	chat = chat_in(h, "c1", g1);
	put(h, g1, chat, 0);
	pass(h, HOUR);
	await(h, &h->n_lines, 1);
	move(h, chat, g2);
	answer(h->boxes[0], 0, "a secret of g1");
	rounds(h, 10);
	assert_runs(h, "60:ok:a secret of g1;");
	assert_int_equal(posts_to(h, chat), 0);
	move(h, chat, g1);
	pass(h, HOUR);
	await(h, &h->n_lines, 2);
	answer(h->boxes[0], 1, "for g1");
	rounds(h, 10);
	assert_int_equal(posts_to(h, chat), 1);
}

/* --- who made it -------------------------------------------------------------------------- */

static void who_may_not_any_more_has_no_runs(void **state)
{
	static const struct {
		const char *id;
		enum role here, everywhere, in_main;
		bool runs;
	} cases[] = {
		{"101", ROLE_MEMBER, ROLE_NONE, ROLE_NONE, true},
		{"102", ROLE_NONE, ROLE_MEMBER, ROLE_NONE, true},
		{"103", ROLE_NONE, ROLE_NONE, ROLE_ADMIN, true},
		{"104", ROLE_NONE, ROLE_NONE, ROLE_MEMBER, false},
		{"105", ROLE_GUEST, ROLE_NONE, ROLE_NONE, false},
		{"106", ROLE_NONE, ROLE_NONE, ROLE_NONE, false},
		{"107", ROLE_BLOCKED, ROLE_OWNER, ROLE_OWNER, false},
		{"108", ROLE_OWNER, ROLE_BLOCKED, ROLE_OWNER, false},
	};
	struct house *h = *state;

	house_start(h);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int64_t g = make_group(h, cases[i].id), chat = chat_in(h, cases[i].id, g), sender;

		person(h, cases[i].id, make_group(h, "main"), cases[i].in_main);
		person(h, cases[i].id, 0, cases[i].everywhere);
		sender = person(h, cases[i].id, g, cases[i].here);
		put(h, g, chat, sender);
	}
	pass(h, HOUR);
	await(h, &h->n_lines, 3);
	rounds(h, 10);
	assert_int_equal(h->n_lines, 3);
	assert_int_equal(runs_in(h, RUN_FAILED), 5);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		_cleanup_free_ char *sql = xasprintf(
			"SELECT count(*) FROM task_runs r JOIN tasks t ON t.id = r.task_id JOIN groups g"
			" ON g.id = t.group_id WHERE g.name = '%s' AND r.error LIKE"
			" 'it is a task of %s (telegram:%s), whose role here is %%'",
			cases[i].id, cases[i].id, cases[i].id);

		if (look(h, sql) != !cases[i].runs)
			fail_msg("%s", cases[i].id);
	}
}

/* --- the time zone ------------------------------------------------------------------------ */

static void a_zone_that_has_gone_pauses_it(void **state)
{
	struct house *h = *state;
	struct err e = ERR_INIT;
	struct task_row t = hourly;
	int64_t id = 0;

	house_start(h);
	house_join(h, "main");
	t.group_id = make_group(h, "main");
	t.chat_id = look(h, "SELECT id FROM chats WHERE platform_id = 'main'");
	t.name = "the-name-of-it";
	t.zone = "No/Where";
	assert_ok(store_task_put(h->st, &t, &id, &e), &e);
	pass(h, HOUR);
	await(h, &h->n_notices, 1);
	assert_has(&h->notices, "The task the-name-of-it is paused: ");
	assert_int_equal(look(h, "SELECT state FROM tasks"), TASK_PAUSED);
}

/* --- the clock ----------------------------------------------------------------------------- */

/* For a while the clock was ten years ahead. */
static void a_clock_that_was_ahead_loses_no_slot(void **state)
{
	struct house *h = *state;

	for (int restart = 0; restart < 2; restart++) {
		if (!restart) {
			h->silent = true;
			house_start(h);
			task(h, "main", "name=t|prompt=p|schedule=every 1h|overlap=queue");
			task(h, "main", "name=daily|prompt=p|schedule=cron 0 6 * * *");
			task(h, "main", "name=once|prompt=p|schedule=at 2030-01-01 00:00");
		}
		pass(h, 3650 * DAY);
		assert_true(look(h, "SELECT min(next_ms) FROM tasks WHERE state = 0") >
			    rig_clock.fixed_ms);
		if (restart) {
			house_stop(h);
			rig_clock.fixed_ms -= 3650 * DAY;
			house_start(h);
			rounds(h, 10);
		} else {
			pass(h, -3650 * DAY);
		}
		assert_int_equal(
			look(h,
			     "SELECT (next_ms - 1795420800000) / 60000 FROM tasks WHERE name = 't'"),
			60);
		assert_int_equal(
			look(h,
			     "SELECT (next_ms - 1795420800000) / 60000 FROM tasks WHERE name = 'daily'"),
			22 * 60);
		assert_int_equal(look(h, "SELECT count(*) FROM task_runs r JOIN tasks t ON"
					 " t.id = r.task_id WHERE t.name = 'once'"),
				 1);
	}
	pass(h, HOUR);
	assert_int_equal(look(h, "SELECT count(*) FROM task_runs WHERE slot_ms = 1795424400000"),
			 1);
	pass(h, -HOUR);
	pass(h, HOUR);
	assert_int_equal(look(h, "SELECT count(*) FROM task_runs WHERE slot_ms = 1795424400000"),
			 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, schedule_setup, house_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_chat_that_is_anothers_hears_nothing_of_it),
		TEST(neither_does_one_that_moves_during_the_run),
		TEST(who_may_not_any_more_has_no_runs),
		TEST(a_zone_that_has_gone_pauses_it),
		TEST(a_clock_that_was_ahead_loses_no_slot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
