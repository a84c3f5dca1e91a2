// SPDX-License-Identifier: Apache-2.0
/* The index is written in batches: a search must never notice, nor a restart, nor a deletion. */
#include "unit.h"
#include <sqlite3.h>
#include "base/buf.h"
#include "store/store.h"

struct fix {
	char dir[32], file[48];
	struct store *st;
	struct group_row g;
	struct chat_row chat;
	int64_t number;
};

static void reopen(struct fix *f)
{
	struct err e = ERR_INIT;

	store_close(f->st);
	f->st = store_open(f->file, &clock_system, &e);
	if (!f->st)
		fail_msg("%s", e.msg);
}

static int setup(void **state)
{
	struct fix *f = xcalloc(1, sizeof(*f));
	struct err e = ERR_INIT;

	*state = f;
	snprintf(f->dir, sizeof(f->dir), "/tmp/store-search-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->file, sizeof(f->file), "%s/db", f->dir);
	reopen(f);
	assert_ok(store_group_ensure(f->st, "main", true, &f->g, &e), &e);
	assert_ok(store_chat_ensure(f->st, "console", "main", "main", &f->chat, &e), &e);
	assert_ok(store_commit(f->st, &e), &e);
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;
	static const char *const names[] = {"", "-wal", "-shm"};

	store_close(f->st);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char path[64];

		snprintf(path, sizeof(path), "%s%s", f->file, names[i]);
		unlink(path);
	}
	rmdir(f->dir);
	free(f);
	return 0;
}

static void put_in(struct fix *f, const char *text)
{
	struct err e = ERR_INIT;
	char id[24];
	struct msg_new m = {
		.chat_id = f->chat.id,
		.group_id = f->g.id,
		.session = "",
		.thread = "",
		.platform_id = id,
		.text = text,
		.text_len = strlen(text),
		.state = MSG_CONTEXT,
	};
	int64_t row;
	bool dup;

	snprintf(id, sizeof(id), "%lld", (long long)++f->number);
	assert_ok(store_message_in(f->st, &m, &row, &dup, &e), &e);
}

static void count(void *ctx, const struct msg_row *m)
{
	assert_non_null(m->text);
	++*(int *)ctx;
}

static int found(struct fix *f, const char *query)
{
	struct err e = ERR_INIT;
	int n = 0;

	assert_ok(store_search(f->st, f->g.id, query, 10000, count, &n, &e), &e);
	assert_ok(store_commit(f->st, &e), &e);
	return n;
}

static void exec(struct fix *f, const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(f->file, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	sqlite3_close(db);
}

/* FTS5 compares its index with the messages, and says when they differ. */
static void check_index(struct fix *f)
{
	exec(f, "INSERT INTO messages_fts(messages_fts, rank) VALUES ('integrity-check', 1)");
}

static void finds_what_came_a_moment_ago(void **state)
{
	struct fix *f = *state;
	struct err e = ERR_INIT;
	struct out_new o = {.chat_id = f->chat.id,
			    .group_id = f->g.id,
			    .thread = "",
			    .text = "the answer names a heron"};
	int64_t id, message;

	put_in(f, "a heron at the weir");
	assert_ok(store_out_add(f->st, &o, &id, &message, &e), &e);
	assert_int_equal(found(f, "heron"), 2);
	put_in(f, "another heron");
	assert_int_equal(found(f, "heron"), 3);
	assert_int_equal(found(f, "kingfisher"), 0);
	check_index(f);
}

static void many_and_large_ones_are_all_indexed_once(void **state)
{
	struct fix *f = *state;
	struct err e = ERR_INIT;
	struct buf large = {0};

	for (int i = 0; i < 1500; i++) {
		put_in(f, "one of many");
		if (i % 7 == 0)
			assert_ok(store_commit(f->st, &e), &e);
	}
	while (large.len < (3u << 20))
		buf_puts(&large, "large ");
	put_in(f, large.p);
	buf_free(&large);
	assert_int_equal(found(f, "many"), 1500);
	assert_int_equal(found(f, "large"), 1);
	check_index(f);
}

static void the_end_of_a_turn_indexes_a_batch(void **state)
{
	struct fix *f = *state;
	struct err e = ERR_INIT;
	int64_t turn;

	for (int i = 0; i < 100; i++)
		put_in(f, "waits");
	assert_ok(store_turn_open(f->st, f->g.id, "", &turn, &e), &e);
	assert_ok(store_turn_close(f->st, turn, "", false, 3, NULL, NULL, &e), &e);
	assert_ok(store_commit(f->st, &e), &e);
	check_index(f); /* fails when a row is not in the index */
}

static void what_a_stop_left_is_indexed_by_the_next_server(void **state)
{
	struct fix *f = *state;
	struct err e = ERR_INIT;

	put_in(f, "before the stop");
	assert_ok(store_commit(f->st, &e), &e);
	reopen(f);
	assert_int_equal(found(f, "stop"), 1);
	reopen(f);
	put_in(f, "after the stop");
	assert_int_equal(found(f, "stop"), 2);
	check_index(f);
}

static void deletions_and_edits_keep_it_whole(void **state)
{
	struct fix *f = *state;
	struct err e = ERR_INIT;

	put_in(f, "first word");
	put_in(f, "second word");
	assert_int_equal(found(f, "word"), 2);
	put_in(f, "third word");
	assert_ok(store_commit(f->st, &e), &e);
	/* The third is not in the index yet: neither change may take it out of there. */
	exec(f, "UPDATE messages SET text = 'third term' WHERE text = 'third word';"
		"UPDATE messages SET text = 'first term' WHERE text = 'first word';"
		"DELETE FROM messages WHERE text = 'second word'");
	assert_int_equal(found(f, "word"), 0);
	assert_int_equal(found(f, "term"), 2);
	check_index(f);
	exec(f, "DELETE FROM messages");
	put_in(f, "anew");
	assert_int_equal(found(f, "anew"), 1);
	check_index(f);
}

static void operators_are_words(void **state)
{
	struct fix *f = *state;
	struct err e = ERR_INIT;
	int n = 0;

	put_in(f, "salt and pepper");
	assert_int_equal(found(f, "salt AND pepper"), 1);
	assert_int_equal(found(f, "\"and pepper\""), 1);
	assert_int_equal(found(f, "\"pepper and\""), 0);
	assert_int_equal(found(f, "text: NEAR( * ^salt"), 0);
	assert_err(store_search(f->st, f->g.id, " \"\" \t", 1, count, &n, &e), &e, E_INVAL,
		   "no words");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(finds_what_came_a_moment_ago, setup, teardown),
		cmocka_unit_test_setup_teardown(many_and_large_ones_are_all_indexed_once, setup,
						teardown),
		cmocka_unit_test_setup_teardown(the_end_of_a_turn_indexes_a_batch, setup, teardown),
		cmocka_unit_test_setup_teardown(what_a_stop_left_is_indexed_by_the_next_server,
						setup, teardown),
		cmocka_unit_test_setup_teardown(deletions_and_edits_keep_it_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(operators_are_words, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
