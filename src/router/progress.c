// SPDX-License-Identifier: Apache-2.0
/* Signs of life while a turn runs. */
#include "router/impl.h"

void delivery_progress(struct session *s, enum progress_kind kind, const char *text)
{
	struct router *r = s->r;
	struct chat_row chat;
	struct channel *c;
	struct err e = ERR_INIT;

	if (!s->chat_id || store_chat_get(r->store, s->chat_id, &chat, &e) < 0)
		return;
	c = router_channel(r, chat.channel);
	if (c && c->ready && c->ops->progress)
		c->ops->progress(c, chat.platform_id, s->thread ? s->thread : "", kind, text);
}
