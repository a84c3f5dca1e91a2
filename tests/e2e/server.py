# SPDX-License-Identifier: Apache-2.0
"""A real server under test: its own home, its log as events, its processes by role.

Owns: starting it, waiting for readiness, ending it, and proof that nothing is left behind.
Must never: use the home of another server, or leave a container or a process.
"""
import json
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import sqlite3
import subprocess
import threading
import time

import engine
import procs
from bus import Bus
from console import Console

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("CHELA_BIN", str(ROOT / "build/release/chela"))
LOCK = os.environ.get("CHELA_IMAGE_LOCK", str(ROOT / "build/image/image.lock"))
# the caller's own keys and settings must not decide what is tested
KEYS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN",
        "ANTHROPIC_BASE_URL", "CHELA_HOME", "CHELA_CONFIG")
RUNTIMES = ("runc", "runsc")
# for what does not depend on the kernel that is under an agent; the long run (make e2e) takes both
OWN_RUNTIMES = (os.environ.get("CHELA_RUNTIMES")
                or ("runc runsc" if os.environ.get("CHELA_LONG") else "runc")).split()
READY = re.compile(r'comp=serve msg="ready"')


def environment(more=None):
    env = {k: v for k, v in os.environ.items() if k not in KEYS}
    env.update(more or {})
    return env


def yaml_of(tree, depth=0):
    lines = []
    for key, value in tree.items():
        if isinstance(value, dict):
            lines += ["  " * depth + f"{key}:", *yaml_of(value, depth + 1)]
        else:
            lines.append("  " * depth + f"{key}: {value}")
    return lines


def merged(a, b):
    out = dict(a)
    for key, value in b.items():
        both = isinstance(value, dict) and isinstance(out.get(key), dict)
        out[key] = merged(out[key], value) if both else value
    return out


def make_home(home, config=None, policy=None):
    """Writes the two config files of a home."""
    home = pathlib.Path(home)
    (home / "config").mkdir(parents=True, exist_ok=True)
    # tests kill servers by the dozen, and stop them in the middle of turns
    tree = merged({"sandbox": {"image_lock": LOCK}, "serve": {"crash_max": 0, "drain": "500ms"}},
                  config or {})
    (home / "config/chela.yaml").write_text("\n".join(yaml_of(tree)) + "\n", "utf-8")
    if policy:
        (home / "config/policy.default.yaml").write_text(
            "\n".join(yaml_of({"sandbox": policy})) + "\n", "utf-8")
    return home


