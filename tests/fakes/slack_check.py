# SPDX-License-Identifier: Apache-2.0
"""What Slack's Web API demands of a request: tokens, arguments, types, limits, blocks.

Owns: the table of methods and the checks. Why: the fake must refuse what Slack refuses, and name
what Slack would silently ignore. Must never: change the world.

A check raises Error(error, why): the answer is {"ok":false,"error":error}, and when `why` is given
the client broke a rule: a violation.
"""
import json
import re

from slack_markup import Refused, parse

TS = re.compile(r"\d{10}\.\d{6}\Z")
EMOJI = re.compile(r"[a-z0-9_+'-]{1,100}(::skin-tone-[2-6])?\Z")
EVENT_TYPE = re.compile(r"[a-zA-Z0-9_]{1,255}\Z")


class Error(Exception):
    def __init__(self, error, why=None):
        super().__init__(error)
        self.error, self.why = error, why


def broken(ok, error, why):
    if not ok:
        raise Error(error, why)


class Method:
    """token: bot|app; body: json (and form) or form (alone); tier: calls a minute, 0 = none."""

    def __init__(self, args, token="bot", body="json", tier=50, get=False):
        self.token, self.body, self.tier, self.get = token, body, tier, get
        self.args, self.required = {}, set()
        for word in args.split():
            name, _, kind = word.partition(":")
            if name.endswith("!"):
                name = name[:-1]
                self.required.add(name)
            self.args[name] = kind or "str"


POST = ("channel! text blocks:list attachments:list thread_ts:ts reply_broadcast:bool mrkdwn:bool "
        "link_names:bool parse unfurl_links:bool unfurl_media:bool metadata:obj markdown_text")
PAGE = "limit:int cursor"
SPAN = "oldest latest inclusive:bool include_all_metadata:bool "
METHODS = {
    "auth.test": Method("", tier=0, get=True),
    "apps.connections.open": Method("", token="app"),
    "chat.postMessage": Method(POST, tier=0),
    "chat.update": Method("channel! ts!:ts text blocks:list attachments:list metadata:obj parse "
                          "link_names:bool reply_broadcast:bool markdown_text file_ids:list"),
    "chat.delete": Method("channel! ts!:ts"),
    "chat.startStream": Method("channel! thread_ts!:ts markdown_text recipient_user_id "
                               "recipient_team_id chunks:list task_display_mode", tier=20),
    "chat.appendStream": Method("channel! ts!:ts markdown_text chunks:list", tier=100),
    "chat.stopStream": Method("channel! ts!:ts markdown_text blocks:list metadata:obj chunks:list",
                              tier=20),
    "conversations.history": Method("channel! " + SPAN + PAGE, body="form", get=True),
    "conversations.replies": Method("channel! ts!:ts " + SPAN + PAGE, body="form", get=True),
    "conversations.info": Method("channel! include_locale:bool include_num_members:bool",
                                 body="form", get=True),
    "conversations.list": Method("types exclude_archived:bool team_id " + PAGE, body="form",
                                 tier=20, get=True),
    "conversations.open": Method("users channel return_im:bool prevent_creation:bool"),
    "users.info": Method("user! include_locale:bool", body="form", tier=100, get=True),
    "reactions.add": Method("channel! name! timestamp!:ts"),
    "reactions.remove": Method("channel! name! timestamp!:ts"),
    "reactions.get": Method("channel! timestamp!:ts full:bool", body="form", get=True),
    "files.getUploadURLExternal": Method("filename! length!:int alt_txt snippet_type",
                                         body="form", tier=100, get=True),
    "files.completeUploadExternal": Method("files!:list channel_id channels thread_ts:ts "
                                           "initial_comment blocks:list", tier=100),
    "files.info": Method("file! " + PAGE, body="form", tier=100, get=True),
    "assistant.threads.setStatus": Method("channel_id! thread_ts!:ts status! "
                                          "loading_messages:list", tier=0),
}


def check_token(method, header, opts):
    """header: the Authorization header, or None."""
    broken(header is not None, "not_authed", "no Authorization header")
    kind, _, token = header.partition(" ")
    broken(kind == "Bearer" and token, "not_authed", "Authorization is not a bearer token")
    right, other = ((opts.app_token, opts.bot_token) if method.token == "app"
                    else (opts.bot_token, opts.app_token))
    broken(token != other, "not_allowed_token_type", "the other kind of token is needed here")
    if token != right:
        raise Error("invalid_auth")


