// SPDX-License-Identifier: Apache-2.0
/* One request to the running server; see ask.h. It runs a loop of its own and never talks to anything else. */
#include "admin/ask.h"
#include <string.h>
#include "admin/control.h"
#include "base/lines.h"
#include "runtime/conn.h"

struct ask {
	struct loop *loop;
	struct duplex *d;
	struct line_reader lines;
	struct timer *patience;
	int64_t patience_ms;
	ask_line_fn *fn;
	void *ctx;
	bool done, late;
};

static void ask_line(void *ctx, const char *line, size_t n)
{
	struct ask *a = ctx;

	if (a->done || !a->fn(a->ctx, line, n))
		return;
	a->done = true;
	loop_stop(a->loop);
}

static void ask_data(void *ctx, const uint8_t *p, size_t n)
{
	struct ask *a = ctx;

	line_feed(&a->lines, p, n, ask_line, a, &a->done);
	if (a->patience_ms >= 0)
		timer_start(a->patience, a->patience_ms, 0);
	duplex_consumed(a->d, n);
}

static void ask_eof(void *ctx)
{
	struct ask *a = ctx;

	loop_stop(a->loop);
}

static void ask_drained(void *ctx maybe_unused)
{
}

static void ask_closed(void *ctx, const struct err *why maybe_unused)
{
	struct ask *a = ctx;

	a->d = NULL;
	loop_stop(a->loop);
}

static const struct duplex_events ask_events = {ask_data, ask_eof, ask_drained, ask_closed};

static void ask_late(void *ctx)
{
	struct ask *a = ctx;

	a->late = true;
	loop_stop(a->loop);
}

static int talk(struct ask *a, const char *home, const char *req, struct err *e)
{
	char path[PATH_CAP];
	struct err why = ERR_INIT;

	control_path(home, path, sizeof(path));
	a->d = conn_unix(a->loop, "command", path, &why);
	if (!a->d)
		return err_set(e, why.code, "no server answers (%s); start one with: chela serve",
			       why.msg);
	a->d->ev = &ask_events;
	a->d->ctx = a;
	if (duplex_write(a->d, req, strlen(req), e) < 0)
		return -1;
	if (a->patience_ms >= 0)
		timer_start(a->patience, a->patience_ms, 0);
	loop_run(a->loop);
	if (a->late)
		return err_set(e, E_TEMP,
			       "the server gave no answer within %lld s; look at its log",
			       (long long)a->patience_ms / 1000);
	if (!a->done)
		return err_set(e, E_TEMP, "the server closed the connection without an answer");
	return 0;
}

int ask_server(const char *home, const char *req, int64_t patience_ms, ask_line_fn *fn, void *ctx,
	       struct err *e)
{
	struct ask a = {.patience_ms = patience_ms, .fn = fn, .ctx = ctx};
	int rc;

	a.lines.max = JSON_MAX_DEFAULT;
	a.loop = loop_new(e);
	if (!a.loop)
		return -1;
	a.patience = timer_new(a.loop, "patience", ask_late, &a);
	rc = talk(&a, home, req, e);
	timer_free(a.patience);
	if (a.d)
		duplex_reset(a.d);
	buf_free(&a.lines.buf);
	loop_free(a.loop);
	return rc;
}
