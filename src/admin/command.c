// SPDX-License-Identifier: Apache-2.0
/*
 * The table of operator's commands and the replies to them, on the server's side; and the command line's way to it. See command.h.
 */
#include "admin/command_impl.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "admin/ask.h"
#include "admin/cli.h"
#include "base/guest_log.h"
#include "base/log.h"
#include "base/redact.h"
#include "base/str.h"

#define ACT_MAX 200 /* bytes of a command that are kept in the record */

struct reply {
	const struct command_form *form;
	struct reply **slot;
	const struct reply_to *to;
	void *ctx;
	void (*gone)(void *ctx);
	void *gone_ctx;
	bool running;	  /* inside the command: it must not be freed under it */
	bool ended, dead; /* answered; nobody listens any more */
};

void reply_line(struct reply *r, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	if (!r->dead)
		r->to->line(r->ctx, text);
}

void reply_text(struct reply *r, const char *text)
{
	while (*text) {
		size_t n = strcspn(text, "\n");

		reply_line(r, "%.*s", (int)n, text);
		text += n + (text[n] == '\n');
	}
}

void reply_end(struct reply *r, int status)
{
	r->ended = true;
	if (!r->dead) {
		*r->slot = NULL;
		r->to->end(r->ctx, status);
	}
	if (!r->running)
		free(r);
}

void reply_fail(struct reply *r, const struct err *e)
{
	reply_line(r, "%s%s", r->to->trouble, e->msg);
	reply_end(r, e->code == E_INVAL ? 2 : 1);
}

void reply_on_gone(struct reply *r, void (*gone)(void *ctx), void *ctx)
{
	r->gone = gone;
	r->gone_ctx = ctx;
}

