// SPDX-License-Identifier: Apache-2.0
/*
 * Telegram while a turn runs: drafts, which never come after the answer, typing, and the files that people sent; against a Bot API
 * in this process.
 */
#include "channels_telegram_rig.h"

/* --- drafts and typing --------------------------------------------------------------------- */

static struct draft draft_of(const char *chat, const char *id, const char *body)
{
	return (struct draft){.chat = chat,
			      .thread = "",
			      .reply_to = "",
			      .sender = "",
			      .id = id,
			      .text = body,
			      .body = body};
}

static void private_drafts_come_before_the_answer(void **state)
{
	struct world w;
	struct draft d = draft_of("5", "", "thin"), d2 = draft_of("5", "", "dropped");

	world_up(&w, state);
	plan(&w, "sendMessageDraft", HANG, 0, NULL);
	tg_progress(&w.c, "5", "", PROGRESS_START, "");
	tg_draft(&w.c, &d);
	tg_draft(&w.c, &d2); /* one at a time */
	await(&w, &w.n_asked, 2);
	HAS(w.log, "sendChatAction {\"chat_id\":5,\"action\":\"typing\"}\n");
	HAS(w.log, "sendMessageDraft {\"chat_id\":5,\"draft_id\":");
	HAS_NOT(w.log, "dropped");
	tg_progress(&w.c, "5", "", PROGRESS_END, "");
	say(&w, &(struct outbound){.id = 1, .chat = "5", .body = "answer"});
	say(&w, &(struct outbound){.id = 2, .chat = "6", .body = "other"});
	await(&w, &w.n_sent, 1);
	HAS(w.heard, "sent 2 ");
	HAS_NOT(w.log, "answer");
	/* the draft has arrived */
	for (struct asked *a = w.waiting; a; a = a->next) {
		if (streq(a->method, "sendMessageDraft")) {
			answer(a, 200, "{\"ok\":true,\"result\":true}");
			break;
		}
	}
	await(&w, &w.n_sent, 2);
	HAS(w.heard, "sent 1 ");
	assert_true(LIST_EMPTY(&w.t->lives));
	world_close(&w);
}

static void a_server_without_drafts_is_not_asked_again(void **state)
{
	struct world w;
	struct draft d = draft_of("5", "", "thin");
	int n;

	world_up(&w, state);
	plan(&w, "sendMessageDraft", ANSWER, 404, NO(404, "Not Found: method not found", ""));
	tg_draft(&w.c, &d);
	await(&w, &w.n_asked, 1);
	say(&w, &(struct outbound){.id = 1, .chat = "5", .body = "answer"});
	await(&w, &w.n_sent, 1);
	n = w.n_asked;
	tg_draft(&w.c, &d);
	say(&w, &(struct outbound){.id = 2, .chat = "5", .body = "answer"});
	await(&w, &w.n_sent, 2);
	assert_int_equal(w.n_asked, n + 1);
	assert_true(w.t->no_drafts);
	world_close(&w);
}

static void group_drafts_are_messages(void **state)
{
	struct world w;
	struct draft d = draft_of("-5", "", "one"), d2 = draft_of("-5", "501", "one two");

	world_up(&w, state);
	tg_progress(&w.c, "-5", "", PROGRESS_START, "");
	tg_draft(&w.c, &d);
	await(&w, &w.n_drafts, 1);
	HAS(w.heard, "draft -5/ 501\n");
	tg_draft(&w.c, &d2);
	say(&w,
	    &(struct outbound){.id = 1, .chat = "-5", .target = "501", .body = "one two three"});
	await(&w, &w.n_sent, 1);
	HAS(w.heard, "sent 1 501\n");
	/* the answer's edit came last */
	assert_true(strstr(w.log.p, "\"one two three\"") > strstr(w.log.p, "\"one two\""));
	tg_progress(&w.c, "-5", "", PROGRESS_END, "");
	assert_true(LIST_EMPTY(&w.t->lives));
	world_close(&w);
}

