// SPDX-License-Identifier: Apache-2.0
/* See download.h. Every length is checked against what arrives, not against what was promised. It must never keep or close the core's descriptor. */
#include "channels/download.h"
#include <errno.h>
#include "base/fd.h"
#include "base/str.h"

void *download_new(struct download **list, struct channel *c, const struct fetch *want,
		   const struct download_ops *ops)
{
	struct download *d = xcalloc(1, ops->size);

	*d = (struct download){.list = list, .next = *list, .c = c, .ops = ops};
	d->id = want->id;
	d->max = want->max_bytes;
	d->fd = want->fd;
	*list = d;
	return d;
}

void download_free(struct download *d)
{
	struct download **p = d->list;

	while (*p != d)
		p = &(*p)->next;
	*p = d->next;
	if (d->http)
		http_cancel(d->http);
	if (d->ops->release)
		d->ops->release(d);
	free(d);
}

void download_end(struct download *d, const struct err *why)
{
	struct channel *c = d->c;
	int64_t id = d->id, got = d->got;
	char mime[sizeof(d->mime)];

	str_copy(mime, sizeof(mime), d->mime);
	download_free(d);
	channel_on_fetched(c, id, why ? 0 : got, why ? "" : mime, why);
}

int download_take(struct download *d, const uint8_t *p, size_t n, struct err *e)
{
	if ((int64_t)n > d->max - d->got)
		return err_set(e, E_LIMIT, "%s: the file is larger than allowed", d->ops->name);
	if (fd_write_all(d->fd, p, n) < 0)
		return err_sys(e, errno, "cannot write the file");
	d->got += (int64_t)n;
	return 0;
}

static void on_head(void *ctx, int status, const struct http_header *h, size_t n)
{
	struct download *d = ctx;

	d->status = status;
	for (size_t i = 0; i < n; i++) {
		if (!streq(h[i].name, "content-type"))
			continue;
		str_copy(d->mime, sizeof(d->mime), h[i].value);
		d->mime[strcspn(d->mime, "; ")] = '\0';
	}
}

static bool on_body(void *ctx, const uint8_t *p, size_t n)
{
	struct download *d = ctx;
	struct err e = ERR_INIT;

	/* What comes with another status are the words of a refusal. */
	if (d->status != 200 || download_take(d, p, n, &e) == 0)
		return true;
	download_end(d, &e);
	return false;
}

static void on_done(void *ctx, const struct err *why)
{
	struct download *d = ctx;
	struct err e = ERR_INIT;

	d->http = NULL;
	if (why)
		err_set(&e, E_TEMP, "%s: download: %.180s", d->ops->name, why->msg);
	download_end(d, why || d->ops->judge(d, &e) < 0 ? &e : NULL);
}

int download_http(struct download *d, struct http_client *http, const struct http_spec *spec,
		  struct err *e)
{
	static const struct http_events events = {
		.head = on_head, .body = on_body, .done = on_done};

	d->http = http_start(http, spec, &events, d, e);
	return d->http ? 0 : -1;
}

void download_cancel(struct download **list, int64_t id)
{
	struct download *d = *list;

	while (d && d->id != id)
		d = d->next;
	if (d)
		download_free(d);
}

void download_close(struct download **list)
{
	while (*list)
		download_free(*list);
}
