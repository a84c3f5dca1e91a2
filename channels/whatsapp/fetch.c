// SPDX-License-Identifier: Apache-2.0
/*
 * Bytes of files that people sent: asked of the bridge by their hash, a piece at a time, and believed only when the hash of what came
 * is that. The first answer may take minutes, since the bridge downloads then.
 */
#include <errno.h>
#include "base/str.h"
#include "channels/whatsapp/whatsapp.h"

struct wa_in {
	struct whatsapp *w;
	struct wa_in *next;
	int64_t id, max, at;
	int fd; /* the core's */
	char hash[65], mime[128];
	struct digest *digest;
	struct wa_req *req;
};

static void ask_next(struct wa_in *f);

static void fetch_free(struct wa_in *f)
{
	struct wa_in **p = &f->w->ins;

	while (*p && *p != f)
		p = &(*p)->next;
	if (*p)
		*p = f->next;
	wa_forget(f->req);
	digest_free(f->digest);
	free(f);
}

/* Takes f. */
static void end(struct wa_in *f, const struct err *why)
{
	struct channel *c = f->w->c;
	int64_t id = f->id, size = why ? 0 : f->at;
	char mime[sizeof(f->mime)];

	memcpy(mime, f->mime, sizeof(mime));
	fetch_free(f);
	channel_on_fetched(c, id, size, mime, why);
}

static int write_all(int fd, const uint8_t *p, size_t n, struct err *e)
{
	while (n) {
		ssize_t k = write(fd, p, n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return err_sys(e, k < 0 ? errno : ENOSPC, "cannot write the file");
		p += k;
		n -= (size_t)k;
	}
	return 0;
}

/* 1 = that was the last piece. */
static int take_piece(struct wa_in *f, const cJSON *reply, struct err *e)
{
	_cleanup_free_ uint8_t *bytes = xmalloc(WA_CHUNK);
	const char *data = json_peek_str(reply, "data"), *mime = json_peek_str(reply, "mime");
	bool last = cJSON_IsTrue(json_find(reply, "end"));
	ssize_t n = data ? base64_decode(data, bytes, WA_CHUNK) : -1;

	if (n < 0 || (n == 0 && !last) || json_peek_i64(reply, "offset", f->at) != f->at)
		return err_set(e, E_PROTO, "WhatsApp: the bridge gives a file out of order");
	if (json_peek_i64(reply, "size", 0) > f->max || n > f->max - f->at)
		return err_set(e, E_LIMIT, "WhatsApp: the file is larger than allowed");
	if (write_all(f->fd, bytes, (size_t)n, e) < 0)
		return -1;
	digest_add(f->digest, bytes, (size_t)n);
	f->at += n;
	if (mime && !f->mime[0])
		str_copy(f->mime, sizeof(f->mime), mime);
	return last;
}

static void on_piece(void *ctx, const cJSON *reply, const struct wa_fail *fail)
{
	struct wa_in *f = ctx;
	struct err e = ERR_INIT;
	char hash[65];
	int rc;

	f->req = NULL;
	if (fail) {
		e = fail->why;
		/* not_found, too_large: there is nothing to be had */
		if (e.code == E_INVAL)
			e.code = E_GONE;
		end(f, &e);
		return;
	}
	rc = take_piece(f, reply, &e);
	if (rc == 0) {
		ask_next(f);
		return;
	}
	if (rc > 0) {
		digest_hex(f->digest, hash);
		if (!streq(hash, f->hash)) {
			err_set(&e, E_PROTO, "WhatsApp: the file is not the one that was sent");
			rc = -1;
		}
	}
	end(f, rc < 0 ? &e : NULL);
}

static int ask_piece(struct wa_in *f, struct err *e)
{
	cJSON *j = cJSON_CreateObject();

	cJSON_AddStringToObject(j, "hash", f->hash);
	cJSON_AddNumberToObject(j, "offset", (double)f->at);
	f->req = wa_ask(f->w, NULL, "fetch", j, f->w->media_ms, on_piece, f, e);
	return f->req ? 0 : -1;
}

static void ask_next(struct wa_in *f)
{
	struct err e = ERR_INIT;

	if (ask_piece(f, &e) < 0)
		end(f, &e);
}

int wa_fetch(struct channel *c, const struct fetch *w, struct err *e)
{
	struct whatsapp *wa = c->priv;
	struct wa_in *f;

	if (strlen(w->ref) != 64)
		return err_set(e, E_INVAL, "WhatsApp: no such file");
	f = xcalloc(1, sizeof(*f));
	*f = (struct wa_in){.w = wa, .id = w->id, .max = w->max_bytes, .fd = w->fd};
	str_copy(f->hash, sizeof(f->hash), w->ref);
	f->digest = digest_new();
	if (ask_piece(f, e) < 0) {
		fetch_free(f);
		return -1;
	}
	f->next = wa->ins;
	wa->ins = f;
	return 0;
}

void wa_fetch_cancel(struct channel *c, int64_t id)
{
	struct whatsapp *w = c->priv;
	struct wa_in *f = w->ins;

	while (f && f->id != id)
		f = f->next;
	if (f)
		fetch_free(f);
}

void wa_fetch_close(struct whatsapp *w)
{
	while (w->ins)
		fetch_free(w->ins);
}
