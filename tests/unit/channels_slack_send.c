// SPDX-License-Identifier: Apache-2.0
/* The Slack channel on a strict fake of Slack: what goes out, and what is done when the answer to it gets lost. */
#include "channels_slack_rig.h"

#define FROM_BOT "\"chat\":\"" GENERAL "\",\"from\":\"bot\""

/* How many messages of ours stand in GENERAL; the answer is left for PEEK. */
static size_t ours(struct world *w)
{
	order(w, "messages", "{" FROM_BOT "}");
	return (size_t)cJSON_GetArraySize(json_find(w->answer, "messages"));
}

static void root(struct world *w, char ts[64])
{
	INJECT(w, ts, "{\"do\":\"message\",\"chat\":\"" GENERAL "\",\"text\":\"root\"}");
}

static void text_edit_and_reaction(void **state)
{
	struct world w;
	struct err e = ERR_INIT;
	char ts[64], id[64];

	world_up(&w, state);
	root(&w, ts);
	SAY(&w, .kind = OUTBOUND_TEXT, .body = "a &amp; b *c*", .thread = ts);
	str_copy(id, sizeof(id), w.sent_id);
	assert_int_equal(ours(&w), 1);
	assert_string_equal(PEEK(&w, "messages.0.id"), id);
	assert_string_equal(PEEK(&w, "messages.0.thread"), ts);
	assert_string_equal(PEEK(&w, "messages.0.key"), "0123456789abcdef0123456789abcdef");
	SAY(&w, .kind = OUTBOUND_EDIT, .body = "other", .target = id);
	SAY(&w, .kind = OUTBOUND_REACTION, .target = ts, .emoji = "\xf0\x9f\x91\x80");
	SAY(&w, .kind = OUTBOUND_REACTION, .target = ts, .emoji = "\xf0\x9f\x91\x80"); /* already */
	SAY(&w, .kind = OUTBOUND_REACTION, .target = ts, .emoji = "\xf0\x9f\x8e\x89");
	order(&w, "messages", "{\"chat\":\"" GENERAL "\"}");
	assert_string_equal(PEEK(&w, "messages.0.reactions.eyes.0"), "U0CHELABOT");
	assert_string_equal(PEEK(&w, "messages.0.reactions.tada.0"), "U0CHELABOT");
	assert_string_equal(PEEK(&w, "messages.1.text"), "other");
	assert_string_equal(w.sent_id, ts);
	SAY(&w, .kind = OUTBOUND_REACTION, .target = ts, .emoji = "");
	order(&w, "messages", "{\"chat\":\"" GENERAL "\"}");
	assert_null(json_find(json_find(w.answer, "messages.0.reactions"), "eyes"));
	assert_null(json_find(json_find(w.answer, "messages.0.reactions"), "tada"));
	assert_err(say(&w,
		       &(struct outbound){.kind = OUTBOUND_REACTION,
					  .target = ts,
					  .emoji = "\xf0\x9f\xa6\xa7"},
		       &e),
		   &e, E_INVAL, "is not known here");
	world_close(&w, false);
}

static void question_has_buttons_until_it_is_edited(void **state)
{
	const struct out_button b[] = {{"Yes", "b1"}, {"No", "b2"}};
	struct world w;
	char *body = xmalloc(4000);

	/* longer than one section; a link must not be cut */
	memset(body, 'x', 2990);
	snprintf(body + 2990, 1000,
		 " <https://example.org/|a link that crosses the border> &amp; so on");
	world_up(&w, state);
	SAY(&w, .kind = OUTBOUND_ASK, .body = body, .buttons = b, .n_buttons = 2);
	assert_int_equal(ours(&w), 1);
	assert_string_equal(PEEK(&w, "messages.0.buttons.1.label"), "No");
	assert_string_equal(PEEK(&w, "messages.0.buttons.1.value"), "b2");
	SAY(&w, .kind = OUTBOUND_EDIT, .body = "Yes it is", .target = w.sent_id);
	assert_int_equal(ours(&w), 1);
	assert_string_equal(PEEK(&w, "messages.0.text"), "Yes it is");
	assert_null(json_find(w.answer, "messages.0.buttons.0"));
	free(body);
	world_close(&w, false);
}

