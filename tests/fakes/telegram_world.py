# SPDX-License-Identifier: Apache-2.0
"""The Telegram of the fake: users, chats, topics, messages in the Bot API's shapes, and updates.

Owns: who and what exists, the queue of updates, the injected deeds of users. Why: apart from the
methods, so that both sides make the same messages. Must never: check a request.
"""
import collections
import json
import re
import secrets
import time

from fake_base import bytes_of
from fake_faults import need
from fake_store import File, Message
from telegram_markup import units

BOT, USERNAME = 700000001, "chela_fake_bot"
USERS = {"1001": "Alice", "1002": "Bob"}
KINDS = ("private", "group", "supergroup", "forum", "channel")
STATES = ("ok", "blocked", "kicked", "gone", "no_rights")
MARKS = re.compile(r"(?P<bot_command>(?<![\w/@])/[A-Za-z0-9_]{1,32}(?:@\w{3,32})?)"
                   r"|(?P<mention>(?<!\w)@[A-Za-z]\w{3,31})|(?P<url>https?://[^\s<>]+)")
# without allowed_updates these are not sent
ASKED_FOR = {"chat_member", "message_reaction", "message_reaction_count"}
MIMES = {"photo": "image/jpeg", "voice": "audio/ogg", "audio": "audio/mpeg", "video": "video/mp4",
         "sticker": "image/webp", "document": "application/octet-stream"}


class Chat:
    def __init__(self, cid, kind, name, user=""):
        self.id, self.kind, self.name, self.user = cid, kind, name, user
        self.state, self.moved, self.topics, self.last_id = "ok", None, {}, 0

    @property
    def group(self):
        return self.kind in ("group", "supergroup", "forum")

    def told(self):
        return {"id": self.id, "kind": self.kind, "name": self.name, "user": self.user,
                "state": self.state, "moved": self.moved or "",
                "topics": {str(k): v for k, v in self.topics.items()}}

    def native(self):
        if self.kind == "private":
            return {"id": int(self.id), "type": "private", "first_name": self.name}
        out = {"id": int(self.id), "title": self.name,
               "type": "supergroup" if self.kind == "forum" else self.kind}
        return {**out, "is_forum": True} if self.kind == "forum" else out


