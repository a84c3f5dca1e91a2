// SPDX-License-Identifier: Apache-2.0
/* Unit tests of the folders that go into a sandbox: which there are for each kind, and which are refused. */
#include "unit.h"
#include <sys/stat.h>
#include "base/str.h"
#include "warden/sandbox.h"

#define SET "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static char dir[] = "/tmp/chela-warden-XXXXXX";

static void put(const char *name, const char *text)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	for (char *p = path + strlen(dir) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		mkdir(path, 0755);
		*p = '/';
	}
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fputs(text, f) < 0, 0);
	fclose(f);
}

static struct sandbox_request request(const char *group, enum sandbox_kind kind)
{
	struct sandbox_request r = {.kind = kind};

	str_copy(r.group, sizeof(r.group), group);
	str_copy(r.session_id, sizeof(r.session_id), "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee");
	return r;
}

static int prepare(const char *home, const char *group, struct mounts *m, struct err *e)
{
	struct sandbox_request r = request(group, SANDBOX_GROUP);

	return mounts_prepare(home, &r, mounts_agent_uid(), m, e);
}

static const struct mount *mount_at(const struct mounts *m, const char *target)
{
	for (size_t i = 0; i < m->n; i++)
		if (streq(m->list[i].target, target))
			return &m->list[i];
	fail_msg("nothing is mounted at %s", target);
	return NULL;
}

static void folders_are_real(void **state)
{
	uid_t uid = mounts_agent_uid();
	struct err e = ERR_INIT;
	char path[2048], home[256];
	struct mounts m;
	struct stat st;

	(void)state;
	snprintf(home, sizeof(home), "%s/home", dir);
	put("home/groups/global/CLAUDE.md", "x");
	put("home/groups/main/CLAUDE.md", "x");
	put("home/sessions/.keep", "");
	assert_ok(prepare(home, "main", &m, &e), &e);
	assert_int_equal(m.n, 3);
	assert_int_equal(stat(mount_at(&m, "/workspace")->source, &st), 0);
	assert_int_equal(st.st_uid, uid);
	snprintf(path, sizeof(path), "%s/CLAUDE.md", mount_at(&m, "/workspace")->source);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_uid, uid);
	assert_int_equal(stat(mount_at(&m, "/session")->source, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	snprintf(path, sizeof(path), "%s/groups/global/CLAUDE.md", home);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_uid, uid);
	assert_true(mount_at(&m, "/global")->writable);
	/* Again, now that they are there; and for another group, which may only read what all share. */
	assert_ok(prepare(home, "main", &m, &e), &e);
	assert_ok(prepare(home, "kin", &m, &e), &e);
	assert_false(mount_at(&m, "/global")->writable);
	assert_true(mount_at(&m, "/workspace")->writable);
	/* A link in place of a group's folder, and one further up. */
	snprintf(path, sizeof(path), "%s/groups/evil", home);
	assert_int_equal(symlink("/etc", path), 0);
	assert_err(prepare(home, "evil", &m, &e), &e, E_PERM, "not a link");
	snprintf(path, sizeof(path), "%s/sessions/linked", home);
	assert_int_equal(symlink("../groups", path), 0);
	assert_err(prepare(home, "linked", &m, &e), &e, E_PERM, "not a link");
	put("home/groups/file", "x");
	assert_err(prepare(home, "file", &m, &e), &e, E_PERM, "real folder");
	if (geteuid() != 0)
		return;
	snprintf(path, sizeof(path), "%s/groups/other", home);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(chown(path, 4242, 4242), 0);
	assert_err(prepare(home, "other", &m, &e), &e, E_PERM, "belongs to user 4242");
}

static bool none_in_use(void *ctx, const char *id)
{
	(void)id;
	++*(int *)ctx;
	return false;
}

static bool all_in_use(void *ctx, const char *id)
{
	(void)ctx, (void)id;
	return true;
}

