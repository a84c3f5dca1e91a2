// SPDX-License-Identifier: Apache-2.0
/*
 * Making and changing tasks, for commands and tools alike; see tasks.h. Every member of what is asked for is checked before anything is written. It must never
 * decide who may.
 */
#include "router/tasks.h"
#include <ctype.h>
#include <string.h>
#include "base/duration.h"
#include "base/log.h"
#include "base/slots.h"
#include "base/str.h"
#include "router/schedule.h"
#include "router/settings.h"

#define LIVE_MAX       100		  /* tasks of one group */
#define TEXT_MAX       ((size_t)16 << 10) /* bytes of a prompt, and of a gate */
#define JITTER_MAX_MS  ((int64_t)86400000)
#define NAME_FROM_TEXT 24 /* characters of a name that we make */

const char *const task_members[] = {"name",    "prompt",       "schedule", "zone",    "context",
				    "gate",    "catch_up",     "overlap",  "max_run", "jitter",
				    "retries", "max_failures", "chat",	   NULL};

/* A task as it will be; the strings of t are in here. */
struct task_draft {
	struct router *r;
	const struct group_row *group;
	int64_t now_ms;
	struct task_row t;
	char *thread, *name, *prompt, *gate, *spec, *zone, *why;
	bool timed; /* its schedule or zone was told */
};

static void set_text(const char **at, char **own, const char *value)
{
	char *copy = xstrdup(value);

	free(*own);
	*at = *own = copy;
}

static void draft_free(struct task_draft *d)
{
	char *const all[] = {d->thread, d->name, d->prompt, d->gate, d->spec, d->zone, d->why};

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		free(all[i]);
}

static void take_row(void *ctx, const struct task_row *t)
{
	struct task_draft *d = ctx;

	d->t = *t;
	set_text(&d->t.thread, &d->thread, t->thread);
	set_text(&d->t.name, &d->name, t->name);
	set_text(&d->t.prompt, &d->prompt, t->prompt);
	set_text(&d->t.gate, &d->gate, t->gate);
	set_text(&d->t.spec, &d->spec, t->spec);
	set_text(&d->t.zone, &d->zone, t->zone);
	set_text(&d->t.why, &d->why, t->why);
	d->t.group = d->t.channel = d->t.chat = "";
}

/* --- members ------------------------------------------------------------------------------ */

static int set_name(struct task_draft *d, const char *v, struct err *e)
{
	if (!str_is_name(v) || v[strspn(v, "0123456789")] == '\0')
		return err_set(e, E_INVAL,
			       "name: \"%.64s\" is none: small letters, digits, - and _, at most "
			       "64, not only digits, such as monday-briefing",
			       v);
	set_text(&d->t.name, &d->name, v);
	return 0;
}

static int set_prompt(struct task_draft *d, const char *v, struct err *e)
{
	if (strlen(v) > TEXT_MAX)
		return err_set(e, E_INVAL, "prompt: it has %zu bytes, the most is %zu", strlen(v),
			       TEXT_MAX);
	if (v[strspn(v, " \t\r\n")] == '\0')
		return err_set(e, E_INVAL,
			       "prompt: say what is to be done, such as \"Sum up what is new\"");
	set_text(&d->t.prompt, &d->prompt, v);
	return 0;
}

static int set_gate(struct task_draft *d, const char *v, struct err *e)
{
	if (strlen(v) > TEXT_MAX)
		return err_set(e, E_INVAL, "gate: it has %zu bytes, the most is %zu", strlen(v),
			       TEXT_MAX);
	set_text(&d->t.gate, &d->gate, v[strspn(v, " \t\r\n")] ? v : "");
	return 0;
}

static int set_schedule(struct task_draft *d, const char *v, struct err *e maybe_unused)
{
	set_text(&d->t.spec, &d->spec, v);
	d->t.anchor_ms = d->now_ms;
	d->timed = true;
	return 0;
}

static int set_zone(struct task_draft *d, const char *v, struct err *e maybe_unused)
{
	set_text(&d->t.zone, &d->zone, v);
	d->timed = true;
	return 0;
}

/* One of two words. */
static int choose(const char *what, const char *v, const char *no, const char *yes, bool *out,
		  struct err *e)
{
	if (!streq(v, no) && !streq(v, yes))
		return err_set(e, E_INVAL, "%s: \"%.40s\" is not %s or %s", what, v, no, yes);
	*out = streq(v, yes);
	return 0;
}

static int set_context(struct task_draft *d, const char *v, struct err *e)
{
	bool isolated = false;

	if (choose("context", v, "group", "isolated", &isolated, e) < 0)
		return -1;
	d->t.context = isolated ? TASK_ISOLATED : TASK_IN_GROUP;
	return 0;
}

static int set_overlap(struct task_draft *d, const char *v, struct err *e)
{
	return choose("overlap", v, "skip", "queue", &d->t.queue, e);
}

