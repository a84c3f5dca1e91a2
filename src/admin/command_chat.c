// SPDX-License-Identifier: Apache-2.0
/*
 * Commands in chats, and those of main's agent: "/groups list", "/status@bot", "chela groups list" become words for the table. What is no
 * command is left to the agent. The same words do the same on every platform.
 */
#include <string.h>
#include "admin/command_impl.h"
#include "base/guest_log.h"
#include "base/str.h"

#define ANSWER_MAX ((size_t)12 << 10) /* bytes of an answer in a chat; the rest is counted */
#define NAME_LEN   32

/* One command of a chat, until it is answered. */
struct talk {
	struct talk *next;
	struct commands *all;
	struct reply *reply;
	struct buf text;
	int64_t cut; /* lines that were too many */
	struct reply_to to;
	command_said_fn *said;
	void *said_ctx;
};
struct commands {
	struct talk *talks;
};

/* --- words -------------------------------------------------------------------------------- */

static bool is_blank(char ch)
{
	return ch == ' ' || ch == '\n' || ch == '\t' || ch == '\r';
}

static const char *skip_blanks(const char *p)
{
	while (is_blank(*p))
		p++;
	return p;
}

/* The bytes of a quotation mark at p, straight or as telephones write it; 0 = none. */
static size_t quote_at(const char *p)
{
	if (*p == '"')
		return 1;
	return str_starts(p, "\xe2\x80\x9c") || str_starts(p, "\xe2\x80\x9d") ||
			       str_starts(p, "\xe2\x80\x9e")
		       ? 3
		       : 0;
}

/* The end of a quoted word that begins at p: a quotation mark before a blank or the end. NULL: it has none. */
static const char *quote_end(const char *p)
{
	for (; *p; p++) {
		size_t n = quote_at(p);

		if (n && (!p[n] || is_blank(p[n])))
			return p;
	}
	return NULL;
}

struct words {
	char *list[COMMAND_WORDS_MAX + 1];
	const char *tails[COMMAND_WORDS_MAX + 1];
	int n;
};

static void words_free(struct words *w)
{
	for (int i = 0; i < w->n; i++)
		free(w->list[i]);
}

/* "two words" are one. A telephone's long dash before a letter is the two that were typed. */
static void split(struct words *w, const char *p)
{
	for (p = skip_blanks(p); *p && w->n < COMMAND_WORDS_MAX; p = skip_blanks(p)) {
		size_t mark = quote_at(p);
		const char *end = mark ? quote_end(p + mark) : NULL;

		w->tails[w->n] = p;
		if (end) {
			w->list[w->n++] = xstrndup(p + mark, (size_t)(end - p) - mark);
			p = end + quote_at(end);
			continue;
		}
		end = p;
		while (*end && !is_blank(*end))
			end++;
		if (str_starts(p, "\xe2\x80\x94") && end - p > 3)
			w->list[w->n++] = xasprintf("--%.*s", (int)(end - p - 3), p + 3);
		else
			w->list[w->n++] = xstrndup(p, (size_t)(end - p));
		p = end;
	}
}

