// SPDX-License-Identifier: Apache-2.0
/*
 * Commands that the running server carries out: one table, the same for the command line, for chats, and (what only reads) for the main group's agent. Each form
 * ("groups add NAME") says who may use it and where; help, completion, errors and the tests of who may what come from the same table. A command answers with lines of
 * text and a status; it may answer later and over time.
 */
#ifndef CHELA_ADMIN_COMMAND_H
#define CHELA_ADMIN_COMMAND_H
#include "admin/cli.h"
#include "admin/control.h"
#include "router/may.h"

/* Where a form can be used. */
enum {
	CMD_CLI = 1,   /* on the command line, by the operator */
	CMD_MAIN = 2,  /* in a chat of the main group: "/groups list" or "chela groups list" */
	CMD_GROUP = 4, /* in a chat of any group, about that group alone */
	CMD_AGENT = 8, /* it only reads: also a tool of the main group's agent */
	CMD_EVERYWHERE = CMD_CLI | CMD_MAIN | CMD_GROUP | CMD_AGENT,
};

struct reply; /* one command that is being answered */

struct command { /* one that is being carried out; valid during run only, r until its end */
	const struct control_opts *o;
	const struct command_form *form;
	int argc; /* the words behind the form's name */
	char **argv;
	const struct actor *by;
	const struct group_row *here; /* whose chat it was said in; NULL on the command line */
	int64_t chat_id;	      /* 0 = on the command line, or by an agent */
	const char *thread;
	unsigned where;	  /* one of CMD_CLI, CMD_MAIN, CMD_GROUP, CMD_AGENT */
	const char *lead; /* how a command is written there: "chela " or "/", for hints */
	struct reply *r;
};

struct command_form {
	const char *name; /* one word or two: "status", "groups add" */
	const char *args; /* "NAME [CHANNEL:CHAT]"; "" = none */
	const char *help; /* one line, for people */
	unsigned where;
	enum role least;
	int min, max; /* words behind the name */
	bool rest; /* all that follows the words before the last is one word: a prompt need not be quoted */
	/* -1: failed, e says why. 0: done. COMMAND_USAGE: the words are wrong. COMMAND_LATER: it ends the reply by itself, now or later. */
	int (*run)(struct command *c, struct err *e);
};
enum {
	COMMAND_USAGE = 1,
	COMMAND_LATER,
};
/* Each file has one array, `const struct command_form commands_NOUN[]`, ended by a form without a name; command_table.c lists them all, in the order of
 * the help. A noun alone ("groups") is the form "groups list" unless there is a form of that name. */
extern const struct command_form *const command_tables[];

/* The group that a command is about: named by word, else the one it was said in, else main. A name of another group than the one it was said in is E_PERM unless that is main. */
int command_group(const struct command *c, const char *word, struct group_row *out,
		  struct err *e) must_check;
/* The same, for what is done to the group: what a member may do in the own group, only an admin of main may do to others. */
int command_group_act(const struct command *c, const char *word, struct group_row *out,
		      struct err *e) must_check;
/* The number by which a command names a thing. What is no number is no `what` ("a run"), which the command `list` lists. */
int command_id(const struct command *c, const char *what, const char *list, int64_t *id,
	       struct err *e) must_check;
/* What a list is put together with: where its lines go, and how many there were. */
struct listing {
	struct reply *r;
	int64_t n;
};
/* One line for the person, without a newline. */
void reply_line(struct reply *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Several: text may hold newlines. */
void reply_text(struct reply *r, const char *text);
/* The end: status 0 = done, 1 = failed, 2 = wrong words. r is dead. */
void reply_end(struct reply *r, int status);
/* Ends with the error's message as the line. */
void reply_fail(struct reply *r, const struct err *e);

/* For a command that answers over time: called once if the person goes away before the end; r is dead after it. */
void reply_on_gone(struct reply *r, void (*gone)(void *ctx), void *ctx);

/* The command line's side: has the server carry out c's words, beginning with `name`, and prints what it says. Exit status. */
int command_remote(const struct cli *c, const char *name);
/* Whether the first word of a command line is one of the table's. */
bool command_known(const char *name);

/* Who hears an answer. */
struct reply_to {
	const char *lead;    /* before a command's name in usages: "chela " or "/" */
	const char *trouble; /* before an error's words */
	void (*line)(void *ctx, const char *text);
	void (*end)(
		void *ctx,
		int status); /* 3: the person may not; else as in reply_end. The reply is gone */
};
/* Carries out {"argv":[...]} for the operator. *slot is the reply until its end and NULL after it; it must be NULL before. */
int command_run(const struct control_opts *o, const cJSON *req, struct reply **slot,
		const struct reply_to *to, void *ctx, struct err *e) must_check;
/* The person has gone: nothing is put any more. *slot may be NULL. */
void command_cancel(struct reply **slot);

/* What the router calls for lines in chats and for the agent of main; ctx is a struct control_opts. */
extern const struct router_commands command_router;
/* Answers under way in chats. Free it before the router: who still waits is told that the server ends. */
struct commands *commands_new(void);
void commands_free(struct commands *c);

#endif
