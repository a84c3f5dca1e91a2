// SPDX-License-Identifier: Apache-2.0
/*
 * Commands for tasks: the same rules and words as the agents' tools (router/tasks.h, task_may.h). Whoever is in a group's chat sees that group's tasks and steers
 * their own; main's admins and the command line reach all.
 */
#include <string.h>
#include "admin/command.h"
#include "base/str.h"
#include "base/zone.h"
#include "router/settings.h"
#include "router/task_may.h"
#include "router/tasks.h"

#define RUNS_SHOWN 10
#define RUNS_MAX   200

/* --- looking ------------------------------------------------------------------------------ */

/* Whose tasks are meant: a group's, or (*id 0) those of all. */
static int scope(const struct command *c, const char *word, int64_t *id, struct err *e)
{
	bool all = !c->here || (c->here->is_main && c->by->role >= ROLE_ADMIN);
	struct group_row g;

	*id = 0;
	if (!word && all)
		return 0;
	if (word && c->here && !streq(word, c->here->name) && !all)
		return err_set(e, E_PERM, "only an admin in the main group looks at other groups");
	if (command_group(c, word, &g, e) < 0)
		return -1;
	*id = g.id;
	return 0;
}

struct list {
	struct command *c;
	struct reply *r;
	const char *group; /* the last that was named */
	char name[65];
	bool many;
	int64_t n;
	struct zones zones; /* in which tasks are listed */
};

/* Above the tasks of a group: its name where there are several, and whether it is paused. */
static void list_group(struct list *l, const char *name)
{
	struct err e = ERR_INIT;
	struct group_row g = {.id = 0};
	bool paused = store_group_get(l->c->o->store, name, &g, &e) == 0 && g.paused;

	if (paused && l->c->where == CMD_GROUP) /* main has paused it, and resumes it */
		reply_line(l->r, "%s: paused, its tasks do not run until main resumes them", name);
	else if (paused)
		reply_line(l->r, "%s: paused, its tasks do not run until %sresume %s", name,
			   l->c->lead, name);
	else if (l->many)
		reply_line(l->r, "%s:", name);
}

static void list_task(void *ctx, const struct task_row *t)
{
	_cleanup_(buf_free) struct buf line = {0};
	struct list *l = ctx;

	if (!l->n || !streq(l->name, t->group))
		list_group(l, t->group);
	str_copy(l->name, sizeof(l->name), t->group);
	zones_keep(&l->zones, t->zone);
	task_put_line(&line, t);
	reply_line(l->r, "%s%s", l->many ? "  " : "", line.p);
	l->n++;
}

static void say_none(struct command *c)
{
	if (c->here && !c->here->is_main) /* tasks add is not for here */
		reply_line(c->r, "There is no task. Ask the assistant for one.");
	else
		reply_line(
			c->r,
			"There is no task. Ask the assistant for one, or: %stasks add GROUP NAME \"cron 0 8 * * 1\" PROMPT",
			c->lead);
}

static int list(struct command *c, struct err *e)
{
	struct list l = {.c = c, .r = c->r};
	int64_t group;
	int rc;

	if (scope(c, c->argc ? c->argv[0] : NULL, &group, e) < 0)
		return -1;
	l.many = !group;
	rc = store_task_each(c->o->store, group, false, list_task, &l, e);
	zones_drop(&l.zones);
	if (rc == 0 && !l.n)
		say_none(c);
	return rc;
}

static void show_task(void *ctx, const struct task_row *t)
{
	_cleanup_(buf_free) struct buf text = {0};

	task_put_all(&text, t);
	reply_text(ctx, text.p);
}

static int show(struct command *c, struct err *e)
{
	struct task_named t;

	if (task_named(c->o->router, c->by, c->here, c->argv[0], TASK_SEE, &t, e) < 0)
		return -1;
	return store_task_get(c->o->store, t.id, show_task, c->r, e);
}

struct runs {
	struct command *c;
	const char *zone; /* NULL: each in that of its group */
	int64_t n;
};