static void tasks_have_fresh_folders(void **state)
{
	static const char ID[] = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee";
	struct sandbox_request r = request("main", SANDBOX_TASK);
	struct err e = ERR_INIT;
	char home[256], path[512];
	uid_t uid = mounts_agent_uid();
	struct mounts m;
	struct stat st;
	int asked = 0;

	(void)state;
	snprintf(home, sizeof(home), "%s/task-home", dir);
	put("task-home/groups/global/CLAUDE.md", "x");
	put("task-home/tasks/.keep", "");
	put("task-home/tasks/not-a-uuid/file", "x");
	assert_ok(mounts_prepare(home, &r, uid, &m, &e), &e);
	assert_int_equal(m.n, 4);
	assert_true(mount_at(&m, "/workspace")->writable);
	assert_true(mount_at(&m, "/session")->writable);
	assert_false(mount_at(&m, "/group")->writable);
	assert_false(mount_at(&m, "/global")->writable); /* not even main's task */
	snprintf(path, sizeof(path), "%s/tasks/%s/workspace", home, ID);
	assert_string_equal(mount_at(&m, "/workspace")->source, path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_uid, uid);
	snprintf(path, sizeof(path), "%s/tasks/%s", home, ID);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_uid, geteuid());
	/* never one that is there already */
	assert_err(mounts_prepare(home, &r, uid, &m, &e), &e, E_TEMP, "there already");
	assert_int_equal(mounts_sweep(home, all_in_use, NULL, &e), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(mounts_sweep(home, none_in_use, &asked, &e), 0);
	assert_int_equal(asked, 1);
	assert_int_equal(stat(path, &st), -1);
	snprintf(path, sizeof(path), "%s/tasks/not-a-uuid/file", home);
	assert_int_equal(stat(path, &st), 0);
	/* a link in the way is not followed, neither to be used nor to be removed */
	snprintf(path, sizeof(path), "%s/tasks/%s", home, ID);
	assert_int_equal(symlink("../groups", path), 0);
	assert_err(mounts_prepare(home, &r, uid, &m, &e), &e, E_TEMP, "there already");
	assert_int_equal(mounts_sweep(home, none_in_use, &asked, &e), 0);
	assert_int_equal(lstat(path, &st), -1);
	snprintf(path, sizeof(path), "%s/groups/global/CLAUDE.md", home);
	assert_int_equal(stat(path, &st), 0);
}

static void skills_are_a_real_folder(void **state)
{
	struct sandbox_request r = request("kin", SANDBOX_GROUP);
	struct err e = ERR_INIT;
	char home[256], path[512];
	uid_t uid = mounts_agent_uid();
	struct mounts m;

	(void)state;
	snprintf(home, sizeof(home), "%s/skill-home", dir);
	put("skill-home/groups/global/CLAUDE.md", "x");
	put("skill-home/sessions/.keep", "");
	put("skill-home/tasks/.keep", "");
	put("skill-home/skillsets/" SET "/welcome/SKILL.md", "x");
	str_copy(r.skills, sizeof(r.skills), SET);
	assert_ok(mounts_prepare(home, &r, uid, &m, &e), &e);
	assert_int_equal(m.n, 4);
	assert_false(mount_at(&m, "/skills/.claude/skills")->writable);
	r.kind = SANDBOX_TOOL;
	assert_ok(mounts_prepare(home, &r, uid, &m, &e), &e);
	assert_int_equal(m.n, 4);
	assert_false(mount_at(&m, "/group")->writable);
	r.kind = SANDBOX_GROUP;
	/* one that is not there is never made */
	memset(r.skills, 'a', sizeof(r.skills) - 1);
	assert_err(mounts_prepare(home, &r, uid, &m, &e), &e, E_GONE, "skillsets/aaaa");
	snprintf(path, sizeof(path), "%s/skillsets/%s", home, r.skills);
	assert_int_equal(symlink("/etc", path), 0);
	assert_err(mounts_prepare(home, &r, uid, &m, &e), &e, E_PERM, "not a link");
	if (geteuid() != 0)
		return;
	str_copy(r.skills, sizeof(r.skills), SET);
	snprintf(path, sizeof(path), "%s/skillsets/" SET, home);
	assert_int_equal(chown(path, uid, (gid_t)uid), 0);
	assert_err(mounts_prepare(home, &r, uid, &m, &e), &e, E_PERM, "must not belong");
}

static int set_up(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
	char cmd[128];

	(void)state;
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(folders_are_real),
		cmocka_unit_test(tasks_have_fresh_folders),
		cmocka_unit_test(skills_are_a_real_folder),
	};

	return cmocka_run_group_tests_name("warden_mounts", tests, set_up, tear_down);
}
