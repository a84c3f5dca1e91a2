// SPDX-License-Identifier: Apache-2.0
/*
 * Calls of the Docker Engine API over its unix socket, and what their failures mean to a person.
 */
#ifndef CHELA_WARDEN_ENGINE_H
#define CHELA_WARDEN_ENGINE_H
#include "base/err.h"
#include "base/json.h"
#include "runtime/http.h"
#include "warden/warden.h"

struct engine {
	struct http_client *http;
	const char *socket_path; /* borrowed */
};
void engine_init(struct engine *g, struct loop *l, const char *socket_path);
void engine_fini(struct engine *g);

/* The outcome: why is NULL after a 2xx answer, and j is its JSON, for the time of the call (NULL when
 * it had no body). Else why says what went wrong: no answer = E_TEMP with the way to start the
 * engine (status 0), an unreadable one = E_TEMP, else the engine's own message (404 = E_GONE, 4xx =
 * E_INVAL, 5xx = E_TEMP). */
typedef void engine_fn(void *ctx, int status, const cJSON *j, const struct err *why);
/* A place for one call at a time. All zero: none is under way. */
struct engine_call {
	const struct engine *g;
	struct http_call *http;
	engine_fn *fn;
	void *ctx;
};
/* One call with a whole answer (at most 4 MiB). body is JSON or NULL. c is free again when fn is called. */
int engine_call(const struct engine *g, struct engine_call *c, const char *method, const char *path,
		const char *body, engine_fn *fn, void *ctx, struct err *e) must_check;
void engine_cancel(struct engine_call *c); /* no up-call */
/* Reads GET /info into s (engine, runtimes) and refuses engines that map user ids. */
int engine_info(const cJSON *j, struct warden_status *s, struct err *e) must_check;

/* The image id (sha256:...) that the lock file written by `make image` names. */
int engine_read_lock(const char *file, char id[80], struct err *e) must_check;

#endif
