// SPDX-License-Identifier: Apache-2.0
/* What answers say to somebody who does not know Chela yet: where it went wrong, and what can be typed next. */
#include "admin_desk_rig.h"

struct said {
	const char *line;
	int status;
	const char *words;
};

static void say_all(struct desk *d, const struct group_row *g, enum role role,
		    const struct said *table, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int status = command(d, g, role, table[i].line);

		if (status != table[i].status || !strstr(d->said.p, table[i].words))
			fail_msg("%s: %d %s", table[i].line, status, d->said.p);
	}
}

static void wrong_words_lead_on(void **state)
{
	static const struct said table[] = {
		{"/help groups ad", 2, "there is no command \"groups ad\""},
		{"/tasks add main mine 0 8 * * mon Hello", 2,
		 "put all of it in quotes: /tasks add main mine \"cron "},
		{"/tasks add main mine cron 0 8 * * mon Hello", 2, "put all of it in quotes"},
		{"/tasks add main Mine 0 8 * * mon Hello", 2, "name: \"Mine\""},
		{"/pause nobody", 1,
		 "there is no task and no group \"nobody\": /tasks and /groups list them"},
		{"/people why telegram:1 telegram:2", 1,
		 "no chat \"telegram:1\" was seen; /chats lists those that were"},
		{"/tasks add main mine \"cron 0 8 * *\" Hello", 2, "this has 4"},
		{"/tasks add main mine @dialy Hello", 2, "is none of @hourly"},
		{"/groups set main context_age x", 2, "context_age: \"x\" is no duration"},
		{"/groups set main trigger regex (", 2, "trigger: the pattern is wrong"},
	};
	struct desk *d = *state;

	say_all(d, &d->main, ROLE_OWNER, table, ARRAY_LEN(table));
}

static void quotes_of_a_pattern(void **state)
{
	static const struct said table[] = {
		{"/groups set main trigger regex \"good morning\"", 0, "regex good morning from"},
		{"/groups set main trigger word \"hey, you\"", 0, "trigger is word hey, you from"},
		{"/groups set main trigger regex \"a\"b\"", 0, "regex \"a\"b\" from"},
		{"/groups set main trigger regex \"a\" or \"b\"", 0, "regex \"a\" or \"b\" from"},
		{"/groups set main trigger regex \"", 0, "regex \" from"},
		{"/groups set main trigger default", 0, "trigger is again as by default from"},
	};
	struct desk *d = *state;

	say_all(d, &d->main, ROLE_OWNER, table, ARRAY_LEN(table));
}

static void a_paused_group_is_seen(void **state)
{
	static const struct said in_main[] = {
		{"/tasks", 0, "There is no task. Ask the assistant for one, or: /tasks add "},
		{"/tasks add work mine \"every 2h\" Hello", 0, "Made: #1 mine: every 2h"},
		{"/pause work", 0, "do not run until /resume work"},
		{"/tasks", 0, "work: paused, its tasks do not run until /resume work\n  #1 mine"},
		{"/tasks list work", 0, "until /resume work\n#1 mine"},
	};
	static const struct said in_work[] = {
		{"/tasks", 0, "work: paused, its tasks do not run until main resumes them\n#1"},
	};
	struct desk *d = *state;
	struct err e = ERR_INIT;
	struct chat_row chat;

	assert_ok(store_chat_ensure(d->h->st, "console", "work", "", &chat, &e), &e);
	assert_ok(store_chat_link(d->h->st, chat.id, d->work.id, &e), &e);
	assert_int_equal(command(d, &d->work, ROLE_MEMBER, "/tasks"), 0);
	assert_string_equal(d->said.p, "There is no task. Ask the assistant for one.");
	say_all(d, &d->main, ROLE_OWNER, in_main, ARRAY_LEN(in_main));
	say_all(d, &d->work, ROLE_MEMBER, in_work, ARRAY_LEN(in_work));
	assert_int_equal(command(d, &d->main, ROLE_OWNER, "/resume work"), 0);
	assert_int_equal(command(d, &d->work, ROLE_MEMBER, "/tasks"), 0);
	assert_true(str_starts(d->said.p, "#1 mine"));
}

