# SPDX-License-Identifier: Apache-2.0
"""What a group remembers, with the real agent: facts, a new conversation and what it takes along, compaction, the model,
settings that wake, and a group's export and end.

Telegram's fake is the platform; what is tested here is the core's.
"""
import json
import os
import re
import tarfile

import platforms
import pytest
from platforms import ask
from server import cli

ALICE = "1001"
FAMILY = "-2001"


@pytest.fixture(scope="module")
def house(sandboxes, tmp_path_factory):
    with platforms.house(tmp_path_factory.mktemp("memory"), which=("telegram",),
                         config={"groups": {"time_zone": "Europe/Berlin"}},
                         groups={"home": [f"telegram:{ALICE}"], "crew": [f"telegram:{FAMILY}"]}) as world:
        yield world


def session(server, group):
    rows = server.rows("SELECT s.session_id FROM sessions s JOIN groups g ON g.id = s.group_id"
                       " WHERE g.name = ?", group)
    return rows[0][0] if rows else None


def test_the_agent_knows_where_it_is_and_what_time_it_is(telegram, server):
    ask(telegram, ALICE, "hello", "echo: hello")
    told = server.transcripts("home", "hello")[-1]
    assert "<facts>" in told and "This is the group home" in told
    assert re.search(r"Time zone: Europe/Berlin\. It is \w{3} \d{4}-\d\d-\d\d \d\d:\d\d CES?T", told)
    assert re.search(r"\[[^\]]+, \d\d:\d\d\] hello", told)
    ask(telegram, ALICE, "!bash head -1 CLAUDE.md", "result: # Memory of this group")


def test_a_new_conversation_takes_the_last_lines_along(telegram, server):
    ask(telegram, ALICE, "the key is under the mat", "under the mat")
    old = session(server, "home")
    said = cli(server, "new", "home")
    name = re.search(r"conversations/[\d-]+\.md", said).group()
    server.wait_log(rf"written.*file={name}")
    written = server.home / "groups/home" / name
    text = written.read_text("utf-8")
    assert "> the key is under the mat" in text and "## (assistant)" in text
    assert os.geteuid() != 0 or written.stat().st_uid == 10001
    ask(telegram, ALICE, "where is it", "where is it")
    assert session(server, "home") != old
    told = server.transcripts("home", "<earlier-conversation")[-1]
    assert "under the mat" in told and name in told
    # the agent itself can read it, and it is not told twice
    ask(telegram, ALICE, f"!bash grep -c 'under the mat' {name}", "result: ")
    users = [line for line in server.transcripts("home", "bash grep -c")[-1].splitlines()
             if json.loads(line).get("type") == "user"]
    assert sum("this is a new conversation" in line for line in users) == 1
    assert server.rows("SELECT count(*) FROM carry") == [(0,)]


def test_a_member_says_new_in_the_chat(telegram, server):
    ask(telegram, ALICE, "remember the milk", "remember the milk")
    old = session(server, "home")
    ask(telegram, ALICE, "/new", "the next message begins a new conversation")
    ask(telegram, ALICE, "what was it", "what was it")
    assert session(server, "home") not in (None, old)
    assert "remember the milk" in server.transcripts("home", "what was it")[-1]


def test_the_agent_sums_up_when_told(telegram, server):
    for n in range(3):
        ask(telegram, ALICE, f"a long story, part {n}", f"part {n}")
    before = session(server, "home")
    said = cli(server, "compact", "home")
    assert re.search(r"Compacted: (\d+ tokens|the conversation) became a summary", said), said
    ask(telegram, ALICE, "and then", "and then")
    assert session(server, "home") == before
    server.transcripts("home", "compact_boundary")
    # what is compacted goes on after a restart of its sandbox
    cli(server, "model", "default", "home")
    ask(telegram, ALICE, "still there", "still there")
    assert session(server, "home") == before


def test_there_is_nothing_to_sum_up(server):
    assert "no conversation to compact" in cli(server, "compact", "crew", status=2)


def test_the_model_of_a_group(telegram, server):
    assert "agent's own default" in cli(server, "model")
    said = cli(server, "model", "house-model-1", "home")
    assert "the model is house-model-1" in said
    mark = len(server.rows("SELECT id FROM usage"))
    ask(telegram, ALICE, "who are you", "who are you")
    models = {m for (m,) in server.rows("SELECT model FROM usage ORDER BY id LIMIT -1 OFFSET ?",
                                        mark)}
    assert "house-model-1" in models, models
    assert "is a model's name" in cli(server, "model", "a b", "home", status=2)
    cli(server, "model", "default", "home")


