// SPDX-License-Identifier: Apache-2.0
/*
 * Floods against the door: frames that cost the sender little. Each must end the door with memory
 * bounded, also when the runner does not read what it is answered.
 */
#include "door_raw.h"

/* A runner that sends n copies of some frame and never reads. */
static void deaf_flood(struct rig *r, uint8_t type, const void *p, size_t n, int times,
		       const char *text)
{
	_cleanup_(buf_free) struct buf b = {0};

	rig_open(r, NULL);
	r->deaf_peer = true;
	for (int i = 0; i < times; i++)
		h2(&b, type, 0, 0, p, n);
	fatal(r, &b, text);
}

static void ping_flood(void **state)
{
	deaf_flood(*state, NGHTTP2_PING, "12345678", 8, 10000, "");
}

static void settings_flood(void **state)
{
	deaf_flood(*state, NGHTTP2_SETTINGS, "", 0, 10000, "");
}

static void settings_with_many_entries(void **state)
{
	char many[6 * 17] = "";

	deaf_flood(*state, NGHTTP2_SETTINGS, many, sizeof(many), 1, "");
}

/* Frames that carry nothing and get no answer: only their rate gives them away. */
static void idle_floods(void **state)
{
	static const uint8_t types[] = {NGHTTP2_DATA, NGHTTP2_PRIORITY};
	struct rig *r = *state;

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		_cleanup_(buf_free) struct buf b = {0};
		rig_open(r, NULL);
		for (int k = 0; k < 3 * DOOR_IDLE_FRAMES; k++)
			h2(&b, types[i], 0, 1, "\0\0\0\3\0", types[i] == NGHTTP2_PRIORITY ? 5 : 0);
		fatal(r, &b, "flood");
		if (i + 1 < ARRAY_LEN(types))
			rig_free(r);
	}
}

static void reset_flood(void **state)
{
	struct rig *r = *state;
	_cleanup_(buf_free) struct buf b = {0};

	rig_open(r, NULL);
	for (uint32_t id = 3; id < 5003; id += 2) {
		request(&b, END_HEADERS, id, "/nothing");
		h2(&b, NGHTTP2_RST_STREAM, 0, id, "\0\0\0\10", 4);
	}
	fatal(r, &b, "");
}

static bool has_agent(struct rig *r)
{
	return r->n_uses == 1;
}

static bool kernel_is_full(struct rig *r)
{
	return r->n_uses == 1 && r->door->watching & WATCH_WRITE;
}

/* Requests that are refused, from a runner that neither reads nor acknowledges the limit of
 * streams: the refusals must not pile up behind a full kernel. */
static void refused_flood(void **state)
{
	struct rig *r = *state;
	_cleanup_(buf_free) struct buf hello = {0}, flood = {0};
	_cleanup_free_ char *much = xcalloc(1, 900000);
	struct err e = ERR_INIT;

	rig_init(r, NULL);
	r->deaf_peer = true;
	watch_set(r->w, 0);
	buf_puts(&hello, NGHTTP2_CLIENT_MAGIC);
	h2(&hello, NGHTTP2_SETTINGS, 0, 0, "\0\4\0\x10\0\0", 6);
	h2(&hello, NGHTTP2_WINDOW_UPDATE, 0, 0, "\0\x10\0\0", 4);
	agent_request(&hello);
	put_frame(&flood, 1, hello.p, hello.len);
	assert_int_equal(write(r->fd, flood.p, flood.len), (ssize_t)flood.len);
	run_until(r, has_agent);
	assert_ok(duplex_write(r->uses[0].dx, much, 900000, &e), &e);
	run_until(r, kernel_is_full);
	buf_reset(&hello);
	buf_reset(&flood);
	for (uint32_t id = 3; id < 3 + 2 * 1500; id += 2)
		request(&hello, END_HEADERS, id, "/nothing");
	for (size_t i = 0; i < hello.len; i += 30000)
		put_frame(&flood, 1, hello.p + i, hello.len - i < 30000 ? hello.len - i : 30000);
	assert_int_equal(write(r->fd, flood.p, flood.len), (ssize_t)flood.len);
	run_until(r, is_over);
	assert_error_is(&r->why, E_PROTO, "does not read");
	assert_int_equal(r->calls[AT_CONN], 0);
}

static void continuation_flood(void **state)
{
	_cleanup_(buf_free) struct buf b = {0}, h = {0};

	rig_open(*state, NULL);
	field(&h, ":method", "POST");
	h2(&b, NGHTTP2_HEADERS, 0, 3, h.p, h.len);
	for (int i = 0; i < 1000; i++)
		h2(&b, NGHTTP2_CONTINUATION, 0, 3, "", 0);
	fatal(*state, &b, "");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(ping_flood),	T(settings_flood), T(settings_with_many_entries), T(idle_floods),
		T(reset_flood), T(refused_flood),  T(continuation_flood),
	};

	return cmocka_run_group_tests_name("door_flood", tests, NULL, NULL);
}
