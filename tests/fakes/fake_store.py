# SPDX-License-Identifier: Apache-2.0
"""The messages that exist on a faked platform, told in one shape for all platforms.

Owns: messages in order of birth, by chat and by id, and the filters of the control API.
Why: a test asks "what stands in this chat now", not what was once sent.
Must never: know a platform's own shapes (those lie in Message.native).
"""
import hashlib
import re


class File:
    """Bytes with a name, from either side. ref: the platform's own id."""

    def __init__(self, ref, name, mime, data, user=""):
        self.ref, self.name, self.mime, self.data, self.user = ref, name, mime, data, user
        self.native = {}

    def told(self):
        return {"id": self.ref, "name": self.name, "mime": self.mime, "size": len(self.data),
                "sha256": hashlib.sha256(self.data).hexdigest()}


class Message:
    __slots__ = ("n", "chat", "id", "thread", "by", "user", "name", "text", "plain", "time",
                 "edits", "deleted", "reactions", "files", "buttons", "reply_to", "key",
                 "streaming", "method", "extra", "native")

    def __init__(self, chat, mid, by, user, name, text, **more):
        self.n, self.chat, self.id, self.by, self.user, self.name = 0, chat, mid, by, user, name
        self.text = self.plain = text
        self.thread = self.reply_to = self.key = self.method = ""
        self.time, self.deleted, self.streaming = 0.0, False, False
        self.edits, self.files, self.buttons = [], [], []
        self.reactions, self.extra, self.native = {}, {}, {}
        for key, value in more.items():
            setattr(self, key, value)

    def told(self):
        return {"n": self.n, "chat": self.chat, "id": self.id, "thread": self.thread,
                "from": self.by, "user": self.user, "name": self.name, "text": self.text,
                "plain": self.plain, "time": self.time, "edits": self.edits,
                "deleted": self.deleted, "reactions": self.reactions,
                "files": [f.told() for f in self.files], "buttons": self.buttons,
                "reply_to": self.reply_to, "key": self.key, "streaming": self.streaming,
                "method": self.method, **self.extra}


# What each filter of the control API asks of a message.
FILTERS = {
    "chat": lambda m, v: m.chat == v,
    "from": lambda m, v: m.by == v,
    "thread": lambda m, v: m.thread == v,
    "id": lambda m, v: m.id == v,
    "user": lambda m, v: m.user == v,
    "text": lambda m, v: v in m.text,
    "regex": lambda m, v: re.search(v, m.text) is not None,
    "plain": lambda m, v: v in m.plain,
    "key": lambda m, v: m.key == v,
    "edited": lambda m, v: bool(m.edits) == v,
    "deleted": lambda m, v: m.deleted == v,
    "reaction": lambda m, v: v in m.reactions,
    "file": lambda m, v: any(f.name == v for f in m.files),
    "button": lambda m, v: any(b["label"] == v for b in m.buttons),
    "since": lambda m, v: m.n > v,
}


class Store:
    """All messages, or the newest `keep` of them. A deleted one stays, marked so."""

    def __init__(self):
        self.keep, self.born = 0, 0
        self.all = []
        self.chats = {}
        self.ids = {}
        self.counts = {"bot": 0, "user": 0}

    def add(self, m):
        assert (m.chat, m.id) not in self.ids, "an id was given out twice"
        self.born += 1
        m.n = self.born
        self.all.append(m)
        self.chats.setdefault(m.chat, []).append(m)
        self.ids[m.chat, m.id] = m
        self.counts[m.by] += 1
        if self.keep and len(self.all) > self.keep * 5 // 4:
            self.forget(len(self.all) - self.keep)
        return m

    def forget(self, count):
        """The oldest ones are no more: a long run must not fill the memory."""
        for m in self.all[:count]:
            del self.ids[m.chat, m.id]
        del self.all[:count]
        first = self.all[0].n
        for chat, of in self.chats.items():
            self.chats[chat] = [m for m in of if m.n >= first]

    def get(self, chat, mid):
        """The message, or None when there is none or it was deleted."""
        m = self.ids.get((chat, mid))
        return None if m is None or m.deleted else m

    def of(self, chat):
        return self.chats.get(chat, ())

    def thread(self, chat, mid):
        """The first message of a thread and its replies."""
        return [m for m in self.of(chat) if m.id == mid or m.thread == mid]

    def find(self, filters):
        """The messages that match; filters as in the control API (known keys only)."""
        filters = {"deleted": False, **filters}
        pool = self.of(filters["chat"]) if "chat" in filters else self.all
        tests = [(FILTERS[k], v) for k, v in filters.items()]
        return [m for m in pool if all(t(m, v) for t, v in tests)]
