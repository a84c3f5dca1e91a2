// SPDX-License-Identifier: Apache-2.0
/*
 * What the files of the commands share: finding the form that words begin with, and carrying it out for whoever asks. Inside src/admin/command*.c and main only.
 */
#ifndef CHELA_ADMIN_COMMAND_IMPL_H
#define CHELA_ADMIN_COMMAND_IMPL_H
#include "admin/command.h"
#include "base/buf.h"

#define COMMAND_WORDS_MAX 256
#define COMMAND_REFUSED	  3 /* a status beside 0, 1, 2: the person may not */

/* One line of a command, in words. */
struct command_line {
	int n;
	char **words;
	const char *const *
		tails; /* the line from each word on, as it was written; NULL: the words joined by blanks are as good */
};
struct command_from { /* who asks, and where; as in struct command */
	const struct actor *by;
	const struct group_row *here;
	int64_t chat_id;
	const char *thread;
	unsigned where; /* one of CMD_CLI, CMD_MAIN, CMD_GROUP, CMD_AGENT */
};

/* command_table.c */
/* The form with the longest name that the words begin with; a noun alone is its "list". *used: how many words are its name. NULL: none. */
const struct command_form *command_find(int n, char *const *words, int *used);
/* Whether a first word is one of a command that can be said there. */
bool command_word_known(const char *word, unsigned where);
/* Whether one was probably meant. */
bool command_word_near(const char *word, unsigned where);
/* Whether a second word is one letter away from one that follows the first. */
bool command_verb_slip(const char *noun, const char *verb, unsigned where);
/* The form that was probably meant by words that are none, or NULL. */
const struct command_form *command_near(int n, char *const *words, unsigned where);
/* "chela groups add NAME [CHANNEL:CHAT]" */
void command_put_usage(struct buf *out, const char *lead, const struct command_form *f);
/* Each form, in the order of the help. */
typedef void command_form_fn(void *ctx, const struct command_form *f);
void command_each(command_form_fn *fn, void *ctx);

/* command.c */
/* Decides, notes it in the record, and has it done. The answer goes to `to`, perhaps later; *slot as in command_run. */
void command_do(const struct control_opts *o, const struct command_line *line,
		const struct command_from *from, struct reply **slot, const struct reply_to *to,
		void *ctx);

/* command_help.c */
/* What can be done there by that role; word: "" = all of it in short, else the forms of one command. False: no such command. */
bool command_put_help(struct buf *out, const char *word, const char *lead, unsigned where,
		      enum role role);
/* {"commands": [...], "tools": [...]} */
cJSON *command_help_json(void);

#endif