static void an_answer_that_waits_takes_the_drafts_place(void **state)
{
	struct world w;
	struct draft d = draft_of("-5", "", "one"), next = draft_of("-5", "", "two");

	world_up(&w, state);
	tg_progress(&w.c, "-5", "", PROGRESS_START, "");
	tg_draft(&w.c, &d);
	say(&w, &(struct outbound){.id = 1, .chat = "-5", .body = "one and all"});
	await(&w, &w.n_sent, 1);
	HAS(w.heard, "sent 1 501\n");
	HAS(w.log, "editMessageText {\"chat_id\":-5,\"message_id\":501,\"text\":\"one and all\"");
	assert_int_equal(w.n_drafts, 0);
	/* what is drawn after it is another message */
	tg_draft(&w.c, &next);
	await(&w, &w.n_drafts, 1);
	HAS(w.heard, "draft -5/ 502\n");
	tg_progress(&w.c, "-5", "", PROGRESS_END, "");
	world_close(&w);
}

static void a_draft_that_comes_too_late_is_taken_back(void **state)
{
	struct world w;
	struct draft d = draft_of("-5", "", "one");

	world_up(&w, state);
	tg_progress(&w.c, "-5", "", PROGRESS_START, "");
	tg_draft(&w.c, &d);
	tg_progress(&w.c, "-5", "", PROGRESS_END, "");
	await(&w, &w.n_asked, 2);
	HAS(w.log, "sendMessage {\"chat_id\":-5,\"text\":\"one\"");
	await(&w, &w.n_asked, 3);
	HAS(w.log, "deleteMessage {\"chat_id\":-5,\"message_id\":501}");
	assert_int_equal(w.n_drafts, 0);
	world_close(&w);
}

static void drafts_leave_room_for_answers(void **state)
{
	struct world w;
	struct draft d = draft_of("-5", "9", "more");

	world_up(&w, state);
	for (int i = 0; i < PACE_GROUP; i++)
		pace_take(&w.t->pace, "-5", loop_now(w.f->l) - 30000);
	tg_draft(&w.c, &d);
	assert_false(tg_draft_busy(w.t, "-5", ""));
	tg_progress(&w.c, "-5", "", PROGRESS_END, "");
	world_close(&w);
}

static void typing_goes_on_until_the_end(void **state)
{
	struct world w;

	world_up(&w, state);
	w.t->typing_ms = 5;
	tg_progress(&w.c, "-5", "11", PROGRESS_START, "");
	await(&w, &w.n_asked, 3);
	HAS(w.log,
	    "sendChatAction {\"chat_id\":-5,\"message_thread_id\":11,\"action\":\"typing\"}\n");
	tg_progress(&w.c, "-5", "11", PROGRESS_TOOL, "reads");
	tg_progress(&w.c, "-5", "11", PROGRESS_END, "");
	assert_true(LIST_EMPTY(&w.t->lives));
	world_close(&w);
}

/* --- files that people sent ---------------------------------------------------------------- */

static void fetch(struct world *w, int64_t id, int fd, int64_t max)
{
	struct fetch f = {.id = id, .ref = "BQ-x_1", .fd = fd, .max_bytes = max};
	struct err e = ERR_INIT;

	assert_ok(telegram_ops.fetch(&w->c, &f, &e), &e);
}

