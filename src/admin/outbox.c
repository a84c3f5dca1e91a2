// SPDX-License-Identifier: Apache-2.0
/* `chela outbox`: what could not be delivered, and what waits; and `chela channels`: the links to the platforms, and a try at once. */
#include <string.h>

#include "admin/command.h"
#include "base/str.h"

#define LIST_MAX 200

static void list_row(void *ctx, const struct out_row *o)
{
	static const char *const states[] = {"waits", "sending", "sent", "dead", "dropped"};
	static const char *const ops[] = {"text", "edit", "reaction", "file", "question"};
	struct listing *l = ctx;
	char when[24], tries[32] = "";

	clock_minute(o->made_ms, when);
	if (o->tries)
		snprintf(tries, sizeof(tries), ", %lld tries", (long long)o->tries);
	reply_line(l->r, "%lld  %s  %s:%s  %s %s%s%s%s%s%s%s", (long long)o->id, when, o->channel,
		   o->chat_name, states[o->state],
		   o->op >= 0 && (size_t)o->op < ARRAY_LEN(ops) ? ops[o->op] : "?", tries,
		   o->class[0] ? ", class " : "", o->class,
		   o->again ? ", perhaps arrived once" : "", o->error[0] ? ": " : "", o->error);
	reply_line(l->r, "    %.*s%s", (int)str_utf8_floor(o->body, strnlen(o->body, 120)), o->body,
		   strlen(o->body) > 120 ? " ..." : "");
	l->n++;
}

static int list(struct command *c, bool all, struct err *e)
{
	struct listing l = {.r = c->r};

	if (store_out_list(c->o->store, all, LIST_MAX, list_row, &l, e) < 0)
		return -1;
	if (!l.n && all)
		reply_line(c->r, "Nothing waits and nothing is lost.");
	else if (!l.n)
		reply_line(c->r, "No dead letters. (What waits: %soutbox all)", c->lead);
	else if (l.n == LIST_MAX)
		reply_line(c->r, "These are the oldest %d.", LIST_MAX);
	if (l.n && !all)
		reply_line(c->r,
			   "Send again: %soutbox retry ID (or all). Let go: %soutbox drop ID.",
			   c->lead, c->lead);
	return 0;
}

static int list_dead(struct command *c, struct err *e)
{
	return list(c, false, e);
}

static int list_all(struct command *c, struct err *e)
{
	return list(c, true, e);
}

static void kick(void *ctx, int64_t chat_id)
{
	router_kick(ctx, chat_id);
}

static int retry(struct command *c, struct err *e)
{
	int64_t id = 0, chat = 0, n = 0;

	if ((!streq(c->argv[0], "all") && command_id(c, "a dead letter", "outbox", &id, e) < 0) ||
	    store_out_revive(c->o->store, id, &chat, &n, e) < 0)
		return -1;
	if (chat)
		router_kick(c->o->router, chat);
	else if (n && store_out_chats(c->o->store, kick, c->o->router, e) < 0)
		return -1;
	reply_line(c->r, "%lld queued again.", (long long)n);
	return 0;
}

static int drop(struct command *c, struct err *e)
{
	int64_t id;

	if (command_id(c, "a dead letter", "outbox", &id, e) < 0 ||
	    store_out_drop(c->o->store, id, e) < 0)
		return -1;
	reply_line(c->r, "%lld is off the list.", (long long)id);
	return 0;
}

static void channel_detail(void *ctx, const char *line)
{
	reply_line(ctx, "    %s", line);
}

static void channel_line(void *ctx, const struct channel_status *s)
{
	struct reply *r = ctx;

	if (s->retry_ms < 0)
		reply_line(r, "%-9s %s for %lld s", s->name, s->state,
			   (long long)s->since_ms / 1000);
	else
		reply_line(r, "%-9s %s for %lld s: %s (next try in %lld s)", s->name, s->state,
			   (long long)s->since_ms / 1000, s->reason,
			   (long long)(s->retry_ms > 0 ? s->retry_ms : 0) / 1000);
	if (s->channel->ops->describe)
		s->channel->ops->describe(s->channel, channel_detail, r);
}

static int channels(struct command *c, struct err *e maybe_unused)
{
	router_each_channel(c->o->router, channel_line, c->r);
	return 0;
}

static int retry_channel(struct command *c, struct err *e)
{
	const char *name = c->argv[0];

	if (router_retry_channel(c->o->router, &name, e) < 0)
		return -1;
	reply_line(c->r, "%s is tried now; %schannels shows how it goes.", name, c->lead);
	return 0;
}

#define HERE (CMD_CLI | CMD_MAIN)

const struct command_form commands_outbox[] = {
	{"channels", "", "which platforms are connected; what is wrong with the others",
	 HERE | CMD_AGENT, ROLE_ADMIN, .run = channels},
	{"channels retry", "NAME", "try one that is down or stuck at once", HERE, ROLE_ADMIN,
	 .min = 1, .max = 1, .run = retry_channel},
	{"outbox list", "", "what could not be delivered", HERE | CMD_AGENT, ROLE_ADMIN,
	 .run = list_dead},
	{"outbox all", "", "the same, and what waits", HERE | CMD_AGENT, ROLE_ADMIN,
	 .run = list_all},
	{"outbox retry", "ID|all", "send it again", HERE, ROLE_ADMIN, .min = 1, .max = 1,
	 .run = retry},
	{"outbox drop", "ID", "take it off the list, unsent", HERE, ROLE_ADMIN, .min = 1, .max = 1,
	 .run = drop},
	{0},
};
