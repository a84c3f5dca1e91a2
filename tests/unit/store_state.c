// SPDX-License-Identifier: Apache-2.0
/* Messages, leases and turns: each state reached only from the one before it, and what a turn's end or a crash gives back. */
#include "store_rig.h"

enum move {
	LEASE,
	ANSWER,
	FAIL,
	UNLEASE,
	MOVES
};

static int move(struct rig *r, enum move m, int64_t turn, int64_t id, struct err *e)
{
	static int (*const fns[])(struct store *, int64_t, int64_t, struct err *) = {
		store_lease, store_answered, store_failed, store_unlease};

	return fns[m](r->st, turn, id, e);
}

struct look {
	int64_t tries;
	enum msg_state state;
};

static void look_at(void *ctx, const struct msg_row *m)
{
	*(struct look *)ctx = (struct look){m->tries, m->state};
}

static struct look look(struct rig *r, int64_t id)
{
	struct err e = ERR_INIT;
	struct look l = {-1, 0};

	assert_ok(store_message_get(r->st, id, look_at, &l, &e), &e);
	return l;
}

static int64_t open_turn(struct rig *r)
{
	struct err e = ERR_INIT;
	int64_t turn = 0;

	assert_ok(store_turn_open(r->st, r->g.id, "", &turn, &e), &e);
	return turn;
}

/* Each state, and which moves it allows. */
static void only_the_right_moves(void **state)
{
	static const struct {
		enum move way[2];
		int n;
		enum msg_state is;
		bool allowed[MOVES];
	} table[] = {
		{{0}, 0, MSG_PENDING, {[LEASE] = true}},
		{{LEASE}, 1, MSG_LEASED, {false, true, true, true}},
		{{LEASE, ANSWER}, 2, MSG_ANSWERED, {false}},
		{{LEASE, FAIL}, 2, MSG_FAILED, {false}},
		{{LEASE, UNLEASE}, 2, MSG_PENDING, {[LEASE] = true}},
	};
	struct rig *r = *state;
	struct err e = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		for (enum move m = 0; m < MOVES; m++) {
			int64_t turn = open_turn(r), other = open_turn(r), id = put_in(r);

			for (int k = 0; k < table[i].n; k++)
				assert_ok(move(r, table[i].way[k], turn, id, &e), &e);
			assert_int_equal(look(r, id).state, table[i].is);
			if (m != LEASE) {
				assert_err(move(r, m, other, id, &e), &e, E_BUG, "in turn");
				e = (struct err)ERR_INIT;
			}
			if (table[i].allowed[m])
				assert_ok(move(r, m, turn, id, &e), &e);
			else
				assert_err(move(r, m, turn, id, &e), &e, E_BUG, "cannot be");
			e = (struct err)ERR_INIT;
		}
	}
	assert_null(store_broken(r->st)); /* a wrong move is no broken disk */
}

static void a_known_message_is_not_taken_twice(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	struct chat_row other;
	int64_t first = put_in(r), id = 0;
	bool dup = false;
	struct msg_new m = {
		.chat_id = r->chat.id,
		.group_id = r->g.id,
		.session = "",
		.thread = "",
		.platform_id = "m1",
		.text = "other text",
		.text_len = 10,
		.state = MSG_PENDING,
	};

	put_in(r);
	assert_ok(store_message_in(r->st, &m, &id, &dup, &e), &e);
	assert_true(dup);
	assert_int_equal(id, first);
	/* The same platform id in another chat is another message. */
	assert_ok(store_chat_ensure(r->st, "console", "other", "", &other, &e), &e);
	m.chat_id = other.id;
	assert_ok(store_message_in(r->st, &m, &id, &dup, &e), &e);
	assert_false(dup);
	assert_int_not_equal(id, first);
}

static void what_waits_comes_oldest_first(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	struct buf got = {0};
	int64_t turn = open_turn(r), first = put_in(r), second = put_in(r);

	put_in(r);
	assert_ok(store_pending(r->st, r->g.id, "", 0, 10, note_text, &got, &e), &e);
	assert_texts(&got, "m1 m2 m3 ");
	assert_ok(store_pending(r->st, r->g.id, "", first, 1, note_text, &got, &e), &e);
	assert_texts(&got, "m2 ");
	assert_ok(store_pending(r->st, r->g.id, "thread", 0, 10, note_text, &got, &e), &e);
	assert_texts(&got, "");
	assert_ok(store_pending(r->st, r->g.id + 1, "", 0, 10, note_text, &got, &e), &e);
	assert_texts(&got, "");
	assert_ok(store_lease(r->st, turn, second, &e), &e);
	assert_ok(store_pending(r->st, r->g.id, "", 0, 10, note_text, &got, &e), &e);
	assert_texts(&got, "m1 m3 ");
	assert_ok(store_unlease(r->st, turn, second, &e), &e);
	assert_ok(store_pending(r->st, r->g.id, "", 0, 10, note_text, &got, &e), &e);
	assert_texts(&got, "m1 m2 m3 ");
	buf_free(&got);
}

