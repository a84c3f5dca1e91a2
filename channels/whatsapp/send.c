// SPDX-License-Identifier: Apache-2.0
/*
 * What goes out. A message is one request whose id is the core's key, so that a repeat after any crash is the same message. A file is
 * first read for its hash, a piece at a time, then put to the bridge from where the bridge says it stands, then sent by its hash.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include "base/str.h"
#include "channels/whatsapp/whatsapp.h"

#define HASH_STEP ((size_t)512 << 10)

struct wa_out {
	struct whatsapp *w;
	LIST_ENTRY(wa_out) link;
	int64_t id;
	char key[33];
	struct wa_req *req;
	/* OUTBOUND_FILE */
	int fd;
	int64_t size, at, puts; /* `at` is hashed, then put */
	struct digest *digest;	/* while it is hashed */
	char hash[65];
	char *chat, *caption, *name, *mime;
};

static void out_free(struct wa_out *o)
{
	LIST_REMOVE(o, link);
	wa_forget(o->req);
	cleanup_close_p(&o->fd);
	digest_free(o->digest);
	free(o->chat);
	free(o->caption);
	free(o->name);
	free(o->mime);
	free(o);
}

/* Takes o. */
static void out_end(struct wa_out *o, const struct sent *s)
{
	struct channel *c = o->w->c;
	int64_t id = o->id;

	out_free(o);
	channel_on_sent(c, id, s);
}

static void out_fail(struct wa_out *o, const struct wa_fail *f)
{
	struct wa_fail copy = *f;

	out_end(o,
		&(struct sent){.why = &copy.why, .retry_ms = copy.retry_ms, .unsure = copy.unsure});
}

static void out_err(struct wa_out *o, const struct err *why)
{
	out_fail(o, &(struct wa_fail){.why = *why});
}

static void on_sent(void *ctx, const cJSON *reply, const struct wa_fail *fail)
{
	struct wa_out *o = ctx;
	const char *wa_id = reply ? json_peek_str(reply, "wa_id") : NULL;
	struct wa_fail odd = {.unsure = true};

	o->req = NULL;
	if (fail) {
		out_fail(o, fail);
	} else if (!wa_id || !*wa_id) {
		err_set(&odd.why, E_PROTO, "WhatsApp: the bridge's answer names no message");
		out_fail(o, &odd);
	} else {
		out_end(o, &(struct sent){.platform_id = wa_id});
	}
}

/* --- files ----------------------------------------------------------------------------------- */

static void put_next(struct wa_out *o);

static void send_media(struct wa_out *o)
{
	cJSON *j = cJSON_CreateObject();
	struct err e = ERR_INIT;

	json_add(j, "to=%s hash=%s mime=%s name=%s", o->chat, o->hash, o->mime, o->name);
	if (*o->caption)
		json_add(j, "caption=%s", o->caption);
	if (str_starts(o->mime, "audio/ogg"))
		json_add(j, "voice=%hhd", true);
	o->req = wa_ask(o->w, o->key, "send_media", j, o->w->media_ms, on_sent, o, &e);
	if (!o->req)
		out_err(o, &e);
}

static void on_put(void *ctx, const cJSON *reply, const struct wa_fail *fail)
{
	struct wa_out *o = ctx;
	int64_t have = reply ? json_peek_i64(reply, "have", -1) : -1;
	struct wa_fail f;

	o->req = NULL;
	if (fail) {
		f = *fail;
		f.unsure = false; /* nothing was sent to anybody yet */
		out_fail(o, &f);
	} else if (have < 0 || have > o->size || o->puts > o->size / WA_CHUNK * 2 + 8) {
		f = (struct wa_fail){0};
		err_set(&f.why, E_PROTO, "WhatsApp: the bridge does not take the file");
		out_fail(o, &f);
	} else if (have == o->size && o->puts > 0) {
		send_media(o);
	} else {
		o->at = have;
		put_next(o);
	}
}

/* The first one is empty: the bridge says how much of this hash it has already. */
static void put_next(struct wa_out *o)
{
	_cleanup_free_ uint8_t *bytes = xmalloc(WA_CHUNK);
	_cleanup_free_ char *data = NULL;
	cJSON *j;
	struct err e = ERR_INIT;
	ssize_t n = o->puts ? pread(o->fd, bytes, WA_CHUNK, o->at) : 0;

	if (n < 0 || (o->puts && n == 0)) {
		err_sys(&e, n < 0 ? errno : EIO, "cannot read the file to send");
		e.code = E_INVAL; /* a dead letter */
		out_err(o, &e);
		return;
	}
	data = base64_encode(bytes, (size_t)n);
	j = cJSON_CreateObject();
	json_add(j, "hash=%s size=%lld offset=%lld data=%s", o->hash, (long long)o->size,
		 (long long)o->at, data);
	o->puts++;
	o->req = wa_ask(o->w, NULL, "put", j, o->w->answer_ms, on_put, o, &e);
	if (!o->req)
		out_err(o, &e);
}

