// SPDX-License-Identifier: Apache-2.0
/*
 * Messages that wait for files before they are handed in: for their own, and for those of the context that goes with them. Files of messages
 * that nobody asks about are never fetched. The lines that name files stand at the end of a message's text, so that history
 * and search know of them.
 */
#include <string.h>
#include "base/log.h"
#include "base/str.h"
#include "router/attach.h"

#define NAME_KEPT 200 /* bytes of a sender's name for a file */
#define REF_KEPT  2000

/* --- the lines ---------------------------------------------------------------------------- */

static void row_of(const struct inbound_file *i, char name[NAME_KEPT + 1], char mime[101],
		   struct file_row *f)
{
	str_copy(name, NAME_KEPT + 1, i->name ? i->name : "");
	name[str_utf8_floor(name, strlen(name))] = '\0';
	str_copy(mime, 101, i->mime ? i->mime : "");
	mime[str_utf8_floor(mime, strlen(mime))] = '\0';
	*f = (struct file_row){
		.size = i->size,
		.name = name,
		.mime = mime,
		.ref = i->ref && strlen(i->ref) <= REF_KEPT ? i->ref : "",
		.voice = i->voice,
		.path = "",
		.note = "",
	};
}

void attach_describe(const struct inbound *m, struct buf *text)
{
	char name[NAME_KEPT + 1], mime[101];
	struct file_row f;

	if (m->n_files > FILES_MAX)
		buf_putf(text,
			 "%s[%zu more files were not taken: at most %d come with one message]",
			 text->len ? "\n" : "", m->n_files - FILES_MAX, FILES_MAX);
	for (size_t i = 0; i < m->n_files && i < FILES_MAX; i++) {
		row_of(&m->files[i], name, mime, &f);
		if (text->len)
			buf_puts(text, "\n");
		attach_put_line(text, &f);
	}
}

int attach_note(struct router *r, int64_t message_id, const struct inbound *m, struct err *e)
{
	char name[NAME_KEPT + 1], mime[101];
	struct file_row f;

	for (size_t i = 0; i < m->n_files && i < FILES_MAX; i++) {
		row_of(&m->files[i], name, mime, &f);
		f.message_id = message_id;
		if (store_file_add(r->store, &f, e) < 0)
			return -1;
	}
	return 0;
}

static void add_line(void *ctx, const struct file_row *f)
{
	struct buf *b = ctx;

	if (b->len)
		buf_puts(b, "\n");
	attach_put_line(b, f);
}

int attach_lines(struct router *r, int64_t message_id, struct buf *out, struct err *e)
{
	return store_files(r->store, message_id, add_line, out, e);
}

/* --- the end of a wait ------------------------------------------------------------------- */

void attach_waiter_free(struct waiter *w)
{
	struct waiter **p = &w->a->list;

	while (*p != w)
		p = &(*p)->next;
	*p = w->next;
	if (!*p)
		w->a->tail = p;
	while (w->jobs) {
		struct job *j = w->jobs;

		w->jobs = j->next;
		attach_job_free(j);
	}
	free(w);
}

static void copy_text(void *ctx, const struct msg_row *m)
{
	buf_put(ctx, m->text, m->text_len);
}

/* The outcome of all files of one message, in its rows and in its text. */
static int write_outcome(struct waiter *w, int64_t message_id, struct err *e)
{
	struct router *r = w->a->r;
	_cleanup_(buf_free) struct buf text = {0}, old = {0}, new = {0};
	size_t base;

	if (attach_lines(r, message_id, &old, e) < 0 ||
	    store_message_get(r->store, message_id, copy_text, &text, e) < 0)
		return -1;
	for (struct job *j = w->jobs; j; j = j->next) {
		if (j->f.message_id == message_id && store_file_done(r->store, &j->f, e) < 0)
			return -1;
	}
	if (attach_lines(r, message_id, &new, e) < 0)
		return -1;
	base = attach_base_len(text.p ? text.p : "", text.len, &old);
	if (base == text.len)
		return 0; /* taken back meanwhile */
	text.len = base;
	buf_putf(&text, "%s%s", base ? "\n" : "", new.p);
	return store_message_set_text(r->store, message_id, text.p, e);
}

