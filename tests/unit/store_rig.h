// SPDX-License-Identifier: Apache-2.0
/* What the store's tests share: a database in a folder of its own, a clock that stands, one group with one chat, and short ways
 * to write and to look. */
#ifndef CHELA_TESTS_STORE_RIG_H
#define CHELA_TESTS_STORE_RIG_H
#include "unit.h"
#include <ftw.h>
#include <sqlite3.h>
#include "base/buf.h"
#include "base/str.h"
#include "store/impl.h"
#include "store/store.h"

struct rig {
	char dir[32], file[48];
	struct clock clk;
	struct store *st;
	struct group_row g;
	struct chat_row chat;
	int number;
};

static void rig_reopen(struct rig *r)
{
	struct err e = ERR_INIT;

	store_close(r->st);
	r->st = store_open(r->file, &r->clk, &e);
	if (!r->st)
		fail_msg("%s", e.msg);
}

static maybe_unused void commit(struct rig *r)
{
	struct err e = ERR_INIT;

	assert_ok(store_commit(r->st, &e), &e);
}

static maybe_unused int setup(void **state)
{
	struct rig *r = xcalloc(1, sizeof(*r));
	struct err e = ERR_INIT;

	*state = r;
	snprintf(r->dir, sizeof(r->dir), "%s/store-unit-XXXXXX", unit_tmp());
	assert_non_null(mkdtemp(r->dir));
	snprintf(r->file, sizeof(r->file), "%s/db", r->dir);
	r->clk = clock_fixed(1000000);
	rig_reopen(r);
	assert_ok(store_group_ensure(r->st, "main", true, &r->g, &e), &e);
	assert_ok(store_chat_ensure(r->st, "console", "main", "Main", &r->chat, &e), &e);
	assert_ok(store_chat_link(r->st, r->chat.id, r->g.id, &e), &e);
	commit(r);
	return 0;
}

static int rig_rm(const char *path, const struct stat *st maybe_unused, int kind maybe_unused,
		  struct FTW *ftw maybe_unused)
{
	return remove(path);
}

static maybe_unused int teardown(void **state)
{
	struct rig *r = *state;

	store_close(r->st);
	nftw(r->dir, rig_rm, 8, FTW_DEPTH | FTW_PHYS);
	free(r);
	return 0;
}

/* A new pending message, "m1", "m2", ... by number. */
static maybe_unused int64_t put_in(struct rig *r)
{
	struct err e = ERR_INIT;
	char id[24];
	struct msg_new m = {
		.chat_id = r->chat.id,
		.group_id = r->g.id,
		.session = "",
		.thread = "",
		.platform_id = id,
		.text = id,
		.sent_ms = 5,
		.state = MSG_PENDING,
	};
	int64_t row = 0;
	bool dup;

	snprintf(id, sizeof(id), "m%d", ++r->number);
	m.text_len = strlen(id);
	assert_ok(store_message_in(r->st, &m, &row, &dup, &e), &e);
	assert_false(dup);
	return row;
}

static maybe_unused int64_t put_out(struct rig *r, const char *text)
{
	struct err e = ERR_INIT;
	struct out_new o = {.chat_id = r->chat.id, .group_id = r->g.id, .thread = "", .text = text};
	int64_t id = 0, message = 0;

	assert_ok(store_out_add(r->st, &o, &id, &message, &e), &e);
	return id;
}

/* Another program's view of the file: only what is committed. */
static maybe_unused int64_t peek(struct rig *r, const char *sql)
{
	sqlite3 *db;
	sqlite3_stmt *s;
	int64_t v;

	assert_int_equal(sqlite3_open(r->file, &db), SQLITE_OK);
	if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	assert_int_equal(sqlite3_step(s), SQLITE_ROW);
	v = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	sqlite3_close(db);
	return v;
}

static maybe_unused void poke(struct rig *r, const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(r->file, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	sqlite3_close(db);
}

/* Collects the texts that a listing gives: "m1 m2 ". */
static maybe_unused void note_text(void *ctx, const struct msg_row *m)
{
	buf_putf(ctx, "%s ", m->text);
}

#define assert_texts(b, want)                                                                      \
	do {                                                                                       \
		assert_string_equal((b)->p ? (b)->p : "", want);                                   \
		buf_reset(b);                                                                      \
	} while (0)

/* Steps of SQLite's machine since the last look, of all statements. */
static maybe_unused int64_t steps(struct rig *r)
{
	int64_t n = 0;

	for (sqlite3_stmt *s = NULL; (s = sqlite3_next_stmt(r->st->db, s));)
		n += sqlite3_stmt_status(s, SQLITE_STMTSTATUS_VM_STEP, 1);
	return n;
}

#endif
