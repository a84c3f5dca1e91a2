// SPDX-License-Identifier: Apache-2.0
/*
 * The tools for groups: which there are and making one (the main group's agent alone), and what is set for one. Each is as its command, with the rights of those who
 * are in the turn.
 */
#include <string.h>
#include "base/str.h"
#include "router/groups.h"
#include "router/people.h"
#include "router/settings.h"
#include "router/tools.h"

/* --- list_groups -------------------------------------------------------------------------- */

struct group_list {
	struct session *s;
	struct group_row *rows;
	size_t n;
};

static void note_group(void *ctx, const struct group_row *g)
{
	struct group_list *l = ctx;

	l->rows = xrealloc(l->rows, (l->n + 1) * sizeof(*l->rows));
	l->rows[l->n++] = *g;
}

static void put_chat(void *ctx, const struct chat_info *c)
{
	struct buf *out = ctx;
	char title[80];

	str_one_line(title, sizeof(title), c->title);
	buf_putf(out, "%s%s:%s", out->p[out->len - 1] == ':' ? " " : ", ", c->chat.channel,
		 c->chat.platform_id);
	if (title[0])
		buf_putf(out, " \"%s\"", title);
}

static int put_group(struct session *s, struct buf *out, const struct group_row *g, struct err *e)
{
	size_t n;

	buf_putf(out, "%s%s%s%s:", out->len ? "\n" : "", g->name, g->is_main ? " (main)" : "",
		 g->paused ? " (paused)" : "");
	n = out->len;
	if (store_chat_each(s->r->store, g->id, put_chat, out, e) < 0)
		return -1;
	if (out->len == n)
		buf_puts(out, " no chat");
	return 0;
}

static void list_groups(void *peer, struct mcp_call *c, const cJSON *args maybe_unused)
{
	struct session *s = peer;
	struct group_list l = {.s = s};
	_cleanup_(buf_free) struct buf out = {0};
	struct err e = ERR_INIT;
	int rc = store_group_each(s->r->store, note_group, &l, &e);

	for (size_t i = 0; i < l.n && rc == 0; i++)
		rc = put_group(s, &out, &l.rows[i], &e);
	free(l.rows);
	if (rc < 0)
		tool_failed(s, c, &e);
	else
		mcp_reply_text(c, out.len ? out.p : "There is no group.", false);
}

/* --- register_group ----------------------------------------------------------------------- */

/* "slack:C0123" in two; the console's chats have their groups by their names. */
static int split_chat(struct router *r, const char *word, char channel[32], const char **id,
		      struct err *e)
{
	const char *colon = strchr(word, ':');

	if (!colon || !colon[1] || colon - word > 31 || strlen(colon + 1) > 127)
		return err_set(e, E_INVAL,
			       "\"%.100s\" is no CHANNEL:CHAT such as telegram:-1001234", word);
	snprintf(channel, 32, "%.*s", (int)(colon - word), word);
	*id = colon + 1;
	if (streq(channel, "console") || !router_channel(r, channel))
		return err_set(e, E_INVAL, "there is no channel \"%s\" whose chats can be linked",
			       channel);
	return 0;
}

static int link_chat(struct session *s, const struct group_row *g, const char *channel,
		     const char *id, struct buf *said, struct err *e)
{
	struct chat_row chat;
	struct group_row owner;

	if (store_chat_ensure(s->r->store, channel, id, "", &chat, e) < 0)
		return -1;
	if (chat.group_id && chat.group_id != g->id) {
		if (store_group_at(s->r->store, chat.group_id, &owner, e) < 0)
			return -1;
		return err_set(e, E_INVAL,
			       "the chat belongs to the group %s: it must be unlinked there first",
			       owner.name);
	}
	return people_link(s->r, &chat, g, s->by.who, said, e);
}

static void register_group(void *peer, struct mcp_call *c, const cJSON *args)
{
	struct session *s = peer;
	const char *name = json_peek_str(args, "name"), *word = json_peek_str(args, "chat");
	const char *id = NULL;
	struct group_row g;
	struct err e = ERR_INIT;
	_cleanup_(buf_free) struct buf said = {0};
	char channel[32], reply[800];
	bool fresh = false;

	/* All that can be wrong, before anything is made. */
	if (word && split_chat(s->r, word, channel, &id, &e) < 0) {
		tool_refuse(c, "Not made: %s.", e.msg);
		return;
	}
	if (group_make(s->r, name, &g, &fresh, &e) < 0 ||
	    (word && link_chat(s, &g, channel, id, &said, &e) < 0)) {
		if (store_broken(s->r->store))
			tool_failed(s, c, &e);
		else
			tool_refuse(c, "%s: %s.",
				    fresh ? "The group was made, but the chat was not linked"
					  : "Not done",
				    e.msg);
		return;
	}
	tool_record(s, true, "register_group %s %s", g.name, word ? word : "");
	snprintf(reply, sizeof(reply), "%s group %s.%s%s%s%s%s",
		 fresh ? "Made the" : "There was already a", g.name,
		 word ? " From now on messages of " : " No chat belongs to it yet by this call.",
		 word ? word : "",
		 word ? " go to it; who has no role there is treated by its setting \"strangers\"."
		      : "",
		 said.len ? " " : "", said.len ? said.p : "");
	mcp_reply_text(c, reply, false);
}

