// SPDX-License-Identifier: Apache-2.0
/* Retention at work: a round beside a conversation, the inbox folders of agents who are up to something, and the section of the configuration. */
#include "router_rig.h"
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <time.h>
#include "router/impl.h"
#include "router/retention.h"

#define DAY ((int64_t)86400000)

static void sql(struct house *h, const char *text)
{
	sqlite3 *db;
	char *why = NULL;

	assert_int_equal(sqlite3_open(h->file, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 5000);
	if (sqlite3_exec(db, text, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s", why);
	sqlite3_close(db);
}

static int64_t ask(struct house *h, const char *text)
{
	sqlite3 *db;
	sqlite3_stmt *s;
	int64_t v;

	assert_int_equal(sqlite3_open(h->file, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, text, -1, &s, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(s), SQLITE_ROW);
	v = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	sqlite3_close(db);
	return v;
}

static void path_of(struct house *h, const char *name, char out[200])
{
	snprintf(out, 200, "%s/%s", h->dir, name);
}

static void put_file(struct house *h, const char *name, int64_t days_old)
{
	struct timespec when[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_NOW}};
	char path[200];
	int fd;

	path_of(h, name, path);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	if (days_old)
		when[0] = when[1] = (struct timespec){.tv_sec = time(NULL) - days_old * 86400};
	assert_int_equal(futimens(fd, when), 0);
	close(fd);
}

static bool there(struct house *h, const char *name)
{
	char path[200];

	path_of(h, name, path);
	return access(path, F_OK) == 0;
}

static void make_folder(struct house *h, const char *name)
{
	char path[200];

	path_of(h, name, path);
	assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
}

static void over(void *ctx)
{
	struct house *h = ctx;

	seen(h, &h->n_stored);
}

static void a_round(struct house *h)
{
	int before = h->n_stored;

	retention_run(h->router->retention, over, h);
	await_at_least(h, &h->n_stored, before + 1);
}

struct bites {
	sqlite3 *db; /* open all the time: this looks at each turn of the loop */
	sqlite3_stmt *count;
	int64_t left, greatest;
	int n;
};

static void look_at_bite(void *ctx)
{
	struct bites *b = ctx;
	int64_t now;

	assert_int_equal(sqlite3_step(b->count), SQLITE_ROW);
	now = sqlite3_column_int64(b->count, 0);
	sqlite3_reset(b->count);
	if (now == b->left)
		return;
	b->greatest = b->left - now > b->greatest ? b->left - now : b->greatest;
	b->left = now;
	b->n++;
}

/* Beside a conversation that goes on. */
static void old_rows_go_in_small_bites(void **state)
{
	struct house *h = house_main(state);
	struct bites b = {.n = 0};
	struct turn_hook *hook;

	say(h, "main", "a", "hello");
	await(h, &h->n_lines, 1);
	answer(h->boxes[0], 0, "hi");
	await(h, &h->n_said, 1);
	sql(h,
	    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600)"
	    " INSERT INTO messages(chat_id, group_id, dir, state, platform_id, text, sent_ms, stored_ms)"
	    " SELECT 1, 1, i % 2, 3 * (1 - i % 2), 'old' || i, 'some words of long ago', 5, 5 FROM n");
	say(h, "main", "b", "hello again");
	await(h, &h->n_lines, 2);
	sql(h, "INSERT INTO messages_fts(rowid, text) SELECT id, text FROM messages"
	       " WHERE id > (SELECT coalesce(max(id), 0) FROM messages_fts_docsize) ORDER BY id");
	assert_int_equal(sqlite3_open(h->file, &b.db), SQLITE_OK);
	assert_int_equal(
		sqlite3_prepare_v2(b.db, "SELECT count(*) FROM messages", -1, &b.count, NULL),
		SQLITE_OK);
	look_at_bite(&b);
	b = (struct bites){.db = b.db, .count = b.count, .left = b.left};
	hook = loop_on_turn_end(h->l, "bites", look_at_bite, &b);
	a_round(h);
	turn_hook_free(hook);
	look_at_bite(&b);
	sqlite3_finalize(b.count);
	sqlite3_close(b.db);
	assert_int_equal(ask(h, "SELECT count(*) FROM messages WHERE platform_id LIKE 'old%'"), 0);
	assert_int_equal(ask(h, "SELECT count(*) FROM messages_fts('ago')"), 0);
	assert_int_equal(ask(h, "SELECT count(*) FROM messages"), 3);
	assert_in_range(b.greatest, 1, 256);
	assert_in_range(b.n, 600 / 256, 600);
	answer(h->boxes[0], 1, "yes");
	await(h, &h->n_said, 2);
}

static void old_files_of_an_inbox(void **state)
{
	struct house *h = house_main(state);
	char from[200], to[200];

	say(h, "main", "a", "hello");
	await(h, &h->n_lines, 1);
	make_folder(h, "groups");
	make_folder(h, "groups/main");
	make_folder(h, "groups/main/inbox");
	make_folder(h, "groups/main/inbox/sub");
	make_folder(h, "precious");
	put_file(h, "groups/main/inbox/1-old.txt", 100);
	put_file(h, "groups/main/inbox/2-new.txt", 80);
	put_file(h, "groups/main/inbox/sub/old.txt", 100);
	put_file(h, "groups/main/old.txt", 100);
	put_file(h, "precious/old.txt", 100);
	path_of(h, "groups/main/inbox/link", to);
	path_of(h, "precious/old.txt", from);
	assert_int_equal(symlink(from, to), 0);
	a_round(h);
	assert_false(there(h, "groups/main/inbox/1-old.txt"));
	assert_true(there(h, "groups/main/inbox/2-new.txt"));
	assert_true(there(h, "groups/main/inbox/sub/old.txt"));
	assert_true(there(h, "groups/main/old.txt"));
	assert_true(there(h, "precious/old.txt"));
	/* The agent makes its inbox a link out of its folder. */
	path_of(h, "groups/main/inbox", to);
	path_of(h, "groups/main/inbox-old", from);
	assert_int_equal(rename(to, from), 0);
	path_of(h, "precious", from);
	assert_int_equal(symlink(from, to), 0);
	a_round(h);
	assert_true(there(h, "precious/old.txt"));
	assert_int_equal(h->fatals, 0);
}

static void for_ever_is_for_ever(void **state)
{
	struct house *h = house_main(state);
	struct retention_settings none = {.inbox_ms = 0};

	sql(h,
	    "INSERT INTO acts(at_ms, who, group_id, via, act, allowed) VALUES (1, 'a', 1, 'cli', 'x', 1)");
	retention_set(h->router->retention, &none);
	a_round(h);
	assert_int_equal(ask(h, "SELECT count(*) FROM acts"), 1);
	none.keep_ms[RETAINED_ACTS] = DAY;
	retention_set(h->router->retention, &none);
	a_round(h);
	assert_int_equal(ask(h, "SELECT count(*) FROM acts"), 0);
}

static void load(struct house *h, const char *text, struct retention_settings *s, const char *wrong)
{
	struct err e = ERR_INIT;
	FILE *f;

	snprintf(h->cfg.file, sizeof(h->cfg.file), "%s/chela.yaml", h->dir);
	f = fopen(h->cfg.file, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	if (wrong)
		assert_err(retention_settings_load(&h->cfg, s, &e), &e, E_INVAL, wrong);
	else
		assert_ok(retention_settings_load(&h->cfg, s, &e), &e);
}

static void the_section(void **state)
{
	struct house *h = *state;
	struct retention_settings s;

	load(h, "assistant: x\n", &s, NULL);
	assert_int_equal(s.keep_ms[RETAINED_MESSAGES], 365 * DAY);
	assert_int_equal(s.keep_ms[RETAINED_SENT], 30 * DAY);
	assert_int_equal(s.inbox_ms, 90 * DAY);
	load(h, "retention:\n  messages: 0\n  inbox: 7d\n", &s, NULL);
	assert_int_equal(s.keep_ms[RETAINED_MESSAGES], 0);
	assert_int_equal(s.inbox_ms, 7 * DAY);
	load(h, "retention:\n  messages: 1h\n", &s,
	     "chela.yaml:2: retention.messages: less than a day");
	load(h, "retention:\n  mesages: 1d\n", &s, "mesages");
	load(h, "retention:\n  runs: soon\n", &s, "retention.runs");
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, house_setup, house_teardown)
	const struct CMUnitTest tests[] = {
		TEST(old_rows_go_in_small_bites),
		TEST(old_files_of_an_inbox),
		TEST(for_ever_is_for_ever),
		TEST(the_section),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
