# SPDX-License-Identifier: Apache-2.0
"""What the agent cannot do, and what the host's garbage does: the runner as PID 1, for real.

`unshare` gives a pid namespace and `setpriv` the two capabilities that Docker leaves; with an engine
that answers, the same probe runs in a locked container under every runtime it has.
"""

import ctypes
import io
import json
import os
import pathlib
import shutil
import struct
import subprocess
import tarfile

import pytest

from door_host import Host
from test_agent import gone

AGENT, RUNNER = 10001, 10002
FLAGS = ("--port", "0", "--cwd", "/")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="changing uids needs root")
NAMESPACE = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--")


def caps(*names):
    return ("setpriv", "--inh-caps=-all", "--bounding-set=-all," + ",".join("+" + n for n in names))


def open_to_all(folder):
    """pytest's folder, made writable and reachable for the agent's uid."""
    folder.chmod(0o777)
    for up in list(folder.parents)[:2]:
        up.chmod(0o755)
    return folder


def inside(pid):
    """All processes below `pid`, as seen from here: {pid: {field: value}}."""
    below, found = {pid}, {}
    for _ in range(8):
        for p in pathlib.Path("/proc").iterdir():
            if p.name.isdigit():
                try:
                    text = (p / "status").read_text()
                except (FileNotFoundError, ProcessLookupError):
                    continue
                f = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
                if int(f["PPid"]) in below and int(p.name) not in below:
                    below.add(int(p.name))
                    found[int(p.name)] = f
    return found


def check_processes(procs, unseen=()):
    """procs: {pid: status fields} of runner, launcher, agent; `unseen`: what this kernel lacks."""
    assert len(procs) == 3
    want = {"CapInh": 0, "CapPrm": 0, "CapEff": 0, "CapAmb": 0, "NoNewPrivs": 1}
    uids = []
    for f in procs.values():
        ids = f["Uid"].split()
        assert len(set(ids)) == 1 and f["Gid"].split() == ids
        assert "Groups" in unseen or f["Groups"].strip() == ""
        for key in set(want) - set(unseen):
            assert int(f[key], 16) == want[key]
        uids.append(int(ids[0]))
    assert sorted(uids) == [AGENT, AGENT, RUNNER]


def check_probe(text, runtime="runc"):
    lines = text.splitlines()
    bad = [x for x in lines if " BAD " in x]
    if runtime == "runsc":  # it shows PID 1's environment, which is the agent's own
        bad = [x for x in bad if not x.startswith("environ-1 ")]
    assert not bad
    names = {x.split()[0] for x in lines if " ok " in x}
    assert {"only-stdio", "not-root", "setuid-0", "kill-1", "open-1-fd-1-w"} <= names
    procs = {}
    for x in lines:
        if x.startswith("proc "):
            _, pid, rest = x.split(" ", 2)
            key, value = rest.split(":", 1)
            procs.setdefault(int(pid), {})[key] = value
    check_processes(procs, ("CapAmb", "Groups", "NoNewPrivs") if runtime == "runsc" else ())


@needs_root
def test_locked_as_pid_1(start, probe):
    # unshare itself needs more, so the capabilities are cut inside
    wrap = (*NAMESPACE, *caps("setuid", "setgid"))
    h = start(probe, flags=FLAGS, wrap=wrap)
    h.pump(lambda: h.agent.got.endswith(b"done\n"))
    check_probe(h.agent.got.decode())
    procs = inside(h.proc.pid)
    check_processes(procs)
    assert sorted(f["NSpid"].split()[-1] for f in procs.values())[0] == "1"
    everyone = list(procs)
    assert h.close() == 0
    h.pump(lambda: all(gone(p) for p in everyone))


@needs_root
def test_nothing_survives_pid_1(start):
    script = "trap '' TERM HUP; for i in 1 2 3; do setsid sleep 1000 & done; echo ok; cat"
    h = start("sh", "-c", script, flags=FLAGS, wrap=NAMESPACE)
    h.pump(lambda: h.agent.got == b"ok\n")
    h.pump(lambda: len(inside(h.proc.pid)) == 7)
    everyone = list(inside(h.proc.pid))
    (runner,) = [p for p, f in inside(h.proc.pid).items() if f["Uid"].split()[0] == str(RUNNER)]
    os.kill(runner, 9)
    h.pump(lambda: all(gone(p) for p in everyone))


