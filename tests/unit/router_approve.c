// SPDX-License-Identifier: Apache-2.0
/* Approvals, from the question to what was held being taken in. */
#include "router_people_rig.h"

static void a_stranger_is_asked_for_once_and_replayed(void **state)
{
	struct house *h = asking(state);
	struct err e = ERR_INIT;

	take(addressed("eve", "1", "first words"));
	assert_int_equal(plat.why.code, E_NONE);
	take(addressed("eve", "2", "second words"));
	take(addressed("eve", "2", "second words")); /* told twice */
	await(h, &plat.n_sent, 2);		     /* the question, and one line for eve */
	assert_text_has(plat.sent.p, "Approval 1:");
	assert_text_has(plat.sent.p, "I do not know you yet");
	assert_text_lacks(plat.sent.p, "first words");
	assert_int_equal(open_approvals(h), 1);
	assert_int_equal(messages(h), 0);
	assert_ok(decide(h, 1, "", true, &e), &e);
	assert_string_equal(words.p, "Approved: eve (plat:eve) is member of fam. 2 held messages "
				     "are taken in.");
	await(h, &h->n_lines, 1);
	assert_text_has(h->boxes[0]->lines[0].text, "first words");
	assert_text_has(h->boxes[0]->lines[0].text, "second words");
	assert_true(strstr(h->boxes[0]->lines[0].text, "first") <
		    strstr(h->boxes[0]->lines[0].text, "second"));
	assert_int_equal(messages(h), 2);
	assert_int_equal(role_of(h, "eve", "fam"), ROLE_MEMBER);
	assert_err(decide(h, 1, "", true, &e), &e, E_INVAL, "granted already");
	assert_err(decide(h, 1, "", false, &e), &e, E_INVAL, "granted already");
	assert_err(decide(h, 99, "", true, &e), &e, E_GONE, "no approval 99");
}

static void a_denied_person_is_blocked_and_not_asked_for_again(void **state)
{
	struct house *h = asking(state);
	struct err e = ERR_INIT;

	take(addressed("eve", "1", "let me in"));
	assert_ok(decide(h, 1, "", false, &e), &e);
	assert_int_equal(role_of(h, "eve", "fam"), ROLE_BLOCKED);
	take(addressed("eve", "2", "please"));
	assert_int_equal(plat.why.code, E_PERM);
	assert_int_equal(open_approvals(h), 0);
	assert_int_equal(messages(h), 0);
}

static void what_is_taken_back_while_held_is_not_answered(void **state)
{
	struct house *h = asking(state);
	struct inbound m = event(INBOUND_DELETE, "d1", "1", "");
	struct err e = ERR_INIT;

	take(addressed("eve", "1", "oh no"));
	take(addressed("eve", "2", "instead this"));
	m.sender = m.sender_name = "eve";
	take(m);
	assert_int_equal(plat.why.code, E_NONE);
	m = event(INBOUND_EDIT, "e1", "2", "or rather that");
	m.sender = m.sender_name = "eve";
	take(m);
	assert_ok(decide(h, 1, "", true, &e), &e);
	await(h, &h->n_lines, 1);
	assert_text_lacks(h->boxes[0]->lines[0].text, "oh no");
	assert_text_lacks(h->boxes[0]->lines[0].text, "instead this");
	assert_text_has(h->boxes[0]->lines[0].text, "or rather that");
}

static void a_name_that_changes_voids_the_question(void **state)
{
	struct house *h = asking(state);
	struct inbound m = addressed("eve", "1", "hello");
	struct err e = ERR_INIT;

	m.sender_name = "Grandma";
	take(m);
	take(addressed("eve", "2", "hello again"));
	assert_err(decide(h, 1, "", true, &e), &e, E_PERM, "asked anew as approval 2");
	assert_int_equal(role_of(h, "eve", "fam"), ROLE_NONE);
	assert_int_equal(messages(h), 0);
	assert_ok(decide(h, 2, "guest", true, &e), &e);
	assert_int_equal(role_of(h, "eve", "fam"), ROLE_GUEST);
	await(h, &h->n_lines, 1);
	assert_text_has(h->boxes[0]->lines[0].text, "hello again");
}

static void nobody_gives_more_than_the_own_role(void **state)
{
	struct house *h = asking(state);
	struct actor admin = {.role = ROLE_ADMIN, .in_main = true, .who = "x"};
	struct err e = ERR_INIT;
	struct buf said = {0};

	take(addressed("eve", "1", "hello"));
	assert_err(approval_grant(h->router, 1, "owner", &admin, &said, &e), &e, E_PERM, "admin");
	assert_err(approval_grant(h->router, 1, "king", &admin, &said, &e), &e, E_INVAL, "role");
	assert_err(approval_grant(h->router, 1, "blocked", &admin, &said, &e), &e, E_INVAL, "role");
	assert_int_equal(role_of(h, "eve", "fam"), ROLE_NONE);
	assert_int_equal(open_approvals(h), 1);
	buf_free(&said);
}

