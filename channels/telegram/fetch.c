// SPDX-License-Identifier: Apache-2.0
/*
 * Bytes of files that people sent: getFile for the path, then the path itself. The address holds the token, so it is made, used and
 * wiped here; it must never be kept or handed on. Every length is checked against what arrives, not against what was promised.
 */
#include <errno.h>
#include "base/str.h"
#include "channels/telegram/telegram.h"

#define CALL_MS 30000

struct tg_fetch {
	struct tg_fetch *next;
	struct telegram *t;
	int64_t id, max, got;
	int fd;
	struct tg_call *call;	/* getFile */
	struct http_call *http; /* the bytes */
	int status;
	char mime[128];
};

static void fetch_free(struct tg_fetch *f)
{
	struct tg_fetch **p = &f->t->fetches;

	while (*p != f)
		p = &(*p)->next;
	*p = f->next;
	tg_cancel(f->call);
	if (f->http)
		http_cancel(f->http);
	free(f);
}

static void end(struct tg_fetch *f, const struct err *why)
{
	struct channel *c = f->t->c;
	int64_t id = f->id, size = f->got;
	char mime[sizeof(f->mime)];

	memcpy(mime, f->mime, sizeof(mime));
	fetch_free(f);
	channel_on_fetched(c, id, why ? 0 : size, mime, why);
}

static void fail(struct tg_fetch *f, enum err_code code, const char *words)
{
	struct err e = ERR_INIT;

	tg_fail(&e, code, "Telegram: ", words);
	end(f, &e);
}

static void on_head(void *ctx, int status, const struct http_header *h, size_t n)
{
	struct tg_fetch *f = ctx;

	f->status = status;
	for (size_t i = 0; i < n; i++)
		/* "application/octet-stream" is what it calls everything */
		if (streq(h[i].name, "content-type") &&
		    !str_starts(h[i].value, "application/octet-stream"))
			str_copy(f->mime, sizeof(f->mime), h[i].value);
}

static bool on_body(void *ctx, const uint8_t *p, size_t n)
{
	struct tg_fetch *f = ctx;

	if (f->status != 200)
		return true;
	if ((int64_t)n > f->max - f->got) {
		fail(f, E_LIMIT, "the file is larger than allowed");
		return true;
	}
	while (n) {
		ssize_t w = write(f->fd, p, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0) {
			struct err e = ERR_INIT;

			err_sys(&e, w < 0 ? errno : ENOSPC, "cannot write the file");
			end(f, &e);
			return true;
		}
		p += w;
		n -= (size_t)w;
		f->got += w;
	}
	return true;
}

static void on_done(void *ctx, const struct err *why)
{
	struct tg_fetch *f = ctx;

	f->http = NULL;
	if (why)
		end(f, why);
	else if (f->status == 200)
		end(f, NULL);
	else if (f->status == 404)
		fail(f, E_GONE, "the file is no longer there");
	else
		fail(f, E_TEMP, "no file came");
}

static const struct http_events events = {.head = on_head, .body = on_body, .done = on_done};

/* As it goes into a URL: from a path of letters, digits and few marks; a local server's absolute path is none. */
static bool path_ok(const char *p)
{
	if (!*p || *p == '/' || strstr(p, ".."))
		return false;
	for (; *p; p++)
		if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
		      (*p >= '0' && *p <= '9') || strchr("/._-", *p)))
			return false;
	return true;
}

static void on_file(void *ctx, const struct tg_reply *r)
{
	struct tg_fetch *f = ctx;
	struct http_spec s = {.method = "GET", .idle_ms = CALL_MS};
	struct err e = ERR_INIT;
	const char *path;
	char *url;

	f->call = NULL;
	if (!r->result) {
		/* "file is too big": of more than 20 MB */
		e = r->why;
		if (strstr(r->text, "too big"))
			e.code = E_LIMIT;
		end(f, &e);
		return;
	}
	path = json_peek_str(r->result, "file_path");
	if (json_peek_i64(r->result, "file_size", 0) > f->max) {
		fail(f, E_LIMIT, "the file is larger than allowed");
	} else if (!path || !path_ok(path)) {
		fail(f, E_PROTO,
		     "getFile gave no path (a Bot API server of your own must not run with --local)");
	} else {
		url = tg_url(f->t, "/file/bot", path);
		s.url = url;
		f->http = http_start(f->t->http, &s, &events, f, &e);
		tg_url_free(url);
		if (!f->http)
			end(f, &e);
	}
}

int tg_fetch(struct channel *c, const struct fetch *w, struct err *e)
{
	struct telegram *t = c->priv;
	struct tg_fetch *f = xcalloc(1, sizeof(*f));
	struct tg_body b;

	tg_json(&b, "", "");
	tg_put_str(&b, "file_id", w->ref);
	tg_json_end(&b);
	f->t = t;
	f->id = w->id;
	f->fd = w->fd;
	f->max = w->max_bytes < TG_DOWNLOAD_MAX ? w->max_bytes : TG_DOWNLOAD_MAX;
	f->call = tg_call(t, "getFile", &b, &(struct tg_opts){.total_ms = CALL_MS}, on_file, f, e);
	if (!f->call) {
		free(f);
		return -1;
	}
	f->next = t->fetches;
	t->fetches = f;
	return 0;
}

void tg_fetch_cancel(struct channel *c, int64_t id)
{
	struct telegram *t = c->priv;
	struct tg_fetch *f = t->fetches;

	while (f && f->id != id)
		f = f->next;
	if (f)
		fetch_free(f);
}

void tg_fetch_close(struct telegram *t)
{
	while (t->fetches)
		fetch_free(t->fetches);
}
