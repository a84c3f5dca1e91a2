// SPDX-License-Identifier: Apache-2.0
/* The skills that come with Chela, from version to version: what nobody has touched is renewed, what was changed stays until it is reset. */
#include "router_rig.h"
#include "base/buf.h"
#include "base/embed.h"
#include "router/impl.h"
#include "router/skills.h"
#include "router/skill.h"
#include "store/record.h"

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

EMBED(first_admin,
      "tests/unit/skill_admin_first.md"); /* as the version shipped it that kept no record */

#define OLDER HEAD("welcome") "---\nWords of an earlier version.\n"

static void next_version(struct house *h)
{
	house_stop(h);
	house_start(h);
}

static void put_record(struct house *h, const char *name, const char *text)
{
	_cleanup_free_ char *key = xasprintf("skill.shipped.%s", name);
	struct err e = ERR_INIT;
	char hash[65];

	skill_hash_text(text, strlen(text), hash);
	assert_ok(store_setting_set(h->st, key, hash, &e), &e);
}

static enum shipped shipped_as(struct house *h, const char *name)
{
	struct err e = ERR_INIT;
	enum shipped how;

	assert_ok(skills_shipped(h->router, name, &how, &e), &e);
	return how;
}

static bool holds(struct house *h, const char *rel, const char *text)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", h->dir, rel);
	char now[4096] = "";
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	now[fread(now, 1, sizeof(now) - 1, f)] = '\0';
	fclose(f);
	return streq(now, text);
}

static void note_act(void *ctx, const struct act_row *a)
{
	buf_putf(ctx, "%s %s: %s\n", a->who, a->via, a->act);
}

/* As an earlier version left it: replaced at the start, on record, and no news to the groups that have it. */
static void what_nobody_has_touched_is_renewed(void **state)
{
	struct house *h = house_main(state);
	struct group_row kin;
	_cleanup_(buf_free) struct buf acts = {0};
	struct err e = ERR_INIT;
	char skills[SKILLS_CAP], old[65], path[128];

	assert_ok(store_group_ensure(h->st, "kin", false, &kin, &e), &e);
	say(h, "main", "talk", "hello"); /* main has a chat, in which it can be told things */
	await(h, &h->n_lines, 1);
	put(h, "skills/welcome/SKILL.md", OLDER);
	put_record(h, "welcome", OLDER);
	put(h, "skills/admin/SKILL.md", first_admin);
	assert_ok(store_setting_set(h->st, "skill.shipped.admin", NULL, &e), &e);
	skills_of(h->router, &kin, skills);
	skill_hash_text(OLDER, strlen(OLDER), old);
	next_version(h);
	assert_int_equal(shipped_as(h, "welcome"), SHIPPED_SAME);
	assert_int_equal(shipped_as(h, "admin"), SHIPPED_SAME);
	assert_false(holds(h, "skills/welcome/SKILL.md", OLDER));
	assert_false(holds(h, "skills/admin/SKILL.md", first_admin));
	snprintf(path, sizeof(path), "%s/skills/.welcome.new", h->dir);
	assert_int_equal(access(path, F_OK), -1);
	assert_ok(store_act_each(h->st, 10, note_act, &acts, &e), &e);
	snprintf(path, sizeof(path), " start: skills renew welcome: %.12s is ", old);
	assert_non_null(strstr(acts.p, path));
	assert_non_null(strstr(acts.p, " start: skills renew admin: 54bd02017318 is "));
	h->n_notices = 0;
	skills_of(h->router, &kin, skills);
	settle(h);
	assert_int_equal(h->n_notices, 0);
	/* once */
	next_version(h);
	buf_reset(&acts);
	assert_ok(store_act_each(h->st, 10, note_act, &acts, &e), &e);
	assert_non_null(strstr(acts.p, path));
	assert_null(strstr(strstr(acts.p, path) + 1, path));
}

static void what_was_changed_stays_until_it_is_reset(void **state)
{
	struct house *h = house_main(state);
	_cleanup_(buf_free) struct buf newer = {0};
	_cleanup_free_ char *rel = NULL;
	struct err e = ERR_INIT;
	enum refresh when;
	char kept[96];

	assert_err(skills_reset(h->router, "welcome", kept, &when, &e), &e, E_INVAL,
		   "welcome is what this version ships already");
	/* an earlier version's, changed, and one more file beside it */
	put(h, "skills/welcome/SKILL.md", HEAD("welcome") "---\nMy words.\n");
	put_record(h, "welcome", OLDER);
	put(h, "skills/admin/SKILL.md", first_admin);
	put(h, "skills/admin/more.md", "x");
	/* this version's, changed */
	put(h, "skills/schedules/SKILL.md", HEAD("schedules") "---\nMy words.\n");
	/* no skill any more */
	put(h, "skills/research/SKILL.md", "?");
	next_version(h);
	assert_true(holds(h, "skills/welcome/SKILL.md", HEAD("welcome") "---\nMy words.\n"));
	assert_true(holds(h, "skills/admin/SKILL.md", first_admin));
	assert_true(holds(h, "skills/research/SKILL.md", "?"));
	assert_int_equal(shipped_as(h, "welcome"), SHIPPED_NEWER);
	assert_int_equal(shipped_as(h, "schedules"), SHIPPED_CHANGED);
	assert_int_equal(shipped_as(h, "formatting"), SHIPPED_SAME);
	assert_int_equal(shipped_as(h, "garden"), SHIPPED_NOT);
	assert_ok(skills_newer(h->router, &newer, &e), &e);
	assert_string_equal(newer.p, "welcome");

	assert_ok(skills_reset(h->router, "welcome", kept, &when, &e), &e);
	assert_int_equal(shipped_as(h, "welcome"), SHIPPED_SAME);
	rel = xasprintf("skills/%s/SKILL.md", kept);
	assert_true(kept[0] == '.' && holds(h, rel, HEAD("welcome") "---\nMy words.\n"));
	assert_ok(skills_reset(h->router, "research", kept, &when, &e), &e);
	assert_int_equal(shipped_as(h, "research"), SHIPPED_SAME);
	assert_err(skills_reset(h->router, "garden", kept, &when, &e), &e, E_GONE,
		   "no skill \"garden\" comes with Chela; those that do: admin, formatting, ");
	buf_reset(&newer);
	assert_ok(skills_newer(h->router, &newer, &e), &e);
	assert_int_equal(newer.len, 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, house_setup, house_teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_nobody_has_touched_is_renewed),
		TEST(what_was_changed_stays_until_it_is_reset),
	};

	umask(022);
	return cmocka_run_group_tests_name("router_skills_shipped", tests, NULL, NULL);
}
