// SPDX-License-Identifier: Apache-2.0
/* What the tests of the WebSocket client share: the peer (a process of its own) and a recorder of up-calls. */
#ifndef CHELA_TESTS_UNIT_RUNTIME_WS_RIG_H
#define CHELA_TESTS_UNIT_RUNTIME_WS_RIG_H
#include "runtime_fix.h"
#include <fcntl.h>
#include "base/buf.h"
#include "base/str.h"
#include "runtime/proc.h"
#include "runtime/ws.h"

#define WS_PEER "tests/unit/runtime_ws_peer.py"

struct ws_world {
	struct fix *f;
	struct proc *peer;
	int in, out;
	struct watch *watch;
	struct buf lines; /* what the peer said and nobody asked about yet */
	int port;
	struct ws_client *c;
	/* what came */
	struct ws *w;
	int opens, texts, closes, code;
	struct buf all; /* every text, each followed by ';' */
	struct err why;
	/* when to stop the loop, besides at the end */
	bool stop_at_open;
	int stop_at_texts;
	void (*on_text)(struct ws_world *w);
};

static void rig_open(void *ctx)
{
	struct ws_world *w = ctx;

	w->opens++;
	if (w->stop_at_open)
		loop_stop(w->f->l);
}

static void rig_text(void *ctx, const char *p, size_t n)
{
	struct ws_world *w = ctx;

	w->texts++;
	buf_put(&w->all, p, n);
	buf_puts(&w->all, ";");
	assert_int_equal(p[n], '\0');
	if (w->on_text)
		w->on_text(w);
	if (w->texts == w->stop_at_texts)
		loop_stop(w->f->l);
}

static void rig_closed(void *ctx, int code, const struct err *why)
{
	struct ws_world *w = ctx;

	w->closes++;
	w->code = code;
	w->why = *why;
	w->w = NULL;
	loop_stop(w->f->l);
}

static const struct ws_events rig_events = {rig_open, rig_text, rig_closed};

static void rig_peer_exit(void *ctx maybe_unused, int code, int signo)
{
	fail_msg("the peer died (code %d, signal %d)", code, signo);
}

static void rig_peer_says(void *ctx, int events maybe_unused)
{
	struct ws_world *w = ctx;
	char p[256];
	ssize_t n = read(w->out, p, sizeof(p));

	assert_true(n > 0);
	buf_put(&w->lines, p, (size_t)n);
	loop_stop(w->f->l);
}

/* The peer's next line; the loop runs meanwhile. */
static void rig_line(struct ws_world *w, const char *want)
{
	char line[128];
	size_t n;

	watch_set(w->watch, WATCH_READ);
	while (!w->lines.p || !strchr(w->lines.p, '\n'))
		loop_run(w->f->l);
	watch_set(w->watch, 0);
	n = strcspn(w->lines.p, "\n");
	assert_in_range(n, 0, sizeof(line) - 1);
	memcpy(line, w->lines.p, n);
	line[n] = '\0';
	buf_drop(&w->lines, n + 1);
	if (want)
		assert_string_equal(line, want);
	else
		w->port = (int)strtol(line, NULL, 10);
}

static void rig_start(struct ws_world *w, void **state, const char *cert, const char *key)
{
	const char *const argv[] = {"/usr/bin/python3", WS_PEER, cert, key, NULL};
	int in[2], out[2];
	struct err e = ERR_INIT;

	*w = (struct ws_world){.f = *state};
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	w->peer = proc_spawn(w->f->l, "peer",
			     &(struct proc_spec){.argv = argv, .fds = {in[0], out[1], 2}},
			     rig_peer_exit, w, &e);
	assert_non_null(w->peer);
	close(in[0]);
	close(out[1]);
	w->in = in[1];
	w->out = out[0];
	w->watch = watch_new(w->f->l, "peer", w->out, rig_peer_says, w);
	rig_line(w, NULL);
}

static void rig_end(struct ws_world *w)
{
	ws_client_free(w->c);
	proc_free(w->peer);
	watch_free(w->watch);
	close(w->in);
	close(w->out);
	buf_free(&w->lines);
	buf_free(&w->all);
}

/* Opens scheme://host:port/path; the loop is not run yet. */
static void rig_connect(struct ws_world *w, const char *scheme_host, const char *path,
			struct ws_spec s)
{
	_cleanup_free_ char *url = xasprintf("%s:%d%s", scheme_host, w->port, path);
	struct err e = ERR_INIT;

	if (!w->c)
		w->c = ws_client_new(w->f->l, NULL);
	s.url = url;
	w->opens = w->texts = w->closes = w->code = 0;
	buf_reset(&w->all);
	w->w = ws_open(w->c, &s, &rig_events, w, &e);
	if (!w->w)
		fail_msg("%s", e.msg);
}

#endif
