// SPDX-License-Identifier: Apache-2.0
/*
 * The HTTP client in motion: pauses in both directions, cancels and frees from inside each
 * up-call, silence and time limits.
 */
#include "runtime_server.h"

struct world {
	struct fix *f;
	struct srv s;
	struct http_client *c;
	struct rec r;
	struct timer *t;
	bool fired;
};

static void on_tick(void *ctx)
{
	struct world *w = ctx;

	w->fired = true;
	loop_stop(w->f->l);
}

static void open_world(struct world *w, void **state)
{
	*w = (struct world){.f = *state};
	srv_start(&w->s, w->f, NULL);
	w->c = http_client_new(w->f->l, NULL);
	rec_init(&w->r, w->f, w->c);
	w->t = timer_new(w->f->l, "tick", on_tick, w);
}

static void close_world(struct world *w)
{
	rec_free(&w->r);
	http_client_free(w->c);
	srv_end(&w->s);
	timer_free(w->t);
}

/* Lets the loop work on whatever is ready until ms have passed. */
static void run_for(struct world *w, int64_t ms)
{
	w->fired = false;
	timer_start(w->t, ms, 0);
	while (!w->fired)
		loop_run(w->f->l);
}

static void chunks_with_pause_and_resume(void **state)
{
	struct world w;
	size_t held, total = (size_t)BIG_CHUNKS * BIG_CHUNK;
	int pauses = 0;

	open_world(&w, state);
	w.r.pause_at = 1;
	rec_get(&w.r, "http", w.s.port, "/big", NULL);
	assert_true(w.r.paused);
	held = w.r.got;
	run_for(&w, 30); /* rec_body asserts that nothing comes while paused */
	assert_int_equal(w.r.got, held);
	assert_true(w.s.first->chunks_left > 0); /* the pause reached the server */
	while (w.r.dones == 0) {
		pauses++;
		w.r.pause_at = w.r.got + total / 8;
		w.r.paused = false;
		http_resume(w.r.call);
		loop_run(w.f->l);
	}
	assert_false(w.r.failed);
	assert_true(pauses >= 8);
	assert_int_equal(w.r.got, total);
	close_world(&w);
}

static bool body_resumes_itself(void *ctx, const uint8_t *p maybe_unused, size_t n)
{
	struct rec *r = ctx;

	r->got += n;
	http_resume(r->call);
	return false;
}

static void resume_inside_body_counts(void **state)
{
	static const struct http_events ev = {rec_head, body_resumes_itself, NULL, rec_done};
	struct world w;
	struct err e = ERR_INIT;
	_cleanup_free_ char *url = NULL;

	open_world(&w, state);
	url = xasprintf("http://127.0.0.1:%d/big", w.s.port);
	w.r.call = http_start(w.c, &(struct http_spec){.method = "GET", .url = url}, &ev, &w.r, &e);
	loop_run(w.f->l);
	assert_int_equal(w.r.got, (size_t)BIG_CHUNKS * BIG_CHUNK);
	close_world(&w);
}

static void check_sent(const struct world *w, size_t n)
{
	const char *p = strstr(w->r.body.p, "\r\n\r\n");

	assert_non_null(p);
	p += 4;
	assert_int_equal(w->r.body.len - (size_t)(p - w->r.body.p), n);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(p[i], 'a' + i % 26);
}

static void upload_with_pause(void **state)
{
	const struct http_spec s = {.method = "POST", .stream_body = true, .stream_len = 50000};
	struct world w;

	open_world(&w, state);
	w.r.send_total = 50000;
	w.r.send_pause_at = 20000;
	rec_get(&w.r, "http", w.s.port, "/echo", &s);
	assert_true(w.r.send_paused);
	assert_int_equal(w.r.dones, 0);
	run_for(&w, 30);
	assert_int_equal(w.r.send_done, 20000);
	w.r.send_pause_at = 0;
	http_resume_send(w.r.call);
	loop_run(w.f->l);
	assert_false(w.r.failed);
	assert_non_null(strstr(w.r.body.p, "Content-Length: 50000\r\n"));
	check_sent(&w, 50000);
	close_world(&w);
}

