# SPDX-License-Identifier: Apache-2.0
"""A strict reader of Telegram's HTML style: text and entities, or why it is refused.

Owns: the rules of core.telegram.org/bots/api#html-style. Why: a text that Telegram cannot parse is
lost to a bot without a fallback. Must never: accept more than those rules promise.

parse(text) -> Markup(plain, entities): entities as Telegram gives them (offset and length in UTF-16
units). Raises CannotParse (Telegram answers 400 "can't parse entities: ..."). What Telegram lets pass
but its documents forbid stands in Markup.loose: a bare & or >, a numberless entity not known.
"""
import re

ENTITY = re.compile(r"&(?:(lt|gt|amp|quot)|#(\d{1,7})|#x([0-9a-fA-F]{1,6}));")
NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9-]*)((?:[^<>\"]|\"[^\"<>]*\")*)>")
ATTRIBUTE = re.compile(r"\s+([a-z-]+)(?:=\"([^\"]*)\")?")
TYPES = {"b": "bold", "strong": "bold", "i": "italic", "em": "italic", "u": "underline",
         "ins": "underline", "s": "strikethrough", "strike": "strikethrough",
         "del": "strikethrough", "tg-spoiler": "spoiler", "a": "text_link", "code": "code",
         "pre": "pre", "blockquote": "blockquote", "tg-emoji": "custom_emoji", "span": "spoiler"}
ALLOWED = {"a": {"href"}, "code": {"class"}, "span": {"class"}, "blockquote": {"expandable"},
           "tg-emoji": {"emoji-id"}}


class CannotParse(Exception):
    """Telegram would answer 400: can't parse entities."""


class Markup:
    def __init__(self):
        self.plain, self.entities, self.loose = "", [], []


def units(text):
    """Length in UTF-16 units."""
    return len(text) + sum(1 for c in text if ord(c) > 0xffff)


def unescape(text, loose):
    def one(m):
        name, dec, hexa = m.groups()
        if name:
            return NAMED[name]
        code = int(dec) if dec else int(hexa, 16)
        if not 0 < code < 0x110000 or 0xd800 <= code < 0xe000:
            raise CannotParse(f"character {code} does not exist")
        return chr(code)
    rest = ENTITY.sub("", text)
    if "&" in rest:
        loose.append("a bare &: it must be &amp;")
    if ">" in rest:
        loose.append("a bare >: it must be &gt;")
    return ENTITY.sub(one, text)


def attributes(tag, text, offset):
    out, at = {}, 0
    while at < len(text.rstrip()):
        m = ATTRIBUTE.match(text, at)
        if not m or m.group(1) not in ALLOWED.get(tag, ()):
            raise CannotParse(f'tag "{tag}" at byte offset {offset} has a wrong attribute: {text}')
        out[m.group(1)] = m.group(2) or ""
        at = m.end()
    return out


class Reader:
    def __init__(self, text):
        self.text, self.out, self.parts, self.at = text, Markup(), [], 0
        self.stack = []  # (tag, entity)

    def run(self):
        text, i = self.text, 0
        while True:
            j = text.find("<", i)
            self.put(text[i:j if j >= 0 else len(text)])
            if j < 0:
                break
            m = TAG.match(text, j)
            if not m:
                raise CannotParse(f"unsupported start tag at byte offset {self.byte(j)}")
            (self.close if m.group(1) else self.open)(m, j)
            i = m.end()
        if self.stack:
            raise CannotParse(f'can\'t find end tag corresponding to start tag "{self.stack[-1][0]}"')
        return self.finish()

    def byte(self, j):
        return len(self.text[:j].encode("utf-8", "surrogatepass"))

    def put(self, raw):
        shown = unescape(raw, self.out.loose)
        self.parts.append(shown)
        self.at += units(shown)

    def open(self, m, j):
        tag = m.group(2).lower()
        if tag not in TYPES:
            raise CannotParse(f'unsupported start tag "{tag}" at byte offset {self.byte(j)}')
        given = attributes(tag, m.group(3), self.byte(j))
        if tag == "span" and given.get("class") != "tg-spoiler":
            raise CannotParse(f'tag "span" must have class "tg-spoiler" at byte offset {self.byte(j)}')
        inside = [t for t, _ in self.stack]
        entity = {"type": TYPES[tag], "offset": self.at}
        self.nesting(tag, inside, given, j)
        if tag == "a":
            entity["url"] = unescape(given.get("href", ""), self.out.loose)
        if tag == "blockquote" and "expandable" in given:
            entity["type"] = "expandable_blockquote"
        if tag == "code" and inside[-1:] == ["pre"]:
            if not given.get("class", "").startswith("language-"):
                self.out.loose.append("<code> in <pre> without a language")
            else:
                self.stack[-1][1]["language"] = given["class"][len("language-"):]
            entity = None
        self.stack.append((tag, entity))

    def nesting(self, tag, inside, given, j):
        kinds = [TYPES[t] for t in inside]
        if "code" in inside or ("pre" in inside and not (tag == "code" and inside[-1] == "pre")):
            raise CannotParse(f"code and pre hold no other entities, at byte offset {self.byte(j)}")
        if tag in ("code", "pre") and [k for k in kinds if k not in ("pre", "blockquote")]:
            self.out.loose.append(f"<{tag}> inside <{inside[-1]}>: it would not be shown as such")
        if tag == "code" and "class" in given and inside[-1:] != ["pre"]:
            self.out.loose.append("a language outside of <pre>")
        if TYPES[tag] == "blockquote" and "blockquote" in kinds:
            raise CannotParse(f"blockquote in a blockquote at byte offset {self.byte(j)}")
        if TYPES[tag] in kinds:
            self.out.loose.append(f"<{tag}> inside of its own kind")

    def close(self, m, j):
        tag = m.group(2).lower()
        if m.group(3).strip():
            raise CannotParse(f"an end tag with attributes at byte offset {self.byte(j)}")
        if not self.stack:
            raise CannotParse(f"unexpected end tag at byte offset {self.byte(j)}")
        opened, entity = self.stack.pop()
        if opened != tag:
            raise CannotParse(f'unmatched end tag at byte offset {self.byte(j)}, expected '
                              f'"</{opened}>", found "</{tag}>"')
        if entity:
            entity["length"] = self.at - entity["offset"]
            self.out.entities.append(entity)

    def finish(self):
        """Telegram cuts white space off both ends, moves the entities and drops empty ones."""
        whole = "".join(self.parts)
        plain = whole.rstrip()
        end = units(plain)
        lead = end - units(plain.lstrip())
        self.out.plain = plain.strip()
        kept = []
        for e in self.out.entities:
            stop = min(e["offset"] + e["length"], end)
            e["offset"] = max(e["offset"], lead)
            e["length"] = stop - e["offset"]
            e["offset"] -= lead
            if e["type"] == "text_link" and not re.match(r"(https?|tg|mailto|tel|ftp)://?|mailto:|tel:",
                                                         e["url"]):
                self.out.loose.append(f"a link to {e['url'][:40]!r}: Telegram shows it as mere text")
            elif e["length"] > 0:
                kept.append(e)
        self.out.entities = sorted(kept, key=lambda e: (e["offset"], -e["length"]))
        return self.out


def parse(text):
    return Reader(text).run()
