// SPDX-License-Identifier: Apache-2.0
/* The MCP endpoint: both eras, every error by a table, calls that answer later or never. */
#include "service_rig.h"
#include "base/json.h"
#include "mcp/mcp.h"

#define JSON "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
#define NEW  "2026-07-28"
#define OLD  "2025-11-25"
#define META                                                                                       \
	"\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"" NEW "\","                      \
	"\"io.modelcontextprotocol/clientCapabilities\":{}}"
#define MODERN(method) JSON "MCP-Protocol-Version: " NEW "\r\nMcp-Method: " method "\r\n"
#define LEGACY	       JSON "MCP-Protocol-Version: " OLD "\r\n"

static struct mcp_call *waiting;
static int cancelled;

static void say_back(void *peer maybe_unused, struct mcp_call *c, const cJSON *args)
{
	mcp_reply_text(c, json_peek_str(args, "text"), false);
}

static void later(void *peer maybe_unused, struct mcp_call *c, const cJSON *args maybe_unused)
{
	assert_null(waiting);
	waiting = c;
}

static void later_cancelled(void *peer maybe_unused, struct mcp_call *c)
{
	assert_ptr_equal(c, waiting);
	waiting = NULL;
	cancelled++;
}

static void never(void *peer maybe_unused, struct mcp_call *c maybe_unused,
		  const cJSON *args maybe_unused)
{
	fail_msg("a tool that this peer does not have was called");
}

static const struct mcp_tool tools[] = {
	{"say_back", "Say back", "Says it back",
	 "{\"type\":\"object\",\"additionalProperties\":false,"
	 "\"required\":[\"text\"],\"properties\":{\"text\":{\"type\":\"string\"}}}",
	 true, say_back, NULL},
	{"later", NULL, "Answers later", "{\"type\":\"object\"}", false, later, later_cancelled},
	{"say_more", NULL, "Others have it", "{\"type\":\"object\"}", false, never, NULL},
	{"after", NULL, "The last", "{\"type\":\"object\"}", false, say_back, NULL},
};

static bool has(void *peer maybe_unused, const struct mcp_tool *t)
{
	return t->call != never;
}

static struct mcp *mcp;

static void begin(struct rig *r, void **state)
{
	struct mcp_opts o = {
		.tools = tools,
		.n_tools = ARRAY_LEN(tools),
		.on_refused = rig_refused,
		.has = has,
	};

	waiting = NULL;
	cancelled = 0;
	mcp = mcp_new(&o);
	rig_start_service(r, *state, mcp_service(mcp));
}

static void end(struct rig *r)
{
	rig_end(r);
	mcp_free(mcp);
}

