// SPDX-License-Identifier: Apache-2.0
/*
 * See retention.h. One round goes through the kinds of rows in their order, then through the groups' inbox folders. A bite that took long is followed by a
 * smaller one. The agent owns the folder of its inbox: everything there is done from a descriptor, and only plain files go.
 */
#include "router/retention.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include "base/log.h"
#include "base/str.h"
#include "base/yaml.h"
#include "router/impl.h"
#include "router/workspace.h"

#define DAY_MS	      ((int64_t)24 * 3600000)
#define YEARS_MAX     (36500 * DAY_MS)
#define FIRST_MS      ((int64_t)10 * 60000)
#define PAUSE_MS      20 /* between two bites */
#define BITE_ROWS     32 /* at first */
#define BITE_ROWS_MAX 256
#define BITE_US	      3000
#define FOLDER_US     4000 /* at one folder at a time */

struct retention {
	struct router *r;
	struct retention_settings set;
	struct timer *timer;
	bool running;
	struct retain_bite bite;
	int64_t group_id; /* whose inbox was the last, once the rows are done */
	int64_t rows, files;
	void (*done)(void *ctx);
	void *done_ctx;
};

/* --- the configuration -------------------------------------------------------------------- */

static const struct key {
	const char *path;
	int64_t days;
} keys[RETAINED_COUNT] = {
	[RETAINED_SENT] = {"retention.sent", 30},
	[RETAINED_DEAD] = {"retention.dead_letters", 90},
	[RETAINED_RUNS] = {"retention.runs", 90},
	[RETAINED_USAGE] = {"retention.usage", 400},
	[RETAINED_ACTS] = {"retention.record", 400},
	[RETAINED_MESSAGES] = {"retention.messages", 365},
	[RETAINED_TURNS] = {"retention.usage", 400},
	[RETAINED_APPROVALS] = {"retention.record", 400},
	[RETAINED_CHATS] = {"retention.messages", 365},
};

static int read_age(struct yaml_node *r, const char *path, int64_t days, int64_t *ms, struct err *e)
{
	if (yaml_duration(r, path, days * DAY_MS, 0, YEARS_MAX, ms, e) < 0)
		return -1;
	if (*ms && *ms < DAY_MS)
		return yaml_fail(
			yaml_at(r, path), e,
			"less than a day is not kept apart; use 0 (for ever) or 1d and more");
	return 0;
}

int retention_settings_load(const struct config *cfg, struct retention_settings *out, struct err *e)
{
	_cleanup_yaml_ struct yaml *y =
		cfg->file[0] ? yaml_load(cfg->file, e) : yaml_parse("{}", 2, "defaults", e);
	struct yaml_node *r, *section;

	*out = (struct retention_settings){0};
	if (!y)
		return -1;
	r = yaml_root(y);
	section = yaml_at(r, "retention");
	for (size_t i = 0; i < RETAINED_COUNT; i++) {
		if (read_age(r, keys[i].path, keys[i].days, &out->keep_ms[i], e) < 0)
			return -1;
	}
	if (read_age(r, "retention.inbox", 90, &out->inbox_ms, e) < 0)
		return -1;
	return section ? yaml_finish_at(section, e) : 0;
}

/* --- rows --------------------------------------------------------------------------------- */

/* A dead letter goes: so does the file that it was to send. */
static void on_gone(void *ctx, const char *args)
{
	struct retention *t = ctx;
	struct err e = ERR_INIT;
	_cleanup_json_ cJSON *j = json_parse(args, strlen(args), OUT_ARGS_MAX, &e);
	const char *path = j ? json_peek_str(j, "file.path") : NULL;

	if (path && path[0])
		spool_release(t->r, path);
}

static int64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* The next kind of rows that has a limit; false: that was the last one. */
static bool next_kind(struct retention *t)
{
	struct retain_bite *b = &t->bite;

	while (b->what < RETAINED_COUNT && !t->set.keep_ms[b->what])
		b->what++;
	if (b->what == RETAINED_COUNT)
		return false;
	b->before_ms = clock_wall(t->r->o.clk) - t->set.keep_ms[b->what];
	return true;
}

