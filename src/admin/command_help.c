// SPDX-License-Identifier: Apache-2.0
/* Help, made from the table of commands: for people, with what each of them may, and for machines. */
#include <string.h>
#include "admin/command_impl.h"
#include "base/str.h"

#define COLUMN 34 /* where the words about a command begin */

struct help_list {
	struct buf *out;
	const char *word, *lead;
	unsigned where;
	enum role role;
	char noun[64]; /* the one whose forms are being gathered */
	struct buf verbs;
	bool alone;			  /* it is also said without a verb */
	const struct command_form *first; /* of this noun */
	int n, hits;
};

static bool shown(const struct help_list *l, const struct command_form *f)
{
	return (f->where & l->where) && f->least <= l->role;
}

static void put_row(struct help_list *l, const char *left, const char *help)
{
	if (l->where != CMD_CLI) /* a telephone is narrow */
		buf_putf(l->out, "%s: %s\n", left, help);
	else if (strlen(left) > COLUMN)
		buf_putf(l->out, "  %s\n  %*s %s\n", left, COLUMN, "", help);
	else
		buf_putf(l->out, "  %-*s %s\n", COLUMN, left, help);
}

static bool is_of(const struct command_form *f, const char *noun)
{
	size_t n = strlen(noun);

	return strncasecmp(f->name, noun, n) == 0 && (!f->name[n] || f->name[n] == ' ');
}

static void gather(void *ctx, const struct command_form *f)
{
	struct help_list *l = ctx;
	size_t n = strlen(l->noun);

	if (!shown(l, f) || !is_of(f, l->noun))
		return;
	if (!l->n++)
		l->first = f;
	if (f->name[n])
		buf_putf(&l->verbs, "%s%s", l->verbs.len ? "|" : "", f->name + n + 1);
	else
		l->alone = true;
}

/* All forms of a noun in one line, where the first of them stands. */
static void put_short(void *ctx, const struct command_form *f)
{
	_cleanup_(buf_free) struct buf left = {0};
	struct help_list *l = ctx;

	if (!shown(l, f))
		return;
	snprintf(l->noun, sizeof(l->noun), "%.*s", (int)strcspn(f->name, " "), f->name);
	l->n = 0;
	l->alone = false;
	buf_reset(&l->verbs);
	command_each(gather, l);
	if (l->first != f)
		return;
	if (l->n == 1)
		command_put_usage(&left, l->lead, f);
	else
		buf_putf(&left, "%s%s %s%s%s", l->lead, l->noun, l->alone ? "[" : "", l->verbs.p,
			 l->alone ? "]" : "");
	put_row(l, left.p, f->help);
	l->hits++;
}

static void put_long(void *ctx, const struct command_form *f)
{
	_cleanup_(buf_free) struct buf left = {0};
	struct help_list *l = ctx;

	if (!shown(l, f) || !is_of(f, l->word))
		return;
	command_put_usage(&left, l->lead, f);
	put_row(l, left.p, f->help);
	l->hits++;
}

bool command_put_help(struct buf *out, const char *word, const char *lead, unsigned where,
		      enum role role)
{
	struct help_list l = {.out = out, .word = word, .lead = lead, .where = where, .role = role};

	if (word[0]) {
		command_each(put_long, &l);
	} else {
		command_each(put_short, &l);
	}
	buf_free(&l.verbs);
	return l.hits > 0;
}

static int help(struct command *c, struct err *e)
{
	_cleanup_(buf_free) struct buf out = {0};
	_cleanup_free_ char *words =
		xasprintf("%s%s%s", c->argc ? c->argv[0] : "", c->argc > 1 ? " " : "",
			  c->argc > 1 ? c->argv[1] : "");
	const char *word = words + (words[0] == '/');

	if (!command_put_help(&out, word, c->lead, c->where, c->by->role))
		return err_set(e, E_INVAL,
			       "there is no command \"%.40s\" for you here (all: %shelp)", word,
			       c->lead);
	reply_text(c->r, out.p);
	if (!word[0])
		reply_line(c->r, "%shelp COMMAND tells more", c->lead);
	return 0;
}

const struct command_form commands_help[] = {
	{"help", "[COMMAND [WORD]]", "what can be done here", CMD_CLI | CMD_MAIN | CMD_GROUP,
	 ROLE_GUEST, .max = 2, .run = help},
	{0},
};

/* --- for machines ------------------------------------------------------------------------- */

static void add_form(void *ctx, const struct command_form *f)
{
	static const char *const words[] = {"cli", "main", "group", "agent"};
	cJSON *j = cJSON_CreateObject(), *where;

	cJSON_AddStringToObject(j, "name", f->name);
	cJSON_AddStringToObject(j, "args", f->args);
	cJSON_AddStringToObject(j, "help", f->help);
	cJSON_AddStringToObject(j, "least", role_word(f->least));
	where = cJSON_AddArrayToObject(j, "where");
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (f->where & (1U << i))
			cJSON_AddItemToArray(where, cJSON_CreateString(words[i]));
	}
	cJSON_AddItemToArray(ctx, j);
}

static void add_tool(void *ctx, const char *name, const char *title, const struct rule *rule)
{
	cJSON *j = cJSON_CreateObject();

	cJSON_AddStringToObject(j, "name", name);
	cJSON_AddStringToObject(j, "title", title);
	cJSON_AddStringToObject(j, "least", role_word(rule->least));
	cJSON_AddBoolToObject(j, "main_only", rule->main_only);
	cJSON_AddItemToArray(ctx, j);
}

cJSON *command_help_json(void)
{
	cJSON *j = cJSON_CreateObject(), *tools;

	command_each(add_form, cJSON_AddArrayToObject(j, "commands"));
	tools = cJSON_AddArrayToObject(j, "tools");
	router_each_tool(add_tool, tools);
	for (const struct command_tool *t = command_router.tools; t->line; t++) {
		char name[80];

		snprintf(name, sizeof(name), COMMAND_TOOL " %s", t->line);
		add_tool(tools, name, t->description, &(struct rule){t->least, true});
	}
	return j;
}
