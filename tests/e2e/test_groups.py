# SPDX-License-Identifier: Apache-2.0
"""Groups end to end: which chats are listened to, what wakes the agent, what it is told of what was said before,
threads as sessions, files in the agent's folder, and what people do to messages later.

Telegram's fake is the platform; what is tested here is the core's.
"""
import os
import re

import platforms
import pytest
from platforms import FROM_BOT, ask, newest, say
from server import cli

ALICE, BOB = "1001", "1002"
FAMILY, WORK, PROJECT = "-2001", "-1003001", "-1003002"
CONFIG = {"files": {"max_in": "100K", "transcribe": '[sed, s/Ogg/Words of /, "{}"]'}}


@pytest.fixture(scope="module")
def house(sandboxes, tmp_path_factory):
    with platforms.house(tmp_path_factory.mktemp("groups"), which=("telegram",), config=CONFIG) as world:
        yield world


def join(server, group, chat):
    """The chat belongs to the group, whose people are all guests."""
    cli(server, "groups", "add", group, f"telegram:{chat}")
    cli(server, "groups", "set", group, "strangers", "allow")


def test_a_stranger_is_listed_and_refused_until_linked(telegram, server):
    say(telegram, ALICE, "let me in")
    line = server.wait_log(r"a chat without a group")
    assert f'fix="chela groups add GROUP telegram:{ALICE}"' in line
    listed = cli(server, "chats")
    assert re.search(rf"^telegram:{ALICE}  -  \".*\" \(direct\), last seen .*, 1 refused$",
                     listed, re.M), listed
    assert "chela groups add GROUP CHANNEL:CHAT" in listed
    assert server.rows("SELECT count(*) FROM messages")[0][0] == 0
    assert "taken" in cli(server, "groups", "add", "home", f"telegram:{ALICE}")
    ask(telegram, ALICE, "hello", "echo: hello")
    assert "let me in" not in server.transcripts("home", "hello")[-1]
    assert re.search(rf"^telegram:{ALICE}  home ", cli(server, "chats"), re.M)
    assert f"home: telegram:{ALICE}" in cli(server, "groups")
    cli(server, "groups", "unlink", f"telegram:{ALICE}")
    say(telegram, ALICE, "still there?")
    telegram.wait(what="idle", timeout=30)
    assert "refused" in cli(server, "chats")
    assert server.rows("SELECT count(*) FROM messages WHERE text = 'still there?'")[0][0] == 0
    join(server, "home", ALICE)


def test_wrong_words_say_what_is_right(server):
    join(server, "crew", FAMILY)
    for words, told in (
            (("add", "Crew", "telegram:1"), "no group name"),
            (("add", "crew", "1"), "no CHANNEL:CHAT"),
            (("add", "crew", "icq:1"), 'no channel "icq"'),
            (("add", "crew", "console:main"), "chela chat GROUP"),
            (("set", "crew", "trigger", "never"), 'trigger is mention, always, word WORD[,WORD] or regex RE, not "never"'),
            (("set", "crew", "colour", "red"), "use trigger, sticky, sessions"),
            (("unlink", "telegram:77"), "belongs to no group"),
            (("add", "home", f"telegram:{FAMILY}"), "belongs to crew"),
            (("add",), "usage: chela groups")):
        assert told in cli(server, "groups", *words, status=2), words
    assert "no group" in cli(server, "groups", "show", "nobody", status=1)
    shown = cli(server, "groups", "show", "crew")
    assert re.search(r"trigger +mention +by default \(mention, always, word", shown)
    assert f"telegram:{FAMILY}" in shown


def test_what_was_said_before_is_told_once(telegram, server):
    join(server, "crew", FAMILY)
    say(telegram, FAMILY, "the key is under the mat")
    say(telegram, FAMILY, "!bash touch must-not-run", user=BOB)
    ask(telegram, FAMILY, "where is it", "where is it", mention=True)
    told = server.transcripts("crew", "where is it")[-1]
    assert told.count("the key is under the mat") >= 1 and "<context note=" in told
    assert not (server.home / "groups/crew/must-not-run").exists()
    ask(telegram, FAMILY, "thanks", "thanks", mention=True)
    lines = [line for line in server.transcripts("crew", "thanks")[-1].splitlines() if "thanks" in line]
    assert not any("under the mat" in line for line in lines)


