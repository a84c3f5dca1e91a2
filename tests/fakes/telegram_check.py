# SPDX-License-Identifier: Apache-2.0
"""What Telegram's Bot API demands of a request: arguments, types, limits, markup, keyboards.

Owns: the table of methods and the checks. Why: the fake must refuse what Telegram refuses, and
name what it would silently ignore. Must never: change the world.

A check raises Error(code, description, why): the answer is {"ok":false,"error_code":code,...};
when `why` is given the client broke a rule: a violation.
"""
import json
import re

import telegram_markup
from telegram_markup import units

MOST_UP, MOST_DOWN, MOST_PHOTO = 50 << 20, 20 << 20, 10 << 20
COMMAND = re.compile(r"[a-z0-9_]{1,32}\Z")
UPDATES = {"message", "edited_message", "channel_post", "edited_channel_post", "callback_query",
           "message_reaction", "message_reaction_count", "my_chat_member", "chat_member",
           "inline_query", "chosen_inline_result", "poll", "poll_answer", "chat_join_request",
           "business_connection", "business_message", "edited_business_message",
           "deleted_business_messages", "shipping_query", "pre_checkout_query", "chat_boost",
           "removed_chat_boost", "purchased_paid_media"}
# https://core.telegram.org/bots/api#reactiontypeemoji
REACTIONS = set("👍 👎 ❤ 🔥 🥰 👏 😁 🤔 🤯 😱 🤬 😢 🎉 🤩 🤮 💩 🙏 👌 🕊 🤡 🥱 🥴 😍 🐳 ❤‍🔥 🌚 🌭 💯 🤣 ⚡ 🍌 🏆 💔 🤨 😐 "
                "🍓 🍾 💋 🖕 😈 😴 😭 🤓 👻 👨‍💻 👀 🎃 🙈 😇 😨 🤝 ✍ 🤗 🫡 🎅 🎄 ☃ 💅 🤪 🗿 🆒 💘 🙉 🦄 😘 💊 "
                "🙊 😎 👾 🤷‍♂ 🤷 🤷‍♀ 😡".split())
ACTIONS = {"typing", "upload_photo", "record_video", "upload_video", "record_voice",
           "upload_voice", "upload_document", "choose_sticker", "find_location",
           "record_video_note", "upload_video_note"}


class Error(Exception):
    def __init__(self, code, description, why=None, parameters=None):
        super().__init__(description)
        self.code, self.description, self.why = code, description, why
        self.parameters = parameters


def bad(ok, description, why=None):
    """A rule broken: 400, and a violation whose words are `why` or the description."""
    if not ok:
        raise Error(400, "Bad Request: " + description, why or description)


def refuse(ok, description, code=400):
    """What may happen to anybody: no violation."""
    if not ok:
        raise Error(code, ("Bad Request: " if code == 400 else "Forbidden: ") + description)


SEND = ("chat_id!:id message_thread_id:int disable_notification:bool protect_content:bool "
        "reply_parameters:obj reply_markup:obj parse_mode allow_paid_broadcast:bool "
        "message_effect_id ")
MEDIA = SEND + "caption caption_entities:list "
METHODS = {name.lower(): (name, args) for name, args in {
    "getMe": "",
    "deleteWebhook": "drop_pending_updates:bool",
    "getWebhookInfo": "",
    "getUpdates": "offset:int limit:int timeout:int allowed_updates:list",
    "sendMessage": SEND + "text! entities:list link_preview_options:obj",
    "editMessageText": "chat_id!:id message_id!:int text! parse_mode entities:list "
                       "link_preview_options:obj reply_markup:obj",
    "editMessageReplyMarkup": "chat_id!:id message_id!:int reply_markup:obj",
    "deleteMessage": "chat_id!:id message_id!:int",
    "setMessageReaction": "chat_id!:id message_id!:int reaction:list is_big:bool",
    "sendChatAction": "chat_id!:id message_thread_id:int action!",
    "sendMessageDraft": "chat_id!:id message_thread_id:int draft_id!:int text parse_mode "
                        "entities:list",
    "sendPhoto": MEDIA + "photo!:file show_caption_above_media:bool has_spoiler:bool",
    "sendDocument": MEDIA + "document!:file thumbnail:file disable_content_type_detection:bool",
    "sendVoice": MEDIA + "voice!:file duration:int",
    "sendAudio": MEDIA + "audio!:file duration:int performer title",
    "sendVideo": MEDIA + "video!:file duration:int width:int height:int supports_streaming:bool",
    "getFile": "file_id!",
    "getChat": "chat_id!:id",
    "answerCallbackQuery": "callback_query_id! text show_alert:bool url cache_time:int",
    "setMyCommands": "commands!:list scope:obj language_code",
    "getMyCommands": "scope:obj language_code",
}.items()}


def table(words):
    kinds, required = {}, set()
    for word in words.split():
        name, _, kind = word.partition(":")
        if name.endswith("!"):
            name = name[:-1]
            required.add(name)
        kinds[name] = kind or "str"
    return kinds, required


TABLES = {key: table(args) for key, (_, args) in METHODS.items()}
TYPES = {"str": str, "int": int, "bool": bool, "list": list, "obj": dict, "file": (str, tuple),
         "id": (int, str)}


def from_form(kind, value, name):
    """An argument as it stands in a form or a query."""
    if kind == "file" or isinstance(value, tuple):
        return value
    if kind == "int":
        bad(re.fullmatch(r"-?\d{1,18}", value), f"{name} must be an Integer")
        return int(value)
    if kind == "bool":
        bad(value.lower() in ("true", "false", "1", "0"), f"{name} must be a Boolean")
        return value.lower() in ("true", "1")
    if kind in ("list", "obj"):
        try:
            return json.loads(value)
        except ValueError:
            bad(False, f"can't parse {name} JSON object")
    return value


