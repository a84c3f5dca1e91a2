// SPDX-License-Identifier: Apache-2.0
/*
 * One call of a Bot API method: the URL with the token in it, the body (streamed, so that it is known whether a whole request has
 * left), the verdict. It exists so that every other file deals in verdicts and none in HTTP. It must never put the URL, and so the
 * token, into an error, and never make a call a second time.
 */
#include <errno.h>
#include "base/log.h"
#include "base/str.h"
#include "channels/telegram/telegram.h"

#define IDLE_MS	    30000
#define ANSWER_MAX  ((size_t)8 << 20)
#define RETRY_MAX_S 86400

struct tg_call {
	LIST_ENTRY(tg_call) link;
	struct telegram *t;
	struct http_call *http;
	struct tg_body body;
	size_t head_at, tail_at;
	int64_t file_at;
	int status;
	struct buf in;
	tg_reply_fn *fn;
	void *ctx;
	bool queued; /* on_broken is on its way, which frees it */
	bool dead;
};

/* --- bodies -------------------------------------------------------------------------------- */

void tg_body_free(struct tg_body *b)
{
	buf_free(&b->head);
	buf_free(&b->tail);
	if (b->fd >= 0)
		close(b->fd);
	b->fd = -1;
}

void tg_put_raw(struct tg_body *b, const char *key, const char *json)
{
	buf_putf(&b->head, "%s\"%s\":%s", b->head.len > 1 ? "," : "", key, json);
}

void tg_put_str(struct tg_body *b, const char *key, const char *value)
{
	buf_putf(&b->head, "%s\"%s\":", b->head.len > 1 ? "," : "", key);
	json_put_str(&b->head, value, strlen(value));
}

void tg_json(struct tg_body *b, const char *chat, const char *thread)
{
	*b = (struct tg_body){.type = "application/json", .fd = -1};
	buf_puts(&b->head, "{");
	if (*chat)
		tg_put_raw(b, "chat_id", chat);
	/* General, the topic with id 1, is refused when it is named */
	if (*thread && !streq(thread, "1"))
		tg_put_raw(b, "message_thread_id", thread);
}

void tg_json_end(struct tg_body *b)
{
	buf_puts(&b->head, "}");
}

static const char *boundary(const struct tg_body *b)
{
	return strstr(b->type, "boundary=") + 9;
}

void tg_form(struct tg_body *b)
{
	char mark[37];

	*b = (struct tg_body){.fd = -1};
	str_uuid4(mark); /* random: no file can hold it on purpose */
	snprintf(b->type, sizeof(b->type), "multipart/form-data; boundary=%s", mark);
}

void tg_form_field(struct tg_body *b, const char *name, const char *value)
{
	buf_putf(&b->head, "--%s\r\nContent-Disposition: form-data; name=\"%s\"\r\n\r\n%s\r\n",
		 boundary(b), name, value);
}

void tg_form_file(struct tg_body *b, const char *field, const struct out_file *f, int fd,
		  int64_t len)
{
	buf_putf(&b->head, "--%s\r\nContent-Disposition: form-data; name=\"%s\"; filename=\"",
		 boundary(b), field);
	for (const char *s = f->name; *s; s++) {
		if (*s == '"')
			buf_puts(&b->head, "%22");
		else if ((unsigned char)*s >= ' ' && *s != 0x7f)
			buf_put(&b->head, s, 1);
	}
	buf_putf(&b->head, "\"\r\nContent-Type: %s\r\n\r\n",
		 *f->mime && !strpbrk(f->mime, "\r\n") ? f->mime : "application/octet-stream");
	b->fd = fd;
	b->fd_len = len;
	buf_putf(&b->tail, "\r\n--%s--\r\n", boundary(b));
}

bool tg_is_id(const char *s)
{
	struct err e = ERR_INIT;
	int64_t id;

	return str_to_i64(s, -(INT64_C(1) << 53), INT64_C(1) << 53, &id, &e) == 0;
}

