// SPDX-License-Identifier: Apache-2.0
/* Unit tests of base/str. */
#include "unit.h"
#include "base/str.h"

static void copy(void **state)
{
	char d[4];

	(void)state;
	assert_true(str_copy(d, sizeof(d), "abc"));
	assert_string_equal(d, "abc");
	assert_false(str_copy(d, sizeof(d), "abcd"));
	assert_string_equal(d, "abc");
	assert_false(str_copy(d, 0, "x"));
	assert_true(str_copy(d, 1, ""));
	assert_string_equal(d, "");
}

static void numbers(void **state)
{
	static const struct {
		const char *text;
		int64_t min, max, want;
		bool ok;
	} rows[] = {
		{"0", INT64_MIN, INT64_MAX, 0, true},
		{"-0", INT64_MIN, INT64_MAX, 0, true},
		{"42", 0, 42, 42, true},
		{"-17", -17, 0, -17, true},
		{"007", 0, 10, 7, true},
		{"9223372036854775807", INT64_MIN, INT64_MAX, INT64_MAX, true},
		{"-9223372036854775808", INT64_MIN, INT64_MAX, INT64_MIN, true},
		{"9223372036854775808", INT64_MIN, INT64_MAX, 0, false},
		{"-9223372036854775809", INT64_MIN, INT64_MAX, 0, false},
		{"99999999999999999999999", INT64_MIN, INT64_MAX, 0, false},
		{"43", 0, 42, 0, false},
		{"-1", 0, 42, 0, false},
		{"", 0, 42, 0, false},
		{"-", -5, 42, 0, false},
		{"+1", 0, 42, 0, false},
		{" 1", 0, 42, 0, false},
		{"1 ", 0, 42, 0, false},
		{"1.0", 0, 42, 0, false},
		{"0x1", 0, 42, 0, false},
		{"1e1", 0, 42, 0, false},
		{"--1", -5, 42, 0, false},
		{"\xd9\xa1", 0, 42, 0, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err e = ERR_INIT;
		int64_t v = 4711;
		int rc = str_to_i64(rows[i].text, rows[i].min, rows[i].max, &v, &e);

		if (rc != (rows[i].ok ? 0 : -1) || v != (rows[i].ok ? rows[i].want : 4711))
			fail_msg("\"%s\": rc %d, value %lld", rows[i].text, rc, (long long)v);
		assert_int_equal(e.code, rows[i].ok ? E_NONE : E_INVAL);
	}
}

static void one_line(void **state)
{
	char out[9];

	(void)state;
	assert_string_equal(str_one_line(out, sizeof(out), "a\nb\x1b[\x7f"), "a b [ ");
	assert_string_equal(str_one_line(out, sizeof(out),
					 "a\xc2\x85\xe2\x80\xa8"
					 "b"),
			    "a     b");
	assert_string_equal(str_one_line(out, sizeof(out), "1234567\xc3\xa9"), "1234567");
	assert_string_equal(str_one_line(out, sizeof(out), "\xc3\xa9\xe2\x80\xa6"),
			    "\xc3\xa9\xe2\x80\xa6");
	/* right-to-left override, isolate, mark */
	assert_string_equal(str_one_line(out, sizeof(out),
					 "a\xe2\x80\xae"
					 "b"),
			    "a   b");
	assert_string_equal(str_one_line(out, sizeof(out), "\xe2\x81\xa6z"), "   z");
	assert_string_equal(str_one_line(out, sizeof(out), "\xe2\x80\x8fz"), "   z");
	assert_string_equal(str_one_line(out, sizeof(out), ""), "");
}

static void utf8(void **state)
{
	static const struct {
		const char *text;
		bool ok;
	} rows[] = {
		{"", true},
		{"plain text that is longer than eight bytes", true},
		{"\xc2\x80", true},
		{"\xdf\xbf", true},
		{"\xe0\xa0\x80", true},
		{"\xed\x9f\xbf", true},
		{"\xee\x80\x80", true},
		{"\xef\xbf\xbf", true},
		{"\xf0\x90\x80\x80", true},
		{"\xf4\x8f\xbf\xbf", true},
		{"12345678\xe2\x82\xac"
		 "12345678\xf0\x9f\x98\x80",
		 true},
		{"\x80", false},
		{"\xc0\x80", false},
		{"\xc1\xbf", false},
		{"\xe0\x9f\xbf", false},
		{"\xed\xa0\x80", false},
		{"\xed\xbf\xbf", false},
		{"\xf0\x8f\xbf\xbf", false},
		{"\xf4\x90\x80\x80", false},
		{"\xf5\x80\x80\x80", false},
		{"\xff", false},
		{"12345678\xe2\x82", false},
		{"\xe2\x82"
		 "a",
		 false},
		{"\xf0\x9f\x98", false},
		{"\xf0\x9f\x98"
		 "a",
		 false},
		{"1234567\x80", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (str_is_utf8(rows[i].text, strlen(rows[i].text)) != rows[i].ok)
			fail_msg("row %zu", i);
	}
	assert_true(str_is_utf8("a\0b", 3));
}

static void utf8_floor(void **state)
{
	static const char text[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z"; /* 1+2+3+4+1 */
	static const size_t want[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11};

	(void)state;
	for (size_t n = 0; n < ARRAY_LEN(want); n++)
		assert_int_equal(str_utf8_floor(text, n), want[n]);
	/* what is no UTF-8 anyway must not be eaten up */
	assert_int_equal(str_utf8_floor("\x80\x80\x80\x80\x80", 5), 5);
	assert_int_equal(str_utf8_floor("abc\xff", 4), 3);
}

static void names(void **state)
{
	static const char *const good[] = {"a", "0", "main", "my-group_2", "9lives"};
	static const char *const bad[] = {"",	  "-a",	 "_a", "A",   "a b",	  "a.b",
					  "../x", "a/b", ".",  "a\n", "\xc3\xa4", "a\x01"};
	char s[70];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(str_is_name(good[i]));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (str_is_name(bad[i]))
			fail_msg("\"%s\" was accepted", bad[i]);
	}
	memset(s, 'a', sizeof(s));
	s[64] = '\0';
	assert_true(str_is_name(s));
	s[64] = 'a';
	s[65] = '\0';
	assert_false(str_is_name(s));
}

static void uuids(void **state)
{
	char a[37], b[37];

	(void)state;
	assert_true(str_is_uuid("01234567-89ab-cdef-0123-456789abcdef"));
	assert_false(str_is_uuid("01234567-89AB-cdef-0123-456789abcdef"));
	assert_false(str_is_uuid("01234567-89ab-cdef-0123-456789abcde"));
	assert_false(str_is_uuid("01234567-89ab-cdef-0123-456789abcdef0"));
	assert_false(str_is_uuid("0123456789ab-cdef-0123-456789abcdef0"));
	assert_false(str_is_uuid("01234567-89ab-cdef-0123-456789abcdeg"));
	assert_false(str_is_uuid(""));
	for (int i = 0; i < 100; i++) {
		str_uuid4(a);
		str_uuid4(b);
		assert_true(str_is_uuid(a));
		assert_int_equal(a[14], '4');
		assert_non_null(strchr("89ab", a[19]));
		assert_string_not_equal(a, b);
	}
}

static void distance(void **state)
{
	static const struct {
		const char *a, *b;
		size_t d;
	} rows[] = {
		{"", "", 0},
		{"abc", "abc", 0},
		{"", "abc", 3},
		{"abc", "", 3},
		{"abc", "abd", 1},
		{"memory", "memry", 1},
		{"memory", "mmeory", 1},
		{"ab", "ba", 1},
		{"kitten", "sitting", 3},
	};
	static const char *const words[] = {"memory", "model", "pids", "cpu", NULL};
	static const char *const none[] = {NULL};
	char far[100];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(str_distance(rows[i].a, rows[i].b), rows[i].d);
	memset(far, 'a', sizeof(far) - 1);
	far[sizeof(far) - 1] = '\0';
	assert_int_equal(str_distance(far, "a"), 64);
	assert_string_equal(str_nearest("memry", words), "memory");
	assert_string_equal(str_nearest("modle", words), "model");
	assert_string_equal(str_nearest("cpus", words), "cpu");
	assert_null(str_nearest("network", words));
	assert_null(str_nearest(far, words));
	assert_null(str_nearest("x", none));
}

static void secret_compare(void **state)
{
	(void)state;
	assert_true(str_secret_eq("abc", 3, "abc", 3));
	assert_false(str_secret_eq("abc", 3, "abd", 3));
	assert_false(str_secret_eq("abc", 3, "abcd", 4));
	assert_false(str_secret_eq("", 0, "a", 1));
	assert_true(str_secret_eq("", 0, "", 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copy),		  cmocka_unit_test(numbers),
		cmocka_unit_test(one_line),	  cmocka_unit_test(utf8),
		cmocka_unit_test(utf8_floor),	  cmocka_unit_test(names),
		cmocka_unit_test(uuids),	  cmocka_unit_test(distance),
		cmocka_unit_test(secret_compare),
	};

	return cmocka_run_group_tests_name("base_str", tests, NULL, NULL);
}