static void list_run(void *ctx, const struct run_row *row)
{
	_cleanup_(buf_free) struct buf text = {0};
	struct runs *l = ctx;

	run_put_line(&text, row,
		     l->zone ? l->zone : settings_get(l->c->o->router, row->group_id)->zone);
	reply_text(l->c->r, text.p);
	l->n++;
}

static int runs(struct command *c, struct err *e)
{
	struct runs l = {.c = c};
	struct task_named t = {.id = 0};
	int64_t limit = RUNS_SHOWN, group = 0;

	if (c->argc > 1 && str_to_i64(c->argv[1], 1, RUNS_MAX, &limit, e) < 0)
		return -1;
	if (c->argc ? task_named(c->o->router, c->by, c->here, c->argv[0], TASK_SEE, &t, e) < 0
		    : scope(c, NULL, &group, e) < 0)
		return -1;
	l.zone = t.id ? t.zone : NULL;
	if (store_run_each(c->o->store, t.id ? t.group_id : group, t.id, limit, list_run, &l, e) <
	    0)
		return -1;
	if (!l.n)
		reply_line(c->r, "Nothing has run yet.");
	return 0;
}

struct output {
	int64_t group_id;
	char *text;
};

static void copy_output(void *ctx, const struct run_row *row)
{
	struct output *o = ctx;
	const char *said = row->text[0] ? row->text : row->error[0] ? row->error : "(nothing)";

	o->group_id = row->group_id;
	free(o->text);
	o->text = xstrdup(said);
}

static int output(struct command *c, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	struct output o = {.group_id = 0};
	int64_t id, group;
	int rc;

	if (command_id(c, "a run", "tasks runs", &id, e) < 0 || scope(c, NULL, &group, e) < 0)
		return -1;
	rc = store_run_get(c->o->store, id, copy_output, &o, e);
	text = o.text;
	/* A run of another group is one that is not there. */
	if ((rc < 0 && e->code == E_GONE) || (rc == 0 && group && o.group_id != group))
		return err_set(e, E_GONE, "there is no run %lld; %stasks runs lists them",
			       (long long)id, c->lead);
	if (rc == 0)
		reply_text(c->r, text);
	return rc;
}

/* --- making and changing ------------------------------------------------------------------ */

static void put_line(void *ctx, const struct task_row *t)
{
	task_put_line(ctx, t);
}

/* "VERB #12 ...", as the store has it now. */
static int say_task(struct command *c, const char *verb, int64_t id, struct err *e)
{
	_cleanup_(buf_free) struct buf line = {0};

	if (store_task_get(c->o->store, id, put_line, &line, e) < 0)
		return -1;
	reply_line(c->r, "%s: %s", verb, line.p);
	return 0;
}

/* A schedule has blanks: without quotes its first word stands for all of it. */
static bool lacks_quotes(const char *schedule)
{
	return schedule[0] != '@' && !strchr(schedule, ' ');
}

static int add(struct command *c, struct err *e)
{
	_cleanup_json_ cJSON *args = cJSON_CreateObject();
	struct group_row g;
	int64_t id;
	int rc = command_group(c, c->argv[0], &g, e);

	json_add(args, "name=%s schedule=%s prompt=%s", c->argv[1], c->argv[2], c->argv[3]);
	if (rc == 0) {
		bool here = c->here && c->here->id == g.id && c->chat_id;
		struct task_place place = {&g, here ? c->chat_id : 0, here ? c->thread : ""};

		rc = task_put(c->o->router, &place, c->by, 0, args, &id, e);
	}
	if (rc < 0 && e->code == E_INVAL && !str_starts(e->msg, "name:") &&
	    lacks_quotes(c->argv[2]))
		err_set(e, E_INVAL,
			"\"%.40s\" is no schedule; put all of it in quotes: %stasks add %s %s \"cron 0 8 * * mon\" PROMPT",
			c->argv[2], c->lead, c->argv[0], c->argv[1]);
	return rc < 0 ? -1 : say_task(c, "Made", id, e);
}

