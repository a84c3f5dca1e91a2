// SPDX-License-Identifier: Apache-2.0
/*
 * The inside of the door, shared by door.c (life, descriptor, timers), door_h2.c (the HTTP/2
 * server) and door_stream.c (duplexes); for tests and the fuzzer also the way in without a
 * descriptor to read from. Nobody else includes this.
 *
 * Re-entrance: nghttp2 forbids feeding, sending and deleting from inside its callbacks, and
 * duplex.h forbids up-calls from inside down-calls. So down-calls only change state and ask for a flush;
 * `closed` and `drained` are noted and told at the end of the entry (door_leave); memory goes when nothing of
 * the door is on the stack and no deferred call is due.
 */
#ifndef CHELA_DOOR_DOOR_IMPL_H
#define CHELA_DOOR_DOOR_IMPL_H
#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <sys/queue.h>
#include "base/buf.h"
#include "door/door.h"
#include "base/guest_log.h"
#include "door/frames.h"

#define DOOR_STREAMS	   100
#define DOOR_STREAM_WINDOW (1 << 20)
#define DOOR_CONN_WINDOW   (4 << 20)
#define DOOR_FRAME_RECV	   (256u << 10) /* SETTINGS_MAX_FRAME_SIZE we announce */
#define DOOR_FRAME_SEND	   (64u << 10)	/* our DATA frames: nghttp2 keeps a buffer of this size */
#define DOOR_HEADERS_MAX   4096		/* RFC 9113 6.5.2: names + values + 32 each */
#define DOOR_OUT_MAX	   (256u << 10) /* gathered for one write */
#define DOOR_HIGH_WATER	   (256u << 10)
#define DOOR_QUEUE_MAX	   (1u << 20)
#define DOOR_FRAMES_QUEUED 1000 /* answers the sandbox lets pile up before it is cut off */
#define DOOR_IDLE_FRAMES                                                                           \
	20000 /* a second: frames of known types without data; others cost next to nothing */

enum stream_kind {
	STREAM_UNKNOWN,
	STREAM_AGENT,
	STREAM_TCP
};

struct door_stream {
	struct duplex dx;
	struct door *door; /* NULL once the user let go */
	int32_t id;
	LIST_ENTRY(door_stream) link; /* in door->streams or door->graves */
	enum stream_kind kind;
	unsigned seen;		    /* request pseudo-headers that were as they must be */
	unsigned header_sum;	    /* bytes of header list */
	int version;		    /* chela-door */
	int exit_code, exit_signal; /* from the trailers; -1 = not given */
	bool opened;		    /* the user knows of it */
	bool eof;		    /* peer's END_STREAM was seen */
	bool finish;		    /* user's half-close */
	bool fin_sent;		    /* our END_STREAM was handed to nghttp2 */
	bool parked;		    /* data provider deferred */
	bool above;		    /* over the high-water mark */
	bool tell_drained;
	bool h2_gone;	   /* nghttp2 closed it; `closed` is due */
	size_t uncredited; /* bytes given to the user and not yet consumed */
	struct buf out;
	size_t out_head; /* bytes of `out` already taken */
};
LIST_HEAD(stream_list, door_stream);

enum door_clock {
	CLOCK_HELLO,
	CLOCK_QUIET,
	CLOCK_PING
};

struct door {
	struct loop *loop;
	int fd; /* -1 once over */
	const struct door_events *ev;
	void *ctx;
	struct door_opts opt;
	struct watch *watch;
	int watching;
	struct timer *timer;
	enum door_clock clock; /* what the timer waits for */
	uint64_t ping;
	nghttp2_session *h2;
	struct frames frames;
	struct guest_log log;
	struct buf out;
	size_t out_head;
	struct stream_list streams, graves;
	int depth;     /* entries on the stack */
	bool deferred; /* a flush is due at the end of the turn */
	bool todo;     /* some stream has tell_drained or h2_gone */
	bool had_agent;
	bool deaf;    /* the kernel takes no more output */
	bool h2_dead; /* nghttp2 failed; it may only be deleted */
	bool failed;  /* why is set; `closed` is due or told */
	bool told;
	bool freed;
	struct err why;
	char h2_error[128]; /* nghttp2's last words, cleaned */
	int64_t slot;	    /* second in which idle_frames counts */
	unsigned idle_frames;
};

/* --- door.c --- */
/* Everything that may lead to an up-call runs between these two. */
static inline void door_enter(struct door *d)
{
	d->depth++;
}
void door_leave(struct door *d);
/* Notes the end; the first reason wins. What is due is told in door_leave. */
void door_fail(struct door *d, enum err_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static inline bool door_is_over(const struct door *d)
{
	return d->freed || d->failed;
}
/* Asks for one flush at the end of this turn. */
void door_kick(struct door *d);
void door_start_clock(struct door *d, enum door_clock c);
/* Bytes of the attach stream, framed. The way in for tests and the fuzzer; frees are put off until it returns. */
void door_feed(struct door *d, const uint8_t *p, size_t n);

/* --- door_h2.c --- */
void door_h2_new(struct door *d);
void door_h2_feed(struct door *d, const uint8_t *p, size_t n);
/* Moves what nghttp2 has to say into d->out, up to DOOR_OUT_MAX. */
void door_h2_fill(struct door *d);
/* True when both sides are done with the session. */
bool door_h2_is_done(const struct door *d);
void door_h2_ping(struct door *d);

/* --- door_stream.c --- */
struct door_stream *stream_new(struct door *d, int32_t id);
/* The request is complete: asks the user, then answers or refuses. */
void stream_open(struct door_stream *s);
void stream_refuse(struct door *d, int32_t id);
void stream_on_data(struct door_stream *s, const uint8_t *p, size_t n);
void stream_on_eof(struct door_stream *s);
void stream_on_h2_close(struct door_stream *s);
/* Moves n bytes of the queue into d->out (nghttp2 was promised them). */
void stream_move(struct door_stream *s, size_t n);
/* Tells what is due; why is NULL unless the whole door ended. */
void stream_tell(struct door_stream *s);
void stream_tell_closed(struct door_stream *s, const struct err *why);
/* Takes it from the user without a word; memory goes with door_bury. */
void stream_drop(struct door_stream *s);
void door_bury(struct door *d);
extern const nghttp2_data_provider stream_provider;

#endif
