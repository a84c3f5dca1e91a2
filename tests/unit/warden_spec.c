// SPDX-License-Identifier: Apache-2.0
/* Unit tests of what the warden asks of the engine, of its checks on asks, limits and the lock. */
#include "unit.h"
#include <fcntl.h>
#include <sys/stat.h>
#include "base/json.h"
#include "base/str.h"
#include "warden/sandbox.h"

#define GOLDEN "tests/unit/warden_spec.golden.json"
#define SET    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

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

/* ---- the create body ---- */

static char *golden(void)
{
	FILE *f = fopen(GOLDEN, "r");
	char *text = xcalloc(1, 65536);

	if (!f)
		fail_msg("cannot open %s (tests run in the root of the tree)", GOLDEN);
	assert_true(fread(text, 1, 65535, f) > 0);
	fclose(f);
	return text;
}

static char *body_of(const struct sandbox_request *r, const struct sandbox_policy *p)
{
	struct mounts m = {.n = 3,
			   .list = {{"/h/groups/family", "/workspace", true},
				    {"/h/sessions/family", "/session", true},
				    {"/h/groups/global", "/global", false}}};
	struct spec s = {
		.instance = "11111111-2222-4333-8444-555555555555",
		.run = "99999999-2222-4333-8444-555555555555",
		.image = "sha256:0000000000000000000000000000000000000000000000000000000000000001",
		.req = r,
		.policy = p,
		.mounts = &m,
		.agent_uid = 10001,
		.model_retries = 6,
		.seccomp = seccomp_profile};

	if (streq(p->runtime, "runc"))
		s.seccomp = "{}"; /* the golden file need not hold the whole profile */
	return spec_json(&s);
}

static const struct sandbox_policy defaults = {.runtime = "runc",
					       .memory_bytes = (int64_t)1 << 30,
					       .cpus = 1.0,
					       .pids = 256,
					       .tmp_bytes = (int64_t)256 << 20};

