// SPDX-License-Identifier: Apache-2.0
/*
 * The Docker Engine API as plain calls. Paths carry no version, so that old and new engines both
 * answer in the newest one they speak; only members that all of them have are used.
 */
#include "warden/engine.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include "base/buf.h"
#include "base/str.h"
#include "warden/attach.h"

#define ANSWER_MAX ((size_t)4 << 20)
#define CALL_MS	   60000
#define LOCK_MAX   16384

void engine_init(struct engine *g, struct loop *l, const char *socket_path)
{
	struct http_client_opts o = {.unix_socket = socket_path, .max_host_conns = 600};

	g->socket_path = socket_path;
	g->http = http_client_new(l, &o);
}

void engine_fini(struct engine *g)
{
	http_client_free(g->http);
	g->http = NULL;
}

/* Why nobody answers, with the fix: found out by connecting once more by hand. */
static int no_answer(const struct engine *g, const struct err *why, struct err *e)
{
	int errnum, fd = attach_connect(g->socket_path, &errnum);

	if (fd >= 0) {
		close(fd);
		return err_set(e, E_TEMP, "the Docker engine did not answer: %.150s", why->msg);
	}
	if (errnum == EACCES || errnum == EPERM)
		return err_set(
			e, E_TEMP,
			"may not use the Docker engine at %s; run as root, or: usermod -aG docker "
			"USER (then log in again)",
			g->socket_path);
	return err_set(e, E_TEMP,
		       "no Docker engine answers at %s (%s); start it with: systemctl start docker",
		       g->socket_path, strerror(errnum));
}

static int judge(const struct engine *g, int status, const char *body, size_t n,
		 const struct err *why, struct err *e)
{
	_cleanup_json_ cJSON *j = NULL;
	struct err bad = ERR_INIT;
	enum err_code code = status == 404 ? E_GONE : status < 500 ? E_INVAL : E_TEMP;

	if (why)
		return no_answer(g, why, e);
	if (status >= 200 && status < 300)
		return 0;
	j = json_parse(body, n, ANSWER_MAX, &bad);
	const char *msg = j ? json_peek_str(j, "message") : NULL;
	return err_set(e, code, "the Docker engine says %d: %.180s", status,
		       msg ? msg : "(no message)");
}

static void on_answer(void *ctx, int status, const char *body, size_t n, const struct err *why)
{
	struct engine_call *c = ctx;
	_cleanup_json_ cJSON *j = NULL;
	struct err e = ERR_INIT;
	bool ok = judge(c->g, status, body, n, why, &e) == 0;

	c->http = NULL;
	if (ok && n && !(j = json_parse(body, n, ANSWER_MAX, &e))) {
		ok = false;
		err_wrap(&e, "reading the Docker engine's answer");
		e.code = E_TEMP;
	}
	c->fn(c->ctx, status, j, ok ? NULL : &e);
}

int engine_call(const struct engine *g, struct engine_call *c, const char *method, const char *path,
		const char *body, engine_fn *fn, void *ctx, struct err *e)
{
	static const struct http_header json = {"content-type", "application/json"};
	char url[512];
	struct http_spec s = {.method = method, .url = url, .total_ms = CALL_MS};

	if ((size_t)snprintf(url, sizeof(url), "http://docker%s", path) >= sizeof(url))
		return err_set(e, E_BUG, "engine call too long");
	if (body) {
		s.headers = &json;
		s.n_headers = 1;
		s.body = body;
		s.body_len = strlen(body);
	}
	*c = (struct engine_call){g, NULL, fn, ctx};
	c->http = http_fetch(g->http, &s, ANSWER_MAX, on_answer, c, e);
	return c->http ? 0 : -1;
}

void engine_cancel(struct engine_call *c)
{
	if (c->http)
		http_cancel(c->http);
	c->http = NULL;
}

int engine_info(const cJSON *j, struct warden_status *s, struct err *e)
{
	const char *version = json_peek_str(j, "ServerVersion");
	const cJSON *it, *runtimes = json_find(j, "Runtimes");
	const cJSON *security = json_find(j, "SecurityOptions");
	_cleanup_(buf_free) struct buf names = {0};

	if (!j)
		return err_set(e, E_TEMP, "the Docker engine says nothing about itself");
	snprintf(s->engine, sizeof(s->engine), "Docker %.60s",
		 version ? version : "of unknown version");
	cJSON_ArrayForEach(it, runtimes)
	{
		buf_putf(&names, "%s%s", names.len ? "," : "", it->string);
	}
	str_copy(s->runtimes, sizeof(s->runtimes), names.p ? names.p : "");
	s->engine_up = true;
	cJSON_ArrayForEach(it, security)
	{
		const char *o = cJSON_GetStringValue(it);

		if (o && (strstr(o, "name=userns") || strstr(o, "name=rootless")))
			return err_set(
				e, E_PERM,
				"the Docker engine maps user ids (%s): the folders of the groups would "
				"belong to somebody else; use an engine without userns-remap, not rootless",
				strstr(o, "rootless") ? "rootless" : "userns-remap");
	}
	return 0;
}

int engine_read_lock(const char *file, char id[80], struct err *e)
{
	_cleanup_close_ int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char text[LOCK_MAX];
	ssize_t n;

	if (fd < 0 && errno == ENOENT)
		return err_set(e, E_TEMP,
			       "there is no image yet (no %.100s); make it with: make image", file);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return err_set(e, E_TEMP, "cannot read the image lock %.100s: %s", file,
			       strerror(errno));
	text[n] = '\0';
	for (char *line = text; line && *line;) {
		char *end = strchr(line, '\n'), *v = line;

		if (end)
			*end++ = '\0';
		v += strcspn(v, " :\t");
		v += strspn(v, " :\t");
		if (str_starts(line, "image") && strchr(" :\t", line[5]) &&
		    str_starts(v, "sha256:") && strspn(v + 7, "0123456789abcdef") == 64 &&
		    strchr(" \t\r", v[71])) {
			snprintf(id, 80, "%.71s", v);
			return 0;
		}
		line = end;
	}
	return err_set(
		e, E_TEMP,
		"the image lock %.100s has no line \"image sha256:...\"; write it anew with: make image",
		file);
}
