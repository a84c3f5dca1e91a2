# SPDX-License-Identifier: Apache-2.0
"""One server, all three platforms (fakes that keep their rules), the real Claude Code in each group's sandbox: a conversation
in each with files, threads, edits, reactions, questions and streaming. And one platform that hangs does not delay another.
"""
import re
import time

import platforms
import pytest
from platforms import FROM_BOT, answer, closed, hear, newest

GENERAL, ALICE = "C00GENERAL", "D0000ALICE"
CAROL = "1001"
ANN, FAMILY = "4915110000001@s.whatsapp.net", "120363000000000001@g.us"
GROUPS = {"work": [f"slack:{GENERAL}", f"slack:{ALICE}"], "home": [f"telegram:{CAROL}"],
          "family": [f"whatsapp:{ANN}", f"whatsapp:{FAMILY}"]}


@pytest.fixture(scope="module")
def house(sandboxes, tmp_path_factory):
    """The server and its platforms; one for the whole file."""
    with platforms.house(tmp_path_factory.mktemp("three"), groups=GROUPS) as world:
        yield world


def test_slack_thread_file_and_streaming(house):
    slack = house.slack
    ts, reply = answer(slack, GENERAL, "look:\n!bash cat inbox/*note.txt", "the crab has ten legs",
                       mention=True, files=[{"name": "note.txt", "mime": "text/plain",
                                             "text": "the crab has ten legs"}])
    assert reply["thread"] == ts
    # a reply in the thread needs no mention, and stays there
    _, reply = answer(slack, GENERAL, "hello again", "echo: hello again", thread=ts)
    assert reply["thread"] == ts
    mark = newest(slack, ALICE)
    slack.inject(do="message", chat=ALICE, text="!slow 200 20")
    grown = slack.wait(chat=ALICE, since=mark, timeout=60, **FROM_BOT)[0]
    done = slack.wait(chat=ALICE, since=mark, timeout=60, regex=r"\b20\b", **FROM_BOT)
    assert [m["id"] for m in done] == [grown["id"]], "the answer stands beside its draft"
    assert not [c for c in slack.call("calls", method="chat.postMessage")["calls"]
                if c["chat"] == ALICE and c["n"] > grown["n"] and c["status"] != 200]


def test_slack_edit_of_ours_and_reaction(house):
    slack = house.slack
    # a draft of the answer may stand there before what the tool has sent
    said = hear(slack, ALICE, '!tool send_message {"text": "first words"}', r"result: .*message \d+ of")
    number = re.search(r"message (\d+)", said).group(1)
    first = slack.wait(chat=ALICE, plain="first words", timeout=30, **FROM_BOT)[0]
    answer(slack, ALICE, f'!tool edit_message {{"message_id": {number}, "text": "better words"}}',
           "result:")
    edited = slack.wait(chat=ALICE, id=first["id"], edited=True, timeout=30)[0]
    assert edited["plain"] == "better words"
    asked, _ = answer(slack, ALICE, '!tool react {"emoji": "👍"}', "result:")
    slack.wait(chat=ALICE, id=asked, reaction="+1", timeout=30)


def test_telegram_file_back_reaction_and_draft(house):
    telegram = house.telegram
    answer(telegram, CAROL, "!write crab.txt eight and two claws", "result:")
    answer(telegram, CAROL, '!tool send_file {"path": "crab.txt", "caption": "*legs*"}', "result:")
    sent = telegram.wait(chat=CAROL, file="crab.txt", timeout=30, **FROM_BOT)[0]
    assert telegram.file(sent["files"][0]["id"]) == b"eight and two claws"
    asked, _ = answer(telegram, CAROL, '!tool react {"emoji": "👍"}', "result:")
    telegram.wait(chat=CAROL, id=asked, reaction="👍", timeout=30)
    telegram.inject(do="message", chat=CAROL, text="!slow 200 20")
    telegram.wait(what="signs", chat=CAROL, kind="draft", timeout=30)
    telegram.wait(what="signs", chat=CAROL, kind="typing", timeout=30)


