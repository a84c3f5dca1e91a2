// SPDX-License-Identifier: Apache-2.0
/*
 * TLS in the WebSocket client: a test CA is accepted when it is named and refused when it is not, names are checked, a peer that
 * speaks no TLS is not waited for, and many connections leave nothing behind.
 */
#include "runtime_ws_rig.h"
#include "runtime_keys.h"

static const struct ws_spec plain = {0};

static void start(struct ws_world *w, void **state, const char *san, bool with_ca)
{
	struct keys k;

	keys_make(&k, *state, san);
	rig_start(w, state, k.cert, k.key);
	w->c = ws_client_new(w->f->l, with_ca ? k.ca : NULL);
}

static void named_ca_is_accepted(void **state)
{
	struct ws_world w;
	struct err e = ERR_INIT;
	_cleanup_free_ char *big = xcalloc(1, 300001);

	start(&w, state, "DNS:localhost", true);
	w.stop_at_open = true;
	rig_connect(&w, "wss://localhost", "/echo", plain);
	loop_run(w.f->l);
	if (w.opens != 1)
		fail_msg("%s", w.why.msg);
	memset(big, 'x', 300000);
	assert_ok(ws_send(w.w, big, 300000, &e), &e);
	assert_ok(ws_send(w.w, "small", 5, &e), &e);
	w.stop_at_texts = 2;
	loop_run(w.f->l);
	assert_int_equal(w.all.len, 300007);
	ws_close(w.w, 1000);
	loop_run(w.f->l);
	assert_int_equal(w.code, 1000);
	rig_line(&w, "close 1000");
	w.stop_at_open = false;
	rig_connect(&w, "wss://localhost", "/close?4001", plain);
	loop_run(w.f->l);
	assert_int_equal(w.code, 4001);
	rig_end(&w);
}

static void address_in_the_certificate(void **state)
{
	struct ws_world w;

	start(&w, state, "IP:127.0.0.1", true);
	w.stop_at_open = true;
	rig_connect(&w, "wss://127.0.0.1", "/echo", plain);
	loop_run(w.f->l);
	assert_int_equal(w.opens, 1);
	rig_end(&w);
}

static void refused(struct ws_world *w, const char *host, enum err_code code, const char *text)
{
	rig_connect(w, host, "/echo", plain);
	loop_run(w->f->l);
	assert_true(w->opens == 0 && w->closes == 1 && w->code == 0);
	assert_error_is(&w->why, code, text);
}

static void unknown_ca_is_refused(void **state)
{
	struct ws_world w;

	start(&w, state, "DNS:localhost", false);
	refused(&w, "wss://localhost", E_AUTH,
		"localhost: certificate refused: unable to get local issuer");
	rig_end(&w);
}

static void wrong_name_is_refused(void **state)
{
	struct ws_world w;

	start(&w, state, "DNS:elsewhere", true);
	refused(&w, "wss://localhost", E_AUTH, "certificate refused: hostname mismatch");
	refused(&w, "wss://127.0.0.1", E_AUTH, "certificate refused: IP address mismatch");
	rig_end(&w);
}

static void file_that_is_no_ca(void **state)
{
	struct ws_world w;
	struct keys k;

	keys_make(&k, *state, "DNS:localhost");
	rig_start(&w, state, k.cert, k.key);
	w.c = ws_client_new(w.f->l, WS_PEER);
	refused(&w, "wss://localhost", E_AUTH, "certificate refused");
	rig_end(&w);
}

static void plain_where_tls_is_spoken_and_the_reverse(void **state)
{
	struct ws_world w;

	start(&w, state, "DNS:localhost", true);
	refused(&w, "ws://127.0.0.1", E_TEMP, "127.0.0.1: ");
	rig_end(&w);
	rig_start(&w, state, NULL, NULL);
	rig_connect(&w, "wss://localhost", "/echo", (struct ws_spec){.connect_ms = 300});
	loop_run(w.f->l);
	assert_error_is(&w.why, E_TEMP, "localhost: not connected in time");
	rig_end(&w);
}

static size_t open_fds(void)
{
	size_t n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* Far more connections, one after the other, than the library's tables hold at once. */
static void connections_leave_nothing(void **state)
{
	struct ws_world w;
	size_t before = 0;

	start(&w, state, "DNS:localhost", true);
	for (int i = 0; i < 100; i++) {
		w.stop_at_open = i % 3 != 0;
		rig_connect(&w, i % 2 ? "wss://localhost" : "wss://127.0.0.1", "/close?4000",
			    plain);
		loop_run(w.f->l);
		ws_drop(w.w);
		if (i == 50)
			before = open_fds();
	}
	assert_in_range(open_fds(), before > 6 ? before - 6 : 0, before + 6);
	rig_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIX_TEST(named_ca_is_accepted),
		FIX_TEST(address_in_the_certificate),
		FIX_TEST(unknown_ca_is_refused),
		FIX_TEST(wrong_name_is_refused),
		FIX_TEST(file_that_is_no_ca),
		FIX_TEST(plain_where_tls_is_spoken_and_the_reverse),
		FIX_TEST(connections_leave_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
