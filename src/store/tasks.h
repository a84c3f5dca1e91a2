// SPDX-License-Identifier: Apache-2.0
/*
 * Tasks and their runs. A slot of a task is claimed by inserting its run (unique on task and slot) and moving the task's next slot on, in one
 * transaction: so no restart can run a slot twice or lose one. Part of the store (store.h).
 */
#ifndef CHELA_STORE_TASKS_H
#define CHELA_STORE_TASKS_H
#include "store/store.h"

/* All of these are stored as numbers. */
enum task_state {
	TASK_ACTIVE = 0,
	TASK_PAUSED = 1,
	TASK_DONE = 2, /* there is no further slot */
	TASK_CANCELLED = 3
};
enum task_context {
	TASK_IN_GROUP = 0, /* in the chat's own session */
	TASK_ISOLATED = 1  /* in a disposable sandbox with a session of its own */
};
enum run_state {
	RUN_WAITING = 0, /* claimed; waits for its turn, or until next_ms for another try */
	RUN_GATE = 1,	 /* its script runs */
	RUN_RUNNING = 2, /* its message is with the router */
	RUN_OK = 3,
	RUN_FAILED = 4,
	RUN_ASLEEP = 5,	 /* the gate said that the model need not be woken */
	RUN_SKIPPED = 6, /* the run before it was still going (overlap skip) */
	RUN_MISSED = 7,	 /* the server was down, and the task's catch-up says so */
	RUN_STOPPED = 8	 /* by a person */
};
const char *task_state_word(enum task_state s);
const char *run_state_word(enum run_state s);

struct task_row {				  /* strings are borrowed for the call */
	int64_t id, group_id, chat_id, sender_id; /* sender 0 = the operator */
	const char *thread, *name, *prompt, *gate, *spec, *zone, *why;
	int64_t anchor_ms;
	enum task_context context;
	int64_t catch_up; /* how many missed slots are made up for: 0 = skip, 1 = latest, n = the newest n */
	bool queue; /* overlap: queue instead of skip */
	int64_t max_ms, jitter_ms, retries, fail_max,
		failures; /* max_ms 0 = as any turn; fail_max 0 = never paused */
	enum task_state state;
	int64_t next_ms, due_ms; /* 0 = none */
	int64_t created_ms, updated_ms;
	const char *group, *channel, *chat; /* names, for lists */
};
typedef void task_fn(void *ctx, const struct task_row *t);
/* id 0: inserts and sets *id; else rewrites all but group, sender, created. E_INVAL when the group has another live task of that name. */
int store_task_put(struct store *st, const struct task_row *t, int64_t *id,
		   struct err *e) must_check;
int store_task_get(struct store *st, int64_t id, task_fn *fn, void *ctx, struct err *e) must_check;
/* Group 0 = all; all: also those that are done or cancelled. By group, then name. */
int store_task_each(struct store *st, int64_t group_id, bool all, task_fn *fn, void *ctx,
		    struct err *e) must_check;
/* By number ("12") or name, in a group (0 = any; a name that two groups have is E_INVAL): the live one of that name, or the newest that is over. E_GONE names the
 * nearest. */
int store_task_find(struct store *st, int64_t group_id, const char *word, int64_t *id,
		    struct err *e) must_check;

struct run_row { /* strings are borrowed for the call */
	int64_t id, task_id, slot_ms, tries, next_ms, made_ms, started_ms, ended_ms;
	bool manual, isolated;
	enum run_state state;
	int64_t message_id, turn_id;
	int64_t input, output, cache_read, cache_write,
		cost_micro; /* micro: millionths of a US dollar */
	const char *text, *error;
	const char *task, *group; /* names, for lists */
	int64_t group_id;
};
typedef void run_fn(void *ctx, const struct run_row *r);
/* Of a task (0 = all) in a group (0 = all), newest first. */
int store_run_each(struct store *st, int64_t group_id, int64_t task_id, int64_t limit, run_fn *fn,
		   void *ctx, struct err *e) must_check;
int store_run_get(struct store *st, int64_t id, run_fn *fn, void *ctx, struct err *e) must_check;

/* --- for the scheduler (router/schedule.h) ---------------------------------------------- */

#define RUN_TEXT_MAX ((size_t)64 << 10) /* bytes kept of what a run said */

