// SPDX-License-Identifier: Apache-2.0
/* Who may call which tool: the gate, held against the table of tools for every role; what only main's agent has; what is on record. */
#include "router_tools_rig.h"
#include "store/grants.h"
#include "store/record.h"

/* Good arguments for each, so that only the role decides. A tool without a line here fails the test. */
static const struct {
	const char *name, *args;
} calls[] = {
	{"send_message", "{\"text\":\"hi\"}"},
	{"send_file", "{\"path\":\"none\"}"},
	{"react", "{\"emoji\":\"👍\",\"message_id\":999}"},
	{"edit_message", "{\"message_id\":999,\"text\":\"x\"}"},
	{"ask_user", "{\"question\":\"?\",\"options\":[\"a\",\"a\"]}"},
	{"search_history", "{\"query\":\"zebra\"}"},
	{"schedule_create", "{\"prompt\":\"look\",\"schedule\":\"never\"}"},
	{"schedule_update", "{\"task\":\"999\",\"prompt\":\"x\"}"},
	{"schedule_pause", "{\"task\":\"999\"}"},
	{"schedule_resume", "{\"task\":\"999\"}"},
	{"schedule_cancel", "{\"task\":\"999\"}"},
	{"schedule_run", "{\"task\":\"999\"}"},
	{"list_tasks", "{}"},
	{"task_runs", "{}"},
	{"list_groups", "{}"},
	{"register_group", "{\"name\":\"No good\"}"},
	{"group_settings", "{}"},
};

static const char *args_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		if (streq(calls[i].name, name))
			return calls[i].args;
	}
	fail_msg("no arguments here for the tool %s", name);
	return NULL;
}

/* A turn runs in the group; the operator began it. */
static struct session *turn_in(struct house *h, const char *group)
{
	struct group_row g;
	struct err e = ERR_INIT;
	struct session *s;
	int lines = h->n_lines;

	assert_ok(store_group_ensure(h->st, group, streq(group, "main"), &g, &e), &e);
	house_join(h, group);
	say(h, group, "1", "do something");
	await(h, &h->n_lines, lines + 1);
	s = session_find(h->router, g.id, "");
	assert_non_null(s);
	assert_true(s->turn_id != 0);
	lifecycle(h->boxes[h->n_boxes - 1], h->boxes[h->n_boxes - 1]->lines[0].uuid, "started");
	return s;
}

static void act_as(struct session *s, enum role role, const char *who)
{
	s->unasked = 0;
	s->by = (struct actor){.role = role, .in_main = s->group.is_main};
	str_copy(s->by.who, sizeof(s->by.who), who);
}

struct trial {
	struct house *h;
	struct box *b;
	struct session *s;
	int tools, refused, hidden;
};

/* What the agent is told of one tool. */
static char *told(struct trial *t, const char *name, const char *args, bool *error)
{
	struct peer_stream *p = call_tool(t->b, name, args);

	await_at_least(t->h, &platform.n_replies, platform.n_replies + 1);
	return words_of(p, error);
}

static void try_tool(void *ctx, const char *name, const char *title, const struct rule *rule)
{
	struct trial *t = ctx;

	assert_non_null(title);
	t->tools++;
	for (int role = ROLE_NONE; role <= ROLE_OWNER; role++) {
		bool there = t->s->group.is_main || !rule->main_only, error;
		_cleanup_free_ char *words = NULL;

		act_as(t->s, (enum role)role, "Eve (plat:9)");
		words = told(t, name, args_of(name), &error);
		bool no_tool = strstr(words, "Unknown tool") != NULL;
		bool no_right = strstr(words, "needs the role") != NULL;

		if (no_tool != !there || no_right != (there && role < (int)rule->least))
			fail_msg("%s as %s in %s: %s", name, role_word((enum role)role),
				 t->s->group.name, words);
		if (no_right && (!error || !strstr(words, "Eve (plat:9)")))
			fail_msg("%s: %s", name, words);
		t->refused += no_right;
		t->hidden += no_tool;
	}
}

static void each_tool_asks_for_its_role(void **state)
{
	static const char *const groups[] = {"main", "work"};

	for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
		struct house *h = i ? *state : tools_house(state);
		struct trial t = {.h = h, .s = turn_in(h, groups[i])};

		t.b = h->boxes[h->n_boxes - 1];
		router_each_tool(try_tool, &t);
		assert_int_equal(t.tools, ARRAY_LEN(calls));
		assert_true(t.refused > t.tools);
		assert_int_equal(t.hidden > 0, i == 1);
	}
}

