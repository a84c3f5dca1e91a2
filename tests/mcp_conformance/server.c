// SPDX-License-Identifier: Apache-2.0
/*
 * A server for the official MCP conformance suite: our gateway and MCP server on a loopback port, with the tools
 * that the suite's scenarios ask for by name. Prints {"port":N} when it listens; ends on SIGTERM or
 * when its standard input ends. Test only.
 */
#include <stdio.h>
#include <signal.h>
#include <string.h>
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "demo/demo.h"
#include "gateway/gateway.h"
#include "mcp/mcp.h"
#include "runtime/conn.h"

/* A red pixel as PNG, and an empty WAV. */
#define PNG                                                                                        \
	"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
#define WAV "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA="

static void reply_json(struct mcp_call *c, const char *text)
{
	struct err e = ERR_INIT;
	cJSON *j = json_parse(text, strlen(text), JSON_MAX_DEFAULT, &e);

	if (!j)
		die(e.msg);
	mcp_reply_content(c, j, false);
}

static void simple_text(void *peer, struct mcp_call *c, const cJSON *args)
{
	(void)peer, (void)args;
	mcp_reply_text(c, "This is a simple text response for testing.", false);
}

static void image(void *peer, struct mcp_call *c, const cJSON *args)
{
	(void)peer, (void)args;
	reply_json(c, "[{\"type\":\"image\",\"data\":\"" PNG "\",\"mimeType\":\"image/png\"}]");
}

static void audio(void *peer, struct mcp_call *c, const cJSON *args)
{
	(void)peer, (void)args;
	reply_json(c, "[{\"type\":\"audio\",\"data\":\"" WAV "\",\"mimeType\":\"audio/wav\"}]");
}

static void embedded(void *peer, struct mcp_call *c, const cJSON *args)
{
	(void)peer, (void)args;
	reply_json(
		c,
		"[{\"type\":\"resource\",\"resource\":{\"uri\":\"test://embedded-resource\","
		"\"mimeType\":\"text/plain\",\"text\":\"This is an embedded resource content.\"}}]");
}

static void mixed(void *peer, struct mcp_call *c, const cJSON *args)
{
	(void)peer, (void)args;
	reply_json(c,
		   "[{\"type\":\"text\",\"text\":\"Multiple content types test:\"},"
		   "{\"type\":\"image\",\"data\":\"" PNG "\",\"mimeType\":\"image/png\"},"
		   "{\"type\":\"resource\",\"resource\":{\"uri\":\"test://mixed-content-resource\","
		   "\"mimeType\":\"application/json\",\"text\":\"{\\\"test\\\":\\\"data\\\"}\"}}]");
}

static void error(void *peer, struct mcp_call *c, const cJSON *args)
{
	(void)peer, (void)args;
	mcp_reply_text(c, "This tool intentionally returns an error for testing", true);
}

#define NO_ARGS "{\"type\":\"object\",\"properties\":{},\"additionalProperties\":false}"
static const char schema_2020[] =
	"{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"type\":\"object\","
	"\"$defs\":{\"address\":{\"$anchor\":\"addressDef\",\"type\":\"object\",\"properties\":"
	"{\"street\":{\"type\":\"string\"},\"city\":{\"type\":\"string\"}}}},"
	"\"properties\":{\"name\":{\"type\":\"string\"},\"address\":{\"$ref\":\"#/$defs/address\"},"
	"\"contactMethod\":{\"type\":\"string\",\"enum\":[\"phone\",\"email\"]},"
	"\"phone\":{\"type\":\"string\"},\"email\":{\"type\":\"string\"}},"
	"\"allOf\":[{\"anyOf\":[{\"required\":[\"phone\"]},{\"required\":[\"email\"]}]}],"
	"\"if\":{\"properties\":{\"contactMethod\":{\"const\":\"phone\"}},"
	"\"required\":[\"contactMethod\"]},\"then\":{\"required\":[\"phone\"]},"
	"\"else\":{\"required\":[\"email\"]},\"additionalProperties\":false}";

static const struct mcp_tool tools[] = {
	{"test_simple_text", NULL, "Returns text", NO_ARGS, true, simple_text, NULL},
	{"test_image_content", NULL, "Returns an image", NO_ARGS, true, image, NULL},
	{"test_audio_content", NULL, "Returns audio", NO_ARGS, true, audio, NULL},
	{"test_embedded_resource", NULL, "Returns a resource", NO_ARGS, true, embedded, NULL},
	{"test_multiple_content_types", NULL, "Returns several", NO_ARGS, true, mixed, NULL},
	{"test_error_handling", NULL, "Always fails", NO_ARGS, true, error, NULL},
	/* These two must not send anything but their result: the suite looks. */
	{"test_logging_tool", NULL, "Logs nothing", NO_ARGS, true, simple_text, NULL},
	{"test_streaming_elicitation", NULL, "Asks nothing", NO_ARGS, true, simple_text, NULL},
	{"json_schema_2020_12_tool", NULL, "Tool with JSON Schema 2020-12 features", schema_2020,
	 true, simple_text, NULL},
};

struct server {
	struct loop *loop;
	struct gateway *g;
};

static void on_conn(void *ctx, int fd, uid_t uid)
{
	struct server *s = ctx;

	(void)uid;
	gateway_serve(s->g, conn_new(s->loop, "conformance", fd), s);
}

static void on_signal(void *ctx, int signo)
{
	struct server *s = ctx;

	(void)signo;
	loop_stop(s->loop);
}

static void on_stdin(void *ctx, int events)
{
	struct server *s = ctx;
	char b[64];

	(void)events;
	if (read(0, b, sizeof(b)) <= 0)
		loop_stop(s->loop);
}

int main(int argc, char **argv)
{
	struct err e = ERR_INIT;
	struct server s = {0};
	int port = 0;
	struct gateway_opts o = {.base_url = "http://127.0.0.1:1"};
	struct mcp_opts mo = {.tools = tools, .n_tools = ARRAY_LEN(tools)};
	struct log_opts lo = {.fd = 2, .level = LOG_INFO};

	struct secret key = {0};

	log_init(&lo);
	if (argc > 2) {
		if (secret_load(&key, "model_key", argv[2], &e) < 0)
			die(e.msg);
		o.base_url = argv[1];
		o.key = &key;
		o.ca_file = argc > 3 ? argv[3] : NULL;
	}
	s.loop = loop_new(&e);
	if (!s.loop)
		die(e.msg);
	struct mcp *mcp = mcp_new(&mo);
	struct demo *demo = demo_new(s.loop, NULL);
	o.mcp = mcp_service(mcp);
	o.demo = demo_service(demo);
	s.g = gateway_new(s.loop, &o);
	struct listener *l = listener_tcp(s.loop, "conformance", &port, on_conn, &s, &e);
	if (!l)
		die(e.msg);
	struct sigwatch *sw = sigwatch_new(s.loop, SIGTERM, on_signal, &s);
	struct watch *w = watch_new(s.loop, "stdin", 0, on_stdin, &s);
	watch_set(w, WATCH_READ);
	printf("{\"port\":%d}\n", port);
	fflush(stdout);
	loop_run(s.loop);
	listener_free(l);
	watch_free(w);
	sigwatch_free(sw);
	gateway_free(s.g);
	mcp_free(mcp);
	demo_free(demo);
	loop_free(s.loop);
	secret_free(&key);
	return 0;
}