static void create_body_is_golden(void **state)
{
	struct sandbox_request r = {.group = "family",
				    .kind = SANDBOX_GROUP,
				    .session_id = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"};
	_cleanup_free_ char *want = golden(), *text = NULL;
	_cleanup_json_ cJSON *is = NULL, *should = NULL;
	_cleanup_free_ char *body = body_of(&r, &defaults);
	struct err e = ERR_INIT;

	(void)state;
	is = json_parse(body, strlen(body), JSON_MAX_DEFAULT, &e);
	should = json_parse(want, strlen(want), JSON_MAX_DEFAULT, &e);
	assert_non_null(is);
	assert_non_null(should);
	text = cJSON_Print(is);
	if (!cJSON_Compare(is, should, 1)) {
		fprintf(stderr, "the create body now:\n%s\n", text);
		fail_msg("the create body differs from %s", GOLDEN);
	}
}

static void resume_and_model_show(void **state)
{
	struct sandbox_request r = {.group = "family",
				    .kind = SANDBOX_TASK,
				    .session_id = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee",
				    .resume = true,
				    .model = "claude-x[1m]"};
	struct sandbox_policy p = defaults;
	_cleanup_free_ char *body = NULL;

	(void)state;
	p.memory_bytes = ((int64_t)64 << 20) + 4095;
	p.cpus = 0.5;
	body = body_of(&r, &p);
	assert_non_null(strstr(body, "\"--resume\",\"aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee\""));
	assert_null(strstr(body, "--session-id"));
	assert_non_null(strstr(body, "\"--model\",\"claude-x[1m]\""));
	assert_non_null(strstr(body, "\"chela.kind\":\"task\""));
	assert_non_null(strstr(body, "\"Memory\":67108864,\"MemorySwap\":67108864"));
	assert_non_null(strstr(body, "\"NanoCpus\":500000000"));
}

static void skills_and_tools_show(void **state)
{
	struct sandbox_request r = {.group = "family",
				    .kind = SANDBOX_TASK,
				    .session_id = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee",
				    .skills = SET};
	_cleanup_free_ char *with = body_of(&r, &defaults), *without = NULL, *tool = NULL;

	(void)state;
	assert_non_null(strstr(with, "\"--add-dir\",\"/skills\""));
	r.skills[0] = '\0';
	without = body_of(&r, &defaults);
	assert_null(strstr(without, "--add-dir"));
	r.kind = SANDBOX_TOOL;
	str_copy(r.skills, sizeof(r.skills), SET);
	tool = body_of(&r, &defaults);
	assert_non_null(strstr(tool, "\"--cwd\",\"/workspace\",\"--\",\"bash\",\"-s\"],"));
	assert_null(strstr(tool, "claude\""));
	assert_non_null(strstr(tool, "\"chela.kind\":\"tool\""));
}

static const cJSON *rule_of(const cJSON *profile, const char *name, const char *action)
{
	const cJSON *rule, *n;

	cJSON_ArrayForEach(rule, json_find(profile, "syscalls"))
	{
		cJSON_ArrayForEach(
			n, json_find(rule, "names")) if (streq(n->valuestring, name) &&
							 streq(json_peek_str(rule, "action"),
							       action)) return rule;
	}
	return NULL;
}

/* The profile in the binary is the file, and what must not be there is not. */
static void seccomp_profile_is_tight(void **state)
{
	static const char banned[] =
		"mount umount2 pivot_root unshare setns bpf ptrace process_vm_readv "
		"process_vm_writev keyctl add_key request_key perf_event_open "
		"userfaultfd init_module finit_module kexec_load open_by_handle_at "
		"mknod mknodat fsopen move_mount open_tree fsmount io_uring_setup "
		"clone3 kcmp socketcall chroot reboot swapon quotactl mq_open shmget "
		"name_to_handle_at pidfd_getfd modify_ldt iopl ioperm vhangup acct "
		"lookup_dcookie ";
	_cleanup_json_ cJSON *j = NULL;
	struct err e = ERR_INIT;

	(void)state;
	j = json_parse(seccomp_profile, strlen(seccomp_profile), JSON_MAX_DEFAULT, &e);
	assert_non_null(j);
	assert_string_equal(json_peek_str(j, "defaultAction"), "SCMP_ACT_ERRNO");
	for (const char *p = banned; *p; p += strcspn(p, " ") + 1) {
		_cleanup_free_ char *name = xstrndup(p, strcspn(p, " "));

		if (rule_of(j, name, "SCMP_ACT_ALLOW"))
			fail_msg("%s is allowed", name);
	}
	assert_int_equal(json_peek_i64(rule_of(j, "clone3", "SCMP_ACT_ERRNO"), "errnoRet", 0), 38);
	assert_int_equal(json_peek_i64(rule_of(j, "clone", "SCMP_ACT_ALLOW"), "args.0.value", 0),
			 0x7e020000);
	assert_non_null(json_find(rule_of(j, "socket", "SCMP_ACT_ALLOW"), "args.0.value"));
	assert_non_null(rule_of(j, "read", "SCMP_ACT_ALLOW"));
}

/* Only gVisor's profile lets clone3 through, and nothing else than runc's does. Its own threads are granted on top. */
static void gvisor_differs_where_it_must(void **state)
{
	struct sandbox_request r = {.group = "family",
				    .session_id = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"};
	struct sandbox_policy p = {
		.runtime = "runsc", .memory_bytes = 1 << 30, .cpus = 1, .pids = 9};
	_cleanup_free_ char *body = body_of(&r, &p);
	_cleanup_json_ cJSON *j = NULL, *profile = NULL;
	struct err e = ERR_INIT;
	const cJSON *opt;

	(void)state;
	j = json_parse(body, strlen(body), JSON_MAX_DEFAULT, &e);
	assert_non_null(j);
	cJSON_ArrayForEach(opt, json_find(j, "HostConfig.SecurityOpt"))
	{
		if (str_starts(opt->valuestring, "seccomp="))
			profile = json_parse(opt->valuestring + 8, strlen(opt->valuestring + 8),
					     JSON_MAX_DEFAULT, &e);
	}
	assert_non_null(profile);
	assert_non_null(rule_of(profile, "clone3", "SCMP_ACT_ALLOW"));
	assert_null(rule_of(profile, "io_uring_setup", "SCMP_ACT_ALLOW"));
	assert_null(rule_of(profile, "unshare", "SCMP_ACT_ALLOW"));
	assert_int_equal(json_find(j, "HostConfig.PidsLimit")->valuedouble, 10 * 9 + 256);
}

/* ---- asks ---- */

static const struct wire_ask good = {.op = ASK_START,
				     .kind = SANDBOX_GROUP,
				     .id = 7,
				     .group = "family",
				     .session_id = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee",
				     .model = "claude-x"};

static void check_row(const char *what, const struct wire_ask *a, bool ok)
{
	struct sandbox_request r;
	struct err e = ERR_INIT;
	int is = warden_check_ask(a, &r, &e);

	if ((is == 0) != ok)
		fail_msg("%s: %s", what, ok ? e.msg : "was accepted");
	if (!ok)
		assert_int_equal(e.code, E_INVAL);
}

static void asks_are_checked(void **state)
{
	static const struct {
		const char *what, *group, *session, *model;
		bool ok;
	} rows[] = {
		{"plain", "family", "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee", "", true},
		{"model", "f", "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee", "claude-x[1m]", true},
		{"no group", "", "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee", "", false},
		{"global", "global", "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee", "", false},
		{"parent", "..", "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee", "", false},
		{"slash", "a/b", "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee", "", false},
		{"upper case", "Family", "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee", "", false},
		{"flag as group", "-v", "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee", "", false},
		{"newline", "a\nb", "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee", "", false},
		{"no session", "family", "", "", false},
		{"flag as session", "family", "--dangerously-x", "", false},
		{"upper-case session", "family", "AAAAAAAA-bbbb-4ccc-8ddd-eeeeeeeeeeee", "", false},
		{"space in model", "family", "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee", "a b", false},
		{"quote in model", "family", "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee", "a\"b", false},
		{"slash in model", "family", "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee", "../x", false},
		{"flag as model", "family", "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee", "--resume",
		 false},
	};
	struct wire_ask a;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		a = good;
		memset(a.group, 0, sizeof(a.group));
		str_copy(a.group, sizeof(a.group), rows[i].group);
		memset(a.session_id, 0, sizeof(a.session_id));
		str_copy(a.session_id, sizeof(a.session_id), rows[i].session);
		str_copy(a.model, sizeof(a.model), rows[i].model);
		check_row(rows[i].what, &a, rows[i].ok);
	}
}

static void numbers_and_ends_are_checked(void **state)
{
	struct wire_ask a = good;

	(void)state;
	check_row("good", &a, true);
	a.id = 0;
	check_row("id 0", &a, false);
	a = good;
	a.kind = 3;
	check_row("kind 3", &a, false);
	a = good;
	a.kind = UINT32_MAX;
	check_row("kind max", &a, false);
	a = good;
	a.resume = 2;
	check_row("resume 2", &a, false);
	a = good;
	memset(a.group, 'a', sizeof(a.group));
	check_row("group without end", &a, false);
	a = good;
	memset(a.session_id, 'a', sizeof(a.session_id));
	check_row("session without end", &a, false);
	a = good;
	memset(a.model, 'a', sizeof(a.model));
	check_row("model without end", &a, false);
}

static void skills_are_checked(void **state)
{
	static const struct {
		const char *skills;
		bool ok;
	} rows[] = {
		{"", true},
		{SET, true},
		{"welcome", false},
		{"..", false},
		{"../groups", false},
		{"/etc", false},
		{"0123456789abcdef", false},
		{"0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef", false},
		{"0123456789abcdef0123456789abcdef/../9abcdef0123456789abcdef01234", false},
	};
	struct wire_ask a;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		a = good;
		str_copy(a.skills, sizeof(a.skills), rows[i].skills);
		check_row(rows[i].skills, &a, rows[i].ok);
	}
	memset(a.skills, 'a', sizeof(a.skills));
	check_row("skills without end", &a, false);
}

