// SPDX-License-Identifier: Apache-2.0
/* Unit tests of the removal of trees that an enemy has made. */
#include "unit.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include "base/str.h"
#include "base/tree.h"

struct place {
	char path[64];
	int fd;
};

static int set_up(void **state)
{
	struct place *p = xcalloc(1, sizeof(*p));

	/* in memory where that can be: 20,000 folders on a busy disk take a minute */
	str_copy(p->path, sizeof(p->path),
		 access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm/chela-tree-XXXXXX"
						      : "/tmp/chela-tree-XXXXXX");
	if (!mkdtemp(p->path))
		return -1;
	p->fd = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = p;
	return p->fd < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
	struct place *p = *state;
	char cmd[96];
	int r;

	close(p->fd);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", p->path);
	r = system(cmd);
	free(p);
	return r;
}

static void file_at(int dir, const char *name)
{
	_cleanup_close_ int fd = openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "x", 1), 1);
}

static int folder_at(int dir, const char *name)
{
	int fd;

	assert_int_equal(mkdirat(dir, name, 0700), 0);
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static bool there(int dir, const char *name)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void links_are_not_followed(void **state)
{
	struct place *p = *state;
	_cleanup_close_ int kept = folder_at(p->fd, "kept"), top = folder_at(p->fd, "top");
	_cleanup_close_ int sub = folder_at(top, "sub");
	struct err e = ERR_INIT;
	size_t budget = 1000;

	file_at(kept, "file");
	file_at(sub, "file");
	assert_int_equal(symlinkat("../kept", top, "link"), 0);
	assert_int_equal(symlinkat("../../kept", sub, "link"), 0);
	assert_int_equal(symlinkat("/etc/passwd", sub, "passwd"), 0);
	assert_int_equal(linkat(kept, "file", sub, "hard", 0), 0);
	assert_int_equal(mkfifoat(sub, "pipe", 0600), 0);
	assert_int_equal(symlinkat("kept", p->fd, "at-top"), 0);
	assert_int_equal(tree_remove(p->fd, "top", &budget, &e), 0);
	assert_int_equal(tree_remove(p->fd, "at-top", &budget, &e), 0);
	assert_false(there(p->fd, "top"));
	assert_false(there(p->fd, "at-top"));
	assert_true(there(kept, "file"));
	assert_int_equal(tree_remove(p->fd, "never-there", &budget, &e), 0);
}

/* Deeper than a path may be long, than descriptors there are, and than a stack would bear. */
static void depth_costs_nothing(void **state)
{
	struct place *p = *state;
	int at = folder_at(p->fd, "top");
	struct err e = ERR_INIT;
	size_t budget;
	int rc, rounds = 0;

	for (int i = 0; i < 20000; i++) {
		int next = folder_at(at, "d");

		close(at);
		at = next;
	}
	file_at(at, "file");
	close(at);
	do {
		budget = 1000;
		rc = tree_remove(p->fd, "top", &budget, &e);
		assert_true(rc >= 0);
		rounds++;
	} while (rc == 1);
	assert_in_range(
		rounds, 20,
		200); /* at most some touches an entry, and never more than allowed at a time */
	assert_false(there(p->fd, "top"));
}

static void breadth_in_steps(void **state)
{
	struct place *p = *state;
	_cleanup_close_ int top = folder_at(p->fd, "top");
	struct err e = ERR_INIT;
	size_t budget = 10;
	int rc, rounds = 0;
	char name[32];

	for (int i = 0; i < 100; i++) {
		_cleanup_close_ int sub = -1;

		snprintf(name, sizeof(name), "d%d", i);
		sub = folder_at(top, name);
		for (int k = 0; k < 10; k++) {
			snprintf(name, sizeof(name), "f%d", k);
			file_at(sub, name);
		}
	}
	assert_int_equal(tree_remove(p->fd, "top", &budget, &e), 1);
	assert_int_equal(budget, 0);
	do {
		budget = 100;
		rc = tree_remove(p->fd, "top", &budget, &e);
		rounds++;
	} while (rc == 1);
	assert_int_equal(rc, 0);
	assert_in_range(rounds, 11, 40);
	assert_false(there(p->fd, "top"));
}

/* What the owner has closed to himself: root passes, and so must a server that is not root. */
static void closed_folders(void **state)
{
	struct place *p = *state;
	_cleanup_close_ int top = folder_at(p->fd, "top");
	_cleanup_close_ int sub = folder_at(top, "sub"), deep = folder_at(sub, "deep");
	struct err e = ERR_INIT;
	size_t budget = 1000;

	file_at(deep, "file");
	assert_int_equal(fchmod(deep, 0), 0);
	assert_int_equal(fchmod(sub, 0), 0);
	assert_int_equal(fchmod(top, 0500), 0);
	if (geteuid() == 0) { /* as somebody else, for the time of the call */
		assert_int_equal(fchown(deep, 4242, 4242) | fchown(sub, 4242, 4242) |
					 fchown(top, 4242, 4242) | fchown(p->fd, 4242, 4242),
				 0);
		assert_int_equal(seteuid(4242), 0);
	}
	int rc = tree_remove(p->fd, "top", &budget, &e);

	if (getuid() == 0)
		assert_int_equal(seteuid(0), 0);
	assert_ok(rc, &e);
	assert_false(there(p->fd, "top"));
}

static void what_cannot_go_is_told(void **state)
{
	struct place *p = *state;
	_cleanup_close_ int top = folder_at(p->fd, "top");
	struct err e = ERR_INIT;
	size_t budget = 1000;

	file_at(top, "file");
	if (geteuid() != 0)
		return;
	assert_int_equal(seteuid(4242), 0);
	int rc = tree_remove(p->fd, "top", &budget, &e);

	assert_int_equal(seteuid(0), 0);
	assert_int_equal(rc, -1);
	assert_error_is(&e, E_IO, "cannot remove all of top");
	assert_true(there(top, "file"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(links_are_not_followed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(depth_costs_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(breadth_in_steps, set_up, tear_down),
		cmocka_unit_test_setup_teardown(closed_folders, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_cannot_go_is_told, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("base_tree", tests, NULL, NULL);
}
