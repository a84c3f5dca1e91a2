// SPDX-License-Identifier: Apache-2.0
/*
 * Docker's attach framing: see frames.h. dockerd is trusted more than the sandbox, yet the lengths
 * are checked all the same: a descriptor mixed up with another stream must fail here, loudly.
 */
#include "door/frames.h"
#include <string.h>

static int head_check(struct frames *f, struct err *e)
{
	const uint8_t *h = f->head;
	uint32_t len = (uint32_t)h[4] << 24 | (uint32_t)h[5] << 16 | (uint32_t)h[6] << 8 | h[7];

	if ((h[0] != FRAMES_STDOUT && h[0] != FRAMES_STDERR) || h[1] || h[2] || h[3])
		return err_set(e, E_PROTO, "attach frame of unknown type %u", h[0]);
	if (len > FRAMES_PAYLOAD_MAX)
		return err_set(e, E_PROTO, "attach frame of %u bytes, at most %u allowed", len,
			       FRAMES_PAYLOAD_MAX);
	f->type = h[0];
	f->left = len;
	f->have = 0;
	return 0;
}

int frames_take(struct frames *f, const uint8_t *p, size_t n, size_t *used,
		struct frames_piece *piece, struct err *e)
{
	piece->type = FRAMES_NONE;
	piece->p = p;
	piece->n = 0;
	if (f->left) {
		size_t k = n < f->left ? n : f->left;
		piece->type = f->type;
		piece->n = k;
		f->left -= (uint32_t)k;
		*used = k;
		return 0;
	}
	size_t k = FRAMES_HEAD - f->have;
	if (k > n)
		k = n;
	memcpy(f->head + f->have, p, k);
	f->have += k;
	*used = k;
	return f->have == FRAMES_HEAD ? head_check(f, e) : 0;
}
