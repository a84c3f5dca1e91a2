// SPDX-License-Identifier: Apache-2.0
/*
 * What leaves for Telegram, and what its verdicts mean: texts, edits, reactions, questions, files both ways, drafts and typing,
 * against a Bot API in this process.
 */
#include "channels_telegram_rig.h"

static void text_goes_as_html(void **state)
{
	struct world w;

	world_up(&w, state);
	say(&w, &(struct outbound){.id = 1, .chat = "5", .body = "<b>hi</b> \"you\""});
	say(&w, &(struct outbound){.id = 2, .chat = "-1003", .thread = "11", .body = "in a topic"});
	say(&w, &(struct outbound){.id = 3, .chat = "-1003", .thread = "1", .body = "in General"});
	await(&w, &w.n_sent, 3);
	HAS(w.log,
	    "sendMessage {\"chat_id\":5,\"text\":\"<b>hi</b> \\\"you\\\"\",\"parse_mode\":\"HTML\"}\n");
	HAS(w.log,
	    "sendMessage {\"chat_id\":-1003,\"message_thread_id\":11,\"text\":\"in a topic\"");
	HAS(w.log, "sendMessage {\"chat_id\":-1003,\"text\":\"in General\"");
	HAS(w.heard, "sent 1 501\n");
	HAS(w.heard, "sent 3 503\n");
	world_close(&w);
}

static void what_is_wrong_is_refused_at_once(void **state)
{
	static const struct out_button long_value = {
		"x", "12345678901234567890123456789012345678901234567890123456789012345"};
	static const struct {
		struct outbound o;
		const char *why;
	} t[] = {
		{{.chat = "general"}, "no chat id"},
		{{.chat = ""}, "no chat id"},
		{{.chat = "5", .thread = "x"}, "\"x\""},
		{{.chat = "5", .target = "12a"}, "\"12a\""},
		{{.chat = "5", .kind = OUTBOUND_EDIT}, "no id"},
		{{.chat = "5", .kind = OUTBOUND_REACTION, .target = "4", .emoji = "🧪"},
		 "own list"},
		{{.chat = "5", .kind = OUTBOUND_ASK, .buttons = &long_value, .n_buttons = 1}, "64"},
	};
	struct world w;
	struct err e;

	world_up(&w, state);
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		struct outbound o = t[i].o;

		o.thread = o.thread ? o.thread : "";
		o.target = o.target ? o.target : "";
		o.emoji = o.emoji ? o.emoji : "";
		o.body = o.text = "";
		assert_err(telegram_ops.send(&w.c, &o, &e), &e, E_INVAL, t[i].why);
	}
	assert_int_equal(w.n_sent, 0);
	world_close(&w);
}

static void verdicts(void **state)
{
	static const struct {
		int status;
		const char *answer, *told;
	} t[] = {
		{429,
		 NO(429, "Too Many Requests: retry after 9", ",\"parameters\":{\"retry_after\":9}"),
		 "!limit retry=9000 moved=- Telegram: Too Many"},
		{403, NO(403, "Forbidden: bot was kicked from the supergroup chat", ""),
		 "!gone retry=0"},
		{400, NO(400, "Bad Request: chat not found", ""), "!gone retry=0"},
		{400,
		 NO(400, "Bad Request: not enough rights to send text messages to the chat", ""),
		 "!perm retry=0"},
		{400, NO(400, "Bad Request: message text is empty", ""), "!inval retry=0"},
		{400,
		 NO(400, "Bad Request: group chat was upgraded to a supergroup chat",
		    ",\"parameters\":{\"migrate_to_chat_id\":-100999}"),
		 "!temp retry=0 moved=-100999"},
		/* it says no itself: nothing was sent */
		{500, NO(500, "Internal Server Error", ""), "!temp retry=0"},
		{401, NO(401, "Unauthorized", ""), "!temp retry=0"},
		/* nobody knows */
		{502, "<html>", "!temp? retry=0"},
		{200, "{\"ok\":tr", "!temp? retry=0"},
	};
	struct world w;

	world_up(&w, state);
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		_cleanup_free_ char *want = xasprintf("sent %zu %s", i + 1, t[i].told);
		char chat[24];

		snprintf(chat, sizeof(chat), "%zu", i + 10);
		plan(&w, "sendMessage", ANSWER, t[i].status, t[i].answer);
		say(&w, &(struct outbound){.id = (int64_t)i + 1, .chat = chat, .body = "x"});
		await(&w, &w.n_sent, (int)i + 1);
		HAS(w.heard, want);
	}
	world_close(&w);
}

