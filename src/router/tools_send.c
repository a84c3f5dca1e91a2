// SPDX-License-Identifier: Apache-2.0
/*
 * send_message to another chat than the turn's: main's agent may, asked by an admin; another group's only to the groups that it was granted. To an agent without that
 * right a chat that is there and one that is not are the same.
 */
#include <string.h>
#include "base/str.h"
#include "router/tools.h"
#include "store/grants.h"

struct target {
	struct chat_row chat;
	struct group_row group;
	int64_t last_ms;
};

/* The newest of a group's chats; the console's only when there is no other. */
static void newest_chat(void *ctx, const struct chat_info *c)
{
	struct target *t = ctx;
	bool console = streq(c->chat.channel, "console");

	if (t->chat.id &&
	    (console || (c->last_ms < t->last_ms && !streq(t->chat.channel, "console"))))
		return;
	t->chat = c->chat;
	t->last_ms = c->last_ms;
}

/* What `where` names: a group's chat. E_GONE when nothing. */
static int find_chat(struct session *s, const char *where, struct target *out, struct err *e)
{
	const char *colon = strchr(where, ':');
	struct group_row g;
	char channel[32];

	*out = (struct target){.last_ms = 0};
	if (!colon) {
		if (store_group_get(s->r->store, where, &g, e) < 0 ||
		    store_chat_each(s->r->store, g.id, newest_chat, out, e) < 0)
			return -1;
	} else if (colon - where < (int)sizeof(channel)) {
		snprintf(channel, sizeof(channel), "%.*s", (int)(colon - where), where);
		if (store_chat_find(s->r->store, channel, colon + 1, &out->chat, e) < 0)
			return -1;
	}
	if (!out->chat.id || !out->chat.group_id)
		return err_set(e, E_GONE, "there is no such chat");
	if (store_group_at(s->r->store, out->chat.group_id, &out->group, e) < 0)
		return -1;
	return out->group.removed ? err_set(e, E_GONE, "there is no such chat") : 0;
}

/* Everything is decided here: 1 = may, 0 = may not, or it is not there. */
static int may_reach(struct session *s, const char *where, struct target *out, struct err *e)
{
	bool granted = false;

	if (find_chat(s, where, out, e) < 0)
		return e->code == E_GONE ? 0 : -1;
	if (s->group.is_main || out->chat.group_id == s->group.id)
		return 1;
	if (store_grant_has(s->r->store, s->group.id, "send_message", out->chat.group_id, &granted,
			    e) < 0)
		return -1;
	return granted;
}

void tool_send_elsewhere(struct session *s, struct mcp_call *c, const char *where, const char *text)
{
	struct target to;
	struct err e = ERR_INIT;
	char reply[400];
	int64_t id;
	int rc;

	if (!tool_may(s, c, s->group.is_main ? ROLE_ADMIN : ROLE_MEMBER, "sending to another chat"))
		return;
	rc = may_reach(s, where, &to, &e);
	if (rc < 0) {
		tool_failed(s, c, &e);
		return;
	}
	if (rc == 0) {
		tool_record(s, false, "send_message to %.160s", where);
		tool_refuse(
			c,
			s->group.is_main
				? "Not sent: no group has a chat \"%.160s\"; list_groups names those that are there."
				: "Not sent: there is no chat \"%.160s\" that this group may send to.",
			where);
		return;
	}
	if (++s->unasked > UNASKED_MAX) {
		tool_refuse(c, "Not sent: too many messages before an answer.");
		return;
	}
	id = delivery_post(s->r, &(struct out_new){
					 .chat_id = to.chat.id,
					 .group_id = to.group.id,
					 .thread = "",
					 .text = text,
					 .kind = OUT_TOOL,
				 });
	tool_record(s, true, "send_message %lld to %s:%s (%s)", (long long)id, to.chat.channel,
		    to.chat.platform_id, to.group.name);
	snprintf(
		reply, sizeof(reply),
		"Queued as message %lld of %s:%s (group %s); it is sent in order, and again if the platform fails.",
		(long long)id, to.chat.channel, to.chat.platform_id, to.group.name);
	mcp_reply_text(c, reply, false);
}
