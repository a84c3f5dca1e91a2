# SPDX-License-Identifier: Apache-2.0
"""Turns: follow-ups while one runs, stopping, time limits, and what outlives a sandbox or a server."""
import os
import re
import shutil
import signal

import pytest

import engine
from server import cli


def open_gate(server):
    """Lets the agent's waiting tool go on."""
    (server.home / "groups/main/gate").write_text("open\n", "utf-8")


def hold_turn(server, chat):
    """A turn that waits in a tool call until the test opens the gate. (No FIFO: gVisor does not share one.)"""
    (server.home / "groups/main/gate").unlink(missing_ok=True)
    mark = chat.bus.mark()
    uid = chat.say("!bash echo waiting; until [ -s gate ]; do sleep 0.05; done; cat gate")
    chat.wait_event("progress", 60, mark, lambda e: e["kind"] == "tool")
    return uid


@pytest.fixture
def server(make_server):
    return make_server()


def warm_up(server):
    """A chat with an agent that has nothing to do, and the sequence number of what came last."""
    chat = server.console()
    chat.ask("warm up")
    return chat, max(chat.messages)


def states(server, after):
    return server.rows("SELECT id, state, turn_id FROM messages WHERE dir = 0 AND id > ? ORDER BY id", after)


def echoes(chat, after):
    return [int(n) for n in re.findall(r"echo: \w+(?:-up)? number (\d+)\.", "\n".join(chat.outs(after)))]


def test_50_messages_during_a_tool_call(shared):
    """All are handed in while the turn runs, in order, each answered once."""
    chat, after = warm_up(shared)
    first = hold_turn(shared, chat)
    ids = [chat.say(f"follow-up number {i}.") for i in range(50)]
    for uid in ids:
        chat.stored(uid)
    open_gate(shared)
    for uid in [first, *ids]:
        assert chat.settled(uid)
    chat.sync()
    assert echoes(chat, after) == list(range(50))
    rows = states(shared, after)
    assert len(rows) == 51 and all(state == 3 for _, state, _ in rows)
    assert len({turn for _, _, turn in rows}) == 1, "they were not handed in during the turn"


def test_50_messages_while_text_streams(shared):
    chat, after = warm_up(shared)
    mark = chat.bus.mark()
    first = chat.say("!slow 20 100")
    chat.wait_event("progress", 60, mark, lambda e: e["kind"] == "text")
    ids = [chat.say(f"follow-up number {i}.") for i in range(50)]
    for uid in [first, *ids]:
        assert chat.settled(uid)
    chat.sync()
    assert echoes(chat, after) == list(range(50))
    assert all(state == 3 for _, state, _ in states(shared, after))


def test_50_messages_before_the_sandbox_is_there(server):
    chat = server.console()
    ids = [chat.say(f"early number {i}.") for i in range(50)]
    for uid in ids:
        assert chat.settled(uid)
    chat.sync()
    assert echoes(chat, 0) == list(range(50))


def test_stop_ends_the_turn_with_a_notice(shared):
    chat, _ = warm_up(shared)
    mark = chat.bus.mark()
    for text, kind in (("!slow 100 600", "text"), ("!bash until [ -e never ]; do sleep 0.1; done", "tool")):
        said = chat.bus.mark()
        uid = chat.say(text)
        chat.wait_event("progress", 60, said, lambda e, k=kind: e["kind"] == k)
        chat.stop()
        assert "Stopped." in chat.failure(uid, 40)
        assert "echo: next" in chat.ask("next")
    assert not shared.log_lines("sandbox started", mark), "the sandbox need not die for a stop"


def test_stop_ends_follow_ups_too(shared):
    chat, after = warm_up(shared)
    first = hold_turn(shared, chat)
    later = [chat.say(f"later {i}") for i in range(3)]
    for uid in later:
        chat.stored(uid)
    chat.stop()
    for uid in [first, *later]:
        assert not chat.settled(uid, 40), chat.said[uid]
    chat.sync()
    assert not any("echo: later" in t for t in chat.outs(after))
    assert sum("Stopped." in t for t in chat.outs(after)) == 1
    assert "echo: again" in chat.ask("again")


