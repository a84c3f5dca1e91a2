# SPDX-License-Identifier: Apache-2.0
"""The fake of the wire (tests/fakes/whatsapp_wire.py) and the real bridge answer one client alike.

Why: the C channel, chaos and bench are proven against the fake; this proves the fake. One script of frames goes
to both; what comes back must have the same shape, and the same values but for ids and times.
"""
import asyncio
import base64
import hashlib
import json
import os
import pathlib
import sys

import aiohttp
import pytest
from aiohttp import WSMsgType

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "fakes"))

import bridge_node  # noqa: E402
import fake_client  # noqa: E402

TOKEN = "a-token-of-the-tests-0123456789"
ANN, ANN_LID = "4915110000001@s.whatsapp.net", "100000000000001@lid"
CARL = "100000000000003@lid"
FAMILY = "120363000000000001@g.us"
GROUP = {"id": FAMILY, "subject": "Family", "participants": [
    {"id": ANN_LID, "lid": ANN_LID, "phoneNumber": ANN, "admin": "admin"},
    {"id": "100000000000002@lid", "lid": "100000000000002@lid",
     "phoneNumber": "4915110000002@s.whatsapp.net", "admin": None}]}
ME = {"id": "4915119999999:7@s.whatsapp.net", "lid": "199999999999999:7@lid", "name": "Chela"}
DATA = bytes(range(256)) * 1000
REF = hashlib.sha256(DATA).hexdigest()


class Driver:
    """WhatsApp, for standin.mjs: answers its calls, and does what `people` do in the fake."""

    async def start(self, folder, node):
        self.path, self.dir = f"{folder}/driver", pathlib.Path(folder) / "bridge"
        self.up = asyncio.Event()
        self.server = await asyncio.start_unix_server(self.serve, self.path)
        (self.dir / "keys").mkdir(parents=True)
        (self.dir / "keys" / "creds.json").write_text(json.dumps({"account": {}, "me": ME}))
        self.proc = await asyncio.create_subprocess_exec(
            node, bridge_node.BRIDGE / "bridge.mjs", "--dir", self.dir, "--supervised",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env={
                **os.environ, "CHELA_WA_TOKEN": TOKEN, "CHELA_WA_DRIVER": self.path,
                "CHELA_WA_SOCKET": str(HERE / "standin.mjs")})
        hello = json.loads(await self.proc.stdout.readline())
        self.url = f"http://127.0.0.1:{hello['port']}/"
        await self.up.wait()

    async def serve(self, reader, writer):
        self.writer = writer
        async for line in reader:
            o = json.loads(line)
            if "open" in o:
                self.emit("connection.update", {"connection": "open"})
                self.up.set()
            elif "call" in o:
                self.called(o)

    def say(self, o):
        self.writer.write(json.dumps(o).encode() + b"\n")

    def emit(self, name, data):
        self.say({"emit": [name, data]})

    def called(self, o):
        result = {"groupFetchAllParticipating": {FAMILY: GROUP}, "groupMetadata": GROUP}.get(
            o["name"])
        self.say({"done": o["call"], "result": result})
        if o["name"] == "sendMessage":
            self.say({"ws": ["CB:ack,class:message", {"attrs": {"id": o["args"][2]["messageId"],
                                                               "t": "1790000000"}}]})

    async def settle(self):
        """The names of the group and the people, which the fake knows by itself. (The bridge asks for
        its groups too, but the answer may come after the first message.)"""
        self.emit("groups.upsert", [GROUP])
        self.emit("contacts.update", [
            {"id": ANN, "notify": "Ann"}, {"id": "4915110000002@s.whatsapp.net", "notify": "Bob"},
            {"id": CARL, "notify": "Carl"}])

    async def message(self, mid, text, group=True):
        key = {"remoteJid": FAMILY if group else CARL, "fromMe": False, "id": mid}
        if group:
            key.update(participant=ANN_LID, participantAlt=ANN)
        content = {"conversation": text} if group else {"documentMessage": {
            "mimetype": "text/plain", "fileName": "a.txt", "fileLength": str(len(DATA)),
            "directPath": "/x", "mediaKey": {"type": "Buffer", "data": "AAAA"}, "caption": text,
            "fileSha256": {"type": "Buffer", "data": base64.b64encode(bytes.fromhex(REF)).decode()}}}
        self.emit("messages.upsert", {"type": "notify", "messages": [
            {"key": key, "messageTimestamp": 1790000000, "message": content}]})

    async def change(self, mid, content):
        self.emit("messages.upsert", {"type": "notify", "messages": [{
            "key": {"remoteJid": FAMILY, "fromMe": False, "id": mid, "participant": ANN_LID},
            "messageTimestamp": 1790000000, "message": content}]})

    async def edit(self, mid, text):
        await self.change("E" + mid, {"protocolMessage": {
            "type": 14, "key": {"id": mid}, "editedMessage": {"conversation": text}}})

    async def react(self, mid, emoji):
        await self.change("R" + mid, {"reactionMessage": {"key": {"id": mid}, "text": emoji}})

    async def delete(self, mid):
        await self.change("D" + mid, {"protocolMessage": {"type": 0, "key": {"id": mid}}})

    async def moved(self, lid, pn):
        self.emit("lid-mapping.update", {"lid": lid, "pn": pn})

    async def trouble(self):
        self.emit("connection.update", {"connection": "close", "lastDisconnect": {
            "error": {"statusCode": 403}}})

    async def stop(self):
        self.proc.stdin.close()
        assert await asyncio.wait_for(self.proc.wait(), 20) == 0
        self.server.close()


