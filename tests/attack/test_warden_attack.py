# SPDX-License-Identifier: Apache-2.0
"""The process that parses what strangers send cannot reach the engine, nor the one that can; and what the
agent plants in its folders leads the server nowhere."""
import ctypes
import os
import pathlib
import socket
import subprocess
import sys

import pytest

import engine
from attacker import LONG, SANITIZED

KEPT = 1 << 0 | 1 << 1 | 1 << 3  # chown, dac_override, fowner
CONNECT = "import socket,sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"


def status(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text("utf-8")
    return dict(x.split(":\t", 1) for x in text.splitlines() if ":\t" in x)


def with_powers_of_front(*argv):
    """Runs it as root with the capabilities that the front keeps and no other."""
    caps = "-all,+chown,+dac_override,+fowner"
    return subprocess.run(["setpriv", "--no-new-privs", f"--bounding-set={caps}", "--inh-caps=-all",
                           *argv], capture_output=True, text=True, check=False)


@pytest.fixture
def root():
    if os.geteuid() != 0:
        pytest.skip("only root can enter another process's namespaces; as a user, nothing is dropped")


def test_powers_of_the_server(target, root):
    for role in ("front", "warden"):
        s = status(getattr(target.server, role))
        for name in ("CapPrm", "CapEff", "CapBnd"):
            assert int(s[name], 16) & ~KEPT == 0, (role, name, s[name])
        assert int(s["CapInh"], 16) == int(s["CapAmb"], 16) == 0
        assert s["NoNewPrivs"] == "1", role
    ns = {p: os.readlink(f"/proc/{p}/ns/net") for p in ("self", target.server.warden)}
    assert len(set(ns.values())) == 2, "the warden is in the host's network"


def test_front_cannot_reach_the_engine(target, root):
    paths = {engine.SOCKET, os.path.realpath(engine.SOCKET), "/run/docker.sock", "/var/run/docker.sock",
             "/run/containerd/containerd.sock", "/run/docker/containerd/containerd.sock",
             "/var/run/docker/containerd/containerd.sock"}
    near = subprocess.run([sys.executable, "-c", CONNECT, engine.SOCKET], capture_output=True, check=False)
    assert near.returncode == 0, "the engine cannot be reached from here either: nothing is proved"
    front = str(target.server.front)
    for path in paths:
        # in its place: a path below /proc/PID/root would follow /var/run's link in our own tree
        got = subprocess.run(["nsenter", "-t", front, "-m", sys.executable, "-c", CONNECT, path],
                             capture_output=True, text=True, check=False)
        assert got.returncode != 0 and "FileNotFoundError" in got.stderr, (path, got.stderr)
    # nor by any other socket file that it can see
    live = {x.split()[-1] for x in pathlib.Path("/proc/net/unix").read_text().splitlines()[1:]
            if len(x.split()) == 8 and ("docker" in x or "containerd" in x)}
    seen = [p for p in live if p.startswith("/") and
            os.path.exists(f"/proc/{front}/root{os.path.realpath(p)}")]
    assert seen == [], seen
    # the abstract ones have no file to hide
    assert not [p for p in live if p.startswith("@")], live


def test_front_cannot_touch_the_warden(target, root):
    """With the front's powers, in its place: the warden's memory, descriptors and namespaces."""
    if SANITIZED:
        pytest.skip("an instrumented warden stays traceable for its leak check")
    for pid in (target.server.warden, target.server.supervisor):
        for what in ("mem", "environ", "maps", "fd/0", "root/etc/passwd"):
            path = f"/proc/{pid}/{what}"
            with open(path, "rb"):  # root itself can: so it is the powers that are missing
                pass
            got = with_powers_of_front(sys.executable, "-c", f"open('{path}', 'rb').read(1)")
            assert got.returncode != 0 and "PermissionError" in got.stderr, (path, got.stderr)
        got = with_powers_of_front("nsenter", "-t", str(pid), "-m", "true")
        assert got.returncode != 0, pid
        got = with_powers_of_front(sys.executable, "-c", "import ctypes,sys\n"
                                   f"sys.exit(ctypes.CDLL(None).ptrace(0x4206, {pid}, 0, 0) == 0)")
        assert got.returncode == 0, pid
    assert ctypes.sizeof(ctypes.c_void_p) == 8


NAMES = ("CLAUDE.md", ".claude.json", "settings.json", ".credentials.json", "projects", "conversations",
         ".claude", "policy.yaml", "plugins", "todos", "mcp.json")


def test_planted_links_lead_nowhere(target):
    """Links out of the agent's folders, and pipes in place of files: the next starts follow none."""
    if target.runtime == "runsc" and not LONG:
        pytest.skip("in the long run only (CHELA_LONG=1): the server's side is the same")
    server = target.server
    chat = target.chat()
    chat.ask("warm up")
    target.chat("kin").ask("warm up")  # its folder is looked at
    bait = server.home / "bait"
    bait.mkdir(exist_ok=True)
    (bait / "file").write_text("untouched", "utf-8")
    # of what is not this test's alone, no times: others of the machine make files there too
    ours = (bait, bait / "file", "/etc/passwd", server.home / "groups/global")
    shared = ("/etc", "/run", server.home / "groups/kin", engine.SOCKET)

    def facts():
        kept = {p: os.stat(p) for p in (*ours, *shared)}
        return {p: (s.st_ino, s.st_uid, s.st_mode, s.st_mtime_ns if p in ours else 0) for p, s in kept.items()}

    before = facts()
    for kind in ("link", "pipe"):
        chat.ask("up again")
        for f in ("groups", "sessions"):
            for i, name in enumerate(NAMES):
                # as the agent would: its own user, in its own folders
                to = (f"{bait}/file", "/etc/passwd", f"{bait}", engine.SOCKET,
                      f"{server.home}/groups/kin", f"{server.home}/chela.db")[i % 6]
                path = server.home / f / "main" / name
                subprocess.run(["rm", "-rf", str(path)], check=True)
                os.symlink(to, path) if kind == "link" else os.mkfifo(path)
                os.chown(path, 10001, 10001, follow_symlinks=False)
        mark = server.bus.mark()
        engine.kill(target.container()["Id"])
        server.wait_log("sandbox ended.*group=main", 30, mark)
        # the agent itself may stumble over what lies there; the server must not
        uid = chat.say(f"after {kind}")
        server.wait_log('comp=session msg="ready" group=main', 30, mark)
        assert "the neighbour" in target.chat("kin").ask("the neighbour", 60)
        mark = server.bus.mark()
        for f in ("groups", "sessions"):
            for name in NAMES:
                subprocess.run(["rm", "-rf", str(server.home / f / "main" / name)], check=True)
        for c in engine.containers(server.instance, every=False) if uid not in chat.settled_ids else []:
            if c["Labels"]["chela.group"] == "main":
                engine.kill(c["Id"])
        chat.settled(uid, 60)
    assert facts() == before
    assert (bait / "file").read_text("utf-8") == "untouched"
    assert "all well" in chat.ask("all well", 100)


def test_no_socket_of_the_server_inside(target):
    """control.sock gives words to nobody but the server's user, even where it can be reached."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
        s.connect(str(target.server.home / "control.sock"))
    mode = os.stat(target.server.home / "control.sock").st_mode & 0o777
    assert mode & 0o077 == 0, oct(mode)
    got = subprocess.run(["setpriv", "--reuid=10001", "--regid=10001", "--clear-groups", sys.executable,
                          "-c", CONNECT, str(target.server.home / "control.sock")],
                         capture_output=True, text=True, check=False)
    assert got.returncode != 0 and "PermissionError" in got.stderr, got.stderr