/* One bite. False: all kinds are done. */
static bool bite(struct retention *t)
{
	struct retain_bite *b = &t->bite;
	struct err e = ERR_INIT;
	int64_t began, took;

	if (!next_kind(t))
		return false;
	began = now_us();
	if (store_retain(t->r->store, b, &e) < 0) {
		router_fatal(t->r, &e);
		return false;
	}
	took = now_us() - began;
	if (took > BITE_US && b->limit > 1)
		b->limit /= 2;
	else if (took < BITE_US / 4 && b->limit < BITE_ROWS_MAX)
		b->limit *= 2;
	t->rows += b->removed;
	b->removed = 0;
	if (!b->more) {
		b->what++;
		b->after_id = 0;
	}
	return true;
}

/* --- inbox folders ------------------------------------------------------------------------ */

struct next_group {
	int64_t after;
	struct group_row g;
};

static void find_next(void *ctx, const struct group_row *g)
{
	struct next_group *n = ctx;

	if (g->id > n->after && (!n->g.id || g->id < n->g.id))
		n->g = *g;
}

/* True: time was up, and some more may go. */
static bool clean_folder(struct retention *t, int dir)
{
	int64_t began = now_us(), gone = 0;
	int64_t before = (clock_wall(t->r->o.clk) - t->set.inbox_ms) / 1000;
	DIR *d = fdopendir(dir);
	struct dirent *de;
	struct stat st;

	if (!d) {
		close(dir);
		return false;
	}
	while (now_us() - began < FOLDER_US && (de = readdir(d))) {
		if (fstatat(dir, de->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode) && st.st_mtime < before &&
		    unlinkat(dir, de->d_name, 0) == 0)
			gone++;
	}
	t->files += gone;
	closedir(d);
	return gone && now_us() - began >= FOLDER_US;
}

/* One group's inbox. False: that was the last one. */
static bool clean_next(struct retention *t)
{
	struct next_group n = {.after = t->group_id};
	struct err e = ERR_INIT;
	_cleanup_close_ int own = -1;
	int dir;

	if (!t->set.inbox_ms)
		return false;
	if (store_group_each(t->r->store, find_next, &n, &e) < 0) {
		router_fatal(t->r, &e);
		return false;
	}
	if (!n.g.id)
		return false;
	own = workspace_open(t->r->o.cfg->home, n.g.name, false, &e);
	dir = own < 0 ? -1 : workspace_folder(own, "inbox", false, &e);
	if (dir < 0 || !clean_folder(t, dir))
		t->group_id = n.g.id;
	return true;
}

/* --- rounds ------------------------------------------------------------------------------- */

static void round_over(struct retention *t)
{
	void (*done)(void *ctx) = t->done;

	t->running = false;
	if (t->rows || t->files)
		log_info("retention", "old data was removed", "rows=%lld files=%lld",
			 (long long)t->rows, (long long)t->files);
	timer_start(t->timer, DAY_MS, 0);
	t->done = NULL;
	if (done)
		done(t->done_ctx);
}

static void begin(struct retention *t)
{
	t->running = true;
	t->bite = (struct retain_bite){.limit = BITE_ROWS, .gone = on_gone, .ctx = t};
	t->group_id = t->rows = t->files = 0;
}

static void on_timer(void *ctx)
{
	struct retention *t = ctx;

	if (t->r->fatal || t->r->draining)
		return;
	if (!t->running)
		begin(t);
	if (bite(t) || clean_next(t))
		timer_start(t->timer, PAUSE_MS, 0);
	else if (!t->r->fatal)
		round_over(t);
}

struct retention *retention_new(struct router *r, struct err *e)
{
	struct retention *t = xcalloc(1, sizeof(*t));

	t->r = r;
	t->timer = timer_new(r->loop, "retention", on_timer, t);
	if (retention_settings_load(r->o.cfg, &t->set, e) < 0) {
		retention_free(t);
		return NULL;
	}
	timer_start(t->timer, FIRST_MS, 0);
	return t;
}

void retention_free(struct retention *t)
{
	if (!t)
		return;
	timer_free(t->timer);
	free(t);
}

void retention_set(struct retention *t, const struct retention_settings *set)
{
	t->set = *set;
}

void retention_run(struct retention *t, void (*done)(void *ctx), void *ctx)
{
	t->done = done;
	t->done_ctx = ctx;
	timer_start(t->timer, 0, 0);
}
