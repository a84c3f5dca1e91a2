// SPDX-License-Identifier: Apache-2.0
/* A house with strangers: a group in which they are asked for, and main's chat, where the question goes. */
#ifndef CHELA_TESTS_ROUTER_PEOPLE_RIG_H
#define CHELA_TESTS_ROUTER_PEOPLE_RIG_H
#include "router_inbox_rig.h"
#include "router/approve.h"
#include "router/people.h"

#define BOSS "boss" /* main's chat */

static maybe_unused struct inbound addressed(const char *who, const char *id, const char *text)
{
	struct inbound m = from(who, id, text);

	m.addressed = true;
	return m;
}

static maybe_unused int64_t sender_of(struct house *h, const char *who)
{
	struct err e = ERR_INIT;
	int64_t id;

	assert_ok(store_sender_ensure(h->st, "plat", who, who, "", &id, &e), &e);
	return id;
}

static maybe_unused void give(struct house *h, const char *who, const char *group, enum role role)
{
	struct err e = ERR_INIT;
	struct group_row g = {0};
	int64_t person;

	if (group)
		g = plat_group(h, group);
	assert_ok(store_person_make(h->st, sender_of(h, who), "", &person, &e), &e);
	assert_ok(store_role_set(h->st, person, g.id, role, "test", &e), &e);
}

static maybe_unused enum role role_of(struct house *h, const char *who, const char *group)
{
	struct group_row g = plat_group(h, group);
	struct err e = ERR_INIT;
	int64_t person;
	enum role out;

	assert_ok(store_person_of(h->st, sender_of(h, who), &person, &e), &e);
	assert_ok(store_role_in(h->st, person, g.id, &out, &e), &e);
	return out;
}

/* c1 belongs to fam, where strangers are asked for; boss to main. */
static maybe_unused struct house *asking(void **state)
{
	struct house *h = plat_house(state);
	struct err e = ERR_INIT;
	struct chat_row c;
	struct group_row g;

	set(h, "fam", "strangers", "ask");
	assert_ok(store_group_get(h->st, "main", &g, &e), &e);
	assert_ok(store_chat_ensure(h->st, "plat", BOSS, "", &c, &e), &e);
	assert_ok(store_chat_link(h->st, c.id, g.id, &e), &e);
	return h;
}

static maybe_unused int64_t messages(struct house *h)
{
	struct err e = ERR_INIT;
	struct group_row g = plat_group(h, "fam");
	int64_t by[5], n = 0;

	assert_ok(store_message_counts(h->st, g.id, by, &e), &e);
	for (int i = 0; i < 5; i++)
		n += by[i];
	return n;
}

static maybe_unused int64_t open_approvals(struct house *h)
{
	struct err e = ERR_INIT;
	int64_t open, untold, oldest;

	assert_ok(store_approval_counts(h->st, &open, &untold, &oldest, &e), &e);
	return open;
}

/* The operator decides; what it says, or the error's words. */
static struct buf words;
static maybe_unused int decide(struct house *h, int64_t id, const char *word, bool yes,
			       struct err *e)
{
	struct actor by;

	actor_operator(&by);
	buf_reset(&words);
	return yes ? approval_grant(h->router, id, word, &by, &words, e)
		   : approval_deny(h->router, id, &by, &words, e);
}

static maybe_unused int people_teardown(void **state)
{
	buf_free(&words);
	return plat_teardown(state);
}

#define PEOPLE_TEST(fn) cmocka_unit_test_setup_teardown(fn, house_setup, people_teardown)

#endif
