# SPDX-License-Identifier: Apache-2.0
"""Tasks in a whole server with real sandboxes: on time, through a gate, in a sandbox of their own, and across the death of the server.

Owns: that a run is what the run log says it is. Must never: wait for a time that it has not set itself."""
import datetime
import os
import re
import sqlite3

import pytest
from server import cli


@pytest.fixture
def server(shared):
    return shared


def soon(seconds):
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return at.strftime("at %Y-%m-%dT%H:%M:%SZ")


def runs(server, name):
    cli(server, "status")  # what was logged is durable once the server answers
    return server.rows("SELECT r.state, r.text, r.error FROM task_runs r JOIN tasks t ON t.id = r.task_id"
                       " WHERE t.name = ? ORDER BY r.id", name)


OK, FAILED, ASLEEP, MISSED = 3, 4, 5, 7


def test_a_gate_decides_and_a_disposable_sandbox_disappears(server):
    chat = server.console()
    cli(server, "tasks", "add", "main", "news", "every 1d", "!bash cat /group/kept; ls /workspace | wc -l")
    cli(server, "tasks", "set", "news", "context", "isolated")
    (server.home / "groups/main/kept").write_text("of the group\n", "utf-8")
    cli(server, "tasks", "set", "news", "gate",
        "grep -q 'of the group' /group/kept || exit 3\n"
        "test $CHELA_TASK = news || exit 4\n"
        "[ -f /group/wake ] && echo '{\"wake\": true, \"data\": {\"n\": 7}}' || echo '{\"wake\": false}'")
    cli(server, "tasks", "run", "news")
    server.wait_log(r'msg="a run ended".*how="not woken"', 60)
    assert runs(server, "news") == [(ASLEEP, "", "")]
    (server.home / "groups/main/wake").write_text("x", "utf-8")
    mark, logged = chat.bus.mark(), server.bus.mark()
    cli(server, "tasks", "run", "news")
    said = chat.wait_message(lambda text: "of the group" in text, 60, mark)["text"]
    assert "\n0" in said, said
    assert "gate script says" in said  # the demo model echoes what it was told
    server.wait_log(r"sandbox ended.*kind=task", 60, logged)
    server.until(lambda: not os.listdir(server.home / "tasks"), "removal of the sandboxes' folders")
    assert server.rows("SELECT count(*) FROM sessions") == [(0,)], "it is no session of the group's"


def test_a_gate_that_is_broken_says_so_once(server):
    chat = server.console()
    mark = chat.bus.mark()
    cli(server, "tasks", "add", "main", "broken", "every 1d", "never")
    cli(server, "tasks", "set", "broken", "gate", "echo no such mailbox >&2; exit 9")
    cli(server, "tasks", "run", "broken")
    note = chat.wait_message(lambda text: "broken" in text, 60, mark)["text"]
    assert "its gate: it ended with code 9: " in note and "no such mailbox" in note
    assert runs(server, "broken")[0][0] == FAILED


def test_a_task_speaks_on_time_in_the_groups_own_session(server):
    chat = server.console()
    chat.ask("hello")
    mark = chat.bus.mark()
    cli(server, "tasks", "add", "main", "once", soon(5), "!bash echo from-$((40+2))")
    assert "result: from-42" in chat.wait_message(lambda text: "from-" in text, 60, mark)["text"]
    assert runs(server, "once")[0][0] == OK
    assert server.rows("SELECT state FROM tasks WHERE name = 'once'") == [(2,)]
    # the same agent: no second sandbox was started
    assert not server.log_lines(r'comp=session msg="ready"', mark)
    text = cli(server, "tasks", "runs", "once")
    assert re.search(r"run \d+ of once: slot.*, ok in .* tokens", text), text
    assert "from-42" in text


def test_a_run_survives_the_death_of_the_server(server):
    chat = server.console()
    cli(server, "tasks", "add", "main", "long", "every 1d",
        "!tool send_message {\"text\": \"begun\"}\n!bash until [ -s gate ]; do sleep 0.05; done; cat gate")
    mark = chat.bus.mark()
    cli(server, "tasks", "run", "long")
    chat.wait_message(lambda text: "begun" in text, 60, mark)
    server.kill()
    (server.home / "groups/main/gate").write_text("open\n", "utf-8")
    server.start()
    server.console().wait_message(lambda text: "result: open" in text, 120)
    assert [r[0] for r in runs(server, "long")] == [OK]


def test_what_was_missed_is_made_up_for_as_the_task_says(server):
    cli(server, "tasks", "add", "main", "latest", soon(3600), "good evening")
    cli(server, "tasks", "add", "main", "skips", soon(3600), "good evening")
    cli(server, "tasks", "set", "skips", "catch_up", "skip")
    server.stop()
    db = sqlite3.connect(server.home / "chela.db")  # as if it had been half an hour ago
    db.execute("UPDATE tasks SET next_ms = next_ms - 5400000, due_ms = due_ms - 5400000,"
               " spec = 'every 1h', anchor_ms = next_ms - 9000000 WHERE name IN ('latest', 'skips')")
    db.commit()
    db.close()
    server.start()
    server.console().wait_message(lambda text: "echo: good evening" in text, 60)
    assert [r[0] for r in runs(server, "skips")] == [MISSED]
    assert [r[0] for r in runs(server, "latest")] == [OK]
