# SPDX-License-Identifier: Apache-2.0
"""Slack end to end: the real server and agent against a strict Slack of our own, over TLS.

What the three platforms share is in test_three_channels.py; here is what only Slack does: threads, mentions, questions
with buttons, streams, slash commands, refreshed connections, back-fill, answers that are lost, tokens that die.
"""
import re

import platforms
import pytest
from platforms import FROM_BOT, answer, closed, newest

ALICE, BOB, GENERAL, RANDOM, SECRET = (
    "D0000ALICE", "D000000BOB", "C00GENERAL", "C000RANDOM", "C000SECRET")
GROUPS = {"work": [f"slack:{GENERAL}", f"slack:{SECRET}", f"slack:{RANDOM}"],
          "home": [f"slack:{ALICE}", f"slack:{BOB}"]}


@pytest.fixture(scope="module")
def house(sandboxes, tmp_path_factory):
    with platforms.house(tmp_path_factory.mktemp("slack"), which=("slack",), groups=GROUPS,
                         config={"channels": {"slack": {"ping": "1s"}}}) as world:
        yield world


@pytest.fixture
def slack(house):
    house.slack.wait(what="sockets", count=1)
    yield house.slack
    house.slack.call("clear")
    assert not house.slack.violations()


def test_direct_chat_is_answered_at_top_level(house, slack):
    _, reply = answer(slack, ALICE, "so *bold* is &lt;this&gt; &amp; `that`", "echo: so")
    house.server.quiet()  # until then it may be a draft
    (reply,) = slack.messages(chat=ALICE, id=reply["id"])
    assert reply["thread"] == ""
    assert "<this> & that" in reply["plain"]
    assert reply["key"]


def test_mention_in_a_channel_is_answered_in_its_thread(slack):
    ts, reply = answer(slack, GENERAL, "hello", "hello", mention=True)
    assert reply["thread"] == ts
    _, more = answer(slack, GENERAL, "and once more", "and once more", thread=ts)
    assert more["thread"] == ts


def test_what_is_not_meant_for_us_is_left_alone(house, slack):
    mark = newest(slack, RANDOM)
    slack.inject(do="message", chat=RANDOM, text="who has the key?")
    slack.wait(what="idle")
    _, reply = answer(slack, RANDOM, "hello", "hello", mention=True)
    assert [m["id"] for m in slack.messages(chat=RANDOM, since=mark, **FROM_BOT)] == [reply["id"]]
    assert house.server.rows("SELECT count(*) FROM messages WHERE text LIKE '%who has the key%'"
                             " AND dir = 0") == [(1,)]


def test_stream_in_a_thread_becomes_the_answer(house, slack):
    ts, _ = answer(slack, GENERAL, "hello", "hello", mention=True)
    house.server.quiet()  # also the first answer may be a stream
    mark, call = newest(slack, GENERAL), max(c["n"] for c in slack.call("calls")["calls"])
    slack.inject(do="message", chat=GENERAL, text="!slow 200 20", thread=ts)
    slack.wait(what="signs", chat=GENERAL, thread=ts, kind="status", text="thinking", timeout=30)
    slack.wait(chat=GENERAL, since=mark, thread=ts, regex=r"\b20\b", timeout=60, **FROM_BOT)
    house.server.quiet()
    methods = [c["method"] for c in slack.call("calls", chat=GENERAL, since=call)["calls"]]
    assert "chat.appendStream" in methods and methods.count("chat.stopStream") == 1, methods
    (done,) = slack.messages(chat=GENERAL, since=mark, thread=ts, **FROM_BOT)
    assert done["method"] == "chat.startStream" and not done["streaming"] and done["key"]
    assert done["edits"] and re.search(r"\b20\b", done["plain"])
    assert len(slack.messages(chat=GENERAL, since=mark, **FROM_BOT)) == 1


def test_files_both_ways(house, slack):
    _, reply = answer(slack, ALICE, "!bash cat inbox/*legs.txt", "ten legs", files=[
        {"name": "legs.txt", "mime": "text/plain", "text": "ten legs"}])
    assert "result:" in reply["plain"]
    answer(slack, ALICE, "!write crab.txt eight and two claws", "result:")
    mark = newest(slack, ALICE)
    slack.inject(do="message", chat=ALICE,
                 text='!tool send_file {"path": "crab.txt", "caption": "*legs* &amp; claws"}')
    sent = slack.wait(chat=ALICE, since=mark, file="crab.txt", timeout=60, **FROM_BOT)[0]
    assert slack.file(sent["files"][0]["id"]) == b"eight and two claws"


