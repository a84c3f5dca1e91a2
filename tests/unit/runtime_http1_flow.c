// SPDX-License-Identifier: Apache-2.0
/* The HTTP/1.1 server's flow: one request at a time, credit, back-pressure, early ends. */
#include "http1_user.h"

/* The second request is neither read nor credited while the first one is being answered. */
static void one_at_a_time(void **state maybe_unused)
{
	static const char one[] = "GET /1 HTTP/1.1\r\n" HEAD "\r\n",
			  two[] = "GET /2 HTTP/1.1\r\n" HEAD "\r\n";
	struct user u;

	start(&u);
	u.hold = true;
	mem_gives(&u.m, one);
	mem_gives(&u.m, two);
	assert_int_equal(u.requests, 1);
	assert_int_equal(u.m.credited, sizeof(one) - 1);
	http1_reply(u.c, 200, NULL, NULL, 0);
	assert_int_equal(u.requests, 2);
	assert_int_equal(u.m.credited, u.m.given);
	stop(&u);
	assert_int_equal(u.gones, 1);
}

static void credit_follows_the_user(void **state maybe_unused)
{
	struct user u;

	start(&u);
	u.hoard = u.hold = true;
	mem_gives(&u.m, "POST / HTTP/1.1\r\n" HEAD "Content-Length: 100\r\n\r\n");
	assert_int_equal(u.m.credited, u.m.given);
	mem_gives(&u.m, "0123456789");
	assert_int_equal(u.m.credited, u.m.given - 10);
	http1_consumed(u.c, 4);
	assert_int_equal(u.m.credited, u.m.given - 6);
	http1_reply(u.c, 200, NULL, NULL, 0); /* the rest is nobody's: credited at once */
	assert_int_equal(u.m.credited, u.m.given);
	for (int i = 0; i < 9; i++)
		mem_gives(&u.m, "0123456789");
	u.hold = false;
	mem_gives(&u.m, "GET /2 HTTP/1.1\r\n" HEAD "\r\n");
	assert_int_equal(u.requests, 2);
	assert_int_equal(u.m.credited, u.m.given);
	stop(&u);
}

/* The library's limit on a head must not count the framing of a long body. */
static void many_chunks(void **state maybe_unused)
{
	struct user u;

	start(&u);
	mem_gives(&u.m, "POST / HTTP/1.1\r\n" HEAD "Transfer-Encoding: chunked\r\n\r\n");
	for (int i = 0; i < 50000; i++)
		mem_gives(&u.m, "1;ext\r\nx\r\n");
	mem_gives(&u.m, "0\r\n\r\n");
	assert_int_equal(u.body, 50000);
	assert_string_equal(u.m.out.p, OK_ANSWER);
	assert_int_equal(u.m.credited, u.m.given);
	stop(&u);
}

