// SPDX-License-Identifier: Apache-2.0
/*
 * Operator's commands that the running server carries out: one table (command.c), the same for the command line (`chela outbox`)
 * and, later, the main channel. A command answers with lines of text and a status; it may answer later and over time.
 */
#ifndef CHELA_ADMIN_COMMAND_H
#define CHELA_ADMIN_COMMAND_H
#include "admin/cli.h"
#include "admin/control.h"

struct reply; /* one command that is being answered */

struct admin_command {
	const char *name;  /* the first word */
	const char *usage; /* all its forms, one a line: "groups add NAME CHANNEL:CHAT" */
	const char *help;  /* one line */
	/* argv[0] is the name. Must end the reply, now or later. */
	void (*run)(const struct control_opts *o, int argc, char **argv, struct reply *r);
};
extern const struct admin_command *const admin_commands[]; /* NULL-ended */
/* outbox.c */
extern const struct admin_command command_outbox, command_channels;

/* The command line's side: has the server carry out `name` with c's words and prints what it says. Exit status. */
int command_remote(const struct cli *c, const char *name);

/* One line for the person, without a newline. */
void reply_line(struct reply *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The end: status 0 = done, 1 = failed, 2 = wrong words. r is dead. */
void reply_end(struct reply *r, int status);
/* Ends with the error's message as the line. */
void reply_fail(struct reply *r, const struct err *e);
/* Ends with the command's usage. */
void reply_usage(struct reply *r);
/* For a command that answers over time: called once if the person goes away before the end; r is dead then. */
void reply_on_gone(struct reply *r, void (*gone)(void *ctx), void *ctx);

/* control.c makes these. put: one line out; put_end: the last call. */
struct reply_sink {
	void (*line)(void *ctx, const char *text);
	void (*end)(void *ctx, int status);
};
/* Runs argv[0..argc) (copied where kept). The reply is the caller's to break off with command_cancel until `end` was called, which may be before
 * this returns; then what it returns is dead. */
struct reply *command_run(const struct control_opts *o, int argc, char **argv,
			  const struct reply_sink *sink, void *ctx);
void command_cancel(struct reply *r);

#endif