def from_form(kind, value, name):
    """An argument as it stands in a form or a query."""
    if kind == "int":
        broken(re.fullmatch(r"\d{1,12}", value), "invalid_arguments", f"{name} is not a number")
        return int(value)
    if kind == "bool":
        broken(value in ("true", "false", "1", "0"), "invalid_arguments", f"{name} is no bool")
        return value in ("true", "1")
    if kind in ("list", "obj"):
        try:
            return json.loads(value)
        except ValueError:
            raise Error("invalid_arguments", f"{name} is not JSON") from None
    return value


TYPES = {"str": str, "ts": str, "int": int, "bool": bool, "list": list, "obj": dict}


def check_args(method, given, form):
    """The arguments with their types, or Error; given: names to values."""
    unknown = set(given) - set(method.args)
    broken("token" not in unknown, "invalid_auth", "a token in the body")
    broken(not unknown, "invalid_arguments", f"unknown arguments {sorted(unknown)}")
    out = {}
    for name, value in given.items():
        kind = method.args[name]
        if form:
            value = from_form(kind, value, name)
        right = isinstance(value, TYPES[kind]) and not (kind == "int" and isinstance(value, bool))
        broken(right, "invalid_arguments", f"{name}: {type(value).__name__} instead of {kind}")
        if kind == "ts":
            broken(TS.match(value), "invalid_arguments", f"{name} is no timestamp: {value[:40]!r}")
        out[name] = value
    missing = [n for n in method.required if n not in out]
    broken(not missing, "invalid_arguments", f"missing arguments {missing}")
    if "limit" in out:
        broken(1 <= out["limit"] <= 999, "invalid_limit", f"limit {out['limit']}")
    return out


def check_mrkdwn(text, where="text"):
    """What would be seen of it."""
    try:
        return parse(text).plain
    except Refused as e:
        raise Error("invalid_arguments", f"{where} is not good mrkdwn: {e}") from None


def check_text(args):
    """The contents of a message; gives what would be seen."""
    text, md = args.get("text"), args.get("markdown_text")
    if md is not None:
        broken(text is None and not args.get("blocks"), "markdown_text_conflict",
               "markdown_text together with text or blocks")
        broken(len(md) <= 12000, "msg_too_long", f"markdown_text of {len(md)} characters")
        broken(md.strip(), "no_text", "markdown_text without text")
        return md
    broken(text is not None or args.get("blocks") or args.get("attachments"), "no_text",
           "a message without contents")
    if text is not None:
        broken(text.strip() or args.get("blocks"), "no_text", "text without text")
        broken(len(text) <= 40000, "msg_too_long", f"text of {len(text)} characters")
    seen = check_mrkdwn(text) if text else ""
    return check_blocks(args["blocks"]) if args.get("blocks") else seen


def check_metadata(meta):
    broken(set(meta) == {"event_type", "event_payload"}, "invalid_metadata_format",
           f"metadata has {sorted(meta)}")
    broken(isinstance(meta["event_type"], str) and EVENT_TYPE.match(meta["event_type"]),
           "invalid_metadata_format", "metadata.event_type")
    broken(isinstance(meta["event_payload"], dict), "invalid_metadata_format",
           "metadata.event_payload is no object")
    for key, value in meta["event_payload"].items():
        broken(isinstance(value, (str, int, float, bool)), "invalid_metadata_schema",
               f"metadata.event_payload.{key} is not a plain value")
    broken(len(json.dumps(meta)) <= 8000, "metadata_too_large", "metadata over 8,000 bytes")


# ---- blocks


def bad(ok, why):
    broken(ok, "invalid_blocks", why)


