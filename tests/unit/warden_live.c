// SPDX-License-Identifier: Apache-2.0
/*
 * The warden against the real engine with the real image. Each test looks only at its own
 * containers. Where there is no engine or no image, the tests say so and are skipped.
 */
#include "warden_world.h"

static char no_engine[256] = ""; /* why they are skipped */

#define NEED_ENGINE()                                                                              \
	do {                                                                                       \
		if (no_engine[0]) {                                                                \
			print_message("skipped: %s\n", no_engine);                                 \
			skip();                                                                    \
		}                                                                                  \
	} while (0)

/* Runs a docker command with %s = the instance id; returns its exit status. */
static int docker(struct world *w, const char *fmt)
{
	char cmd[PATH_CAP + 512];

	snprintf(cmd, sizeof(cmd), "ID=%s; %s", w->cfg.instance, fmt);
	return system(cmd);
}

#define MINE "docker ps -aq --filter label=chela.instance=$ID"

static void assert_none_left(struct world *w)
{
	assert_int_equal(docker(w, "test -z \"$(" MINE ")\""), 0);
}

static void read_frame(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	unsigned char head[8];

	assert_int_equal(poll(&p, 1, 20000), 1);
	assert_int_equal(recv(fd, head, sizeof(head), MSG_WAITALL), 8);
	assert_true((head[0] == 1 || head[0] == 2) && !head[1] && !head[2] && !head[3]);
}

static void starts_and_exits(void **state)
{
	struct world *w = *state;

	NEED_ENGINE();
	begin(w);
	start(w, "kin");
	await(w, &w->n_started, 1);
	read_frame(w->door);
	warden_ask_status(w->warden);
	await(w, &w->n_status, 1);
	assert_true(w->status.engine_up && w->status.image_ok);
	assert_int_equal(w->status.running, 1);
	assert_int_equal(docker(w, "test \"$(" MINE " | wc -l)\" = 1"), 0);
	/* The end of the attach is the end of the sandbox. */
	close(w->door);
	w->door = -1;
	await(w, &w->n_ended, 1);
	assert_int_equal(w->how, SANDBOX_EXITED);
	assert_int_equal(w->code, 0);
	assert_none_left(w);
	end(w, 0);
}

static void stop_and_start_again(void **state)
{
	struct world *w = *state;
	uint64_t id;

	NEED_ENGINE();
	begin(w);
	id = start(w, "kin");
	await(w, &w->n_started, 1);
	warden_stop(w->warden, id);
	start(w, "kin"); /* at once: must wait for the end of the first */
	await(w, &w->n_started, 2);
	assert_string_equal(w->order, "S1E1S2");
	assert_int_equal(w->how, SANDBOX_STOPPED);
	/* A third, beside the second: refused. */
	start(w, "kin");
	await(w, &w->n_failed, 1);
	assert_error_is(&w->why, E_LIMIT, "has a sandbox already");
	/* Stopped before it ran: no start is told. */
	id = start(w, "other");
	warden_stop(w->warden, id);
	await(w, &w->n_ended, 2);
	assert_int_equal(w->last_id, id);
	assert_int_equal(w->how, SANDBOX_STOPPED);
	assert_int_equal(w->n_started, 2);
	/* The server goes while the second runs: all are removed. */
	end(w, 0);
	assert_none_left(w);
}

static void max_live_holds(void **state)
{
	struct world *w = *state;

	NEED_ENGINE();
	w->cfg.max_live = 1;
	begin(w);
	start(w, "one");
	start(w, "two");
	await(w, &w->n_failed, 1);
	assert_error_is(&w->why, E_LIMIT, "sandbox.max_live");
	end(w, 0); /* while one is still on its way up */
	assert_none_left(w);
}

static void killed_from_outside(void **state)
{
	struct world *w = *state;

	NEED_ENGINE();
	begin(w);
	start(w, "kin");
	await(w, &w->n_started, 1);
	assert_int_equal(docker(w, "docker kill $(" MINE ") >/dev/null"), 0);
	await(w, &w->n_ended, 1);
	assert_int_equal(w->how, SANDBOX_KILLED);
	assert_int_equal(w->code, 137);
	assert_non_null(strstr(w->detail, "signal 9"));
	assert_none_left(w);
	end(w, 0);
}

