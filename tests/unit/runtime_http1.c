// SPDX-License-Identifier: Apache-2.0
/* The HTTP/1.1 server: framing torn at each byte, what is refused, flow control both ways, ends. */
#include "mem_duplex.h"
#include "base/str.h"
#include "runtime/http1.h"

/* A user of the connection that notes each up-call in `log`. */
struct user {
	struct mem m;
	struct http1 *c;
	struct buf log;
	int closed, gones, ends, drains, refusals, requests;
	bool hold;	  /* do not answer at the end of the request */
	bool hoard;	  /* do not credit the body */
	bool at_once;	  /* answer in the request call */
	int finish_after; /* answer after so many body bytes */
	int abort_after;
	int refills; /* ten bytes each, written in drained until it is full */
	size_t body;
};

static void on_body(void *x, const uint8_t *p, size_t n)
{
	struct user *u = x;

	buf_put(&u->log, p, n);
	u->body += n;
	if (!u->hoard)
		http1_consumed(u->c, n);
	if (u->abort_after && u->body >= (size_t)u->abort_after)
		http1_abort(u->c);
	else if (u->finish_after && u->body >= (size_t)u->finish_after)
		http1_reply(u->c, 413, NULL, NULL, 0);
}

static void on_end(void *x)
{
	struct user *u = x;

	u->ends++;
	buf_puts(&u->log, "|");
	if (!u->hold)
		http1_reply(u->c, 200, "text/plain", "ok", 2);
}

static void on_drained(void *x)
{
	struct user *u = x;

	u->drains++;
	while (u->refills > 0 && !http1_full(u->c)) {
		u->refills--;
		assert_int_equal(http1_write(u->c, "0123456789", 10), 0);
	}
}

static void on_gone(void *x)
{
	((struct user *)x)->gones++;
}

static const struct http1_handler *on_request(void *ctx, struct http1 *c, const struct http1_req *r,
					      void **x)
{
	static const struct http1_handler h = {on_body, on_end, on_drained, on_gone};
	struct user *u = ctx;

	u->requests++;
	u->body = 0;
	buf_putf(&u->log, "%s %s?%s %lld", r->method, r->path, r->query, (long long)r->length);
	for (size_t i = 0; i < r->n_headers; i++)
		buf_putf(&u->log, " %s=%s", r->headers[i].name, r->headers[i].value);
	buf_puts(&u->log, ">");
	if (u->at_once) {
		http1_reply(c, 404, "text/plain", "no", 2);
		return NULL;
	}
	*x = u;
	return &h;
}

static void on_refused(void *ctx, const char *what, const char *why)
{
	struct user *u = ctx;

	u->refusals++;
	buf_putf(&u->log, "!%s: %s!", what, why);
}

static void on_closed(void *ctx, struct http1 *c)
{
	struct user *u = ctx;

	assert_ptr_equal(c, u->c);
	u->closed++;
}

static const struct http1_events events = {on_request, on_refused, on_closed};

static void start(struct user *u)
{
	memset(u, 0, sizeof(*u));
	mem_init(&u->m);
	u->c = http1_new(&u->m.d, &events, u);
}

static void stop(struct user *u)
{
	mem_close(&u->m);
	assert_int_equal(u->closed, 1);
	buf_free(&u->log);
}

#define HEAD "Host: localhost:2435\r\n"
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
#define OK_ANSWER "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"

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
		cmocka_unit_test(torn),
		cmocka_unit_test(refused),
		cmocka_unit_test(refused_text_is_clean),
		cmocka_unit_test(broken_body),
		cmocka_unit_test(long_heads),
		cmocka_unit_test(one_at_a_time),
		cmocka_unit_test(credit_follows_the_user),
		cmocka_unit_test(many_chunks),
		cmocka_unit_test(early_answers),
		cmocka_unit_test(expect_continue),
		cmocka_unit_test(chunked_and_head),
		cmocka_unit_test(back_pressure),
		cmocka_unit_test(refill_in_drained),
		cmocka_unit_test(nobody_reads),
		cmocka_unit_test(ends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
