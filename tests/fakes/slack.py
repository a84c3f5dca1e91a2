#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A strict fake of Slack (Web API, Socket Mode, files) in a process of its own.

Owns: the listening sockets and the method table. Why: the channel needs a Slack that refuses what
the real one refuses, and misbehaves when told to. Must never: connect to anything, or accept a
request that slack_check.py cannot explain.

Start: slack.py [--cert C --key K] [--control-token T] [--port 0] [--control-port 0] [--stdin]
                [--bot-token xoxb-...] [--app-token xapp-...] [--seed N]
It prints one line when it listens, and ends on SIGTERM or (--stdin) with its standard input:
  {"port":N, "control":M, "url":"https://localhost:N/api", "page":"http://127.0.0.1:M/?token=T",
   "bot_token":"xoxb-...", "app_token":"xapp-...", "bot_user":"U0CHELABOT", "team":"T0FAKETEAM"}
`url` is channels.slack.api_url (http without --cert); Python: fake_client.py (Slack(), .call(...)).

THE CONTROL API (the same for all fakes; owner: fake_base.py)
  POST http://127.0.0.1:M/<order> with a JSON object, header x-control-token: T. 200 and a JSON
  object; 400 {"error":...} for an unknown order, key or value.
 A message is always told as {"n" (a number over all chats, in order of birth), "chat", "id" (ts),
  "thread" ("" or ts), "from":"bot"|"user", "user", "name", "text" (as sent, raw markup), "plain"
  (what is seen), "time", "edits":[{"time","text"}] (older texts, oldest first), "deleted":bool,
  "reactions":{"name":["user",...]}, "files":[{"id","name","mime","size","sha256"}],
  "buttons":[{"label","value"}], "reply_to", "key" (metadata.event_payload.key or ""),
  "streaming":bool, "method" (that made it)}. A sign is {"n","time","chat","thread","kind":
  "typing"|"status"|"draft","text"}. A call: {"n","time","method","chat","args","status","error",
  "fault"}.
 messages {FILTERS}                      -> {"messages":[...]} in order
 signs {chat?, thread?, kind?, text?}    -> {"signs":[...]} the last 5,000
 calls {method?, chat?, since? (n), fault?} -> {"calls":[...]} the last 20,000
    FILTERS: chat, from, thread, id, user, text (part of text), regex, plain (part of plain), key,
    edited (bool), deleted (bool; default false), reaction (name), file (name), button (label),
    since (n greater than)
 wait {what?, count? (1), timeout? (30 s), FILTERS} -> {"ok":bool, "count":N, "messages"|"signs"|
    "calls":[...]}: returns once so many match, or with ok false at the timeout. what: "messages",
    "signs", "calls", "ready" (Chela listens: a live socket here, a poll in Telegram), "sockets"
    (count live ones), "idle" (all that was injected is acknowledged or given up), "chat" (filters
    match chats)
 inject {"events":[EVENT,...]} or one EVENT -> {"ids":[...]} (ts of each, for a message). EVENTS:
    {"do":"message","chat","user"?,"text","thread"?,"mention"? (bool: <@bot> before the text),
     "files"?:[{"name","mime"?,"text"|"base64"|"size" (that many bytes)}],"quiet"? (bool: it exists
     and is never delivered, as after an outage: back-fill must find it),"id"? (else made)}
    {"do":"edit","chat","id","text"}  {"do":"delete","chat","id"}
    {"do":"react","chat","id","user"?,"emoji" (name, no colons),"remove"?}
    {"do":"press","chat","id","user"?,"label"|"value"}
    {"do":"command","chat","user"?,"command","text"?}
    {"do":"raw","type"? ("events_api"),"payload":{...}} an envelope with this payload
    text is sent as given (write &amp; yourself). Without "user" it is the chat's first member.
 chat {"id"?, "kind": channel|private|im|mpim, "name"?, "user"? (im), "member"? (the bot is in it;
    true), "archived"?, "count"? (so many, named name-1 ...)} -> {"ids":[...]}; with a known id: changes
 user {"id"?, "name"} -> {"id"}     chats {} -> {"chats":[...]}
 fault {"method" ("*" = any; "download", "upload" and "link" (the websocket) count as methods), "do",
    "count"? (1; 0 = until clear), "after"? (0: lets so many pass first), "chat"?, ...}. do:
    "limit" {retry_after?=1} 429 | "http" {status?=500, body?} | "garbage" (200, no JSON, not done) |
    "error" {error, description?} (ok:false, not done) | "slow" {seconds} (done, answered late) |
    "stall" (no answer, not done, until clear) | "drop" (closed, not done) |
    "lost" (DONE, closed before the answer) | "torn" (DONE, half an answer) |
    "redirect" (download only: to another host of ours, which reports a token as a violation)
 chaos {"seed", "profile":"off"|"short"|"long"} or {"seed", "rates":{"METHOD"|"*":{"do":p,...}},
    "wire":{"do":p per envelope,...}}: the same faults with probabilities
 wire {"do", "socket"? ("all"), "count"?, "seconds"?}: "all"|"oldest"|"newest". do: "drop" (TCP
    reset) | "close" (close frame) | "half_open" (no word more, no close, acks unread) | "refresh"
    (refresh_requested; closes after 10 s/speed) | "warning" (then refresh_requested's close) |
    "link_disabled" (and opening fails until clear) | "too_many" (too_many_websockets, closes) |
    "torn" (half a frame, reset) | "garbage" (a text frame that is no JSON) | "binary" |
    "redeliver" (the last `count` envelopes again) | "shuffle" (the next `count` in reverse order) |
    "hold" (envelopes wait) | "release" | "rate_limited" (app_rate_limited: no inner event)
 limits {"speed"? (1: divides what follows but ack_s), "per_chat_s"? (1.0), "burst"? (4), "tiers"?
    (true: 20/50/100 a minute and twice that at once), "ack_s"? (3.0), "retry_s"? ([0,60,300]: when an
    unacknowledged event comes again; then it is lost), "window"? (1000 unacknowledged a socket),
    "ping_s"? (10), "life_s"? (0 = no end; else refresh after so long), "ticket_s"? (30), "echo"?
    (true: our own posts come back as events), "streams"? (true; false = startStream is refused),
    "keep"? (0 = all; else so many messages are remembered: for very long runs)}
 violations {clear?}  -> {"violations":[{"n","time","method","what","args"}]}: tests assert none
 stats {}  -> {"sockets","unacked","queued","lost_events","delivered","redelivered","acks","opens",
    "calls":{method:n},"errors":{...},"limited","messages":{"bot","user"},"violations","faults":{do:n}}
 clear {}  faults, chaos, gates, wire orders end       reset {}  and the world is as at the start
 GET /?token=T  the page to type in     GET /events?token=T  what happens, as server-sent events
WORLD at the start: users U0000ALICE, U0000000BOB; channels C00GENERAL (general), C000RANDOM (random),
 private C000SECRET (secret), im D0000ALICE and D000000BOB. The bot is a member of all of them.
Bodies of files: GET http://127.0.0.1:M/file/<id>?token=T gives the bytes of any file, either side's.
"""
import asyncio
import math
import mimetypes
import sys

from aiohttp import web

import slack_socket
from fake_base import FakeBase, parser, serve
from fake_faults import need
from slack_check import METHODS, Error, check_args, check_token
from slack_methods import Methods
from slack_socket import SocketMode
from slack_world import APP, BOT, TEAM, World

LOGIN = "<!DOCTYPE html><html><head><title>Slack</title></head><body>Sign in to your workspace"
SCOPES = ("app_mentions:read,channels:history,channels:read,chat:write,files:read,files:write,"
          "groups:history,groups:read,im:history,im:read,im:write,mpim:history,reactions:read,"
          "reactions:write,users:read,commands,assistant:write")
CHAOS_CALLS = {"chat.postMessage": {"lost": .03, "limit": .02, "http": .02, "garbage": .01,
                                    "drop": .02, "torn": .01, "slow": .01},
               "*": {"http": .02, "drop": .01, "garbage": .01, "limit": .01}}
CHAOS_WIRE = {"drop": .004, "close": .002, "half_open": .001, "refresh": .003, "too_many": .0005,
              "torn": .001, "garbage": .003, "redeliver": .02, "shuffle": .01}


class Slack(World, Methods, FakeBase):
    NAME, PATH, TEAM, APP = "slack", "/api", TEAM, APP
    LIMITS = {"speed": 1, "per_chat_s": 1.0, "burst": 4, "tiers": True, "ack_s": 3.0,
              "retry_s": [0, 60, 300], "window": 1000, "ping_s": 10, "life_s": 0, "ticket_s": 30,
              "echo": True, "streams": True}
    EXTRA_FAULTS = {"redirect": set()}
    WIRE_CHAOS = slack_socket.WIRE_CHAOS
    PROFILES = {"off": ({}, {}), "short": (CHAOS_CALLS, CHAOS_WIRE),
                "long": ({m: {d: p / 2 for d, p in t.items()} for m, t in CHAOS_CALLS.items()},
                         {d: p / 4 for d, p in CHAOS_WIRE.items()})}

    def __init__(self, opts):
        self.root, self.socket = "", None
        super().__init__(opts)
        self.hello = {"bot_token": opts.bot_token, "app_token": opts.app_token, "bot_user": BOT,
                      "team": TEAM}

    def start_over(self):
        if self.socket:
            self.socket.stop()
        super().start_over()
        self.found_world()
        self.uploads = {}
        self.socket = SocketMode(self)

    # ---- the Web API

    def answer(self, call, body):
        if call.method in METHODS and not body["ok"]:
            call.error = body["error"]
            self.errors[body["error"]] += 1
        return web.json_response(body, headers={"x-oauth-scopes": SCOPES,
                                                "cache-control": "private, no-store"})

    def refuse(self, call, error, description=None):
        return self.answer(call, {"ok": False, "error": error})

    def limited(self, call, retry_after):
        self.hold(call, retry_after, (call.method, call.chat))
        self.errors["ratelimited"] += 1
        return web.json_response({"ok": False, "error": "ratelimited"}, status=429,
                                 headers={"Retry-After": str(retry_after)})

    async def api(self, request):
        """One call: who asks, what is asked, the trouble that was ordered, the deed."""
        name = request.match_info["method"]
        method = METHODS.get(name)
        raw, wrong = {}, None
        try:
            if method is None:
                raise Error("unknown_method", "no such method")
            raw, form = await self.read(request, method)
        except Error as e:
            wrong = e
        chat = raw.get("channel") or raw.get("channel_id")
        call = self.called(name, chat if isinstance(chat, str) else None, raw)
        return await self.carry_out(request, call, lambda: self.perform(
            request, call, method, wrong) if wrong else self.perform(
                request, call, method, None, raw, form))

    async def read(self, request, method):
        """The arguments as sent, and whether they came as a form."""
        if request.method == "GET":
            if not method.get:
                raise Error("invalid_arguments", "GET of a method that writes")
            return dict(request.query), True
        if request.method != "POST":
            raise Error("invalid_arguments", f"HTTP method {request.method}")
        if request.query_string:
            raise Error("invalid_arguments", "arguments in the query of a POST")
        kind = request.content_type
        if kind == "application/json":
            try:
                raw = await request.json()
            except ValueError:
                raise Error("invalid_json", "the body is no JSON") from None
            if not isinstance(raw, dict):
                raise Error("json_not_object", "the body is no JSON object")
            if method.body == "form" and raw:
                raise Error("invalid_arguments", "this method takes a form or a query, not JSON")
            return raw, False
        if kind == "application/x-www-form-urlencoded":
            return dict(await request.post()), True
        if await request.read():
            raise Error("invalid_post_type", f"content type {kind}")
        return {}, True

    def perform(self, request, call, method, wrong, raw=None, form=False):
        try:
            if wrong:
                raise wrong
            check_token(method, request.headers.get("authorization"), self.opts)
            wait = self.rate(call, method)
            if wait:
                return self.limited(call, max(1, math.ceil(wait)))
            args = check_args(method, raw, form)
            done = getattr(self, "do_" + call.method.replace(".", "_"))(args)
            return self.answer(call, {"ok": True, **done})
        except Error as e:
            if e.why:
                self.violation(call.method, f"{e.error}: {e.why}", raw)
            return self.answer(call, {"ok": False, "error": e.error})

    def rate(self, call, method):
        """Seconds to wait, or 0. Posts: per chat; the others: per method, twice the tier at once."""
        self.check_held(call, (call.method, call.chat))
        if call.method in ("chat.postMessage", "files.completeUploadExternal") and call.chat:
            return self.buckets.take(call.chat, self.scaled("per_chat_s"), self.limits["burst"])
        if self.limits["tiers"] and method.tier:
            return self.buckets.take(call.method, 60 / method.tier / self.limits["speed"],
                                     2 * method.tier)
        return 0

    # ---- files

    async def download(self, request):
        ref = request.match_info["ref"].partition("-")[2]
        call = self.called("download", None, {"file": ref})
        return await self.carry_out(request, call, lambda: self.give(request, call, ref))

    def give(self, request, call, ref):
        given, f = request.headers.get("authorization"), self.files.get(ref)
        if given != "Bearer " + self.opts.bot_token:
            self.violation("download", "without the bot's token: this gives a page to sign in")
            return web.Response(text=LOGIN, content_type="text/html")
        if f is None:
            return web.Response(status=404, text="not found")
        return web.Response(body=f.data, headers={"content-type": f.mime})

    async def own_fault(self, request, call, fault):
        """redirect: to this server under its other name, where a token must not come."""
        other = self.root.replace("localhost", "127.0.0.1") if "localhost" in self.root else (
            self.root.replace("127.0.0.1", "localhost"))
        return web.Response(status=302, headers={"location": f"{other}/elsewhere"})

    async def elsewhere(self, request):
        if "authorization" in request.headers:
            self.violation("download", "the token went to another host")
        return web.Response(text=LOGIN, content_type="text/html")

    async def upload(self, request):
        call = self.called("upload", None, {})
        data = await request.read()
        if request.content_type == "multipart/form-data":
            form = await request.post()
            parts = [v for v in form.values() if isinstance(v, web.FileField)]
            data = parts[0].file.read() if parts else b""
        return await self.carry_out(request, call, lambda: self.take(request, call, data))

    def take(self, request, call, data):
        u = self.uploads.get(request.match_info["ticket"])
        if "authorization" in request.headers:
            self.violation("upload", "the token where none is needed")
        if u is None or u["data"] is not None:
            self.violation("upload", "an upload URL that is unknown or used up")
            return web.Response(status=404)
        if len(data) != u["length"]:
            self.violation("upload", f"{len(data)} bytes, announced were {u['length']}")
            return web.Response(status=400, text="length")
        u["data"] = data
        u["mime"] = mimetypes.guess_type(u["name"])[0] or "application/octet-stream"
        call.args = {"file": u["ref"], "name": u["name"]}
        return web.Response(text=f"OK - {len(data)}")

    async def link(self, request):
        call = self.called("link", None, {})
        fault = self.faults.pick("link", None)
        if fault:
            call.fault = fault["do"]
            if fault["do"] in ("http", "limit", "error", "garbage"):
                call.status = fault.get("status", 503)
                return web.Response(status=call.status, text="upstream trouble")
            self.socket.admit(request)
            return await self.carry_out_link(request, fault)
        call.status = 101
        return await self.socket.serve(request)

    async def carry_out_link(self, request, fault):
        """stall and slow: no answer to the upgrade for a while; the rest: closed at once."""
        if fault["do"] in ("stall", "slow"):
            try:
                await asyncio.wait_for(self.faults.lifted.wait(), fault.get("seconds", 60))
            except asyncio.TimeoutError:
                pass
        if request.transport is not None:
            request.transport.abort()
        gone = web.Response(status=500)
        gone.force_close()
        return gone

    # ---- orders of its own

    def find_other(self, what, filters):
        if what in ("ready", "sockets"):
            need(not filters, "no filters here")
            return [{"number": k.number} for k in self.socket.links if not (k.deaf or k.leaving)]
        if what == "idle":
            return [{}] if self.socket.idle() else []
        if what == "chat":
            return [c.told() for c in self.chats.values()
                    if all(c.told().get(k) == v for k, v in filters.items())]
        return None

    def order_wire(self, *, do, socket="all", count=1, seconds=0):
        need(do in slack_socket.WIRE, f"the wire cannot {do}")
        need(socket in ("all", "oldest", "newest"), "socket: all, oldest or newest")
        self.socket.wire(do, socket, count, seconds)
        return {"sockets": len(self.socket.links)}

    def order_clear(self):
        super().order_clear()
        self.socket.clear()
        return {}

    def order_stats(self):
        s = self.socket
        return {**super().order_stats(), **{k: s.count[k] for k in (
            "posted", "delivered", "redelivered", "acks", "opens", "lost_events")},
            "sockets": len(s.links), "unacked": len(s.unacked), "queued": len(s.waiting),
            "gaps": s.gaps, "gaps_ms": s.gaps_ms}


def main(argv):
    p = parser("A strict fake of Slack.")
    p.add_argument("--bot-token", default="xoxb-fake-0123456789-bot")
    p.add_argument("--app-token", default="xapp-1-A00FAKEAPP-0123456789-app")
    opts = p.parse_args(argv)
    fake = Slack(opts)
    app = web.Application(client_max_size=64 << 20)
    app.router.add_route("*", "/api/{method}", fake.api)
    app.router.add_get("/link/", fake.link)
    app.router.add_get("/files-pri/{ref}/download/{name}", fake.download)
    app.router.add_get("/files-pri/{ref}/{name}", fake.download)
    app.router.add_get("/elsewhere", fake.elsewhere)
    app.router.add_post("/upload/v1/{ticket}", fake.upload)
    asyncio.run(serve(fake, app))


if __name__ == "__main__":
    main(sys.argv[1:])