/* ---- limits, against a made-up /proc and /sys ---- */

static void limits_v1(void **state)
{
	struct sandbox_policy p = defaults;
	char mem[512];
	struct err e = ERR_INIT;

	(void)state;
	put("v1/proc/42/stat", "42 (a) b) S 1 42 42 0 -1 4194560 9 9 9\n");
	put("v1/proc/42/cgroup", "9:name=systemd:/d/x\n8:pids:/d/x\n4:cpu,memory:/d/x\n0::/\n");
	put("v1/sys/fs/cgroup/memory/d/x/memory.limit_in_bytes", "1073741824\n");
	put("v1/sys/fs/cgroup/memory/d/x/memory.memsw.limit_in_bytes", "1073741824\n");
	put("v1/sys/fs/cgroup/pids/d/x/pids.max", "256\n");
	char root[256];
	snprintf(root, sizeof(root), "%s/v1", dir);
	assert_ok(limits_check(root, 42, &p, &e), &e);
	snprintf(p.runtime, sizeof(p.runtime), "runsc");
	assert_err(limits_check(root, 42, &p, &e), &e, E_PERM, "pids limit is not in force");
	put("v1/sys/fs/cgroup/pids/d/x/pids.max", "2816\n");
	assert_ok(limits_check(root, 42, &p, &e), &e);
	p = defaults;
	put("v1/sys/fs/cgroup/pids/d/x/pids.max", "256\n");
	put("v1/sys/fs/cgroup/memory/d/x/memory.memsw.limit_in_bytes", "2147483648\n");
	assert_err(limits_check(root, 42, &p, &e), &e, E_PERM, "swap limit is not in force");
	put("v1/sys/fs/cgroup/memory/d/x/memory.limit_in_bytes", "9223372036854771712\n");
	assert_err(limits_check(root, 42, &p, &e), &e, E_PERM, "memory limit is not in force");
	put("v1/sys/fs/cgroup/memory/d/x/memory.limit_in_bytes", "1073741824\n");
	put("v1/sys/fs/cgroup/pids/d/x/pids.max", "max\n");
	assert_err(limits_check(root, 42, &p, &e), &e, E_PERM, "pids limit is not in force");
	/* One that dies is not held against the limits; the kernel's killings for want of memory are seen. */
	put("v1/proc/42/stat", "42 (a) S 1 42 42 0 -1 4194564 9 9 9\n");
	assert_true(limits_exiting(root, 42));
	assert_err(limits_check(root, 42, &p, &e), &e, E_TEMP, "ended at once");
	put("v1/proc/42/stat", "42 (a) S 1 42 42 0 -1 4194560 9 9 9\n");
	assert_false(limits_exiting(root, 42));
	assert_true(limits_exiting(root, 43));
	limits_where(root, 43, mem, sizeof(mem));
	assert_string_equal(mem, "");
	limits_where(root, 42, mem, sizeof(mem));
	assert_false(limits_oom(mem));
	put("v1/sys/fs/cgroup/memory/d/x/memory.oom_control",
	    "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n");
	assert_false(limits_oom(mem));
	put("v1/sys/fs/cgroup/memory/d/x/memory.oom_control",
	    "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n");
	assert_true(limits_oom(mem));
	put("v1/proc/42/cgroup", "8:pids:/d/x\n0::/\n");
	assert_err(limits_check(root, 42, &p, &e), &e, E_PERM, "in no cgroup");
	assert_err(limits_check(root, 43, &p, &e), &e, E_TEMP, "ended at once");
}

