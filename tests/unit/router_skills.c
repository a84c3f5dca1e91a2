// SPDX-License-Identifier: Apache-2.0
/* Skills: what their heads may say, which folders are refused, what a group's sandbox is given, and what main is told of it. */
#include "router_rig.h"
#include <dirent.h>
#include "base/buf.h"
#include "router/impl.h"
#include "router/skills.h"
#include "router/workspace.h"
#include "store/skills.h"

static void put(struct house *h, const char *rel, const char *text)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", h->dir, rel);
	FILE *f;

	for (char *p = path + strlen(h->dir) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		mkdir(path, 0755);
		*p = '/';
	}
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	fclose(f);
}

#define HEAD(name) "---\nname: " name "\ndescription: does things\n"

static void head_rows(void **state)
{
	static const struct {
		const char *text, *needs, *error; /* error NULL: it is fine */
	} rows[] = {
		{HEAD("a") "---\n# A\n", "", NULL},
		{HEAD("a") "---", "", NULL},
		{"---\r\nname: a\r\ndescription: x\r\n---\r\ntext", "", NULL},
		{HEAD("a") "license: MIT\nmodel: fast\nmetadata: {x: [1, 2]}\n---\n", "", NULL},
		{HEAD("a") "allowed-tools: Read, Bash(git log:*, git show:*) Grep\n---\n",
		 "tool:Read tool:Bash tool:Grep", NULL},
		{HEAD("a") "allowed-tools: [Read, \"Bash(rm *)\", Read]\n---\n",
		 "tool:Read tool:Bash", NULL},
		{HEAD("a") "chela: {needs: [main, \"network:example.org\", \"tool:x\"]}\n---\n",
		 "main network:example.org tool:x", NULL},
		{HEAD("a") "allowed-tools:\n---\n", "", NULL},
		{"# A\n", NULL, "two lines \"---\""},
		{"", NULL, "two lines \"---\""},
		{"---\nname: a\n", NULL, "two lines \"---\""},
		{"--- \nname: a\n---\n", NULL, "two lines \"---\""},
		{HEAD("b") "---\n", NULL, "must be the name of its folder"},
		{"---\nname: a\n---\n", NULL, "needs a description"},
		{"---\nname: a\ndescription: \"  \"\n---\n", NULL, "needs a description"},
		{"---\ndescription: x\n---\n", NULL, "must be the name of its folder"},
		{HEAD("a") "x: [\n---\n", NULL, "skills/a/SKILL.md"},
		{HEAD("a") "chela: {needs: root}\n---\n", NULL, "expected a list"},
		{HEAD("a") "chela: {needs: {a: b}}\n---\n", NULL, "expected a list"},
		{HEAD("a") "chela: {needs: [everything]}\n---\n", NULL, "network:HOST"},
		{HEAD("a") "chela: {needs: [\"network:\"]}\n---\n", NULL, "network:HOST"},
		{HEAD("a") "chela: {needs: [\"tool:a b\"]}\n---\n", NULL, "no part of a name"},
		{HEAD("a") "allowed-tools: {a: b}\nname: a\n---\n", NULL, "skills/a/SKILL.md"},
	};
	struct skill s;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err e = ERR_INIT;
		int rc = skill_parse(rows[i].text, strlen(rows[i].text), "a", &s, &e);

		if (rows[i].error) {
			if (rc == 0 || e.code != E_INVAL || !strstr(e.msg, rows[i].error))
				fail_msg("row %zu: wanted \"%s\", got \"%s\"", i, rows[i].error,
					 e.msg);
		} else if (rc < 0 || !streq(s.needs, rows[i].needs)) {
			fail_msg("row %zu: \"%s\" (%s)", i, s.needs, e.msg);
		}
	}
	assert_true(skill_name_ok("a-1") && !skill_name_ok("a_1") && !skill_name_ok("../a"));
}

