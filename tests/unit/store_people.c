// SPDX-License-Identifier: Apache-2.0
/* People, identities, roles; approvals and what is held for them. */
#include "store_rig.h"
#include "store/approvals.h"
#include "store/people.h"

static int64_t sender(struct rig *r, const char *id, const char *alt)
{
	struct err e = ERR_INIT;
	int64_t out;

	assert_ok(store_sender_ensure(r->st, "wa", id, "Ann", alt, &out, &e), &e);
	return out;
}

static int64_t person_of(struct rig *r, int64_t sender_id)
{
	struct err e = ERR_INIT;
	int64_t out;

	assert_ok(store_person_of(r->st, sender_id, &out, &e), &e);
	return out;
}

static int64_t person(struct rig *r, int64_t sender_id)
{
	struct err e = ERR_INIT;
	int64_t out;

	assert_ok(store_person_make(r->st, sender_id, "", &out, &e), &e);
	return out;
}

static void give(struct rig *r, int64_t person_id, int64_t group, enum role role)
{
	struct err e = ERR_INIT;

	assert_ok(store_role_set(r->st, person_id, group, role, "test", &e), &e);
}

static enum role role_in(struct rig *r, int64_t person_id, int64_t group)
{
	struct err e = ERR_INIT;
	enum role out;

	assert_ok(store_role_in(r->st, person_id, group, &out, &e), &e);
	return out;
}

/* --- two ids of one person ---------------------------------------------------------------- */

static void test_lid_then_phone(void **state)
{
	struct rig *r = *state;
	int64_t lid = sender(r, "1@lid", "+49"), p = person(r, lid), phone = sender(r, "+49", "");

	assert_true(phone != lid);
	assert_int_equal(person_of(r, phone), p);
}

static void test_phone_then_lid(void **state)
{
	struct rig *r = *state;
	int64_t phone = sender(r, "+49", ""), p = person(r, phone), lid = sender(r, "1@lid", "+49");

	assert_int_equal(person_of(r, lid), p);
}

static void test_the_second_id_comes_later(void **state)
{
	struct rig *r = *state;
	int64_t phone = sender(r, "+49", ""), lid = sender(r, "1@lid", ""), p = person(r, phone);

	assert_int_equal(person_of(r, lid), 0);
	assert_int_equal(sender(r, "1@lid", "+49"), lid);
	assert_int_equal(person_of(r, lid), p);
}

static void test_made_after_both_are_known(void **state)
{
	struct rig *r = *state;
	int64_t lid = sender(r, "1@lid", "+49"), phone = sender(r, "+49", "1@lid");
	int64_t p = person(r, phone);

	assert_int_equal(person_of(r, lid), p);
	/* Another number is another person. */
	assert_int_equal(person_of(r, sender(r, "+50", "")), 0);
}

static void test_a_blocked_person_cannot_shed_it_by_another_id(void **state)
{
	struct rig *r = *state;
	int64_t a = person(r, sender(r, "+49", "")), b = person(r, sender(r, "1@lid", "")), one;

	give(r, a, 0, ROLE_BLOCKED);
	give(r, b, r->g.id, ROLE_ADMIN);
	one = person_of(r, sender(r, "1@lid", "+49"));
	assert_int_equal(one, a);
	assert_int_equal(role_in(r, one, r->g.id), ROLE_BLOCKED);
	assert_int_equal(person_of(r, sender(r, "+49", "")), a);
	commit(r);
}

