# SPDX-License-Identifier: Apache-2.0
"""The workspace of the fake: users, conversations, messages in Slack's shapes, and what users do.

Owns: who and what exists, the events that tell of it, and the injected deeds of users.
Why: apart from the Web API, so that both sides of a conversation make the same messages.
Must never: check a request (slack_check.py) or touch a socket (slack_socket.py).
"""
import collections
import json
import re
import secrets
import time
import urllib.parse

from fake_base import bytes_of
from fake_faults import need
from fake_store import File, Message
from slack_check import check_mrkdwn, Error

TEAM, APP, BOT, BOT_ID = "T0FAKETEAM", "A00FAKEAPP", "U0CHELABOT", "B0CHELABOT"
USERS = {"U0000ALICE": "alice", "U0000000BOB": "bob"}
PREFIX = {"channel": "C", "private": "C", "im": "D", "mpim": "G"}
TYPE = {"channel": "channel", "private": "group", "im": "im", "mpim": "mpim"}


class Chat:
    def __init__(self, cid, kind, name, user="", member=True):
        self.id, self.kind, self.name, self.user = cid, kind, name, user
        self.member, self.archived = member, False

    def told(self):
        return {"id": self.id, "kind": self.kind, "name": self.name, "user": self.user,
                "member": self.member, "archived": self.archived}

    def native(self):
        out = {"id": self.id, "created": 1700000000, "is_archived": self.archived,
               "is_channel": self.kind == "channel", "is_group": False,
               "is_im": self.kind == "im", "is_mpim": self.kind == "mpim",
               "is_private": self.kind != "channel", "context_team_id": TEAM}
        if self.kind == "im":
            return {**out, "user": self.user, "is_user_deleted": False, "is_open": True}
        return {**out, "name": self.name, "name_normalized": self.name, "creator": "U0000ALICE",
                "is_member": self.member, "is_general": self.name == "general",
                "topic": {"value": "", "creator": "", "last_set": 0},
                "purpose": {"value": "", "creator": "", "last_set": 0}}


