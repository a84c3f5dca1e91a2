// SPDX-License-Identifier: Apache-2.0
/*
 * A file on its way in: what every channel's ops->fetch has in common. A channel's own struct begins with a struct download; the bytes come by HTTP
 * (download_http) or are handed in (download_take). It exists so that the limits and the one outcome are kept in one place. Inside channels only.
 */
#ifndef CHELA_CHANNELS_DOWNLOAD_H
#define CHELA_CHANNELS_DOWNLOAD_H
#include "channels/channel.h"
#include "runtime/http.h"

struct download;
struct download_ops {
	size_t size; /* of the channel's own struct */
	/* All bytes of the response are here: 0, or an error in the platform's words. Only for download_http. */
	int (*judge)(struct download *d, struct err *e);
	/* Lets go of what the channel added; may be NULL. */
	void (*release)(struct download *d);
	const char *name; /* of the platform, for errors */
};
struct download {
	struct download **list, *next;
	struct channel *c;
	const struct download_ops *ops;
	int64_t id, max, got;
	int fd; /* the core's */
	int status;
	char mime[128]; /* without parameters; "" = not told */
	struct http_call *http;
};

/* A zeroed struct of ops->size bytes in the list, which the channel keeps. */
void *download_new(struct download **list, struct channel *c, const struct fetch *want,
		   const struct download_ops *ops);
/* Starts the request. On error the download is still there. */
int download_http(struct download *d, struct http_client *http, const struct http_spec *spec,
		  struct err *e) must_check;
/* Writes bytes; E_LIMIT beyond what the core allows. */
int download_take(struct download *d, const uint8_t *p, size_t n, struct err *e) must_check;
/* The outcome: tells the core and frees. why NULL: all is there. */
void download_end(struct download *d, const struct err *why);
/* No outcome any more. */
void download_free(struct download *d);
void download_cancel(struct download **list, int64_t id);
void download_close(struct download **list);

#endif