static void a_lost_answer_is_unsure(void **state)
{
	struct world w;

	world_up(&w, state);
	plan(&w, "sendMessage", CUT, 0, NULL);
	say(&w, &(struct outbound){.id = 1, .chat = "5", .body = "x"});
	await(&w, &w.n_sent, 1);
	HAS(w.heard, "sent 1 !temp? ");
	/* an edit may be made twice */
	plan(&w, "editMessageText", CUT, 0, NULL);
	say(&w, &(struct outbound){
			.id = 2, .chat = "6", .kind = OUTBOUND_EDIT, .target = "4", .body = "x"});
	await(&w, &w.n_sent, 2);
	HAS(w.heard, "sent 2 !temp ");
	/* nobody listens: it has not left. Once each was asked exactly once. */
	assert_int_equal(w.n_asked, 2);
	while (w.n_conns)
		http1_abort(w.conns[0]);
	listener_free(w.s);
	w.s = NULL;
	say(&w, &(struct outbound){.id = 3, .chat = "7", .body = "x"});
	await(&w, &w.n_sent, 3);
	HAS(w.heard, "sent 3 !temp ");
	world_close(&w);
}

static void what_can_be_mended_is(void **state)
{
	struct world w;

	world_up(&w, state);
	plan(&w, "sendMessage", ANSWER, 400,
	     NO(400, "Bad Request: can't parse entities: Unclosed tag", ""));
	say(&w, &(struct outbound){.id = 1, .chat = "5", .body = "<b>a &lt; b</i>"});
	await(&w, &w.n_sent, 1);
	HAS(w.log, "{\"chat_id\":5,\"text\":\"a < b\"}\n");
	HAS(w.heard, "sent 1 501");
	plan(&w, "sendMessage", ANSWER, 400, NO(400, "Bad Request: message thread not found", ""));
	say(&w, &(struct outbound){.id = 2, .chat = "-6", .thread = "12", .body = "x"});
	await(&w, &w.n_sent, 2);
	HAS(w.log, "{\"chat_id\":-6,\"text\":\"x\"");
	/* the draft that it was to replace is gone */
	plan(&w, "editMessageText", ANSWER, 400,
	     NO(400, "Bad Request: message to edit not found", ""));
	say(&w, &(struct outbound){.id = 3, .chat = "-7", .target = "88", .body = "y"});
	await(&w, &w.n_sent, 3);
	HAS(w.log, "editMessageText {\"chat_id\":-7,\"message_id\":88,\"text\":\"y\"");
	HAS(w.log, "sendMessage {\"chat_id\":-7,\"text\":\"y\"");
	HAS(w.heard, "sent 3 503");
	/* an edit of what is gone is no new message */
	plan(&w, "editMessageText", ANSWER, 400,
	     NO(400, "Bad Request: message to edit not found", ""));
	say(&w, &(struct outbound){
			.id = 4, .chat = "-8", .kind = OUTBOUND_EDIT, .target = "88", .body = "y"});
	await(&w, &w.n_sent, 4);
	HAS(w.heard, "sent 4 !inval ");
	plan(&w, "editMessageText", ANSWER, 400,
	     NO(400, "Bad Request: message is not modified: specified new message content", ""));
	say(&w, &(struct outbound){
			.id = 5, .chat = "-9", .kind = OUTBOUND_EDIT, .target = "88", .body = "y"});
	await(&w, &w.n_sent, 5);
	HAS(w.heard, "sent 5 88\n");
	world_close(&w);
}

