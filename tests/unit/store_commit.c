// SPDX-License-Identifier: Apache-2.0
/* Opening, schema versions, the outbox, the group commit and its queue, and a disk that takes no more. */
#include "store_rig.h"
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

struct heard {
	struct buf words;
	struct store *st;
	struct heard *forget;
	int again;
};

static void hear_a(void *ctx)
{
	buf_puts(&((struct heard *)ctx)->words, "a");
}

static void hear_b(void *ctx)
{
	struct heard *h = ctx;

	buf_puts(&h->words, "b");
	if (h->forget)
		store_forget(h->st, h->forget);
	if (h->again-- > 0)
		store_after_commit(h->st, hear_b, h);
}

static void calls_come_after_the_commit_and_in_order(void **state)
{
	struct rig *r = *state;
	struct heard h = {.st = r->st};

	put_in(r);
	store_after_commit(r->st, hear_a, &h);
	store_after_commit(r->st, hear_b, &h);
	store_after_commit(r->st, hear_a, &h);
	assert_int_equal(h.words.len, 0);
	assert_int_equal(peek(r, "SELECT count(*) FROM messages"), 0);
	assert_true(store_dirty(r->st));
	commit(r);
	assert_texts(&h.words, "aba");
	assert_int_equal(peek(r, "SELECT count(*) FROM messages"), 1);
	assert_false(store_dirty(r->st));
	/* Without a write there is nothing to wait for but the next commit. */
	store_after_commit(r->st, hear_a, &h);
	assert_true(store_dirty(r->st));
	commit(r);
	assert_texts(&h.words, "a");
	buf_free(&h.words);
}

static void a_call_queued_by_a_call_waits_for_the_next(void **state)
{
	struct rig *r = *state;
	struct heard h = {.st = r->st, .again = 2};

	store_after_commit(r->st, hear_b, &h);
	commit(r);
	assert_texts(&h.words, "b");
	commit(r);
	assert_texts(&h.words, "b");
	commit(r);
	assert_texts(&h.words, "b");
	assert_false(store_dirty(r->st));
	buf_free(&h.words);
}

static void who_goes_away_is_not_called(void **state)
{
	struct rig *r = *state;
	struct heard gone = {.st = r->st}, later = {.st = r->st};
	struct heard h = {.st = r->st, .forget = &later};

	store_after_commit(r->st, hear_a, &gone);
	store_after_commit(r->st, hear_b, &h); /* forgets `later` from inside the run */
	store_after_commit(r->st, hear_a, &later);
	store_forget(r->st, &gone);
	commit(r);
	assert_int_equal(gone.words.len + later.words.len, 0);
	assert_texts(&h.words, "b");
	buf_free(&h.words);
}

/* With group commit, a crash never shows the first of two writes of one turn without the second. */
static void writes_of_one_turn_are_one_transaction(void **state)
{
	struct rig *r = *state;

	put_in(r);
	put_out(r, "answer");
	assert_int_equal(peek(r, "SELECT count(*) FROM messages"), 0);
	assert_int_equal(peek(r, "SELECT count(*) FROM outbox"), 0);
	commit(r);
	assert_int_equal(peek(r, "SELECT count(*) FROM messages"), 2);
	assert_int_equal(peek(r, "SELECT count(*) FROM outbox"), 1);
}

/* --- opening ------------------------------------------------------------------------------ */

static void a_closed_store_has_everything(void **state)
{
	struct rig *r = *state;
	struct stat st;

	struct heard h = {.st = r->st};

	put_in(r);
	store_after_commit(r->st, hear_a, &h);
	rig_reopen(r); /* close commits, and calls nobody: they may be gone */
	assert_int_equal(h.words.len, 0);
	assert_int_equal(peek(r, "SELECT count(*) FROM messages"), 1);
	assert_int_equal(stat(r->file, &st), 0);
	assert_int_equal(st.st_mode & 077, 0); /* nobody else reads people's messages */
}

static void a_newer_schema_is_refused_and_left_alone(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	int64_t ours = peek(r, "PRAGMA user_version");

	assert_true(ours >= 1);
	store_close(steal_ptr(&r->st));
	poke(r, "PRAGMA user_version = 999");
	assert_null(store_open(r->file, &r->clk, &e));
	assert_error_is(&e, E_INVAL, "schema 999");
	assert_int_equal(peek(r, "PRAGMA user_version"), 999);
	assert_int_equal(peek(r, "SELECT count(*) FROM groups"), 1);
}