/* A number that was given up, and belongs to another account now. */
static void test_who_gets_a_number_gets_no_person_with_it(void **state)
{
	struct rig *r = *state;
	int64_t phone = sender(r, "+49", "1@lid"), lid = sender(r, "1@lid", "+49"), later, p, q;

	p = person(r, phone);
	give(r, p, 0, ROLE_OWNER);
	assert_int_equal(person_of(r, lid), p);
	assert_int_equal(sender(r, "+49", ""), phone); /* nothing is said of it: the same */
	assert_int_equal(person_of(r, phone), p);
	/* By its own id first, and then by the number. */
	later = sender(r, "2@lid", "+49");
	assert_int_equal(person_of(r, later), 0);
	assert_int_equal(sender(r, "+49", "2@lid"), phone);
	assert_int_equal(person_of(r, phone), 0);
	assert_int_equal(person_of(r, lid), p);
	q = person(r, later);
	assert_true(q != p);
	assert_int_equal(person_of(r, phone), q);
	assert_int_equal(role_in(r, q, r->g.id), ROLE_NONE);
	/* Who is blocked stays so behind a new account. */
	give(r, q, 0, ROLE_BLOCKED);
	sender(r, "+49", "3@lid");
	assert_int_equal(person_of(r, phone), q);
	/* A new number of the same account changes nothing. */
	assert_int_equal(sender(r, "1@lid", "+51"), lid);
	assert_int_equal(person_of(r, lid), p);
}

static void test_join_moves_roles_of_who_is_left_without_identity(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	int64_t a = person(r, sender(r, "a", "")), sb = sender(r, "b", ""), b = person(r, sb), n;

	give(r, a, r->g.id, ROLE_GUEST);
	give(r, b, r->g.id, ROLE_MEMBER);
	assert_ok(store_person_join(r->st, a, sb, &e), &e);
	assert_int_equal(person_of(r, sb), a);
	assert_int_equal(role_in(r, a, r->g.id), ROLE_MEMBER);
	assert_int_equal(role_in(r, b, r->g.id), ROLE_NONE);
	assert_ok(store_person_named(r->st, "ann", &n, &n, &e), &e);
	assert_int_equal(n, 1);
}

/* --- roles -------------------------------------------------------------------------------- */

static void test_the_effective_role(void **state)
{
	static const struct {
		enum role here, everywhere, want;
	} t[] = {
		{ROLE_NONE, ROLE_NONE, ROLE_NONE},	  {ROLE_GUEST, ROLE_NONE, ROLE_GUEST},
		{ROLE_NONE, ROLE_ADMIN, ROLE_ADMIN},	  {ROLE_OWNER, ROLE_GUEST, ROLE_OWNER},
		{ROLE_BLOCKED, ROLE_OWNER, ROLE_BLOCKED}, {ROLE_OWNER, ROLE_BLOCKED, ROLE_BLOCKED},
	};
	struct rig *r = *state;
	int64_t p = person(r, sender(r, "a", ""));

	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		give(r, p, r->g.id, t[i].here);
		give(r, p, 0, t[i].everywhere);
		assert_int_equal(role_in(r, p, r->g.id), t[i].want);
	}
	assert_int_equal(role_in(r, 0, r->g.id), ROLE_NONE);
	assert_int_equal(role_in(r, p, 0), ROLE_BLOCKED);
}

static void test_role_words(void **state)
{
	(void)state;
	for (int v = ROLE_BLOCKED; v <= ROLE_OWNER; v++)
		assert_int_equal(role_of_word(role_word((enum role)v)), v);
	assert_int_equal(role_of_word("root"), -2);
}

static void test_owners_are_counted_once(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	int64_t a = person(r, sender(r, "a", "")), b = person(r, sender(r, "b", "")), n;

	give(r, a, 0, ROLE_OWNER);
	give(r, a, r->g.id, ROLE_OWNER);
	give(r, b, r->g.id + 7, ROLE_OWNER); /* of another group than main */
	assert_ok(store_owners(r->st, &n, &e), &e);
	assert_int_equal(n, 1);
	assert_ok(store_person_forget(r->st, a, &e), &e);
	assert_ok(store_owners(r->st, &n, &e), &e);
	assert_int_equal(n, 0);
	assert_err(store_person_forget(r->st, a, &e), &e, E_GONE, "no person");
}

/* --- strangers ---------------------------------------------------------------------------- */