static void without_a_turn_nothing_is_done(void **state)
{
	struct house *h = tools_house(state);
	struct trial t = {.h = h, .s = turn_in(h, "main")};

	t.b = h->boxes[0];
	answer(t.b, 0, "done");
	await(h, &h->n_settled, 1);
	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		bool error;
		_cleanup_free_ char *words = told(&t, calls[i].name, calls[i].args, &error);

		assert_true(error);
		assert_non_null(strstr(words, "no turn is running"));
	}
}

struct record {
	int allowed, refused;
	char last[300];
};

static void see_act(void *ctx, const struct act_row *a)
{
	struct record *r = ctx;

	assert_string_equal(a->via, "agent");
	if (a->allowed)
		snprintf(r->last, sizeof(r->last), "%s: %s", a->who, a->act);
	if (a->allowed)
		r->allowed++;
	else
		r->refused++;
}

static void what_was_decided_is_on_record(void **state)
{
	struct house *h = tools_house(state);
	struct trial t = {.h = h, .s = turn_in(h, "main")};
	struct record r = {.allowed = 0};
	struct err e = ERR_INIT;
	bool error;

	t.b = h->boxes[0];
	act_as(t.s, ROLE_MEMBER, "Ann (plat:1)");
	free(told(&t, "register_group", "{\"name\":\"club\"}", &error));
	assert_true(error);
	act_as(t.s, ROLE_ADMIN, "Ann (plat:1)");
	free(told(&t, "register_group", "{\"name\":\"club\"}", &error));
	assert_false(error);
	refuses(h, t.b, "group_settings", "{\"key\":\"drafts\",\"value\":\"perhaps\"}",
		"Nothing changed: ");
	assert_ok(store_act_each(h->st, 10, see_act, &r, &e), &e);
	assert_int_equal(r.refused, 1);
	assert_int_equal(r.allowed, 1);
	assert_string_equal(r.last, "Ann (plat:1): register_group club ");
}

static void settings_say_when_they_hold(void **state)
{
	struct house *h = tools_house(state);
	struct trial t = {.h = h, .s = turn_in(h, "main")};

	t.b = h->boxes[0];
	act_as(t.s, ROLE_MEMBER, "Ann (plat:1)");
	works(h, t.b, "group_settings", "{\"key\":\"drafts\"}", "drafts: on [default]");
	refuses(h, t.b, "group_settings", "{\"key\":\"drafts\",\"value\":\"off\"}",
		"changing settings needs the role admin");
	act_as(t.s, ROLE_ADMIN, "Ann (plat:1)");
	works(h, t.b, "group_settings", "{\"key\":\"drafts\",\"value\":\"off\"}",
	      "Changed for main:\ndrafts: off (");
	works(h, t.b, "group_settings", "{\"key\":\"sessions\",\"value\":\"thread\"}",
	      "Changed, and in force after this turn, for main:\nsessions: thread (");
	refuses(h, t.b, "group_settings", "{\"key\":\"no such\"}", "There is no setting");
	refuses(h, t.b, "group_settings", "{\"value\":\"on\"}", "a value needs the key");
}

/* --- one group and another ---------------------------------------------------------------- */

static void see_text(void *ctx, const struct msg_row *m)
{
	str_copy(ctx, 200, m->text);
}

