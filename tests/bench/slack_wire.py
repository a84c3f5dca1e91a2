#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The fake of Slack with a Socket Mode that keeps up: what the bench needs to load the wire.

Owns: a bare websocket server in the place of the fake's own, and the order `blast`. Why: at ten
thousand messages a second the usual fake would measure itself. Must never: be less strict where it
is not about speed: Web API, tickets and worlds are those of tests/fakes/slack.py.

 blast {count, chat, window? (1000), text? ("note"), timeout? (600)} -> {"seconds":S, "acked":N}: so many messages
    that are not addressed to the bot, never more than a window of them unacknowledged, over one
    socket; S is from the first byte of the first to the acknowledgement of the last.
"""
import asyncio
import base64
import hashlib
import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "fakes"))

from aiohttp import web  # noqa: E402

import slack  # noqa: E402
from fake_base import parser, serve, tls_of  # noqa: E402
from fake_faults import need  # noqa: E402
from fake_store import Message  # noqa: E402
from slack_socket import Envelope  # noqa: E402

MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
MARKS = ("0-envelope", "1111111111.111111", "2-event", "3-client", "4-text")


def frame(data):
    """A text frame (RFC 6455, 5.2) of a server."""
    n = len(data)
    if n < 126:
        return bytes((0x81, n)) + data
    if n < 65536:
        return b"\x81\x7e" + n.to_bytes(2, "big") + data
    return b"\x81\x7f" + n.to_bytes(8, "big") + data


class Link(asyncio.Protocol):
    """One websocket; to the fake's SocketMode what its own Link is."""

    def __init__(self, fake):
        self.fake, self.transport, self.data, self.open = fake, None, b"", False
        self.deaf = self.leaving = self.gone = False
        self.unacked, self.number, self.pong = 0, 0, time.monotonic()

    def connection_made(self, transport):
        self.transport = transport

    def connection_lost(self, _):
        self.fake.socket._left(self)

    def reset(self):
        self.transport.abort()

    def send(self, text):
        if not self.transport.is_closing():
            self.transport.write(frame(text.encode()))

    def data_received(self, data):
        self.data += data
        if not self.open:
            head, end, rest = self.data.partition(b"\r\n\r\n")
            if not end:
                return
            self.data = rest
            self.upgrade(head.decode("latin-1"))
        self.frames()

    def upgrade(self, head):
        first, *lines = head.split("\r\n")
        fields = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
        ticket = first.split(" ")[1].partition("ticket=")[2].partition("&")[0]

        class Request:
            query = {"ticket": ticket}
        if not self.fake.socket.admit(Request) or "sec-websocket-key" not in fields:
            self.transport.write(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
            self.transport.close()
            return
        accept = base64.b64encode(hashlib.sha1(fields["sec-websocket-key"].encode() + MAGIC)
                                  .digest()).decode()
        self.transport.write(("HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n"
                              f"connection: Upgrade\r\nsec-websocket-accept: {accept}\r\n\r\n")
                             .encode())
        self.open = True
        self.fake.socket.number += 1
        self.number = self.fake.socket.number
        asyncio.ensure_future(self.fake.socket._greet(self))

    def frames(self):
        data, i, acks = self.data, 0, 0
        while len(data) - i >= 6:
            op, n, at = data[i] & 15, data[i + 1] & 127, i + 2
            if n == 126:
                n, at = int.from_bytes(data[i + 2:i + 4], "big"), i + 4
            if at + 4 + n > len(data):
                break
            if op == 1 and self.fake.blasting:
                acks += 1
            else:
                mask = data[at:at + 4] * (n // 4 + 1)
                self.other(op, bytes(a ^ b for a, b in zip(data[at + 4:at + 4 + n], mask)))
            i = at + 4 + n
        self.data = data[i:]
        if acks:
            self.fake.blasting.acked(acks)

    def other(self, op, body):
        if op == 1:
            self.fake.socket._ack(self, body.decode())
        elif op == 8:
            self.transport.close()
        elif op == 9:
            self.transport.write(bytes((0x8a, len(body))) + body)


class Blast:
    """Messages made from a template, written as the window allows."""

    def __init__(self, fake, link, count, chat, window, text):
        self.link, self.count, self.window, self.text = link, count, window, text
        self.sent = self.done = 0
        self.end = asyncio.get_running_loop().create_future()
        self.serial = fake.serial["blast"]
        fake.serial["blast"] += count
        self.us = max(fake.last_us, int(time.time() * 1e6)) + 1
        fake.last_us = self.us + count
        self.parts = self.template(fake, chat)

    @staticmethod
    def template(fake, chat):
        """The envelope of a real message as bytes, in pieces around what differs."""
        made = []

        class Catch:
            @staticmethod
            def post(kind, payload):
                made.append(payload)
        m = Message(chat, MARKS[1], "user", fake._user(chat, None), "", MARKS[4])
        m.native["client_msg_id"] = MARKS[3]
        real, fake.socket = fake.socket, Catch
        fake.event(chat, fake.native(m))
        fake.socket = real
        payload = json.loads(made[0])
        payload["event_id"] = MARKS[2]
        env = Envelope("events_api", json.dumps(payload), False)
        env.id = MARKS[0]
        raw, parts = env.frame("").encode(), []
        order = sorted((raw.find(mark.encode(), at), n) for n, mark in enumerate(MARKS)
                       for at in range(len(raw)) if raw.startswith(mark.encode(), at))
        at = 0
        for where, n in order:
            parts += [raw[at:where], n]
            at = where + len(MARKS[n])
        return parts + [raw[at:]]

    def one(self):
        self.serial += 1
        self.us += 1
        n = b"%010d" % self.serial
        own = (b"bbbbbbbb-bbbb-bbbb-bbbb-bb" + n, b"%d.%06d" % divmod(self.us, 1000000),
               b"EvB" + n, b"cccccccccccccccccccccc" + n, self.text.encode() + b" " + n)
        return frame(b"".join([own[p] if isinstance(p, int) else p for p in self.parts]))

    def more(self):
        n = min(self.window - (self.sent - self.done), self.count - self.sent)
        if n and (n >= self.window // 4 or self.sent + n == self.count):
            self.link.transport.write(b"".join([self.one() for _ in range(n)]))
            self.sent += n

    def acked(self, n):
        self.done += n
        if self.done >= self.count:
            if not self.end.done():
                self.end.set_result(None)
        else:
            self.more()


class WireSlack(slack.Slack):
    def __init__(self, opts):
        self.blasting, self.wire = None, ""
        super().__init__(opts)

    def do_apps_connections_open(self, args):
        url = super().do_apps_connections_open(args)["url"]
        return {"url": self.wire + url[url.index("/link/"):]}

    async def order_blast(self, *, count, chat, window=1000, text="note", timeout=600):
        live = [k for k in self.socket.links if not k.leaving]
        need(live and not self.blasting and chat in self.chats, "no socket, no such chat, or busy")
        self.blasting = Blast(self, live[0], count, chat, window, text)
        begun = time.monotonic()
        self.blasting.more()
        try:
            await asyncio.wait_for(self.blasting.end, timeout)
        finally:
            done, self.blasting = self.blasting.done, None
        return {"seconds": time.monotonic() - begun, "acked": done}


async def run(fake, app):
    server = await asyncio.get_running_loop().create_server(
        lambda: Link(fake), "127.0.0.1", 0, ssl=tls_of(fake.opts))
    port = server.sockets[0].getsockname()[1]
    fake.wire = f"wss://localhost:{port}" if fake.opts.cert else f"ws://127.0.0.1:{port}"
    await serve(fake, app)
    server.close()


def main(argv):
    p = parser("The fake of Slack with a fast wire.")
    p.add_argument("--bot-token", default="xoxb-fake-0123456789-bot")
    p.add_argument("--app-token", default="xapp-1-A00FAKEAPP-0123456789-app")
    fake = WireSlack(p.parse_args(argv))
    app = web.Application(client_max_size=64 << 20)
    app.router.add_route("*", "/api/{method}", fake.api)
    asyncio.run(run(fake, app))


if __name__ == "__main__":
    main(sys.argv[1:])
