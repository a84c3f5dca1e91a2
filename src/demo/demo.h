// SPDX-License-Identifier: Apache-2.0
/*
 * The demo model: answers the Messages API in this process when no key is configured, so that a
 * fresh machine shows the whole road without an account. It knows no secret and reaches nothing
 * outside.
 */
#ifndef CHELA_DEMO_DEMO_H
#define CHELA_DEMO_DEMO_H
#include "runtime/http1.h"
#include "runtime/loop.h"
#include "runtime/model_api.h"

struct demo;

/* One model call ended; peer is the connection's. May be NULL. */
typedef void demo_usage_fn(void *peer, const struct usage *u);

struct demo *demo_new(struct loop *l, demo_usage_fn *on_usage);
/* After the last connection that it answers on. */
void demo_free(struct demo *d);
/* POST /v1/messages, POST /v1/messages/count_tokens, GET /v1/models and HEAD. */
struct http1_service demo_service(struct demo *d);

#endif