static void file_goes_out(void **state)
{
	struct world w;
	char path[96], ts[64];
	struct out_file file = {path, "report.txt", "text/plain", 9};
	FILE *f;

	world_up(&w, state);
	root(&w, ts);
	snprintf(path, sizeof(path), "%s/out", w.f->dir);
	f = fopen(path, "w");
	fputs("ten legs\n", f);
	fclose(f);
	SAY(&w, .kind = OUTBOUND_FILE, .body = "as asked", .file = &file, .thread = ts);
	assert_int_equal(ours(&w), 1);
	assert_string_equal(PEEK(&w, "messages.0.text"), "as asked");
	assert_string_equal(PEEK(&w, "messages.0.files.0.name"), "report.txt");
	assert_int_equal(json_peek_i64(w.answer, "messages.0.files.0.size", 0), 9);
	assert_string_equal(PEEK(&w, "messages.0.id"), w.sent_id); /* so it can be edited */
	/* The last step's answer is lost: looked for by name and size, not sent again. */
	order(&w, "fault", "{\"method\":\"files.completeUploadExternal\",\"do\":\"lost\"}");
	SAY(&w, .kind = OUTBOUND_FILE, .file = &(struct out_file){path, "two.txt", "text/plain", 9},
	    .key = "11111111111111111111111111111111");
	HAS(w.heard, "!temp? ");
	SAY(&w, .kind = OUTBOUND_FILE, .file = &(struct out_file){path, "two.txt", "text/plain", 9},
	    .key = "11111111111111111111111111111111", .again = true);
	assert_int_equal(ours(&w), 2);
	/* It changed on the way. */
	file.size = 10;
	SAY(&w, .kind = OUTBOUND_FILE, .file = &file);
	HAS(w.heard, "!io retry=0 the file report.txt cannot be read any more");
	world_close(&w, false);
}

static void lost_answer_is_looked_for(void **state)
{
	static const char *const faults[] = {"lost", "torn"};
	struct world w;
	char ts[64], key[33];

	world_up(&w, state);
	root(&w, ts);
	for (size_t i = 0; i < 4; i++) {
		const char *thread = i < 2 ? ts : "";

		snprintf(key, sizeof(key), "%032zu", i);
		buf_reset(&w.heard);
		ORDER(&w, "fault", "{\"method\":\"chat.postMessage\",\"do\":\"%s\"}",
		      faults[i % 2]);
		struct outbound o = {.kind = OUTBOUND_TEXT, .body = "once", .thread = thread};
		str_copy(o.key, sizeof(o.key), key);
		struct err e = ERR_INIT;
		int had = w.n_sent;
		assert_ok(say(&w, &o, &e), &e);
		await(&w, &w.n_sent, had + 1);
		HAS(w.heard, "!temp? ");
		o.again = true;
		assert_ok(say(&w, &o, &e), &e);
		await(&w, &w.n_sent, had + 2);
		HAS(w.heard, "sent 1 ok");
		assert_int_equal(ours(&w), i + 1);
		assert_string_equal(
			json_peek_str(cJSON_GetArrayItem(json_find(w.answer, "messages"), (int)i),
				      "id"),
			w.sent_id);
	}
	/* Not done: the look finds nothing, and it is sent. */
	order(&w, "fault", "{\"method\":\"chat.postMessage\",\"do\":\"drop\"}");
	SAY(&w, .kind = OUTBOUND_TEXT, .body = "twice tried", .thread = ts);
	HAS(w.heard, "!temp? ");
	SAY(&w, .kind = OUTBOUND_TEXT, .body = "twice tried", .thread = ts, .again = true);
	assert_int_equal(ours(&w), 5);
	/* The look itself fails: still unsure, and nothing is sent. */
	order(&w, "fault", "{\"method\":\"conversations.replies\",\"do\":\"http\"}");
	buf_reset(&w.heard);
	SAY(&w, .kind = OUTBOUND_TEXT, .body = "again", .thread = ts, .again = true,
	    .key = "99999999999999999999999999999999");
	HAS(w.heard, "!temp? retry=0 Slack: conversations.replies: HTTP 500");
	assert_int_equal(ours(&w), 5);
	world_close(&w, false);
}

