// SPDX-License-Identifier: Apache-2.0
/*
 * The insides of `chela chat`: one connection to the control socket that comes back by itself, and a face (terminal or pipe)
 * that shows what comes. What was said is kept until the server says that it is settled, and said again
 * with the same id after a reconnect: the server knows it then.
 */
#ifndef CHELA_ADMIN_CHAT_H
#define CHELA_ADMIN_CHAT_H
#include "admin/cli.h"
#include "base/json.h"
#include "base/lines.h"
#include "runtime/duplex.h"
#include "runtime/loop.h"
#include "runtime/proc.h"

struct chat;

/* A message of the history or a new one, each exactly once and in order. */
struct chat_message {
	int64_t seq;
	bool ours; /* from the assistant */
	bool notice;
	bool old; /* from before this chat began */
	const char *text;
};

struct chat_face {
	int64_t since; /* history wanted at the start: as in the control protocol */
	int (*open)(struct chat *c, struct err *e);
	void (*close)(struct chat *c);
	void (*ready)(struct chat *c, const char *assistant, bool demo);
	void (*message)(struct chat *c, const struct chat_message *m);
	void (*progress)(struct chat *c, const char *kind, const char *text);
	/* why != NULL: refused, nothing was kept. */
	void (*settled)(struct chat *c, bool failed, const char *why);
	void (*synced)(struct chat *c);
	void (*trouble)(struct chat *c, const char *words);
};
extern const struct chat_face chat_term, chat_pipe;

struct said {
	struct said *next;
	char id[37];
	char *text;
};

struct chat {
	struct loop *loop;
	const struct config *cfg;
	const struct chat_face *face;
	void *priv; /* the face's */
	const char *group;
	bool at_terminal; /* what comes is shown to a person, not piped on */
	/* connection */
	struct duplex *d;
	struct line_reader lines;
	bool dead; /* stop feeding lines: the connection is gone */
	bool greeted, was_up;
	int64_t last; /* highest sequence number shown; -1 before the first sync */
	struct said *said;
	struct timer *retry;
	int tries;
	/* a server of our own */
	bool serve;
	struct proc *server;
	off_t log_from; /* where its words begin in chela.log */
	struct watch *ready_watch;
	int ready_fd;
	bool leaving;
	int status;
};

void chat_say(struct chat *c, const char *text, size_t n);
void chat_stop_turn(struct chat *c);
/* Asks for what may have been missed; ends with face->synced. */
void chat_sync(struct chat *c);
/* Ends the program with this status, and the server if it is ours. */
void chat_leave(struct chat *c, int status);

/* chat_server.c: starts `chela serve` and calls chat_connect when it is ready. */
int chat_start_server(struct chat *c, struct err *e) must_check;
void chat_server_free(struct chat *c);
/* Ends our own server; the loop stops when it is gone. */
void chat_end_server(struct chat *c);
/* Connects now; false when nobody answers. */
bool chat_connect(struct chat *c, struct err *e);

#endif
