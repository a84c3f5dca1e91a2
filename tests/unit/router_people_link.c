// SPDX-License-Identifier: Apache-2.0
/* What the link of a direct chat gives to the person there: a role, once, which can be taken away. */
#include "router_people_rig.h"

static struct inbound direct(const char *who, const char *id, const char *chat)
{
	struct inbound m = addressed(who, id, "hello");

	m.chat = chat;
	m.direct = true;
	return m;
}

/* As the command and the tool do it; what they say. */
static struct buf link_said;
static void link_chat(struct house *h, const char *chat, const char *group)
{
	struct group_row g = plat_group(h, group);
	struct err e = ERR_INIT;
	struct chat_row c;

	buf_free(&link_said);
	assert_ok(store_chat_ensure(h->st, "plat", chat, "", &c, &e), &e);
	assert_ok(people_link(h->router, &c, &g, "ann", &link_said, &e), &e);
}

static struct standing judged(struct house *h, const char *who, const char *chat, struct buf *why)
{
	struct group_row g = plat_group(h, "fam");
	struct chat_row c;
	struct standing s;
	struct err e = ERR_INIT;
	struct place p = {.chat = &c, .group = &g, .sender_id = sender_of(h, who)};

	assert_ok(store_chat_find(h->st, "plat", chat, &c, &e), &e);
	assert_ok(people_judge(h->router, &p, &s, why, &e), &e);
	return s;
}

static void note_giver(void *ctx, int64_t group_id, const char *group, enum role role,
		       const char *by)
{
	buf_putf(ctx, "%s %s by %s\n", group_id ? group : "everywhere", role_word(role), by);
}

static void who_writes_first_in_a_linked_direct_chat_is_a_member(void **state)
{
	struct house *h = asking(state);
	struct buf text = {0};
	struct actor by;
	struct group_row g;
	struct err e = ERR_INIT;
	int64_t person;

	set(h, "fam", "strangers", "ignore");
	link_chat(h, "bobs", "fam");
	assert_text_has(link_said.p, "one person alone, that person is a member of fam from the "
				     "first message on");
	assert_int_equal(role_of(h, "bob", "fam"), ROLE_NONE);
	take(direct("bob", "1", "bobs"));
	await(h, &h->n_lines, 1);
	g = plat_group(h, "fam");
	assert_ok(actor_of(h->router, &g, sender_of(h, "bob"), &by, &e), &e);
	assert_int_equal(by.role, ROLE_MEMBER);
	assert_string_equal(by.who, "bob (plat:bob)");
	assert_false(by.in_main);
	/* A role as any other, with who gave it. */
	assert_ok(store_person_of(h->st, sender_of(h, "bob"), &person, &e), &e);
	assert_ok(store_role_each(h->st, person, note_giver, &text, &e), &e);
	assert_string_equal(text.p, "fam member by ann\n");
	buf_reset(&text);
	judged(h, "bob", "bobs", &text);
	assert_text_has(text.p, "Role in fam: member; everywhere: none; so: member.");
	buf_free(&text);
}

static void who_lost_the_role_is_a_stranger_in_the_own_chat_too(void **state)
{
	struct house *h = asking(state);
	struct buf why = {0};

	set(h, "fam", "strangers", "ignore");
	link_chat(h, "bobs", "fam");
	take(direct("bob", "1", "bobs"));
	await(h, &h->n_lines, 1);
	give(h, "bob", "fam", ROLE_NONE);
	take(direct("bob", "2", "bobs"));
	assert_int_equal(plat.why.code, E_PERM);
	assert_int_equal(judged(h, "bob", "bobs", &why).verdict, VERDICT_IGNORE);
	assert_text_has(why.p, "No role: a stranger.");
	buf_free(&why);
	/* Linking it once more changes nothing: it is linked. */
	link_chat(h, "bobs", "fam");
	assert_null(link_said.p);
	take(direct("bob", "3", "bobs"));
	assert_int_equal(plat.why.code, E_PERM);
	settle(h);
	assert_int_equal(h->n_lines, 1);
}

