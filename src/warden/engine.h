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

/* One call with a whole answer (at most 4 MiB). body is JSON or NULL. */
struct http_call *engine_call(struct engine *g, const char *method, const char *path,
			      const char *body, http_fetch_fn *fn, void *ctx,
			      struct err *e) must_check;
/* 0 for a 2xx answer; else fills e: no answer = E_TEMP with the way to start the engine, else the
 * engine's own message (404 = E_GONE, 4xx = E_INVAL, 5xx = E_TEMP). */
int engine_result(const struct engine *g, int status, const char *body, size_t n,
		  const struct err *why, struct err *e) must_check;
/* Reads GET /info into s (engine, runtimes) and refuses engines that map user ids. */
int engine_info(const char *body, size_t n, struct warden_status *s, struct err *e) must_check;

/* The image id (sha256:...) that the lock file written by `make image` names. */
int engine_read_lock(const char *file, char id[80], struct err *e) must_check;

#endif