static void memory_runs_out(struct world *w, const char *runtime)
{
	char path[PATH_CAP + 32], text[128];

	snprintf(path, sizeof(path), "%s/config/groups/kin.yaml", w->cfg.home);
	snprintf(text, sizeof(text), "sandbox: {memory: 512M, runtime: %s}\n", runtime);
	put(path, text);
	begin(w);
	start(w, "kin");
	await(w, &w->n_started, 1);
	/* Its exit code is of no interest: under gVisor the whole sandbox goes, and the call with it. */
	docker(w, "timeout -k 1 20 docker exec -u 10001 $(" MINE
		  ") python3 -c 'bytearray(2<<30)' >/dev/null 2>&1");
	docker(w,
	       "for i in $(seq 100); do test \"$(docker inspect -f '{{.State.OOMKilled}}' $(" MINE
	       ") 2>/dev/null)\" = false || break; done");
	close(w->door);
	w->door = -1;
	await(w, &w->n_ended, 1);
	if (w->how != SANDBOX_OOM)
		fail_msg("how %d, code %d, %s", w->how, w->code, w->detail);
	assert_non_null(strstr(w->detail, "512 MiB"));
	end(w, 0);
	assert_none_left(w);
}

static void oom_is_told(void **state)
{
	NEED_ENGINE();
	memory_runs_out(*state, "runc");
}

/* What the agent's user meets inside: prints a line for each thing that works and should not. */
static const char probe_script[] =
	"import ctypes, errno, os, socket\n"
	"libc = ctypes.CDLL(None, use_errno=True)\n"
	"def call(name, want, nr, *args):\n"
	"    ctypes.set_errno(0)\n"
	"    if libc.syscall(nr, *args) != -1 or ctypes.get_errno() != want:\n"
	"        print(name, os.strerror(ctypes.get_errno()))\n"
	"call('mount', errno.EPERM, 165, b'none', b'/tmp', b'tmpfs', 0, 0)\n"
	"call('unshare', errno.EPERM, 272, 0x10000000)\n"
	"call('setns', errno.EPERM, 308, 0, 0)\n"
	"call('clone newuser', errno.EPERM, 56, 0x10000000 | 17, 0, 0, 0, 0)\n"
	"call('clone3', errno.ENOSYS, 435, 0, 0)\n"
	"call('io_uring', errno.ENOSYS, 425, 1, 0)\n"
	"call('ptrace', errno.EPERM, 101, 0, 0, 0, 0)\n"
	"call('bpf', errno.EPERM, 321, 0, 0, 0)\n"
	"call('keyctl', errno.EPERM, 250, 0, 0, 0)\n"
	"call('userfaultfd', errno.EPERM, 323, 0)\n"
	"call('perf', errno.EPERM, 298, 0, 0, 0, 0, 0)\n"
	"call('personality', errno.EPERM, 135, 0x40000)\n"
	"for f, t, p in ((17, 3, 0), (16, 3, 15), (40, 1, 0), (38, 5, 0)):\n"
	"    try:\n"
	"        socket.socket(f, t, p)\n"
	"        print('socket', f, t, p)\n"
	"    except OSError as why:\n"
	"        if why.errno != errno.EPERM: print('socket', f, why)\n"
	"for d in ('/', '/dev', '/dev/shm', '/dev/mqueue', '/global', '/etc', '/run', '/var/tmp', '/home'):\n"
	"    try:\n"
	"        open(d + '/x', 'w')\n"
	"        print('wrote in', d)\n"
	"    except OSError: pass\n"
	"for d in ('/workspace', '/session', '/tmp'): open(d + '/x', 'w').write('x')\n"
	"if os.listdir('/sys/class/net') != ['lo']: print('interfaces', os.listdir('/sys/class/net'))\n"
	"s = open('/proc/self/status').read()\n"
	"for want in ('CapEff:\\t0000000000000000', 'CapPrm:\\t0000000000000000', 'NoNewPrivs:\\t1',"
	" 'Seccomp:\\t2'):\n"
	"    if want not in s: print('no', want)\n"
	"if '127.0.0.1' not in open('/etc/resolv.conf').read(): print('resolver of the host')\n"
	"socket.socket(socket.AF_UNIX); socket.socket(socket.AF_INET); socket.if_nameindex()\n";

