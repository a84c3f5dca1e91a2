# SPDX-License-Identifier: Apache-2.0
"""What the fakes of platforms share: the control API, faults, chaos, limits, violations, waiting.

Owns: the control server on loopback, the order of faults, the records that tests assert on.
Why: three fakes with three ways to ask for trouble would be three things to learn.
Must never: know a platform's wire; a fake overrides refuse(), limited() and its own orders.

The control API is written down at the top of slack.py. An order is a method order_NAME with
keyword arguments; its signature is the check of what a caller may send.
"""
import argparse
import asyncio
import base64
import collections
import hmac
import inspect
import json
import pathlib
import random
import re
import secrets
import signal
import ssl
import sys
import time

from aiohttp import web

from fake_faults import DONE_FAULTS, FAULTS, Buckets, Faults, Order, need
from fake_store import FILTERS, Store

HERE = pathlib.Path(__file__).resolve().parent
MAX_BODY = 64 << 20


class Gone(Exception):
    """The connection was cut, as asked, or the client has left."""


async def hung_up(request):
    """Returns when the client has left; aiohttp 3.8 tells a handler nothing, hence the look."""
    while request.transport is not None and not request.transport.is_closing():
        await asyncio.sleep(0.05)


class Call:
    """One request to the platform's API, as tests see it."""
    __slots__ = ("n", "time", "method", "chat", "args", "status", "error", "fault")

    def __init__(self, n, method, chat, args):
        self.n, self.time, self.method, self.chat, self.args = n, time.time(), method, chat, args
        self.status, self.error, self.fault = 0, None, None

    def told(self):
        return {k: getattr(self, k) for k in self.__slots__}