def test_stop_with_nothing_to_stop(shared):
    chat, _ = warm_up(shared)
    chat.stop()
    assert "echo: still" in chat.ask("still")


def test_stop_before_the_sandbox_is_there(server):
    chat = server.console()
    os.kill(server.warden, signal.SIGSTOP)  # it is who starts them
    try:
        uid = chat.say("too early")
        chat.stored(uid)
        chat.stop()
        assert "stopped before it began" in chat.failure(uid, 40)
    finally:
        os.kill(server.warden, signal.SIGCONT)
    assert "echo: later" in chat.ask("later")


def test_turn_timeout_is_told(make_server):
    server = make_server({"sandbox": {"turn_timeout": "30m"}})
    chat = server.console()
    chat.ask("warm up")  # the time it takes to start counts, too
    server.rewrite("turn_timeout: 30m", "turn_timeout: 2s")
    assert "In force now: sandbox.turn_timeout" in cli(server, "reload")
    uid = chat.say("!slow 100 600")
    assert "took longer than 2 s" in chat.failure(uid, 40)
    server.rewrite("turn_timeout: 2s", "turn_timeout: 30m")
    cli(server, "reload")
    assert "echo: next" in chat.ask("next")


def session_id(server):
    return server.rows("SELECT session_id FROM sessions")[0][0]


def transcripts(server):
    return sorted(p.name for p in (server.home / "sessions/main").glob("projects/*/*.jsonl"))


def test_memory_and_session_outlive_the_server(server):
    chat = server.console()
    chat.ask("!write CLAUDE.md Remember: the cat is called Mitzi.")
    before = session_id(server)
    server.transcripts("main", "Mitzi")
    assert transcripts(server) == [before + ".jsonl"]
    server.restart()
    assert "echo: after" in chat.ask("after")
    assert session_id(server) == before
    assert transcripts(server) == [before + ".jsonl"]
    server.wait_log(r'comp=session msg="ready" group=main resume=1')
    assert "Mitzi" in chat.ask("!bash cat CLAUDE.md")


def test_idle_stop_and_resume(make_server):
    server = make_server({"sandbox": {"idle_stop": "1s"}})
    chat = server.console()
    mark = server.bus.mark()
    chat.ask("one")
    before = session_id(server)
    server.wait_log("sandbox ended", 20, mark)
    assert engine.containers(server.instance) == []
    assert "echo: two" in chat.ask("two")
    assert session_id(server) == before and transcripts(server) == [before + ".jsonl"]
    server.wait_log(r'comp=session msg="ready" group=main resume=1')
    assert server.rows("SELECT count(*) FROM messages WHERE tries > 0") == [(0,)]


def test_lost_transcript_is_told_and_overcome(server):
    chat = server.console()
    chat.ask("the parrot is green")
    before = session_id(server)
    server.stop()
    shutil.rmtree(server.home / "sessions/main")
    server.start()
    text = chat.ask("what now")
    assert "could not be resumed" in text and "echo: what now" in text
    assert session_id(server) != before
    # the recent history went along, so the agent knows what was said before
    assert server.rows("SELECT count(*) FROM messages WHERE dir = 0 AND state != 3") == [(0,)]
    assert "the parrot is green" in server.transcripts("main", "what now")[-1]
    assert session_id(server) + ".jsonl" in transcripts(server)
    assert "echo: and on" in chat.ask("and on")


def test_stop_of_the_server_during_a_turn(server):
    """Nobody's fault: the message is answered after the restart, and no try is counted."""
    chat = server.console()
    chat.ask("warm up")
    mark = chat.bus.mark()
    uid = chat.say("!slow 100 40")
    chat.wait_event("progress", 60, mark, lambda e: e["kind"] == "text")
    assert server.stop() == 0
    assert engine.containers(server.instance) == []
    assert server.rows("SELECT state, tries FROM messages WHERE platform_id = ?", uid) == [(1, 0)]
    server.start()
    assert chat.settled(uid)
    chat.sync()
    assert chat.outs().count(chat.outs()[-1]) == 1
