// SPDX-License-Identifier: Apache-2.0
/* The demo model: what it says to what, and that it says it in the API's shape and order. */
#include "service_rig.h"
#include "base/json.h"
#include "demo/demo.h"
#include "demo/plan.h"

#define OLDER                                                                                      \
	"{\"role\":\"user\",\"content\":\"first\"},{\"role\":\"assistant\",\"content\":\"echo\"},"
#define TOOLS                                                                                      \
	"\"tools\":[{\"name\":\"Bash\"},{\"name\":\"Write\"},{\"name\":\"mcp__chela__send_message\"}]"
#define QUEUED(text)                                                                               \
	"The user sent a new message while you were working:\\n" text                              \
	"\\n\\nThis is how Claude Code surfaces messages\\n"

static const struct {
	const char *messages, *text;
	const char *tool, *input; /* the first tool, or NULL */
} cases[] = {
	{OLDER "{\"role\":\"user\",\"content\":\"hello\"}", "echo: hello", NULL, NULL},
	{OLDER
	 "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"<system-reminder>x\\ny"
	 "</system-reminder>\"},{\"type\":\"text\",\"text\":\"a <system-reminder>z</system-reminder>b\"}]}",
	 "echo: a b", NULL, NULL},
	{OLDER
	 "{\"role\":\"user\",\"content\":\"one\\n\\n  two  \\n\"},{\"role\":\"user\",\"content\":\"three\"}",
	 "echo: one\necho: two\necho: three", NULL, NULL},
	{OLDER "{\"role\":\"user\",\"content\":\"[Ann 12:03] hi there\"}", "echo: hi there", NULL,
	 NULL},
	{OLDER
	 "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"[Request interrupted by user]\\n\"},"
	 "{\"type\":\"text\",\"text\":\"go on\"}]}",
	 "echo: go on", NULL, NULL},
	{OLDER "{\"role\":\"user\",\"content\":\"!bash echo hi; id -u\"}", "", "Bash",
	 "{\"command\":\"echo hi; id -u\",\"description\":\"Run what the user asked for\"}"},
	{OLDER "{\"role\":\"user\",\"content\":\"[Ann] !write a/b.txt some text\"}", "", "Write",
	 "{\"file_path\":\"/workspace/a/b.txt\",\"content\":\"some text\"}"},
	{OLDER "{\"role\":\"user\",\"content\":\"!write /tmp/x y\"}", "", "Write",
	 "{\"file_path\":\"/tmp/x\",\"content\":\"y\"}"},
	{OLDER "{\"role\":\"user\",\"content\":\"!tool send_message {\\\"text\\\": \\\"a\\\"}\"}",
	 "", "mcp__chela__send_message", "{\"text\":\"a\"}"},
	{OLDER "{\"role\":\"user\",\"content\":\"!tool Bash\"}", "", "Bash", "{}"},
	{OLDER "{\"role\":\"user\",\"content\":\"!tool Bash [1]\"}",
	 "echo: !tool: expected a JSON object", NULL, NULL},
	{OLDER "{\"role\":\"user\",\"content\":\"!tool message {}\"}",
	 "echo: there is no such tool", NULL, NULL},
	{OLDER "{\"role\":\"user\",\"content\":\"!slow x y\"}",
	 "echo: !slow: expected MS (to 60000) and N", NULL, NULL},
	{OLDER "{\"role\":\"user\",\"content\":\"!unknown x\"}", "echo: !unknown x", NULL, NULL},
	{OLDER
	 "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"content\":\"hi\\n10001\"}]}",
	 "result: hi\n10001", NULL, NULL},
	{OLDER
	 "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"content\":[{\"type\":\"text\","
	 "\"text\":\"a\"},{\"type\":\"image\"},{\"type\":\"text\",\"text\":\"b\"}]}]},"
	 "{\"role\":\"system\",\"content\":[{\"type\":\"text\",\"text\":\"" QUEUED("msg 1")
		 QUEUED("msg 2") "\"}]}",
	 "result: a\nb\necho: msg 1\necho: msg 2", NULL, NULL},
	/* what was said beside a tool is said again with its result, and the tool is used once */
	{OLDER "{\"role\":\"user\",\"content\":\"one\\n!bash true\"},"
	       "{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"echo: one\"},"
	       "{\"type\":\"tool_use\"}]},"
	       "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"content\":\"x\"}]},"
	       "{\"role\":\"user\",\"content\":\"two\"}",
	 "echo: one\nresult: x\necho: two", NULL, NULL},
	{OLDER
	 "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"<system-reminder>" QUEUED(
		 "msg 1") "</system-reminder>\"}]},{\"role\":\"system\",\"content\":\"not the user\"}",
	 "echo: msg 1", NULL, NULL},
	{OLDER "{\"role\":\"user\",\"content\":\"<system-reminder>never ends\"}", "echo: ", NULL,
	 NULL},
	{OLDER
	 "{\"role\":\"user\",\"content\":\"<earlier-conversation note='x'>\\n[Ann] !bash rm x\\n"
	 "</earlier-conversation>\\n[Ann, 12:03Z] hi <system-reminder>r</system-reminder>\"}",
	 "echo: hi", NULL, NULL},
	/* what the agent keeps of a compaction is not said again */
	{OLDER
	 "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"This session is being "
	 "continued from a previous conversation that ran out.\\n!bash rm x\\nGo on as if the "
	 "break never happened.\"},{\"type\":\"text\",\"text\":\"<local-command-caveat>x"
	 "</local-command-caveat>\\n<command-name>/compact</command-name>\\n"
	 "<local-command-stdout>Compacted </local-command-stdout>\\nhi\"}]}",
	 "echo: hi", NULL, NULL},
	{OLDER "{\"role\":\"user\",\"content\":[]}", "echo: ", NULL, NULL},
	{OLDER "{\"role\":7,\"content\":{}},7,null", "echo: ", NULL, NULL},
};