static void questions_and_reactions(void **state)
{
	static const struct out_button b[] = {{"Yes", "q1:0"}, {"No \"way\"", "q1:1"}};
	struct world w;

	world_up(&w, state);
	say(&w, &(struct outbound){.id = 1,
				   .chat = "5",
				   .kind = OUTBOUND_ASK,
				   .body = "Go?",
				   .buttons = b,
				   .n_buttons = 2});
	say(&w, &(struct outbound){.id = 2,
				   .chat = "6",
				   .kind = OUTBOUND_REACTION,
				   .target = "31/e20.12",
				   .emoji = "\u2764\ufe0f"});
	say(&w,
	    &(struct outbound){.id = 3, .chat = "7", .kind = OUTBOUND_REACTION, .target = "32"});
	await(&w, &w.n_sent, 3);
	HAS(w.log,
	    "\"reply_markup\":{\"inline_keyboard\":[[{\"text\":\"Yes\",\"callback_data\":\"q1:0\"}],"
	    "[{\"text\":\"No \\\"way\\\"\",\"callback_data\":\"q1:1\"}]]}}\n");
	HAS(w.log,
	    "setMessageReaction {\"chat_id\":6,\"message_id\":31,\"reaction\":[{\"type\":\"emoji\","
	    "\"emoji\":\"\u2764\"}]}\n");
	HAS(w.log, "setMessageReaction {\"chat_id\":7,\"message_id\":32,\"reaction\":[]}\n");
	world_close(&w);
}

