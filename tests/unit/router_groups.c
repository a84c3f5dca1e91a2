// SPDX-License-Identifier: Apache-2.0
/* A group's end, with and without its data, and all of it in one file. */
#include "router_memory_rig.h"
#include "router/export.h"
#include "router/groups.h"

static int64_t number(struct house *h, const char *group)
{
	struct group_row g;
	struct err e = ERR_INIT;

	return store_group_get(h->st, group, &g, &e) == 0 ? g.id : 0;
}

static void a_removed_group_is_hidden_and_comes_back(void **state)
{
	struct house *h = plat_house(state);
	struct group_row g = plat_group(h, "fam");
	struct inbound m = from("ann", "2", "anybody?");
	struct err e = ERR_INIT;

	asked("1", "work");
	await(h, &h->n_lines, 1);
	assert_ok(group_remove(h->router, &g, false, &e), &e);
	await(h, &h->n_stops, 1);
	settle(h);
	assert_int_equal(number(h, "fam"), 0);
	m.addressed = true;
	take(m);
	assert_int_equal(plat.why.code, E_PERM); /* nobody listens */
	assert_ok(group_make(h->router, "fam", &g, NULL, &e), &e);
	plat_link(h, "c1", "fam");
	asked("3", "back again");
	await(h, &h->n_lines, 2);
	assert_ok(store_group_get(h->st, "main", &g, &e), &e);
	assert_err(group_remove(h->router, &g, true, &e), &e, E_PERM, "main cannot be removed");
}

static void found(void *ctx, const struct msg_row *m)
{
	(void)m;
	++*(int *)ctx;
}

static int search(struct house *h, int64_t group_id, const char *words)
{
	struct err e = ERR_INIT;
	int n = 0;

	assert_ok(store_search(h->st, group_id, words, 10, found, &n, &e), &e);
	return n;
}

static void data_goes_when_told_and_other_groups_keep_theirs(void **state)
{
	struct house *h = plat_house(state);
	struct group_row g = plat_group(h, "fam"), kin;
	struct inbound m = from("bob", "k1", "elephants of kin");
	struct err e = ERR_INIT;
	_cleanup_free_ char *cmd = xasprintf(
		"mkdir -p %s/groups/fam/deep %s/sessions/fam %s/keep && touch %s/keep/file && "
		"ln -s %s/keep %s/groups/fam/deep/link",
		h->dir, h->dir, h->dir, h->dir, h->dir, h->dir);

	plat_link(h, "c2", "kin");
	m.chat = "c2";
	take(m);
	talk(h, 0, "1", "elephants of fam", "grey elephants");
	assert_int_equal(search(h, g.id, "elephants"), 2);
	assert_int_equal(system(cmd), 0);
	assert_ok(group_remove(h->router, &g, true, &e), &e);
	assert_err(group_make(h->router, "fam", &kin, NULL, &e), &e, E_TEMP, "being deleted");
	/* the server ends in the middle of it */
	await(h, &h->n_stops, 1);
	house_stop(h);
	house_start(h);
	do {
		settle(h);
		e = (struct err)ERR_INIT;
	} while (group_make(h->router, "fam", &g, NULL, &e) < 0 && e.code == E_TEMP);
	assert_int_equal(e.code, 0);
	while (count(h, "removed"))
		settle(h);
	assert_int_equal(search(h, g.id, "elephants"), 0);
	assert_int_equal(count(h, "groups/fam/deep"), 0);
	assert_int_equal(count(h, "groups/fam/CLAUDE.md"), 1); /* a new one */
	assert_int_equal(count(h, "sessions/fam"), 0);
	assert_int_equal(count(h, "keep/file"), 1);
	kin = plat_group(h, "kin");
	assert_int_equal(search(h, kin.id, "elephants"), 1);
}

/* --- export ------------------------------------------------------------------------------- */

struct exported {
	struct house *h;
	int n;
	char path[300];
	int64_t bytes;
	struct err why;
};

static void on_exported(void *ctx, const char *path, int64_t bytes, const struct err *why)
{
	struct exported *x = ctx;

	str_copy(x->path, sizeof(x->path), path);
	x->bytes = bytes;
	x->why = why ? *why : (struct err)ERR_INIT;
	seen(x->h, &x->n);
}

static void one_file_holds_all_of_a_group(void **state)
{
	struct house *h = plat_house(state);
	struct group_row g = plat_group(h, "fam");
	struct exported x = {.h = h};
	struct err e = ERR_INIT;
	_cleanup_free_ char *cmd = xasprintf(
		"mkdir -p %s/groups/fam && echo mine >%s/groups/fam/own.txt && ln -s /etc/shadow "
		"%s/groups/fam/link",
		h->dir, h->dir, h->dir);
	struct stat st;

	talk(h, 0, "1", "export \"this\"", "done");
	assert_int_equal(system(cmd), 0);
	assert_ok(export_start(h->router, &g, on_exported, &x, &e), &e);
	assert_err(export_start(h->router, &g, on_exported, &x, &e), &e, E_LIMIT,
		   "is being exported");
	await(h, &x.n, 1);
	if (x.why.code)
		fail_msg("%s", x.why.msg);
	assert_int_equal(stat(x.path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(st.st_size, x.bytes);
	cmd = (free(cmd),
	       xasprintf("cd %s && mkdir out && tar xzf %s -C out && grep -q '\"text\":\"export "
			 "\\\\\"this\\\\\"\"' out/messages.jsonl && grep -q assistant "
			 "out/messages.jsonl && test -L out/files/link && grep -q mine "
			 "out/files/own.txt && grep -q '\"trigger\"' out/settings.json && test -s "
			 "out/tasks.json && test -s out/people.json",
			 h->dir, x.path));
	assert_int_equal(system(cmd), 0);
	assert_int_equal(count(h, "exports/.*-*"), 0); /* nothing half done is left */
}

#define T(f) cmocka_unit_test_setup_teardown(f, house_setup, plat_teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_removed_group_is_hidden_and_comes_back),
		T(data_goes_when_told_and_other_groups_keep_theirs),
		T(one_file_holds_all_of_a_group),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
