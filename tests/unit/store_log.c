// SPDX-License-Identifier: Apache-2.0
/* The write-ahead log is copied into the database when the owner has time, and never grows without end. */
#include "store_rig.h"
#include <sys/stat.h>

#define PAGE 4096

static off_t log_size(const struct rig *r)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "%s-wal", r->file);
	assert_int_equal(stat(path, &st), 0);
	return st.st_size;
}

static void write_some(struct rig *r, int n)
{
	for (int i = 0; i < n; i++) {
		put_in(r);
		commit(r);
	}
}

static void write_until_due(struct rig *r)
{
	for (int i = 0; !store_checkpoint_due(r->st); i++) {
		assert_true(i < 5000);
		write_some(r, 1);
	}
}

static void a_checkpoint_lets_the_log_begin_anew(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	off_t size;

	write_until_due(r);
	size = log_size(r);
	assert_in_range(size, 900 * PAGE, 1200 * PAGE);
	for (int round = 0; round < 3; round++) {
		assert_ok(store_checkpoint(r->st, &e), &e);
		assert_false(store_checkpoint_due(r->st));
		write_until_due(r);
		assert_in_range(log_size(r), 0, size + 100 * PAGE);
	}
}

static void not_inside_a_transaction(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;

	write_until_due(r);
	put_in(r);
	assert_false(store_checkpoint_due(r->st));
	assert_ok(store_checkpoint(r->st, &e), &e);
	commit(r);
	assert_true(store_checkpoint_due(r->st));
}

static void an_owner_without_time_costs_no_disk(void **state)
{
	struct rig *r = *state;

	write_some(r, 3000);
	assert_in_range(log_size(r), 1000 * PAGE, 9000 * PAGE);
}

/* Who reads the file meanwhile holds the copy up, not the server. */
static void a_reader_is_no_error(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	sqlite3 *db;

	assert_int_equal(sqlite3_open(r->file, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN; SELECT count(*) FROM messages", NULL, NULL, NULL),
			 SQLITE_OK);
	write_until_due(r);
	assert_ok(store_checkpoint(r->st, &e), &e);
	write_some(r, 1);
	assert_true(store_checkpoint_due(r->st));
	assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	assert_ok(store_checkpoint(r->st, &e), &e);
	write_some(r, 1);
	assert_false(store_checkpoint_due(r->st));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_checkpoint_lets_the_log_begin_anew, setup,
						teardown),
		cmocka_unit_test_setup_teardown(not_inside_a_transaction, setup, teardown),
		cmocka_unit_test_setup_teardown(an_owner_without_time_costs_no_disk, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_reader_is_no_error, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
