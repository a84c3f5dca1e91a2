// SPDX-License-Identifier: Apache-2.0
/* The proxy to the Messages API, against an upstream on the same loop: what passes, what does not. */
#include "gateway_rig.h"
#include "base/redact.h"
#include "runtime/conn.h"

#define KEY   "sk-test-key-0123456789"
#define DUMMY "dummy-from-the-sandbox"
#define BODY  "{\"model\":\"m\"}"
#define STREAM                                                                                     \
	"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
#define START                                                                                      \
	"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"m\","    \
	"\"usage\":{\"input_tokens\":5,\"output_tokens\":1}}}\n\n"

/* An upstream of one connection at a time that notes the request and says what the test says. */
struct up {
	struct rig r;
	struct listener *s;
	struct duplex *d;
	struct buf in;
	char url[64];
	int accepted, ended;
	bool hoard;
	struct secret key, oauth;
};

static struct up *up_of(struct rig *r)
{
	return container_of(r, struct up, r);
}

static void up_data(void *ctx, const uint8_t *p, size_t n)
{
	struct up *u = ctx;

	buf_put(&u->in, p, n);
	if (!u->hoard)
		duplex_consumed(u->d, n);
}

static void up_eof(void *ctx)
{
	struct up *u = ctx;

	u->ended++;
	duplex_finish(u->d);
}

static void up_closed(void *ctx, const struct err *why maybe_unused)
{
	struct up *u = ctx;

	u->d = NULL;
	u->ended++;
}

static void up_drained(void *ctx maybe_unused)
{
}

static void up_accept(void *ctx, int fd, uid_t uid maybe_unused)
{
	static const struct duplex_events ev = {up_data, up_eof, up_drained, up_closed};
	struct up *u = ctx;

	u->accepted++;
	if (u->d)
		duplex_reset(u->d);
	u->d = conn_new(u->r.f->l, "upstream", fd);
	u->d->ev = &ev;
	u->d->ctx = u;
}

static void say(struct up *u, const char *text)
{
	struct err e = ERR_INIT;

	assert_ok(duplex_write(u->d, text, strlen(text), &e), &e);
}

static void say_chunk(struct up *u, const char *text)
{
	_cleanup_free_ char *s = xasprintf("%zx\r\n%s\r\n", strlen(text), text);

	say(u, s);
}

static void up_start(struct up *u, void **state, bool oauth)
{
	struct fix *f = *state;
	struct err e = ERR_INIT;
	int port = 0;

	memset(u, 0, sizeof(*u));
	u->s = listener_tcp(f->l, "upstream", &port, up_accept, u, &e);
	assert_non_null(u->s);
	snprintf(u->url, sizeof(u->url), "http://127.0.0.1:%d/", port);
	assert_ok(secret_set(&u->key, "test_key", KEY, &e), &e);
	struct gateway_opts o = {.base_url = u->url};
	*(oauth ? &o.oauth : &o.key) = &u->key;
	rig_start(&u->r, f, o);
	/* No byte of the key may go inwards, in any test: see up_stop. */
}

static void up_stop(struct up *u)
{
	assert_null(strstr(rig_out(&u->r), KEY));
	rig_stop(&u->r);
	if (u->d)
		duplex_reset(u->d);
	listener_free(u->s);
	secret_free(&u->key);
	buf_free(&u->in);
}

static bool got_request(struct rig *r)
{
	struct up *u = up_of(r);
	const char *end = u->in.p ? strstr(u->in.p, "\r\n\r\n") : NULL;

	return end && (strstr(end, BODY) || str_starts(u->in.p, "GET ")) && u->d;
}

static void ask(struct up *u, const char *headers)
{
	buf_reset(&u->in);
	rig_ask(&u->r, "POST /v1/messages?beta=true", headers, BODY);
	rig_until(&u->r, got_request);
}

static int count(const char *hay, const char *needle)
{
	int n = 0;

	for (const char *p = strcasestr(hay, needle); p; p = strcasestr(p + 1, needle))
		n++;
	return n;
}

