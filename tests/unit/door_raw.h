// SPDX-License-Identifier: Apache-2.0
/*
 * HTTP/2 frames made by hand, for what no library would send (RFC 9113, RFC 7541).
 */
#ifndef CHELA_TESTS_DOOR_RAW_H
#define CHELA_TESTS_DOOR_RAW_H
#include "door_peer.h"

/* One HTTP/2 frame. */
static maybe_unused void h2(struct buf *b, uint8_t type, uint8_t flags, uint32_t id, const void *p,
			    size_t n)
{
	const uint8_t head[9] = {
		(uint8_t)(n >> 16),  (uint8_t)(n >> 8),	  (uint8_t)n,	      type,	  flags,
		(uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id};

	buf_put(b, head, sizeof(head));
	if (n)
		buf_put(b, p, n);
}

/* HPACK without tables: literal, never indexed, lengths below 127. */
static maybe_unused void field(struct buf *b, const char *name, const char *value)
{
	buf_put(b, "\x10", 1);
	buf_putf(b, "%c%s%c%s", (int)strlen(name), name, (int)strlen(value), value);
}

static maybe_unused void request(struct buf *b, uint8_t flags, uint32_t id, const char *path)
{
	_cleanup_(buf_free) struct buf h = {0};

	field(&h, ":method", "POST");
	field(&h, ":scheme", "chela");
	field(&h, ":authority", "door");
	field(&h, ":path", path);
	h2(b, NGHTTP2_HEADERS, flags, id, h.p, h.len);
}

enum {
	END_HEADERS = NGHTTP2_FLAG_END_HEADERS
};

/* Sends raw bytes as the sandbox's stdout. */
static maybe_unused void send_raw(struct rig *r, const struct buf *b)
{
	for (size_t i = 0; i < b->len; i += 32768)
		put_frame(&r->tx, 1, b->p + i, b->len - i < 32768 ? b->len - i : 32768);
	peer_write(r);
}

/* The bytes must end the door. */
static maybe_unused void fatal(struct rig *r, const struct buf *b, const char *text)
{
	send_raw(r, b);
	run_until(r, is_over);
	assert_error_is(&r->why, E_PROTO, text);
	assert_int_equal(r->calls[AT_CLOSED], 1);
	for (int i = 0; i < r->n_uses; i++)
		assert_int_equal(r->uses[i].closes, 1);
}

static maybe_unused void agent_request(struct buf *b)
{
	_cleanup_(buf_free) struct buf h = {0};

	field(&h, ":method", "POST");
	field(&h, ":scheme", "chela");
	field(&h, ":authority", "door");
	field(&h, ":path", "/agent");
	field(&h, "chela-door", "1");
	h2(b, NGHTTP2_HEADERS, END_HEADERS, 1, h.p, h.len);
}

#endif
