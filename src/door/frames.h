// SPDX-License-Identifier: Apache-2.0
/*
 * Takes Docker's attach frames off (Engine API, "Attach to a container", stream format): 8 bytes of
 * head {type, 0, 0, 0, length as u32 big-endian}, then the payload. A pull parser without memory of its own: it
 * hands out pieces of the caller's buffer, so a torn frame costs nothing. Knows nothing of HTTP/2.
 */
#ifndef CHELA_DOOR_FRAMES_H
#define CHELA_DOOR_FRAMES_H
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/mem.h"

#define FRAMES_HEAD	   8
#define FRAMES_PAYLOAD_MAX (1u << 20) /* dockerd sends at most 32 KiB; more is no Docker */

enum frames_type {
	FRAMES_NONE = 0,
	FRAMES_STDOUT = 1,
	FRAMES_STDERR = 2
};

/* All zero is the start state. */
struct frames {
	uint8_t head[FRAMES_HEAD];
	size_t have;   /* bytes of head so far */
	uint32_t left; /* payload bytes still to come */
	uint8_t type;  /* of the payload in progress */
};

struct frames_piece {
	enum frames_type type; /* FRAMES_NONE: only head bytes were taken */
	const uint8_t *p;      /* inside the caller's buffer */
	size_t n;
};

/* Takes some bytes from the front of p[0..n), n > 0; *used says how many (at least 1). E_PROTO for a type other than
 * stdout and stderr, a non-zero filler, or a length beyond FRAMES_PAYLOAD_MAX; the stream is
 * then lost for good. */
int frames_take(struct frames *f, const uint8_t *p, size_t n, size_t *used,
		struct frames_piece *piece, struct err *e) must_check;

#endif
