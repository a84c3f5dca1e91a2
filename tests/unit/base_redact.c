// SPDX-License-Identifier: Apache-2.0
/* Unit tests of base/redact: secrets are read with care and never get out. */
#include "unit.h"
#include <fcntl.h>
#include <sys/stat.h>
#include "base/mem.h"
#include "base/redact.h"
#include "base/str.h"

#define BOT "123456789:AAEhBOweik6ad9r_QXMENQjcrGbqCr4K-bc"

static char dir[] = "/tmp/chela-redact-XXXXXX";
static char file[64];

static int make_dir(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(file, sizeof(file), "%s/key", dir);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	unlink(file);
	return rmdir(dir);
}

static void put_file(const void *p, size_t n, mode_t mode)
{
	_cleanup_close_ int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, p, n), n);
	assert_int_equal(fchmod(fd, mode), 0);
}

static char *redacted(const char *text)
{
	struct buf b = {0};

	redact(&b, text, strlen(text));
	return buf_steal(&b);
}

static void loads(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{"topsecret\n", "topsecret"},
		{"topsecret", "topsecret"},
		{"with space \n", "with space "},
		{"\xc3\xa9\xc3\xa9\n", "\xc3\xa9\xc3\xa9"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err e = ERR_INIT;
		struct secret s = {0};

		put_file(rows[i].text, strlen(rows[i].text), i % 2 ? 0400 : 0600);
		assert_ok(secret_load(&s, "k", file, &e), &e);
		assert_string_equal(s.value, rows[i].want);
		assert_int_equal(s.len, strlen(rows[i].want));
		assert_string_equal(s.name, "k");
		secret_free(&s);
		assert_null(s.value);
		secret_free(&s);
	}
}

static void refuses(void **state)
{
	static const mode_t modes[] = {0640, 0604, 0644, 0660, 0620, 0601, 0610};
	char large[SECRET_MAX + 2];
	struct err e = ERR_INIT;
	struct secret s = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		put_file("topsecret\n", 10, modes[i]);
		assert_err(secret_load(&s, "k", file, &e), &e, E_PERM, "chmod 600");
		assert_non_null(strstr(e.msg, file));
	}
	put_file("\n", 1, 0600);
	assert_err(secret_load(&s, "k", file, &e), &e, E_INVAL, "empty");
	put_file("", 0, 0600);
	assert_err(secret_load(&s, "k", file, &e), &e, E_INVAL, "empty");
	put_file("two\nlines\n", 10, 0600);
	assert_err(secret_load(&s, "k", file, &e), &e, E_INVAL, "control character");
	assert_null(strstr(e.msg, "two"));
	put_file("crlf\r\n", 6, 0600);
	assert_err(secret_load(&s, "k", file, &e), &e, E_INVAL, "control character");
	put_file("n\0l", 3, 0600);
	assert_err(secret_load(&s, "k", file, &e), &e, E_INVAL, "control character");
	memset(large, 'a', sizeof(large));
	put_file(large, SECRET_MAX + 1, 0600);
	assert_err(secret_load(&s, "k", file, &e), &e, E_INVAL, "longer");
	put_file(large, SECRET_MAX, 0600);
	assert_ok(secret_load(&s, "k", file, &e), &e);
	secret_free(&s);
	assert_err(secret_load(&s, "k", dir, &e), &e, E_INVAL, "regular file");
	unlink(file);
	assert_err(secret_load(&s, "k", file, &e), &e, E_GONE, file);
	assert_err(secret_set(&s, "k", "", &e), &e, E_INVAL, "empty");
	assert_null(s.value);
}

static void known_values_go(void **state)
{
	struct secret a = {0}, b = {0}, tiny = {0};
	struct err e = ERR_INIT;
	_cleanup_free_ char *one = NULL, *two = NULL, *three = NULL, *four = NULL;

	(void)state;
	assert_ok(secret_set(&a, "short", "hunter", &e), &e);
	assert_ok(secret_set(&b, "long", "hunter2", &e), &e);
	assert_ok(secret_set(&tiny, "tiny", "abc", &e), &e);
	one = redacted("hunter hunter2 hunter22 hunte abc");
	assert_string_equal(one, "[redacted:short] [redacted:long] [redacted:long]2 hunte abc");
	secret_free(&b);
	two = redacted("hunterhunter2");
	assert_string_equal(two, "[redacted:short][redacted:short]2");
	secret_free(&a);
	secret_free(&tiny);
	three = redacted("hunter");
	assert_string_equal(three, "hunter");
	four = redacted("");
	assert_string_equal(four, "");
}

static void many_come_and_go(void **state)
{
	static struct secret all[257];
	struct err e = ERR_INIT;
	char value[32];

	(void)state;
	for (int i = 0; i < 256; i++) {
		snprintf(value, sizeof(value), "value-%03d", i);
		assert_ok(secret_set(&all[i], "n", value, &e), &e);
	}
	assert_err(secret_set(&all[256], "n", "one more", &e), &e, E_LIMIT, "256");
	assert_null(all[256].value);
	for (int i = 0; i < 256; i += 2)
		secret_free(&all[i]);
	for (int i = 0; i < 256; i++) {
		_cleanup_free_ char *out = NULL;

		snprintf(value, sizeof(value), "value-%03d", i);
		out = redacted(value);
		assert_string_equal(out, i % 2 ? "[redacted:n]" : value);
	}
	for (int i = 1; i < 256; i += 2)
		secret_free(&all[i]);
}

static void shapes_go_unregistered(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{"x sk-ant-api03-abcDEF_123-xyz.", "x [redacted:token]."},
		{"sk-ant-short", "sk-ant-short"},
		{"xoxb-123456789-abc", "[redacted:token]"},
		{"xapp-1-A0123-456", "[redacted:token]"},
		{"token=xoxp-123456789 ok", "token=[redacted:token] ok"},
		{"Authorization: Bearer abc.DEF~123+/==\r",
		 "Authorization: Bearer [redacted:token]\r"},
		{"bearer ABCDEFGHIJ", "bearer [redacted:token]"},
		{"a bearer of news", "a bearer of news"},
		{"/bot" BOT "/getMe", "/bot[redacted:token]/getMe"},
		{BOT, "[redacted:token]"},
		{"12:34:56 1234567:short", "12:34:56 1234567:short"},
		{"ts=1795276799123 n=1234567890", "ts=1795276799123 n=1234567890"},
		{"caf\xc3\xa9 \xf0\x9f\x98\x80", "caf\xc3\xa9 \xf0\x9f\x98\x80"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		_cleanup_free_ char *out = redacted(rows[i].text);

		assert_string_equal(out, rows[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loads),
		cmocka_unit_test(refuses),
		cmocka_unit_test(known_values_go),
		cmocka_unit_test(many_come_and_go),
		cmocka_unit_test(shapes_go_unregistered),
	};

	return cmocka_run_group_tests_name("base_redact", tests, make_dir, remove_dir);
}
