// SPDX-License-Identifier: Apache-2.0
/*
 * The MCP server over streamable HTTP, in two eras on one endpoint: revision 2026-07-28 (each
 * request carries its version in params._meta and is mirrored in headers; no handshake) and
 * 2025-11-25 (initialize, then requests with a version header). Both are served without sessions
 * and with plain JSON answers: no stream is offered, so GET and DELETE are answered by 405. Who
 * may do what is the tool's decision by the peer that owns the connection; nothing in a request
 * names a caller.
 */
#include "mcp/impl.h"
#include <string.h>
#include "base/str.h"

#define MODERN	     "2026-07-28"
#define LEGACY	     "2025-11-25"
#define MCP_BODY_MAX ((size_t)4 << 20)
#define META	     "io.modelcontextprotocol/"
#ifndef CHELA_VERSION
#define CHELA_VERSION "dev"
#endif

struct mcp *mcp_new(const struct mcp_opts *o)
{
	struct mcp *m = xcalloc(1, sizeof(*m));
	struct err e = ERR_INIT;

	m->o = *o;
	m->schemas = xcalloc(o->n_tools + 1, sizeof(*m->schemas));
	for (size_t i = 0; i < o->n_tools; i++) {
		const char *s = o->tools[i].input_schema;
		m->schemas[i] = json_parse(s, strlen(s), JSON_MAX_DEFAULT, &e);
		if (!cJSON_IsObject(m->schemas[i]))
			die("an MCP tool's input_schema is no JSON object");
	}
	return m;
}

void mcp_free(struct mcp *m)
{
	for (size_t i = 0; i < m->o.n_tools; i++)
		cJSON_Delete(m->schemas[i]);
	free(m->schemas);
	free(m);
}

static void call_free(struct mcp_call *q)
{
	cJSON_Delete(q->msg);
	body_close(&q->body);
	free(q);
}

/* --- answers --- */

static void answer(struct mcp_call *q, int status, cJSON *msg)
{
	_cleanup_free_ char *text = json_print(msg);
	struct http1 *c = q->c;

	cJSON_Delete(msg);
	call_free(q);
	http1_reply(c, status, "application/json", text, strlen(text));
}

static cJSON *envelope(const struct mcp_call *q)
{
	cJSON *msg = cJSON_CreateObject();

	cJSON_AddStringToObject(msg, "jsonrpc", "2.0");
	if (q->id)
		cJSON_AddItemToObject(msg, "id", cJSON_Duplicate(q->id, true));
	return msg;
}

/* data may be NULL; it is taken. */
static void fail_with(struct mcp_call *q, int status, int code, const char *text, cJSON *data)
{
	cJSON *msg = envelope(q);
	cJSON *error = cJSON_AddObjectToObject(msg, "error");

	/* JSON-RPC: an id that could not be read is null. 2026-07-28: it is left out. */
	if (!q->id && !q->modern)
		cJSON_AddNullToObject(msg, "id");
	cJSON_AddNumberToObject(error, "code", code);
	cJSON_AddStringToObject(error, "message", text);
	if (data)
		cJSON_AddItemToObject(error, "data", data);
	answer(q, status, msg);
}

void mcp_fail(struct mcp_call *q, int status, int code, const char *text)
{
	fail_with(q, status, code, text, NULL);
}

static cJSON *server_info(void)
{
	cJSON *info = cJSON_CreateObject();

	cJSON_AddStringToObject(info, "name", "chela");
	cJSON_AddStringToObject(info, "title", "Chela");
	cJSON_AddStringToObject(info, "version", CHELA_VERSION);
	return info;
}

void mcp_succeed(struct mcp_call *q, cJSON *result)
{
	cJSON *msg = envelope(q);

	if (q->modern) {
		cJSON *meta = cJSON_AddObjectToObject(result, "_meta");
		cJSON_AddItemToObject(meta, META "serverInfo", server_info());
		cJSON_AddStringToObject(result, "resultType", "complete");
	}
	cJSON_AddItemToObject(msg, "result", result);
	answer(q, 200, msg);
}

static cJSON *versions(void)
{
	const char *const list[] = {MODERN, LEGACY};

	return cJSON_CreateStringArray(list, ARRAY_LEN(list));
}

static void wrong_version(struct mcp_call *q, const char *asked)
{
	cJSON *data = cJSON_CreateObject();

	cJSON_AddItemToObject(data, "supported", versions());
	cJSON_AddStringToObject(data, "requested", asked);
	fail_with(q, 400, BAD_VERSION, "Unsupported protocol version", data);
}

/* --- methods --- */

static void put_server(cJSON *result)
{
	cJSON_AddObjectToObject(cJSON_AddObjectToObject(result, "capabilities"), "tools");
	cJSON_AddItemToObject(result, "serverInfo", server_info());
}

