# SPDX-License-Identifier: Apache-2.0
"""What each method of Slack's Web API does to the workspace of the fake.

Owns: the effects and the answers. Why: apart from the checks, which come before.
Must never: be called with arguments that slack_check.check_args has not seen.
"""
import base64
import hashlib
import math
import secrets

from fake_store import Message
from slack_check import (EMOJI, Error, broken, buttons_of, check_blocks, check_metadata,
                         check_mrkdwn, check_text)
from slack_world import BOT, BOT_ID, TEAM

STREAM_TEXT = 12000


def page(items, args, name, most):
    """A slice of a list with Slack's cursor: (items, answer's rest)."""
    size, at = min(args.get("limit", most), most), 0
    if args.get("cursor"):
        try:
            at = int(base64.b64decode(args["cursor"]).decode().removeprefix("next:"))
        except ValueError:
            raise Error("invalid_cursor", "a cursor that we did not give") from None
    more = at + size < len(items)
    cursor = base64.b64encode(b"next:%d" % (at + size)).decode() if more else ""
    return items[at:at + size], {"has_more": more, "response_metadata": {"next_cursor": cursor}}


class Methods:
    """A mixin of the fake: do_<method with underscores>(args) -> the answer without ok."""

    # ---- who and where

    def do_auth_test(self, _args):
        self.new_client()
        return {"url": "https://fake.slack.com/", "team": "fake", "user": "chela",
                "team_id": TEAM, "user_id": BOT, "bot_id": BOT_ID, "is_enterprise_install": False}

    def do_apps_connections_open(self, _args):
        if self.socket.disabled:
            raise Error("link_disabled")
        where = self.root.replace("http", "ws", 1)
        return {"url": f"{where}/link/?ticket={self.socket.ticket()}&app_id={self.APP}"}

    def open_chat(self, channel, write=False):
        c = self.chats.get(channel)
        if c is None or (c.kind == "private" and not c.member):
            raise Error("channel_not_found")
        if write and c.archived:
            raise Error("is_archived")
        if not c.member and (write or c.kind != "channel"):
            raise Error("not_in_channel")
        return c

    def do_users_info(self, args):
        user = args["user"]
        if user == BOT:
            name, bot = "chela", True
        elif user in self.users:
            name, bot = self.users[user], False
        else:
            raise Error("user_not_found")
        return {"user": {"id": user, "team_id": TEAM, "name": name, "deleted": False,
                         "real_name": name.title(), "is_bot": bot, "tz": "Etc/UTC",
                         "profile": {"real_name": name.title(), "display_name": name,
                                     "team": TEAM}}}

    def do_conversations_info(self, args):
        c = self.chats.get(args["channel"])
        if c is None or (c.kind == "private" and not c.member):
            raise Error("channel_not_found")
        return {"channel": c.native()}

    def do_conversations_list(self, args):
        kinds = args.get("types", "public_channel").split(",")
        known = {"public_channel": "channel", "private_channel": "private", "im": "im",
                 "mpim": "mpim"}
        broken(set(kinds) <= set(known), "invalid_types", f"types {kinds}")
        wanted = {known[k] for k in kinds}
        found = [c.native() for c in self.chats.values()
                 if c.kind in wanted and (c.kind == "channel" or c.member)
                 and not (args.get("exclude_archived") and c.archived)]
        part, rest = page(found, args, "channels", 1000)
        return {"channels": part, **rest}

    def do_conversations_open(self, args):
        broken(bool(args.get("users")) != bool(args.get("channel")), "invalid_arguments",
               "users or channel")
        if args.get("channel"):
            return {"channel": {"id": self.open_chat(args["channel"]).id}}
        user = args["users"]
        if user not in self.users:
            raise Error("user_not_found")
        for c in self.chats.values():
            if c.kind == "im" and c.user == user:
                return {"no_op": True, "already_open": True, "channel": {"id": c.id}}
        return {"channel": {"id": self.order_chat(kind="im", user=user)["ids"][0]}}

    # ---- messages

    def in_thread(self, channel, ts):
        """The thread must have been begun by a message that is no reply itself."""
        if not ts:
            return ""
        m = self.store.ids.get((channel, ts))
        broken(m is not None, "thread_not_found", f"thread_ts {ts} is no message of {channel}")
        broken(not m.thread, "thread_not_found", f"thread_ts {ts} is itself a reply")
        return ts

    def contents(self, m, args):
        """Checked contents into a message."""
        plain = check_text(args)
        text = args.get("text", args.get("markdown_text", ""))
        if "metadata" in args:
            check_metadata(args["metadata"])
            m.native["metadata"] = args["metadata"]
            m.key = str(args["metadata"]["event_payload"].get("key", ""))
        if "blocks" in args:
            m.native["blocks"] = [{"block_id": f"b{i}", **b}
                                  for i, b in enumerate(args["blocks"])]
            m.buttons = buttons_of(args["blocks"])
        return text, plain

    def do_chat_postMessage(self, args):
        self.open_chat(args["channel"], write=True)
        m = Message(args["channel"], self.new_ts(), "bot", BOT, "chela", "",
                    method="chat.postMessage")
        m.text, m.plain = self.contents(m, args)
        m.thread = self.in_thread(args["channel"], args.get("thread_ts"))
        self.born(m)
        return {"channel": m.chat, "ts": m.id, "message": self.native(m, metadata=True)}

    def mine(self, args, name="ts"):
        self.open_chat(args["channel"])
        m = self.store.get(args["channel"], args[name])
        if m is None:
            raise Error("message_not_found")
        return m

    def do_chat_update(self, args):
        m = self.mine(args)
        broken(m.by == "bot", "cant_update_message", "another one's message")
        broken(not m.streaming, "streaming_state_conflict", "an update of a running stream")
        had = m.buttons, m.native.get("blocks")
        if "blocks" not in args:  # text alone takes the blocks away
            m.buttons = []
            m.native.pop("blocks", None)
        try:
            text, plain = self.contents(m, args)
        except Error:
            m.buttons = had[0]
            if had[1]:
                m.native["blocks"] = had[1]
            raise
        self.reworded(m, text, plain)
        return {"channel": m.chat, "ts": m.id, "text": m.text, "message": self.native(m)}

    def do_chat_delete(self, args):
        m = self.mine(args)
        broken(m.by == "bot", "cant_delete_message", "another one's message")
        self.removed(m)
        return {"channel": m.chat, "ts": m.id}

    # ---- streams

    def stream_text(self, args):
        broken("chunks" not in args, "invalid_arguments", "this fake knows markdown_text only")
        text = args.get("markdown_text", "")
        broken(len(text) <= STREAM_TEXT, "msg_too_long", f"markdown_text of {len(text)}")
        return text

    def do_chat_startStream(self, args):
        if not self.limits["streams"]:
            raise Error("method_not_supported_for_channel_type")
        c = self.open_chat(args["channel"], write=True)
        if c.kind != "im":
            for name in ("recipient_user_id", "recipient_team_id"):
                broken(args.get(name), "missing_" + name, f"{name} is needed in a channel")
            broken(args["recipient_user_id"] in self.users, "user_not_found", "recipient_user_id")
        text = self.stream_text(args)
        m = Message(c.id, self.new_ts(), "bot", BOT, "chela", text, method="chat.startStream")
        m.thread, m.streaming = self.in_thread(c.id, args["thread_ts"]), True
        self.born(m)
        return {"channel": c.id, "ts": m.id}

    def running(self, args):
        m = self.mine(args)
        broken(m.by == "bot", "message_not_owned_by_app", "another one's message")
        broken(m.method == "chat.startStream", "message_not_in_streaming_state", "no stream")
        if not m.streaming:
            raise Error("message_not_in_streaming_state")
        return m

    def do_chat_appendStream(self, args):
        m, text = self.running(args), self.stream_text(args)
        broken(text, "no_text", "nothing to append")
        self.reworded(m, m.text + text, m.text + text, edited=False, quiet=True)
        return {"channel": m.chat, "ts": m.id}

    def do_chat_stopStream(self, args):
        m, text = self.running(args), self.stream_text(args)
        if "metadata" in args:
            check_metadata(args["metadata"])
            m.native["metadata"] = args["metadata"]
            m.key = str(args["metadata"]["event_payload"].get("key", ""))
        if "blocks" in args:
            check_blocks(args["blocks"])
            m.native["blocks"], m.buttons = args["blocks"], buttons_of(args["blocks"])
        m.streaming = False
        self.reworded(m, m.text + text, m.text + text, edited=False)
        return {"channel": m.chat, "ts": m.id, "message": self.native(m, metadata=True)}

    def do_assistant_threads_setStatus(self, args):
        self.open_chat(args["channel_id"], write=True)
        broken(len(args.get("loading_messages", [])) <= 10, "invalid_arguments",
               "over 10 loading_messages")
        self.in_thread(args["channel_id"], args["thread_ts"])
        self.sign(args["channel_id"], args["thread_ts"], "status", args["status"])
        return {}

    # ---- history

    @staticmethod
    def within(args):
        """A test of ts against oldest, latest and inclusive."""
        try:
            low = float(args["oldest"]) if args.get("oldest") else -math.inf
            high = float(args["latest"]) if args.get("latest") else math.inf
        except ValueError:
            raise Error("invalid_arguments", "oldest or latest is no timestamp") from None
        if args.get("inclusive"):
            return lambda ts: low <= float(ts) <= high
        return lambda ts: low < float(ts) < high

    def do_conversations_history(self, args):
        c, ok = self.open_chat(args["channel"]), self.within(args)
        found = [m for m in reversed(self.store.of(c.id))
                 if not m.thread and not m.deleted and ok(m.id)]
        part, rest = page(found, args, "messages", 999 if "limit" in args else 100)
        meta = args.get("include_all_metadata", False)
        return {"messages": [self.history(m, meta) for m in part], "pin_count": 0, **rest}

    def history(self, m, meta):
        native = self.native(m, meta)
        if m.files:
            native["subtype"] = "file_share"
        return native

    def do_conversations_replies(self, args):
        c, ok = self.open_chat(args["channel"]), self.within(args)
        m = self.store.ids.get((c.id, args["ts"]))
        if m is None:
            raise Error("thread_not_found")
        first = m.thread or m.id
        found = [r for r in self.store.thread(c.id, first)
                 if not r.deleted and (r.id == first or ok(r.id))]
        if not found:
            raise Error("thread_not_found")
        part, rest = page(found, args, "messages", 999)
        meta = args.get("include_all_metadata", False)
        return {"messages": [self.history(r, meta) for r in part], **rest}

    # ---- reactions

    def do_reactions_add(self, args):
        m = self.mine(args, "timestamp")
        broken(EMOJI.match(args["name"]), "invalid_name", f"no emoji name: {args['name']!r}")
        if not self.reacted(m, BOT, args["name"], remove=False):
            raise Error("already_reacted")
        return {}

    def do_reactions_remove(self, args):
        m = self.mine(args, "timestamp")
        broken(EMOJI.match(args["name"]), "invalid_name", f"no emoji name: {args['name']!r}")
        if not self.reacted(m, BOT, args["name"], remove=True):
            raise Error("no_reaction")
        return {}

    def do_reactions_get(self, args):
        m = self.mine(args, "timestamp")
        return {"type": "message", "channel": m.chat, "message": self.native(m)}

    # ---- files

    def do_files_getUploadURLExternal(self, args):
        broken(args["length"] > 0, "invalid_arguments", "a file without bytes")
        broken(args["filename"].strip() and len(args["filename"]) <= 255
               and not set(args["filename"]) & set("/\\\0"), "invalid_arguments", "filename")
        ref, ticket = self.made_id("F"), secrets.token_urlsafe(24)
        self.uploads[ticket] = {"ref": ref, "name": args["filename"], "length": args["length"],
                                "data": None, "ticket": ticket}
        return {"upload_url": f"{self.root}/upload/v1/{ticket}", "file_id": ref}

    def do_files_completeUploadExternal(self, args):
        broken(args["files"], "invalid_arguments", "no files")
        channel = args.get("channel_id") or args.get("channels")
        broken(not (args.get("thread_ts") and not channel), "invalid_arguments",
               "thread_ts without a channel")
        plain = check_mrkdwn(args["initial_comment"]) if args.get("initial_comment") else ""
        if channel:
            self.open_chat(channel, write=True)
        thread = self.in_thread(channel, args.get("thread_ts"))
        ready = {u["ref"]: u for u in self.uploads.values() if u["data"] is not None}
        for f in args["files"]:
            broken(isinstance(f, dict) and isinstance(f.get("id"), str) and
                   set(f) <= {"id", "title", "highlight_type"}, "invalid_arguments", f"files: {f}")
            if f["id"] in self.files:  # complete: a repeat after a lost answer
                raise Error("file_not_found")
            broken(f["id"] in ready, "file_not_found", f"{f['id']} was not uploaded")
        made = []
        for f in args["files"]:
            u = self.uploads.pop(ready[f["id"]]["ticket"])
            made.append(self.make_file(u["ref"], u["name"], u["mime"], u["data"], BOT))
            made[-1].native["title"] = f.get("title") or u["name"]
        if channel:
            m = Message(channel, self.new_ts(), "bot", BOT, "chela",
                        args.get("initial_comment", ""), thread=thread, files=made, plain=plain,
                        method="files.completeUploadExternal")
            self.born(m)
            share = {"ts": m.id, "channel_name": self.chats[channel].name, "team_id": TEAM}
            if thread:
                share["thread_ts"] = thread
            side = "public" if self.chats[channel].kind == "channel" else "private"
            for f in made:
                f.native["shares"] = {side: {channel: [share]}}
        return {"files": [{"id": f.ref, "title": f.native["title"]} for f in made]}

    def do_files_info(self, args):
        f = self.files.get(args["file"])
        if f is None:
            raise Error("file_not_found")
        return {"file": {**f.native, "sha256": hashlib.sha256(f.data).hexdigest()}}