class World:
    """A mixin of the fake."""

    def found_world(self):
        self.users = dict(USERS)
        self.chats, self.last_id, self.serial = {}, 100, 0
        self.queue, self.update_id = collections.deque(), 500000000
        self.again, self.confirmed = [], collections.deque(maxlen=1000)
        self.allowed, self.shuffling = None, None
        self.queries, self.commands = {}, []
        for c in (Chat("1001", "private", "Alice", "1001"), Chat("1002", "private", "Bob", "1002"),
                  Chat("-2001", "group", "Family"), Chat("-1003001", "supergroup", "Work"),
                  Chat("-1003002", "forum", "Project")):
            self.chats[c.id] = c
        self.chats["-1003002"].topics.update({11: "Plans", 12: "Bugs"})
        self.chats["-1003002"].last_id = 12

    # ---- the Bot API's shapes

    def new_id(self, c):
        """Private chats and basic groups share one counter; each supergroup has its own."""
        if c.kind in ("private", "group"):
            self.last_id += 1
            return str(self.last_id)
        c.last_id += 1
        return str(c.last_id)

    def person(self, user):
        if user == str(BOT):
            return {"id": BOT, "is_bot": True, "first_name": "Chela", "username": USERNAME}
        return {"id": int(user), "is_bot": False, "first_name": self.users[user],
                "username": self.users[user].lower(), "language_code": "en"}

    def native(self, m, deep=True):
        c = self.chats[m.chat]
        out = {"message_id": int(m.id), "from": self.person(m.user), "chat": c.native(),
               "date": int(m.time)}
        if m.thread:
            out.update({"message_thread_id": int(m.thread), "is_topic_message": True})
        if m.edits:
            out["edit_date"] = int(m.edits[-1]["time"])
        words = "caption" if m.files else "text"
        if m.plain:
            out[words] = m.plain
            if m.extra["entities"]:
                out["entities" if words == "text" else "caption_entities"] = m.extra["entities"]
        out.update(m.native.get("media", {}))
        if deep and m.reply_to:
            replied = self.store.ids.get((m.chat, m.reply_to))
            if replied is not None and not replied.deleted:
                out["reply_to_message"] = self.native(replied, deep=False)
        elif deep and m.thread:  # Telegram's habit: a topic's message replies to the topic's birth
            out["reply_to_message"] = {
                "message_id": int(m.thread), "from": self.person("1001"), "chat": c.native(),
                "date": 1700000000, "message_thread_id": int(m.thread), "is_topic_message": True,
                "forum_topic_created": {"name": c.topics.get(int(m.thread), ""),
                                        "icon_color": 7322096}}
        if m.native.get("markup"):
            out["reply_markup"] = m.native["markup"]
        return {**out, **m.native.get("fields", {})}

    def make_file(self, kind, name, mime, data, user):
        self.serial += 1
        ref = "BQACAgIAAx" + secrets.token_urlsafe(30)
        f = File(ref, name, mime, data, user)
        f.path = f"{kind}s/file_{self.serial}" + ("." + name.rpartition(".")[2]
                                                  if "." in name else "")
        f.native = {"file_id": ref, "file_unique_id": secrets.token_hex(8),
                    "file_size": len(data)}
        self.files[ref] = f
        return f

    def media(self, kind, f):
        """The field of a message that holds a file."""
        own = f.native
        if kind == "photo":
            small = {**own, "file_id": own["file_id"] + "s", "file_size": 1}
            return {"photo": [{**small, "width": 90, "height": 67},
                              {**own, "width": 1280, "height": 960}]}
        if kind == "sticker":
            return {"sticker": {**own, "type": "regular", "width": 512, "height": 512,
                                "is_animated": False, "is_video": False, "emoji": "🙂",
                                "set_name": "fake"}}
        more = {"mime_type": f.mime}
        if kind != "document":
            more["duration"] = 3
        if kind == "video":
            more.update({"width": 640, "height": 480})
        if kind != "voice" and f.name:
            more["file_name"] = f.name
        return {kind: {**own, **more}}

    # ---- updates

    def update(self, kind, body):
        """A new update for the bot, when it asked for its kind."""
        if kind not in self.allowed if self.allowed is not None else kind in ASKED_FOR:
            return
        do = self.faults.pick_wire()
        if do == "gap":
            self.update_id += 1000
        self.update_id += 1
        one = (self.update_id, json.dumps({"update_id": self.update_id, kind: body}))
        if do == "shuffle":
            self.shuffling = self.shuffling or {"count": 5, "held": []}
        if self.shuffling is not None:
            self.shuffling["held"].append(one)
            if len(self.shuffling["held"]) >= self.shuffling["count"]:
                self.unshuffle()
        else:
            self.queue.append(one)
        if do == "redeliver":
            self.again += list(self.confirmed)[-2:]
        self.wake.set()
        self.changed()

    def unshuffle(self):
        if self.shuffling is not None:
            held, self.shuffling = self.shuffling["held"], None
            self.queue.extend(held[::-1])
            self.wake.set()

    def reaches(self, c, m):
        """Privacy mode: in groups only commands, mentions and replies to the bot come through."""
        if not (self.limits["privacy"] and c.group):
            return True
        replied = self.store.ids.get((m.chat, m.reply_to))
        return (m.plain.startswith("/") or "@" + USERNAME in m.plain
                or (replied is not None and replied.by == "bot"))

    def born(self, m, quiet=False):
        m.name = "Chela" if m.by == "bot" else self.users[m.user]
        m.time = time.time()
        m.extra.setdefault("entities", [])
        m.extra.setdefault("parse_mode", "")
        m.extra.setdefault("kind", "text")
        self.store.add(m)
        self.show(m)
        c = self.chats[m.chat]
        if m.by == "user" and not quiet and c.state == "ok" and self.reaches(c, m):
            self.update("message", self.native(m))

    # ---- what users do (the control API)

    def _chat(self, chat):
        need(chat in self.chats, f"no chat {chat}")
        return self.chats[chat]

    def _user(self, c, user):
        user = user or c.user or next(iter(self.users))
        need(user in self.users, f"no user {user}")
        return user

    def _message(self, chat, mid):
        m = self.store.get(self._chat(chat).id, mid)
        need(m is not None, f"no message {mid} in {chat}")
        return m

    @staticmethod
    def marked(text):
        return [{"type": k.lastgroup, "offset": units(text[:k.start()]),
                 "length": units(k.group(0))} for k in MARKS.finditer(text)]

    def inject_message(self, *, chat, text="", user=None, thread="", reply_to="", mention=False,
                       files=(), entities=None, quiet=False, fields=None):
        c = self._chat(chat)
        user = self._user(c, user)
        need(not thread or int(thread) in c.topics, f"no topic {thread}")
        need(not reply_to or (chat, reply_to) in self.store.ids, f"no message {reply_to}")
        need(text or files or fields, "a message without anything")
        text = f"@{USERNAME} {text}" if mention else text
        first, album = None, secrets.token_hex(6) if len(files) > 1 else None
        for i, spec in enumerate(files or [None]):
            said = text if i == 0 else ""
            m = Message(chat, self.new_id(c), "user", user, "", said, thread=thread,
                        reply_to=reply_to)
            m.native["fields"] = dict(fields or {})
            m.extra["entities"] = self.marked(said) if entities is None else entities
            if spec is not None:
                self.add_file(m, spec, user)
            if album:
                m.native["fields"]["media_group_id"] = album
            self.born(m, quiet)
            first = first or m.id
        return first

    def add_file(self, m, spec, user):
        kind = spec.get("kind", "document")
        need(kind in MIMES, f"no kind of file {kind}")
        name = spec.get("name", "file" if kind == "document" else "")
        f = self.make_file(kind, name, spec.get("mime", MIMES[kind]), bytes_of(spec), user)
        m.files, m.extra["kind"], m.native["media"] = [f], kind, self.media(kind, f)

    def inject_command(self, *, chat, command, text="", user=None, thread=""):
        return self.inject_message(chat=chat, user=user, thread=thread,
                                   text=f"{command} {text}".strip())

    def inject_edit(self, *, chat, id, text, quiet=False):
        m = self._message(chat, id)
        m.edits.append({"time": time.time(), "text": m.text})
        m.text = m.plain = text
        m.extra["entities"] = self.marked(text)
        self.show(m)
        if not quiet:
            self.update("edited_message", self.native(m))
        return id

    def inject_delete(self, *, chat, id):
        m = self._message(chat, id)
        m.deleted = True
        self.show(m)
        return id

    def react(self, m, user, emojis):
        """Sets a user's reactions; the older ones."""
        old = [e for e, users in m.reactions.items() if user in users]
        for e in old:
            m.reactions[e] = [u for u in m.reactions[e] if u != user]
        for e in emojis:
            m.reactions.setdefault(e, []).append(user)
        for e in [e for e, users in m.reactions.items() if not users]:
            del m.reactions[e]
        self.show(m)
        return old

    def inject_react(self, *, chat, id, emoji, user=None, remove=False):
        m, c = self._message(chat, id), self._chat(chat)
        user = self._user(c, user)
        new = [] if remove else [emoji]
        old = self.react(m, user, new)
        kind = lambda emojis: [{"type": "emoji", "emoji": e} for e in emojis]  # noqa: E731
        self.update("message_reaction", {
            "chat": c.native(), "message_id": int(id), "user": self.person(user),
            "date": int(time.time()), "old_reaction": kind(old), "new_reaction": kind(new)})
        return id

    def inject_press(self, *, chat, id, user=None, label=None, value=None):
        m, c = self._message(chat, id), self._chat(chat)
        found = [b for b in m.buttons if b["label"] == label or b["value"] == value]
        need(found, f"no such button; there are {m.buttons}")
        query = str(secrets.randbits(62))
        self.queries[query] = False
        self.update("callback_query", {
            "id": query, "from": self.person(self._user(c, user)), "message": self.native(m),
            "chat_instance": "-" + query, "data": found[0]["value"]})
        return id

    def inject_migrate(self, *, chat, to=None):
        old = self._chat(chat)
        need(old.kind == "group", "only a basic group can become a supergroup")
        to = to or f"-100{secrets.randbits(30) + 4000}"
        new = Chat(to, "supergroup", old.name)
        self.chats[to] = new
        for c, field, other in ((old, "migrate_to_chat_id", to), (new, "migrate_from_chat_id",
                                                                  chat)):
            m = Message(c.id, self.new_id(c), "user", self._user(c, None), "", "")
            m.native["fields"], m.extra["kind"] = {field: int(other)}, "service"
            self.born(m)
        old.moved = to
        self.tell("chats", self.order_chats())
        return to

    def inject_raw(self, *, update):
        kinds = [k for k in update if k != "update_id"]
        need(len(kinds) == 1, "an update has one kind")
        self.update(kinds[0], update[kinds[0]])
        return ""

    def order_user(self, *, name, id=None):
        id = id or str(2000 + len(self.users))
        self.users[id] = name
        return {"id": id}

    def order_topic(self, *, chat, name, id=None):
        c = self._chat(chat)
        need(c.kind == "forum", "topics are in forums")
        number = int(id) if id else int(self.new_id(c))
        c.topics[number] = name
        self.tell("chats", self.order_chats())
        return {"id": str(number)}

    def order_chat(self, *, id=None, kind=None, name=None, user=None, state=None, count=1):
        need(state is None or state in STATES, f"no state {state}")
        if id in self.chats:
            self.change_chat(self.chats[id], name, state)
            return {"ids": [id]}
        kind = kind or "private"
        need(kind in KINDS, f"no kind {kind}")
        need(id is None or count == 1, "an id is for one chat")
        need(id is None or re.fullmatch(r"-?\d+", id), "an id is a number")
        need(id is None or (kind == "private") == (id[0] != "-"), "groups have negative ids")
        made = []
        for i in range(count):
            base = len(self.chats) + 5000
            cid = id or (str(base) if kind == "private" else f"-{base}" if kind == "group"
                         else f"-1000{base}")
            name_now = f"{name or 'chat'}-{i + 1}" if count > 1 else name or "chat"
            c = Chat(cid, kind, name_now)
            if kind == "private":
                c.user = cid
                self.users[cid] = self.users.get(cid, name_now)
            c.state = state or "ok"
            self.chats[cid] = c
            made.append(cid)
        self.tell("chats", self.order_chats())
        return {"ids": made}

    def change_chat(self, c, name, state):
        c.name = name or c.name
        if state and state != c.state:
            status = {"ok": "member", "no_rights": "restricted"}
            now = status.get(state, "kicked")
            before, c.state = status.get(c.state, "kicked"), state
            if now != before and state != "gone":
                self.update("my_chat_member", {
                    "chat": c.native(), "from": self.person(self._user(c, None)),
                    "date": int(time.time()),
                    "old_chat_member": {"user": self.person(str(BOT)), "status": before},
                    "new_chat_member": {"user": self.person(str(BOT)), "status": now}})
        self.tell("chats", self.order_chats())

    def order_chats(self):
        return {"chats": [c.told() for c in self.chats.values()], "users": self.users}
