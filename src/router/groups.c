// SPDX-License-Identifier: Apache-2.0
/*
 * Groups as a whole, see groups.h. A group whose data goes is hidden first; then, when its last sandbox has ended, its folders get another
 * name, its rows go in small steps, and a child process removes the folders. A mark in the store, set with the first step and taken away with the last of the
 * rows, makes a restart go on with it.
 */
#include "router/groups.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include "base/log.h"
#include "base/str.h"
#include "router/groups_impl.h"
#include "router/impl.h"
#include "router/settings.h"
#include "router/tasks.h"
#include "runtime/proc.h"

#define STEP_MS 2    /* between two steps: others' turn */
#define WAIT_MS 1000 /* before the rows that are on their way to a platform are looked for again */

/* One group whose data is being deleted. */
struct purge {
	struct purge *next;
	struct router *r;
	struct group_row g;
	int64_t at;
	bool begun; /* its sandboxes have ended */
	struct timer *step;
};

struct group_ends {
	struct purge *list;
	struct proc *rm; /* removes what lies in <home>/removed */
	bool again;	 /* more has come there since it began */
};

/* --- making ------------------------------------------------------------------------------- */

static int check_name(const char *name, struct err *e)
{
	/* Folders beside those of the groups. */
	if (streq(name, "global") || streq(name, "template"))
		return err_set(e, E_INVAL, "no group can be called \"%s\": choose another name",
			       name);
	return 0;
}

int group_make(struct router *r, const char *name, struct group_row *out, bool *made, struct err *e)
{
	struct err none = ERR_INIT;
	bool is_main = streq(name, "main");

	if (made)
		*made = false;
	if (store_group_get(r->store, name, out, &none) == 0)
		return 0;
	if (none.code != E_GONE) {
		*e = none;
		return -1;
	}
	if (check_name(name, e) < 0 || store_group_ensure(r->store, name, is_main, out, e) < 0)
		return -1;
	if (made)
		*made = true;
	settings_drop(r, out->id);
	/* The group is there without it as well: its agent only begins with an empty memory. */
	if (template_put(r->o.cfg->home, out, &none) < 0 ||
	    (is_main && template_put_global(r->o.cfg->home, &none) < 0))
		log_warn("groups", "no template for its memory", "group=%s why=\"%s\"", name,
			 none.msg);
	return 0;
}

/* --- its sandboxes ------------------------------------------------------------------------ */

enum refresh group_refresh(struct router *r, int64_t group_id)
{
	enum refresh f = REFRESH_NONE;

	for (struct session *s = map_get(&r->by_group, group_id); s; s = s->next_of_group) {
		/* What runs once has its settings for good. */
		if (s->kind != SANDBOX_GROUP ||
		    (s->state != SESSION_READY && s->state != SESSION_STARTING))
			continue;
		if (s->state == SESSION_READY && !s->turn_id && !s->out_armed) {
			session_stop_sandbox(s);
			f = f == REFRESH_LATER ? f : REFRESH_NOW;
		} else {
			s->refresh = true;
			f = REFRESH_LATER;
		}
	}
	return f;
}

enum refresh group_setting_changed(struct router *r, int64_t group_id, const char *key)
{
	bool told = streq(key, "model") || streq(key, "sessions");

	return told ? group_refresh(r, group_id) : REFRESH_NONE;
}

const char *refresh_words(enum refresh f)
{
	return f == REFRESH_LATER ? "after the turn that runs now" : "from the next message on";
}

/* --- deleting its data -------------------------------------------------------------------- */

static char *removed_folder(const struct router *r)
{
	return xasprintf("%s/removed", r->o.cfg->home);
}

static void remove_files(struct router *r);

static void on_rm(void *ctx, int code, int signo)
{
	struct router *r = ctx;

	proc_free(steal_ptr(&r->ends->rm));
	if (code || signo)
		log_warn("groups", "not all files of a removed group could be removed",
			 "folder=%s/removed code=%d signal=%d", r->o.cfg->home, code, signo);
	if (r->ends->again)
		remove_files(r);
}

/* A child of its own, for a tree can be large; it follows no link. */
static void remove_files(struct router *r)
{
	_cleanup_free_ char *folder = removed_folder(r);
	const char *const argv[] = {"rm", "-rf", "--one-file-system", "--", folder, NULL};
	struct proc_spec spec = {.argv = argv, .fds = {-1, -1, -1}};
	struct err e = ERR_INIT;

	r->ends->again = r->ends->rm != NULL;
	if (r->ends->rm)
		return;
	r->ends->rm = proc_spawn(r->loop, "remove files", &spec, on_rm, r, &e);
	if (!r->ends->rm)
		log_warn("groups", "files of a removed group stay", "folder=%s why=\"%s\"", folder,
			 e.msg);
}

/* <home>/<kind>/<name> gets out of the way: a group that is made anew must not find it. */
static void put_aside(struct router *r, const struct group_row *g, const char *kind)
{
	_cleanup_free_ char *folder = removed_folder(r);
	_cleanup_free_ char *from = xasprintf("%s/%s/%s", r->o.cfg->home, kind, g->name);
	_cleanup_free_ char *to = NULL;
	char unique[37];

	str_uuid4(unique);
	to = xasprintf("%s/%s-%s-%s", folder, kind, g->name, unique);
	if ((mkdir(folder, 0700) < 0 && errno != EEXIST) || rename(from, to) < 0) {
		if (errno != ENOENT)
			log_warn("groups", "a folder of a removed group stays",
				 "folder=%s why=\"%s\"", from, strerror(errno));
	}
}