/* --- verdicts ------------------------------------------------------------------------------ */

int tg_fail(struct err *e, enum err_code code, const char *what, const char *words)
{
	_cleanup_(buf_free) struct buf clean = {0};

	redact(&clean, words, strlen(words));
	for (size_t i = 0; i < clean.len; i++)
		if ((unsigned char)clean.p[i] < ' ' || clean.p[i] == 0x7f)
			clean.p[i] = ' ';
	return err_set(e, code, "%s%.*s", what,
		       (int)str_utf8_floor(clean.p, clean.len > 200 ? 200 : clean.len),
		       clean.p ? clean.p : "");
}

/* A refused token gives 401, a malformed one 404 for every method. */
static enum err_code class_of(int code, const char *text)
{
	if (code == 429)
		return E_LIMIT;
	if (code == 401 || (code == 404 && streq(text, "Not Found")))
		return E_AUTH;
	if (code == 403)
		return strstr(text, "rights") ? E_PERM : E_GONE;
	if (code == 409 || code >= 500)
		return E_TEMP;
	if (strstr(text, "chat not found") || strstr(text, "PEER_ID_INVALID") ||
	    strstr(text, "chat was deactivated") || strstr(text, "chat was deleted"))
		return E_GONE;
	if (strstr(text, "rights") || strstr(text, "TOPIC_CLOSED") || strstr(text, "RESTRICTED"))
		return E_PERM;
	return E_INVAL;
}

static void judge(struct tg_reply *r, const cJSON *j, char moved[TG_ID_CAP])
{
	int64_t wait = json_peek_i64(j, "parameters.retry_after", 0);
	int64_t to = json_peek_i64(j, "parameters.migrate_to_chat_id", 0);
	const char *text = json_peek_str(j, "description");

	r->text = text ? text : "";
	r->code = (int)json_peek_i64(j, "error_code", 500);
	r->retry_ms = wait > 0 ? (wait < RETRY_MAX_S ? wait : RETRY_MAX_S) * 1000 : 0;
	tg_fail(&r->why, class_of(r->code, r->text),
		"Telegram: ", *r->text ? r->text : "refused without a word");
	if (to) {
		snprintf(moved, TG_ID_CAP, "%lld", (long long)to);
		r->moved_to = moved;
		r->why.code = E_TEMP;
	}
}

static bool all_left(const struct tg_call *c)
{
	return c->head_at == c->body.head.len && c->file_at == c->body.fd_len &&
	       c->tail_at == c->body.tail.len;
}

static void call_free(struct tg_call *c)
{
	tg_body_free(&c->body);
	buf_free(&c->in);
	free(c);
}

static void finish(struct tg_call *c, const struct err *why)
{
	struct tg_reply r = {.text = ""};
	_cleanup_json_ cJSON *j = NULL;
	char moved[TG_ID_CAP];
	bool ok = false;

	LIST_REMOVE(c, link);
	if (why) {
		r.why = *why;
		r.unsure = all_left(c);
	} else {
		j = json_parse(c->in.p ? c->in.p : "", c->in.len, ANSWER_MAX, &r.why);
		ok = j && cJSON_IsTrue(json_find(j, "ok"));
		r.result = ok ? json_find(j, "result") : NULL;
		if (j && cJSON_IsFalse(json_find(j, "ok"))) {
			judge(&r, j, moved);
		} else if (!r.result) {
			/* a gateway's page, or garbage: nobody knows what was done */
			err_set(&r.why, r.why.code == E_LIMIT ? E_LIMIT : E_TEMP,
				"Telegram: HTTP %d and no answer of the Bot API", c->status);
			r.unsure = all_left(c);
		}
	}
	c->fn(c->ctx, &r);
	call_free(c);
}

/* --- the wire ------------------------------------------------------------------------------ */

