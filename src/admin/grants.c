// SPDX-License-Identifier: Apache-2.0
/*
 * Commands for grants: what one group's agent may do to another group. There is one kind: to send messages there. It holds from the next call on, and takes no
 * restart.
 */
#include "store/grants.h"
#include "admin/command.h"
#include "base/str.h"

struct list {
	struct reply *r;
	int64_t n;
};

static void list_grant(void *ctx, const struct grant_row *g)
{
	struct list *l = ctx;

	reply_line(l->r, "%s may %s to %s (given by %s)", g->group, g->act, g->target, g->by);
	l->n++;
}

static void list(struct command *c)
{
	struct list l = {.r = c->r};
	struct err e = ERR_INIT;
	int rc = store_grant_each(c->o->store, 0, list_grant, &l, &e);

	if (rc == 0 && !l.n)
		reply_line(c->r, "There is no grant: no group but main reaches another one.");
	reply_done(c->r, rc, &e);
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

static void add(struct command *c)
{
	struct group_row from, to;
	struct err e = ERR_INIT;
	bool fresh;
	int rc = read_words(c, &from, &to, &e);

	if (rc == 0)
		rc = store_grant_add(c->o->store, from.id, "send_message", to.id, c->by->who,
				     &fresh, &e);
	if (rc == 0)
		reply_line(c->r, "%s%s may send messages to the chats of %s, asked by its members.",
			   fresh ? "" : "As before: ", from.name, to.name);
	reply_done(c->r, rc, &e);
}

static void take(struct command *c)
{
	struct group_row from, to;
	struct err e = ERR_INIT;
	bool was;
	int rc = read_words(c, &from, &to, &e);

	if (rc == 0)
		rc = store_grant_remove(c->o->store, from.id, "send_message", to.id, &was, &e);
	if (rc == 0 && !was)
		rc = err_set(&e, E_GONE, "%s had no such grant", from.name);
	if (rc == 0)
		reply_line(c->r, "%s may not send messages to %s any more.", from.name, to.name);
	reply_done(c->r, rc, &e);
}

/* clang-format off */
const struct command_form commands_grants[] = {
	{"grants list", "", "which group's assistant may write to which other group", CMD_CLI | CMD_MAIN | CMD_AGENT, ROLE_ADMIN, .run = list},
	{"grants add", "GROUP send_message GROUP2", "the assistant of GROUP may write to GROUP2", CMD_CLI | CMD_MAIN, ROLE_ADMIN, .min = 3, .max = 3, .run = add},
	{"grants remove", "GROUP send_message GROUP2", "and may not any more", CMD_CLI | CMD_MAIN, ROLE_ADMIN, .min = 3, .max = 3, .run = take},
	{0},
};
/* clang-format on */
