// SPDX-License-Identifier: Apache-2.0
/*
 * The tools that the agent has of us, answered with what was really done: the table of all, and the one gate in front of them. The caller is the session whose door
 * the call came through; what it may is decided by the people whose messages are in its running turn, before a tool looks at its arguments.
 */
#include "router/task_may.h"
#include "router/tools.h"
#include <stdarg.h>
#include <string.h>
#include "base/str.h"

struct tools {
	struct agent_tool *all;
	struct mcp_tool *mcp; /* the same, each through the gate */
	size_t n;
};

void tool_refuse(struct mcp_call *c, const char *fmt, ...)
{
	char text[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	text[str_utf8_floor(text, strlen(text))] = '\0';
	mcp_reply_text(c, text, true);
}

bool tool_begin(struct session *s, struct mcp_call *c, unsigned cap, const char *what,
		struct tool_place *out)
{
	struct err e = ERR_INIT;

	if (store_chat_get(s->r->store, s->chat_id, &out->chat, &e) < 0) {
		tool_refuse(c, "Not done: %s", e.msg);
		router_fatal(s->r, &e);
		return false;
	}
	if (out->chat.group_id && out->chat.group_id != s->group.id) {
		tool_refuse(c, "Not done: this chat does not belong to your group any more.");
		return false;
	}
	out->chan = router_channel(s->r, out->chat.channel);
	if (cap && (!out->chan || !(out->chan->ops->caps & cap))) {
		tool_refuse(c,
			    "Not done: this chat is on %s, where Chela has no %s. Say it in your "
			    "answer instead.",
			    out->chat.channel, what);
		return false;
	}
	if (++s->unasked > UNASKED_MAX) {
		tool_refuse(c, "Not done: too many messages before an answer.");
		return false;
	}
	return true;
}

struct wanted {
	const struct session *s;
	struct tool_message *out;
	bool here, named;
};

static void read_message(void *ctx, const struct msg_row *m)
{
	struct wanted *w = ctx;

	w->here = m->chat_id == w->s->chat_id && m->group_id == w->s->group.id;
	w->named = m->platform_id[0] && !msg_is_event(m->platform_id);
	w->out->id = m->id;
	w->out->ours = m->dir == MSG_OUT;
	w->out->notice = m->notice;
	str_copy(w->out->thread, sizeof(w->out->thread), m->thread);
	str_copy(w->out->platform_id, sizeof(w->out->platform_id), m->platform_id);
}

bool tool_message(struct session *s, struct mcp_call *c, int64_t id, struct tool_message *out)
{
	struct wanted w = {.s = s, .out = out};
	struct err e = ERR_INIT;

	memset(out, 0, sizeof(*out));
	if (store_message_get(s->r->store, id, read_message, &w, &e) < 0 && e.code != E_GONE) {
		tool_refuse(c, "Not done: %s", e.msg);
		router_fatal(s->r, &e);
	} else if (
		!w.here) { /* of another chat or not there: the same words, so that no id can be probed */
		tool_refuse(c,
			    "Not done: this chat has no message %lld. search_history shows the "
			    "numbers of its messages.",
			    (long long)id);
	} else if (!w.named) {
		tool_refuse(c,
			    "Not done: message %lld has not been sent yet (or could not be). Try "
			    "again in a moment.",
			    (long long)id);
	} else {
		return true;
	}
	return false;
}

/* --- who may ------------------------------------------------------------------------------ */

void tool_record(struct session *s, bool allowed, const char *fmt, ...)
{
	char text[400], act[400];
	struct err e = ERR_INIT;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* A sandbox may call as often as it likes; the record is not its diary of refusals. */
	if (!allowed && !session_may_log(s))
		return;
	str_one_line(act, sizeof(act), text);
	if (store_act_add(s->r->store, s->by.who, s->by.sender_id, s->group.id, "agent", act,
			  allowed, &e) < 0)
		router_fatal(s->r, &e);
}

void tool_failed(struct session *s, struct mcp_call *c, const struct err *e)
{
	tool_refuse(c, "Not done: %s", e->msg);
	router_fatal(s->r, e);
}

/* may() decides; its words are for the person who acts, and the agent acts for one. */
static bool allowed(struct session *s, struct mcp_call *c, const struct rule *rule,
		    const char *what)
{
	struct err e = ERR_INIT;

	if (may(&s->by, rule, what, &e) == 0)
		return true;
	tool_record(s, false, "%s: refused %s", mcp_tool_of(c)->name, what);
	tool_refuse(
		c,
		"Not done: %s needs the role %s%s, and this turn is on behalf of %s, whose role here is %s%s.",
		what, role_word(rule->least), rule->main_only ? " in the main group" : "",
		s->by.who[0] ? s->by.who : "nobody", role_word(s->by.role),
		s->by.several ? " (the least of those who speak in it)" : "");
	return false;
}

bool tool_may(struct session *s, struct mcp_call *c, enum role least, const char *what)
{
	struct rule rule = {least, false};

	return allowed(s, c, &rule, what);
}

bool tool_group(struct session *s, struct mcp_call *c, const cJSON *args, struct group_row *out)
{
	const char *name = json_peek_str(args, "group");
	struct err e = ERR_INIT;

	*out = s->group;
	if (!name || streq(name, s->group.name))
		return true;
	if (s->group.is_main) {
		if (!tool_may(s, c, ROLE_ADMIN, "naming another group"))
			return false;
		if (store_group_get(s->r->store, name, out, &e) == 0)
			return true;
		if (e.code != E_GONE)
			tool_failed(s, c, &e);
		else
			tool_refuse(
				c,
				"Not done: there is no group \"%.64s\"; list_groups names those that are there.",
				name);
		return false;
	}
	tool_record(s, false, "%s: group %.64s", mcp_tool_of(c)->name, name);
	tool_refuse(c,
		    "Not done: there is no group \"%.64s\" here; you work for the group %s alone.",
		    name, s->group.name);
	return false;
}

static bool has(void *peer, const struct mcp_tool *t)
{
	struct session *s = peer;
	const struct tools *all = s->r->tools;

	return s->group.is_main || !all->all[t - all->mcp].rule.main_only;
}

/* Roles change while a turn runs: it never has more than they give now. */
static void look_again(struct session *s)
{
	struct actor now;
	struct err e = ERR_INIT;
	int rc;

	if (!s->by.sender_id)
		return;
	rc = actor_of(s->r, &s->group, s->by.sender_id, &now, &e);
	if (rc < 0 && e.code != E_GONE)
		router_fatal(s->r, &e);
	else if (rc == 0 && now.role < s->by.role)
		s->by.role = now.role;
}

/* Each call comes through here. */
static void gate(void *peer, struct mcp_call *c, const cJSON *args)
{
	struct session *s = peer;
	const struct tools *all = s->r->tools;
	const struct agent_tool *t = &all->all[mcp_tool_of(c) - all->mcp];

	look_again(s);
	if (!s->turn_id)
		tool_refuse(c, "Not done: no turn is running, so there is nobody to act for.");
	else if (!allowed(s, c, &t->rule, t->mcp.name))
		return;
	else if (t->acts && ++s->unasked > UNASKED_MAX)
		tool_refuse(c, "Not done: too many changes before an answer. End your turn first.");
	else
		t->mcp.call(peer, c, args);
}

/* --- all of them -------------------------------------------------------------------------- */

static const struct agent_tool *const tables[] = {tools_say, tools_task, tools_group};

void router_each_tool(tool_rule_fn *fn, void *ctx)
{
	for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
		for (const struct agent_tool *t = tables[i]; t->mcp.name; t++)
			fn(ctx, t->mcp.name, t->mcp.title, &t->rule);
	}
}