static void on_head(void *ctx, int status, const struct http_header *h maybe_unused,
		    size_t n maybe_unused)
{
	struct tg_call *c = ctx;

	c->status = status;
}

static bool on_body(void *ctx, const uint8_t *p, size_t n)
{
	struct tg_call *c = ctx;
	struct err e = ERR_INIT;

	if (buf_add(&c->in, p, n, &e) == 0)
		return true;
	http_cancel(c->http);
	err_set(&e, E_LIMIT, "Telegram: an answer of more than %zu bytes", ANSWER_MAX);
	finish(c, &e);
	return false;
}

static void on_broken(void *ctx)
{
	struct tg_call *c = ctx;
	struct err e = ERR_INIT;

	if (c->dead) {
		call_free(c);
		return;
	}
	err_set(&e, E_INVAL, "the file to be sent became shorter, or cannot be read");
	finish(c, &e);
}

static size_t take(uint8_t *to, size_t cap, const struct buf *from, size_t *at)
{
	size_t n = from->len - *at;

	n = n < cap ? n : cap;
	if (n)
		memcpy(to, from->p + *at, n);
	*at += n;
	return n;
}

static size_t on_send(void *ctx, uint8_t *p, size_t cap)
{
	struct tg_call *c = ctx;
	size_t n = take(p, cap, &c->body.head, &c->head_at);

	if (n < cap && c->file_at < c->body.fd_len) {
		int64_t left = c->body.fd_len - c->file_at;
		size_t want = left < (int64_t)(cap - n) ? (size_t)left : cap - n;
		ssize_t got = pread(c->body.fd, p + n, want, c->file_at);

		if (got <= 0) {
			http_cancel(c->http);
			c->queued = true;
			loop_defer(c->t->c->loop, "telegram upload", on_broken, c);
			return 0;
		}
		c->file_at += got;
		n += (size_t)got;
	}
	if (n < cap && c->file_at == c->body.fd_len)
		n += take(p + n, cap - n, &c->body.tail, &c->tail_at);
	return n;
}

static void on_done(void *ctx, const struct err *why)
{
	finish(ctx, why);
}

static const struct http_events events = {
	.head = on_head, .body = on_body, .send = on_send, .done = on_done};

char *tg_url(const struct telegram *t, const char *kind, const char *rest)
{
	return xasprintf("%s%s%s/%s", t->api_url, kind, t->token.value, rest);
}

void tg_url_free(char *url)
{
	explicit_bzero(url, strlen(url));
	free(url);
}

struct tg_call *tg_call(struct telegram *t, const char *method, struct tg_body *b,
			const struct tg_opts *o, tg_reply_fn *fn, void *ctx, struct err *e)
{
	const struct http_header type = {"Content-Type", b->type};
	struct tg_call *c = xcalloc(1, sizeof(*c));
	char *url = tg_url(t, "/bot", method);
	struct http_spec s = {
		.method = "POST",
		.url = url,
		.headers = &type,
		.n_headers = 1,
		.stream_body = true,
		.stream_len = (int64_t)(b->head.len + b->tail.len) + b->fd_len,
		.idle_ms = o->idle_ms ? o->idle_ms : IDLE_MS,
		.total_ms = o->total_ms,
	};

	c->t = t;
	c->fn = fn;
	c->ctx = ctx;
	buf_init(&c->in, ANSWER_MAX);
	c->http = http_start(t->http, &s, &events, c, e);
	tg_url_free(url);
	c->body = *b;
	*b = (struct tg_body){.fd = -1};
	if (!c->http) {
		call_free(c);
		return NULL;
	}
	LIST_INSERT_HEAD(&t->calls, c, link);
	return c;
}

void tg_cancel(struct tg_call *c)
{
	if (!c)
		return;
	LIST_REMOVE(c, link);
	if (c->queued) {
		c->dead = true;
		return;
	}
	http_cancel(c->http);
	call_free(c);
}
