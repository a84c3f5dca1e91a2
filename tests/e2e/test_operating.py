# SPDX-License-Identifier: Apache-2.0
"""Keeping a server running: an orderly end, reload, restart, spaced starts, the service manager's watchdog, the log, backups, and a server without root."""
import copy
import datetime
import io
import os
import pathlib
import re
import signal
import socket
import subprocess
import tarfile
import tempfile
import threading

import pytest

import procs
import server as servers
from bus import Bus
from test_turns import hold_turn, open_gate

SPACED = {"serve": {"crash_max": 2, "crash_wait": "300ms"}}


class Manager:
    """Stands in for systemd's end of NOTIFY_SOCKET: each message is an event."""

    def __init__(self, name):
        self.bus = Bus()
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind("\0" + name[1:] if name[0] == "@" else name)
        self.sock.settimeout(0.5)
        self.over = False
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        while not self.over:
            try:
                for line in self.sock.recv(65536).decode().split("\n"):
                    self.bus.post(line)
            except TimeoutError:
                pass

    def wait(self, start, timeout=30, since=0, count=1):
        return self.bus.wait(lambda m: m.startswith(start), timeout, since, start, count)

    def close(self):
        self.over = True
        self.thread.join(5)
        self.sock.close()


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    m = Manager(str(tmp_path / "notify") if request.param == "path" else f"@chela-test-{os.getpid()}")
    m.address = str(tmp_path / "notify") if request.param == "path" else f"@chela-test-{os.getpid()}"
    yield m
    m.close()


# -- the service manager


