// SPDX-License-Identifier: Apache-2.0
/*
 * The door against a hostile sandbox: each attack is bytes made by hand. It must end this door
 * with E_PROTO (or only the stream, where RFC 9113 says so), with memory bounded, and nothing else.
 */
#include "door_raw.h"

static void garbage_before_the_handshake(void **state)
{
	static const char *const junk[] = {
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n0123456789abcdef", "{\"type\":\"system\"}\n"};
	struct rig *r = *state;

	for (size_t i = 0; i < ARRAY_LEN(junk); i++) {
		rig_init(r, NULL);
		buf_puts(&r->tx, "");
		put_frame(&r->tx, 1, junk[i], strlen(junk[i]));
		while (r->tx.len) {
			ssize_t n = write(r->fd, r->tx.p, r->tx.len);
			assert_true(n > 0);
			buf_drop(&r->tx, (size_t)n);
		}
		run_until(r, is_over);
		assert_int_equal(r->why.code, E_PROTO);
		assert_int_equal(r->calls[AT_AGENT], 0);
		if (i + 1 < ARRAY_LEN(junk))
			rig_free(r);
	}
}

static void no_docker_frames(void **state)
{
	struct rig *r = *state;

	rig_init(r, NULL);
	assert_int_equal(write(r->fd, NGHTTP2_CLIENT_MAGIC, 24), 24);
	run_until(r, is_over);
	assert_error_is(&r->why, E_PROTO, "attach frame of unknown type 80");
}

static void garbage_after_the_handshake(void **state)
{
	_cleanup_(buf_free) struct buf b = {0};

	rig_open(*state, NULL);
	for (int i = 0; i < 300; i++)
		buf_putf(&b, "garbage %d \xff\xfe", i);
	fatal(*state, &b, "");
}

static void oversized_header(void **state)
{
	_cleanup_(buf_free) struct buf b = {0}, h = {0};
	char value[101];

	rig_open(*state, NULL);
	memset(value, 'v', 100);
	value[100] = '\0';
	field(&h, ":method", "POST");
	field(&h, ":scheme", "chela");
	field(&h, ":authority", "door");
	field(&h, ":path", "/tcp");
	for (int i = 0; i < 40; i++)
		field(&h, "x", value);
	h2(&b, NGHTTP2_HEADERS, END_HEADERS, 3, h.p, h.len);
	fatal(*state, &b, "oversized header list");
}

/* A short block that unpacks into a long list: one large table entry, named again and again. */
static void hpack_bomb(void **state)
{
	_cleanup_(buf_free) struct buf b = {0}, h = {0};
	char value[101];

	rig_open(*state, NULL);
	memset(value, 'v', 100);
	value[100] = '\0';
	field(&h, ":method", "POST");
	field(&h, ":scheme", "chela");
	field(&h, ":authority", "door");
	field(&h, ":path", "/tcp");
	buf_putf(&h, "\x40\x01y%c%s", 100, value); /* with incremental indexing: entry 62 */
	for (int i = 0; i < 10000; i++)
		buf_put(&h, "\xbe", 1);
	h2(&b, NGHTTP2_HEADERS, END_HEADERS, 3, h.p, h.len);
	fatal(*state, &b, "oversized header list");
}

static void forged_streams(void **state)
{
	static const struct {
		uint8_t type;
		uint32_t id;
		size_t n;
	} forged[] = {
		{NGHTTP2_DATA, 7, 4},	      {NGHTTP2_DATA, 0, 4},
		{NGHTTP2_DATA, 2, 4},	      {NGHTTP2_RST_STREAM, 9, 4},
		{NGHTTP2_RST_STREAM, 0, 4},   {NGHTTP2_WINDOW_UPDATE, 11, 4},
		{NGHTTP2_SETTINGS, 1, 0},     {NGHTTP2_PING, 1, 8},
		{NGHTTP2_GOAWAY, 1, 8},	      {NGHTTP2_PUSH_PROMISE, 1, 4},
		{NGHTTP2_CONTINUATION, 1, 4}, {NGHTTP2_PING, 0, 7},
		{NGHTTP2_SETTINGS, 0, 5},
	};
	struct rig *r = *state;

	for (size_t i = 0; i < ARRAY_LEN(forged); i++) {
		_cleanup_(buf_free) struct buf b = {0};
		rig_open(r, NULL);
		h2(&b, forged[i].type, 0, forged[i].id, "\0\0\0\5\0\0\0\0", forged[i].n);
		fatal(r, &b, "");
		if (i + 1 < ARRAY_LEN(forged))
			rig_free(r);
	}
}

static void bad_stream_ids(void **state)
{
	static const uint32_t ids[] = {2, 0};
	struct rig *r = *state;

	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		_cleanup_(buf_free) struct buf b = {0};
		rig_open(r, NULL);
		request(&b, END_HEADERS, ids[i], "/tcp");
		fatal(r, &b, "");
		assert_int_equal(r->calls[AT_CONN], 0);
		if (i + 1 < ARRAY_LEN(ids))
			rig_free(r);
	}
}