/* A turn's end: tries before, whether it counts, the limit, and what is left. */
static void a_turns_end_gives_back_or_gives_up(void **state)
{
	static const struct {
		int before;
		bool count;
		int64_t max;
		enum msg_state state;
		int64_t tries;
	} table[] = {
		{0, false, 3, MSG_PENDING, 0},	       {0, true, 3, MSG_PENDING, 1},
		{1, true, 3, MSG_PENDING, 2},	       {2, true, 3, MSG_FAILED, 3},
		{2, false, 3, MSG_PENDING, 2},	       {0, true, 0, MSG_FAILED, 1},
		{5, false, INT64_MAX, MSG_PENDING, 5},
	};
	struct rig *r = *state;
	struct err e = ERR_INIT;
	struct buf got = {0};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		int64_t done = put_in(r), id = put_in(r), turn;
		char want[16];

		for (int k = 0; k < table[i].before; k++) {
			turn = open_turn(r);
			assert_ok(store_lease(r->st, turn, id, &e), &e);
			assert_ok(store_turn_close(r->st, turn, "x", true, 99, note_text, &got, &e),
				  &e);
		}
		turn = open_turn(r);
		assert_ok(store_lease(r->st, turn, done, &e), &e);
		assert_ok(store_lease(r->st, turn, id, &e), &e);
		assert_ok(store_answered(r->st, turn, done, &e), &e);
		assert_ok(store_turn_close(r->st, turn, "why", table[i].count, table[i].max,
					   note_text, &got, &e),
			  &e);
		snprintf(want, sizeof(want), "m%d ", r->number);
		assert_texts(&got, table[i].state == MSG_FAILED ? want : "");
		assert_int_equal(look(r, id).state, table[i].state);
		assert_int_equal(look(r, id).tries, table[i].tries);
		assert_int_equal(look(r, done).state, MSG_ANSWERED); /* never taken back */
	}
	buf_free(&got);
}

static void a_session_can_be_failed_as_a_whole(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	struct buf got = {0};
	int64_t counts[5], turn = open_turn(r), leased = put_in(r);

	assert_ok(store_lease(r->st, turn, leased, &e), &e);
	put_in(r);
	put_in(r);
	assert_ok(store_fail_pending(r->st, r->g.id, "", note_text, &got, &e), &e);
	assert_texts(&got, "m2 m3 ");
	assert_ok(store_message_counts(r->st, r->g.id, counts, &e), &e);
	assert_int_equal(counts[MSG_LEASED], 1);
	assert_int_equal(counts[MSG_FAILED], 2);
	assert_int_equal(counts[MSG_PENDING], 0);
	buf_free(&got);
}

/* Of a long history only the newest is looked at, while all that is open counts. */
static void counts_look_only_so_far_back(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	struct buf got = {0};
	int64_t counts[5], n = STORE_COUNTED / 2;

	put_in(r);
	put_in(r);
	assert_ok(store_fail_pending(r->st, r->g.id, "", note_text, &got, &e), &e);
	put_in(r);
	for (int64_t i = 0; i < n; i++)
		put_in(r);
	assert_ok(store_message_counts(r->st, r->g.id, counts, &e), &e);
	assert_int_equal(counts[MSG_FAILED], 2);
	for (int64_t i = 0; i < n; i++)
		put_in(r);
	assert_ok(store_message_counts(r->st, 0, counts, &e), &e);
	assert_int_equal(counts[MSG_FAILED], 0);
	assert_int_equal(counts[MSG_PENDING], 2 * n + 1);
	buf_free(&got);
}

static void a_crash_closes_its_turns_and_counts_a_try(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	struct buf got = {0};
	int64_t id = put_in(r);

	for (int round = 1; round <= 3; round++) {
		int64_t turn = open_turn(r);

		assert_ok(store_lease(r->st, turn, id, &e), &e);
		commit(r);
		rig_reopen(r); /* the turn was never closed */
		assert_ok(store_recover(r->st, 3, note_text, &got, &e), &e);
		assert_int_equal(look(r, id).state, round < 3 ? MSG_PENDING : MSG_FAILED);
		assert_int_equal(look(r, id).tries, round);
		assert_texts(&got, round < 3 ? "" : "m1 ");
	}
	commit(r);
	assert_int_equal(peek(r, "SELECT count(*) FROM turns WHERE ended_ms IS NULL"), 0);
	assert_int_equal(peek(r, "SELECT count(*) FROM turns WHERE error LIKE '%server%'"), 3);
	buf_free(&got);
}

static void note_session(void *ctx, int64_t group_id, const char *session, int64_t oldest)
{
	buf_putf(ctx, "%lld/%s/%lld ", (long long)group_id, session, (long long)oldest);
}

