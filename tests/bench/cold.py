# SPDX-License-Identifier: Apache-2.0
"""The cold road: from a message, with no sandbox running, to its answer by the real Claude Code.

Owns: the yardstick too, which is `docker run` of a container locked in the same way plus Claude
Code's own start, exec to result, on the host. Why: what is above the sum of those is ours.
Must never: give one side what the other does not get (same binary, arguments, user, fresh state).
"""
import contextlib
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid

import rig

AGENT_UID = 10001
KEY = "bench-key"
CLOSED = ["--network", "none", "--read-only", "--cap-drop", "ALL", "--cap-add", "SETUID",
          "--cap-add", "SETGID", "--security-opt", "no-new-privileges", "--log-driver", "none",
          "--ipc", "none", "--user", "0:0", "--pids-limit", "256", "--memory", "1g",
          "--memory-swap", "1g", "--cpus", "1", "--interactive",
          "--tmpfs", "/tmp:rw,noexec,nosuid,nodev,size=256m"]


def agent_words():
    """The agent's arguments and environment, read from where the warden has them. Our tools are
    left out: asking for them is a cost that the sandbox adds."""
    text = (rig.ROOT / "src/warden/agent.c").read_text("utf-8")
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    url = re.search(r"#define DOOR_URL (\".*\")", text).group(1)
    lists = {}
    for name in ("agent_env", "agent_args"):
        body = re.search(name + r"\[\] = \{(.*?)\bNULL,\n\};", text, re.S).group(1)
        body = body.replace("DOOR_URL", url)
        literals = re.findall(r'"(?:[^"\\]|\\.)*"|,', body)
        words, word = [], ""
        for item in literals + [","]:
            if item != ",":
                word += json.loads(item)
            elif word:
                words.append(word)
                word = ""
        lists[name] = words
    args, env = lists["agent_args"], dict(w.split("=", 1) for w in lists["agent_env"])
    at = args.index("--mcp-config")
    return args[:at] + args[at + 2:], env


class Host:
    """Claude Code on the host: the same binary, as the agent's user, against a local upstream."""

    def __init__(self, folder, port):
        self.folder = pathlib.Path(folder)
        self.binary = self.folder / "claude"
        self.args, self.env = agent_words()
        self.env.update(ANTHROPIC_BASE_URL=f"http://127.0.0.1:{port}", ANTHROPIC_API_KEY=KEY)
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
            del self.env[name]
        os.chmod(folder, 0o755)

    def dir(self, name):
        path = self.folder / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(0o700)
        if os.geteuid() == 0:
            os.chown(path, AGENT_UID, AGENT_UID)
        return str(path)

    def once(self):
        """ms from exec to the result line for "hello"."""
        session, work = self.dir("session"), self.dir("work")
        env = dict(self.env, HOME=session, CLAUDE_CONFIG_DIR=session, TMPDIR=self.dir("tmp"))
        argv = [str(self.binary), *self.args[1:], "--session-id", str(uuid.uuid4())]
        who = {"user": AGENT_UID, "group": AGENT_UID, "extra_groups": []}
        line = {"type": "user", "uuid": str(uuid.uuid4()), "session_id": "",
                "parent_tool_use_id": None, "message": {"role": "user", "content": "hello"}}
        begun = time.monotonic_ns()
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, cwd=work, env=env,
                              **(who if os.geteuid() == 0 else {})) as p:
            p.stdin.write(json.dumps(line).encode() + b"\n")
            p.stdin.flush()
            ms = None
            for raw in p.stdout:
                event = json.loads(raw)
                if event["type"] == "result":
                    ms = (time.monotonic_ns() - begun) / 1e6
                    break
            p.stdin.close()
            p.stdout.read()
        if ms is None or event["is_error"] or "hello" not in event["result"]:
            raise rig.Failed("Claude Code did not answer on the host")
        return ms


@contextlib.contextmanager
def upstream():
    argv = [sys.executable, str(rig.ROOT / "tests/fakes/messages_api.py"), "--api-key", KEY,
            "--stdin"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as p:
        try:
            yield json.loads(p.stdout.readline())["port"]
        finally:
            p.stdin.close()


def docker_run(home):
    """ms of `docker run` of `true` in a container locked as the warden's are."""
    name = f"chela-bench-{uuid.uuid4().hex[:12]}"
    binds = []
    for source, target in (("groups/main", "/workspace"), ("sessions/main", "/session")):
        binds += ["--mount", f"type=bind,source={home}/{source},target={target}"]
    binds += ["--mount", f"type=bind,source={home}/groups/global,target=/global,readonly"]
    seccomp = ["--security-opt", f"seccomp={rig.ROOT}/container/seccomp.json"]
    begun = time.monotonic_ns()
    try:
        rig.run("docker", "run", "--name", name, *CLOSED, *seccomp, *binds, "--entrypoint",
                "/usr/bin/true", rig.locked_image())
        return (time.monotonic_ns() - begun) / 1e6
    finally:
        rig.run("docker", "rm", "-f", name)


def ours():
    """One fresh server: ms to the first answer, to the runner's first byte, to the agent's first
    line; and, after the sandbox was stopped for want of work, to the next answer."""
    with rig.Server("cold", more="  idle_stop: 1s\n") as s, rig.Client(s) as c:
        c.engine_ready()
        _, first, _ = c.say("hello")
        byte = float(s.wait_log(r"comp=session msg=\"ready\" .*\bms=(\d+)").group(1))
        line = float(s.wait_log(r"msg=\"the agent speaks\" .*\bms=(\d+)").group(1))
        s.wait_log(r"comp=session msg=\"sandbox ended\"")
        _, again, _ = c.say("hello again")
        return first, byte, line, again, s.home


def measure(rounds=7):
    """Medians over the rounds; the three things that are compared take turns."""
    rig.need_engine()
    rows = []
    with tempfile.TemporaryDirectory(prefix="chela-bench-") as folder, upstream() as port:
        host = Host(folder, port)
        box = rig.run("docker", "create", rig.locked_image())
        try:
            rig.run("docker", "cp", f"{box}:/usr/local/bin/claude", host.binary)
        finally:
            rig.run("docker", "rm", "-f", box)
        for n in range(rounds + 1):
            first, byte, line, again, home = ours()
            row = (first, byte, line, again, docker_run(home), host.once())
            if n:  # the first round only warms the page cache
                rows.append(row)
    mid = [statistics.median(column) for column in zip(*rows)]
    names = ("reply", "byte", "line", "resumed", "docker", "claude")
    return dict(zip(names, mid))
