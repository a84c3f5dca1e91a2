// SPDX-License-Identifier: Apache-2.0
/* Unit tests of base/pattern: what matches, what is refused and how it says so, and that no pattern holds the loop. */
#include "unit.h"
#include <time.h>
#include "base/pattern.h"
#include "base/str.h"

static void matches(void **state)
{
	static const struct {
		const char *re, *text;
		bool want;
	} rows[] = {
		{"help", "can you HELP me", true},
		{"^help", "can you help", false},
		{"\\bchela\\b", "Chela, please", true},
		{"\\bchela\\b", "michelangelo", false},
		{"gr\xc3\xbc\xc3\x9f", "GR\xc3\x9c\xc3\x9f dich",
		 true},				   /* letters of either case */
		{"^.$", "\xf0\x9f\x98\x80", true}, /* one character */
		{"(?-i)Bot", "bot", false},
		{"a|", "", true},
		{"^$", "", true},
		{"(\\w+) \\1", "the the", true},
		{"x", "\xff x", false}, /* no UTF-8 */
		{"(?C1)x", "x", true},	/* a callout of theirs is none of ours */
		{"(*LIMIT_MATCH=1)a*b", "aaaaac", false},
		{"(*LIMIT_MATCH=4000000000)help", "help", true},
	};
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		_cleanup_pattern_ struct pattern *p = pattern_new(rows[i].re, &e);

		if (!p)
			fail_msg("%s: %s", rows[i].re, e.msg);
		if (pattern_matches(p, rows[i].text, strlen(rows[i].text)) != rows[i].want)
			fail_msg("%s against %s", rows[i].re, rows[i].text);
	}
}

static void zero_bytes(void **state)
{
	struct err e = ERR_INIT;
	_cleanup_pattern_ struct pattern *p = pattern_new("b$", &e);

	(void)state;
	assert_non_null(p);
	assert_true(pattern_matches(p, "a\0b", 3));
	assert_false(pattern_matches(p, "a\0b", 2));
}

static void refusals(void **state)
{
	static const struct {
		const char *re, *say;
	} rows[] = {
		{"", "1 to 500 bytes"},
		{"(help", "wrong at character 6: missing closing parenthesis"},
		{"\xc3\xa4[", "wrong at character 3"},
		{"a{3,2}", "wrong at character 6"},
		{"*a", "wrong at character 1"},
		{"(?<n>a)(?<n>b)", "wrong at character"},
		{"\xff", "no UTF-8"},
		{"\\C", "wrong at character"},
		{"(((a{500}){500}){500})", "too large"},
		{"(?<=a*)b", "wrong at character"},
	};
	char many[PATTERN_MAX + 2];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err e = ERR_INIT;

		if (pattern_new(rows[i].re, &e))
			fail_msg("%s was taken", rows[i].re);
		assert_int_equal(e.code, E_INVAL);
		if (!strstr(e.msg, rows[i].say))
			fail_msg("%s: %s", rows[i].re, e.msg);
	}
	memset(many, 'a', sizeof(many));
	many[PATTERN_MAX + 1] = '\0';
	struct err e = ERR_INIT;
	assert_null(pattern_new(many, &e));
	memset(many, '(', PATTERN_MAX);
	many[PATTERN_MAX] = '\0';
	assert_null(pattern_new(many, &e));
}

static double ms_of_thread(void)
{
	struct timespec t;

	assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t), 0);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Patterns that take exponential, cubic and quadratic time: the search ends within the budget. Under valgrind and
 * the sanitizers a step costs more: there they only have to end. */
static void bounded(void **state)
{
	static const char *const evil[] = {
		"(a+)+$",
		"(a|a)*$",
		"(a|aa)+b$",
		"(?:a?){30}a{30}b$",
		"(.*)(.*)(.*)(.*)(.*)b$",
		"(?:(?=.*+)a)*b$",
		"(?:(?=(?>.*))a)*+b$",
		"(a*)*\\1\\1b$",
		"^(?:(?:(?:a*)*)*)*b$",
		"(?:a|aa){15}b$",
		"([a-z\xc3\xa9]*\\w*)*\\d",
		"(?R)?a(?R)?b$",
		"(?s)(?:.(?=(.*))(?=.*\\1$))*b$",
		"(?<=a)(?:a*?a*?a*?)b$",
	};
	_cleanup_free_ char *text = xmalloc(PATTERN_TEXT_MAX * 2);

	(void)state;
	memset(text, 'a', PATTERN_TEXT_MAX * 2);
	text[PATTERN_TEXT_MAX - 2] = 'b'; /* what is required is there, but never at the end */
	for (size_t i = 0; i < ARRAY_LEN(evil); i++) {
		struct err e = ERR_INIT;
		double t0 = ms_of_thread(), t1, t2;
		_cleanup_pattern_ struct pattern *p = pattern_new(evil[i], &e);

		if (!p)
			fail_msg("%s: %s", evil[i], e.msg);
		t1 = ms_of_thread();
		(void)pattern_matches(p, text, PATTERN_TEXT_MAX * 2);
		t2 = ms_of_thread();
		if (getenv("PATTERN_SHOW"))
			printf("%-32s new %.2f ms, search %.2f ms\n", evil[i], t1 - t0, t2 - t1);
#if defined(NDEBUG) || defined(__OPTIMIZE_SIZE__)
		if (t1 - t0 > 5 || t2 - t1 > 5)
			fail_msg("%s: new %.2f ms, search %.2f ms", evil[i], t1 - t0, t2 - t1);
#endif
	}
}

/* What is behind the part that is looked at does not count, and the cut is between characters. */
static void long_text(void **state)
{
	struct err e = ERR_INIT;
	_cleanup_pattern_ struct pattern *p = pattern_new("end", &e);
	_cleanup_free_ char *text = xmalloc(PATTERN_TEXT_MAX + 8);

	(void)state;
	assert_non_null(p);
	memset(text, '.', PATTERN_TEXT_MAX + 8);
	memcpy(text + PATTERN_TEXT_MAX - 3, "end", 3);
	assert_true(pattern_matches(p, text, PATTERN_TEXT_MAX + 8));
	memset(text, '.', PATTERN_TEXT_MAX + 8);
	memcpy(text + PATTERN_TEXT_MAX - 2, "end", 3);
	assert_false(pattern_matches(p, text, PATTERN_TEXT_MAX + 8));
	memcpy(text, "end", 3);
	memcpy(text + PATTERN_TEXT_MAX - 1, "\xf0\x9f\x98\x80", 4);
	assert_true(pattern_matches(p, text, PATTERN_TEXT_MAX + 8));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(matches), cmocka_unit_test(zero_bytes), cmocka_unit_test(refusals),
		cmocka_unit_test(bounded), cmocka_unit_test(long_text),
	};

	return cmocka_run_group_tests_name("base_pattern", tests, NULL, NULL);
}
