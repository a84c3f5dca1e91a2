// SPDX-License-Identifier: Apache-2.0
/* Files are put on the disk off the loop, and whoever waits hears of it once, or not at all when it does not wait any more. */
#include "unit.h"
#include <fcntl.h>
#include "runtime/sync.h"

struct seen {
	struct loop *l;
	int n, failed;
};

static void on_sync(void *ctx, const struct err *why)
{
	struct seen *s = ctx;

	s->n++;
	s->failed += why != NULL;
	loop_stop(s->l);
}

static void a_file_and_its_folder(void **state maybe_unused)
{
	struct err e = ERR_INIT;
	struct seen s = {.l = loop_new(&e)};
	char name[] = "/tmp/sync-unit-XXXXXX";
	int fd = mkstemp(name), dir = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_non_null(s.l);
	assert_int_equal(write(fd, "x", 1), 1);
	assert_non_null(sync_start(s.l, fd, dir, on_sync, &s, &e));
	close(dir); /* only borrowed */
	close(fd);
	assert_int_equal(s.n, 0);
	loop_run(s.l);
	assert_int_equal(s.n, 1);
	assert_int_equal(s.failed, 0);
	unlink(name);
	loop_free(s.l);
}

static void what_cannot_be_synced_says_so(void **state maybe_unused)
{
	struct err e = ERR_INIT;
	struct seen s = {.l = loop_new(&e)};
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	assert_null(sync_start(s.l, -1, -1, on_sync, &s, &e));
	assert_int_equal(e.code, E_IO);
	assert_non_null(sync_start(s.l, fds[1], -1, on_sync, &s, &e)); /* a pipe has no disk */
	loop_run(s.l);
	assert_int_equal(s.failed, 1);
	close(fds[0]);
	close(fds[1]);
	loop_free(s.l);
}

static void nobody_waits_any_more(void **state maybe_unused)
{
	struct err e = ERR_INIT;
	struct seen s = {.l = loop_new(&e)};
	char name[] = "/tmp/sync-unit-XXXXXX";
	int fd = mkstemp(name);
	struct sync *y = sync_start(s.l, fd, -1, on_sync, &s, &e);

	assert_non_null(y);
	sync_cancel(y);
	sync_cancel(NULL);
	close(fd);
	unlink(name);
	loop_free(s.l); /* waits for the thread */
	assert_int_equal(s.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_and_its_folder),
		cmocka_unit_test(what_cannot_be_synced_says_so),
		cmocka_unit_test(nobody_waits_any_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