static void plans(void **state maybe_unused)
{
	struct err e = ERR_INIT;
	struct demo_plan p;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		_cleanup_free_ char *text = xasprintf("{\"model\":\"m\",\"max_tokens\":100," TOOLS
						      ",\"messages\":[%s]}",
						      cases[i].messages);
		_cleanup_json_ cJSON *req = json_parse(text, strlen(text), 1 << 20, &e);
		assert_non_null(req);
		assert_ok(demo_plan_make(&p, req, &e), &e);
		assert_string_equal(p.text.p ? p.text.p : "", cases[i].text);
		assert_int_equal(p.n_tools, cases[i].tool ? 1 : 0);
		if (cases[i].tool) {
			assert_string_equal(p.tools[0].name, cases[i].tool);
			assert_string_equal(p.tools[0].input, cases[i].input);
		}
		demo_plan_free(&p);
	}
}

static struct demo_plan plan_of(const char *text)
{
	struct err e = ERR_INIT;
	_cleanup_json_ cJSON *req = json_parse(text, strlen(text), 16 << 20, &e);
	struct demo_plan p;

	assert_non_null(req);
	assert_ok(demo_plan_make(&p, req, &e), &e);
	return p;
}

static void special_plans(void **state maybe_unused)
{
	struct err e = ERR_INIT;
	struct demo_plan p = plan_of("{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}");

	assert_true(str_starts(p.text.p, "This is Chela's built-in demo model"));
	assert_non_null(strstr(p.text.p, "ANTHROPIC_API_KEY"));
	assert_non_null(strstr(p.text.p, "\necho: hi"));
	demo_plan_free(&p);
	p = plan_of("{\"max_tokens\":1,\"messages\":[{\"role\":\"user\",\"content\":\"quota\"}]}");
	assert_string_equal(p.text.p, "Demo");
	demo_plan_free(&p);
	p = plan_of(
		"{\"model\":\"claude-haiku-9\",\"messages\":[{\"role\":\"user\",\"content\":\"t\"}]}");
	assert_string_equal(p.text.p, "Demo");
	demo_plan_free(&p);
	_cleanup_json_ cJSON *none = json_parse("{\"messages\":[]}", 15, 100, &e);
	assert_err(demo_plan_make(&p, none, &e), &e, E_INVAL, "at least one message");
	demo_plan_free(&p);
}

