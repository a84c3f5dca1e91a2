# SPDX-License-Identifier: Apache-2.0
"""The three platforms under one server: fakes, token files, the section `channels` of its config; and all of it, ready to talk to.

Owns: the fakes' processes. Why: tests, chaos and bench need the same household. Must never: let a
test end well when a fake saw a rule of its platform broken.
"""
import contextlib
import os
import pathlib

import fake_client
import server as servers
import testca

NAMES = ("slack", "telegram", "whatsapp")


def secret(home, name, value):
    """A token in a file that only its owner reads; gives the path as the config names it."""
    path = pathlib.Path(home) / "secrets" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value + "\n", "utf-8")
    os.chmod(path, 0o600)
    return f"secrets/{name}"


class Platforms:
    """which: names of NAMES; speed divides the platforms' own waits and limits."""

    def __init__(self, folder, home, which=NAMES, speed=1):
        self.certs = testca.make(str(pathlib.Path(folder) / "certs"), ["localhost", "127.0.0.1"], 2)
        self.home = pathlib.Path(home)
        self.fakes = {}
        if "slack" in which:
            self.slack = self.fakes["slack"] = fake_client.Slack(self.certs)
        if "telegram" in which:
            self.telegram = self.fakes["telegram"] = fake_client.Telegram(self.certs)
        if "whatsapp" in which:
            self.whatsapp = self.fakes["whatsapp"] = fake_client.WhatsApp(self.certs)
        for name, fake in self.fakes.items():
            if name != "whatsapp":  # it has no limits on rates, and its patience is for a loaded machine
                fake.call("limits", speed=speed)

    def config(self):
        ca = f"{self.certs}/ca.pem"
        tree = {}
        if "slack" in self.fakes:
            hello = self.slack.hello
            tree["slack"] = {
                "app_token_file": secret(self.home, "slack_app", hello["app_token"]),
                "bot_token_file": secret(self.home, "slack_bot", hello["bot_token"]),
                "api_url": hello["url"], "ca_file": ca}
        if "telegram" in self.fakes:
            hello = self.telegram.hello
            tree["telegram"] = {
                "token_file": secret(self.home, "telegram", hello["bot_token"]),
                "api_url": hello["url"], "ca_file": ca}
        if "whatsapp" in self.fakes:
            hello = self.whatsapp.hello
            tree["whatsapp"] = {
                "bridge": hello["url"], "ca_file": ca,
                "token_file": secret(self.home, "whatsapp_bridge", hello["token"])}
        return {"channels": tree}

    def ready(self, timeout=30):
        """All of them hear Chela."""
        for fake in self.fakes.values():
            fake.wait(what="ready", timeout=timeout)

    def kept_secret(self, server):
        """No token is in the log, nor in the store."""
        log = server.log_path.read_text("utf-8")
        store = b"".join(p.read_bytes() for p in server.home.glob("chela.db*"))
        for name, fake in self.fakes.items():
            for token in (fake.hello[k] for k in ("bot_token", "app_token", "token") if k in fake.hello):
                assert token not in log, f"a token of {name} is in the log"
                assert token.encode() not in store, f"a token of {name} is in the store"

    def close(self):
        wrong = []
        for fake in self.fakes.values():
            try:
                fake.stop()
            except AssertionError as e:
                wrong.append(str(e))
        assert not wrong, "\n".join(wrong)


def link(server, groups, **settings):
    """groups: name -> list of "channel:chat"; each gets these settings. Everybody may talk there, unless strangers says
    otherwise; who talks in main needs a role all the same."""
    for name, chats in groups.items():
        chosen = settings if name == "main" else {"strangers": "allow", **settings}
        for chat in chats:
            done = server.cli("groups", "add", name, chat)
            assert done.returncode == 0, done.stderr
        for key, value in chosen.items():
            done = server.cli("groups", "set", name, key, value)
            assert done.returncode == 0, done.stderr


@contextlib.contextmanager
def house(folder, which=NAMES, config=None, groups=None, speed=20, **settings):
    """The platforms with their server, which is one attribute of theirs; groups and settings as in link()."""
    world = Platforms(folder, folder / "home", which, speed)
    server = servers.Server(folder / "home", servers.merged(world.config(), config or {}), {"runtime": "runc"})
    try:
        server.start()
        link(server, groups or {}, **settings)
        world.ready()
        world.server = server
        yield world
        world.kept_secret(server)
    finally:
        try:
            server.close()
        finally:
            world.close()


FROM_BOT = {"from": "bot"}


def newest(fake, chat):
    """The number of the newest message of a chat; 0 when there is none."""
    return max([m["n"] for m in fake.messages(chat=chat)] or [0])


def say(fake, chat, text, **more):
    """Says something; gives the platform's id of it."""
    return fake.inject(do="message", chat=chat, text=text, **more)[0]


def answer(fake, chat, text, wait, **more):
    """Says something and waits for the bot's message that shows `wait`; gives (id of what was said, that message)."""
    mark = newest(fake, chat)
    said = say(fake, chat, text, **more)
    return said, fake.wait(chat=chat, since=mark, plain=wait, timeout=60, **FROM_BOT)[0]


def ask(fake, chat, text, wait, **more):
    """As answer(); gives the bot's message alone."""
    return answer(fake, chat, text, wait, **more)[1]


def hear(fake, chat, text, match, **more):
    """Says something and gives the words of the bot's message that matches."""
    mark = newest(fake, chat)
    say(fake, chat, text, **more)
    return fake.wait(chat=chat, since=mark, regex=match, timeout=60, **FROM_BOT)[0]["plain"]


def closed(fake, chat, question):
    """The question of this id once it has no buttons any more: an edit of its own, which may come after the answer to it."""
    fake.wait(chat=chat, id=question, edited=True, timeout=60)
    (shown,) = fake.messages(chat=chat, id=question)
    assert not shown["buttons"], shown
    return shown