static int write_all(struct waiter *w, struct err *e)
{
	bool moved;

	for (struct job *j = w->jobs; j; j = j->next) {
		bool seen = false;

		for (struct job *k = w->jobs; k != j; k = k->next)
			seen |= k->f.message_id == j->f.message_id;
		if (!seen && write_outcome(w, j->f.message_id, e) < 0)
			return -1;
	}
	return store_message_move(w->a->r->store, w->message_id, MSG_FETCHING, MSG_PENDING, &moved,
				  e);
}

void attach_waiter_finish(struct waiter *w)
{
	struct router *r = w->a->r;
	struct group_row g = w->group;
	struct err e = ERR_INIT;

	if (write_all(w, &e) < 0)
		router_fatal(r, &e);
	attach_waiter_free(w);
	/* Others of this chat may have waited behind it. */
	if (!r->fatal)
		inbox_wake_group(r, &g);
}

/* --- the beginning ------------------------------------------------------------------------ */

struct wanted {
	struct waiter *w;
	int64_t rows[CONTEXT_MAX + 1];
	size_t n;
	int nth; /* file of its message */
};

/* Another message that was taken back may still wait for a file of the context: two fetches of one file would take each other's outcome. */
static bool is_wanted(const struct attach *a, int64_t file_id)
{
	for (const struct waiter *w = a->list; w; w = w->next) {
		for (const struct job *j = w->jobs; j; j = j->next) {
			if (j->f.id == file_id)
				return true;
		}
	}
	return false;
}

static void want_file(void *ctx, const struct file_row *f)
{
	struct wanted *q = ctx;
	struct waiter *w = q->w;
	struct job *j, **end = &w->jobs;
	char name[81];
	int nth = ++q->nth;

	if (f->state != FILE_WANTED || is_wanted(w->a, f->id))
		return;
	j = xcalloc(1, sizeof(*j));
	j->w = w;
	j->f = *f;
	j->f.name = xstrdup(f->name);
	j->f.mime = xstrdup(f->mime);
	j->f.ref = xstrdup(f->ref);
	j->f.path = xstrdup("");
	j->f.note = xstrdup("");
	j->file = (struct saved_file){.dir = -1, .fd = -1};
	attach_safe_name(f->name, f->mime, name);
	if (nth == 1)
		snprintf(j->leaf, sizeof(j->leaf), "%lld-%s", (long long)f->message_id, name);
	else
		snprintf(j->leaf, sizeof(j->leaf), "%lld.%d-%s", (long long)f->message_id, nth,
			 name);
	j->timer = timer_new(w->a->r->loop, "fetch limit", attach_job_timer, j);
	while (*end)
		end = &(*end)->next;
	*end = j;
	w->left++;
}

static void want_row(void *ctx, const struct msg_row *m)
{
	struct wanted *q = ctx;

	q->rows[q->n++] = m->id;
}

/* NULL and no error: there is nothing to wait for. */
static struct waiter *waiter_new(struct router *r, struct channel *c, const struct attach_for *m,
				 struct err *e)
{
	struct attach *a = r->attach;
	struct waiter *w = xcalloc(1, sizeof(*w));
	struct wanted q = {.w = w};
	const struct group_settings *set = settings_get(r, m->group->id);
	int64_t since = clock_wall(r->o.clk) - set->context_ms;
	int rc;

	*w = (struct waiter){.a = a, .chan = c, .group = *m->group, .message_id = m->id};
	*a->tail = w;
	a->tail = &w->next;
	rc = store_context(r->store, m->chat_id, m->session, m->id, since, set->context_rows,
			   want_row, &q, e);
	q.rows[q.n++] = m->id;
	for (size_t i = 0; i < q.n && rc == 0; i++) {
		q.nth = 0;
		rc = store_files(r->store, q.rows[i], want_file, &q, e);
	}
	if (rc == 0 && w->jobs)
		return w;
	attach_waiter_free(w);
	return NULL;
}

int attach_begin(struct router *r, struct channel *c, const struct attach_for *m, bool *waits,
		 struct err *e)
{
	struct err none = ERR_INIT;
	struct waiter *w = waiter_new(r, c, m, &none);

	*waits = false;
	if (!w && none.code) {
		*e = none;
		return -1;
	}
	if (!w)
		return 0;
	if (store_message_move(r->store, m->id, MSG_PENDING, MSG_FETCHING, waits, e) < 0)
		return -1;
	attach_arm(r->attach);
	return 0;
}

