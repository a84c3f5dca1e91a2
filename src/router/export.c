// SPDX-License-Identifier: Apache-2.0
/*
 * Exporting a group, see export.h. What is ours is written into a folder of its own; tar packs that and the group's folder, whose links it stores as
 * links. The archive gets its name when it is whole.
 */
#include "router/export.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "router/settings.h"
#include "router/tasks.h"
#include "router/impl.h"
#include "runtime/proc.h"
#include "runtime/sync.h"
#include "store/people.h"

#define STEP_MS	     2
#define TAR_LIMIT_MS 600000
#define RUNS_MAX     10000

struct export
{
	struct router *r;
	struct group_row g;
	exported_fn *fn; /* NULL: nobody waits any more */
	void *ctx;
	char *folder, *work, *part,
		*path; /* <home>/exports, .../.work-UUID, the archive before and after */
	int64_t at;
	int fd; /* messages.jsonl */
	struct buf text;
	struct timer *step, *limit;
	struct proc *tar;
	struct sync *sync;
	int64_t bytes;
};

/* --- the end ------------------------------------------------------------------------------ */

static const char *const ours[] = {"messages.jsonl", "tasks.json", "settings.json", "people.json"};

static void remove_work(struct export *x)
{
	for (size_t i = 0; i < ARRAY_LEN(ours); i++) {
		_cleanup_free_ char *file = xasprintf("%s/%s", x->work, ours[i]);

		unlink(file);
	}
	rmdir(x->work);
}

static void export_free(struct export *x)
{
	x->r->exporting = NULL;
	remove_work(x);
	unlink(x->part);
	if (x->fd >= 0)
		close(x->fd);
	timer_free(x->step);
	timer_free(x->limit);
	proc_free(x->tar);
	sync_cancel(x->sync);
	buf_free(&x->text);
	free(x->folder);
	free(x->work);
	free(x->part);
	free(x->path);
	free(x);
}

static void over(struct export *x, int64_t bytes, const struct err *why)
{
	if (why)
		log_warn("export", "failed", "group=%s why=\"%s\"", x->g.name, why->msg);
	else
		log_info("export", "made", "group=%s file=\"%s\" bytes=%lld", x->g.name, x->path,
			 (long long)bytes);
	if (x->fn)
		x->fn(x->ctx, x->path, bytes, why);
	if (why && store_broken(x->r->store))
		router_fatal(x->r, why);
	export_free(x);
}

/* --- packing ------------------------------------------------------------------------------ */

static void on_synced(void *ctx, const struct err *why)
{
	struct export *x = ctx;

	x->sync = NULL;
	if (why)
		unlink(x->path);
	over(x, why ? 0 : x->bytes, why);
}

/* Nobody is told of it before the disk has it: what it holds may be removed then. */
static int keep(struct export *x, struct err *e)
{
	_cleanup_close_ int fd = open(x->part, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	_cleanup_close_ int folder = open(x->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || folder < 0 || fstat(fd, &st) < 0)
		return err_sys(e, errno, "cannot look at the export");
	x->bytes = st.st_size;
	if (link(x->part, x->path) < 0)
		return err_sys(e, errno, "cannot name the export %s", x->path);
	x->sync = sync_start(x->r->loop, fd, folder, on_synced, x, e);
	return x->sync ? 0 : -1;
}

static void on_tar(void *ctx, int code, int signo)
{
	struct export *x = ctx;
	struct err e = ERR_INIT;

	timer_stop(x->limit);
	/* 1: a file has changed while it was read; the agent may be at work. */
	if (signo || code > 1)
		err_set(&e, E_IO, signo ? "tar was stopped: it took too long" : "tar failed (%d)",
			code);
	else if (keep(x, &e) == 0)
		return;
	over(x, 0, &e);
}

static void on_limit(void *ctx)
{
	struct export *x = ctx;

	proc_kill(x->tar, SIGKILL);
}

static int pack(struct export *x, struct err *e)
{
	_cleanup_free_ char *groups = xasprintf("%s/groups", x->r->o.cfg->home);
	_cleanup_free_ char *rule = xasprintf("--transform=s,^%s,files,S", x->g.name);
	const char *argv[24] = {"tar",
				"-c",
				"-z",
				"-S",
				"--one-file-system",
				"--numeric-owner",
				"--warning=no-file-changed",
				"-f",
				x->part,
				"-C",
				x->work};
	struct proc_spec spec = {.argv = argv, .fds = {-1, -1, -1}};
	_cleanup_free_ char *folder = xasprintf("%s/%s", groups, x->g.name);
	size_t n = 11;

	for (size_t i = 0; i < ARRAY_LEN(ours); i++)
		argv[n++] = ours[i];
	if (access(folder, F_OK) == 0) {
		argv[n++] = rule;
		argv[n++] = "-C";
		argv[n++] = groups;
		argv[n++] = x->g.name;
	}
	x->tar = proc_spawn(x->r->loop, "tar", &spec, on_tar, x, e);
	if (!x->tar)
		return -1;
	timer_start(x->limit, TAR_LIMIT_MS, 0);
	return 0;
}

static int open_part(struct export *x, const char *name, struct err *e)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", x->work, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	return fd < 0 ? err_sys(e, errno, "cannot write %s", path) : fd;
}

