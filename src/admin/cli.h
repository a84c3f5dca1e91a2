// SPDX-License-Identifier: Apache-2.0
/*
 * The command line: one table of subcommands, shared options, and what each command needs to begin.
 */
#ifndef CHELA_ADMIN_CLI_H
#define CHELA_ADMIN_CLI_H
#include "base/err.h"
#include "base/mem.h"
#include "policy/config.h"

#ifndef CHELA_VERSION
#define CHELA_VERSION "unknown"
#endif

struct cli {
	const char *home;   /* --home, CHELA_HOME, or found */
	const char *config; /* --config, CHELA_CONFIG, or NULL */
	int argc;	    /* what follows the subcommand */
	char **argv;
};

struct cli_command {
	const char *name, *usage, *help;
	int (*run)(const struct cli *c); /* exit status */
};

/* Prints "chela: message" to stderr; returns 1, or 2 for E_INVAL. */
int cli_fail(const struct err *e);
/* make_home: a home that is not there yet is made. Loads the config of c, with the environment's ANTHROPIC_BASE_URL over it. */
int cli_config(const struct cli *c, bool make_home, struct config *cfg, struct err *e) must_check;
/* Takes "--name" out of c's words; true when it was there. */
bool cli_flag(struct cli *c, const char *name);
/* Takes "--name VALUE" out; NULL when absent. */
const char *cli_value(struct cli *c, const char *name);
/* Fails with the command's usage when words are left. */
int cli_no_more(const struct cli *c, const char *usage, struct err *e) must_check;

int cmd_chat(const struct cli *c);
int cmd_status(const struct cli *c);
int cmd_doctor(const struct cli *c);

#endif
