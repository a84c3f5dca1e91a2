// SPDX-License-Identifier: Apache-2.0
/* The schema check: what passes, and what each error says. */
#include "unit.h"
#include "base/json_schema.h"
#include "base/str.h"

static const char schema[] =
	"{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"text\"],\"properties\":{"
	"\"text\":{\"type\":\"string\",\"description\":\"what to say\",\"minLength\":1,\"maxLength\":5},"
	"\"limit\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":50},"
	"\"ratio\":{\"type\":\"number\",\"minimum\":0.5},"
	"\"mode\":{\"enum\":[\"any\",\"all\",3]},"
	"\"flag\":{\"type\":\"boolean\"},"
	"\"maybe\":{\"type\":[\"string\",\"null\"]},"
	"\"list\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},"
	"\"sub\":{\"type\":\"object\",\"required\":[\"a\"],\"properties\":{\"a\":{\"type\":\"integer\"}}}}}";

static const struct {
	const char *value, *error; /* NULL = passes */
} cases[] = {
	{"{\"text\":\"hi\"}", NULL},
	{"{\"text\":\"\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\"}", NULL}, /* five characters */
	{"{\"text\":\"hi\",\"limit\":50,\"ratio\":1,\"mode\":3,\"flag\":false,\"maybe\":null,"
	 "\"list\":[\"a\",\"b\"],\"sub\":{\"a\":1,\"other\":2}}",
	 NULL},
	{"[]", "arguments: expected an object, got array"},
	{"null", "arguments: expected an object, got null"},
	{"{}", "argument \"text\" is missing: expected string, what to say"},
	{"{\"text\":1}", "argument \"text\": expected string, got integer 1"},
	{"{\"text\":null}", "argument \"text\": expected string, got null null"},
	{"{\"text\":\"\"}", "argument \"text\": expected a string of 1 to 5 characters (0 came)"},
	{"{\"text\":\"sixsix\"}", "1 to 5 characters (6 came), got string \"sixsix\""},
	{"{\"text\":\"a\",\"limit\":1.5}", "argument \"limit\": expected integer, got number 1.5"},
	{"{\"text\":\"a\",\"limit\":\"many\"}", "expected integer, got string \"many\""},
	{"{\"text\":\"a\",\"limit\":0}", "expected a number from 1 to 50, got integer 0"},
	{"{\"text\":\"a\",\"ratio\":0.25}", "expected a number of at least 0.5, got number 0.25"},
	{"{\"text\":\"a\",\"mode\":\"some\"}", "expected one of \"any\", \"all\", 3, got string"},
	{"{\"text\":\"a\",\"flag\":\"yes\"}", "argument \"flag\": expected boolean"},
	{"{\"text\":\"a\",\"maybe\":1}", "expected [\"string\",\"null\"], got integer 1"},
	{"{\"text\":\"a\",\"list\":[\"a\",2]}",
	 "argument \"list[1]\": expected string, got integer 2"},
	{"{\"text\":\"a\",\"sub\":{}}", "argument \"sub.a\" is missing: expected integer"},
	{"{\"text\":\"a\",\"sub\":{\"a\":true}}",
	 "argument \"sub.a\": expected integer, got boolean"},
	{"{\"txet\":\"a\"}",
	 "there is no argument \"txet\"; did you mean \"text\"?; known: text, limit"},
	{"{\"text\":\"a\",\"zzzzzzzz\":1}",
	 "there is no argument \"zzzzzzzz\"; known: text, limit"},
	{"{\"text\":[\"0123456789012345678901234567890123456789\xc3\xa9\"]}",
	 "expected string, got array [\"01234567890"},
};

static void table(void **state maybe_unused)
{
	struct err e = ERR_INIT;
	_cleanup_json_ cJSON *s = json_parse(schema, strlen(schema), 1 << 16, &e);

	assert_non_null(s);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *text = cases[i].value;
		_cleanup_json_ cJSON *v = json_parse(text, strlen(text), 1 << 16, &e);
		assert_non_null(v);
		e = (struct err)ERR_INIT;
		if (!cases[i].error)
			assert_ok(json_schema_check(s, v, &e), &e);
		else
			assert_err(json_schema_check(s, v, &e), &e, E_INVAL, cases[i].error);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(table)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
