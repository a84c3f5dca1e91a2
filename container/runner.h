// SPDX-License-Identifier: Apache-2.0
//
// The runner: PID 1 of a sandbox. It starts the agent under a uid of its own and carries the agent's
// stdin/stdout, and each loopback connection, as HTTP/2 streams over the container's stdin/stdout
// (the door, wire version 1). It holds no policy, no key and no secret; the host treats whatever it
// says as if an attacker wrote it. This header is the seam between its five files:
//   runner.c        flags, start-up order, the epoll loop, signals, the end
//   runner_door.c   the HTTP/2 session: the only reader and writer of fds 0 and 1
//   runner_flow.c   byte streams: the agent's pipes and the tcp connections, with their backlogs
//   runner_agent.c  the launcher process (the agent's uid) and the dropping of privileges
//   runner_log.c    rate-capped lines on stderr
// One process, one thread, no timer: an idle runner does not wake up.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/types.h>

#include <nghttp2/nghttp2.h>

#ifndef RUNNER_VERSION
#define RUNNER_VERSION "0.1.0"
#endif
#define DOOR_VERSION "1"

enum {
	TCP_MAX = 64,		 // live loopback connections; beyond it the runner stops accepting
	FLOW_MAX = 1 + TCP_MAX,	 // slot 0 is the agent
	STREAM_WINDOW = 1 << 20, // bytes the host may have in flight on a stream
	CONN_WINDOW = 4 << 20,	 // bytes the host may have in flight on the connection
	BACKLOG_SOFT = 16 << 20, // above it the connection's window is no longer topped up
	FRAME_MAX = 256 << 10,	 // largest DATA frame, both ways
	GATHER_MAX = 64 << 10,	 // small frames are written together up to here
	PIPE_BYTES = 1 << 20,	 // wished capacity of the pipes
	HEADER_LIST_MAX = 4 << 10, // announced to the host
	LINE_MAX_BYTES = 1 << 10,  // one log line, prefix included
};

// Exit codes of the runner.
enum {
	EXIT_DOOR_ENDED = 0,
	EXIT_BROKEN = 1,
	EXIT_USAGE = 2
};

// An fd in the epoll set. Registered exactly while `events` is not 0, so that a hang-up of an fd we
// can do nothing about cannot spin the loop. `key` comes back in epoll_data.
struct watch {
	int fd;
	uint32_t events;
	uint64_t key;
};

enum watch_kind {
	WATCH_SIGNAL,
	WATCH_DOOR_IN,
	WATCH_DOOR_OUT,
	WATCH_LISTEN,
	WATCH_LAUNCHER,
	WATCH_STDERR,
	WATCH_FLOW_READ,
	WATCH_FLOW_WRITE,
};

// Bytes that a slow reader has not taken yet; never more than STREAM_WINDOW.
struct backlog {
	unsigned char *p;
	size_t off, len, cap;
};

// One byte stream between an fd pair in the sandbox and an HTTP/2 stream. For tcp rfd == wfd.
struct flow {
	bool used;
	bool tcp;
	bool deferred;	 // the session waits for flow_ready() before it asks for data again
	bool read_eof;	 // our side has ended: nothing more to read
	bool host_eof;	 // END_STREAM came
	bool write_done; // wfd is shut down or gone
	int32_t stream;	 // HTTP/2 stream id, -1 once the stream is closed
	int rfd, wfd;
	struct watch rd, wr; // tcp uses rd alone, for both directions
	struct backlog back;
};

struct rate {
	int64_t tokens_ms; // millitokens
	int64_t last_ms;
	unsigned long dropped;
};

struct log {
	struct rate own, agent;
	char line[LINE_MAX_BYTES]; // the agent's unfinished stderr line
	size_t line_len;
};

// What the launcher and the runner tell each other (SOCK_SEQPACKET, one struct a packet). The
// launcher shares the agent's uid, so the runner believes none of it beyond the agent's own fate.
enum launcher_kind {
	LAUNCHER_GO = 1,
	LAUNCHER_STARTED,
	LAUNCHER_EXITED,
	LAUNCHER_SIGNAL
};
struct launcher_msg {
	uint32_t kind;
	int32_t value; // pid, wait status, or signal number
};

struct agent {
	pid_t launcher, pid;
	bool exited;
	int status; // wait status, valid when exited
	struct watch ctl, err;
};

struct door {
	nghttp2_session *session;
	struct watch in, out;
	unsigned char *in_buf; // FRAME_MAX bytes
	unsigned char *gather; // GATHER_MAX bytes
	size_t gather_off, gather_len;
	const unsigned char *big; // the session's own memory, valid until the next mem_send
	size_t big_len;
	size_t owed;	    // received, not yet credited on the connection
	size_t backlog;	    // sum of all flows' backlogs
	bool trailers_sent; // the agent's fate is on the wire
};

