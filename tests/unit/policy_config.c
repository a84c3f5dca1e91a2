// SPDX-License-Identifier: Apache-2.0
/* Unit tests of the configuration and of the sandbox policy: defaults, errors, narrowing. */
#include "unit.h"
#include <sys/stat.h>
#include "base/str.h"
#include "policy/policy_impl.h"

static char home[] = "/tmp/chela-config-XXXXXX";

static void put(const char *name, const char *text)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", home, name);
	for (char *p = path + strlen(home) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		mkdir(path, 0700);
		*p = '/';
	}
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	fclose(f);
}

static void drop(const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", home, name);
	unlink(path);
}

static void defaults_need_no_file(void **state)
{
	struct config c, again;
	struct err e = ERR_INIT;
	struct stat st;
	char path[512];

	(void)state;
	assert_ok(config_load(&c, home, NULL, &e), &e);
	assert_string_equal(c.home, home);
	assert_string_equal(c.file, "");
	assert_true(str_is_uuid(c.instance));
	assert_string_equal(c.assistant, "Chela");
	assert_int_equal(c.log_level, LOG_INFO);
	assert_string_equal(c.model_base_url, "https://api.anthropic.com");
	assert_string_equal(c.model_key_file, "");
	assert_string_equal(c.engine_socket, "/var/run/docker.sock");
	snprintf(path, sizeof(path), "%s/build/image/image.lock", home);
	assert_string_equal(c.image_lock, path);
	assert_int_equal(c.idle_stop_ms, 900000);
	assert_int_equal(c.max_live, 8);
	assert_int_equal(c.turn_ms, 1800000);
	assert_int_equal(c.start_ms, 60000);
	assert_int_equal(c.tries, 3);
	assert_int_equal(c.delayed_notice_ms, 20000);
	assert_string_equal(c.sandbox.runtime, "runc");
	assert_int_equal(c.sandbox.memory_bytes, 1 << 30);
	assert_int_equal(c.sandbox.pids, 256);
	assert_int_equal(c.sandbox.tmp_bytes, 256 << 20);
	assert_true(c.sandbox.cpus == 1.0);
	snprintf(path, sizeof(path), "%s/secrets", home);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	/* The instance stays. */
	assert_ok(config_load(&again, home, NULL, &e), &e);
	assert_string_equal(again.instance, c.instance);
}

/* The shipped samples say what the defaults are: then they must be them. */
static void samples_are_the_defaults(void **state)
{
	struct config c, plain;
	struct sandbox_policy p;
	struct err e = ERR_INIT;
	_cleanup_yaml_ struct yaml *y = NULL;

	(void)state;
	assert_ok(config_load(&plain, home, NULL, &e), &e);
	assert_ok(config_load(&c, home, "config/chela.yaml", &e), &e);
	memset(c.file, 0, sizeof(c.file));
	memset(plain.file, 0, sizeof(plain.file));
	assert_memory_equal(&c, &plain, sizeof(c));
	y = yaml_load("config/policy.default.yaml", &e);
	assert_non_null(y);
	memset(&p, 0, sizeof(p));
	assert_ok(policy_read(y, &policy_builtin, false, &p, &e), &e);
	assert_memory_equal(&p, &policy_builtin, sizeof(p));
}

static void values_are_taken(void **state)
{
	struct config c;
	struct err e = ERR_INIT;
	char path[512];

	(void)state;
	put("config/chela.yaml",
	    "assistant: Bo\n"
	    "log: {level: warn}\n"
	    "model:\n"
	    "  base_url: http://127.0.0.1:8080/p\n"
	    "  key_file: secrets/key\n"
	    "  name: claude-x[1m]\n"
	    "sandbox: {engine: unix:///tmp/d.sock, idle_stop: 2m, max_live: 2}\n"
	    "router: {tries: 5, delayed_notice: 3s}\n");
	assert_ok(config_load(&c, home, NULL, &e), &e);
	snprintf(path, sizeof(path), "%s/config/chela.yaml", home);
	assert_string_equal(c.file, path);
	assert_string_equal(c.assistant, "Bo");
	assert_int_equal(c.log_level, LOG_WARN);
	assert_string_equal(c.model_base_url, "http://127.0.0.1:8080/p");
	snprintf(path, sizeof(path), "%s/secrets/key", home);
	assert_string_equal(c.model_key_file, path);
	assert_string_equal(c.model_name, "claude-x[1m]");
	assert_string_equal(c.engine_socket, "/tmp/d.sock");
	assert_int_equal(c.idle_stop_ms, 120000);
	assert_int_equal(c.max_live, 2);
	assert_int_equal(c.tries, 5);
	assert_int_equal(c.delayed_notice_ms, 3000);
	drop("config/chela.yaml");
}

