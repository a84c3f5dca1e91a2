// SPDX-License-Identifier: Apache-2.0
/* The command table and the shared options. Everything that a command does lies in the floors below. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "admin/cli.h"
#include "admin/command.h"
#include "base/log.h"
#include "base/str.h"
#include "serve.h"

#define INSTALLED_HOME "/var/lib/chela"
#define ADMIN_MAX      32 /* of admin_commands, for the hint */

static int cmd_version(const struct cli *c)
{
	struct err e = ERR_INIT;

	if (cli_no_more(c, "version", &e) < 0)
		return cli_fail(&e);
	printf("chela %s\n", CHELA_VERSION);
	return 0;
}

static int cmd_help(const struct cli *c);

static const struct cli_command commands[] = {
	{"serve", "serve [--ready-fd N]", "run the server in the foreground", cmd_serve},
	{"chat", "chat [--serve] [GROUP]",
	 "talk to a group's agent (--serve: start a server if none runs)", cmd_chat},
	{"status", "status [--json]", "what the server is doing", cmd_status},
	{"doctor", "doctor", "check this machine and the configuration, each line with its fix",
	 cmd_doctor},
	{"version", "version", "print the version", cmd_version},
	{"help", "help", "print this list", cmd_help},
};

static int cmd_help(const struct cli *c)
{
	(void)c;
	printf("usage: chela [--home DIR] [--config FILE] COMMAND ...\n\n");
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		printf("  %-24s %s\n", commands[i].usage, commands[i].help);
	printf("\nof the running server:\n");
	for (size_t i = 0; admin_commands[i]; i++) {
		const struct admin_command *a = admin_commands[i];

		for (const char *p = a->usage, *h = a->help; p;) {
			size_t n = strcspn(p, "\n"), k = strcspn(h, "\n");

			printf("  %-40.*s %.*s\n", (int)n, p, (int)k, h);
			p = p[n] ? p + n + 1 : NULL;
			h += k + (h[k] == '\n');
		}
	}
	printf("\nState lies in --home, CHELA_HOME, the current folder when it is a checkout of\n"
	       "chela, or " INSTALLED_HOME ". Configuration: config/chela.yaml in there.\n");
	return 0;
}

/* A checkout is recognised by the sample config that it brings. */
static const char *find_home(void)
{
	const char *home = getenv("CHELA_HOME");
	struct stat st;

	if (home && home[0])
		return home;
	if (stat("config/policy.default.yaml", &st) == 0 && stat("src/warden", &st) == 0)
		return ".";
	return INSTALLED_HOME;
}

static int unknown(const char *word)
{
	const char *names[ARRAY_LEN(commands) + ADMIN_MAX + 1] = {0}, *near;
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		names[n++] = commands[i].name;
	for (size_t i = 0; admin_commands[i] && i < ADMIN_MAX; i++)
		names[n++] = admin_commands[i]->name;
	near = str_nearest(word, names);
	fprintf(stderr, "chela: there is no command \"%.40s\"%s%s (all: chela help)\n", word,
		near ? "; did you mean: chela " : "", near ? near : "");
	return 2;
}

int main(int argc, char **argv)
{
	struct cli c = {.argc = argc - 1, .argv = argv + 1};
	const char *word;

	/* A command's standard error is for its own words; the server sets its log up by its configuration. */
	log_init(&(struct log_opts){.fd = 2, .level = LOG_ERROR});
	c.home = cli_value(&c, "--home");
	c.config = cli_value(&c, "--config");
	if (!c.home)
		c.home = find_home();
	if (!c.config)
		c.config = getenv("CHELA_CONFIG");
	if (c.argc >= 1 && (streq(c.argv[0], "--home") || streq(c.argv[0], "--config"))) {
		fprintf(stderr, "chela: %s needs a value: chela %s %s ...\n", c.argv[0], c.argv[0],
			streq(c.argv[0], "--home") ? "DIR" : "FILE");
		return 2;
	}
	if (c.argc < 1 || streq(c.argv[0], "--help") || streq(c.argv[0], "-h"))
		return cmd_help(&c) + (c.argc < 1 ? 2 : 0);
	word = streq(c.argv[0], "--version") ? "version" : c.argv[0];
	c.argc--;
	c.argv++;
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (streq(commands[i].name, word))
			return commands[i].run(&c);
	}
	for (size_t i = 0; admin_commands[i]; i++) {
		if (streq(admin_commands[i]->name, word))
			return command_remote(&c, word);
	}
	return unknown(word);
}