@needs_root
@pytest.mark.parametrize("left", ["setuid", "setgid"])
def test_refuses_to_run_half_locked(start, left, tmp_path):
    """Without one of the two capabilities the runner must not go on as root."""
    mark = open_to_all(tmp_path) / "agent-ran"
    wrap = (*NAMESPACE, *caps(left))
    h = start("touch", str(mark), flags=FLAGS, wrap=wrap, handshake=False)
    assert h.wait() != 0
    assert "refused (CAP_SET" in h.text()
    assert not mark.exists()


def without_runner_uid():
    """Before exec: into a user namespace where 10001 exists and 10002 does not."""
    (go, went), (done, mapped) = os.pipe(), os.pipe()
    child = os.getpid()
    if os.fork() == 0:
        os.read(go, 1)
        for name in ("uid_map", "gid_map"):
            pathlib.Path("/proc/%d/%s" % (child, name)).write_text("0 0 %d\n" % RUNNER)
        os.write(mapped, b"x")
        os._exit(0)
    if ctypes.CDLL(None).unshare(0x10000000) != 0:  # CLONE_NEWUSER
        os._exit(99)
    os.write(went, b"x")
    os.read(done, 1)
    os.wait()


@needs_root
def test_agent_waits_for_the_runner_to_be_locked(start, tmp_path):
    """The launcher can lock itself, the runner cannot: nothing of the agent may run."""
    mark = open_to_all(tmp_path) / "agent-ran"
    argv = ("touch", str(mark))
    h = start(*argv, flags=FLAGS, handshake=False, preexec=without_runner_uid)
    assert h.wait() == 1
    assert "setresgid refused" in h.text()
    assert not mark.exists()


@needs_root
def test_keep_uid_is_refused_as_pid_1(start):
    h = start("true", wrap=NAMESPACE, flags=(*FLAGS, "--keep-uid"), handshake=False)
    assert h.wait() == 2
    assert "--keep-uid" in h.text()


@needs_root
def test_not_root_is_refused(start, binary, tmp_path):
    copy = open_to_all(tmp_path) / "runner"
    shutil.copy(binary, copy)
    for flags, code in ((FLAGS, 2), ((*FLAGS, "--keep-uid"), 0)):
        argv = ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups", str(copy)]
        h = Host([*argv, *flags, "--", "cat"], handshake=code == 0)
        try:
            assert (h.close() if code == 0 else h.wait()) == code
        finally:
            h.destroy()


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["--"],
        ["--port", "x", "--", "cat"],
        ["--port", "70000", "--", "cat"],
        ["--uid", "0", "--", "cat"],
        ["--uid", "7", "--runner-uid", "7", "--", "cat"],
        ["--cwd", "relative", "--", "cat"],
        ["--unknown", "--", "cat"],
    ],
)
def test_usage(binary, args):
    p = subprocess.run([binary, *args], stdin=subprocess.PIPE, capture_output=True, timeout=5)
    assert p.returncode == 2
    assert p.stderr.startswith(b"runner: ")


def test_door_must_be_a_pipe(binary):
    argv = [binary, "--keep-uid", "--port", "0", "--cwd", "/", "--", "cat"]
    p = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=5)
    assert p.returncode == 1
    assert b"must be pipes" in p.stderr


