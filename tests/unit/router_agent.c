// SPDX-License-Identifier: Apache-2.0
/* What each kind of line of the agent means (as Claude Code 2.1 writes them), and what is not for the chat. */
#include "unit.h"
#include <time.h>
#include "base/str.h"
#include "router/agent.h"

#define U "11111111-1111-4111-8111-111111111111"

static const struct {
	const char *line;
	enum agent_event_kind kind;
	const char *text, *uuid;
	int uuids; /* -1 = NULL */
	bool is_error, aborted, unknown_session;
} table[] = {
	{"{\"type\":\"command_lifecycle\",\"command_uuid\":\"" U "\",\"state\":\"queued\"}",
	 AGENT_OTHER, NULL, U, -1, 0, 0, 0},
	{"{\"type\":\"command_lifecycle\",\"command_uuid\":\"" U "\",\"state\":\"started\"}",
	 AGENT_STARTED, NULL, U, -1, 0, 0, 0},
	{"{\"state\":\"completed\",\"command_uuid\":\"" U "\",\"type\":\"command_lifecycle\"}",
	 AGENT_COMPLETED, NULL, U, -1, 0, 0, 0},
	{"{\"type\":\"command_lifecycle\",\"command_uuid\":\"" U "\",\"state\":\"cancelled\"}",
	 AGENT_CANCELLED, NULL, U, -1, 0, 0, 0},
	{"{\"type\":\"command_lifecycle\",\"command_uuid\":7,\"state\":\"started\"}", AGENT_OTHER,
	 NULL, NULL, -1, 0, 0, 0},
	{"{\"type\":\"stream_event\",\"event\":{\"type\":\"content_block_delta\",\"delta\":{\"type\":"
	 "\"text_delta\",\"text\":\"hi\"}},\"parent_tool_use_id\":null}",
	 AGENT_TEXT, "hi", NULL, -1, 0, 0, 0},
	{"{\"type\":\"stream_event\",\"event\":{\"type\":\"content_block_delta\",\"delta\":{\"text\":"
	 "\"hi\"}},\"parent_tool_use_id\":\"toolu_1\"}",
	 AGENT_OTHER, NULL, NULL, -1, 0, 0, 0},
	{"{\"type\":\"stream_event\",\"event\":{\"type\":\"message_start\"}}", AGENT_OTHER, NULL,
	 NULL, -1, 0, 0, 0},
	{"{\"type\":\"assistant\",\"message\":{\"content\":[{\"type\":\"text\",\"text\":\"x\"},{"
	 "\"type\":\"tool_use\",\"name\":\"Bash\",\"input\":{\"command\":\"ls\\n-l\"}}]}}",
	 AGENT_TOOL, "Runs: ls -l", NULL, -1, 0, 0, 0},
	{"{\"type\":\"assistant\",\"message\":{\"content\":[{\"type\":\"text\",\"text\":\"x\"}]}}",
	 AGENT_OTHER, NULL, NULL, -1, 0, 0, 0},
	{"{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false,\"result\":\"yes\","
	 "\"terminal_reason\":\"completed\",\"user_message_uuids\":[\"" U "\"]}",
	 AGENT_RESULT, "yes", NULL, 1, false, false, false},
	{"{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":true,\"result\":\"API Error: 400\","
	 "\"terminal_reason\":\"api_error\"}",
	 AGENT_RESULT, "API Error: 400", NULL, -1, true, false, false},
	{"{\"type\":\"result\",\"subtype\":\"error_during_execution\",\"is_error\":true,"
	 "\"terminal_reason\":\"aborted_streaming\",\"user_message_uuids\":[]}",
	 AGENT_RESULT, NULL, NULL, 0, true, true, false},
	{"{\"type\":\"result\",\"is_error\":true,\"errors\":[\"No conversation found with session "
	 "ID: x\"]}",
	 AGENT_RESULT, "No conversation found with session ID: x", NULL, -1, true, false, true},
	{"{\"type\":\"result\",\"user_message_uuids\":\"no list\",\"result\":5}", AGENT_RESULT,
	 NULL, NULL, -1, false, false, false},
	{"{\"type\":\"system\",\"subtype\":\"api_retry\",\"attempt\":2,\"error_status\":429,\"error\":"
	 "\"rate_limit\"}",
	 AGENT_RETRY, "the model does not answer (rate_limit 429), try 2", NULL, -1, 0, 0, 0},
	{"{\"type\":\"system\",\"subtype\":\"init\"}", AGENT_OTHER, NULL, NULL, -1, 0, 0, 0},
	{"{\"type\":\"control_response\",\"response\":{\"subtype\":\"success\",\"request_id\":\"i1\","
	 "\"response\":{\"still_queued\":[\"" U "\",\"b\"]}}}",
	 AGENT_CONTROL, NULL, NULL, 2, 0, 0, 0},
	{"{\"type\":\"something_new\"}", AGENT_OTHER, NULL, NULL, -1, 0, 0, 0},
	{"{}", AGENT_OTHER, NULL, NULL, -1, 0, 0, 0},
};

