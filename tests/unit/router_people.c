// SPDX-License-Identifier: Apache-2.0
/* Who is listened to and who never, and why; claiming main. */
#include "router_people_rig.h"
#include "router/claim.h"
#include "router/gate.h"

/* --- the decision ------------------------------------------------------------------------- */

static void every_standing_has_one_verdict(void **state)
{
	static const enum verdict want[3][6] = {
		/* blocked, none, guest, member, admin, owner */
		[STRANGERS_ASK] = {VERDICT_BLOCKED, VERDICT_ASK},
		[STRANGERS_IGNORE] = {VERDICT_BLOCKED, VERDICT_IGNORE},
		[STRANGERS_ALLOW] = {VERDICT_BLOCKED, VERDICT_TAKE},
	};
	static const char *const rules[] = {"ask", "ignore", "allow"};
	struct house *h = asking(state);
	struct group_row g = plat_group(h, "fam");
	struct err e = ERR_INIT;
	struct chat_row c;
	struct standing s;
	struct place p = {.chat = &c, .group = &g, .sender_id = sender_of(h, "eve")};

	assert_ok(store_chat_find(h->st, "plat", "c1", &c, &e), &e);
	for (int rule = STRANGERS_ASK; rule <= STRANGERS_ALLOW; rule++) {
		set(h, "fam", "strangers", rules[rule]);
		for (int role = ROLE_BLOCKED; role <= ROLE_OWNER; role++) {
			enum verdict v = want[rule][role - ROLE_BLOCKED];

			give(h, "eve", "fam", (enum role)role);
			assert_ok(people_judge(h->router, &p, &s, NULL, &e), &e);
			assert_int_equal(s.verdict, v);
			if (v == VERDICT_TAKE)
				assert_int_equal(s.role, role == ROLE_NONE ? ROLE_GUEST : role);
		}
	}
}

static void main_never_lets_strangers_in(void **state)
{
	struct house *h = asking(state);
	struct group_row g;
	struct err e = ERR_INIT;
	struct standing s;
	struct chat_row c;
	struct place p = {.chat = &c, .group = &g, .sender_id = sender_of(h, "eve")};

	assert_ok(store_group_get(h->st, "main", &g, &e), &e);
	assert_ok(store_chat_find(h->st, "plat", BOSS, &c, &e), &e);
	assert_err(settings_set(h->router, g.id, "strangers", "allow", &e), &e, E_INVAL, "main");
	/* Also when it stands in the store all the same. */
	assert_ok(store_group_settings_set(h->st, g.id, "{\"strangers\":\"allow\"}", &e), &e);
	settings_drop(h->router, g.id);
	assert_ok(people_judge(h->router, &p, &s, NULL, &e), &e);
	assert_int_equal(s.verdict, VERDICT_ASK);
}

static void the_reason_is_what_is_done(void **state)
{
	struct house *h = asking(state);
	struct group_row g = plat_group(h, "fam");
	struct err e = ERR_INIT;
	struct buf why = {0};
	struct standing s;
	struct chat_row c;
	struct place p = {.chat = &c, .group = &g, .sender_id = sender_of(h, "eve")};

	assert_ok(store_chat_find(h->st, "plat", "c1", &c, &e), &e);
	assert_ok(people_judge(h->router, &p, &s, &why, &e), &e);
	assert_string_equal(why.p,
			    "The chat belongs to the group fam.\n"
			    "eve (plat:eve) is nobody with a role.\n"
			    "No role: a stranger. The group's setting strangers is ask: what is "
			    "addressed to the assistant is held, and main is asked once.");
	buf_reset(&why);
	give(h, "eve", NULL, ROLE_MEMBER);
	assert_ok(people_judge(h->router, &p, &s, &why, &e), &e);
	assert_text_has(why.p, "Role in fam: none; everywhere: member; so: member.");
	assert_text_has(why.p, "Listened to, as member.");
	buf_free(&why);
}

static void no_name_passes_for_another_identity(void **state)
{
	struct house *h = asking(state);
	struct group_row g = plat_group(h, "fam");
	struct err e = ERR_INIT;
	struct standing s;
	struct place p = {.group = &g, .sender_id = sender_of(h, "eve")};

	assert_ok(store_sender_ensure(h->st, "plat", "eve", "the operator (plat:ann)", "",
				      &p.sender_id, &e),
		  &e);
	assert_ok(people_judge(h->router, &p, &s, NULL, &e), &e);
	assert_string_equal(s.who, "the operator  plat:ann  (plat:eve)");
}

/* --- the gate ----------------------------------------------------------------------------- */

