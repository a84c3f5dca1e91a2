// SPDX-License-Identifier: Apache-2.0
/*
 * The scheduler: one timer for the task that is due next; claims slots, in batches that leave the loop its time and give each group its share; and hands
 * runs to the router. Inside src/router only.
 */
#ifndef CHELA_ROUTER_SCHEDULE_H
#define CHELA_ROUTER_SCHEDULE_H
#include "router/impl.h"
#include "router/tasks.h"

/* After the store has recovered: settles what the time of the server's absence means, and starts the timer. */
int schedule_open(struct router *r, struct err *e) must_check;
void schedule_close(struct router *r);
/* Tasks were changed: looks again, after the commit. */
void schedule_kick(struct router *r);

#endif