/* When a task is due next, and when after now_ms a run is to be tried again; 0 = never. Groups that are paused or removed are left out, here and below. */
int store_due_next(struct store *st, int64_t now_ms, int64_t *due_ms, int64_t *again_ms,
		   struct err *e) must_check;
/* The first group after this one, by number, that has a task due at now_ms; 0 = none. */
int store_due_group(struct store *st, int64_t now_ms, int64_t after, int64_t *group_id,
		    struct err *e) must_check;
/* That task of the group which is due longest. E_GONE when there is none. */
int store_due_task(struct store *st, int64_t group_id, int64_t now_ms, task_fn *fn, void *ctx,
		   struct err *e) must_check;
/* The next slot; 0 = there is none. */
int store_task_next(struct store *st, int64_t id, int64_t next_ms, int64_t due_ms,
		    struct err *e) must_check;
/* The active one with the next number after this. E_GONE when there is none. */
int store_task_after(struct store *st, int64_t id, task_fn *fn, void *ctx,
		     struct err *e) must_check;
/* When the newest run was made; 0 = there is none. */
int store_run_newest(struct store *st, int64_t *made_ms, struct err *e) must_check;
int store_task_state(struct store *st, int64_t id, enum task_state state, const char *why,
		     struct err *e) must_check;
/* Failures in a row. */
int store_task_failures(struct store *st, int64_t id, int64_t n, struct err *e) must_check;
int store_task_count(struct store *st, int64_t group_id, int64_t *live, struct err *e) must_check;

/* A run for a slot; *id 0 when the slot has one. A state that is an end is ended at once. */
int store_run_add(struct store *st, int64_t task_id, int64_t slot_ms, bool manual,
		  enum run_state state, const char *text, int64_t *id, struct err *e) must_check;
/* How many runs of a task are not over; *any: one of them, 0 = none. */
int store_runs_open(struct store *st, int64_t task_id, int64_t *n, int64_t *any,
		    struct err *e) must_check;
/* Those of all tasks (task 0) or of one that are not over, oldest first, at most limit. */
int store_runs_each_open(struct store *st, int64_t task_id, int64_t limit, run_fn *fn, void *ctx,
			 struct err *e) must_check;
/* Those of a task that wait are over: RUN_STOPPED. */
int store_runs_drop(struct store *st, int64_t task_id, const char *why, struct err *e) must_check;
/* Those of all tasks that go on. */
int store_runs_each_going(struct store *st, run_fn *fn, void *ctx, struct err *e) must_check;
/* When the task last had a run that went well, also one that was not woken; 0 = never. */
int store_run_last_ok(struct store *st, int64_t task_id, int64_t *ms, struct err *e) must_check;
/* The first group after this one, by number, with a run that waits and may begin at now_ms; 0 = none. */
int store_wait_group(struct store *st, int64_t now_ms, int64_t after, int64_t *group_id,
		     struct err *e) must_check;
/* The oldest such run of the group; 0 = none. */
int store_wait_run(struct store *st, int64_t group_id, bool isolated, int64_t now_ms,
		   int64_t *run_id, struct err *e) must_check;
/* How many go on (RUN_GATE, RUN_RUNNING) in a group (0 = all). */
int store_runs_going(struct store *st, int64_t group_id, bool isolated, int64_t *n,
		     struct err *e) must_check;
/* RUN_GATE, or RUN_RUNNING with its message. */
int store_run_begin(struct store *st, int64_t id, enum run_state state, int64_t message_id,
		    struct err *e) must_check;
/* One more of its turns: what that used is the run's. */
int store_run_turn(struct store *st, int64_t id, int64_t turn_id, struct err *e) must_check;
struct run_end {
	int64_t id, turn_id;  /* turn 0 = none */
	enum run_state state; /* RUN_WAITING: to be tried again at next_ms */
	int64_t next_ms;
	const char *text, *error; /* cut to RUN_TEXT_MAX */
};
/* Adds what the turn used. E_GONE when the run is over already. */
int store_run_end(struct store *st, const struct run_end *end, struct err *e) must_check;
/* The turn has cost so much more, by the agent's own reckoning. */
int store_turn_cost(struct store *st, int64_t turn_id, int64_t micro, struct err *e) must_check;

#endif
