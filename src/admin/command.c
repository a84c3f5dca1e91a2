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
#include "base/guest_log.h"
#include "base/str.h"

const struct admin_command *const admin_commands[] = {
	&command_outbox, &command_channels, &command_groups,
	&command_chats,	 &command_whatsapp, NULL,
};

#define WORDS_MAX 32

struct reply {
	const struct admin_command *command;
	struct reply **slot;
	void (*put)(void *ctx, cJSON *event);
	void *ctx;
	void (*gone)(void *ctx);
	void *gone_ctx;
	bool running;	  /* inside the command: it must not be freed under it */
	bool ended, dead; /* answered; nobody listens any more */
};

static cJSON *event(const char *name)
{
	cJSON *j = cJSON_CreateObject();

	cJSON_AddStringToObject(j, "ev", name);
	return j;
}

void reply_line(struct reply *r, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	cJSON *j = event("line");
	va_list ap;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	cJSON_AddStringToObject(j, "text", text);
	if (r->dead)
		cJSON_Delete(j);
	else
		r->put(r->ctx, j);
}

void reply_end(struct reply *r, int status)
{
	cJSON *j = event("end");

	cJSON_AddNumberToObject(j, "status", status);
	r->ended = true;
	if (r->dead) {
		cJSON_Delete(j);
	} else {
		*r->slot = NULL;
		r->put(r->ctx, j);
	}
	if (!r->running)
		free(r);
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

/* Nobody waits for the rest of an answer. */
static void abandon(struct reply *r)
{
	if (r->gone)
		r->gone(r->gone_ctx);
	free(r);
}

int command_run(const struct control_opts *o, const cJSON *req, struct reply **slot,
		void (*put)(void *ctx, cJSON *event), void *ctx, struct err *e)
{
	const cJSON *w, *words = cJSON_GetObjectItemCaseSensitive(req, "argv");
	const struct admin_command *command;
	struct reply *r;
	char *argv[WORDS_MAX];
	int n = 0;

	cJSON_ArrayForEach(w, words)
	{
		if (n == WORDS_MAX || !cJSON_IsString(w))
			return err_set(e, E_INVAL, "argv must be at most %d strings", WORDS_MAX);
		argv[n++] = w->valuestring;
	}
	command = n ? find(argv[0]) : NULL;
	if (!command)
		return err_set(e, E_INVAL, "the server knows no such command; all: chela help");
	if (*slot)
		return err_set(e, E_INVAL, "a command is being carried out already");
	r = *slot = xcalloc(1, sizeof(*r));
	*r = (struct reply){
		.command = command, .slot = slot, .put = put, .ctx = ctx, .running = true};
	command->run(o, n, argv, r);
	r->running = false;
	if (r->ended)
		free(r);
	else if (r->dead)
		abandon(r);
	return 0;
}

void command_cancel(struct reply **slot)
{
	struct reply *r = *slot;

	*slot = NULL;
	if (!r)
		return;
	r->dead = true;
	if (!r->running)
		abandon(r);
}

/* --- the command line's side -------------------------------------------------------------- */

struct printer {
	int status;
	bool trouble; /* from the first line of a complaint on, all goes to standard error */
};

static bool print_event(void *ctx, const char *line, size_t n)
{
	struct printer *p = ctx;
	struct err e = ERR_INIT;
	_cleanup_json_ cJSON *j = json_parse(line, n, JSON_MAX_DEFAULT, &e);
	const char *ev = j ? json_peek_str(j, "ev") : NULL;
	char *text = j ? (char *)json_peek_str(j, "text") : NULL;

	if (ev && streq(ev, "line") && text) {
		guest_clean_line(text); /* titles and messages are strangers' words */
		p->trouble |= str_starts(text, "chela: ") || str_starts(text, "usage: ");
		fflush(stdout);
		fprintf(p->trouble ? stderr : stdout, "%s\n", text);
		fflush(stdout);
		return false;
	}
	if (ev && streq(ev, "end")) {
		p->status = (int)json_peek_i64(j, "status", 1);
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
	struct printer p = {.status = 1};

	if (cli_config(c, false, &cfg, &e) < 0)
		return cli_fail(&e);
	cJSON_AddStringToObject(req, "op", "command");
	cJSON_AddItemToArray(argv, cJSON_CreateString(name));
	for (int i = 0; i < c->argc; i++)
		cJSON_AddItemToArray(argv, cJSON_CreateString(c->argv[i]));
	text = json_print(req);
	line = xasprintf("%s\n", text);
	if (ask_server(cfg.home, line, -1, print_event, &p, &e) < 0)
		return cli_fail(&e);
	return p.status;
}
