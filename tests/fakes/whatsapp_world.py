# SPDX-License-Identifier: Apache-2.0
"""The people on the faked WhatsApp, their groups, and what they do.

Owns: who exists and the events that their doings become. Why: apart from the wire, which only carries
them. Must never: send anything itself (event() does).
"""
import hashlib
import time

from fake_base import Order, bytes_of, need
from fake_store import File, Message

PN, LID = "@s.whatsapp.net", "@lid"
ME = {"jid": "4915119999999" + PN, "lid": "199999999999999" + LID, "pn": "4915119999999" + PN,
      "name": "Chela"}
KINDS = {"image": "image", "video": "video", "audio": "audio"}


class World:
    """Mixed into the fake."""

    def settle_world(self):
        """Those who are there at the start."""
        self.people, self.groups = {}, {}
        ann, bob = "4915110000001" + PN, "4915110000002" + PN
        carl = "100000000000003" + LID
        for jid, lid, name in ((ann, "100000000000001", "Ann"), (bob, "100000000000002", "Bob")):
            self.people[jid] = {"jid": jid, "lid": lid + LID, "pn": jid, "name": name}
        self.people[carl] = {"jid": carl, "lid": carl, "name": "Carl"}
        for jid, name, members in (("120363000000000001", "Family", [ann, bob]),
                                   ("120363000000000002", "Work", [bob, carl])):
            self.groups[jid + "@g.us"] = {"name": name, "members": members, "state": "ok"}

    def order_chat(self, *, id=None, name="Group", members=None, state="ok", count=1):
        need(state in ("ok", "gone"), "state: ok or gone")
        ids = []
        for i in range(count):
            self.numbers["chat"] += 1
            jid = id or f"1203639{self.numbers['chat']:011d}@g.us"
            group = self.groups.setdefault(jid, {"members": list(self.people)[:2]})
            group.update(name=name if count == 1 else f"{name}-{i + 1}", state=state)
            if members is not None:
                group["members"] = members
            ids.append(jid)
        return {"ids": ids}

    def order_user(self, *, id=None, name, lid=None):
        self.numbers["user"] += 1
        jid = id or f"49160{self.numbers['user']:07d}{PN}"
        lid = jid if jid.endswith(LID) else lid or f"2{self.numbers['user']:014d}{LID}"
        self.people[jid] = {"jid": jid, "lid": lid, "name": name,
                            **({"pn": jid} if jid.endswith(PN) else {})}
        return {"id": jid}

    def order_chats(self):
        return {"chats": [{"id": j, "kind": "group", "name": g["name"], "members": g["members"],
                           "state": g["state"]} for j, g in self.groups.items()]
                + [{"id": j, "kind": "private", "name": p["name"], "user": j}
                   for j, p in self.people.items()]}

    # ---- what people do

    def person(self, jid):
        for p in self.people.values():
            if jid in (p["jid"], p.get("lid"), p.get("pn")):
                return p
        raise Order(f"nobody is {jid}")

    def chat_of(self, jid):
        """The chat as an event tells it; raises for one that does not exist."""
        if jid in self.groups:
            return {"jid": jid, "group": True, "subject": self.groups[jid]["name"]}
        return {**self.person(jid), "group": False}

    def sender_of(self, chat, user, from_me=False):
        if from_me:
            return ME
        if user is None:
            user = self.groups[chat]["members"][0] if chat in self.groups else chat
        return self.person(user)

    def new_id(self):
        self.numbers["id"] += 1
        mark = f"{self.opts.seed}:{self.session}:{self.numbers['id']}"
        return "3A" + hashlib.sha256(mark.encode()).hexdigest()[:18].upper()

    def common(self, kind, chat, mid, who, from_me):
        return {"type": kind, "id": mid, "chat": self.chat_of(chat), "sender": who,
                "from_me": from_me, "ts": int(time.time() * 1000)}

    def inject_message(self, *, chat, user=None, text="", mention=False, reply_to=None, files=(),
                       forwarded=False, history=False, from_me=False, id=None, fields=None):
        who, mid = self.sender_of(chat, user, from_me), id or self.new_id()
        chat = self.chat_of(chat)["jid"]
        mentions = [ME] if mention else []
        text = f"@{ME['pn'].partition('@')[0]} {text}" if mention else text
        event = {**self.common("message", chat, mid, who, from_me), "text": text,
                 "mentions": mentions, "mentioned_me": mention, "reply_to_me": False,
                 "forwarded": forwarded, "history": history, "media": []}
        quoted = self.store.get(chat, reply_to) if reply_to else None
        if quoted:
            by_me = quoted.by == "bot" or quoted.extra.get("from_me", False)
            event["reply_to_me"] = by_me
            event["quote"] = {"id": reply_to, "text": quoted.text,
                              "sender": ME if by_me else self.person(quoted.user)}
        m = Message(chat, mid, "user", who["jid"], who.get("name", ""), text,
                    time=event["ts"] / 1000, reply_to=reply_to or "",
                    extra={"kind": "text", "from_me": from_me})
        for spec in list(files)[:1]:
            event["media"] = [self.new_media(m, spec)]
        event.update(fields or {})
        self.show(self.store.add(m))
        self.event(event)
        for spec in list(files)[1:]:  # a message each, as WhatsApp has it
            self.inject_message(chat=chat, user=user, files=[spec], from_me=from_me)
        return mid

    def new_media(self, m, spec):
        data, mime = bytes_of(spec), spec.get("mime", "application/octet-stream")
        ref = hashlib.sha256(data).hexdigest()
        f = self.files[ref] = File(ref, spec.get("name", ""), mime, data, m.user)
        m.files.append(f)
        m.extra["kind"] = spec.get("kind") or KINDS.get(mime.partition("/")[0], "document")
        return {"hash": ref, "size": len(data), "mime": mime, "name": f.name,
                "kind": m.extra["kind"],
                **({"seconds": 3} if m.extra["kind"] in ("audio", "voice", "video") else {})}

    def known(self, chat, mid):
        m = self.store.get(chat, mid)
        need(m is not None, f"no message {mid} in {chat}")
        return m

    def by_of(self, m):
        mine = m.extra.get("from_me", False)
        return (ME if mine else self.person(m.user)), mine

    def inject_edit(self, *, chat, id, text):
        m = self.known(chat, id)
        m.edits.append({"time": time.time(), "text": m.text})
        m.text = m.plain = text
        eid = self.new_id()
        self.event({**self.common("edit", chat, eid, *self.by_of(m)), "target": id, "text": text})
        self.show(m)
        return eid

    def inject_delete(self, *, chat, id):
        m = self.known(chat, id)
        eid = self.new_id()
        self.event({**self.common("delete", chat, eid, *self.by_of(m)), "target": id})
        m.deleted = True
        self.show(m)
        return eid

    def inject_react(self, *, chat, id, emoji="", user=None, remove=False):
        m, who, eid = self.known(chat, id), self.sender_of(chat, user), self.new_id()
        self.put_reaction(m, who["jid"], "" if remove else emoji)
        self.event({**self.common("reaction", chat, eid, who, False), "target": id,
                    "target_from_me": m.by == "bot", "emoji": "" if remove else emoji})
        return eid

    def put_reaction(self, m, user, emoji):
        """One of a person at a time, as WhatsApp has it."""
        for name in [n for n, users in m.reactions.items() if user in users]:
            m.reactions[name].remove(user)
            if not m.reactions[name]:
                del m.reactions[name]
        if emoji:
            m.reactions.setdefault(emoji, []).append(user)
        self.show(m)

    def inject_moved(self, *, lid, pn):
        old = self.people.pop(lid)
        self.people[pn] = {**old, "jid": pn, "pn": pn}
        for g in self.groups.values():
            g["members"] = [pn if j == lid else j for j in g["members"]]
        eid = self.new_id()
        self.event({"type": "moved", "id": eid, "from": lid, "to": self.people[pn],
                    "ts": int(time.time() * 1000)})
        return eid

    def inject_raw(self, *, event, kept=True):
        self.event(event, kept)
        return event.get("id", "")
