// SPDX-License-Identifier: Apache-2.0
/*
 * What a group remembers and with which model it thinks: new conversations, compaction, the model; and a group's data as a whole: its export and its end. In a group's
 * chat these are about that chat's own conversation.
 */
#include <string.h>
#include "admin/command.h"
#include "base/str.h"
#include "router/export.h"
#include "router/memory.h"
#include "router/settings.h"

/* The conversation that a command means: of the chat and thread in which it is said, when that is the group's; else all of the group's. */
struct talk {
	struct group_row g;
	char buf[65];
	const char *key; /* NULL = all */
	int64_t chat_id;
};

static int find_place(const struct command *c, const char *word, struct talk *p, struct err *e)
{
	*p = (struct talk){.key = NULL};
	if (command_group_act(c, word, &p->g, e) < 0)
		return -1;
	if (c->here && c->chat_id && c->here->id == p->g.id) {
		session_key_of(c->o->router, p->g.id, c->chat_id, c->thread, p->buf);
		p->key = p->buf;
		p->chat_id = c->chat_id;
	}
	return 0;
}

/* --- new ---------------------------------------------------------------------------------- */

static int renew(struct command *c, struct err *e)
{
	struct renewed n;
	struct talk p;

	if (find_place(c, c->argc ? c->argv[0] : NULL, &p, e) < 0 ||
	    session_renew(c->o->router, &p.g, p.key, p.chat_id, &n, e) < 0)
		return -1;
	if (n.when == REFRESH_LATER)
		reply_line(c->r, "%s: a new conversation begins after the turn that runs now.",
			   p.g.name);
	else if (n.archive[0])
		reply_line(c->r,
			   "%s: the next message begins a new conversation. The old one is kept in "
			   "%s; its last lines are taken along.",
			   p.g.name, n.archive);
	else
		reply_line(c->r,
			   "%s: the next message begins a new conversation. Nothing was said since "
			   "the last archive.",
			   p.g.name);
	return 0;
}

/* --- compact ------------------------------------------------------------------------------ */

/* An answer that comes later; alive until it was given or nobody wants it. */
struct later {
	struct router *router;
	struct reply *r;
};

static void on_compacted(void *ctx, bool ok, const char *text)
{
	struct later *l = ctx;

	reply_on_gone(l->r, NULL, NULL);
	reply_line(l->r, "%s", text);
	reply_end(l->r, ok ? 0 : 1);
	free(l);
}

static void compact_gone(void *ctx)
{
	struct later *l = ctx;

	compact_forget(l->router, l);
	free(l);
}

static int compact(struct command *c, struct err *e)
{
	struct later *l = xcalloc(1, sizeof(*l));
	struct talk p;

	*l = (struct later){c->o->router, c->r};
	if (find_place(c, c->argc ? c->argv[0] : NULL, &p, e) < 0 ||
	    session_compact(c->o->router, &p.g, p.key ? p.key : "", p.chat_id,
			    p.key ? c->thread : "", on_compacted, l, e) < 0) {
		free(l);
		return -1;
	}
	reply_on_gone(c->r, compact_gone, l);
	return COMMAND_LATER;
}

/* --- model -------------------------------------------------------------------------------- */

static const char *model_word(const char *model)
{
	return model[0] ? model : "the agent's own default";
}

static int model(struct command *c, struct err *e)
{
	struct router *r = c->o->router;
	struct group_row g;
	enum refresh f;

	if (command_group(c, c->argc > 1 ? c->argv[1] : NULL, &g, e) < 0)
		return -1;
	if (!c->argc) {
		reply_line(c->r, "%s: the model is %s.", g.name,
			   model_word(settings_get(r, g.id)->model));
		return 0;
	}
	if (settings_set(r, g.id, "model", c->argv[0], e) < 0)
		return -1;
	f = group_refresh(r, g.id);
	reply_line(c->r, "%s: the model is %s %s.", g.name,
		   model_word(settings_get(r, g.id)->model), refresh_words(f));
	return 0;
}

/* --- the end of a group ------------------------------------------------------------------- */

static int remove_group(struct command *c, struct err *e)
{
	bool data = c->argc > 1;
	struct group_row g;

	if (data && !streq(c->argv[1], "--data"))
		return err_set(e, E_INVAL,
			       "\"%.40s\" is not known here: --data deletes what the group has",
			       c->argv[1]);
	if (command_group(c, c->argv[0], &g, e) < 0 || group_remove(c->o->router, &g, data, e) < 0)
		return -1;
	if (data)
		reply_line(
			c->r,
			"%s is removed: its chats are not listened to, its tasks are cancelled; its "
			"messages, files and settings are being deleted. What it has used and done "
			"stays in the records.",
			g.name);
	else
		reply_line(
			c->r,
			"%s is removed: its chats are not listened to, its tasks are cancelled. Its "
			"messages, files and settings are kept: %sgroups add %s brings it back, with "
			"no chats.",
			g.name, c->lead, g.name);
	return 0;
}

/* --- export ------------------------------------------------------------------------------- */

static void on_exported(void *ctx, const char *path, int64_t bytes, const struct err *why)
{
	struct later *l = ctx;

	reply_on_gone(l->r, NULL, NULL);
	if (why) {
		reply_fail(l->r, why);
	} else {
		reply_line(l->r, "Exported: %s, %lld bytes, for the server's user to read.", path,
			   (long long)bytes);
		reply_end(l->r, 0);
	}
	free(l);
}

static void export_gone(void *ctx)
{
	struct later *l = ctx;

	export_forget(l->router, l);
	free(l);
}

static int export(struct command *c, struct err *e)
{
	struct later *l = xcalloc(1, sizeof(*l));
	struct group_row g;

	*l = (struct later){c->o->router, c->r};
	if (command_group(c, c->argv[0], &g, e) < 0 ||
	    export_start(c->o->router, &g, on_exported, l, e) < 0) {
		free(l);
		return -1;
	}
	reply_on_gone(c->r, export_gone, l);
	return COMMAND_LATER;
}

#define PEOPLE (CMD_CLI | CMD_MAIN | CMD_GROUP)
#define HERE   (CMD_CLI | CMD_MAIN)

const struct command_form commands_memory[] = {
	{"new", "[GROUP]", "begin a new conversation; the old one is archived", PEOPLE, ROLE_MEMBER,
	 .max = 1, .run = renew},
	{"compact", "[GROUP]", "have the agent sum up the conversation so far", PEOPLE, ROLE_MEMBER,
	 .max = 1, .run = compact},
	{"model", "[NAME|default] [GROUP]", "show or choose the group's model", PEOPLE, ROLE_ADMIN,
	 .max = 2, .run = model},
	{"groups remove", "NAME [--data]", "take its chats away; --data deletes what it has", HERE,
	 ROLE_OWNER, .min = 1, .max = 2, .run = remove_group},
	{"groups export", "NAME", "all of a group in one file on the server", HERE, ROLE_OWNER,
	 .min = 1, .max = 1, .run = export},
	{0},
};
