// SPDX-License-Identifier: Apache-2.0
/*
 * TLS in the HTTP client: a test CA is accepted when it is named and refused when it is not, names
 * are checked, and a later connection resumes the session. Keys are made by openssl in the test's
 * own folder; TLS is taken off by a helper process in front of the usual test server.
 */
#include "runtime_server.h"
#include <fcntl.h>
#include "runtime_keys.h"

#define HELPER "tests/unit/runtime_tls_server.py"

struct world {
	struct fix *f;
	struct srv s;
	struct proc *tls;
	int in, out; /* of the helper */
	FILE *lines;
	int port;
	struct keys k;
};

static void on_helper_exit(void *ctx maybe_unused, int code maybe_unused, int signo maybe_unused)
{
	fail_msg("the TLS helper died");
}

static void open_world(struct world *w, void **state)
{
	char port[16], line[32];
	int in[2], out[2];
	struct err e = ERR_INIT;

	*w = (struct world){.f = *state};
	keys_make(&w->k, w->f, "IP:127.0.0.1");
	srv_start(&w->s, w->f, NULL);
	snprintf(port, sizeof(port), "%d", w->s.port);
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	w->tls = proc_spawn(
		w->f->l, "tls helper",
		&(struct proc_spec){.argv = (const char *const[]){"/usr/bin/python3", HELPER,
								  w->k.cert, w->k.key, port, NULL},
				    .fds = {in[0], out[1], 2}},
		on_helper_exit, w, &e);
	assert_non_null(w->tls);
	close(in[0]);
	close(out[1]);
	w->in = in[1];
	w->lines = fdopen(out[0], "r");
	assert_non_null(fgets(line, sizeof(line), w->lines));
	w->port = (int)strtol(line, NULL, 10);
}

static void next_line(struct world *w, const char *want)
{
	char line[32];

	assert_non_null(fgets(line, sizeof(line), w->lines));
	line[strcspn(line, "\n")] = '\0';
	assert_string_equal(line, want);
}

static void close_world(struct world *w)
{
	proc_free(w->tls);
	close(w->in);
	fclose(w->lines);
	srv_end(&w->s);
}

static void named_ca_is_accepted(void **state)
{
	struct world w;
	struct rec r;
	struct http_client *c;

	open_world(&w, state);
	c = http_client_new(w.f->l, &(struct http_client_opts){.ca_file = w.k.ca});
	rec_init(&r, w.f, c);
	rec_get(&r, "https", w.port, "/plain", NULL);
	if (r.failed)
		fail_msg("%s", r.why.msg);
	assert_string_equal(r.body.p, "hello");
	next_line(&w, "new");

	/* A body larger than any buffer on the way, with a pause. */
	rec_free(&r);
	rec_init(&r, w.f, c);
	r.pause_at = 1;
	rec_get(&r, "https", w.port, "/big", NULL);
	assert_true(r.paused);
	r.paused = false;
	r.pause_at = 0;
	http_resume(r.call);
	loop_run(w.f->l);
	assert_false(r.failed);
	assert_int_equal(r.got, (size_t)BIG_CHUNKS * BIG_CHUNK);
	assert_int_equal(w.s.accepted, 1);

	/* Cancelling closes the connection; the next one resumes the session. */
	rec_free(&r);
	rec_init(&r, w.f, c);
	r.cancel_in = r.stop_in = IN_BODY;
	rec_get(&r, "https", w.port, "/big", NULL);
	rec_free(&r);
	rec_init(&r, w.f, c);
	rec_get(&r, "https", w.port, "/plain", NULL);
	assert_string_equal(r.body.p, "hello");
	next_line(&w, "resumed");
	rec_free(&r);
	http_client_free(c);
	close_world(&w);
}

static void unknown_ca_is_refused(void **state)
{
	struct world w;
	struct rec r;
	struct http_client *c;

	open_world(&w, state);
	c = http_client_new(w.f->l, NULL);
	rec_init(&r, w.f, c);
	rec_get(&r, "https", w.port, "/plain", NULL);
	assert_true(r.failed && r.heads == 0);
	assert_error_is(&r.why, E_AUTH, "127.0.0.1: SSL certificate problem");
	assert_int_equal(w.s.accepted, 0);
	rec_free(&r);
	http_client_free(c);
	close_world(&w);
}

static void wrong_name_is_refused(void **state)
{
	struct world w;
	struct rec r;
	struct http_client *c;
	_cleanup_free_ char *url = NULL;

	open_world(&w, state);
	c = http_client_new(w.f->l, &(struct http_client_opts){.ca_file = w.k.ca});
	rec_init(&r, w.f, c);
	url = xasprintf("https://localhost:%d/plain", w.port); /* the certificate says 127.0.0.1 */
	rec_start(&r, &(struct http_spec){.method = "GET", .url = url});
	loop_run(w.f->l);
	assert_true(r.failed && r.heads == 0);
	assert_error_is(&r.why, E_AUTH, "localhost: SSL: no alternative certificate");
	assert_int_equal(w.s.accepted, 0);
	rec_free(&r);
	http_client_free(c);
	close_world(&w);
}

static void missing_ca_file_is_said_at_once(void **state)
{
	struct fix *f = *state;
	struct err e = ERR_INIT;
	struct http_client *c =
		http_client_new(f->l, &(struct http_client_opts){.ca_file = "/none/ca.pem"});

	assert_null(http_start(c, &(struct http_spec){.method = "GET", .url = "https://127.0.0.1/"},
			       &rec_events, NULL, &e));
	assert_error_is(&e, E_GONE, "cannot read the CA file /none/ca.pem");
	http_client_free(c);
}

static void file_that_is_no_ca(void **state)
{
	struct fix *f = *state;
	struct world w;
	struct rec r;
	struct http_client *c;

	open_world(&w, state);
	c = http_client_new(f->l, &(struct http_client_opts){.ca_file = HELPER});
	rec_init(&r, f, c);
	rec_get(&r, "https", w.port, "/plain", NULL);
	assert_true(r.failed);
	assert_error_is(&r.why, E_AUTH, HELPER);
	rec_free(&r);
	http_client_free(c);
	close_world(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIX_TEST(named_ca_is_accepted),	 FIX_TEST(unknown_ca_is_refused),
		FIX_TEST(wrong_name_is_refused), FIX_TEST(missing_ca_file_is_said_at_once),
		FIX_TEST(file_that_is_no_ca),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
