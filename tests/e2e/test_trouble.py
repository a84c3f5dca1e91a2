# SPDX-License-Identifier: Apache-2.0
"""Sandboxes that run out of something or are killed, an engine or an image that is not there: the chat
is told in words, the server stays up, and the message is answered when it can be."""
import os
import re
import signal
import socket
import threading

import pytest

import engine
import server as servers
from test_turns import hold_turn, open_gate


def test_memory_limit_is_told_apart(make_server):
    server = make_server({"router": {"tries": 1}}, {"memory": "400M", "tmp": "64M"})
    chat = server.console()
    chat.ask("warm up")
    uid = chat.say("!bash python3 -c 'x = bytearray(2000 << 20); print(len(x))'")
    chat.stored(uid)
    chat.settled(uid)
    chat.sync()
    said = "\n".join(chat.outs())
    # the kernel takes the greedy process or the whole sandbox: either way it is said
    assert ("out of its 400 MiB of memory" in said or "137" in said or "Killed" in said), said
    assert str(2000 << 20) not in said
    assert "echo: next" in chat.ask("next")


def test_whole_sandbox_out_of_memory(make_server):
    """The agent itself is what the kernel kills: it is told as a want of memory."""
    server = make_server({"router": {"tries": 1}}, {"memory": "64M", "tmp": "8M"})
    chat = server.console()
    text = chat.failure(chat.say("hello"))
    assert "out of its 64 MiB of memory" in text and "sandbox.memory" in text


def test_pids_limit_holds(make_server, own_runtime):
    server = make_server(policy={"pids": 64} if own_runtime == "runc" else {"pids": 200})
    chat = server.console()
    chat.ask("warm up")
    (server.home / "groups/main/forks.py").write_text(
        "import os, signal\nkids = []\ntry:\n"
        "    while len(kids) < 500:\n"
        "        pid = os.fork()\n"
        "        if pid == 0:\n            signal.pause()\n"
        "        kids.append(pid)\n"
        "    words = 'without end'\n"
        "except OSError as e:\n    words = e.strerror\n"
        "for pid in kids:\n    os.kill(pid, 9)\n"
        "print('forked', len(kids), words)\n", "utf-8")
    uid = chat.say("!bash python3 forks.py")
    if own_runtime == "runc":
        forked = re.search(r"forked (\d+) Resource temporarily unavailable", chat.answer(uid))
        assert forked and int(forked.group(1)) < 64, chat.outs()
    else:  # the limit is on the other kernel as a whole, which may not survive it
        chat.settled(uid)
        chat.sync()
        assert not any("forked 500" in t for t in chat.outs())
    assert "echo: next" in chat.ask("next")


def test_container_killed_in_a_turn(make_server):
    server = make_server()
    chat = server.console()
    chat.ask("warm up")
    uid = hold_turn(server, chat)
    cid, mark = server.container()["Id"], server.bus.mark()
    engine.kill(cid)
    chat.wait_event("progress", 60, mark, lambda e: e["kind"] == "tool")
    assert server.container()["Id"] != cid
    open_gate(server)
    assert "result: waiting\nopen" in chat.answer(uid)
    assert server.rows("SELECT state, tries FROM messages WHERE platform_id = ?", uid) == [(3, 1)]
    assert sum("open" in t for t in chat.outs()) == 1
    server.wait_log('sandbox ended.*killed by signal 9 from outside')


def test_killed_each_time_fails_with_a_reason(make_server):
    server = make_server({"router": {"tries": 2}})
    chat = server.console()
    chat.ask("warm up")
    uid = hold_turn(server, chat)
    mark = server.bus.mark()
    engine.kill(server.container()["Id"])
    chat.wait_event("progress", 60, mark, lambda e: e["kind"] == "tool")
    engine.kill(server.container()["Id"])
    text = chat.failure(uid)
    assert "could not answer" in text and "killed by signal 9 from outside" in text
    assert "echo: next" in chat.ask("next")


