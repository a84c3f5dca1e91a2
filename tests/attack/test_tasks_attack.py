# SPDX-License-Identifier: Apache-2.0
"""Disposable sandboxes, of tasks and of their gates: what runs there can change nothing that stays, sees nothing of other groups,
and what it leaves behind leads whoever removes it nowhere. And who may write what all groups read."""
import json
import os
import pathlib
import re
import subprocess

import pytest

import engine
from attacker import HERE, LONG

COPY = "cp /group/common.py /group/disposable.py /group/args.json /workspace && cd /workspace && python3 -B disposable.py"


def cli(server, *words):
    done = server.cli(*words)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


def scratch(server):
    """Folders of tasks, once the warden has had its turns: it removes some thousand entries between two of its answers."""
    for _ in range(20):
        server.cli("status")
        left = os.listdir(server.home / "tasks")
        if not left:
            break
    return left


def run(target, group, name, prompt, kind, **settings):
    """Runs a task of the group once; what it said."""
    server = target.server
    cli(server, "tasks", "add", group, name, "every 1d", prompt)
    for key, value in settings.items():
        cli(server, "tasks", "set", name, key, value)
    mark = server.bus.mark()
    cli(server, "run", name)
    server.wait_log(rf"sandbox ended.*group={group} kind={kind}", 120, mark)
    if kind != "task":
        server.wait_log(rf"sandbox ended.*group={group} kind=task", 120, mark)
    cli(server, "tasks", "cancel", name)
    rows = server.rows("SELECT r.text, r.error FROM task_runs r JOIN tasks t ON t.id = r.task_id"
                       " WHERE t.name = ? ORDER BY r.id DESC LIMIT 1", name)
    assert rows and not rows[0][1], rows
    return rows[0][0]


def facts(home):
    """What must not change: owners, modes and times on the host."""
    names = ("groups/main", "groups/kin", "groups/main/mark-of-main", "groups/global", "chela.db", "sessions/kin")
    paths = [home / n for n in names] + [pathlib.Path(p) for p in ("/etc", "/etc/passwd", engine.SOCKET)]
    keep = {}
    for p in paths:
        st = os.stat(p)
        keep[str(p)] = (st.st_uid, st.st_gid, st.st_mode) + (() if p.name == "chela.db" else (st.st_nlink,))
    return keep


def prepare(target, group):
    chat = target.chat(group)
    chat.ask("said before the task")
    folder = target.folder(group)
    for part in ("common", "disposable"):
        (folder / f"{part}.py").write_text((HERE / "inside" / f"{part}.py").read_text("utf-8"), "utf-8")
    other = "main" if group == "kin" else "kin"
    target.chat(other).ask(f"!bash touch /workspace/mark-of-{other} /session/mark-of-{other}")
    (folder / "args.json").write_text(json.dumps([[f"mark-of-{other}"], True]), "utf-8")
    return folder


def judge(said):
    found = re.search(r"holes (\[.*?\]) tried (\d+) end", said)
    assert found, said
    assert found[1] == "[]", said
    assert int(found[2]) >= 1000, said


def test_a_task_changes_nothing_and_leaves_nothing(target):
    prepare(target, "kin")
    before = facts(target.server.home)
    said = run(target, "kin", "probe", f"!bash {COPY}", "task", context="isolated")
    judge(said)
    assert scratch(target.server) == []
    assert facts(target.server.home) == before
    assert (target.folder("kin") / "disposable.py").exists()
    assert "here" in target.chat("kin").ask("!bash test -s /workspace/disposable.py && echo here")


def test_neither_does_a_gate(target):
    folder = prepare(target, "kin")
    (folder / "args.json").write_text(json.dumps([["mark-of-main"], False]), "utf-8")
    before = facts(target.server.home)
    said = run(target, "kin", "gated", "tell the data", "tool", context="isolated", gate=COPY)
    judge(said)
    assert scratch(target.server) == []
    assert facts(target.server.home) == before


def test_even_main_gets_a_task_that_cannot_write(target):
    if target.runtime == "runsc" and not LONG:
        pytest.skip("in the long run only (CHELA_LONG=1): the mounts are made by the same code")
    prepare(target, "main")
    judge(run(target, "main", "probe-main", f"!bash {COPY}", "task", context="isolated"))
    assert scratch(target.server) == []


def test_only_main_writes_what_all_read(target):
    said = target.chat("main").ask("!bash echo for-all > /global/news && cat /global/news && mount | grep ' /global '")
    assert "for-all" in said and "ro," not in said, said
    said = target.chat("kin").ask("!bash cat /global/news; echo y > /global/news || echo refused; "
                                  "rm /global/news || echo refused; ln -s / /global/root || echo refused; "
                                  "touch -h /global/CLAUDE.md || echo refused")
    assert "for-all" in said and said.count("refused") == 4, said
    # what main plants there leads nobody else out: a link is followed inside the reader's own sandbox
    target.chat("main").ask("!bash ln -sfn /workspace /global/theirs; ln -sfn /session /global/talks; touch /workspace/mark-of-main")
    said = target.chat("kin").ask("!bash echo /global/theirs/*; echo looked")
    assert "looked" in said and "mark-of-main" not in said, said
    target.chat("main").ask("!bash rm -f /global/theirs /global/talks /global/news")


def test_a_crash_leaves_no_scratch(target):
    """Folders of sandboxes that nobody ended, with links in them, go at the next start; what is not a task's stays."""
    if target.runtime == "runsc":
        pytest.skip("no sandbox is needed: once is enough")
    server = target.server
    bait = server.home / "bait-of-tasks"
    bait.mkdir()
    (bait / "file").write_text("untouched", "utf-8")
    server.kill()
    left = server.home / "tasks" / "11111111-2222-4333-8444-555555555555"
    (left / "workspace" / "sub").mkdir(parents=True)
    os.symlink(bait, left / "workspace" / "sub" / "link")
    os.symlink(bait, left / "session")
    os.symlink(bait, server.home / "tasks" / "11111111-2222-4333-8444-666666666666")
    (server.home / "tasks" / "notes").mkdir()
    subprocess.run(["chown", "-R", "10001", str(left)], check=True)
    server.start()
    target.chats.clear()
    assert scratch(server) == ["notes"]
    assert (bait / "file").read_text("utf-8") == "untouched"
    (server.home / "tasks" / "notes").rmdir()
