// SPDX-License-Identifier: Apache-2.0
/* The table of commands: that it is sound, who may what of it and where (each role, each form, each place), and what people's words come to. */
#include "admin_desk_rig.h"
#include "store/record.h"

static void on_line(void *ctx, const char *text)
{
	struct desk *d = ctx;

	buf_putf(&d->said, "%s\n", text);
}

static const struct reply_to to_desk = {"/", "", on_line, on_end};

/* --- the table ---------------------------------------------------------------------------- */

struct seen {
	const struct command_form *forms[300];
	size_t n;
};

static void gather(void *ctx, const struct command_form *f)
{
	struct seen *s = ctx;

	assert_in_range(s->n, 0, ARRAY_LEN(s->forms) - 1);
	s->forms[s->n++] = f;
}

/* [a-z-]+( [a-z-]+)? */
static bool is_form_name(const char *s)
{
	const char *blank = strchr(s, ' ');
	size_t first = blank ? (size_t)(blank - s) : strlen(s);
	const char *letters = "abcdefghijklmnopqrstuvwxyz-";

	if (!first || strspn(s, letters) != first)
		return false;
	return !blank || (blank[1] && !blank[1 + strspn(blank + 1, letters)]);
}

/* Words of a usage: "NAME [CHANNEL:CHAT]" asks for one and takes two. "A|B" is one; a flag with its value in one pair of brackets is two. */
static void count_args(const char *args, int *least, int *most)
{
	int depth = 0;
	bool word = false;

	*least = *most = 0;
	for (const char *p = args;; p++) {
		if (*p == '[')
			depth++;
		if (*p && *p != ' ' && *p != '[' && *p != ']') {
			word = true;
		} else if (word) {
			word = false;
			*least += depth == 0;
			*most += 1;
		}
		if (*p == ']')
			depth--;
		assert_in_range(depth, 0, 3);
		if (!*p)
			break;
	}
	assert_int_equal(depth, 0);
}

static void the_table_is_sound(void **state)
{
	struct seen s = {.n = 0};

	(void)state;
	command_each(gather, &s);
	assert_true(s.n > 10);
	for (size_t i = 0; i < s.n; i++) {
		const struct command_form *f = s.forms[i];
		char *words[3];
		_cleanup_free_ char *name = xstrdup(f->name);
		char *blank = strchr(name, ' ');
		int used, least, most;

		if (!is_form_name(f->name))
			fail_msg("\"%s\" is no name", f->name);
		for (size_t j = 0; j < i; j++) {
			if (streq(f->name, s.forms[j]->name))
				fail_msg("there are two of \"%s\"", f->name);
		}
		count_args(f->args, &least, &most);
		if (!f->help || !f->help[0] || f->help[strlen(f->help) - 1] == '.' || !f->run ||
		    !f->where || f->least < ROLE_GUEST || f->least > ROLE_OWNER)
			fail_msg("\"%s\" is not whole", f->name);
		if (f->min > f->max || f->min < least || (!f->rest && f->max != most) ||
		    (f->rest && (f->max < 1 || f->min < 1 || f->min > f->max)))
			fail_msg("\"%s %s\" takes %d to %d words", f->name, f->args, f->min,
				 f->max);
		if (blank)
			*blank = '\0';
		words[0] = name;
		words[1] = blank ? blank + 1 : NULL;
		assert_ptr_equal(command_find(blank ? 2 : 1, words, &used), f);
		assert_int_equal(used, blank ? 2 : 1);
	}
}

