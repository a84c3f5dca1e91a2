// SPDX-License-Identifier: Apache-2.0
/* A statement's run as one call: each type goes in and comes out as what it is, and a call that does not fit its statement is refused. */
#include "store_rig.h"
#include "store/impl.h"

static void each_type_goes_in_and_comes_out(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	int64_t big;
	enum msg_state some;
	enum {
		LOW = -1,
		HIGH = 1
	} sign;
	bool yes, no;
	char name[32];
	char *own;

	assert_int_equal(
		sql_one(r->st, "SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7",
			ARGS(INT64_MIN, MSG_FAILED, LOW, true, 0, "né", arg_text("abcd", 3)),
			COLS(&big, &some, &sign, &yes, &no, &name, &own), &e),
		1);
	assert_true(big == INT64_MIN && some == MSG_FAILED && sign == LOW && yes && !no);
	assert_string_equal(name, "né");
	assert_string_equal(own, "abc");
	free(own);
}

static void null_and_no_row_are_nothing(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	int64_t n = 5;
	bool yes = true;
	char name[32] = "x";
	char *own = name;

	assert_ok(sql_get(r->st, "SELECT ?1, ?1, ?1, ?1", ARGS((const char *)NULL),
			  COLS(&n, &yes, &name, &own), &e),
		  &e);
	assert_true(n == 0 && !yes && !name[0] && !own);
	n = 5;
	assert_int_equal(sql_one(r->st, "SELECT 1 WHERE ?1", ARGS(false), COLS(&n), &e), 0);
	assert_int_equal(n, 5);
	assert_ok(sql_get(r->st, "SELECT 1 WHERE ?1", ARGS(false), COLS(&n), &e), &e);
	assert_int_equal(n, 0);
}

static void half_an_id_is_none(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	char id[37], cut[6];

	assert_ok(sql_get(r->st, "SELECT ?1", ARGS("1234567890123456789012345678901234567"),
			  COLS(&id), &e),
		  &e);
	assert_string_equal(id, "");
	assert_ok(sql_text(r->st, "SELECT ?1", ARGS("abcdéf"), cut, sizeof(cut), &e), &e);
	assert_string_equal(cut, "abcd"); /* what is for people is cut, at a whole character */
}

static void what_changed_is_counted(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	static const char add[] = "INSERT INTO carry(group_id, session, text) VALUES (?1, ?2, '')"
				  " ON CONFLICT DO NOTHING";
	int64_t id;
	bool did;

	assert_ok(sql_did(r->st, add, ARGS(r->g.id, "a"), &did, &e), &e);
	assert_true(did);
	assert_ok(sql_did(r->st, add, ARGS(r->g.id, "a"), &did, &e), &e);
	assert_false(did);
	assert_ok(sql_run(r->st, add, ARGS(r->g.id, "b"), &e), &e);
	assert_int_equal(sql_changed(r->st, "UPDATE carry SET text = 'x'", NULL, &e), 2);
	assert_ok(sql_insert(r->st,
			     "INSERT OR IGNORE INTO people(id, name, created_ms)"
			     " VALUES (?1, 'Ann', 0)",
			     ARGS(7), &id, &e),
		  &e);
	assert_int_equal(id, 7);
	assert_ok(sql_insert(r->st,
			     "INSERT OR IGNORE INTO people(id, name, created_ms)"
			     " VALUES (?1, 'Ann', 0)",
			     ARGS(7), &id, &e),
		  &e);
	assert_int_equal(id, 0);
	assert_err(sql_found(0, "person", 9, &e), &e, E_GONE, "there is no person 9");
}

static void what_does_not_fit_is_refused(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	const char *text;
	int64_t n;

	assert_err(sql_get(r->st, "SELECT ?1 + ?2", ARGS(1), COLS(&n), &e), &e, E_BUG,
		   "wrong arguments");
	assert_err(sql_get(r->st, "SELECT ?1 + ?2", ARGS(1, 2, 3), COLS(&n), &e), &e, E_BUG,
		   "wrong arguments");
	assert_err(sql_run(r->st, "DELETE FROM carry WHERE session = ?1", NULL, &e), &e, E_BUG,
		   "wrong arguments");
	assert_err(sql_one(r->st, "SELECT 'gone'", NULL, COLS(&text), &e), &e, E_BUG,
		   "gone before it is read");
	assert_null(store_broken(r->st));
	assert_ok(sql_get(r->st, "SELECT ?1 + ?2", ARGS(1, 2), COLS(&n), &e), &e);
	assert_int_equal(n, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_type_goes_in_and_comes_out, setup, teardown),
		cmocka_unit_test_setup_teardown(null_and_no_row_are_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(half_an_id_is_none, setup, teardown),
		cmocka_unit_test_setup_teardown(what_changed_is_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(what_does_not_fit_is_refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