static int set_catch_up(struct task_draft *d, const char *v, struct err *e)
{
	struct err none = ERR_INIT;
	char n[8] = "";

	if (streq(v, "skip")) {
		d->t.catch_up = 0;
		return 0;
	}
	if (streq(v, "latest")) {
		d->t.catch_up = 1;
		return 0;
	}
	if (str_starts(v, "all(") && strlen(v) < 4 + sizeof(n) && v[strlen(v) - 1] == ')') {
		str_copy(n, strlen(v) - 4, v + 4);
		if (str_to_i64(n, 1, PLAN_KEEP_MAX, &d->t.catch_up, &none) == 0)
			return 0;
	}
	return err_set(e, E_INVAL,
		       "catch_up: \"%.40s\" is not skip, latest or all(N) with N up to %d, such as "
		       "all(5)",
		       v, PLAN_KEEP_MAX);
}

static int set_max_run(struct task_draft *d, const char *v, struct err *e)
{
	if (duration_parse(v, 0, d->r->o.cfg->turn_ms, &d->t.max_ms, e) < 0)
		return err_wrap(e, "reading max_run (no longer than any turn may be)");
	return 0;
}

static int set_jitter(struct task_draft *d, const char *v, struct err *e)
{
	if (duration_parse(v, 0, JITTER_MAX_MS, &d->t.jitter_ms, e) < 0)
		return err_wrap(e, "reading jitter");
	return 0;
}

static int set_number(const char *what, const char *v, int64_t max, int64_t *out, struct err *e)
{
	struct err none = ERR_INIT;

	if (str_to_i64(v, 0, max, out, &none) < 0)
		return err_set(e, E_INVAL, "%s: \"%.40s\" is no number from 0 to %lld", what, v,
			       (long long)max);
	return 0;
}

static int set_retries(struct task_draft *d, const char *v, struct err *e)
{
	return set_number("retries", v, 10, &d->t.retries, e);
}

static int set_failures(struct task_draft *d, const char *v, struct err *e)
{
	return set_number("max_failures", v, 1000, &d->t.fail_max, e);
}

static int set_chat(struct task_draft *d, const char *v, struct err *e)
{
	_cleanup_free_ char *channel = xstrdup(v);
	char *colon = strchr(channel, ':');
	struct chat_row chat = {.group_id = 0};
	struct err none = ERR_INIT;

	if (colon) {
		*colon = '\0';
		if (store_chat_find(d->r->store, channel, colon + 1, &chat, &none) < 0 &&
		    none.code != E_GONE) {
			*e = none;
			return -1;
		}
	}
	/* The same words for one that is another group's, and for one that is not there. */
	if (chat.group_id != d->t.group_id)
		return err_set(
			e, E_INVAL,
			"chat: this group has no chat \"%.80s\"; a chat is named CHANNEL:CHAT "
			"as the group's own list has it, such as telegram:-1001234",
			v);
	d->t.chat_id = chat.id;
	set_text(&d->t.thread, &d->thread, "");
	return 0;
}

/* In the order of task_members. */
static int (*const setters[])(struct task_draft *d, const char *v, struct err *e) = {
	set_name,    set_prompt,  set_schedule, set_zone,    set_context,  set_gate, set_catch_up,
	set_overlap, set_max_run, set_jitter,	set_retries, set_failures, set_chat};

static int set_members(struct task_draft *d, const cJSON *args, struct err *e)
{
	if (json_only(args, "a task", task_members, e) < 0) {
		e->code = E_INVAL; /* a person's or an agent's words, not a peer's */
		return -1;
	}
	for (size_t i = 0; task_members[i]; i++) {
		const char *v = NULL;

		if (json_str_opt(args, task_members[i], NULL, &v, e) < 0) {
			e->code = E_INVAL;
			return -1;
		}
		if (v && setters[i](d, v, e) < 0)
			return -1;
	}
	return 0;
}

/* --- what is not told --------------------------------------------------------------------- */

struct newest_chat {
	int64_t id, last_ms;
};

static void note_newest(void *ctx, const struct chat_info *c)
{
	struct newest_chat *n = ctx;

	if (!n->id || c->last_ms > n->last_ms)
		*n = (struct newest_chat){c->chat.id, c->last_ms};
}

static int place(struct task_draft *d, const struct task_place *where, struct err *e)
{
	struct newest_chat n = {.id = where->chat_id};

	if (!n.id && store_chat_each(d->r->store, d->t.group_id, note_newest, &n, e) < 0)
		return -1;
	d->t.chat_id = n.id;
	set_text(&d->t.thread, &d->thread, where->chat_id && where->thread ? where->thread : "");
	return 0;
}