static void each_command_of_mains_agent_is_a_form_that_reads(void **state)
{
	struct seen s = {.n = 0};
	const struct command_tool *t = command_router.tools;
	size_t n = 0, agent = 0;

	(void)state;
	command_each(gather, &s);
	for (; t[n].line; n++) {
		const struct command_form *f = NULL;

		for (size_t i = 0; i < s.n; i++) {
			if (streq(s.forms[i]->name, t[n].line))
				f = s.forms[i];
		}
		if (!f || !(f->where & CMD_AGENT) || f->least != t[n].least)
			fail_msg("the command %s is no form with the same rule", t[n].line);
		if (f->args[0] && !strstr(t[n].description, f->args))
			fail_msg("the command %s does not say \"%s\"", t[n].line, f->args);
	}
	for (size_t i = 0; i < s.n; i++)
		agent += (s.forms[i]->where & CMD_AGENT) != 0;
	assert_int_equal(n, agent);
}

/* --- who may what, where ------------------------------------------------------------------ */

static void count_act(void *ctx, const struct act_row *a)
{
	int64_t *n = ctx;

	n[a->allowed]++;
}

/* With words that are too many or too few: who may is told the usage, and nothing is done. */
static int try(struct desk *d, const struct command_form *f, const struct command_from *from)
{
	static char filler[] = "x";
	char *words[COMMAND_WORDS_MAX];
	_cleanup_free_ char *name = xstrdup(f->name);
	char *blank = strchr(name, ' ');
	struct command_line line = {.words = words};
	struct reply *slot = NULL;

	if (blank)
		*blank = '\0';
	words[line.n++] = name;
	if (blank)
		words[line.n++] = blank + 1;
	for (int i = 0; !f->rest && i <= f->max; i++)
		words[line.n++] = filler;
	buf_reset(&d->said);
	command_do(&d->o, &line, from, &slot, &to_desk, d);
	assert_null(slot);
	return d->status;
}

static void each_role_may_what_the_table_says(void **state)
{
	static const unsigned places[] = {CMD_CLI, CMD_MAIN, CMD_GROUP, CMD_AGENT};
	struct desk *d = *state;
	struct seen s = {.n = 0};
	struct err e = ERR_INIT;
	int64_t acts[2] = {0}, want[2] = {0};

	command_each(gather, &s);
	for (size_t i = 0; i < s.n; i++) {
		for (size_t p = 0; p < ARRAY_LEN(places); p++) {
			for (enum role role = ROLE_BLOCKED; role <= ROLE_OWNER; role++) {
				const struct command_form *f = s.forms[i];
				bool group = places[p] == CMD_GROUP;
				struct actor by = {.role = role, .in_main = !group, .who = "Ann"};
				const struct command_from from = {
					.by = &by,
					.where = places[p],
					.here = places[p] == CMD_CLI ? NULL
						: group		     ? &d->work
								     : &d->main,
					.chat_id = p == 1 || p == 2,
				};
				bool may_it = (f->where & places[p]) && role >= f->least;
				int status = try(d, f, &from);

				want[may_it]++;
				if (status != (may_it ? 2 : COMMAND_REFUSED) ||
				    (may_it && !strstr(d->said.p, "usage: /")) || !d->said.len)
					fail_msg("%s as %s at %u: status %d, said %s", f->name,
						 role_word(role), places[p], status, d->said.p);
			}
		}
	}
	assert_ok(store_act_each(d->h->st, 100000, count_act, acts, &e), &e);
	assert_int_equal(acts[0], want[0]);
	assert_int_equal(acts[1], want[1]);
}

/* --- what words come to ------------------------------------------------------------------- */

