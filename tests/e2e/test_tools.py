# SPDX-License-Identifier: Apache-2.0
"""What the agent's tools do in the chat, with the real Claude Code calling them: on the console, which has next to
nothing, and on a strict fake of Telegram. And the answer as it grows there.
"""
import os
import random
import re

import platforms
import pytest
from platforms import FROM_BOT, closed, newest
from server import OWN_RUNTIMES

CAROL, WORK = "1001", "-1003001"


@pytest.fixture(scope="module")
def house(sandboxes, tmp_path_factory):
    with platforms.house(tmp_path_factory.mktemp("tools"), which=("telegram",), trigger="always",
                         groups={"home": [f"telegram:{CAROL}"], "work": [f"telegram:{WORK}"]}) as world:
        yield world


def result(house, chat, text, timeout=60):
    """Says it to the demo model and gives what the tool answered, once it is no draft any more."""
    fake = house.telegram
    mark = newest(fake, chat)
    fake.inject(do="message", chat=chat, text=text)
    fake.wait(chat=chat, since=mark, regex="result: ", timeout=timeout, **FROM_BOT)
    house.server.quiet()
    found = fake.messages(chat=chat, since=mark, regex="result: ", **FROM_BOT)
    return found[-1]["plain"].split("result: ", 1)[1]


def unspooled(server):
    """Nothing waits to be sent, and no copy of a file stayed."""
    return not os.listdir(server.home / "spool")


# --- the console: hardly any powers

def test_what_the_console_cannot_is_said(chat):
    chat.ask("!write here.txt words")
    for tool, args, words in (("send_file", '{"path": "here.txt"}', "no way to send files"),
                              ("react", '{"emoji": "👍"}', "no reactions"),
                              ("edit_message", '{"message_id": 1, "text": "x"}', "no way to change")):
        text = chat.ask(f"!tool mcp__chela__{tool} {args}")
        assert "on console, where Chela has" in text and words in text, text


def test_a_question_on_the_console_is_answered_by_a_number(warm, chat):
    mark = chat.bus.mark()
    asked = chat.say('!tool mcp__chela__ask_user {"question": "Which?", "options": ["left", "right"]}')
    text = chat.wait_message("Reply with a number.", 60, mark)["text"]
    assert "1. left" in text and "2. right" in text
    said = chat.say("2")
    answer = chat.answer(asked)
    assert "operator answered: right" in answer
    assert chat.settled(said)
    # it was the answer, not a message to the agent
    assert "echo: 2" not in answer
    assert warm.rows("SELECT state FROM messages WHERE platform_id = ?", said) == [(3,)]


@pytest.mark.parametrize("runtime", OWN_RUNTIMES, indirect=True, scope="session")
def test_a_question_that_nobody_answers_times_out(chat):
    text = chat.ask('!tool mcp__chela__ask_user {"question": "Anyone?", "options": ["a", "b"],'
                    ' "timeout_s": 10}')
    assert "No answer within 10 s." in text


def test_a_stop_ends_a_question(chat):
    mark = chat.bus.mark()
    asked = chat.say('!tool mcp__chela__ask_user {"question": "Wait?", "options": ["a", "b"]}')
    chat.wait_message("Reply with a number.", 60, mark)
    chat.stop()
    assert "Stopped." in chat.failure(asked, 40)
    assert "echo: 1" in chat.ask("1")


# --- Telegram

def test_files_arrive_byte_for_byte(house):
    telegram, server = house.telegram, house.server
    result(house, CAROL, "!bash head -c 3000000 /dev/zero | tr '\\0' x > big.bin; echo made")
    data = random.Random(7).randbytes(700_001)
    # the agent's own folder, as it sees it
    folder = server.home / "groups/home"
    (folder / "noise.bin").write_bytes(data)
    os.chmod(folder / "noise.bin", 0o644)
    mark = newest(telegram, CAROL)
    said = result(house, CAROL, '!tool send_file {"path": "/workspace/noise.bin", "name": "n.dat"}')
    assert re.search(r"Queued n\.dat \(700001 bytes\) as message \d+", said), said
    sent = telegram.wait(chat=CAROL, since=mark, file="n.dat", timeout=30, **FROM_BOT)[0]
    assert telegram.file(sent["files"][0]["id"]) == data
    result(house, CAROL, '!tool send_file {"path": "big.bin", "caption": "**all** x"}')
    sent = telegram.wait(chat=CAROL, since=mark, file="big.bin", timeout=30, **FROM_BOT)[0]
    assert telegram.file(sent["files"][0]["id"]) == b"x" * 3_000_000
    assert sent["plain"] == "all x"
    server.until(lambda: unspooled(server), "empty spool")


def test_no_file_leaves_that_is_not_the_groups(house):
    server = house.server
    result(house, CAROL, "!bash ln -s /etc/passwd p; ln -s ../.. up; mkdir -p d; touch e")
    os.mkfifo(server.home / "groups/home/pipe")  # the sandbox itself may make none
    wrong = (("p", "symbolic link"), ("up/config/chela.yaml", "symbolic link"),
             ("../../config/chela.yaml", "may lie outside"), ("pipe", "no regular file"),
             ("d", "a folder"), ("e", "is empty"), ("/etc/passwd", "no file of /workspace"),
             ("none", "there is no file"))
    said = result(house, CAROL, "\n".join(f'!tool send_file {{"path": "{path}"}}' for path, _ in wrong))
    said = said.split("result: ")
    assert len(said) == len(wrong), said
    for one, (_, words) in zip(said, wrong):
        assert "Not sent: " in one and words in one, one
    assert unspooled(server)