static void purge_free(struct purge *p)
{
	struct purge **at = &p->r->ends->list;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	store_forget(p->r->store, p);
	timer_free(p->step);
	free(p);
}

/* All its rows are gone for good. */
static void on_deleted(void *ctx)
{
	struct purge *p = ctx;

	settings_drop(p->r, p->g.id);
	log_info("groups", "data deleted", "group=%s", p->g.name);
	remove_files(p->r);
	purge_free(p);
}

static void on_step(void *ctx)
{
	struct purge *p = ctx;
	struct router *r = p->r;
	struct err e = ERR_INIT;
	bool done;

	if (r->fatal)
		return;
	if (!p->begun) {
		p->begun = true;
		put_aside(r, &p->g, "groups");
		put_aside(r, &p->g, "sessions");
	}
	if (store_group_purge(r->store, p->g.id, &p->at, &done, &e) < 0) {
		router_fatal(r, &e);
		return;
	}
	if (!done) {
		timer_start(p->step, p->at ? STEP_MS : WAIT_MS, 0);
		return;
	}
	store_after_commit(r->store, on_deleted, p);
}

static void purge_add(struct router *r, const struct group_row *g)
{
	struct purge *p = xcalloc(1, sizeof(*p));

	p->r = r;
	p->g = *g;
	p->step = timer_new(r->loop, "group purge", on_step, p);
	p->next = r->ends->list;
	r->ends->list = p;
	if (!map_get(&r->by_group, g->id))
		timer_start(p->step, STEP_MS, 0);
}

void groups_quiet(struct router *r, int64_t group_id)
{
	for (struct purge *p = r->ends ? r->ends->list : NULL; p; p = p->next) {
		if (p->g.id == group_id && !p->begun)
			timer_start(p->step, STEP_MS, 0);
	}
}

/* --- removing ----------------------------------------------------------------------------- */

struct ids {
	int64_t *list;
	size_t n;
};

static void note_task(void *ctx, const struct task_row *t)
{
	struct ids *q = ctx;

	q->list = xrealloc(q->list, (q->n + 1) * sizeof(*q->list));
	q->list[q->n++] = t->id;
}

static int cancel_tasks(struct router *r, const struct group_row *g, struct err *e)
{
	struct ids q = {.n = 0};
	int rc = store_task_each(r->store, g->id, false, note_task, &q, e);

	for (size_t i = 0; i < q.n && rc == 0; i++)
		rc = task_cancel(r, q.list[i], e);
	free(q.list);
	return rc;
}

struct keys {
	int64_t group_id;
	char (*list)[65];
	size_t n;
};

static void note_key(void *ctx, int64_t group_id, const char *session,
		     int64_t oldest_id maybe_unused)
{
	struct keys *q = ctx;

	if (group_id != q->group_id)
		return;
	q->list = xrealloc(q->list, (q->n + 1) * sizeof(*q->list));
	str_copy(q->list[q->n++], sizeof(*q->list), session);
}

static void nobody(void *ctx maybe_unused, const struct msg_row *m maybe_unused)
{
}

/* What waits is not answered any more. */
static int fail_waiting(struct router *r, const struct group_row *g, struct err *e)
{
	struct keys q = {.group_id = g->id};
	int rc = store_pending_sessions(r->store, note_key, &q, e);

	for (size_t i = 0; i < q.n && rc == 0; i++)
		rc = store_fail_pending(r->store, g->id, q.list[i], nobody, NULL, e);
	free(q.list);
	return rc;
}

int group_remove(struct router *r, const struct group_row *g, bool data, struct err *e)
{
	if (g->is_main)
		return err_set(e, E_PERM, "the group main cannot be removed");
	if (cancel_tasks(r, g, e) < 0)
		return -1;
	for (struct session *s = map_get(&r->by_group, g->id); s; s = s->next_of_group) {
		turn_abort(s, "the group was removed", true, 0);
		if (s->state == SESSION_STARTING || s->state == SESSION_READY)
			session_stop_sandbox(s);
	}
	if (fail_waiting(r, g, e) < 0 || store_group_remove(r->store, g->id, data, e) < 0)
		return -1;
	settings_drop(r, g->id);
	session_reap(r);
	if (data)
		purge_add(r, g);
	return 0;
}

/* --- start and end ------------------------------------------------------------------------ */

static void go_on(void *ctx, const struct group_row *g)
{
	purge_add(ctx, g);
}

int groups_open(struct router *r, struct err *e)
{
	_cleanup_free_ char *folder = removed_folder(r);
	struct group_row g;

	r->ends = xcalloc(1, sizeof(*r->ends));
	if (group_make(r, "main", &g, NULL, e) < 0 || store_purges(r->store, go_on, r, e) < 0)
		return -1;
	if (access(folder, F_OK) == 0)
		remove_files(r);
	return 0;
}

void groups_close(struct router *r)
{
	if (!r->ends)
		return;
	while (r->ends->list)
		purge_free(r->ends->list);
	proc_free(r->ends->rm);
	free(r->ends);
	r->ends = NULL;
}