static int known_member(const char *key, struct err *e)
{
	_cleanup_(buf_free) struct buf all = {0};

	for (const char *const *m = task_members; *m; m++) {
		if (streq(*m, key))
			return 0;
		buf_putf(&all, "%s%s", all.len ? ", " : "", *m);
	}
	return err_set(e, E_INVAL, "a task has no \"%.40s\": use one of %s", key, all.p);
}

static int set(struct command *c, struct err *e)
{
	_cleanup_json_ cJSON *args = cJSON_CreateObject();
	struct task_place place = {.thread = ""};
	struct task_named t;
	struct group_row g;
	int64_t id;

	cJSON_AddStringToObject(args, c->argv[1], c->argv[2]);
	if (task_named(c->o->router, c->by, c->here, c->argv[0], TASK_CHANGE, &t, e) < 0 ||
	    known_member(c->argv[1], e) < 0 || store_group_at(c->o->store, t.group_id, &g, e) < 0)
		return -1;
	place.group = &g;
	place.chat_id = t.chat_id;
	if (task_put(c->o->router, &place, c->by, t.id, args, &id, e) < 0)
		return -1;
	return say_task(c, "Changed", t.id, e);
}

/* --- steering ----------------------------------------------------------------------------- */

static int pause_task(struct command *c, const struct task_named *t, struct err *e)
{
	_cleanup_free_ char *why = xasprintf("paused by %s", c->by->who);

	return task_pause(c->o->router, t->id, why, e) < 0 ? -1 : say_task(c, "Paused", t->id, e);
}

static int resume_task(struct command *c, const struct task_named *t, struct err *e)
{
	return task_resume(c->o->router, t->id, e) < 0 ? -1 : say_task(c, "Goes on", t->id, e);
}

static int cancel_task(struct command *c, const struct task_named *t, struct err *e)
{
	return task_cancel(c->o->router, t->id, e) < 0
		       ? -1
		       : say_task(c, "Cancelled for good", t->id, e);
}

static int run_task(struct command *c, const struct task_named *t, struct err *e)
{
	int64_t run;

	if (task_run_now(c->o->router, t->id, &run, e) < 0 ||
	    say_task(c, "Will run now, beside its schedule", t->id, e) < 0)
		return -1;
	reply_line(c->r, "This is run %lld: %stasks runs %s shows how it went.", (long long)run,
		   c->lead, t->name);
	return 0;
}

static int steer(struct command *c,
		 int (*act)(struct command *, const struct task_named *, struct err *),
		 struct err *e)
{
	struct task_named t;

	if (task_named(c->o->router, c->by, c->here, c->argv[0], TASK_STEER, &t, e) < 0)
		return -1;
	return act(c, &t, e);
}

static int tasks_pause(struct command *c, struct err *e)
{
	return steer(c, pause_task, e);
}

static int tasks_resume(struct command *c, struct err *e)
{
	return steer(c, resume_task, e);
}

static int tasks_cancel(struct command *c, struct err *e)
{
	return steer(c, cancel_task, e);
}

static int tasks_run(struct command *c, struct err *e)
{
	return steer(c, run_task, e);
}

/* --- pause and resume of a task or of a whole group ---------------------------------------- */

static int find_group(struct command *c, struct group_row *g, bool *found, struct err *e)
{
	bool all = !c->here || (c->here->is_main && c->by->role >= ROLE_ADMIN);

	*found = false;
	if (!all)
		return 0;
	if (store_group_get(c->o->store, c->argv[0], g, e) == 0) {
		*found = true;
		return 0;
	}
	if (e->code != E_GONE)
		return -1;
	*e = (struct err)ERR_INIT;
	return 0;
}

static int pause_group(struct command *c, const struct group_row *g, bool paused, struct err *e)
{
	if (task_pause_group(c->o->router, g->id, paused, e) < 0)
		return -1;
	if (paused)
		reply_line(c->r,
			   "%s: its tasks do not run until %sresume %s. It goes on answering.",
			   g->name, c->lead, g->name);
	else
		reply_line(c->r, "%s: its tasks run again.", g->name);
	return 0;
}

