// SPDX-License-Identifier: Apache-2.0
/*
 * The look around: is the engine there and fit, is the image there, and does anything of ours lie
 * around that nobody owns? Run at start, before a start when something had gone wrong, when the
 * server asks, and at the end. Only containers with our own instance label are ever touched.
 */
#include <string.h>
#include "base/log.h"
#include "base/str.h"
#include "warden/sandbox.h"

#define ORPHANS_MAX 1024

struct probe {
	struct warden_process *w;
	struct engine_call call;
	struct warden_status st;
	struct err why; /* code E_NONE: fit */
	bool running, want_status;
	bool clean;
	bool dirty; /* since the run began */
	char image[80];
	char (*orphans)[65];
	size_t n_orphans;
};

static void step_remove(struct probe *p);

static void finish(struct probe *p)
{
	struct warden_process *w = p->w;
	bool want = p->want_status;
	struct wire_tell t = {.op = TELL_STATUS};

	p->running = p->want_status = false;
	p->clean = p->why.code == E_NONE && !p->dirty;
	free(p->orphans);
	p->orphans = NULL;
	p->n_orphans = 0;
	for (struct sandbox *s = w->list; s; s = s->next)
		p->st.running += s->state == RUNNING;
	if (p->why.code != E_NONE) {
		log_warn("warden", "the engine is not fit", "why=\"%s\"", p->why.msg);
		str_copy(p->st.engine, sizeof(p->st.engine), p->why.msg);
	}
	t.status = p->st;
	if (want)
		warden_tell(w, &t, -1);
	warden_probed(w, p->why.code == E_NONE ? NULL : &p->why);
}

static void fail(struct probe *p, const struct err *why)
{
	p->why = *why;
	finish(p);
}

static void call(struct probe *p, const char *method, const char *path, engine_fn *fn)
{
	if (engine_call(&p->w->engine, &p->call, method, path, NULL, fn, p, &p->why) < 0)
		finish(p);
}

static void on_gone(void *ctx, int status, const cJSON *j, const struct err *why)
{
	struct probe *p = ctx;

	(void)j;
	p->n_orphans--;
	if (why && status != 404 && status != 409) {
		fail(p, why);
		return;
	}
	log_info("warden", "removed a container left over", "id=%.12s", p->orphans[p->n_orphans]);
	step_remove(p);
}

static void step_remove(struct probe *p)
{
	char path[128];

	if (!p->n_orphans) {
		finish(p);
		return;
	}
	snprintf(path, sizeof(path), "/containers/%s?force=1&v=1", p->orphans[p->n_orphans - 1]);
	call(p, "DELETE", path, on_gone);
}

static const char *label(const cJSON *c, const char *key)
{
	const cJSON *labels = cJSON_GetObjectItemCaseSensitive(c, "Labels");

	/* Not json_find: the key has a dot in it. */
	return labels ? cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(labels, key)) : NULL;
}

/* Not to be removed: another install's (the engine filtered already, but we look ourselves), one
 * that a sandbox of the list owns, and at our own end what a later warden of this install made. */
static bool spared(const struct probe *p, const cJSON *c)
{
	const char *name = json_peek_str(c, "Names.0"), *instance = label(c, "chela.instance");
	const char *run = label(c, "chela.run");

	if (!instance || !streq(instance, p->w->cfg->instance))
		return true;
	if (p->w->closing && (!run || !streq(run, p->w->run)))
		return true;
	for (struct sandbox *s = p->w->list; name && s; s = s->next)
		if (streq(name + (name[0] == '/'), s->name))
			return true;
	return false;
}

static void on_list(void *ctx, int status, const cJSON *j, const struct err *why)
{
	struct probe *p = ctx;
	const cJSON *c;

	(void)status;
	if (why) {
		fail(p, why);
		return;
	}
	p->orphans = xcalloc(ORPHANS_MAX, sizeof(*p->orphans));
	cJSON_ArrayForEach(c, j)
	{
		const char *id = json_peek_str(c, "Id");

		if (!id || spared(p, c))
			continue;
		if (p->n_orphans == ORPHANS_MAX) {
			p->dirty = true;
			break;
		}
		if (str_copy(p->orphans[p->n_orphans], 65, id) &&
		    !id[strspn(id, "0123456789abcdef")])
			p->n_orphans++;
	}
	step_remove(p);
}

static void step_list(struct probe *p)
{
	char path[256];

	/* filters={"label":["chela.instance=UUID"]}, percent-encoded. */
	snprintf(
		path, sizeof(path),
		"/containers/json?all=1&filters=%%7B%%22label%%22%%3A%%5B%%22chela.instance%%3D%s%%22%%5D%%7D",
		p->w->cfg->instance);
	call(p, "GET", path, on_list);
}

static void on_image(void *ctx, int status, const cJSON *j, const struct err *why)
{
	struct probe *p = ctx;

	(void)j;
	if (!why) {
		p->st.image_ok = true;
		str_copy(p->st.image, sizeof(p->st.image), p->image);
	} else if (status == 404) {
		snprintf(
			p->st.image_why, sizeof(p->st.image_why),
			"the engine does not have the image %.19s... of the lock; make it with: make image",
			p->image);
	} else {
		str_copy(p->st.image_why, sizeof(p->st.image_why), why->msg);
	}
	step_list(p);
}

static void on_info(void *ctx, int status, const cJSON *j, const struct err *why)
{
	struct probe *p = ctx;
	struct err e = ERR_INIT;
	char path[128];

	(void)status;
	if (why || engine_info(j, &p->st, &e) < 0) {
		fail(p, why ? why : &e);
		return;
	}
	/* A missing image is no fault of the engine: it is told with each start that fails of it. */
	if (engine_read_lock(p->w->cfg->image_lock, p->image, &e) < 0) {
		str_copy(p->st.image_why, sizeof(p->st.image_why), e.msg);
		step_list(p);
		return;
	}
	snprintf(path, sizeof(path), "/images/%s/json", p->image);
	call(p, "GET", path, on_image);
}

void probe_run(struct probe *p, bool want_status)
{
	p->want_status |= want_status;
	if (p->running)
		return;
	p->running = true;
	p->dirty = false;
	memset(&p->st, 0, sizeof(p->st));
	memset(&p->why, 0, sizeof(p->why));
	call(p, "GET", "/info", on_info);
}

bool probe_clean(const struct probe *p)
{
	return p->clean;
}

void probe_dirty(struct probe *p)
{
	p->clean = false;
	p->dirty = true;
}

struct probe *probe_new(struct warden_process *w)
{
	struct probe *p = xcalloc(1, sizeof(*p));

	p->w = w;
	return p;
}

void probe_free(struct probe *p)
{
	engine_cancel(&p->call);
	free(p->orphans);
	free(p);
}
