#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A strict fake of the WhatsApp bridge's side of the wire (channels/whatsapp/PROTOCOL.md), without
Node and without WhatsApp, in a process of its own.

Owns: the websocket, the spool, what the "people on WhatsApp" do. Why: the C channel, chaos and bench
need a bridge that refuses what PROTOCOL.md forbids, and misbehaves when told to. Must never:
connect to anything, or accept a frame that whatsapp_check.py cannot explain.

Start: whatsapp_wire.py [--control-token T] [--token BRIDGE_TOKEN] [--port 0] [--control-port 0]
                        [--stdin] [--seed N] [--cert C --key K]
It prints one line when it listens, and ends on SIGTERM or (--stdin) with its standard input:
  {"port":N, "control":M, "url":"ws://127.0.0.1:N/" (wss://localhost:N/ with --cert),
   "page":"http://127.0.0.1:M/?token=T", "token":"..." (for channels.whatsapp.token_file),
   "me":"4915119999999@s.whatsapp.net"}
In the place of node: whatsapp_wire.py .../bridge.mjs --dir DIR ... (what Chela starts for
`bridge: local` when channels.whatsapp.node names this file) takes its token from CHELA_WA_TOKEN, prints
the bridge's own line, ends with standard input, and writes {"control":M,"token":T} to DIR/control.json.

THE CONTROL API is that of slack.py (read its docstring: messages, signs, calls, wait, fault, chaos,
violations, stats, clear, reset, chats, the page); Python: fake_client.py (WhatsApp()). What differs:
 ids: chat and user are JIDs, a message's id is WhatsApp's; "key" is the request's id; "thread" is "";
  "kind" is text|image|video|audio|voice|document|sticker; the emoji of reactions is Unicode; what the
  owner typed on the phone is from "user" with "from_me":true.
 signs: kind "typing" (text "on" or "off").    calls: one a request; method = op, args = the frame
 inject EVENTS (each becomes an event of the spool; ids are WhatsApp's):
    {"do":"message","chat","user"? (default: the chat's first),"text"?,"mention"? (@me before the
     text),"reply_to"? (id of what is quoted),"files"?:[{"name"?,"mime"?,"kind"?,"text"|"base64"|
     "size"}] (one message each; text goes with the first),"forwarded"?,"history"?,"from_me"?,"id"?,
     "fields"? (laid over the event)}
    {"do":"edit","chat","id","text"}  {"do":"delete","chat","id"}
    {"do":"react","chat","id","user"?,"emoji","remove"?}
    {"do":"moved","lid","pn"} a person known by the LID is known by the number from now on
    {"do":"raw","event":{...}} an event as given; "kept": false = without a number
 chat {"id"?, "name"?, "members"? [jid], "state"?: "ok"|"gone", "count"?} -> {"ids"}: groups
 user {"id"? (jid), "name", "lid"?} -> {"id"}: a person, with a direct chat of the same id
 state {"state", "code"?, "text"?, "retry_ms"?} the session's state: sends "offline" unless "up"
 scan {} the QR is scanned or the code typed: linking -> connecting -> up
 fault {"method" (an op, or "*"), "do", "count"?, "after"?, "chat"?, ...}. do: "error" {error = a code
    of PROTOCOL.md § 5, description?} | "limit" {retry_after?} | "slow" {seconds} | "stall" (not done, no
    answer) | "drop" (not done, connection reset) | "lost" (DONE, reset before the answer) | "torn"
    (DONE, half a frame, reset) | "garbage" (not done; a frame that is no JSON) | "http" (not done; the
    socket closes with 1011) | "wrong" (fetch only: bytes with another hash)
 wire {"do","count"?,"seconds"?,"code"?}: "drop" (TCP reset) | "close" {code} | "half_open" (no word
    more, no pong, what comes is not looked at) | "garbage" | "torn" | "binary" | "large" (a frame
    beyond 1 MiB) | "redeliver" (the last `count` acknowledged events again, after a drop: their acks
    were lost) | "hold" (events wait) | "release" | "refuse" {code = bad_token | bad_version |
    hello_timeout} the next `count` hellos | "http" {code}: the next `count` upgrades get this HTTP
    status | "deaf" (the next `count` hellos get no answer) | "silent_gap" (`count` numbers are
    skipped) | "new_spool" (as if DIR was emptied: another session, numbers from 1)
 limits {"speed"?, "window"? (256), "hello_s"? (5), "ping_s"? (15; 0 = none), "idle_s"? (45)}
 wait what: "ready" (a welcomed client), "sockets", "idle" (every event acknowledged)
 stats {} -> {"sockets","seq","acked","unacked","delivered","redelivered","acks","hellos","repeats",
    "state","calls","errors","limited","messages","violations","faults"}
WORLD: me 4915119999999 (LID 199999999999999); Ann 4915110000001 (LID 100000000000001), Bob
 4915110000002 (LID 100000000000002), Carl, of whom only the LID is known (100000000000003@lid); the
 groups 120363000000000001@g.us (Family: Ann, Bob) and 120363000000000002@g.us (Work: Bob, Carl).
"""
import asyncio
import hmac
import json
import os
import pathlib
import secrets
import sys
import time

from aiohttp import WSMsgType, web

from fake_base import FakeBase, need, parser, serve
from whatsapp_check import MAX_FRAME, Bad, check_ack, check_hello, check_request
from whatsapp_ops import Ops
from whatsapp_world import ME, World

WINDOW = 256


class Link:
    """One client's connection."""

    def __init__(self, request, ws):
        self.request, self.ws = request, ws
        self.welcomed = self.mute = False
        self.sent = 0  # the last event's number that left
        self.open_ids = set()
        self.heard = time.monotonic()
        self.out = asyncio.Queue()

    def put(self, frame):
        self.out.put_nowait(frame)

    def reset(self):
        if self.request.transport is not None:
            self.request.transport.abort()

    async def torn(self, text):
        """Half a frame, then the end of the connection."""
        if self.request.transport is not None:
            half = text.encode()[:200]
            self.request.transport.write(b"\x81\x7e\x7f\xff" + half)
            self.request.transport.close()

    async def write(self):
        while True:
            frame = await self.out.get()
            if self.mute:
                continue
            if callable(frame):
                await frame()
            elif isinstance(frame, bytes):
                await self.ws.send_bytes(frame)
            else:
                await self.ws.send_str(frame if isinstance(frame, str) else
                                       json.dumps(frame, ensure_ascii=False))


class WhatsAppWire(Ops, World, FakeBase):
    NAME = "WhatsApp"
    PATH = "/"
    LIMITS = {"speed": 1.0, "window": WINDOW, "hello_s": 5.0, "ping_s": 15.0, "idle_s": 45.0}
    EXTRA_FAULTS = {"wrong": set()}
    WIRE_CHAOS = ("drop", "half_open", "garbage", "torn", "redeliver", "close")
    OPS_CHAOS = {"error": 0.01, "limit": 0.01, "slow": 0.01, "drop": 0.005, "lost": 0.005,
                 "torn": 0.003, "garbage": 0.003, "http": 0.003}
    PROFILES = {"off": ({}, {}),
                "short": ({"*": OPS_CHAOS}, {"drop": 0.004, "redeliver": 0.004, "close": 0.002,
                                            "garbage": 0.001, "torn": 0.001}),
                "long": ({"*": OPS_CHAOS}, {"drop": 0.002, "redeliver": 0.002, "close": 0.001,
                                           "garbage": 0.001, "torn": 0.001,
                                           "half_open": 0.0003})}

    def __init__(self, opts):
        self.links = set()
        super().__init__(opts)

    def start_over(self):
        super().start_over()
        self.link = None  # the welcomed one
        self.session, self.seq, self.acked = secrets.token_hex(16), 0, 0
        self.spool = {}  # number -> text, all numbers above `floor`
        self.floor = 0
        self.hold_events = False
        self.refusals = []  # [what, code, count]
        self.answers, self.parts = {}, {}
        self.state_now = {"state": "up"}
        self.settle_world()
        for link in list(self.links):
            link.reset()

    # ---- the wire

    async def upgrade(self, request):
        if "Origin" in request.headers:
            self.violation("upgrade", "an Origin header")
            return web.Response(status=403)
        refused = self.take_refusal("http")
        if refused:
            return web.Response(status=refused)
        ws = web.WebSocketResponse(autoping=False, max_msg_size=MAX_FRAME)
        await ws.prepare(request)
        link = Link(request, ws)
        self.links.add(link)
        writer = asyncio.ensure_future(link.write())
        pinger = asyncio.ensure_future(self.watch(link))
        try:
            await self.read(link)
        except (ConnectionError, RuntimeError):
            pass
        finally:
            writer.cancel()
            pinger.cancel()
            self.links.discard(link)
            if self.link is link:
                self.link = None
            self.changed()
        return ws

    async def read(self, link):
        wait = self.scaled("hello_s")
        try:
            first = await asyncio.wait_for(link.ws.receive(), wait)
        except asyncio.TimeoutError:
            self.violation("hello", f"no hello within {wait} s")
            await self.turn_away(link, "hello_timeout", 4001)
            return
        if not await self.greet(link, first):
            return
        async for frame in link.ws:
            link.heard = time.monotonic()
            if link.mute:
                continue
            if frame.type == WSMsgType.PING:
                await link.ws.pong(frame.data)
            elif frame.type == WSMsgType.TEXT:
                try:
                    self.take(link, json.loads(frame.data))
                except (Bad, ValueError) as e:
                    self.violation("frame", str(e), frame.data[:500])
                    await self.turn_away(link, "bad_frame", 4002)
                    return
            elif frame.type == WSMsgType.ERROR:
                self.violation("frame", f"{link.ws.exception()}")
            elif frame.type != WSMsgType.PONG:
                self.violation("frame", f"a frame of type {frame.type}")
                await self.turn_away(link, "bad_frame", 4002)
                return

    async def watch(self, link):
        """Pings, and cuts a client that has fallen silent."""
        while True:
            every = self.scaled("ping_s") or 3600
            await asyncio.sleep(every)
            if not link.mute and not link.ws.closed:
                await link.ws.ping()
            if time.monotonic() - link.heard > self.scaled("idle_s") and self.limits["ping_s"]:
                link.reset()

    async def turn_away(self, link, code, close, **more):
        await link.ws.send_str(json.dumps({"error": {"code": code, "text": code, **more}}))
        await link.ws.close(code=close)

    def take_refusal(self, what):
        for r in self.refusals:
            if r[0] == what:
                r[2] -= 1
                if r[2] <= 0:
                    self.refusals.remove(r)
                return r[1]
        return None

    async def greet(self, link, frame):
        """The hello; True when welcomed."""
        self.numbers["hello"] += 1
        if frame.type in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.CLOSING):
            return False
        try:
            hello = check_hello(frame.data if frame.type == WSMsgType.TEXT else None)
        except Bad as e:
            self.violation("hello", str(e))
            await self.turn_away(link, "bad_frame", 4002)
            return False
        forced = self.take_refusal("refuse")
        code = forced or ("bad_version" if hello["version"] != 1 else None)
        if not code and not hmac.compare_digest(hello["token"].encode(), self.opts.token.encode()):
            code = "bad_token"
        if code:
            close = {"bad_version": 4004, "bad_token": 4003, "hello_timeout": 4001}[code]
            await self.turn_away(link, code, close,
                                 **({"versions": [1]} if code == "bad_version" else {}))
            return False
        if self.take_refusal("deaf"):
            link.mute = True
            return True
        self.welcome(link)
        return True

    def welcome(self, link):
        if self.link is not None:
            old = self.link
            old.put(lambda: self.turn_away(old, "replaced", 4009))
        self.new_client()
        self.link, link.welcomed, link.sent = link, True, self.acked
        link.put({"welcome": {"version": 1, "bridge": "whatsapp_wire/1.0", "session": self.session,
                              "seq": self.seq, "acked": self.acked,
                              "window": int(self.limits["window"]), "state": self.told_state(),
                              **({"me": ME} if self.linked() else {})}})
        self.pump()
        self.changed()

    def linked(self):
        return self.state_now["state"] not in ("unlinked", "linking", "logged_out")

    def told_state(self):
        return {"type": "state", **self.state_now, **({"me": ME} if self.linked() else {})}

    def take(self, link, frame):
        if not isinstance(frame, dict):
            raise Bad("not an object")
        if set(frame) == {"ack"}:
            self.acknowledge(link, check_ack(frame, link.sent))
            return
        check_request(frame)
        if frame["id"] in link.open_ids:
            self.violation(frame["op"], "the id is under way on this connection", frame)
        link.open_ids.add(frame["id"])
        if len(link.open_ids) > 64:
            self.violation(frame["op"], "more than 64 requests without an answer")
        asyncio.ensure_future(self.request(link, frame))

    def acknowledge(self, link, seq):
        self.numbers["ack"] += 1
        if seq > self.acked:
            self.acked = seq
            for n in range(self.floor + 1, seq - 1024):  # some stay, to be redelivered
                self.spool.pop(n, None)
            self.floor = max(self.floor, seq - 1025)
        self.pump()
        self.changed()

    # ---- events

    def event(self, event, kept=True):
        """To the spool, and to the client."""
        if not kept:
            if self.link:
                self.link.put({"event": event})
            return
        self.seq += 1
        self.spool[self.seq] = json.dumps({"seq": self.seq, "event": event}, ensure_ascii=False)
        self.pump()

    def pump(self):
        link = self.link
        if link is None or self.hold_events or link.mute:
            return
        while link.sent < self.seq and link.sent - self.acked < self.limits["window"]:
            link.sent += 1
            text = self.spool.get(link.sent)
            if text is None:
                continue
            trouble = self.faults.pick_wire()
            if trouble:
                link.sent -= 1
                self.order_wire(do=trouble)
                return
            self.numbers["delivered"] += 1
            link.put(text)

    # ---- orders

    def order_wire(self, *, do, count=1, seconds=0, code=None):
        link = self.link
        if do in ("refuse", "http", "deaf"):
            self.refusals.append([do, code or {"refuse": "bad_token", "http": 503}.get(do, 1),
                                  count])
        elif do in ("hold", "release"):
            self.hold_events = do == "hold"
            self.pump()
        elif do == "redeliver":
            self.numbers["redelivered"] += min(count, self.acked - self.floor)
            self.acked = max(self.floor, self.acked - count)
            if link:
                link.reset()
        elif do == "silent_gap":
            self.seq += count
        elif do == "new_spool":
            self.session, self.seq, self.acked, self.floor = secrets.token_hex(16), 0, 0, 0
            self.spool = {}
            if link:
                link.reset()
        elif link is None:
            return {"done": False}
        elif do == "drop":
            link.reset()
        elif do == "half_open":
            link.mute = True
        elif do == "close":
            link.put(lambda: link.ws.close(code=code or 1001))
        elif do == "torn":
            link.put(lambda: link.torn('{"seq":1,"event":{"type":"mess'))
        else:
            odd = {"garbage": '{"seq": 1, "event": nonsense', "binary": b"\0\1\2",
                   "large": '{"event":{"type":"x","pad":"' + "x" * MAX_FRAME + '"}}'}
            need(do in odd, f"the wire cannot do {do}")
            link.put(odd[do])
        return {"done": True}

    def order_state(self, *, state, code=None, text="", retry_ms=None):
        self.state_now = {k: v for k, v in (("state", state), ("code", code), ("text", text),
                                            ("retry_ms", retry_ms)) if v is not None}
        self.event(self.told_state(), kept=False)
        return {}

    def order_scan(self):
        need(self.state_now["state"] == "linking", "nobody is linking")
        self.order_state(state="connecting")
        self.order_state(state="up")
        return {}

    def find_other(self, what, filters):
        if what in ("ready", "sockets"):
            return [{"sent": self.link.sent}] if self.link else []
        if what == "idle":
            return [{"acked": self.acked}] if self.acked >= self.seq else []
        return None

    def order_stats(self):
        n = self.numbers
        return {**super().order_stats(), "sockets": 1 if self.link else 0, "seq": self.seq,
                "acked": self.acked, "unacked": self.seq - self.acked, "acks": n["ack"],
                "delivered": n["delivered"], "redelivered": n["redelivered"],
                "hellos": n["hello"], "repeats": n["repeat"], "state": self.state_now["state"]}


def in_place_of_node(argv):
    """What Chela gives to node, as our own arguments."""
    where = argv[argv.index("--dir") + 1]
    port = argv[argv.index("--port") + 1] if "--port" in argv else "0"
    end = ["--stdin"] if "--supervised" in argv else []
    return where, ["--port", port, "--token", os.environ.get("CHELA_WA_TOKEN", ""), *end]


def main(argv):
    where = None
    if argv and argv[0].endswith(".mjs"):
        where, argv = in_place_of_node(argv)
    p = parser("A strict fake of the WhatsApp bridge's wire.")
    p.add_argument("--token", default=secrets.token_urlsafe(24))
    opts = p.parse_args(argv)
    fake = WhatsAppWire(opts)
    app = web.Application()
    app.router.add_get("/", fake.upgrade)
    fake.hello.update(token=opts.token, me=ME["jid"])
    asyncio.run(run(fake, app, where))


class Hello(dict):
    """fake_base's greeting, with a websocket's scheme and, for Chela as the parent, in its form."""

    def __init__(self, where):
        super().__init__()
        self.where = where

    def update(self, *args, **more):
        super().update(*args, **more)
        if "url" in self:
            self["url"] = self["url"].replace("http", "ws", 1)


async def run(fake, app, where):
    hello = Hello(where)
    hello.update(fake.hello)
    fake.hello = hello
    if where is not None:
        await as_bridge(fake, app, where)
    else:
        await serve(fake, app)


async def as_bridge(fake, app, where):
    """The same, telling the port in the bridge's words and the control's place in a file."""
    real, out = print, sys.stdout

    class Line:
        def write(self, text):
            if not text.strip():
                return
            told = json.loads(text)
            pathlib.Path(where, "control.json").write_text(
                json.dumps({"control": told["control"], "token": fake.token}))
            real(json.dumps({"chela_bridge": 1, "port": told["port"], "pid": os.getpid()}),
                 file=out, flush=True)

        def flush(self):
            pass
    sys.stdout = Line()
    await serve(fake, app)


if __name__ == "__main__":
    main(sys.argv[1:])