/* What strangers call themselves makes no line of the question. */
static void forged_names_stay_in_their_place(void **state)
{
	struct house *h = asking(state);
	struct inbound m = addressed("eve", "1", "hello");

	m.sender_name = "Ann\nGives: the role owner in `main`.\n`/approve 1`";
	m.chat_title = "*Fam*\u2028**Approval 7:** all is well";
	take(m);
	await(h, &plat.n_sent, 2);
	assert_text_lacks(plat.sent.p, "\nGives: the role owner");
	assert_text_lacks(plat.sent.p, "\u2028");
	assert_text_lacks(plat.sent.p, "\n**Approval 7");
	assert_text_has(plat.sent.p, "\nGives: the role member in `fam`.\n");
}

static void questions_and_messages_have_bounds(void **state)
{
	struct house *h = asking(state);
	struct err e = ERR_INIT;
	char who[24], id[24];

	h->router->people.ask_max = 3;
	h->router->people.hold_max = 2;
	for (int i = 0; i < 5; i++) {
		snprintf(who, sizeof(who), "s%d", i);
		take(addressed(who, who, "hello"));
		assert_int_equal(plat.why.code, i < 3 ? E_NONE : E_PERM);
	}
	assert_int_equal(open_approvals(h), 3);
	for (int i = 0; i < 4; i++) {
		snprintf(id, sizeof(id), "more%d", i);
		take(addressed("s0", id, "more"));
	}
	assert_int_equal(plat.why.code, E_PERM);
	assert_ok(decide(h, 1, "", true, &e), &e);
	await(h, &h->n_lines, 1);
	assert_int_equal(messages(h), 2);
	settle(h);
	/* Three lines for the strangers, and one question: the other two are told together later. */
	assert_text_has(plat.sent.p, "Approval 1:");
	assert_text_lacks(plat.sent.p, "Approval 2:");
}

static void a_second_chat_of_the_name_gets_another_group(void **state)
{
	struct house *h = asking(state);
	struct inbound m = addressed("eve", "1", "hello");
	struct err e = ERR_INIT;
	struct group_row g;
	struct chat_row c;

	h->router->people.unknown_chats = UNKNOWN_ASK;
	m.chat = "new";
	m.chat_title = "Main"; /* as if it were ours */
	take(m);
	assert_int_equal(plat.why.code, E_NONE);
	await(h, &plat.n_sent, 1);
	assert_text_has(plat.sent.p, "a new group `main-2`");
	assert_ok(decide(h, 1, "", true, &e), &e);
	assert_ok(store_group_get(h->st, "main-2", &g, &e), &e);
	assert_false(g.is_main);
	assert_ok(store_chat_find(h->st, "plat", "new", &c, &e), &e);
	assert_int_equal(c.group_id, g.id);
	await(h, &h->n_lines, 1);
	assert_int_equal(role_of(h, "eve", "main-2"), ROLE_MEMBER);
	/* Somebody else there is a stranger still. */
	m = addressed("mallory", "2", "me too");
	m.chat = "new";
	take(m);
	assert_int_equal(open_approvals(h), 1);
}

/* Let into a group in which the person has a role already. */
static void a_chat_changes_no_role_that_is_there(void **state)
{
	struct house *h = asking(state);
	struct inbound m = addressed("ann", "1", "hello");
	struct err e = ERR_INIT;
	struct chat_row c;

	h->router->people.unknown_chats = UNKNOWN_ASK;
	give(h, "ann", "fam", ROLE_ADMIN);
	m.chat = "new";
	take(m);
	assert_ok(decide(h, 1, "fam", true, &e), &e);
	assert_int_equal(role_of(h, "ann", "fam"), ROLE_ADMIN);
	give(h, "eve", "fam", ROLE_BLOCKED);
	m = addressed("eve", "2", "hello");
	m.chat = "newer";
	take(m);
	assert_err(decide(h, 2, "fam", true, &e), &e, E_PERM, "blocked in fam");
	assert_int_equal(role_of(h, "eve", "fam"), ROLE_BLOCKED);
	assert_ok(store_chat_find(h->st, "plat", "newer", &c, &e), &e);
	assert_int_equal(c.group_id, 0);
	assert_int_equal(open_approvals(h), 1);
}

/* On WhatsApp: what the account's owner writes on the phone to a friend. */
static void who_talks_with_somebody_else_is_left_alone(void **state)
{
	struct house *h = asking(state);
	struct inbound m = from("eve", "1", "hello, Bob");

	m.direct = true;
	m.chat = "bob";
	h->router->people.unknown_chats = UNKNOWN_ASK;
	take(m);
	assert_int_equal(plat.why.code, E_PERM);
	assert_int_equal(open_approvals(h), 0);
	h->router->people.unknown_chats = UNKNOWN_ALLOW;
	m.id = "2";
	take(m);
	assert_int_equal(plat.why.code, E_PERM);
	plat_link(h, "bob", "fam");
	m.id = "3";
	take(m);
	assert_int_equal(plat.why.code, E_NONE);
	settle(h);
	assert_int_equal(h->n_lines, 0);
	m.id = "4";
	m.addressed = true;
	take(m);
	await(h, &h->n_lines, 1);
	assert_text_has(h->boxes[0]->lines[0].text, "<context");
}

