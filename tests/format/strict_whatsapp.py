# SPDX-License-Identifier: Apache-2.0
"""A strict reader of WhatsApp's marks: what would be shown.

Owns: the rules of *bold* _italic_ ~strike~ `code` ```block``` and "> quote". Why: WhatsApp refuses
nothing and has no escapes, so that only a reader can tell whether a sign is seen or taken as a mark.
Its rules of where marks begin and end are those of Slack's reader, which is used; what differs is
that < > & are text, that there are no links, and that nothing in a bare address is a mark.
"""
import re

from slack_markup import Markup, Reader, fences

URL = re.compile(r"https?://[^\s<>()]+")
QUOTE = re.compile(r"(?m)^> ")


def tokens(text):
    """As Slack's: (character or whole address, is it literal, kind)."""
    out, i = [], 0
    while i < len(text):
        quote, url = QUOTE.match(text, i), URL.match(text, i)
        if quote:
            out.append(("", False, ("quote", "")))
            i = quote.end()
        elif url:
            out.append((url.group(0), True, None))
            i = url.end()
        else:
            out.append((text[i], False, None))
            i += 1
    return out


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
