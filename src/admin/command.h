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
	const char *help;  /* a line for each form */
	/* argv[0] is the name. Must end the reply, now or later. */
	void (*run)(const struct control_opts *o, int argc, char **argv, struct reply *r);
};
extern const struct admin_command *const admin_commands[]; /* NULL-ended */
/* outbox.c */
extern const struct admin_command command_outbox, command_channels;
/* groups.c */
extern const struct admin_command command_groups, command_chats;
/* whatsapp.c */
extern const struct admin_command command_whatsapp;

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
/* For a command that answers over time: called once if the person goes away before the end; r is dead after it. */
void reply_on_gone(struct reply *r, void (*gone)(void *ctx), void *ctx);

/* Carries out {"argv":[...]}. put is given events (its own from then on): {"ev":"line","text":T} ... {"ev":"end","status":N}. *slot is the reply
 * until its end and NULL after it; it must be NULL before. */
int command_run(const struct control_opts *o, const cJSON *req, struct reply **slot,
		void (*put)(void *ctx, cJSON *event), void *ctx, struct err *e) must_check;
/* The person has gone: nothing is put any more. *slot may be NULL. */
void command_cancel(struct reply **slot);

#endif
