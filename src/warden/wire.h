// SPDX-License-Identifier: Apache-2.0
/*
 * What goes over the SOCK_SEQPACKET pair between the server and the warden: fixed-size messages
 * with plain numbers, one message a packet, and one descriptor with TELL_STARTED. Both ends are
 * one binary, yet the warden reads every field as if the server had been taken over.
 */
#ifndef CHELA_WARDEN_WIRE_H
#define CHELA_WARDEN_WIRE_H
#include <stdint.h>
#include "warden/warden.h"

enum wire_op {
	ASK_START = 1,
	ASK_STOP,
	ASK_STATUS,
	TELL_STARTED,
	TELL_FAILED,
	TELL_ENDED,
	TELL_STATUS
};

/* Server to warden. Texts must be NUL-ended within their field. */
struct wire_ask {
	uint32_t op;
	uint32_t kind;	 /* enum sandbox_kind */
	uint64_t id;	 /* chosen by the server, never 0, never used twice at a time */
	uint32_t resume; /* 0 or 1 */
	char group[65];
	char session_id[37];
	char model[64];
	char skills[SKILLS_CAP];
};

/* Warden to server. */
struct wire_tell {
	uint32_t op;
	int32_t how;  /* TELL_FAILED: enum err_code; TELL_ENDED: enum sandbox_end */
	int32_t code; /* TELL_ENDED: exit code */
	uint64_t id;
	char text[256];
	struct warden_status status; /* TELL_STATUS */
};

#endif