static void chunked_upload_with_pause(void **state)
{
	const struct http_spec s = {.method = "PUT", .stream_body = true, .stream_len = -1};
	struct world w;
	const char *p;

	open_world(&w, state);
	w.r.send_total = 2500;
	w.r.send_pause_at = 1; /* after the first 1000 */
	rec_get(&w.r, "http", w.s.port, "/echo", &s);
	assert_true(w.r.send_paused);
	run_for(&w, 10);
	w.r.send_pause_at = 0;
	http_resume_send(w.r.call);
	loop_run(w.f->l);
	assert_false(w.r.failed);
	p = strstr(w.r.body.p, "\r\n\r\n");
	assert_non_null(strstr(w.r.body.p, "Transfer-Encoding: chunked\r\n"));
	assert_true(str_starts(p, "\r\n\r\n3e8\r\nabcdefghijklmnopqrstuvwxyzabc"));
	assert_string_equal(w.r.body.p + w.r.body.len - 7, "\r\n0\r\n\r\n");
	close_world(&w);
}

static void empty_upload(void **state)
{
	struct world w;

	open_world(&w, state);
	rec_get(&w.r, "http", w.s.port, "/echo",
		&(struct http_spec){.method = "POST", .stream_body = true, .stream_len = -1});
	assert_false(w.r.failed);
	assert_string_equal(w.r.body.p + w.r.body.len - 9, "\r\n\r\n0\r\n\r\n");
	close_world(&w);
}

/* A refusal that comes before the body was sent ends the call, though the sender is paused. */
static void early_refusal(void **state)
{
	struct http_spec s = {.method = "POST", .stream_body = true, .stream_len = 50000};
	struct world w;

	open_world(&w, state);
	for (int i = 0; i < 2; i++) {
		rec_free(&w.r);
		rec_init(&w.r, w.f, w.c);
		w.r.send_total = 50000;
		w.r.send_pause_at = 1000;
		s.stream_len = i ? -1 : 50000;
		rec_get(&w.r, "http", w.s.port, "/early", &s);
		while (!w.r.dones)
			loop_run(w.f->l);
		assert_false(w.r.failed);
		assert_int_equal(w.r.status, 401);
		assert_string_equal(w.r.body.p, "no");
		assert_true(w.r.send_done < 50000);
	}
	close_world(&w);
}

static void end_in_each_up_call(void **state)
{
	const struct http_spec up = {.method = "POST", .stream_body = true, .stream_len = 50000};
	const struct http_spec get = {.method = "GET"};

	for (int stage = IN_HEAD; stage <= IN_DONE; stage++) {
		for (int free_client = 0; free_client < 2; free_client++) {
			struct world w;

			open_world(&w, state);
			w.r.send_total = 50000;
			w.r.stop_in = (enum stage)stage;
			if (free_client)
				w.r.free_in = (enum stage)stage;
			else
				w.r.cancel_in = (enum stage)stage;
			rec_get(&w.r, "http", w.s.port, stage == IN_SEND ? "/echo" : "/big",
				stage == IN_SEND ? &up : &get);
			assert_int_equal(w.r.dones, stage == IN_DONE);
			assert_null(w.r.call);
			if (free_client) {
				assert_null(w.r.client);
				w.c = NULL;
			}
			w.s.stop_on_close = true; /* a cancelled call's connection is closed */
			while (stage != IN_DONE && w.s.live > 0)
				loop_run(w.f->l);
			close_world(&w);
		}
	}
}

