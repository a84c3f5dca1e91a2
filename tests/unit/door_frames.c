// SPDX-License-Identifier: Apache-2.0
/* Docker's attach frames and the sandbox's log lines: torn at each byte, at and past the limits. */
#include "unit.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/guest_log.h"
#include "door/frames.h"

struct split {
	struct frames f;
	char out[64], err[64];
	size_t no, ne;
};

/* Feeds bytes and sorts what comes out; returns the error's code. */
static enum err_code feed(struct split *s, const void *v, size_t n)
{
	const uint8_t *p = v;
	struct frames_piece piece;
	struct err e = ERR_INIT;
	size_t used;

	while (n) {
		if (frames_take(&s->f, p, n, &used, &piece, &e))
			return e.code;
		assert_in_range(used, 1, n);
		if (piece.type == FRAMES_STDOUT) {
			memcpy(s->out + s->no, piece.p, piece.n);
			s->no += piece.n;
		} else if (piece.type == FRAMES_STDERR) {
			memcpy(s->err + s->ne, piece.p, piece.n);
			s->ne += piece.n;
		}
		p += used;
		n -= used;
	}
	return E_NONE;
}

static const char wire[] = "\1\0\0\0\0\0\0\5hello\2\0\0\0\0\0\0\3log\1\0\0\0\0\0\0\0"
			   "\1\0\0\0\0\0\0\6 world";

static void check_split(const struct split *s)
{
	assert_int_equal(s->no, 11);
	assert_memory_equal(s->out, "hello world", 11);
	assert_int_equal(s->ne, 3);
	assert_memory_equal(s->err, "log", 3);
}

static void torn_anywhere(void **state)
{
	size_t n = sizeof(wire) - 1;

	(void)state;
	for (size_t i = 0; i <= n; i++) {
		for (size_t j = i; j <= n; j++) {
			struct split s = {0};
			assert_int_equal(feed(&s, wire, i), E_NONE);
			assert_int_equal(feed(&s, wire + i, j - i), E_NONE);
			assert_int_equal(feed(&s, wire + j, n - j), E_NONE);
			check_split(&s);
		}
	}
}

static void bad_heads(void **state)
{
	static const uint8_t bad[][8] = {
		{0, 0, 0, 0, 0, 0, 0, 1},
		{3, 0, 0, 0, 0, 0, 0, 1},
		{255, 0, 0, 0, 0, 0, 0, 1},
		{1, 1, 0, 0, 0, 0, 0, 1},
		{1, 0, 1, 0, 0, 0, 0, 1},
		{1, 0, 0, 1, 0, 0, 0, 1},
		{1, 0, 0, 0, 0, 0x10, 0, 1},
		{1, 0, 0, 0, 255, 255, 255, 255},
		{'P', 'R', 'I', ' ', '*', ' ', 'H', 'T'},
	};
	static const uint8_t most[8] = {1, 0, 0, 0, 0, 0x10, 0, 0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct split s = {0};
		assert_int_equal(feed(&s, bad[i], 7), E_NONE);
		assert_int_equal(feed(&s, bad[i] + 7, 1), E_PROTO);
	}
	struct split s = {0};
	assert_int_equal(feed(&s, most, 8), E_NONE);
}

struct lines {
	struct buf text; /* each line with a newline */
	int n, stop_at;
};

static bool on_line(void *ctx, const char *line)
{
	struct lines *l = ctx;

	buf_putf(&l->text, "%s\n", line);
	return ++l->n != l->stop_at;
}

static void lines_of(struct lines *l, const char *p, size_t n, size_t step)
{
	struct guest_log g = {0};

	for (size_t i = 0; i < n; i += step)
		guest_log_feed(&g, (const uint8_t *)p + i, n - i < step ? n - i : step, 1000,
			       on_line, l);
	guest_log_end(&g, 1000, on_line, l);
}

static void lines_torn_and_cleaned(void **state)
{
	static const char in[] = "one\n\ntwo\r\nb\x1b[31mad\tx\x01\x7f\n"
				 "\xc3\xa9\xe2\x82\xac \xff\xc2\x9b \xc3\nlast";
	static const char want[] = "one\ntwo\nb?[31mad x??\n"
				   "\xc3\xa9\xe2\x82\xac ??? ?\nlast\n";

	(void)state;
	for (size_t step = 1; step < sizeof(in); step++) {
		struct lines l = {0};
		lines_of(&l, in, sizeof(in) - 1, step);
		assert_string_equal(l.text.p, want);
		buf_free(&l.text);
	}
}

static void long_line_is_cut(void **state)
{
	char in[5000];
	struct lines l = {0};

	(void)state;
	memset(in, 'x', sizeof(in));
	memcpy(in + 4000, "\nnext\n", 6);
	lines_of(&l, in, 4006, 7);
	assert_int_equal(l.n, 2);
	assert_int_equal(l.text.len, GUEST_LINE_MAX + 1 + 5);
	assert_string_equal(l.text.p + GUEST_LINE_MAX, "\nnext\n");
	buf_free(&l.text);
}

static void rate_is_capped_and_said(void **state)
{
	struct guest_log g = {0};
	struct lines l = {0};

	(void)state;
	for (int i = 0; i < 10000; i++)
		guest_log_feed(&g, (const uint8_t *)"x\n", 2, 5000, on_line, &l);
	assert_int_equal(l.n, GUEST_LINES_BURST);
	buf_reset(&l.text);
	guest_log_feed(&g, (const uint8_t *)"y\n", 2, 6000, on_line, &l);
	assert_string_equal(l.text.p, "door: 9800 lines dropped\ny\n");
	for (int i = 0; i < 1000; i++)
		guest_log_feed(&g, (const uint8_t *)"x\n", 2, 6000, on_line, &l);
	assert_int_equal(l.n, GUEST_LINES_BURST + 2 + GUEST_LINES_PER_SEC - 1);
	buf_free(&l.text);
}

static void receiver_can_stop(void **state)
{
	struct lines l = {.stop_at = 2};
	struct guest_log g = {0};

	(void)state;
	guest_log_feed(&g, (const uint8_t *)"a\nb\nc\n", 6, 0, on_line, &l);
	assert_string_equal(l.text.p, "a\nb\n");
	buf_free(&l.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(torn_anywhere),	   cmocka_unit_test(bad_heads),
		cmocka_unit_test(lines_torn_and_cleaned),  cmocka_unit_test(long_line_is_cut),
		cmocka_unit_test(rate_is_capped_and_said), cmocka_unit_test(receiver_can_stop),
	};

	return cmocka_run_group_tests_name("door_frames", tests, NULL, NULL);
}
