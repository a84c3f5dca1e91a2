// SPDX-License-Identifier: Apache-2.0
/* Upgrades: a database of version 2 becomes one of today with all that it had; one that cannot be upgraded is left as it was. */
#include "store_rig.h"
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include "runtime/own_mounts.h"
#include "store/copy.h"
#include "store_schema2.h"
#include "store_schema3.h"

static const char people_of_2[] =
	"PRAGMA journal_mode = WAL; BEGIN;"
	"INSERT INTO groups(id, name, is_main, created_ms, settings)"
	" VALUES (1, 'main', 1, 5, '{}'), (2, 'family', 0, 6, '{\"trigger\":\"always\"}');"
	"INSERT INTO chats(id, channel, platform_id, title, created_ms, direct)"
	" VALUES (1, 'telegram', '-100', 'Fam', 7, 0), (2, 'console', 'main', 'main', 8, 1);"
	"INSERT INTO group_chats VALUES (1, 2), (2, 1);"
	"INSERT INTO senders(id, channel, platform_id, name, alt) VALUES (1, 'telegram', '7', 'Ann', '');"
	"INSERT INTO turns(id, group_id, started_ms, ended_ms) VALUES (1, 2, 10, 20), (2, 2, 30, NULL);"
	"INSERT INTO messages(id, chat_id, group_id, dir, state, platform_id, sender_id, text, sent_ms,"
	" stored_ms, turn_id) VALUES"
	" (1, 1, 2, 0, 3, 'a', 1, 'where is the marmalade', 11, 11, 1),"
	" (2, 1, 2, 1, 0, NULL, NULL, 'in the cupboard', 12, 12, 1),"
	" (3, 1, 2, 0, 2, 'b', 1, 'which one', 31, 31, 2);"
	"INSERT INTO messages_fts(rowid, text) SELECT id, text FROM messages WHERE id < 3;"
	"INSERT INTO outbox(id, chat_id, message_id, kind, state, key) VALUES (1, 1, 2, 0, 0, 'k');"
	"INSERT INTO files(message_id, name, mime, size, ref) VALUES (1, 'x.txt', 'text/plain', 1, 'r');"
	"INSERT INTO usage(at_ms, turn_id, group_id, model, input, output, cache_read, cache_write, status)"
	" VALUES (13, 1, 2, 'm', 1, 2, 3, 4, 200);"
	"INSERT INTO sessions VALUES (2, '', '00000000-0000-4000-8000-000000000000', 9);"
	"PRAGMA user_version = 2; COMMIT;";

static void run(const char *file, const char *sql)
{
	sqlite3 *db;
	char *why = NULL;

	assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s", why);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* Direct chats of version 3. In the group club: 10 of somebody without a row among people, known by two ids; 11 of one who has a role elsewhere; 12 of one
 * whose role was taken away; 13 of one who is blocked; 14 in which nobody wrote; 15 whose messages are gone, of one whose role was taken away. 16 is a group. */
static const char people_of_3[] =
	"BEGIN; INSERT INTO groups(id, name, is_main, created_ms) VALUES (3, 'club', 0, 1);"
	"INSERT INTO chats(id, channel, platform_id, created_ms, direct) VALUES"
	" (10, 'whatsapp', 'lid1', 1, 1), (11, 'slack', 'D11', 1, 1), (12, 'slack', 'D12', 1, 1),"
	" (13, 'slack', 'D13', 1, 1), (14, 'slack', 'D14', 1, 0), (15, 'telegram', '15', 1, 1),"
	" (16, 'telegram', '-16', 1, 0);"
	"INSERT INTO group_chats SELECT id, 3 FROM chats WHERE id >= 10;"
	"INSERT INTO people(id, name, created_ms) VALUES (1, 'Role', 1), (2, 'Taken', 1), (3, 'Bad', 1),"
	" (4, 'Silent', 1);"
	"INSERT INTO senders(id, channel, platform_id, name, alt, person_id) VALUES"
	" (9, 'whatsapp', 'phone1', 'Two', '', NULL), (10, 'whatsapp', 'lid1', 'Two', 'phone1', NULL),"
	" (11, 'slack', 'U11', 'Role', '', 1), (12, 'slack', 'U12', 'Taken', '', 2),"
	" (13, 'slack', 'U13', 'Bad', '', 3), (15, 'telegram', '15', 'Silent', '', 4),"
	" (16, 'telegram', '16', 'Room', '', NULL);"
	"INSERT INTO roles VALUES (1, 2, 1, 'ann', 1), (3, 3, -1, 'ann', 1);"
	"INSERT INTO messages(chat_id, group_id, dir, state, platform_id, sender_id, text, sent_ms,"
	" stored_ms) SELECT c.id, 3, 0, 3, 'm', c.id, 'hello', 1, 1 FROM chats c"
	" WHERE c.id >= 10 AND c.id NOT IN (14, 15);"
	"PRAGMA user_version = 3; COMMIT;";

/* In place of the rig's database: one of version 2. */
static void make_old(struct rig *r)
{
	char name[64];

	store_close(r->st);
	r->st = NULL;
	for (size_t i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "%s%s", r->file,
			 ((const char *[]){"", "-wal", "-shm"})[i]);
		unlink(name);
	}
	run(r->file, schema2);
	run(r->file, people_of_2);
}

