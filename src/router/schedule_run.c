// SPDX-License-Identifier: Apache-2.0
/*
 * A run from its admission to its end: the message that it becomes, its retries, what a failure does to its task, and whom that is told. It must never end a run
 * outside of the transaction that ends its turn.
 */
#include <string.h>
#include "base/log.h"
#include "base/str.h"
#include "router/inbox.h"
#include "router/schedule.h"
#include "router/task_may.h"

#define AGAIN_MS     30000		/* before the first retry; doubled for each further one */
#define AGAIN_MAX_MS ((int64_t)3600000) /* and never more than this */

/* A run and its task, as they are now. */
struct pair {
	struct run_row run;
	struct task_row task; /* strings: the three below only */
	char *prompt, *thread, *gate;
	char name[65];
};

static void take_run(void *ctx, const struct run_row *r)
{
	struct pair *p = ctx;

	p->run = *r;
	p->run.text = p->run.error = p->run.task = p->run.group = "";
}

static void take_task(void *ctx, const struct task_row *t)
{
	struct pair *p = ctx;

	p->task = *t;
	p->task.prompt = p->prompt = xstrdup(t->prompt);
	p->task.thread = p->thread = xstrdup(t->thread);
	p->task.gate = p->gate = xstrdup(t->gate);
	str_copy(p->name, sizeof(p->name), t->name);
	p->task.name = p->name;
	p->task.spec = p->task.zone = p->task.why = "";
	p->task.group = p->task.channel = p->task.chat = "";
}

static void pair_free(struct pair *p)
{
	free(p->prompt);
	free(p->thread);
	free(p->gate);
}

static int pair_get(struct router *r, int64_t run_id, struct pair *p, struct err *e)
{
	if (store_run_get(r->store, run_id, take_run, p, e) < 0)
		return -1;
	return store_task_get(r->store, p->run.task_id, take_task, p, e);
}

/* --- beginning ---------------------------------------------------------------------------- */

static int put_message(struct router *r, const struct pair *p, const struct group_row *g,
		       const char *data, struct err *e)
{
	_cleanup_(buf_free) struct buf text = {0};
	char platform_id[64], key[65];
	struct msg_new m = {
		.chat_id = p->task.chat_id,
		.group_id = g->id,
		.sender_id = p->task.sender_id,
		.session = key,
		.thread = p->task.thread,
		.platform_id = platform_id,
		.sent_ms = p->run.slot_ms,
		.state = MSG_PENDING,
		.task_run_id = p->run.id,
	};
	int64_t id = 0;
	bool dup = false;

	snprintf(platform_id, sizeof(platform_id), MSG_EVENT "task:%lld.%lld", (long long)p->run.id,
		 (long long)p->run.tries);
	if (p->run.isolated)
		snprintf(key, sizeof(key), RUN_KEY "%lld", (long long)p->run.id);
	else
		inbox_session_key(settings_get(r, g->id), m.chat_id, m.thread, key);
	buf_puts(&text, p->task.prompt);
	if (data[0])
		buf_putf(&text, "\n\nThe task's gate script says: %s", data);
	m.text = text.p ? text.p : "";
	m.text_len = text.len;
	if (store_message_in(r->store, &m, &id, &dup, e) < 0)
		return -1;
	if (dup)
		return err_set(e, E_BUG, "run %lld has a message already", (long long)p->run.id);
	if (store_run_begin(r->store, p->run.id, RUN_RUNNING, id, e) < 0)
		return -1;
	session_wake(session_get(r, g, key));
	return 0;
}

static void log_begun(const struct pair *p, const char *how)
{
	log_info("schedule", how, "task=%lld run=%lld group=%lld try=%lld", (long long)p->task.id,
		 (long long)p->run.id, (long long)p->task.group_id, (long long)p->run.tries + 1);
}

/* Whoever is not listened to any more is not so by way of a task either. */
static void may_not(struct router *r, int64_t run_id, const struct actor *maker)
{
	char why[240];

	snprintf(why, sizeof(why),
		 "it is a task of %.80s, whose role here is %s by now: make it anew, or give that "
		 "person the role member",
		 maker->who, role_word(maker->role));
	run_over(r, run_id, 0, RUN_FAILED, "", why);
}