class World:
    """A mixin of the fake."""

    def found_world(self):
        self.users = dict(USERS)
        self.last_us = 0
        self.serial = collections.Counter()
        self.chats = {}
        for c in (Chat("C00GENERAL", "channel", "general"), Chat("C000RANDOM", "channel", "random"),
                  Chat("C000SECRET", "private", "secret"),
                  Chat("D0000ALICE", "im", "", "U0000ALICE"),
                  Chat("D000000BOB", "im", "", "U0000000BOB")):
            self.chats[c.id] = c

    def new_ts(self):
        self.last_us = max(self.last_us + 1, int(time.time() * 1e6))
        return "%d.%06d" % divmod(self.last_us, 1000000)

    def made_id(self, prefix):
        self.serial[prefix] += 1
        return "%s0%08d" % (prefix, self.serial[prefix])

    # ---- Slack's shapes

    def native(self, m, metadata=False):
        """A message as history, events and answers give it."""
        out = {"user": m.user, "type": "message", "ts": m.id, "text": m.text, "team": TEAM}
        if m.by == "bot":
            out.update({"bot_id": BOT_ID, "app_id": APP,
                        "bot_profile": {"id": BOT_ID, "app_id": APP, "name": "chela",
                                        "team_id": TEAM, "deleted": False}})
        else:
            out["client_msg_id"] = m.native["client_msg_id"]
        if m.native.get("blocks"):
            out["blocks"] = m.native["blocks"]
        if m.thread:
            out["thread_ts"] = m.thread
            parent = self.store.ids.get((m.chat, m.thread))
            if parent is not None:
                out["parent_user_id"] = parent.user
        replies = m.native.get("replies", 0)
        if replies:
            out.update({"thread_ts": m.id, "reply_count": replies,
                        "latest_reply": m.native["latest_reply"]})
        if m.edits:
            out["edited"] = {"user": m.user, "ts": m.native["edited_ts"]}
        if m.files:
            out.update({"files": [f.native for f in m.files], "upload": False})
        if m.reactions:
            out["reactions"] = [{"name": n, "users": u, "count": len(u)}
                                for n, u in m.reactions.items()]
        if metadata and m.native.get("metadata"):
            out["metadata"] = m.native["metadata"]
        return out

    def make_file(self, ref, name, mime, data, user):
        f = File(ref, name, mime, data, user)
        base, part = f"{self.root}/files-pri/{TEAM}-{ref}", urllib.parse.quote(name, safe="")
        now = int(time.time())
        f.native = {"id": ref, "created": now, "timestamp": now, "name": name, "title": name,
                    "mimetype": mime, "filetype": name.rpartition(".")[2] or "binary",
                    "user": user, "user_team": TEAM, "editable": False, "size": len(data),
                    "mode": "hosted", "is_external": False, "is_public": True,
                    "url_private": f"{base}/{part}",
                    "url_private_download": f"{base}/download/{part}",
                    "permalink": f"{self.root}/files/{user}/{ref}/{part}",
                    "file_access": "visible"}
        self.files[ref] = f
        return f

    # ---- events

    def event(self, chat, inner):
        """Posts an Events API event, when the bot would see it."""
        if chat is not None:
            if not self.chats[chat].member:
                return
            inner.setdefault("channel", chat)
            if inner["type"] == "message":
                inner["channel_type"] = TYPE[self.chats[chat].kind]
        inner.setdefault("event_ts", inner.get("ts") or self.new_ts())
        payload = {"token": "verification", "team_id": TEAM, "context_team_id": TEAM,
                   "context_enterprise_id": None, "api_app_id": APP, "event": inner,
                   "type": "event_callback", "event_id": self.made_id("Ev"),
                   "event_time": int(time.time()), "is_ext_shared_channel": False,
                   "authorizations": [{"enterprise_id": None, "team_id": TEAM, "user_id": BOT,
                                       "is_bot": True, "is_enterprise_install": False}],
                   "event_context": "4-" + secrets.token_hex(8)}
        self.socket.post("events_api", json.dumps(payload))

    def born(self, m, quiet=False):
        """A message has come into being: into the store, its thread and the events."""
        m.name = self.users.get(m.user, "chela")
        m.time = float(m.id)
        self.store.add(m)
        parent = self.store.ids.get((m.chat, m.thread)) if m.thread else None
        if parent is not None:
            parent.native["replies"] = parent.native.get("replies", 0) + 1
            parent.native["latest_reply"] = m.id
        self.show(m)
        if not quiet and (m.by == "user" or self.limits["echo"]):
            native = self.native(m)
            if m.files:
                native["subtype"] = "file_share"
            self.event(m.chat, native)
            if m.by == "user" and f"<@{BOT}>" in m.text and self.chats[m.chat].kind != "im":
                self.event(m.chat, {**self.native(m), "type": "app_mention"})

    def reworded(self, m, text, plain, quiet=False, edited=True):
        """A message's text changes."""
        before = self.native(m)
        if edited:
            m.edits.append({"time": time.time(), "text": m.text})
            m.native["edited_ts"] = self.new_ts()
        m.text, m.plain = text, plain
        self.show(m)
        if not quiet and (m.by == "user" or self.limits["echo"]):
            self.event(m.chat, {"type": "message", "subtype": "message_changed", "hidden": True,
                                "message": self.native(m), "previous_message": before,
                                "ts": self.new_ts()})

    def removed(self, m, quiet=False):
        before = self.native(m)
        m.deleted = True
        self.show(m)
        if not quiet and (m.by == "user" or self.limits["echo"]):
            self.event(m.chat, {"type": "message", "subtype": "message_deleted", "hidden": True,
                                "deleted_ts": m.id, "previous_message": before,
                                "ts": self.new_ts()})

    def reacted(self, m, user, name, remove):
        """False when there is nothing to change."""
        users = m.reactions.get(name, [])
        if (user in users) != remove:
            return False
        left = [u for u in users if u != user] if remove else users + [user]
        m.reactions.pop(name, None)
        if left:
            m.reactions[name] = left
        self.show(m)
        if user != BOT or self.limits["echo"]:
            self.event(m.chat, {"type": "reaction_removed" if remove else "reaction_added",
                                "user": user, "reaction": name, "item_user": m.user,
                                "channel": m.chat,
                                "item": {"type": "message", "channel": m.chat, "ts": m.id}})
        return True

    # ---- what users do (the control API)

    def _chat(self, chat):
        need(chat in self.chats, f"no chat {chat}")
        return self.chats[chat]

    def _user(self, chat, user):
        user = user or self._chat(chat).user or next(iter(self.users))
        need(user in self.users, f"no user {user}")
        return user

    def _message(self, chat, mid):
        m = self.store.get(self._chat(chat).id, mid)
        need(m is not None, f"no message {mid} in {chat}")
        return m

    @staticmethod
    def seen(text):
        try:
            return check_mrkdwn(text)
        except Error:
            return text  # what a person types need not be good mrkdwn

    def inject_message(self, *, chat, text="", user=None, thread="", mention=False, files=(),
                       quiet=False, id=None):
        user = self._user(chat, user)
        need(not thread or self.store.ids.get((chat, thread)), f"no message {thread}")
        text = f"<@{BOT}> {text}" if mention else text
        m = Message(chat, id or self.new_ts(), "user", user, "", text, thread=thread)
        m.plain, m.native["client_msg_id"] = self.seen(text), secrets.token_hex(16)
        m.files = [self.make_file(self.made_id("F"), f.get("name", "file"),
                                  f.get("mime", "text/plain"), bytes_of(f), user) for f in files]
        need((chat, m.id) not in self.store.ids, "this id exists")
        self.born(m, quiet)
        return m.id

    def inject_edit(self, *, chat, id, text, quiet=False):
        self.reworded(self._message(chat, id), text, self.seen(text), quiet)
        return id

    def inject_delete(self, *, chat, id, quiet=False):
        self.removed(self._message(chat, id), quiet)
        return id

    def inject_react(self, *, chat, id, emoji, user=None, remove=False):
        self.reacted(self._message(chat, id), self._user(chat, user), emoji, remove)
        return id

    def inject_press(self, *, chat, id, user=None, label=None, value=None):
        m, user = self._message(chat, id), self._user(chat, user)
        found = [b for b in m.buttons if b["label"] == label or b["value"] == value]
        need(found, f"no such button; there are {m.buttons}")
        b, c = found[0], self.chats[chat]
        container = {"type": "message", "message_ts": m.id, "channel_id": chat,
                     "is_ephemeral": False}
        if m.thread:
            container["thread_ts"] = m.thread
        self.socket.post("interactive", json.dumps({
            "type": "block_actions", "team": {"id": TEAM, "domain": "fake"}, "enterprise": None,
            "user": {"id": user, "username": self.users[user], "name": self.users[user],
                     "team_id": TEAM},
            "api_app_id": APP, "token": "verification", "container": container,
            "trigger_id": "1.2." + secrets.token_hex(8), "is_enterprise_install": False,
            "channel": {"id": chat, "name": c.name or "directmessage"},
            "message": self.native(m), "state": {"values": {}},
            "response_url": f"{self.root}/actions/{TEAM}/1/x",
            "actions": [{"action_id": b["action_id"], "block_id": b["block_id"], "type": "button",
                         "text": {"type": "plain_text", "text": b["label"], "emoji": True},
                         "value": b["value"], "action_ts": self.new_ts()}]}))
        return m.id

    def inject_command(self, *, chat, command, text="", user=None):
        user, c = self._user(chat, user), self._chat(chat)
        self.socket.post("slash_commands", json.dumps({
            "token": "verification", "team_id": TEAM, "team_domain": "fake", "channel_id": chat,
            "channel_name": c.name or "directmessage", "user_id": user,
            "user_name": self.users[user], "command": command, "text": text, "api_app_id": APP,
            "is_enterprise_install": "false", "response_url": f"{self.root}/commands/{TEAM}/1/x",
            "trigger_id": "1.2." + secrets.token_hex(8)}), reply=True)
        return ""

    def inject_raw(self, *, payload, type="events_api"):
        self.socket.post(type, json.dumps(payload))
        return ""

    def order_user(self, *, name, id=None):
        id = id or self.made_id("U")
        self.users[id] = name
        return {"id": id}

    def order_chat(self, *, id=None, kind=None, name=None, user=None, member=None, archived=None,
                   count=1):
        if id in self.chats:
            c = self.chats[id]
            c.member = c.member if member is None else member
            c.archived = c.archived if archived is None else archived
            c.name = name or c.name
            return {"ids": [id]}
        kind = kind or "channel"
        need(kind in PREFIX, f"no kind {kind}")
        need(id is None or count == 1, "an id is for one chat")
        need(id is None or re.fullmatch(r"[CDG][A-Z0-9]{8,}", id), "an id like C0123456789")
        made = []
        for i in range(count):
            c = Chat(id or self.made_id(PREFIX[kind]), kind,
                     f"{name or 'room'}-{i + 1}" if count > 1 else name or "room")
            c.user = self._user(next(iter(self.chats)), user) if kind == "im" else ""
            c.member = True if member is None else member
            c.archived = bool(archived)
            self.chats[c.id] = c
            made.append(c.id)
        self.tell("chats", self.order_chats())
        return {"ids": made}

    def order_chats(self):
        return {"chats": [c.told() for c in self.chats.values()], "users": self.users}
