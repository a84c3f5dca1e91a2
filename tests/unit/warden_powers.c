// SPDX-License-Identifier: Apache-2.0
/* What the front can still do once it has dropped its powers: each test is a child of its own. */
#include "unit.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include "base/log.h"
#include "base/str.h"
#include "warden/attach.h"
#include "warden/powers.h"

static struct config cfg;
static int listening = -1;

static int can_connect(const char *path)
{
	int errnum, fd = attach_connect(path, &errnum);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* Runs fn in a child after the drop; its result is the exit code: 0 = as it should be. */
static int in_front(int (*fn)(void))
{
	int status = -1;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		front_drop_powers(&cfg);
		_exit(fn());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int no_socket(void)
{
	char around[PATH_CAP];

	if (can_connect(cfg.engine_socket))
		return 1;
	/* Nor around the mount: by taking it off, by the folder's other name, by another process. */
	if (umount2(cfg.engine_socket, MNT_DETACH) == 0 || can_connect(cfg.engine_socket))
		return 2;
	snprintf(around, sizeof(around), "/proc/self/cwd/%s", strrchr(cfg.engine_socket, '/') + 1);
	if (chdir(cfg.home) < 0 || can_connect(around))
		return 3;
	snprintf(around, sizeof(around), "/proc/%d/root%.100s", (int)getppid(), cfg.engine_socket);
	if (can_connect(around))
		return 4;
	if (can_connect("/run/docker.sock") || can_connect("/var/run/docker.sock"))
		return 5;
	return 0;
}

static int no_powers(void)
{
	char path[PATH_CAP + 16];
	struct rlimit core;
	int fd;

	if (mount("none", cfg.home, "tmpfs", 0, NULL) == 0)
		return 1;
	if (ptrace(PTRACE_ATTACH, getppid(), NULL, NULL) == 0)
		return 2;
	if (getrlimit(RLIMIT_CORE, &core) < 0 || core.rlim_max)
		return 3;
	if (mknod("/tmp/chela-no-such-device", S_IFCHR | 0600, 0x103) == 0)
		return 4;
	/* What it needs stays: its home. */
	snprintf(path, sizeof(path), "%s/file", cfg.home);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || write(fd, "x", 1) != 1 || fchown(fd, 10001, 10001) < 0)
		return 5;
	return unlink(path) == 0 ? 0 : 6;
}

#define NEED_ROOT()                                                                                \
	do {                                                                                       \
		if (geteuid() != 0 || listening < 0) {                                             \
			print_message("skipped: not root, so there is nothing to drop\n");         \
			skip();                                                                    \
		}                                                                                  \
	} while (0)

static void engine_socket_is_out_of_reach(void **state)
{
	(void)state;
	NEED_ROOT();
	assert_true(can_connect(cfg.engine_socket)); /* or the test would prove nothing */
	assert_int_equal(in_front(no_socket), 0);
	assert_true(can_connect(cfg.engine_socket)); /* others still can */
}

static void powers_are_gone(void **state)
{
	(void)state;
	NEED_ROOT();
	assert_int_equal(in_front(no_powers), 0);
}

/* Must not fail when there is nothing to give up, as for an ordinary user. */
static void works_without_powers(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0) {
		if (geteuid() == 0 && setuid(65534) < 0)
			_exit(1);
		front_drop_powers(&cfg);
		warden_drop_powers();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static int set_up(void **state)
{
	static char home[] = "/tmp/chela-powers-XXXXXX";
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	(void)state;
	log_init(&(struct log_opts){.fd = 2, .level = LOG_ERROR});
	if (!mkdtemp(home))
		return -1;
	str_copy(cfg.home, sizeof(cfg.home), home);
	snprintf(cfg.engine_socket, sizeof(cfg.engine_socket), "%s/engine.sock", home);
	str_copy(a.sun_path, sizeof(a.sun_path), cfg.engine_socket);
	listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return bind(listening, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(listening, 8) < 0
		       ? -1
		       : 0;
}

static int tear_down(void **state)
{
	(void)state;
	close(listening);
	unlink(cfg.engine_socket);
	return rmdir(cfg.home);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(engine_socket_is_out_of_reach),
		cmocka_unit_test(powers_are_gone),
		cmocka_unit_test(works_without_powers),
	};

	return cmocka_run_group_tests_name("warden_powers", tests, set_up, tear_down);
}