static void count_sender(void *ctx, const struct sender_row *s)
{
	(void)s;
	++*(int *)ctx;
}

static void test_strangers_have_a_bound(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	char id[24];
	int n = 0;

	for (int i = 0; i < 30; i++) {
		snprintf(id, sizeof(id), "s%d", i);
		r->clk = clock_fixed(1000000 + i);
		assert_ok(store_sender_refused(r->st, sender(r, id, ""), 1, 10, &e), &e);
	}
	assert_ok(store_sender_each(r->st, 0, 1000, count_sender, &n, &e), &e);
	assert_int_equal(n, 10);
	assert_err(store_sender_find(r->st, "wa", "s0", &(int64_t){0}, &e), &e, E_GONE, "wa:s0");
	assert_ok(store_sender_find(r->st, "wa", "s29", &(int64_t){0}, &e), &e);
	/* Nor do the rows grow: one that was given up is the next stranger's, with nothing of the old one. */
	commit(r);
	assert_in_range(peek(r, "SELECT count(*) FROM senders"), 10, 12);
	assert_int_equal(peek(r, "SELECT count(*) FROM senders WHERE channel = ''"
				 " AND refused + seen_ms + heard = 0 AND name || alt = ''"),
			 peek(r, "SELECT count(*) FROM senders") - 10);
}

/* Who was ever let in is not given up: messages name that row. */
static void test_who_was_heard_is_no_stranger_to_give_up(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	int64_t heard = sender(r, "guest", ""), id;
	char name[24];
	bool dup;
	const struct msg_new m = {.chat_id = r->chat.id,
				  .group_id = r->g.id,
				  .sender_id = heard,
				  .session = "",
				  .thread = "",
				  .platform_id = "1",
				  .text = "hi",
				  .text_len = 2};

	assert_ok(store_message_in(r->st, &m, &id, &dup, &e), &e);
	assert_ok(store_sender_refused(r->st, heard, 1, 10, &e), &e);
	for (int i = 0; i < 30; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		r->clk = clock_fixed(2000000 + i);
		assert_ok(store_sender_refused(r->st, sender(r, name, ""), 1, 10, &e), &e);
	}
	assert_ok(store_sender_find(r->st, "wa", "guest", &id, &e), &e);
	assert_int_equal(id, heard);
}

/* --- approvals ---------------------------------------------------------------------------- */

static int64_t ask(struct rig *r, enum approval_kind kind, int64_t sender_id)
{
	struct approval_row a = {.kind = kind,
				 .chat_id = r->chat.id,
				 .sender_id = sender_id,
				 .payload = "{}",
				 .hash = "h"};
	struct err e = ERR_INIT;
	int64_t id;

	assert_ok(store_approval_add(r->st, &a, &id, &e), &e);
	return id;
}

static void test_an_approval_is_decided_once(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	int64_t s = sender(r, "a", ""), id = ask(r, APPROVAL_PERSON, s), found;
	bool done;

	assert_ok(store_approval_open(r->st, APPROVAL_PERSON, r->chat.id, s, &found, &e), &e);
	assert_int_equal(found, id);
	assert_ok(store_approval_decide(r->st, id, APPROVAL_GRANTED, "me", &done, &e), &e);
	assert_true(done);
	assert_ok(store_approval_decide(r->st, id, APPROVAL_DENIED, "me", &done, &e), &e);
	assert_false(done);
	assert_ok(store_approval_open(r->st, APPROVAL_PERSON, r->chat.id, s, &found, &e), &e);
	assert_int_equal(found, 0);
}

struct held_seen {
	int n;
	char last[40];
};
static void see_held(void *ctx, int64_t id, int64_t chat_id, const char *inbound)
{
	struct held_seen *h = ctx;

	(void)id;
	(void)chat_id;
	h->n++;
	str_copy(h->last, sizeof(h->last), inbound);
}

