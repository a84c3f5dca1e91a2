// SPDX-License-Identifier: Apache-2.0
/* The service manager's socket: whom we reach, what we say, and for whom its watchdog is. */
#include "unit.h"
#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "base/str.h"
#include "runtime/notify.h"

static int listen_at(const char *name)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name) +
				    (name[0] == '/'));
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	str_copy(a.sun_path, sizeof(a.sun_path), name);
	if (name[0] == '@')
		a.sun_path[0] = '\0';
	assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
	return fd;
}

static const char *heard(int fd)
{
	static char text[8192];
	ssize_t n = recv(fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static int forget(void **state maybe_unused)
{
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	return 0;
}

static void nobody_listens(void **state maybe_unused)
{
	struct notify n;
	struct err e = ERR_INIT;

	setenv("WATCHDOG_USEC", "1000000", 1);
	assert_ok(notify_open(&n, getpid(), &e), &e);
	assert_int_equal(n.fd, -1);
	assert_int_equal(n.watchdog_ms, 0);
	notify_send(&n, "READY=1");
	notify_reloading(&n);
	notify_close(&n);
}

static void both_kinds_of_names(void **state maybe_unused)
{
	char dir[] = "/tmp/notify-unit-XXXXXX", path[64], abstract[64];
	const char *names[] = {path, abstract};

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/sock", dir);
	snprintf(abstract, sizeof(abstract), "@chela-unit-%d", (int)getpid());
	for (int i = 0; i < 2; i++) {
		int fd = listen_at(names[i]);
		struct notify n;
		struct err e = ERR_INIT;
		char pid[16];
		const char *text;

		snprintf(pid, sizeof(pid), "%d", (int)getpid());
		setenv("NOTIFY_SOCKET", names[i], 1);
		setenv("WATCHDOG_USEC", "3000000", 1);
		setenv("WATCHDOG_PID", pid, 1);
		assert_ok(notify_open(&n, getpid(), &e), &e);
		assert_int_equal(n.watchdog_ms, 1500);
		notify_send(&n, "READY=1\nSTATUS=%s", "all is well");
		assert_string_equal(heard(fd), "READY=1\nSTATUS=all is well");
		notify_reloading(&n);
		text = heard(fd);
		assert_true(str_starts(text, "RELOADING=1\nMONOTONIC_USEC="));
		/* A manager that does not read stops nobody. */
		for (int k = 0; k < 5000; k++)
			notify_send(&n, "WATCHDOG=1");
		close(fd);
		notify_send(&n, "WATCHDOG=1");
		notify_close(&n);
	}
	unlink(path);
	rmdir(dir);
}

static void long_words_are_cut_between_characters(void **state maybe_unused)
{
	int fd;
	char name[64], words[6000];
	struct notify n;
	struct err e = ERR_INIT;
	const char *text;

	snprintf(name, sizeof(name), "@chela-unit-long-%d", (int)getpid());
	fd = listen_at(name);
	for (size_t i = 0; i + 2 < sizeof(words); i += 2)
		memcpy(words + i, "\xc3\xa4", 3);
	setenv("NOTIFY_SOCKET", name, 1);
	assert_ok(notify_open(&n, getpid(), &e), &e);
	notify_send(&n, "STATUS=%s", words);
	text = heard(fd);
	assert_in_range(strlen(text), 2000, 2047);
	assert_true(str_is_utf8(text, strlen(text)));
	notify_close(&n);
	close(fd);
}

static void a_watchdog_for_somebody_else(void **state maybe_unused)
{
	char name[64];
	struct notify n;
	struct err e = ERR_INIT;
	int fd;

	snprintf(name, sizeof(name), "@chela-unit-other-%d", (int)getpid());
	fd = listen_at(name);
	setenv("NOTIFY_SOCKET", name, 1);
	setenv("WATCHDOG_USEC", "3000000", 1);
	setenv("WATCHDOG_PID", "1", 1);
	assert_ok(notify_open(&n, getpid(), &e), &e);
	assert_int_equal(n.watchdog_ms, 0);
	notify_close(&n);
	setenv("WATCHDOG_PID", "me", 1);
	assert_err(notify_open(&n, getpid(), &e), &e, E_INVAL, "WATCHDOG_PID");
	unsetenv("WATCHDOG_PID");
	setenv("WATCHDOG_USEC", "-4", 1);
	assert_err(notify_open(&n, getpid(), &e), &e, E_INVAL, "WATCHDOG_USEC");
	close(fd);
}

static void names_that_are_none(void **state maybe_unused)
{
	char longest[200] = "/tmp/";
	struct notify n;
	struct err e = ERR_INIT;

	memset(longest + 5, 'x', 150);
	for (int i = 0; i < 4; i++) {
		setenv("NOTIFY_SOCKET", ((const char *[]){"relative", "/", "@", longest})[i], 1);
		assert_err(notify_open(&n, 1, &e), &e, E_INVAL, "NOTIFY_SOCKET");
	}
	setenv("NOTIFY_SOCKET", "/tmp/nobody-is-here", 1);
	assert_err(notify_open(&n, 1, &e), &e, E_GONE, "cannot reach the service manager");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, forget, forget)
	const struct CMUnitTest tests[] = {
		TEST(nobody_listens),
		TEST(both_kinds_of_names),
		TEST(long_words_are_cut_between_characters),
		TEST(a_watchdog_for_somebody_else),
		TEST(names_that_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
