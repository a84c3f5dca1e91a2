# SPDX-License-Identifier: Apache-2.0
"""Properties of the formatter, over thousands of seeded texts: whatever the Markdown, each part is
within its limit and accepted by a strict reader of its platform, and no visible text is lost.

Two kinds of text: documents made of known words (what is expected comes from the making, not from
the formatter), and noise of marks, where the plain-text rendering says what is expected.
The formatter runs as tests/unit/router_format.c --filter; FORMAT_FILTER names another build of it.
"""
import os
import pathlib
import random
import re
import subprocess
import sys

import pytest

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(TOP / "tests" / "fakes"), str(TOP / "tests" / "format")]

import slack_markup  # noqa: E402
import strict_whatsapp  # noqa: E402
import telegram_markup  # noqa: E402

PROGRAM = TOP / "build" / "release" / "unit" / "router_format"
MARKDOWN, PLAIN, SLACK, TELEGRAM, WHATSAPP = range(5)
CODE_POINTS, UTF16 = 1, 2
FORMATS = {SLACK: CODE_POINTS, TELEGRAM: UTF16, WHATSAPP: CODE_POINTS, PLAIN: UTF16}
ALIKE = str.maketrans({"∗": "*", "ˍ": "_", "∼": "~", "ˋ": "`", "›": ">", "◦": "•", "▪": "•"})


