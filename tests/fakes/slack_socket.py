# SPDX-License-Identifier: Apache-2.0
"""Socket Mode: websockets, envelopes, acknowledgements, redelivery, and the trouble with them.

Owns: every open link, every envelope that is not yet acknowledged. Why: at-least-once delivery
without an order is what the channel must survive. Must never: lose an event silently: what is
given up is counted (stats.lost_events).
"""
import asyncio
import collections
import json
import secrets
import time

from aiohttp import WSMsgType, web

WIRE = ("drop", "close", "half_open", "refresh", "warning", "link_disabled", "too_many", "torn",
        "garbage", "binary", "redeliver", "shuffle", "hold", "release", "rate_limited")
WIRE_CHAOS = ("drop", "close", "half_open", "refresh", "too_many", "torn", "garbage", "redeliver",
              "shuffle")
MOST_LINKS = 10


class Envelope:
    __slots__ = ("id", "kind", "payload", "reply", "tries", "link", "due")

    def __init__(self, kind, payload, reply):
        self.id, self.kind, self.payload, self.reply = new_id(), kind, payload, reply
        self.tries, self.link, self.due = 0, None, 0.0

    def frame(self, reason):
        again = f', "retry_attempt": {self.tries}, "retry_reason": "{reason}"' if self.tries else ""
        return (f'{{"envelope_id": "{self.id}", "payload": {self.payload}, "type": "{self.kind}", '
                f'"accepts_response_payload": {json.dumps(self.reply)}{again}}}')


def new_id():
    h = secrets.token_hex(16)
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"


class Link:
    """One websocket. deaf: nothing is read or answered any more; leaving: told to go."""

    def __init__(self, ws, request, number):
        self.ws, self.request, self.number = ws, request, number
        self.deaf = self.leaving = self.gone = False
        self.out, self.unacked, self.pong = asyncio.Queue(), 0, time.monotonic()
        self.woken = asyncio.Event()

    def send(self, text):
        self.out.put_nowait(text)

    def reset(self):
        if self.request.transport is not None:
            self.request.transport.abort()
        self.woken.set()

    def write_raw(self, data):
        if self.request.transport is not None:
            self.request.transport.write(data)


