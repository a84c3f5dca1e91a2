// SPDX-License-Identifier: Apache-2.0
/*
 * The HTTP client: what goes over the wire, heads and bodies, connection reuse, unix sockets, each
 * class of error, whole-response fetches.
 */
#include "runtime_server.h"

struct world {
	struct fix *f;
	struct srv s;
	struct http_client *c;
	struct rec r;
};

static void open_world(struct world *w, void **state)
{
	w->f = *state;
	srv_start(&w->s, w->f, NULL);
	w->c = http_client_new(w->f->l, NULL);
	rec_init(&w->r, w->f, w->c);
}

static void next_call(struct world *w)
{
	rec_free(&w->r);
	rec_init(&w->r, w->f, w->c);
}

static void close_world(struct world *w)
{
	rec_free(&w->r);
	http_client_free(w->c);
	srv_end(&w->s);
}

static void head_and_body(void **state)
{
	struct world w;

	open_world(&w, state);
	rec_get(&w.r, "http", w.s.port, "/plain", NULL);
	assert_false(w.r.failed);
	assert_int_equal(w.r.status, 200);
	assert_string_equal(w.r.headers.p, "x-thing=A b;content-length=5;");
	assert_string_equal(w.r.body.p, "hello");

	next_call(&w);
	rec_get(&w.r, "http", w.s.port, "/empty", NULL);
	assert_int_equal(w.r.status, 204);
	assert_int_equal(w.r.body.len, 0);
	assert_false(w.r.failed);

	next_call(&w);
	rec_get(&w.r, "http", w.s.port, "/plain", &(struct http_spec){.method = "HEAD"});
	assert_true(w.r.status == 200 && w.r.got == 0 && !w.r.failed);
	close_world(&w);
}

static void interim_heads_and_trailers_are_passed_over(void **state)
{
	struct world w;

	open_world(&w, state);
	rec_get(&w.r, "http", w.s.port, "/interim", NULL);
	assert_false(w.r.failed);
	assert_int_equal(w.r.heads, 1);
	assert_int_equal(w.r.status, 201);
	assert_string_equal(w.r.headers.p, "a=1;a=2;transfer-encoding=chunked;");
	assert_string_equal(w.r.body.p, "ok");
	close_world(&w);
}

static void sends_what_the_spec_says_and_no_more(void **state)
{
	const struct http_header h[] = {{"x-a", "b"}, {"x-empty", ""}};
	struct world w;
	_cleanup_free_ char *want = NULL;

	setenv("http_proxy", "http://127.0.0.1:1/", 1);
	setenv("all_proxy", "http://127.0.0.1:1/", 1);
	open_world(&w, state);
	rec_get(&w.r, "http", w.s.port, "/echo",
		&(struct http_spec){.method = "POST",
				    .headers = h,
				    .n_headers = 2,
				    .body = "abc",
				    .body_len = 3});
	assert_false(w.r.failed);
	want = xasprintf("POST /echo HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nx-a: b\r\nx-empty:\r\n"
			 "Content-Length: 3\r\n\r\nabc",
			 w.s.port);
	assert_string_equal(w.r.body.p, want);

	next_call(&w);
	rec_get(&w.r, "http", w.s.port, "/plain?a=../b%20c", &(struct http_spec){.idle_ms = 30});
	assert_non_null(strstr(w.s.last.p, "GET /plain?a=../b%20c HTTP/1.1\r\n"));
	next_call(&w);
	rec_get(&w.r, "http", w.s.port, "/x/../echo", &(struct http_spec){.idle_ms = 30});
	assert_non_null(strstr(w.s.last.p, "GET /x/../echo HTTP/1.1\r\n"));
	next_call(&w);
	rec_get(&w.r, "http", w.s.port, "/echo", &(struct http_spec){.method = "POST"});
	assert_non_null(strstr(w.r.body.p, "Content-Length: 0\r\n"));
	next_call(&w);
	rec_get(&w.r, "http", w.s.port, "/echo", &(struct http_spec){.method = "DELETE"});
	assert_true(str_starts(w.r.body.p, "DELETE /echo HTTP/1.1\r\nHost: "));
	assert_null(strstr(w.r.body.p, "Content-"));
	close_world(&w);
	unsetenv("http_proxy");
	unsetenv("all_proxy");
}

static void large_body_is_sent_without_waiting(void **state)
{
	struct world w;
	size_t n = 3 << 20;
	_cleanup_free_ char *body = xmalloc(n);

	open_world(&w, state);
	memset(body, 'q', n);
	rec_get(&w.r, "http", w.s.port, "/plain",
		&(struct http_spec){.method = "POST", .body = body, .body_len = n});
	assert_false(w.r.failed);
	assert_null(strstr(w.s.last.p, "Expect"));
	assert_int_equal(w.s.last.len,
			 n + (size_t)(strstr(w.s.last.p, "\r\n\r\n") + 4 - w.s.last.p));
	close_world(&w);
}