void mcp_cache_hint(cJSON *result)
{
	cJSON_AddNumberToObject(result, "ttlMs", 3600000);
	cJSON_AddStringToObject(result, "cacheScope", "private");
}

static void do_initialize(struct mcp_call *q, const cJSON *params)
{
	cJSON *result = cJSON_CreateObject();

	(void)params; /* an older or newer client is offered what we have, and decides */
	cJSON_AddStringToObject(result, "protocolVersion", LEGACY);
	put_server(result);
	mcp_succeed(q, result);
}

static void do_discover(struct mcp_call *q, const cJSON *params)
{
	cJSON *result = cJSON_CreateObject();

	(void)params;
	cJSON_AddItemToObject(result, "supportedVersions", versions());
	put_server(result);
	mcp_cache_hint(result);
	mcp_succeed(q, result);
}

static void do_ping(struct mcp_call *q, const cJSON *params)
{
	(void)params;
	mcp_succeed(q, cJSON_CreateObject());
}

static const struct method {
	const char *name;
	bool modern, legacy;
	void (*run)(struct mcp_call *q, const cJSON *params);
} methods[] = {
	{"initialize", false, true, do_initialize},
	{"ping", false, true, do_ping},
	{"server/discover", true, false, do_discover},
	{"tools/list", true, true, mcp_do_tools_list},
	{"tools/call", true, true, mcp_do_tools_call},
};

/* --- what a request must look like --- */

