// SPDX-License-Identifier: Apache-2.0
/*
 * The tools for tasks: prompts that run on time (tasks.h has their rules and words). An agent sees and steers those of its own group; main's agent, asked by an admin,
 * those of all. Each answer says what holds now, with the next run in the task's own time zone.
 */
#include <string.h>
#include "base/str.h"
#include "base/zone.h"
#include "router/settings.h"
#include "router/task_may.h"
#include "router/tasks.h"
#include "router/tools.h"

#define LIST_MAX ((size_t)48 << 10) /* bytes of one answer: a model reads it */

/* --- which task --------------------------------------------------------------------------- */

/* An error that is the asker's to know: not the store's. */
static void refuse(struct session *s, struct mcp_call *c, const struct err *e)
{
	if (e->code == E_PERM || e->code == E_GONE)
		tool_record(s, false, "%s: %s", mcp_tool_of(c)->name, e->msg);
	if (store_broken(s->r->store))
		tool_failed(s, c, e);
	else
		tool_refuse(c, "Not done: %s.", e->msg);
}

/* False: answered already. */
static bool which(struct session *s, struct mcp_call *c, const cJSON *args, enum task_act act,
		  struct task_named *out)
{
	struct err e = ERR_INIT;

	if (task_named(s->r, &s->by, &s->group, json_peek_str(args, "task"), act, out, &e) == 0)
		return true;
	refuse(s, c, &e);
	return false;
}

static void put_line(void *ctx, const struct task_row *t)
{
	task_put_line(ctx, t);
}

/* "VERB #12 ...: ..." as the store has it now; also for the record. */
static void answer(struct session *s, struct mcp_call *c, const char *verb, int64_t id,
		   const char *more)
{
	_cleanup_(buf_free) struct buf line = {0};
	_cleanup_free_ char *text = NULL;
	struct err e = ERR_INIT;

	if (store_task_get(s->r->store, id, put_line, &line, &e) < 0) {
		tool_failed(s, c, &e);
		return;
	}
	tool_record(s, true, "%s: %s", mcp_tool_of(c)->name, line.p);
	text = xasprintf("%s: %s%s", verb, line.p, more);
	mcp_reply_text(c, text, false);
}

/* --- making and changing ------------------------------------------------------------------ */

/* task_put takes a flat object of strings. */
static cJSON *members(const cJSON *args)
{
	cJSON *out = cJSON_CreateObject();
	char number[32];

	for (const char *const *m = task_members; *m; m++) {
		const cJSON *v = cJSON_GetObjectItemCaseSensitive(args, *m);

		if (cJSON_IsString(v)) {
			cJSON_AddStringToObject(out, *m, v->valuestring);
		} else if (cJSON_IsNumber(v)) {
			snprintf(number, sizeof(number), "%.0f", v->valuedouble);
			cJSON_AddStringToObject(out, *m, number);
		}
	}
	return out;
}

static void schedule_create(void *peer, struct mcp_call *c, const cJSON *args)
{
	struct session *s = peer;
	_cleanup_json_ cJSON *put = members(args);
	struct group_row g;
	struct err e = ERR_INIT;
	int64_t id;

	if (!tool_group(s, c, args, &g))
		return;
	bool here = g.id == s->group.id;
	struct task_place place = {&g, here ? s->chat_id : 0, here && s->thread ? s->thread : ""};
	if (task_put(s->r, &place, &s->by, 0, put, &id, &e) < 0)
		refuse(s, c, &e);
	else
		answer(s, c, "Made", id, "");
}

static void schedule_update(void *peer, struct mcp_call *c, const cJSON *args)
{
	struct session *s = peer;
	_cleanup_json_ cJSON *put = members(args);
	struct task_named t;
	struct group_row g;
	struct err e = ERR_INIT;
	int64_t id;

	if (!put->child) {
		tool_refuse(c,
			    "Nothing changed: name what is to be changed, such as \"schedule\".");
		return;
	}
	if (!which(s, c, args, TASK_CHANGE, &t))
		return;
	if (store_group_at(s->r->store, t.group_id, &g, &e) < 0) {
		tool_failed(s, c, &e);
		return;
	}
	struct task_place place = {&g, t.chat_id, ""};
	if (task_put(s->r, &place, &s->by, t.id, put, &id, &e) < 0)
		refuse(s, c, &e);
	else
		answer(s, c, "Changed", id, "");
}

/* --- steering ----------------------------------------------------------------------------- */

static int pause_task(struct session *s, const struct task_named *t, struct buf *more maybe_unused,
		      struct err *e)
{
	char why[120];

	snprintf(why, sizeof(why), "paused for %.100s", s->by.who);
	return task_pause(s->r, t->id, why, e);
}

static int resume_task(struct session *s, const struct task_named *t, struct buf *more maybe_unused,
		       struct err *e)
{
	return task_resume(s->r, t->id, e);
}

