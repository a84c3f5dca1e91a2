# SPDX-License-Identifier: Apache-2.0
"""A strict reader of Slack's mrkdwn: what would be shown, or why it is refused.

Owns: the rules of escaping, of <...> and of marks. Why: Slack itself takes anything and shows a
mess; a test wants to know. Must never: accept more than Slack's documents promise to show well.

parse(text) -> Markup(plain, spans); spans: (style, begin, end) in code points of plain, style one
of bold, italic, strike, code, pre, quote, or ("link", url). Raises Refused with the reason.
Refused: a & that is not &amp; &lt; &gt;; a < that does not begin a link or a mention; a > that
neither ends one nor begins a line (a quote); a code fence without an end; a NUL.
"""
import re


class Refused(Exception):
    """The text breaks a rule of mrkdwn."""


class Markup:
    def __init__(self, plain, spans):
        self.plain, self.spans = plain, spans


ENTITIES = {"&amp;": "&", "&lt;": "<", "&gt;": ">"}
URL = re.compile(r"(?:https?://|mailto:|tel:|ftp://)[^\s<>|]+\Z")
MENTION = re.compile(r"(?:@[UW][A-Z0-9]{2,}|#[CGD][A-Z0-9]{2,}|!(?:here|channel|everyone)"
                     r"|!subteam\^S[A-Z0-9]+|!date\^\d+\^[^|<>]+)\Z")
STYLES = {"*": "bold", "_": "italic", "~": "strike"}
OPENER = set(" \t\n([{'\"-–—/:;,.!?*_~>|") | {""}


def brackets(text, i):
    """Reads <...> at i: (shown, kind, index behind it)."""
    end = text.find(">", i)
    inner = text[i + 1:end] if end > 0 else ""
    if end < 0 or "<" in inner or "\n" in inner:
        raise Refused(f"a < at {i} without its >: escape it as &lt;")
    target, bar, label = inner.partition("|")
    if MENTION.match(target):
        return (label or target), ("mention", target), end + 1
    if URL.match(target):
        if bar and not label.strip():
            raise Refused(f"a link at {i} with an empty label")
        return unescape(label if bar else target, i), ("link", unescape(target, i)), end + 1
    raise Refused(f"<{inner[:40]}> at {i} is neither a link nor a mention: escape < as &lt;")


def unescape(text, at):
    def one(m):
        if m.group(0) not in ENTITIES:
            raise Refused(f"a bare & near {at}: escape it as &amp;")
        return ENTITIES[m.group(0)]
    return re.sub(r"&(?:[a-z]{2,4};)?", one, text)


def tokens(text):
    """(character or whole label, is it literal, kind) one after the other."""
    i, line_start, out = 0, True, []
    while i < len(text):
        c = text[i]
        if c == "\0":
            raise Refused("a NUL")
        if c == "&":
            m = re.compile(r"&(?:amp|lt|gt);").match(text, i)
            if not m:
                raise Refused(f"a bare & at {i}: escape it as &amp;")
            out.append((ENTITIES[m.group(0)], True, None))
            i, line_start = m.end(), False
            continue
        if c == "<":
            shown, kind, i = brackets(text, i)
            out.append((shown, True, kind))
            line_start = False
            continue
        if c == ">":
            if not line_start:
                raise Refused(f"a bare > at {i}: escape it as &gt;")
            out.append(("", False, ("quote", "")))
            i += 1
            continue
        out.append((c, False, None))
        line_start = c == "\n" or (line_start and c == " ")
        i += 1
    return out


def fences(toks):
    """Indices of each ``` that opens and closes, in pairs."""
    found, i = [], 0
    while i + 2 < len(toks):
        if all(toks[i + k][:2] == ("`", False) for k in range(3)):
            found.append(i)
            i += 3
        else:
            i += 1
    if len(found) % 2:
        raise Refused("a code fence without its end")
    return list(zip(found[::2], found[1::2]))


class Reader:
    def __init__(self, toks):
        self.toks, self.plain, self.length, self.spans = toks, [], 0, []

    def put(self, tok):
        shown, _, kind = tok
        if kind and kind[0] == "link":
            self.spans.append((kind, self.length, self.length + len(shown)))
        if kind and kind[0] == "quote":
            self.spans.append(("quote", self.length, self.length))
        self.plain.append(shown)
        self.length += len(shown)

    def run(self, begin, end):
        i = begin
        while i < end:
            shown, literal, _ = self.toks[i]
            if not literal and shown == "`":
                close = self.find(i + 1, end, "`")
                if close and close > i + 1:
                    self.styled("code", i + 1, close, marks=False)
                    i = close + 1
                    continue
            if not literal and shown in STYLES and self.opens(i, begin, end):
                close = self.closes(i, end)
                if close:
                    self.styled(STYLES[shown], i + 1, close, marks=True)
                    i = close + 1
                    continue
            self.put(self.toks[i])
            i += 1

    def styled(self, style, begin, end, marks):
        start = self.length
        if marks:
            self.run(begin, end)
        else:
            for tok in self.toks[begin:end]:
                self.put(tok)
        self.spans.append((style, start, self.length))

    def find(self, i, end, mark):
        while i < end and self.toks[i][:2] != ("\n", False):
            if self.toks[i][:2] == (mark, False):
                return i
            i += 1
        return None

    def opens(self, i, begin, end):
        before = self.toks[i - 1][0][-1:] if i > begin else ""
        after = self.toks[i + 1][0][:1] if i + 1 < end else ""
        return before in OPENER and after and not after.isspace() and after != self.toks[i][0]

    def closes(self, i, end):
        mark, j = self.toks[i][0], i + 1
        while True:
            j = self.find(j, end, mark)
            if j is None:
                return None
            before = self.toks[j - 1][0][-1:]
            after = self.toks[j + 1][0][:1] if j + 1 < end else ""
            if j > i + 1 and not before.isspace() and not (after.isalnum() or after == mark):
                return j
            j += 1


def parse(text):
    toks = tokens(text)
    reader, at = Reader(toks), 0
    for begin, end in fences(toks):
        reader.run(at, begin)
        start = reader.length
        for tok in toks[begin + 3:end]:
            reader.put(tok)
        reader.spans.append(("pre", start, reader.length))
        at = end + 3
    reader.run(at, len(toks))
    return Markup("".join(reader.plain), reader.spans)
