// SPDX-License-Identifier: Apache-2.0
/* Archives: what was put in comes out, any tar reads it, and what is not right is refused. */
#include "unit.h"
#include <fcntl.h>
#include "base/mem.h"
#include "base/str.h"
#include "runtime/tar.h"

struct pair {
	char file[64];
	struct tar_writer w;
	struct tar_reader r;
	struct tar_entry t;
};

static int setup(void **state)
{
	struct pair *p = xcalloc(1, sizeof(*p));

	snprintf(p->file, sizeof(p->file), "/tmp/tar-unit-XXXXXX");
	p->w.fd = mkstemp(p->file);
	p->r.fd = open(p->file, O_RDONLY);
	assert_true(p->w.fd >= 0 && p->r.fd >= 0);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct pair *p = *state;

	close(p->w.fd);
	close(p->r.fd);
	unlink(p->file);
	free(p);
	return 0;
}

static void put(struct pair *p, const char *name, enum tar_type type, const char *bytes,
		int64_t size)
{
	struct err e = ERR_INIT;
	struct tar_entry *t = &p->t;

	*t = (struct tar_entry){
		.type = type, .mode = 0640, .uid = 10001, .gid = 12, .mtime_s = 1700000000};
	str_copy(t->name, sizeof(t->name), name);
	if (type == TAR_LINK)
		str_copy(t->target, sizeof(t->target), bytes);
	t->size = size;
	assert_ok(tar_begin(&p->w, t, &e), &e);
	if (type == TAR_FILE)
		assert_ok(tar_write(&p->w, bytes, strlen(bytes), &e), &e);
	assert_ok(tar_end(&p->w, &e), &e);
}

static void finish(struct pair *p)
{
	struct err e = ERR_INIT;

	assert_ok(tar_finish(&p->w, &e), &e);
}

static void what_goes_in_comes_out(void **state)
{
	struct pair *p = *state;
	struct err e = ERR_INIT;
	char longest[TAR_NAME_CAP], text[64];

	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	for (size_t i = 200; i + 1 < sizeof(longest); i += 200)
		longest[i] = '/';
	put(p, "a", TAR_FILE, "hello", 5);
	put(p, "folder", TAR_FOLDER, "", 0);
	put(p, longest, TAR_FILE, "deep", 4);
	put(p, "link", TAR_LINK, longest, 0);
	put(p, "shorter", TAR_FILE, "ab", 600); /* a file that has shrunk under our hands */
	put(p, "longer", TAR_FILE, "abcdef", 3);
	put(p, "empty", TAR_FILE, "", 0);
	finish(p);

	assert_int_equal(tar_next(&p->r, &p->t, &e), 1);
	assert_string_equal(p->t.name, "a");
	assert_int_equal(p->t.mode, 0640);
	assert_int_equal(p->t.uid, 10001);
	assert_int_equal(p->t.mtime_s, 1700000000);
	assert_int_equal(tar_read(&p->r, text, sizeof(text), &e), 5);
	assert_memory_equal(text, "hello", 5);
	assert_int_equal(tar_read(&p->r, text, sizeof(text), &e), 0);
	assert_int_equal(tar_next(&p->r, &p->t, &e), 1);
	assert_int_equal(p->t.type, TAR_FOLDER);
	assert_int_equal(tar_next(&p->r, &p->t, &e), 1);
	assert_string_equal(p->t.name, longest);
	assert_int_equal(p->t.size, 4);
	assert_int_equal(tar_next(&p->r, &p->t, &e), 1); /* what was not read is passed over */
	assert_int_equal(p->t.type, TAR_LINK);
	assert_string_equal(p->t.target, longest);
	assert_int_equal(tar_next(&p->r, &p->t, &e), 1);
	assert_int_equal(p->t.size, 600);
	assert_int_equal(tar_read(&p->r, text, 4, &e), 4);
	assert_memory_equal(text, "ab\0\0", 4);
	assert_int_equal(tar_next(&p->r, &p->t, &e), 1);
	assert_int_equal(tar_read(&p->r, text, sizeof(text), &e), 3);
	assert_int_equal(tar_next(&p->r, &p->t, &e), 1);
	assert_string_equal(p->t.name, "empty");
	assert_int_equal(tar_next(&p->r, &p->t, &e), 0);
}

static void any_tar_reads_it(void **state)
{
	struct pair *p = *state;
	char name[300] = "d/", command[300];

	memset(name + 2, 'y', 200);
	put(p, "d", TAR_FOLDER, "", 0);
	put(p, name, TAR_FILE, "words", 5);
	put(p, "d/l", TAR_LINK, "../elsewhere", 0);
	finish(p);
	snprintf(command, sizeof(command),
		 "tar -tf %s >%s.out 2>&1 && grep -c yyyy %s.out >/dev/null", p->file, p->file,
		 p->file);
	assert_int_equal(system(command), 0);
	snprintf(command, sizeof(command), "%s.out", p->file);
	unlink(command);
}

static void names(void **state maybe_unused)
{
	static const char *const good[] = {"a", "a/b", "..a", "a..", "...", "a b", "\xc3\xa4"};
	static const char *const bad[] = {"",	  "/",	    "/a",   "..",      "a/..",
					  "../a", "a/../b", ".",    "./a",     "a/.",
					  "a//b", "a/",	    "a\nb", "\x1b[2J", "a\x7f"};
	char longest[TAR_NAME_CAP + 10];

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(tar_name_ok(good[i]));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(tar_name_ok(bad[i]));
	memset(longest, 'x', sizeof(longest));
	longest[TAR_NAME_CAP] = '\0';
	assert_false(tar_name_ok(longest));
}

static void broken_ones(void **state)
{
	struct pair *p = *state;
	struct err e = ERR_INIT;
	char byte = 'z';

	assert_err(tar_next(&p->r, &p->t, &e), &e, E_INVAL, "ends in the middle");
	put(p, "../out", TAR_FILE, "x", 1);
	assert_err(tar_next(&p->r, &p->t, &e), &e, E_INVAL, "outside");
	put(p, "a", TAR_FILE, "hello", 5);
	assert_int_equal(lseek(p->r.fd, 1024, SEEK_SET), 1024);
	p->r.left = p->r.pad = 0;
	assert_int_equal(pwrite(p->w.fd, &byte, 1, 1024 + 3), 1);
	assert_err(tar_next(&p->r, &p->t, &e), &e, E_INVAL, "no archive of ours");
	assert_int_equal(ftruncate(p->w.fd, 1024), 0);
	assert_int_equal(lseek(p->w.fd, 1024, SEEK_SET), 1024);
	assert_int_equal(lseek(p->r.fd, 1024, SEEK_SET), 1024);
	put(p, "b", TAR_FILE, "hello", 5);
	assert_int_equal(ftruncate(p->w.fd, 1024 + 512 + 3), 0);
	assert_int_equal(tar_next(&p->r, &p->t, &e), 1);
	assert_int_equal(tar_read(&p->r, &byte, 1, &e), 1);
	assert_err((int)tar_next(&p->r, &p->t, &e), &e, E_INVAL, "ends in the middle");
}

static void a_disk_that_is_full(void **state)
{
	struct pair *p = *state;
	struct err e = ERR_INIT;
	struct tar_writer w = {.fd = open("/dev/full", O_WRONLY)};

	p->t = (struct tar_entry){.name = "a", .size = 1};
	assert_err(tar_begin(&w, &p->t, &e), &e, E_IO, "cannot write the archive");
	close(w.fd);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_goes_in_comes_out),
		TEST(any_tar_reads_it),
		TEST(names),
		TEST(broken_ones),
		TEST(a_disk_that_is_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
