// SPDX-License-Identifier: Apache-2.0
/* People of a chat who act against each other, or against the server: edits in another's name, presses without end. */
#include "router_inbox_rig.h"

static struct inbound edit_by(const char *who, const char *id, const char *target, const char *text)
{
	struct inbound m = from(who, id, text);

	m.kind = INBOUND_EDIT;
	m.target = target;
	return m;
}

/* Sealed messages: the platform does not see whose message an edit is about. */
static void nobody_edits_for_another(void **state)
{
	struct house *h = plat_house(state);
	struct inbound m = from("ann-lid", "1", "pay nobody");
	int64_t id;

	m.sender_alt = "ann-phone";
	id = take(m);
	take(edit_by("bob", "2", "1", "pay bob"));
	assert_string_equal(row(h, id).text, "pay nobody");
	m = edit_by("bob", "3", "1", "pay bob");
	m.sender_alt = "bob-phone";
	take(m);
	assert_string_equal(row(h, id).text, "pay nobody");
	/* either identity of the same person */
	take(edit_by("ann-phone", "4", "1", "pay carl"));
	assert_string_equal(row(h, id).text, "pay carl");
	m = edit_by("ann-new", "5", "1", "pay dora");
	m.sender_alt = "ann-lid";
	take(m);
	assert_string_equal(row(h, id).text, "pay dora");
}

static void presses_without_end_bring_few_notices(void **state)
{
	struct house *h = plat_house(state);
	char id[20];

	for (int i = 0; i < 50; i++) {
		snprintf(id, sizeof(id), "p%d", i);
		take(event(INBOUND_PRESS, id, "1", "q0123456789ab.1"));
	}
	await_at_least(h, &plat.n_sent, 4);
	settle(h);
	assert_int_equal(plat.n_sent, 4);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, house_setup, plat_teardown)
	const struct CMUnitTest tests[] = {
		TEST(nobody_edits_for_another),
		TEST(presses_without_end_bring_few_notices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