static void sessions_wait_by_their_oldest_message(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	struct group_row g2;
	struct buf got = {0};
	int64_t first;

	assert_ok(store_group_ensure(r->st, "second", false, &g2, &e), &e);
	first = r->g.id;
	r->g.id = g2.id;
	put_in(r);
	r->g.id = first;
	put_in(r);
	r->g.id = g2.id;
	put_in(r);
	assert_ok(store_pending_sessions(r->st, note_session, &got, &e), &e);
	assert_texts(&got, "2//1 1//2 ");
	buf_free(&got);
}

static void history_from_the_tail_and_from_a_place(void **state)
{
	static const struct {
		int64_t after, limit;
		const char *want;
	} table[] = {
		{0, 10, "m1 m2 answer m3 "},
		{1, 10, "m2 answer m3 "},
		{-2, 10, "answer m3 "},
		{-9, 10, "m1 m2 answer m3 "},
		{4, 10, ""},
		{0, 2, "m1 m2 "},
	};
	struct rig *r = *state;
	struct err e = ERR_INIT;
	struct buf got = {0};

	put_in(r);
	put_in(r);
	put_out(r, "answer");
	put_in(r);
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		assert_ok(store_history(r->st, r->chat.id, table[i].after, table[i].limit,
					note_text, &got, &e),
			  &e);
		assert_texts(&got, table[i].want);
	}
	assert_err(store_message_get(r->st, 99, note_text, &got, &e), &e, E_GONE, "99");
	buf_free(&got);
}

static void search_never_sees_another_group(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	struct group_row g2;
	struct buf got = {0};
	int64_t mine = r->g.id;

	assert_ok(store_group_ensure(r->st, "second", false, &g2, &e), &e);
	put_out(r, "my heron");
	r->g.id = g2.id;
	put_out(r, "their heron");
	assert_ok(store_search(r->st, mine, "heron", 10, note_text, &got, &e), &e);
	assert_texts(&got, "my heron ");
	assert_ok(store_search(r->st, g2.id, "heron", 10, note_text, &got, &e), &e);
	assert_texts(&got, "their heron ");
	assert_ok(store_search(r->st, mine, "heron\" OR \"their", 10, note_text, &got, &e), &e);
	assert_texts(&got, "");
	buf_free(&got);
}

static void agent_sessions_and_usage(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	char id[37];
	struct usage_sum sum;
	int64_t turn = open_turn(r);
	struct usage_new u = {.turn_id = turn,
			      .group_id = r->g.id,
			      .model = "m",
			      .input = 3,
			      .output = 5,
			      .cache_read = 7,
			      .cache_write = 11,
			      .status = 200};

	assert_ok(store_session_get(r->st, r->g.id, "", id, &e), &e);
	assert_string_equal(id, "");
	for (int i = 0; i < 2; i++) {
		assert_ok(store_session_set(r->st, r->g.id, "", i ? "bb" : "aa", &e), &e);
		assert_ok(store_session_get(r->st, r->g.id, "", id, &e), &e);
		assert_string_equal(id, i ? "bb" : "aa");
	}
	assert_ok(store_session_get(r->st, r->g.id, "thread", id, &e), &e);
	assert_string_equal(id, "");
	assert_ok(store_session_set(r->st, r->g.id, "", "", &e), &e);
	assert_ok(store_session_get(r->st, r->g.id, "", id, &e), &e);
	assert_string_equal(id, "");

	assert_ok(store_usage_add(r->st, &u, &e), &e);
	r->clk.fixed_ms += 1000;
	assert_ok(store_usage_add(r->st, &u, &e), &e);
	u.turn_id = 0;
	assert_ok(store_usage_add(r->st, &u, &e), &e);
	assert_ok(store_usage_sum(r->st, r->g.id, 0, &sum, &e), &e);
	assert_int_equal(sum.calls, 3);
	assert_int_equal(sum.turns, 1);
	assert_int_equal(sum.input + sum.output * 100 + sum.cache_read * 10000, 9 + 1500 + 210000);
	assert_int_equal(sum.cache_write, 33);
	assert_ok(store_usage_sum(r->st, 0, r->clk.fixed_ms, &sum, &e), &e);
	assert_int_equal(sum.calls, 2);
	assert_ok(store_usage_sum(r->st, 77, 0, &sum, &e), &e);
	assert_int_equal(sum.calls, 0);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(only_the_right_moves),
		TEST(a_known_message_is_not_taken_twice),
		TEST(what_waits_comes_oldest_first),
		TEST(a_turns_end_gives_back_or_gives_up),
		TEST(a_session_can_be_failed_as_a_whole),
		TEST(counts_look_only_so_far_back),
		TEST(a_crash_closes_its_turns_and_counts_a_try),
		TEST(sessions_wait_by_their_oldest_message),
		TEST(history_from_the_tail_and_from_a_place),
		TEST(search_never_sees_another_group),
		TEST(agent_sessions_and_usage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
