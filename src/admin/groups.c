// SPDX-License-Identifier: Apache-2.0
/*
 * `chela groups` and `chela chats`: which chat belongs to which group, and what a group's settings are. A chat that nobody linked is not
 * listened to: linking is the operator's act alone.
 */
#include <string.h>

#include "admin/command.h"
#include "base/str.h"
#include "router/groups.h"
#include "router/people.h"
#include "router/settings.h"

/* --- chats -------------------------------------------------------------------------------- */

struct chat_list {
	struct reply *r;
	int64_t n, strangers;
};

static void list_chat(void *ctx, const struct chat_info *c)
{
	struct chat_list *l = ctx;
	char last[24] = "never", refused[48] = "";
	const char *quote = c->title[0] ? "\"" : "";

	if (c->last_ms)
		clock_minute(c->last_ms, last);
	if (c->refused)
		snprintf(refused, sizeof(refused), ", %lld refused", (long long)c->refused);
	reply_line(l->r, "%s:%s  %s  %s%s%s%s%slast seen %s%s", c->chat.channel,
		   c->chat.platform_id, c->group[0] ? c->group : "-", quote, c->title, quote,
		   c->chat.direct ? " (direct)" : "", c->title[0] || c->chat.direct ? ", " : "",
		   last, refused);
	l->n++;
	l->strangers += !c->group[0];
}

static int chats(struct command *c, struct err *e)
{
	struct chat_list l = {.r = c->r};

	if (store_chat_each(c->o->store, 0, list_chat, &l, e) < 0)
		return -1;
	if (!l.n)
		reply_line(c->r, "No chat was seen yet. Write to the assistant on a platform.");
	else if (l.strangers)
		reply_line(c->r,
			   "%lld without a group (\"-\"): not listened to. Link one with: "
			   "%sgroups add GROUP CHANNEL:CHAT",
			   (long long)l.strangers, c->lead);
	return 0;
}

/* --- groups ------------------------------------------------------------------------------- */

struct group_list {
	struct group_row *rows;
	size_t n;
};

static void note_group(void *ctx, const struct group_row *g)
{
	struct group_list *l = ctx;

	l->rows = xrealloc(l->rows, (l->n + 1) * sizeof(*l->rows));
	l->rows[l->n++] = *g;
}

static void note_chat(void *ctx, const struct chat_info *c)
{
	buf_putf(ctx, " %s:%s", c->chat.channel, c->chat.platform_id);
}

static int list(struct command *c, struct err *e)
{
	struct group_list l = {0};
	int rc = store_group_each(c->o->store, note_group, &l, e);

	for (size_t i = 0; i < l.n && rc == 0; i++) {
		_cleanup_(buf_free) struct buf names = {0};

		rc = store_chat_each(c->o->store, l.rows[i].id, note_chat, &names, e);
		reply_line(c->r, "%s%s:%s", l.rows[i].name, l.rows[i].is_main ? " (main)" : "",
			   names.len ? names.p : " no chat");
	}
	free(l.rows);
	return rc;
}

static bool known_channel(const char *name, struct buf *names)
{
	for (size_t i = 0; channel_registry[i]; i++) {
		const char *n = channel_registry[i]->name;

		if (streq(n, name))
			return true;
		if (!streq(n, "console"))
			buf_putf(names, "%s%s", names->len ? ", " : "", n);
	}
	return false;
}

/* "slack:C0123" in two. */
static int read_chat(const char *word, char channel[32], const char **id, struct err *e)
{
	_cleanup_(buf_free) struct buf names = {0};
	const char *colon = strchr(word, ':');

	if (!colon || !colon[1] || colon - word > 31 || strlen(colon + 1) > 127)
		return err_set(e, E_INVAL,
			       "\"%.60s\" is no CHANNEL:CHAT; chela chats lists those that were "
			       "seen",
			       word);
	snprintf(channel, 32, "%.*s", (int)(colon - word), word);
	*id = colon + 1;
	if (streq(channel, "console"))
		return err_set(e, E_INVAL,
			       "the console's chats belong to the groups of their names: chela "
			       "chat GROUP");
	if (!known_channel(channel, &names))
		return err_set(e, E_INVAL, "there is no channel \"%s\": use %s", channel,
			       names.len ? names.p : "one that is built in");
	return 0;
}

static void copy_name(void *ctx, const struct chat_info *c)
{
	str_copy(ctx, 65, c->group);
}

static int link_chat(const struct command *c, const struct group_row *g, const char *word,
		     struct err *e)
{
	_cleanup_(buf_free) struct buf said = {0};
	const struct control_opts *o = c->o;
	struct reply *r = c->r;
	struct chat_row chat;
	char channel[32], owner[65] = "another group";
	const char *id;
	bool unseen;