/* Whether somebody writes before or after the link, and with which role. */
static void an_invitation_is_used_up_or_taken_back(void **state)
{
	struct house *h = asking(state);

	set(h, "fam", "strangers", "ignore");
	/* By whoever is heard there, also with a role of the own. */
	link_chat(h, "cats", "fam");
	give(h, "cat", NULL, ROLE_GUEST);
	take(direct("cat", "1", "cats"));
	await(h, &h->n_lines, 1);
	assert_int_equal(role_of(h, "cat", "fam"), ROLE_GUEST);
	give(h, "cat", NULL, ROLE_NONE);
	take(direct("cat", "2", "cats"));
	assert_int_equal(plat.why.code, E_PERM);
	/* By taking a role away before the first message; another group's is not touched. */
	link_chat(h, "dans", "fam");
	give(h, "dan", "fam", ROLE_MEMBER);
	give(h, "dan", "fam", ROLE_NONE);
	take(direct("dan", "3", "dans"));
	assert_int_equal(plat.why.code, E_PERM);
	/* Not by who is blocked, and not in a chat of several. */
	link_chat(h, "eves", "fam");
	give(h, "eve", "fam", ROLE_BLOCKED);
	take(direct("eve", "4", "eves"));
	assert_int_equal(plat.why.code, E_PERM);
	link_chat(h, "room", "fam");
	{
		struct inbound m = direct("fay", "5", "room");

		m.direct = false;
		take(m);
	}
	assert_int_equal(plat.why.code, E_PERM);
	assert_int_equal(role_of(h, "fay", "fam"), ROLE_NONE);
}

static void who_is_known_gets_the_role_with_the_link(void **state)
{
	struct house *h = asking(state);
	struct err e = ERR_INIT;
	struct chat_row c;
	int64_t id;

	/* The platform names a direct chat as its person. */
	set(h, "fam", "strangers", "ignore");
	take(direct("bob", "1", "bob"));
	assert_int_equal(plat.why.code, E_PERM);
	assert_ok(store_sender_ensure(h->st, "plat", "bob", "bob", "", &id, &e), &e);
	link_chat(h, "bob", "fam");
	assert_string_equal(link_said.p, "bob (plat:bob) is member of fam, until that role is "
					 "changed or taken away.");
	assert_int_equal(role_of(h, "bob", "fam"), ROLE_MEMBER);
	assert_ok(store_chat_find(h->st, "plat", "bob", &c, &e), &e);
	assert_false(c.invited);
	/* Nobody's role is lessened or raised, and nobody unblocked. */
	for (enum role role = ROLE_BLOCKED; role <= ROLE_OWNER; role++) {
		if (role == ROLE_NONE)
			continue;
		assert_ok(store_chat_unlink(h->st, c.id, &e), &e);
		give(h, "bob", "fam", role);
		link_chat(h, "bob", "fam");
		assert_int_equal(role_of(h, "bob", "fam"), role);
	}
}

/* What main is told goes to nobody who has no role there any more. */
static void main_speaks_to_no_former_member(void **state)
{
	struct house *h = plat_house(state);
	struct err e = ERR_INIT;
	struct chat_row c;
	int64_t chat, group;

	link_chat(h, "bob", "main");
	take(direct("bob", "1", "bob"));
	assert_ok(store_chat_find(h->st, "plat", "bob", &c, &e), &e);
	assert_ok(store_main_chat(h->st, &chat, &group, &e), &e);
	assert_int_equal(chat, c.id);
	give(h, "bob", "main", ROLE_NONE);
	assert_ok(store_main_chat(h->st, &chat, &group, &e), &e);
	assert_int_not_equal(chat, c.id);
	give(h, "bob", "main", ROLE_BLOCKED);
	assert_ok(store_main_chat(h->st, &chat, &group, &e), &e);
	assert_int_not_equal(chat, c.id);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PEOPLE_TEST(who_writes_first_in_a_linked_direct_chat_is_a_member),
		PEOPLE_TEST(who_lost_the_role_is_a_stranger_in_the_own_chat_too),
		PEOPLE_TEST(an_invitation_is_used_up_or_taken_back),
		PEOPLE_TEST(who_is_known_gets_the_role_with_the_link),
		PEOPLE_TEST(main_speaks_to_no_former_member),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