static void what_is_a_command(void **state)
{
	static const struct {
		const char *text;
		bool in_main, in_group;
	} table[] = {
		{"/status", true, true},
		{"/Status", true, true},
		{"/status@chela_bot now", true, true},
		{"/outbox list", true, false},
		{"chela outbox list", true, false},
		{"/groups add x", true, true}, /* a form that is for main: refused in words */
		{"chela status", true, true},
		{"/chela status", true, true},
		{"/chela", true, true},
		{"/stauts", true, true},
		{"/xyzzyxyzzy", true, false},
		{"/chela xyzzyxyzzy", true, false},
		{"chela xyzzyxyzzy", false, false},
		{"chela /status", true, true},
		/* telephones begin with a capital */
		{"Chela status", true, true},
		{"CHELA Status", true, true},
		{"Chela Tasks Runs mine 3", true, true},
		{"/Chela Status", true, true},
		{"/Groups List", true, true},
		{"Chela stop", true, true},
		{"Chela restart", true, false},
		{"Status", false, false},
		{"Stop", false, false},
		/* without a slash the words must be a command's, or it is talk */
		{"chela help me cook", false, false},
		{"Chela help me cook", false, false},
		{"Chela help tasks", true, true},
		{"Chela help with the garden", false, false},
		{"Chela status, please", false, false},
		{"Chela status?", false, false},
		{"Chela stop it!", false, false},
		{"Chela stop being so polite to the neighbours", false, false},
		{"Chela restart the dishwasher", false, false},
		{"Chela reload", true, false},
		{"Chela reload the truck with hay", false, false},
		{"Chela deny everything", false, false},
		{"Chela approve 7", true, false},
		{"Chela run away from the dog", false, false},
		{"Chela new ideas for dinner", false, false},
		{"Chela usage seems high", false, false},
		{"Chela usage work 3", true, true},
		{"Chela model trains are nice", false, false},
		{"Chela logs are piling up", false, false},
		{"Chela acts of kindness", false, false},
		{"Chela tasks for today", false, false},
		{"Chela groups are wonderful", false, false},
		{"Chela people like tea", false, false},
		{"Chela outbox retry all", true, false},
		/* in main the usage is the answer to what lacks a word or has a slip in the second */
		{"chela groups add", true, false},
		{"chela groups lsit", true, false},
		{"Chela groups ad x", true, false},
		{"chela deny", true, false},
		{"Chela tasks add main x \"daily at 8\" Look, is it raining?", true, false},
		{"chela model claude-x", true, true},
		{"chela", false, false},
		{"chela, status", false, false},
		{"status", false, false},
		{"/", false, false},
		{"//status", false, false},
		{"/workspace/notes.md is wrong", false, false},
		{"/status/x", false, false},
		{"/1", false, false},
		{"", false, false},
		{"say /status", false, false},
		{"> /status", false, false},
		{"/status: what", false, false},
		{"/aaaaaaaaaabbbbbbbbbbccccccccccdddddddddd", false, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		if (command_router.is(*state, table[i].text, true) != table[i].in_main ||
		    command_router.is(*state, table[i].text, false) != table[i].in_group)
			fail_msg("\"%s\"", table[i].text);
	}
}

static void wrong_words_are_one_line(void **state)
{
	static const struct {
		const char *line;
		int status;
		const char *said;
	} table[] = {
		{"/grops", 2,
		 "there is no command \"grops\"; did you mean: /groups list (all: /help)"},
		{"/groups", 0, ""},
		{"/groups ad x", 2,
		 "there is no command \"groups ad\"; did you mean: /groups add NAME "},
		{"chela groups add", 2, "usage: /groups add NAME "},
		{"/groups add a b c", 2, "usage: /groups add NAME "},
		{"/xyzzyxyzzy", 2, "there is no command \"xyzzyxyzzy\" (all: /help)"},
		{"Chela Groups Add", 2, "usage: /groups add NAME "},
		{"Chela Version", 0, "chela "},
		{"/Help Groups", 0, "/groups add NAME"},
		{"/whatsapp link", 3, "for the command line"},
		{"/version now", 2, "usage: /version"},
		{"/chela@bot version", 0, "chela "},
		{"/outbox retry \xe2\x80\x9csome thing\xe2\x80\x9d", 2,
		 "\"some thing\" is no number"},
		{"/outbox retry \"some thing\"", 2, "\"some thing\" is no number"},
		{"/outbox retry \"some", 2, "\"\"some\" is no number"},
		{"/usage work 9999", 2, "reading DAYS"},
		{"/logs nobody", 1, "no group"},
		{"/help groups add", 0, "/groups add NAME"},
		{"/tasks output mine", 2, "\"mine\" is no number of a run; /tasks runs lists them"},
		{"/tasks add main mine 0 8 * * mon Good morning", 2, "put all of it in quotes"},
		{"/tasks add main mine \"cron 0 8 * *\" Good morning", 2, "this has 4"},
		{"/groups set main trigger regex (", 2, "trigger: the pattern is wrong"},
		{"/groups set main trigger regex \"good morning\"", 0,
		 "main: trigger is regex good morning "},
		{"/groups set main trigger default", 0, "trigger is again as by default "},
	};
	struct desk *d = *state;

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		int status = command(d, &d->main, ROLE_OWNER, table[i].line);

		if (status != table[i].status || !strstr(d->said.p, table[i].said) ||
		    (status && strchr(d->said.p, '\n')))
			fail_msg("%s: %d %s", table[i].line, status, d->said.p);
	}
}