static void headers_up(void **state)
{
	struct up u;

	up_start(&u, state, false);
	ask(&u,
	    "X-Api-Key: " DUMMY "\r\nAuthorization: Bearer " DUMMY "\r\nCookie: a=" DUMMY "\r\n"
	    "Proxy-Authorization: " DUMMY "\r\nTE: trailers\r\nConnection: keep-alive, x-hop\r\n"
	    "X-Hop: " DUMMY "\r\nAccept-Encoding: gzip\r\nX-Forwarded-For: 1.2.3.4\r\n"
	    "Anthropic-Version: 2023-06-01\r\nAnthropic-Beta: b1\r\nanthropic-beta: b2\r\n"
	    "Content-Type: application/json\r\nUser-Agent: cc/1\r\nX-Stainless-Os: Linux\r\n"
	    "X-App: cli\r\nX-Claude-Code-Session-Id: s1\r\nAccept: application/json\r\n");
	assert_true(str_starts(u.in.p, "POST /v1/messages?beta=true HTTP/1.1\r\n"));
	assert_int_equal(count(u.in.p, "\r\nx-api-key: " KEY "\r\n"), 1);
	assert_int_equal(count(u.in.p, "x-api-key"), 1);
	assert_int_equal(count(u.in.p, "\r\nhost: 127.0.0.1:"), 1);
	assert_int_equal(count(u.in.p, "\r\ncontent-length: 13\r\n"), 1);
	static const char *const none[] = {DUMMY,     "authorization", "cookie",     "proxy-",
					   "\r\nte:", "x-hop",	       "gzip",	     "forwarded",
					   ":2435",   "expect:",       "connection:"};
	for (size_t i = 0; i < ARRAY_LEN(none); i++)
		if (strcasestr(u.in.p, none[i]))
			fail_msg("%s went up: %s", none[i], u.in.p);
	static const char *const some[] = {"anthropic-version: 2023-06-01",
					   "anthropic-beta: b1",
					   "anthropic-beta: b2",
					   "content-type: application/json",
					   "user-agent: cc/1",
					   "x-stainless-os: Linux",
					   "x-app: cli",
					   "x-claude-code-session-id: s1",
					   "accept: application/json"};
	for (size_t i = 0; i < ARRAY_LEN(some); i++)
		if (count(u.in.p, some[i]) != 1)
			fail_msg("%s did not go up: %s", some[i], u.in.p);
	up_stop(&u);
}

static void oauth(void **state)
{
	struct up u;

	up_start(&u, state, true);
	ask(&u, "Authorization: Bearer " DUMMY "\r\nx-api-key: " DUMMY "\r\n"
		"anthropic-beta: b1\r\nanthropic-beta: b2\r\n");
	assert_int_equal(count(u.in.p, "\r\nauthorization: Bearer " KEY "\r\n"), 1);
	assert_int_equal(count(u.in.p, "\r\nanthropic-beta: b1,b2,oauth-2025-04-20\r\n"), 1);
	assert_int_equal(count(u.in.p, "x-api-key"), 0);
	assert_null(strstr(u.in.p, DUMMY));
	rig_again(&u.r);
	ask(&u, "");
	assert_int_equal(count(u.in.p, "\r\nanthropic-beta: oauth-2025-04-20\r\n"), 1);
	rig_again(&u.r);
	ask(&u, "anthropic-beta: oauth-2025-04-20,b1\r\n");
	assert_int_equal(count(u.in.p, "\r\nanthropic-beta: oauth-2025-04-20,b1\r\n"), 1);
	up_stop(&u);
}

static bool got_start(struct rig *r)
{
	return strstr(rig_out(r), "message_start\"") != NULL;
}

static void streams(void **state)
{
	struct up u;

	up_start(&u, state, false);
	ask(&u, "");
	say(&u, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nSet-Cookie: a=b\r\n"
		"Request-Id: req_1\r\nServer: x\r\nAnthropic-Ratelimit-Tokens-Limit: 9\r\n"
		"Transfer-Encoding: chunked\r\n\r\n");
	say_chunk(&u, START);
	rig_until(&u.r, got_start); /* before the upstream has said anything more */
	assert_int_equal(u.r.usages, 0);
	assert_non_null(strcasestr(rig_out(&u.r), "request-id: req_1\r\n"));
	assert_non_null(strcasestr(rig_out(&u.r), "anthropic-ratelimit-tokens-limit: 9\r\n"));
	assert_null(strcasestr(rig_out(&u.r), "set-cookie"));
	assert_null(strcasestr(rig_out(&u.r), "server:"));
	say_chunk(&u, "event: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":"
		      "{\"output_tokens\":77}}\n\n");
	say(&u, "0\r\n\r\n");
	rig_until(&u.r, rig_answered);
	assert_int_equal(u.r.usages, 1);
	assert_int_equal(u.r.usage.status, 200);
	assert_int_equal(u.r.usage.input_tokens, 5);
	assert_int_equal(u.r.usage.output_tokens, 77);
	assert_string_equal(u.r.usage.model, "m");
	assert_true(u.r.usage.first_byte_us > 0);
	assert_false(u.r.usage.demo);
	assert_int_equal(u.r.m.credited, u.r.m.given);
	up_stop(&u);
	assert_int_equal(u.r.usages, 1);
}

