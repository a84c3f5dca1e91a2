# SPDX-License-Identifier: Apache-2.0
"""What a client of the WhatsApp bridge may send: PROTOCOL.md as checks, and WhatsApp's marks.

Owns: the forms of frames. Why: the fake must refuse what the bridge refuses, and more: a member that
PROTOCOL.md does not name is an error of ours. Must never: know the state of a connection.
"""
import base64
import binascii
import json
import re

MAX_FRAME = 1 << 20
CHUNK = 196608
MAX_FILE = 100 << 20
JID = re.compile(r"[0-9]{5,20}(-[0-9]{5,20})?@(s\.whatsapp\.net|lid|g\.us)")
ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
HASH = re.compile(r"[0-9a-f]{64}")
MIME = re.compile(r"[a-z0-9.+-]+/[a-zA-Z0-9.+-]+(; ?[a-z]+=[\w.,+-]+)?")
MAX_TEXT = 65536


class Bad(Exception):
    """What PROTOCOL.md forbids, in words."""


def must(ok, why):
    if not ok:
        raise Bad(why)


def is_text(v, least=1, most=MAX_TEXT):
    must(isinstance(v, str), "text is a string")
    must(least <= len(v.encode()) <= most, f"text of {len(v.encode())} bytes")
    must("\0" not in v, "text with NUL")


def is_jid(v):
    must(isinstance(v, str) and JID.fullmatch(v), f"no JID: {v!r}")


def is_hash(v):
    must(isinstance(v, str) and HASH.fullmatch(v), "hash is 64 hex digits")


def is_bool(v):
    must(isinstance(v, bool), "true or false")


def is_count(v, most=MAX_FILE):
    must(isinstance(v, int) and not isinstance(v, bool) and 0 <= v <= most, f"a count: {v!r}")


def is_name(v):
    is_text(v, 1, 255)
    must("/" not in v and all(ord(c) >= 32 for c in v), "a name with a slash or a control character")


def is_data(v):
    must(isinstance(v, str), "data is base64")
    try:
        must(len(base64.b64decode(v, validate=True)) <= CHUNK, f"more than {CHUNK} bytes of data")
    except binascii.Error:
        raise Bad("data is base64") from None


def is_quote(v):
    must(isinstance(v, dict), "a quote is an object")
    members(v, {"id": is_id}, {"sender": is_jid, "text": lambda t: is_text(t, 0, 4096)}, "quote")


def is_id(v):
    must(isinstance(v, str) and ID.fullmatch(v), f"no id: {v!r}")


def is_emoji(v):
    is_text(v, 0, 64)
    must(not v.isascii() or v == "", "an emoji is Unicode, not a name")


def is_jids(v):
    must(isinstance(v, list) and len(v) <= 256, "mentions is a list")
    for jid in v:
        is_jid(jid)


def is_phone(v):
    must(isinstance(v, str) and re.fullmatch(r"[0-9]{6,15}", v), "phone is 6 to 15 digits")


def members(frame, need, may, what):
    for key, check in need.items():
        must(key in frame, f"{what} without {key}")
        check(frame[key])
    for key, value in frame.items():
        if key not in need:
            must(key in may, f"{what} has an unknown member {key}")
            may[key](value)


def caption(v):
    is_text(v, 1)


OPS = {
    "send": ({"to": is_jid, "text": is_text}, {"quote": is_quote, "mentions": is_jids}),
    "edit": ({"chat": is_jid, "target": is_id, "text": is_text}, {}),
    "react": ({"chat": is_jid, "target": is_id, "emoji": is_emoji},
              {"sender": is_jid, "from_me": is_bool}),
    "put": ({"hash": is_hash, "size": is_count, "offset": is_count, "data": is_data}, {}),
    "send_media": ({"to": is_jid, "hash": is_hash, "mime": lambda v: must(
        isinstance(v, str) and MIME.fullmatch(v), "mime is type/subtype"), "name": is_name},
        {"caption": caption, "voice": is_bool, "quote": is_quote}),
    "fetch": ({"hash": is_hash, "offset": is_count}, {"max": lambda v: is_count(v, CHUNK)}),
    "typing": ({"chat": is_jid, "on": is_bool}, {}),
    "group": ({"jid": is_jid}, {}),
    "link": ({}, {"phone": is_phone, "force": is_bool}),
    "logout": ({}, {}),
    "ping": ({}, {}),
}
ONCE = {"send", "edit", "react", "send_media"}


def check_hello(text):
    must(text is not None, "the first frame is not text")
    try:
        frame = json.loads(text)
    except ValueError:
        raise Bad("the first frame is not JSON") from None
    must(isinstance(frame, dict) and set(frame) == {"hello"}, "the first frame is not a hello")
    hello = frame["hello"]
    must(isinstance(hello, dict), "hello is an object")
    members(hello, {"version": lambda v: must(isinstance(v, int), "version is a number"),
                    "token": lambda v: is_text(v, 16, 256)},
            {"client": lambda v: is_text(v, 1, 100)}, "hello")
    return hello


def check_ack(frame, sent):
    is_count(frame["ack"], 2**53)
    must(frame["ack"] <= sent, f"ack {frame['ack']} of what was not sent (last {sent})")
    return frame["ack"]


def check_request(frame):
    must("id" in frame and "op" in frame, "neither request nor ack")
    is_id(frame["id"])
    must(frame["op"] in OPS, f"no op {frame['op']!r}")
    need, may = OPS[frame["op"]]
    members({k: v for k, v in frame.items() if k not in ("id", "op")}, need, may, frame["op"])


# ---- WhatsApp's marks: *bold* _italic_ ~strike~ `code` ```block``` "> quote" "- list" "1. list".
# WhatsApp refuses nothing: what is wrong is shown as it stands. So what must not be there is what only
# Markdown would read.
LEFT_OVER = (
    (re.compile(r"(?<![*\\])\*\*(?=\S)[^*\n]+\*\*"), "**bold** is Markdown's"),
    (re.compile(r"(?<!~)~~(?=\S)[^~\n]+~~"), "~~strike~~ is Markdown's"),
    (re.compile(r"(?m)^#{1,6} \S"), "a # heading is Markdown's"),
    (re.compile(r"!?\[[^\]\n]+\]\([a-z]+:[^)\s]+\)"), "a [link](url) is Markdown's"),
    (re.compile(r"(?m)^\|?(:?-{3,}:?\|)+:?-{3,}:?\|?$"), "a |---| table is Markdown's"),
    (re.compile(r"(?m)^```\w+$"), "a fence's language would be shown"),
)


def check_marks(text):
    """What is wrong with a body, or None. Inside code everything is literal."""
    fences = text.split("```")
    if len(fences) % 2 == 0:
        return "an open ``` fence"
    for where, part in enumerate(fences):
        if where % 2:
            continue
        part = re.sub(r"`[^`\n]+`", "", part)
        for pattern, why in LEFT_OVER:
            if pattern.search(part):
                return why
    for block in fences[1::2]:
        if re.match(r"[a-z+#]+\n", block):
            return "a fence's language would be shown"
    return None