struct options {
	uid_t agent_uid, runner_uid;
	uint16_t port;
	bool keep_uid; // tests only: no uid is changed, nothing is locked
	const char *cwd;
	char **argv;
};

struct runner {
	struct options opt;
	struct log log;
	struct agent agent;
	struct door door;
	struct flow flows[FLOW_MAX];
	struct watch signals, listener;
	int epoll;
	int tcp_live;
	bool accept_paused; // out of fds: wait until a connection ends
	bool stopping;	    // SIGTERM came: end once the agent's fate is told
	bool over;
	int exit_code;
};

// runner.c

// Make `w` wait for exactly `events`; 0 takes it out of the epoll set.
void watch_set(struct runner *r, struct watch *w, uint32_t events);
void watch_init(struct watch *w, int fd, enum watch_kind kind, unsigned slot);
static inline uint64_t watch_key(enum watch_kind kind, unsigned slot)
{
	return (uint64_t)kind << 32 | slot;
}
// End the loop after this turn. The first caller's code and reason win; `why` is logged.
__attribute__((format(printf, 3, 4))) void runner_end(struct runner *r, int code, const char *why,
						      ...);

// runner_log.c

// One line "runner: ..." on stderr. Never blocks, never fails: a line that does not fit the rate or
// the pipe is dropped and counted. Callers never pass payload bytes or header values of the host.
__attribute__((format(printf, 2, 3))) void log_line(struct log *l, const char *fmt, ...);
// Bytes of the agent's stderr; complete lines go out as "agent: ...".
void log_agent(struct log *l, const char *p, size_t n);
void log_agent_end(struct log *l);

// runner_agent.c

// Become uid/gid `uid` with no group, no capability, not dumpable, and prove it by reading all of it
// back. NULL, or what went wrong (static text); the caller must then end the process.
const char *priv_drop(uid_t uid);
// no_new_privs, not dumpable, reaper of orphans. For the whole sandbox, before the first fork.
const char *priv_prepare(void);
// Make the pipes and fork the launcher, which drops its privileges and waits. On success the agent's
// ends are in flows[0] and r->agent. NULL or what went wrong.
const char *agent_start(struct runner *r);
// Let the launcher start the agent: only once the runner has proved that it is locked itself.
void agent_release(struct runner *r);
// The launcher's socket is readable.
void agent_ctl_ready(struct runner *r);
// The agent's stderr is readable.
void agent_err_ready(struct runner *r);
// SIGCHLD: reap everything there is.
void agent_reap(struct runner *r);
// Ask the launcher to signal the agent's process group.
void agent_signal(struct runner *r, int sig);

// runner_flow.c

struct flow *flow_find(struct runner *r, int32_t stream);
// Take a free tcp slot for `fd`; NULL when all 64 are in use.
struct flow *flow_open_tcp(struct runner *r, int fd);
// Data source of the session: at most `n` bytes into `p`; as nghttp2_data_source_read_callback.
ssize_t flow_pull(struct runner *r, struct flow *f, uint8_t *p, size_t n, uint32_t *flags);
// DATA came from the host.
void flow_push(struct runner *r, struct flow *f, const uint8_t *p, size_t n);
// END_STREAM came from the host.
void flow_push_end(struct runner *r, struct flow *f);
// The HTTP/2 stream is gone; `clean` = both sides had ended it.
void flow_stream_closed(struct runner *r, struct flow *f, bool clean);
// epoll has news about the flow.
void flow_ready(struct runner *r, struct flow *f, uint32_t events);
// Let the session ask for data again, if it waits.
void flow_resume(struct runner *r, struct flow *f);
// Drop the connection hard (TCP reset) and free the slot. The stream is not told.
void flow_abort(struct runner *r, struct flow *f);
// Wait for exactly what would make progress. Once per loop turn.
void flow_rearm(struct runner *r, struct flow *f);

// runner_door.c

// Build the session, queue the preface, SETTINGS and the agent's stream. NULL or what went wrong.
const char *door_start(struct runner *r);
void door_readable(struct runner *r);
// Write all that the session has, as far as the pipe takes it.
void door_flush(struct runner *r);
// Open a tcp stream for `f` / reset it.
void door_open_tcp(struct runner *r, struct flow *f);
void door_reset(struct runner *r, struct flow *f);
// Tell the host how the agent ended; called once, by flow_pull.
void door_agent_trailers(struct runner *r, int32_t stream);
// `n` received bytes of the flow's stream have been passed on, or thrown away: give credit.
void door_credit_stream(struct runner *r, int32_t stream, size_t n);
// Give what credit of the connection the backlog allows.
void door_credit_conn(struct runner *r);
