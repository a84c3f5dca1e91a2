# SPDX-License-Identifier: Apache-2.0
"""The tour of README.md, done as it is written.

Owns: reading the blocks marked `tour`, and typing them. Why: what a new user copies must work,
word for word. Must never: know a command that the README does not show.
"""
import os
import re
import shutil
import subprocess

import platforms
import server as servers

CHATS = {"telegram Alice": ("telegram", "1001", None),
         "whatsapp Family": ("whatsapp", "120363000000000001@g.us", None),
         "slack general": ("slack", "C00GENERAL", None)}
LINE = re.compile(r"(?:(?P<shell>\$) (?P<command>.+)|(?P<where>\w+ \w+) (?P<way>[<>]) (?P<text>.+))$")


def steps():
    """(where or "$", way, text) of each line, in order."""
    text = (servers.ROOT / "README.md").read_text("utf-8")
    for block in re.findall(r"^```tour\n(.*?)^```", text, re.M | re.S):
        for line in block.splitlines():
            m = LINE.match(line)
            assert m, f"README.md, the tour: cannot be read: {line!r}"
            yield ("$", "$", m["command"]) if m["shell"] else (m["where"], m["way"], m["text"])


class Tour:
    def __init__(self, world, server):
        self.world, self.server = world, server
        self.code = None
        self.seen = {}  # where -> number of the newest message before what was typed there last

    def shell(self, command):
        binary, *words = command.split()
        assert binary == "build/release/chela", command
        env = servers.environment({"CHELA_HOME": str(self.server.home)})
        done = subprocess.run([servers.BINARY, *words], env=env, capture_output=True, text=True,
                              timeout=60, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        code = re.search(r"/claim ([A-Z0-9]{4}-[A-Z0-9]{4})", done.stdout)
        self.code = code[1] if code else self.code
        return done.stdout

    def type(self, where, text):
        name, chat, _ = CHATS[where]
        fake = self.world.fakes[name]
        self.seen[where] = platforms.newest(fake, chat)
        more = {}
        if name == "slack" and text.startswith("@Chela "):  # the page does so with a mention
            text, more = text[len("@Chela "):], {"mention": True}
        fake.inject(do="message", chat=chat, text=text.replace("CODE", self.code or ""), **more)
        fake.wait(what="idle", timeout=30)

    def read(self, where, text):
        name, chat, _ = CHATS[where]
        self.world.fakes[name].wait(chat=chat, since=self.seen.get(where, 0), plain=text,
                                    timeout=90, **platforms.FROM_BOT)


def test_tour(tmp_path):
    home = tmp_path / "home"
    world = platforms.Platforms(tmp_path, home)
    server = servers.Server(home, world.config())
    try:
        for part in ("groups/template", "groups/main", "groups/global", "skills"):
            shutil.copytree(servers.ROOT / part, home / part, dirs_exist_ok=True)
        server.start()
        world.ready()
        tour, done = Tour(world, server), 0
        for where, way, text in steps():
            if way == "$":
                assert tour.shell(text)
            elif way == ">":
                tour.type(where, text)
            else:
                tour.read(where, text)
            done += 1
        assert done > 25, "the tour has lost its steps"
        runs = tour.shell("build/release/chela tasks runs briefing")
        assert re.search(r"run 1 of briefing: .* ok in .* tokens", runs), runs
    finally:
        server.close()
        world.close()
    assert not os.path.exists(home / "control.sock")