	if (read_chat(word, channel, &id, e) < 0)
		return -1;
	unseen = store_chat_find(o->store, channel, id, &chat, e) < 0;
	if ((unseen && e->code != E_GONE) ||
	    store_chat_ensure(o->store, channel, id, "", &chat, e) < 0)
		return -1;
	if (chat.group_id && chat.group_id != g->id) {
		if (store_chat_each(o->store, chat.group_id, copy_name, owner, e) < 0)
			return -1;
		return err_set(e, E_INVAL, "%.100s belongs to %s: chela groups unlink %.100s first",
			       word, owner, word);
	}
	if (people_link(o->router, &chat, g, c->by->who, &said, e) < 0)
		return -1;
	reply_line(r, "%s belongs to %s: messages from now on are taken.", word, g->name);
	if (said.len)
		reply_line(r, "%s", said.p);
	if (!router_channel(o->router, channel))
		reply_line(r, "The channel %s is not in the configuration yet.", channel);
	else if (unseen)
		reply_line(r,
			   "Nobody has written there yet. If the id is wrong, nobody will: chela "
			   "chats shows who has.");
	return 0;
}

static int add(struct command *c, struct err *e)
{
	const char *name = c->argv[0], *word = c->argc > 1 ? c->argv[1] : NULL, *id;
	char channel[32];
	struct group_row g;
	bool made;

	/* Before the group is made: a wrong word changes nothing. */
	if (word && read_chat(word, channel, &id, e) < 0)
		return -1;
	if (group_make(c->o->router, name, &g, &made, e) < 0)
		return -1;
	if (word)
		return link_chat(c, &g, word, e);
	reply_line(
		c->r,
		"%s a group %s. Talk to it with chela chat %s, or give it a chat: chela groups add %s CHANNEL:CHAT",
		made ? "There is now" : "There is already", g.name, g.name, g.name);
	return 0;
}

static int unlink_chat(struct command *c, struct err *e)
{
	const char *word = c->argv[0], *id;
	struct store *st = c->o->store;
	struct chat_row chat;
	char channel[32];

	if (read_chat(word, channel, &id, e) < 0)
		return -1;
	if (store_chat_find(st, channel, id, &chat, e) < 0 || !chat.group_id)
		return e->code && e->code != E_GONE
			       ? -1
			       : err_set(e, E_INVAL, "%.100s belongs to no group", word);
	if (store_chat_unlink(st, chat.id, e) < 0)
		return -1;
	reply_line(c->r, "%s belongs to no group now: what comes from it is refused.", word);
	return 0;
}

static void show_setting(void *ctx, const char *key, const char *value, const char *choices,
			 bool own)
{
	reply_line(ctx, "  %-13s %-8s %s(%s)", key, value, own ? "" : "by default ", choices);
}

static int show(struct command *c, struct err *e)
{
	struct chat_list l = {.r = c->r};
	struct group_row g;

	if (command_group(c, c->argc ? c->argv[0] : NULL, &g, e) < 0)
		return -1;
	reply_line(c->r, "%s%s%s", g.name, g.is_main ? " (main)" : "",
		   g.paused ? ", paused: its tasks do not run" : "");
	if (settings_each(c->o->router, g.id, show_setting, c->r, e) < 0)
		return -1;
	return store_chat_each(c->o->store, g.id, list_chat, &l, e);
}

/* The value as it was meant: in a chat no shell has taken the quotes of `regex "good morning"` away. Caller frees. */
static char *meant(const struct command *c)
{
	const char *value = c->argv[2], *first = strchr(value, '"');
	size_t n = strlen(value);

	if (c->where == CMD_CLI ||
	    !(str_starts(value, "word \"") || str_starts(value, "regex \"")) ||
	    first + 1 >= value + n - 1 || strchr(first + 1, '"') != value + n - 1)
		return xstrdup(value);
	return xasprintf("%.*s%.*s", (int)(first - value), value,
			 (int)(value + n - 1 - (first + 1)), first + 1);
}

static int set(struct command *c, struct err *e)
{
	_cleanup_free_ char *value = meant(c);
	struct router *r = c->o->router;
	enum refresh f;
	struct group_row g;

	if (command_group(c, c->argv[0], &g, e) < 0 ||
	    settings_set(r, g.id, c->argv[1], value, e) < 0)
		return -1;
	f = group_setting_changed(r, g.id, c->argv[1]);
	reply_line(c->r, "%s: %s is %s%s %s.", g.name, c->argv[1],
		   streq(value, "default") ? "again as by " : "", value,
		   f == REFRESH_LATER ? refresh_words(f) : "from now on");
	return 0;
}

#define HERE (CMD_CLI | CMD_MAIN)

const struct command_form commands_groups[] = {
	{"chats", "", "who has written, and the group of each chat", HERE | CMD_AGENT, ROLE_ADMIN,
	 .run = chats},
	{"groups list", "", "the groups and the chats of each", HERE | CMD_AGENT, ROLE_MEMBER,
	 .run = list},
	{"groups add", "NAME [CHANNEL:CHAT]", "make a group; this chat belongs to it from now on",
	 HERE, ROLE_ADMIN, .min = 1, .max = 2, .run = add},
	{"groups show", "[NAME]", "its chats and settings", CMD_EVERYWHERE, ROLE_MEMBER, .max = 1,
	 .run = show},
	{"groups set", "NAME KEY VALUE", "change a setting; the value default takes it away",
	 HERE | CMD_GROUP, ROLE_ADMIN, .min = 3, .max = 3, .rest = true, .run = set},
	{"groups unlink", "CHANNEL:CHAT", "this chat belongs to no group any more", HERE,
	 ROLE_ADMIN, .min = 1, .max = 1, .run = unlink_chat},
	{0},
};