class Faked:
    """The same doings at the fake."""

    async def start(self, _folder, _node):
        self.fake = fake_client.WhatsApp(None, "--token", TOKEN)
        self.url = self.fake.url

    async def settle(self):
        pass

    async def message(self, mid, text, group=True):
        files = {} if group else {"files": [{"name": "a.txt", "mime": "text/plain",
                                             "base64": base64.b64encode(DATA).decode()}]}
        self.fake.inject(do="message", chat=FAMILY if group else CARL, id=mid, text=text, **files)

    async def edit(self, mid, text):
        self.fake.inject(do="edit", chat=FAMILY, id=mid, text=text)

    async def react(self, mid, emoji):
        self.fake.inject(do="react", chat=FAMILY, id=mid, emoji=emoji, user=ANN)

    async def delete(self, mid):
        self.fake.inject(do="delete", chat=FAMILY, id=mid)

    async def moved(self, lid, pn):
        self.fake.inject(do="moved", lid=lid, pn=pn)

    async def trouble(self):
        self.fake.call("state", state="forbidden", code=403, text="no")

    async def stop(self):
        self.fake.stop(check=False)


class Talk:
    """A client that keeps all that it hears."""

    def __init__(self, ws):
        self.ws, self.heard = ws, []

    async def send(self, frame):
        await self.ws.send_str(json.dumps(frame))

    async def until(self, fits):
        while True:
            m = await asyncio.wait_for(self.ws.receive(), 15)
            assert m.type == WSMsgType.TEXT, (m, self.heard[-3:])
            frame = json.loads(m.data)
            if frame.get("event", {}).get("type") == "group":
                continue  # a passing sign, when it likes
            self.heard.append(frame)
            if fits(frame):
                return frame

    async def ask(self, rid, op, **more):
        await self.send({"id": rid, "op": op, **more})
        return await self.until(lambda f: f.get("id") == rid)

    async def event(self, kind):
        return await self.until(lambda f: f.get("event", {}).get("type") == kind)


async def events(side, talk):
    await side.message("MSG1", "hello")
    await talk.event("message")
    await side.edit("MSG1", "hallo")
    await talk.event("edit")
    await side.react("MSG1", "👍")
    await talk.event("reaction")
    await side.react("MSG1", "")
    await talk.event("reaction")
    await side.message("MSG2", "a file", group=False)
    seq = (await talk.event("message"))["seq"]
    await side.moved(CARL, "4915110000003@s.whatsapp.net")
    await talk.event("moved")
    await talk.send({"ack": seq})


