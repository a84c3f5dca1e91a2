# SPDX-License-Identifier: Apache-2.0
"""The requests of the faked WhatsApp bridge: what each does, and the trouble around it.

Owns: carrying out once, answers, uploads. Why: apart from the wire (whatsapp_wire.py) so that each
stays short. Must never: answer a repeat differently from the first time.
"""
import asyncio
import base64
import hashlib
import json
import time

from fake_store import File, Message
from whatsapp_check import CHUNK, ONCE, check_marks

RETRYABLE = {"offline", "limited", "timeout", "internal"}
NEEDS_SESSION = ONCE | {"group"}


def wa_id(request_id):
    """The message id that the bridge derives from a request's id."""
    return "3EB0" + hashlib.sha256(f"chela:{request_id}".encode()).hexdigest()[:18].upper()


class Refused(Exception):
    def __init__(self, code, text="", **more):
        super().__init__(code)
        self.error = {"code": code, "text": text or code, "retryable": code in RETRYABLE, **more}


class Ops:
    """Mixed into the fake."""

    async def request(self, link, frame):
        chat = frame.get("to") or frame.get("chat")
        call = self.called(frame["op"], chat, frame)
        fault = self.faults.pick(call.method, chat) or {"do": None}
        call.fault = do = fault["do"]
        if frame["op"] in ONCE:
            self.check_held(call, frame["id"])
        if do in ("drop", "http", "garbage", "stall"):
            await self.not_done(link, do)
            return
        answer = self.answer(call, frame, fault)
        if do == "slow":
            await asyncio.sleep(fault.get("seconds", 1.0))
        link.open_ids.discard(frame["id"])
        if do == "lost":
            link.reset()
        elif do == "torn":
            text = json.dumps(answer)
            link.put(lambda: link.torn(text))
        else:
            link.put(answer)
        self.tell("call", call.told()) if self.listeners else self.changed()

    async def not_done(self, link, do):
        if do == "drop":
            link.reset()
        elif do == "http":
            link.put(lambda: link.ws.close(code=1011))
        elif do == "garbage":
            link.put('{"id": nonsense')
        self.changed()

    def answer(self, call, frame, fault):
        call.status = 200
        try:
            if fault["do"] == "limit":
                wait = fault.get("retry_after", 1)
                self.hold(call, wait, frame["id"])
                raise Refused("limited", "too fast", retry_ms=int(wait * 1000))
            if fault["do"] == "error":
                raise Refused(fault.get("error", "internal"), fault.get("description") or "")
            return {"id": frame["id"], "ok": True, **self.once(call, frame, fault)}
        except Refused as e:
            call.status, call.error = 400, e.error["code"]
            self.errors[call.error] += 1
            return {"id": frame["id"], "error": e.error}

    def once(self, call, frame, fault):
        """A repeat of an id gets the answer of the first time."""
        if frame["op"] in ONCE:
            before = self.answers.get(frame["id"])
            if before and before[0] != frame:
                self.violation(frame["op"], "the id was used with another content", frame)
                raise Refused("bad_request", "the id was used with another content")
            if before:
                self.numbers["repeat"] += 1
                return {**before[1], "repeat": True}
        state = self.state_now["state"]
        if state != "up" and frame["op"] in NEEDS_SESSION:
            raise Refused("offline", f"the session is {state}",
                          **({"retry_ms": self.state_now["retry_ms"]}
                             if "retry_ms" in self.state_now else {}))
        done = getattr(self, "op_" + frame["op"])(frame, fault)
        if frame["op"] in ONCE:
            done = {"wa_id": wa_id(frame["id"]), "ts": int(time.time() * 1000)}
            self.answers[frame["id"]] = (frame, done)
            if len(self.answers) > 10_000:
                del self.answers[next(iter(self.answers))]
        return done

    def place(self, jid):
        """The chat to write to, under the name that it has in events."""
        if jid in self.groups:
            if self.groups[jid]["state"] != "ok":
                raise Refused("gone", "we are not in it")
            return jid
        for p in self.people.values():
            if jid in (p["jid"], p.get("lid"), p.get("pn")):
                return p["jid"]
        raise Refused("gone", "nobody has this number")

    def body(self, frame, text):
        wrong = check_marks(text)
        if wrong:
            self.violation(frame["op"], wrong, frame)
        return text

    def post(self, frame, text, files=(), kind="text"):
        chat, quote = self.place(frame["to"]), frame.get("quote", {}).get("id", "")
        if quote and self.store.get(chat, quote) is None:
            self.violation(frame["op"], "quotes what is not there", frame)
        m = Message(chat, wa_id(frame["id"]), "bot", "me", "Chela", self.body(frame, text),
                    time=time.time(), key=frame["id"], method=frame["op"], reply_to=quote,
                    files=list(files), extra={"kind": kind, "from_me": False})
        self.show(self.store.add(m))

    def op_send(self, frame, fault):
        self.post(frame, frame["text"])

    def op_edit(self, frame, fault):
        m = self.store.get(self.place(frame["chat"]), frame["target"])
        if m is None or m.by != "bot":
            raise Refused("not_found", "not a message of ours")
        m.edits.append({"time": time.time(), "text": m.text})
        m.text = m.plain = self.body(frame, frame["text"])
        self.show(m)

    def op_react(self, frame, fault):
        m = self.store.get(self.place(frame["chat"]), frame["target"])
        if m is None:
            raise Refused("not_found", "no such message")
        self.put_reaction(m, "me", frame["emoji"])

    def op_put(self, frame, fault):
        ref, size = frame["hash"], frame["size"]
        if ref in self.files:
            return {"have": size}
        part = self.parts.setdefault(ref, bytearray())
        data = base64.b64decode(frame["data"])
        if data and frame["offset"] == len(part):
            part += data
        elif data and frame["offset"] > len(part):  # below: a repeat whose answer was lost
            self.violation("put", f"offset {frame['offset']}, but {len(part)} is held")
        if len(part) > size:
            del self.parts[ref]
            raise Refused("bad_request", "more than size")
        if len(part) == size:
            del self.parts[ref]
            if hashlib.sha256(part).hexdigest() != ref:
                self.violation("put", "another hash than announced")
                raise Refused("bad_request", "another hash")
            f = self.files[ref] = File(ref, "", "", bytes(part))
            f.native["put"] = True
        return {"have": len(part)}

    def op_send_media(self, frame, fault):
        f = self.files.get(frame["hash"])
        if f is None:
            raise Refused("not_found", "put it first")
        was, f = f.native, File(f.ref, frame["name"], frame["mime"], f.data)
        f.native, self.files[f.ref] = was, f
        kind = {"image": "image", "video": "video", "audio": "audio"}.get(
            frame["mime"].partition("/")[0], "document")
        if kind == "audio" and frame.get("voice"):
            kind = "voice"
        self.post(frame, frame.get("caption", ""), [f], kind)

    def op_fetch(self, frame, fault):
        f, at = self.files.get(frame["hash"]), frame["offset"]
        if f is None:
            raise Refused("not_found", "no such media")
        if at > len(f.data):
            self.violation("fetch", "an offset behind the end", frame)
            raise Refused("bad_request", "an offset behind the end")
        data = f.data[at:at + (frame.get("max") or CHUNK)]
        if fault["do"] == "wrong":
            data = bytes(b ^ 1 for b in data)
        return {"size": len(f.data), "offset": at, "data": base64.b64encode(data).decode(),
                "mime": "" if "put" in f.native else f.mime, "end": at + len(data) == len(f.data)}

    def op_typing(self, frame, fault):
        self.sign(self.place(frame["chat"]), "", "typing", "on" if frame["on"] else "off")
        return {}

    def op_group(self, frame, fault):
        g = self.groups.get(self.place(frame["jid"]))
        if g is None:
            raise Refused("bad_request", "not a group")
        return {"group": {"jid": frame["jid"], "subject": g["name"], "participants": [
            {**self.people[j], "admin": i == 0} for i, j in enumerate(g["members"])]}}

    def op_link(self, frame, fault):
        if self.state_now["state"] in ("up", "connecting", "retrying") and not frame.get("force"):
            raise Refused("bad_request", "linked already")
        if self.state_now["state"] in ("conflict", "forbidden"):
            self.order_state(state="connecting")
            self.order_state(state="up")
            return {"state": "connecting"}
        self.order_state(state="linking")
        if "phone" in frame:
            self.event({"type": "pairing", "code": "ABCD1234", "phone": frame["phone"],
                        "ttl_ms": 160000}, kept=False)
        else:
            self.event({"type": "qr", "qr": "2@fake", "text": "▄▄▄▄▄\n█ ▄ █\n▀▀▀▀▀\n", "n": 1,
                        "ttl_ms": 60000}, kept=False)
        return {"state": "linking"}

    def op_logout(self, frame, fault):
        self.order_state(state="unlinked", text="logged out")
        return {}

    def op_ping(self, frame, fault):
        return {"state": self.told_state(), "seq": self.seq, "acked": self.acked,
                "now": int(time.time() * 1000)}
