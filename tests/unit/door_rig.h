// SPDX-License-Identifier: Apache-2.0
/*
 * A rig for the door's tests: the state of both ends, and the user of the door, who notes each
 * up-call and fails the test on one that the contract forbids. door_peer.h is the other end.
 */
#ifndef CHELA_TESTS_DOOR_RIG_H
#define CHELA_TESTS_DOOR_RIG_H
#include "unit.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include "base/buf.h"
#include "base/str.h"
#include "door/door_impl.h"

#define PEER_STREAMS 160
#define USES	     160

struct rig;

/* The host's side of one stream, as its user sees it. */
struct use {
	struct rig *r;
	struct duplex *dx; /* NULL after closed or reset */
	struct buf got;
	size_t total; /* bytes that came, kept or not */
	size_t owed;  /* not yet credited */
	int eofs, drains, closes;
	struct err why; /* of closed; E_NONE when in order */
	bool hoard;	/* do not credit */
	bool blind;	/* count bytes, do not keep them */
};

/* The runner's side of one stream. */
struct peer_stream {
	int32_t id;
	char status[8];
	struct buf got, send;
	size_t sent, total;
	bool fin, parked, blind;
	bool ended; /* END_STREAM came */
	bool closed;
	uint32_t code; /* of the close */
	const char *trailer, *value;
};

enum at {
	AT_NOWHERE,
	AT_AGENT,
	AT_EXIT,
	AT_CONN,
	AT_LOG,
	AT_CLOSED,
	AT_DATA,
	AT_EOF,
	AT_DRAINED,
	AT_STREAM_CLOSED
};

struct rig {
	struct loop *l;
	struct timer *dog;
	struct turn_hook *hook;
	bool (*until)(struct rig *r);
	struct door *door;
	enum at free_at; /* frees the door inside this up-call */
	bool refuse;	 /* reset each connection in its up-call */
	int calls[AT_STREAM_CLOSED + 1];
	struct use uses[USES]; /* [0] is the agent */
	int n_uses;
	int exit_code, exit_signal;
	char lines[4][1100];
	int n_lines;
	struct err why;
	/* the runner */
	int fd;
	struct watch *w;
	nghttp2_session *cl;
	bool peer_eof, deaf_peer, no_credit;
	size_t slice; /* most bytes a frame, 0 = 32 KiB */
	struct buf tx;
	struct peer_stream ps[PEER_STREAMS];
	int n_ps;
	uint32_t goaway;
};

/* --- the user of the door --- */

static void at(struct rig *r, enum at what)
{
	assert_non_null(r->door); /* no up-call after door_free */
	r->calls[what]++;
	if (r->free_at == what) {
		door_free(r->door);
		r->door = NULL;
		for (int i = 0; i < r->n_uses; i++)
			r->uses[i].dx = NULL;
	}
}

static void use_data(void *ctx, const uint8_t *p, size_t n)
{
	struct use *u = ctx;

	assert_non_null(u->dx);
	if (!u->blind)
		buf_put(&u->got, p, n);
	u->total += n;
	u->owed += n;
	at(u->r, AT_DATA);
	if (u->dx && !u->hoard) {
		duplex_consumed(u->dx, u->owed);
		u->owed = 0;
	}
}

static void use_eof(void *ctx)
{
	struct use *u = ctx;

	assert_non_null(u->dx);
	assert_int_equal(u->eofs++, 0);
	at(u->r, AT_EOF);
}

static void use_drained(void *ctx)
{
	struct use *u = ctx;

	assert_non_null(u->dx);
	u->drains++;
	at(u->r, AT_DRAINED);
}

static void use_closed(void *ctx, const struct err *why)
{
	struct use *u = ctx;

	assert_non_null(u->dx);
	u->dx = NULL;
	u->closes++;
	if (why)
		u->why = *why;
	at(u->r, AT_STREAM_CLOSED);
}

static const struct duplex_events use_events = {use_data, use_eof, use_drained, use_closed};

static struct use *use_take(struct rig *r, struct duplex *d)
{
	struct use *u = &r->uses[r->n_uses++];

	assert_true(r->n_uses <= USES);
	u->r = r;
	u->dx = d;
	d->ev = &use_events;
	d->ctx = u;
	return u;
}

static void on_agent(void *ctx, struct duplex *d)
{
	struct rig *r = ctx;

	assert_int_equal(r->n_uses, 0);
	use_take(r, d);
	at(r, AT_AGENT);
}

static void on_exit_status(void *ctx, int code, int signo)
{
	struct rig *r = ctx;

	r->exit_code = code;
	r->exit_signal = signo;
	at(r, AT_EXIT);
}

static void on_connection(void *ctx, struct duplex *d)
{
	struct rig *r = ctx;

	if (r->refuse)
		duplex_reset(d);
	else
		use_take(r, d);
	at(r, AT_CONN);
}

static void on_log(void *ctx, const char *line)
{
	struct rig *r = ctx;

	str_copy(r->lines[r->n_lines++ % 4], sizeof(r->lines[0]), line);
	at(r, AT_LOG);
}

static void on_closed(void *ctx, const struct err *why)
{
	struct rig *r = ctx;

	r->why = *why;
	for (int i = 0; i < r->n_uses; i++)
		assert_null(r->uses[i].dx); /* all were closed before */
	at(r, AT_CLOSED);
}

static const struct door_events rig_events = {on_agent, on_exit_status, on_connection, on_log,
					      on_closed};

#endif