async def requests(talk):
    await talk.ask("p1", "ping")
    sent = await talk.ask("k1", "send", to=FAMILY, text="*hi*", quote={"id": "MSG1", "text": "x"})
    await talk.ask("k1", "send", to=FAMILY, text="*hi*", quote={"id": "MSG1", "text": "x"})
    await talk.ask("k1", "send", to=FAMILY, text="other")
    await talk.ask("k2", "edit", chat=FAMILY, target=sent["wa_id"], text="_ho_")
    await talk.ask("k3", "edit", chat=FAMILY, target="NOTOURS", text="x")
    await talk.ask("k4", "react", chat=FAMILY, target="MSG1", emoji="👍")
    await talk.ask("k5", "react", chat=FAMILY, target="UNKNOWN", emoji="👍")
    await talk.ask("t1", "typing", chat=ANN, on=True)
    await talk.ask("g1", "group", jid=FAMILY)
    other = DATA[::-1]
    ref = hashlib.sha256(other).hexdigest()
    await talk.ask("m0", "send_media", to=ANN, hash=ref, mime="image/png", name="a.png")
    for n, (at, end) in enumerate([(0, 0), (0, 196608), (196608, len(other))]):
        await talk.ask(f"u{n}", "put", hash=ref, size=len(other), offset=at,
                       data=base64.b64encode(other[at:end]).decode())
    await talk.ask("m1", "send_media", to=ANN, hash=ref, mime="image/png", name="a.png",
                   caption="look")
    await talk.ask("f1", "fetch", hash=ref, offset=200000)
    await talk.ask("f2", "fetch", hash=ref, offset=0, max=10)
    await talk.ask("f3", "fetch", hash="0" * 64, offset=0)
    await talk.ask("l1", "link")


async def offline(side, talk):
    await side.trouble()
    await talk.event("state")
    await talk.ask("o1", "send", to=FAMILY, text="x")
    await talk.ask("o2", "group", jid=FAMILY)
    await talk.ask("o3", "typing", chat=ANN, on=False)


async def run(side, folder, node):
    await side.start(folder, node)
    try:
        async with aiohttp.ClientSession() as http:
            async with http.ws_connect(side.url, max_msg_size=1 << 20) as ws:
                talk = Talk(ws)
                await side.settle()
                await talk.send({"hello": {"version": 1, "token": TOKEN}})
                await talk.until(lambda f: "welcome" in f)
                await events(side, talk)
                await requests(talk)
                await offline(side, talk)
            async with http.ws_connect(side.url) as ws:
                again = Talk(ws)
                await again.send({"hello": {"version": 1, "token": TOKEN}})
                await again.until(lambda f: "welcome" in f)
                await again.event("moved")  # not acknowledged: it comes again
                await again.send({"id": "x"})
                await again.until(lambda f: f.get("error"))
                return talk.heard + again.heard
    finally:
        await side.stop()


FREE = {"ts", "id", "now", "session", "bridge", "text", "retry_ms"}  # of no account in error and state


def shape(frame):
    """The frame without what may differ: times, ids of events, words for people."""
    if "welcome" in frame:
        frame = {"welcome": {k: v for k, v in frame["welcome"].items() if k != "state"}}
    told = json.loads(json.dumps(frame))
    for part in (told.get("event"), told.get("welcome"), told.get("error"), told,
                 (told.get("state") if isinstance(told.get("state"), dict) else None)):
        if isinstance(part, dict):
            spoken = part.get("type") in ("message", "edit")
            for key in FREE - ({"text"} if spoken else set()) - ({"id"} if part is told else set()):
                if key in part:
                    part[key] = type(part[key]).__name__
    return told


@pytest.fixture(scope="module")
def node():
    return bridge_node.node()


def test_the_fake_is_like_the_bridge(node, tmp_path):
    real = asyncio.run(asyncio.wait_for(run(Driver(), tmp_path, node), 60))
    fake = asyncio.run(asyncio.wait_for(run(Faked(), tmp_path, node), 60))
    first = [f for f in real if f.get("event", {}).get("state") in ("connecting", "up")]
    real = [shape(f) for f in real if f not in first]  # the fake is up from the start
    fake = [shape(f) for f in fake]
    for a, b in zip(real, fake):
        assert a == b
    assert len(real) == len(fake)
