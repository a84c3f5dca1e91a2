# SPDX-License-Identifier: Apache-2.0
"""What the attacks share: small limits, two groups, and a way to run a script inside a sandbox."""
import json
import os
import pathlib
import secrets
import sqlite3
import time

import engine
import server as servers

HERE = pathlib.Path(__file__).resolve().parent
# an instrumented server keeps freed memory back for a while, and stays traceable for its leak check
SANITIZED = servers.have_binary() and b"__asan_init" in pathlib.Path(servers.BINARY).read_bytes()
LONG = bool(os.environ.get("CHELA_LONG"))
RUNTIMES = ("runc", "runsc")
# small, so that the attacks on them are short; other than the defaults, so that they are really set
POLICY = {"memory": "768M", "pids": 160, "cpus": 0.75, "tmp": "48M"}
# gVisor takes about ten tasks of the host for each one inside, and the kernel is told so: see spec_pids
GVISOR_POLICY = {**POLICY, "pids": 40}
PIDS = {"runc": POLICY["pids"], "runsc": 10 * GVISOR_POLICY["pids"] + 256}


def content(path):
    """What a file holds, or nothing when it, or the process that it is of, has just gone."""
    try:
        return pathlib.Path(path).read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


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