static void hash_done(struct wa_out *o)
{
	digest_hex(o->digest, o->hash);
	digest_free(steal_ptr(&o->digest));
	o->at = 0;
	put_next(o);
}

/* A piece of one file a turn. */
static void on_hasher(void *ctx)
{
	struct whatsapp *w = ctx;
	struct wa_out *o = LIST_FIRST(&w->outs);
	_cleanup_free_ uint8_t *p = NULL;
	struct err e = ERR_INIT;
	ssize_t n;

	while (o && !o->digest)
		o = LIST_NEXT(o, link);
	if (!o)
		return;
	timer_start(w->hasher, 0, 0);
	p = xmalloc(HASH_STEP);
	n = pread(o->fd, p, HASH_STEP, o->at);
	if (n > 0) {
		digest_add(o->digest, p, (size_t)n);
		o->at += n;
	}
	if (n > 0 && o->at < o->size)
		return;
	if (o->at == o->size) {
		hash_done(o);
		return;
	}
	err_set(&e, E_INVAL, "the file to send has changed or cannot be read");
	out_err(o, &e);
}

static int start_file(struct wa_out *o, const struct outbound *m, struct err *e)
{
	struct stat st;

	o->fd = open(m->file->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (o->fd < 0 || fstat(o->fd, &st) < 0)
		return err_sys(e, errno, "cannot open the file to send");
	if (!S_ISREG(st.st_mode) || st.st_size < 1 || st.st_size > WA_FILE_MAX)
		return err_set(e, E_INVAL, "a file for WhatsApp has 1 byte to %lld MiB",
			       (long long)(WA_FILE_MAX >> 20));
	o->size = st.st_size;
	o->digest = digest_new();
	o->chat = xstrdup(m->chat);
	o->caption = xstrdup(m->body ? m->body : "");
	o->name = xstrdup(m->file->name);
	o->mime = xstrdup(m->file->mime && *m->file->mime ? m->file->mime
							  : "application/octet-stream");
	timer_start(o->w->hasher, 0, 0);
	return 0;
}

/* --- messages -------------------------------------------------------------------------------- */

static int start_request(struct wa_out *o, const struct outbound *m, struct err *e)
{
	cJSON *j = cJSON_CreateObject();
	const char *op = "send";

	if (m->kind == OUTBOUND_EDIT) {
		op = "edit";
		json_add(j, "chat=%s target=%s text=%s", m->chat, m->target, m->body);
	} else if (m->kind == OUTBOUND_REACTION) {
		op = "react";
		json_add(j, "chat=%s target=%s emoji=%s", m->chat, m->target, m->emoji);
	} else {
		json_add(j, "to=%s text=%s", m->chat, m->body);
	}
	o->req = wa_ask(o->w, o->key, op, j, o->w->answer_ms, on_sent, o, e);
	return o->req ? 0 : -1;
}

int wa_send(struct channel *c, const struct outbound *m, struct err *e)
{
	struct whatsapp *w = c->priv;
	struct wa_out *o;
	int rc;

	if (w->phase != WA_LIVE)
		return err_set(e, E_TEMP, "WhatsApp: the bridge is not connected");
	o = xcalloc(1, sizeof(*o));
	o->w = w;
	o->id = m->id;
	o->fd = -1;
	str_copy(o->key, sizeof(o->key), m->key);
	LIST_INSERT_HEAD(&w->outs, o, link);
	rc = m->kind == OUTBOUND_FILE ? start_file(o, m, e) : start_request(o, m, e);
	if (rc < 0) {
		out_free(o);
		return -1;
	}
	return 0;
}

void wa_send_open(struct whatsapp *w)
{
	w->hasher = timer_new(w->c->loop, "whatsapp file hash", on_hasher, w);
}

void wa_send_close(struct whatsapp *w)
{
	while (!LIST_EMPTY(&w->outs))
		out_free(LIST_FIRST(&w->outs));
	timer_free(w->hasher);
}