/* data NULL: its gate comes first, if it has one. */
static void begin(struct router *r, int64_t run_id, const char *data)
{
	struct pair p = {.prompt = NULL};
	struct group_row g;
	struct chat_row chat;
	struct actor maker;
	struct err e = ERR_INIT;
	bool allowed = false;
	int rc = pair_get(r, run_id, &p, &e);

	if (rc < 0 || p.run.state >= RUN_OK ||
	    (rc = store_group_at(r->store, p.task.group_id, &g, &e)) < 0 ||
	    (rc = store_chat_get(r->store, p.task.chat_id, &chat, &e)) < 0 ||
	    (rc = task_allowed(r, &g, p.task.sender_id, &maker, &allowed, &e)) < 0) {
		if (rc < 0)
			router_fatal(r, &e);
		pair_free(&p);
		return;
	}
	if (chat.group_id != g.id) {
		run_over(r, run_id, 0, RUN_FAILED, "",
			 "its chat is not one of this group any more: give it another one (chat), "
			 "or link the chat again");
	} else if (!allowed) {
		may_not(r, run_id, &maker);
	} else if (!data && p.task.gate[0]) {
		rc = store_run_begin(r->store, run_id, RUN_GATE, 0, &e);
		log_begun(&p, "a gate begins");
		if (rc == 0)
			gate_begin(r, &g, run_id);
	} else {
		log_begun(&p, "a run begins");
		rc = put_message(r, &p, &g, data ? data : "", &e);
	}
	if (rc < 0)
		router_fatal(r, &e);
	pair_free(&p);
}

void run_begin(struct router *r, int64_t run_id)
{
	begin(r, run_id, NULL);
}

void run_woken(struct router *r, int64_t run_id, const char *data)
{
	begin(r, run_id, data);
}

/* The slot by the group's clock, as the heads of messages have it. */
static void put_head(struct router *r, const struct pair *p, struct buf *head)
{
	const struct zone *tz = settings_get(r, p->task.group_id)->tz;
	bool local = tz && !streq(zone_name(tz), "UTC");
	int64_t s = p->run.slot_ms / 1000;
	int64_t minute = (local ? s + zone_offset(tz, s, NULL) : s) / 60;

	buf_putf(head, "[scheduled task %s, run %lld, %02d:%02d%s] ", p->name, (long long)p->run.id,
		 (int)(minute / 60 % 24), (int)(minute % 60), local ? "" : "Z");
}

int run_turn(struct session *s, int64_t run_id, struct buf *head, struct err *e)
{
	struct pair p = {.prompt = NULL};
	int rc = pair_get(s->r, run_id, &p, e);

	if (rc == 0) {
		if (p.task.max_ms && p.task.max_ms < s->turn_ms)
			s->turn_ms = p.task.max_ms;
		put_head(s->r, &p, head);
		rc = store_run_turn(s->r->store, run_id, s->turn_id, e);
	} else if (e->code == E_GONE) { /* its row was removed; the message is there all the same */
		buf_puts(head, "[scheduled task that is not listed any more, 00:00Z] ");
		rc = 0;
	}
	pair_free(&p);
	return rc;
}

/* --- the end ------------------------------------------------------------------------------ */

int task_settle(struct router *r, int64_t task_id, struct err *e)
{
	struct pair p = {.prompt = NULL};
	int64_t open = 0, any;
	int rc = store_task_get(r->store, task_id, take_task, &p, e);

	if (rc == 0)
		rc = store_runs_open(r->store, task_id, &open, &any, e);
	if (rc == 0 && p.task.state == TASK_ACTIVE && !p.task.next_ms && !open)
		rc = store_task_state(r->store, task_id, TASK_DONE, "", e);
	pair_free(&p);
	return rc;
}

/* Nobody is told of a task in a chat that was its group's once; main is. */
static int chat_is_ours(struct router *r, const struct task_row *t, bool *yes, struct err *e)
{
	struct chat_row chat;

	if (store_chat_get(r->store, t->chat_id, &chat, e) < 0)
		return -1;
	*yes = chat.group_id == t->group_id;
	return 0;
}

int task_pause_told(struct router *r, const struct task_row *t, const char *why, struct err *e)
{
	int64_t main_chat = 0, main_group = 0;
	char line[200];
	bool ours;

	str_one_line(line, sizeof(line), why);
	if (chat_is_ours(r, t, &ours, e) < 0 ||
	    store_task_state(r->store, t->id, TASK_PAUSED, line, e) < 0 ||
	    store_runs_drop(r->store, t->id, "the task was paused", e) < 0 ||
	    store_main_chat(r->store, &main_chat, &main_group, e) < 0)
		return -1;
	log_warn("schedule", "paused", "task=%lld group=%lld why=\"%s\"", (long long)t->id,
		 (long long)t->group_id, line);
	if (ours)
		delivery_notice(r, t->chat_id, t->group_id, t->thread,
				"The task %s is paused: %.160s\nOnce that is put right: `chela "
				"tasks resume %lld`",
				t->name, line, (long long)t->id);
	if (!ours || main_chat != t->chat_id)
		notice_main(r,
			    "Task #%lld (%s) is paused: %.160s\nOnce that is put right: `chela "
			    "tasks resume %lld`",
			    (long long)t->id, t->name, line, (long long)t->id);
	return 0;
}

/* For good: the first of a row is told, and the one that is too many. */
static int failed(struct router *r, const struct task_row *t, int64_t run_id, const char *error,
		  struct err *e)
{
	int64_t n = t->failures + 1;
	char why[200], line[160];
	bool ours;