static void same(const char *got, const char *want)
{
	if (!got || !want)
		assert_ptr_equal(got, want);
	else
		assert_string_equal(got, want);
}

static void each_kind_of_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct agent_event ev;
		struct err e = ERR_INIT;

		assert_ok(agent_parse(table[i].line, strlen(table[i].line), &ev, &e), &e);
		if (ev.kind != table[i].kind)
			fail_msg("kind %d of %s", (int)ev.kind, table[i].line);
		same(ev.text, table[i].text);
		same(ev.uuid, table[i].uuid);
		assert_int_equal(ev.uuids ? cJSON_GetArraySize(ev.uuids) : -1, table[i].uuids);
		assert_int_equal(ev.is_error, table[i].is_error);
		assert_int_equal(ev.aborted, table[i].aborted);
		assert_int_equal(ev.unknown_session, table[i].unknown_session);
		agent_event_free(&ev);
	}
}

static void what_is_no_object_is_refused(void **state)
{
	static const char *const bad[] = {"", "x", "[]", "\"x\"", "{", "{}x", "{\"a\":\"\xff\"}"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct agent_event ev;
		struct err e = ERR_INIT;

		if (agent_parse(bad[i], strlen(bad[i]), &ev, &e) == 0)
			fail_msg("taken: %s", bad[i]);
		assert_null(ev.root);
	}
}

