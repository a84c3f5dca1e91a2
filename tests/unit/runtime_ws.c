// SPDX-License-Identifier: Apache-2.0
/*
 * The WebSocket client against a strict peer that misbehaves on demand: handshakes that are refused or wrong, frames, caps, closing
 * from either side, silence, back-pressure, and letting go at any moment.
 */
#include "runtime_ws_rig.h"

static const struct ws_spec plain = {0};

/* To the end, or to where the world says stop. */
static void rig_run(struct ws_world *w, const char *path, struct ws_spec s)
{
	rig_connect(w, "ws://127.0.0.1", path, s);
	loop_run(w->f->l);
}

static void say_hello(struct ws_world *w)
{
	struct err e = ERR_INIT;

	assert_ok(ws_send(w->w, "hello", 5, &e), &e);
	assert_ok(ws_send(w->w, "", 0, &e), &e);
	assert_ok(ws_send(w->w, "wörld", 6, &e), &e);
}

static void texts_both_ways_and_a_clean_close(void **state)
{
	struct ws_world w;

	rig_start(&w, state, NULL, NULL);
	w.stop_at_open = true;
	rig_run(&w, "/echo?a=b", plain);
	assert_int_equal(w.opens, 1);
	say_hello(&w);
	assert_int_equal(ws_backlog(w.w), 11);
	w.stop_at_texts = 3;
	loop_run(w.f->l);
	assert_string_equal(w.all.p, "hello;;wörld;");
	assert_int_equal(ws_backlog(w.w), 0);
	/* what is queued goes out before the close frame */
	w.stop_at_texts = 0;
	say_hello(&w);
	ws_close(w.w, 1001);
	assert_int_equal(w.closes, 0);
	loop_run(w.f->l);
	assert_int_equal(w.closes, 1);
	assert_int_equal(w.code, 1001);
	assert_int_equal(w.texts, 3); /* none after ws_close */
	rig_line(&w, "close 1001");
	rig_end(&w);
}

static void asks_with_our_headers_and_no_others(void **state)
{
	const struct http_header h[] = {{"x-token", "a b"}};
	struct ws_world w;

	rig_start(&w, state, NULL, NULL);
	w.stop_at_texts = 1;
	setenv("http_proxy", "127.0.0.1:1", 1);
	rig_run(&w, "/head?ticket=1%2F", (struct ws_spec){.headers = h, .n_headers = 1});
	unsetenv("http_proxy");
	assert_int_equal(w.texts, 1);
	assert_true(str_starts(w.all.p, "GET /head?ticket=1%2F HTTP/1.1\r\n"));
	assert_non_null(strstr(w.all.p, "\r\nx-token: a b\r\n"));
	assert_non_null(strstr(w.all.p, "\r\nHost: 127.0.0.1:"));
	assert_null(strstr(w.all.p, "Origin"));
	rig_end(&w);
}

static void name_with_several_addresses(void **state)
{
	struct ws_world w;

	rig_start(&w, state, NULL, NULL);
	w.stop_at_texts = 1;
	rig_connect(&w, "ws://localhost", "/together", plain); /* ::1 too, where nobody listens */
	loop_run(w.f->l);
	assert_int_equal(w.opens, 1);
	w.stop_at_texts = 0;
	if (w.texts < 2) {
		w.stop_at_texts = 2;
		loop_run(w.f->l);
	}
	assert_string_equal(w.all.p, "one;two;");
	rig_end(&w);
}

static void expect_refusal(struct ws_world *w, const char *path, enum err_code code,
			   const char *text)
{
	rig_run(w, path, plain);
	assert_int_equal(w->opens, 0);
	assert_int_equal(w->closes, 1);
	assert_int_equal(w->code, 0);
	assert_error_is(&w->why, code, text);
}

