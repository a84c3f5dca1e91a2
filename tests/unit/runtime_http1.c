// SPDX-License-Identifier: Apache-2.0
/* The HTTP/1.1 server's reading: framing torn at each byte, and what is refused. */
#include "http1_user.h"

#define THREE                                                                                      \
	"POST /a?x=1 HTTP/1.1\r\n" HEAD                                                            \
	"Content-Length: 5\r\nX-Empty:\r\nX-Two:  b \t\r\n\r\nhello"                               \
	"POST /b HTTP/1.1\r\n" HEAD "Transfer-Encoding: chunked\r\n\r\n"                           \
	"3;ext=1\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"                                                 \
	"\r\nGET /c HTTP/1.1\r\nHOST: 127.0.0.1\r\n\r\n"
#define THREE_LOG                                                                                  \
	"POST /a?x=1 5 host=localhost:2435 content-length=5 x-empty= x-two=b>hello|"               \
	"POST /b? -1 host=localhost:2435 transfer-encoding=chunked>abcdefg|"                       \
	"GET /c? 0 host=127.0.0.1>|"

static void check_three(struct user *u)
{
	assert_string_equal(u->log.p, THREE_LOG);
	assert_string_equal(u->m.out.p, OK_ANSWER OK_ANSWER OK_ANSWER);
	assert_int_equal(u->m.credited, u->m.given);
	assert_int_equal(u->gones, 0);
	stop(u);
}

static void torn(void **state maybe_unused)
{
	static const char text[] = THREE;
	struct user u;

	for (size_t cut = 0; cut < sizeof(text); cut++) {
		start(&u);
		mem_give(&u.m, text, cut);
		mem_give(&u.m, text + cut, sizeof(text) - 1 - cut);
		check_three(&u);
	}
	start(&u);
	for (size_t i = 0; i < sizeof(text) - 1; i++)
		mem_give(&u.m, text + i, 1);
	check_three(&u);
}

static void refused(void **state maybe_unused)
{
	static const struct {
		const char *text;
		int status;
	} t[] = {
		{"GET / HTTP/1.0\r\n" HEAD "\r\n", 505},
		{"GET / HTTP/2.0\r\n" HEAD "\r\n", 505},
		{"GET /\r\n\r\n", 505}, /* HTTP/0.9 */
		{"GET / HTTP/1.1\r\n\r\n", 403},
		{"GET / HTTP/1.1\r\nHost: evil.example.com\r\n\r\n", 403},
		{"GET / HTTP/1.1\r\nHost: localhost.evil.example\r\n\r\n", 403},
		{"GET / HTTP/1.1\r\nHost: localhost:x\r\n\r\n", 403},
		{"GET / HTTP/1.1\r\n" HEAD HEAD "\r\n", 400},
		{"GET http://localhost/ HTTP/1.1\r\n" HEAD "\r\n", 403},
		{"CONNECT localhost:443 HTTP/1.1\r\n" HEAD "\r\n", 403},
		{"OPTIONS * HTTP/1.1\r\n" HEAD "\r\n", 403},
		{"GET / HTTP/1.1\r\n" HEAD "A: b\r\n c\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n A: b\r\n" HEAD "\r\n", 400},
		{"GET / HTTP/1.1\r\n" HEAD "A : b\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n" HEAD ": b\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n" HEAD "nocolon\r\n\r\n", 400},
		{"GET / HTTP/1.1\n" HEAD "\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n" HEAD "A: b\rc\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n" HEAD "A: \x01\r\n\r\n", 400},
		{"POST / HTTP/1.1\r\n" HEAD "Content-Length: 3\r\nContent-Length: 3\r\n\r\n", 400},
		{"POST / HTTP/1.1\r\n" HEAD "Content-Length: +3\r\n\r\n", 400},
		{"POST / HTTP/1.1\r\n" HEAD "Content-Length: 3, 3\r\n\r\n", 400},
		{"POST / HTTP/1.1\r\n" HEAD "Content-Length: 99999999999999999999\r\n\r\n", 400},
		{"POST / HTTP/1.1\r\n" HEAD
		 "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
		 400},
		{"POST / HTTP/1.1\r\n" HEAD "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
		{"POST / HTTP/1.1\r\n" HEAD "Transfer-Encoding: identity\r\n\r\n", 400},
		{"POST / HTTP/1.1\r\n" HEAD "Expect: tea\r\n\r\n", 417},
		{"GET / HTTP/1.1\r\n" HEAD "Connection: upgrade\r\nUpgrade: h2c\r\n\r\n", 400},
		{"\x16\x03\x01\x02\x05\x01\r\n\r\n", 400},
	};
	struct user u;
	char want[32];

	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		start(&u);
		mem_gives(&u.m, t[i].text);
		snprintf(want, sizeof(want), "HTTP/1.1 %d ", t[i].status);
		if (!u.m.out.p || !str_starts(u.m.out.p, want))
			fail_msg("%s gave %s", t[i].text, u.m.out.p ? u.m.out.p : "nothing");
		assert_non_null(strstr(u.m.out.p, "Connection: close\r\n"));
		assert_true(u.m.finished);
		assert_int_equal(u.requests, 0);
		assert_int_equal(u.refusals, 1);
		assert_int_equal(u.m.credited, u.m.given);
		stop(&u);
	}
}