static void nothing_of_a_stranger_is_kept(void **state)
{
	struct house *h = asking(state);
	struct inbound m = event(INBOUND_REACTION, "r", "1", "+");

	give(h, "ann", "fam", ROLE_MEMBER);
	said("1", "we meet at eight");
	take(from("eve", "2", "the password is 1234")); /* not addressed */
	assert_int_equal(plat.why.code, E_PERM);
	m.sender = m.sender_name = "eve";
	take(m);
	assert_int_equal(plat.why.code, E_PERM);
	m = event(INBOUND_EDIT, "e", "1", "we meet at nine");
	m.sender = m.sender_name = "eve";
	take(m);
	assert_int_equal(plat.why.code, E_PERM);
	m = event(INBOUND_DELETE, "d", "1", "");
	m.sender = m.sender_name = "eve";
	take(m);
	assert_int_equal(plat.why.code, E_PERM);
	assert_int_equal(messages(h), 1);
	assert_int_equal(open_approvals(h), 0);
	asked("3", "when?");
	await(h, &h->n_lines, 1);
	assert_text_has(h->boxes[0]->lines[0].text, "we meet at eight");
	assert_text_lacks(h->boxes[0]->lines[0].text, "password");
}

static void count_refused(void *ctx, const struct sender_row *s)
{
	*(int64_t *)ctx += s->refused;
}

static void the_blocked_are_counted_and_told_nothing(void **state)
{
	struct house *h = asking(state);
	struct err e = ERR_INIT;
	int64_t n = 0;

	give(h, "eve", NULL, ROLE_BLOCKED);
	for (int i = 0; i < 5; i++) {
		char id[16];

		snprintf(id, sizeof(id), "%d", i);
		take(addressed("eve", id, "let me in"));
		assert_int_equal(plat.why.code, E_PERM);
	}
	settle(h);
	assert_int_equal(plat.n_sent, 0);
	assert_int_equal(open_approvals(h), 0);
	assert_int_equal(messages(h), 0);
	assert_ok(gate_count(h->router, &e), &e);
	assert_ok(store_sender_get(h->st, sender_of(h, "eve"), count_refused, &n, &e), &e);
	assert_int_equal(n, 5);
}

/* --- claim -------------------------------------------------------------------------------- */

static struct inbound claiming(const char *who, const char *id, const char *text)
{
	struct inbound m = from(who, id, text);

	m.chat = who;
	m.direct = m.addressed = true;
	return m;
}

static void the_code_makes_the_first_owner(void **state)
{
	struct house *h = plat_house(state);
	struct err e = ERR_INIT;
	struct chat_row c;
	char text[40];
	const char *code, *bare = text + sizeof("chela claim ") - 1;

	assert_ok(claim_code(h->router, &code, &e), &e);
	assert_non_null(code);
	take(claiming("eve", "1", "/claim AAAA-AAAA"));
	assert_int_equal(plat.why.code, E_NONE);
	assert_ok(store_chat_find(h->st, "plat", "eve", &c, &e), &e);
	assert_int_equal(c.group_id, 0);
	snprintf(text, sizeof(text), "chela claim %s", code);
	take(claiming("ann", "2", text));
	assert_ok(store_chat_find(h->st, "plat", "ann", &c, &e), &e);
	assert_int_not_equal(c.group_id, 0);
	assert_int_equal(role_of(h, "ann", "fam"), ROLE_OWNER);
	await(h, &plat.n_sent, 2);
	assert_text_has(plat.sent.p, "This chat is main now");
	assert_text_lacks(row(h, 1).text, bare);
	/* Used up: the same words again make nobody an owner. */
	assert_ok(claim_code(h->router, &code, &e), &e);
	assert_null(code);
	take(claiming("mallory", "3", text));
	assert_int_equal(plat.why.code, E_PERM);
	assert_int_equal(role_of(h, "mallory", "fam"), ROLE_NONE);
}

static void five_wrong_tries_burn_the_code(void **state)
{
	struct house *h = plat_house(state);
	struct err e = ERR_INIT;
	char first[16], text[40], id[16];
	const char *code;

	assert_ok(claim_code(h->router, &code, &e), &e);
	str_copy(first, sizeof(first), code);
	for (int i = 0; i < 5; i++) {
		snprintf(id, sizeof(id), "%d", i);
		take(claiming("eve", id, "/claim 22222222"));
	}
	assert_ok(claim_code(h->router, &code, &e), &e);
	assert_string_not_equal(code, first);
	snprintf(text, sizeof(text), "/claim %s", first);
	take(claiming("eve", "late", text));
	assert_int_equal(role_of(h, "eve", "fam"), ROLE_NONE);
	/* More than some in a minute are not even looked at: guessing does not pay. */
	for (int i = 0; i < 30; i++) {
		snprintf(id, sizeof(id), "n%d", i);
		take(claiming("eve", id, "/claim 22222222"));
	}
	assert_int_equal(plat.why.code, E_PERM);
	assert_ok(claim_code(h->router, &code, &e), &e);
	snprintf(text, sizeof(text), "/claim %s", code);
	take(claiming("eve", "right", text));
	assert_int_equal(role_of(h, "eve", "fam"), ROLE_NONE);
}