static void refused_upgrades(void **state)
{
	struct ws_world w;

	rig_start(&w, state, NULL, NULL);
	expect_refusal(&w, "/status?401", E_AUTH,
		       "127.0.0.1: the upgrade was answered with HTTP 401");
	expect_refusal(&w, "/status?403", E_AUTH, "HTTP 403");
	expect_refusal(&w, "/status?500", E_TEMP, "HTTP 500");
	expect_refusal(&w, "/status?302", E_TEMP, "HTTP 302"); /* and does not follow */
	expect_refusal(&w, "/status?200", E_TEMP, "HTTP 200");
	expect_refusal(&w, "/accept", E_PROTO, "no WebSocket answer");
	expect_refusal(&w, "/garbage", E_TEMP, "ended during the upgrade");
	rig_end(&w);
}

static void nobody_there(void **state)
{
	struct ws_world w;
	int port;

	rig_start(&w, state, NULL, NULL);
	port = w.port;
	w.port = 1;
	expect_refusal(&w, "/echo", E_TEMP, "127.0.0.1: ");
	rig_connect(&w, "ws://localhost", "/echo", plain);
	loop_run(w.f->l);
	assert_error_is(&w.why, E_TEMP, "localhost: ");
	w.port = port;
	rig_connect(&w, "ws://no-such-name.invalid", "/echo", plain);
	loop_run(w.f->l);
	assert_error_is(&w.why, E_TEMP, "cannot resolve no-such-name.invalid");
	/* the same client still works */
	w.stop_at_open = true;
	rig_run(&w, "/echo", plain);
	assert_int_equal(w.opens, 1);
	rig_end(&w);
}

static void mute_server_and_mute_handshake(void **state)
{
	struct ws_world w;
	int64_t t0;

	rig_start(&w, state, NULL, NULL);
	t0 = loop_now(w.f->l);
	rig_run(&w, "/mute", (struct ws_spec){.connect_ms = 100});
	assert_error_is(&w.why, E_TEMP, "127.0.0.1: ");
	assert_in_range(loop_now(w.f->l) - t0, 99, 5000);
	rig_end(&w);
}

static void frames_that_are_wrong(void **state)
{
	struct ws_world w;

	rig_start(&w, state, NULL, NULL);
	rig_run(&w, "/torn", plain);
	assert_true(w.opens == 1 && w.texts == 0 && w.code == 0);
	assert_error_is(&w.why, E_TEMP, "the connection broke");
	rig_run(&w, "/binary", plain);
	assert_error_is(&w.why, E_PROTO, "binary");
	rig_line(&w, "close 1003");
	rig_run(&w, "/utf8", plain);
	assert_error_is(&w.why, E_PROTO, "UTF-8");
	rig_line(&w, "close 1007");
	rig_run(&w, "/rsv", plain);
	assert_true(w.texts == 0 && w.closes == 1 && w.code == 0);
	rig_run(&w, "/big?1001", (struct ws_spec){.max_message = 1000});
	assert_true(w.texts == 0);
	assert_error_is(&w.why, E_PROTO, "larger than our cap");
	rig_line(&w, "close 1009");
	rig_run(&w, "/endless", (struct ws_spec){.max_message = 100000});
	assert_true(w.texts == 0);
	assert_error_is(&w.why, E_PROTO, "larger than our cap");
	rig_end(&w);
}

static void large_and_fragmented_messages(void **state)
{
	struct ws_world w;

	rig_start(&w, state, NULL, NULL);
	w.stop_at_texts = 1;
	rig_run(&w, "/big?1048576", plain);
	assert_int_equal(w.all.len, (1 << 20) + 1);
	ws_drop(w.w);
	rig_run(&w, "/fragments", plain);
	assert_string_equal(w.all.p, "grün!;");
	rig_end(&w);
}

static void peer_closes(void **state)
{
	struct ws_world w;

	rig_start(&w, state, NULL, NULL);
	rig_run(&w, "/close?1001", plain);
	assert_int_equal(w.code, 1001);
	assert_error_is(&w.why, E_TEMP, "code 1001");
	rig_line(&w, "answer 8 1001");
	rig_run(&w, "/close?4004", plain);
	assert_int_equal(w.code, 4004);
	rig_line(&w, "answer 8 4004");
	rig_run(&w, "/close", plain);
	assert_int_equal(w.code, 1005);
	rig_line(&w, "answer 8 0");
	rig_end(&w);
}