static const struct {
	const char *headers, *body;
	int status;
	const char *want; /* a part of the answer */
} cases[] = {
	/* transport */
	{"Content-Type: text/plain\r\n", "{}", 415, "application/json"},
	{JSON "Origin: https://evil.example\r\n", "{}", 403, "Origin"},
	{JSON "Origin: http://localhost.evil.example\r\n", "{}", 403, "Origin"},
	{JSON "Origin: null\r\n", "{}", 403, "Origin"},
	{JSON "Origin: http://localhost:99\r\n",
	 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}", 200,
	 "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}"},
	/* JSON-RPC */
	{JSON, "", 400, "\"code\":-32700"},
	{JSON, "{\"jsonrpc\":", 400, "\"code\":-32700"},
	{JSON, "{\"jsonrpc\":", 400, "\"id\":null"},
	{JSON, "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]", 400, "a batch is not taken"},
	{JSON, "{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"ping\"}", 400, "\"code\":-32600"},
	{JSON, "{\"jsonrpc\":\"2.0\",\"id\":1}", 400, "expected a request or a notification"},
	{JSON, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}", 400, "\"code\":-32600"},
	{JSON, "{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"ping\"}", 400,
	 "\\\"id\\\": expected"},
	{JSON, "{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"ping\"}", 400, "\\\"id\\\": expected"},
	{JSON, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":[]}", 400,
	 "\\\"params\\\": expected"},
	{JSON, "{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"method\":\"nope\"}", 200,
	 "\"id\":\"a\",\"error\":{\"code\":-32601"},
	{JSON, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}", 202,
	 "Content-Length: 0"},
	/* 2025-11-25 */
	{JSON,
	 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"" OLD
	 "\",\"capabilities\":{},\"clientInfo\":{\"name\":\"t\",\"version\":\"1\"}}}",
	 200,
	 "\"protocolVersion\":\"" OLD
	 "\",\"capabilities\":{\"tools\":{}},\"serverInfo\":{\"name\":\"chela\""},
	{JSON "MCP-Protocol-Version: 1999-01-01\r\n",
	 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"1999-01-01\"}}",
	 200, "\"protocolVersion\":\"" OLD "\""},
	{JSON "MCP-Protocol-Version: 1999-01-01\r\n",
	 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}", 400,
	 "\"supported\":[\"" NEW "\",\"" OLD "\"],\"requested\":\"1999-01-01\""},
	{LEGACY, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}", 200,
	 "\"name\":\"say_back\",\"title\":\"Say back\""},
	{LEGACY, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server/discover\"}", 200, "-32601"},
	{LEGACY,
	 "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"tools/call\",\"params\":{\"name\":\"say_back\","
	 "\"arguments\":{\"text\":\"hi\"}}}",
	 200,
	 "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"hi\"}],\"isError\":false}}"},
	{LEGACY, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\"}", 200,
	 "params.name: expected"},
	{LEGACY,
	 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"sayback\"}}",
	 200, "\"code\":-32602,\"message\":\"Unknown tool: sayback; did you mean say_back?\""},
	{LEGACY,
	 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"say_back\"}}",
	 200, "\"code\":-32602,\"message\":\"say_back: argument \\\"text\\\" is missing"},
	{LEGACY,
	 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"say_back\","
	 "\"arguments\":{\"txt\":\"a\"}}}",
	 200, "did you mean \\\"text\\\"?"},
	{LEGACY,
	 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"say_back\","
	 "\"arguments\":[]}}",
	 200, "arguments: expected an object"},
	/* 2026-07-28 */
	{MODERN("server/discover"),
	 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server/discover\",\"params\":{" META "}}", 200,
	 "\"supportedVersions\":[\"" NEW "\",\"" OLD "\"]"},
	{MODERN("tools/list"),
	 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"params\":{" META "}}", 200,
	 "\"resultType\":\"complete\""},
	{MODERN("tools/list"),
	 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"params\":{" META "}}", 200,
	 "\"cacheScope\":\"private\""},
	{MODERN("initialize"),
	 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{" META "}}", 404,
	 "-32601"},
	{MODERN("ping"), "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":{" META "}}",
	 404, "-32601"},
	{MODERN("tools/list"), "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}", 400,
	 "-32602"},
	{MODERN("tools/list"),
	 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"params\":{\"_meta\":{"
	 "\"io.modelcontextprotocol/protocolVersion\":\"" NEW "\"}}}",
	 400, "clientCapabilities"},
	{JSON, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"params\":{" META "}}",
	 400, "-32020"},
	{LEGACY, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"params\":{" META "}}",
	 400, "-32020"},
	{MODERN("tools/call"),
	 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"params\":{" META "}}", 400,
	 "-32020"},
	{MODERN("TOOLS/LIST"),
	 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"params\":{" META "}}", 400,
	 "-32020"},
	{MODERN("tools/call"),
	 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{" META
	 ",\"name\":\"say_back\",\"arguments\":{\"text\":\"hi\"}}}",
	 400, "Mcp-Name"},
	{MODERN("tools/call") "Mcp-Name: later\r\n",
	 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{" META
	 ",\"name\":\"say_back\",\"arguments\":{\"text\":\"hi\"}}}",
	 400, "Mcp-Name"},
	{MODERN("tools/call") "Mcp-Name:  say_back \r\n",
	 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{" META
	 ",\"name\":\"say_back\",\"arguments\":{\"text\":\"hi\"}}}",
	 200, "\"text\":\"hi\""},
	{MODERN("tools/call") "Mcp-Name: =?base64?c2F5X2JhY2s=?=\r\n",
	 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\","
	 "\"params\":{" META ",\"name\":\"say_back\",\"arguments\":{\"text\":\"hi\"}}}",
	 200, "\"text\":\"hi\""},
	{MODERN("tools/call") "Mcp-Name: =?base64?c2F5X2JhY2s?=\r\n",
	 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\","
	 "\"params\":{" META ",\"name\":\"say_back\",\"arguments\":{\"text\":\"hi\"}}}",
	 400, "-32020"},
};

static void table(void **state)
{
	struct rig r;
	char want[32];

	begin(&r, state);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		rig_ask(&r, "POST /mcp", cases[i].headers, cases[i].body);
		snprintf(want, sizeof(want), "HTTP/1.1 %d ", cases[i].status);
		if (!str_starts(rig_out(&r), want) || !strstr(rig_out(&r), cases[i].want))
			fail_msg("case %zu: %s%s gave %s", i, cases[i].headers, cases[i].body,
				 rig_out(&r));
		assert_int_equal(r.m.credited, r.m.given);
	}
	assert_int_equal(r.refusals, 3); /* the foreign origins */
	end(&r);
}

/* What others have can be neither seen, nor called, nor guessed from a hint. */
static void what_others_have_is_not_there(void **state)
{
	static const char *const names[] = {"say_more", "say_mor", "nothing_like_it"};
	struct rig r;
	char body[200], want[100];

	begin(&r, state);
	rig_ask(&r, "POST /mcp", LEGACY,
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}");
	assert_non_null(strstr(rig_out(&r), "\"later\""));
	assert_non_null(strstr(rig_out(&r), "\"after\""));
	assert_null(strstr(rig_out(&r), "say_more"));
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		snprintf(body, sizeof(body),
			 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{"
			 "\"name\":\"%s\",\"arguments\":{}}}",
			 names[i]);
		snprintf(want, sizeof(want), "\"message\":\"Unknown tool: %s", names[i]);
		rig_ask(&r, "POST /mcp", LEGACY, body);
		assert_non_null(strstr(rig_out(&r), want));
		assert_null(strstr(rig_out(&r), "mean say_more"));
	}
	end(&r);
}

static void other_methods(void **state)
{
	struct rig r;

	begin(&r, state);
	rig_ask(&r, "GET /mcp", "", "");
	assert_true(str_starts(rig_out(&r), "HTTP/1.1 405 "));
	assert_non_null(strstr(rig_out(&r), "\r\nAllow: POST\r\n"));
	rig_ask(&r, "DELETE /mcp", "", "");
	assert_true(str_starts(rig_out(&r), "HTTP/1.1 405 "));
	end(&r);
}

#define CALL_LATER                                                                                 \
	"{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"method\":\"tools/call\",\"params\":{\"name\":\"later\"}}"

static void answers_later(void **state)
{
	struct rig r;
	struct err e = ERR_INIT;
	const char *image = "[{\"type\":\"image\",\"data\":\"QQ==\",\"mimeType\":\"image/png\"}]";

	begin(&r, state);
	rig_ask(&r, "POST /mcp", LEGACY, CALL_LATER);
	assert_non_null(waiting);
	assert_string_equal(rig_out(&r), "");
	mcp_reply_text(waiting, "no luck", true);
	assert_non_null(strstr(rig_out(&r),
			       "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"result\":{\"content\":["
			       "{\"type\":\"text\",\"text\":\"no luck\"}],\"isError\":true}}"));
	waiting = NULL;
	rig_ask(&r, "POST /mcp", LEGACY, CALL_LATER);
	mcp_reply_content(waiting, json_parse(image, strlen(image), 1000, &e), false);
	waiting = NULL;
	assert_non_null(strstr(rig_out(&r), "\"content\":[{\"type\":\"image\",\"data\":\"QQ==\""));
	assert_int_equal(cancelled, 0);
	end(&r);
}

static void dropped_calls(void **state)
{
	struct rig r;

	for (int way = 0; way < 4; way++) {
		begin(&r, state);
		rig_ask(&r, "POST /mcp", LEGACY, CALL_LATER);
		assert_non_null(waiting);
		if (way == 0)
			mem_eof(&r.m);
		else if (way == 1)
			mem_close(&r.m);
		else if (way == 2)
			http1_abort(r.c);
		end(&r);
		assert_int_equal(cancelled, 1);
		assert_null(waiting);
	}
}

static void too_long(void **state)
{
	struct rig r;
	_cleanup_free_ char *text = xcalloc(1, (4 << 20) + 2);

	begin(&r, state);
	memset(text, ' ', (4 << 20) + 1);
	rig_ask(&r, "POST /mcp", LEGACY, text);
	assert_true(str_starts(rig_out(&r), "HTTP/1.1 413 "));
	assert_int_equal(r.m.credited, r.m.given);
	rig_ask(&r, "POST /mcp", LEGACY, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}");
	assert_true(str_starts(rig_out(&r), "HTTP/1.1 200 "));
	end(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIX_TEST(table),	 FIX_TEST(other_methods),
		FIX_TEST(answers_later), FIX_TEST(dropped_calls),
		FIX_TEST(too_long),	 FIX_TEST(what_others_have_is_not_there),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