static void a_grant_opens_one_way_only(void **state)
{
	struct house *h = tools_house(state);
	struct trial t = {.h = h, .s = turn_in(h, "work")};
	struct group_row work, club;
	struct chat_row room;
	struct err e = ERR_INIT;
	char text[200] = "";
	bool error, fresh;

	t.b = h->boxes[0];
	assert_ok(store_group_get(h->st, "work", &work, &e), &e);
	assert_ok(store_group_ensure(h->st, "club", false, &club, &e), &e);
	assert_ok(store_chat_ensure(h->st, "plat", "club-room", "Club", &room, &e), &e);
	assert_ok(store_chat_link(h->st, room.id, club.id, &e), &e);
	act_as(t.s, ROLE_OWNER, "Ann (plat:1)");
	/* There, not there, and main: the same words. */
	static const char *const names[] = {"club",	 "plat:club-room", "nowhere",
					    "plat:none", "main",	   "plat:room"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		_cleanup_free_ char *args = xasprintf("{\"text\":\"x\",\"chat\":\"%s\"}", names[i]);
		_cleanup_free_ char *want = xasprintf(
			"Not sent: there is no chat \"%s\" that this group may send to.", names[i]);
		_cleanup_free_ char *words = told(&t, "send_message", args, &error);

		assert_true(error);
		assert_string_equal(words, want);
	}
	assert_ok(store_grant_add(h->st, work.id, "send_message", club.id, "test", &fresh, &e), &e);
	assert_true(fresh);
	refuses(h, t.b, "send_message", "{\"text\":\"x\",\"chat\":\"main\"}",
		"there is no chat \"main\"");
	act_as(t.s, ROLE_GUEST, "Eve (plat:9)");
	refuses(h, t.b, "send_message", "{\"text\":\"x\",\"chat\":\"club\"}",
		"needs the role member");
	act_as(t.s, ROLE_MEMBER, "Bob (plat:2)");
	works(h, t.b, "send_message", "{\"text\":\"news\",\"chat\":\"club\"}",
	      "of plat:club-room (group club)");
	assert_ok(store_history(h->st, room.id, -1, 1, see_text, text, &e), &e);
	assert_string_equal(text, "news");
	assert_ok(store_grant_remove(h->st, work.id, "send_message", club.id, &fresh, &e), &e);
	refuses(h, t.b, "send_message", "{\"text\":\"x\",\"chat\":\"club\"}",
		"there is no chat \"club\"");
}

static void only_mains_admins_name_another_group(void **state)
{
	static const char *const tools[][2] = {
		{"group_settings", "{\"group\":\"club\"}"},
		{"list_tasks", "{\"group\":\"club\"}"},
		{"task_runs", "{\"group\":\"club\"}"},
		{"schedule_create",
		 "{\"group\":\"club\",\"prompt\":\"x\",\"schedule\":\"@daily\"}"},
	};
	struct house *h = tools_house(state);
	struct trial t = {.h = h, .s = turn_in(h, "work")};
	struct group_row club;
	struct err e = ERR_INIT;

	assert_ok(store_group_ensure(h->st, "club", false, &club, &e), &e);
	act_as(t.s, ROLE_OWNER, "Ann (plat:1)");
	for (size_t i = 0; i < ARRAY_LEN(tools); i++)
		refuses(h, h->boxes[0], tools[i][0], tools[i][1],
			"there is no group \"club\" here");
	t.s = turn_in(h, "main");
	act_as(t.s, ROLE_MEMBER, "Bob (plat:2)");
	for (size_t i = 0; i < ARRAY_LEN(tools); i++)
		refuses(h, h->boxes[1], tools[i][0], tools[i][1],
			"naming another group needs the role admin");
	act_as(t.s, ROLE_ADMIN, "Ann (plat:1)");
	for (size_t i = 0; i < 3; i++)
		works(h, h->boxes[1], tools[i][0], tools[i][1], "");
	refuses(h, h->boxes[1], "list_tasks", "{\"group\":\"nowhere\"}",
		"there is no group \"nowhere\"");
}

/* While the turn runs. */
static void who_loses_a_role_loses_it_at_once(void **state)
{
	struct house *h = tools_house(state);
	struct box *b = busy(h);
	struct err e = ERR_INIT;

	works(h, b, "list_groups", "{}", "main");
	assert_ok(store_role_set(h->st, 1, 0, ROLE_MEMBER, "test", &e), &e);
	refuses(h, b, "list_groups", "{}", "whose role here is member");
	works(h, b, "list_tasks", "{}", "no task");
	assert_ok(store_role_set(h->st, 1, 0, ROLE_BLOCKED, "test", &e), &e);
	refuses(h, b, "list_tasks", "{}", "whose role here is blocked");
	/* And what is given in the meantime is for the next turn. */
	assert_ok(store_role_set(h->st, 1, 0, ROLE_OWNER, "test", &e), &e);
	refuses(h, b, "list_tasks", "{}", "whose role here is blocked");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TOOL_TEST(each_tool_asks_for_its_role),
		TOOL_TEST(without_a_turn_nothing_is_done),
		TOOL_TEST(what_was_decided_is_on_record),
		TOOL_TEST(a_grant_opens_one_way_only),
		TOOL_TEST(only_mains_admins_name_another_group),
		TOOL_TEST(settings_say_when_they_hold),
		TOOL_TEST(who_loses_a_role_loses_it_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
