// SPDX-License-Identifier: Apache-2.0
/* The log as files of bounded size: several writers, nothing lost, nothing mixed, and a file that somebody moved away. */
#include "unit.h"
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "base/log.h"
#include "base/log_file.h"

#define WRITERS 4
#define LINES	2000

struct folder {
	char dir[40], file[64];
	int old_stderr;
};

static int setup(void **state)
{
	struct folder *f = calloc(1, sizeof(*f));

	snprintf(f->dir, sizeof(f->dir), "/tmp/log-unit-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->file, sizeof(f->file), "%s/chela.log", f->dir);
	f->old_stderr = dup(2);
	log_init(&(struct log_opts){.fd = 2, .level = LOG_INFO});
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct folder *f = *state;
	DIR *d = opendir(f->dir);
	struct dirent *de;

	dup2(f->old_stderr, 2);
	close(f->old_stderr);
	while ((de = readdir(d)))
		unlinkat(dirfd(d), de->d_name, 0);
	closedir(d);
	rmdir(f->dir);
	free(f);
	return 0;
}

/* All whole lines of all files; the greatest file. */
static int count_lines(const struct folder *f, off_t *greatest)
{
	DIR *d = opendir(f->dir);
	struct dirent *de;
	int n = 0;

	*greatest = 0;
	while ((de = readdir(d))) {
		char line[600], path[400];
		struct stat st;
		FILE *in;

		snprintf(path, sizeof(path), "%s/%s", f->dir, de->d_name);
		if (de->d_name[0] == '.' || stat(path, &st) < 0)
			continue;
		assert_int_equal(st.st_mode & 0777, 0600);
		*greatest = st.st_size > *greatest ? st.st_size : *greatest;
		in = fopen(path, "r");
		while (fgets(line, sizeof(line), in)) {
			assert_int_equal(strncmp(line, "ts=", 3), 0);
			assert_int_equal(line[strlen(line) - 1], '\n');
			n++;
		}
		fclose(in);
	}
	closedir(d);
	return n;
}

static void several_writers_lose_nothing(void **state)
{
	struct folder *f = *state;
	struct err e = ERR_INIT;
	off_t greatest;
	char oldest[80];

	assert_ok(log_file_open(f->file, 65536, 100, &e), &e);
	for (int i = 0; i < WRITERS; i++) {
		if (fork() == 0) {
			for (int k = 0; k < LINES; k++)
				log_info("unit", "a line of some length to fill the file",
					 "writer=%d n=%d", i, k);
			_exit(0);
		}
	}
	for (int i = 0; i < WRITERS; i++)
		wait(NULL);
	assert_int_equal(count_lines(f, &greatest), WRITERS * LINES);
	/* The others go on while one puts it aside, up to twice the size and the line that each is at. */
	assert_true(greatest <= 2 * 65536 + WRITERS * 200);
	snprintf(oldest, sizeof(oldest), "%s.5", f->file);
	assert_int_equal(access(oldest, F_OK), 0);
}

static void so_many_are_kept(void **state)
{
	struct folder *f = *state;
	struct err e = ERR_INIT;
	char name[80];

	assert_ok(log_file_open(f->file, 2000, 2, &e), &e);
	for (int k = 0; k < 500; k++)
		log_info("unit", "a line of some length to fill the file", "n=%d", k);
	snprintf(name, sizeof(name), "%s.2", f->file);
	assert_int_equal(access(name, F_OK), 0);
	snprintf(name, sizeof(name), "%s.3", f->file);
	assert_int_equal(access(name, F_OK), -1);
}

static void one_that_was_moved_away(void **state)
{
	struct folder *f = *state;
	struct err e = ERR_INIT;
	char away[80];
	struct stat st;

	assert_ok(log_file_open(f->file, 1 << 20, 2, &e), &e);
	log_info("unit", "one", "n=%d", 1);
	snprintf(away, sizeof(away), "%s.away", f->file);
	assert_int_equal(rename(f->file, away), 0);
	log_info("unit", "two", "n=%d", 2);
	assert_int_equal(stat(f->file, &st), 0);
	assert_true(st.st_size > 0);
	unlink(f->file);
	log_info("unit", "three", "n=%d", 3);
	assert_int_equal(stat(f->file, &st), 0);
	assert_true(st.st_size > 0);
}

static void a_place_where_none_can_be(void **state)
{
	struct folder *f = *state;
	struct err e = ERR_INIT;
	char bad[100];

	snprintf(bad, sizeof(bad), "%s/none/chela.log", f->dir);
	assert_err(log_file_open(bad, 1 << 20, 2, &e), &e, E_GONE, "cannot write the log file");
	assert_int_equal(symlink("/tmp/elsewhere", f->file), 0);
	assert_err(log_file_open(f->file, 1 << 20, 2, &e), &e, E_IO, "cannot write the log file");
	log_info("unit", "goes to standard error as before", "n=%d", 1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(several_writers_lose_nothing),
		TEST(so_many_are_kept),
		TEST(one_that_was_moved_away),
		TEST(a_place_where_none_can_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
