// SPDX-License-Identifier: Apache-2.0
/*
 * The console channel: chats whose platform is the control socket. A chat's id is a group's name. It owns no
 * socket: the control socket (admin floor) subscribes clients here. The history in the store is the
 * platform: a reply counts as sent when it is in there, and a client that comes later, or comes back, reads on from the
 * last sequence number it saw, so nothing is lost and nothing comes twice.
 */
#ifndef CHELA_CHANNELS_CONSOLE_H
#define CHELA_CHANNELS_CONSOLE_H
#include "channels/channel.h"

extern const struct channel_ops console_ops;

struct console_client;
struct console_events {
	void (*message)(void *ctx, int64_t seq, const char *text,
			bool notice); /* sent to this chat */
	void (*progress)(void *ctx, enum progress_kind kind, const char *text);
	void (*settled)(void *ctx, const char *platform_id, bool failed);
};
/* Subscribes to one chat; freed with console_leave. ev and ctx are borrowed. */
struct console_client *console_join(struct channel *c, const char *chat,
				    const struct console_events *ev, void *ctx);
void console_leave(struct channel *c, struct console_client *cl);
/* A person typed something. id is chosen by the client (dedup over reconnects). */
void console_say(struct channel *c, const char *chat, const char *id, const char *sender,
		 const char *text, size_t len, int64_t now_ms, stored_fn *fn, void *ctx);

#endif