static void test_held_messages(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	int64_t id = ask(r, APPROVAL_CHAT, sender(r, "a", ""));
	struct held_seen h = {0};
	bool kept, has;

	assert_ok(store_held_add(r->st, id, "m1", "one", 2, &kept, &e), &e);
	assert_true(kept);
	assert_ok(store_held_add(r->st, id, "m1", "again", 2, &kept, &e), &e);
	assert_false(kept);
	assert_ok(store_held_add(r->st, id, "m2", "two", 2, &kept, &e), &e);
	assert_true(kept);
	assert_ok(store_held_add(r->st, id, "m3", "three", 2, &kept, &e), &e);
	assert_false(kept);
	assert_ok(store_held_has(r->st, id, "m2", &has, &e), &e);
	assert_true(has);
	assert_ok(store_held_due(r->st, see_held, &h, &e), &e);
	assert_int_equal(h.n, 0);
	assert_ok(store_approval_decide(r->st, id, APPROVAL_GRANTED, "me", &kept, &e), &e);
	commit(r);
	rig_reopen(r);
	assert_ok(store_held_due(r->st, see_held, &h, &e), &e);
	assert_int_equal(h.n, 2);
	assert_string_equal(h.last, "two");
}

static void see_refused(void *ctx, const struct sender_row *s)
{
	*(int64_t *)ctx = s->refused;
}

static void test_old_approvals_expire(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	int64_t s = sender(r, "a", ""), id = ask(r, APPROVAL_PERSON, s), n, open, untold, oldest;
	bool kept;

	assert_ok(store_held_add(r->st, id, "m1", "one", 9, &kept, &e), &e);
	assert_ok(store_approval_expire(r->st, 1000000, &n, &e), &e);
	assert_int_equal(n, 0);
	assert_ok(store_approval_expire(r->st, 1000001, &n, &e), &e);
	assert_int_equal(n, 1);
	assert_ok(store_approval_counts(r->st, &open, &untold, &oldest, &e), &e);
	assert_int_equal(open, 0);
	assert_ok(store_sender_get(r->st, s, see_refused, &n, &e), &e);
	assert_int_equal(n, 1);
	assert_ok(store_held_has(r->st, id, "m1", &kept, &e), &e);
	assert_false(kept);
	/* A month later it is forgotten. */
	assert_ok(store_approval_decide(r->st, id, APPROVAL_GRANTED, "me", &kept, &e), &e);
	assert_false(kept);
	assert_ok(store_approval_expire(r->st, 1000001 + (int64_t)30 * 86400000, &n, &e), &e);
	assert_err(store_approval_get(r->st, id, NULL, NULL, &e), &e, E_GONE, "no approval");
}

static void test_a_denied_chat_is_remembered(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	int64_t id = ask(r, APPROVAL_CHAT, sender(r, "a", ""));
	bool yes;

	assert_ok(store_approval_denied(r->st, r->chat.id, &yes, &e), &e);
	assert_false(yes);
	assert_ok(store_approval_decide(r->st, id, APPROVAL_DENIED, "me", &yes, &e), &e);
	assert_ok(store_approval_denied(r->st, r->chat.id, &yes, &e), &e);
	assert_true(yes);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_lid_then_phone),
		T(test_phone_then_lid),
		T(test_the_second_id_comes_later),
		T(test_made_after_both_are_known),
		T(test_a_blocked_person_cannot_shed_it_by_another_id),
		T(test_who_gets_a_number_gets_no_person_with_it),
		T(test_join_moves_roles_of_who_is_left_without_identity),
		T(test_the_effective_role),
		cmocka_unit_test(test_role_words),
		T(test_owners_are_counted_once),
		T(test_strangers_have_a_bound),
		T(test_who_was_heard_is_no_stranger_to_give_up),
		T(test_an_approval_is_decided_once),
		T(test_held_messages),
		T(test_old_approvals_expire),
		T(test_a_denied_chat_is_remembered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
