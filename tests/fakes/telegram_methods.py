# SPDX-License-Identifier: Apache-2.0
"""What each method of the Bot API does to the Telegram of the fake.

Owns: the effects and the answers. Why: apart from the checks, which come before.
Must never: be called with arguments that telegram_check.check_args has not seen.
"""
import asyncio
import json
import time

from fake_store import Message
from telegram_check import (ACTIONS, MOST_DOWN, Error, bad, check_commands, check_file,
                            check_markup, check_reaction, check_text, refuse, units)
from telegram_world import BOT, USERNAME

CONFLICT = ("Conflict: terminated by other getUpdates request; make sure that only one bot "
            "instance is running")
HOOKED = ("Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to "
          "delete the webhook first")


class Methods:
    """A mixin of the fake: do_<method in lower case>(args) -> the result, or a coroutine."""

    # ---- who and where

    def do_getme(self, _args):
        self.new_client()
        return {"id": BOT, "is_bot": True, "first_name": "Chela", "username": USERNAME,
                "can_join_groups": True, "can_connect_to_business": False,
                "can_read_all_group_messages": not self.limits["privacy"],
                "supports_inline_queries": False, "has_main_web_app": False}

    def open_chat(self, args):
        c = self.chats.get(args["chat_id"])
        refuse(c is not None and c.state != "gone", "chat not found")
        kind = "supergroup" if c.kind == "forum" else c.kind
        refuse(c.state != "blocked", "bot was blocked by the user", 403)
        refuse(c.state != "kicked", f"bot was kicked from the {kind} chat", 403)
        if c.moved:
            raise Error(400, "Bad Request: group chat was upgraded to a supergroup chat",
                        parameters={"migrate_to_chat_id": int(c.moved)})
        return c

    def place(self, args):
        """The chat and thread that something goes to; the rules of where and to what."""
        c = self.open_chat(args)
        refuse(c.state != "no_rights", "not enough rights to send text messages to the chat")
        thread = args.get("message_thread_id")
        bad(thread is None or thread in c.topics, "message thread not found",
            f"message_thread_id {thread} in {c.kind} {c.id}")
        reply = args.get("reply_parameters")
        answered = ""
        if reply is not None:
            bad(set(reply) <= {"message_id", "chat_id", "allow_sending_without_reply", "quote"}
                and type(reply.get("message_id")) is int, "can't parse reply parameters")
            m = self.store.get(c.id, str(reply["message_id"]))
            refuse(m is not None or reply.get("allow_sending_without_reply"),
                   "message to be replied not found")
            answered = m.id if m is not None else ""
        return c, str(thread or ""), answered

    def do_getchat(self, args):
        return {**self.open_chat(args).native(), "accent_color_id": 1, "max_reaction_count": 11}

    # ---- updates

    def do_deletewebhook(self, args):
        bad(not (args.get("drop_pending_updates") and self.queue), "drop_pending_updates",
            "drop_pending_updates would lose what users wrote")
        self.webhook = ""
        return True

    def do_getwebhookinfo(self, _args):
        return {"url": self.webhook, "has_custom_certificate": False,
                "pending_update_count": len(self.queue)}

    def confirm(self, offset):
        """All before offset are done with; a negative one counts from the end."""
        if offset < 0:
            keep = -offset
            while len(self.queue) > keep:
                self.confirmed.append(self.queue.popleft())
            return
        while self.queue and self.queue[0][0] < offset:
            self.confirmed.append(self.queue.popleft())
            self.count_confirmed += 1
        if self.queue and any(u[0] < offset for u in self.queue):  # a shuffled batch
            late = [u for u in self.queue if u[0] < offset]
            self.confirmed.extend(late)
            self.count_confirmed += len(late)
            for u in late:
                self.queue.remove(u)
        self.offset = max(self.offset, offset)

    async def do_getupdates(self, args):
        bad(1 <= args.get("limit", 100) <= 100, "limit must be 1 to 100")
        bad(0 <= args.get("timeout", 0) <= 50, "timeout must be 0 to 50")
        self.polls += 1
        if self.webhook:
            raise Error(409, HOOKED)
        if self.rivals:
            self.rivals -= 1
            raise Error(409, CONFLICT)
        if "allowed_updates" in args:
            bad(all(isinstance(u, str) for u in args["allowed_updates"]), "allowed_updates")
            self.allowed = set(args["allowed_updates"]) or None
        if "offset" in args:
            self.confirm(args["offset"])
        if self.poll is not None:
            self.poll.set()  # the older poll ends with a conflict
        self.poll = over = asyncio.Event()
        try:
            return await self.long_poll(over, args.get("limit", 100), args.get("timeout", 0))
        finally:
            if self.poll is over:
                self.poll = None
            self.changed()

    async def long_poll(self, over, limit, timeout):
        """The next updates as JSON text, once there are any."""
        end = time.monotonic() + timeout
        self.changed()
        self.waiting += 1
        try:
            while self.holding or not (self.queue or self.again):
                left = end - time.monotonic()
                if left <= 0:
                    break
                await self.woken(over, left)
            if over.is_set():
                raise Error(409, CONFLICT)
        finally:
            self.waiting -= 1
        self.last_poll = time.monotonic()
        batch, self.again = self.again[:limit], self.again[limit:]
        for one in self.queue:
            if len(batch) >= limit:
                break
            batch.append(one)
        return [u[1] for u in batch]

    async def woken(self, over, left):
        self.wake.clear()
        wake = asyncio.ensure_future(self.wake.wait())
        ended = asyncio.ensure_future(over.wait())
        await asyncio.wait([wake, ended], timeout=left, return_when=asyncio.FIRST_COMPLETED)
        wake.cancel()
        ended.cancel()
        if over.is_set():
            raise Error(409, CONFLICT)

    # ---- messages

    def send(self, args, words, kind, most, file=None):
        c, thread, answered = self.place(args)
        plain, entities = check_text(args, words, most, empty=file is not None)
        m = Message(c.id, "", "bot", str(BOT), "Chela", args.get(words, ""), thread=thread,
                    reply_to=answered, plain=plain, buttons=check_markup(args.get("reply_markup")))
        m.native["markup"] = args.get("reply_markup")
        m.extra.update({"entities": entities, "parse_mode": args.get("parse_mode", ""),
                        "kind": kind})
        if file is not None:
            name, mime, data = check_file(args, kind)
            f = self.make_file(kind, name, mime, data, str(BOT))
            m.files, m.native["media"] = [f], self.media(kind, f)
        m.id = self.new_id(c)
        self.born(m)
        return m

    def do_sendmessage(self, args):
        m = self.send(args, "text", "text", 4096)
        m.method = "sendMessage"
        return self.native(m)

    def send_file(self, args, kind, method):
        m = self.send(args, "caption", kind, 1024, file=True)
        m.method = method
        return self.native(m)

    def do_sendphoto(self, args):
        return self.send_file(args, "photo", "sendPhoto")

    def do_senddocument(self, args):
        return self.send_file(args, "document", "sendDocument")

    def do_sendvoice(self, args):
        return self.send_file(args, "voice", "sendVoice")

    def do_sendaudio(self, args):
        return self.send_file(args, "audio", "sendAudio")

    def do_sendvideo(self, args):
        return self.send_file(args, "video", "sendVideo")

    def mine(self, args, what):
        c = self.open_chat(args)
        m = self.store.get(c.id, str(args["message_id"]))
        refuse(m is not None, f"message to {what} not found")
        return m

    def do_editmessagetext(self, args):
        m = self.mine(args, "edit")
        bad(m.by == "bot", "message can't be edited")
        bad(not m.files, "there is no text in the message to edit")
        plain, entities = check_text(args)
        buttons = check_markup(args.get("reply_markup"))
        if (plain, entities, args.get("reply_markup")) == (
                m.plain, m.extra["entities"], m.native["markup"]):
            raise Error(400, "Bad Request: message is not modified: specified new message content "
                        "and reply markup are exactly the same as a current content and reply "
                        "markup of the message")
        m.edits.append({"time": time.time(), "text": m.text})
        m.text, m.plain, m.buttons = args["text"], plain, buttons
        m.extra["entities"], m.extra["parse_mode"] = entities, args.get("parse_mode", "")
        m.native["markup"] = args.get("reply_markup")
        self.show(m)
        return self.native(m)

    def do_editmessagereplymarkup(self, args):
        m = self.mine(args, "edit")
        bad(m.by == "bot", "message can't be edited")
        m.buttons = check_markup(args.get("reply_markup"))
        refuse(args.get("reply_markup") != m.native["markup"], "message is not modified")
        m.native["markup"] = args.get("reply_markup")
        self.show(m)
        return self.native(m)

    def do_deletemessage(self, args):
        m = self.mine(args, "delete")
        m.deleted = True
        self.show(m)
        return True

    def do_setmessagereaction(self, args):
        m = self.mine(args, "react")
        self.react(m, str(BOT), check_reaction(args.get("reaction", [])))
        return True

    def do_sendchataction(self, args):
        c, thread, _ = self.place(args)
        bad(args["action"] in ACTIONS, "wrong parameter action in request")
        self.sign(c.id, thread, "typing", args["action"])
        return True

    def do_sendmessagedraft(self, args):
        c, thread, _ = self.place(args)
        bad(c.kind == "private", "TEXTDRAFT_PEER_INVALID", "a draft outside of a private chat")
        bad(args["draft_id"] != 0, "draft_id must be non-zero")
        plain, _ = check_text(args, empty=True)
        self.sign(c.id, thread, "draft", plain, draft_id=args["draft_id"])
        return True

    def do_answercallbackquery(self, args):
        query = args["callback_query_id"]
        bad(query in self.queries, "query is too old and response timeout expired or query ID is "
            "invalid", f"no callback query {query}")
        bad(units(args.get("text", "")) <= 200, "MESSAGE_TOO_LONG", "text of over 200")
        self.queries[query] = True
        return True

    def do_setmycommands(self, args):
        check_commands(args["commands"])
        self.commands = args["commands"]
        return True

    def do_getmycommands(self, _args):
        return self.commands

    def do_getfile(self, args):
        f = self.files.get(args["file_id"])
        bad(f is not None, "wrong file_id or the file is temporarily unavailable",
            f"no file {args['file_id'][:40]}")
        refuse(len(f.data) <= MOST_DOWN, "file is too big")
        return {**f.native, "file_path": f.path}


def result_json(result):
    """The answer's text; updates are JSON already."""
    if isinstance(result, list) and result and isinstance(result[0], str):
        return '{"ok":true,"result":[' + ",".join(result) + "]}"
    return json.dumps({"ok": True, "result": result})
