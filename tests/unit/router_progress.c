// SPDX-License-Identifier: Apache-2.0
/* Signs of life: drafts at the channel's pace, tools in words, what a group may switch off, and no draft in the way of an answer. */
#include "router_tools_rig.h"
#include "router/settings.h"

static void agent_text(struct box *b, const char *text)
{
	struct buf l = {0};

	buf_puts(&l, "{\"type\":\"stream_event\",\"event\":{\"type\":\"content_block_delta\","
		     "\"delta\":{\"type\":\"text_delta\",\"text\":");
	json_put_str(&l, text, strlen(text));
	buf_puts(&l, "}}}");
	agent_says(b, l.p);
	buf_free(&l);
}

static void agent_tool(struct box *b, const char *command)
{
	struct buf l = {0};

	buf_puts(&l, "{\"type\":\"assistant\",\"message\":{\"content\":[{\"type\":\"tool_use\","
		     "\"name\":\"Bash\",\"input\":{\"command\":");
	json_put_str(&l, command, strlen(command));
	buf_puts(&l, "}}]}}");
	agent_says(b, l.p);
	buf_free(&l);
}

static void drawn(const char *body)
{
	assert_true(platform.n_drafts > 0);
	assert_string_equal(platform.drafts[platform.n_drafts - 1].body, body);
}

static void a_draft_grows_at_the_channels_pace(void **state)
{
	struct house *h = tools_house(state);
	struct box *b = busy(h);

	for (int i = 0; i < 20; i++)
		agent_text(b, "word ");
	await(h, &platform.n_drafts, 1);
	drawn("word word word word word word word word word word word word word word word word word "
	      "word word word");
	assert_string_equal(platform.drafts[0].id, "");
	assert_string_equal(platform.drafts[0].reply_to, "m1");
	assert_string_equal(platform.drafts[0].sender, "U1");
	channel_on_draft(platform.chan, "room", "", "d1");
	agent_text(b, "<inter");
	agent_text(b, "nal>hidden</internal>end");
	await(h, &platform.n_drafts, 2);
	assert_true(platform.drafts[1].at_ms - platform.drafts[0].at_ms >= 50);
	assert_string_equal(platform.drafts[1].id, "d1");
	settle(h);
	assert_int_equal(platform.n_drafts, 2); /* nothing new, nothing drawn */
	answer(b, 0, "the whole answer");
	await(h, &platform.n, 1);
	assert_string_equal(platform.sent[0].target, "d1");
	settle(h);
	/* The next turn has a draft of its own, also when the same id is told once more, late. */
	channel_on_draft(platform.chan, "room", "", "d1");
	hear(h, "m2", "more");
	await(h, &h->n_lines, 2);
	lifecycle(b, b->lines[1].uuid, "started");
	agent_text(b, "second");
	await(h, &platform.n_drafts, 3);
	assert_string_equal(platform.drafts[2].id, "");
	assert_string_equal(platform.drafts[2].reply_to, "m2");
	drawn("second");
}

static void a_tool_is_told_in_words(void **state)
{
	struct house *h = tools_house(state);
	struct box *b = busy(h);

	agent_text(b, "I look.");
	agent_tool(b, "ls *.c\nrm x");
	await(h, &platform.n_drafts, 1);
	drawn("I look.\n\n… Runs: ls *.c rm x");
	agent_tool(b, "curl -H 'Authorization: Bearer abcdefghijklmnop0123456789'");
	await(h, &platform.n_drafts, 2);
	assert_null(strstr(platform.drafts[1].body, "abcdefghijklmnop"));
	assert_null(strstr(platform.progress, "abcdefghijklmnop"));
	agent_text(b, "Found.");
	await(h, &platform.n_drafts, 3);
	drawn("Found.");
	assert_non_null(strstr(platform.progress, "start tool:Runs: ls *.c rm x tool:Runs: curl "));
	answer(b, 0, "Found.");
	await(h, &platform.n, 1);
	settle(h);
	assert_non_null(strstr(platform.progress, " end "));
}

/* Somebody presses an old button while the answer grows: the draft is the answer's. */
static void a_notice_by_the_way_leaves_the_draft(void **state)
{
	struct house *h = tools_house(state);
	struct box *b = busy(h);
	struct err e = ERR_INIT;
	struct chat_row room;

	assert_ok(store_chat_find(h->st, "plat", "room", &room, &e), &e);
	agent_text(b, "the beginning");
	await(h, &platform.n_drafts, 1);
	channel_on_draft(platform.chan, "room", "", "d1");
	delivery_notice(h->router, room.id, room.group_id, "", "by the way");
	await(h, &platform.n, 1);
	assert_string_equal(platform.sent[0].body, "by the way");
	assert_string_equal(platform.sent[0].target, "");
	answer(b, 0, "the beginning and the end");
	await(h, &platform.n, 2);
	assert_string_equal(platform.sent[1].target, "d1");
}