def test_a_message_of_ours_is_edited(house):
    telegram, server = house.telegram, house.server
    mark = newest(telegram, WORK)
    said = result(house, WORK, '!tool send_message {"text": "the frist"}')
    number = re.search(r"message (\d+)", said).group(1)
    sent = telegram.wait(chat=WORK, since=mark, plain="the frist", timeout=30, **FROM_BOT)[0]
    said = result(house, WORK, f'!tool edit_message {{"message_id": {number}, "text": "the *first*"}}')
    assert "will get the new text" in said
    telegram.wait(chat=WORK, id=sent["id"], plain="the first", timeout=30, **FROM_BOT)
    assert server.rows("SELECT text FROM messages WHERE id = ?", number) == [("the *first*",)]
    asked = server.rows("SELECT max(id) FROM messages WHERE dir = 0")[0][0]
    said = result(house, WORK, f'!tool edit_message {{"message_id": {asked}, "text": "x"}}')
    assert "is not one of yours" in said
    # another group's message is not there
    other = server.rows("SELECT max(m.id) FROM messages m JOIN groups g ON g.id = m.group_id"
                        " WHERE g.name = 'home' AND dir = 1")[0][0]
    said = result(house, WORK, f'!tool edit_message {{"message_id": {other}, "text": "x"}}')
    assert "this chat has no message" in said


def test_an_open_question_is_asked_again_after_a_crash(house):
    telegram, server = house.telegram, house.server
    mark = newest(telegram, CAROL)
    telegram.inject(do="message", chat=CAROL, text='!tool ask_user {"question": "Sink or swim?",'
                                                   ' "options": ["Sink", "Swim"]}')
    first = telegram.wait(chat=CAROL, since=mark, button="Swim", timeout=60, **FROM_BOT)[0]
    server.kill()
    server.start()
    house.ready()
    second = telegram.wait(chat=CAROL, since=first["n"], button="Swim", timeout=60, **FROM_BOT)[0]
    telegram.inject(do="press", chat=CAROL, id=second["id"], label="Swim")
    telegram.wait(chat=CAROL, since=second["n"], regex="result: .* answered: Swim", timeout=30,
                  **FROM_BOT)
    assert closed(telegram, CAROL, second["id"])["plain"].startswith("Sink or swim?\n\n→ Swim (")


def test_an_answer_grows_in_one_message_of_a_group(house):
    telegram = house.telegram
    mark = newest(telegram, WORK)
    telegram.inject(do="message", chat=WORK, text="!slow 100 40")
    grown = telegram.wait(chat=WORK, since=mark, timeout=60, **FROM_BOT)[0]
    telegram.inject(do="message", chat=WORK, text="and now")
    last = telegram.wait(chat=WORK, since=mark, plain="echo: and now", timeout=60, **FROM_BOT)[0]
    house.server.quiet()
    ours = telegram.messages(chat=WORK, since=mark, **FROM_BOT)
    assert ours[0]["id"] == grown["id"] and ours[0]["edits"], "it did not grow"
    assert re.search(r"\b40\b", ours[0]["plain"]), ours[0]
    assert len(ours) <= 2 and ours[-1]["id"] == last["id"], "an answer stands beside its draft"


def test_a_tool_is_told_while_it_runs(house):
    telegram = house.telegram
    mark = newest(telegram, WORK)
    telegram.inject(do="message", chat=WORK, text="!bash until [ -e go ]; do sleep 0.1; done; echo gone")
    telegram.wait(chat=WORK, since=mark, regex=r"… Runs: until \[ -e go \]", timeout=60, **FROM_BOT)
    (house.server.home / "groups/work/go").touch()
    telegram.wait(chat=WORK, since=mark, plain="result: gone", timeout=60, **FROM_BOT)
    house.server.quiet()
    assert len(telegram.messages(chat=WORK, since=mark, **FROM_BOT)) == 1


def test_a_group_may_want_no_drafts(house):
    telegram, server = house.telegram, house.server
    for key in ("drafts", "typing"):
        assert server.cli("groups", "set", "work", key, "off").returncode == 0
    mark = newest(telegram, WORK)
    signs = len(telegram.call("signs", chat=WORK)["signs"])
    telegram.inject(do="message", chat=WORK, text="!slow 100 20")
    done = telegram.wait(chat=WORK, since=mark, regex="20", timeout=60, **FROM_BOT)[0]
    assert not done["edits"]
    assert len(telegram.call("signs", chat=WORK)["signs"]) == signs


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("CHELA_LONG"), reason="takes seven minutes: make e2e")
def test_a_question_may_wait_longer_than_http_clients_do(chat):
    """Longer than the agent's own limits for a first byte (1 min), silence and a whole request (5 min)."""
    mark = chat.bus.mark()
    asked = chat.say('!tool mcp__chela__ask_user {"question": "Slow?", "options": ["a", "b"],'
                     ' "timeout_s": 400}')
    chat.wait_message("Reply with a number.", 60, mark)
    assert "No answer within 400 s." in chat.answer(asked, 460)