/* The first word of what may be a command, in small letters (telephones begin with a capital); *rest: what follows it. slash: it was "/name", or "/name@bot". */
static bool read_head(const char *p, char name[NAME_LEN], bool *slash, const char **rest)
{
	size_t n = 0;

	p = skip_blanks(p);
	*slash = *p == '/';
	p += *slash;
	for (; (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
	       (n && ((*p >= '0' && *p <= '9') || *p == '-' || *p == '_'));
	     p++) {
		if (n == NAME_LEN - 1)
			return false;
		name[n++] = (char)(*p <= 'Z' && *p >= 'A' ? *p + 32 : *p);
	}
	name[n] = '\0';
	if (*slash && *p == '@') {
		while (*p && !is_blank(*p))
			p++;
	}
	*rest = p;
	return n && (!*p || is_blank(*p));
}

/* Where a command begins behind "/" or "chela "; *marked: it can be nothing else than one. NULL: this is plain talk. */
static const char *find_line(const char *text, char name[NAME_LEN], bool *marked)
{
	const char *rest, *line = skip_blanks(text);
	bool slash;

	if (!read_head(line, name, marked, &rest))
		return NULL;
	if (!streq(name, "chela"))
		return *marked ? line : NULL;
	line = skip_blanks(rest);
	if (!*line) {
		str_copy(name, NAME_LEN, "help");
		return *marked ? "/help" : NULL;
	}
	return read_head(line, name, &slash, &rest) ? line : *marked ? line : NULL;
}

static bool is_number(const char *word)
{
	return word[0] && !word[strspn(word, "0123456789")];
}

/* Whether words can be what the form's usage names: so many of them, numbers where it has numbers, and no end of a sentence. */
static bool may_be_args(const struct command_form *f, int n, char *const *words)
{
	static const char *const numbers[] = {"ID", "N", "DAYS", "RUN"};
	const char *args = f->args;
	char want[64];

	if (n > f->max && !f->rest)
		return false;
	for (int i = 0; i < n && i < f->max && str_next_word(&args, want, sizeof(want)); i++) {
		const char *name = want + strspn(want, "[");
		size_t len = strcspn(name, "]|");
		bool other = name[len] == '|'; /* "ID|all" */

		for (size_t k = 0; k < ARRAY_LEN(numbers); k++)
			if (len == strlen(numbers[k]) && strncmp(name, numbers[k], len) == 0 &&
			    !other && !is_number(words[i]))
				return false;
	}
	return !n || f->rest || !strchr(".!?,:;", words[n - 1][strlen(words[n - 1]) - 1]);
}

/*
 * "chela help me cook" is talk: without a slash only what has the words of a command is one. Where the main group commands, it may lack the last of them, and its
 * second word may be mistyped: the usage is the answer, and nothing is done.
 */
static bool is_whole(const char *line, bool in_main)
{
	unsigned where = in_main ? CMD_MAIN : CMD_GROUP;
	_cleanup_(words_free) struct words w = {.n = 0};
	const struct command_form *f;
	int used = 0, n;

	split(&w, line + (*line == '/')); /* "chela /status" */
	f = command_find(w.n, w.list, &used);
	if (!f)
		return in_main && w.n > 1 && command_verb_slip(w.list[0], w.list[1], where);
	n = w.n - used;
	if (!(f->where & where))
		return in_main && used == 2;
	if (in_main && used == 2)
		return true;
	if (!may_be_args(f, n, w.list + used) || (n < f->min && !in_main))
		return false;
	return !n || !streq(f->name, "help") || command_word_known(w.list[used], where);
}

static bool is_command(void *ctx, const char *text, bool in_main)
{
	unsigned where = in_main ? CMD_MAIN : CMD_GROUP;
	char name[NAME_LEN];
	const char *line;
	bool marked;

	(void)ctx;
	line = find_line(text, name, &marked);
	if (!line)
		return false;
	if (marked)
		return in_main || command_word_known(name, where) || command_word_near(name, where);
	return command_word_known(name, where) && is_whole(line, in_main);
}

/* --- answers ------------------------------------------------------------------------------ */

static void take_line(void *ctx, const char *text)
{
	struct talk *t = ctx;
	_cleanup_free_ char *line = xstrdup(text);

	if (t->text.len + strlen(line) > ANSWER_MAX) {
		t->cut++;
		return;
	}
	guest_clean_line(line); /* names and titles are strangers' words */
	buf_putf(&t->text, "%s%s", t->text.len ? "\n" : "", line);
}

static void talk_free(struct talk *t)
{
	struct talk **p = &t->all->talks;

	while (*p != t)
		p = &(*p)->next;
	*p = t->next;
	buf_free(&t->text);
	free(t);
}

static void take_end(void *ctx, int status)
{
	struct talk *t = ctx;

	if (t->cut)
		buf_putf(&t->text, "\n... and %lld more lines; the command line shows all",
			 (long long)t->cut);
	t->said(t->said_ctx, t->text.p ? t->text.p : "Done.", status);
	talk_free(t);
}

/* How commands are written in the chat that asks. */
static const char *lead_of(const struct control_opts *o, int64_t chat_id)
{
	struct chat_row chat = {.id = 0};
	struct err none = ERR_INIT;

	if (chat_id && store_chat_get(o->store, chat_id, &chat, &none) < 0)
		return "/";
	return router_lead(chat.channel);
}

static void run(void *ctx, const struct command_ask *a, command_said_fn *said, void *said_ctx)
{
	const struct control_opts *o = ctx;
	struct talk *t = xcalloc(1, sizeof(*t));
	_cleanup_(words_free) struct words w = {.n = 0};
	struct command_line line = {.words = w.list, .tails = w.tails};
	const struct command_from from = {
		.by = a->by,
		.here = a->group,
		.chat_id = a->chat_id,
		.thread = a->thread,
		.where = !a->chat_id	     ? CMD_AGENT
			 : a->group->is_main ? CMD_MAIN
					     : CMD_GROUP,
	};
	char name[NAME_LEN] = "";
	bool marked;
	const char *text = a->chat_id ? find_line(a->line, name, &marked) : a->line;

	split(&w, text ? text : a->line);
	/* The bare name, whatever stood around it. */
	if (w.n && name[0]) {
		free(w.list[0]);
		w.list[0] = xstrdup(name);
	}
	line.n = w.n;
	t->all = o->commands;
	t->said = said;
	t->said_ctx = said_ctx;
	t->next = t->all->talks;
	t->all->talks = t;
	if (!o->router) {
		take_line(t, "The server is starting. Ask again.");
		take_end(t, 1);
		return;
	}
	t->to = (struct reply_to){lead_of(o, a->chat_id), "", take_line, take_end};
	command_do(o, &line, &from, &t->reply, &t->to, t);
}

struct commands *commands_new(void)
{
	return xcalloc(1, sizeof(struct commands));
}

void commands_free(struct commands *c)
{
	while (c && c->talks) {
		struct talk *t = c->talks;

		command_cancel(&t->reply);
		t->said(t->said_ctx, "The server ended before this was done. Ask again.", 1);
		talk_free(t);
	}
	free(c);
}

/* Each form that only reads, for the tool `command`; tests/unit/admin_command.c holds it against the table. */
static const struct command_tool tools[] = {
	{"status", "What the server and its agents are doing.", ROLE_MEMBER},
	{"chats", "Who has written, and the group of each chat.", ROLE_ADMIN},
	{"groups list", "The groups and the chats of each.", ROLE_MEMBER},
	{"groups show", "A group's chats and settings. Words: [NAME].", ROLE_MEMBER},
	{"people list", "Who has a role, in the group or everywhere. Words: [GROUP].", ROLE_ADMIN},
	{"people strangers", "Who has no role and was refused in a group, newest first.",
	 ROLE_ADMIN},
	{"people show",
	 "A person's identities and roles. Words: PERSON (number, name or CHANNEL:ID).",
	 ROLE_ADMIN},
	{"people why",
	 "Why somebody is listened to in a chat, or is not. Words: CHANNEL:CHAT PERSON.",
	 ROLE_ADMIN},
	{"approvals list", "Who asks to be let in. Words: [all].", ROLE_ADMIN},
	{"skills list", "The skills there are, and which groups have them. Words: [GROUP].",
	 ROLE_MEMBER},
	{"skills show", "What a skill says, asks for, and who has had it. Words: NAME.",
	 ROLE_MEMBER},
	{"tasks list", "The tasks of all groups, or of one. Words: [GROUP].", ROLE_MEMBER},
	{"tasks show", "All of one task. Words: TASK.", ROLE_MEMBER},
	{"tasks runs", "How the last runs of tasks went. Words: [TASK [N]].", ROLE_MEMBER},
	{"tasks output", "All that one run said. Words: RUN.", ROLE_MEMBER},
	{"grants list", "Which group's assistant may write to which other group.", ROLE_ADMIN},
	{"usage", "Tokens, turns and costs by day and group. Words: [GROUP] [DAYS].", ROLE_MEMBER},
	{"channels", "Which platforms are connected, and what is wrong with the others.",
	 ROLE_ADMIN},
	{"outbox list", "What could not be delivered.", ROLE_ADMIN},
	{"outbox all", "What could not be delivered, and what waits.", ROLE_ADMIN},
	{"policy", "What a group's sandbox may have, and which file says so. Words: [GROUP].",
	 ROLE_ADMIN},
	{"logs", "The last lines of the server's log. Words: [GROUP] [N].", ROLE_ADMIN},
	{"acts", "The record of who asked for what. Words: [N].", ROLE_ADMIN},
	{"version", "Which version runs.", ROLE_GUEST},
	{0},
};

const struct router_commands command_router = {.is = is_command, .run = run, .tools = tools};