static void whole_answers(void **state)
{
	static const char body[] =
		"{\"model\":\"m\",\"usage\":{\"input_tokens\":1,\"output_tokens\":2}}";
	_cleanup_free_ char *text =
		xasprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
			  "Content-Length: %zu\r\n\r\n%s",
			  strlen(body), body);
	struct up u;

	up_start(&u, state, false);
	ask(&u, "");
	say(&u, text);
	rig_until(&u.r, rig_answered);
	assert_non_null(strstr(rig_out(&u.r), body));
	assert_int_equal(u.r.usage.output_tokens, 2);
	buf_reset(&u.in);
	rig_ask(&u.r, "GET /v1/models?limit=10", "", "");
	rig_until(&u.r, got_request);
	assert_true(str_starts(u.in.p, "GET /v1/models?limit=10 HTTP/1.1\r\n"));
	say(&u, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
	rig_until(&u.r, rig_answered);
	assert_int_equal(u.r.usages, 1); /* a list of models uses no tokens */
	up_stop(&u);
}

static void errors_pass(void **state)
{
	static const char body[] = "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\","
				   "\"message\":\"slow down\"},\"request_id\":\"req_2\"}";
	_cleanup_free_ char *text =
		xasprintf("HTTP/1.1 429 Too Many Requests\r\nretry-after: 7\r\n"
			  "x-should-retry: true\r\nContent-Type: application/json\r\n"
			  "Content-Length: %zu\r\n\r\n%s",
			  strlen(body), body);
	struct up u;

	up_start(&u, state, false);
	ask(&u, "");
	say(&u, text);
	rig_until(&u.r, rig_answered);
	assert_true(str_starts(rig_out(&u.r), "HTTP/1.1 429 "));
	assert_non_null(strstr(rig_out(&u.r), "retry-after: 7\r\n"));
	assert_non_null(strstr(rig_out(&u.r), "x-should-retry: true\r\n"));
	assert_non_null(strstr(rig_out(&u.r), body));
	assert_int_equal(u.r.usage.status, 429);
	assert_int_equal(u.r.usages, 1);
	up_stop(&u);
}

static void upstream_is_not_there(void **state)
{
	struct up u;

	up_start(&u, state, false);
	listener_free(u.s); /* nobody listens there now */
	rig_ask(&u.r, "POST /v1/messages", "", BODY);
	rig_until(&u.r, rig_answered);
	assert_true(str_starts(rig_out(&u.r), "HTTP/1.1 502 "));
	assert_non_null(strstr(rig_out(&u.r),
			       "{\"type\":\"error\",\"error\":{\"type\":\"api_error\","
			       "\"message\":\"Chela's server got no answer from the "
			       "model API at 127.0.0.1:"));
	assert_non_null(strstr(rig_out(&u.r), "model.base_url"));
	assert_int_equal(u.r.usages, 1);
	assert_int_equal(u.r.usage.status, 502);
	struct err e = ERR_INIT;
	int port = 0;
	u.s = listener_tcp(u.r.f->l, "upstream", &port, up_accept, &u, &e);
	up_stop(&u);
}

static void redirects_end_here(void **state)
{
	struct up u;

	up_start(&u, state, false);
	ask(&u, "");
	say(&u, "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/\r\n"
		"Content-Length: 3\r\n\r\nabc");
	rig_until(&u.r, rig_answered);
	assert_true(str_starts(rig_out(&u.r), "HTTP/1.1 502 "));
	assert_non_null(strstr(rig_out(&u.r), "redirect, which is not followed"));
	assert_null(strcasestr(rig_out(&u.r), "location"));
	assert_int_equal(u.accepted, 1);
	up_stop(&u);
}