def check_args(method, given, form):
    """The arguments with their types; a file is (name, mime, bytes) or a file_id."""
    kinds, required = TABLES[method]
    out, unknown = {}, set(given) - set(kinds)
    unknown = {u for u in unknown if not isinstance(given[u], tuple)}  # parts named by attach://
    bad(not unknown, f"unknown arguments {sorted(unknown)}")
    for name, value in given.items():
        kind = kinds.get(name, "file")
        value = from_form(kind, value, name) if form else value
        right = isinstance(value, TYPES[kind]) and not (kind != "bool" and isinstance(value, bool))
        bad(right, f"{name} must be {kind}, not {type(value).__name__}")
        out[name] = value
    missing = sorted(required - set(out))
    bad(not missing, f"parameters {missing} are required")
    if "chat_id" in out:
        out["chat_id"] = str(out["chat_id"])
        bad(re.fullmatch(r"-?\d{1,18}", out["chat_id"]), "chat not found", "chat_id is no number")
    return out


def check_text(args, name="text", most=4096, empty=False):
    """(what is seen, entities) of a text with its parse_mode."""
    text, mode = args.get(name, ""), args.get("parse_mode", "")
    bad("\0" not in text, "text must be encoded in UTF-8", "a NUL in the text")
    bad("entities" not in args and "caption_entities" not in args, "no entities in this fake")
    bad(len(text.encode("utf-8", "surrogatepass")) <= 64 * 1024, "message is too long")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        bad(False, "text must be encoded in UTF-8", "half of a surrogate pair")
    if mode:
        bad(mode.lower() == "html", "unsupported parse_mode", f"parse_mode {mode!r}: HTML is ours")
        try:
            seen = telegram_markup.parse(text)
        except telegram_markup.CannotParse as e:
            bad(False, f"can't parse entities: {e}")
        bad(not seen.loose, "can't parse entities: " + "; ".join(seen.loose[:3]))
        plain, entities = seen.plain, seen.entities
    else:
        plain, entities = text.strip(), []
    bad(plain or empty, "message text is empty")
    bad(units(plain) <= most, "message is too long" if name == "text" else
        "message caption is too long", f"{units(plain)} UTF-16 units of at most {most}")
    return plain, entities


def check_markup(markup):
    """The buttons of an inline keyboard."""
    if markup is None:
        return []
    bad(set(markup) == {"inline_keyboard"}, "this fake knows inline keyboards only")
    rows = markup["inline_keyboard"]
    bad(isinstance(rows, list) and all(isinstance(r, list) for r in rows),
        "field inline_keyboard must be an Array of Array")
    out = []
    for b in (b for row in rows for b in row):
        bad(isinstance(b, dict) and isinstance(b.get("text"), str) and b["text"].strip(),
            "inline keyboard button text must be non-empty")
        bad(len(set(b) & {"callback_data", "url"}) == 1 and set(b) <= {"text", "callback_data",
                                                                        "url"},
            "Text buttons are unallowed in the inline keyboard", f"button {sorted(b)}")
        data = b.get("callback_data", "")
        bad("url" in b or (isinstance(data, str) and 1 <= len(data.encode()) <= 64),
            "BUTTON_DATA_INVALID", "callback_data of 0 or over 64 bytes")
        out.append({"label": b["text"], "value": data})
    bad(len(out) <= 100 and all(1 <= len(r) <= 8 for r in rows), "REPLY_MARKUP_TOO_LONG",
        "over 100 buttons, or a row of none or over 8")
    return out


def check_reaction(reaction):
    bad(len(reaction) <= 1, "REACTIONS_TOO_MANY")
    for r in reaction:
        bad(isinstance(r, dict) and set(r) == {"type", "emoji"} and r["type"] == "emoji",
            "can't parse ReactionType", f"reaction {r}")
        bad(r["emoji"] in REACTIONS, "REACTION_INVALID", f"{r['emoji']!r} is none of the allowed")
    return [r["emoji"] for r in reaction]


def check_commands(commands):
    bad(len(commands) <= 100, "BOT_COMMANDS_TOO_MUCH")
    for c in commands:
        bad(isinstance(c, dict) and set(c) == {"command", "description"}, "BOT_COMMAND_INVALID",
            f"command {c}")
        bad(isinstance(c["command"], str) and COMMAND.match(c["command"]), "BOT_COMMAND_INVALID",
            f"command {c['command']!r}")
        bad(isinstance(c["description"], str) and 1 <= len(c["description"]) <= 256,
            "BOT_COMMAND_DESCRIPTION_INVALID")


def check_file(args, field):
    """The upload of a media method: (name, mime, bytes)."""
    value = args[field]
    if isinstance(value, str) and value.startswith("attach://"):
        value = args.get(value[len("attach://"):])
    bad(isinstance(value, tuple), "there is no file in the request",
        f"{field} is no upload (this fake knows neither file_id nor URL here)")
    name, mime, data = value
    bad(data, "file must be non-empty")
    most = MOST_PHOTO if field == "photo" else MOST_UP
    if len(data) > most:
        raise Error(413, "Request Entity Too Large", f"{len(data)} bytes of at most {most}")
    bad(name and "/" not in name and "\\" not in name, "a file needs a name", f"name {name!r}")
    return name, mime or "application/octet-stream", data