static int put_json(struct export *x, const char *name, const cJSON *j, struct err *e)
{
	_cleanup_free_ char *text = cJSON_Print(j);
	_cleanup_close_ int fd = open_part(x, name, e);

	if (fd < 0)
		return -1;
	if (!text)
		return err_set(e, E_LIMIT, "out of memory");
	return fd_write_all(fd, text, strlen(text)) < 0
		       ? err_sys(e, errno, "cannot write the export")
		       : 0;
}

static void add_task(void *ctx, const struct task_row *t)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddItemToArray(ctx, o);
	json_add(o, "id=%lld name=%s prompt=%s gate=%s schedule=%s zone=%s context=%s state=%s",
		 (long long)t->id, t->name, t->prompt, t->gate, t->spec, t->zone,
		 t->context == TASK_ISOLATED ? "isolated" : "group", task_state_word(t->state));
	json_add(o, "why=%s catch_up=%lld overlap=%s max_run_ms=%lld jitter_ms=%lld retries=%lld",
		 t->why, (long long)t->catch_up, t->queue ? "queue" : "skip", (long long)t->max_ms,
		 (long long)t->jitter_ms, (long long)t->retries);
	json_add(o, "max_failures=%lld next_ms=%lld created_ms=%lld", (long long)t->fail_max,
		 (long long)t->next_ms, (long long)t->created_ms);
}

static void add_run(void *ctx, const struct run_row *t)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddItemToArray(ctx, o);
	json_add(o, "id=%lld task=%lld slot_ms=%lld state=%s started_ms=%lld ended_ms=%lld",
		 (long long)t->id, (long long)t->task_id, (long long)t->slot_ms,
		 run_state_word(t->state), (long long)t->started_ms, (long long)t->ended_ms);
	json_add(o, "input=%lld output=%lld cost_micro_usd=%lld text=%s error=%s",
		 (long long)t->input, (long long)t->output, (long long)t->cost_micro, t->text,
		 t->error);
}

static int put_tasks(struct export *x, struct err *e)
{
	_cleanup_json_ cJSON *j = cJSON_CreateObject();
	cJSON *tasks = cJSON_AddArrayToObject(j, "tasks");
	cJSON *runs = cJSON_AddArrayToObject(j, "runs");
	struct store *st = x->r->store;

	if (store_task_each(st, x->g.id, true, add_task, tasks, e) < 0 ||
	    store_run_each(st, x->g.id, 0, RUNS_MAX, add_run, runs, e) < 0)
		return -1;
	return put_json(x, "tasks.json", j, e);
}

static void add_setting(void *ctx, const char *key, const char *value,
			const char *choices maybe_unused, bool own maybe_unused)
{
	cJSON_AddStringToObject(ctx, key, value);
}

static void add_chat(void *ctx, const struct chat_info *c)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddItemToArray(ctx, o);
	json_add(o, "channel=%s chat=%s title=%s", c->chat.channel, c->chat.platform_id, c->title);
}

static int put_settings(struct export *x, struct err *e)
{
	_cleanup_json_ cJSON *j = cJSON_CreateObject();
	cJSON *settings, *chats;

	cJSON_AddStringToObject(j, "group", x->g.name);
	settings = cJSON_AddObjectToObject(j, "settings");
	chats = cJSON_AddArrayToObject(j, "chats");
	if (settings_each(x->r, x->g.id, add_setting, settings, e) < 0 ||
	    store_chat_each(x->r->store, x->g.id, add_chat, chats, e) < 0)
		return -1;
	return put_json(x, "settings.json", j, e);
}

