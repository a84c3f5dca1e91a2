// SPDX-License-Identifier: Apache-2.0
/*
 * Groups and their skills; see skills.h. A skill gives an agent words and files, never a power: what it may do is decided by its sandbox and by the rules of the tools.
 * The permissions that a skill asks for are compared with those all the same, so that nobody enables what cannot work or was written for another group.
 */
#include "router/skills.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include "base/buf.h"
#include "base/log.h"
#include "base/str.h"
#include "router/impl.h"
#include "router/skillset.h"
#include "router/workspace.h"
#include "store/skills.h"

#define FOLDERS_MAX 500 /* of <home>/skills that are looked at */

struct kept {
	struct kept *next;
	char print[SKILL_PRINT_CAP];
	struct skill skill;
};

/* What main has been told of a group's skill, so that it is told once. */
struct told_skill {
	struct told_skill *next;
	int64_t group_id;
	char name[65];
	char why[320];
};

struct skills {
	struct kept *kept;
	struct told_skill *told;
};

void skills_close(struct router *r)
{
	struct skills *all = r->skills;

	r->skills = NULL;
	if (!all)
		return;
	while (all->kept) {
		struct kept *k = all->kept;

		all->kept = k->next;
		free(k);
	}
	while (all->told) {
		struct told_skill *t = all->told;

		all->told = t->next;
		free(t);
	}
	free(all);
}

static struct skills *of(struct router *r)
{
	if (!r->skills)
		r->skills = xcalloc(1, sizeof(*r->skills));
	return r->skills;
}

static struct kept *kept_of(struct router *r, const char *name)
{
	struct skills *all = of(r);
	struct kept *k = all->kept;

	while (k && !streq(k->skill.name, name))
		k = k->next;
	return k;
}