/* Each tool in words; what it works on is named short, and an argument that is not there breaks nothing. */
static void tools_are_told_in_words(void **state)
{
	static const struct {
		const char *name, *input, *words;
	} tools[] = {
		{"Read", "{\"file_path\":\"/workspace/a/notes.md\"}", "Reads notes.md"},
		{"Write", "{\"file_path\":\"x\",\"content\":\"y\"}", "Writes x"},
		{"Edit", "{\"file_path\":\"/\"}", "Changes /"},
		{"Bash", "{}", "Runs: something"},
		{"Bash", "{\"command\":7}", "Runs: something"},
		{"WebSearch", "{\"query\":\"otters\"}", "Searches the web: otters"},
		{"mcp__chela__ask_user", "{\"question\":\"?\"}", "Asks a question"},
		{"mcp__chela__send_file", "{\"path\":\"a/b.pdf\"}", "Sends a file: b.pdf"},
		{"mcp__other__do", "{}", "Uses other__do"},
		{"New", "{\"description\":\"a thing\"}", "Uses New: a thing"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(tools); i++) {
		_cleanup_free_ char *line =
			xasprintf("{\"type\":\"assistant\",\"message\":{\"content\":[{\"type\":"
				  "\"tool_use\",\"name\":\"%s\",\"input\":%s}]}}",
				  tools[i].name, tools[i].input);
		struct agent_event ev;
		struct err e = ERR_INIT;

		assert_ok(agent_parse(line, strlen(line), &ev, &e), &e);
		assert_int_equal(ev.kind, AGENT_TOOL);
		assert_string_equal(ev.text, tools[i].words);
		agent_event_free(&ev);
	}
}

/* Words are cut between characters, and hold no line break: they go into a chat's one line. */
static void words_are_cut_whole(void **state)
{
	(void)state;
	for (int pad = 0; pad < 4; pad++) {
		struct agent_event ev;
		struct err e = ERR_INIT;
		struct buf b = {0};

		buf_putf(&b, "{\"type\":\"system\",\"subtype\":\"api_retry\",\"error\":\"%.*s\\n",
			 pad, "xxx");
		for (int i = 0; i < 100; i++)
			buf_puts(&b, "\xf0\x9f\x98\x80");
		buf_puts(&b, "\"}");
		assert_ok(agent_parse(b.p, b.len, &ev, &e), &e);
		assert_int_equal(ev.kind, AGENT_RETRY);
		assert_true(str_is_utf8(ev.text, strlen(ev.text)));
		assert_null(strchr(ev.text, '\n'));
		agent_event_free(&ev);
		buf_free(&b);
	}
}

static void what_is_internal_is_taken_out(void **state)
{
	static const struct {
		const char *in, *out;
	} strips[] = {
		{"", ""},
		{" a \n", "a"},
		{"<internal>x</internal>", ""},
		{"a<internal>x</internal>b", "ab"},
		{"<internal>x</internal> a <internal>y</internal>", "a"},
		{"a<internal>x", "a"},
		{"a</internal>b", "a</internal>b"},
		{"<internal><internal>x</internal>y", "y"},
		{"<interna>x", "<interna>x"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(strips); i++) {
		char text[80];

		str_copy(text, sizeof(text), strips[i].in);
		assert_int_equal(agent_strip_internal(text), strlen(strips[i].out));
		assert_string_equal(text, strips[i].out);
	}
}

/* The sandbox chooses the text: one of eight MiB made of tags must not hold up the loop. */
static void a_text_of_tags_is_quick(void **state)
{
	struct buf b = {0};
	clock_t began;
#ifdef __SANITIZE_ADDRESS__ /* its strstr measures the whole text at each call */
	size_t size = 64 << 10;
#else
	size_t size = AGENT_LINE_MAX - 100;
#endif

	(void)state;
	while (b.len < size)
		buf_puts(&b, "a<internal></internal>");
	began = clock();
	assert_int_equal(agent_strip_internal(b.p), (b.len + 21) / 22);
	assert_true(clock() - began <
		    5 * CLOCKS_PER_SEC); /* it took minutes when each tag moved the rest */
	buf_free(&b);
}

/* However a text is cut into pieces, what is shown of it is what is outside the tags. */
static void what_is_internal_is_not_streamed(void **state)
{
	static const struct {
		const char *text, *shown;
	} texts[] = {
		{"a<internal>b</internal>c", "ac"},
		{"a < b and <i>c</i>", "a < b and <i>c</i>"},
		{"<<internal>x</internal>>", "<>"},
		{"<inter<internal>x<</internal>y", "<intery"},
		{"<internal>never closed", ""},
		{"no tag at all", "no tag at all"},
		{"</internal>stray", "</internal>stray"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		size_t n = strlen(texts[i].text);

		for (size_t a = 0; a <= n; a++) {
			for (size_t b = a; b <= n; b++) {
				_cleanup_free_ char *one = xstrndup(texts[i].text, a);
				_cleanup_free_ char *two = xstrndup(texts[i].text + a, b - a);
				_cleanup_(buf_free) struct buf out = {0};
				struct partial p = {0};

				buf_puts(&out, "");
				partial_feed(&p, one, &out);
				partial_feed(&p, two, &out);
				partial_feed(&p, texts[i].text + b, &out);
				assert_string_equal(out.p, texts[i].shown);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_of_line),
		cmocka_unit_test(what_is_no_object_is_refused),
		cmocka_unit_test(tools_are_told_in_words),
		cmocka_unit_test(words_are_cut_whole),
		cmocka_unit_test(what_is_internal_is_taken_out),
		cmocka_unit_test(a_text_of_tags_is_quick),
		cmocka_unit_test(what_is_internal_is_not_streamed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
