// SPDX-License-Identifier: Apache-2.0
/* Unit tests of base/buf. */
#include "unit.h"
#include "base/buf.h"

static void zeroed_is_usable(void **state)
{
	_cleanup_(buf_free) struct buf b = {0};
	_cleanup_free_ char *s = NULL;

	(void)state;
	buf_reset(&b);
	buf_drop(&b, 0);
	buf_put(&b, "", 0);
	buf_free(&b);
	s = buf_steal(&b);
	assert_string_equal(s, "");
}

static void adds_and_ends_with_nul(void **state)
{
	_cleanup_(buf_free) struct buf b = {0};
	struct err e = ERR_INIT;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		assert_ok(buf_adds(&b, "ab", &e), &e);
		assert_ok(buf_addf(&b, &e, "%d,", i), &e);
		assert_int_equal(strlen(b.p), b.len);
		assert_true(b.cap > b.len);
	}
	assert_true(strncmp(b.p, "ab0,ab1,ab2,", 12) == 0);
	assert_string_equal(b.p + b.len - 6, "ab999,");
	assert_ok(buf_add(&b, "x\0y", 3, &e), &e);
	assert_memory_equal(b.p + b.len - 3, "x\0y", 4);
}

static void the_cap_holds_and_spares_the_content(void **state)
{
	_cleanup_(buf_free) struct buf b = {0};
	struct err e = ERR_INIT;

	(void)state;
	buf_init(&b, 10);
	assert_ok(buf_adds(&b, "0123456789", &e), &e);
	assert_int_equal(b.cap, 11);
	assert_err(buf_add(&b, "x", 1, &e), &e, E_LIMIT, "10 bytes");
	assert_err(buf_addf(&b, &e, "%d", 5), &e, E_LIMIT, "10 bytes");
	e = (struct err)ERR_INIT;
	assert_null(buf_reserve(&b, 1, &e));
	assert_int_equal(e.code, E_LIMIT);
	assert_string_equal(b.p, "0123456789");
	buf_drop(&b, 4);
	assert_string_equal(b.p, "456789");
	assert_err(buf_addf(&b, &e, "%s", "abcde"), &e, E_LIMIT, "");
	assert_string_equal(b.p, "456789");
	assert_ok(buf_addf(&b, &e, "%s", "abcd"), &e);
	assert_string_equal(b.p, "456789abcd");
	assert_err(buf_add(&b, "", SIZE_MAX, &e), &e, E_LIMIT, "");
	buf_free(&b);
	assert_int_equal(b.max, 10);
	assert_err(buf_adds(&b, "0123456789a", &e), &e, E_LIMIT, "");
}

static void a_cap_lowered_later_holds_too(void **state)
{
	_cleanup_(buf_free) struct buf b = {0};
	struct err e = ERR_INIT;

	(void)state;
	buf_puts(&b, "abc");
	b.max = 4;
	assert_err(buf_addf(&b, &e, "%s", "xy"), &e, E_LIMIT, "4 bytes");
	assert_string_equal(b.p, "abc");
	assert_ok(buf_addf(&b, &e, "%s", "x"), &e);
	assert_string_equal(b.p, "abcx");
}

static void reserve_then_commit(void **state)
{
	_cleanup_(buf_free) struct buf b = {0};
	struct err e = ERR_INIT;
	char *p = buf_reserve(&b, 5, &e);

	(void)state;
	assert_non_null(p);
	assert_string_equal(p, "");
	memcpy(p, "abcde", 5);
	buf_commit(&b, 3);
	assert_string_equal(b.p, "abc");
	p = buf_reserve(&b, 0, &e);
	assert_ptr_equal(p, b.p + 3);
}

static void reset_gives_large_memory_back(void **state)
{
	_cleanup_(buf_free) struct buf b = {0};
	struct err e = ERR_INIT;

	(void)state;
	buf_puts(&b, "small");
	buf_reset(&b);
	assert_non_null(b.p);
	assert_string_equal(b.p, "");
	assert_non_null(buf_reserve(&b, 100000, &e));
	buf_reset(&b);
	assert_null(b.p);
	assert_int_equal(b.cap, 0);
}

static void steal_leaves_an_empty_buffer(void **state)
{
	_cleanup_(buf_free) struct buf b = {.max = 50};
	_cleanup_free_ char *s = NULL;

	(void)state;
	buf_putf(&b, "%s", "mine");
	s = buf_steal(&b);
	assert_string_equal(s, "mine");
	assert_null(b.p);
	assert_int_equal(b.len, 0);
	assert_int_equal(b.max, 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(zeroed_is_usable),
		cmocka_unit_test(adds_and_ends_with_nul),
		cmocka_unit_test(the_cap_holds_and_spares_the_content),
		cmocka_unit_test(a_cap_lowered_later_holds_too),
		cmocka_unit_test(reserve_then_commit),
		cmocka_unit_test(reset_gives_large_memory_back),
		cmocka_unit_test(steal_leaves_an_empty_buffer),
	};

	return cmocka_run_group_tests_name("base_buf", tests, NULL, NULL);
}