static void redirects_are_not_followed(void **state)
{
	struct world w;

	open_world(&w, state);
	rec_get(&w.r, "http", w.s.port, "/redirect", NULL);
	assert_int_equal(w.r.status, 302);
	assert_non_null(strstr(w.r.headers.p, "location=/plain;"));
	close_world(&w);
}

static void connections_are_kept_and_capped(void **state)
{
	struct world w;
	struct rec many[40];
	_cleanup_free_ char *url = NULL;
	int left = (int)ARRAY_LEN(many);

	open_world(&w, state);
	rec_get(&w.r, "http", w.s.port, "/plain", NULL);
	next_call(&w);
	rec_get(&w.r, "http", w.s.port, "/plain", NULL);
	assert_int_equal(w.s.accepted, 1);

	http_client_free(w.c);
	w.c = http_client_new(w.f->l, &(struct http_client_opts){.max_host_conns = 3});
	w.s.accepted = 0;
	url = xasprintf("http://127.0.0.1:%d/plain", w.s.port);
	for (size_t i = 0; i < ARRAY_LEN(many); i++) {
		rec_init(&many[i], w.f, w.c);
		rec_start(&many[i], &(struct http_spec){.method = "GET", .url = url});
	}
	while (left > 0) {
		loop_run(w.f->l);
		left = 0;
		for (size_t i = 0; i < ARRAY_LEN(many); i++)
			left += many[i].dones == 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(many); i++) {
		assert_false(many[i].failed);
		assert_string_equal(many[i].body.p, "hello");
		rec_free(&many[i]);
	}
	assert_int_equal(w.s.accepted, 3);
	close_world(&w);
}

/* libcurl would say it again by itself on a fresh connection: a message would be doubled and nobody could know. */
static void a_body_is_never_sent_twice(void **state)
{
	struct world w;
	_cleanup_free_ char *url = NULL;

	open_world(&w, state);
	rec_get(&w.r, "http", w.s.port, "/plain", NULL); /* the connection is kept */
	next_call(&w);
	w.s.requests = 0;
	url = xasprintf("http://127.0.0.1:%d/gone", w.s.port);
	rec_start(&w.r,
		  &(struct http_spec){.method = "POST", .url = url, .body = "once", .body_len = 4});
	while (!w.r.dones)
		loop_run(w.f->l);
	assert_true(w.r.failed);
	assert_int_equal(w.r.why.code, E_TEMP);
	assert_int_equal(w.s.requests, 1);
	close_world(&w);
}

static void unix_socket(void **state)
{
	struct fix *f = *state;
	_cleanup_free_ char *path = xasprintf("%s/http.sock", f->dir);
	struct srv s;
	struct rec r;
	struct http_client *c =
		http_client_new(f->l, &(struct http_client_opts){.unix_socket = path});

	srv_start(&s, f, path);
	rec_init(&r, f, c);
	rec_start(&r, &(struct http_spec){.method = "GET", .url = "http://engine/plain"});
	loop_run(f->l);
	assert_string_equal(r.body.p, "hello");
	assert_non_null(strstr(s.last.p, "Host: engine\r\n"));
	rec_free(&r);
	srv_end(&s);

	rec_init(&r, f, c);
	rec_start(&r, &(struct http_spec){.method = "GET", .url = "http://engine/plain"});
	loop_run(f->l);
	assert_true(r.failed);
	assert_error_is(&r.why, E_TEMP, path);
	rec_free(&r);
	http_client_free(c);
}

static void broken_responses(void **state)
{
	static const struct {
		const char *path;
		enum err_code code;
	} table[] = {
		{"/short", E_TEMP},    {"/gone", E_TEMP},     {"/garbage", E_PROTO},
		{"/badchunk", E_TEMP}, {"/bighead", E_PROTO},
	};
	struct world w;

	open_world(&w, state);
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		next_call(&w);
		rec_get(&w.r, "http", w.s.port, table[i].path,
			&(struct http_spec){.max_head = 1000});
		assert_int_equal(w.r.dones, 1);
		assert_true(w.r.failed);
		assert_error_is(&w.r.why, table[i].code, "127.0.0.1: ");
	}
	close_world(&w);
}

static void refused_connection(void **state)
{
	struct world w;
	int port;

	open_world(&w, state);
	port = w.s.port;
	listener_free(w.s.s);
	w.s.s = NULL;
	rec_get(&w.r, "http", port, "/plain", NULL);
	assert_true(w.r.failed);
	assert_error_is(&w.r.why, E_TEMP, "127.0.0.1");
	close_world(&w);
}