def test_question_is_answered_by_a_button(slack):
    mark = newest(slack, ALICE)
    slack.inject(do="message", chat=ALICE, text='!tool ask_user {"question": "Tea or crab?",'
                                                ' "options": ["Tea", "Crab"]}')
    question = slack.wait(chat=ALICE, since=mark, button="Crab", timeout=60, **FROM_BOT)[0]
    slack.inject(do="press", chat=ALICE, id=question["id"], label="Crab")
    slack.wait(chat=ALICE, since=question["n"], regex="result:.*Crab", timeout=30, **FROM_BOT)
    closed(slack, ALICE, question["id"])


def test_edit_and_delete_of_a_person(house, slack):
    first, _ = answer(slack, ALICE, "teh crab", "teh crab")
    mark = newest(slack, ALICE)
    slack.inject(do="edit", chat=ALICE, id=first, text="the crab walks")
    slack.wait(chat=ALICE, since=mark, plain="the crab walks", timeout=60, **FROM_BOT)
    gone, _ = answer(slack, ALICE, "forget xyzzy", "xyzzy")
    slack.inject(do="delete", chat=ALICE, id=gone)
    slack.wait(what="idle")
    assert house.server.rows("SELECT count(*) FROM messages WHERE dir = 0 AND text LIKE"
                             " '%forget xyzzy%'") == [(0,)]


def test_slash_command_is_a_message_for_us(slack):
    mark = newest(slack, BOB)
    slack.inject(do="command", chat=BOB, command="/ask", text="what now")
    slack.wait(chat=BOB, since=mark, plain="/ask what now", timeout=60, **FROM_BOT)


def test_lost_answer_is_looked_for_and_not_sent_twice(slack):
    slack.call("fault", method="chat.postMessage", do="lost", chat=BOB)
    mark = newest(slack, BOB)
    slack.inject(do="message", chat=BOB, text="only once")
    slack.wait(what="calls", method="conversations.history", chat=BOB, timeout=60)
    answer(slack, BOB, "and then", "and then")
    said = [m for m in slack.messages(chat=BOB, since=mark, **FROM_BOT) if "only once" in m["plain"]]
    assert len(said) == 1


def test_connections_come_and_go(house, slack):
    gaps = slack.call("stats")["gaps"]
    for do in ("refresh", "warning", "refresh"):
        slack.call("wire", do=do)
        answer(slack, ALICE, f"during {do}", f"during {do}")
        slack.wait(what="sockets", count=2)
    assert slack.call("stats")["gaps"] == gaps
    for do in ("drop", "half_open", "torn", "too_many"):
        slack.call("wire", do=do, socket="oldest" if do == "too_many" else "all")
        answer(slack, ALICE, f"after {do}", f"after {do}")


def test_what_was_said_while_we_were_away_is_answered(house, slack):
    server = house.server
    ts, _ = answer(slack, GENERAL, "a thread", "a thread", mention=True)
    answer(slack, ALICE, "before", "before")
    marks = newest(slack, ALICE), newest(slack, GENERAL)
    server.stop()
    slack.inject(do="message", chat=ALICE, text="quiet one", quiet=True)
    slack.inject(do="message", chat=GENERAL, text="quiet two", mention=True, thread=ts, quiet=True)
    server.start()
    slack.wait(chat=ALICE, since=marks[0], plain="quiet one", timeout=60, **FROM_BOT)
    reply = slack.wait(chat=GENERAL, since=marks[1], plain="quiet two", timeout=60, **FROM_BOT)[0]
    assert reply["thread"] == ts
    # the overlap brought this again: it was known
    assert server.rows("SELECT count(*) FROM messages WHERE dir = 0 AND text = 'before'") == [(1,)]


def test_dead_token_is_told_with_its_fix(house, slack):
    slack.call("fault", method="chat.postMessage", do="error", error="token_revoked", chat=ALICE)
    mark = newest(slack, ALICE)
    slack.inject(do="message", chat=ALICE, text="say this later")
    house.server.wait_log("token_revoked", timeout=60)
    listed = house.server.cli("channels").stdout
    assert re.search("slack.*make a new token", listed, re.S), listed
    house.server.restart()  # as after a new token was put into the file
    house.slack.wait(what="ready")
    slack.wait(chat=ALICE, since=mark, plain="say this later", timeout=60, **FROM_BOT)
    assert len([m for m in slack.messages(chat=ALICE, since=mark, **FROM_BOT)
                if "say this later" in m["plain"]]) == 1