static void files_are_fetched(void **state)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = -1;
	char got[16] = "";
	struct world w;

	world_up(&w, state);
	path = make_file(&w, "in", 0);
	fd = open(path, O_RDWR | O_CLOEXEC);
	plan(&w, "getFile", ANSWER, 200,
	     "{\"ok\":true,\"result\":{\"file_id\":\"BQ\",\"file_path\":\"photos/file_1.jpg\"}}");
	plan(&w, "FILE", ANSWER, 200, "0123456789");
	fetch(&w, 1, fd, 10);
	await(&w, &w.n_fetched, 1);
	HAS(w.log, "getFile {\"file_id\":\"BQ-x_1\"}\n");
	HAS(w.heard, "fetched 1 10 application/json ok\n");
	assert_int_equal(pread(fd, got, sizeof(got), 0), 10);
	assert_string_equal(got, "0123456789");
	/* more than promised, and than allowed */
	plan(&w, "getFile", ANSWER, 200,
	     "{\"ok\":true,\"result\":{\"file_path\":\"a/b\",\"file_size\":3}}");
	plan(&w, "FILE", ANSWER, 200, "0123456789");
	fetch(&w, 2, fd, 9);
	await(&w, &w.n_fetched, 2);
	HAS(w.heard, "fetched 2 0  limit\n");
	plan(&w, "getFile", ANSWER, 200,
	     "{\"ok\":true,\"result\":{\"file_path\":\"a/b\",\"file_size\":30}}");
	fetch(&w, 3, fd, 9);
	await(&w, &w.n_fetched, 3);
	HAS(w.heard, "fetched 3 0  limit\n");
	plan(&w, "getFile", ANSWER, 400, NO(400, "Bad Request: file is too big", ""));
	fetch(&w, 4, fd, 9);
	await(&w, &w.n_fetched, 4);
	HAS(w.heard, "fetched 4 0  limit\n");
	plan(&w, "getFile", ANSWER, 200, "{\"ok\":true,\"result\":{\"file_path\":\"../x\"}}");
	fetch(&w, 5, fd, 9);
	await(&w, &w.n_fetched, 5);
	HAS(w.heard, "fetched 5 0  proto\n");
	plan(&w, "getFile", ANSWER, 200, "{\"ok\":true,\"result\":{\"file_path\":\"a/b\"}}");
	plan(&w, "FILE", ANSWER, 404, "no");
	fetch(&w, 6, fd, 9);
	await(&w, &w.n_fetched, 6);
	HAS(w.heard, "fetched 6 0  gone\n");
	world_close(&w);
}

static void a_fetch_can_be_given_up(void **state)
{
	struct world w;

	world_up(&w, state);
	plan(&w, "getFile", HANG, 0, NULL);
	fetch(&w, 1, -1, 10);
	await(&w, &w.n_asked, 1);
	telegram_ops.fetch_cancel(&w.c, 1);
	assert_null(w.t->fetches);
	telegram_ops.fetch_cancel(&w.c, 1);
	world_close(&w);
}

static void closes_with_everything_under_way(void **state)
{
	struct out_file f = {.name = "x", .mime = "image/png"};
	_cleanup_free_ char *path = NULL;
	struct world w;
	struct draft d = draft_of("-8", "", "x");

	world_up(&w, state);
	f.path = path = make_file(&w, "x", 100000);
	plan(&w, "sendMessage", HANG, 0, NULL);
	plan(&w, "sendMessage", HANG, 0, NULL);
	plan(&w, "sendPhoto", HANG, 0, NULL);
	plan(&w, "getFile", HANG, 0, NULL);
	say(&w, &(struct outbound){.id = 1, .chat = "5", .body = "x"});
	say(&w, &(struct outbound){.id = 2, .chat = "6", .kind = OUTBOUND_FILE, .file = &f});
	fetch(&w, 1, -1, 10);
	tg_progress(&w.c, "-8", "", PROGRESS_START, "");
	tg_draft(&w.c, &d);
	await(&w, &w.n_asked, 5);
	say(&w, &(struct outbound){.id = 3, .chat = "9", .body = "not even begun"});
	world_close(&w);
	assert_int_equal(w.n_sent, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIX_TEST(private_drafts_come_before_the_answer),
		FIX_TEST(a_server_without_drafts_is_not_asked_again),
		FIX_TEST(group_drafts_are_messages),
		FIX_TEST(an_answer_that_waits_takes_the_drafts_place),
		FIX_TEST(a_draft_that_comes_too_late_is_taken_back),
		FIX_TEST(drafts_leave_room_for_answers),
		FIX_TEST(typing_goes_on_until_the_end),
		FIX_TEST(files_are_fetched),
		FIX_TEST(a_fetch_can_be_given_up),
		FIX_TEST(closes_with_everything_under_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