static void bad_specs(void **state)
{
	static const struct http_header cl = {"Content-Length", "3"}, nl = {"a", "b\r\nc: d"},
					sp = {"a b", "c"}, te = {"transfer-encoding", "chunked"};
	static const struct {
		struct http_spec s;
		const char *text;
	} table[] = {
		{{.method = "GET", .url = "ftp://h/"}, "scheme"},
		{{.method = "GET", .url = "gopher://h/"}, "scheme"},
		{{.method = "GET", .url = "http://user:pass@h/"}, "user name"},
		{{.method = "GET", .url = "http://h/a b"}, "malformed"},
		{{.method = "GET", .url = "http://h/\r\nx"}, "malformed"},
		{{.method = "GET", .url = "file:///etc/passwd"}, "malformed"},
		{{.method = "GET", .url = ""}, "malformed"},
		{{.method = "GET", .url = NULL}, "malformed"},
		{{.method = "GET /x", .url = "http://h/"}, "method"},
		{{.method = "GET", .url = "http://h/", .headers = &cl, .n_headers = 1},
		 "is set by"},
		{{.method = "GET", .url = "http://h/", .headers = &te, .n_headers = 1},
		 "is set by"},
		{{.method = "GET", .url = "http://h/", .headers = &nl, .n_headers = 1},
		 "malformed"},
		{{.method = "GET", .url = "http://h/", .headers = &sp, .n_headers = 1},
		 "malformed"},
	};
	struct fix *f = *state;
	struct http_client *c = http_client_new(f->l, NULL);

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct err e = ERR_INIT;
		assert_null(http_start(c, &table[i].s, &rec_events, NULL, &e));
		assert_error_is(&e, E_INVAL, table[i].text);
		assert_null(strstr(e.msg, "pass@"));
	}
	http_client_free(c);
	http_client_free(NULL);
}

/* --- fetch --- */

struct fetched {
	struct fix *f;
	struct http_client *c;
	int calls, status;
	char text[64];
	struct err why;
	bool free_client;
};

static void on_fetched(void *ctx, int status, const char *body, size_t n, const struct err *why)
{
	struct fetched *x = ctx;

	x->calls++;
	x->status = status;
	assert_int_equal(strlen(body), n);
	snprintf(x->text, sizeof(x->text), "%s", body);
	if (why)
		x->why = *why;
	if (x->free_client) {
		http_client_free(x->c);
		x->c = NULL;
	}
	loop_stop(x->f->l);
}

static void fetch_whole(void **state)
{
	struct world w;
	struct fetched x = {.f = *state};
	struct err e = ERR_INIT;
	_cleanup_free_ char *url = NULL;
	_cleanup_free_ char *empty = NULL;
	_cleanup_free_ char *big = NULL;

	open_world(&w, state);
	url = xasprintf("http://127.0.0.1:%d/plain", w.s.port);
	empty = xasprintf("http://127.0.0.1:%d/empty", w.s.port);
	big = xasprintf("http://127.0.0.1:%d/big", w.s.port);
	assert_non_null(http_fetch(w.c, &(struct http_spec){.method = "GET", .url = url}, 5,
				   on_fetched, &x, &e));
	loop_run(w.f->l);
	assert_true(x.status == 200 && !strcmp(x.text, "hello") && x.why.code == E_NONE);
	assert_non_null(http_fetch(w.c, &(struct http_spec){.method = "GET", .url = empty}, 5,
				   on_fetched, &x, &e));
	loop_run(w.f->l);
	assert_true(x.status == 204 && !strcmp(x.text, ""));
	/* Past its cap, and freed by its own call-back. */
	x.calls = 0;
	x.free_client = true;
	x.c = w.c;
	assert_non_null(http_fetch(w.c, &(struct http_spec){.method = "GET", .url = big}, 100000,
				   on_fetched, &x, &e));
	loop_run(w.f->l);
	assert_true(x.status == 0 && x.calls == 1);
	assert_error_is(&x.why, E_LIMIT, "larger than 100000 bytes");
	w.c = NULL;
	close_world(&w);
}

static void fetch_cancelled(void **state)
{
	struct world w;
	struct fetched x = {.f = *state};
	struct err e = ERR_INIT;
	struct http_call *call;
	_cleanup_free_ char *url = NULL;

	open_world(&w, state);
	url = xasprintf("http://127.0.0.1:%d/hang", w.s.port);
	call = http_fetch(w.c, &(struct http_spec){.method = "GET", .url = url}, 5, on_fetched, &x,
			  &e);
	w.s.stop_on_request = w.s.stop_on_close = true;
	loop_run(w.f->l);
	http_cancel(call);
	loop_run(w.f->l); /* until the server sees the connection end */
	assert_int_equal(x.calls, 0);
	assert_int_equal(w.s.live, 0);
	close_world(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIX_TEST(head_and_body),
		FIX_TEST(interim_heads_and_trailers_are_passed_over),
		FIX_TEST(sends_what_the_spec_says_and_no_more),
		FIX_TEST(large_body_is_sent_without_waiting),
		FIX_TEST(redirects_are_not_followed),
		FIX_TEST(connections_are_kept_and_capped),
		FIX_TEST(a_body_is_never_sent_twice),
		FIX_TEST(unix_socket),
		FIX_TEST(broken_responses),
		FIX_TEST(refused_connection),
		FIX_TEST(bad_specs),
		FIX_TEST(fetch_whole),
		FIX_TEST(fetch_cancelled),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
