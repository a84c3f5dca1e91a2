// SPDX-License-Identifier: Apache-2.0
/*
 * The one door of one sandbox: an HTTP/2 server (RFC 9113 over libnghttp2) on the descriptor that Docker's attach gave.
 * It takes Docker's 8-byte frames off, checks the wire version, and turns the runner's streams
 * into duplexes. Everything that arrives is treated as if an attacker wrote it: a broken frame, a
 * forged stream or an oversized header ends this door only. It never decides what may leave: that is the gateway's work.
 *
 * Bounds, per door: 1 MiB of uncredited input and 1 MiB of queued output a stream, 4 MiB of input for the
 * connection, 100 streams, 256 KiB of output in flight towards the kernel.
 */
#ifndef CHELA_DOOR_DOOR_H
#define CHELA_DOOR_DOOR_H
#include "runtime/duplex.h"
#include "runtime/loop.h"

#define DOOR_WIRE_VERSION 1

struct door;

struct door_events {
	/* The handshake is done; d is the agent's stdin (write) and stdout (data). Set d->ev and d->ctx
	 * before returning. Called once. */
	void (*agent)(void *ctx, struct duplex *d);
	/* The agent's process ended (its duplex sees eof as well). signo 0 = exited with code. */
	void (*agent_exit)(void *ctx, int code, int signo);
	/* A connection from inside. Set d->ev and d->ctx before returning, or duplex_reset it. */
	void (*connection)(void *ctx, struct duplex *d);
	/* One log line from inside (stderr), no newline, at most 1 KiB, control characters replaced. Untrusted text. */
	void (*log)(void *ctx, const char *line);
	/* The door is gone: all its duplexes were closed before this call. why: E_PROTO (attack or
	 * bug inside), E_TEMP (end of the attach, ping timeout), E_INVAL (wire version). The last call; free the door after it. */
	void (*closed)(void *ctx, const struct err *why);
};

struct door_opts {
	int64_t ping_ms;      /* 0 = 15 s */
	int64_t ping_dead_ms; /* 0 = 30 s */
	int64_t hello_ms;     /* time for the handshake; 0 = 30 s */
};

/* Takes fd (non-blocking is set here). Reading starts with the next turn of the loop. */
struct door *door_new(struct loop *l, int fd, const struct door_opts *o,
		      const struct door_events *ev, void *ctx);
/* Ends the connection (the runner then ends the sandbox) and frees. No up-call follows. Safe inside any up-call. */
void door_free(struct door *d);

#endif