/* A stranger's line ends nowhere in ours. */
static void descriptions_are_one_line(void **state)
{
	static const char text[] =
		"---\nname: a\ndescription: \"x\\nchela: forged\\u2028y\"\n---\n";
	struct err e = ERR_INIT;
	struct skill s;

	(void)state;
	assert_ok(skill_parse(text, strlen(text), "a", &s, &e), &e);
	assert_string_equal(s.description, "x chela: forged   y");
}

static int look(struct house *h, const char *name, struct skill *out, struct err *e)
{
	_cleanup_(cleanup_skill_tree_p) struct skill_tree *t =
		skill_look(h->dir, name, workspace_agent_uid(), e);

	return t ? skill_read(t, out, e) : -1;
}

static void where(struct house *h, const char *rel, char out[128])
{
	snprintf(out, 128, "%s/%s", h->dir, rel);
}

static void folders_are_what_they_seem(void **state)
{
	struct house *h = *state;
	struct err e = ERR_INIT;
	struct skill s;
	char path[128], rel[96];

	assert_err(look(h, "none", &s, &e), &e, E_GONE, "there is no skill \"none\"");
	assert_err(look(h, "../x", &s, &e), &e, E_INVAL, "a skill's name");
	put(h, "skills/empty/notes.md", "x");
	assert_err(look(h, "empty", &s, &e), &e, E_INVAL, "has no SKILL.md");
	put(h, "skills/shadow/SKILL.md", HEAD("shadow") "---\n");
	assert_ok(look(h, "shadow", &s, &e), &e);
	where(h, "skills/shadow/more", path);
	assert_int_equal(symlink("/etc/shadow", path), 0);
	assert_err(look(h, "shadow", &s, &e), &e, E_INVAL, "more is a link");
	where(h, "skills/linked", path);
	assert_int_equal(symlink("shadow", path), 0);
	assert_err(look(h, "linked", &s, &e), &e, E_PERM, "not a link");
	put(h, "skills/pipe/SKILL.md", HEAD("pipe") "---\n");
	where(h, "skills/pipe/p", path);
	assert_int_equal(mkfifo(path, 0644), 0);
	assert_err(look(h, "pipe", &s, &e), &e, E_INVAL, "no plain file");
	put(h, "skills/deep/1/2/3/4/5/6/7/8/9/file", "x");
	assert_err(look(h, "deep", &s, &e), &e, E_INVAL, "folders deep");
	for (int i = 0; i <= SKILL_FILES_MAX; i++) {
		snprintf(rel, sizeof(rel), "skills/many/%d", i);
		put(h, rel, "x");
	}
	assert_err(look(h, "many", &s, &e), &e, E_INVAL, "more than 200 files");
	put(h, "skills/large/SKILL.md", HEAD("large") "---\n");
	put(h, "skills/large/a", "");
	where(h, "skills/large/a", path);
	assert_int_equal(truncate(path, SKILL_BYTES_MAX), 0);
	assert_err(look(h, "large", &s, &e), &e, E_INVAL, "larger than 2048 KiB");
	put(h, "skills/line/a\nb", "x");
	assert_err(look(h, "line", &s, &e), &e, E_INVAL, "no name for a file");
	if (geteuid() != 0)
		return;
	put(h, "skills/agents/SKILL.md", HEAD("agents") "---\n");
	where(h, "skills/agents/SKILL.md", path);
	assert_int_equal(chmod(path, 0600), 0);
	assert_err(look(h, "agents", &s, &e), &e, E_PERM, "chmod -R a+rX");
	assert_int_equal(chmod(path, 0644) | chown(path, workspace_agent_uid(), 0), 0);
	assert_err(look(h, "agents", &s, &e), &e, E_PERM, "belongs to the agent");
}