static void a_group_commands_itself_alone(void **state)
{
	struct desk *d = *state;

	assert_int_equal(command(d, &d->work, ROLE_MEMBER, "/usage"), 0);
	assert_string_equal(d->said.p, "work, the last 7 days (UTC):\nNo call of the model.");
	assert_int_equal(command(d, &d->work, ROLE_MEMBER, "/usage work"), 0);
	assert_int_equal(command(d, &d->work, ROLE_OWNER, "/usage main"), 1);
	assert_string_equal(d->said.p, "only the main group commands other groups");
	assert_int_equal(command(d, &d->work, ROLE_OWNER, "/usage nobody"), 1);
	assert_string_equal(d->said.p, "only the main group commands other groups");
	assert_int_equal(command(d, &d->main, ROLE_MEMBER, "/usage work 3"), 0);
	assert_true(str_starts(d->said.p, "work, the last 3 days"));
	assert_int_equal(command(d, &d->work, ROLE_GUEST, "/stop"), 3);
	assert_string_equal(d->said.p, "stop needs a member; you are a guest here");
	for (int i = 0; i < 3; i++) {
		static const char *const acts[] = {"/stop work", "/new work", "/compact work"};

		assert_int_equal(command(d, &d->main, ROLE_MEMBER, acts[i]), 1);
		assert_non_null(strstr(d->said.p, "needs an admin for another group than main"));
	}
	assert_int_equal(command(d, &d->main, ROLE_ADMIN, "/new work"), 0);
	assert_int_equal(command(d, &d->work, ROLE_MEMBER, "/stop"), 0);
	assert_string_equal(d->said.p, "Nothing is going on here.");
}

static void help_shows_what_one_may(void **state)
{
	struct desk *d = *state;

	assert_int_equal(command(d, &d->work, ROLE_GUEST, "/help"), 0);
	assert_non_null(strstr(d->said.p, "/version"));
	assert_null(strstr(d->said.p, "/stop"));
	assert_null(strstr(d->said.p, "/outbox"));
	assert_int_equal(command(d, &d->main, ROLE_ADMIN, "/help"), 0);
	assert_non_null(strstr(d->said.p, "/channels [retry]: which platforms"));
	assert_int_equal(command(d, &d->work, ROLE_MEMBER, "/help"), 0);
	assert_non_null(strstr(d->said.p, "/stop"));
	assert_int_equal(command(d, &d->main, ROLE_OWNER, "/help groups"), 0);
	assert_non_null(strstr(d->said.p, "/groups add NAME "));
	assert_null(strstr(d->said.p, "/outbox"));
	assert_int_equal(command(d, &d->main, ROLE_MEMBER, "/help restart"), 2);
}

static void note_act(void *ctx, const struct act_row *a)
{
	buf_putf(ctx, "%s|%s|%s|%s|%d\n", a->who, a->via, a->group, a->act, a->allowed);
}

