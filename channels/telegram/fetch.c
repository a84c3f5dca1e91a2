// SPDX-License-Identifier: Apache-2.0
/*
 * Bytes of files that people sent: getFile for the path, then the path itself. The address holds the token, so it is made, used and
 * wiped here; it must never be kept or handed on. Every length is checked against what arrives, not against what was promised.
 */
#include "base/str.h"
#include "channels/telegram/telegram.h"

#define CALL_MS 30000

struct tg_fetch {
	struct download d;
	struct telegram *t;
	struct tg_call *call; /* getFile */
};

static void release(struct download *d)
{
	tg_cancel(container_of(d, struct tg_fetch, d)->call);
}

static int judge(struct download *d, struct err *e)
{
	if (streq(d->mime, "application/octet-stream")) /* what it calls everything */
		d->mime[0] = '\0';
	if (d->status == 200)
		return 0;
	return d->status == 404 ? tg_fail(e, E_GONE, "Telegram: ", "the file is no longer there")
				: tg_fail(e, E_TEMP, "Telegram: ", "no file came");
}

static void fail(struct tg_fetch *f, enum err_code code, const char *words)
{
	struct err e = ERR_INIT;

	tg_fail(&e, code, "Telegram: ", words);
	download_end(&f->d, &e);
}

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
	const char *path = json_peek_str(r->result, "file_path");
	struct err e = r->why;
	char *url;
	int rc;

	f->call = NULL;
	if (!r->result) {
		/* "file is too big": of more than 20 MB */
		if (strstr(r->text, "too big"))
			e.code = E_LIMIT;
		download_end(&f->d, &e);
	} else if (json_peek_i64(r->result, "file_size", 0) > f->d.max) {
		fail(f, E_LIMIT, "the file is larger than allowed");
	} else if (!path || !path_ok(path)) {
		fail(f, E_PROTO,
		     "getFile gave no path (a Bot API server of your own must not run with --local)");
	} else {
		s.url = url = tg_url(f->t, "/file/bot", path);
		rc = download_http(&f->d, f->t->http, &s, &e);
		tg_url_free(url);
		if (rc < 0)
			download_end(&f->d, &e);
	}
}

int tg_fetch(struct channel *c, const struct fetch *w, struct err *e)
{
	static const struct download_ops ops = {sizeof(struct tg_fetch), judge, release,
						"Telegram"};
	struct telegram *t = c->priv;
	struct tg_fetch *f = download_new(&t->fetches, c, w, &ops);
	struct tg_body b;

	tg_json(&b, "", "");
	tg_put_str(&b, "file_id", w->ref);
	tg_json_end(&b);
	f->t = t;
	if (f->d.max > TG_DOWNLOAD_MAX)
		f->d.max = TG_DOWNLOAD_MAX;
	f->call = tg_call(t, "getFile", &b, &(struct tg_opts){.total_ms = CALL_MS}, on_file, f, e);
	if (f->call)
		return 0;
	download_free(&f->d);
	return -1;
}

void tg_fetch_cancel(struct channel *c, int64_t id)
{
	struct telegram *t = c->priv;

	download_cancel(&t->fetches, id);
}
