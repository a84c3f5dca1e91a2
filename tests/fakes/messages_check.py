# SPDX-License-Identifier: Apache-2.0
"""What the Messages API refuses, as checks that raise Refused.

Owns: headers, the shape of a request body, the pairing of tool uses and results.
Why: a gateway that spoils a request must fail a test, not be answered kindly.
Must never: change a request, or let through what it does not know (an unknown key is an error).
Source: the public description of POST /v1/messages. Where the real API is kind (a header sent
twice), this is stricter. Turns of one role in a row are allowed, as there: the API joins them.
"""
import hmac
import json
import re

MAX_BODY = 32 * 1024 * 1024
VERSION = "2023-06-01"
OAUTH_BETA = "oauth-2025-04-20"
TURN_BETA = "per-turn-control-2026-07-01"
TOP_KEYS = {
    "model", "messages", "max_tokens", "metadata", "stop_sequences", "stream", "system",
    "temperature", "thinking", "tool_choice", "tools", "top_k", "top_p", "service_tier",
    "container", "context_management", "mcp_servers", "output_config", "output_format",
    "inference_geo", "speed", "cache_control", "diagnostics",
}
COUNT_KEYS = TOP_KEYS - {"max_tokens", "stream", "metadata"}
BLOCKS = {
    "user": {"text", "image", "document", "tool_result", "search_result", "container_upload"},
    "assistant": {"text", "thinking", "redacted_thinking", "tool_use", "server_tool_use"},
    "system": {"text"},
}
RESULT_BLOCKS = {"text", "image", "document", "search_result", "tool_reference"}
NAME = re.compile(r"^[a-zA-Z0-9_-]{1,128}$")
# Of one connection only (RFC 9110, 7.6.1): a proxy that passes them on is broken.
HOP_BY_HOP = {"te", "trailer", "upgrade", "keep-alive", "proxy-connection", "proxy-authorization",
              "proxy-authenticate"}


