// SPDX-License-Identifier: Apache-2.0
/* Commands about people, said in a group's own chat: of whom they tell nothing. */
#include "admin_desk_rig.h"

/* Who has no role here has neither a number nor a name here, and of the others only what this platform knows. */
static void a_group_names_its_own_people_alone(void **state)
{
	static const char *const ids[][2] = {
		{"console", "7"}, {"telegram", "8"}, {"telegram", "9"}};
	struct desk *d = *state;
	struct err e = ERR_INIT;
	struct chat_row chat;
	int64_t s, p[3];

	assert_ok(store_chat_ensure(d->h->st, "console", "work", "", &chat, &e), &e);
	assert_int_equal(chat.id, 1);
	for (int i = 0; i < 3; i++) {
		assert_ok(store_sender_ensure(d->h->st, ids[i][0], ids[i][1],
					      i < 2 ? "Ann" : "Elsewhere Bob", "", &s, &e),
			  &e);
		if (i == 1)
			assert_ok(store_person_join(d->h->st, p[0], s, &e), &e);
		else
			assert_ok(store_person_make(d->h->st, s, "", &p[i], &e), &e);
	}
	assert_ok(store_role_set(d->h->st, p[0], d->work.id, ROLE_MEMBER, "test", &e), &e);
	assert_ok(store_role_set(d->h->st, p[2], d->main.id, ROLE_MEMBER, "test", &e), &e);
	assert_int_equal(command(d, &d->work, ROLE_ADMIN, "/people list"), 0);
	assert_string_equal(d->said.p, "1  Ann  member  console:7");
	assert_int_equal(command(d, &d->work, ROLE_ADMIN, "/people role 2 guest"), 1);
	assert_true(str_starts(d->said.p, "there is no person \"2\" in work: "));
	assert_int_equal(command(d, &d->work, ROLE_ADMIN, "/people role 99 guest"), 1);
	assert_true(str_starts(d->said.p, "there is no person \"99\" in work: "));
	assert_int_equal(command(d, &d->work, ROLE_ADMIN, "/people role \"elsewhere bob\" guest"),
			 1);
	assert_int_equal(command(d, &d->work, ROLE_ADMIN, "/people role telegram:9 guest"), 0);
	assert_string_equal(d->said.p, "telegram:9 (person 2) is guest in work from now on.");
	assert_int_equal(command(d, &d->work, ROLE_ADMIN, "/people role ann guest"), 0);
	assert_int_equal(command(d, &d->main, ROLE_ADMIN, "/people list work"), 0);
	assert_non_null(strstr(d->said.p, "console:7, telegram:8"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_group_names_its_own_people_alone, desk_setup,
						desk_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