class Relay:
    """A unix socket in front of the engine's, made when the test says so."""

    def __init__(self, path):
        self.path = str(path)
        self.listener = None
        self.pairs = []

    def open(self):
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.path)
        self.listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                c, _ = self.listener.accept()
            except OSError:
                return
            up = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            up.connect(engine.SOCKET)
            self.pairs.append((c, up))
            threading.Thread(target=self._copy, args=[c, up], daemon=True).start()
            threading.Thread(target=self._copy, args=[up, c], daemon=True).start()

    @staticmethod
    def _copy(a, b):
        try:
            while data := a.recv(65536):
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        """Nobody answers any more, and what is under way breaks."""
        if self.listener:
            self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
            os.unlink(self.path)
        self.listener = None
        for pair in self.pairs:
            for s in pair:
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
                s.close()
        self.pairs = []


@pytest.fixture
def relay(tmp_path):
    r = Relay(tmp_path / "engine.sock")
    yield r
    r.close()


def test_engine_away_at_start(relay, make_server):
    server = make_server({"sandbox": {"engine": relay.path}, "router": {"delayed_notice": "1s"}})
    chat = server.console()
    mark = server.bus.mark()
    uid = chat.say("are you there")
    notice = chat.wait_message("Delayed", 15, mark)["text"]
    assert relay.path in notice, notice
    assert server.cli("status").returncode == 0
    relay.open()
    assert "echo: are you there" in chat.answer(uid)
    assert sum("Delayed" in t for t in chat.outs()) == 1
    assert server.rows("SELECT tries FROM messages WHERE platform_id = ?", uid) == [(0,)]


def test_engine_goes_away_and_comes_back(relay, make_server):
    relay.open()
    server = make_server({"sandbox": {"engine": relay.path}, "router": {"delayed_notice": "1s"}})
    chat = server.console()
    chat.ask("warm up")
    relay.close()
    uid = chat.say("hello again")
    server.bus.wait_until(lambda: uid in chat.settled_ids
                          or any("Delayed" in t for t in chat.outs()), 30, "sign of life")
    relay.open()
    assert "echo: hello again" in chat.answer(uid)


@pytest.fixture
def lock(tmp_path):
    """A copy of the image's lock that a test may spoil."""
    path = tmp_path / "image.lock"
    path.write_text(open(servers.LOCK, encoding="utf-8").read(), "utf-8")
    return path


@pytest.mark.parametrize("wrong", ["missing", "digest"])
def test_image_not_there(make_server, lock, wrong):
    good = lock.read_text("utf-8")
    if wrong == "missing":
        lock.unlink()
    else:
        lock.write_text(re.sub(r"(image: sha256:)\w{8}", r"\g<1>01234567", good), "utf-8")
    server = make_server({"sandbox": {"image_lock": str(lock)}, "router": {"delayed_notice": "1s"}})
    chat = server.console()
    mark = server.bus.mark()
    uid = chat.say("are you there")
    notice = chat.wait_message("Delayed", 15, mark)["text"]
    assert "make image" in notice, notice
    assert engine.containers(server.instance) == []
    lock.write_text(good, "utf-8")
    assert "echo: are you there" in chat.answer(uid)


def test_bad_group_policy_fails_the_message_at_once(make_server):
    server = make_server()
    chat = server.console()
    folder = server.home / "config/groups"
    folder.mkdir()
    (folder / "main.yaml").write_text("sandbox:\n  memory: 64G\n", "utf-8")
    text = chat.failure(chat.say("hello"), 15)
    assert "main.yaml:2" in text and "narrow" in text, text
    (folder / "main.yaml").unlink()
    assert "echo: next" in chat.ask("next")


def test_a_warden_that_hangs_does_not_keep_the_server_down(make_server):
    """It cannot end by itself, so it is killed, and the next pair of processes answers."""
    s = make_server()
    chat = s.console()
    chat.ask("before")
    os.kill(s.warden, signal.SIGSTOP)
    mark = s.bus.mark()
    os.kill(s.front, signal.SIGKILL)
    s.wait_log("the warden hangs and is killed", timeout=60, since=mark)
    s.wait_log('comp=serve msg="ready"', timeout=30, since=mark)
    chat.ask("after")