static void peer_that_does_not_answer_our_close(void **state)
{
	struct ws_world w;
	int64_t t0;

	rig_start(&w, state, NULL, NULL);
	w.stop_at_open = true;
	rig_run(&w, "/noanswer", plain);
	t0 = loop_now(w.f->l);
	ws_close(w.w, 1000);
	loop_run(w.f->l);
	assert_int_equal(w.code, 1000);
	assert_in_range(loop_now(w.f->l) - t0, 900, 3000);
	rig_line(&w, "got 8 1000");
	rig_end(&w);
}

static void silence_is_found_out(void **state)
{
	struct ws_world w;
	int64_t t0;

	rig_start(&w, state, NULL, NULL);
	t0 = loop_now(w.f->l);
	rig_run(&w, "/silent", (struct ws_spec){.ping_ms = 50, .idle_ms = 200});
	assert_int_equal(w.opens, 1);
	assert_error_is(&w.why, E_TEMP, "silent for 200 ms");
	assert_in_range(loop_now(w.f->l) - t0, 199, 5000);
	rig_end(&w);
}

static void on_bell(void *ctx)
{
	loop_stop(ctx);
}

/* Pongs, and pings of the peer's own, keep it: five times the idle time. */
static void signs_of_life_count(void **state)
{
	struct ws_world w;
	struct timer *bell;

	rig_start(&w, state, NULL, NULL);
	bell = timer_new(w.f->l, "bell", on_bell, w.f->l);
	timer_start(bell, 1500, 0);
	rig_run(&w, "/echo", (struct ws_spec){.ping_ms = 100, .idle_ms = 300});
	assert_true(w.opens == 1 && w.closes == 0);
	ws_drop(w.w);
	timer_start(bell, 1500, 0);
	rig_run(&w, "/pings", (struct ws_spec){.ping_ms = -1, .idle_ms = 300});
	assert_true(w.opens == 1 && w.closes == 0);
	ws_drop(w.w);
	rig_run(&w, "/deaf",
		(struct ws_spec){.ping_ms = 50, .idle_ms = 200}); /* it reads, and says nothing */
	assert_error_is(&w.why, E_TEMP, "silent");
	timer_free(bell);
	rig_end(&w);
}

static void back_pressure(void **state)
{
	struct ws_world w;
	struct err e = ERR_INIT;
	size_t n = 1 << 20;
	_cleanup_free_ char *big = xcalloc(1, n + 1);
	int sent = 0;

	rig_start(&w, state, NULL, NULL);
	memset(big, 'x', n);
	w.stop_at_open = true;
	rig_run(&w, "/slow", (struct ws_spec){.max_message = 2 << 20});
	while (ws_send(w.w, big, n, &e) == 0)
		sent++;
	assert_int_equal(sent, 4);
	assert_error_is(&e, E_LIMIT, "the peer does not read");
	w.stop_at_texts = sent;
	loop_run(w.f->l);
	assert_int_equal(w.all.len, (n + 1) * (size_t)sent);
	assert_int_equal(ws_backlog(w.w), 0);
	rig_end(&w);
}

static void many_small_messages(void **state)
{
	struct ws_world w;
	struct err e = ERR_INIT;

	rig_start(&w, state, NULL, NULL);
	w.stop_at_open = true;
	rig_run(&w, "/echo", plain);
	for (int i = 0; i < 2000; i++)
		assert_ok(ws_send(w.w, "0123456789", 10, &e), &e);
	w.stop_at_texts = 2000;
	loop_run(w.f->l);
	assert_int_equal(w.all.len, 22000);
	rig_end(&w);
}

static void drop_it(struct ws_world *w)
{
	ws_drop(w->w);
	w->w = NULL;
	loop_stop(w->f->l);
}

static void free_all(struct ws_world *w)
{
	ws_client_free(w->c);
	w->c = NULL;
	w->w = NULL;
	loop_stop(w->f->l);
}

static void close_it(struct ws_world *w)
{
	ws_close(w->w, 1000);
}