static int pause_or_resume(struct command *c, bool paused, struct err *e)
{
	struct err gone = ERR_INIT;
	struct task_named t;
	struct group_row g;
	bool group, task;

	if (find_group(c, &g, &group, e) < 0)
		return -1;
	task = task_named(c->o->router, c->by, c->here, c->argv[0], TASK_STEER, &t, &gone) == 0;
	if (group && task)
		return err_set(
			e, E_INVAL,
			"%.64s is a group and a task: %stasks %s %s is for the task; give the task another name for the group",
			c->argv[0], c->lead, paused ? "pause" : "resume", c->argv[0]);
	if (group)
		return pause_group(c, &g, paused, e);
	if (task)
		return paused ? pause_task(c, &t, e) : resume_task(c, &t, e);
	if (gone.code == E_GONE && !strstr(gone.msg, "did you mean"))
		return err_set(e, E_GONE,
			       "there is no task and no group \"%.64s\": %stasks and %sgroups list "
			       "them",
			       c->argv[0], c->lead, c->lead);
	*e = gone;
	return -1;
}

static int pause_it(struct command *c, struct err *e)
{
	return pause_or_resume(c, true, e);
}

static int resume_it(struct command *c, struct err *e)
{
	return pause_or_resume(c, false, e);
}

/* clang-format off */
#define IN_CHATS (CMD_CLI | CMD_MAIN | CMD_GROUP)
const struct command_form commands_tasks[] = {
	{"tasks list", "[GROUP]", "what runs on time, and when next", CMD_EVERYWHERE, ROLE_MEMBER, .max = 1, .run = list},
	{"tasks show", "TASK", "all of one task", CMD_EVERYWHERE, ROLE_MEMBER, .min = 1, .max = 1, .run = show},
	{"tasks runs", "[TASK [N]]", "how the last runs went: time, tokens, cost, words", CMD_EVERYWHERE, ROLE_MEMBER, .max = 2, .run = runs},
	{"tasks output", "RUN", "all that one run said", CMD_EVERYWHERE, ROLE_MEMBER, .min = 1, .max = 1, .run = output},
	{"tasks add", "GROUP NAME \"SCHEDULE\" PROMPT...", "make a task", CMD_CLI | CMD_MAIN, ROLE_ADMIN, .min = 4, .max = 4, .rest = true, .run = add},
	{"tasks set", "TASK KEY VALUE...", "change one thing of a task", CMD_CLI | CMD_MAIN, ROLE_ADMIN, .min = 3, .max = 3, .rest = true, .run = set},
	{"tasks pause", "TASK", "it does not run until it is resumed", IN_CHATS, ROLE_MEMBER, .min = 1, .max = 1, .run = tasks_pause},
	{"tasks resume", "TASK", "it goes on with its next time", IN_CHATS, ROLE_MEMBER, .min = 1, .max = 1, .run = tasks_resume},
	{"tasks cancel", "TASK", "end a task for good", IN_CHATS, ROLE_MEMBER, .min = 1, .max = 1, .run = tasks_cancel},
	{"tasks run", "TASK", "run it once now", IN_CHATS, ROLE_MEMBER, .min = 1, .max = 1, .run = tasks_run},
	{"run", "TASK", "run a task once now", CMD_CLI | CMD_MAIN, ROLE_MEMBER, .min = 1, .max = 1, .run = tasks_run},
	{"pause", "TASK|GROUP", "a task, or all tasks of a group, do not run until resumed", CMD_CLI | CMD_MAIN, ROLE_MEMBER, .min = 1, .max = 1, .run = pause_it},
	{"resume", "TASK|GROUP", "they run again", CMD_CLI | CMD_MAIN, ROLE_MEMBER, .min = 1, .max = 1, .run = resume_it},
	{0},
};
/* clang-format on */