static void note_found(void *ctx, const struct msg_row *m)
{
	buf_putf(ctx, "%lld ", (long long)m->id);
}

static void all_of_it_is_there(void **state)
{
	struct rig *r = *state;
	struct buf found = {0};
	struct err e = ERR_INIT;
	struct stat st;
	char bak[64];
	int schema;

	make_old(r);
	r->st = store_open(r->file, &r->clk, &e);
	if (!r->st)
		fail_msg("%s", e.msg);
	snprintf(bak, sizeof(bak), "%s.v2.bak", r->file);
	assert_int_equal(stat(bak, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_ok(store_check(bak, &schema, &e), &e);
	assert_int_equal(schema, 2);
	assert_int_equal(peek(r, "PRAGMA user_version"), store_schema());
	assert_int_equal(peek(r, "SELECT count(*) FROM messages"), 3);
	assert_int_equal(peek(r, "SELECT count(*) FROM messages WHERE task_run_id IS NULL"), 3);
	assert_int_equal(
		peek(r, "SELECT removed_ms + archived_id + paused FROM groups WHERE id = 2"), 0);
	assert_int_equal(peek(r, "SELECT count(*) FROM outbox WHERE state = 0 AND key = 'k'"), 1);
	assert_int_equal(peek(r, "SELECT count(*) FROM files"), 1);
	assert_int_equal(peek(r, "SELECT input + output FROM usage"), 3);
	assert_int_equal(peek(r, "SELECT message_id FROM said WHERE chat_id = 1"), 1);
	assert_int_equal(peek(r, "SELECT heard FROM senders WHERE id = 1"), 1);
	assert_int_equal(peek(r, "SELECT turns * 1000 + calls * 100 + output * 10 + cache_write"
				 " FROM usage_days WHERE day = 0 AND group_id = 2"),
			 1124);
	assert_int_equal(peek(r, "SELECT count(*) FROM senders WHERE person_id IS NULL"), 1);
	/* The search has the old words, and takes new ones and lets go of old ones. */
	assert_ok(store_search(r->st, 2, "marmalade", 10, note_found, &found, &e), &e);
	assert_string_equal(found.p, "1 ");
	buf_reset(&found);
	assert_ok(store_search(r->st, 2, "which", 10, note_found, &found, &e), &e);
	assert_string_equal(found.p, "3 ");
	assert_ok(store_message_set_text(r->st, 2, "on the shelf", &e), &e);
	buf_reset(&found);
	assert_ok(store_search(r->st, 2, "shelf", 10, note_found, &found, &e), &e);
	assert_string_equal(found.p, "2 ");
	/* What the old server had in hand goes on. */
	assert_ok(store_recover(r->st, 3, NULL, NULL, &e), &e);
	commit(r);
	assert_int_equal(peek(r, "SELECT state FROM messages WHERE id = 3"), MSG_PENDING);
	rig_reopen(r);
	assert_ok(store_check(r->file, &schema, &e), &e);
	buf_free(&found);
}

/* Who counted as a member in a linked direct chat is one from now on, in the open; nobody gets back what was taken away. */
static void who_was_linked_keeps_the_place(void **state)
{
#define ROLE_OF(sender)                                                                            \
	"SELECT coalesce((SELECT role FROM roles WHERE group_id = 3 AND person_id ="               \
	" (SELECT person_id FROM senders WHERE id = " #sender ")), 0)"
	struct rig *r = *state;
	struct err e = ERR_INIT;

	make_old(r);
	run(r->file, schema3);
	run(r->file, people_of_3);
	r->st = store_open(r->file, &r->clk, &e);
	if (!r->st)
		fail_msg("%s", e.msg);
	assert_int_equal(peek(r, ROLE_OF(10)), 2);
	assert_int_equal(peek(r, ROLE_OF(9)), 2); /* by the other id as well */
	assert_int_equal(peek(r, "SELECT count(DISTINCT person_id) FROM senders WHERE id < 11"), 1);
	assert_int_equal(peek(r, ROLE_OF(11)), 2);
	assert_int_equal(peek(r, ROLE_OF(12)), 0);
	assert_int_equal(peek(r, ROLE_OF(13)), -1);
	assert_int_equal(peek(r, ROLE_OF(15)), 0);
	assert_int_equal(peek(r, "SELECT count(*) FROM senders WHERE id IN (1, 16)"
				 " AND person_id IS NOT NULL"),
			 0);
	/* Only where nobody has written yet does the first one become a member. */
	assert_int_equal(peek(r, "SELECT sum(chat_id) FROM group_chats WHERE invited <> ''"), 14);
	assert_int_equal(peek(r, "SELECT count(*) FROM roles WHERE given_by = 'the upgrade'"), 2);
	assert_int_equal(peek(r, "SELECT count(*) FROM people"), 5);
	assert_int_equal(peek(r, "SELECT count(*) FROM sqlite_master WHERE name LIKE 'step%'"), 0);
	rig_reopen(r);
}

static void a_newer_one_is_refused_in_one_line(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	char bak[64];

	store_close(r->st);
	r->st = NULL;
	run(r->file, "PRAGMA user_version = 4000");
	assert_null(store_open(r->file, &r->clk, &e));
	assert_error_is(&e, E_INVAL, "has schema 4000, this program knows up to");
	assert_error_is(&e, E_INVAL, "install the newer version");
	assert_null(strchr(e.msg, '\n'));
	snprintf(bak, sizeof(bak), "%s.v4000.bak", r->file);
	assert_int_equal(access(bak, F_OK), -1);
	assert_err(store_check(r->file, NULL, &e), &e, E_INVAL, "install the newer version");
}

/* Everything of version 2 is as it was. */
static void untouched(struct rig *r)
{
	assert_int_equal(peek(r, "PRAGMA user_version"), 2);
	assert_int_equal(peek(r, "SELECT count(*) FROM messages"), 3);
	assert_int_equal(peek(r, "SELECT count(*) FROM sqlite_master WHERE name = 'tasks'"), 0);
	assert_int_equal(peek(r, "SELECT count(*) FROM pragma_table_info('messages')"
				 " WHERE name = 'task_run_id'"),
			 0);
}

static void a_step_that_fails_leaves_it_as_it_was(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;

	make_old(r);
	run(r->file, "CREATE TABLE acts (x)"); /* in the way of the last table */
	assert_null(store_open(r->file, &r->clk, &e));
	assert_error_is(&e, E_IO, "migrating");
	untouched(r);
	run(r->file, "DROP TABLE acts");
	r->st = store_open(r->file, &r->clk, &e);
	assert_non_null(r->st);
	assert_int_equal(peek(r, "PRAGMA user_version"), store_schema());
}

/* Leaves this much of the file system free. */
static void fill_up(const char *dir, int64_t left)
{
	char name[64];
	struct statvfs v;
	int fd;

	snprintf(name, sizeof(name), "%s/filler", dir);
	unlink(name);
	assert_int_equal(statvfs(dir, &v), 0);
	fd = open(name, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_int_equal(posix_fallocate(fd, 0, (int64_t)v.f_bavail * (int64_t)v.f_frsize - left),
			 0);
	close(fd);
}

/* With ever more room, until it works. At first not even the copy fits; then that does, and what the step writes does not. */
static void upgrade_with_little_room(struct rig *r)
{
	int in_copy = 0, in_step = 0;
	struct err e = ERR_INIT;
	char bak[64];

	make_old(r);
	snprintf(bak, sizeof(bak), "%s.v2.bak", r->file);
	for (int64_t left = 65536;; left += 16384) {
		fill_up(r->dir, left);
		e = (struct err)ERR_INIT;
		r->st = store_open(r->file, &r->clk, &e);
		if (r->st)
			break;
		assert_true(strstr(e.msg, "database"));
		in_copy += strstr(e.msg, "backing up") != NULL;
		in_step += strstr(e.msg, "migrating") != NULL;
		untouched(r);
		unlink(bak);
	}
	assert_true(in_copy > 0);
	assert_true(in_step > 0);
	assert_int_equal(peek(r, "PRAGMA user_version"), store_schema());
	assert_int_equal(peek(r, "SELECT count(*) FROM messages"), 3);
}

/* In a child that has a small file system to itself. */
static void a_disk_that_fills_up_on_the_way(void **state)
{
	struct rig *r = *state;
	pid_t pid;
	int st;

	store_close(r->st);
	r->st = NULL;
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		if (own_mounts() < 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0 ||
		    mount("none", r->dir, "tmpfs", 0, "size=4m") < 0)
			_exit(77);
		upgrade_with_little_room(
			r); /* a failed check is a longjmp into the copy of the runner: it exits non-zero */
		store_close(r->st);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &st, 0), pid);
	if (WIFEXITED(st) && WEXITSTATUS(st) == 77)
		skip();
	assert_true(WIFEXITED(st) && WEXITSTATUS(st) == 0);
}

static void a_copy_of_a_database_in_use(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	char copy[64];
	int schema;

	for (int i = 0; i < 50; i++)
		put_in(r);
	commit(r);
	put_in(r); /* not committed: not in the copy */
	snprintf(copy, sizeof(copy), "%s/copy", r->dir);
	assert_ok(store_copy(r->file, copy, &e), &e);
	assert_ok(store_check(copy, &schema, &e), &e);
	assert_int_equal(schema, store_schema());
	commit(r);
	snprintf(r->file, sizeof(r->file), "%s/copy", r->dir);
	assert_int_equal(peek(r, "SELECT count(*) FROM messages"), 50);
	assert_err(store_copy(copy, copy, &e), &e, E_IO, "cannot copy");
}

static void a_copy_that_is_damaged(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	char copy[64];
	FILE *f;

	for (int i = 0; i < 500; i++)
		put_out(r, "some words that take up room in the pages of this database");
	commit(r);
	snprintf(copy, sizeof(copy), "%s/copy", r->dir);
	assert_ok(store_copy(r->file, copy, &e), &e);
	f = fopen(copy, "r+");
	assert_non_null(f);
	fseek(f, 3 * 4096, SEEK_SET);
	for (int i = 0; i < 20000; i++)
		fputc(0x5a, f);
	fclose(f);
	assert_err(store_check(copy, NULL, &e), &e, E_INVAL, "damaged");
}

static void files_to_send_move_with_the_home(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;

	put_out(r, "a file");
	commit(r);
	store_close(r->st);
	r->st = NULL;
	run(r->file,
	    "UPDATE outbox SET args = '{\"file\":{\"path\":\"/old/home/spool/f-1\",\"name\":\"f\"}}'");
	assert_ok(store_rehome(r->file, "/new/spool", &e), &e);
	assert_int_equal(
		peek(r, "SELECT args = '{\"file\":{\"path\":\"/new/spool/f-1\",\"name\":\"f\"}}'"
			" FROM outbox"),
		1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(all_of_it_is_there),
		TEST(who_was_linked_keeps_the_place),
		TEST(a_newer_one_is_refused_in_one_line),
		TEST(a_step_that_fails_leaves_it_as_it_was),
		TEST(a_disk_that_fills_up_on_the_way),
		TEST(a_copy_of_a_database_in_use),
		TEST(a_copy_that_is_damaged),
		TEST(files_to_send_move_with_the_home),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