	str_one_line(line, sizeof(line), error);
	if (store_task_failures(r->store, t->id, n, e) < 0 || chat_is_ours(r, t, &ours, e) < 0)
		return -1;
	if (t->state == TASK_ACTIVE && t->next_ms && t->fail_max && n >= t->fail_max) {
		snprintf(why, sizeof(why), "it failed %lld time%s in a row, last: %.120s",
			 (long long)n, n == 1 ? "" : "s", line);
		return task_pause_told(r, t, why, e);
	}
	if (n == 1 && ours)
		delivery_notice(r, t->chat_id, t->group_id, t->thread,
				"The task %s could not be done (run %lld): %s", t->name,
				(long long)run_id, line);
	else if (n == 1)
		notice_main(r, "Task #%lld (%s) could not be done (run %lld): %s", (long long)t->id,
			    t->name, (long long)run_id, line);
	return 0;
}

static int end(struct router *r, struct pair *p, int64_t turn_id, enum run_state how,
	       const char *text, const char *error, struct err *e)
{
	struct run_end x = {
		.id = p->run.id, .turn_id = turn_id, .state = how, .text = text, .error = error};
	bool live = p->task.state == TASK_ACTIVE || p->task.state == TASK_DONE;
	int64_t pause = AGAIN_MS << (p->run.tries < 7 ? p->run.tries : 7);

	if (how == RUN_FAILED && live && p->run.tries < p->task.retries) {
		x.state = RUN_WAITING;
		x.next_ms = (clock_wall(r->o.clk) + (pause < AGAIN_MAX_MS ? pause : AGAIN_MAX_MS)) /
			    1000 * 1000;
	}
	log_info("schedule", "a run ended", "task=%lld run=%lld group=%lld how=\"%s\" again=%d",
		 (long long)p->task.id, (long long)p->run.id, (long long)p->task.group_id,
		 run_state_word(how), x.state == RUN_WAITING);
	if (store_run_end(r->store, &x, e) < 0)
		return -1;
	if ((how == RUN_OK || how == RUN_ASLEEP) &&
	    store_task_failures(r->store, p->task.id, 0, e) < 0)
		return -1;
	if (x.state == RUN_FAILED && failed(r, &p->task, p->run.id, error, e) < 0)
		return -1;
	return x.state == RUN_WAITING ? 0 : task_settle(r, p->task.id, e);
}

void run_over(struct router *r, int64_t run_id, int64_t turn_id, enum run_state how,
	      const char *text, const char *error)
{
	struct pair p = {.prompt = NULL};
	struct err e = ERR_INIT;

	/* A run whose task was removed with its data is gone, and so is its end. */
	if (pair_get(r, run_id, &p, &e) < 0) {
		if (e.code != E_GONE)
			router_fatal(r, &e);
	} else if (p.run.state < RUN_OK) {
		if (end(r, &p, turn_id, how, text, error, &e) < 0)
			router_fatal(r, &e);
		/* An isolated one makes room for those of all groups; one that failed may have a time to be tried again at. */
		if (p.run.isolated || how == RUN_FAILED)
			schedule_kick(r);
		schedule_admit(r, p.run.group_id);
	}
	pair_free(&p);
}

/* --- stopped by a person ------------------------------------------------------------------ */

static void take_key(void *ctx, const struct msg_row *m)
{
	str_copy(ctx, 65, m->session);
}

/* Its message is in a turn, or waits for one. */
static int stop_message(struct router *r, const struct pair *p, const char *words, struct err *e)
{
	struct session *s;
	char key[65] = "";
	bool moved = false;

	if (store_message_get(r->store, p->run.message_id, take_key, key, e) < 0)
		return -1;
	s = session_find(r, p->run.group_id, key);
	if (s && s->turn_id && s->run_id == p->run.id) {
		turn_interrupt(s, words);
		return 0; /* its end ends the run */
	}
	if (store_message_move(r->store, p->run.message_id, MSG_PENDING, MSG_FAILED, &moved, e) < 0)
		return -1;
	run_over(r, p->run.id, 0, RUN_STOPPED, "", words);
	return 0;
}

int run_stop(struct router *r, int64_t run_id, const char *words, struct err *e)
{
	struct pair p = {.prompt = NULL};
	int rc = pair_get(r, run_id, &p, e);

	if (rc == 0 && p.run.state >= RUN_OK) {
		rc = err_set(e, E_GONE, "run %lld is over", (long long)run_id);
	} else if (rc == 0 && p.run.state == RUN_RUNNING && p.run.message_id) {
		rc = stop_message(r, &p, words, e);
	} else if (rc == 0) {
		if (p.run.state == RUN_GATE)
			gate_stop(r, p.run.group_id, run_id);
		run_over(r, run_id, 0, RUN_STOPPED, "", words);
	}
	pair_free(&p);
	return rc;
}