def test_always_means_always(telegram, server):
    join(server, "crew", FAMILY)
    cli(server, "groups", "set", "crew", "trigger", "always")
    ask(telegram, FAMILY, "to nobody", "echo: to nobody")
    cli(server, "groups", "set", "crew", "trigger", "mention")


def test_a_thread_can_be_a_session(telegram, server):
    join(server, "project", PROJECT)
    cli(server, "groups", "set", "project", "sessions", "thread")
    for thread in ("11", "12"):
        reply = ask(telegram, PROJECT, f"in {thread}", f"in {thread}", mention=True, thread=thread)
        assert reply["thread"] == thread
    rows = server.rows("SELECT s.session, s.session_id FROM sessions s JOIN groups g"
                       " ON g.id = s.group_id WHERE g.name = 'project'")
    assert len(rows) == 2 and len({r[1] for r in rows}) == 2
    assert {r[0].split(".")[1] for r in rows} == {"11", "12"}
    # a topic is a room: that we have spoken there does not make us meant
    mark = newest(telegram, PROJECT)
    say(telegram, PROJECT, "among ourselves", thread="11")
    ask(telegram, PROJECT, "and more", "and more", mention=True, thread="11")
    assert len(telegram.messages(chat=PROJECT, since=mark, **FROM_BOT)) == 1


def test_files_lie_in_the_agents_folder(telegram, server):
    join(server, "home", ALICE)
    inbox = server.home / "groups/home/inbox"
    ask(telegram, ALICE, "!bash cat inbox/*-notes.txt", "result: forty-two",
        files=[{"kind": "document", "name": "../../notes.txt", "text": "forty-two"}])
    (saved,) = inbox.glob("*notes.txt")
    info = saved.stat()
    assert info.st_mode & 0o7777 == 0o644
    assert os.geteuid() != 0 or info.st_uid == 10001
    ask(telegram, ALICE, "words", "Words of S", files=[
        {"kind": "voice", "name": "v.ogg", "text": "OggS spoken"}])
    mark = newest(telegram, ALICE)
    say(telegram, ALICE, "too big", files=[{"kind": "document", "name": "big.bin", "size": 200000}])
    telegram.wait(chat=ALICE, since=mark, plain="could not be fetched", timeout=60, **FROM_BOT)
    assert not list(inbox.glob("*big.bin"))


def test_the_agent_cannot_lead_a_file_astray(telegram, server):
    join(server, "bob", BOB)
    ask(telegram, BOB, "!bash ln -s /etc inbox; ls -ld inbox", "inbox -> /etc")
    mark = newest(telegram, BOB)
    say(telegram, BOB, "here", files=[{"kind": "document", "name": "a.txt", "text": "a"}])
    telegram.wait(chat=BOB, since=mark, plain="is not a folder", timeout=60, **FROM_BOT)


def test_reactions_are_told_with_the_next_words(telegram, server):
    join(server, "home", ALICE)
    reply = ask(telegram, ALICE, "a joke", "echo: a joke")
    telegram.inject(do="react", chat=ALICE, id=reply["id"], user=ALICE, emoji="👍")
    telegram.wait(what="idle", timeout=30)
    ask(telegram, ALICE, "another", "echo: another")
    server.transcripts("home", "[reacted 👍 to")
    assert "[reacted" not in "\n".join(m["plain"] for m in telegram.messages(chat=ALICE))


def test_a_file_on_its_way_survives_a_kill(telegram, server, house):
    join(server, "home", ALICE)
    telegram.call("fault", method="download", do="slow", seconds=30, count=1)
    mark = newest(telegram, ALICE)
    say(telegram, ALICE, "!bash cat inbox/*-late.txt",
        files=[{"kind": "document", "name": "late.txt", "text": "better late"}])
    telegram.wait(what="idle", timeout=30)
    assert server.rows("SELECT count(*) FROM messages WHERE state = 5") == [(1,)]
    server.kill()
    server.start()
    house.ready()
    telegram.wait(chat=ALICE, since=mark, plain="result: better late", timeout=60, **FROM_BOT)
    assert server.rows("SELECT count(*) FROM messages WHERE state IN (1, 2, 5)") == [(0,)]