static void add_tool(struct tools *all, const struct agent_tool *t)
{
	all->all = xrealloc(all->all, (all->n + 1) * sizeof(*all->all));
	all->all[all->n++] = *t;
}

struct mcp_opts tools_open(struct router *r)
{
	const struct command_tool *t = r->o.commands ? r->o.commands->tools : NULL;
	struct tools *all = r->tools = xcalloc(1, sizeof(*all));

	for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
		for (const struct agent_tool *a = tables[i]; a->mcp.name; a++)
			add_tool(all, a);
	}
	if (t) {
		struct agent_tool a = command_tool_make(t);

		add_tool(all, &a);
	}
	all->mcp = xcalloc(all->n, sizeof(*all->mcp));
	for (size_t i = 0; i < all->n; i++) {
		all->mcp[i] = all->all[i].mcp;
		all->mcp[i].call = gate;
	}
	return (struct mcp_opts){.tools = all->mcp, .n_tools = all->n, .has = has};
}

void tools_close(struct router *r)
{
	command_tools_forget(r);
	if (streq(r->tools->all[r->tools->n - 1].mcp.name, COMMAND_TOOL))
		command_tool_free(&r->tools->all[r->tools->n - 1]);
	free(r->tools->all);
	free(r->tools->mcp);
	free(r->tools);
}
