# SPDX-License-Identifier: Apache-2.0
"""Servers to attack: one a runtime, warm, with a marker for a key, two groups and the strict fake
of the Messages API behind it. The attacks run inside the sandbox, as the agent's own tool calls."""
import json
import os
import pathlib
import secrets
import sqlite3
import sys
import time

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
sys.path.insert(0, str(HERE.parent / "fakes"))

import engine  # noqa: E402
import server as servers  # noqa: E402
from upstream import Upstream  # noqa: E402

LONG = bool(os.environ.get("CHELA_LONG"))
RUNTIMES = ("runc", "runsc")
# small, so that the attacks on them are short; other than the defaults, so that they are really set
POLICY = {"memory": "768M", "pids": 160, "cpus": 0.75, "tmp": "48M"}


@pytest.fixture(scope="session")
def sandboxes():
    assert servers.have_binary(), f"no {servers.BINARY}: make all"
    why = engine.why_not()
    if why:
        pytest.skip(why)
    if not pathlib.Path(servers.LOCK).exists():
        pytest.skip(f"no image: {servers.LOCK} is not there (make image)")


def add_group(server, name):
    """A second group, while the server is down: no command makes one yet."""
    db = sqlite3.connect(server.home / "chela.db", timeout=10)
    with db:
        db.execute("INSERT INTO groups (name, created_ms) VALUES (?, ?)",
                   (name, int(time.time() * 1000)))
    db.close()


def two_groups(server):
    server.start()
    server.stop()
    add_group(server, "kin")
    return server.start()


class Target:
    """A server, its key, and how to run an attack inside a group's sandbox."""

    def __init__(self, server, upstream, key, runtime):
        self.server, self.upstream, self.key, self.runtime = server, upstream, key, runtime
        self.chats = {}

    def chat(self, group="main"):
        if group not in self.chats:
            self.chats[group] = self.server.console(group)
        return self.chats[group]

    def folder(self, group="main"):
        return self.server.home / "groups" / group

    def container(self, group="main"):
        """The engine's view of the group's running sandbox."""
        found = [c for c in engine.containers(self.server.instance, every=False)
                 if c["Labels"]["chela.group"] == group]
        assert len(found) == 1, [c["Names"] for c in found]
        return engine.inspect(found[0]["Id"])

    def attack(self, name, *args, group="main", timeout=110):
        """Runs inside/NAME.py as the agent's tool; what it printed last, as JSON."""
        chat = self.chat(group)
        if not self.folder(group).is_dir():
            chat.ask("warm up")
        tag = secrets.token_hex(4)
        for part in ("common", name):
            text = (HERE / "inside" / f"{part}.py").read_text("utf-8")
            (self.folder(group) / f"{part}.py").write_text(text, "utf-8")
        (self.folder(group) / "args.json").write_text(json.dumps(args), "utf-8")
        said = chat.ask(f"!bash timeout {timeout} python3 -B {name}.py > {tag}.out 2>&1; "
                        f"echo ended $?", timeout + 30)
        out = self.folder(group) / f"{tag}.out"
        printed = out.read_text("utf-8", "replace")
        out.unlink()
        assert "ended 0" in said, f"{said}\n{printed[-3000:]}"
        return json.loads(printed.splitlines()[-1])

    def refuted(self, name, *args, least, **kw):
        """The attack tried at least so many ways in and found none; gives back what it saw."""
        got = self.attack(name, *args, **kw)
        assert got["holes"] == [], "\n".join(got["holes"])
        assert got["tried"] >= least, f"only {got['tried']} attempts were made"
        return got


@pytest.fixture(params=RUNTIMES, scope="session")
def target(request, sandboxes, tmp_path_factory):
    runtime = request.param
    if runtime not in engine.runtimes():
        pytest.skip(f"the engine has no runtime {runtime}")
    key = "sk-ant-marker-" + secrets.token_hex(16)
    upstream = Upstream(("--api-key", key))
    server = servers.Server(tmp_path_factory.mktemp(f"attack-{runtime}"),
                            policy={"runtime": runtime, **POLICY},
                            env={"ANTHROPIC_API_KEY": key, "ANTHROPIC_BASE_URL": upstream.url})
    two_groups(server)
    yield Target(server, upstream, key, runtime)
    server.close()
    upstream.stop()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """The log of each server that a failed test used stands in its report."""
    report = (yield).get_result()
    if report.failed:
        for name, value in getattr(item, "funcargs", {}).items():
            s = getattr(value, "server", value)
            if isinstance(s, servers.Server):
                report.sections.append((f"log of {name}", s.log(60)))
