// SPDX-License-Identifier: Apache-2.0
/* Files of messages, chats without a group, what gates a chat, and the surroundings of a message. */
#include "store_rig.h"
#include "store/tasks.h"

static int64_t put(struct rig *r, const char *id, enum msg_state state, const char *text)
{
	struct err e = ERR_INIT;
	struct msg_new m = {.chat_id = r->chat.id,
			    .group_id = r->g.id,
			    .session = "",
			    .thread = "",
			    .platform_id = id,
			    .text = text,
			    .text_len = strlen(text),
			    .sent_ms = r->clk.fixed_ms,
			    .state = state};
	int64_t got;
	bool dup;

	assert_ok(store_message_in(r->st, &m, &got, &dup, &e), &e);
	assert_false(dup);
	return got;
}

static void add_text(void *ctx, const struct msg_row *m)
{
	buf_putf(ctx, "%s ", m->text);
}

static void add_file(void *ctx, const struct file_row *f)
{
	buf_putf(ctx, "%s,%s,%lld,%s,%d,%d,%s,%s;", f->name, f->mime, (long long)f->size, f->ref,
		 f->voice, (int)f->state, f->path, f->note);
}

static void note_id(void *ctx, const struct file_row *f)
{
	*(int64_t *)ctx = f->id;
}

static void files_and_their_outcome(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	struct buf got = {0};
	int64_t msg = put(r, "1", MSG_FETCHING, "x"), id = 0;
	struct file_row f = {.message_id = msg,
			     .name = "a.ogg",
			     .mime = "audio/ogg",
			     .size = -1,
			     .ref = "ref",
			     .voice = true};

	assert_ok(store_file_add(r->st, &f, &e), &e);
	assert_ok(store_files(r->st, msg, add_file, &got, &e), &e);
	assert_string_equal(got.p, "a.ogg,audio/ogg,-1,ref,1,0,,;");
	assert_ok(store_files(r->st, msg, note_id, &id, &e), &e);
	f = (struct file_row){.id = id,
			      .state = FILE_SAVED,
			      .path = "inbox/1-a.ogg",
			      .note = "words",
			      .mime = "audio/opus",
			      .size = 12};
	assert_ok(store_file_done(r->st, &f, &e), &e);
	rig_reopen(r);
	buf_reset(&got);
	assert_ok(store_files(r->st, msg, add_file, &got, &e), &e);
	assert_string_equal(got.p, "a.ogg,audio/opus,12,ref,1,1,inbox/1-a.ogg,words;");
	buf_free(&got);
}

static void what_waits_for_files_holds_its_chat(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	struct buf got = {0};
	int64_t counts[5], held;
	bool moved;

	put(r, "1", MSG_PENDING, "one");
	held = put(r, "2", MSG_FETCHING, "two");
	put(r, "3", MSG_PENDING, "three");
	assert_ok(store_pending(r->st, r->g.id, "", 0, 10, add_text, &got, &e), &e);
	assert_string_equal(got.p, "one ");
	assert_ok(store_message_counts(r->st, 0, counts, &e), &e);
	assert_int_equal(counts[MSG_PENDING], 3);
	buf_reset(&got);
	assert_ok(store_fetching(r->st, "console", add_text, &got, &e), &e);
	assert_string_equal(got.p, "two ");
	assert_ok(store_message_move(r->st, held, MSG_PENDING, MSG_GONE, &moved, &e), &e);
	assert_false(moved);
	assert_ok(store_message_move(r->st, held, MSG_FETCHING, MSG_PENDING, &moved, &e), &e);
	assert_true(moved);
	buf_reset(&got);
	assert_ok(store_pending(r->st, r->g.id, "", 0, 10, add_text, &got, &e), &e);
	assert_string_equal(got.p, "one two three ");
	put(r, "4", MSG_FETCHING, "four");
	buf_reset(&got);
	assert_ok(store_fail_pending(r->st, r->g.id, "", add_text, &got, &e), &e);
	assert_string_equal(got.p, "one two three four ");
	buf_reset(&got);
	assert_ok(store_fetching(r->st, "console", add_text, &got, &e), &e);
	assert_int_equal(got.len, 0);
	buf_free(&got);
}

static void nobody_sees_what_is_gone(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	struct buf got = {0};

	put(r, "1", MSG_CONTEXT, "one");
	put(r, "event:2", MSG_GONE, "");
	put(r, "3", MSG_CONTEXT, "three");
	assert_ok(store_history(r->st, r->chat.id, 0, 10, add_text, &got, &e), &e);
	assert_string_equal(got.p, "one three ");
	buf_reset(&got);
	assert_ok(store_history(r->st, r->chat.id, -1, 10, add_text, &got, &e), &e);
	assert_string_equal(got.p, "three ");
	buf_free(&got);
}