static void cancel_before_it_starts_and_while_it_waits(void **state)
{
	struct world w;
	_cleanup_free_ char *url = NULL;
	const struct http_spec s = {.method = "GET"};
	struct http_spec with_url = s;

	open_world(&w, state);
	url = xasprintf("http://127.0.0.1:%d/hang", w.s.port);
	with_url.url = url;
	rec_start(&w.r, &with_url);
	http_cancel(w.r.call);
	run_for(&w, 10);
	assert_int_equal(w.s.accepted, 0);

	w.s.stop_on_request = true;
	rec_start(&w.r, &with_url);
	loop_run(w.f->l);
	assert_int_equal(w.s.live, 1);
	http_cancel(w.r.call);
	w.s.stop_on_close = true;
	loop_run(w.f->l);
	assert_int_equal(w.s.live, 0);

	/* The client goes with calls in each state, outside the loop. */
	rec_start(&w.r, &with_url);
	loop_run(w.f->l);
	rec_start(&w.r, &with_url);
	http_client_free(w.c);
	w.c = NULL;
	assert_int_equal(w.r.dones, 0);
	close_world(&w);
}

struct chain {
	struct world *w;
	struct rec second;
};

static void done_starts_another(void *ctx, const struct err *why)
{
	struct chain *c = ctx;
	_cleanup_free_ char *url = xasprintf("http://127.0.0.1:%d/plain", c->w->s.port);

	assert_null(why);
	rec_start(&c->second, &(struct http_spec){.method = "GET", .url = url});
}

static void start_inside_done(void **state)
{
	static const struct http_events ev = {.done = done_starts_another};
	struct world w;
	struct chain c = {.w = &w};
	struct err e = ERR_INIT;
	_cleanup_free_ char *url = NULL;

	open_world(&w, state);
	rec_init(&c.second, w.f, w.c);
	url = xasprintf("http://127.0.0.1:%d/plain", w.s.port);
	assert_non_null(
		http_start(w.c, &(struct http_spec){.method = "GET", .url = url}, &ev, &c, &e));
	loop_run(w.f->l);
	assert_string_equal(c.second.body.p, "hello");
	rec_free(&c.second);
	close_world(&w);
}

static void silence(void **state)
{
	struct world w;

	open_world(&w, state);
	rec_get(&w.r, "http", w.s.port, "/hang", &(struct http_spec){.idle_ms = 40});
	assert_error_is(&w.r.why, E_TEMP, "silent for 40 ms");
	rec_free(&w.r);
	rec_init(&w.r, w.f, w.c);
	rec_get(&w.r, "http", w.s.port, "/half", &(struct http_spec){.idle_ms = 40});
	assert_error_is(&w.r.why, E_TEMP, "silent for 40 ms");
	assert_string_equal(w.r.body.p, "half");
	rec_free(&w.r);
	rec_init(&w.r, w.f, w.c);
	rec_get(&w.r, "http", w.s.port, "/hang",
		&(struct http_spec){.idle_ms = -1, .total_ms = 60});
	assert_error_is(&w.r.why, E_TEMP, "");
	assert_null(strstr(w.r.why.msg, "silent"));
	close_world(&w);
}

static void pauses_are_not_silence(void **state)
{
	struct world w;

	open_world(&w, state);
	w.r.pause_at = 1;
	rec_get(&w.r, "http", w.s.port, "/big", &(struct http_spec){.idle_ms = 50});
	run_for(&w, 200);
	assert_int_equal(w.r.dones, 0);
	w.r.pause_at = 0;
	w.r.paused = false;
	http_resume(w.r.call);
	loop_run(w.f->l);
	assert_false(w.r.failed);
	assert_int_equal(w.r.got, (size_t)BIG_CHUNKS * BIG_CHUNK);

	rec_free(&w.r);
	rec_init(&w.r, w.f, w.c);
	w.r.send_total = 5000;
	w.r.send_pause_at = 1;
	rec_get(&w.r, "http", w.s.port, "/echo",
		&(struct http_spec){
			.method = "POST", .stream_body = true, .stream_len = 5000, .idle_ms = 50});
	run_for(&w, 200);
	assert_int_equal(w.r.dones, 0);
	w.r.send_pause_at = 0;
	http_resume_send(w.r.call);
	loop_run(w.f->l);
	assert_false(w.r.failed);
	check_sent(&w, 5000);
	close_world(&w);
}

