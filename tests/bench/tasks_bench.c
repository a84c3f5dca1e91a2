// SPDX-License-Identifier: Apache-2.0
/*
 * Ten thousand tasks of fifty groups that are due in the same minute, in a whole router whose sandboxes never come. Prints how long it takes until the last is
 * claimed, and the loop's longest call-back meanwhile, the commits among them. Why: what a great many tasks cost the talk that goes on beside them.
 */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/log.h"
#include "base/str.h"
#include "router/schedule.h"

#define GROUPS 50
#define EACH   200
/* Mon 2026-11-23 08:00:00Z */
#define T0 INT64_C(1795420800000)

struct bench {
	struct loop *l;
	struct router *r;
	struct timer *tick;
	struct clock clk;
	int64_t longest, steps;
	const char *what;
};

static void quit(const char *what, const struct err *e)
{
	fprintf(stderr, "tasks_bench: %s: %s\n", what, e->msg);
	exit(1);
}

static int64_t real_mono(const struct clock *c maybe_unused)
{
	return clock_system.mono_us(&clock_system);
}

static void on_fatal(void *ctx maybe_unused, const struct err *why)
{
	quit("the router cannot go on", why);
}

static void fill(struct store *st)
{
	struct err e = ERR_INIT;

	for (int g = 0; g < GROUPS; g++) {
		struct task_row t = {.thread = "",
				     .prompt = "p",
				     .gate = "",
				     .why = "",
				     .spec = "cron 0 9 * * *",
				     .zone = "Europe/Berlin",
				     .catch_up = 1,
				     .next_ms = T0,
				     .due_ms = T0};
		struct group_row group;
		struct chat_row c;
		char name[20];
		int64_t id;

		snprintf(name, sizeof(name), "g%d", g);
		if (store_group_ensure(st, name, false, &group, &e) < 0 ||
		    store_chat_ensure(st, "console", name, "", &c, &e) < 0 ||
		    store_chat_link(st, c.id, group.id, &e) < 0)
			quit("filling", &e);
		t.group_id = group.id;
		t.chat_id = c.id;
		for (int i = 0; i < EACH; i++) {
			snprintf(name, sizeof(name), "t%d", i);
			t.name = name;
			t.context = i % 4 ? TASK_IN_GROUP : TASK_ISOLATED;
			if (store_task_put(st, &t, &id, &e) < 0)
				quit("filling", &e);
		}
	}
	if (store_commit(st, &e) < 0)
		quit("filling", &e);
}

/* Between two turns of the loop. */
static void look(void *ctx)
{
	struct bench *b = ctx;
	const char *what = "";
	int64_t us = loop_longest_us(b->l, &what), claims;

	if (us > b->longest) {
		b->longest = us;
		b->what = what;
	}
	schedule_counts(b->r, &claims, &b->steps);
	if (claims >= GROUPS * EACH)
		loop_stop(b->l);
}

static void run(struct bench *b)
{
	const char *what;
	int64_t began;

	/* What a start costs is no part of it. */
	timer_start(b->tick, 50, 0);
	b->clk.fixed_ms = T0;
	loop_longest_us(b->l, &what);
	b->longest = 0;
	began = clock_mono(&clock_system);
	schedule_kick(b->r);
	timer_start(b->tick, 0, 1);
	loop_run(b->l);
	printf("{\"name\":\"tasks_10k_longest_ms\",\"value\":%.3f,\"unit\":\"ms\"}\n",
	       (double)b->longest / 1000);
	printf("{\"name\":\"tasks_10k_claim_s\",\"value\":%.3f,\"unit\":\"s\"}\n",
	       (double)(clock_mono(&clock_system) - began) / 1e6);
	fprintf(stderr, "tasks_bench: %lld steps; the longest call-back was \"%s\"\n",
		(long long)b->steps, b->what);
}

static int rm(const char *path, const struct stat *st maybe_unused, int kind maybe_unused,
	      struct FTW *ftw maybe_unused)
{
	return remove(path);
}

int main(void)
{
	char dir[] = "/tmp/tasks-bench-XXXXXX", file[64];
	struct bench b = {.clk = clock_fixed(T0 - 3600000)};
	struct config cfg = {.idle_stop_ms = 3600000,
			     .max_live = 8,
			     .turn_ms = 3600000,
			     .start_ms = 3600000,
			     .tries = 3,
			     .delayed_notice_ms = 3600000};
	struct router_opts o = {.clk = &b.clk, .cfg = &cfg, .fatal = on_fatal};
	struct err e = ERR_INIT;
	struct store *st;
	int fd[2];

	b.clk.mono_us = real_mono;
	log_set_level(LOG_ERROR);
	if (!mkdtemp(dir) ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd) < 0)
		return 1;
	str_copy(cfg.home, sizeof(cfg.home), dir);
	snprintf(file, sizeof(file), "%s/db", dir);
	o.warden_fd = fd[0];
	o.loop = b.l = loop_new(&e);
	o.store = st = store_open(file, &b.clk, &e);
	if (!b.l || !st)
		quit("starting", &e);
	fill(st);
	b.r = router_new(&o, &e);
	if (!b.r)
		quit("starting", &e);
	b.tick = timer_new(b.l, "look", look, &b);
	run(&b);
	timer_free(b.tick);
	router_free(b.r);
	store_close(st);
	close(fd[1]);
	loop_free(b.l);
	nftw(dir, rm, 8, FTW_DEPTH | FTW_PHYS);
	return 0;
}
