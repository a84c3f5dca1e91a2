// SPDX-License-Identifier: Apache-2.0
/*
 * `chela approvals`, `approve`, `deny`: what strangers ask for, and the decisions; and `chela claim`, the code that makes the first owner. Agents
 * can list, never decide.
 */
#include "store/approvals.h"
#include <string.h>

#include "admin/command.h"
#include "base/json.h"
#include "base/str.h"
#include "router/approve.h"
#include "router/claim.h"

#define LIST_MAX 100

/* The members of what is approved, on one line. */
static void put_member(struct buf *out, const cJSON *payload, const char *key)
{
	const char *value = json_peek_str(payload, key);
	char line[120];

	buf_puts(out, str_one_line(line, sizeof(line), value ? value : ""));
}

static void put_ids(struct buf *out, const cJSON *payload)
{
	const cJSON *id;
	char line[120];

	cJSON_ArrayForEach(id, json_find(payload, "ids"))
	{
		const char *text = cJSON_GetStringValue(id);

		buf_putf(out, "%s%s", id->prev && id->prev->next ? ", " : "",
			 str_one_line(line, sizeof(line), text ? text : ""));
	}
}

static void list_one(void *ctx, const struct approval_row *a)
{
	struct listing *l = ctx;
	_cleanup_(buf_free) struct buf line = {0};
	struct err e = ERR_INIT;
	_cleanup_json_ cJSON *p = json_parse(a->payload, strlen(a->payload), JSON_MAX_DEFAULT, &e);
	char when[24];

	l->n++;
	clock_minute(a->asked_ms, when);
	buf_putf(&line, "%lld  %s  %s  ", (long long)a->id, when, approval_state_word(a->state));
	put_member(&line, p, "name");
	buf_puts(&line, " (");
	put_ids(&line, p);
	buf_puts(&line, a->kind == APPROVAL_CHAT ? ") with the chat " : ") in ");
	put_member(&line, p, "chat");
	buf_puts(&line, ": ");
	put_member(&line, p, "role");
	buf_puts(&line, a->kind == APPROVAL_CHAT ? " of a new group " : " of ");
	put_member(&line, p, "group");
	buf_putf(&line, ", %lld held, check %.16s", (long long)a->held, a->hash);
	if (a->decided_by[0])
		buf_putf(&line, ", by %s", a->decided_by);
	reply_line(l->r, "%s", line.p);
}

static int list(struct command *c, struct err *e)
{
	bool all = c->argc == 1 && streq(c->argv[0], "all");
	struct listing l = {.r = c->r};

	if (c->argc == 1 && !all)
		return COMMAND_USAGE;
	if (store_approval_each(c->o->store, all, LIST_MAX, list_one, &l, e) < 0)
		return -1;
	if (!l.n)
		reply_line(c->r, "Nobody asks to be let in.");
	else if (!all)
		reply_line(c->r, "Decide: %sapprove ID [GROUP|ROLE], or %sdeny ID.", c->lead,
			   c->lead);
	return 0;
}

static int approve(struct command *c, struct err *e)
{
	_cleanup_(buf_free) struct buf said = {0};
	const char *answer = c->argc > 1 ? c->argv[1] : "";
	int64_t id;

	if (command_id(c, "an approval", "approvals", &id, e) < 0 ||
	    approval_grant(c->o->router, id, answer, c->by, &said, e) < 0)
		return -1;
	reply_line(c->r, "%s", said.p);
	return 0;
}

static int deny(struct command *c, struct err *e)
{
	_cleanup_(buf_free) struct buf said = {0};
	int64_t id;

	if (command_id(c, "an approval", "approvals", &id, e) < 0 ||
	    approval_deny(c->o->router, id, c->by, &said, e) < 0)
		return -1;
	reply_line(c->r, "%s", said.p);
	return 0;
}

/* How the code reaches the assistant, besides by "/claim CODE". */
static void claim_ways(struct command *c, const char *code)
{
	bool platform = false;

	for (size_t i = 0; channel_registry[i]; i++) {
		const char *name = channel_registry[i]->name;

		platform |= !streq(name, "console") && router_channel(c->o->router, name);
	}
	if (!platform)
		reply_line(c->r, "No platform is in the configuration yet: docs/slack.md, "
				 "docs/telegram.md and docs/whatsapp.md say how.");
	else if (router_channel(c->o->router, "slack"))
		reply_line(c->r, "On Slack: %sclaim %s", router_lead("slack"), code);
}

static int claim(struct command *c, struct err *e)
{
	const char *code;

	if (claim_code(c->o->router, &code, e) < 0)
		return -1;
	if (code) {
		reply_line(c->r,
			   "No chat is main yet. To make one yours, write to the assistant there: "
			   "/claim %s",
			   code);
		claim_ways(c, code);
	} else {
		reply_line(c->r, "Main has a chat already; %sgroups show main names it.", c->lead);
	}
	return 0;
}

/* clang-format off */
const struct command_form commands_approvals[] = {
	{"approvals list", "[all]", "who asks to be let in; all: also what was decided", CMD_CLI | CMD_MAIN | CMD_AGENT, ROLE_ADMIN, .max = 1, .run = list},
	{"approve", "ID [GROUP|ROLE]", "let in what asks: a chat into a group, a person with a role", CMD_CLI | CMD_MAIN, ROLE_ADMIN, .min = 1, .max = 2, .run = approve},
	{"deny", "ID", "keep out what asks: the person is blocked, the chat not asked for again", CMD_CLI | CMD_MAIN, ROLE_ADMIN, .min = 1, .max = 1, .run = deny},
	{"claim", "", "the code that makes a chat main and its writer the owner, while main has none", CMD_CLI, ROLE_OWNER, .run = claim},
	{0},
};
/* clang-format on */