static void mistakes_are_named(void **state)
{
	static const struct {
		const char *text, *where, *says;
	} rows[] = {
		{"asistant: x\n", "chela.yaml:1: ", "assistant"},
		{"model:\n  nmae: x\n", "chela.yaml:2: ", "name"},
		{"log:\n  level: loud\n", "chela.yaml:2: ", "debug"},
		{"assistant: \"\"\n", "chela.yaml:1: ", "needs a name"},
		{"model:\n  base_url: ftp://x\n", "chela.yaml:2: ", "https://"},
		{"model:\n  base_url: http://example.org\n", "chela.yaml:2: ", "unencrypted"},
		{"model:\n  base_url: http://127.0.0.1.example.org/\n",
		 "chela.yaml:2: ", "unencrypted"},
		{"model:\n  base_url: http://localhost@example.org/\n",
		 "chela.yaml:2: ", "plain URL"},
		{"model:\n  base_url: https://\n", "chela.yaml:2: ", "no host"},
		{"model:\n  base_url: https:///x\n", "chela.yaml:2: ", "no host"},
		{"model:\n  base_url: \"https://a b\"\n", "chela.yaml:2: ", "no spaces"},
		{"model:\n  base_url: https://a/?x=1\n", "chela.yaml:2: ", "plain URL"},
		{"model: {key_file: a, oauth_token_file: b}\n",
		 "chela.yaml:1: ", "no effect beside"},
		{"model: {ca_file: a, base_url: \"http://[::1]:1\"}\n",
		 "chela.yaml:1: ", "no effect"},
		{"model: {name: \"a b\"}\n", "chela.yaml:1: ", "letters"},
		{"model: {name: \"--resume\"}\n", "chela.yaml:1: ", "letters"},
		{"sandbox: {engine: docker.sock}\n", "chela.yaml:1: ", "absolute path"},
		{"sandbox: {engine: \"tcp://1.2.3.4:2375\"}\n", "chela.yaml:1: ", "absolute path"},
		{"sandbox: {image_lock: \"\"}\n", "chela.yaml:1: ", "make image"},
		{"sandbox: {max_live: 0}\n", "chela.yaml:1: ", "max_live"},
		{"sandbox: {max_live: lots}\n", "chela.yaml:1: ", "max_live"},
		{"sandbox: {idle_stop: 5 minutes}\n", "chela.yaml:1: ", "idle_stop"},
		{"sandbox: {turn_timeout: 1ms}\n", "chela.yaml:1: ", "turn_timeout"},
		{"sandbox: {memory: 1G}\n", "chela.yaml:1: ", "memory"},
		{"router: {tries: -1}\n", "chela.yaml:1: ", "tries"},
		{"router: [1]\n", "chela.yaml:1: ", "router"},
		{"- a\n", "chela.yaml:1: ", ""},
		{"a: [\n", "chela.yaml:", ""},
	};
	struct config c;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err e = ERR_INIT;

		put("config/chela.yaml", rows[i].text);
		if (config_load(&c, home, NULL, &e) == 0)
			fail_msg("accepted: %s", rows[i].text);
		if (e.code != E_INVAL || !strstr(e.msg, rows[i].where) ||
		    !strstr(e.msg, rows[i].says))
			fail_msg("%s gives %s \"%s\", wanted \"%s ... %s\"", rows[i].text,
				 err_word(e.code), e.msg, rows[i].where, rows[i].says);
	}
	drop("config/chela.yaml");
}

static void a_named_file_must_exist(void **state)
{
	struct config c;
	struct err e = ERR_INIT;

	(void)state;
	assert_err(config_load(&c, home, "/tmp/chela-no-such-file.yaml", &e), &e, E_GONE,
		   "chela-no-such-file");
}

static void a_bad_instance_is_refused(void **state)
{
	struct config c;
	struct err e = ERR_INIT;

	(void)state;
	put("instance", "not a uuid\n");
	assert_err(config_load(&c, home, NULL, &e), &e, E_INVAL, "remove it");
	drop("instance");
	assert_ok(config_load(&c, home, NULL, &e), &e);
}

static void a_file_in_the_way_is_named(void **state)
{
	struct config c;
	struct err e = ERR_INIT;
	char path[512];

	(void)state;
	snprintf(path, sizeof(path), "%s/audit", home);
	assert_int_equal(rmdir(path), 0);
	put("audit", "x");
	assert_err(config_load(&c, home, NULL, &e), &e, E_INVAL, "in the way");
	drop("audit");
}

