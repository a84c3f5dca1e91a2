// SPDX-License-Identifier: Apache-2.0
/*
 * Listeners: who may take a socket's name, what the file looks like, long paths, and a process
 * that is out of descriptors.
 */
#include "runtime_end.h"
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>

static void unix_listener(void **state)
{
	struct fix *f = *state;
	_cleanup_free_ char *path = xasprintf("%s/s.sock", f->dir);
	struct accepted x = {.f = f, .stop = true};
	struct err e = ERR_INIT;
	struct listener *s = listener_unix(f->l, "unix", path, on_accept, &x, &e);
	struct stat st;
	struct end a = {.f = f};

	assert_non_null(s);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	a.d = conn_unix(f->l, "client", path, &e);
	assert_non_null(a.d);
	a.d->ev = &end_events;
	a.d->ctx = &a;
	loop_run(f->l);
	assert_int_equal(x.count, 1);
	assert_int_equal(x.uid, getuid());
	x.end.stop_at = 5;
	end_write(&a, "hello", 5);
	loop_run(f->l);
	assert_int_equal(x.end.sum, sum_add(0, (const uint8_t *)"hello", 5));
	end_reset(&a);
	end_reset(&x.end);
	listener_free(s);
	assert_int_equal(stat(path, &st), -1);
	assert_null(conn_unix(f->l, "client", path, &e));
	assert_error_is(&e, E_GONE, path);
}

static void living_refused_stale_replaced(void **state)
{
	struct fix *f = *state;
	_cleanup_free_ char *path = xasprintf("%s/s.sock", f->dir);
	_cleanup_free_ char *plain = xasprintf("%s/file", f->dir);
	_cleanup_free_ char *deep = xasprintf("%s/none/s.sock", f->dir);
	struct accepted x = {.f = f, .stop = true};
	struct err e = ERR_INIT;
	struct listener *s = listener_unix(f->l, "one", path, on_accept, &x, &e), *t;
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	struct stat st;
	int fd;

	assert_non_null(s);
	assert_null(listener_unix(f->l, "two", path, on_accept, &x, &e));
	assert_error_is(&e, E_LIMIT, "another server answers on");
	listener_free(s);

	fd = socket(AF_UNIX, SOCK_STREAM, 0); /* bound and gone: what a kill -9 leaves */
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	close(fd);
	s = listener_unix(f->l, "three", path, on_accept, &x, &e);
	assert_non_null(s);

	/* A file that is no longer ours stays when we go. */
	assert_int_equal(unlink(path), 0);
	t = listener_unix(f->l, "four", path, on_accept, &x, &e);
	assert_non_null(t);
	listener_free(s);
	assert_int_equal(stat(path, &st), 0);
	listener_free(t);
	assert_int_equal(stat(path, &st), -1);

	fd = open(plain, O_CREAT | O_WRONLY, 0600);
	close(fd);
	assert_null(listener_unix(f->l, "five", plain, on_accept, &x, &e));
	assert_error_is(&e, E_INVAL, "is not a socket");
	assert_null(listener_unix(f->l, "six", deep, on_accept, &x, &e));
	assert_error_is(&e, E_GONE, "cannot open the folder");
}

static void long_socket_path(void **state)
{
	struct fix *f = *state;
	_cleanup_free_ char *dir = xasprintf("%s/%0120d", f->dir, 7);
	_cleanup_free_ char *path = xasprintf("%s/s.sock", dir);
	struct accepted x = {.f = f, .stop = true};
	struct err e = ERR_INIT;
	struct listener *s;
	struct end a = {.f = f};

	assert_int_equal(mkdir(dir, 0700), 0);
	s = listener_unix(f->l, "long", path, on_accept, &x, &e);
	assert_non_null(s);
	a.d = conn_unix(f->l, "client", path, &e);
	assert_non_null(a.d);
	a.d->ev = &end_events;
	a.d->ctx = &a;
	loop_run(f->l);
	assert_int_equal(x.count, 1);
	assert_null(listener_unix(f->l, "again", path, on_accept, &x, &e));
	assert_error_is(&e, E_LIMIT, "another server answers on");
	end_reset(&a);
	end_reset(&x.end);
	listener_free(s);
}

static void out_of_descriptors(void **state)
{
	struct fix *f = *state;
	struct accepted x = {.f = f, .stop = true};
	struct err e = ERR_INIT;
	struct rlimit old, low;
	int port = 0, fd;
	struct timer *t;
	struct listener *s;

	if (under_valgrind())
		skip(); /* it plays the limit itself: accepts, closes, and then says EMFILE */
	s = listener_tcp(f->l, "tcp", &port, on_accept, &x, &e);
	assert_non_null(s);
	fd = tcp_connect(port);
	getrlimit(RLIMIT_NOFILE, &old);
	low = old;
	low.rlim_cur = (rlim_t)fd + 1; /* all lower numbers are taken: see the assert below */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	t = timer_new(f->l, "stop", (void (*)(void *))loop_stop, f->l);
	timer_start(t, 50, 0);
	loop_run(f->l);
	setrlimit(RLIMIT_NOFILE, &old);
	assert_int_equal(x.count, 0);
	loop_run(f->l); /* the caller waited in the queue, and is let in */
	assert_int_equal(x.count, 1);
	timer_free(t);
	end_reset(&x.end);
	listener_free(s);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIX_TEST(unix_listener),
		FIX_TEST(living_refused_stale_replaced),
		FIX_TEST(long_socket_path),
		FIX_TEST(out_of_descriptors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