static void the_record_has_no_secret_and_no_second_line(void **state)
{
	struct desk *d = *state;
	struct err e = ERR_INIT;
	_cleanup_(buf_free) struct buf acts = {0};

	command(d, &d->main, ROLE_OWNER,
		"/usage \"a\nb\" sk-ant-api03-abcdefghijklmnopqrstuvwxyz0123456789");
	command(d, &d->work, ROLE_GUEST, "/stop main");
	assert_ok(store_act_each(d->h->st, 10, note_act, &acts, &e), &e);
	assert_null(strstr(acts.p, "abcdefghijklmnop"));
	assert_non_null(strstr(acts.p, "Ann (example:1)|chat|main|usage a b [redacted"));
	assert_non_null(strstr(acts.p, "Ann (example:1)|chat|work|stop main|0\n"));
	assert_int_equal(command(d, &d->main, ROLE_OWNER, "/acts 1"), 0);
	assert_non_null(strstr(d->said.p, "Ann (example:1) chat in main: acts 1"));
}

static void on_restart(void *ctx)
{
	struct desk *d = ctx;

	d->restarts++;
}

static int refuse_restart(void *ctx, struct err *e)
{
	(void)ctx;
	return err_set(e, E_INVAL, "chela.yaml:3: model: is wrong");
}

static void a_restart_comes_after_what_was_said_is_durable(void **state)
{
	struct desk *d = *state;
	struct err e = ERR_INIT;

	assert_int_equal(command(d, &d->main, ROLE_OWNER, "/restart"), 1);
	d->o.restart = on_restart;
	d->o.ctx = d;
	d->o.may_restart = refuse_restart;
	assert_int_equal(command(d, &d->main, ROLE_OWNER, "/restart"), 2);
	assert_string_equal(d->said.p, "chela.yaml:3: model: is wrong");
	d->o.may_restart = NULL;
	assert_int_equal(command(d, &d->main, ROLE_OWNER, "/restart"), 0);
	assert_int_equal(d->restarts, 0);
	assert_ok(store_commit(d->h->st, &e), &e);
	assert_int_equal(d->restarts, 1);
	assert_int_equal(command(d, &d->main, ROLE_ADMIN, "/restart"), 3);
}

static void an_answer_under_way_is_not_lost_at_the_end(void **state)
{
	struct desk *d = *state;
	struct actor by = {.role = ROLE_OWNER, .in_main = true, .who = "Ann"};
	const struct command_ask a = {
		.line = "/status", .by = &by, .group = &d->main, .chat_id = 1, .thread = ""};

	command_router.run(&d->o, &a, on_said, d); /* the engine is asked */
	assert_int_equal(d->n_ends, 0);
	commands_free(d->o.commands);
	d->o.commands = NULL;
	assert_int_equal(d->n_ends, 1);
	assert_non_null(strstr(d->said.p, "The server ended before"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table_is_sound),
		cmocka_unit_test(each_command_of_mains_agent_is_a_form_that_reads),
		cmocka_unit_test_setup_teardown(each_role_may_what_the_table_says, desk_setup,
						desk_teardown),
		cmocka_unit_test(what_is_a_command),
		cmocka_unit_test_setup_teardown(wrong_words_are_one_line, desk_setup,
						desk_teardown),
		cmocka_unit_test_setup_teardown(a_group_commands_itself_alone, desk_setup,
						desk_teardown),
		cmocka_unit_test_setup_teardown(help_shows_what_one_may, desk_setup, desk_teardown),
		cmocka_unit_test_setup_teardown(the_record_has_no_secret_and_no_second_line,
						desk_setup, desk_teardown),
		cmocka_unit_test_setup_teardown(a_restart_comes_after_what_was_said_is_durable,
						desk_setup, desk_teardown),
		cmocka_unit_test_setup_teardown(an_answer_under_way_is_not_lost_at_the_end,
						desk_setup, desk_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