static void errors_have_classes(void **state)
{
	struct world w;

	world_up(&w, state);
	order(&w, "fault", "{\"method\":\"chat.postMessage\",\"do\":\"limit\",\"retry_after\":3}");
	SAY(&w, .kind = OUTBOUND_TEXT, .body = "x");
	HAS(w.heard, "sent 1 !limit retry=3000 ");
	assert_true(w.s->blocked[SLACK_POST] > 0);
	w.s->blocked[SLACK_POST] = 0;
	SAY(&w, .kind = OUTBOUND_TEXT, .body = "x", .chat = "C00NOWHERE");
	HAS(w.heard, "sent 1 !gone retry=0 Slack: chat.postMessage: channel_not_found");
	order(&w, "fault",
	      "{\"method\":\"chat.postMessage\",\"do\":\"error\",\"error\":\"missing_scope\"}");
	SAY(&w, .kind = OUTBOUND_TEXT, .body = "x", .chat = "C000RANDOM");
	HAS(w.heard, "sent 1 !auth retry=0 Slack: chat.postMessage: missing_scope: add the scope");
	order(&w, "fault",
	      "{\"method\":\"chat.postMessage\",\"do\":\"error\",\"error\":\"msg_too_long\"}");
	SAY(&w, .kind = OUTBOUND_TEXT, .body = "x", .chat = "D0000ALICE");
	HAS(w.heard, "sent 1 !inval retry=0 ");
	/* A dead token is nobody's message's fault: the row waits, the channel says what to do. */
	order(&w, "fault",
	      "{\"method\":\"chat.postMessage\",\"do\":\"error\",\"error\":\"token_revoked\"}");
	buf_reset(&w.heard);
	SAY(&w, .kind = OUTBOUND_TEXT, .body = "x", .chat = "D000000BOB");
	HAS(w.heard, "sent 1 !temp retry=0 ");
	await(&w, &w.n_states, w.n_states + (strstr(w.heard.p, "stuck") ? 0 : 1));
	HAS(w.heard, "stuck Slack: chat.postMessage: token_revoked: make a new token");
	world_close(&w, false);
}

static void answers_keep_one_a_second(void **state)
{
	struct world w;
	int64_t began;

	world_up(&w, state);
	began = loop_now(w.f->l);
	SAY(&w, .kind = OUTBOUND_TEXT, .body = "1");
	SAY(&w, .kind = OUTBOUND_TEXT, .body = "x", .chat = ALICE); /* another chat does not wait */
	assert_true(loop_now(w.f->l) - began < 1000);
	SAY(&w, .kind = OUTBOUND_TEXT, .body = "2");
	assert_true(loop_now(w.f->l) - began >= 1000);
	world_close(&w, false);
}

/* --- drafts ---------------------------------------------------------------------------------- */

static void show(struct world *w, const char *chat, const char *thread, const char *id,
		 const char *text)
{
	slack_ops.draft(&w->c, &(struct draft){.chat = chat,
					       .thread = thread,
					       .reply_to = thread,
					       .sender = "U0000ALICE",
					       .id = id,
					       .text = text,
					       .body = text});
}