static void what_is_no_database_is_refused(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	char file[64];
	FILE *f;

	snprintf(file, sizeof(file), "%s/text", r->dir);
	f = fopen(file, "w");
	assert_non_null(f);
	for (int i = 0; i < 500; i++)
		fputs("this is no database\n", f);
	fclose(f);
	assert_null(store_open(file, &r->clk, &e));
	assert_error_is(&e, E_IO, "not a database");
	e = (struct err)ERR_INIT;
	snprintf(file, sizeof(file), "%s/absent/db", r->dir);
	assert_null(store_open(file, &r->clk, &e));
	assert_error_is(&e, E_IO, "cannot open");
}

static void a_failed_migration_says_so(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;

	/* Tables without a version: the first step meets one that is there, and nothing half is left. */
	store_close(steal_ptr(&r->st));
	poke(r, "PRAGMA user_version = 0");
	assert_null(store_open(r->file, &r->clk, &e));
	assert_error_is(&e, E_IO, "migrating");
	assert_int_equal(peek(r, "PRAGMA user_version"), 0);
	assert_int_equal(peek(r, "SELECT count(*) FROM groups"), 1);
}

static void names_are_checked_and_absent_ones_told(void **state)
{
	static const char *const bad[] = {"", "Up", "a b", "../x", "-x", "a/b"};
	struct rig *r = *state;
	struct err e = ERR_INIT;
	struct group_row g;
	struct chat_row c;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_err(store_group_ensure(r->st, bad[i], false, &g, &e), &e, E_INVAL,
			   "no group name");
	assert_err(store_group_get(r->st, "absent", &g, &e), &e, E_GONE, "absent");
	assert_err(store_chat_get(r->st, 99, &c, &e), &e, E_GONE, "chat");
}

/* --- outbox ------------------------------------------------------------------------------- */

struct next {
	int64_t id, tries;
	enum out_state state;
	char text[16];
};

static void take_next(void *ctx, const struct out_row *o)
{
	struct next *n = ctx;

	n->id = o->id;
	n->tries = o->tries;
	n->state = o->state;
	str_copy(n->text, sizeof(n->text), o->text);
}

static struct next next_out(struct rig *r, int64_t *due)
{
	struct err e = ERR_INIT;
	struct next n = {0};

	assert_ok(store_out_next(r->st, r->chat.id, r->clk.fixed_ms, take_next, &n, due, &e), &e);
	return n;
}

static void the_outbox_keeps_order(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	int64_t due = 0, first = put_out(r, "first"), now = r->clk.fixed_ms;
	struct next n;

	put_out(r, "second");
	n = next_out(r, &due);
	assert_int_equal(n.id, first);
	assert_ok(store_out_sending(r->st, first, &e), &e);
	n = next_out(r, &due);
	assert_int_equal(n.id, first); /* nothing overtakes it */
	assert_int_equal(n.state, OUT_SENDING);
	assert_int_equal(due, 0);
	assert_err(store_out_sending(r->st, first, &e), &e, E_BUG, "expected state");
	e = (struct err)ERR_INIT;
	assert_ok(store_out_retry(r->st, first, now + 500, false, "later", &e), &e);
	n = next_out(r, &due);
	assert_int_equal(n.id, 0);
	assert_int_equal(due, now + 500);
	r->clk.fixed_ms += 500;
	n = next_out(r, &due);
	assert_int_equal(n.id, first);
	assert_int_equal(n.tries, 1);
	assert_ok(store_out_sent(r->st, first, "p1", &e), &e);
	n = next_out(r, &due);
	assert_string_equal(n.text, "second");
	assert_ok(store_out_dead(r->st, n.id, "inval", "never", &e), &e);
	assert_int_equal(next_out(r, &due).id, 0);
	assert_err(store_out_retry(r->st, n.id, 0, true, "x", &e), &e, E_BUG, "expected state");
	e = (struct err)ERR_INIT;
	assert_err(store_out_dead(r->st, first, "inval", "x", &e), &e, E_BUG, "expected state");
	commit(r);
	assert_int_equal(peek(r, "SELECT count(*) FROM messages WHERE platform_id = 'p1'"), 1);
}