static void more_than_the_window(void **state)
{
	struct rig *r = *state;
	_cleanup_(buf_free) struct buf b = {0};
	_cleanup_free_ char *block = xcalloc(1, 200000);

	rig_open(r, NULL);
	request(&b, END_HEADERS, 3, "/tcp");
	for (int i = 0; i < 6; i++)
		h2(&b, NGHTTP2_DATA, 0, 3, block, 200000);
	/* the door's user never credits stream 3, so 1 MiB is all it may send */
	r->uses[1].hoard = true;
	fatal(r, &b, "window");
	assert_in_range(r->uses[1].total, 1000000, DOOR_STREAM_WINDOW);
}

static void frame_beyond_the_size(void **state)
{
	_cleanup_(buf_free) struct buf b = {0};
	_cleanup_free_ char *block = xcalloc(1, DOOR_FRAME_RECV + 1);

	rig_open(*state, NULL);
	h2(&b, NGHTTP2_DATA, 0, 1, block, DOOR_FRAME_RECV + 1);
	fatal(*state, &b, "");
}

static void window_overflow(void **state)
{
	_cleanup_(buf_free) struct buf b = {0};

	rig_open(*state, NULL);
	h2(&b, NGHTTP2_WINDOW_UPDATE, 0, 0, "\x7f\xff\xff\xff", 4);
	h2(&b, NGHTTP2_WINDOW_UPDATE, 0, 0, "\x7f\xff\xff\xff", 4);
	fatal(*state, &b, "");
}

static bool has_conn(struct rig *r)
{
	return r->calls[AT_CONN] > 0;
}

static void tcp_before_the_agent(void **state)
{
	struct rig *r = *state;
	_cleanup_(buf_free) struct buf b = {0};

	rig_init(r, NULL);
	buf_puts(&b, NGHTTP2_CLIENT_MAGIC);
	h2(&b, NGHTTP2_SETTINGS, 0, 0, "", 0);
	request(&b, END_HEADERS, 1, "/tcp");
	request(&b, END_HEADERS | NGHTTP2_FLAG_END_STREAM, 3, "/tcp");
	door_feed(r->door, (const uint8_t *)"\1\0\0\0\0\0", 6);
	uint8_t len[2] = {(uint8_t)(b.len >> 8), (uint8_t)b.len};
	door_feed(r->door, len, 2);
	door_feed(r->door, (const uint8_t *)b.p, b.len);
	assert_int_equal(r->calls[AT_CONN], 0);
	assert_int_equal(r->calls[AT_CLOSED], 0);
	assert_false(r->door->failed);
}

static bool one_got_five(struct rig *r)
{
	return r->uses[1].total == 5 && r->uses[1].eofs;
}

/* Anything after END_STREAM is dropped, a request with odd pseudo-headers is refused; the door lives. */
static void faults_of_one_stream(void **state)
{
	struct rig *r = *state;
	_cleanup_(buf_free) struct buf b = {0}, h = {0};

	rig_open(r, NULL);
	field(&h, ":method", "GET");
	field(&h, ":scheme", "chela");
	field(&h, ":authority", "door");
	field(&h, ":path", "/tcp");
	h2(&b, NGHTTP2_HEADERS, END_HEADERS, 3, h.p, h.len);
	request(&b, END_HEADERS, 5, "/tcp");
	h2(&b, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 5, "first", 5);
	send_raw(r, &b);
	run_until(r, one_got_five);
	assert_int_equal(r->calls[AT_CONN], 1);
	assert_int_equal(r->calls[AT_CLOSED], 0);
}

static bool stream_reset(struct rig *r)
{
	return r->uses[1].closes == 1;
}

