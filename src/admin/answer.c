// SPDX-License-Identifier: Apache-2.0
/* See answer.h. */
#include "admin/answer.h"

static void on_durable(void *ctx)
{
	struct answer *a = ctx;
	_cleanup_json_ cJSON *held = steal_ptr(&a->held);

	a->put(a->ctx, held);
}

/* Also a line waits: it may be the one that says what was done. */
static void put(struct answer *a, cJSON *event)
{
	bool waits = a->held;

	if (!waits)
		a->held = cJSON_CreateArray();
	cJSON_AddItemToArray(a->held, event);
	if (waits)
		return;
	if (store_dirty(a->store))
		store_after_commit(a->store, on_durable, a);
	else
		on_durable(a);
}

static void put_line(void *ctx, const char *text)
{
	cJSON *j = cJSON_CreateObject();

	cJSON_AddStringToObject(j, "ev", "line");
	cJSON_AddStringToObject(j, "text", text);
	put(ctx, j);
}

static void put_end(void *ctx, int status)
{
	cJSON *j = cJSON_CreateObject();

	cJSON_AddStringToObject(j, "ev", "end");
	cJSON_AddNumberToObject(j, "status", status == 2 ? 2 : status != 0);
	put(ctx, j);
}

const struct reply_to answer_to = {"chela ", "chela: ", put_line, put_end};

void answer_drop(struct answer *a)
{
	store_forget(a->store, a);
	cJSON_Delete(steal_ptr(&a->held));
}
