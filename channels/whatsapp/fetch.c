// SPDX-License-Identifier: Apache-2.0
/*
 * Bytes of files that people sent: asked of the bridge by their hash, a piece at a time, and believed only when the hash of what came
 * is that. The first answer may take minutes, since the bridge downloads then.
 */
#include "base/str.h"
#include "channels/whatsapp/whatsapp.h"

struct wa_in {
	struct download d;
	struct whatsapp *w;
	char hash[65];
	struct digest *digest;
	struct wa_req *req;
};

static void ask_next(struct wa_in *f);

static void release(struct download *d)
{
	struct wa_in *f = container_of(d, struct wa_in, d);

	wa_forget(f->req);
	digest_free(f->digest);
}

/* 1 = that was the last piece. */
static int take_piece(struct wa_in *f, const cJSON *reply, struct err *e)
{
	_cleanup_free_ uint8_t *bytes = xmalloc(WA_CHUNK);
	const char *data = json_peek_str(reply, "data"), *mime = json_peek_str(reply, "mime");
	bool last = cJSON_IsTrue(json_find(reply, "end"));
	ssize_t n = data ? base64_decode(data, bytes, WA_CHUNK) : -1;

	if (n < 0 || (n == 0 && !last) || json_peek_i64(reply, "offset", f->d.got) != f->d.got)
		return err_set(e, E_PROTO, "WhatsApp: the bridge gives a file out of order");
	if (json_peek_i64(reply, "size", 0) > f->d.max)
		return err_set(e, E_LIMIT, "WhatsApp: the file is larger than allowed");
	if (download_take(&f->d, bytes, (size_t)n, e) < 0)
		return -1;
	digest_add(f->digest, bytes, (size_t)n);
	if (mime && !f->d.mime[0])
		str_copy(f->d.mime, sizeof(f->d.mime), mime);
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
		download_end(&f->d, &e);
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
	download_end(&f->d, rc < 0 ? &e : NULL);
}

static int ask_piece(struct wa_in *f, struct err *e)
{
	cJSON *j = cJSON_CreateObject();

	json_add(j, "hash=%s offset=%lld", f->hash, (long long)f->d.got);
	f->req = wa_ask(f->w, NULL, "fetch", j, f->w->media_ms, on_piece, f, e);
	return f->req ? 0 : -1;
}

static void ask_next(struct wa_in *f)
{
	struct err e = ERR_INIT;

	if (ask_piece(f, &e) < 0)
		download_end(&f->d, &e);
}

int wa_fetch(struct channel *c, const struct fetch *w, struct err *e)
{
	static const struct download_ops ops = {
		.size = sizeof(struct wa_in), .release = release, .name = "WhatsApp"};
	struct whatsapp *wa = c->priv;
	struct wa_in *f;

	if (strlen(w->ref) != 64)
		return err_set(e, E_INVAL, "WhatsApp: no such file");
	f = download_new(&wa->ins, c, w, &ops);
	f->w = wa;
	str_copy(f->hash, sizeof(f->hash), w->ref);
	f->digest = digest_new();
	if (ask_piece(f, e) == 0)
		return 0;
	download_free(&f->d);
	return -1;
}

void wa_fetch_cancel(struct channel *c, int64_t id)
{
	struct whatsapp *w = c->priv;

	download_cancel(&w->ins, id);
}
