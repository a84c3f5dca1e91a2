// SPDX-License-Identifier: Apache-2.0
/*
 * Fetching one file: by the channel, into the group's inbox/, in a few tries within a time; a spoken message also gets its words. What
 * cannot be had ends in words, never in a message that waits for ever. Nothing of a fetch under way is kept: after a restart it
 * begins again.
 */
#include "router/attach.h"
#include <string.h>
#include "base/log.h"
#include "base/str.h"

#define AT_ONCE                                                                                    \
	4 /* fetches under way of one channel: another's must not wait for those that hang, nor must its messages */
#define EARS	    2 /* transcriptions under way: each may use a whole core */
#define TRIES	    3
#define FETCH_LIMIT 120000 /* ms of one try */

void attach_arm(struct attach *a)
{
	if (a->armed)
		return;
	a->armed = true;
	store_after_commit(a->r->store, attach_run, a);
}

void attach_job_free(struct job *j)
{
	timer_free(j->timer);
	sync_cancel(j->sync);
	transcript_free(j->hearing);
	attach_drop(&j->file, true);
	free((char *)j->f.name);
	free((char *)j->f.mime);
	free((char *)j->f.ref);
	free((char *)j->f.path);
	free((char *)j->f.note);
	free(j);
}

/* text may be the old one, or a part of it. */
static void set_text(const char **p, const char *text)
{
	char *copy = xstrdup(text);

	free((char *)*p);
	*p = copy;
}

void attach_job_done(struct job *j, enum file_state state, const char *note)
{
	struct waiter *w = j->w;
	struct attach *a = w->a;

	if (j->timer)
		timer_stop(j->timer);
	sync_cancel(steal_ptr(&j->sync));
	attach_drop(&j->file, state != FILE_SAVED);
	j->state = JOB_DONE;
	j->f.state = state;
	set_text(&j->f.note, note);
	if (--w->left == 0)
		attach_waiter_finish(w);
	attach_arm(a);
}

/* --- one try ------------------------------------------------------------------------------ */

static void job_failed(struct job *j, const struct err *why)
{
	char words[sizeof(why->msg)];
	bool passes = why->code == E_TEMP || why->code == E_IO || why->code == E_PROTO;

	log_warn("attach", "not fetched", "channel=%s message=%lld try=%d code=%s err=\"%s\"",
		 j->w->chan->ops->name, (long long)j->f.message_id, j->tries, err_word(why->code),
		 why->msg);
	attach_drop(&j->file, true);
	if (!passes || j->tries >= TRIES) {
		notice_words(words, sizeof(words), why->msg);
		attach_job_done(j, FILE_FAILED, words);
		return;
	}
	j->state = JOB_PAUSED;
	timer_start(j->timer, 1000LL << (2 * (j->tries - 1)), 0);
}

static void on_synced(void *ctx, const struct err *why)
{
	struct job *j = ctx;

	j->sync = NULL;
	if (why)
		job_failed(j, why);
	else
		attach_job_done(j, FILE_SAVED, j->f.note);
}

/* Once the store says that it is saved, nobody fetches it again: so it must be on the disk by then. */
static void publish(struct job *j, const char *note)
{
	_cleanup_free_ char *path = xasprintf("inbox/%s", j->leaf);
	const char *proved;
	struct err e = ERR_INIT;

	if (attach_publish(&j->file, &j->f.size, &proved, &e) < 0) {
		job_failed(j, &e);
		return;
	}
	if (j->f.size > j->w->a->set.max_in) {
		attach_job_done(j, FILE_FAILED, "it is too large");
		return;
	}
	set_text(&j->f.path, path);
	set_text(&j->f.mime, attach_better_type(j->f.mime, proved));
	set_text(&j->f.note, note);
	j->state = JOB_SYNCING;
	j->sync = sync_start(j->w->a->r->loop, j->file.fd, j->file.dir, on_synced, j, &e);
	if (!j->sync)
		job_failed(j, &e);
}

static void on_words(void *ctx, const char *text, const struct err *why)
{
	struct job *j = ctx;
	_cleanup_free_ char *note = why ? xasprintf("!%s", why->msg) : xstrdup(text);

	if (why)
		log_warn("attach", "not transcribed", "message=%lld err=\"%s\"",
			 (long long)j->f.message_id, why->msg);
	j->hearing = NULL;
	j->w->a->hearing--;
	publish(j, note);
}

