// SPDX-License-Identifier: Apache-2.0
/*
 * The table of operator's commands and the replies to them, on the server's side; and the command line's way to it. See command.h.
 */
#include "admin/command.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "admin/ask.h"
#include "admin/cli.h"
#include "base/str.h"

const struct admin_command *const admin_commands[] = {
	&command_outbox,
	&command_channels,
	NULL,
};

struct reply {
	const struct admin_command *command;
	const struct reply_sink *sink;
	void *ctx;
	void (*gone)(void *ctx);
	void *gone_ctx;
};

void reply_line(struct reply *r, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	r->sink->line(r->ctx, text);
}

void reply_end(struct reply *r, int status)
{
	const struct reply_sink *sink = r->sink;
	void *ctx = r->ctx;

	free(r);
	sink->end(ctx, status);
}

void reply_fail(struct reply *r, const struct err *e)
{
	reply_line(r, "chela: %s", e->msg);
	reply_end(r, e->code == E_INVAL ? 2 : 1);
}

void reply_usage(struct reply *r)
{
	const char *p = r->command->usage;

	for (const char *lead = "usage: chela "; p; lead = "       chela ") {
		size_t n = strcspn(p, "\n");

		reply_line(r, "%s%.*s", lead, (int)n, p);
		p = p[n] ? p + n + 1 : NULL;
	}
	reply_end(r, 2);
}

void reply_on_gone(struct reply *r, void (*gone)(void *ctx), void *ctx)
{
	r->gone = gone;
	r->gone_ctx = ctx;
}

static const struct admin_command *find(const char *name)
{
	for (size_t i = 0; admin_commands[i]; i++) {
		if (streq(admin_commands[i]->name, name))
			return admin_commands[i];
	}
	return NULL;
}

struct reply *command_run(const struct control_opts *o, int argc, char **argv,
			  const struct reply_sink *sink, void *ctx)
{
	struct reply *r = xcalloc(1, sizeof(*r));

	*r = (struct reply){argc ? find(argv[0]) : NULL, sink, ctx, NULL, NULL};
	if (r->command) {
		r->command->run(o, argc, argv, r);
	} else {
		reply_line(r, "chela: the server knows no such command; all: chela help");
		reply_end(r, 2);
	}
	return r;
}

void command_cancel(struct reply *r)
{
	if (r->gone)
		r->gone(r->gone_ctx);
	free(r);
}

/* --- the command line's side -------------------------------------------------------------- */

static bool print_event(void *ctx, const char *line, size_t n)
{
	int *status = ctx;
	struct err e = ERR_INIT;
	_cleanup_json_ cJSON *j = json_parse(line, n, JSON_MAX_DEFAULT, &e);
	const char *ev = j ? json_peek_str(j, "ev") : NULL;
	const char *text = j ? json_peek_str(j, "text") : NULL;

	if (ev && streq(ev, "line") && text) {
		fprintf(str_starts(text, "chela: ") || str_starts(text, "usage: ") ? stderr
										   : stdout,
			"%s\n", text);
		fflush(stdout);
		return false;
	}
	if (ev && streq(ev, "end")) {
		*status = (int)json_peek_i64(j, "status", 1);
		return true;
	}
	fprintf(stderr, "chela: the server says: %s\n",
		j && json_peek_str(j, "why") ? json_peek_str(j, "why") : "something unreadable");
	return true;
}

int command_remote(const struct cli *c, const char *name)
{
	_cleanup_json_ cJSON *req = cJSON_CreateObject();
	_cleanup_free_ char *text = NULL, *line = NULL;
	cJSON *argv = cJSON_AddArrayToObject(req, "argv");
	struct config cfg;
	struct err e = ERR_INIT;
	int status = 1;

	if (cli_config(c, false, &cfg, &e) < 0)
		return cli_fail(&e);
	cJSON_AddStringToObject(req, "op", "command");
	cJSON_AddItemToArray(argv, cJSON_CreateString(name));
	for (int i = 0; i < c->argc; i++)
		cJSON_AddItemToArray(argv, cJSON_CreateString(c->argv[i]));
	text = json_print(req);
	line = xasprintf("%s\n", text);
	if (ask_server(cfg.home, line, -1, print_event, &status, &e) < 0)
		return cli_fail(&e);
	return status;
}