def text_object(t, most, kinds=("plain_text", "mrkdwn"), where="text"):
    """Checks a text object; gives what is seen."""
    bad(isinstance(t, dict) and t.get("type") in kinds, f"{where}: not a text object of {kinds}")
    bad(set(t) <= {"type", "text", "emoji", "verbatim"}, f"{where}: unknown keys {sorted(t)}")
    bad(not ("emoji" in t and t["type"] == "mrkdwn"), f"{where}: emoji in mrkdwn")
    bad(isinstance(t.get("text"), str) and 0 < len(t["text"]) <= most,
        f"{where}: empty or over {most} characters")
    return check_mrkdwn(t["text"], where) if t["type"] == "mrkdwn" else t["text"]


def check_button(e, seen):
    bad(set(e) <= {"type", "text", "action_id", "value", "url", "style", "confirm",
                   "accessibility_label"}, f"button: unknown keys {sorted(e)}")
    text_object(e.get("text"), 75, ("plain_text",), "button.text")
    action = e.get("action_id")
    bad(isinstance(action, str) and 0 < len(action) <= 255, "button without an action_id")
    bad(action not in seen, f"action_id {action!r} twice")
    seen.add(action)
    bad(isinstance(e.get("value", ""), str) and len(e.get("value", "")) <= 2000, "button.value")
    bad(e.get("style", "primary") in ("primary", "danger"), "button.style")


def block_section(b, seen):
    bad("text" in b or "fields" in b, "a section without text")
    shown = [text_object(b["text"], 3000, where="section.text")] if "text" in b else []
    fields = b.get("fields", [])
    bad(isinstance(fields, list) and len(fields) <= 10, "section.fields")
    shown += [text_object(f, 2000, where="section.fields") for f in fields]
    if "accessory" in b:
        bad(b["accessory"].get("type") == "button", "this fake knows buttons as accessories only")
        check_button(b["accessory"], seen)
    return shown


def block_actions(b, seen):
    elements = b.get("elements")
    bad(isinstance(elements, list) and 1 <= len(elements) <= 25, "actions: 1 to 25 elements")
    for e in elements:
        bad(isinstance(e, dict) and e.get("type") == "button", "this fake knows buttons only")
        check_button(e, seen)
    return []


def block_context(b, _seen):
    elements = b.get("elements")
    bad(isinstance(elements, list) and 1 <= len(elements) <= 10, "context: 1 to 10 elements")
    return [text_object(e, 2000, where="context") for e in elements]


def block_header(b, _seen):
    return [text_object(b.get("text"), 150, ("plain_text",), "header.text")]


def block_markdown(b, _seen):
    bad(isinstance(b.get("text"), str) and 0 < len(b["text"]) <= 12000, "markdown.text")
    return [b["text"]]


BLOCKS = {"section": (block_section, {"text", "fields", "accessory", "expand"}),
          "actions": (block_actions, {"elements"}), "divider": (lambda b, s: [], set()),
          "context": (block_context, {"elements"}), "header": (block_header, {"text"}),
          "markdown": (block_markdown, {"text"})}


def check_blocks(blocks):
    """Checks Block Kit; gives what is seen."""
    bad(len(blocks) <= 50, f"{len(blocks)} blocks")
    shown, seen, ids = [], set(), set()
    for b in blocks:
        bad(isinstance(b, dict) and b.get("type") in BLOCKS, f"a block of unknown type: {b!r:.60}")
        check, keys = BLOCKS[b["type"]]
        bad(set(b) <= keys | {"type", "block_id"}, f"{b['type']}: unknown keys {sorted(b)}")
        bid = b.get("block_id")
        bad(bid is None or (isinstance(bid, str) and 0 < len(bid) <= 255 and bid not in ids),
            "block_id: too long or twice")
        ids.add(bid)
        if bid is None:
            ids.discard(None)
        shown += check(b, seen)
    broken(sum(map(len, shown)) <= 13200, "msg_blocks_too_long", "blocks of over 13,200 characters")
    return "\n".join(shown)


def buttons_of(blocks):
    """The buttons: label, value, action_id, block_id."""
    out = []
    for i, b in enumerate(blocks or []):
        found = list(b.get("elements", [])) if b["type"] == "actions" else []
        found += [b["accessory"]] if "accessory" in b else []
        out += [{"label": e["text"]["text"], "value": e.get("value", ""),
                 "action_id": e["action_id"], "block_id": b.get("block_id", f"b{i}")}
                for e in found if e.get("type") == "button"]
    return out
