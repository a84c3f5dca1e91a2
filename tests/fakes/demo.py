#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A platform to play with: its fake, with a page to type in, and a Chela server that is set up for it.

Owns: a temporary home, both processes, and their end. Why: a person sees how Chela behaves on a
platform (and under its troubles) without an account there. Must never: reach beyond this machine
(the model is the built-in demo), or leave anything behind.

Use: demo.py slack|telegram|whatsapp     (make demo-slack ...); Ctrl-C ends it.
"""
import pathlib
import secrets
import signal
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e")]

import fake_client  # noqa: E402
import platforms  # noqa: E402
import server as servers  # noqa: E402

# group -> chats of each platform
CHATS = {
    "slack": {"work": ["C00GENERAL"], "alice": ["D0000ALICE"], "bob": ["D000000BOB"]},
    "telegram": {"work": ["-1003001"], "family": ["-2001"], "project": ["-1003002"],
                 "alice": ["1001"], "bob": ["1002"]},
    "whatsapp": {"family": ["120363000000000001@g.us"], "ann": ["4915110000001@s.whatsapp.net"],
                 "bob": ["4915110000002@s.whatsapp.net"]},
}
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
WORDS = """
{name}: open {page}
Type there as a user. The built-in demo model echoes; "!bash ls" runs a command in the group's sandbox.
Home (deleted at the end): {home}
Ask the server: {binary} --home {home} channels    (or chats, groups, outbox, status, doctor)
The server's log: {log}
Ctrl-C ends it.
"""


def stop(_number, _frame):
    raise KeyboardInterrupt


def play(name, folder):
    home = pathlib.Path(folder) / "home"
    world = platforms.Platforms(folder, home, [name])
    fake = world.fakes[name]
    server = servers.Server(home, world.config())
    try:
        server.start()
        platforms.link(server, {group: [f"{name}:{chat}" for chat in chats]
                                for group, chats in CHATS[name].items()})
        world.ready()
        print(WORDS.format(name=name, page=fake.hello["page"], home=home, log=server.log_path,
                           binary=servers.BINARY),
              flush=True)
        signal.pause()  # until the handler of main
    except KeyboardInterrupt:
        print("\nending ...", flush=True)
    finally:
        for sig in ENDS:  # what is being put away is put away whole
            signal.signal(sig, signal.SIG_IGN)
        server.close()
        fake.stop(check=False)


def main(argv):
    if len(argv) != 1 or argv[0] not in CHATS:
        sys.exit(f"use: demo.py {'|'.join(CHATS)}")
    fake_client.CONTROL = secrets.token_urlsafe(16)
    for sig in ENDS:
        signal.signal(sig, stop)
    with tempfile.TemporaryDirectory(prefix="chela-demo-") as folder:
        try:
            play(argv[0], folder)
        except AssertionError as e:
            sys.exit(f"demo: {e}")


if __name__ == "__main__":
    main(sys.argv[1:])