class SocketMode:
    def __init__(self, fake):
        self.fake, self.links, self.number = fake, [], 0
        self.waiting = collections.deque()
        self.unacked = collections.OrderedDict()
        self.sent = collections.OrderedDict()  # envelope id -> how often sent; the newest 100,000
        self.recent = collections.deque(maxlen=1000)
        self.tickets, self.spent = {}, set()
        self.later, self.shuffling, self.held = set(), None, False
        self.disabled, self.over, self.sweep, self.retries = False, False, None, 0
        self.count = collections.Counter()
        self.alone_since, self.gaps_ms, self.gaps = None, 0, 0

    # ---- the way in

    def ticket(self):
        t = secrets.token_urlsafe(24)
        self.tickets[t] = time.monotonic() + self.fake.limits["ticket_s"]
        self.count["opens"] += 1
        return t

    def admit(self, request):
        """True when the ticket is good; it is used up by this."""
        t = request.query.get("ticket", "")
        if t in self.spent:
            self.fake.violation("link", "a ticket was used twice")
        until = self.tickets.pop(t, 0)
        self.spent.add(t)
        return time.monotonic() < until

    async def serve(self, request):
        if not self.admit(request):
            return web.Response(status=403, text="invalid ticket")
        ws = web.WebSocketResponse(autoping=False, autoclose=True, compress=False, timeout=1.0,
                                   max_msg_size=1 << 20)
        await ws.prepare(request)
        self.number += 1
        link = Link(ws, request, self.number)
        tasks = [asyncio.ensure_future(self._write(link)), asyncio.ensure_future(self._ping(link))]
        try:
            await self._greet(link)
            await self._read(link)
        except ConnectionResetError:
            pass
        finally:
            for t in tasks:
                t.cancel()
            self._left(link)
        return ws

    async def _greet(self, link):
        crowd = len(self.links) >= MOST_LINKS
        link.send(json.dumps({
            "type": "hello", "num_connections": len(self.links) + 1,
            "connection_info": {"app_id": self.fake.APP},
            "debug_info": {"host": "applink-fake", "build_number": 1,
                           "approximate_connection_time": 18060}}))
        if crowd:
            return self.dismiss(link, "too_many_websockets", 0.05)
        self.links.append(link)
        if self.alone_since is not None:
            self.gaps_ms += int(1000 * (time.monotonic() - self.alone_since))
            self.gaps += 1
            self.alone_since = None
        life = self.fake.limits["life_s"]
        if life:
            self._call_later(life, self.refresh, link, "refresh_requested")
        self.fake.changed()
        return self.pump()

    async def _write(self, link):
        while True:
            text = await link.out.get()
            if not link.deaf:
                try:
                    await link.ws.send_str(text)
                except ConnectionResetError:
                    return

    async def _ping(self, link):
        while not link.gone:
            await asyncio.sleep(self.fake.limits["ping_s"])
            if link.deaf:
                continue
            if time.monotonic() - link.pong > 3 * self.fake.limits["ping_s"] + 1:
                link.reset()
                return
            try:
                await link.ws.ping(b"Ping from applink-fake")
            except ConnectionResetError:
                return

    async def _read(self, link):
        while not link.ws.closed:
            msg = await link.ws.receive()
            if link.deaf:
                await self._be_deaf(link)
                return
            if msg.type == WSMsgType.TEXT:
                self._ack(link, msg.data)
            elif msg.type == WSMsgType.PING:
                await link.ws.pong(msg.data)
            elif msg.type == WSMsgType.PONG:
                link.pong = time.monotonic()
            elif msg.type == WSMsgType.BINARY:
                self.fake.violation("link", "a binary frame")
            else:
                return  # closed, or an error

    async def _be_deaf(self, link):
        """Half open: nothing more until the client itself gives up or the time is over."""
        while not (link.request.transport is None or link.request.transport.is_closing()):
            try:
                await asyncio.wait_for(link.woken.wait(), 0.1)
                break
            except asyncio.TimeoutError:
                continue
        link.reset()

    def _left(self, link):
        link.gone = True
        if link not in self.links:
            return
        self.links.remove(link)
        if not self.links:
            self.alone_since = time.monotonic()
        for env in [e for e in self.unacked.values() if e.link is link]:
            del self.unacked[env.id]
            self._failed(env)
        self.fake.changed()

    # ---- envelopes

    def post(self, kind, payload, reply=False):
        """An event for the client; payload: JSON text."""
        self.waiting.append(Envelope(kind, payload, reply))
        self.count["posted"] += 1
        self.pump()

    def _links_for_work(self):
        room = [k for k in self.links if k.unacked < self.fake.limits["window"]]
        return [k for k in room if not k.leaving] or room

    def pump(self):
        """Sends what waits, as far as there are links with room."""
        if self.held:
            return
        if not self.links:
            failed, self.waiting = self.waiting, collections.deque()
            for env in failed:
                self._failed(env)
            return
        while self.waiting:
            links = self._links_for_work()
            if not links:
                return
            env = self.waiting.popleft()
            if self.shuffling is not None:
                self.shuffling["held"].append(env)
                if len(self.shuffling["held"]) < self.shuffling["count"]:
                    continue
                held, self.shuffling = self.shuffling["held"][::-1], None
                for e in held:
                    self._send(e, links[self.fake.faults.rng.randrange(len(links))])
                continue
            self._send(env, links[self.fake.faults.rng.randrange(len(links))])

    def _send(self, env, link):
        chance = self.fake.faults.pick_wire()
        now = time.monotonic()
        env.link, env.due = link, now + self.fake.limits["ack_s"]
        self.unacked[env.id] = env
        link.unacked += 1
        self.sent[env.id] = self.sent.get(env.id, 0) + 1
        if len(self.sent) > 100000:
            self.sent.popitem(last=False)
        self.count["redelivered" if env.tries else "delivered"] += 1
        link.send(env.frame("timeout"))
        self.recent.append(env)
        if self.sweep is None:
            self.sweep = asyncio.get_running_loop().call_later(
                self.fake.limits["ack_s"], self._overdue)
        if chance:
            self._trouble(chance, link, 1, 0)

    def _overdue(self):
        """Envelopes are in the order of sending, so that the first ones are due first."""
        self.sweep, now = None, time.monotonic()
        while self.unacked:
            env = next(iter(self.unacked.values()))
            if env.due > now:
                self.sweep = asyncio.get_running_loop().call_later(env.due - now + 0.01,
                                                                   self._overdue)
                break
            del self.unacked[env.id]
            env.link.unacked -= 1
            self._failed(env)
        self.fake.changed()

    def _failed(self, env):
        """Not acknowledged: comes again as retry_s says, with the same event inside."""
        if self.over:
            return
        waits = self.fake.limits["retry_s"]
        if env.tries >= len(waits):
            self.count["lost_events"] += 1
            self.fake.changed()
            return
        wait = waits[env.tries] / self.fake.limits["speed"]
        env.tries += 1
        if env.tries % 2:  # Slack's documents do not say whether the id stays: both happen here
            env.id = new_id()
        self.retries += 1
        self._call_later(wait, self._again, env)

    def _again(self, env):
        self.retries -= 1
        self.waiting.append(env)
        self.pump()

    def _call_later(self, delay, what, *args):
        def run():
            self.later.discard(handle)
            what(*args)
        handle = asyncio.get_running_loop().call_later(delay, run)
        self.later.add(handle)

    def _ack(self, link, text):
        wrong = self.fake.violation
        try:
            ack = json.loads(text)
        except ValueError:
            return wrong("link", "a frame that is no JSON", text[:200])
        if not isinstance(ack, dict) or not isinstance(ack.get("envelope_id"), str):
            return wrong("link", "a frame without an envelope_id", text[:200])
        if set(ack) - {"envelope_id", "payload"}:
            wrong("link", f"an acknowledgement with {sorted(ack)}")
        left = self.sent.get(ack["envelope_id"])
        if left is None:
            return wrong("link", "acknowledges an unknown envelope", ack["envelope_id"])
        if left == 0:
            return wrong("link", "acknowledges an envelope more often than it came", ack)
        self.sent[ack["envelope_id"]] = left - 1
        self.count["acks"] += 1
        env = self.unacked.get(ack["envelope_id"])
        if env is None:
            return None  # late: it comes again
        if env.link is not link:
            return wrong("link", "acknowledges on another socket than it came on", ack)
        if "payload" in ack and not env.reply:
            wrong("link", "an answer where none is taken", ack)
        del self.unacked[env.id]
        link.unacked -= 1
        if self.waiting:
            self.pump()
        self.fake.changed()
        return None

    def idle(self):
        return not (self.waiting or self.unacked or self.shuffling or self.retries)

    # ---- trouble

    def dismiss(self, link, reason, after):
        """Says disconnect and closes after some seconds."""
        link.leaving = True
        link.send(json.dumps({"type": "disconnect", "reason": reason,
                              "debug_info": {"host": "applink-fake"}}))
        self._call_later(after, self._close, link)

    def _close(self, link):
        async def close():
            await link.ws.close(code=1000)
            link.woken.set()
        if not link.gone and not link.deaf:
            asyncio.ensure_future(close())

    def refresh(self, link, reason):
        if not (link.gone or link.leaving):
            self.dismiss(link, reason, 10 / self.fake.limits["speed"])

    def chosen(self, which):
        if which == "all" or not self.links:
            return list(self.links)
        return [self.links[0 if which == "oldest" else -1]]

    def wire(self, do, which, count, seconds):
        """An order of the control API."""
        if do == "link_disabled":
            self.disabled = True
        if do in ("hold", "release"):
            self.held = do == "hold"
            self.pump()
        elif do in ("redeliver", "shuffle"):
            self._trouble(do, None, count, seconds)
        else:
            for link in self.chosen(which):
                self._trouble(do, link, count, seconds)

    def _trouble(self, do, link, count, seconds):
        if do == "drop":
            link.reset()
        elif do == "close":
            link.leaving = True
            self._close(link)
        elif do == "half_open":
            link.deaf = True
            if seconds:
                self._call_later(seconds, link.woken.set)
        elif do == "refresh":
            self.refresh(link, "refresh_requested")
        elif do == "warning":
            self.refresh(link, "warning")
        elif do == "link_disabled":
            self.dismiss(link, "link_disabled", 0.05)
        elif do == "too_many":
            self.dismiss(link, "too_many_websockets", 0.05)
        elif do == "torn":  # a frame that promises 200 bytes and brings 20
            link.write_raw(b"\x81\x7e\x00\xc8" + b'{"envelope_id": "torn')
            self._call_later(0.05, link.reset)
        elif do == "garbage":
            link.send('{"type": "events_api", "envelope_id": [')
        elif do == "binary":
            asyncio.ensure_future(link.ws.send_bytes(b"\x00\xff\xfe binary"))
        elif do == "rate_limited":
            self.post("events_api", json.dumps({
                "token": "t", "type": "app_rate_limited", "team_id": self.fake.TEAM,
                "minute_rate_limited": int(time.time()), "api_app_id": self.fake.APP}))
        elif do == "shuffle":
            self.shuffling = self.shuffling or {"count": max(2, count), "held": []}
            self._call_later(1.0, self._unshuffle)
        elif do == "redeliver":
            for env in list(self.recent)[-count:]:
                again = Envelope(env.kind, env.payload, env.reply)
                again.tries = 1
                self.waiting.append(again)
            if link is None:
                self.pump()
            else:
                asyncio.get_running_loop().call_soon(self.pump)

    def _unshuffle(self):
        """There were too few to reverse: what is held goes out all the same."""
        if self.shuffling:
            held, self.shuffling = self.shuffling["held"], None
            self.waiting.extendleft(held)
            self.pump()

    def clear(self):
        self.disabled, self.held = False, False
        for link in self.links:
            if link.deaf:
                link.reset()
        self._unshuffle()
        self.pump()

    def stop(self):
        """The world ends: nothing comes from here any more."""
        self.over = True
        for handle in self.later:
            handle.cancel()
        if self.sweep:
            self.sweep.cancel()
        for link in list(self.links):
            link.reset()
