# SPDX-License-Identifier: Apache-2.0
"""The fake of the WhatsApp bridge's wire is as strict as PROTOCOL.md, and its trouble is trouble."""
import asyncio
import base64
import hashlib
import json
import os
import pathlib
import subprocess
import sys

import aiohttp
import pytest
from aiohttp import WSMsgType

from fake_client import WhatsApp
from whatsapp_check import check_marks

ANN, FAMILY = "4915110000001@s.whatsapp.net", "120363000000000001@g.us"
CARL = "100000000000003@lid"


@pytest.fixture
def fake():
    f = WhatsApp()
    yield f
    f.stop(check=False)


class Client:
    """A plain client: frames in, frames out."""

    def __init__(self, fake, **hello):
        self.fake, self.got = fake, []
        self.hello = {"version": 1, "token": fake.hello["token"], "client": "test", **hello}

    async def __aenter__(self):
        self.http = aiohttp.ClientSession()
        self.ws = await self.http.ws_connect(self.fake.url, autoping=True)
        await self.send({"hello": self.hello})
        return self

    async def __aexit__(self, *_):
        await self.http.close()

    async def send(self, frame):
        await self.ws.send_str(frame if isinstance(frame, str) else json.dumps(frame))

    async def next(self):
        m = await asyncio.wait_for(self.ws.receive(), 10)
        return json.loads(m.data) if m.type == WSMsgType.TEXT else m

    async def until(self, test):
        while True:
            frame = await self.next()
            assert isinstance(frame, dict), frame
            if test(frame):
                return frame

    async def ask(self, rid, op, **more):
        await self.send({"id": rid, "op": op, **more})
        return await self.until(lambda f: f.get("id") == rid)


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 30))


def test_a_conversation_with_replay_and_repeats(fake):
    mid, = fake.inject(do="message", chat=FAMILY, user=ANN, text="hello", mention=True)

    async def talk():
        async with Client(fake) as c:
            assert (await c.next())["welcome"]["seq"] == 1
            event = await c.next()
            assert event["seq"] == 1 and event["event"]["id"] == mid
            assert event["event"]["sender"]["lid"] == "100000000000001@lid"
            assert event["event"]["mentioned_me"]
        async with Client(fake) as c:  # no ack: it comes again
            await c.next()
            assert (await c.next())["event"]["id"] == mid
            await c.send({"ack": 1})
            one = await c.ask("k1", "send", to=FAMILY, text="*hi*", quote={"id": mid})
            two = await c.ask("k1", "send", to=FAMILY, text="*hi*", quote={"id": mid})
            assert one["ok"] and two["repeat"] and one["wa_id"] == two["wa_id"]
            assert (await c.ask("k2", "edit", chat=FAMILY, target=one["wa_id"], text="ho"))["ok"]
            assert (await c.ask("k3", "react", chat=FAMILY, target=mid, emoji="👍"))["ok"]
        async with Client(fake) as c:
            assert (await c.next())["welcome"]["acked"] == 1
            assert (await c.ask("p", "ping"))["seq"] == 1  # and no event before it
    run(talk())
    mine, = fake.messages(**{"from": "bot"})
    assert mine["text"] == "ho" and mine["key"] == "k1" and mine["reply_to"] == mid
    assert fake.messages(reaction="👍")[0]["id"] == mid
    assert fake.violations() == []


def test_files_both_ways(fake):
    data = os.urandom(500_000)
    ref = hashlib.sha256(data).hexdigest()
    fake.inject(do="message", chat=ANN, files=[{
        "name": "a.ogg", "mime": "audio/ogg", "kind": "voice",
        "base64": base64.b64encode(b"spoken").decode()}])

    async def talk():
        async with Client(fake) as c:
            media = (await c.until(lambda f: "seq" in f))["event"]["media"][0]
            got = await c.ask("f", "fetch", hash=media["hash"], offset=0)
            assert base64.b64decode(got["data"]) == b"spoken" and got["end"]
            at = 0
            while at < len(data):
                chunk = base64.b64encode(data[at:at + 196608]).decode()
                at = (await c.ask(f"p{at}", "put", hash=ref, size=len(data), offset=at,
                                  data=chunk))["have"]
            assert (await c.ask("m", "send_media", to=ANN, hash=ref, mime="image/png",
                                name="x.png", caption="look"))["ok"]
    run(talk())
    sent, = fake.messages(**{"from": "bot"})
    assert sent["files"][0]["sha256"] == ref and sent["kind"] == "image"
    assert fake.file(ref) == data and fake.violations() == []


@pytest.mark.parametrize("hello,code,close", [
    ({"token": "x" * 20}, "bad_token", 4003), ({"version": 2}, "bad_version", 4004),
    ({"surprise": 1}, None, 4002)])
def test_a_hello_that_is_refused(fake, hello, code, close):
    async def talk():
        async with Client(fake, **hello) as c:
            assert (await c.next())["error"]["code"] == (code or "bad_frame")
            await c.next()
            assert c.ws.close_code == close
    run(talk())


