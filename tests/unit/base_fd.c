// SPDX-License-Identifier: Apache-2.0
/* Opening below a folder that somebody hostile fills: nothing outside of it, by no path. */
#include "unit.h"
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/mem.h"

struct tree {
	char dir[40];
	int fd;
};

static int rm(const char *path, const struct stat *st maybe_unused, int kind maybe_unused,
	      struct FTW *ftw maybe_unused)
{
	return remove(path);
}

static int setup(void **state)
{
	struct tree *t = xcalloc(1, sizeof(*t));

	*state = t;
	snprintf(t->dir, sizeof(t->dir), "/tmp/fd-unit-XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	t->fd = open(t->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(t->fd >= 0);
	assert_int_equal(mkdirat(t->fd, "top", 0755), 0);
	assert_int_equal(mkdirat(t->fd, "top/a", 0755), 0);
	assert_int_equal(mkdirat(t->fd, "top/a/b", 0755), 0);
	close(openat(t->fd, "secret", O_WRONLY | O_CREAT, 0644));
	close(openat(t->fd, "top/a/b/file", O_WRONLY | O_CREAT, 0644));
	assert_int_equal(symlinkat("../../secret", t->fd, "top/a/out"), 0);
	assert_int_equal(symlinkat("b", t->fd, "top/a/in"), 0);
	assert_int_equal(symlinkat("/", t->fd, "top/root"), 0);
	close(t->fd);
	char top[60];
	snprintf(top, sizeof(top), "%s/top", t->dir);
	t->fd = open(top, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return t->fd >= 0 ? 0 : -1;
}

static int teardown(void **state)
{
	struct tree *t = *state;

	close(t->fd);
	nftw(t->dir, rm, 8, FTW_DEPTH | FTW_PHYS);
	free(t);
	return 0;
}

static void paths_stay_beneath(void **state)
{
	static const struct {
		const char *path;
		int error; /* 0 = opens */
	} paths[] = {
		{"a/b/file", 0},
		{"./a//b/./file", 0},
		{"a/b", 0},
		{"a/b/", 0},
		{"", ENOENT},
		{"/", EXDEV},
		{"/etc/passwd", EXDEV},
		{"..", EXDEV},
		{"a/../a/b/file", EXDEV},
		{"../secret", EXDEV},
		{"a/out", ELOOP},
		{"a/in", ELOOP},
		{"a/in/file", ELOOP},
		{"root/etc/passwd", ELOOP},
		{"a/b/file/x", ENOTDIR},
		{"a/none", ENOENT},
		{"none/x", ENOENT},
	};
	const struct tree *t = *state;
	char longer[300];

	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		int fd = fd_open_beneath(t->fd, paths[i].path, O_RDONLY, 0);
		int error = fd < 0 ? errno : 0;

		if (error != paths[i].error)
			fail_msg("%s: %s", paths[i].path, strerror(error));
		if (fd >= 0)
			close(fd);
	}
	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(fd_open_beneath(t->fd, longer, O_RDONLY, 0), -1);
	assert_int_equal(errno, ENAMETOOLONG);
}

static void files_are_made_only_where_asked(void **state)
{
	const struct tree *t = *state;
	int fd = fd_open_beneath(t->fd, "a/new", O_WRONLY | O_CREAT | O_EXCL, 0640);
	struct stat st;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 0777 & ~0640u, 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
	assert_int_equal(fd_open_beneath(t->fd, "a/new", O_WRONLY | O_CREAT | O_EXCL, 0640), -1);
	assert_int_equal(errno, EEXIST);
	assert_int_equal(fd_open_beneath(t->fd, "a/out", O_WRONLY | O_CREAT, 0640), -1);
	assert_int_equal(errno, ELOOP);
}

static void no_descriptor_is_left(void **state)
{
	const struct tree *t = *state;
	int before = dup(t->fd), after;

	close(before);
	for (int i = 0; i < 50; i++) {
		fd_open_beneath(t->fd, "a/b/none", O_RDONLY, 0);
		fd_open_beneath(t->fd, "a/in/file", O_RDONLY, 0);
	}
	after = dup(t->fd);
	close(after);
	assert_int_equal(after, before);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(paths_stay_beneath),
		TEST(files_are_made_only_where_asked),
		TEST(no_descriptor_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
