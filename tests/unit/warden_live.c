// SPDX-License-Identifier: Apache-2.0
/*
 * The warden against the real engine with the real image. Each test has a home and an instance of
 * its own and looks only at its own containers. Where there is no engine or no image, the tests
 * that need them say so and are skipped; the others point the warden at a socket with nobody behind.
 */
#include "unit.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include "base/log.h"
#include "base/str.h"
#include "warden/attach.h"
#include "warden/sandbox.h"

#define LOCK	"build/image/image.lock"
#define GUARD_S 60

struct world {
	struct config cfg;
	struct loop *loop;
	struct warden *warden;
	pid_t pid;
	int fd;
	bool live; /* engine and image are there */
	int n_started, n_failed, n_ended, n_status, n_lost;
	uint64_t last_id;
	int door;
	struct err why;
	enum sandbox_end how;
	int code;
	char detail[256];
	struct warden_status status;
	char order[64]; /* S, F, E, in the order they came */
};

static char no_engine[256] = ""; /* why live tests are skipped */

static void note(struct world *w, char what, uint64_t id)
{
	size_t n = strlen(w->order);

	if (n + 2 < sizeof(w->order)) {
		w->order[n] = what;
		w->order[n + 1] = (char)('0' + id % 10);
	}
	w->last_id = id;
	loop_stop(w->loop);
}

static void on_started(void *ctx, uint64_t id, int fd)
{
	struct world *w = ctx;

	w->n_started++;
	if (w->door >= 0)
		close(w->door);
	w->door = fd;
	note(w, 'S', id);
}

static void on_failed(void *ctx, uint64_t id, const struct err *why)
{
	struct world *w = ctx;

	w->n_failed++;
	w->why = *why;
	note(w, 'F', id);
}

static void on_ended(void *ctx, uint64_t id, enum sandbox_end how, int code, const char *detail)
{
	struct world *w = ctx;

	w->n_ended++;
	w->how = how;
	w->code = code;
	str_copy(w->detail, sizeof(w->detail), detail);
	note(w, 'E', id);
}

static void on_status(void *ctx, const struct warden_status *s)
{
	struct world *w = ctx;

	w->n_status++;
	w->status = *s;
	loop_stop(w->loop);
}

static void on_lost(void *ctx, const struct err *why)
{
	struct world *w = ctx;

	w->n_lost++;
	w->why = *why;
	loop_stop(w->loop);
}

static const struct warden_events events = {on_started, on_failed, on_ended, on_status, on_lost};

/* Runs the loop until the counter has reached n; alarm(2) ends a test that waits for ever. */
static void await(struct world *w, const int *counter, int n)
{
	while (*counter < n)
		loop_run(w->loop);
}

static void put(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	fclose(f);
}

static void begin(struct world *w)
{
	struct err e = ERR_INIT;

	w->door = -1;
	w->order[0] = '\0';
	w->pid = warden_fork(&w->cfg, &w->fd, &e);
	assert_true(w->pid > 0);
	w->loop = loop_new(&e);
	assert_non_null(w->loop);
	w->warden = warden_new(w->loop, w->fd, &events, w);
}

/* Ends the pair; the warden must then clean up and end by itself, with code 0. */
static void end(struct world *w, int want)
{
	int status = -1;

	warden_free(w->warden);
	loop_free(w->loop);
	assert_int_equal(waitpid(w->pid, &status, 0), w->pid);
	assert_int_equal(status, want);
	if (w->door >= 0)
		close(w->door);
	w->warden = NULL;
}

static int set_up(void **state)
{
	static const char *const folders[] = {"", "/config", "/config/groups", NULL};
	struct world *w = xcalloc(1, sizeof(*w));
	char home[] = "/tmp/chela-live-XXXXXX", path[PATH_CAP], *lock;
	struct err e = ERR_INIT;

	if (!mkdtemp(home))
		return -1;
	for (size_t i = 0; folders[i]; i++) {
		snprintf(path, sizeof(path), "%s%s", home, folders[i]);
		mkdir(path, 0700);
	}
	if (config_load(&w->cfg, home, NULL, &e) < 0)
		return -1;
	lock = realpath(LOCK, NULL);
	str_copy(w->cfg.image_lock, PATH_CAP, lock ? lock : "/nonexistent/image.lock");
	free(lock);
	alarm(GUARD_S);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;
	char cmd[PATH_CAP + 16];
	int r;

	alarm(0);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", w->cfg.home);
	r = system(cmd);
	free(w);
	return r;
}

#define NEED_ENGINE()                                                                              \
	do {                                                                                       \
		if (no_engine[0]) {                                                                \
			print_message("skipped: %s\n", no_engine);                                 \
			skip();                                                                    \
		}                                                                                  \
	} while (0)

static uint64_t start(struct world *w, const char *group)
{
	struct sandbox_request r = {.kind = SANDBOX_GROUP};
	struct err e = ERR_INIT;
	uint64_t id;

	str_copy(r.group, sizeof(r.group), group);
	str_uuid4(r.session_id);
	id = warden_start(w->warden, &r, &e);
	if (!id)
		fail_msg("%s", e.msg);
	return id;
}

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

/* ---- without an engine ---- */

