#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A platform to play with: its fake, with a page to type in, and a Chela server that is set up for it.

Owns: a temporary home, both processes, and their end. Why: a person sees how Chela behaves on a
platform (and under its troubles) without an account there. Must never: reach beyond this machine
(the model is the built-in demo), or leave anything behind.

Use: demo.py slack|telegram|whatsapp     (make demo-slack ...): one platform, its chats are linked
     demo.py all                         (make demo): all three, and nobody is known yet, as on a
                                         first day: the tour in README.md
Ctrl-C ends it.
"""
import pathlib
import secrets
import shutil
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
TOUR_HOME = servers.ROOT / "build/demo/home"  # a name to type, for the tour
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
WORDS = """
{name}: open {page}
Type there as a user. The built-in demo model echoes; "!bash ls" runs a command in the group's sandbox.
Home (deleted at the end): {home}
Ask the server: {binary} --home {home} channels    (or chats, groups, outbox, status, doctor)
The server's log: {log}
Ctrl-C ends it.
"""

FIRST_DAY = """
Open the pages and type there as a user:
{pages}
Nobody is known yet. In another terminal, in this folder:
    export CHELA_HOME=build/demo/home
    {binary} status        (or help)
The server's log: {log}
Ctrl-C ends it all, and deletes the home.
"""


def stop(_number, _frame):
    raise KeyboardInterrupt


def known(server, world, name, home):
    platforms.link(server, {group: [f"{name}:{chat}" for chat in chats]
                            for group, chats in CHATS[name].items()})
    world.ready()
    return WORDS.format(name=name, page=world.fakes[name].hello["page"], home=home,
                        log=server.log_path, binary=servers.BINARY)


def first_day(server, world):
    world.ready()
    pages = "\n".join(f"    {name:9} {fake.hello['page']}" for name, fake in world.fakes.items())
    return FIRST_DAY.format(pages=pages, log=server.log_path, binary=servers.BINARY)


def play(name, folder):
    tour = name == "all"
    home = TOUR_HOME if tour else pathlib.Path(folder) / "home"
    if tour:
        shutil.rmtree(home, ignore_errors=True)  # of a demo that was killed
    world = platforms.Platforms(folder, home, CHATS if tour else [name])
    server = servers.Server(home, world.config())
    try:
        for part in ("groups/template", "groups/main", "groups/global", "skills"):
            if (servers.ROOT / part).is_dir():
                shutil.copytree(servers.ROOT / part, home / part, dirs_exist_ok=True)
        server.start()
        words = first_day(server, world) if tour else known(server, world, name, home)
        print(words, flush=True)
        signal.pause()  # until the handler of main
    except KeyboardInterrupt:
        print("\nending ...", flush=True)
    finally:
        for sig in ENDS:  # what is being put away is put away whole
            signal.signal(sig, signal.SIG_IGN)
        server.close()
        for fake in world.fakes.values():
            fake.stop(check=False)
        if tour:
            shutil.rmtree(home, ignore_errors=True)


def main(argv):
    if len(argv) != 1 or argv[0] not in ("all", *CHATS):
        sys.exit(f"use: demo.py all|{'|'.join(CHATS)}")
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