class FakeBase:
    """A platform. A fake sets NAME, LIMITS, PROFILES, EXTRA_FAULTS, CHAT_DEFAULT and the hooks."""
    NAME = "fake"
    LIMITS = {}
    EXTRA_FAULTS = {}
    WIRE_CHAOS = ()
    PROFILES = {"off": ({}, {})}

    def __init__(self, opts):
        self.opts = opts
        self.token = opts.control_token or secrets.token_urlsafe(12)
        self.hello = {}
        self.listeners = set()
        self._event, self._due = asyncio.Event(), False
        self.start_over()

    def start_over(self):
        """The world as at the start."""
        self.faults = Faults(self.opts.seed, {**FAULTS, **self.EXTRA_FAULTS})
        self.store, self.files = Store(), {}
        self.signs = collections.deque(maxlen=5000)
        self.calls = collections.deque(maxlen=20000)
        self.numbers = collections.Counter()
        self.by_method, self.errors = collections.Counter(), collections.Counter()
        self.violations = []
        self.buckets, self.held = Buckets(), {}
        self.limits = {"keep": 0, **self.LIMITS}

    # ---- records

    def violation(self, method, what, args=None):
        """The client did what the platform's rules forbid."""
        self.numbers["violation"] += 1
        self.violations.append({"n": self.numbers["violation"], "time": time.time(),
                                "method": method, "what": what, "args": args})
        self.tell("violation", self.violations[-1])

    def called(self, method, chat, args):
        self.numbers["call"] += 1
        call = Call(self.numbers["call"], method, chat, args)
        self.calls.append(call)
        self.by_method[method] += 1
        return call

    def sign(self, chat, thread, kind, text, **more):
        self.numbers["sign"] += 1
        self.signs.append({"n": self.numbers["sign"], "time": time.time(), "chat": chat,
                           "thread": thread, "kind": kind, "text": text, **more})
        self.tell("sign", self.signs[-1])

    def tell(self, kind, data):
        """Wakes those who wait, and shows it to the open pages."""
        for queue in self.listeners:
            queue.put_nowait((kind, data))
        self.changed()

    def show(self, m):
        """A message is new or has changed."""
        if self.listeners:
            self.tell("message", m.told())
        else:
            self.changed()

    def changed(self):
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_later(0.005, self._pulse)

    def _pulse(self):
        event, self._event, self._due = self._event, asyncio.Event(), False
        event.set()

    # ---- one call of the platform's API, with the trouble that was asked for

    async def carry_out(self, request, call, do):
        """do() makes the answer and its effects (or is a coroutine that does); faults come before,
        around or instead of it."""
        fault = self.faults.pick(call.method, call.chat) or {"do": None}
        call.fault = fault["do"]
        try:
            early = await self._before(request, call, fault)
            answer = early if early is not None else do()
            if inspect.isawaitable(answer):
                answer = await answer
            if call.fault in DONE_FAULTS:
                answer = await self._after(request, answer, fault)
            call.status = call.status or answer.status
            return answer
        except (Gone, ConnectionResetError):
            answer = web.Response(status=500)  # goes nowhere: the connection is closed
            answer.force_close()
            return answer
        finally:
            self.tell("call", call.told()) if self.listeners else self.changed()

    async def _before(self, request, call, fault):
        do = fault["do"]
        if do == "limit":
            return self.limited(call, fault.get("retry_after", 1))
        if do == "http":
            return web.Response(status=fault.get("status", 500),
                                text=fault.get("body", "<html>upstream trouble</html>"))
        if do == "garbage":
            return web.Response(body=b'{"ok": tr\xff\xfe\x00 nonsense',
                                content_type="application/json")
        if do == "error":
            return self.refuse(call, fault.get("error", "fatal_error"), fault.get("description"))
        if do == "stall":
            lifted = asyncio.ensure_future(self.faults.lifted.wait())
            left = asyncio.ensure_future(hung_up(request))
            await asyncio.wait([lifted, left], return_when=asyncio.FIRST_COMPLETED)
            lifted.cancel()
            left.cancel()
            self.cut(request)
        if do == "drop":
            self.cut(request)
        return await self.own_fault(request, call, fault) if do in self.EXTRA_FAULTS else None

    async def _after(self, request, answer, fault):
        if fault["do"] == "slow":
            await asyncio.sleep(fault.get("seconds", 1.0))
            return answer
        if fault["do"] == "torn" and isinstance(answer, web.Response) and answer.body:
            half = web.StreamResponse(status=answer.status)
            half.content_type, half.content_length = "application/json", len(answer.body)
            half.force_close()
            await half.prepare(request)
            await half.write(answer.body[:len(answer.body) // 2])
            request.transport.close()
            return half
        return self.cut(request)

    @staticmethod
    def cut(request):
        if request.transport is not None:
            request.transport.abort()
        raise Gone

    def refuse(self, call, error, description=None):
        raise NotImplementedError

    def limited(self, call, retry_after):
        raise NotImplementedError

    async def own_fault(self, request, call, fault):
        raise NotImplementedError

    def hold(self, call, seconds, key):
        """The client was told to wait: a call before that is a violation (a tenth is forgiven)."""
        self.held[key] = (time.monotonic() + 0.9 * seconds, seconds)
        self.numbers["limited"] += 1
        call.error = "limited"

    def new_client(self):
        """A client introduces itself: it cannot know what its predecessor was told."""
        self.held.clear()

    def check_held(self, call, key):
        until, seconds = self.held.get(key, (0, 0))
        if time.monotonic() < until:
            self.violation(call.method, f"called again before the {seconds} s it was told to wait",
                           {"key": str(key)})

    # ---- orders

    def _pick(self, pool, filters, keys):
        for key in filters:
            need(key in keys, f"no filter {key}")
        text = filters.get("text")
        return [r for r in pool if (text is None or text in (r.get("text") or ""))
                and all(r[k] == v for k, v in filters.items() if k in r and k != "text")
                and r["n"] > filters.get("since", 0)]

    def find_messages(self, filters):
        for key in filters:
            need(key in FILTERS, f"no filter {key}")
        return self.store.find(filters)

    def find_signs(self, filters):
        return self._pick(self.signs, filters, {"chat", "thread", "kind", "text", "since"})

    def find_calls(self, filters):
        pool = [c.told() for c in self.calls if filters.get("method") in (None, c.method)]
        return self._pick(pool, filters, {"method", "chat", "since", "fault", "error", "status"})

    def find_other(self, what, filters):
        """Hook: a list of what else may be waited for, or None for a word not known."""
        return None

    def order_messages(self, **filters):
        return {"messages": [m.told() for m in self.find_messages(filters)]}

    def order_signs(self, **filters):
        return {"signs": self.find_signs(filters)}

    def order_calls(self, **filters):
        return {"calls": self.find_calls(filters)}

    def _found(self, what, filters):
        if what == "messages":
            return self.find_messages(filters)
        if what == "signs":
            return self.find_signs(filters)
        if what == "calls":
            return self.find_calls(filters)
        found = self.find_other(what, filters)
        need(found is not None, f"nothing to wait for is called {what}")
        return found

    async def order_wait(self, *, what="messages", count=1, timeout=30.0, **filters):
        end = time.monotonic() + timeout
        while True:
            event, begin = self._event, time.monotonic()
            found = self._found(what, filters)
            now = time.monotonic()
            if len(found) >= count or now >= end:
                break
            try:
                await asyncio.wait_for(event.wait(), end - now)
                # a look at 10,000 messages costs: never more than a tenth of the time
                await asyncio.sleep(min(0.5, 9 * (now - begin)))
            except asyncio.TimeoutError:
                continue
        found_told = [m.told() if hasattr(m, "told") else m for m in found]
        return {"ok": len(found) >= count, "count": len(found), what: found_told}

    def order_fault(self, *, method, do, count=1, after=0, chat=None, **settings):
        self.faults.check(do, settings)
        self.faults.script.append({"method": method, "do": do, "count": count, "after": after,
                                   "chat": chat, **settings})
        return {"faults": len(self.faults.script)}

    def order_chaos(self, *, seed=1, profile=None, rates=None, wire=None):
        need((profile is None) != (rates is None and wire is None), "a profile, or rates and wire")
        if profile is not None:
            need(profile in self.PROFILES, f"no profile {profile}")
            rates, wire = self.PROFILES[profile]
        for table in (rates or {}).values():
            for do in table:
                self.faults.check(do, {})
        for do in wire or {}:
            need(do in self.WIRE_CHAOS, f"chance cannot do {do} on the wire")
        self.faults.rng.seed(seed)
        self.faults.rates, self.faults.wire = rates or {}, wire or {}
        return {}

    def order_limits(self, **given):
        for key, value in given.items():
            need(key in self.limits, f"no limit {key}")
            kind = (int, float) if isinstance(self.limits[key], (int, float)) else list
            need(isinstance(value, kind), f"{key}: a wrong type")
            self.limits[key] = value
        self.store.keep = self.limits["keep"]
        return {"limits": self.limits}

    def scaled(self, key):
        return self.limits[key] / self.limits["speed"]

    def order_violations(self, *, clear=False):
        told = list(self.violations)
        if clear:
            self.violations.clear()
        return {"violations": told}

    def order_clear(self):
        self.faults.clear()
        return {}

    def order_reset(self):
        self.faults.clear()
        self.start_over()
        self.tell("reset", {})
        return {}

    def order_stats(self):
        return {"calls": self.by_method, "errors": self.errors, "limited": self.numbers["limited"],
                "messages": self.store.counts, "violations": len(self.violations),
                "faults": self.faults.count}

    async def order_inject(self, **body):
        events = body.pop("events", None)
        need((events is None) != (not body), "events, or one event")
        ids = []
        for event in events if events is not None else [body]:
            event = dict(event)
            do = getattr(self, "inject_" + str(event.pop("do", "")), None)
            need(do, "an event needs a known `do`")
            ids.append(bound(do, event)())
            if len(ids) % 100 == 0:  # thousands must not hold up those who answer the first ones
                await asyncio.sleep(0)
        self.changed()
        return {"ids": ids}

    # ---- the control server

    async def control(self, request):
        given = request.headers.get("x-control-token", "")
        if not hmac.compare_digest(given.encode(), self.token.encode()):
            return web.Response(status=403)
        order = getattr(self, "order_" + request.match_info["order"], None)
        try:
            need(order, "no such order")
            body = json.loads(await request.read() or b"{}")
            need(isinstance(body, dict), "an object")
            done = bound(order, body)()
            if inspect.isawaitable(done):
                done = await done
            return web.json_response(done)
        except (Order, ValueError, KeyError, TypeError, re.error) as e:
            return web.json_response({"error": f"{type(e).__name__}: {e}"}, status=400)

    def _allowed(self, request):
        given = request.query.get("token", "")
        if not hmac.compare_digest(given.encode(), self.token.encode()):
            raise web.HTTPForbidden()

    async def page(self, request):
        self._allowed(request)
        return web.Response(text=(HERE / "fake_page.html").read_text("utf-8"),
                            content_type="text/html")

    async def body_of(self, request):
        self._allowed(request)
        f = self.files.get(request.match_info["ref"])
        if f is None:
            raise web.HTTPNotFound()
        return web.Response(body=f.data, headers={
            "content-type": f.mime or "application/octet-stream",
            "content-security-policy": "sandbox", "x-content-type-options": "nosniff"})

    async def events(self, request):
        """Server-sent events: the world so far, then what happens."""
        self._allowed(request)
        resp = web.StreamResponse(headers={"content-type": "text/event-stream",
                                           "cache-control": "no-cache"})
        await resp.prepare(request)
        queue = asyncio.Queue()
        queue.put_nowait(("world", self.order_world()))
        self.listeners.add(queue)
        try:
            while True:
                try:
                    kind, data = await asyncio.wait_for(queue.get(), 15)
                    line = f"event: {kind}\ndata: {json.dumps(data)}\n\n"
                except asyncio.TimeoutError:
                    line = ": still here\n\n"
                await resp.write(line.encode())
        except ConnectionResetError:
            return resp
        finally:
            self.listeners.discard(queue)

    def order_world(self):
        """What the page shows at first."""
        return {"name": self.NAME, "messages": [m.told() for m in self.store.all[-500:]],
                **self.order_chats()}

    def order_chats(self):
        raise NotImplementedError

    def control_app(self):
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_post("/{order}", self.control)
        app.router.add_get("/", self.page)
        app.router.add_get("/events", self.events)
        app.router.add_get("/file/{ref}", self.body_of)
        return app


def bound(function, given):
    """function(**given), once its signature allows it."""
    try:
        call = inspect.signature(function).bind(**given)
    except TypeError as e:
        raise Order(str(e)) from None
    return lambda: function(*call.args, **call.kwargs)


def bytes_of(spec):
    """The body of a file of an injected message: "text", "base64" or "size"."""
    if "base64" in spec:
        return base64.b64decode(spec["base64"], validate=True)
    if "size" in spec:
        return random.Random(spec["size"]).randbytes(spec["size"])
    return spec.get("text", "").encode()


def parser(words):
    p = argparse.ArgumentParser(description=words)
    p.add_argument("--host", default="127.0.0.1")
    p.add_argument("--port", type=int, default=0)
    p.add_argument("--control-port", type=int, default=0)
    p.add_argument("--control-token", default="")
    p.add_argument("--cert", help="PEM chain; with it, TLS")
    p.add_argument("--key")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--stdin", action="store_true", help="end at the end of standard input")
    return p


def tls_of(opts):
    if not opts.cert:
        return None
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(opts.cert, opts.key)
    return tls


async def listen(app, host, port, tls):
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, port, ssl_context=tls, shutdown_timeout=0.1).start()
    return runner, runner.addresses[0][1]


async def serve(fake, app):
    """Runs the platform's app and the control server until told to end."""
    opts = fake.opts
    platform, port = await listen(app, opts.host, opts.port, tls_of(opts))
    control, cport = await listen(fake.control_app(), "127.0.0.1", opts.control_port, None)
    root = f"https://localhost:{port}" if opts.cert else f"http://127.0.0.1:{port}"
    fake.root = root
    fake.hello.update({"port": port, "control": cport, "url": root + fake.PATH,
                       "page": f"http://127.0.0.1:{cport}/?token={fake.token}"})
    print(json.dumps(fake.hello), flush=True)
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for sig in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sig, stop.set)
    if opts.stdin:
        loop.add_reader(sys.stdin.fileno(), lambda: sys.stdin.buffer.raw.read(4096) or stop.set())
    await stop.wait()
    fake.faults.clear()
    await control.cleanup()
    await platform.cleanup()