static void groups_only_narrow(void **state)
{
	static const struct {
		const char *base, *group, *says; /* says "" = fine */
	} rows[] = {
		{"sandbox: {}\n", "sandbox: {memory: 512M, cpus: 0.5, pids: 64, tmp: 16M}\n", ""},
		{"sandbox: {}\n", "sandbox: {memory: 1G}\n", ""},
		{"sandbox: {}\n", "sandbox: {memory: 2G}\n", "memory"},
		{"sandbox: {}\n", "sandbox: {cpus: 1.5}\n", "cpus"},
		{"sandbox: {}\n", "sandbox: {pids: 257}\n", "pids"},
		{"sandbox: {}\n", "sandbox: {tmp: 257M}\n", "tmp"},
		{"sandbox: {memory: 4G}\n", "sandbox: {memory: 2G}\n", ""},
		{"sandbox: {}\n", "sandbox: {runtime: runsc}\n", ""},
		{"sandbox: {runtime: runsc}\n", "sandbox: {runtime: runc}\n", "runtime"},
		{"sandbox: {runtime: runsc}\n", "sandbox: {runtime: kata}\n", "runtime"},
		{"sandbox: {}\n", "sandbox: {runtime: crun}\n", "runtime"},
		{"sandbox: {}\n", "sandbox: {runtime: \"../x\"}\n", "runtime"},
		{"sandbox: {}\n", "sandbox: {memory: 1M}\n", "memory"},
		{"sandbox: {}\n", "sandbox: {privileged: true}\n", "privileged"},
		{"sandbox: {}\n", "mounts: [/]\n", "mounts"},
	};
	struct sandbox_policy p;
	struct config c;
	struct err e = ERR_INIT;

	(void)state;
	assert_ok(config_load(&c, home, NULL, &e), &e);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		bool fine = !rows[i].says[0];

		e = (struct err)ERR_INIT;
		put("config/policy.default.yaml", rows[i].base);
		put("config/groups/kin.yaml", rows[i].group);
		if ((policy_load(&c, "kin", &p, &e) == 0) != fine)
			fail_msg("%s over %s: %s", rows[i].group, rows[i].base,
				 fine ? e.msg : "taken");
		if (!fine && (e.code != E_INVAL || !strstr(e.msg, "kin.yaml:1: ") ||
			      !strstr(e.msg, rows[i].says)))
			fail_msg("%s: %s", rows[i].group, e.msg);
		/* Other groups do not care. */
		assert_ok(policy_load(&c, "others", &p, &e), &e);
	}
	drop("config/groups/kin.yaml");
	drop("config/policy.default.yaml");
	assert_err(policy_load(&c, "../kin", &p, &e), &e, E_INVAL, "group name");
}

/* Less memory and nothing said about /tmp: /tmp shrinks along instead of a refusal. */
static void tmp_follows_memory(void **state)
{
	struct sandbox_policy p;
	struct config c;
	struct err e = ERR_INIT;

	(void)state;
	put("config/groups/kin.yaml", "sandbox: {memory: 128M}\n");
	assert_ok(config_load(&c, home, NULL, &e), &e);
	assert_ok(policy_load(&c, "kin", &p, &e), &e);
	assert_int_equal(p.memory_bytes, 128 << 20);
	assert_int_equal(p.tmp_bytes, 128 << 20);
	drop("config/groups/kin.yaml");
	put("config/policy.default.yaml", "sandbox: {memory: 128M, tmp: 256M}\n");
	assert_err(config_load(&c, home, NULL, &e), &e, E_INVAL, "sandbox.tmp");
	drop("config/policy.default.yaml");
}

static int set_up(void **state)
{
	(void)state;
	return mkdtemp(home) ? 0 : -1;
}

static int tear_down(void **state)
{
	char cmd[128];

	(void)state;
	snprintf(cmd, sizeof(cmd), "rm -rf %s", home);
	return system(cmd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_need_no_file),
		cmocka_unit_test(samples_are_the_defaults),
		cmocka_unit_test(values_are_taken),
		cmocka_unit_test(mistakes_are_named),
		cmocka_unit_test(a_named_file_must_exist),
		cmocka_unit_test(a_bad_instance_is_refused),
		cmocka_unit_test(a_file_in_the_way_is_named),
		cmocka_unit_test(groups_only_narrow),
		cmocka_unit_test(tmp_follows_memory),
	};

	return cmocka_run_group_tests_name("policy_config", tests, set_up, tear_down);
}
