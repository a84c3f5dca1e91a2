// SPDX-License-Identifier: Apache-2.0
/*
 * Something that came in, as text for the store and back: what strangers say is held so until somebody has decided about them. Pure.
 */
#ifndef CHELA_ROUTER_HELD_H
#define CHELA_ROUTER_HELD_H
#include "base/json.h"
#include "channels/channel.h"

/* The caller frees. E_LIMIT when it is too much to be held. */
char *held_pack(const struct inbound *m, struct err *e) must_check;

#define HELD_FILES_MAX 20
struct held {
	struct inbound
		m; /* borrows from the rest; chat is not kept, but is set by whoever takes it in */
	struct inbound_file files[HELD_FILES_MAX];
	cJSON *json;
};
/* Free with held_free, also after an error. */
int held_unpack(const char *text, struct held *out, struct err *e) must_check;
void held_free(struct held *h);

#endif
