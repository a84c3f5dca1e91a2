# SPDX-License-Identifier: Apache-2.0
"""Telegram end to end: the real server and agent against a strict Bot API of our own.

What the three platforms share is in test_three_channels.py; here is what only Telegram does: topics, commands by
name, drafts, markup that is refused, rates, conflicts, groups that move, answers that are lost.
"""
import platforms
import pytest
from platforms import FROM_BOT, answer, newest

ALICE, BOB = "1001", "1002"
FAMILY, WORK, PROJECT = "-2001", "-1003001", "-1003002"
GROUPS = {"home": [f"telegram:{ALICE}", f"telegram:{BOB}"],
          "crew": [f"telegram:{FAMILY}", f"telegram:{WORK}", f"telegram:{PROJECT}"]}


@pytest.fixture(scope="module")
def house(sandboxes, tmp_path_factory):
    with platforms.house(tmp_path_factory.mktemp("telegram"), which=("telegram",), groups=GROUPS) as world:
        yield world


def test_a_word_and_its_form(telegram):
    _, reply = answer(telegram, ALICE, "so **bold** is <this> & `that`", "echo: so")
    assert reply["plain"].endswith("echo: so bold is <this> & that")
    assert reply["parse_mode"] == "HTML"
    assert {e["type"] for e in reply["entities"]} == {"bold", "code"}
    telegram.wait(what="signs", chat=ALICE, kind="typing", timeout=5)


def test_long_answers_come_in_parts_in_order(telegram):
    mark = newest(telegram, BOB)
    telegram.inject(do="message", chat=BOB, text="!bash seq 1 2500")
    parts = telegram.wait(chat=BOB, since=mark, count=2, timeout=60, **FROM_BOT)
    seen = " ".join(p["plain"] for p in parts).split()
    numbers = [int(w) for w in seen if w.isdigit()][:-1]  # the demo model cuts the last one
    assert numbers == list(range(1, len(numbers) + 1)) and len(numbers) > 1000


def test_only_what_is_meant_for_us(telegram, house):
    mark = newest(telegram, FAMILY)
    telegram.inject({"do": "message", "chat": FAMILY, "text": "who has the key?"},
                    {"do": "message", "chat": FAMILY, "text": "/help@some_other_bot"})
    _, reply = answer(telegram, FAMILY, "is it here", "is it here", mention=True)
    said = telegram.messages(chat=FAMILY, since=mark, **FROM_BOT)
    assert [m["id"] for m in said] == [reply["id"]]
    # a reply to ours needs no name
    answer(telegram, FAMILY, "sure?", "sure?", reply_to=reply["id"])


def test_topics_are_threads_of_their_own(telegram, house):
    for thread in ("11", "12", ""):
        _, reply = answer(telegram, PROJECT, f"in topic {thread or 'General'}", "in topic",
                          mention=True, **({"thread": thread} if thread else {}))
        assert reply["thread"] == thread
    # a topic is a room, no conversation with us: that we spoke there makes nothing ours
    telegram.inject(do="message", chat=PROJECT, text="between us", thread="11")
    telegram.wait(what="idle", timeout=30)
    assert house.server.rows("SELECT state FROM messages WHERE text = 'between us'") == [(0,)]


def test_an_edit_reaches_the_agent(telegram):
    first, _ = answer(telegram, ALICE, "teh tide", "echo: teh tide")
    mark = newest(telegram, ALICE)
    telegram.inject(do="edit", chat=ALICE, id=first, text="the tide")
    telegram.wait(chat=ALICE, since=mark, plain="the tide", timeout=60, **FROM_BOT)


def test_files_of_each_kind_come_in(telegram):
    for kind, name in (("photo", "p.jpg"), ("voice", "v.ogg"), ("document", "d.txt")):
        mark = newest(telegram, ALICE)
        telegram.inject(do="message", chat=ALICE, text=f"!bash cat inbox/* | grep -c {kind}-bytes", files=[
            {"kind": kind, "name": name, "text": f"{kind}-bytes"}])
        telegram.wait(chat=ALICE, since=mark, plain="1", timeout=60, **FROM_BOT)


def test_private_drafts_grow_and_the_answer_is_one(telegram):
    mark = newest(telegram, ALICE)
    signs = len(telegram.call("signs", chat=ALICE, kind="draft")["signs"])
    telegram.inject(do="message", chat=ALICE, text="!slow 300 20")
    done = telegram.wait(chat=ALICE, since=mark, timeout=60, **FROM_BOT)
    drafts = telegram.call("signs", chat=ALICE, kind="draft")["signs"][signs:]
    assert len(drafts) >= 2 and len({d["draft_id"] for d in drafts}) == 1
    assert len(drafts[-1]["text"]) > len(drafts[0]["text"])
    assert len(done) == 1 and not done[0]["edits"]
    assert drafts[-1]["time"] <= done[0]["time"], "a draft after its answer"