static int cancel_task(struct session *s, const struct task_named *t, struct buf *more maybe_unused,
		       struct err *e)
{
	return task_cancel(s->r, t->id, e);
}

static int run_task(struct session *s, const struct task_named *t, struct buf *more, struct err *e)
{
	int64_t run;

	if (task_run_now(s->r, t->id, &run, e) < 0)
		return -1;
	buf_putf(
		more,
		"\nThis is run %lld; it begins when there is a place for it, at the earliest after this turn. task_runs shows how it went.",
		(long long)run);
	return 0;
}

/* The tools of one shape: they take a task and answer with how it is then. */
static const struct steer {
	const char *tool, *verb;
	int (*act)(struct session *s, const struct task_named *t, struct buf *more, struct err *e);
} steers[] = {
	{"schedule_pause", "Paused", pause_task},
	{"schedule_resume", "Goes on", resume_task},
	{"schedule_cancel", "Cancelled for good", cancel_task},
	{"schedule_run", "Will run now, beside its schedule", run_task},
};

static void steer(void *peer, struct mcp_call *c, const cJSON *args)
{
	_cleanup_(buf_free) struct buf more = {0};
	const struct steer *how = steers;
	struct session *s = peer;
	struct task_named t;
	struct err e = ERR_INIT;

	while (!streq(how->tool, mcp_tool_of(c)->name))
		how++;
	if (!which(s, c, args, TASK_STEER, &t))
		return;
	if (how->act(s, &t, &more, &e) < 0)
		refuse(s, c, &e);
	else
		answer(s, c, how->verb, t.id, more.p ? more.p : "");
}

/* --- looking ------------------------------------------------------------------------------ */

struct list {
	struct buf text;
	int64_t n, left;
	const char *zone;
	struct zones zones; /* in which tasks are listed */
};

/* A line for one more; false when the answer is long enough. */
static bool next_line(struct list *l)
{
	if (l->text.len > LIST_MAX) {
		l->left++;
		return false;
	}
	if (l->n++)
		buf_puts(&l->text, "\n");
	return true;
}

static void add_task(void *ctx, const struct task_row *t)
{
	struct list *l = ctx;

	if (!next_line(l))
		return;
	zones_keep(&l->zones, t->zone);
	task_put_line(&l->text, t);
}

static void list_free(struct list *l)
{
	buf_free(&l->text);
	zones_drop(&l->zones);
}

static void reply_list(struct mcp_call *c, struct list *l, const char *none)
{
	if (l->left)
		buf_putf(&l->text, "\n[and %lld more]", (long long)l->left);
	mcp_reply_text(c, l->n ? l->text.p : none, false);
}

static void list_tasks(void *peer, struct mcp_call *c, const cJSON *args)
{
	_cleanup_(list_free) struct list l = {.n = 0};
	bool all = cJSON_IsTrue(json_find(args, "all"));
	struct session *s = peer;
	struct group_row g;
	struct err e = ERR_INIT;

	if (!tool_group(s, c, args, &g))
		return;
	if (store_task_each(s->r->store, g.id, all, add_task, &l, &e) < 0)
		tool_failed(s, c, &e);
	else
		reply_list(c, &l, "This group has no task.");
}

static void add_run(void *ctx, const struct run_row *r)
{
	struct list *l = ctx;

	if (next_line(l))
		run_put_line(&l->text, r, l->zone);
}

static void task_runs(void *peer, struct mcp_call *c, const cJSON *args)
{
	_cleanup_(list_free) struct list l = {.n = 0};
	int64_t limit = json_peek_i64(args, "limit", 10);
	struct session *s = peer;
	struct task_named t = {.id = 0};
	struct group_row g;
	struct err e = ERR_INIT;

	if (!tool_group(s, c, args, &g) ||
	    (json_peek_str(args, "task") && !which(s, c, args, TASK_SEE, &t)))
		return;
	if (t.id)
		g.id = t.group_id;
	l.zone = t.id ? t.zone : settings_get(s->r, g.id)->zone;
	if (store_run_each(s->r->store, g.id, t.id, limit, add_run, &l, &e) < 0)
		tool_failed(s, c, &e);
	else
		reply_list(c, &l, "Nothing has run yet.");
}

/* --- the table ---------------------------------------------------------------------------- */