class Server:
    """config: a tree laid over the defaults of the tests; policy: keys below sandbox: of
    policy.default.yaml; env: added to the environment."""

    def __init__(self, home, config=None, policy=None, env=None):
        self.home = make_home(home, config, policy)
        self.env = env
        self.bus = Bus()
        self.popen = None
        self.reader = None
        self.consoles = []
        self.log_path = self.home / "server.log"

    # -- life

    def start(self, timeout=30):
        """Starts it and waits until it says that it is ready."""
        self.spawn()
        self.wait_ready(timeout)
        return self

    def spawn(self):
        ours, theirs = os.pipe()
        os.set_inheritable(theirs, True)
        self.popen = subprocess.Popen(
            [BINARY, "--home", str(self.home), "serve", "--ready-fd", str(theirs)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            pass_fds=[theirs], env=environment(self.env))
        os.close(theirs)
        self.ready_fd = ours
        self.reader = threading.Thread(target=self._read_log, args=[self.popen.stderr],
                                       daemon=True)
        self.reader.start()

    def wait_ready(self, timeout):
        with os.fdopen(self.ready_fd, "rb", buffering=0) as f:
            got = f.read(1) if select.select([f], [], [], timeout)[0] else None
        assert got == b"\n", f"the server did not get ready ({got!r}):\n{self.log()}"

    def _read_log(self, pipe):
        with open(self.log_path, "ab", buffering=0) as out:
            for line in pipe:
                out.write(line)
                self.bus.post(("log", line.decode("utf-8", "replace").rstrip("\n")))
        self.bus.post(("log-end", ""))

    def stop(self, timeout=30):
        """SIGTERM, then waits for the end; returns the exit status."""
        if not self.popen:
            return None
        self.popen.terminate()
        try:
            status = self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            held = procs.open_all([self.popen.pid, *procs.below(self.popen.pid)])
            for h in held:
                h.kill()
                h.close()
            self.popen.wait(10)
            status = None
        self._reap(timeout)
        return status

    def kill(self, timeout=30):
        """kill -9 of the supervisor; waits until its children are gone too."""
        held = procs.open_all(procs.children(self.popen.pid))
        self.popen.send_signal(signal.SIGKILL)
        self.popen.wait(timeout)
        for h in held:
            assert h.ended(timeout), f"process {h.pid} outlived its supervisor\n{self.log()}"
            h.close()
        self._reap(timeout)

    def _reap(self, timeout):
        self.reader.join(timeout)
        assert not self.reader.is_alive(), f"the log is still open\n{self.log()}"
        self.popen = None

    def restart(self):
        self.stop()
        return self.start()

    def close(self):
        """The end of a test: stops all and proves that nothing is left."""
        for c in self.consoles:
            c.close()
        status = self.stop() if self.popen else 0
        left = self.leftovers()
        for c in left:
            engine.remove(c["Id"])
        assert not left, f"containers are left: {[c['Names'] for c in left]}\n{self.log()}"
        assert status == 0, f"the server's exit status is {status}\n{self.log()}"

    def leftovers(self):
        return engine.containers(self.instance) if (self.home / "instance").exists() else []

    # -- what it is

    @property
    def instance(self):
        return (self.home / "instance").read_text("utf-8").strip()

    @property
    def supervisor(self):
        return self.popen.pid

    @property
    def warden(self):
        """Forked before the front."""
        return procs.children(self.popen.pid)[0]

    @property
    def front(self):
        return procs.children(self.popen.pid)[1]

    def container(self):
        """The one running container."""
        found = engine.containers(self.instance, every=False)
        assert len(found) == 1, [c["Names"] for c in found]
        return found[0]

    def runner_pid(self):
        return engine.inspect(self.container()["Id"])["State"]["Pid"]

    # -- what it says

    def log(self, last=60):
        if not self.log_path.exists():
            return "(no log)"
        lines = self.log_path.read_text("utf-8", "replace").splitlines()
        return "\n".join(lines[-last:])

    def wait_log(self, pattern, timeout=30, since=0, count=1):
        want = re.compile(pattern)
        event = self.bus.wait(lambda e: e[0] == "log" and want.search(e[1]), timeout, since,
                              f"log line /{pattern}/", count)
        return event[1]

    def log_lines(self, pattern, since=0):
        want = re.compile(pattern)
        return [e[1] for e in self.bus.find(lambda e: e[0] == "log" and want.search(e[1]), since)]

    # -- what it knows

    def rows(self, sql, *args):
        """Reads its database, which is never written from here."""
        db = sqlite3.connect(f"file:{self.home / 'chela.db'}?mode=ro", uri=True, timeout=10)
        try:
            return db.execute(sql, args).fetchall()
        finally:
            db.close()

    def until(self, ready, what, timeout=60):
        """What ready() gives, once it is something: what stands in the store or in a file is no event that could be
        waited for. what: words, or a function that gives them."""
        end = time.monotonic() + timeout
        while not (found := ready()):
            assert time.monotonic() < end, f"no {what() if callable(what) else what}\n{self.log()}"
            self.bus.pause(0.02)
        return found

    def quiet(self, outbox=True, timeout=60):
        """Waits until all that was taken in is done with, and all that is to be sent is sent."""
        going = ["messages WHERE dir = 0 AND state IN (1, 2, 5)", "turns WHERE ended_ms IS NULL",
                 "task_runs WHERE state < 3"] + ["outbox WHERE state < 2"] * outbox
        sql = "SELECT " + ", ".join(f"(SELECT count(*) FROM {what})" for what in going)
        self.until(lambda: not any(self.rows(sql)[0]), lambda: f"end of {dict(zip(going, self.rows(sql)[0]))}", timeout)

    def rewrite(self, old, new):
        """Changes its configuration; it does not know yet."""
        path = self.home / "config/chela.yaml"
        text = path.read_text("utf-8")
        assert old in text
        path.write_text(text.replace(old, new), "utf-8")

    def transcripts(self, group, words=""):
        """What the agent of a group was told, by session, the oldest first: its own files, the newest of which has these
        words. The agent writes them at its leisure, some time after it has answered."""
        def texts():
            files = sorted((self.home / "sessions" / group).glob("projects/*/*.jsonl"),
                           key=lambda f: f.stat().st_mtime)
            found = [f.read_text("utf-8") for f in files]
            return found if found and words in found[-1] else None
        return self.until(texts, f"{words!r} in a transcript of {group}")

    def console(self, group="main", since=0):
        c = Console(self, group, since)
        self.consoles.append(c)
        return c

    def order(self, *words):
        """A command as the program sends it to a server, without a process for each: (exit status, what is said)."""
        said = []
        with socket.socket(socket.AF_UNIX) as s, s.makefile("rb") as answers:
            s.settimeout(60)
            s.connect(str(self.home / "control.sock"))
            s.sendall(json.dumps({"op": "command", "argv": words}).encode() + b"\n")
            for event in map(json.loads, answers):
                if event["ev"] == "end":
                    return event["status"], "\n".join(said)
                assert event["ev"] in ("hello", "line"), event
                said += [event["text"]] if event["ev"] == "line" else []
        raise AssertionError(f"no end of {words}\n{self.log()}")

    def cli(self, *words, stdin="", timeout=60, env=None):
        """Runs a command of the program against this home."""
        return run_cli(self.home, *words, stdin=stdin, timeout=timeout,
                       env={**(self.env or {}), **(env or {})})


def run_cli(home, *words, stdin="", timeout=60, env=None):
    return subprocess.run([BINARY, "--home", str(home), *words], input=stdin, text=True,
                          capture_output=True, timeout=timeout, env=environment(env),
                          check=False)


def cli(server, *words, status=0):
    """Runs a command that has to end with this status; all that it says."""
    done = server.cli(*words)
    assert done.returncode == status, (words, done.stdout, done.stderr)
    return done.stdout + done.stderr


def have_binary():
    return shutil.which(BINARY) is not None