/* --- taken back --------------------------------------------------------------------------- */

struct gone {
	struct router *r;
	const struct group_row *g;
	int64_t ids[FILES_MAX];
	size_t n;
};

static void remove_file(void *ctx, const struct file_row *f)
{
	struct gone *q = ctx;

	if (f->state == FILE_SAVED && str_starts(f->path, "inbox/"))
		attach_remove(q->r->o.cfg->home, q->g->name, f->path + strlen("inbox/"));
	if (f->state != FILE_FAILED && q->n < FILES_MAX)
		q->ids[q->n++] = f->id;
}

static struct job *job_of(struct router *r, int64_t message_id)
{
	for (struct waiter *w = r->attach->list; w; w = w->next) {
		for (struct job *j = w->jobs; j; j = j->next) {
			if (j->f.message_id == message_id && j->state != JOB_DONE)
				return j;
		}
	}
	return NULL;
}

int attach_forget(struct router *r, const struct group_row *g, int64_t message_id, struct err *e)
{
	struct gone q = {.r = r, .g = g};
	struct job *j;

	while ((j = job_of(r, message_id))) {
		struct channel *c = j->w->chan;

		if (j->state == JOB_RUNNING) {
			(*attach_running(j))--;
			if (c->ops->fetch_cancel)
				c->ops->fetch_cancel(c, j->f.id);
		} else if (j->state == JOB_HEARING) {
			r->attach->hearing--;
			transcript_free(steal_ptr(&j->hearing));
		}
		attach_job_done(j, FILE_FAILED, "it was taken back");
	}
	if (store_files(r->store, message_id, remove_file, &q, e) < 0)
		return -1;
	for (size_t i = 0; i < q.n; i++) {
		struct file_row f = {.id = q.ids[i],
				     .state = FILE_FAILED,
				     .path = "",
				     .note = "it was taken back",
				     .mime = "",
				     .size = -1};

		if (store_file_done(r->store, &f, e) < 0)
			return -1;
	}
	return 0;
}

/* --- after a start ------------------------------------------------------------------------ */

struct left_over {
	struct left_over *next;
	int64_t id, chat_id, group_id;
	char session[65];
};

static void note_left(void *ctx, const struct msg_row *m)
{
	struct left_over **list = ctx, *l = xcalloc(1, sizeof(*l));

	l->id = m->id;
	l->chat_id = m->chat_id;
	l->group_id = m->group_id;
	str_copy(l->session, sizeof(l->session), m->session);
	while (*list)
		list = &(*list)->next;
	*list = l;
}

static int take_up(struct router *r, struct channel *c, const struct left_over *l, struct err *e)
{
	struct group_row g;
	struct attach_for m = {l->id, l->chat_id, l->session, &g};
	struct err none = ERR_INIT;
	bool moved;

	for (struct waiter *w = r->attach->list; w; w = w->next) {
		if (w->message_id == l->id)
			return 0;
	}
	if (store_group_at(r->store, l->group_id, &g, e) < 0)
		return -1;
	if (waiter_new(r, c, &m, &none))
		return 0;
	if (none.code) {
		*e = none;
		return -1;
	}
	if (store_message_move(r->store, l->id, MSG_FETCHING, MSG_PENDING, &moved, e) < 0)
		return -1;
	inbox_wake_group(r, &g);
	return 0;
}

void attach_ready(struct router *r, struct channel *c)
{
	struct left_over *list = NULL;
	struct err e = ERR_INIT;
	int rc = store_fetching(r->store, c->ops->name, note_left, &list, &e);

	while (list) {
		struct left_over *l = list;

		if (rc == 0)
			rc = take_up(r, c, l, &e);
		list = l->next;
		free(l);
	}
	if (rc < 0)
		router_fatal(r, &e);
	else
		attach_run(r->attach);
}

int attach_open(struct router *r, struct err *e)
{
	r->attach = xcalloc(1, sizeof(*r->attach));
	r->attach->r = r;
	r->attach->tail = &r->attach->list;
	return files_settings_load(r->o.cfg, &r->attach->set, e);
}

void attach_close(struct router *r)
{
	struct attach *a = r->attach;

	if (!a)
		return;
	while (a->list)
		attach_waiter_free(a->list);
	store_forget(r->store, a);
	files_settings_free(&a->set);
	free(steal_ptr(&r->attach));
}