/* clang-format off */
#define TASK TOOL_TEXT("task", "1", "64", "the task's number or name, from list_tasks")
#define OTHER_GROUP TOOL_GROUP("another group's name (the main group only)")
#define WHAT_RUNS \
	TOOL_TEXT("name", "1", "64", "a short name: a-z, 0-9, - and _; unless told, made from the prompt") "," \
	TOOL_TEXT("zone", "1", "64", "IANA time zone such as Europe/Berlin; unless told, the group's") "," \
	"\"context\":{\"type\":\"string\",\"enum\":[\"group\",\"isolated\"],\"description\":" \
	"\"group: in this chat's own conversation, with all that was said; isolated: in a fresh sandbox that disappears\"}," \
	TOOL_TEXT("gate", "0", "16000", "a bash script that runs first; its last line of output is JSON: " \
		  "{\\\"wake\\\": false} means that you need not be woken, {\\\"wake\\\": true, \\\"data\\\": ...} gives " \
		  "you the data; empty = no gate") "," \
	TOOL_TEXT("catch_up", "1", "16", "what was missed while the server was down: skip, latest, or all(N)") "," \
	"\"overlap\":{\"type\":\"string\",\"enum\":[\"skip\",\"queue\"],\"description\":" \
	"\"when the run before still goes on\"}," \
	TOOL_TEXT("max_run", "1", "16", "the longest that a run may take, such as 10m; 0 = as any turn") "," \
	TOOL_TEXT("jitter", "1", "16", "a random delay of at most so much, such as 5m; 0 = none") "," \
	TOOL_NUMBER("retries", "0", "10", "tries after a failed run") "," \
	TOOL_NUMBER("max_failures", "0", "100", "pause after so many failures in a row; 0 = never") "," \
	TOOL_TEXT("chat", "1", "160", "CHANNEL:CHAT of the same group that hears the answer; unless told, this chat")
#define SCHEDULE \
	TOOL_TEXT("schedule", "1", "200", "cron MINUTE HOUR DAY MONTH WEEKDAY (cron 0 8 * * 1), @daily and the like, " \
		  "every 2h, or at 2026-12-24 18:00 for once")
#define PROMPT TOOL_TEXT("prompt", "1", "16000", "what you are to do at that time: all that you need to know, in words")

#define STEER(name_, title_, description_) { \
	.mcp = {.name = name_, .title = title_, .description = description_, \
		.input_schema = TOOL_INPUT(TASK, "\"task\""), .call = steer}, \
	.rule = {ROLE_MEMBER, false}, .acts = true}

const struct agent_tool tools_task[] = {
	{
		.mcp = {
			.name = "schedule_create",
			.title = "Make a task",
			.description =
				"Makes a task: at the times of its schedule you are given the prompt, and what you "
				"answer goes to this chat. It acts with the rights of the person who asked for it. "
				"Answers with its number and the next time.",
			.input_schema = TOOL_INPUT(
				PROMPT "," SCHEDULE "," WHAT_RUNS "," OTHER_GROUP,
				"\"prompt\",\"schedule\""),
			.call = schedule_create,
		},
		.rule = {ROLE_MEMBER, false},
		.acts = true,
	},
	{
		.mcp = {
			.name = "schedule_update",
			.title = "Change a task",
			.description =
				"Changes what is named of a task and leaves the rest. Members change their own "
				"tasks, admins also those of others with no more rights.",
			.input_schema = TOOL_INPUT(
				TASK "," PROMPT "," SCHEDULE "," WHAT_RUNS, "\"task\""),
			.call = schedule_update,
		},
		.rule = {ROLE_MEMBER, false},
		.acts = true,
	},
	STEER("schedule_pause", "Pause a task",
	      "The task does not run until schedule_resume; it keeps all else."),
	STEER("schedule_resume", "Resume a task",
	      "The task goes on with its next time; what was missed is not made up for."),
	STEER("schedule_cancel", "Cancel a task",
	      "Ends a task for good; a run that goes on is stopped. Its runs stay on record."),
	STEER("schedule_run", "Run a task now",
	      "Runs the task once now, beside its schedule."),
	{
		.mcp = {
			.name = "list_tasks",
			.title = "List the group's tasks",
			.description =
				"The tasks of this group, one a line: number, name, schedule, time zone, next time, "
				"and why one does not run.",
			.input_schema = TOOL_INPUT(
				"\"all\":{\"type\":\"boolean\",\"description\":\"also those that are done or cancelled\"},"
				OTHER_GROUP, ""),
			.read_only = true,
			.call = list_tasks,
		},
		.rule = {ROLE_GUEST, false},
	},
	{
		.mcp = {
			.name = "task_runs",
			.title = "Look at the runs of tasks",
			.description =
				"How the last runs went, newest first: time, duration, tokens, cost (as you reckon "
				"it), and what came out.",
			.input_schema = TOOL_INPUT(
				TOOL_TEXT("task", "1", "64", "one task's number or name; unless told, all of the group") ","
				TOOL_NUMBER("limit", "1", "50", "at most so many, 10 unless told") "," OTHER_GROUP,
				""),
			.read_only = true,
			.call = task_runs,
		},
		.rule = {ROLE_MEMBER, false},
	},
	{.mcp = {.name = NULL}},
};
/* clang-format on */