class Formatter:
    def __init__(self):
        program = os.environ.get("FORMAT_FILTER")
        if not program:
            program = PROGRAM
            done = subprocess.run(["make", "-s", str(PROGRAM.relative_to(TOP))], cwd=TOP,
                                  check=False, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr[-3000:]
        self.process = subprocess.Popen([program, "--filter"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)

    def render(self, md, form, maximum, unit=None):
        raw = md.encode()
        unit = FORMATS[form] if unit is None else unit
        self.process.stdin.write(b"%d %d %d %d\n" % (form, unit, maximum, len(raw)) + raw)
        self.process.stdin.flush()
        out = self.process.stdout
        return [out.read(int(out.readline())).decode() for _ in range(int(out.readline()))]

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(20) == 0


@pytest.fixture(scope="module", name="formatter")
def _formatter():
    made = Formatter()
    yield made
    made.close()


def units(text, unit):
    return len(text) + (sum(ord(c) > 0xffff for c in text) if unit == UTF16 else 0)


def shown(part, form, maximum):
    """What a person sees of a part, after all checks of its platform."""
    assert part.strip()
    if form == TELEGRAM:
        read = telegram_markup.parse(part)
        assert not read.loose, read.loose
        assert 0 < units(read.plain, UTF16) <= maximum
        assert units(part, UTF16) <= 3 * maximum
        return read.plain
    assert units(part, FORMATS[form]) <= maximum
    if form == SLACK:
        return slack_markup.parse(part).plain
    if form == WHATSAPP:
        return strict_whatsapp.parse(part).plain
    return part


def words(text):
    return re.findall(r"\w+", text.translate(ALIKE).replace("_", " "))


# -- Documents of known words.

class Maker:
    """Writes a document of which it knows the words, in order."""

    def __init__(self, seed):
        self.random, self.count = random.Random(seed), 0
        self.words = []

    def word(self):
        r = self.random
        self.count += 1
        made = r.choice(["w", "Wörter", "слово", "語", "x", "Emoji"]) + str(self.count)
        self.words.append(made)
        return made

    def some(self, most):
        return " ".join(self.word() for _ in range(self.random.randint(1, most)))

    def inline(self, depth=0):
        kind = self.random.randint(0, 11 if depth < 3 else 3)
        if kind <= 3:
            return self.some(6)
        if kind == 4:
            return f"**{self.inline(depth + 1)}**"
        if kind == 5:
            return f"*{self.inline(depth + 1)}*"
        if kind == 6:
            return f"~~{self.some(3)}~~"
        if kind == 7:
            return f"`{self.some(3)}`"
        if kind == 8:
            return f"[{self.some(4)}](https://e.org/)"
        if kind == 9:
            return f"(**{self.word()}**)*{self.word()}*-{self.word()}"
        if kind == 10:
            return self.some(2) + self.random.choice([" \\*", " \\_b", " a < b", " &amp;", " 😀", " >"])
        return self.inline(depth + 1) + self.random.choice([" ", ", ", ". ", "\n"]) + self.inline(depth + 1)

    def block(self, depth=0):
        r, kind = self.random, self.random.randint(0, 9 if depth < 3 else 4)
        if kind <= 3:
            return self.inline()
        if kind == 4:
            lines = [self.some(5) for _ in range(r.randint(1, 8))]
            return "```" + r.choice(["", "c", "python"]) + "\n" + "\n".join(lines) + "\n```"
        if kind == 5:
            return "#" * r.randint(1, 4) + " " + self.some(6)
        if kind == 6:
            return "\n".join("> " + line for line in self.blocks(depth + 1, 2).split("\n"))
        if kind == 7:
            return self.table()
        mark = r.choice(["- ", "* ", "1. ", "- [ ] "])
        pad = " " * (3 if mark == "1. " else 2)
        items = [self.blocks(depth + 1, 2).replace("\n", "\n" + pad) for _ in range(r.randint(1, 4))]
        return "\n".join(mark + item for item in items)

    def table(self):
        columns, rows = self.random.randint(1, 4), self.random.randint(1, 4)
        lines = ["| " + " | ".join(self.word() for _ in range(columns)) + " |",
                 "|" + "---|" * columns]
        lines += ["| " + " | ".join(self.word() for _ in range(columns)) + " |" for _ in range(rows)]
        return "\n".join(lines)

    def blocks(self, depth=0, most=6):
        return "\n\n".join(self.block(depth) for _ in range(self.random.randint(1, most)))


def expected_in(seen, made):
    """Every word that was made is seen, in the order in which it was made; nothing else has a number of ours."""
    numbers = [w for w in words(seen) if re.search(r"\d$", w)]
    known = set(made)
    return [w for w in numbers if w in known]


@pytest.mark.parametrize("form", [SLACK, TELEGRAM, WHATSAPP, PLAIN])
def test_no_word_is_lost(formatter, form):
    for seed in range(1500):
        maker = Maker(seed)
        md = maker.blocks(0, 8)
        maximum = random.Random(seed).choice([150, 300, 1000, 4000])
        parts = formatter.render(md, form, maximum)
        seen = "\n".join(shown(p, form, maximum) for p in parts)
        got = expected_in(seen, maker.words)
        # the heads of a table that is too wide are said again in each row: first sightings count
        first = list(dict.fromkeys(got))
        assert sorted(first) == sorted(maker.words), (seed, md, seen)
        if "|" not in md:
            assert got == maker.words, (seed, md, seen)


# -- Noise.

BITS = ["*", "**", "_", "__", "~", "~~", "`", "``", "```", "\n", "\n\n", "- ", "1. ", "> ", "# ", "[", "](", ")",
        "a", "bc", "word ", " ", " ", "(", "日", "😀", "<", ">", "\\", "!", ".", ", ", "    ", "x_y", "e\u0301"]


def squeezed(text):
    """Without what is no text of the author: spaces, bullets, quote signs, and the rule."""
    return re.sub(r"[\s>•─-]+", "", text.translate(ALIKE))


@pytest.mark.parametrize("form", [SLACK, TELEGRAM, WHATSAPP])
def test_noise(formatter, form):
    rand = random.Random(form)
    for seed in range(4000):
        md = "".join(rand.choice(BITS) for _ in range(rand.randint(1, 120)))
        maximum = rand.choice([64, 80, 200, 4000])
        parts = formatter.render(md, form, maximum)
        plain = "".join(formatter.render(md, PLAIN, 1 << 20))
        seen = "".join(shown(p, form, maximum) for p in parts)
        assert squeezed(seen) == squeezed(plain), (seed, md, parts)


def test_no_style_is_lost_where_words_stand_free(formatter):
    """Marks between words are shown as styles on each platform."""
    md = "a **bold words** b *it* c ~~gone~~ d `code` e ***both*** f [t](https://e.org) g"
    spans = {s for s, _, _ in slack_markup.parse(formatter.render(md, SLACK, 4000)[0]).spans}
    assert spans == {"bold", "italic", "strike", "code", ("link", "https://e.org")}
    spans = {s for s, _, _ in strict_whatsapp.parse(formatter.render(md, WHATSAPP, 4000)[0]).spans}
    assert spans == {"bold", "italic", "strike", "code"}
    kinds = {e["type"] for e in telegram_markup.parse(formatter.render(md, TELEGRAM, 4000)[0]).entities}
    assert kinds == {"bold", "italic", "strikethrough", "code", "text_link"}


def test_the_markdown_itself_is_only_cut(formatter):
    """FORMAT_MARKDOWN: what fits comes as it was written; what does not loses no line."""
    for seed in range(300):
        md = Maker(seed).blocks(0, 8)
        assert formatter.render(md, MARKDOWN, 1 << 20, UTF16) == [md]
        parts = formatter.render(md, MARKDOWN, 200, UTF16)
        assert all(units(p, UTF16) <= 200 for p in parts)
        assert [w for w in words("\n".join(parts)) if re.search(r"\d", w)] == \
            [w for w in words(md) if re.search(r"\d", w)]
