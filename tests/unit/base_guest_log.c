// SPDX-License-Identifier: Apache-2.0
/* Unit tests of base/guest_log: what strangers wrote drives no terminal and stays on its line. */
#include "unit.h"
#include "base/guest_log.h"
#include "base/mem.h"

static void a_line_stays_a_line(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{"", ""},
		{"plain \xc3\xa4\xe2\x82\xac \xf0\x9f\x98\x80",
		 "plain \xc3\xa4\xe2\x82\xac \xf0\x9f\x98\x80"},
		{"a\nslack:C1  main", "a slack:C1  main"},
		{"a\r\n\tb", "a   b"},
		{"\x1b[2Jx\x07\x7f", "?[2Jx??"},
		{"\xc2\x9b"
		 "31m",
		 "??31m"},
		{"\xff\xe2\x82", "???"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		_cleanup_free_ char *s = xstrdup(rows[i].text);

		guest_clean_line(s);
		assert_string_equal(s, rows[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(a_line_stays_a_line)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
