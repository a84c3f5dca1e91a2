# SPDX-License-Identifier: Apache-2.0
"""WhatsApp itself, for a bridge whose socket is standin.mjs: a thread that answers what the bridge calls and
emits what happens, in Baileys' shapes.

Owns: a Unix socket; it outlives bridges that are killed. Why: the end-to-end tests type as WhatsApp's
users. Must never: forget a message that was sent.
"""
import base64
import json
import os
import pathlib
import socket
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
ME = {"id": "4915119999999:7@s.whatsapp.net", "lid": "199999999999999:7@lid", "name": "Chela"}


def buffer(data):
    return {"type": "Buffer", "data": base64.b64encode(data).decode()}


class WhatsApp:
    def __init__(self, folder, groups=None, speed=10):
        """groups: jid -> subject. speed: divides the bridge's waits."""
        self.path = f"{folder}/wa"
        self.groups, self.speed = groups or {}, speed
        self.files = {}  # directPath -> bytes
        self.sent, self.signs, self.opened = [], [], []
        self.changed = threading.Condition()
        self.conn, self.number, self.heard = None, 0, 0
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        threading.Thread(target=self.accept, daemon=True).start()

    def env(self):
        """For the bridge, or for the server that starts it."""
        return {"CHELA_WA_SOCKET": f"{HERE}/standin.mjs?driver={self.path}",
                "CHELA_WA_SPEED": str(self.speed)}

    def accept(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            self.conn = conn
            threading.Thread(target=self.read, args=[conn], daemon=True).start()

    def read(self, conn):
        try:
            with conn.makefile("r", encoding="utf-8") as lines:
                for line in lines:
                    if self.conn is conn:  # not the last words of one that was killed
                        self.take(json.loads(line))
        except OSError:
            return  # it was killed

    def say(self, o):
        self.conn.sendall(json.dumps(o).encode() + b"\n")

    def emit(self, name, data):
        self.say({"emit": [name, data]})

    def take(self, o):
        with self.changed:
            if "open" in o:
                self.opened.append(o)
                if o["linked"]:
                    self.emit("connection.update", {"connection": "open"})
            elif "heard" in o:
                self.heard = o["heard"]
            elif "call" in o:
                self.call(o["call"], o["name"], o["args"])
            self.changed.notify_all()

    def call(self, number, name, args):
        result = None
        if name == "sendMessage":
            jid, content, options = args
            data = None
            for kind in ("image", "video", "audio", "document"):
                if kind in content:
                    data = pathlib.Path(content[kind]["url"]).read_bytes()
            self.sent.append({"chat": jid, "id": options["messageId"], "content": content,
                              "quoted": options.get("quoted"), "data": data})
        elif name == "sendPresenceUpdate":
            self.signs.append(args)
        elif name == "groupFetchAllParticipating":
            result = {j: self.group(j) for j in self.groups}
        elif name == "groupMetadata":
            result = self.group(args[0])
        elif name == "requestPairingCode":
            result = "ABCD1234"
        elif name == "download":
            result = {"data": buffer(self.files[args[0]["directPath"]])}
        self.say({"done": number, "result": result})
        if name == "sendMessage":
            self.say({"ws": ["CB:ack,class:message", {"attrs": {
                "id": args[2]["messageId"], "t": str(int(time.time()))}}]})

    def group(self, jid):
        return {"id": jid, "subject": self.groups[jid], "participants": []}

    def wait(self, found, what, timeout=60):
        """What found() gives, once it is something."""
        with self.changed:
            got = self.changed.wait_for(found, timeout)
            assert got, f"waited for {what}; sent: {[s['content'] for s in self.sent[-5:]]}"
            return got

    def wait_sent(self, chat, text, since=0, timeout=60):
        """The first message to a chat that has this text."""
        def found():
            return [s for s in self.sent[since:] if s["chat"] == chat and text in
                    (s["content"].get("text") or s["content"].get("caption") or "")]
        return self.wait(found, f"{text!r} in {chat}", timeout)[0]

    def message(self, chat, text="", sender=None, content=None, name="Ann"):
        """Somebody writes; sender: (lid, number) in a group."""
        self.number += 1
        mid = f"3A{os.getpid():06d}{self.number:012d}"
        key = {"remoteJid": chat, "fromMe": False, "id": mid}
        if sender:
            key.update(participant=sender[0], participantAlt=sender[1])
        self.emit("messages.upsert", {"type": "notify", "messages": [{
            "key": key, "messageTimestamp": int(time.time()), "pushName": name,
            "message": content or {"conversation": text}}]})
        return mid

    def link(self):
        """The QR is scanned."""
        self.emit("creds.update", {"account": {"details": "x"}, "me": ME})
        self.emit("connection.update", {"isNewLogin": True})
        self.lose(515)

    def settle(self):
        """The bridge has heard all that was said so far."""
        self.number += 1
        mark = self.number
        self.say({"mark": mark})
        self.wait(lambda: self.heard >= mark, "the bridge's ear", 15)

    def lose(self, code, words="closed"):
        self.emit("connection.update", {"connection": "close", "lastDisconnect": {
            "error": {"statusCode": code, "message": words}}})

    def stop(self):
        self.listener.close()
        if self.conn:
            self.conn.close()