static void letting_go_from_inside(void **state)
{
	struct ws_world w;

	rig_start(&w, state, NULL, NULL);
	w.on_text = drop_it;
	rig_run(&w, "/together", plain);
	assert_true(w.texts == 1 && w.closes == 0);
	w.on_text = close_it;
	rig_run(&w, "/together", plain);
	assert_true(w.texts == 1 && w.closes == 1 && w.code == 1000);
	w.on_text = free_all;
	rig_run(&w, "/together", plain);
	assert_true(w.texts == 1 && w.closes == 0);
	rig_end(&w);
}

/* At each stage of a connection, and the client right after it. */
static void letting_go_at_any_moment(void **state)
{
	struct ws_world w;
	struct timer *bell;

	rig_start(&w, state, NULL, NULL);
	bell = timer_new(w.f->l, "bell", on_bell, w.f->l);
	for (int ms = 0; ms < 8; ms++) {
		rig_connect(&w, "ws://localhost", "/echo", plain);
		timer_start(bell, ms / 2, 0);
		if (ms > 0)
			loop_run(w.f->l);
		if (w.w && ms % 2)
			ws_drop(w.w);
		ws_client_free(w.c);
		w.c = NULL;
	}
	rig_connect(&w, "ws://127.0.0.1", "/mute", plain);
	timer_start(bell, 50, 0);
	loop_run(w.f->l);
	ws_close(w.w, 1000);
	loop_run(w.f->l);
	assert_int_equal(w.closes, 1);
	timer_free(bell);
	rig_end(&w);
}

static void specs_that_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"http://127.0.0.1/",
		"ws://",
		"ws://127.0.0.1:0/",
		"ws://:80/",
		"ws://127.0.0.1:66000/",
		"ws://u@127.0.0.1/",
		"wss://[::1]/",
		"ws://[::1/",
		"ws://127.0.0.1/ x",
		"ws://127.0.0.1/#f",
		"ws://[x]:1/",
		"ws://a:1b/",
	};
	const struct http_header h = {"x", "a\r\nb: c"};
	struct fix *f = *state;
	struct err e = ERR_INIT;
	struct ws_client *c = ws_client_new(f->l, "/none/ca.pem");

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		e = (struct err)ERR_INIT;
		if (ws_open(c, &(struct ws_spec){.url = bad[i]}, &rig_events, NULL, &e))
			fail_msg("%s was taken", bad[i]);
		assert_int_equal(e.code, E_INVAL);
	}
	assert_null(ws_open(c,
			    &(struct ws_spec){"ws://127.0.0.1:1/", .headers = &h, .n_headers = 1},
			    &rig_events, NULL, &e));
	assert_error_is(&e, E_INVAL, "header 1");
	assert_null(ws_open(c, &(struct ws_spec){.url = "wss://a/"}, &rig_events, NULL, &e));
	assert_error_is(&e, E_GONE, "/none/ca.pem");
	ws_client_free(c);
}

static void plain_leaves_the_machine_never(void **state)
{
	struct ws_world w;

	rig_start(&w, state, NULL, NULL);
	rig_connect(&w, "ws://192.0.2.1", "/echo", plain);
	loop_run(w.f->l);
	assert_error_is(&w.why, E_INVAL, "192.0.2.1: ws:// is for this machine only");
	rig_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIX_TEST(texts_both_ways_and_a_clean_close),
		FIX_TEST(asks_with_our_headers_and_no_others),
		FIX_TEST(name_with_several_addresses),
		FIX_TEST(refused_upgrades),
		FIX_TEST(nobody_there),
		FIX_TEST(mute_server_and_mute_handshake),
		FIX_TEST(frames_that_are_wrong),
		FIX_TEST(large_and_fragmented_messages),
		FIX_TEST(peer_closes),
		FIX_TEST(peer_that_does_not_answer_our_close),
		FIX_TEST(silence_is_found_out),
		FIX_TEST(signs_of_life_count),
		FIX_TEST(back_pressure),
		FIX_TEST(many_small_messages),
		FIX_TEST(letting_go_from_inside),
		FIX_TEST(letting_go_at_any_moment),
		FIX_TEST(specs_that_are_refused),
		FIX_TEST(plain_leaves_the_machine_never),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