/* "sum-up-what-is-new" of the prompt, with a number when the group has that already. */
static int make_name(struct task_draft *d, struct err *e)
{
	char base[NAME_FROM_TEXT + 1], name[40];
	size_t n = 0;
	int64_t id;

	for (const char *p = d->t.prompt; *p && n < NAME_FROM_TEXT; p++) {
		if (isalnum((unsigned char)*p) && (unsigned char)*p < 0x80)
			base[n++] = (char)tolower((unsigned char)*p);
		else if (n && base[n - 1] != '-')
			base[n++] = '-';
	}
	while (n && base[n - 1] == '-')
		n--;
	base[n] = '\0';
	if (base[strspn(base, "0123456789")] == '\0')
		str_copy(base, sizeof(base), "task");
	str_copy(name, sizeof(name), base);
	for (int i = 2; i <= LIVE_MAX + 1; i++) {
		struct err none = ERR_INIT;

		if (store_task_find(d->r->store, d->t.group_id, name, &id, &none) < 0) {
			if (none.code == E_GONE)
				return set_name(d, name, e);
			*e = none;
			return -1;
		}
		snprintf(name, sizeof(name), "%s-%d", base, i);
	}
	return err_set(e, E_INVAL, "name: give the task one");
}

/* The spec in one spelling, and the first slot from now on. */
static int set_time(struct task_draft *d, struct err *e)
{
	_cleanup_slots_ struct slots *s = slots_parse(d->t.spec, d->t.zone, d->t.anchor_ms, e);
	_cleanup_free_ char *words = NULL;
	char now[40];

	if (!s)
		return err_wrap(e, "reading the schedule");
	words = slots_words(s);
	set_text(&d->t.spec, &d->spec, words);
	set_text(&d->t.zone, &d->zone, zone_name(slots_zone(s)));
	if (!slots_next(s, d->now_ms, &d->t.next_ms)) {
		zone_format(slots_zone(s), d->now_ms, now);
		return err_set(e, E_INVAL, "schedule: \"%.60s\" is over: it is %s now", words, now);
	}
	return 0;
}

static int start_new(struct task_draft *d, const struct task_place *where, const struct actor *by,
		     struct err *e)
{
	int64_t live = 0;

	if (store_task_count(d->r->store, where->group->id, &live, e) < 0)
		return -1;
	if (live >= LIVE_MAX)
		return err_set(e, E_LIMIT,
			       "this group has %d tasks already: cancel one that is not needed",
			       LIVE_MAX);
	d->t = (struct task_row){.group_id = where->group->id,
				 .sender_id = by->sender_id,
				 .catch_up = 1,
				 .fail_max = 3};
	set_text(&d->t.name, &d->name, "");
	set_text(&d->t.prompt, &d->prompt, "");
	set_text(&d->t.gate, &d->gate, "");
	set_text(&d->t.spec, &d->spec, "");
	set_text(&d->t.why, &d->why, "");
	set_text(&d->t.zone, &d->zone, settings_get(d->r, where->group->id)->zone);
	return place(d, where, e);
}

static int check_new(struct task_draft *d, struct err *e)
{
	if (!d->t.prompt[0])
		return err_set(e, E_INVAL,
			       "prompt: say what is to be done, such as \"Sum up what is new\"");
	if (!d->t.spec[0])
		return err_set(
			e, E_INVAL,
			"schedule: say when, such as \"cron 0 8 * * 1\", \"@daily\", \"every "
			"2h\" or \"at 2026-12-24 18:00\"");
	if (!d->t.chat_id)
		return err_set(e, E_INVAL,
			       "chat: this group has no chat where the task could speak; groups "
			       "add GROUP CHANNEL:CHAT gives it one");
	return d->t.name[0] ? 0 : make_name(d, e);
}

static int draft_fill(struct task_draft *d, const struct task_place *where, const struct actor *by,
		      int64_t id, const cJSON *args, struct err *e)
{
	if (id ? store_task_get(d->r->store, id, take_row, d, e) : start_new(d, where, by, e))
		return -1;
	if (d->t.state == TASK_CANCELLED)
		return err_set(e, E_INVAL, "task %s is cancelled: make a new one", d->t.name);
	if (set_members(d, args, e) < 0 || (!id && check_new(d, e) < 0))
		return -1;
	if ((d->timed || !id) && set_time(d, e) < 0)
		return -1;
	/* One that was done has a new time from here on. */
	if (d->timed && d->t.state == TASK_DONE)
		d->t.state = TASK_ACTIVE;
	d->t.id = id;
	return 0;
}

int task_put(struct router *r, const struct task_place *where, const struct actor *by, int64_t id,
	     const cJSON *args, int64_t *out, struct err *e)
{
	struct task_draft d = {.r = r, .now_ms = clock_wall(r->o.clk) / 1000 * 1000};
	int rc = draft_fill(&d, where, by, id, args, e);

	if (rc == 0 && id && d.t.next_ms)
		d.t.due_ms = plan_due(&d.t, d.t.next_ms);
	if (rc == 0)
		rc = store_task_put(r->store, &d.t, out, e);
	/* The jitter follows from the number, which a new task has only now. */
	d.t.id = *out;
	if (rc == 0 && !id)
		rc = store_task_next(r->store, *out, d.t.next_ms, plan_due(&d.t, d.t.next_ms), e);
	if (rc == 0) {
		log_info("tasks", id ? "changed" : "made", "task=%lld group=%lld by=\"%s\"",
			 (long long)*out, (long long)d.t.group_id, by->who);
		schedule_kick(r);
	}
	draft_free(&d);
	return rc;
}
