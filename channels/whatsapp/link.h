// SPDX-License-Identifier: Apache-2.0
/* Linking a WhatsApp account, for the operator's command: asks the bridge and tells what a person has to do, until it is linked. */
#ifndef CHELA_CHANNELS_WHATSAPP_LINK_H
#define CHELA_CHANNELS_WHATSAPP_LINK_H
#include "channels/channel.h"

struct wa_link_events {
	void (*line)(void *ctx, const char *line); /* to show; a QR code comes as many */
	/* The last call. why NULL: the account is linked and connected. */
	void (*end)(void *ctx, const struct err *why);
};
/* One at a time. c: a channel of whatsapp_ops. phone: digits, or "" for a QR code; force: log out first. What fails at once comes by `end`, from inside. */
int wa_link_start(struct channel *c, const char *phone, bool force, const struct wa_link_events *ev,
		  void *ctx, struct err *e) must_check;
/* The person has gone: no event any more. What was begun at WhatsApp ends by itself. */
void wa_link_cancel(struct channel *c);

#endif