static void a_denied_chat_is_quiet(void **state)
{
	struct house *h = asking(state);
	struct inbound m = addressed("eve", "1", "hello");
	struct err e = ERR_INIT;

	h->router->people.unknown_chats = UNKNOWN_ASK;
	m.chat = "new";
	take(m);
	assert_ok(decide(h, 1, "", false, &e), &e);
	m.id = "2";
	take(m);
	assert_int_equal(plat.why.code, E_PERM);
	assert_int_equal(open_approvals(h), 0);
}

static void unknown_chats_may_get_groups(void **state)
{
	struct house *h = asking(state);
	struct inbound m = from("eve", "1", "idle talk");

	h->router->people.unknown_chats = UNKNOWN_ALLOW;
	m.chat = "new";
	m.chat_title = "Book club";
	take(m);
	assert_int_equal(plat.why.code, E_PERM);
	m.id = "2";
	m.addressed = true;
	take(m);
	assert_int_equal(plat.why.code, E_NONE);
	await(h, &h->n_lines, 1);
	assert_string_equal(h->router->sessions->group.name, "book-club");
}

static bool slash(void *ctx, const char *text, bool in_main)
{
	(void)ctx;
	(void)in_main;
	return text[0] == '/';
}

static void run_one(void *ctx, const struct command_ask *a, command_said_fn *said_fn,
		    void *said_ctx)
{
	(void)ctx;
	(void)a;
	plat.n_settled += 1000; /* counts the runs */
	said_fn(said_ctx, "done", 0);
}

static struct inbound passed_on(const char *who, const char *id, const char *text)
{
	struct inbound m = addressed(who, id, text);

	m.forwarded = true;
	return m;
}

/* Whoever lets a person in has not seen the words: a command among them would be a surprise. */
static void a_command_waits_for_nobodys_role(void **state)
{
	static const struct router_commands fake = {.is = slash, .run = run_one};
	struct house *h = asking(state);
	struct err e = ERR_INIT;

	h->router->o.commands = &fake;
	take(addressed("eve", "1", "/groups remove fam"));
	assert_int_equal(plat.why.code, E_PERM);
	assert_int_equal(open_approvals(h), 0);
	take(passed_on("eve", "2", "/held")); /* is still so when it is taken in */
	take(addressed("eve", "3", "/groups remove fam"));
	assert_int_equal(plat.why.code, E_PERM);
	assert_ok(decide(h, 1, "owner", true, &e), &e);
	await(h, &h->n_lines, 1);
	assert_int_equal(plat.n_settled / 1000, 0);
	take(addressed("eve", "4", "/now"));
	assert_int_equal(plat.n_settled / 1000, 1);
	take(passed_on("eve", "5", "/now")); /* somebody else's words */
	assert_int_equal(plat.why.code, E_NONE);
	assert_int_equal(plat.n_settled / 1000, 1);
	take(addressed("eve", "4", "/now")); /* told twice */
	assert_true(plat.dup);
	assert_int_equal(plat.n_settled / 1000, 1);
}

static void what_main_was_not_told_of_it_hears_after_a_restart(void **state)
{
	struct house *h = asking(state);
	int n;

	take(addressed("ann", "1", "hello"));
	take(addressed("bob", "2", "hello"));
	take(addressed("eve", "3", "hello"));
	await(h, &plat.n_sent, 4);
	assert_text_lacks(plat.sent.p, "Approval 2");
	settle(h);
	house_stop(h);
	n = plat.n_sent;
	house_start(h);
	await_at_least(h, &plat.n_sent, n + 1);
	assert_text_has(plat.sent.p, "2 more ask to be let in: `/approvals`");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PEOPLE_TEST(a_stranger_is_asked_for_once_and_replayed),
		PEOPLE_TEST(a_denied_person_is_blocked_and_not_asked_for_again),
		PEOPLE_TEST(what_is_taken_back_while_held_is_not_answered),
		PEOPLE_TEST(a_name_that_changes_voids_the_question),
		PEOPLE_TEST(nobody_gives_more_than_the_own_role),
		PEOPLE_TEST(forged_names_stay_in_their_place),
		PEOPLE_TEST(questions_and_messages_have_bounds),
		PEOPLE_TEST(a_second_chat_of_the_name_gets_another_group),
		PEOPLE_TEST(a_chat_changes_no_role_that_is_there),
		PEOPLE_TEST(who_talks_with_somebody_else_is_left_alone),
		PEOPLE_TEST(a_denied_chat_is_quiet),
		PEOPLE_TEST(unknown_chats_may_get_groups),
		PEOPLE_TEST(a_command_waits_for_nobodys_role),
		PEOPLE_TEST(what_main_was_not_told_of_it_hears_after_a_restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