/* Slack keeps lines with a slash for itself: what is hinted there can be typed there. */
static void hints_fit_the_platform(void **state)
{
	struct desk *d = *state;
	struct err e = ERR_INIT;
	struct chat_row chat;

	assert_ok(store_chat_ensure(d->h->st, "slack", "C1", "", &chat, &e), &e);
	assert_int_equal(chat.id, 1);
	assert_int_equal(command(d, &d->main, ROLE_OWNER, "chela groups ad"), 2);
	assert_non_null(strstr(d->said.p, "did you mean: /chela groups add NAME "));
	assert_int_equal(command(d, &d->main, ROLE_OWNER, "chela help groups add"), 0);
	assert_true(str_starts(d->said.p, "/chela groups add NAME [CHANNEL:CHAT]: make"));
	assert_string_equal(router_lead("telegram"), "/");
}

static void find_channel(void *ctx, const struct channel_status *s)
{
	*(struct channel **)ctx = s->channel;
}

static int n_connects;

static void note_connect(struct channel *c)
{
	assert_non_null(c);
	n_connects++;
}

static void a_stuck_channel_is_tried_when_somebody_says_so(void **state)
{
	struct desk *d = *state;
	struct channel *c = NULL;
	struct channel_ops counting;
	const struct channel_ops *own;

	assert_int_equal(command(d, &d->main, ROLE_ADMIN, "/channels retry telegraph"), 1);
	assert_string_equal(d->said.p,
			    "there is no channel \"telegraph\" here; there are: console");
	assert_int_equal(command(d, &d->main, ROLE_ADMIN, "/channels retry console"), 2);
	assert_string_equal(d->said.p, "console is up; there is nothing to try");
	router_each_channel(d->h->router, find_channel, (void *)&c);
	own = c->ops;
	counting = *own;
	counting.connect = note_connect;
	c->ops = &counting;
	n_connects = 0;

	channel_on_state(c, CHANNEL_STUCK, "the token is wrong", 0);
	assert_int_equal(command(d, &d->main, ROLE_MEMBER, "/channels retry console"), 3);
	settle(d->h);
	assert_int_equal(n_connects, 0); /* by itself in 10 minutes */
	assert_int_equal(command(d, &d->main, ROLE_ADMIN, "Chela channels retry Console"), 0);
	assert_string_equal(d->said.p, "console is tried now; /channels shows how it goes.");
	await(d->h, &n_connects, 1);
	/* Never while it is being tried. */
	assert_int_equal(command(d, &d->main, ROLE_ADMIN, "/channels retry console"), 1);
	assert_string_equal(d->said.p, "console is being tried right now");
	channel_on_state(c, CHANNEL_DOWN, "too many requests", 120000);
	assert_int_equal(command(d, &d->main, ROLE_ADMIN, "/channels retry console"), 1);
	assert_true(str_starts(d->said.p, "console has asked us to wait; it is tried in 1"));
	settle(d->h);
	assert_int_equal(n_connects, 1);
	channel_on_state(c, CHANNEL_STUCK, "the token is wrong again", 0);
	assert_int_equal(command(d, &d->main, ROLE_ADMIN, "/channels retry console"), 0);
	await(d->h, &n_connects, 2);
	channel_on_state(c, CHANNEL_UP, "", 0);
	assert_int_equal(command(d, &d->main, ROLE_ADMIN, "/channels retry console"), 2);
	c->ops = own;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(wrong_words_lead_on, desk_setup, desk_teardown),
		cmocka_unit_test_setup_teardown(quotes_of_a_pattern, desk_setup, desk_teardown),
		cmocka_unit_test_setup_teardown(a_paused_group_is_seen, desk_setup, desk_teardown),
		cmocka_unit_test_setup_teardown(hints_fit_the_platform, desk_setup, desk_teardown),
		cmocka_unit_test_setup_teardown(a_stuck_channel_is_tried_when_somebody_says_so,
						desk_setup, desk_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