static void limits_v2(void **state)
{
	struct sandbox_policy p = defaults;
	struct err e = ERR_INIT;
	char mem[512];
	char root[256];

	(void)state;
	snprintf(root, sizeof(root), "%s/v2", dir);
	put("v2/proc/42/stat", "42 (a) S 1 42 42 0 -1 4194560 9 9 9\n");
	put("v2/sys/fs/cgroup/cgroup.controllers", "cpu memory pids\n");
	put("v2/proc/42/cgroup", "0::/system.slice/docker-x.scope\n");
	put("v2/sys/fs/cgroup/system.slice/docker-x.scope/memory.max", "1073741824\n");
	put("v2/sys/fs/cgroup/system.slice/docker-x.scope/memory.swap.max", "0\n");
	put("v2/sys/fs/cgroup/system.slice/docker-x.scope/pids.max", "256\n");
	assert_ok(limits_check(root, 42, &p, &e), &e);
	put("v2/sys/fs/cgroup/system.slice/docker-x.scope/memory.swap.max", "max\n");
	assert_err(limits_check(root, 42, &p, &e), &e, E_PERM, "swap limit");
	limits_where(root, 42, mem, sizeof(mem));
	put("v2/sys/fs/cgroup/system.slice/docker-x.scope/memory.events", "oom 1\noom_kill 1\n");
	assert_true(limits_oom(mem));
	put("v2/proc/42/cgroup", "0::/\n");
	assert_err(limits_check(root, 42, &p, &e), &e, E_PERM, "memory limit cannot be read");
	put("v2/proc/42/cgroup", "garbage");
	assert_err(limits_check(root, 42, &p, &e), &e, E_PERM, "in no cgroup");
}

