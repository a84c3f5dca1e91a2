# SPDX-License-Identifier: Apache-2.0
"""What the bench's steps stand on: a server of their own, a client of its control socket, images.

Owns: the processes, folders and images that the bench makes, and their removal.
Why: a step should read as what it measures.
Must never: touch a server, container or image that it did not make; wait without a time limit.
"""
import contextlib
import json
import os
import pathlib
import queue
import re
import shutil
import socket
import subprocess
import threading
import time
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHELA = pathlib.Path(os.environ.get("CHELA_BIN", ROOT / "build/release/chela"))
WORK = ROOT / "build/bench"
LOCK = ROOT / "build/image/image.lock"
LIMIT_S = 60  # for any one thing to happen


class Failed(Exception):
    """A step could not be measured."""


class Skipped(Exception):
    """A step does not apply here."""


def run(*argv, **more):
    done = subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=False, timeout=300, **more)
    if done.returncode:
        raise Failed(f"{' '.join(map(str, argv[:3]))}: code {done.returncode}: "
                     f"{done.stderr.decode('utf-8', 'replace')[-400:].strip()}")
    return done.stdout.decode("utf-8", "replace").strip()


def locked_image():
    for line in LOCK.read_text("utf-8").splitlines():
        if line.startswith("image:"):
            return line.split()[1]
    raise Failed(f"{LOCK} names no image")


def need_engine():
    """Skips the step when there is nothing to run a sandbox with."""
    try:
        run("docker", "image", "inspect", locked_image())
    except (OSError, Failed) as why:
        raise Skipped(f"no engine with the image of {LOCK.relative_to(ROOT)}: {why}") from None


@contextlib.contextmanager
def agent_image():
    """The locked image with the bench's agent in the place of Claude Code; gives a lock file for it."""
    box = run("docker", "create", locked_image())
    image = None
    try:
        run("docker", "cp", WORK / "agent", f"{box}:/usr/local/bin/claude")
        image = run("docker", "commit", "-m", "bench agent", box)
        lock = WORK / "agent.lock"
        lock.write_text(f"image: {image}\n", "utf-8")
        yield lock
    finally:
        run("docker", "rm", "-f", box)
        if image:
            run("docker", "rmi", "-f", image)


class Server:
    """`chela serve` on a folder of its own; a context manager."""

    def __init__(self, name, lock=LOCK, fresh=True, more=""):
        self.home = WORK / name
        self.config = WORK / f"{name}.yaml"
        if fresh:
            shutil.rmtree(self.home, ignore_errors=True)
        self.config.write_text(f"sandbox:\n  image_lock: {lock}\n{more}", "utf-8")
        self.process = None
        self.begun = 0  # ns, monotonic, at exec
        self.lines = queue.Queue()
        self.ready_ms = None
        self.tail = []

    def __enter__(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("ANTHROPIC_", "CLAUDE_"))}
        got, put = os.pipe()
        argv = [str(CHELA), "--home", str(self.home), "--config", str(self.config), "serve",
                "--ready-fd", str(put)]
        self.begun = begun = time.monotonic_ns()
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                        pass_fds=[put], env=env)
        os.close(put)
        threading.Thread(target=self.read_log, args=[self.process.stderr], daemon=True).start()
        byte = os.read(got, 1)
        self.ready_ms = (time.monotonic_ns() - begun) / 1e6
        os.close(got)
        if not byte:
            self.process.wait(LIMIT_S)
            raise Failed(f"the server did not start: {self.words()}")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise Failed("the server did not end") from None
        if self.process.returncode:
            raise Failed(f"the server ended with {self.process.returncode}: {self.words()}")

    def heard(self, line):
        """Hook: a line of the log, in the thread that reads it."""

    def read_log(self, log):
        for raw in log:
            line = raw.decode("utf-8", "replace").rstrip()
            self.heard(line)
            self.tail = self.tail[-5:] + [line[-600:]]
            self.lines.put(line)

    def words(self):
        return " | ".join(self.tail)

    def wait_log(self, pattern):
        """The next line of the log that matches, from where the last look ended."""
        end = time.monotonic() + LIMIT_S
        while True:
            try:
                line = self.lines.get(timeout=max(0.01, end - time.monotonic()))
            except queue.Empty:
                raise Failed(f"no log line like {pattern}; last: {self.words()}") from None
            found = re.search(pattern, line)
            if found:
                return found

    def pids(self):
        """The supervisor, the warden and the front."""
        top = self.process.pid
        below = pathlib.Path(f"/proc/{top}/task/{top}/children").read_text("ascii").split()
        if len(below) != 2:
            raise Failed(f"the server has {len(below)} children, not 2")
        return [top, *map(int, below)]

    def memory_kb(self):
        """(PSS, private, private and written) of the server's processes, in KiB. The first two
        depend on who else has the same libraries mapped; the third is ours alone."""
        pss = private = dirty = 0
        for pid in self.pids():
            text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text("ascii")
            fields = dict(re.findall(r"^(\w+):\s+(\d+) kB$", text, re.M))
            pss += int(fields["Pss"])
            private += int(fields["Private_Clean"]) + int(fields["Private_Dirty"])
            dirty += int(fields["Private_Dirty"])
        return pss, private, dirty


def others():
    """How many processes of other servers run: they share pages with ours, which flatters it."""
    count = 0
    for exe in pathlib.Path("/proc").glob("[0-9]*/exe"):
        with contextlib.suppress(OSError):
            count += os.readlink(exe).split("/")[-1].startswith("chela")
    return count


class Client:
    """A chat with the main group over the control socket (src/admin/control.h)."""

    def __init__(self, server):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(LIMIT_S)
        folder = os.open(server.home, os.O_PATH | os.O_DIRECTORY)
        self.sock.connect(f"/proc/self/fd/{folder}/control.sock")  # however long the path is
        os.close(folder)
        self.file = self.sock.makefile("rb", buffering=1 << 16)
        self.number = 0
        self.prefix = uuid.uuid4().hex[:12]

    def __enter__(self):
        self.send({"op": "chat", "group": "main", "since": -1})
        self.until("synced")
        return self

    def __exit__(self, *_):
        self.file.close()
        self.sock.close()

    def send(self, request):
        self.sock.sendall(json.dumps(request).encode() + b"\n")

    def event(self):
        line = self.file.readline()
        if not line:
            raise Failed("the server closed the connection")
        ev = json.loads(line)
        if ev["ev"] in ("error", "refused") or ev.get("notice"):
            raise Failed(f"the server says: {ev.get('why') or ev.get('text')}")
        return ev

    def until(self, kind):
        while True:
            ev = self.event()
            if ev["ev"] == kind:
                return ev

    def line(self, text):
        """(id, the request line) of a new message."""
        self.number += 1
        mid = f"{self.prefix}-{self.number}"
        return mid, json.dumps({"op": "say", "id": mid, "text": text}).encode() + b"\n"

    def say(self, text):
        """Says it, and waits until it is settled and its answer is here. Returns (start in ns,
        ms until settled, answer)."""
        mid, line = self.line(text)
        answer, settled = None, None
        begun = time.monotonic_ns()
        self.sock.sendall(line)
        while answer is None or settled is None:
            ev = self.event()
            if ev["ev"] == "settled" and ev["id"] == mid:
                settled = (time.monotonic_ns() - begun) / 1e6
                if ev["failed"]:
                    raise Failed("a message was not answered")
            elif ev["ev"] == "message" and ev["dir"] == "out":
                answer = ev["text"]
        return begun, settled, answer

    def engine_ready(self):
        """Waits until the warden has looked at the engine."""
        self.send({"op": "status"})
        return self.until("status")
