// SPDX-License-Identifier: Apache-2.0
/* The command table and the shared options. Everything that a command does lies in the floors below. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "admin/backup.h"
#include "admin/cli.h"
#include "admin/command_impl.h"
#include "base/log.h"
#include "base/str.h"
#include "serve.h"

#define INSTALLED_HOME "/var/lib/chela"

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
	{"backup", "backup FILE.tar.gz [--with-secrets]",
	 "back up all of the state, while the server runs", cmd_backup},
	{"restore", "restore FILE.tar.gz",
	 "bring a backup back; the server must not run, and the old state is kept", cmd_restore},
	{"version", "version", "print the version", cmd_version},
	{"help", "help [--json] [COMMAND [WORD]]", "print this list, or more about a command",
	 cmd_help},
};

static int unknown(const char *word)
{
	const char *names[ARRAY_LEN(commands) + 1] = {0}, *near;
	const struct command_form *form;
	_cleanup_(buf_free) struct buf usage = {0};
	_cleanup_free_ char *copy = xstrdup(word);

	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		names[i] = commands[i].name;
	near = str_nearest(word, names);
	form = command_near(1, (char *const[]){copy}, CMD_CLI);
	if (form && (!near || str_distance(word, form->name) <= str_distance(word, near)))
		command_put_usage(&usage, "chela ", form);
	else if (near)
		buf_putf(&usage, "chela %s", near);
	fprintf(stderr, "chela: there is no command \"%.40s\"%s%s (all: chela help)\n", word,
		usage.p ? "; did you mean: " : "", usage.p ? usage.p : "");
	return 2;
}

static void put_local_json(void)
{
	_cleanup_json_ cJSON *j = command_help_json();
	cJSON *list = cJSON_AddArrayToObject(j, "local");
	_cleanup_free_ char *text = NULL;

	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		cJSON *one = cJSON_CreateObject();

		cJSON_AddStringToObject(one, "name", commands[i].name);
		cJSON_AddStringToObject(one, "usage", commands[i].usage);
		cJSON_AddStringToObject(one, "help", commands[i].help);
		cJSON_AddItemToArray(list, one);
	}
	text = json_print(j);
	printf("%s\n", text);
}

/* word: "" = all; "groups" = all of that noun; "groups add" = that one. */
static int put_help(const char *word)
{
	_cleanup_(buf_free) struct buf out = {0};

	for (size_t i = 0; word[0] && i < ARRAY_LEN(commands); i++) {
		if (!streq(commands[i].name, word))
			continue;
		printf("  %-34s %s\n", commands[i].usage, commands[i].help);
		return 0;
	}
	if (!command_put_help(&out, word, "", CMD_CLI, ROLE_OWNER))
		return unknown(word);
	fputs(out.p, stdout);
	return 0;
}

static int cmd_help(const struct cli *c)
{
	struct cli words = *c;
	struct err e = ERR_INIT;

	if (cli_flag(&words, "--json")) {
		put_local_json();
		return 0;
	}
	if (words.argc == 1)
		return put_help(words.argv[0]);
	if (words.argc == 2) {
		_cleanup_free_ char *both = xasprintf("%s %s", words.argv[0], words.argv[1]);

		return put_help(both);
	}
	if (cli_no_more(&words, "help [--json] [COMMAND [WORD]]", &e) < 0)
		return cli_fail(&e);
	printf("usage: chela [--home DIR] [--config FILE] COMMAND ...\n\n");
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (!command_known(commands[i].name))
			printf("  %-34s %s\n", commands[i].usage, commands[i].help);
	}
	printf("\nof the running server, and in the main group's chats (/status, /groups list):\n");
	put_help("");
	printf("\nchela help COMMAND tells more.\n"
	       "State lies in --home, CHELA_HOME, the current folder when it is a checkout of\n"
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

static bool asks_help(const char *word)
{
	return streq(word, "--help") || streq(word, "-h");
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
	if (c.argc < 1)
		return cmd_help(&c) + 2;
	word = c.argv[0];
	if (streq(word, "--version"))
		word = "version";
	else if (asks_help(word))
		word = "help";
	c.argc--;
	c.argv++;
	if (c.argc == 1 && asks_help(c.argv[0]))
		return put_help(word);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (streq(commands[i].name, word))
			return commands[i].run(&c);
	}
	return command_known(word) ? command_remote(&c, word) : unknown(word);
}
