// SPDX-License-Identifier: Apache-2.0
/*
 * Files both ways. Out: files.getUploadURLExternal, the bytes, files.completeUploadExternal; only the last shows anything to
 * anybody. In: from Slack's own hosts with the bot's token, which goes to no other host and follows no redirect; what Slack shows to
 * those who may not see a file is a web page with status 200, so a page in a file's place is an error.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include "base/str.h"
#include "channels/slack/slack.h"

#define IDLE_MS 60000

/* --- out ------------------------------------------------------------------------------------------- */

struct slack_upload {
	struct slack_job *j;
	struct http_call *http;
	int fd;
	int64_t left;
	int status;
	bool torn; /* the file changed under us */
	char id[SLACK_ID];
};

void slack_upload_cancel(struct slack_upload **up)
{
	struct slack_upload *u = steal_ptr(up);

	if (!u)
		return;
	if (u->http)
		http_cancel(u->http);
	if (u->fd >= 0)
		close(u->fd);
	free(u);
}

/* The message that shows the file: what can be edited, reacted to and answered. Slack may be slow to make it, and may not tell: then the file's
 * own id has to do. */
static void on_told(void *ctx, const struct slack_reply *r)
{
	static const char *const sides[] = {"file.shares.public", "file.shares.private"};
	struct slack_job *j = ctx;
	const char *ts = NULL;

	j->call = NULL;
	for (size_t i = 0; i < ARRAY_LEN(sides) && !ts; i++) {
		const cJSON *chats = json_find(r->json, sides[i]);

		ts = json_peek_str(cJSON_GetObjectItemCaseSensitive(chats, j->chat), "0.ts");
	}
	slack_job_done(j, ts && slack_is_ts(ts) ? ts : j->upload->id);
}

static void on_shared(void *ctx, const struct slack_reply *r)
{
	struct slack_job *j = ctx;
	struct buf form = {0};

	j->call = NULL;
	if (r->why.code) {
		slack_job_refused(j, r);
		return;
	}
	slack_arg(&form, "file", j->upload->id);
	j->call = slack_call(j->s, SLACK_FILE, &form, on_told, j);
}

static void share(struct slack_job *j)
{
	struct buf form = {0}, files = {0};

	if (slack_job_hold(j, SLACK_UPLOAD_DONE, true, share))
		return;
	buf_putf(&files, "[{\"id\":\"%s\",\"title\":", j->upload->id);
	json_put_str(&files, j->file.name, strlen(j->file.name));
	buf_puts(&files, "}]");
	slack_args(&form, "files", files.p, "channel_id", j->chat, NULL);
	if (*j->thread)
		slack_arg(&form, "thread_ts", j->thread);
	if (*j->body)
		slack_arg(&form, "initial_comment", j->body);
	buf_free(&files);
	j->call = slack_call(j->s, SLACK_UPLOAD_DONE, &form, on_shared, j);
}

static void upload_head(void *ctx, int status, const struct http_header *h maybe_unused,
			size_t n maybe_unused)
{
	struct slack_upload *u = ctx;

	u->status = status;
}

static size_t upload_send(void *ctx, uint8_t *p, size_t cap)
{
	struct slack_upload *u = ctx;
	ssize_t n;

	if ((int64_t)cap > u->left)
		cap = (size_t)u->left;
	do
		n = cap ? read(u->fd, p, cap) : 0;
	while (n < 0 && errno == EINTR);
	if (n <= 0) {
		u->torn = u->left > 0;
		return 0;
	}
	u->left -= n;
	return (size_t)n;
}

static void upload_done(void *ctx, const struct err *why)
{
	struct slack_upload *u = ctx;
	struct slack_job *j = u->j;
	struct err e = ERR_INIT;

	u->http = NULL;
	if (u->torn)
		err_set(&e, E_IO, "the file %.100s became shorter while it was sent", j->file.name);
	else if (why)
		err_set(&e, E_TEMP, "Slack: upload: %.180s", why->msg);
	else if (u->status == 429 || u->status >= 500)
		err_set(&e, E_TEMP, "Slack: upload: HTTP %d", u->status);
	else if (u->status != 200)
		err_set(&e, E_INVAL, "Slack: upload: HTTP %d", u->status);
	if (e.code)
		slack_job_fail(j, &e, 0, false);
	else
		share(j);
}

static const struct http_events upload_events = {
	.head = upload_head,
	.send = upload_send,
	.done = upload_done,
};