/* --- group_settings ----------------------------------------------------------------------- */

struct setting_list {
	struct buf out;
	const char *key; /* only this one; NULL = all */
};

static void put_setting(void *ctx, const char *key, const char *value, const char *choices,
			bool own)
{
	struct setting_list *l = ctx;

	if (!l->key || streq(l->key, key))
		buf_putf(&l->out, "%s%s: %s%s (%s)", l->out.len ? "\n" : "", key, value,
			 own ? "" : " [default]", choices);
}

static void show_settings(struct session *s, struct mcp_call *c, const struct group_row *g,
			  const char *key, const char *lead)
{
	struct setting_list l = {.key = key};
	struct err e = ERR_INIT;
	char keys[300];

	if (settings_each(s->r, g->id, put_setting, &l, &e) < 0) {
		tool_failed(s, c, &e);
	} else if (!l.out.len) {
		settings_keys(keys, sizeof(keys));
		tool_refuse(c, "There is no setting \"%.60s\": use %s.", key, keys);
	} else {
		_cleanup_free_ char *text = xasprintf("%s%s:\n%s", lead, g->name, l.out.p);

		mcp_reply_text(c, text, false);
	}
	buf_free(&l.out);
}

static void group_settings(void *peer, struct mcp_call *c, const cJSON *args)
{
	struct session *s = peer;
	const char *key = json_peek_str(args, "key"), *value = json_peek_str(args, "value");
	struct group_row g;
	struct err e = ERR_INIT;

	if (value && !key) {
		tool_refuse(c, "Nothing changed: a value needs the key that it is for.");
		return;
	}
	if (!tool_group(s, c, args, &g))
		return;
	if (!value) {
		show_settings(s, c, &g, key, "Settings of ");
		return;
	}
	if (!tool_may(s, c, ROLE_ADMIN, "changing settings"))
		return;
	if (++s->unasked > UNASKED_MAX) {
		tool_refuse(c, "Nothing changed: too many changes before an answer.");
		return;
	}
	if (settings_set(s->r, g.id, key, value, &e) < 0) {
		if (store_broken(s->r->store))
			tool_failed(s, c, &e);
		else
			tool_refuse(c, "Nothing changed: %s.", e.msg);
		return;
	}
	tool_record(s, true, "group_settings %s %s %s", g.name, key, value);
	show_settings(s, c, &g, key,
		      group_setting_changed(s->r, g.id, key) == REFRESH_LATER
			      ? "Changed, and in force after this turn, for "
			      : "Changed for ");
}

/* --- the table ---------------------------------------------------------------------------- */

/* clang-format off */
const struct agent_tool tools_group[] = {
	{
		.mcp = {
			.name = "list_groups",
			.title = "List all groups",
			.description = "All groups and the chats of each.",
			.input_schema = TOOL_INPUT("", ""),
			.read_only = true,
			.call = list_groups,
		},
		.rule = {ROLE_ADMIN, true},
	},
	{
		.mcp = {
			.name = "register_group",
			.title = "Make a group, or link a chat to one",
			.description =
				"Makes a group when there is none of that name, and links a chat to it: from then on "
				"its messages are answered by an agent of that group's own.",
			.input_schema = TOOL_INPUT(
				TOOL_TEXT("name", "1", "64", "a-z, 0-9, - and _") ","
				TOOL_TEXT("chat", "1", "160", "CHANNEL:CHAT, such as telegram:-1001234"),
				"\"name\""),
			.call = register_group,
		},
		.rule = {ROLE_ADMIN, true},
		.acts = true,
	},
	{
		.mcp = {
			.name = "group_settings",
			.title = "Look at or change the group's settings",
			.description =
				"Without a value: what is set for this group and what could be. With key and value: "
				"changes that setting, which an admin must have asked for.",
			.input_schema = TOOL_INPUT(
				TOOL_TEXT("key", "1", "40", "the setting's name") ","
				TOOL_TEXT("value", "1", "600", "what it is to be; default takes the group's own away") ","
				TOOL_GROUP("another group's name (the main group only)"),
				""),
			.call = group_settings,
		},
		.rule = {ROLE_MEMBER, false},
	},
	{.mcp = {.name = NULL}},
};
/* clang-format on */