def test_words_wake_it(telegram, server):
    cli(server, "groups", "set", "crew", "trigger", "word", "hey", "chela,", "assistant")
    assert re.search(r"trigger +word hey chela, assistant +\(", cli(server, "groups", "show", "crew"))
    telegram.inject(do="message", chat=FAMILY, text="assistants are many")
    ask(telegram, FAMILY, "Hey Chela what is up", "what is up")
    cli(server, "groups", "set", "crew", "trigger", "regex", "^!?ping$")
    ask(telegram, FAMILY, "PING", "PING")
    assert "trigger" in cli(server, "groups", "set", "crew", "trigger", "regex", "(", status=2)
    cli(server, "groups", "set", "crew", "trigger", "default")
    assert re.search(r"trigger +mention +by default", cli(server, "groups", "show", "crew"))
    rows = server.rows("SELECT state FROM messages WHERE text = 'assistants are many'")
    assert rows == [(0,)]


def test_a_group_in_one_file(telegram, server):
    ask(telegram, ALICE, "!write notes/a.txt kept", "result:")
    ask(telegram, ALICE, "!bash ln -sf /etc/passwd notes/link", "result:")
    said = cli(server, "groups", "export", "home")
    path = re.search(r"Exported: (\S+),", said).group(1)
    assert os.stat(path).st_mode & 0o777 == 0o600
    with tarfile.open(path) as tar:
        names = tar.getnames()
        assert "files/notes/a.txt" in names and "files/CLAUDE.md" in names
        assert tar.getmember("files/notes/link").issym()
        lines = [json.loads(line) for line in tar.extractfile("messages.jsonl")]
        settings = json.load(tar.extractfile("settings.json"))
        tasks = json.load(tar.extractfile("tasks.json"))
        json.load(tar.extractfile("people.json"))
    assert any(m["text"].startswith("the key is under") for m in lines)
    assert {m["from"] for m in lines} >= {"person", "assistant"}
    assert settings["settings"]["zone"] == "Europe/Berlin" and tasks["tasks"] == []
    assert not any("crew" in json.dumps(m) for m in lines)


def test_a_removed_group_comes_back_with_what_it_had(telegram, server):
    said = cli(server, "groups", "remove", "home")
    assert "chela groups add home brings it back" in said
    assert "home" not in cli(server, "groups")
    telegram.inject(do="message", chat=ALICE, text="anybody?")
    telegram.wait(what="idle", timeout=30)
    assert server.rows("SELECT count(*) FROM messages WHERE text = 'anybody?'") == [(0,)]
    cli(server, "groups", "add", "home", f"telegram:{ALICE}")
    ask(telegram, ALICE, "!bash cat notes/a.txt", "result: kept")
    ask(telegram, ALICE, '!tool search_history {"query": "key mat"}', "under the mat")


def test_data_goes_when_told(telegram, server):
    assert "main cannot be removed" in cli(server, "groups", "remove", "main", "--data", status=1)
    (group,) = server.rows("SELECT id FROM groups WHERE name = 'home'")
    mark = server.bus.mark()
    assert "being deleted" in cli(server, "groups", "remove", "home", "--data")
    server.wait_log(r"data deleted.*group=home", since=mark)
    assert not (server.home / "groups/home").exists()
    assert not (server.home / "sessions/home").exists()
    assert server.rows("SELECT dir, state, text FROM messages WHERE group_id = ?", *group) == []
    for table in ("sessions", "tasks", "carry"):
        rows = server.rows(f"SELECT count(*) FROM {table} WHERE group_id = ?", *group)
        assert rows == [(0,)], table
    assert server.rows("SELECT count(*) FROM messages_fts WHERE messages_fts MATCH 'mat'") == [(0,)]
    cli(server, "groups", "add", "home", f"telegram:{ALICE}")
    cli(server, "groups", "set", "home", "strangers", "allow")
    ask(telegram, ALICE, "!bash ls", "CLAUDE.md")
    assert len(server.transcripts("home", "bash ls")) == 1