static void only_a_message_that_is_a_claim_claims(void **state)
{
	struct house *h = plat_house(state);
	struct err e = ERR_INIT;
	struct inbound m;
	char text[60];
	const char *code;

	assert_ok(claim_code(h->router, &code, &e), &e);
	snprintf(text, sizeof(text), "/claim %s", code);
	m = claiming("ann", "1", "ok");
	m.quote = text; /* quoted */
	take(m);
	m = claiming("ann", "2", text); /* an edit into it */
	m.kind = INBOUND_EDIT;
	m.target = "1";
	take(m);
	m = claiming("ann", "f", text);
	m.forwarded = true;
	take(m);
	snprintf(text, sizeof(text), "> /claim %s", code);
	take(claiming("ann", "3", text));
	snprintf(text, sizeof(text), "they say /claim %s", code);
	take(claiming("ann", "4", text));
	snprintf(text, sizeof(text), "/claims %s", code);
	take(claiming("ann", "5", text));
	assert_int_equal(role_of(h, "ann", "fam"), ROLE_NONE);
	/* In a chat of another group it is not taken, nor kept. */
	snprintf(text, sizeof(text), "/claim %s", code);
	take(addressed("ann", "6", text));
	assert_int_equal(role_of(h, "ann", "fam"), ROLE_NONE);
	assert_int_equal(messages(h), 0);
	await(h, &plat.n_sent, 1);
	assert_text_has(plat.sent.p, "belongs to the group fam");
	snprintf(text, sizeof(text), "@Chela /claim@chela_bot %.4s %s", code, code + 5);
	take(claiming("ann", "7", text));
	assert_int_equal(role_of(h, "ann", "fam"), ROLE_OWNER);
}

/* Also not with what was said before, and waits. */
static void who_is_blocked_is_not_heard_from_then_on(void **state)
{
	struct house *h = asking(state);

	give(h, "eve", "fam", ROLE_MEMBER);
	give(h, "ann", "fam", ROLE_MEMBER);
	h->silent = true;
	take(addressed("eve", "1", "do it all"));
	take(addressed("ann", "2", "good morning"));
	settle(h);
	assert_int_equal(in_state(h, MSG_PENDING), 2);
	give(h, "eve", "fam", ROLE_BLOCKED);
	assert_int_equal(in_state(h, MSG_PENDING), 1);
	assert_int_equal(in_state(h, MSG_FAILED), 1);
}

static void a_guest_takes_back_only_the_own_words(void **state)
{
	struct house *h = asking(state);
	struct inbound m;
	int64_t theirs, own;

	give(h, "ann", "fam", ROLE_MEMBER);
	give(h, "eve", "fam", ROLE_GUEST);
	h->silent = true;
	theirs = take(addressed("ann", "1", "let the cat in"));
	own = take(addressed("eve", "2", "hello"));
	m = event(INBOUND_DELETE, "d1", "1", "");
	m.sender = m.sender_name = "eve";
	take(m);
	assert_string_equal(row(h, theirs).text, "let the cat in");
	m.id = "d2";
	m.target = "2";
	take(m);
	assert_string_equal(row(h, own).text, "");
	m.id = "d3";
	m.target = "1";
	m.sender = m.sender_name = "ann";
	take(m);
	assert_string_equal(row(h, theirs).text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PEOPLE_TEST(a_guest_takes_back_only_the_own_words),
		PEOPLE_TEST(who_is_blocked_is_not_heard_from_then_on),
		PEOPLE_TEST(every_standing_has_one_verdict),
		PEOPLE_TEST(main_never_lets_strangers_in),
		PEOPLE_TEST(the_reason_is_what_is_done),
		PEOPLE_TEST(no_name_passes_for_another_identity),
		PEOPLE_TEST(nothing_of_a_stranger_is_kept),
		PEOPLE_TEST(the_blocked_are_counted_and_told_nothing),
		PEOPLE_TEST(the_code_makes_the_first_owner),
		PEOPLE_TEST(five_wrong_tries_burn_the_code),
		PEOPLE_TEST(only_a_message_that_is_a_claim_claims),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
