#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A strict fake of the Messages API in a process of its own.

Owns: the listening socket, the streams, the faults, and the record that tests assert on.
Why: tests of the gateway need an upstream that refuses what the real one would refuse.
Must never: connect to anything, or accept a request that messages_check.py does not explain.

Start: messages_api.py --api-key KEY | --bearer TOKEN  [--cert C --key K] [--name HOST]
       [--log FILE] [--control-token T] [--host 127.0.0.1] [--port 0] [--stdin]
It prints one line {"port":N} when it listens, and ends on SIGTERM or, with --stdin, at the end
of its standard input (so that it never outlives the test that started it). What the model says
and how a message asks for a fault: messages_plan.py.

Control, with the header x-control-token:
  GET /__log[?min=N][&path=P]   the records; waits until there are N (answered or broken off)
  DELETE /__log                 forgets them
  POST /__control {"next": [{"do":"fail","status":529,"retry_after":1,"message":"m","count":2}],
                   "open": ["NAME"], "reset": true}
      next: faults for the next `count` requests to /v1/messages; open: lets a !gate go on.
A record: n, time, method, path, query, headers (list of [lower-case name, value]), body (parsed),
texts (the user's lines), status, error, violation (why refused, else null), fault, usage, aborted.
"""
import argparse
import asyncio
import json
import signal
import ssl
import sys
import time

from aiohttp import web

from messages_check import MAX_BODY, Refused, betas_of, check_body, check_headers, same, want
from messages_plan import FAULTS, make_plan, pieces, read

ERROR_TYPES = {
    400: "invalid_request_error", 401: "authentication_error", 402: "billing_error",
    403: "permission_error", 404: "not_found_error", 405: "invalid_request_error",
    408: "timeout_error", 413: "request_too_large", 429: "rate_limit_error",
    500: "api_error", 504: "timeout_error", 529: "overloaded_error",
}
NONSENSE = b"event: message_start\ndata: {not json\n\n\xff\xfe\x00 nonsense\n\n"


class Gone(Exception):
    """The client has hung up, or the connection was cut as asked."""


async def client_gone(request, until=None):
    """Return when the task `until` is done; raise Gone when the client leaves before that.

    aiohttp 3.8 tells a handler nothing about a client that leaves, hence a look every 20 ms.
    """
    while not (until and until.done()):
        if request.transport is None or request.transport.is_closing():
            if until:
                until.cancel()
            raise Gone
        await (asyncio.wait([until], timeout=0.02) if until else asyncio.sleep(0.02))


def cut(request):
    if request.transport is not None:
        request.transport.abort()
    raise Gone


class Fake:
    """One upstream: its options, its records, the faults that wait, the gates."""

    def __init__(self, opts):
        self.opts = opts
        self.records = []
        self.changed = asyncio.Condition()
        self.number = 0
        self.next = []
        self.done = {}
        self.gates = {}
        self.log = open(opts.log, "a", buffering=1, encoding="utf-8") if opts.log else None

    async def note(self, rec):
        self.records.append(rec)
        if self.log:
            self.log.write(json.dumps(rec) + "\n")
        async with self.changed:
            self.changed.notify_all()

    def error(self, rec, status, message, retry_after=None):
        rec["status"], rec["error"] = status, message
        kind = ERROR_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
        headers = {"request-id": rec["id"]}
        if retry_after is not None:
            headers["retry-after"] = str(retry_after)
        return web.json_response({"type": "error", "error": {"type": kind, "message": message},
                                  "request_id": rec["id"]}, status=status, headers=headers)

    def fault_for(self, plan):
        """The control endpoint's orders come before the words of the message."""
        if self.next:
            fault = self.next[0]
            fault["count"] -= 1
            if fault["count"] <= 0:
                self.next.pop(0)
            return fault
        fault = plan.fault
        if fault and fault["times"] is not None:
            before = self.done.get(fault["key"], 0)
            if before >= fault["times"]:
                return None
            self.done[fault["key"]] = before + 1
        return fault

    async def handle(self, request):
        self.number += 1
        rec = {"n": self.number, "id": "req_fake%06d" % self.number, "time": time.time(),
               "method": request.method, "path": request.path, "query": request.query_string,
               "headers": [[k.lower(), v] for k, v in request.headers.items()], "body": None,
               "texts": [], "status": None, "error": None, "violation": None, "fault": None,
               "usage": None, "aborted": False}
        try:
            return await self.answer(request, rec)
        except Refused as e:
            rec["violation"] = str(e)
            return self.error(rec, e.status, str(e))
        except (Gone, ConnectionResetError):
            rec["aborted"] = True
            cut_off = web.Response(status=500)  # goes nowhere: the connection is closed
            cut_off.force_close()
            return cut_off
        finally:
            await self.note(rec)

    async def answer(self, request, rec):
        counting = request.path == "/v1/messages/count_tokens"
        want(counting or request.path == "/v1/messages", "Not found: " + request.path, 404)
        want(request.method == "POST", "Method Not Allowed", 405)
        want(request.query_string in ("", "beta=true"), "query: " + request.query_string)
        check_headers(self.opts, request.headers)
        try:
            raw = await request.read()
        except web.HTTPRequestEntityTooLarge:
            raise Refused(413, "Request exceeds the maximum size")
        body = check_body(raw, counting, betas_of(request.headers))
        rec["body"], rec["texts"] = body, read(body["messages"])[0]
        if counting:
            rec["status"] = 200
            return web.json_response({"input_tokens": len(raw) // 4},
                                     headers={"request-id": rec["id"]})
        plan = make_plan(body, rec["n"])
        fault = self.fault_for(plan) or {"do": None}
        rec["fault"] = fault["do"]
        if fault["do"] == "fail":
            return self.error(rec, fault.get("status") or 500,
                              fault.get("message") or "this failure was asked for",
                              fault.get("retry_after"))
        if fault["do"] == "mute":
            await client_gone(request)
        message = self.message(rec, plan, body, raw)
        rec["usage"], rec["status"] = message["usage"], 200
        if body.get("stream"):
            return await self.stream(request, rec, message, plan, fault["do"])
        return await self.whole(request, rec, message, plan, fault["do"])

    def message(self, rec, plan, body, raw):
        uses_tool = any(b["type"] == "tool_use" for b in plan.blocks)
        return {"id": "msg_fake%06d" % rec["n"], "type": "message", "role": "assistant",
                "model": body["model"], "content": plan.blocks, "stop_sequence": None,
                "stop_reason": "tool_use" if uses_tool else "end_turn",
                "usage": {"input_tokens": len(raw) // 4, "cache_creation_input_tokens": 0,
                          "cache_read_input_tokens": 0, "service_tier": "standard",
                          "output_tokens": len(json.dumps(plan.blocks)) // 4 + 1}}

    async def pass_gate(self, request, plan):
        if plan.gate:
            gate = self.gates.setdefault(plan.gate, asyncio.Event())
            await client_gone(request, asyncio.ensure_future(gate.wait()))

    async def whole(self, request, rec, message, plan, fault):
        """The answer to stream: false; the faults of a stream in their nearest form."""
        if fault == "garbage":
            return web.Response(body=NONSENSE, content_type="application/json")
        if fault == "overload":
            return self.error(rec, 529, "Overloaded")
        if fault == "tear":
            cut(request)
        if fault == "hang":
            await client_gone(request)
        await self.pass_gate(request, plan)
        return web.json_response(message, headers={"request-id": rec["id"]})

    async def stream(self, request, rec, message, plan, fault):
        resp = web.StreamResponse(headers={"content-type": "text/event-stream; charset=utf-8",
                                           "cache-control": "no-cache", "request-id": rec["id"]})
        await resp.prepare(request)

        async def send(kind, **data):
            line = json.dumps({"type": kind, **data})
            await resp.write(("event: %s\ndata: %s\n\n" % (kind, line)).encode())

        if fault == "garbage":
            await resp.write(NONSENSE)
            return resp
        begin = {**message, "content": [], "stop_reason": None,
                 "usage": {**message["usage"], "output_tokens": 1}}
        await send("message_start", message=begin)
        if fault == "hang":
            await client_gone(request)
        if fault == "overload":
            await send("error", error={"type": "overloaded_error", "message": "Overloaded"})
            return resp
        for i, block in enumerate(message["content"]):
            await self.stream_block(request, send, i, block, plan, fault)
        await send("message_delta", delta={"stop_reason": message["stop_reason"],
                                           "stop_sequence": None}, usage=message["usage"])
        await send("message_stop")
        await resp.write_eof()
        return resp

    async def stream_block(self, request, send, i, block, plan, fault):
        hollow = {"text": ""} if block["type"] == "text" else {"input": {}}
        await send("content_block_start", index=i, content_block={**block, **hollow})
        if i == 0:
            await send("ping")
        deltas = pieces(block)
        for j, delta in enumerate(deltas):
            if j and plan.pause:
                pause = asyncio.ensure_future(asyncio.sleep(plan.pause))
                await client_gone(request, pause)
            if i == 0 and j == len(deltas) // 2:
                if fault == "tear":
                    cut(request)
                await self.pass_gate(request, plan)
            await send("content_block_delta", index=i, delta=delta)
        await send("content_block_stop", index=i)

    # ---- control ----

    def guarded(self, handler):
        async def run(request):
            given = request.headers.get("x-control-token", "")
            if not (self.opts.control_token and same(given, self.opts.control_token)):
                return web.Response(status=403)
            return await handler(request)
        return run

    async def get_log(self, request):
        least, path = int(request.query.get("min", 0)), request.query.get("path")

        def pick():
            return [r for r in self.records if path is None or r["path"] == path]

        async with self.changed:
            await self.changed.wait_for(lambda: len(pick()) >= least)
        return web.json_response(pick())

    async def delete_log(self, _request):
        self.records.clear()
        return web.json_response({})

    async def control(self, request):
        order = await request.json()
        unknown = set(order) - {"next", "open", "reset"}
        bad = [n.get("do") for n in order.get("next", []) if n.get("do") not in FAULTS]
        if unknown or bad:
            return web.Response(status=400, text="not known: %s" % (sorted(unknown) + bad))
        if order.get("reset"):
            self.next.clear()
            self.done.clear()
            self.gates.clear()
        for n in order.get("next", []):
            self.next.append({**n, "count": int(n.get("count", 1))})
        for name in order.get("open", []):
            self.gates.setdefault(name, asyncio.Event()).set()
        return web.json_response({"next": self.next})


def options(argv):
    p = argparse.ArgumentParser(description="A strict fake of the Messages API.")
    p.add_argument("--host", default="127.0.0.1")
    p.add_argument("--port", type=int, default=0)
    p.add_argument("--name", help="the only name that the Host header may have")
    p.add_argument("--cert", help="PEM chain; with it, TLS")
    p.add_argument("--key")
    p.add_argument("--api-key")
    p.add_argument("--bearer")
    p.add_argument("--control-token", default="")
    p.add_argument("--log", help="a file that gets each record as one JSON line")
    p.add_argument("--stdin", action="store_true", help="end at the end of standard input")
    opts = p.parse_args(argv)
    if bool(opts.api_key) == bool(opts.bearer):
        p.error("give --api-key or --bearer, and not both")
    if bool(opts.cert) != bool(opts.key):
        p.error("--cert and --key go together")
    return opts


async def serve(opts):
    fake = Fake(opts)
    app = web.Application(client_max_size=MAX_BODY)
    app.router.add_get("/__log", fake.guarded(fake.get_log))
    app.router.add_delete("/__log", fake.guarded(fake.delete_log))
    app.router.add_post("/__control", fake.guarded(fake.control))
    app.router.add_route("*", "/{rest:.*}", fake.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    tls = None
    if opts.cert:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(opts.cert, opts.key)
    await web.TCPSite(runner, opts.host, opts.port, ssl_context=tls,
                      shutdown_timeout=0.1).start()
    print(json.dumps({"port": runner.addresses[0][1]}), flush=True)
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for sig in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sig, stop.set)
    if opts.stdin:
        loop.add_reader(sys.stdin.fileno(), lambda: sys.stdin.buffer.raw.read(4096) or stop.set())
    await stop.wait()
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(serve(options(sys.argv[1:])))
