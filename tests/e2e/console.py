# SPDX-License-Identifier: Apache-2.0
"""A client of the control socket (src/admin/control.h), as a patient person would be one.

Owns: a chat on the socket, its messages by sequence number, and what was said but not settled;
after a lost connection it comes back and says the same again under the same id.
Must never: say anything twice under two ids.
"""
import json
import socket
import threading
import uuid

from bus import Late


class Refused(AssertionError):
    pass


class Console:
    def __init__(self, server, group="main", since=0, stay=True):
        self.server = server
        self.bus = server.bus
        self.group = group
        self.since = since
        self.stay = stay  # come back after a loss
        self.lock = threading.RLock()
        self.sock = None
        self.closed = False
        self.messages = {}  # seq -> event; every message once
        self.doubles = []  # messages that came again with another text
        self.said = {}  # id -> text
        self.settled_ids = {}  # id -> failed
        self.waiting = []  # ids in the order they were said, without a settled
        self.connect()
        self.wait_event("synced")

    # -- the connection

    def connect(self):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            s.connect(str(self.server.home / "control.sock"))
        except OSError:
            s.close()
            raise
        with self.lock:
            self.sock = s
            self.send({"op": "chat", "group": self.group, "since": self.last()})
            for i in self.waiting:
                self.send({"op": "say", "id": i, "text": self.said[i]})
        threading.Thread(target=self._read, args=[s], daemon=True).start()

    def last(self):
        return max(self.messages, default=self.since)

    def send(self, request):
        with self.lock:
            if not self.sock:
                return
            try:
                self.sock.sendall(json.dumps(request).encode() + b"\n")
            except OSError:
                pass  # the reader sees the end, and comes back

    def _read(self, s):
        with s, s.makefile("rb") as f:
            try:
                for line in f:
                    if line.endswith(b"\n"):
                        self._take(json.loads(line))
            except OSError:
                pass
        with self.lock:
            self.sock = None
        self.bus.post(("lost", self))
        while self.stay and not self.closed:
            mark = self.bus.mark()
            try:
                return self.connect()
            except OSError:
                pass
            try:  # the server's log says when there is somebody to talk to again
                self.bus.wait(lambda e: e[0] == "closed" and e[1] is self
                              or e[0] == "log" and 'comp=serve msg="ready"' in e[1],
                              600, mark, "server")
            except Late:
                return None
        return None

    def _take(self, event):
        kind = event["ev"]
        with self.lock:
            if kind == "message":
                old = self.messages.get(event["seq"])
                if old and old["text"] != event["text"]:
                    self.doubles.append(event)
                if old:  # history does not know what was a notice
                    event["notice"] = event["notice"] or old["notice"]
                self.messages[event["seq"]] = event
            elif kind == "settled":
                self.settled_ids[event["id"]] = event["failed"]
                if event["id"] in self.waiting:
                    self.waiting.remove(event["id"])
        self.bus.post(("chat", self, event))

    def close(self):
        self.closed = True
        self.bus.post(("closed", self))
        with self.lock:
            if self.sock:
                self.sock.shutdown(socket.SHUT_RDWR)

    # -- talk

    def say(self, text, uid=None):
        uid = uid or str(uuid.uuid4())
        with self.lock:
            self.said[uid] = text
            self.waiting.append(uid)
            self.send({"op": "say", "id": uid, "text": text})
        return uid

    def stop(self):
        self.send({"op": "stop"})

    def wait_event(self, kind, timeout=30, since=0, match=lambda e: True):
        return self.bus.wait(
            lambda e: e[0] == "chat" and e[1] is self and e[2]["ev"] == kind and match(e[2]),
            timeout, since, f"{kind} event")[2]

    def stored(self, uid, timeout=30):
        """Waits until the server has it; its sequence number."""
        event = self.bus.wait(
            lambda e: e[0] == "chat" and e[1] is self and e[2]["ev"] in ("stored", "refused")
            and e[2]["id"] == uid, timeout, 0, f"receipt of {self.said[uid]!r}")[2]
        if event["ev"] == "refused":
            raise Refused(event["why"])
        return event["seq"]

    def settled(self, uid, timeout=60):
        """Waits until it is done with; True when it was answered, False when it failed."""
        try:
            self.bus.wait_until(lambda: uid in self.settled_ids, timeout,
                                f"answer to {self.said[uid]!r}")
        except Late as e:
            raise Late(f"{e}\n{self.server.log()}") from None
        return not self.settled_ids[uid]

    def sync(self, timeout=30):
        """All messages of the chat that are there now are in self.messages afterwards."""
        mark = self.bus.mark()
        self.send({"op": "history", "since": 0})
        self.wait_event("synced", timeout, mark)

    def outs(self, after=0):
        """Texts that we got, in order."""
        with self.lock:
            return [m["text"] for seq, m in sorted(self.messages.items())
                    if m["dir"] == "out" and seq > after]

    def ask(self, text, timeout=60):
        """Says it, and gives back all that came as an answer (joined by newlines)."""
        return self.answer(self.say(text), timeout)

    def answer(self, uid, timeout=60):
        seq = self.stored(uid, timeout)
        good = self.settled(uid, timeout)
        self.sync()
        text = "\n".join(self.outs(seq))
        assert good, f"{self.said[uid]!r} failed: {text}\n{self.server.log()}"
        return text

    def failure(self, uid, timeout=60):
        """As answer, of a message that has to fail: what the chat was told."""
        seq = self.stored(uid, timeout)
        good = self.settled(uid, timeout)
        self.sync()
        text = "\n".join(self.outs(seq))
        assert not good, f"{self.said[uid]!r} was answered: {text}\n{self.server.log()}"
        return text

    def wait_message(self, match, timeout=60, since=0):
        """A message from the other side whose text matches (a function or a part of it)."""
        want = match if callable(match) else lambda t: match in t
        return self.wait_event("message", timeout, since,
                               lambda e: e["dir"] == "out" and want(e["text"]))

    def wait_working(self, timeout=60, since=0):
        """The turn has begun to use a tool or to speak."""
        return self.wait_event("progress", timeout, since,
                               lambda e: e["kind"] in ("tool", "text"))
