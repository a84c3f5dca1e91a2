// SPDX-License-Identifier: Apache-2.0
/*
 * Tasks: prompts that run on time. What commands (admin) and the agents' tools do with them, in one place, so that both have the same rules and the same
 * words. A task belongs to one group and speaks in one of its chats; it acts with the rights of the person who caused it, as they are when it runs.
 */
#ifndef CHELA_ROUTER_TASKS_H
#define CHELA_ROUTER_TASKS_H
#include "base/json.h"
#include "router/may.h"
#include "store/tasks.h"

/* Makes a task (id 0) or changes one; *out is its number. args is a flat object of strings; what is missing keeps its value or default:
 *   name       [a-z0-9][a-z0-9_-]{0,63}; unless told, made from the prompt
 *   prompt     what the agent is told
 *   schedule   as base/slots.h: "cron 0 8 * * 1", "@daily", "every 2h", "at 2026-12-24 18:00"
 *   zone       IANA name; unless told, the group's
 *   context    group | isolated
 *   gate       a bash script; its last line of JSON, {"wake": true|false, "data": ...}, decides whether the model is woken; "" = none
 *   catch_up   skip | latest | all(N), N at most 100
 *   overlap    skip | queue
 *   max_run, jitter   durations: 30s, 10m, 2h; 0 = none
 *   retries    0 to 10, after a failed run
 *   max_failures   pauses after so many in a row; 0 = never
 *   chat       CHANNEL:CHAT of this group; unless told, where (chat_id, thread) it is asked for
 * E_INVAL names the member, what was expected and an example. The caller has checked who may. */
struct task_place {
	const struct group_row *group;
	int64_t chat_id; /* 0 = the group's newest chat */
	const char *thread;
};
int task_put(struct router *r, const struct task_place *where, const struct actor *by, int64_t id,
	     const cJSON *args, int64_t *out, struct err *e) must_check;
/* Those members, NULL-ended, for schemas, commands and help. */
extern const char *const task_members[];

int task_pause(struct router *r, int64_t id, const char *why, struct err *e) must_check;
/* Goes on with the next slot from now; failures are forgotten. */
int task_resume(struct router *r, int64_t id, struct err *e) must_check;
/* A run that goes on is stopped. */
int task_cancel(struct router *r, int64_t id, struct err *e) must_check;
/* At once, beside its slots. *run is its number. */
int task_run_now(struct router *r, int64_t id, int64_t *run, struct err *e) must_check;

/* "#12 briefing: cron 0 8 * * 1 (Europe/Berlin), next Mon 2026-11-23 08:00 CET": one line, for lists and answers. */
void task_put_line(struct buf *out, const struct task_row *t);
/* All of it, several lines. */
void task_put_all(struct buf *out, const struct task_row *t);
/* "run 7 of briefing: slot ..., ok in 12 s, 1,234 tokens, $0.0123" and, with text, what it said. */
void run_put_line(struct buf *out, const struct run_row *r, const char *zone);

#endif