/* ---- the lock ---- */

static void lock_rows(void **state)
{
	static const char ID[] =
		"sha256:647e1965d55241201bc9213ec416ece61e67262a322f94a480bb247080c03c4c";
	struct err e = ERR_INIT;
	char id[80], path[256], text[512];

	(void)state;
	snprintf(path, sizeof(path), "%s/lock", dir);
	assert_err(engine_read_lock(path, id, &e), &e, E_TEMP, "make image");
	snprintf(text, sizeof(text), "# made\nconfig: %s\nimage: %s\nx: y\n", "sha256:00", ID);
	put("lock", text);
	assert_ok(engine_read_lock(path, id, &e), &e);
	assert_string_equal(id, ID);
	snprintf(text, sizeof(text), "image %s", ID);
	put("lock", text);
	assert_ok(engine_read_lock(path, id, &e), &e);
	snprintf(text, sizeof(text), "image: %sff\n", ID);
	put("lock", text);
	assert_err(engine_read_lock(path, id, &e), &e, E_TEMP, "no line");
	put("lock", "image: busybox:latest\n");
	assert_err(engine_read_lock(path, id, &e), &e, E_TEMP, "no line");
	put("lock", "");
	assert_err(engine_read_lock(path, id, &e), &e, E_TEMP, "no line");
}

static int info(const char *text, struct warden_status *s, struct err *e)
{
	_cleanup_json_ cJSON *j = json_parse(text, strlen(text), 4096, e);

	assert_non_null(j);
	return engine_info(j, s, e);
}

static void engine_facts(void **state)
{
	struct warden_status s = {0};
	struct err e = ERR_INIT;
	static const char ok[] =
		"{\"ServerVersion\":\"20.10\",\"Runtimes\":{\"runc\":{},\"runsc\":{}},"
		"\"SecurityOptions\":[\"name=seccomp,profile=default\"]}";
	static const char maps[] =
		"{\"ServerVersion\":\"20.10\",\"SecurityOptions\":[\"name=userns\"]}";
	static const char rootless[] = "{\"SecurityOptions\":[\"name=rootless\"]}";

	(void)state;
	assert_ok(info(ok, &s, &e), &e);
	assert_string_equal(s.engine, "Docker 20.10");
	assert_string_equal(s.runtimes, "runc,runsc");
	assert_err(info(maps, &s, &e), &e, E_PERM, "userns-remap");
	assert_err(info(rootless, &s, &e), &e, E_PERM, "rootless");
	assert_int_equal(engine_info(NULL, &s, &e), -1);
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
		cmocka_unit_test(create_body_is_golden),
		cmocka_unit_test(resume_and_model_show),
		cmocka_unit_test(skills_and_tools_show),
		cmocka_unit_test(seccomp_profile_is_tight),
		cmocka_unit_test(gvisor_differs_where_it_must),
		cmocka_unit_test(asks_are_checked),
		cmocka_unit_test(numbers_and_ends_are_checked),
		cmocka_unit_test(skills_are_checked),
		cmocka_unit_test(limits_v1),
		cmocka_unit_test(limits_v2),
		cmocka_unit_test(lock_rows),
		cmocka_unit_test(engine_facts),
	};

	return cmocka_run_group_tests_name("warden_spec", tests, set_up, tear_down);
}
