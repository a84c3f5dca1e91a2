// SPDX-License-Identifier: Apache-2.0
/*
 * What the demo model decided to say to one request of the Messages API. Pure: the same request
 * always gives the same plan. The little language is described at the top of plan.c.
 */
#ifndef CHELA_DEMO_PLAN_H
#define CHELA_DEMO_PLAN_H
#include <stdbool.h>
#include <stdint.h>
#include "base/json.h"

#define DEMO_TOOLS_MAX 8
#define DEMO_TEXT_MAX  ((size_t)64 << 10) /* of one answer */
#define DEMO_PIECE_MAX ((size_t)4 << 10)  /* of one tool's result, or one echo, in it */

struct demo_plan {
	struct buf text; /* may be empty when there are tools */
	struct {
		char *name;
		char *input; /* JSON object */
	} tools[DEMO_TOOLS_MAX];
	size_t n_tools;
	int64_t slow_ms, slow_n; /* more chunks of text, slow_ms apart */
	bool past;		 /* while reading: the tools asked for here were used already */
};

/* req: a parsed request body. Fails with E_INVAL when it has no messages. Free in any case. */
int demo_plan_make(struct demo_plan *p, const cJSON *req, struct err *e) must_check;
void demo_plan_free(struct demo_plan *p);

#endif