static void sandbox_is_shut(void **state)
{
	struct world *w = *state;
	char path[PATH_CAP + 32], cmd[PATH_CAP + 256];

	NEED_ENGINE();
#ifndef __x86_64__
	print_message("skipped: the script knows the numbers of x86-64's system calls only\n");
	skip();
#endif
	snprintf(path, sizeof(path), "%s/probe.py", w->cfg.home);
	put(path, probe_script);
	begin(w);
	start(w, "kin");
	await(w, &w->n_started, 1);
	snprintf(cmd, sizeof(cmd),
		 "out=$(timeout -k 1 30 docker exec -i -u 10001 $(" MINE
		 ") python3 - < %s 2>&1) || "
		 "out=\"$out (failed)\"; test -z \"$out\" || { echo \"$out\" >&2; false; }",
		 path);
	assert_int_equal(docker(w, cmd), 0);
	end(w, 0);
	assert_none_left(w);
}

/* The same life under gVisor: the warden refuses it unless memory and pids limits hold there. */
static void gvisor_too(void **state)
{
	NEED_ENGINE();
	if (system("docker info -f '{{json .Runtimes}}' | grep -q '\"runsc\"'") != 0) {
		print_message("skipped: the engine has no runtime runsc\n");
		skip();
	}
	memory_runs_out(*state, "runsc");
}

static void orphans_go_strangers_stay(void **state)
{
	struct world *w = *state;

	NEED_ENGINE();
	assert_int_equal(
		docker(w,
		       "docker create --network none --label chela.instance=$ID "
		       "--label chela.run=old $(sed -n 's/^image: //p' " LOCK ") >/dev/null && "
		       "docker create --network none --label chela.instance=not-$ID --name not-$ID "
		       "$(sed -n 's/^image: //p' " LOCK ") >/dev/null"),
		0);
	begin(w);
	start(w, "kin");
	await(w, &w->n_started, 1);
	assert_int_equal(docker(w, "test \"$(" MINE " | wc -l)\" = 1"), 0);
	assert_int_equal(docker(w, "docker rm not-$ID >/dev/null"), 0);
	/* The warden dies without a word; the sandbox is left over; the next one removes it. */
	kill(w->pid, SIGKILL);
	await(w, &w->n_lost, 1);
	int keep = w->door; /* holds the attach open, so that the sandbox does not end by itself */
	w->door = -1;
	end(w, SIGKILL);
	assert_int_equal(docker(w, "test \"$(" MINE " | wc -l)\" = 1"), 0);
	w->n_started = 0;
	begin(w);
	start(w, "kin");
	await(w, &w->n_started, 1);
	assert_int_equal(docker(w, "test \"$(" MINE " | wc -l)\" = 1"), 0);
	close(keep);
	end(w, 0);
	assert_none_left(w);
}

static void image_missing(void **state)
{
	struct world *w = *state;

	NEED_ENGINE();
	snprintf(w->cfg.image_lock, PATH_CAP, "%.200s/lock", w->cfg.home);
	begin(w);
	start(w, "kin");
	await(w, &w->n_failed, 1);
	assert_error_is(&w->why, E_TEMP, "make image");
	/* A lock that names an image which the engine does not have. */
	put(w->cfg.image_lock,
	    "image: sha256:00000000000000000000000000000000000000000000000000000000000000ab\n");
	start(w, "kin");
	await(w, &w->n_failed, 2);
	assert_error_is(&w->why, E_TEMP, "make image");
	warden_ask_status(w->warden);
	await(w, &w->n_status, 1);
	assert_true(w->status.engine_up);
	assert_false(w->status.image_ok);
	assert_non_null(strstr(w->status.image_why, "make image"));
	end(w, 0);
	assert_none_left(w);
}

