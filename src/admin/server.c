// SPDX-License-Identifier: Apache-2.0
/* Commands about the server itself: its log, its record, its version, a new start; and stop, for what its agents are doing. */
#include <string.h>

#include "admin/command.h"
#include "base/log.h"
#include "base/str.h"
#include "store/record.h"

#define LINES_SHOWN 20
#define LINES_MAX   500

static int read_count(const char *word, int64_t *n, struct err *e)
{
	if (str_to_i64(word, 1, LINES_MAX, n, e) < 0)
		return err_wrap(e, "reading the number of lines");
	return 0;
}

static bool is_number(const char *s)
{
	return s[0] && !s[strspn(s, "0123456789")];
}

/* --- logs --------------------------------------------------------------------------------- */

struct lines {
	struct reply *r;
	char mark[80]; /* what a line must hold; "" = all */
	int64_t n, skip;
};

/* "group=work" as a word of the line: not of a text that is quoted in it, as far as can be told. */
static bool holds(const char *line, const char *mark)
{
	size_t n = strlen(mark);

	for (const char *p = line; n && (p = strstr(p, mark)); p++) {
		if (p > line && p[-1] == ' ' && (!p[n] || p[n] == ' '))
			return true;
	}
	return !n;
}

static void count_line(void *ctx, const char *line, size_t n maybe_unused)
{
	struct lines *l = ctx;

	l->n += holds(line, l->mark);
}

static void put_line(void *ctx, const char *line, size_t n maybe_unused)
{
	struct lines *l = ctx;

	if (holds(line, l->mark) && l->skip-- <= 0)
		reply_line(l->r, "%s", line);
}

static int logs(struct command *c, struct err *e)
{
	struct lines l = {.r = c->r};
	struct group_row g;
	int64_t want = LINES_SHOWN;

	for (int i = 0; i < c->argc; i++) {
		if (is_number(c->argv[i])) {
			if (read_count(c->argv[i], &want, e) < 0)
				return -1;
		} else if (l.mark[0]) {
			return err_set(e, E_INVAL, "\"%.40s\" is no number of lines", c->argv[i]);
		} else if (command_group(c, c->argv[i], &g, e) < 0) {
			return -1;
		} else {
			snprintf(l.mark, sizeof(l.mark), "group=%s", g.name);
		}
	}
	log_each(count_line, &l);
	l.skip = l.n - want;
	log_each(put_line, &l);
	if (!l.n)
		reply_line(c->r, "Nothing was logged%s since this server began.",
			   l.mark[0] ? " about that group" : "");
	return 0;
}

/* --- the record --------------------------------------------------------------------------- */

static void put_act(void *ctx, const struct act_row *a)
{
	char when[24], act[220], who[110];

	clock_minute(a->at_ms, when);
	reply_line(ctx, "%s  %s %s%s%s: %s%s", when, str_one_line(who, sizeof(who), a->who), a->via,
		   a->group[0] ? " in " : "", a->group, str_one_line(act, sizeof(act), a->act),
		   a->allowed ? "" : "  (refused)");
}

static int acts(struct command *c, struct err *e)
{
	int64_t n = LINES_SHOWN;

	if (c->argc && read_count(c->argv[0], &n, e) < 0)
		return -1;
	return store_act_each(c->o->store, n, put_act, c->r, e);
}

/* --- stop --------------------------------------------------------------------------------- */

static int stop(struct command *c, struct err *e)
{
	bool own = !c->argc && c->chat_id;
	struct group_row g;

	if (command_group_act(c, c->argc ? c->argv[0] : NULL, &g, e) < 0)
		return -1;
	if (router_stop_turns(c->o->router, &g, own ? c->chat_id : 0, c->thread))
		reply_line(c->r, "%s is told to stop.", own ? "The agent" : g.name);
	else
		reply_line(c->r, "Nothing is going on %s%s.", own ? "here" : "in ",
			   own ? "" : g.name);
	return 0;
}

/* --- the server --------------------------------------------------------------------------- */

static int version(struct command *c, struct err *e maybe_unused)
{
	reply_line(c->r, "chela %s", CHELA_VERSION);
	return 0;
}

static int restart(struct command *c, struct err *e)
{
	if (!c->o->restart) {
		reply_line(c->r, "This server cannot be restarted from here.");
		reply_end(c->r, 1);
		return COMMAND_LATER;
	}
	if (c->o->may_restart && c->o->may_restart(c->o->ctx, e) < 0)
		return -1;
	reply_line(c->r, "The server starts anew. What was going on goes on after it.");
	store_after_commit(c->o->store, c->o->restart, c->o->ctx);
	return 0;
}

static int reload(struct command *c, struct err *e)
{
	_cleanup_(buf_free) struct buf said = {0};

	if (!c->o->reload) {
		reply_line(c->r, "This server cannot be reloaded from here.");
		reply_end(c->r, 1);
		return COMMAND_LATER;
	}
	if (c->o->reload(c->o->ctx, &said, e) < 0)
		return -1;
	reply_text(c->r, said.p ? said.p : "Nothing has changed.");
	return 0;
}

#define HERE (CMD_CLI | CMD_MAIN)

const struct command_form commands_server[] = {
	{"stop", "[GROUP]", "stop what the agent is doing", CMD_CLI | CMD_MAIN | CMD_GROUP,
	 ROLE_MEMBER, .max = 1, .run = stop},
	{"logs", "[GROUP] [N]", "the last lines of the server's log", HERE | CMD_AGENT, ROLE_ADMIN,
	 .max = 2, .run = logs},
	{"acts", "[N]", "the record: who asked for what, and what was refused", HERE | CMD_AGENT,
	 ROLE_ADMIN, .max = 1, .run = acts},
	{"version", "", "which version runs", CMD_EVERYWHERE, ROLE_GUEST, .run = version},
	{"reload", "", "read the configuration anew", HERE, ROLE_OWNER, .run = reload},
	{"restart", "", "start the server anew", HERE, ROLE_OWNER, .run = restart},
	{0},
};