int skills_get(struct router *r, const char *name, struct skill *out, struct err *e)
{
	_cleanup_(cleanup_skill_tree_p) struct skill_tree *t =
		skill_look(r->o.cfg->home, name, workspace_agent_uid(), e);
	struct kept *k = kept_of(r, name);

	if (!t)
		return -1;
	if (k && streq(k->print, skill_print(t))) {
		*out = k->skill;
		return 0;
	}
	if (skill_read(t, out, e) < 0)
		return -1;
	if (!k) {
		k = xcalloc(1, sizeof(*k));
		k->next = of(r)->kept;
		of(r)->kept = k;
	}
	k->skill = *out;
	str_copy(k->print, sizeof(k->print), skill_print(t));
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

int skills_each(struct router *r, skill_fn *fn, void *ctx, struct err *e)
{
	_cleanup_free_ char *path = xasprintf("%s/skills", r->o.cfg->home);
	_cleanup_free_ char(*names)[65] = xcalloc(FOLDERS_MAX, sizeof(*names));
	DIR *d = opendir(path);
	struct dirent *de;
	size_t n = 0;

	if (!d)
		return errno == ENOENT ? 0 : err_sys(e, errno, "cannot read %s", path);
	while (n < FOLDERS_MAX && (de = readdir(d)))
		if (skill_name_ok(de->d_name) && de->d_type != DT_REG)
			str_copy(names[n++], sizeof(*names), de->d_name);
	closedir(d);
	qsort(names, n, sizeof(*names), by_name);
	for (size_t i = 0; i < n; i++) {
		struct skill s;
		struct err why = ERR_INIT;
		bool ok = skills_get(r, names[i], &s, &why) == 0;

		fn(ctx, names[i], ok ? &s : NULL, ok ? NULL : &why);
	}
	return 0;
}

/* --- permissions -------------------------------------------------------------------------- */

struct tool_search {
	const char *name;
	bool found, main_only;
};

static void match_tool(void *ctx, const char *name, const char *title, const struct rule *rule)
{
	struct tool_search *s = ctx;

	(void)title;
	if (!streq(name, s->name))
		return;
	s->found = true;
	s->main_only = rule->main_only;
}

enum lack {
	LACK_NOTHING,
	LACK_MAIN,
	LACK_NETWORK,
	LACK_TOOL,
	LACKS
};

/* Whether the agent of such a group has this tool. */
static enum lack lacks_tool(struct router *r, const char *name, bool in_main)
{
	/* What the agent is started with (warden/agent.c); Agent is the newer word for Task. */
	static const char *const built_in[] = {"Bash", "Edit",	"Read",	    "Write",
					       "Task", "Agent", "TaskStop", "Skill"};
	struct tool_search s = {.name = name};

	for (size_t i = 0; i < ARRAY_LEN(built_in); i++)
		if (streq(name, built_in[i]))
			return LACK_NOTHING;
	if (streq(name, "WebFetch") || streq(name, "WebSearch"))
		return LACK_NETWORK;
	router_each_tool(match_tool, &s);
	if (r->o.commands && streq(name, COMMAND_TOOL))
		s.found = s.main_only = true;
	if (!s.found)
		return LACK_TOOL;
	return s.main_only && !in_main ? LACK_MAIN : LACK_NOTHING;
}

static const char *without_prefix(const char *tool)
{
	return str_starts(tool, "mcp__chela__") ? tool + strlen("mcp__chela__") : tool;
}

static enum lack lacks(struct router *r, const char *word, const struct group_row *g)
{
	if (streq(word, "main"))
		return g->is_main ? LACK_NOTHING : LACK_MAIN;
	if (str_starts(word, "network:"))
		return LACK_NETWORK;
	return lacks_tool(r, without_prefix(word + strlen("tool:")), g->is_main);
}

void skills_missing(struct router *r, const struct skill *s, const struct group_row *g,
		    struct buf *out)
{
	static const char *const why[LACKS] = {"", "only in main", "sandboxes have no network",
					       "there is no such tool"};

	for (enum lack l = LACK_MAIN; l < LACKS; l++) {
		const char *list = s->needs;
		char word[128];
		int n = 0;

		while (str_next_word(&list, word, sizeof(word))) {
			bool tool = str_starts(word, "tool:");

			if (lacks(r, word, g) == l)
				buf_putf(out, "%s%s%s",
					 n++	    ? ", "
					 : out->len ? "; "
						    : "",
					 tool ? "tool:" : "",
					 tool ? without_prefix(word + 5) : word);
		}
		if (n)
			buf_putf(out, " (%s)", why[l]);
	}
}

static int refuse_missing(struct router *r, const struct skill *s, const struct group_row *g,
			  struct err *e)
{
	_cleanup_(buf_free) struct buf missing = {0};

	skills_missing(r, s, g, &missing);
	if (!missing.len)
		return 0;
	return err_set(e, E_PERM, "%s asks for what %s does not have: %s", s->name, g->name,
		       missing.p);
}

/* --- enabling ----------------------------------------------------------------------------- */

struct count {
	const char *name;
	size_t n;
};

static void add_up(void *ctx, const struct skill_row *s)
{
	struct count *c = ctx;

	c->n += !streq(s->skill, c->name);
}

static int enable(struct router *r, const char *name, const struct group_row *g, const char *by,
		  struct err *e)
{
	struct count c = {.name = name};
	struct skill s;

	if (skills_get(r, name, &s, e) < 0 || refuse_missing(r, &s, g, e) < 0 ||
	    store_skill_each(r->store, g->id, add_up, &c, e) < 0)
		return -1;
	if (c.n >= SKILLS_GROUP_MAX)
		return err_set(e, E_LIMIT, "%s has %zu skills already; disable one first", g->name,
			       c.n);
	return store_skill_enable(r->store, g->id, name, s.hash, by, e);
}

int skills_default(struct router *r, const struct group_row *g, struct err *e)
{
	static const char *const first[] = {"formatting", "schedules", "welcome", "admin"};
	struct err why = ERR_INIT;
	bool is_first;

	if (store_skill_first(r->store, g->id, &is_first, e) < 0)
		return -1;
	for (size_t i = 0; is_first && i < ARRAY_LEN(first); i++) {
		if (streq(first[i], "admin") && !g->is_main)
			continue;
		if (enable(r, first[i], g, "Chela", &why) < 0) {
			if (store_broken(r->store)) {
				*e = why;
				return -1;
			}
			log_warn("skills", "not enabled", "group=%s skill=%s why=\"%s\"", g->name,
				 first[i], why.msg);
		}
	}
	return 0;
}

int skills_enable(struct router *r, const char *name, const struct group_row *g, const char *by,
		  enum refresh *when, struct err *e)
{
	if (skills_default(r, g, e) < 0 || enable(r, name, g, by, e) < 0)
		return -1;
	*when = group_refresh(r, g->id);
	return 0;
}

int skills_disable(struct router *r, const char *name, const struct group_row *g,
		   enum refresh *when, struct err *e)
{
	bool was;

	if (skills_default(r, g, e) < 0)
		return -1;
	if (!skill_name_ok(name))
		return err_set(e, E_INVAL, "a skill's name is made of a-z, 0-9 and -, at most 64");
	if (store_skill_disable(r->store, g->id, name, &was, e) < 0)
		return -1;
	if (!was)
		return err_set(e, E_GONE, "%s does not have the skill %s", g->name, name);
	*when = group_refresh(r, g->id);
	return 0;
}

/* --- at the start of a sandbox ------------------------------------------------------------ */

/* Whether main is to hear this of a group's skill now. */
static bool tell_once(struct router *r, const struct group_row *g, const char *name,
		      const char *why)
{
	struct skills *all = of(r);
	struct told_skill *t = all->told;

	while (t && (t->group_id != g->id || !streq(t->name, name)))
		t = t->next;
	if (!t) {
		t = xcalloc(1, sizeof(*t));
		t->next = all->told;
		t->group_id = g->id;
		str_copy(t->name, sizeof(t->name), name);
		all->told = t;
	}
	if (streq(t->why, why))
		return false;
	str_copy(t->why, sizeof(t->why), why);
	return *why != '\0';
}

struct enabled {
	size_t n;
	struct {
		char name[65], hash[65];
	} list[SKILLS_GROUP_MAX];
};

static void add_enabled(void *ctx, const struct skill_row *s)
{
	struct enabled *all = ctx;

	if (all->n == ARRAY_LEN(all->list))
		return;
	str_copy(all->list[all->n].name, 65, s->skill);
	str_copy(all->list[all->n++].hash, 65, s->hash);
}

/* A skill that the group has is not what it was when it was enabled. */
static int note_change(struct router *r, const struct group_row *g, const struct skill *s,
		       const char *old, struct err *e)
{
	if (streq(old, s->hash))
		return 0;
	log_info("skills", "changed", "group=%s skill=%s old=%.12s new=%.12s", g->name, s->name,
		 old, s->hash);
	notice_main(r,
		    "The skill %s of %s has changed: %.12s before, %.12s from now on. To take it "
		    "away: /skills disable %s %s",
		    s->name, g->name, old, s->hash, s->name, g->name);
	return store_skill_changed(r->store, g->id, s->name, s->hash, e);
}

static void withhold(struct router *r, const struct group_row *g, const char *name,
		     const struct err *why)
{
	log_warn("skills", "withheld", "group=%s skill=%s why=\"%s\"", g->name, name, why->msg);
	if (tell_once(r, g, name, why->msg))
		notice_main(r, "The skill %s is withheld from %s: %s", name, g->name, why->msg);
}

/* One enabled skill: 1 = it is given, 0 = it is withheld, -1 = the store is broken. */
static int give(struct router *r, const struct group_row *g, const char *name, const char *old,
		struct skillset *set, struct err *e)
{
	struct err why = ERR_INIT;
	struct skill s;
	int rc = skills_get(r, name, &s, &why);

	if (rc == 0)
		rc = refuse_missing(r, &s, g, &why);
	if (rc == 0)
		rc = skillset_add(set, &s, &why);
	if (rc < 0) {
		withhold(r, g, name, &why);
		return 0;
	}
	tell_once(r, g, name, "");
	if (note_change(r, g, &s, old, e) < 0 ||
	    store_skill_used(r->store, g->id, name, s.hash, e) < 0)
		return -1;
	return 1;
}

void skills_of(struct router *r, const struct group_row *g, char out[SKILLS_CAP])
{
	struct enabled all = {0};
	struct skillset set = {0};
	struct err e = ERR_INIT;
	int rc = skills_default(r, g, &e);

	out[0] = '\0';
	if (rc == 0)
		rc = store_skill_each(r->store, g->id, add_enabled, &all, &e);
	for (size_t i = 0; rc >= 0 && i < all.n; i++)
		rc = give(r, g, all.list[i].name, all.list[i].hash, &set, &e);
	if (rc < 0)
		router_fatal(r, &e);
	else if (set.n && skillset_make(r->o.cfg->home, &set, out, &e) < 0)
		withhold(r, g, "set",
			 &e); /* all of them: the disk is full, or one is being changed */
}