def test_a_draft_in_a_group_becomes_the_answer(telegram):
    _, ours = answer(telegram, WORK, "hello", "hello", mention=True)
    mark = newest(telegram, WORK)
    telegram.inject(do="message", chat=WORK, text="!slow 200 20", reply_to=ours["id"])
    grown = telegram.wait(chat=WORK, since=mark, timeout=60, **FROM_BOT)[0]
    done = telegram.wait(chat=WORK, since=mark, timeout=60, regex=r"\b20\b", **FROM_BOT)
    assert [m["id"] for m in done] == [grown["id"]]
    said = telegram.messages(chat=WORK, since=mark, **FROM_BOT)
    assert len(said) == 1 and said[0]["edits"]


def test_refused_markup_is_sent_as_plain_text(telegram):
    telegram.call("fault", method="sendMessage", do="error", error=400,
                  description="Bad Request: can't parse entities: Unsupported start tag")
    _, reply = answer(telegram, ALICE, "**so** <be> it", "so <be> it")
    assert reply["parse_mode"] == ""


def test_a_429_is_waited_out(telegram):
    telegram.call("fault", method="sendMessage", do="limit", retry_after=2, chat=BOB)
    calls = len(telegram.call("calls", method="sendMessage", chat=BOB)["calls"])
    answer(telegram, BOB, "patience", "echo: patience")
    tried = telegram.call("calls", method="sendMessage", chat=BOB)["calls"][calls:]
    assert [c["status"] for c in tried] == [429, 200]
    assert tried[1]["time"] - tried[0]["time"] >= 2


def test_a_lost_answer_is_never_sent_twice_in_silence(telegram, house):
    telegram.call("fault", method="sendMessage", do="lost", chat=BOB)
    mark = newest(telegram, BOB)
    telegram.inject(do="message", chat=BOB, text="only once")
    said = telegram.wait(chat=BOB, since=mark, plain="only once", timeout=60, **FROM_BOT)
    house.server.wait_log("will retry.*channel=telegram.*unsure=1|given up.*channel=telegram")
    answer(telegram, BOB, "and on", "echo: and on")
    said = telegram.messages(chat=BOB, since=mark, plain="only once", **FROM_BOT)
    assert len([m for m in said if "perhaps a repeat" not in m["plain"]]) == 1


def test_conflicts_and_lost_polls_lose_nothing(telegram):
    for n, order in enumerate(({"do": "conflict", "count": 2}, {"do": "drop"}, {"do": "webhook"},
                               {"do": "redeliver", "count": 5}, {"do": "shuffle", "count": 3},
                               {"do": "gap", "count": 1000})):
        telegram.call("wire", **order)
        answer(telegram, ALICE, f"after trouble {n}", f"echo: after trouble {n}")
    # what came again was not answered again
    for n in range(6):
        assert len(telegram.messages(chat=ALICE, plain=f"after trouble {n}", **FROM_BOT)) == 1


def test_a_group_that_becomes_a_supergroup_is_followed(telegram):
    answer(telegram, FAMILY, "small", "small", mention=True)
    telegram.inject(do="migrate", chat=FAMILY, to="-1002001")
    answer(telegram, "-1002001", "large", "large", mention=True)


def test_a_blocked_bot_keeps_quiet(telegram, house):
    signs = len(telegram.call("signs", chat=BOB, kind="typing")["signs"])
    telegram.inject(do="message", chat=BOB, text="!slow 300 10")
    telegram.wait(what="signs", chat=BOB, kind="typing", count=signs + 1)
    telegram.call("chat", id=BOB, kind="private", state="blocked")
    house.server.wait_log("given up.*channel=telegram.*blocked")
    telegram.call("chat", id=BOB, kind="private", state="ok")
    answer(telegram, BOB, "back again", "back again")


def test_killed_in_the_middle_nothing_is_lost_or_taken_twice(house):
    telegram, server = house.telegram, house.server
    mark = newest(telegram, ALICE)
    telegram.inject(*[{"do": "message", "chat": ALICE, "text": f"note {n:03d}"} for n in range(150)])
    telegram.wait(what="calls", method="getUpdates", count=1)
    server.kill()
    server.start()
    telegram.wait(what="ready", timeout=30)
    telegram.wait(what="idle", timeout=60)
    kept = [r[0] for r in server.rows("SELECT text FROM messages WHERE dir = 0 AND text LIKE '%note %'"
                                      " ORDER BY id")]
    assert [k[-8:] for k in kept] == [f"note {n:03d}" for n in range(150)]
    telegram.wait(chat=ALICE, since=mark, plain="note 149", timeout=60, **FROM_BOT)