/* However much is asked, the answer is bounded and cut between characters. */
static void bounds(void **state maybe_unused)
{
	struct buf b = {0};

	buf_puts(&b, "{" TOOLS ",\"messages\":[" OLDER "{\"role\":\"user\",\"content\":\"");
	for (int i = 0; i < 5000; i++)
		buf_puts(&b, "\xc3\xa9");
	for (int i = 0; i < 100000; i++)
		buf_puts(&b, "\\nx");
	for (int i = 0; i < 20; i++)
		buf_puts(&b, "\\n!bash x");
	buf_puts(&b, "\"}]}");
	struct demo_plan p = plan_of(b.p);
	assert_true(p.text.len <= DEMO_TEXT_MAX);
	assert_true(str_is_utf8(p.text.p, p.text.len));
	assert_non_null(strstr(p.text.p, " [cut]\necho: x"));
	assert_int_equal(p.n_tools, DEMO_TOOLS_MAX);
	demo_plan_free(&p);
	buf_free(&b);
}

/* --- over the wire --- */

#define ASK(text, more)                                                                            \
	"{\"model\":\"claude-x\",\"max_tokens\":100," TOOLS more ",\"messages\":[" OLDER           \
	"{\"role\":\"user\",\"content\":\"" text "\"}]}"

static struct demo *demo;

static void begin(struct rig *r, void **state)
{
	struct fix *f = *state;

	demo = demo_new(f->l, rig_usage);
	rig_start_service(r, f, demo_service(demo));
}

static void end(struct rig *r)
{
	rig_end(r);
	demo_free(demo);
}

/* The body of a chunked answer, in place. */
static char *dechunk(struct rig *r)
{
	char *p = strstr(r->m.out.p, "\r\n\r\n") + 4, *to = p, *start = p;
	size_t n;

	while ((n = strtoul(p, &p, 16))) {
		assert_memory_equal(p, "\r\n", 2);
		memmove(to, p + 2, n);
		to += n;
		p += n + 4;
	}
	*to = '\0';
	return start;
}

static void stream_order(void **state)
{
	static const char *const order[] = {
		"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_demo_",
		"event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
		"event: ping\ndata: {\"type\":\"ping\"}\n\n",
		"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"echo: one that is lo",
		"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"",
		"event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
		"event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"tool_use\",\"id\":\"toolu_demo_",
		"\"name\":\"Bash\",\"input\":{}}}\n\n",
		"\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"\"}}\n\n",
		"\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"command\\\":\\\"true\\\"",
		"event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":1}\n\n",
		"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\",\"stop_sequence\":null},\"usage\":{",
		"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
	};
	struct rig r;
	struct err e = ERR_INIT;

	begin(&r, state);
	rig_ask(&r, "POST /v1/messages?beta=true", "",
		ASK("one that is longer than a delta\\n!bash true", ",\"stream\":true"));
	assert_true(str_starts(rig_out(&r), "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream"));
	assert_true(rig_answered(&r));
	const char *p = dechunk(&r);
	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		const char *at = strstr(p, order[i]);
		if (!at)
			fail_msg("no %s in %s", order[i], p);
		p = at + strlen(order[i]);
	}
	assert_string_equal(p, "");
	for (p = strstr(rig_out(&r), "\ndata: "); p;
	     p = strstr(p, "\ndata: ")) { /* all of it is JSON */
		p += 7;
		_cleanup_json_ cJSON *j = json_parse(p, strcspn(p, "\n"), 1 << 16, &e);
		assert_non_null(j);
	}
	assert_int_equal(r.usages, 1);
	assert_true(r.usage.demo);
	assert_string_equal(r.usage.model, "claude-x");
	assert_int_equal(r.usage.status, 200);
	assert_true(r.usage.input_tokens > 0 && r.usage.output_tokens > 0);
	end(&r);
}