static void job_hear(struct job *j)
{
	struct attach *a = j->w->a;
	struct err e = ERR_INIT;

	j->state = JOB_HEARING;
	a->hearing++;
	j->hearing = transcript_start(a->r->loop, a->set.transcribe, j->file.fd, on_words, j, &e);
	if (!j->hearing)
		on_words(j, NULL, &e);
}

static void job_fetched(struct job *j, const char *mime)
{
	if (mime && mime[0])
		set_text(&j->f.mime, mime);
	if (!j->f.voice || !j->w->a->set.transcribe) {
		publish(j, "");
		return;
	}
	j->state = JOB_SPOKEN;
	attach_arm(j->w->a);
}

static void job_outcome(struct job *j, const char *mime, const struct err *why)
{
	timer_stop(j->timer);
	(*attach_running(j))--;
	if (why)
		job_failed(j, why);
	else
		job_fetched(j, mime);
}

void attach_job_timer(void *ctx)
{
	struct job *j = ctx;
	struct channel *c = j->w->chan;
	struct err e = ERR_INIT;

	if (j->state == JOB_PAUSED) {
		j->state = JOB_QUEUED;
		attach_run(j->w->a);
	} else if (j->state == JOB_RUNNING) {
		if (c->ops->fetch_cancel)
			c->ops->fetch_cancel(c, j->f.id);
		err_set(&e, E_TEMP, "it took longer than %d s", FETCH_LIMIT / 1000);
		job_outcome(j, NULL, &e);
	}
}

static void job_start(struct job *j)
{
	struct attach *a = j->w->a;
	struct channel *c = j->w->chan;
	struct fetch f = {.id = j->f.id, .ref = j->f.ref, .max_bytes = a->set.max_in};
	struct err e = ERR_INIT;

	j->tries++;
	(*attach_running(j))++;
	j->state = JOB_RUNNING;
	if (!c->ops->fetch)
		err_set(&e, E_INVAL, "%s brings no files", c->ops->name);
	else if (!j->f.ref[0])
		err_set(&e, E_INVAL, "the platform did not say where it is");
	else if (j->f.size > a->set.max_in)
		err_set(&e, E_LIMIT, "it is larger than files.max_in allows (%lld bytes)",
			(long long)a->set.max_in);
	else if (attach_create(a->r->o.cfg->home, j->w->group.name, j->leaf, &j->file, &e) < 0)
		e.code = E_PERM; /* again will not help: the agent, or the disk, is in the way */
	if (!e.code) {
		f.fd = j->file.fd;
		timer_start(j->timer, FETCH_LIMIT, 0);
		if (c->ops->fetch(c, &f, &e) == 0)
			return;
	}
	job_outcome(j, NULL, &e);
}

int *attach_running(const struct job *j)
{
	return &j->w->a->running[j->w->chan - j->w->a->r->chans];
}

static bool may_fetch(const struct job *j)
{
	return j->w->chan->ready && *attach_running(j) < AT_ONCE;
}

/* The first job in this state; queued ones only of channels that are up and have hands free. */
static struct job *next_job(struct attach *a, enum job_state state)
{
	for (struct waiter *w = a->list; w; w = w->next) {
		for (struct job *j = w->jobs; j; j = j->next) {
			if (j->state == state && (state != JOB_QUEUED || may_fetch(j)))
				return j;
		}
	}
	return NULL;
}

void attach_run(void *ctx)
{
	struct attach *a = ctx;
	struct job *j;

	a->armed = false;
	while (!a->r->fatal && a->hearing < EARS && (j = next_job(a, JOB_SPOKEN)))
		job_hear(j);
	while (!a->r->fatal && (j = next_job(a, JOB_QUEUED)))
		job_start(j);
}

void attach_fetched(struct router *r, struct channel *c, int64_t fetch_id, int64_t size,
		    const char *mime, const struct err *why)
{
	(void)size; /* what is in the file counts */
	for (struct waiter *w = r->attach->list; w; w = w->next) {
		for (struct job *j = w->jobs; j; j = j->next) {
			if (w->chan == c && j->f.id == fetch_id && j->state == JOB_RUNNING) {
				job_outcome(j, mime, why);
				return;
			}
		}
	}
	log_debug("attach", "nobody waits for this", "channel=%s id=%lld", c->ops->name,
		  (long long)fetch_id);
}
