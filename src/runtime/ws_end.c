// SPDX-License-Identifier: Apache-2.0
/*
 * Owns the end of the WebSocket client's sockets and of its contexts. It exists because libwebsockets ends both by rules of its own on
 * a foreign libuv loop: sockets only from outside of its call-backs, a context by two calls with loop turns between them.
 */
#include <libwebsockets.h>
#include <sys/socket.h>
#include <uv.h>

#include "runtime/loop_internal.h"
#include "runtime/ws_internal.h"

#define GRACE_MS  1000 /* for our close frame to get there */
#define END_TURNS 5 /* from the first call of a destroy to the second: its handles close in three */

/* --- letting go of sockets ------------------------------------------------------------------- */

void ws_lws_forget(struct ws_client *c, uint64_t id)
{
	for (struct ws_doom **p = &c->dooms; *p; p = &(*p)->next) {
		struct ws_doom *d = *p;

		if (d->id == id) {
			*p = d->next;
			free(d);
			return;
		}
	}
}

static void arm_reaper(struct ws_client *c)
{
	int64_t at = INT64_MAX;

	for (const struct ws_doom *d = c->dooms; d; d = d->next)
		if (d->wsi && d->at_ms < at)
			at = d->at_ms;
	if (at != INT64_MAX && !c->dead)
		timer_start(c->reaper, at - loop_now(c->loop), 0);
}

/* At first it may say goodbye: with a close reason set, the library sends the frame and waits. Then, since it would also wait for what
 * it has still to send, the socket is shut for it to find out that it cannot. */
static void kill_wsi(struct lws *wsi, bool polite)
{
	int fd = lws_get_socket_fd(wsi);

	if (fd >= 0 && !polite)
		shutdown(fd, SHUT_RDWR);
	lws_set_timeout(wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
}

static void reap(struct ws_client *c)
{
	int64_t now = loop_now(c->loop);

	for (bool again = true; again;) {
		again = false;
		for (struct ws_doom *d = c->dooms; d; d = d->next) {
			struct lws *wsi = d->wsi;

			if (!wsi || d->at_ms > now)
				continue;
			bool polite = d->polite;

			if (polite) {
				d->polite = false;
				d->at_ms = now + GRACE_MS;
			} else {
				d->wsi = NULL; /* once is enough; its end takes the entry away */
			}
			kill_wsi(wsi, polite);
			again = true; /* the list may have changed */
			break;
		}
	}
	arm_reaper(c);
}

void ws_lws_leave(struct ws *w, bool polite)
{
	struct ws_client *c = w->c;
	struct ws_doom *d;

	if (w->wsi) {
		d = xcalloc(1, sizeof(*d));
		*d = (struct ws_doom){c->dooms, w->id, w->wsi, loop_now(c->loop), polite};
		c->dooms = d;
		arm_reaper(c);
	}
	w->wsi = NULL;
	w->id = 0;
}

static void on_reaper(void *ctx)
{
	struct ws_client *c = ctx;

	if (c->dead)
		timer_start(c->reaper, 1, 0); /* the loop has to go round: see on_check */
	else
		reap(c);
}

/* --- the end of the contexts ------------------------------------------------------------------- */

static void end_finish(struct ws_client *c)
{
	while (c->dooms)
		ws_lws_forget(c, c->dooms->id);
	timer_free(c->reaper);
	SSL_CTX_free(c->ssl);
	free(c->ca_file);
	loop_free_later(c->loop, c);
}

static void on_check_closed(uv_handle_t *h)
{
	struct ws_client *c = h->data;

	free(h);
	loop_hold(c->loop, -1);
	end_finish(c);
}

/* The first call closes a descriptor that the library closes once more when its handle's close is called back: that follows
 * right after this, the loop's last step before it goes round, so that nothing of ours can open one in between. */
static void on_check(uv_check_t *h)
{
	struct ws_client *c = h->data;

	if (c->turns == 0 || c->turns == END_TURNS) {
		lws_context_destroy(c->plain);
		lws_context_destroy(c->tls);
	}
	if (c->turns++ == END_TURNS)
		uv_close((uv_handle_t *)h, on_check_closed);
}

void ws_lws_init(struct ws_client *c)
{
	c->reaper = timer_new(c->loop, "ws reaper", on_reaper, c);
}

void ws_lws_end(struct ws_client *c)
{
	uv_check_t *check;

	c->dead = true;
	if (!c->plain && !c->tls) {
		end_finish(c);
		return;
	}
	loop_hold(c->loop, 1);
	check = xcalloc(1, sizeof(*check));
	uv_check_init(loop_uv(c->loop), check);
	check->data = c;
	uv_check_start(check, on_check);
	timer_start(c->reaper, 0, 0);
}