/* Mcp-Name may be wrapped as =?base64?...?=: then the expected name is wrapped the same way. */
static bool name_matches(const char *header, const char *name)
{
	static const char abc[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	struct buf b = {0};
	size_t n = strlen(name);

	if (streq(header, name) && !str_starts(name, "=?base64?"))
		return true;
	buf_puts(&b, "=?base64?");
	for (size_t i = 0; i < n; i += 3) {
		unsigned v = 0;
		for (size_t k = 0; k < 3; k++)
			v = v << 8 | (i + k < n ? (unsigned char)name[i + k] : 0);
		for (size_t k = 0; k < 4; k++)
			buf_put(&b, i + k > n ? "=" : &abc[v >> (18 - 6 * k) & 63], 1);
	}
	buf_puts(&b, "?=");
	bool same = streq(header, b.p);
	buf_free(&b);
	return same;
}

/* The rules of 2026-07-28. False when answered. */
static bool check_modern(struct mcp_call *q, const char *method, const cJSON *params)
{
	const cJSON *meta = cJSON_GetObjectItemCaseSensitive(params, "_meta");
	const cJSON *version = cJSON_GetObjectItemCaseSensitive(meta, META "protocolVersion");
	const cJSON *caps = cJSON_GetObjectItemCaseSensitive(meta, META "clientCapabilities");
	const char *h_version = http1_header(q->r, "mcp-protocol-version");
	const char *h_method = http1_header(q->r, "mcp-method");
	const char *h_name = http1_header(q->r, "mcp-name");
	const char *name = params ? json_peek_str(params, "name") : NULL;
	const char *text = NULL;

	if (!cJSON_IsString(version))
		mcp_fail(q, 400, BAD_PARAMS,
			 "params._meta[\"" META "protocolVersion\"]: expected a string");
	else if (!h_version || !streq(h_version, version->valuestring))
		text = "Header mismatch: MCP-Protocol-Version is not the version in params._meta";
	else if (!streq(h_version, MODERN))
		wrong_version(q, h_version);
	else if (!cJSON_IsObject(caps))
		mcp_fail(q, 400, BAD_PARAMS,
			 "params._meta[\"" META "clientCapabilities\"]: expected an object");
	else if (!h_method || !streq(h_method, method))
		text = "Header mismatch: Mcp-Method is not the request's method";
	else if (streq(method, "tools/call") && name && (!h_name || !name_matches(h_name, name)))
		text = "Header mismatch: Mcp-Name is not params.name";
	else
		return true;
	if (text)
		mcp_fail(q, 400, HEADER_MISMATCH, text);
	return false;
}

static void run_method(struct mcp_call *q, const char *method, const cJSON *params)
{
	const char *h = http1_header(q->r, "mcp-protocol-version");
	const cJSON *meta = cJSON_GetObjectItemCaseSensitive(params, "_meta");
	char text[128];

	q->modern = (h && streq(h, MODERN)) ||
		    cJSON_GetObjectItemCaseSensitive(meta, META "protocolVersion");
	if (q->modern) {
		if (!check_modern(q, method, params))
			return;
	} else if (h && !streq(h, LEGACY) && !streq(method, "initialize")) {
		wrong_version(q, h);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		if (streq(methods[i].name, method) &&
		    (q->modern ? methods[i].modern : methods[i].legacy)) {
			methods[i].run(q, params);
			return;
		}
	}
	snprintf(text, sizeof(text), "Method not found: %.80s", method);
	mcp_fail(q, q->modern ? 404 : 200, NO_METHOD, text);
}

static void run_message(void *x)
{
	struct mcp_call *q = x;
	struct err e = ERR_INIT;
	const char *text = NULL;

	q->msg = json_parse(q->body.buf.p ? q->body.buf.p : "", q->body.buf.len, MCP_BODY_MAX, &e);
	if (!q->msg) {
		mcp_fail(q, 400, BAD_JSON, e.msg);
		return;
	}
	const char *method = json_peek_str(q->msg, "method");
	const char *version = json_peek_str(q->msg, "jsonrpc");
	const cJSON *id = cJSON_GetObjectItemCaseSensitive(q->msg, "id");
	const cJSON *params = cJSON_GetObjectItemCaseSensitive(q->msg, "params");
	if (cJSON_IsArray(q->msg))
		text = "a batch is not taken: send one message a request";
	else if (!version || !streq(version, "2.0"))
		text = "expected a JSON-RPC 2.0 message with \"jsonrpc\": \"2.0\"";
	else if (!method)
		text = "expected a request or a notification with \"method\"";
	else if (id && !cJSON_IsString(id) && !cJSON_IsNumber(id))
		text = "\"id\": expected a string or a number";
	else if (params && !cJSON_IsObject(params))
		text = "\"params\": expected an object";
	if (!text && !id) { /* a notification: nothing of ours depends on one */
		struct http1 *c = q->c;
		call_free(q);
		http1_reply(c, 202, NULL, NULL, 0);
		return;
	}
	q->id = cJSON_IsString(id) || cJSON_IsNumber(id) ? id : NULL;
	if (text)
		mcp_fail(q, 400, BAD_REQUEST, text);
	else
		run_method(q, method, params);
}

/* --- the connection --- */

static void on_body(void *x, const uint8_t *p, size_t n)
{
	struct mcp_call *q = x;
	struct err e = ERR_INIT;

	http1_consumed(q->c, n);
	if (body_add(&q->mcp->bodies, &q->body, p, n, MCP_BODY_MAX, &e) < 0)
		mcp_fail(q, 413, BAD_REQUEST,
			 "the messages that come in now are larger than 4 MiB");
}

static void on_gone(void *x)
{
	struct mcp_call *q = x;

	if (q->tool && q->tool->cancelled)
		q->tool->cancelled(q->peer, q);
	call_free(q);
}

static bool origin_is_ours(const char *origin)
{
	return (str_starts(origin, "http://") && http1_is_local(origin + 7)) ||
	       (str_starts(origin, "https://") && http1_is_local(origin + 8));
}

static const struct http1_handler *on_request(void *self, void *peer, struct http1 *c,
					      const struct http1_req *r, void **x)
{
	static const struct http1_handler handler = {on_body, run_message, NULL, on_gone};
	struct mcp *m = self;
	const char *origin = http1_header(r, "origin");
	const char *type = http1_header(r, "content-type");
	static const char plain[] = "text/plain; charset=utf-8";

	if (origin && !origin_is_ours(origin)) {
		if (m->o.on_refused)
			m->o.on_refused(peer, "POST /mcp", "foreign Origin");
		http1_reply(c, 403, plain, "foreign Origin\n", 15);
		return NULL;
	}
	if (!streq(r->method, "POST")) {
		static const struct http_header allow = {"Allow", "POST"};
		if (http1_respond(c, 405, &allow, 1, 0) == 0)
			http1_finish(c);
		return NULL;
	}
	if (!type || !str_starts(type, "application/json")) {
		http1_reply(c, 415, plain, "expected application/json\n", 26);
		return NULL;
	}
	struct mcp_call *q = xcalloc(1, sizeof(*q));
	q->mcp = m;
	q->peer = peer;
	q->c = c;
	q->r = r;
	body_open(&m->bodies, &q->body, peer, MCP_BODY_MAX);
	*x = q;
	return &handler;
}

struct http1_service mcp_service(struct mcp *m)
{
	return (struct http1_service){on_request, m};
}

/* --- for the tools --- */

const struct mcp_tool *mcp_tool_of(const struct mcp_call *q)
{
	return q->tool;
}

void mcp_reply_content(struct mcp_call *q, cJSON *content, bool is_error)
{
	cJSON *result = cJSON_CreateObject();

	cJSON_AddItemToObject(result, "content", content);
	cJSON_AddBoolToObject(result, "isError", is_error);
	mcp_succeed(q, result);
}

void mcp_reply_text(struct mcp_call *q, const char *text, bool is_error)
{
	cJSON *content = cJSON_CreateArray();
	cJSON *item = cJSON_CreateObject();

	cJSON_AddStringToObject(item, "type", "text");
	cJSON_AddStringToObject(item, "text", text);
	cJSON_AddItemToArray(content, item);
	mcp_reply_content(q, content, is_error);
}
