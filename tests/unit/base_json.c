// SPDX-License-Identifier: Apache-2.0
/* Unit tests of base/json. */
#include "unit.h"
#include "base/json.h"
#include "base/str.h"

static cJSON *parse(const char *text)
{
	struct err e = ERR_INIT;
	cJSON *j = json_parse(text, strlen(text), JSON_MAX_DEFAULT, &e);

	if (!j)
		fail_msg("%s: %s", text, e.msg);
	return j;
}

static void parses(void **state)
{
	static const char *const good[] = {
		"{}",
		"[]",
		"null",
		" \t\r\n 1 \n",
		"\"\"",
		"-0.5e-3",
		"[1,2]",
		"true",
		"{\"a\":{}}",
		"\"\xe2\x82\xac\"",
		"\"\\ud83d\\ude00\"",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		cJSON_Delete(parse(good[i]));
}

static void refuses(void **state)
{
	static const struct {
		const char *text, *why;
	} bad[] = {
		{"", "empty"},
		{" ", "malformed"},
		{"{", "malformed"},
		{"[1,]", "malformed"},
		{"{\"a\":1} {", "after the value, at byte 8"},
		{"1 2", "after the value"},
		{"nul", "malformed"},
		{"{a:1}", "malformed"},
		{"'a'", "malformed"},
		{"\"\\x\"", "malformed"},
		{"\"\\u12g4\"", "malformed"},
		{"\"open", "malformed"},
		{"\"open\\", "malformed"},
		{"\"\\ud83d", "malformed"},
		{"\"\xff\"", "UTF-8"},
		{"\"\xed\xa0\x80\"", "UTF-8"},
		{"\"a\nb\"", "control character at byte 2"},
		{"\"a\\\n\"", "malformed"},
		{"[1,\x01]", "control character at byte 3"},
		{"[1\x0b]", "control character"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err e = ERR_INIT;
		cJSON *j = json_parse(bad[i].text, strlen(bad[i].text), 100, &e);

		if (j || e.code != E_PROTO || !strstr(e.msg, bad[i].why))
			fail_msg("row %zu: %s", i, j ? "was accepted" : e.msg);
	}
}

static void refuses_nul_bytes_and_reads_no_further_than_told(void **state)
{
	struct err e = ERR_INIT;
	_cleanup_json_ cJSON *j = NULL;

	(void)state;
	assert_null(json_parse("[1,\0 2]", 7, 100, &e));
	assert_null(json_parse("\"a\0b\"", 5, 100, &e));
	assert_null(json_parse("1\0", 2, 100, &e));
	j = json_parse("[1]garbage", 3, 100, &e);
	assert_non_null(j);
}

static void size_and_depth_caps(void **state)
{
	struct err e = ERR_INIT;
	_cleanup_json_ cJSON *j = NULL;
	char deep[300];

	(void)state;
	assert_null(json_parse("[1,2]", 5, 4, &e));
	assert_int_equal(e.code, E_LIMIT);
	memset(deep, '[', 128);
	memset(deep + 128, ']', 128);
	j = json_parse(deep, 256, 1000, &e);
	assert_non_null(j);
	memset(deep, '[', 129);
	memset(deep + 129, ']', 129);
	assert_null(json_parse(deep, 258, 1000, &e));
	assert_int_equal(e.code, E_PROTO);
	assert_non_null(strstr(e.msg, "deep"));
	/* brackets in strings are text */
	memset(deep, '[', 200);
	deep[0] = deep[199] = '"';
	cJSON_Delete(j);
	j = json_parse(deep, 200, 1000, &e);
	assert_non_null(j);
}

static void escapes_that_c_strings_cannot_hold(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{"\"a\\u0000b\"", "a\xef\xbf\xbd"
				  "b"},
		{"\"\\ud83d\"", "\xef\xbf\xbd"},
		{"\"\\ude00x\"", "\xef\xbf\xbdx"},
		{"\"\\ud83dx\\ude00\"", "\xef\xbf\xbdx\xef\xbf\xbd"},
		{"\"\\ud83d\\ud83d\\ude00\"", "\xef\xbf\xbd\xf0\x9f\x98\x80"},
		{"\"\\ud83d\\n\"", "\xef\xbf\xbd\n"},
		{"\"\\\\u0000\"", "\\u0000"},
		{"\"\\\\\\u0000\"", "\\\xef\xbf\xbd"},
		{"\"\\uD83D\\uDE00\"", "\xf0\x9f\x98\x80"},
		{"\"\\u00e9\\u20ac\"", "\xc3\xa9\xe2\x82\xac"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		_cleanup_json_ cJSON *j = parse(rows[i].text);

		assert_true(cJSON_IsString(j));
		assert_string_equal(j->valuestring, rows[i].want);
	}
}

static const char doc[] = "{\"s\":\"x\",\"i\":-3,\"f\":1.5,\"big\":9007199254740992,"
			  "\"past\":9007199254740994,\"huge\":1e999,\"t\":true,\"n\":null,"
			  "\"o\":{\"a\":[10,{\"b\":\"deep\"}]},\"S\":\"upper\"}";

static void strings(void **state)
{
	_cleanup_json_ cJSON *j = parse(doc);
	struct err e = ERR_INIT;
	const char *s = NULL;

	(void)state;
	assert_ok(json_str(j, "s", &s, &e), &e);
	assert_string_equal(s, "x");
	assert_ok(json_str(j, "S", &s, &e), &e);
	assert_string_equal(s, "upper");
	assert_ok(json_str(j, "o.a.1.b", &s, &e), &e);
	assert_string_equal(s, "deep");
	assert_err(json_str(j, "none", &s, &e), &e, E_PROTO, "none: missing, expected a string");
	assert_err(json_str(j, "n", &s, &e), &e, E_PROTO, "n: missing");
	assert_err(json_str(j, "i", &s, &e), &e, E_PROTO, "i: expected a string, got a number");
	assert_err(json_str(j, "o.a.2", &s, &e), &e, E_PROTO, "o.a.2: missing");
	assert_err(json_str(j, "o.a.-1", &s, &e), &e, E_PROTO, "missing");
	assert_err(json_str(j, "o.a.x", &s, &e), &e, E_PROTO, "missing");
	assert_err(json_str(j, "i.x", &s, &e), &e, E_PROTO,
		   "i: expected an object or array, got a number");
	assert_err(json_str(j, "o.a.0.b.c", &s, &e), &e, E_PROTO, "o.a.0: expected an object");
	assert_ok(json_str_opt(j, "none", "def", &s, &e), &e);
	assert_string_equal(s, "def");
	assert_ok(json_str_opt(j, "n", NULL, &s, &e), &e);
	assert_null(s);
	assert_ok(json_str_opt(j, "n.x", "def", &s, &e), &e);
	assert_string_equal(s, "def");
	assert_err(json_str_opt(j, "t", "def", &s, &e), &e, E_PROTO, "got a boolean");
	assert_err(json_str_opt(j, "s.x", "def", &s, &e), &e, E_PROTO, "s: expected an object");
}

static void numbers(void **state)
{
	_cleanup_json_ cJSON *j = parse(doc);
	struct err e = ERR_INIT;
	int64_t i = 0;

	(void)state;
	assert_ok(json_i64(j, "i", &i, &e), &e);
	assert_int_equal(i, -3);
	assert_ok(json_i64(j, "big", &i, &e), &e);
	assert_true(i == INT64_C(9007199254740992));
	assert_err(json_i64(j, "past", &i, &e), &e, E_PROTO, "2^53");
	assert_err(json_i64(j, "huge", &i, &e), &e, E_PROTO, "2^53");
	assert_err(json_i64(j, "f", &i, &e), &e, E_PROTO, "whole number");
	assert_err(json_i64(j, "s", &i, &e), &e, E_PROTO, "got a string");
	assert_err(json_i64(j, "none", &i, &e), &e, E_PROTO, "missing");
	assert_ok(json_i64_opt(j, "none", 42, &i, &e), &e);
	assert_int_equal(i, 42);
	assert_err(json_i64_opt(j, "f", 42, &i, &e), &e, E_PROTO, "whole number");
	assert_int_equal(json_peek_i64(j, "i", 9), -3);
	assert_int_equal(json_peek_i64(j, "f", 9), 9);
	assert_int_equal(json_peek_i64(j, "none", 9), 9);
}

static void others(void **state)
{
	_cleanup_json_ cJSON *j = parse(doc);
	struct err e = ERR_INIT;
	const cJSON *c = NULL;
	bool b = false;

	(void)state;
	assert_ok(json_bool_opt(j, "t", false, &b, &e), &e);
	assert_true(b);
	assert_ok(json_bool_opt(j, "none", true, &b, &e), &e);
	assert_true(b);
	assert_err(json_bool_opt(j, "i", true, &b, &e), &e, E_PROTO, "true or false");
	assert_ok(json_obj(j, "o", &c, &e), &e);
	assert_ok(json_arr(j, "o.a", &c, &e), &e);
	assert_int_equal(cJSON_GetArraySize(c), 2);
	assert_err(json_arr(j, "o", &c, &e), &e, E_PROTO, "expected an array, got an object");
	assert_err(json_obj(j, "o.a", &c, &e), &e, E_PROTO, "expected an object, got an array");
	assert_err(json_obj(j, "n", &c, &e), &e, E_PROTO, "missing");
	assert_ptr_equal(json_find(j, ""), j);
	assert_null(json_find(j, "o.b"));
	assert_null(json_find(NULL, "o"));
	assert_string_equal(json_peek_str(j, "o.a.1.b"), "deep");
	assert_null(json_peek_str(j, "i"));
	assert_err(json_str(json_find(j, "i"), "x", &(const char *){NULL}, &e), &e, E_PROTO,
		   "expected an object, got a number");
}

static void unknown_members(void **state)
{
	static const char *const known[] = {"text", "limit", NULL};
	_cleanup_json_ cJSON *good = parse("{\"limit\":1}"),
			     *bad = parse("{\"text\":1,\"limt\":2}");
	_cleanup_json_ cJSON *far = parse("{\"other\":1}"), *list = parse("[]");
	struct err e = ERR_INIT;

	(void)state;
	assert_ok(json_only(good, "send", known, &e), &e);
	assert_err(json_only(bad, "send", known, &e), &e, E_PROTO,
		   "send: unknown member \"limt\" (did you mean \"limit\"?)");
	assert_err(json_only(far, "send", known, &e), &e, E_PROTO, "\"other\"");
	assert_null(strstr(e.msg, "did you mean"));
	assert_err(json_only(list, "send", known, &e), &e, E_PROTO, "expected an object");
}

static void writes_strings(void **state)
{
	static const struct {
		const char *text;
		size_t n;
		const char *want;
	} rows[] = {
		{"", 0, "\"\""},
		{"plain \xe2\x82\xac", 9, "\"plain \xe2\x82\xac\""},
		{"\"\\/", 3, "\"\\\"\\\\/\""},
		{"\b\f\n\r\t\v\x1f\x7f", 8, "\"\\b\\f\\n\\r\\t\\u000b\\u001f\x7f\""},
		{"a\0b", 3, "\"a\\u0000b\""},
		{"\xff"
		 "a\xe2\x82",
		 4,
		 "\"\xef\xbf\xbd"
		 "a\xef\xbf\xbd\xef\xbf\xbd\""},
	};
	_cleanup_json_ cJSON *j = parse(" { \"a\" : [ 1 , \"x\" ] } ");
	_cleanup_free_ char *s = json_print(j);

	(void)state;
	assert_string_equal(s, "{\"a\":[1,\"x\"]}");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		_cleanup_(buf_free) struct buf b = {0};

		json_put_str(&b, rows[i].text, rows[i].n);
		assert_string_equal(b.p, rows[i].want);
	}
}

static void members_are_added_by_their_words(void **state)
{
	_cleanup_json_ cJSON *j = cJSON_CreateObject();
	_cleanup_free_ char *text = NULL;

	(void)state;
	json_add(j, "name=%s since_ms=%lld up=%hhd", "a \"b\"", -12345678901LL, true);
	json_add(j, "down=%hhd", false);
	text = json_print(j);
	assert_string_equal(text, "{\"name\":\"a \\\"b\\\"\",\"since_ms\":-12345678901,\"up\":true,"
				  "\"down\":false}");
	assert_string_equal(json_text(j, "name"), "a \"b\"");
	assert_string_equal(json_text(j, "up"), "");
	assert_string_equal(json_text(j, "none"), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses),
		cmocka_unit_test(refuses),
		cmocka_unit_test(refuses_nul_bytes_and_reads_no_further_than_told),
		cmocka_unit_test(size_and_depth_caps),
		cmocka_unit_test(escapes_that_c_strings_cannot_hold),
		cmocka_unit_test(strings),
		cmocka_unit_test(numbers),
		cmocka_unit_test(others),
		cmocka_unit_test(unknown_members),
		cmocka_unit_test(writes_strings),
		cmocka_unit_test(members_are_added_by_their_words),
	};

	return cmocka_run_group_tests_name("base_json", tests, NULL, NULL);
}
