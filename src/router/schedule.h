// SPDX-License-Identifier: Apache-2.0
/*
 * The scheduler: one timer for the task that is due next; claims slots, in batches that leave the loop its time and give each group its share; and hands
 * runs to the router. Inside src/router only.
 *
 * A run's life: claimed (RUN_WAITING, one row a slot, in the transaction that moves the task's next slot on); admitted, when its group has room (one run in
 * the group's own session, two isolated ones); its gate, if it has one (RUN_GATE, a sandbox of kind TOOL); its message (RUN_RUNNING, a turn of its own; isolated:
 * in a sandbox of kind TASK); over, in the transaction that ends the turn. Everything is in the store: a server that stops anywhere goes on from there.
 */
#ifndef CHELA_ROUTER_SCHEDULE_H
#define CHELA_ROUTER_SCHEDULE_H
#include "base/slots.h"
#include "router/impl.h"
#include "router/tasks.h"

/* Session keys of what runs once: RUN_KEY and the run's number. No key of a chat or a thread begins with a letter. */
#define RUN_KEY	 "task:"
#define GATE_KEY "gate:"

/* After the store has recovered: settles what the time of the server's absence means, and starts the timer. */
int schedule_open(struct router *r, struct err *e) must_check;
void schedule_close(struct router *r);
/* Tasks, or whether groups work, were changed: looks again, after this turn of the loop. Does nothing before schedule_open. */
void schedule_kick(struct router *r);
/* A run of this group ended, or waits: the next may begin. */
void schedule_admit(struct router *r, int64_t group_id);
/* Claims so far, in so many steps of the loop; for tests and figures. */
void schedule_counts(const struct router *r, int64_t *claims, int64_t *steps);

/* schedule_plan.c: pure. What is to be done about the slots that are due. */
#define PLAN_KEEP_MAX 100
#define PLAN_LATE_MS  60000 /* a slot that is due for longer was missed */
struct plan {
	int64_t keep[PLAN_KEEP_MAX]; /* slots that run, oldest first */
	size_t n_keep;
	int64_t missed;		 /* slots that do not, at most PLAN_MISSED_MAX are counted */
	int64_t last_missed;	 /* the newest of them */
	int64_t next_ms, due_ms; /* 0 = there is none any more */
};
#define PLAN_MISSED_MAX 1000
void plan_make(const struct slots *s, const struct task_row *t, int64_t now_ms, struct plan *out);
/* When a slot is due: with its jitter, which follows from the task and the slot, so that no restart moves it. */
int64_t plan_due(const struct task_row *t, int64_t slot_ms);

/* schedule_run.c */
/* An admitted run begins: its gate, or its message. */
void run_begin(struct router *r, int64_t run_id);
/* The gate is open; data: what it says to the model, or "". */
void run_woken(struct router *r, int64_t run_id, const char *data);
/* The run's message is in a new turn of s: its limit, and the head that stands before its text. */
int run_turn(struct session *s, int64_t run_id, struct buf *head, struct err *e) must_check;
/* RUN_OK (text: what was said), RUN_ASLEEP, RUN_FAILED or RUN_STOPPED (error: why). A failed one is tried again as its task says; past that its chat is told, and
 * the task paused when it has failed too often. Nothing when the run is over already. */
void run_over(struct router *r, int64_t run_id, int64_t turn_id, enum run_state how,
	      const char *text, const char *error);
/* By a person, wherever it is. */
int run_stop(struct router *r, int64_t run_id, const char *words, struct err *e) must_check;
/* The task has no further slot and nothing of it goes on: it is done. */
int task_settle(struct router *r, int64_t task_id, struct err *e) must_check;
/* Pauses it and tells its chat and main why, with the way to go on. */
int task_pause_told(struct router *r, const struct task_row *t, const char *why,
		    struct err *e) must_check;

/* schedule_gate.c: a script that decides whether the model is woken, in a sandbox of its own */
#define GATE_LIMIT_MS	 60000
#define GATE_LIMIT_WORDS "60 s"
#define GATE_DATA_MAX	 ((size_t)16 << 10)
void gate_begin(struct router *r, const struct group_row *g, int64_t run_id);
/* Not decided yet. */
bool gate_waits(const struct session *s);
/* What its session hears. */
void gate_ready(struct session *s);
void gate_data(struct session *s, const uint8_t *p, size_t n);
void gate_log(struct session *s, const char *line);
void gate_exit(struct session *s, int code, int signo);
/* Its end is known, and its last words are waited for. */
bool gate_exited(const struct session *s);
void gate_limit(struct session *s);
/* Nothing when it is decided, or s is no gate's. */
void gate_fail(struct session *s, const char *why);
/* A person stops it, and its run. */
void gate_interrupt(struct session *s, const char *words);
/* Its run was stopped: nothing more comes of it. */
void gate_stop(struct router *r, int64_t group_id, int64_t run_id);
void gate_free(struct session *s);

#endif