static void what_was_being_sent_waits_again_and_is_marked(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	int64_t by[6], due, id = put_out(r, "x");

	assert_ok(store_out_sending(r->st, id, &e), &e);
	rig_reopen(r);
	assert_ok(store_out_recover(r->st, "elsewhere", &e), &e);
	assert_ok(store_out_counts(r->st, by, &e), &e);
	assert_int_equal(by[OUT_SENDING], 1);
	assert_ok(store_out_recover(r->st, "console", &e), &e);
	assert_ok(store_out_counts(r->st, by, &e), &e);
	assert_int_equal(by[OUT_SENDING], 0);
	assert_int_equal(by[OUT_PENDING], 1);
	assert_int_equal(by[5], 1);
	assert_int_equal(next_out(r, &due).id, id);
}

static void note_chat(void *ctx, int64_t chat_id)
{
	buf_putf(ctx, "%lld ", (long long)chat_id);
}

static void chats_with_something_to_send(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	struct buf got = {0};
	int64_t id = put_out(r, "x");

	assert_ok(store_out_chats(r->st, note_chat, &got, &e), &e);
	assert_texts(&got, "1 ");
	assert_ok(store_out_sent(r->st, id, "p", &e), &e);
	assert_ok(store_out_chats(r->st, note_chat, &got, &e), &e);
	assert_texts(&got, "");
	buf_free(&got);
}

/* --- a disk that takes no more ------------------------------------------------------------ */

/* No file of this process may grow beyond what it has: the kernel answers EFBIG, as a full disk would ENOSPC. */

static void full(struct rig *r)
{
	struct rlimit lim = {0, 0};
	struct err e = ERR_INIT;
	struct heard h = {.st = r->st};
	char *big = xcalloc(1, 3 << 20);
	struct out_new o = {.chat_id = r->chat.id, .group_id = r->g.id, .thread = "", .text = big};
	struct group_row g;
	int64_t id, message;

	memset(big, 'x', (3 << 20) - 1);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &lim);
	lim.rlim_cur = 256 << 10;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &lim), 0);
	store_after_commit(r->st, hear_a, &h);
	/* Pages spill when the cache is full, so either the write or the commit is refused. */
	if (store_out_add(r->st, &o, &id, &message, &e) == 0)
		assert_int_equal(store_commit(r->st, &e), -1);
	assert_int_equal(e.code, E_IO);
	free(big);
	assert_non_null(store_broken(r->st));
	lim.rlim_cur = lim.rlim_max;
	setrlimit(RLIMIT_FSIZE, &lim);
	/* Broken stays broken, also when there is room again: memory and disk disagree. */
	assert_err(store_group_get(r->st, "main", &g, &e), &e, E_IO, "database");
	assert_err(store_group_ensure(r->st, "two", false, &g, &e), &e, E_IO, "database");
	assert_err(store_commit(r->st, &e), &e, E_IO, "database");
	assert_int_equal(h.words.len, 0); /* nothing was reported as durable */
	buf_free(&h.words);
}

static void a_full_disk_breaks_the_store_and_a_restart_heals_it(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	struct group_row g;
	struct rlimit was;

	put_in(r);
	commit(r);
	getrlimit(RLIMIT_FSIZE, &was);
	full(r);
	setrlimit(RLIMIT_FSIZE, &was);
	rig_reopen(r);
	assert_ok(store_group_get(r->st, "main", &g, &e), &e);
	assert_int_equal(peek(r, "SELECT count(*) FROM messages"), 1);
	put_in(r);
	commit(r);
	assert_int_equal(peek(r, "SELECT count(*) FROM messages"), 2);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(calls_come_after_the_commit_and_in_order),
		TEST(a_call_queued_by_a_call_waits_for_the_next),
		TEST(who_goes_away_is_not_called),
		TEST(writes_of_one_turn_are_one_transaction),
		TEST(a_closed_store_has_everything),
		TEST(a_newer_schema_is_refused_and_left_alone),
		TEST(what_is_no_database_is_refused),
		TEST(a_failed_migration_says_so),
		TEST(names_are_checked_and_absent_ones_told),
		TEST(the_outbox_keeps_order),
		TEST(what_was_being_sent_waits_again_and_is_marked),
		TEST(chats_with_something_to_send),
		TEST(a_full_disk_breaks_the_store_and_a_restart_heals_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