static void context_ends_at_what_was_handed_in(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	struct buf got = {0};
	int64_t asked;

	put(r, "1", MSG_CONTEXT, "far");
	put(r, "2", MSG_PENDING, "asked");
	put(r, "3", MSG_CONTEXT, "a");
	put(r, "4", MSG_FAILED, "failed");
	put(r, "5", MSG_ANSWERED, "two"); /* to a question: it had no turn */
	r->clk.fixed_ms += 10;
	put(r, "6", MSG_CONTEXT, "b");
	asked = put(r, "7", MSG_PENDING, "now");
	assert_ok(store_context(r->st, r->chat.id, "", asked, 0, 30, add_text, &got, &e), &e);
	assert_string_equal(got.p, "b a ");
	buf_reset(&got);
	assert_ok(store_context(r->st, r->chat.id, "", asked, 0, 1, add_text, &got, &e), &e);
	assert_string_equal(got.p, "b ");
	buf_reset(&got);
	assert_ok(store_context(r->st, r->chat.id, "", asked, r->clk.fixed_ms, 30, add_text, &got,
				&e),
		  &e);
	assert_string_equal(got.p, "b ");
	buf_reset(&got);
	assert_ok(store_context(r->st, r->chat.id, "other", asked, 0, 30, add_text, &got, &e), &e);
	assert_int_equal(got.len, 0);
	buf_free(&got);
}

static void note_chat(void *ctx, const struct chat_info *c)
{
	buf_putf(ctx, "%s:%s,%s,%s,%lld,%d,%lld;", c->chat.channel, c->chat.platform_id, c->title,
		 c->group, (long long)c->refused, c->chat.direct, (long long)c->last_ms);
}

static void put_task(struct rig *r, int64_t chat_id)
{
	struct task_row t = {.group_id = r->g.id,
			     .chat_id = chat_id,
			     .thread = "",
			     .name = "t",
			     .prompt = "p",
			     .gate = "",
			     .spec = "every 1h",
			     .zone = "UTC",
			     .why = ""};
	struct err e = ERR_INIT;
	int64_t id;

	assert_ok(store_task_put(r->st, &t, &id, &e), &e);
}

static void chats_are_described(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	struct buf got = {0};
	struct chat_row c;

	assert_ok(store_chat_seen(r->st, "plat", "x", "Old", true, &c, &e), &e);
	assert_ok(store_chat_seen(r->st, "plat", "x", "New", true, &c, &e), &e);
	assert_ok(store_chat_seen(r->st, "plat", "x", "", true, &c, &e), &e);
	assert_true(c.direct);
	assert_ok(store_chat_refused(r->st, c.id, 3, 10, &e), &e);
	put_task(r, c.id);
	assert_ok(store_chat_refused(r->st, c.id, 0, 0, &e), &e); /* a task still names it */
	assert_ok(store_chat_each(r->st, 0, note_chat, &got, &e), &e);
	assert_string_equal(got.p, "console:main,Main,main,0,0,0;plat:x,New,,3,1,1000000;");
	assert_ok(store_chat_link(r->st, c.id, r->g.id, &e), &e);
	assert_ok(store_chat_unlink(r->st, r->chat.id, &e), &e);
	buf_reset(&got);
	assert_ok(store_chat_each(r->st, r->g.id, note_chat, &got, &e), &e);
	assert_string_equal(got.p, "plat:x,New,main,3,1,1000000;");
	buf_free(&got);
}

/* name and alt of the only sender, as another reader of the file sees them */
static void look_at_sender(struct rig *r, char out[64])
{
	sqlite3_stmt *s = NULL;
	sqlite3 *db = NULL;

	commit(r);
	assert_int_equal(sqlite3_open_v2(r->file, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	assert_int_equal(
		sqlite3_prepare_v2(db, "SELECT name || '/' || alt FROM senders", -1, &s, NULL),
		SQLITE_OK);
	assert_int_equal(sqlite3_step(s), SQLITE_ROW);
	str_copy(out, 64, (const char *)sqlite3_column_text(s, 0));
	sqlite3_finalize(s);
	sqlite3_close(db);
}

static void both_names_of_a_person_are_kept(void **state)
{
	struct rig *r = *state;
	struct err e = ERR_INIT;
	int64_t a, b;
	char got[64];

	assert_ok(store_sender_ensure(r->st, "plat", "1@lid", "Ann", "+49", &a, &e), &e);
	assert_ok(store_sender_ensure(r->st, "plat", "1@lid", "", "", &b, &e), &e);
	assert_int_equal(a, b);
	look_at_sender(r, got);
	assert_string_equal(got, "Ann/+49");
	assert_ok(store_sender_ensure(r->st, "plat", "1@lid", "Anna", "+50", &b, &e), &e);
	assert_int_equal(a, b);
	look_at_sender(r, got);
	assert_string_equal(got, "Anna/+50");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(files_and_their_outcome),	TEST(what_waits_for_files_holds_its_chat),
		TEST(nobody_sees_what_is_gone), TEST(context_ends_at_what_was_handed_in),
		TEST(chats_are_described),	TEST(both_names_of_a_person_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