def test_notify_and_watchdog(make_server, manager):
    """READY once all is up; a sign of life twice a period, which ends when the loop hangs; RELOADING and READY; STOPPING."""
    s = make_server(env={"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "400000"})
    manager.wait("READY=1")
    manager.wait("WATCHDOG=1", count=3)
    mark = manager.bus.mark()
    os.kill(s.supervisor, signal.SIGHUP)
    manager.wait("RELOADING=1", since=mark)
    usec = manager.wait("MONOTONIC_USEC=", since=mark)
    assert int(usec.partition("=")[2]) > 0
    manager.wait("READY=1", since=mark)
    front = s.front
    os.kill(front, signal.SIGSTOP)
    manager.bus.pause(0.4)  # what was under way arrives
    mark = manager.bus.mark()
    with pytest.raises(AssertionError):
        manager.wait("WATCHDOG=1", timeout=1, since=mark)
    os.kill(front, signal.SIGCONT)
    mark = manager.bus.mark()
    manager.wait("WATCHDOG=1", since=mark)
    assert s.stop() == 0
    manager.wait("STOPPING=1", since=mark)
    assert not manager.bus.find(lambda m: m.startswith("MAINPID"))


def test_the_watchdog_of_somebody_else(make_server, manager):
    make_server(env={"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "200000",
                     "WATCHDOG_PID": "1"})
    manager.wait("READY=1")
    with pytest.raises(AssertionError):
        manager.wait("WATCHDOG=1", timeout=1)


def test_no_manager_at_its_address(make_server, tmp_path):
    s = make_server(start=False, env={"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    out = s.cli("serve")
    assert out.returncode == 1
    assert "cannot reach the service manager" in out.stderr


# -- an orderly end


def test_drain_lets_the_turn_end(make_server):
    """SIGTERM: the running turn comes to its answer; what is said meanwhile is kept, and answered after the next start."""
    s = make_server(config={"serve": {"drain": "60s"}})
    chat = s.console()
    chat.ask("warm up")
    uid = hold_turn(s, chat)
    mark = s.bus.mark()
    os.kill(s.supervisor, signal.SIGTERM)
    s.wait_log('comp=router msg="no turn begins any more" turns=1', since=mark)
    late = chat.say("said while it ends")
    chat.stored(late)
    open_gate(s)
    assert s.popen.wait(60) == 0
    s._reap(30)
    rows = s.rows("SELECT state, text FROM messages WHERE dir = 0 ORDER BY id")
    assert [r[0] for r in rows] == [3, 3, 1], rows
    assert not s.rows("SELECT 1 FROM turns WHERE ended_ms IS NULL")
    s.start()
    chat.settled(late)
    assert s.rows("SELECT count(*) FROM messages WHERE dir = 0 AND state = 3 AND tries = 0") == [(3,)]
    assert uid


def test_drain_has_an_end_and_counts_no_try(make_server):
    s = make_server(config={"serve": {"drain": "300ms"}})
    chat = s.console()
    chat.ask("warm up")
    uid = hold_turn(s, chat)
    assert s.stop() == 0
    assert s.rows("SELECT state, tries FROM messages WHERE dir = 0 ORDER BY id") == [(3, 0), (1, 0)]
    open_gate(s)
    s.start()
    chat.settled(uid)


def test_a_second_signal_ends_at_once(make_server):
    s = make_server(config={"serve": {"drain": "600s"}})
    chat = s.console()
    chat.ask("warm up")
    hold_turn(s, chat)
    mark = s.bus.mark()
    os.kill(s.supervisor, signal.SIGTERM)
    s.wait_log("no turn begins any more", since=mark)
    os.kill(s.supervisor, signal.SIGTERM)
    assert s.popen.wait(30) == 0
    s._reap(30)
    assert s.rows("SELECT state, tries FROM messages WHERE dir = 0 ORDER BY id") == [(3, 0), (1, 0)]


# -- the configuration, anew


def test_reload(make_server):
    """What can change at once does; the rest is named; a wrong file changes nothing."""
    s = make_server(config={"router": {"delayed_notice": "20s"}, "log": {"level": "info"}})
    front = s.front
    s.rewrite("delayed_notice: 20s", "delayed_notice: 7s")
    s.rewrite("level: info", "level: debug")
    out = s.cli("reload")
    assert out.returncode == 0, out.stderr
    assert "router.delayed_notice" in out.stdout and "log.level" in out.stdout
    mark = s.bus.mark()
    s.console().ask("hello")
    s.wait_log("level=debug", since=mark)

    with open(s.home / "config/chela.yaml", "a", encoding="utf-8") as f:
        f.write("model:\n  retries: 2\nretention:\n  messages: 30d\n")
    out = s.cli("reload")
    assert "In force now: retention.messages." in out.stdout
    assert "need a restart (chela restart): model.retries" in out.stdout
    assert "model.retries" in s.cli("reload").stdout, "it is named as long as it waits"

    s.rewrite("delayed_notice: 7s", "delayed_notice: never")
    out = s.cli("reload")
    assert out.returncode == 2
    assert re.search(r"chela\.yaml:\d+: router\.delayed_notice: ", out.stderr), out.stderr
    mark = s.bus.mark()
    os.kill(s.supervisor, signal.SIGHUP)
    s.wait_log('msg="reload refused" .*delayed_notice', since=mark)
    assert s.front == front
    s.console().ask("still there?")
    out = s.cli("restart")
    assert out.returncode != 0 and "delayed_notice" in out.stderr
    assert s.front == front


def test_restart_takes_all_of_the_configuration(make_server):
    s = make_server(config={"sandbox": {"max_live": 3}})
    supervisor, front = s.supervisor, s.front
    chat = s.console()
    chat.ask("before")
    s.rewrite("max_live: 3", "max_live: 5")
    assert "need a restart" in s.cli("reload").stdout
    mark = s.bus.mark()
    assert s.cli("restart").returncode == 0
    s.wait_log('comp=serve msg="ready"', since=mark)
    assert s.supervisor == supervisor and s.front != front
    assert procs.stat(supervisor)
    assert "nothing new" in s.cli("reload").stdout
    chat.ask("after")
    assert not s.rows("SELECT 1 FROM outbox WHERE again")


# -- starts that are spaced


def test_crashes_are_spaced_and_told(make_server):
    s = make_server(config=SPACED)
    chat = s.console()
    chat.ask("hello")
    for i in range(3):
        mark = s.bus.mark()
        os.kill(s.front, signal.SIGKILL)
        s.wait_log('msg="ready"', since=mark)
        spaced = s.log_lines("died too often", since=mark)
        assert bool(spaced) == (i == 2), (i, spaced)
    assert "crashes=3" in spaced[0] and "signal 9" in spaced[0]
    times = [datetime.datetime.fromisoformat(line[3:26]) for line in
             (spaced[0], s.log_lines('msg="ready"', since=mark)[0])]
    assert (times[1] - times[0]).total_seconds() >= 0.3
    mark = s.bus.mark()
    chat.wait_event("message", 30, 0, lambda e: "I had died 3 times" in e["text"])
    out = s.cli("doctor")
    assert re.search(r"starts +died 3 times", out.stdout), out.stdout
    assert s.stop() == 0
    assert mark


def test_a_stop_while_it_waits(make_server):
    s = make_server(config={"serve": {"crash_max": 1, "crash_wait": "15m"}})
    os.kill(s.front, signal.SIGKILL)
    s.wait_log('msg="ready"', count=2)
    os.kill(s.front, signal.SIGKILL)
    s.wait_log("died too often.*wait_s=900")
    assert s.stop() == 0


def test_the_manager_is_asked_for_patience(make_server, manager):
    """While it waits before a start it says so, asks for time, and gives signs of life; then it is ready again."""
    s = make_server(config={"serve": {"crash_max": 1, "crash_wait": "1s"}},
                    env={"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "400000"})
    os.kill(s.front, signal.SIGKILL)
    s.wait_log('msg="ready"', count=2)
    mark = manager.bus.mark()
    os.kill(s.front, signal.SIGKILL)
    manager.wait("EXTEND_TIMEOUT_USEC=", since=mark)
    assert "died 2 times (signal 9)" in manager.wait("STATUS=died 2 times", since=mark, count=2)
    manager.wait("WATCHDOG=1", since=mark, count=3)
    manager.wait("READY=1", since=mark)


def test_ctrl_c_is_an_orderly_end(make_server):
    """A terminal's SIGINT reaches every process of the server: the turn may end all the same."""
    s = make_server(config={"serve": {"drain": "60s"}})
    chat = s.console()
    chat.ask("warm up")
    uid = hold_turn(s, chat)
    mark = s.bus.mark()
    for pid in (s.supervisor, s.warden, s.front):
        os.kill(pid, signal.SIGINT)
    s.wait_log("no turn begins any more", since=mark)
    open_gate(s)
    assert s.popen.wait(60) == 0
    s._reap(30)
    assert s.rows("SELECT state, tries FROM messages WHERE dir = 0 ORDER BY id") == [(3, 0), (3, 0)], uid


# -- the log


def test_log_file_is_bounded(make_server):
    s = make_server(config={"log": {"file": "logs/chela.log", "max_size": "64K", "keep": 2}}, start=False)
    (s.home / "logs").mkdir()
    s.start()
    path = s.home / "logs/chela.log"
    with socket.socket(socket.AF_UNIX) as c, c.makefile("rb") as answers:
        c.connect(str(s.home / "control.sock"))
        while not (s.home / "logs/chela.log.2").exists():  # each command makes a line
            c.sendall(b'{"op":"command","argv":["version"]}\n')
            while b'"end"' not in (line := answers.readline()):
                assert line, "the server has hung up"
    assert path.stat().st_size <= 66 << 10
    assert sorted(p.name for p in path.parent.iterdir()) == ["chela.log", "chela.log.1", "chela.log.2"]
    assert all(p.stat().st_mode & 0o77 == 0 for p in path.parent.iterdir())
    path.rename(path.parent / "moved")
    s.cli("status")
    os.kill(s.supervisor, signal.SIGHUP)
    s.until(path.exists, "log anew after somebody has moved it away")


# -- backups


def history(server):
    return server.rows("SELECT id, dir, text FROM messages ORDER BY id")


def test_backup_while_messages_flow(make_server, tmp_path):
    s = make_server()
    chat = s.console()
    chat.ask("!write notes/plan.txt buy bread")
    chat.ask("!bash ln -s /etc/passwd link; mkfifo pipe; echo deep > 'a name that is much longer "
             "than a hundred bytes, so that it does not fit the short field of a header, and then some'")
    (s.home / "secrets/token").write_text("hush\n", "utf-8")
    stop = threading.Event()

    def talk():
        other = s.console("main", since=-1)
        while not stop.is_set():
            other.ask("more words")

    t = threading.Thread(target=talk)
    t.start()
    file = tmp_path / "b.tar.gz"
    out = s.cli("backup", str(file))
    stop.set()
    t.join(60)
    assert out.returncode == 0, out.stderr
    assert "read back and right" in out.stdout
    assert file.stat().st_mode & 0o777 == 0o600
    names = tarfile.open(file).getnames()
    assert names[0] == "BACKUP" and names[-1] == "MANIFEST" and "chela.db" in names
    assert not [n for n in names if n.startswith("secrets")]
    assert not [n for n in names if n.endswith("pipe")]
    assert [p.name for p in (s.home / "run").iterdir() if p.name.startswith("backup-")] == []
    before = history(s)
    assert "backup" in s.cli("doctor").stdout

    out = s.cli("restore", str(file))
    assert out.returncode == 1 and "a server runs" in out.stderr

    other = make_server(start=False, name="other")
    out = other.cli("restore", str(file))
    assert out.returncode == 0, out.stderr
    assert "the archive holds no secrets" in out.stdout.lower()
    restored = history(other)
    assert restored == before[:len(restored)] and len(restored) >= 4
    assert (other.home / "groups/main/notes/plan.txt").read_text("utf-8") == "buy bread"
    link = other.home / "groups/main/link"
    assert link.is_symlink() and os.readlink(link) == "/etc/passwd"
    assert len(list((other.home / "groups/main").glob("a name*"))) == 1
    assert other.instance != s.instance
    other.start()
    chat = other.console()
    assert "buy bread" in chat.ask("!bash cat notes/plan.txt")
    out = other.cli("restore", str(file))
    assert out.returncode == 1
    other.stop()
    assert other.cli("restore", str(file)).returncode == 0
    kept = sorted(p.name for p in other.home.iterdir() if p.name.startswith("before-restore-"))
    assert len(kept) == 2
    assert (other.home / kept[1] / "chela.db").exists()

    out = s.cli("backup", str(tmp_path / "all.tar.gz"), "--with-secrets")
    assert "SECRETS" in out.stdout
    assert "secrets/token" in tarfile.open(tmp_path / "all.tar.gz").getnames()


def remade(src, dst, change):
    """The same archive, with its members changed."""
    with tarfile.open(src) as a, tarfile.open(dst, "w:gz", format=tarfile.PAX_FORMAT) as b:
        for m in a.getmembers():
            data = a.extractfile(m).read() if m.isfile() else None
            for m2, data2 in change(m, data):
                if data2 is not None:
                    m2.size = len(data2)
                b.addfile(m2, io.BytesIO(data2) if data2 is not None else None)


def renamed(m, name):
    m = copy.copy(m)
    m.name = name
    m.pax_headers = {}
    return m


def evil_link(m, data):
    out = [(m, data)]
    if m.name == "groups/main":
        link = tarfile.TarInfo("groups/main/out")
        link.type, link.linkname = tarfile.SYMTYPE, "/tmp"
        out += [(link, None), (renamed(tarfile.TarInfo(), "groups/main/out/owned"), b"x")]
    return out


def evil_top(m, data):
    link = tarfile.TarInfo("spool")
    link.type, link.linkname = tarfile.SYMTYPE, "/tmp"
    return [(m, data)] + ([(link, None)] if m.name == "chela.db" else [])


def test_archives_that_are_not_right(make_server, tmp_path):
    s = make_server()
    s.console().ask("!write a.txt hello")
    good = tmp_path / "good.tar.gz"
    assert s.cli("backup", str(good)).returncode == 0
    s.stop()
    before = history(s)
    bad = tmp_path / "bad.tar.gz"
    for what, change, words in (
        ("damaged", lambda m, d: [(m, b"HELLO" if m.name.endswith("a.txt") else d)], "manifest"),
        ("cut", lambda m, d: [] if m.name == "MANIFEST" else [(m, d)], "no manifest"),
        ("more", lambda m, d: [(m, d)] + ([(renamed(m, "groups/more"), b"x")] if m.name == "MANIFEST" else []),
         "behind its manifest"),
        ("up", lambda m, d: [(renamed(m, "groups/../../../x") if m.name.endswith("a.txt") else m, d)],
         "outside"),
        ("top", lambda m, d: [(renamed(m, "server.lock") if m.name.endswith("a.txt") else m, d)],
         "no backup has"),
        ("a link for a folder of ours", evil_top, "no backup has"),
        ("link", evil_link, "cannot open the folder"),
        ("fresh", lambda m, d: [(m, d.replace(b'"format":1', b'"format":9').replace(b'"format": 1', b'"format": 9')
                                 if m.name == "BACKUP" else d)], "damaged|newer"),
    ):
        remade(good, bad, change)
        out = s.cli("restore", str(bad))
        assert out.returncode != 0, what
        assert re.search(words, out.stderr), (what, out.stderr)
        assert "nothing was changed" in out.stderr, what
    for content in (good.read_bytes()[:2000], b"no archive at all"):
        bad.write_bytes(content)
        out = s.cli("restore", str(bad))
        assert out.returncode != 0 and "it was cut short, or is no archive" in out.stderr, out
        assert len(out.stderr.splitlines()) == 1, out.stderr
    assert history(s) == before
    assert not [p for p in s.home.iterdir() if p.name.startswith(("restore-", "before-"))]
    assert not pathlib.Path("/tmp/owned").exists()


# -- without root


def docker_group():
    st = os.stat("/var/run/docker.sock")
    return st.st_gid


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_server_without_root(sandboxes, own_runtime):
    """A user of its own with no capability and the engine's group: a message is answered, a file written by the agent is there, and belongs to that user."""
    uid = 61234
    with tempfile.TemporaryDirectory(dir="/var/tmp") as top:
        os.chmod(top, 0o755)
        home = servers.make_home(pathlib.Path(top) / "home", {"serve": {"drain": "300ms"}},
                                 {"runtime": own_runtime})
        lock = home / "image.lock"
        lock.write_bytes(pathlib.Path(servers.LOCK).read_bytes())
        rewritten = (home / "config/chela.yaml").read_text("utf-8").replace(servers.LOCK, str(lock))
        (home / "config/chela.yaml").write_text(rewritten, "utf-8")
        binary = pathlib.Path(top) / "chela"
        binary.write_bytes(pathlib.Path(servers.BINARY).read_bytes())
        binary.chmod(0o755)
        for path in [home, *home.rglob("*")]:
            os.chown(path, uid, uid)
        us = ["setpriv", f"--reuid={uid}", f"--regid={uid}", f"--groups={docker_group()}",
              "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs", str(binary), "--home", str(home)]
        log = open(pathlib.Path(top) / "log", "w+b")
        ours, theirs = os.pipe()
        os.set_inheritable(theirs, True)
        p = subprocess.Popen([*us, "serve", "--ready-fd", str(theirs)], stderr=log, pass_fds=[theirs],
                             env=servers.environment(), stdin=subprocess.DEVNULL, cwd="/")
        os.close(theirs)
        try:
            with os.fdopen(ours, "rb", buffering=0) as f:
                assert f.read(1) == b"\n", pathlib.Path(log.name).read_text()
            said = subprocess.run([*us, "chat"], input="!write from-agent.txt ok\n!bash id -u; cat /workspace/from-agent.txt\n",
                                  text=True, capture_output=True, timeout=120, cwd="/",
                                  env=servers.environment())
            assert said.returncode == 0, said.stderr + pathlib.Path(log.name).read_text()
            assert str(uid) in said.stdout and "ok" in said.stdout
            st = os.stat(home / "groups/main/from-agent.txt")
            assert st.st_uid == uid
            text = pathlib.Path(log.name).read_text()
            powers = re.search(r'comp=front msg="powers that remain" (.*)', text).group(1)
            assert "caps=none" in powers and "no_new_privs=1" in powers, powers
            assert "engine_socket=hidden" in powers, powers
        finally:
            p.terminate()
            status = p.wait(60)
            log.close()
        assert status == 0