def frame(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


SETTINGS = frame(4, 0, 0, b"")
GARBAGE = {
    "random": bytes(range(7, 250)) * 300,
    "http1": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n" * 20,
    "no settings first": frame(6, 0, 0, b"12345678"),
    "huge frame": SETTINGS + b"\xff\xff\xff\x00\x00\x00\x00\x00\x01",
    "data on stream 0": SETTINGS + frame(0, 0, 0, b"x"),
    "data before headers": SETTINGS + frame(0, 0, 1, b"x"),
    "push": SETTINGS + frame(5, 4, 1, struct.pack(">I", 2) + b"\x88"),
    "headers on even stream": SETTINGS + frame(1, 4, 2, b"\x88"),
    "broken hpack": SETTINGS + frame(1, 4, 1, b"\xff\xff\xff\xff\xff\xff\xff"),
    "no status": SETTINGS + frame(1, 4, 1, b"\x00\x01a\x01b"),
    "window overflow": SETTINGS + frame(8, 0, 0, struct.pack(">I", 0x7FFFFFFF)),
    "window of nothing": SETTINGS + frame(8, 0, 0, bytes(4)),
    "ping of 7": SETTINGS + frame(6, 0, 0, b"1234567"),
    "more than the window": SETTINGS + frame(1, 4, 1, b"\x88") + frame(0, 0, 1, b"x" * 16384) * 400,
    "continuation alone": SETTINGS + frame(9, 4, 1, b"\x88"),
    "reset of the agent": SETTINGS + frame(3, 0, 1, struct.pack(">I", 8)),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_ends_the_sandbox(start, name):
    h = start("sleep", "1000", handshake=False)
    h.raw(GARBAGE[name])
    h.pump(lambda: b"end: " in h.log)
    assert h.wait() == 1
    assert "AAAA" not in h.text()


def test_truncated_frame_then_end(start):
    h = start("sleep", "1000", handshake=False)
    h.raw(SETTINGS + SETTINGS[:5])
    h.pump(lambda: not h.tx)
    assert h.close() == 0
    assert "the door is closed" in h.text()


def test_goodbye(start):
    h = start("sleep", "1000")
    h.pump(lambda: not h.tx)
    h.conn = None  # python3-h2 takes nothing more after its own goodbye
    h.raw(frame(7, 0, 0, bytes(8)))
    assert h.wait() == 0
    assert "goodbye" in h.text()


def test_version_refused(start):
    h = start("sleep", "1000", handshake=False)
    h.raw(SETTINGS + frame(1, 5, 1, b"\x08\x03505"))
    assert h.wait() == 1
    assert "refuses this runner" in h.text()


def test_host_that_stops_reading_and_dies(start):
    h = start("cat", "/dev/zero")
    h.rx_on = False
    h.spin(0.1)
    h.proc.stdout.close()
    h.fout, h.rx_eof = -1, True
    assert h.wait() in (0, 1)
    h.proc.stdout = open(os.devnull, "rb")


# -- the real thing


def docker(*args, **kw):
    return subprocess.run(["docker", *args], capture_output=True, timeout=60, **kw)


def runtimes():
    if os.environ.get("RUNNER_NO_DOCKER") or not shutil.which("docker"):
        return []
    p = docker("info", "--format", "{{json .Runtimes}}")
    names = json.loads(p.stdout) if p.returncode == 0 and p.stdout.strip() else {}
    return [n for n in ("runc", "runsc") if n in (names or {})]


RUNTIMES = runtimes()


@pytest.fixture(scope="module")
def image(binary, probe):
    """A root of nothing but the runner and the probe."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as t:
        for name in ("workspace", "proc", "dev", "sys", "etc"):
            d = tarfile.TarInfo(name)
            d.type, d.mode = tarfile.DIRTYPE, 0o755
            t.addfile(d)
        for name, path in (("runner", binary), ("probe", probe)):
            data = pathlib.Path(path).read_bytes()
            i = tarfile.TarInfo(name)
            i.size, i.mode = len(data), 0o755
            t.addfile(i, io.BytesIO(data))
    p = docker("import", "-", input=tar.getvalue())
    assert p.returncode == 0, p.stderr
    name = p.stdout.decode().strip()
    yield name
    docker("rmi", "-f", name)


@pytest.mark.skipif(not RUNTIMES, reason="no container engine answers")
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_locked_in_a_container(image, runtime, tmp_path):
    cid = tmp_path / "cid"
    argv = ["docker", "run", "-i", "--rm", "--runtime", runtime, "--cidfile", str(cid)]
    argv += ["--network", "none", "--read-only", "--cap-drop", "ALL", "--cap-add", "SETUID"]
    argv += ["--cap-add", "SETGID", "--security-opt", "no-new-privileges", "--log-driver", "none"]
    argv += ["--pids-limit", "256", "--memory", "256m", image]
    argv += ["/runner", "--", "/probe"]
    h = Host(argv)
    try:
        h.pump(lambda: h.agent.got.endswith(b"done\n"), 20)
        check_probe(h.agent.got.decode(), runtime)
        assert h.port() == 2435
        h.send(h.agent, end=True)
        h.pump(lambda: h.agent.ended)
        assert h.agent.trailers == {"chela-exit": "0"}
        assert h.close() == 0
    finally:
        h.destroy()
        if cid.exists():
            docker("rm", "-f", cid.read_text())