static void refused_text_is_clean(void **state maybe_unused)
{
	struct user u;

	start(&u);
	mem_gives(&u.m, "CONNECT evil\x80.example:443?secret HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_non_null(strstr(u.log.p, "!CONNECT evil..example:443: "));
	assert_null(strstr(u.log.p, "secret"));
	stop(&u);
}

static void broken_body(void **state maybe_unused)
{
	static const char *const t[] = {"zz\r\n", "3\r\nabcX\r\n",
					"3\r\nabc\r\n0\r\nTrailer: x\r\n\r\n",
					"fffffffffffffffff\r\n"};
	struct user u;

	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		start(&u);
		mem_gives(&u.m, "POST / HTTP/1.1\r\n" HEAD "Transfer-Encoding: chunked\r\n\r\n");
		mem_gives(&u.m, t[i]);
		assert_true(u.m.reset);
		assert_int_equal(u.gones, 1);
		assert_int_equal(u.refusals, 1);
		assert_int_equal(u.ends, 0);
		stop(&u);
	}
}

static void long_heads(void **state maybe_unused)
{
	struct user u;
	struct buf b = {0};

	start(&u); /* exactly 32 KiB is taken */
	buf_puts(&b, "GET / HTTP/1.1\r\n" HEAD "X: ");
	while (b.len < HTTP1_HEAD_MAX - 4)
		buf_puts(&b, "x");
	buf_puts(&b, "\r\n\r\n");
	mem_give(&u.m, b.p, b.len);
	assert_int_equal(u.requests, 1);
	stop(&u);

	start(&u); /* one byte more is not */
	b.p[b.len - 4] = 'x';
	mem_give(&u.m, b.p, b.len - 3);
	mem_gives(&u.m, "\r\n\r\n");
	assert_int_equal(u.requests, 0);
	assert_true(str_starts(u.m.out.p, "HTTP/1.1 431 "));
	stop(&u);

	for (int n = 99; n <= 101; n++) {
		start(&u);
		buf_reset(&b);
		buf_puts(&b, "GET / HTTP/1.1\r\n" HEAD);
		for (int i = 1; i < n; i++)
			buf_putf(&b, "A%d: b\r\n", i);
		buf_puts(&b, "\r\n");
		mem_give(&u.m, b.p, b.len);
		assert_true(str_starts(u.m.out.p, n <= 100 ? "HTTP/1.1 200 " : "HTTP/1.1 431 "));
		stop(&u);
	}
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(torn),
		cmocka_unit_test(refused),
		cmocka_unit_test(refused_text_is_clean),
		cmocka_unit_test(broken_body),
		cmocka_unit_test(long_heads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