static void add_person(void *ctx, const struct person_row *p)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddItemToArray(ctx, o);
	json_add(o, "id=%lld name=%s role=%s", (long long)p->id, p->name, role_word(p->role));
}

static int put_people(struct export *x, struct err *e)
{
	_cleanup_json_ cJSON *j = cJSON_CreateObject();

	if (store_person_each(x->r->store, x->g.id, add_person, cJSON_AddArrayToObject(j, "people"),
			      e) < 0)
		return -1;
	return put_json(x, "people.json", j, e);
}

static void add_message(void *ctx, const struct msg_row *m)
{
	struct export *x = ctx;
	struct buf *b = &x->text;

	buf_putf(b, "{\"id\":%lld,\"sent_ms\":%lld,\"chat\":%lld,\"from\":\"%s\",\"sender\":",
		 (long long)m->id, (long long)m->sent_ms, (long long)m->chat_id,
		 m->notice	     ? "server"
		 : m->dir == MSG_OUT ? "assistant"
				     : "person");
	json_put_str(b, m->sender, strlen(m->sender));
	buf_puts(b, ",\"thread\":");
	json_put_str(b, m->thread, strlen(m->thread));
	buf_puts(b, ",\"text\":");
	json_put_str(b, m->text, m->text_len);
	buf_puts(b, "}\n");
}

static void on_step(void *ctx)
{
	struct export *x = ctx;
	struct err e = ERR_INIT;
	bool done = false;
	int rc;

	if (x->r->fatal)
		return;
	rc = store_group_messages(x->r->store, x->g.id, &x->at, &done, add_message, x, &e);
	if (rc == 0 && fd_write_all(x->fd, x->text.p, x->text.len) < 0)
		rc = err_sys(&e, errno, "cannot write the export");
	buf_reset(&x->text);
	if (rc == 0 && !done) {
		timer_start(x->step, STEP_MS, 0);
		return;
	}
	if (rc == 0)
		rc = pack(x, &e);
	if (rc < 0)
		over(x, 0, &e);
}

/* --- the beginning ------------------------------------------------------------------------ */

static struct export *export_new(struct router *r, const struct group_row *g)
{
	struct export *x = xcalloc(1, sizeof(*x));
	char unique[37], now[25];

	x->r = r;
	x->g = *g;
	x->fd = -1;
	str_uuid4(unique);
	clock_format(clock_wall(r->o.clk), now);
	x->folder = xasprintf("%s/exports", r->o.cfg->home);
	x->work = xasprintf("%s/.work-%s", x->folder, unique);
	x->part = xasprintf("%s/.part-%s", x->folder, unique);
	x->path = xasprintf("%s/%s-%.10s-%.2s%.2s%.2sZ.tar.gz", x->folder, g->name, now, now + 11,
			    now + 14, now + 17);
	x->step = timer_new(r->loop, "export", on_step, x);
	x->limit = timer_new(r->loop, "export limit", on_limit, x);
	r->exporting = x;
	return x;
}

/* tar writes into a file that is ours alone from the start. */
static int make_files(struct export *x, struct err *e)
{
	int part;

	if (mkdir(x->folder, 0700) < 0 && errno != EEXIST)
		return err_sys(e, errno, "cannot make %s", x->folder);
	if (mkdir(x->work, 0700) < 0)
		return err_sys(e, errno, "cannot make %s", x->work);
	part = open(x->part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (part < 0)
		return err_sys(e, errno, "cannot write %s", x->part);
	close(part);
	x->fd = open_part(x, "messages.jsonl", e);
	if (x->fd < 0)
		return -1;
	return put_tasks(x, e) < 0 || put_settings(x, e) < 0 || put_people(x, e) < 0 ? -1 : 0;
}

int export_start(struct router *r, const struct group_row *g, exported_fn *fn, void *ctx,
		 struct err *e)
{
	struct export *x;

	if (r->exporting)
		return err_set(e, E_LIMIT,
			       "the group %s is being exported; try again when it is done",
			       r->exporting->g.name);
	x = export_new(r, g);
	if (make_files(x, e) < 0) {
		export_free(x);
		return -1;
	}
	x->fn = fn;
	x->ctx = ctx;
	timer_start(x->step, STEP_MS, 0);
	return 0;
}

void export_forget(struct router *r, const void *ctx)
{
	if (r->exporting && r->exporting->ctx == ctx)
		r->exporting->fn = NULL;
}

void export_close(struct router *r)
{
	if (r->exporting)
		export_free(r->exporting);
}