static char *make_file(struct world *w, const char *name, size_t n)
{
	char *path = xasprintf("%s/%s", w->f->dir, name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	for (size_t i = 0; i < n; i++)
		fputc('a' + (int)(i % 26), f);
	fclose(f);
	return path;
}

static void files_go_as_what_they_are(void **state)
{
	_cleanup_free_ char *path = NULL, *caption = NULL;
	struct out_file f = {.name = "my \"cat\".png", .mime = "image/png", .size = 200000};
	struct world w;

	world_up(&w, state);
	f.path = path = make_file(&w, "cat", 200000);
	plan(&w, "sendPhoto", ANSWER, 400, NO(400, "Bad Request: PHOTO_INVALID_DIMENSIONS", ""));
	say(&w, &(struct outbound){.id = 1,
				   .chat = "-5",
				   .thread = "11",
				   .kind = OUTBOUND_FILE,
				   .file = &f,
				   .body = "<i>see</i>"});
	await(&w, &w.n_sent, 1);
	HAS(w.heard, "sent 1 501\n");
	HAS(w.log, "sendPhoto --");
	HAS(w.log, "sendDocument --");
	HAS(w.log, "name=\"chat_id\"\r\n\r\n-5\r\n");
	HAS(w.log, "name=\"message_thread_id\"\r\n\r\n11\r\n");
	HAS(w.log, "name=\"caption\"\r\n\r\n<i>see</i>\r\n");
	HAS(w.log,
	    "name=\"document\"; filename=\"my %22cat%22.png\"\r\nContent-Type: image/png\r\n\r\nabcdef");
	assert_true(w.log.len > 400000);
	buf_reset(&w.log);
	/* more than a caption holds: the words follow */
	caption = xcalloc(1, TG_CAPTION_MAX + 2);
	memset(caption, 'w', TG_CAPTION_MAX + 1);
	f = (struct out_file){.path = path, .name = "v.ogg", .mime = "audio/ogg"};
	say(&w, &(struct outbound){
			.id = 2, .chat = "6", .kind = OUTBOUND_FILE, .file = &f, .body = caption});
	await(&w, &w.n_sent, 2);
	HAS(w.log, "sendVoice");
	HAS_NOT(w.log, "name=\"caption\"");
	HAS(w.log, "sendMessage {\"chat_id\":6,\"text\":\"www");
	HAS(w.heard, "sent 2 502\n");
	/* what cannot be sent */
	f.path = "/nonexistent/x";
	say(&w, &(struct outbound){.id = 3, .chat = "7", .kind = OUTBOUND_FILE, .file = &f});
	await(&w, &w.n_sent, 3);
	HAS(w.heard, "sent 3 !inval ");
	world_close(&w);
}

static void on_verdict(void *ctx, const struct tg_reply *r)
{
	struct world *w = ctx;

	w->n_sent++;
	buf_putf(&w->heard, "verdict %s%s\n", err_word(r->why.code), r->unsure ? "?" : "");
}

static void a_file_that_shrinks_is_not_sent(void **state)
{
	_cleanup_free_ char *path = NULL;
	struct world w;
	struct tg_body b;
	struct out_file f = {.name = "x", .mime = ""};
	struct err e = ERR_INIT;

	world_up(&w, state);
	path = make_file(&w, "short", 10);
	tg_form(&b);
	tg_form_file(&b, "document", &f, open(path, O_RDONLY | O_CLOEXEC), 5000);
	assert_non_null(tg_call(w.t, "sendDocument", &b, &(struct tg_opts){0}, on_verdict, &w, &e));
	await(&w, &w.n_sent, 1);
	HAS(w.heard, "verdict inval\n");
	HAS_NOT(w.log, "sendDocument");
	/* given up at the very moment */
	tg_form(&b);
	tg_form_file(&b, "document", &f, open(path, O_RDONLY | O_CLOEXEC), 5000);
	assert_non_null(tg_call(w.t, "sendDocument", &b, &(struct tg_opts){0}, on_verdict, &w, &e));
	world_close(&w);
}

static void rates_hold_rows_back(void **state)
{
	struct world w;
	int64_t begun;

	world_up(&w, state);
	begun = loop_now(w.f->l);
	for (int i = 1; i <= PACE_BURST + 1; i++) {
		say(&w, &(struct outbound){.id = i, .chat = "5", .body = "x"});
		await(&w, &w.n_sent, i);
	}
	assert_in_range(loop_now(w.f->l) - begun, PACE_CHAT_MS - 20, 10 * PACE_CHAT_MS);
	/* others do not wait */
	begun = loop_now(w.f->l);
	say(&w, &(struct outbound){.id = 20, .chat = "5", .body = "x"});
	say(&w, &(struct outbound){.id = 21, .chat = "6", .body = "x"});
	await(&w, &w.n_sent, PACE_BURST + 2);
	HAS(w.heard, "sent 21");
	HAS_NOT(w.heard, "sent 20");
	world_close(&w);
}

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
	assert_null(w.t->lives);
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
	assert_null(w.t->lives);
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
	assert_null(w.t->lives);
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
	HAS(w.heard, "fetched 2 0 application/json limit\n");
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
	HAS(w.heard, "fetched 6 0 application/json gone\n");
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
		FIX_TEST(text_goes_as_html),
		FIX_TEST(what_is_wrong_is_refused_at_once),
		FIX_TEST(verdicts),
		FIX_TEST(a_lost_answer_is_unsure),
		FIX_TEST(what_can_be_mended_is),
		FIX_TEST(questions_and_reactions),
		FIX_TEST(files_go_as_what_they_are),
		FIX_TEST(a_file_that_shrinks_is_not_sent),
		FIX_TEST(rates_hold_rows_back),
		FIX_TEST(private_drafts_come_before_the_answer),
		FIX_TEST(a_server_without_drafts_is_not_asked_again),
		FIX_TEST(group_drafts_are_messages),
		FIX_TEST(a_draft_that_comes_too_late_is_taken_back),
		FIX_TEST(drafts_leave_room_for_answers),
		FIX_TEST(typing_goes_on_until_the_end),
		FIX_TEST(files_are_fetched),
		FIX_TEST(a_fetch_can_be_given_up),
		FIX_TEST(closes_with_everything_under_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