static void early_answers(void **state maybe_unused)
{
	struct user u;

	start(&u);
	u.at_once = true;
	mem_gives(&u.m, "POST / HTTP/1.1\r\n" HEAD "Content-Length: 10\r\n\r\n01234");
	assert_true(str_starts(u.m.out.p, "HTTP/1.1 404 Not Found\r\n"));
	mem_gives(&u.m, "56789GET / HTTP/1.1\r\n" HEAD "\r\n");
	assert_int_equal(u.requests, 2);
	assert_int_equal(u.m.credited, u.m.given);
	stop(&u);

	start(&u);
	u.finish_after = 5;
	u.hoard = true;
	mem_gives(&u.m,
		  "POST / HTTP/1.1\r\n" HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n");
	mem_gives(&u.m, "3\r\nabc\r\n0\r\n\r\n");
	assert_true(str_starts(u.m.out.p, "HTTP/1.1 413 "));
	assert_int_equal(u.ends, 0);
	assert_int_equal(u.m.credited, u.m.given);
	stop(&u);
	assert_int_equal(u.gones, 0);
}

static void expect_continue(void **state maybe_unused)
{
	struct user u;

	start(&u);
	mem_gives(&u.m,
		  "POST / HTTP/1.1\r\n" HEAD "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\n");
	assert_string_equal(u.m.out.p, "HTTP/1.1 100 Continue\r\n\r\n");
	mem_gives(&u.m, "x");
	assert_string_equal(u.m.out.p, "HTTP/1.1 100 Continue\r\n\r\n" OK_ANSWER);
	stop(&u);

	start(&u); /* refused before the body was sent: no 100 */
	u.at_once = true;
	mem_gives(&u.m,
		  "POST / HTTP/1.1\r\n" HEAD "Expect: 100-continue\r\nContent-Length: 1\r\n\r\n");
	assert_true(str_starts(u.m.out.p, "HTTP/1.1 404 "));
	stop(&u);
}

static void chunked_and_head(void **state maybe_unused)
{
	static const struct http_header h = {"X-A", "b"};
	struct user u;

	start(&u);
	u.hold = true;
	mem_gives(&u.m, "GET / HTTP/1.1\r\n" HEAD "Connection: close\r\n\r\n");
	assert_int_equal(http1_respond(u.c, 200, &h, 1, -1), 0);
	assert_int_equal(http1_write(u.c, "hello", 5), 0);
	assert_int_equal(http1_write(u.c, "", 0), 0);
	assert_int_equal(http1_write(u.c, "0123456789abcdef", 16), 0);
	assert_false(u.m.finished);
	http1_finish(u.c);
	assert_string_equal(u.m.out.p,
			    "HTTP/1.1 200 OK\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n"
			    "Connection: close\r\n\r\n5\r\nhello\r\n10\r\n0123456789abcdef"
			    "\r\n0\r\n\r\n");
	assert_true(u.m.finished);
	stop(&u);

	start(&u);
	mem_gives(&u.m, "HEAD / HTTP/1.1\r\n" HEAD "\r\n");
	assert_string_equal(
		u.m.out.p,
		"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n");
	stop(&u);
}

static void back_pressure(void **state maybe_unused)
{
	static char piece[4096];
	struct user u;
	size_t sent = 0;

	start(&u);
	u.hold = u.m.stuck = true;
	mem_gives(&u.m, "GET / HTTP/1.1\r\n" HEAD "\r\n");
	assert_int_equal(http1_respond(u.c, 200, NULL, 0, 1 << 20), 0);
	while (!http1_full(u.c)) {
		assert_int_equal(http1_write(u.c, piece, sizeof(piece)), 0);
		sent += sizeof(piece);
	}
	assert_in_range(sent, 65536 - 8192, 65536 + 8192);
	assert_int_equal(u.drains, 0);
	mem_drain(&u.m);
	assert_int_equal(u.drains, 1);
	while (sent < 1 << 20) { /* an impolite writer: queued above, in order */
		assert_int_equal(http1_write(u.c, piece, sizeof(piece)), 0);
		sent += sizeof(piece);
	}
	http1_finish(u.c);
	assert_true(u.m.out.len < 300000);
	for (int i = 0; i < 100 && u.m.pending; i++)
		mem_drain(&u.m);
	assert_true(u.m.out.len > 1 << 20);
	mem_gives(&u.m, "GET /2 HTTP/1.1\r\n" HEAD "\r\n");
	assert_int_equal(u.requests, 2);
	stop(&u);
}

/* A writer that fills it up inside drained is told again. */
static void refill_in_drained(void **state maybe_unused)
{
	struct user u;

	start(&u);
	u.hold = u.m.stuck = true;
	u.refills = 50000;
	mem_gives(&u.m, "GET / HTTP/1.1\r\n" HEAD "\r\n");
	assert_int_equal(http1_respond(u.c, 200, NULL, 0, 1 << 20), 0);
	while (!http1_full(u.c))
		assert_int_equal(http1_write(u.c, "0123456789", 10), 0);
	for (int i = 0; i < 20 && u.refills; i++)
		mem_drain(&u.m);
	assert_int_equal(u.refills, 0);
	assert_in_range(u.drains, 7, 10);
	stop(&u);
}

static void nobody_reads(void **state maybe_unused)
{
	static char piece[65536];
	struct user u;
	int rc = 0, n = 0;

	start(&u);
	u.hold = u.m.stuck = true;
	mem_gives(&u.m, "GET / HTTP/1.1\r\n" HEAD "\r\n");
	assert_int_equal(http1_respond(u.c, 200, NULL, 0, -1), 0);
	while (rc == 0 && n++ < 1000)
		rc = http1_write(u.c, piece, sizeof(piece));
	assert_int_equal(rc, -1);
	assert_in_range(n, 120, 135); /* 8 MiB */
	assert_true(u.m.reset);
	assert_int_equal(u.gones, 1);
	stop(&u);
}

static void ends(void **state maybe_unused)
{
	struct user u;

	start(&u); /* the client hangs up in the middle of an answer */
	u.hold = true;
	mem_gives(&u.m, "GET / HTTP/1.1\r\n" HEAD "\r\n");
	mem_eof(&u.m);
	assert_int_equal(u.gones, 1);
	assert_true(u.m.reset);
	stop(&u);

	start(&u); /* between two requests */
	mem_gives(&u.m, "GET / HTTP/1.1\r\n" HEAD "\r\n");
	mem_eof(&u.m);
	assert_true(u.m.finished);
	assert_false(u.m.reset);
	stop(&u);
	assert_int_equal(u.gones, 0);

	start(&u); /* in a head */
	mem_gives(&u.m, "GET / HT");
	mem_eof(&u.m);
	assert_true(u.m.reset);
	stop(&u);

	start(&u); /* aborted by the handler, inside its own call */
	u.abort_after = 1;
	mem_gives(&u.m, "POST / HTTP/1.1\r\n" HEAD "Content-Length: 10\r\n\r\n01234");
	assert_int_equal(u.gones, 1);
	assert_int_equal(u.closed, 1);
	stop(&u);

	start(&u); /* endless input after our last answer is cut off */
	mem_gives(&u.m, "BAD\r\n\r\n");
	for (int i = 0; i < 9000 && !u.m.reset; i++)
		mem_gives(&u.m, "0123456789");
	assert_true(u.m.reset);
	stop(&u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_at_a_time),   cmocka_unit_test(credit_follows_the_user),
		cmocka_unit_test(many_chunks),	   cmocka_unit_test(early_answers),
		cmocka_unit_test(expect_continue), cmocka_unit_test(chunked_and_head),
		cmocka_unit_test(back_pressure),   cmocka_unit_test(refill_in_drained),
		cmocka_unit_test(nobody_reads),	   cmocka_unit_test(ends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