static void answer_grows_as_a_stream(void **state)
{
	struct world w;
	char ts[64];

	world_up(&w, state);
	root(&w, ts);
	show(&w, GENERAL, ts, "", "one");
	await(&w, &w.n_drafts, 1);
	show(&w, GENERAL, ts, w.draft_id, "one two");
	WAIT(&w, "{" FROM_BOT ",\"text\":\"one two\"}");
	assert_string_equal(PEEK(&w, "messages.0.method"), "chat.startStream");
	assert_string_equal(PEEK(&w, "messages.0.thread"), ts);
	WAIT(&w, "{\"what\":\"calls\",\"method\":\"chat.appendStream\"}");
	show(&w, GENERAL, ts, w.draft_id, "one two three");
	/* The final text waits for the piece that is out, ends the stream, and takes its place. */
	SAY(&w, .kind = OUTBOUND_TEXT, .body = "One, two, three &amp; done.", .thread = ts,
	    .target = w.draft_id);
	assert_string_equal(w.sent_id, w.draft_id);
	assert_int_equal(ours(&w), 1);
	assert_string_equal(PEEK(&w, "messages.0.text"), "One, two, three &amp; done.");
	assert_string_equal(PEEK(&w, "messages.0.key"), "0123456789abcdef0123456789abcdef");
	assert_true(cJSON_IsFalse(json_find(w.answer, "messages.0.streaming")));
	assert_true(LIST_EMPTY(&w.s->drafts));
	world_close(&w, false);
}

static void draft_mentions_nobody(void **state)
{
	struct world w;
	char ts[64];

	world_up(&w, state);
	root(&w, ts);
	show(&w, GENERAL, ts, "", "a < b <!channel> <");
	await(&w, &w.n_drafts, 1);
	show(&w, GENERAL, ts, w.draft_id, "a < b <!channel> <!here> <https://x.org>");
	WAIT(&w, "{" FROM_BOT ",\"text\":\"a < b &lt;!channel> &lt;!here> <https://x.org>\"}");
	world_close(&w, false);
}

static void answer_grows_by_edits_where_there_are_no_streams(void **state)
{
	struct world w;
	char ts[64];

	world_up(&w, state);
	root(&w, ts);
	ORDER(&w, "limits", "{\"streams\":false}");
	show(&w, GENERAL, ts, "", "one");
	WAIT(&w, "{\"what\":\"calls\",\"method\":\"chat.startStream\"}");
	while (!LIST_EMPTY(&w.s->drafts))
		order(&w, "stats", "{}"); /* a turn of the loop or two */
	show(&w, GENERAL, ts, "", "one two");
	await(&w, &w.n_drafts, 1);
	show(&w, GENERAL, ts, w.draft_id, "one two three");
	WAIT(&w, "{" FROM_BOT ",\"text\":\"one two three\"}");
	assert_string_equal(PEEK(&w, "messages.0.method"), "chat.postMessage");
	SAY(&w, .kind = OUTBOUND_TEXT, .body = "done", .thread = ts, .target = w.draft_id);
	assert_int_equal(ours(&w), 1);
	assert_string_equal(PEEK(&w, "messages.0.text"), "done");
	world_close(&w, false);
}

static void draft_in_the_making_is_never_left_behind(void **state)
{
	struct world w;
	char ts[64];

	world_up(&w, state);
	root(&w, ts);
	/* The final text comes while the beginning is out. */
	show(&w, GENERAL, ts, "", "one");
	SAY(&w, .kind = OUTBOUND_TEXT, .body = "done 1", .thread = ts);
	assert_int_equal(ours(&w), 1);
	assert_string_equal(PEEK(&w, "messages.0.text"), "done 1");
	/* The answer to the beginning is lost: a stream ... */
	order(&w, "fault", "{\"method\":\"chat.startStream\",\"do\":\"lost\"}");
	show(&w, GENERAL, ts, "", "two");
	SAY(&w, .kind = OUTBOUND_TEXT, .body = "done 2", .thread = ts,
	    .key = "22222222222222222222222222222222");
	assert_int_equal(ours(&w), 2);
	assert_string_equal(PEEK(&w, "messages.1.text"), "done 2");
	/* ... and a message. */
	order(&w, "fault", "{\"method\":\"chat.postMessage\",\"do\":\"lost\"}");
	show(&w, ALICE, "", "", "three");
	SAY(&w, .kind = OUTBOUND_TEXT, .body = "done 3", .chat = ALICE,
	    .key = "33333333333333333333333333333333");
	order(&w, "messages", "{\"chat\":\"" ALICE "\",\"from\":\"bot\"}");
	assert_int_equal(cJSON_GetArraySize(json_find(w.answer, "messages")), 1);
	assert_string_equal(PEEK(&w, "messages.0.text"), "done 3");
	world_close(&w, false);
}