static void on_place(void *ctx, const struct slack_reply *r)
{
	struct slack_job *j = ctx;
	struct slack_upload *u = j->upload;
	const char *url = json_peek_str(r->json, "upload_url"),
		   *id = json_peek_str(r->json, "file_id");
	const struct http_header type = {"Content-Type", "application/octet-stream"};
	const struct http_spec spec = {
		.method = "POST",
		.url = url,
		.headers = &type,
		.n_headers = 1,
		.stream_body = true,
		.stream_len = j->file.size,
		.idle_ms = IDLE_MS,
	};
	struct err e = ERR_INIT;

	j->call = NULL;
	if (r->why.code) {
		slack_job_refused(j, r);
		return;
	}
	if (!url || !id || !slack_is_id(id) || !slack_url_ok(url, j->s->origin)) {
		err_set(&e, E_TEMP, "Slack: files.getUploadURLExternal gave no address of Slack's");
		slack_job_fail(j, &e, 0, false);
		return;
	}
	str_copy(u->id, sizeof(u->id), id);
	u->http = http_start(j->s->http, &spec, &upload_events, u, &e);
	if (!u->http)
		slack_job_fail(j, &e, 0, false);
}

static int open_file(struct slack_job *j, int *fd, struct err *e)
{
	struct stat st;

	*fd = open(j->file.path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (*fd < 0 || fstat(*fd, &st) < 0)
		return err_sys(e, errno, "cannot read the file %.100s", j->file.name);
	if (!S_ISREG(st.st_mode) || st.st_size != j->file.size)
		return err_set(e, E_IO, "the file %.100s is not what it was", j->file.name);
	return 0;
}

/* The outcome must not come from inside send: a file that cannot be read is told a turn later. */
static void tell_unread(struct slack_job *j)
{
	struct err e = ERR_INIT;

	err_set(&e, E_IO, "the file %.100s cannot be read any more", j->file.name);
	slack_job_fail(j, &e, 0, false);
}

void slack_upload(struct slack_job *j)
{
	struct buf form = {0};
	struct err e = ERR_INIT;
	char size[24];

	j->upload = xcalloc(1, sizeof(*j->upload));
	j->upload->j = j;
	j->upload->left = j->file.size;
	if (open_file(j, &j->upload->fd, &e) < 0) {
		slack_job_later(j, 0, tell_unread);
		return;
	}
	snprintf(size, sizeof(size), "%lld", (long long)j->file.size);
	slack_args(&form, "filename", j->file.name, "length", size, NULL);
	j->call = slack_call(j->s, SLACK_UPLOAD_URL, &form, on_place, j);
}

/* --- in -------------------------------------------------------------------------------------------- */

struct slack_fetch {
	struct download d;
	int64_t told; /* size as Slack said, -1 = not */
};

static int judge(struct download *d, struct err *e)
{
	const struct slack_fetch *f = container_of(d, struct slack_fetch, d);

	if (d->status >= 300 && d->status < 400)
		return err_set(
			e, E_AUTH,
			"Slack sent the download elsewhere: the bot may not see the file (scope "
			"files:read; install the app again after adding it)");
	if (d->status == 401 || d->status == 403)
		return err_set(e, E_AUTH, "Slack refuses the download (HTTP %d): scope files:read?",
			       d->status);
	if (d->status == 404 || d->status == 410)
		return err_set(e, E_GONE, "the file is no more in Slack");
	if (d->status != 200)
		return err_set(e, E_TEMP, "Slack: download: HTTP %d", d->status);
	if (!strcasecmp(d->mime, "text/html") && d->got != f->told)
		return err_set(
			e, E_AUTH,
			"Slack gave a web page in the file's place: the bot may not see the file "
			"(scope files:read; install the app again after adding it)");
	if (f->told >= 0 && d->got != f->told)
		return err_set(e, E_TEMP, "Slack: download: %lld bytes of %lld", (long long)d->got,
			       (long long)f->told);
	return 0;
}

int slack_fetch(struct channel *c, const struct fetch *want, struct err *e)
{
	static const struct download_ops ops = {sizeof(struct slack_fetch), judge, NULL, "Slack"};
	struct slack *s = c->priv;
	_cleanup_json_ cJSON *ref = json_parse(want->ref, strlen(want->ref), 4096, e);
	_cleanup_bearer_ char *bearer = slack_bearer(&s->bot);
	const struct http_header h[] = {{"Authorization", bearer}, {"User-Agent", "chela"}};
	struct http_spec spec = {
		.method = "GET",
		.headers = h,
		.n_headers = ARRAY_LEN(h),
		.idle_ms = IDLE_MS,
	};
	struct slack_fetch *f;

	if (!ref || json_str(ref, "url", &spec.url, e) < 0)
		return -1;
	if (!*spec.url)
		return err_set(e, E_GONE, "Slack gives no address for this file");
	if (!slack_url_ok(spec.url, s->origin))
		return err_set(e, E_PERM, "the file is not on a host of Slack's");
	f = download_new(&s->fetches, c, want, &ops);
	f->told = json_peek_i64(ref, "size", -1);
	if (download_http(&f->d, s->http, &spec, e) == 0)
		return 0;
	download_free(&f->d);
	return -1;
}

void slack_fetch_cancel(struct channel *c, int64_t id)
{
	struct slack *s = c->priv;

	download_cancel(&s->fetches, id);
}
