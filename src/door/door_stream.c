// SPDX-License-Identifier: Apache-2.0
/*
 * One HTTP/2 stream as a duplex (runtime/duplex.h): queue, credit, half-close, reset. A down-call
 * never calls up; nghttp2's view of the stream may end before or after the user's, so each side
 * has its own flag, and the memory goes when both have let go (door_bury).
 */
#include "base/log.h"
#include "door/door_impl.h"

static size_t queued(const struct door_stream *s)
{
	return s->out.len - s->out_head;
}

static void resume(struct door_stream *s)
{
	if (s->parked) {
		s->parked = false;
		nghttp2_session_resume_data(s->door->h2, s->id);
	}
	door_kick(s->door);
}

static int op_write(struct duplex *dx, const void *p, size_t n, struct err *e)
{
	struct door_stream *s = container_of(dx, struct door_stream, dx);

	if (s->finish)
		return err_set(e, E_BUG, "write to a stream after its end");
	if (n > DOOR_QUEUE_MAX - queued(s))
		return err_set(e, E_LIMIT, "the sandbox does not read: %zu bytes are queued",
			       queued(s));
	if (s->h2_gone || !n)
		return 0; /* `closed` is on its way and says why */
	if (s->out_head >= s->out.len / 2) {
		buf_drop(&s->out, s->out_head);
		s->out_head = 0;
	}
	buf_put(&s->out, p, n);
	if (queued(s) > dx->high_water)
		s->above = true;
	resume(s);
	return 0;
}

static size_t op_pending(const struct duplex *dx)
{
	return queued(container_of(dx, const struct door_stream, dx));
}

static void op_consumed(struct duplex *dx, size_t n)
{
	struct door_stream *s = container_of(dx, struct door_stream, dx);

	if (s->h2_gone)
		return; /* its credit went back when it ended */
	if (n > s->uncredited) {
		log_oops("door: %zu bytes credited, %zu given", n, s->uncredited);
		n = s->uncredited;
	}
	s->uncredited -= n;
	nghttp2_session_consume(s->door->h2, s->id, n);
	if (nghttp2_session_want_write(s->door->h2))
		door_kick(s->door);
}

static void op_finish(struct duplex *dx)
{
	struct door_stream *s = container_of(dx, struct door_stream, dx);

	if (s->finish || s->h2_gone)
		return;
	s->finish = true;
	resume(s);
}

/* Gives the connection its window back: a stream that ended must not keep a part of it. */
static void return_credit(struct door_stream *s)
{
	if (s->uncredited)
		nghttp2_session_consume_connection(s->door->h2, s->uncredited);
	s->uncredited = 0;
}

static void op_reset(struct duplex *dx)
{
	struct door_stream *s = container_of(dx, struct door_stream, dx);
	struct door *d = s->door;

	if (!s->h2_gone) {
		return_credit(s);
		nghttp2_submit_rst_stream(d->h2, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_CANCEL);
		door_kick(d);
	}
	stream_drop(s);
}

static const struct duplex_ops stream_ops = {
	.write = op_write,
	.pending = op_pending,
	.consumed = op_consumed,
	.finish = op_finish,
	.reset = op_reset,
};

struct door_stream *stream_new(struct door *d, int32_t id)
{
	struct door_stream *s = xcalloc(1, sizeof(*s));

	s->dx.ops = &stream_ops;
	s->dx.high_water = DOOR_HIGH_WATER;
	s->door = d;
	s->id = id;
	s->exit_code = s->exit_signal = -1;
	s->out.max = 2 * DOOR_QUEUE_MAX; /* the taken half is dropped lazily */
	LIST_INSERT_HEAD(&d->streams, s, link);
	nghttp2_session_set_stream_user_data(d->h2, id, s);
	return s;
}

void stream_drop(struct door_stream *s)
{
	struct door *d = s->door;

	if (!s->h2_gone)
		nghttp2_session_set_stream_user_data(d->h2, s->id, NULL);
	LIST_REMOVE(s, link);
	LIST_INSERT_HEAD(&d->graves, s, link);
	s->door = NULL;
}

void door_bury(struct door *d)
{
	struct door_stream *s;

	while ((s = LIST_FIRST(&d->graves))) {
		LIST_REMOVE(s, link);
		buf_free(&s->out);
		free(s);
	}
}

void stream_refuse(struct door *d, int32_t id)
{
	nghttp2_submit_rst_stream(d->h2, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM);
	door_kick(d);
}

void stream_open(struct door_stream *s)
{
	static const nghttp2_nv ok = {(uint8_t *)":status", (uint8_t *)"200", 7, 3,
				      NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE};
	struct door *d = s->door;

	s->opened = true;
	if (s->kind == STREAM_AGENT)
		d->ev->agent(d->ctx, &s->dx);
	else
		d->ev->connection(d->ctx, &s->dx);
	if (!s->door)
		return; /* refused by the user, or the door was freed */
	if (!s->dx.ev) {
		log_oops("door: a stream was taken without events");
		op_reset(&s->dx);
		return;
	}
	if (nghttp2_submit_response(d->h2, s->id, &ok, 1, &stream_provider))
		door_fail(d, E_TEMP, "no memory for an answer");
	door_kick(d);
}

void stream_on_data(struct door_stream *s, const uint8_t *p, size_t n)
{
	s->uncredited += n;
	s->dx.ev->data(s->dx.ctx, p, n);
}

void stream_on_eof(struct door_stream *s)
{
	s->eof = true;
	s->dx.ev->eof(s->dx.ctx);
}

void stream_on_h2_close(struct door_stream *s)
{
	return_credit(s);
	s->h2_gone = true;
	if (s->opened)
		s->door->todo = true;
	else
		stream_drop(s);
}

void stream_tell_closed(struct door_stream *s, const struct err *why)
{
	bool opened = s->opened;

	stream_drop(s);
	if (opened)
		s->dx.ev->closed(s->dx.ctx, why);
}

void stream_tell(struct door_stream *s)
{
	struct err e = ERR_INIT;

	s->tell_drained = false;
	if (!s->h2_gone) {
		s->dx.ev->drained(s->dx.ctx);
		return;
	}
	bool in_order = s->eof && s->fin_sent;
	if (!in_order)
		err_set(&e, E_TEMP, "the connection was reset inside the sandbox");
	stream_tell_closed(s, in_order ? NULL : &e);
}

/* nghttp2 asks how much there is; the bytes themselves are taken by stream_move. */
static ssize_t provide(nghttp2_session *h2, int32_t id, uint8_t *buf, size_t len, uint32_t *flags,
		       nghttp2_data_source *src, void *user)
{
	struct door_stream *s = nghttp2_session_get_stream_user_data(h2, id);

	(void)buf;
	(void)src;
	(void)user;
	if (!s)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	size_t n = queued(s);
	if (!n && !s->finish) {
		s->parked = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	*flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	if (n > len)
		n = len;
	else if (s->finish)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)n;
}
const nghttp2_data_provider stream_provider = {.read_callback = provide};

void stream_move(struct door_stream *s, size_t n)
{
	struct door *d = s->door;

	if (!n)
		return; /* a bare END_STREAM */
	buf_put(&d->out, s->out.p + s->out_head, n);
	s->out_head += n;
	if (s->out_head == s->out.len) {
		buf_reset(&s->out);
		s->out_head = 0;
	}
	if (s->above && queued(s) <= s->dx.high_water / 2) {
		s->above = false;
		s->tell_drained = true;
		d->todo = true;
	}
}
