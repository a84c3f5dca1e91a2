// SPDX-License-Identifier: Apache-2.0
/* Commands for skills: what there is, what it asks for, and which group has it. The rules are router/skills.h's. */
#include "router/skills.h"

#include "admin/command.h"
#include "base/str.h"
#include "store/skills.h"

struct names {
	const char *skill; /* whose groups are collected */
	struct buf text;
};

static void add_group(void *ctx, const struct skill_row *s)
{
	struct names *n = ctx;

	if (streq(s->skill, n->skill))
		buf_putf(&n->text, "%s%s", n->text.len ? ", " : "", s->group);
}

/* Whether Chela has another text for it. */
static int say_shipped(struct command *c, const char *name, const char *lead, struct err *e)
{
	enum shipped how;

	if (skills_shipped(c->o->router, name, &how, e) < 0)
		return -1;
	if (how == SHIPPED_NEWER)
		reply_line(c->r,
			   "%syours was changed, and Chela " CHELA_VERSION
			   " ships a newer one; to take that: %sskills reset %s",
			   lead, c->lead, name);
	else if (how == SHIPPED_CHANGED)
		reply_line(c->r, "%schanged by you; back to ours: %sskills reset %s", lead, c->lead,
			   name);
	return 0;
}

struct skill_list {
	struct command *c;
	const struct group_row *only; /* NULL = all skills */
	int n, rc;
	struct err *e;
};

static void list_one(void *ctx, const char *name, const struct skill *s, const struct err *why)
{
	struct skill_list *l = ctx;
	struct names in = {.skill = name};

	if (l->rc == 0)
		l->rc = store_skill_each(l->c->o->store, l->only ? l->only->id : 0, add_group, &in,
					 l->e);
	if (l->rc == 0 && (!l->only || in.text.len)) {
		l->n++;
		if (why)
			reply_line(l->c->r, "%-14s unusable: %s", name, why->msg);
		else
			reply_line(l->c->r, "%-14s %.12s  %s%s  %s", name, s->hash,
				   in.text.len ? "in " : "in no group",
				   in.text.len ? in.text.p : "", s->description);
		l->rc = say_shipped(l->c, name, "    ", l->e);
	}
	buf_free(&in.text);
}

static void defaults_of(void *ctx, const struct group_row *g)
{
	struct skill_list *l = ctx;

	if (l->rc == 0)
		l->rc = skills_default(l->c->o->router, g, l->e);
}

static int list(struct command *c, struct err *e)
{
	struct skill_list l = {.c = c, .e = e};
	struct group_row g;

	if (c->argc && command_group(c, c->argv[0], &g, e) < 0)
		return -1;
	l.only = c->argc ? &g : NULL;
	if (store_group_each(c->o->store, defaults_of, &l, e) < 0 || l.rc < 0 ||
	    skills_each(c->o->router, list_one, &l, e) < 0 || l.rc < 0)
		return -1;
	if (!l.n)
		reply_line(c->r, l.only ? "%s has no skill." : "There is no skill%s.",
			   l.only ? g.name : "");
	return 0;
}

struct showing {
	struct command *c;
	const struct skill *s;
	int n;
};

static void show_enabled(void *ctx, const struct skill_row *row)
{
	struct showing *v = ctx;
	char when[24];

	if (!streq(row->skill, v->s->name))
		return;
	clock_minute(row->at_ms, when);
	reply_line(v->c->r, "in %s since %s, by %s%s", row->group, when, row->by,
		   streq(row->hash, v->s->hash)
			   ? ""
			   : " (with another content; the next start takes this one)");
	v->n++;
}

static void show_use(void *ctx, const struct skill_row *row)
{
	struct showing *v = ctx;
	char when[24];

	clock_minute(row->at_ms, when);
	reply_line(v->c->r, "first given to %s %s: %.12s", row->group, when, row->hash);
}

static int show(struct command *c, struct err *e)
{
	struct skill s;
	struct showing v = {.c = c, .s = &s};

	if (skills_get(c->o->router, c->argv[0], &s, e) < 0)
		return -1;
	reply_line(c->r, "%s: %s", s.name, s.description);
	reply_line(c->r, "sha256 %s, %zu file%s, %zu bytes", s.hash, s.files,
		   s.files == 1 ? "" : "s", s.bytes);
	reply_line(c->r, "asks for: %s", s.needs[0] ? s.needs : "nothing");
	if (say_shipped(c, s.name, "", e) < 0 ||
	    store_skill_each(c->o->store, 0, show_enabled, &v, e) < 0)
		return -1;
	if (!v.n)
		reply_line(c->r, "in no group; %sskills enable %s GROUP", c->lead, s.name);
	return store_skill_uses(c->o->store, s.name, show_use, &v, e);
}

static int reset(struct command *c, struct err *e)
{
	enum refresh when;
	char kept[96];

	if (skills_reset(c->o->router, c->argv[0], kept, &when, e) < 0)
		return -1;
	reply_line(c->r, "%s is what Chela " CHELA_VERSION " ships, %s.%s%s%s", c->argv[0],
		   refresh_words(when), kept[0] ? " What it was is kept in skills/" : "", kept,
		   kept[0] ? "." : "");
	return 0;
}

/* An error has room for a few permissions only. */
static void say_missing(struct command *c, const struct group_row *g)
{
	_cleanup_(buf_free) struct buf missing = {0};
	struct err e = ERR_INIT;
	struct skill s;

	if (skills_get(c->o->router, c->argv[0], &s, &e) == 0)
		skills_missing(c->o->router, &s, g, &missing);
	if (missing.len > 160)
		reply_line(c->r, "Missing in %s: %s", g->name, missing.p);
}

static int enable(struct command *c, struct err *e)
{
	struct group_row g;
	enum refresh when;

	if (command_group(c, c->argv[1], &g, e) < 0)
		return -1;
	if (skills_enable(c->o->router, c->argv[0], &g, c->by->who, &when, e) < 0) {
		if (e->code == E_PERM)
			say_missing(c, &g);
		return -1;
	}
	reply_line(c->r, "%s has the skill %s, %s.", g.name, c->argv[0], refresh_words(when));
	return 0;
}

static int disable(struct command *c, struct err *e)
{
	struct group_row g;
	enum refresh when;

	if (command_group(c, c->argv[1], &g, e) < 0 ||
	    skills_disable(c->o->router, c->argv[0], &g, &when, e) < 0)
		return -1;
	reply_line(c->r, "%s no longer has the skill %s, %s.", g.name, c->argv[0],
		   refresh_words(when));
	return 0;
}

/* clang-format off */
const struct command_form commands_skills[] = {
	{"skills list", "[GROUP]", "the skills there are, and which groups have them", CMD_CLI | CMD_MAIN | CMD_AGENT, ROLE_MEMBER, .max = 1, .run = list},
	{"skills show", "NAME", "what a skill says, asks for, and who has had it", CMD_CLI | CMD_MAIN | CMD_AGENT, ROLE_MEMBER, .min = 1, .max = 1, .run = show},
	{"skills enable", "NAME GROUP", "give a group a skill", CMD_CLI | CMD_MAIN, ROLE_ADMIN, .min = 2, .max = 2, .run = enable},
	{"skills disable", "NAME GROUP", "take it away", CMD_CLI | CMD_MAIN, ROLE_ADMIN, .min = 2, .max = 2, .run = disable},
	{"skills reset", "NAME", "make one that comes with Chela what this version ships", CMD_CLI | CMD_MAIN, ROLE_ADMIN, .min = 1, .max = 1, .run = reset},
	{0},
};
/* clang-format on */