/* A turn that ends while the platform is away: whoever shows typing must hear of the end. */
static void an_end_is_told_to_a_channel_that_is_down(void **state)
{
	struct house *h = tools_house(state);
	struct box *b = busy(h);

	assert_non_null(strstr(platform.progress, "start "));
	channel_on_state(platform.chan, CHANNEL_DOWN, "away", 60000);
	answer(b, 0, "done");
	settle(h);
	assert_non_null(strstr(platform.progress, " end "));
}

static void only_the_first_part_is_drawn(void **state)
{
	struct house *h = tools_house(state);
	struct box *b = busy(h);

	for (int i = 0; i < 100; i++)
		agent_text(b, "many words come ");
	await(h, &platform.n_drafts, 1);
	assert_in_range(strlen(platform.drafts[0].body), 100, 200);
	agent_text(b, "and more");
	settle(h);
	assert_int_equal(platform.n_drafts, 1); /* it would show the same */
}

static void a_group_may_switch_off(void **state)
{
	struct house *h = tools_house(state);
	struct err e = ERR_INIT;
	struct box *b;

	assert_ok(settings_set(h->router, 1, "drafts", "off", &e), &e);
	assert_ok(settings_set(h->router, 1, "typing", "off", &e), &e);
	b = busy(h);
	agent_text(b, "I look.");
	agent_tool(b, "ls");
	answer(b, 0, "done");
	await(h, &platform.n, 1);
	settle(h);
	assert_string_equal(platform.progress, "tool:Runs: ls end ");
	assert_int_equal(platform.n_drafts, 0);
	assert_ok(settings_set(h->router, 1, "tools", "off", &e), &e);
	assert_ok(settings_set(h->router, 1, "drafts", "on", &e), &e);
	hear(h, "m2", "more");
	await(h, &h->n_lines, 2);
	agent_text(b, "I look.");
	agent_tool(b, "ls");
	await(h, &platform.n_drafts, 1);
	drawn("I look.");
	agent_text(b, "Found.");
	await(h, &platform.n_drafts, 2);
	drawn("Found.");
	assert_string_equal(platform.progress, "tool:Runs: ls end ");
}

/* The answer may just be taking the draft's place. */
static void nothing_is_drawn_while_something_is_sent(void **state)
{
	struct house *h = tools_house(state);
	struct box *b;

	platform.hold = true;
	b = busy(h);
	works(h, b, "send_message", "{\"text\":\"news\"}", "Queued");
	await(h, &platform.n, 1);
	agent_text(b, "text");
	settle_ms(h, 1000);
	assert_int_equal(platform.n_drafts, 0);
	delivered(0);
	await(h, &platform.n_drafts, 1);
	drawn("text");
}

/* A turn that says nothing must not leave its draft as if it were the answer. */
static void a_draft_does_not_stay_for_good(void **state)
{
	struct house *h = tools_house(state);
	struct box *b = busy(h);

	works(h, b, "send_message", "{\"text\":\"news\"}", "Queued");
	await(h, &platform.n, 1);
	agent_tool(b, "ls");
	await(h, &platform.n_drafts, 1);
	channel_on_draft(platform.chan, "room", "", "d1");
	answer(b, 0, "");
	await(h, &platform.n, 2);
	assert_string_equal(platform.sent[1].target, "d1");
	assert_string_equal(platform.sent[1].body, "Done, without words.");
}

/* After a crash of the sandbox the message is tried again, and its draft goes on. */
static void a_second_try_goes_on_with_the_draft(void **state)
{
	struct house *h = tools_house(state);
	struct box *b = busy(h);

	agent_text(b, "first try");
	await(h, &platform.n_drafts, 1);
	channel_on_draft(platform.chan, "room", "", "d1");
	agent_dies(b, "gone");
	await(h, &h->n_lines, 2);
	lifecycle(h->boxes[1], h->boxes[1]->lines[0].uuid, "started");
	agent_text(h->boxes[1], "second try");
	await(h, &platform.n_drafts, 2);
	drawn("second try");
	assert_string_equal(platform.drafts[1].id, "d1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TOOL_TEST(a_draft_grows_at_the_channels_pace),
		TOOL_TEST(a_tool_is_told_in_words),
		TOOL_TEST(an_end_is_told_to_a_channel_that_is_down),
		TOOL_TEST(a_notice_by_the_way_leaves_the_draft),
		TOOL_TEST(only_the_first_part_is_drawn),
		TOOL_TEST(a_group_may_switch_off),
		TOOL_TEST(nothing_is_drawn_while_something_is_sent),
		TOOL_TEST(a_draft_does_not_stay_for_good),
		TOOL_TEST(a_second_try_goes_on_with_the_draft),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
