// SPDX-License-Identifier: Apache-2.0
/*
 * A warden to test, with a home and an instance of its own, and a record of what it told.
 */
#ifndef CHELA_TESTS_WARDEN_WORLD_H
#define CHELA_TESTS_WARDEN_WORLD_H
#include "unit.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include "base/log.h"
#include "base/str.h"
#include "warden/attach.h"
#include "warden/sandbox.h"

#define LOCK	"build/image/image.lock"
#define GUARD_S 60

struct world {
	struct config cfg;
	struct loop *loop;
	struct warden *warden;
	pid_t pid;
	int fd;
	bool live; /* engine and image are there */
	int n_started, n_failed, n_ended, n_status, n_lost;
	uint64_t last_id;
	int door;
	struct err why;
	enum sandbox_end how;
	int code;
	char detail[256];
	struct warden_status status;
	char order[64]; /* S, F, E, in the order they came */
};

static void note(struct world *w, char what, uint64_t id)
{
	size_t n = strlen(w->order);

	if (n + 2 < sizeof(w->order)) {
		w->order[n] = what;
		w->order[n + 1] = (char)('0' + id % 10);
	}
	w->last_id = id;
	loop_stop(w->loop);
}

static void on_started(void *ctx, uint64_t id, int fd)
{
	struct world *w = ctx;

	w->n_started++;
	if (w->door >= 0)
		close(w->door);
	w->door = fd;
	note(w, 'S', id);
}

static void on_failed(void *ctx, uint64_t id, const struct err *why)
{
	struct world *w = ctx;

	w->n_failed++;
	w->why = *why;
	note(w, 'F', id);
}

static void on_ended(void *ctx, uint64_t id, enum sandbox_end how, int code, const char *detail)
{
	struct world *w = ctx;

	w->n_ended++;
	w->how = how;
	w->code = code;
	str_copy(w->detail, sizeof(w->detail), detail);
	note(w, 'E', id);
}

static void on_status(void *ctx, const struct warden_status *s)
{
	struct world *w = ctx;

	w->n_status++;
	w->status = *s;
	loop_stop(w->loop);
}

static void on_lost(void *ctx, const struct err *why)
{
	struct world *w = ctx;

	w->n_lost++;
	w->why = *why;
	loop_stop(w->loop);
}

static const struct warden_events events = {on_started, on_failed, on_ended, on_status, on_lost};

/* Runs the loop until the counter has reached n; alarm(2) ends a test that waits for ever. */
static void await(struct world *w, const int *counter, int n)
{
	while (*counter < n)
		loop_run(w->loop);
}

static maybe_unused void put(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	fclose(f);
}

static void begin(struct world *w)
{
	struct err e = ERR_INIT;

	w->door = -1;
	w->order[0] = '\0';
	w->pid = warden_fork(&w->cfg, &w->fd, &e);
	assert_true(w->pid > 0);
	w->loop = loop_new(&e);
	assert_non_null(w->loop);
	w->warden = warden_new(w->loop, w->fd, &events, w);
}

/* Ends the pair; the warden must then clean up and end by itself, with code 0. */
static void end(struct world *w, int want)
{
	int status = -1;

	warden_free(w->warden);
	loop_free(w->loop);
	assert_int_equal(waitpid(w->pid, &status, 0), w->pid);
	assert_int_equal(status, want);
	if (w->door >= 0)
		close(w->door);
	w->warden = NULL;
}

static int set_up(void **state)
{
	static const char *const folders[] = {"", "/config", "/config/groups", NULL};
	struct world *w = xcalloc(1, sizeof(*w));
	char home[] = "/tmp/chela-live-XXXXXX", path[PATH_CAP], *lock;
	struct err e = ERR_INIT;

	if (!mkdtemp(home))
		return -1;
	for (size_t i = 0; folders[i]; i++) {
		snprintf(path, sizeof(path), "%s%s", home, folders[i]);
		mkdir(path, 0700);
	}
	if (config_load(&w->cfg, home, NULL, &e) < 0)
		return -1;
	lock = realpath(LOCK, NULL);
	str_copy(w->cfg.image_lock, PATH_CAP, lock ? lock : "/nonexistent/image.lock");
	free(lock);
	alarm(GUARD_S);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;
	char cmd[PATH_CAP + 16];
	int r;

	alarm(0);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", w->cfg.home);
	r = system(cmd);
	free(w);
	return r;
}

static uint64_t start(struct world *w, const char *group)
{
	struct sandbox_request r = {.kind = SANDBOX_GROUP};
	struct err e = ERR_INIT;
	uint64_t id;

	str_copy(r.group, sizeof(r.group), group);
	str_uuid4(r.session_id);
	id = warden_start(w->warden, &r, &e);
	if (!id)
		fail_msg("%s", e.msg);
	return id;
}

#endif