def test_telegram_question_with_buttons(house):
    telegram = house.telegram
    mark = newest(telegram, CAROL)
    telegram.inject(do="message", chat=CAROL, text='!tool ask_user {"question": "Tea or crab?",'
                                                   ' "options": ["Tea", "Crab"]}')
    question = telegram.wait(chat=CAROL, since=mark, button="Crab", timeout=60, **FROM_BOT)[0]
    telegram.inject(do="press", chat=CAROL, id=question["id"], label="Crab")
    telegram.wait(chat=CAROL, since=question["n"], regex="result:.*Crab", timeout=30, **FROM_BOT)
    closed(telegram, CAROL, question["id"])


def test_whatsapp_group_question_in_numbers(house):
    whatsapp = house.whatsapp
    # not meant for us: kept as context, no answer
    whatsapp.inject(do="message", chat=FAMILY, text="who buys the bread?")
    _, reply = answer(whatsapp, FAMILY, "hello", "echo: ", mention=True)
    assert "who buys the bread" not in reply["plain"] or "hello" in reply["plain"]
    mark = newest(whatsapp, FAMILY)
    whatsapp.inject(do="message", chat=FAMILY, mention=True,
                    text='so:\n!tool ask_user {"question": "Which day?", "options": ["Mon", "Tue"]}')
    whatsapp.wait(chat=FAMILY, since=mark, plain="Which day?", timeout=60, **FROM_BOT)
    # somebody else's words, passed on, answer nothing
    whatsapp.inject(do="message", chat=FAMILY, text="1", forwarded=True)
    whatsapp.inject(do="message", chat=FAMILY, text="2")
    whatsapp.wait(chat=FAMILY, since=mark, regex="result:.*Tue", timeout=30, **FROM_BOT)


def test_whatsapp_photo_edit_and_delete(house):
    whatsapp = house.whatsapp
    png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    _, reply = answer(whatsapp, ANN, "!bash ls -l inbox", "crab.png", files=[
        {"name": "crab.png", "mime": "image/png", "kind": "image", "base64": png}])
    assert "result:" in reply["plain"]
    first, _ = answer(whatsapp, ANN, "teh crab", "echo: teh crab")
    mark = newest(whatsapp, ANN)
    whatsapp.inject(do="edit", chat=ANN, id=first, text="the crab")
    whatsapp.wait(chat=ANN, since=mark, plain="the crab", timeout=60, **FROM_BOT)
    gone, _ = answer(whatsapp, ANN, "forget this: xyzzy", "xyzzy")
    whatsapp.inject(do="delete", chat=ANN, id=gone)
    whatsapp.wait(what="idle", timeout=30)
    assert house.server.rows("SELECT count(*) FROM messages WHERE dir = 0 AND text LIKE"
                             " '%forget this%'") == [(0,)]


def test_a_platform_that_hangs_delays_no_other(house):
    slack, telegram = house.slack, house.telegram
    answer(telegram, CAROL, "warm", "echo: warm")
    slack.call("fault", method="*", do="stall", count=0)
    slack.call("wire", do="half_open")
    try:
        slack.inject(do="message", chat=ALICE, text="are you there")
        begin = time.monotonic()
        answer(telegram, CAROL, "and you", "echo: and you")
        assert time.monotonic() - begin < 20
    finally:
        slack.call("clear")


def test_an_unknown_chat_is_listed_and_gets_no_answer(house):
    telegram, server = house.telegram, house.server
    telegram.inject(do="message", chat="1002", text="let me in")
    telegram.wait(what="idle", timeout=30)
    server.wait_log("telegram:1002")
    assert not telegram.messages(chat="1002", **FROM_BOT)
    assert re.search(r"telegram:1002\b.* -", server.cli("chats").stdout)


def test_what_a_platform_refuses_is_a_dead_letter(house):
    telegram, server = house.telegram, house.server
    # once: the notice about it must arrive, or it would be a second dead letter
    telegram.call("fault", method="sendMessage", chat=CAROL, do="error", error=400, count=1,
                  description="Bad Request: message text is not to my taste")
    mark = server.bus.mark()
    telegram.inject(do="message", chat=CAROL, text="refuse this")
    server.wait_log('msg="given up" channel=telegram', since=mark)
    telegram.call("clear")
    listed = server.cli("outbox").stdout
    assert "not to my taste" in listed and "telegram:1001" in listed
    number = listed.split()[0]
    assert server.cli("outbox", "retry", number).returncode == 0
    telegram.wait(chat=CAROL, plain="refuse this", timeout=30, **FROM_BOT)
    assert "No dead letters" in server.cli("outbox").stdout
