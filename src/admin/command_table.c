// SPDX-License-Identifier: Apache-2.0
/* The table of commands: which file has which, and the form that somebody's words mean, or probably meant. */
#include <string.h>
#include "admin/command_impl.h"
#include "base/str.h"

#define NEAR_MAX 256 /* words compared for a hint */

extern const struct command_form commands_help[], commands_status[], commands_groups[],
	commands_memory[], commands_people[], commands_approvals[], commands_tasks[],
	commands_skills[], commands_grants[], commands_usage[], commands_outbox[],
	commands_policy[], commands_server[], commands_whatsapp[];

const struct command_form *const command_tables[] = {
	commands_help,	    commands_status, commands_groups, commands_memory,	 commands_people,
	commands_approvals, commands_tasks,  commands_skills, commands_grants,	 commands_usage,
	commands_outbox,    commands_policy, commands_server, commands_whatsapp, NULL,
};

void command_each(command_form_fn *fn, void *ctx)
{
	for (size_t i = 0; command_tables[i]; i++) {
		for (const struct command_form *f = command_tables[i]; f->name; f++)
			fn(ctx, f);
	}
}

/* How many words of the name the words begin with, in either case, for telephones write capitals; 0 = not all of them. */
static int match(const struct command_form *f, int n, char *const *words)
{
	const char *blank = strchr(f->name, ' ');
	size_t first = blank ? (size_t)(blank - f->name) : strlen(f->name);

	if (n < 1 || strlen(words[0]) != first || strncasecmp(words[0], f->name, first) != 0)
		return 0;
	if (!blank)
		return 1;
	return n > 1 && strcasecmp(words[1], blank + 1) == 0 ? 2 : 0;
}

static bool is_list_of(const struct command_form *f, const char *noun)
{
	size_t n = strlen(noun);

	return strncasecmp(f->name, noun, n) == 0 && streq(f->name + n, " list");
}

struct search {
	int n;
	char *const *words;
	const struct command_form *form, *list; /* list: of a noun that stands alone */
	int used;
};

static void look(void *ctx, const struct command_form *f)
{
	struct search *s = ctx;
	int used = match(f, s->n, s->words);

	if (used > s->used) {
		s->used = used;
		s->form = f;
	}
	if (s->n == 1 && is_list_of(f, s->words[0]))
		s->list = f;
}

const struct command_form *command_find(int n, char *const *words, int *used)
{
	struct search s = {.n = n, .words = words};

	command_each(look, &s);
	*used = s.form ? s.used : 1;
	return s.form ? s.form : s.list;
}

/* --- hints -------------------------------------------------------------------------------- */

struct near {
	unsigned where;
	const char *word; /* only forms that begin with it; NULL: the first words themselves */
	char *words[NEAR_MAX + 1];
	const struct command_form *forms[NEAR_MAX];
	size_t n;
};

static void note(void *ctx, const struct command_form *f)
{
	struct near *s = ctx;
	const char *blank = strchr(f->name, ' ');
	size_t first = blank ? (size_t)(blank - f->name) : strlen(f->name);

	if (!(f->where & s->where) || s->n == NEAR_MAX)
		return;
	if (s->word && (strlen(s->word) != first || strncasecmp(s->word, f->name, first) != 0))
		return;
	s->forms[s->n] = f;
	s->words[s->n++] = s->word ? xstrdup(blank ? blank + 1 : "") : xstrndup(f->name, first);
}

static void near_free(struct near *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->words[i]);
}

static const struct command_form *near_pick(const struct near *s, const char *word)
{
	const char *hit = str_nearest(word, (const char *const *)s->words);

	for (size_t i = 0; hit && i < s->n; i++) {
		if (s->words[i] == hit)
			return s->forms[i];
	}
	return NULL;
}

static const struct command_form *nearest(const char *first, const char *word, unsigned where,
					  bool any)
{
	_cleanup_(near_free) struct near s = {.where = where, .word = first};
	const struct command_form *f;

	command_each(note, &s);
	f = word ? near_pick(&s, word) : NULL;
	return f || !any || !s.n ? f : s.forms[0];
}

const struct command_form *command_near(int n, char *const *words, unsigned where)
{
	const struct command_form *f;
	_cleanup_free_ char *first = NULL;

	if (n < 1)
		return NULL;
	f = nearest(NULL, words[0], where, false);
	if (!f)
		return NULL;
	first = xstrndup(f->name, strcspn(f->name, " "));
	return nearest(first, n > 1 ? words[1] : "list", where, true);
}

bool command_word_known(const char *word, unsigned where)
{
	return nearest(word, NULL, where, true) != NULL;
}

bool command_known(const char *name)
{
	return command_word_known(name, CMD_CLI);
}

bool command_word_near(const char *word, unsigned where)
{
	return nearest(NULL, word, where, false) != NULL;
}

bool command_verb_slip(const char *noun, const char *verb, unsigned where)
{
	_cleanup_(near_free) struct near s = {.where = where, .word = noun};

	command_each(note, &s);
	for (size_t i = 0; i < s.n; i++) {
		if (s.words[i][0] && str_distance(verb, s.words[i]) <= 1)
			return true;
	}
	return false;
}

void command_put_usage(struct buf *out, const char *lead, const struct command_form *f)
{
	buf_putf(out, "%s%s%s%s", lead, f->name, f->args[0] ? " " : "", f->args);
}
