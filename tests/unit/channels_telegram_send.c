// SPDX-License-Identifier: Apache-2.0
/*
 * What leaves for Telegram, and what its verdicts mean: texts, edits, reactions, questions, files; against a Bot API in this
 * process.
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
	/* what is to be edited is a file's caption */
	plan(&w, "editMessageText", ANSWER, 400,
	     NO(400, "Bad Request: there is no text in the message to edit", ""));
	say(&w, &(struct outbound){
			.id = 6, .chat = "-9", .kind = OUTBOUND_EDIT, .target = "89", .body = "z"});
	await(&w, &w.n_sent, 6);
	HAS(w.log,
	    "editMessageCaption {\"chat_id\":-9,\"message_id\":89,\"caption\":\"z\",\"parse_mode\":\"HTML\"}\n");
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