static void data_after_the_end(void **state)
{
	struct rig *r = *state;
	_cleanup_(buf_free) struct buf b = {0};

	rig_open(r, NULL);
	request(&b, END_HEADERS | NGHTTP2_FLAG_END_STREAM, 3, "/tcp");
	h2(&b, NGHTTP2_DATA, 0, 3, "late", 4);
	send_raw(r, &b);
	run_until(r, has_conn);
	assert_int_equal(r->uses[1].total, 0);
	assert_int_equal(r->uses[1].eofs, 1);
}

static void pseudo_header_in_trailers(void **state)
{
	struct rig *r = *state;
	_cleanup_(buf_free) struct buf b = {0}, h = {0};

	rig_open(r, NULL);
	request(&b, END_HEADERS, 3, "/tcp");
	field(&h, ":path", "/agent");
	h2(&b, NGHTTP2_HEADERS, END_HEADERS | NGHTTP2_FLAG_END_STREAM, 3, h.p, h.len);
	send_raw(r, &b);
	run_until(r, stream_reset);
	assert_int_equal(r->uses[1].why.code, E_TEMP);
	assert_int_equal(r->uses[1].eofs, 0);
	assert_int_equal(r->calls[AT_CLOSED], 0);
}

static bool echoed(struct rig *r)
{
	return r->ps[0].total == 4 && r->uses[0].total == 4;
}

static void other_doors_live_on(void **state)
{
	struct rig *r = *state, *other = xcalloc(1, sizeof(*other));
	_cleanup_(buf_free) struct buf b = {0};
	struct err e = ERR_INIT;

	rig_open(other, NULL);
	rig_open(r, NULL);
	for (int i = 0; i < 1000; i++)
		buf_puts(&b, "wreck it all ");
	fatal(r, &b, "");
	assert_ok(duplex_write(other->uses[0].dx, "ping", 4, &e), &e);
	peer_say(other, &other->ps[0], "pong", 4, false);
	run_until(other, echoed);
	rig_free(other);
	free(other);
}

/* A whole good session, cut in two at each byte, then byte by byte: the same up-calls each time. */
static void torn_session(void **state)
{
	struct rig *r = *state;
	_cleanup_(buf_free) struct buf raw = {0}, wire = {0}, h = {0};

	buf_puts(&raw, NGHTTP2_CLIENT_MAGIC);
	h2(&raw, NGHTTP2_SETTINGS, 0, 0, "", 0);
	agent_request(&raw);
	h2(&raw, NGHTTP2_DATA, 0, 1, "hello", 5);
	request(&raw, END_HEADERS, 3, "/tcp");
	h2(&raw, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 3, "world", 5);
	buf_reset(&h);
	field(&h, "chela-exit", "3");
	h2(&raw, NGHTTP2_HEADERS, END_HEADERS | NGHTTP2_FLAG_END_STREAM, 1, h.p, h.len);
	put_frame(&wire, 1, raw.p, 100);
	put_frame(&wire, 2, "a line\n", 7);
	put_frame(&wire, 1, raw.p + 100, raw.len - 100);
	for (size_t i = 0; i <= wire.len; i++) {
		const uint8_t *p = (const uint8_t *)wire.p;
		rig_init(r, NULL);
		if (i < wire.len) {
			door_feed(r->door, p, i);
			door_feed(r->door, p + i, wire.len - i);
		} else {
			for (size_t k = 0; k < wire.len; k++)
				door_feed(r->door, p + k, 1);
		}
		assert_int_equal(r->uses[0].got.len, 5);
		assert_memory_equal(r->uses[0].got.p, "hello", 5);
		assert_int_equal(r->uses[1].got.len, 5);
		assert_memory_equal(r->uses[1].got.p, "world", 5);
		assert_int_equal(r->uses[1].eofs, 1);
		assert_int_equal(r->exit_code, 3);
		assert_string_equal(r->lines[0], "a line");
		assert_int_equal(r->calls[AT_CLOSED], 0);
		if (i < wire.len)
			rig_free(r);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(garbage_before_the_handshake),
		T(no_docker_frames),
		T(garbage_after_the_handshake),
		T(oversized_header),
		T(hpack_bomb),
		T(forged_streams),
		T(bad_stream_ids),
		T(more_than_the_window),
		T(frame_beyond_the_size),
		T(window_overflow),
		T(tcp_before_the_agent),
		T(faults_of_one_stream),
		T(data_after_the_end),
		T(pseudo_header_in_trailers),
		T(other_doors_live_on),
		T(torn_session),
	};

	return cmocka_run_group_tests_name("door_attack", tests, NULL, NULL);
}