static bool was_reset(struct rig *r)
{
	return r->m.reset;
}

static bool upstream_ended(struct rig *r)
{
	return up_of(r)->ended > 0;
}

static void torn_stream(void **state)
{
	struct up u;

	up_start(&u, state, false);
	ask(&u, "");
	say(&u, STREAM);
	say_chunk(&u, START);
	rig_until(&u.r, got_start);
	duplex_reset(u.d);
	u.d = NULL;
	rig_until(&u.r, was_reset); /* no last chunk: the client must see that it is torn */
	assert_null(strstr(rig_out(&u.r), "\r\n0\r\n"));
	assert_int_equal(u.r.usages, 1);
	assert_int_equal(u.r.usage.input_tokens, 5);
	up_stop(&u);
	assert_int_equal(u.r.usages, 1);
}

static void client_leaves(void **state)
{
	struct up u;

	for (int way = 0; way < 3; way++) {
		up_start(&u, state, false);
		ask(&u, "");
		say(&u, STREAM);
		say_chunk(&u, START);
		rig_until(&u.r, got_start);
		if (way == 0)
			mem_eof(&u.r.m);
		else if (way == 1)
			mem_close(&u.r.m);
		else
			gateway_drop(u.r.g, &u.r);
		assert_int_equal(u.r.usages, 1); /* at once, and once */
		rig_until(&u.r, upstream_ended); /* the API is told to stop */
		up_stop(&u);
		assert_int_equal(u.r.usages, 1);
	}
}

static bool upload_stands(struct rig *r)
{
	return up_of(r)->in.len > 200000;
}

/* An upstream that takes nothing: the sandbox gets no credit for what lies here. */
static void slow_upstream(void **state)
{
	static char piece[4096];
	struct up u;
	size_t given = 0;

	up_start(&u, state, false);
	u.hoard = true;
	memset(piece, 'x', sizeof(piece));
	mem_gives(&u.r.m, "POST /v1/messages HTTP/1.1\r\nHost: localhost\r\n"
			  "Content-Length: 31457280\r\n\r\n");
	size_t head = u.r.m.given;
	assert_int_equal(u.r.m.credited, head);
	while (given < 30u << 20 &&
	       u.r.m.given - u.r.m.credited < 1u << 20) { /* the door's window */
		mem_give(&u.r.m, piece, sizeof(piece));
		given += sizeof(piece);
		if (given == 1u << 20)
			rig_until(&u.r, upload_stands);
	}
	assert_true(given < 12u << 20); /* stood still: kernel buffers and one window */
	mem_eof(&u.r.m);
	up_stop(&u);
	assert_int_equal(u.r.usages, 1);
}

static bool client_is_full(struct rig *r)
{
	return r->m.pending > r->m.d.high_water;
}

static bool upstream_drained(struct rig *r)
{
	return duplex_pending(up_of(r)->d) == 0;
}

/* A sandbox that reads nothing: the upstream is paused, and goes on later. */
static void slow_client(void **state)
{
	_cleanup_free_ char *piece = xcalloc(1, 16385);
	struct up u;

	memset(piece, 'z', 16384);
	up_start(&u, state, false);
	ask(&u, "");
	u.r.m.stuck = true;
	say(&u, STREAM);
	for (int i = 0; i < 200; i++) /* 3.2 MB lie in the upstream's queue */
		say_chunk(&u, piece);
	say(&u, "0\r\n\r\n");
	rig_until(&u.r, client_is_full);
	assert_true(u.r.m.out.len < 1 << 20);
	u.r.m.stuck = false;
	mem_drain(&u.r.m);
	rig_until(&u.r, upstream_drained);
	rig_until(&u.r, rig_answered);
	assert_true(u.r.m.out.len > 200 * 16384);
	up_stop(&u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIX_TEST(headers_up),
		FIX_TEST(oauth),
		FIX_TEST(streams),
		FIX_TEST(whole_answers),
		FIX_TEST(errors_pass),
		FIX_TEST(upstream_is_not_there),
		FIX_TEST(redirects_end_here),
		FIX_TEST(torn_stream),
		FIX_TEST(client_leaves),
		FIX_TEST(slow_upstream),
		FIX_TEST(slow_client),

	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