class Refused(Exception):
    """A request the API would not take: the status of the answer, and why."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


def want(ok, message, status=400):
    if not ok:
        raise Refused(status, message)


def same(a, b):
    return hmac.compare_digest(a.encode("utf-8", "replace"), b.encode("utf-8", "replace"))


def betas_of(headers):
    return {b.strip() for h in headers.getall("anthropic-beta", []) for b in h.split(",")}


def check_auth(opts, headers):
    key, auth = headers.getall("x-api-key", []), headers.getall("authorization", [])
    want(not (key and auth), "both x-api-key and authorization were sent", 401)
    want(len(key + auth) <= 1, "the credential was sent twice", 401)
    if opts.bearer:
        want(auth, "authorization header is required", 401)
        want(same(auth[0], "Bearer " + opts.bearer), "invalid bearer token", 401)
        want(OAUTH_BETA in betas_of(headers),
             "OAuth authentication is currently not supported.", 401)
    else:
        want(key, "x-api-key header is required", 401)
        want(same(key[0], opts.api_key), "invalid x-api-key", 401)


def check_headers(opts, headers):
    check_auth(opts, headers)
    want(headers.getall("anthropic-version", []) == [VERSION],
         "anthropic-version: %s is required, once" % VERSION)
    ctype = headers.get("content-type", "").split(";")[0].strip().lower()
    want(ctype == "application/json", "content-type must be application/json, not '%s'" % ctype)
    hosts = headers.getall("host", [])
    want(len(hosts) == 1, "host is required, once")
    if opts.name:
        want(hosts[0].split(":")[0] == opts.name, "host: '%s'" % hosts[0])
    for name in headers:
        want(name.lower() not in HOP_BY_HOP, "the hop-by-hop header %s was passed on" % name)


def check_tool_result(where, block):
    want(isinstance(block.get("tool_use_id"), str), where + ".tool_use_id: Field required")
    inner = block.get("content", "")
    want(isinstance(inner, (str, list)), where + ".content: must be a string or a list")
    for i, b in enumerate(inner if isinstance(inner, list) else []):
        want(isinstance(b, dict) and b.get("type") in RESULT_BLOCKS,
             "%s.content.%d.type" % (where, i))
        want(b["type"] != "text" or isinstance(b.get("text"), str),
             "%s.content.%d.text: must be a string" % (where, i))


def check_block(where, role, block, cached):
    want(isinstance(block, dict), where + ": must be an object")
    kind = block.get("type")
    want(kind in BLOCKS[role], "%s: type '%s' is not allowed in a %s message" % (where, kind, role))
    if "cache_control" in block:
        cache = block["cache_control"]
        want(isinstance(cache, dict) and cache.get("type") == "ephemeral",
             where + ".cache_control.type")
        cached.append(where)
    if kind == "text":
        want(isinstance(block.get("text"), str) and block["text"],
             where + ": text content blocks must be non-empty")
    elif kind == "tool_use":
        want(isinstance(block.get("id"), str) and block["id"], where + ".id: Field required")
        want(isinstance(block.get("name"), str) and NAME.match(block["name"]), where + ".name")
        want(isinstance(block.get("input"), dict), where + ".input: must be an object")
    elif kind == "tool_result":
        check_tool_result(where, block)
    elif kind in ("image", "document"):
        src = block.get("source")
        want(isinstance(src, dict) and src.get("type") in ("base64", "url", "file", "text",
                                                           "content"), where + ".source.type")


def blocks_of(message):
    """The content as a list of blocks: a plain string is one text block."""
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def check_shape(where, message, betas):
    want(isinstance(message, dict), where + ": must be an object")
    role, content = message.get("role"), message.get("content")
    want(role in BLOCKS, "%s.role: '%s'" % (where, role))
    extra = set(message) - {"role", "content"}
    if TURN_BETA in betas and role == "system":
        extra -= {"output_config"}
    want(not extra, "%s.%s: Extra inputs are not permitted" % (where, ", ".join(sorted(extra))))
    want(isinstance(content, (str, list)) and content, where + ".content: must be non-empty")


def check_messages(messages, cached, betas):
    """Shapes in order, and for each tool_use its result at once after it, once."""
    want(isinstance(messages, list) and messages, "messages: at least one message is required")
    waiting, seen = [], set()
    for i, m in enumerate(messages):
        where = "messages.%d" % i
        check_shape(where, m, betas)
        want(i or m["role"] == "user", "messages: first message must use the \"user\" role")
        blocks = blocks_of(m)
        for j, b in enumerate(blocks):
            check_block("%s.content.%d" % (where, j), m["role"], b, cached)
        results = [b["tool_use_id"] for b in blocks if b["type"] == "tool_result"]
        missing = set(waiting) - set(results)
        want(not missing, "%s: `tool_use` ids were found without `tool_result` blocks immediately "
             "after: %s" % (where, ", ".join(sorted(missing))))
        for t in results:
            want(t in waiting, "%s: unexpected `tool_use_id` found in `tool_result` blocks: %s"
                 % (where, t))
        want(len(results) == len(set(results)), where + ": more than one tool_result for an id")
        first = [b["type"] == "tool_result" for b in blocks]
        want(first == sorted(first, reverse=True), where + ": tool_result blocks must come first")
        waiting = [b["id"] for b in blocks if b["type"] == "tool_use"]
        for t in waiting:
            want(t not in seen, "%s: `tool_use` ids must be unique: %s" % (where, t))
            seen.add(t)
    want(not waiting, "messages: the last tool_use has no tool_result")


def check_tools(tools, cached):
    want(isinstance(tools, list), "tools: must be a list")
    names = set()
    for i, t in enumerate(tools):
        want(isinstance(t, dict), "tools.%d: must be an object" % i)
        name = t.get("name")
        want(isinstance(name, str) and NAME.match(name), "tools.%d.name: '%s'" % (i, name))
        want(name not in names, "tools: Tool names must be unique: %s" % name)
        names.add(name)
        if t.get("type", "custom") == "custom":
            schema = t.get("input_schema")
            want(isinstance(schema, dict) and schema.get("type") == "object",
                 "tools.%d.input_schema.type: must be 'object'" % i)
        if "cache_control" in t:
            cached.append("tools.%d" % i)


def check_sampling(body):
    most = body.get("max_tokens")
    want(type(most) is int and most > 0, "max_tokens: must be a whole number above 0")
    want(isinstance(body.get("stream", False), bool), "stream: must be true or false")
    think = body.get("thinking", {"type": "disabled"})
    want(isinstance(think, dict) and think.get("type") in ("enabled", "disabled", "adaptive"),
         "thinking.type")
    if think["type"] == "enabled":
        budget = think.get("budget_tokens")
        want(type(budget) is int and 1024 <= budget < most, "thinking.budget_tokens")


def check_body(raw, counting, betas):
    """The parsed body, when the API would take it; `counting`: of count_tokens."""
    want(len(raw) <= MAX_BODY, "Request exceeds the maximum size", 413)
    try:
        body = json.loads(raw)
    except ValueError as e:
        raise Refused(400, "The request body is not valid JSON: %s" % e)
    want(isinstance(body, dict), "the body must be an object")
    extra = set(body) - (COUNT_KEYS if counting else TOP_KEYS)
    want(not extra, "%s: Extra inputs are not permitted" % ", ".join(sorted(extra)))
    want(isinstance(body.get("model"), str) and body["model"], "model: Field required")
    cached = []
    system = body.get("system", "")
    want(isinstance(system, (str, list)), "system: must be a string or a list")
    for i, b in enumerate(system if isinstance(system, list) else []):
        check_block("system.%d" % i, "system", b, cached)
    check_tools(body.get("tools", []), cached)
    check_messages(body.get("messages"), cached, betas)
    want(len(cached) <= 4,
         "A maximum of 4 blocks with cache_control may be provided. Found %d." % len(cached))
    if not counting:
        check_sampling(body)
    return body
