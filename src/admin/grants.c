// SPDX-License-Identifier: Apache-2.0
/*
 * Commands for grants: what one group's agent may do to another group. There is one kind: to send messages there. It holds from the next call on, and takes no
 * restart.
 */
#include "store/grants.h"
#include "admin/command.h"
#include "base/str.h"

static void list_grant(void *ctx, const struct grant_row *g)
{
	struct listing *l = ctx;

	reply_line(l->r, "%s may %s to %s (given by %s)", g->group, g->act, g->target, g->by);
	l->n++;
}

static int list(struct command *c, struct err *e)
{
	struct listing l = {.r = c->r};

	if (store_grant_each(c->o->store, 0, list_grant, &l, e) < 0)
		return -1;
	if (!l.n)
		reply_line(c->r, "There is no grant: no group but main reaches another one.");
	return 0;
}

/* GROUP send_message GROUP2 */
static int read_words(struct command *c, struct group_row *from, struct group_row *to,
		      struct err *e)
{
	if (!streq(c->argv[1], "send_message"))
		return err_set(e, E_INVAL, "\"%.40s\" cannot be granted: use send_message",
			       c->argv[1]);
	if (store_group_get(c->o->store, c->argv[0], from, e) < 0 ||
	    store_group_get(c->o->store, c->argv[2], to, e) < 0)
		return -1;
	if (from->id == to->id || from->is_main)
		return err_set(e, E_INVAL, "%s needs no grant for that", from->name);
	return 0;
}

static int add(struct command *c, struct err *e)
{
	struct group_row from, to;
	bool fresh;

	if (read_words(c, &from, &to, e) < 0 ||
	    store_grant_add(c->o->store, from.id, "send_message", to.id, c->by->who, &fresh, e) < 0)
		return -1;
	reply_line(c->r, "%s%s may send messages to the chats of %s, asked by its members.",
		   fresh ? "" : "As before: ", from.name, to.name);
	return 0;
}

static int take(struct command *c, struct err *e)
{
	struct group_row from, to;
	bool was;

	if (read_words(c, &from, &to, e) < 0 ||
	    store_grant_remove(c->o->store, from.id, "send_message", to.id, &was, e) < 0)
		return -1;
	if (!was)
		return err_set(e, E_GONE, "%s had no such grant", from.name);
	reply_line(c->r, "%s may not send messages to %s any more.", from.name, to.name);
	return 0;
}

/* clang-format off */
const struct command_form commands_grants[] = {
	{"grants list", "", "which group's assistant may write to which other group", CMD_CLI | CMD_MAIN | CMD_AGENT, ROLE_ADMIN, .run = list},
	{"grants add", "GROUP send_message GROUP2", "the assistant of GROUP may write to GROUP2", CMD_CLI | CMD_MAIN, ROLE_ADMIN, .min = 3, .max = 3, .run = add},
	{"grants remove", "GROUP send_message GROUP2", "and may not any more", CMD_CLI | CMD_MAIN, ROLE_ADMIN, .min = 3, .max = 3, .run = take},
	{0},
};
/* clang-format on */