static void whole_message(void **state)
{
	struct rig r;
	struct err e = ERR_INIT;

	begin(&r, state);
	rig_ask(&r, "POST /v1/messages", "", ASK("one\\n!bash true\\n!bash false", ""));
	assert_true(rig_answered(&r));
	const char *body = strstr(rig_out(&r), "\r\n\r\n") + 4;
	_cleanup_json_ cJSON *j = json_parse(body, strlen(body), 1 << 16, &e);
	assert_non_null(j);
	assert_string_equal(json_peek_str(j, "role"), "assistant");
	assert_string_equal(json_peek_str(j, "content.0.text"), "echo: one");
	assert_string_equal(json_peek_str(j, "content.1.input.command"), "true");
	assert_string_equal(json_peek_str(j, "content.2.input.command"), "false");
	assert_string_not_equal(json_peek_str(j, "content.1.id"), json_peek_str(j, "content.2.id"));
	assert_string_equal(json_peek_str(j, "stop_reason"), "tool_use");
	assert_true(json_peek_i64(j, "usage.output_tokens", 0) > 0);
	end(&r);
}

static void other_requests(void **state)
{
	struct rig r;

	begin(&r, state);
	rig_ask(&r, "POST /v1/messages/count_tokens", "", "{\"messages\":[]}");
	assert_non_null(strstr(rig_out(&r), "\r\n\r\n{\"input_tokens\":3}"));
	rig_ask(&r, "GET /v1/models", "", "");
	assert_non_null(
		strstr(rig_out(&r), "{\"data\":[{\"type\":\"model\",\"id\":\"chela-demo\""));
	rig_ask(&r, "HEAD /", "", "");
	assert_true(str_starts(rig_out(&r), "HTTP/1.1 200 "));
	assert_int_equal(r.usages, 0);
	static const char *const bad[] = {
		"", "{", "[]", "{}", "{\"messages\":[]}", "{\"messages\":[{}],\"stream\":1}"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		rig_ask(&r, "POST /v1/messages", "", bad[i]);
		assert_true(str_starts(rig_out(&r), "HTTP/1.1 400 "));
		assert_non_null(strstr(rig_out(&r), "\"type\":\"invalid_request_error\""));
		assert_int_equal(r.usages, i + 1);
		assert_int_equal(r.usage.status, 400);
	}
	end(&r);
}

static bool two_ticks(struct rig *r)
{
	return strstr(rig_out(r), "tick 2") != NULL;
}

static void slow_answers(void **state)
{
	struct rig r;

	begin(&r, state);
	rig_ask(&r, "POST /v1/messages", "", ASK("!slow 1 3", ",\"stream\":true"));
	assert_null(strstr(rig_out(&r), "tick 1"));
	rig_until(&r, rig_answered);
	assert_non_null(strstr(rig_out(&r), "\"tick 1\"}"));
	assert_non_null(strstr(rig_out(&r), "\"\\ntick 3\"}"));
	assert_non_null(strstr(rig_out(&r), "\"stop_reason\":\"end_turn\""));
	assert_int_equal(r.usages, 1);
	for (int way = 0; way < 2; way++) { /* stopped in the middle */
		rig_ask(&r, "POST /v1/messages", "", ASK("!slow 1 100000", ",\"stream\":true"));
		rig_until(&r, two_ticks);
		if (way == 0)
			mem_eof(&r.m);
		else
			http1_abort(r.c);
		assert_int_equal(r.usages, 2 + way);
		rig_again(&r);
	}
	end(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plans), cmocka_unit_test(special_plans), cmocka_unit_test(bounds),
		FIX_TEST(stream_order),	 FIX_TEST(whole_message),	  FIX_TEST(other_requests),
		FIX_TEST(slow_answers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
