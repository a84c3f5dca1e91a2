// SPDX-License-Identifier: Apache-2.0
/* Unit tests of base/err and base/mem. */
#include "unit.h"
#include <errno.h>
#include "base/mem.h"
#include "base/str.h"

static void set_and_wrap(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(err_set(&e, E_PERM, "no %s for %d", "key", 7), -1);
	assert_int_equal(e.code, E_PERM);
	assert_string_equal(e.msg, "no key for 7");
	assert_int_equal(err_wrap(&e, "reading %s", "it"), -1);
	assert_int_equal(e.code, E_PERM);
	assert_string_equal(e.msg, "while reading it: no key for 7");
}

static void set_from_its_own_text(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	err_set(&e, E_IO, "inner");
	err_set(&e, E_PROTO, "outer (%s)", e.msg);
	assert_string_equal(e.msg, "outer (inner)");
	err_wrap(&e, "x=%s", e.msg);
	assert_string_equal(e.msg, "while x=outer (inner): outer (inner)");
}

static void sys(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(err_sys(&e, EACCES, "open %s", "f"), -1);
	assert_int_equal(e.code, E_IO);
	assert_string_equal(e.msg, "open f: Permission denied");
	err_sys(&e, ENOENT, "open %s", "f");
	assert_int_equal(e.code, E_GONE);
	err_sys(&e, 12345, "odd");
	assert_non_null(strstr(e.msg, "12345"));
}

static void long_texts_are_cut_at_a_character(void **state)
{
	struct err e = ERR_INIT;
	char s[400];

	(void)state;
	for (size_t lead = 0; lead < 4; lead++) {
		memset(s, 'a', lead);
		for (size_t i = lead; i + 3 < sizeof(s); i += 3)
			memcpy(s + i, "\xe2\x82\xac", 4);
		err_set(&e, E_IO, "%s", s);
		assert_true(str_is_utf8(e.msg, strlen(e.msg)));
		assert_in_range(strlen(e.msg), sizeof(e.msg) - 4, sizeof(e.msg) - 1);
		for (int i = 0; i < 100; i++)
			err_wrap(&e, "doing %d", i);
		assert_true(str_is_utf8(e.msg, strlen(e.msg)));
		assert_true(str_starts(e.msg, "while doing 99: while doing 98"));
		err_sys(&e, EIO, "%s", s);
		assert_true(str_is_utf8(e.msg, strlen(e.msg)));
	}
}

static void every_code_has_a_word(void **state)
{
	(void)state;
	for (int a = E_NONE; a <= E_BUG; a++) {
		assert_non_null(err_word((enum err_code)a));
		for (int b = E_NONE; b < a; b++)
			assert_string_not_equal(err_word((enum err_code)a),
						err_word((enum err_code)b));
	}
	assert_string_equal(err_word((enum err_code)99), "unknown");
}

static void memory(void **state)
{
	_cleanup_free_ char *s = xasprintf("%s-%d", "a", 5);
	_cleanup_free_ char *cut = xstrndup("abcdef", 3);
	_cleanup_free_ char *whole = xstrndup("abc", 100);
	_cleanup_free_ char *none = xmalloc(0);
	char *taken;
	int fd = 7;

	(void)state;
	assert_string_equal(s, "a-5");
	assert_string_equal(cut, "abc");
	assert_string_equal(whole, "abc");
	assert_non_null(none);
	taken = steal_ptr(&s);
	assert_null(s);
	assert_string_equal(taken, "a-5");
	free(taken);
	assert_int_equal(steal_fd(&fd), 7);
	assert_int_equal(fd, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_and_wrap),
		cmocka_unit_test(set_from_its_own_text),
		cmocka_unit_test(sys),
		cmocka_unit_test(long_texts_are_cut_at_a_character),
		cmocka_unit_test(every_code_has_a_word),
		cmocka_unit_test(memory),
	};

	return cmocka_run_group_tests_name("base_err", tests, NULL, NULL);
}