static void engine_away(void **state)
{
	struct world *w = *state;

	snprintf(w->cfg.engine_socket, sizeof(w->cfg.engine_socket), "%.64s/none.sock",
		 w->cfg.home);
	begin(w);
	start(w, "kin");
	await(w, &w->n_failed, 1);
	assert_error_is(&w->why, E_TEMP, "systemctl start docker");
	warden_ask_status(w->warden);
	await(w, &w->n_status, 1);
	assert_false(w->status.engine_up);
	assert_non_null(strstr(w->status.engine, "systemctl start docker"));
	/* Still there, still answering. */
	start(w, "kin");
	await(w, &w->n_failed, 2);
	assert_int_equal(w->n_lost, 0);
	end(w, 0);
}

static struct wire_tell raw_answer(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	struct wire_tell t;

	assert_int_equal(poll(&p, 1, 20000), 1);
	assert_int_equal(recv(fd, &t, sizeof(t), 0), (int)sizeof(t));
	return t;
}

/* What a server that was taken over might send. */
static void hostile_asks(void **state)
{
	struct world *w = *state;
	struct wire_ask bad = {.op = ASK_START, .id = 9}, stop = {.op = ASK_STOP, .id = 77};
	struct wire_ask odd = {.op = 4242, .id = 1}, ask = {.op = ASK_STATUS};
	struct err e = ERR_INIT;
	struct wire_tell t;
	char junk[4096];
	int status;

	snprintf(w->cfg.engine_socket, sizeof(w->cfg.engine_socket), "%.64s/none.sock",
		 w->cfg.home);
	w->pid = warden_fork(&w->cfg, &w->fd, &e);
	assert_true(w->pid > 0);
	memset(junk, 0xff, sizeof(junk));
	assert_int_equal(send(w->fd, junk, 1, 0), 1);
	assert_int_equal(send(w->fd, junk, sizeof(struct wire_ask) - 1, 0),
			 sizeof(struct wire_ask) - 1);
	assert_int_equal(send(w->fd, junk, sizeof(junk), 0), sizeof(junk));
	assert_int_equal(send(w->fd, &odd, sizeof(odd), 0), sizeof(odd));
	assert_int_equal(send(w->fd, &stop, sizeof(stop), 0), sizeof(stop));
	memset(bad.group, 'a', sizeof(bad.group));
	assert_int_equal(send(w->fd, &bad, sizeof(bad), 0), sizeof(bad));
	t = raw_answer(w->fd);
	assert_int_equal(t.op, TELL_FAILED);
	assert_int_equal(t.id, 9);
	assert_int_equal(t.how, E_INVAL);
	assert_int_equal(send(w->fd, &ask, sizeof(ask), 0), sizeof(ask));
	t = raw_answer(w->fd);
	assert_int_equal(t.op, TELL_STATUS);
	close(w->fd);
	assert_int_equal(waitpid(w->pid, &status, 0), w->pid);
	assert_int_equal(status, 0);
}

/* A server that asks and never reads is not buffered without end, and loses nothing when it reads. */
static void flood_is_bounded(void **state)
{
	struct world *w = *state;
	struct wire_ask bad = {.op = ASK_START}, ask = {.op = ASK_STATUS};
	struct err e = ERR_INIT;
	struct pollfd p;
	int status, sent = 0, got = 0;

	snprintf(w->cfg.engine_socket, sizeof(w->cfg.engine_socket), "%.64s/none.sock",
		 w->cfg.home);
	log_set_level(LOG_ERROR);
	w->pid = warden_fork(&w->cfg, &w->fd, &e);
	assert_true(w->pid > 0);
	p = (struct pollfd){.fd = w->fd, .events = POLLOUT};
	assert_int_equal(send(w->fd, &ask, sizeof(ask), 0), sizeof(ask));
	assert_int_equal(raw_answer(w->fd).op, TELL_STATUS); /* it is awake */
	/* Until the warden has stopped reading: its own queue and both socket buffers are full. */
	for (bad.id = 1; sent < 100000 && poll(&p, 1, 1000) == 1; bad.id++)
		sent += send(w->fd, &bad, sizeof(bad), MSG_DONTWAIT) > 0;
	assert_true(sent > 100 && sent < 100000);
	p.events = POLLIN;
	while (got < sent && poll(&p, 1, 10000) == 1) {
		assert_int_equal(raw_answer(w->fd).op, TELL_FAILED);
		got++;
	}
	log_set_level(LOG_WARN);
	assert_int_equal(got, sent);
	close(w->fd);
	assert_int_equal(waitpid(w->pid, &status, 0), w->pid);
	assert_int_equal(status, 0);
}

static void warden_killed_is_lost(void **state)
{
	struct world *w = *state;
	struct sandbox_request r = {.group = "kin"};
	struct err e = ERR_INIT;

	snprintf(w->cfg.engine_socket, sizeof(w->cfg.engine_socket), "%.64s/none.sock",
		 w->cfg.home);
	begin(w);
	kill(w->pid, SIGKILL);
	await(w, &w->n_lost, 1);
	assert_int_equal(w->why.code, E_GONE);
	str_uuid4(r.session_id);
	assert_int_equal(warden_start(w->warden, &r, &e), 0);
	assert_error_is(&e, E_GONE, "restart the server");
	end(w, SIGKILL);
}

/* ---- with the engine ---- */

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(engine_away, set_up, tear_down),
		cmocka_unit_test_setup_teardown(hostile_asks, set_up, tear_down),
		cmocka_unit_test_setup_teardown(flood_is_bounded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(warden_killed_is_lost, set_up, tear_down),
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