static void draft_that_is_gone_is_posted_anew(void **state)
{
	struct world w;
	char ts[64];

	world_up(&w, state);
	root(&w, ts);
	show(&w, GENERAL, ts, "", "one");
	await(&w, &w.n_drafts, 1);
	ORDER(&w, "inject", "{\"do\":\"delete\",\"chat\":\"" GENERAL "\",\"id\":\"%s\"}",
	      w.draft_id);
	SAY(&w, .kind = OUTBOUND_TEXT, .body = "done", .thread = ts, .target = w.draft_id);
	assert_int_equal(ours(&w), 1);
	assert_string_equal(PEEK(&w, "messages.0.text"), "done");
	/* After a restart nobody knows that the draft is a stream. */
	show(&w, GENERAL, ts, "", "two");
	await(&w, &w.n_drafts, 2);
	slack_draft_close(w.s);
	SAY(&w, .kind = OUTBOUND_TEXT, .body = "done 2", .thread = ts, .target = w.draft_id,
	    .key = "22222222222222222222222222222222");
	assert_int_equal(ours(&w), 2);
	assert_string_equal(PEEK(&w, "messages.1.text"), "done 2");
	world_close(&w, true); /* an update of a running stream is one on purpose */
}

static void status_line_says_what_goes_on(void **state)
{
	struct world w;
	char ts[64];

	world_up(&w, state);
	root(&w, ts);
	slack_ops.progress(&w.c, GENERAL, ts, PROGRESS_START, "");
	slack_ops.progress(&w.c, GENERAL, "", PROGRESS_START, ""); /* top level: there is no line */
	WAIT(&w, "{\"what\":\"signs\",\"kind\":\"status\",\"text\":\"is thinking...\"}");
	assert_string_equal(PEEK(&w, "signs.0.thread"), ts);
	slack_ops.progress(&w.c, GENERAL, ts, PROGRESS_TOOL, "reads a file");
	slack_ops.progress(&w.c, GENERAL, ts, PROGRESS_TOOL, "runs a command");
	WAIT(&w, "{\"what\":\"signs\",\"kind\":\"status\",\"text\":\"runs a command\"}");
	slack_ops.progress(&w.c, GENERAL, ts, PROGRESS_END, "");
	WAIT(&w, "{\"what\":\"signs\",\"kind\":\"status\",\"count\":3}");
	assert_string_equal(PEEK(&w, "signs.2.text"), "");
	world_close(&w, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIX_TEST(text_edit_and_reaction),
		FIX_TEST(question_has_buttons_until_it_is_edited),
		FIX_TEST(file_goes_out),
		FIX_TEST(lost_answer_is_looked_for),
		FIX_TEST(errors_have_classes),
		FIX_TEST(answers_keep_one_a_second),
		FIX_TEST(answer_grows_as_a_stream),
		FIX_TEST(draft_mentions_nobody),
		FIX_TEST(answer_grows_by_edits_where_there_are_no_streams),
		FIX_TEST(draft_in_the_making_is_never_left_behind),
		FIX_TEST(draft_that_is_gone_is_posted_anew),
		FIX_TEST(status_line_says_what_goes_on),
	};

	return cmocka_run_group_tests_name("channels_slack_send", tests, NULL, NULL);
}