static void stalled_server_is_silence(void **state)
{
	struct world w;
	size_t n = 8 << 20;
	_cleanup_free_ char *body = xcalloc(1, n);

	open_world(&w, state);
	rec_get(&w.r, "http", w.s.port, "/stall",
		&(struct http_spec){.method = "POST", .body = body, .body_len = n, .idle_ms = 50});
	assert_error_is(&w.r.why, E_TEMP, "silent");
	close_world(&w);
}

/* --- all at once --- */

static uint32_t draw(uint32_t *seed, uint32_t below)
{
	*seed = *seed * 1664525 + 1013904223;
	return (*seed >> 8) % below;
}

static void storm_start(struct world *w, struct rec *r, uint32_t *seed)
{
	static const char *const paths[] = {"/plain", "/big",  "/echo",	 "/short",
					    "/gone",  "/hang", "/early", "/redirect"};
	const char *path = paths[draw(seed, ARRAY_LEN(paths))];
	bool upload = draw(seed, 2) || !strcmp(path, "/early");
	_cleanup_free_ char *url = xasprintf("http://127.0.0.1:%d%s", w->s.port, path);

	rec_init(r, w->f, w->c);
	if (draw(seed, 3) == 0)
		r->cancel_in = (enum stage)(IN_HEAD + draw(seed, 3));
	if (draw(seed, 2))
		r->pause_at = 1 + draw(seed, 100000);
	r->send_total = draw(seed, 200000);
	if (draw(seed, 2))
		r->send_pause_at = 1 + draw(seed, 100000);
	rec_start(r, &(struct http_spec){
			     .method = upload ? "POST" : "GET",
			     .url = url,
			     .stream_body = upload,
			     .stream_len = draw(seed, 2) ? -1 : (int64_t)r->send_total,
			     .idle_ms = 200,
		     });
}

/* Resumes or cancels what waits; false when all calls are over. */
static bool storm_push(struct rec *r, size_t n, uint32_t *seed)
{
	bool live = false;

	for (size_t i = 0; i < n; i++) {
		if (!r[i].call)
			continue;
		live = true;
		if (draw(seed, 10) == 0) {
			http_cancel(r[i].call);
			r[i].call = NULL;
			continue;
		}
		if (r[i].paused) {
			r[i].paused = false;
			r[i].pause_at = draw(seed, 2) ? r[i].got + 50000 : 0;
			http_resume(r[i].call);
		}
		if (r[i].send_paused) {
			r[i].send_paused = false;
			r[i].send_pause_at = 0;
			http_resume_send(r[i].call);
		}
	}
	return live;
}

static void storm(void **state)
{
	struct rec r[40];
	struct world w;

	for (uint32_t round = 0; round < 6; round++) {
		uint32_t seed = 20240 + round;
		int pushes = 0;

		open_world(&w, state);
		for (size_t i = 0; i < ARRAY_LEN(r); i++)
			storm_start(&w, &r[i], &seed);
		/* Half of the rounds end by freeing the client with calls in every state. */
		while (storm_push(r, ARRAY_LEN(r), &seed) && (round % 2 || pushes++ < 6))
			run_for(&w, 2);
		http_client_free(w.c);
		w.c = NULL;
		for (size_t i = 0; i < ARRAY_LEN(r); i++)
			rec_free(&r[i]);
		close_world(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIX_TEST(chunks_with_pause_and_resume),
		FIX_TEST(resume_inside_body_counts),
		FIX_TEST(upload_with_pause),
		FIX_TEST(chunked_upload_with_pause),
		FIX_TEST(empty_upload),
		FIX_TEST(early_refusal),
		FIX_TEST(end_in_each_up_call),
		FIX_TEST(cancel_before_it_starts_and_while_it_waits),
		FIX_TEST(start_inside_done),
		FIX_TEST(silence),
		FIX_TEST(pauses_are_not_silence),
		FIX_TEST(stalled_server_is_silence),
		FIX_TEST(storm),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
