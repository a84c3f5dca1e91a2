// SPDX-License-Identifier: Apache-2.0
/* Retention: what is old goes, a bite at a time; what waits, is not sent or tells where a chat stands stays however old it is. */
#include "store_rig.h"
#include "store/retention.h"

#define DAY ((int64_t)86400000)

static int64_t put(struct rig *r, enum msg_state state)
{
	int64_t id = put_in(r);
	sqlite3 *db;
	char sql[120];

	commit(r);
	snprintf(sql, sizeof(sql), "UPDATE messages SET state = %d WHERE id = %lld", (int)state,
		 (long long)id);
	assert_int_equal(sqlite3_open(r->file, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	return id;
}

static void run(struct rig *r, const char *sql)
{
	sqlite3 *db;
	char *why = NULL;

	commit(r);
	assert_int_equal(sqlite3_open(r->file, &db), SQLITE_OK);
	sqlite3_exec(db, "PRAGMA foreign_keys = ON", NULL, NULL, NULL);
	if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s: %s", sql, why);
	sqlite3_close(db);
}

/* All bites of one kind; the number of rows that went. */
static int64_t eat(struct rig *r, enum retained what, int64_t before, int64_t limit, int *bites)
{
	struct retain_bite b = {.what = what, .before_ms = before, .limit = limit};
	struct err e = ERR_INIT;
	int n = 0;

	do {
		assert_ok(store_retain(r->st, &b, &e), &e);
		commit(r);
		n++;
	} while (b.more);
	if (bites)
		*bites = n;
	return b.removed;
}

static void count_row(void *ctx, const struct msg_row *m maybe_unused)
{
	++*(int *)ctx;
}

static int found(struct rig *r, const char *words)
{
	struct err e = ERR_INIT;
	int n = 0;

	assert_ok(store_search(r->st, r->g.id, words, 1000, count_row, &n, &e), &e);
	commit(r);
	return n;
}

static void messages_that_are_old_and_free(void **state)
{
	struct rig *r = *state;
	int64_t now = 400 * DAY;
	int bites;

	for (int i = 0; i < 100; i++)
		put(r, MSG_ANSWERED);
	put(r, MSG_PENDING);
	put(r, MSG_LEASED);
	put(r, MSG_FETCHING);
	put(r, MSG_FAILED);
	put(r, MSG_CONTEXT);
	put(r, MSG_GONE);
	assert_int_equal(found(r, "m7"), 1);
	r->clk.fixed_ms = now;
	for (int i = 0; i < 5; i++)
		put(r, MSG_ANSWERED);
	assert_int_equal(eat(r, RETAINED_MESSAGES, now - DAY, 10, &bites), 103);
	assert_true(bites >= 10);
	assert_int_equal(peek(r, "SELECT count(*) FROM messages WHERE state IN (1, 2, 5)"), 3);
	assert_int_equal(peek(r, "SELECT count(*) FROM messages"), 8);
	/* The search has let go of them, and of nothing else. */
	assert_int_equal(found(r, "m7"), 0);
	assert_int_equal(found(r, "m101"), 1);
	assert_int_equal(found(r, "m109"), 1);
	assert_int_equal(peek(r, "SELECT count(*) FROM messages_fts_docsize"), 8);
	run(r, "INSERT INTO messages_fts(messages_fts, rank) VALUES ('integrity-check', 1)");
	assert_int_equal(eat(r, RETAINED_MESSAGES, now - DAY, 10, NULL), 0);
}

static void the_newest_of_a_chat_stays(void **state)
{
	struct rig *r = *state;
	int64_t in;

	put(r, MSG_ANSWERED);
	in = put(r, MSG_ANSWERED);
	run(r,
	    "INSERT INTO messages(chat_id, group_id, dir, state, platform_id, text, sent_ms, stored_ms)"
	    " SELECT chat_id, group_id, 0, 6, 'event:edit:1', '', 5, 5 FROM messages LIMIT 1");
	put_out(r, "the answer");
	run(r, "DELETE FROM outbox");
	r->clk.fixed_ms = 4000 * DAY;
	assert_int_equal(eat(r, RETAINED_MESSAGES, 3000 * DAY, 100, NULL), 2);
	assert_int_equal(peek(r, "SELECT min(id) FROM messages"), in);
	assert_int_equal(peek(r, "SELECT dir FROM messages ORDER BY id DESC LIMIT 1"), MSG_OUT);
}

static void note_args(void *ctx, const char *args)
{
	buf_puts(ctx, args);
}

static void the_outbox_lets_go_first(void **state)
{
	struct rig *r = *state;
	struct buf gone = {0};
	struct err e = ERR_INIT;
	int64_t later = 1000 * DAY;
	struct retain_bite b = {.what = RETAINED_DEAD,
				.before_ms = later,
				.limit = 100,
				.gone = note_args,
				.ctx = &gone};

	for (int i = 0; i < 5; i++)
		put_out(r, "words");
	put(r, MSG_ANSWERED);
	put_out(r, "the last");
	commit(r);
	run(r,
	    "UPDATE outbox SET state = id - 1, args = CASE id WHEN 4 THEN '{\"a\":1}' END WHERE id < 6");
	/* 1 pending, 2 sending, 3 sent, 4 dead, 5 dropped, 6 pending */
	assert_int_equal(eat(r, RETAINED_MESSAGES, later, 100, NULL), 0);
	assert_int_equal(eat(r, RETAINED_SENT, later, 2, NULL), 2);
	assert_int_equal(peek(r, "SELECT sum(id) FROM outbox"), 1 + 2 + 4 + 6);
	assert_ok(store_retain(r->st, &b, &e), &e);
	commit(r);
	assert_int_equal(b.removed, 1);
	assert_string_equal(gone.p, "{\"a\":1}");
	assert_int_equal(peek(r, "SELECT sum(id) FROM outbox"), 1 + 2 + 6);
	assert_int_equal(eat(r, RETAINED_MESSAGES, later, 100, NULL), 3);
	buf_free(&gone);
}

static void runs_usage_and_the_record(void **state)
{
	struct rig *r = *state;
	int64_t msg = put(r, MSG_ANSWERED);

	put(r, MSG_ANSWERED);
	put(r, MSG_ANSWERED);
	run(r,
	    "INSERT INTO tasks(id, group_id, chat_id, name, prompt, spec, zone, anchor_ms, created_ms,"
	    " updated_ms) VALUES (1, 1, 1, 'a', 'p', 's', 'UTC', 0, 0, 0),"
	    " (2, 1, 1, 'b', 'p', 's', 'UTC', 0, 0, 0);"
	    "INSERT INTO task_runs(id, task_id, group_id, isolated, slot_ms, state, made_ms) VALUES (1, 1, 1, 0, 1, 3, 1),"
	    " (2, 1, 1, 0, 2, 4, 2), (3, 1, 1, 0, 3, 3, 3), (4, 2, 1, 0, 1, 2, 4), (5, 2, 1, 0, 2, 3, 5), (6, 2, 1, 0, 3, 3, 900);");
	run(r,
	    "INSERT INTO usage(at_ms, group_id, model, input, output, cache_read, cache_write, status)"
	    " VALUES (1, 1, 'm', 1, 1, 1, 1, 200), (900, 1, 'm', 1, 1, 1, 1, 200);"
	    "INSERT INTO usage_days VALUES (0, 1, 2, 2, 2, 2, 2, 2, 0), (1, 1, 2, 2, 2, 2, 2, 2, 0);"
	    "INSERT INTO acts(at_ms, who, group_id, via, act, allowed) VALUES (1, 'a', 1, 'cli', 'x', 1),"
	    " (900, 'a', 1, 'cli', 'y', 1)");
	/* An open run holds on to its message. */
	run(r, "UPDATE task_runs SET message_id = 1 WHERE id = 4");
	assert_int_equal(msg, 1);
	assert_int_equal(eat(r, RETAINED_MESSAGES, 2000 * DAY, 100, NULL), 1);
	assert_int_equal(eat(r, RETAINED_RUNS, 500, 2, NULL), 3);
	assert_int_equal(peek(r, "SELECT sum(id) FROM task_runs"), 3 + 4 + 6);
	assert_int_equal(eat(r, RETAINED_USAGE, 500, 100, NULL), 1);
	assert_int_equal(peek(r, "SELECT sum(day) * 10 + count(*) FROM usage_days"), 12);
	assert_int_equal(eat(r, RETAINED_USAGE, 86400000, 100, NULL), 1);
	assert_int_equal(peek(r, "SELECT sum(day) * 10 + count(*) FROM usage_days"), 11);
	assert_int_equal(eat(r, RETAINED_ACTS, 500, 100, NULL), 1);
	run(r, "UPDATE task_runs SET state = 3 WHERE id = 4");
	assert_int_equal(eat(r, RETAINED_MESSAGES, 2000 * DAY, 100, NULL), 1);
	assert_int_equal(peek(r, "SELECT count(*) FROM task_runs WHERE message_id IS NOT NULL"), 0);
}

/* However much there is, a bite looks at its own rows alone. */
static void young_rows_end_it(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	struct retain_bite b = {.what = RETAINED_MESSAGES, .before_ms = 500, .limit = 10};

	for (int i = 0; i < 200; i++)
		put_in(r);
	commit(r);
	assert_ok(store_retain(r->st, &b, &e), &e);
	assert_false(b.more);
	assert_int_equal(b.removed, 0);
}

static void turns_go_when_nothing_names_them(void **state)
{
	struct rig *r = *state;

	commit(r);
	run(r,
	    "INSERT INTO turns(id, group_id, started_ms, ended_ms) VALUES (1, 1, 1, 2), (2, 1, 1, 2),"
	    " (3, 1, 1, 2), (4, 1, 1, NULL), (5, 1, 1, 2), (6, 1, 1, 2), (7, 1, 1, 2);"
	    "INSERT INTO messages(id, chat_id, group_id, dir, state, text, sent_ms, stored_ms, turn_id)"
	    " VALUES (1, 1, 1, 0, 3, 'x', 1, 1, 2), (2, 1, 1, 1, 0, 'y', 1, 1, NULL);"
	    "INSERT INTO usage(at_ms, turn_id, group_id, model, input, output, cache_read, cache_write,"
	    " status) VALUES (1, 3, 1, 'm', 1, 2, 3, 4, 200);"
	    "INSERT INTO outbox(chat_id, message_id, turn_id, kind) VALUES (1, 2, 5, 0)");
	r->clk.fixed_ms = 500 * DAY;
	assert_int_equal(eat(r, RETAINED_TURNS, 400 * DAY, 2, NULL), 2);
	assert_int_equal(peek(r, "SELECT sum(id) FROM turns"), 2 + 3 + 4 + 5 + 7);
}

/* The outbox holds a month of answers: for each turn that goes it must not be read through, by us or for the foreign key. */
static void a_turn_goes_without_a_look_at_the_whole_outbox(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	struct retain_bite b = {.what = RETAINED_TURNS, .before_ms = 400 * DAY, .limit = 10};

	put(r, MSG_ANSWERED);
	commit(r);
	run(r, "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 4000)"
	       " INSERT INTO turns(id, group_id, started_ms, ended_ms) SELECT i, 1, 1, 2 FROM n;"
	       "INSERT INTO outbox(chat_id, message_id, turn_id, kind)"
	       " SELECT 1, 1, id, 0 FROM turns WHERE id > 10");
	r->clk.fixed_ms = 500 * DAY;
	steps(r);
	assert_ok(store_retain(r->st, &b, &e), &e);
	assert_int_equal(b.removed, 10);
	assert_in_range(steps(r), 10, 2000);
}

static void decided_approvals_go_and_a_refused_chat_stays_refused(void **state)
{
	struct rig *r = *state;

	commit(r);
	run(r,
	    "INSERT INTO senders(id, channel, platform_id) VALUES (1, 'telegram', '5');"
	    "INSERT INTO approvals(id, kind, chat_id, sender_id, payload, hash, state, asked_ms) VALUES"
	    " (1, 0, 1, 1, '', '', 1, 1), (2, 0, 1, 1, '', '', 2, 1), (3, 1, 1, 1, '', '', 2, 1),"
	    " (4, 1, 1, 1, '', '', 0, 1), (5, 1, 1, 1, '', '', 3, 1), (6, 1, 1, 1, '', '', 1, 1),"
	    " (7, 1, 1, 1, '', '', 4, 1);"
	    "INSERT INTO held(approval_id, platform_id, inbound, held_ms) VALUES (6, 'a', '{}', 1)");
	assert_int_equal(eat(r, RETAINED_APPROVALS, 400 * DAY, 3, NULL), 3);
	assert_int_equal(peek(r, "SELECT sum(id) FROM approvals"), 2 + 4 + 6 + 7);
}

/* A chat that was unlinked keeps not even its newest message, and then goes itself. */
static void chats_of_no_group_go(void **state)
{
	struct rig *r = *state;

	commit(r);
	run(r,
	    "INSERT INTO chats(id, channel, platform_id, created_ms, seen_ms) VALUES"
	    " (10, 'telegram', '10', 1, 0), (11, 'telegram', '11', 1, 0), (12, 'telegram', '12', 1, 0),"
	    " (13, 'telegram', '13', 1, 43200000000);"
	    "INSERT INTO group_chats(chat_id, group_id) VALUES (11, 1);"
	    "INSERT INTO drafts(chat_id, thread, platform_id) VALUES (12, '', 'd');"
	    "INSERT INTO messages(chat_id, group_id, dir, state, platform_id, text, sent_ms, stored_ms)"
	    " VALUES (10, 1, 0, 3, 'a', 'x', 1, 1), (10, 1, 1, 0, NULL, 'y', 1, 1),"
	    " (11, 1, 0, 3, 'a', 'x', 1, 1)");
	r->clk.fixed_ms = 500 * DAY;
	assert_int_equal(eat(r, RETAINED_CHATS, 400 * DAY, 2, NULL), 0);
	assert_int_equal(eat(r, RETAINED_MESSAGES, 400 * DAY, 2, NULL), 2);
	assert_int_equal(eat(r, RETAINED_CHATS, 400 * DAY, 2, NULL), 1);
	assert_int_equal(peek(r, "SELECT sum(id) FROM chats WHERE id >= 10"), 11 + 12 + 13);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(messages_that_are_old_and_free),
		TEST(the_newest_of_a_chat_stays),
		TEST(the_outbox_lets_go_first),
		TEST(runs_usage_and_the_record),
		TEST(turns_go_when_nothing_names_them),
		TEST(a_turn_goes_without_a_look_at_the_whole_outbox),
		TEST(decided_approvals_go_and_a_refused_chat_stays_refused),
		TEST(chats_of_no_group_go),
		TEST(young_rows_end_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
