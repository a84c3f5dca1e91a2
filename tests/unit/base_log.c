// SPDX-License-Identifier: Apache-2.0
/* Unit tests of base/log: one event, one line, whatever the values hold. */
#include "unit.h"
#include <errno.h>
#include <fcntl.h>
#include "base/log.h"
#include "base/mem.h"
#include "base/redact.h"
#include "base/str.h"

static int pipe_fd[2];
static char got[8192];

static int setup(void **state)
{
	(void)state;
	if (pipe2(pipe_fd, O_NONBLOCK | O_CLOEXEC))
		return -1;
	log_init(&(struct log_opts){.fd = pipe_fd[1], .level = LOG_DEBUG});
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	log_init(&(struct log_opts){.fd = 2, .level = LOG_INFO});
	close(pipe_fd[0]);
	close(pipe_fd[1]);
	return 0;
}

/* What was written since, without the time stamp of the first line. */
static const char *written(void)
{
	ssize_t n = read(pipe_fd[0], got, sizeof(got) - 1);

	if (n < 0)
		n = 0;
	got[n] = '\0';
	if (!n)
		return got;
	assert_true(str_starts(got, "ts=2"));
	assert_int_equal(got[27], ' ');
	return got + 28;
}

static void a_line(void **state)
{
	(void)state;
	errno = 5;
	log_info("door", "it opened", "group=%s ms=%d", "main", 7);
	assert_int_equal(errno, 5);
	assert_string_equal(written(), "level=info comp=door msg=\"it opened\" group=main ms=7\n");
	log_error("door", "it broke", "%s", "");
	assert_string_equal(written(), "level=error comp=door msg=\"it broke\"\n");
}

static void levels(void **state)
{
	(void)state;
	log_set_level(LOG_WARN);
	assert_int_equal(log_get_level(), LOG_WARN);
	log_debug("a", "m", "x=%d", 1);
	log_info("a", "m", "x=%d", 1);
	assert_string_equal(written(), "");
	log_warn("a", "m", "x=%d", 1);
	assert_string_equal(written(), "level=warn comp=a msg=\"m\" x=1\n");
	assert_int_equal(log_level_parse("debug"), LOG_DEBUG);
	assert_int_equal(log_level_parse("error"), LOG_ERROR);
	assert_int_equal(log_level_parse("loud"), -1);
}

static void one_event_is_one_line(void **state)
{
	(void)state;
	log_info("a", "m", "x=%s",
		 "1\nlevel=error\r\x1b[2J\t\x7f\xff\xc2\x9b"
		 "2J\xc3\xa9");
	assert_string_equal(written(), "level=info comp=a msg=\"m\" x=1\\nlevel=error\\x0d\\x1b[2J"
				       "\\x09\\x7f\\xff\\xc2\\x9b2J\xc3\xa9\n");
}

static void long_lines_are_cut(void **state)
{
	char s[6000];
	const char *line;

	(void)state;
	for (size_t i = 0; i + 3 < sizeof(s); i += 3)
		memcpy(s + i, "\xe2\x82\xac", 4);
	log_info("a", "m", "%s", s);
	line = written();
	assert_in_range(strlen(got), 4090, 4100);
	assert_true(str_is_utf8(got, strlen(got)));
	assert_string_equal(line + strlen(line) - 4, "...\n");
}

static void secrets_are_redacted_also_across_the_cut(void **state)
{
	struct secret s = {0};
	struct err e = ERR_INIT;
	char fill[4100];

	(void)state;
	assert_ok(secret_set(&s, "key", "hunter2hunter2", &e), &e);
	log_info("a", "m", "x=%s", "hunter2hunter2");
	assert_string_equal(written(), "level=info comp=a msg=\"m\" x=[redacted:key]\n");
	for (size_t n = 4000; n < sizeof(fill) - 20; n++) {
		memset(fill, 'x', n);
		memcpy(fill + n, "hunter2hunter2", 15);
		log_info("a", "m", "%s", fill);
		written();
		assert_null(strstr(got, "hunter"));
	}
	secret_free(&s);
}

static void quoting(void **state)
{
	char d[10];

	(void)state;
	assert_string_equal(log_quote(d, sizeof(d), ""), "\"\"");
	assert_string_equal(log_quote(d, sizeof(d), "a b"), "\"a b\"");
	assert_string_equal(log_quote(d, sizeof(d), "a\"\\b"), "\"a\\\"\\\\b\"");
	assert_string_equal(log_quote(d, sizeof(d), "1234567"), "\"1234567\"");
	assert_string_equal(log_quote(d, sizeof(d), "12345678"), "\"1234567\"");
	assert_string_equal(log_quote(d, sizeof(d), "123456\""), "\"123456\"");
	assert_string_equal(log_quote(d, sizeof(d), "123456\xc3\xa9"), "\"123456\"");
	assert_string_equal(log_quote(d, 2, "a"), "");
}

#ifndef CHELA_ABORT_ON_BUG
static void oops_is_an_error_line(void **state)
{
	(void)state;
	log_oops("%d apples", 3);
	assert_non_null(strstr(written(), "level=error comp=bug"));
	assert_non_null(strstr(got, "what=\"3 apples\""));
	assert_non_null(strstr(got, "base_log.c:"));
}
#endif

struct kept {
	size_t n, bytes;
	char first[64], last[64];
};

static void count_kept(void *ctx, const char *line, size_t n)
{
	struct kept *k = ctx;
	const char *pair = strstr(line, "i=");

	assert_int_equal(strlen(line), n);
	assert_null(strchr(line, '\n'));
	if (!k->n++)
		str_copy(k->first, sizeof(k->first), pair ? pair : "");
	str_copy(k->last, sizeof(k->last), pair ? pair : "");
	k->bytes += n;
}

/* Last: from here on the process keeps its lines. */
static void the_newest_lines_are_kept(void **state)
{
	struct kept k = {.n = 0};
	char *filler = xcalloc(1, 3001);

	(void)state;
	log_each(count_kept, &k);
	assert_int_equal(k.n, 0);
	log_keep();
	for (int i = 0; i < 700; i++)
		log_info("test", "many", "i=%d", i);
	log_each(count_kept, &k);
	assert_int_equal(k.n, 500);
	assert_string_equal(k.first, "i=200");
	assert_string_equal(k.last, "i=699");
	memset(filler, 'x', 3000);
	for (int i = 0; i < 100; i++)
		log_info("test", "long", "text=%s i=%d", filler, i);
	memset(&k, 0, sizeof(k));
	log_each(count_kept, &k);
	assert_in_range(k.bytes, 120 << 10, 128 << 10);
	assert_string_equal(k.last, "i=99");
	free(filler);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_line, setup, teardown),
		cmocka_unit_test_setup_teardown(levels, setup, teardown),
		cmocka_unit_test_setup_teardown(one_event_is_one_line, setup, teardown),
		cmocka_unit_test_setup_teardown(long_lines_are_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(secrets_are_redacted_also_across_the_cut, setup,
						teardown),
		cmocka_unit_test(quoting),
#ifndef CHELA_ABORT_ON_BUG
		cmocka_unit_test_setup_teardown(oops_is_an_error_line, setup, teardown),
#endif
		cmocka_unit_test_setup_teardown(the_newest_lines_are_kept, setup, teardown),
	};

	return cmocka_run_group_tests_name("base_log", tests, NULL, NULL);
}
