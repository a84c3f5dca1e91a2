#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A strict fake of Telegram's Bot API in a process of its own.

Owns: the listening sockets and the method table. Why: the channel needs a Telegram that refuses
what the real one refuses, and misbehaves when told to. Must never: connect to anything, or accept
a request that telegram_check.py cannot explain.

Start: telegram.py [--cert C --key K] [--control-token T] [--port 0] [--control-port 0] [--stdin]
                   [--bot-token 123456:ABC...] [--seed N] [--privacy]
It prints one line when it listens, and ends on SIGTERM or (--stdin) with its standard input:
  {"port":N, "control":M, "url":"https://localhost:N", "page":"http://127.0.0.1:M/?token=T",
   "bot_token":"...", "bot_user":"700000001", "username":"chela_fake_bot"}
`url` is channels.telegram.api_url; Python: fake_client.py (Telegram(), .call(...)).

THE CONTROL API is that of slack.py (read its docstring: messages, signs, calls, wait, fault, chaos,
violations, stats, clear, reset, user, chats, the page); what differs:
 ids: chat, thread (a topic's message_thread_id), id (message_id), user: decimal text. A message also
  has "parse_mode" ("" or "HTML"), "entities", "reply_to", "kind" (text|photo|document|voice|
  audio|video|sticker|service), "draft_of"; "key" is always "". The emoji of reactions is Unicode.
 signs: kind "typing" (sendChatAction; text = the action) and "draft" (sendMessageDraft; "draft_id")
 inject EVENTS:
    {"do":"message","chat","user"?,"text"?,"thread"?,"reply_to"?,"mention"? (@bot before the text),
     "files"?:[{"kind"? (document|photo|voice|audio|video|sticker),"name"?,"mime"?,"text"|"base64"|
     "size"}] (one message each; text is the caption of the first),"entities"? (else /commands,
     @mentions and URLs are marked as Telegram does),"quiet"? (not delivered),"fields"? (laid over
     the message object)}
    {"do":"edit","chat","id","text"}  {"do":"react","chat","id","user"?,"emoji","remove"?}
    {"do":"press","chat","id","user"?,"label"|"value"}   {"do":"command","chat","user"?,"command","text"?}
    {"do":"migrate","chat","to"?} the group becomes a supergroup: service messages on both sides; what is
     sent to the old id is refused with migrate_to_chat_id
    {"do":"raw","update":{...}}  {"do":"delete","chat","id"} (Telegram tells bots nothing)
 chat {"id"?, "kind": private|group|supergroup|forum|channel, "name"?, "user"? (private), "state"?:
    "ok"|"blocked"|"kicked"|"gone"|"no_rights", "count"?} -> {"ids":[...]}
 topic {"chat","id"?,"name"} -> {"id"}
 fault: also "conflict" (409; method getUpdates). "download" = file downloads. "error" answers 400, or
    what its description begins with: "Unauthorized", "Forbidden: ...", "Conflict: ...", "Not Found",
    "Internal Server Error".
 wire {"do","count"?,"seconds"?}: "webhook" (one is set: 409 until deleteWebhook) | "drop" (the
    waiting polls are reset) | "half_open" (the waiting polls never answer) | "conflict" (another
    poller: the waiting poll and the next `count` get 409) | "redeliver" (the last `count` confirmed updates
    come again) | "shuffle" (the next `count` updates in reverse order) | "gap" (update_id jumps by `count`)
    | "hold" (polls get nothing, updates gather) | "release"
 limits {"speed"? (1), "per_chat_s"? (1.0), "burst"? (4), "group_per_min"? (20), "overall_per_s"? (30),
    "privacy"? (bool)}. "burst" is per chat; a 429 tells retry_after in whole seconds.
 wait what: "ready" (a poll waits or was answered in the last 2 s), "waiting" (polls right now), "idle" (all updates confirmed)
 stats {} -> {"pending","confirmed","polls","waiting","calls","errors","limited","messages",
    "violations","faults","offset"}
WORLD: users 1001 (Alice), 1002 (Bob); private chats 1001 and 1002; group -2001 (Family), supergroup
 -1003001 (Work), forum -1003002 (Project; topics 11 "Plans", 12 "Bugs", General without an id).
"""
import asyncio
import hmac
import inspect
import math
import sys
import time

from aiohttp import web

from fake_base import FakeBase, Gone, hung_up, parser, serve
from fake_faults import need
from telegram_check import METHODS, Error, check_args
from telegram_methods import CONFLICT, Methods, result_json
from telegram_world import BOT, USERNAME, World

SENDS = {"sendmessage", "sendphoto", "senddocument", "sendvoice", "sendaudio", "sendvideo",
         "editmessagetext"}
CODES = {"Unauthorized": 401, "Forbidden": 403, "Not Found": 404, "Conflict": 409,
         "Internal Server Error": 500}
WIRE = ("hold", "release", "webhook", "drop", "half_open", "conflict", "redeliver", "shuffle", "gap")
CHAOS_CALLS = {
    "sendMessage": {"lost": .01, "limit": .02, "http": .02, "garbage": .005, "drop": .02,
                    "torn": .005, "slow": .01},
    "getUpdates": {"http": .03, "conflict": .03, "drop": .03, "lost": .02, "garbage": .02,
                   "torn": .02, "slow": .02, "limit": .01},
    "*": {"http": .02, "drop": .01, "garbage": .01, "limit": .01}}
CHAOS_WIRE = {"redeliver": .02, "shuffle": .01, "gap": .005}


class Telegram(World, Methods, FakeBase):
    NAME, PATH = "telegram", ""
    LIMITS = {"speed": 1, "per_chat_s": 1.0, "burst": 4, "group_per_min": 20, "overall_per_s": 30,
              "privacy": False}
    EXTRA_FAULTS = {"conflict": set()}
    WIRE_CHAOS = ("redeliver", "shuffle", "gap")
    PROFILES = {"off": ({}, {}), "short": (CHAOS_CALLS, CHAOS_WIRE),
                "long": ({m: {d: p / 2 for d, p in t.items()} for m, t in CHAOS_CALLS.items()},
                         {d: p / 4 for d, p in CHAOS_WIRE.items()})}

    def __init__(self, opts):
        self.root, self.poll = "", None
        super().__init__(opts)
        self.hello = {"bot_token": opts.bot_token, "bot_user": str(BOT), "username": USERNAME}

    def start_over(self):
        super().start_over()
        if self.poll is not None:
            self.poll.set()
        self.limits["privacy"] = self.opts.privacy
        self.wake, self.poll, self.webhook = asyncio.Event(), None, ""
        self.polls = self.waiting = self.rivals = self.offset = self.count_confirmed = 0
        self.last_poll, self.cuts, self.holding = -math.inf, set(), False
        self.found_world()

    # ---- the Bot API

    def told_off(self, call, code, description, parameters=None):
        call.error, call.status = description, code
        self.errors[description[:60]] += 1
        body = {"ok": False, "error_code": code, "description": description}
        if parameters:
            body["parameters"] = parameters
        return web.json_response(body, status=code)

    def refuse(self, call, error, description=None):
        words = description or f"Bad Request: {error}"
        codes = [code for start, code in CODES.items() if words.startswith(start)]
        return self.told_off(call, codes[0] if codes else 400, words)

    def limited(self, call, retry_after):
        if call.chat is not None:
            self.hold(call, retry_after, call.chat)
        else:
            self.numbers["limited"] += 1
        return self.told_off(call, 429, f"Too Many Requests: retry after {retry_after}",
                             {"retry_after": retry_after})

    async def own_fault(self, request, call, fault):
        return self.told_off(call, 409, CONFLICT)

    def right_token(self, request):
        given = request.match_info["token"]
        return hmac.compare_digest(given.encode(), self.opts.bot_token.encode())

    async def api(self, request):
        """One call: who asks, what is asked, the trouble that was ordered, the deed."""
        key = request.match_info["method"].lower()
        name = METHODS.get(key, (request.match_info["method"],))[0]
        raw, form, wrong = {}, False, None
        try:
            raw, form = await self.read(request)
        except Error as e:
            wrong = e
        shown = {k: f"({len(v[2])} bytes)" if isinstance(v, tuple) else v for k, v in raw.items()}
        call = self.called(name, str(raw["chat_id"]) if "chat_id" in raw else None, shown)
        return await self.carry_out(request, call, lambda: self.perform(
            request, call, key, wrong, raw, form))

    async def read(self, request):
        """The arguments as sent, and whether they came as text; a file is a tuple."""
        if request.method == "GET":
            return dict(request.query), True
        if request.content_type == "application/json":
            try:
                raw = await request.json()
            except ValueError:
                raise Error(400, "Bad Request: can't parse JSON object", "no JSON") from None
            if not isinstance(raw, dict):
                raise Error(400, "Bad Request: object expected as parameters", "no JSON object")
            return raw, False
        if request.content_type == "application/x-www-form-urlencoded":
            return dict(await request.post()), True
        if request.content_type == "multipart/form-data":
            post = await request.post()
            return {k: (v.filename, v.content_type, v.file.read())
                    if isinstance(v, web.FileField) else v for k, v in post.items()}, True
        if await request.read():
            raise Error(400, "Bad Request: unsupported content type", request.content_type)
        return {}, True

    async def perform(self, request, call, key, wrong, raw, form):
        try:
            if not self.right_token(request):
                raise Error(401, "Unauthorized")
            if key not in METHODS:
                raise Error(404, "Not Found", f"no method {call.method}")
            if wrong:
                raise wrong
            wait = self.rate(call, key)
            if wait:
                return self.limited(call, max(1, math.ceil(wait)))
            args = check_args(key, raw, form)
            done = getattr(self, "do_" + key)(args)
            if inspect.isawaitable(done):
                done = await self.unless_cut(request, done)
            return web.Response(text=result_json(done), content_type="application/json")
        except Error as e:
            if e.why:
                self.violation(call.method, e.why, call.args)
            return self.told_off(call, e.code, e.description, e.parameters)

    async def unless_cut(self, request, doing):
        """A long poll ends early when it is cut, goes deaf, or its client leaves."""
        order = asyncio.get_running_loop().create_future()
        self.cuts.add(order)
        task, left = asyncio.ensure_future(doing), asyncio.ensure_future(hung_up(request))
        try:
            await asyncio.wait([task, left, order], return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            task.cancel()
            if order.done() and order.result() == "half_open":
                await left
            self.cut(request)
        finally:
            self.cuts.discard(order)
            for t in (task, left):
                t.cancel()
        raise Gone

    def rate(self, call, key):
        """Seconds to wait, or 0."""
        if key not in SENDS or call.chat is None:
            return 0
        self.check_held(call, call.chat)
        c = self.chats.get(call.chat)
        wait = self.buckets.take(call.chat, self.scaled("per_chat_s"), self.limits["burst"])
        if not wait and c is not None and c.group:
            per_min = self.limits["group_per_min"]
            wait = self.buckets.take("group " + call.chat, 60 / per_min / self.limits["speed"],
                                     per_min)
        if not wait:
            per_s = self.limits["overall_per_s"]
            wait = self.buckets.take("", 1 / per_s / self.limits["speed"], per_s)
        return wait

    async def download(self, request):
        path = request.match_info["path"]
        call = self.called("download", None, {"path": path})

        def give():
            found = [f for f in self.files.values() if f.path == path]
            if not (self.right_token(request) and found):
                self.violation("download", "a wrong token or path", {"path": path})
                return web.Response(status=404)
            return web.Response(body=found[0].data,
                                headers={"content-type": "application/octet-stream"})
        return await self.carry_out(request, call, give)

    # ---- orders of its own

    def find_other(self, what, filters):
        if what == "waiting":
            return [{}] * self.waiting
        if what == "ready":
            need(not filters, "no filters here")
            fresh = time.monotonic() - self.last_poll < 2
            return [{}] if self.waiting or fresh else []
        if what == "idle":
            return [{}] if not (self.queue or self.again or self.shuffling) else []
        if what == "chat":
            return [c.told() for c in self.chats.values()
                    if all(c.told().get(k) == v for k, v in filters.items())]
        return None

    def order_wire(self, *, do, count=1, seconds=0):
        need(do in WIRE, f"the wire cannot {do}")
        if do in ("hold", "release"):
            self.holding = do == "hold"
            self.wake.set()
        elif do == "webhook":
            self.webhook = "https://elsewhere.invalid/hook"
            self.interrupt()
        elif do == "conflict":
            self.rivals += count
            self.interrupt()
        elif do == "redeliver":
            self.again += list(self.confirmed)[-count:]
            self.wake.set()
        elif do == "shuffle":
            self.shuffling = {"count": max(2, count), "held": []}
            asyncio.get_running_loop().call_later(seconds or 1.0, self.unshuffle)
        elif do == "gap":
            self.update_id += count
        else:
            for order in list(self.cuts):
                if not order.done():
                    order.set_result(do)
        return {}

    def interrupt(self):
        """The waiting poll ends with a conflict."""
        if self.poll is not None:
            self.poll.set()

    def order_clear(self):
        super().order_clear()
        self.rivals, self.webhook, self.holding = 0, "", False
        self.wake.set()
        self.unshuffle()
        return {}

    def order_stats(self):
        return {**super().order_stats(), "pending": len(self.queue), "polls": self.polls,
                "confirmed": self.count_confirmed, "waiting": self.waiting, "offset": self.offset}


def main(argv):
    p = parser("A strict fake of Telegram's Bot API.")
    p.add_argument("--bot-token", default="700000001:FAKE-telegram-bot-token-0123456789")
    p.add_argument("--privacy", action="store_true", help="groups: only what is meant for the bot")
    fake = Telegram(p.parse_args(argv))
    app = web.Application(client_max_size=64 << 20)
    app.router.add_route("*", "/bot{token}/{method}", fake.api)
    app.router.add_get("/file/bot{token}/{path:.+}", fake.download)
    asyncio.run(serve(fake, app))


if __name__ == "__main__":
    main(sys.argv[1:])
