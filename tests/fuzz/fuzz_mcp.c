// SPDX-License-Identifier: Apache-2.0
/*
 * The MCP server and the demo model, reached through the gateway as a sandbox reaches them: the first byte picks MCP (in
 * either era) or the demo model, the rest is the body of one request. Whatever comes, there is one
 * whole answer, its body is JSON or a stream, and a call that waits is told when the connection goes.
 */
#include "fuzz.h"
#include <string.h>
#include "base/json.h"
#include "base/str.h"
#include "demo/demo.h"
#include "gateway/gateway.h"
#include "mcp/mcp.h"

struct peer {
	struct duplex d;
	struct buf out;
	bool reset;
	struct mcp_call *waiting;
};

static int peer_write(struct duplex *d, const void *p, size_t n, struct err *e)
{
	(void)e;
	buf_put(&container_of(d, struct peer, d)->out, p, n);
	return 0;
}

static size_t peer_pending(const struct duplex *d)
{
	(void)d;
	return 0;
}

static void peer_consumed(struct duplex *d, size_t n)
{
	(void)d, (void)n;
}

static void peer_finish(struct duplex *d)
{
	(void)d;
}

static void peer_reset(struct duplex *d)
{
	container_of(d, struct peer, d)->reset = true;
}

static void say_back(void *peer, struct mcp_call *c, const cJSON *args)
{
	const char *text = json_peek_str(args, "text");

	(void)peer;
	fuzz_check(text && strlen(text) >= 1); /* the schema was checked before */
	mcp_reply_text(c, text, cJSON_HasObjectItem(args, "limit"));
}

static void later(void *peer, struct mcp_call *c, const cJSON *args)
{
	(void)args;
	((struct peer *)peer)->waiting = c;
}

static void later_cancelled(void *peer, struct mcp_call *c)
{
	fuzz_check(((struct peer *)peer)->waiting == c);
	((struct peer *)peer)->waiting = NULL;
}

static const struct mcp_tool tools[] = {
	{"say_back", "Say back", "Says it back",
	 "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"text\"],\"properties\":{"
	 "\"text\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":50},"
	 "\"mode\":{\"enum\":[\"a\",1]},\"list\":{\"type\":\"array\",\"items\":{\"type\":\"number\"}},"
	 "\"limit\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":50}}}",
	 true, say_back, NULL},
	{"later", NULL, "Later", "{\"type\":\"object\"}", false, later, later_cancelled},
};

static void check_answer(const struct peer *s, bool demo)
{
	const char *end = s->out.p ? strstr(s->out.p, "\r\n\r\n") : NULL;
	struct err e = ERR_INIT;

	if (s->waiting) {
		fuzz_check(s->out.len == 0);
		return;
	}
	fuzz_check(end && str_starts(s->out.p, "HTTP/1.1 "));
	if (strstr(s->out.p, "chunked")) {
		fuzz_check(demo);
		return;
	}
	size_t n = s->out.len - (size_t)(end + 4 - s->out.p);
	if (n == 0)
		return;
	cJSON *j = json_parse(end + 4, n, 32 << 20, &e);
	fuzz_check(j);
	cJSON_Delete(j);
}

static struct gateway *make_gateway(void)
{
	struct mcp_opts mo = {.tools = tools, .n_tools = ARRAY_LEN(tools)};
	struct err e = ERR_INIT;
	struct loop *l = loop_new(&e);
	struct gateway_opts o = {.mcp = mcp_service(mcp_new(&mo)),
				 .demo = demo_service(demo_new(l, NULL))};

	fuzz_check(l);
	return gateway_new(l, &o);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	/* clang-format off */
	static const char *const heads[] = {
		"POST /mcp",
		"POST /mcp\r\nMCP-Protocol-Version: 2025-11-25",
		("POST /mcp\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\n"
		 "Mcp-Name: say_back"),
		"POST /mcp\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/list",
		"POST /v1/messages",
		"POST /v1/messages/count_tokens",
	};
	/* clang-format on */
	static const struct duplex_ops ops = {peer_write, peer_pending, peer_consumed, peer_finish,
					      peer_reset};
	static struct gateway *g; /* one for all inputs: none of them leaves a trace in it */
	struct peer s = {.d = {.ops = &ops, .high_water = 65536}};
	struct buf in = {0};

	if (n == 0)
		return 0;
	if (!g)
		g = make_gateway();
	const char *head = heads[data[0] % ARRAY_LEN(heads)];
	size_t line = strcspn(head, "\r");
	buf_putf(&in,
		 "%.*s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
		 "Content-Length: %zu%s\r\n\r\n",
		 (int)line, head, n - 1, head + line);
	buf_put(&in, data + 1, n - 1);
	gateway_serve(g, &s.d, &s);
	s.d.ev->data(s.d.ctx, (const uint8_t *)in.p, in.len);
	if (!strstr(in.p, "!slow"))
		check_answer(&s, strstr(head, "/v1/") != NULL);
	gateway_drop(g, &s);
	fuzz_check(s.reset && !s.waiting);
	buf_free(&in);
	buf_free(&s.out);
	return 0;
}