/* Nobody waits for the rest of an answer. */
static void abandon(struct reply *r)
{
	if (r->gone)
		r->gone(r->gone_ctx);
	free(r);
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

int command_id(const struct command *c, const char *what, const char *list, int64_t *id,
	       struct err *e)
{
	struct err none = ERR_INIT;

	if (str_to_i64(c->argv[0], 1, INT64_MAX, id, &none) == 0)
		return 0;
	return err_set(e, E_INVAL, "\"%.40s\" is no number of %s; %s%s lists them", c->argv[0],
		       what, c->lead, list);
}

int command_group(const struct command *c, const char *word, struct group_row *out, struct err *e)
{
	if (!word && c->here) {
		*out = *c->here;
		return 0;
	}
	/* The same words whether there is such a group or not. */
	if (word && c->here && !c->here->is_main && !streq(word, c->here->name))
		return err_set(e, E_PERM, "only the main group commands other groups");
	return store_group_get(c->o->store, word ? word : "main", out, e);
}

int command_group_act(const struct command *c, const char *word, struct group_row *out,
		      struct err *e)
{
	if (command_group(c, word, out, e) < 0)
		return -1;
	if (c->here && c->here->id != out->id && c->by->role < ROLE_ADMIN)
		return err_set(e, E_PERM,
			       "%s needs an admin for another group than %s; you are %s here",
			       c->form->name, c->here->name, role_word(c->by->role));
	return 0;
}

/* --- carrying out ------------------------------------------------------------------------- */

static const char *via_of(unsigned where)
{
	return where == CMD_CLI ? "cli" : where == CMD_AGENT ? "agent" : "chat";
}

/* The line as it goes into the record: no secret, one line, not too long. Words that the form does not take may be anything: such as a code
 * that was meant for another command. */
static void put_act(const struct command_form *f, const struct command_line *line,
		    char out[ACT_MAX])
{
	_cleanup_(buf_free) struct buf all = {0}, clean = {0};
	int n = f->max ? line->n : 1 + (strchr(f->name, ' ') && line->n > 1);

	for (int i = 0; i < n && all.len < 4 * ACT_MAX; i++)
		buf_putf(&all, "%s%s", i ? " " : "", line->words[i]);
	redact(&clean, all.p ? all.p : "", all.len);
	str_one_line(out, ACT_MAX, clean.p ? clean.p : "");
}

static int where_ok(const struct command_form *f, const struct command_from *from, struct err *e)
{
	if (f->where & from->where)
		return 0;
	if (from->where == CMD_CLI)
		return err_set(e, E_PERM, "%s is for chats alone", f->name);
	if (from->where == CMD_GROUP && (f->where & CMD_MAIN))
		return err_set(e, E_PERM, "%s is for chats of the main group", f->name);
	return err_set(e, E_PERM, "%s is for the command line, on the server's machine: chela %s",
		       f->name, f->name);
}

/* Whether this person may do that there: the one place where commands are authorised. */
static int decide(const struct control_opts *o, const struct command_form *f,
		  const struct command_line *line, const struct command_from *from, struct err *e)
{
	const struct rule rule = {.least = f->least, .main_only = !(f->where & CMD_GROUP)};
	const char *via = via_of(from->where);
	struct err store = ERR_INIT;
	char act[ACT_MAX], who[160];
	bool yes = where_ok(f, from, e) == 0 && may(from->by, &rule, f->name, e) == 0;

	put_act(f, line, act);
	log_info("command", yes ? "taken" : "refused", "who=%s via=%s group=%s name=\"%s\"",
		 log_quote(who, sizeof(who), from->by->who), via,
		 from->here ? from->here->name : "-", f->name);
	if (store_act_add(o->store, from->by->who, from->by->sender_id,
			  from->here ? from->here->id : 0, via, act, yes, &store) < 0) {
		*e = store;
		return -1;
	}
	return yes ? 0 : -1;
}

/* Words beyond the last one belong to it. */
static char *join_rest(const struct command_line *line, int from)
{
	struct buf b = {0};

	if (line->tails)
		return xstrdup(line->tails[from]);
	for (int i = from; i < line->n; i++)
		buf_putf(&b, "%s%s", i > from ? " " : "", line->words[i]);
	return buf_steal(&b);
}

static void unknown(const struct command_line *line, const struct command_from *from,
		    struct reply *r)
{
	const struct command_form *near = command_near(line->n, line->words, from->where);
	_cleanup_(buf_free) struct buf said = {0}, usage = {0};
	bool noun = line->n > 1 && command_word_known(line->words[0], from->where);
	char word[48];

	buf_puts(&said, noun ? line->words[0] : "");
	buf_putf(&said, "%s%s", noun ? " " : "", line->n ? line->words[noun] : "");
	if (near)
		command_put_usage(&usage, r->to->lead, near);
	reply_line(r, "%sthere is no command \"%s\"%s%s (all: %shelp)", r->to->trouble,
		   str_one_line(word, sizeof(word), said.p), near ? "; did you mean: " : "",
		   near ? usage.p : "", r->to->lead);
	reply_end(r, 2);
}

static void end_form(struct reply *r, int rc, const struct err *e)
{
	_cleanup_(buf_free) struct buf usage = {0};

	if (rc < 0) {
		reply_fail(r, e);
	} else if (rc == COMMAND_USAGE) {
		command_put_usage(&usage, r->to->lead, r->form);
		reply_line(r, "usage: %s", usage.p);
		reply_end(r, 2);
	} else if (rc == 0) {
		reply_end(r, 0);
	}
}

static void run_form(const struct control_opts *o, const struct command_line *line, int used,
		     const struct command_from *from, struct reply *r)
{
	const struct command_form *f = r->form;
	_cleanup_free_ char *rest = NULL;
	struct command c = {
		.o = o,
		.form = f,
		.argc = line->n - used,
		.argv = line->words + used,
		.by = from->by,
		.here = from->here,
		.chat_id = from->chat_id,
		.thread = from->thread ? from->thread : "",
		.where = from->where,
		.lead = r->to->lead,
		.r = r,
	};

	struct err e = ERR_INIT;
	char **last = f->max ? &c.argv[f->max - 1] : NULL, *own = NULL;

	if (f->rest && c.argc > f->max) {
		rest = join_rest(line, used + f->max - 1);
		c.argc = f->max;
		own = *last;
		*last = rest;
	}
	end_form(r, c.argc < f->min || c.argc > f->max ? COMMAND_USAGE : f->run(&c, &e), &e);
	if (own) /* the words are their owner's to free */
		*last = own;
}

void command_do(const struct control_opts *o, const struct command_line *line,
		const struct command_from *from, struct reply **slot, const struct reply_to *to,
		void *ctx)
{
	int used = 0;
	struct err e = ERR_INIT;
	struct reply *r = xcalloc(1, sizeof(*r));

	*r = (struct reply){.slot = slot, .to = to, .ctx = ctx, .running = true};
	*slot = r;
	r->form = command_find(line->n, line->words, &used);
	if (!r->form) {
		unknown(line, from, r);
	} else if (decide(o, r->form, line, from, &e) < 0) {
		reply_line(r, "%s%s", to->trouble, e.msg);
		reply_end(r, e.code == E_PERM ? COMMAND_REFUSED : 1);
	} else {
		run_form(o, line, used, from, r);
	}
	r->running = false;
	if (r->ended)
		free(r);
	else if (r->dead)
		abandon(r);
}

/* --- on the control socket ---------------------------------------------------------------- */

int command_run(const struct control_opts *o, const cJSON *req, struct reply **slot,
		const struct reply_to *to, void *ctx, struct err *e)
{
	const cJSON *w, *words = cJSON_GetObjectItemCaseSensitive(req, "argv");
	char *argv[COMMAND_WORDS_MAX + 1];
	struct command_line line = {.words = argv};
	struct actor operator;
	const struct command_from from = {.by = &operator, .where = CMD_CLI };

	cJSON_ArrayForEach(w, words)
	{
		if (line.n == COMMAND_WORDS_MAX || !cJSON_IsString(w))
			return err_set(e, E_INVAL, "argv must be at most %d strings",
				       COMMAND_WORDS_MAX);
		argv[line.n++] = w->valuestring;
	}
	if (!line.n)
		return err_set(e, E_INVAL, "argv must name a command; all: chela help");
	if (*slot)
		return err_set(e, E_INVAL, "a command is being carried out already");
	actor_operator(&operator);
	command_do(o, &line, &from, slot, to, ctx);
	return 0;
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