@pytest.mark.parametrize("frame", [
    {"id": "a", "op": "send", "to": "nobody", "text": "x"}, {"id": "a", "op": "dance"},
    {"id": "a b", "op": "ping"}, {"ack": 5}, {"id": "a", "op": "send", "to": ANN, "text": ""},
    {"id": "a", "op": "send", "to": ANN, "text": "x", "extra": 1}, "{torn", "[]",
    {"id": "a", "op": "put", "hash": "0" * 64, "size": 9, "offset": 0, "data": "?"},
    {"id": "a", "op": "react", "chat": ANN, "target": "X", "emoji": ":joy:"}])
def test_a_frame_that_is_wrong_ends_the_connection(fake, frame):
    async def talk():
        async with Client(fake) as c:
            await c.next()
            await c.send(frame)
            assert (await c.next())["error"]["code"] == "bad_frame"
    run(talk())
    assert len(fake.violations()) == 1


def test_origin_and_replacement(fake):
    async def talk():
        async with aiohttp.ClientSession() as http:
            with pytest.raises(aiohttp.WSServerHandshakeError) as e:
                await http.ws_connect(fake.url, headers={"Origin": "http://evil"})
            assert e.value.status == 403
        async with Client(fake) as old:
            await old.next()
            async with Client(fake) as new:
                await new.next()
                assert (await old.next())["error"]["code"] == "replaced"
                assert (await new.ask("p", "ping"))["ok"]
    run(talk())


def test_trouble(fake):
    fake.call("fault", method="send", do="lost")
    fake.call("fault", method="send", do="limit", retry_after=0.05, after=1)

    async def talk():
        async with Client(fake) as c:
            await c.next()
            await c.send({"id": "k", "op": "send", "to": ANN, "text": "once"})
            assert not isinstance(await c.next(), dict)  # done, and the answer lost
        async with Client(fake) as c:
            await c.next()
            assert (await c.ask("k", "send", to=ANN, text="once"))["repeat"]
            assert (await c.ask("l", "send", to=ANN, text="x"))["error"]["retry_ms"] == 50
            fake.call("state", state="retrying", code=428, retry_ms=2000)
            assert (await c.next())["event"]["state"] == "retrying"
            assert (await c.ask("o", "send", to=ANN, text="x"))["error"]["code"] == "offline"
            fake.call("state", state="up")
            await c.next()
            fake.call("wire", do="torn")
            assert not isinstance(await c.next(), dict)
        async with Client(fake) as c:
            await c.next()
            fake.call("wire", do="half_open")
            await c.send({"id": "q", "op": "ping"})
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(c.ws.receive(), 0.2)
    run(talk())
    assert len(fake.messages(**{"from": "bot"})) == 1


def test_window_hold_and_redelivery(fake):
    fake.call("limits", window=2)
    fake.inject(*[{"do": "message", "chat": CARL, "text": str(i)} for i in range(5)])

    async def talk():
        async with Client(fake) as c:
            await c.next()
            assert [(await c.next())["seq"] for _ in range(2)] == [1, 2]
            assert (await c.ask("p", "ping"))["acked"] == 0  # nothing more without an ack
            await c.send({"ack": 2})
            assert [(await c.next())["seq"] for _ in range(2)] == [3, 4]
            await c.send({"ack": 4})
            assert (await c.next())["seq"] == 5
            await c.send({"ack": 5})
            assert (await c.ask("p", "ping"))["acked"] == 5
            fake.call("wire", do="redeliver", count=2)
            await c.next()
        async with Client(fake) as c:
            await c.next()
            assert [(await c.next())["seq"] for _ in range(2)] == [4, 5]
    run(talk())


def test_in_the_place_of_node(tmp_path):
    script = pathlib.Path(__file__).parent / "whatsapp_wire.py"
    token = "t" * 32
    p = subprocess.Popen([sys.executable, script, "bridge.mjs", "--dir", tmp_path, "--supervised"],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         env={**os.environ, "CHELA_WA_TOKEN": token})
    line = json.loads(p.stdout.readline())
    assert line["chela_bridge"] == 1 and line["pid"] == p.pid
    assert json.loads((tmp_path / "control.json").read_text())["control"]

    class F:
        url, hello = f"http://127.0.0.1:{line['port']}/", {"token": token}

    async def talk():
        async with Client(F) as c:
            assert (await c.next())["welcome"]["version"] == 1
    run(talk())
    p.stdin.close()
    assert p.wait(10) == 0
    p.stdout.close()


@pytest.mark.parametrize("text,fine", [
    ("*bold* _it_ ~no~ `**code**` ```\n# x\n```", True), ("> quote\n- a\n1. b", True),
    ("a ** b", True), ("**bold**", False), ("# Head", False), ("[a](https://x.y)", False),
    ("```c\nint x;\n```", False), ("```\nopen", False), ("~~no~~", False), ("|---|---|", False)])
def test_marks(text, fine):
    assert (check_marks(text) is None) == fine