static void bad_policy_is_told(void **state)
{
	struct world *w = *state;
	char path[PATH_CAP + 32];

	NEED_ENGINE();
	snprintf(path, sizeof(path), "%s/config/groups/kin.yaml", w->cfg.home);
	put(path, "sandbox: {memory: 64G}\n");
	begin(w);
	start(w, "kin");
	await(w, &w->n_failed, 1);
	assert_error_is(&w->why, E_INVAL, "kin.yaml:1: ");
	put(path, "sandbox: {runtime: runsc-nonexistent}\n");
	start(w, "kin");
	await(w, &w->n_failed, 2);
	assert_non_null(strstr(w->why.msg, "runsc-nonexistent"));
	end(w, 0);
	assert_none_left(w);
}

/* Tasks of one group live side by side with its own sandbox, each with a folder that goes with it; what a crash has
 * left goes at the next start. */
static void tasks_are_disposable(void **state)
{
	struct world *w = *state;
	struct sandbox_request r = {.kind = SANDBOX_TASK, .group = "kin"};
	struct err e = ERR_INIT;
	char task[PATH_CAP + 64], path[PATH_CAP + 128], old[PATH_CAP + 64];
	struct stat st;
	uint64_t id;

	NEED_ENGINE();
	snprintf(old, sizeof(old), "%s/tasks/11111111-2222-4333-8444-555555555555", w->cfg.home);
	assert_int_equal(mkdir(old, 0700), 0);
	snprintf(path, sizeof(path), "%s/workspace", old);
	assert_int_equal(mkdir(path, 0700), 0);
	begin(w);
	start(w, "kin");
	await(w, &w->n_started, 1);
	_cleanup_close_ int own = steal_fd(&w->door);

	assert_int_equal(stat(old, &st), -1);
	for (int i = 0; i < 2; i++) {
		r.kind = i ? SANDBOX_TOOL : SANDBOX_TASK;
		str_uuid4(r.session_id);
		id = warden_start(w->warden, &r, &e);
		assert_true(id > 0);
		await(w, &w->n_started, 2 + i);
		snprintf(task, sizeof(task), "%s/tasks/%s", w->cfg.home, r.session_id);
		snprintf(path, sizeof(path), "%s/workspace/passwd", task);
		assert_int_equal(symlink("/etc/passwd", path), 0);
		snprintf(path, sizeof(path), "%s/session/groups", task);
		assert_int_equal(symlink("../../../groups", path), 0);
		warden_stop(w->warden, id);
		await(w, &w->n_ended, 1 + i);
		warden_ask_status(w->warden);
		await(w, &w->n_status, 1 + i);
		assert_int_equal(w->status.running, 1);
		assert_int_equal(lstat(task, &st), -1);
	}
	snprintf(path, sizeof(path), "%s/groups/kin", w->cfg.home);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(stat("/etc/passwd", &st), 0);
	end(w, 0);
	assert_none_left(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(starts_and_exits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(stop_and_start_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(max_live_holds, set_up, tear_down),
		cmocka_unit_test_setup_teardown(killed_from_outside, set_up, tear_down),
		cmocka_unit_test_setup_teardown(sandbox_is_shut, set_up, tear_down),
		cmocka_unit_test_setup_teardown(oom_is_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(gvisor_too, set_up, tear_down),
		cmocka_unit_test_setup_teardown(orphans_go_strangers_stay, set_up, tear_down),
		cmocka_unit_test_setup_teardown(image_missing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(bad_policy_is_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(tasks_are_disposable, set_up, tear_down),
	};
	int errnum, fd = attach_connect("/var/run/docker.sock", &errnum);

	log_init(&(struct log_opts){.fd = 2, .level = LOG_WARN});
	if (fd < 0)
		snprintf(no_engine, sizeof(no_engine), "no Docker engine answers (%s)",
			 strerror(errnum));
	else if (geteuid() != 0)
		snprintf(no_engine, sizeof(no_engine),
			 "not root, so the agent's folders cannot be made");
	else if (access(LOCK, R_OK) != 0 ||
		 system("docker image inspect $(sed -n 's/^image: //p' " LOCK ") >/dev/null 2>&1"))
		snprintf(no_engine, sizeof(no_engine), "there is no image (make image)");
	if (fd >= 0)
		close(fd);
	return cmocka_run_group_tests_name("warden_live", tests, NULL, NULL);
}