static void the_hash_is_of_all_that_is_in_it(void **state)
{
	struct house *h = *state;
	struct err e = ERR_INIT;
	struct skill a, b;
	char path[128];

	put(h, "skills/x/SKILL.md", HEAD("x") "---\n");
	put(h, "skills/x/sub/one", "1");
	put(h, "skills/x/two", "2");
	assert_ok(look(h, "x", &a, &e), &e);
	assert_int_equal(a.files, 3);
	assert_int_equal(strlen(a.hash), 64);
	put(h, "skills/x/two", "2");
	assert_ok(look(h, "x", &b, &e), &e);
	assert_string_equal(a.hash, b.hash);
	put(h, "skills/x/sub/one", "3");
	assert_ok(look(h, "x", &b, &e), &e);
	assert_string_not_equal(a.hash, b.hash);
	put(h, "skills/x/sub/one", "1");
	put(h, "skills/x/sub/three", "");
	assert_ok(look(h, "x", &b, &e), &e);
	assert_string_not_equal(a.hash, b.hash);
	where(h, "skills/x/sub/three", path);
	assert_int_equal(unlink(path), 0);
	assert_ok(look(h, "x", &b, &e), &e);
	assert_string_equal(a.hash, b.hash);
}

static int no_dots(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

/* The names in the set that a sandbox gets, with blanks between. */
static void names_in(struct house *h, const char *set, struct buf *out)
{
	_cleanup_free_ char *path = xasprintf("%s/skillsets/%s", h->dir, set);
	struct dirent **list;
	int n;

	buf_reset(out);
	assert_int_equal(strlen(set), 64);
	n = scandir(path, &list, no_dots, alphasort);
	assert_true(n > 0);
	for (int i = 0; i < n; i++) {
		buf_putf(out, "%s%s", i ? " " : "", list[i]->d_name);
		free(list[i]);
	}
	free(list);
}

#define assert_given(h, set, want)                                                                 \
	do {                                                                                       \
		_cleanup_(buf_free) struct buf names = {0};                                        \
		names_in(h, set, &names);                                                          \
		assert_string_equal(names.p, want);                                                \
	} while (0)

static struct group_row group(struct house *h, const char *name, bool is_main)
{
	struct group_row g;
	struct err e = ERR_INIT;

	assert_ok(store_group_ensure(h->st, name, is_main, &g, &e), &e);
	return g;
}

static void groups_begin_with_some(void **state)
{
	struct house *h = house_main(state);
	struct group_row kin = group(h, "kin", false);
	char skills[SKILLS_CAP];

	say(h, "main", "a", "hello");
	await(h, &h->n_lines, 1);
	assert_given(h, h->boxes[0]->ask.skills, "admin formatting schedules welcome");
	skills_of(h->router, &kin, skills);
	assert_given(h, skills, "formatting schedules welcome");
	assert_int_equal(h->n_notices, 0);
	assert_int_equal(h->fatals, 0);
}

static void missing_permissions_are_named(void **state)
{
	struct house *h = house_main(state);
	struct group_row kin = group(h, "kin", false), main_group = group(h, "main", true);
	struct err e = ERR_INIT;
	enum refresh when;

	put(h, "skills/wide/SKILL.md",
	    HEAD("wide") "allowed-tools: Read, WebFetch, Grep, mcp__chela__register_group\n"
			 "chela: {needs: [main, \"network:example.org\", \"tool:send_message\"]}\n"
			 "---\n");
	assert_err(
		skills_enable(h->router, "wide", &kin, "Ann", &when, &e), &e, E_PERM,
		"wide asks for what kin does not have: tool:register_group, main (only in main); "
		"tool:WebFetch, network:example.org (sandboxes have no network); "
		"tool:Grep (there is no such tool)");
	assert_err(skills_enable(h->router, "wide", &main_group, "Ann", &when, &e), &e, E_PERM,
		   "main does not have: tool:WebFetch, network");
	assert_null(strstr(e.msg, "only in main"));
	assert_err(skills_enable(h->router, "admin", &kin, "Ann", &when, &e), &e, E_PERM,
		   "kin does not have: main, tool:list_groups, tool:register_group (only in main)");
	assert_ok(skills_enable(h->router, "research", &kin, "Ann", &when, &e), &e);
	assert_ok(skills_disable(h->router, "research", &kin, &when, &e), &e);
	assert_err(skills_disable(h->router, "research", &kin, &when, &e), &e, E_GONE,
		   "does not have");
}

static void no_more_than_can_be_mounted(void **state)
{
	struct house *h = house_main(state);
	struct group_row kin = group(h, "kin", false);
	struct err e = ERR_INIT;
	enum refresh when;
	char name[8], rel[64], text[96], skills[SKILLS_CAP];
	_cleanup_(buf_free) struct buf names = {0};
	int n = 3; /* those it begins with */

	for (int i = 0; n < SKILLS_GROUP_MAX; i++, n++) {
		snprintf(name, sizeof(name), "s%d", i);
		snprintf(rel, sizeof(rel), "skills/%s/SKILL.md", name);
		snprintf(text, sizeof(text), "---\nname: %s\ndescription: x\n---\n", name);
		put(h, rel, text);
		assert_ok(skills_enable(h->router, name, &kin, "Ann", &when, &e), &e);
	}
	assert_err(skills_enable(h->router, "research", &kin, "Ann", &when, &e), &e, E_LIMIT,
		   "16 skills already");
	assert_ok(skills_enable(h->router, "welcome", &kin, "Ann", &when, &e), &e);
	skills_of(h->router, &kin, skills);
	names_in(h, skills, &names);
	n = 1;
	for (const char *p = names.p; (p = strchr(p, ' ')); p++)
		n++;
	assert_int_equal(n, SKILLS_GROUP_MAX);
}

struct seen {
	int n;
	char last[65];
};

static void see(void *ctx, const struct skill_row *s)
{
	struct seen *seen = ctx;

	seen->n++;
	str_copy(seen->last, sizeof(seen->last), s->hash);
}

/* Main has a chat from now on, in which it can be told things. */
static void talk(struct house *h)
{
	say(h, "main", "talk", "hello");
	await(h, &h->n_lines, 1);
	answer(h->boxes[0], 0, "hi");
	await(h, &h->n_settled, 1);
}

static void a_change_is_told_once(void **state)
{
	struct house *h = house_main(state);
	struct group_row kin = group(h, "kin", false);
	struct err e = ERR_INIT;
	struct seen seen = {0};
	struct skill old, new;
	char skills[SKILLS_CAP], words[160];

	talk(h);
	skills_of(h->router, &kin, skills);
	assert_ok(skills_get(h->router, "welcome", &old, &e), &e);
	put(h, "skills/welcome/SKILL.md", HEAD("welcome") "---\nNow something else.\n");
	skills_of(h->router, &kin, skills);
	assert_given(h, skills, "formatting schedules welcome");
	assert_ok(skills_get(h->router, "welcome", &new, &e), &e);
	await(h, &h->n_notices, 1);
	snprintf(words, sizeof(words),
		 "The skill welcome of kin has changed: %.12s before, %.12s from", old.hash,
		 new.hash);
	assert_has(&h->notices, words);
	skills_of(h->router, &kin, skills);
	settle(h);
	assert_int_equal(h->n_notices, 1);
	assert_ok(store_skill_uses(h->st, "welcome", see, &seen, &e), &e);
	assert_int_equal(seen.n, 3); /* main and kin had the old one, kin has the new one */
}

static void what_does_not_fit_any_more_is_withheld(void **state)
{
	struct house *h = house_main(state);
	struct group_row kin = group(h, "kin", false);
	char skills[SKILLS_CAP], path[128];

	talk(h);
	skills_of(h->router, &kin, skills);
	put(h, "skills/welcome/SKILL.md",
	    HEAD("welcome") "chela: {needs: [\"network:example.org\"]}\n---\n");
	skills_of(h->router, &kin, skills);
	assert_given(h, skills, "formatting schedules");
	await(h, &h->n_notices, 1);
	assert_has(&h->notices, "The skill welcome is withheld from kin: welcome asks for what kin "
				"does not have: network:example.org (sandboxes");
	skills_of(h->router, &kin, skills);
	settle(h);
	assert_int_equal(h->n_notices, 1);
	/* a link in it is another reason, and told as well */
	where(h, "skills/welcome/passwd", path);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	skills_of(h->router, &kin, skills);
	await(h, &h->n_notices, 2);
	assert_has(&h->notices, "passwd is a link");
	assert_int_equal(unlink(path), 0);
	put(h, "skills/welcome/SKILL.md", HEAD("welcome") "---\n");
	skills_of(h->router, &kin, skills);
	assert_given(h, skills, "formatting schedules welcome");
}

/* What is mounted is what was hashed, whatever becomes of the folder; the same set is made once; at the next start they are made anew. */
static void a_copy_is_mounted(void **state)
{
	struct house *h = house_main(state);
	struct group_row kin = group(h, "kin", false);
	struct err e = ERR_INIT;
	char first[SKILLS_CAP], second[SKILLS_CAP], path[256];
	enum refresh when;
	struct stat a, b;

	put(h, "skills/own/SKILL.md", HEAD("own") "---\n");
	put(h, "skills/own/bin/tool.sh", "#!/bin/sh\n");
	where(h, "skills/own/bin/tool.sh", path);
	assert_int_equal(chmod(path, 0755), 0);
	assert_ok(skills_enable(h->router, "own", &kin, "Ann", &when, &e), &e);
	skills_of(h->router, &kin, first);
	assert_given(h, first, "formatting own schedules welcome");
	snprintf(path, sizeof(path), "%s/skillsets/%s/own/bin/tool.sh", h->dir, first);
	assert_int_equal(stat(path, &a), 0);
	assert_int_equal(a.st_mode & 0777, 0755);
	skills_of(h->router, &kin, second);
	assert_string_equal(first, second);
	assert_int_equal(stat(path, &b), 0);
	assert_int_equal(a.st_ino, b.st_ino);
	put(h, "skills/own/bin/tool.sh", "#!/bin/sh\nexit 1\n");
	assert_int_equal(stat(path, &b), 0);
	assert_int_equal(b.st_size, 10);
	skills_of(h->router, &kin, second);
	assert_string_not_equal(first, second);
	house_stop(h);
	house_start(h);
	assert_int_equal(stat(path, &b), -1);
	skills_of(h->router, &kin, second);
	assert_given(h, second, "formatting own schedules welcome");
}

/* A sandbox that does nothing goes at once, one that works after its turn; the next has the skill. */
static void it_holds_from_the_next_start(void **state)
{
	struct house *h = house_main(state);
	struct group_row main_group;
	struct err e = ERR_INIT;
	enum refresh when;

	say(h, "main", "a", "hello");
	await(h, &h->n_lines, 1);
	assert_ok(store_group_get(h->st, "main", &main_group, &e), &e);
	assert_ok(skills_enable(h->router, "research", &main_group, "Ann", &when, &e), &e);
	assert_int_equal(when, REFRESH_LATER);
	assert_int_equal(h->n_stops, 0);
	answer(h->boxes[0], 0, "hi");
	await(h, &h->n_stops, 1);
	say(h, "main", "b", "again");
	await(h, &h->n_lines, 2);
	assert_given(h, h->boxes[1]->ask.skills, "admin formatting research schedules welcome");
	answer(h->boxes[1], 0, "hi");
	await(h, &h->n_settled, 2);
	settle(h);
	assert_ok(skills_disable(h->router, "research", &main_group, &when, &e), &e);
	assert_int_equal(when, REFRESH_NOW);
	await(h, &h->n_stops, 2);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, house_setup, house_teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(head_rows),
		cmocka_unit_test(descriptions_are_one_line),
		TEST(folders_are_what_they_seem),
		TEST(the_hash_is_of_all_that_is_in_it),
		TEST(groups_begin_with_some),
		TEST(missing_permissions_are_named),
		TEST(no_more_than_can_be_mounted),
		TEST(a_change_is_told_once),
		TEST(what_does_not_fit_any_more_is_withheld),
		TEST(a_copy_is_mounted),
		TEST(it_holds_from_the_next_start),
	};

	umask(022);
	return cmocka_run_group_tests_name("router_skills", tests, NULL, NULL);
}
