# SPDX-License-Identifier: Apache-2.0
"""The steps that need platforms: fakes of Slack, Telegram and WhatsApp over TLS, on loopback.

Owns: the fakes' processes, and how a figure is taken through a channel. Why: what a server costs and
how fast it is show only when its channels are up. Must never: measure the fakes: the one wire that is
loaded (Slack's) has a fast stand-in (slack_wire.py); where a fake's own time is part of a figure, the
figure is a difference of two, or its comment says so.
"""
import collections
import contextlib
import json
import pathlib
import random
import re
import shutil
import socket
import sqlite3
import statistics
import sys
import time

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "fakes"), str(TESTS / "e2e")]

import fake_client  # noqa: E402
import platforms  # noqa: E402
import rig  # noqa: E402
from rig import Failed, Server  # noqa: E402
from server import yaml_of  # noqa: E402

ALL = platforms.NAMES
CHANNEL = "C00GENERAL"
FAST = {"speed": 1000}  # the platforms' own paces are not what is measured


class WireSlack(fake_client.Slack):
    SCRIPT = "../bench/slack_wire.py"


def percentile(values, share):
    return sorted(values)[int(len(values) * share)]


class House(Server):
    """A server with channels on fakes. fast: Slack's wire is the stand-in."""

    def __init__(self, name, which=ALL, lock=rig.LOCK, fast=False):
        home = rig.WORK / name
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        self.which, self.ups = which, {}
        rest = [n for n in which if not (fast and n == "slack")]
        self.world = platforms.Platforms(rig.WORK / f"{name}.certs", home, which=rest)
        if len(rest) < len(which):
            self.world.slack = self.world.fakes["slack"] = WireSlack(self.world.certs)
            self.world.slack.call("limits", tiers=False)
        for channel, fake in self.world.fakes.items():
            if channel != "whatsapp":  # there it would be the bridge's patience
                fake.call("limits", **FAST)
        super().__init__(name, lock, False, "\n".join(yaml_of(self.world.config())) + "\n")

    def __enter__(self):
        self.ups.clear()
        return super().__enter__()

    def heard(self, line):
        up = re.search(r'comp=channel msg="?up"? name=(\w+)', line)
        if up:
            self.ups[up.group(1)] = (time.monotonic_ns() - self.begun) / 1e6

    def up_ms(self):
        """ms from exec until the last channel was up."""
        while set(self.which) - set(self.ups):
            self.wait_log(r'comp=channel msg="?up')
        return max(self.ups[n] for n in self.which)

    def close(self):
        self.world.close()
        shutil.rmtree(self.home, ignore_errors=True)  # a million messages weigh something


@contextlib.contextmanager
def house(*args, **more):
    made = House(*args, **more)
    try:
        yield made
    finally:
        made.close()


class Operator:
    """Commands of the operator, many over one connection."""

    def __init__(self, server):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(rig.LIMIT_S)
        self.sock.connect(str(server.home / "control.sock"))
        self.file = self.sock.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.sock.close()

    def run(self, *words):
        self.sock.sendall(json.dumps({"op": "command", "argv": words}).encode() + b"\n")
        said = []
        for line in self.file:
            ev = json.loads(line)
            if ev["ev"] == "end":
                if ev["status"]:
                    raise Failed(f"{' '.join(words)}: {' '.join(said)}")
                return said
            said.append(ev.get("text") or ev.get("why") or "")
        raise Failed("the server closed the connection")


def count_in(server):
    """Messages of people in the store."""
    db = sqlite3.connect(f"file:{server.home}/chela.db?mode=ro", uri=True)
    try:
        return db.execute("SELECT count(*) FROM messages WHERE dir = 0").fetchone()[0]
    finally:
        db.close()


# -- Idle.

def idle():
    """Three channels up over TLS, nothing to do: time to get there, and memory. The time holds the
    fakes' own: TLS and answers of three Python processes."""
    values = []
    with house("idle3") as h:
        for n in range(15):
            with h:
                values.append(h.up_ms())
                h.world.ready()
                if n == 14:
                    pss, private, _ = h.memory_kb()
    yield "ready_3ch_ms", statistics.median(values), "ms"
    yield "idle_3ch_pss_mb", pss / 1024, "MiB"
    yield "idle_3ch_private_mb", private / 1024, "MiB"


def groups():
    """A thousand groups of one chat each, all known, none at work: the memory that is the server's
    own, with Slack up."""
    with house("groups1000", which=("slack",), fast=True) as h:
        with h:
            chats = h.world.slack.call("chat", kind="im", name="g", count=1000)["ids"]
            with Operator(h) as op:
                for n, chat in enumerate(chats):
                    op.run("groups", "add", f"g{n}", f"slack:{chat}")
        with h:
            h.up_ms()
            h.world.ready()
            with Operator(h) as op:
                lines = op.run("groups")
            if len(lines) < 1000:
                raise Failed(f"{len(lines)} groups, not 1,000")
            private = h.memory_kb()[1]
    yield "groups_1000_private_mb", private / 1024, "MiB"


# -- Intake and growth.

GROW_S, GROW_TO, BLOCK = 150, 1_000_000, 50_000


def intake():
    """Messages of a channel that do not wake the agent, over Socket Mode and TLS: acknowledged, so on
    disk. Then as many as fit into GROW_S seconds, at most a million: what a million leaves behind in the
    memory that the server has written to (scaled from what was measured)."""
    with house("intake", which=("slack",), fast=True) as h, h:
        h.up_ms()
        slack = h.world.slack
        slack.wait(what="sockets", count=2)
        with Operator(h) as op:
            op.run("groups", "add", "work", f"slack:{CHANNEL}")
            op.run("groups", "set", "work", "strangers", "allow")

        def blast(n):
            done = slack.call("blast", count=n, chat=CHANNEL, text="a note about the weather at sea",
                              timeout=300)
            if done["acked"] != n:
                raise Failed(f"{done['acked']} of {n} messages were acknowledged")
            return n / done["seconds"]

        total = 20_000
        blast(total)
        rates = [blast(20_000) for _ in range(5)]
        total += 100_000
        if count_in(h) != total:
            raise Failed(f"{count_in(h)} messages are stored, not {total}")
        yield "intake_msgs_s", statistics.median(rates), "1/s"
        before, grown, begun = h.memory_kb()[2], 0, time.monotonic()
        while grown < GROW_TO and time.monotonic() - begun < GROW_S:
            blast(BLOCK)
            grown += BLOCK
        after = h.memory_kb()[2]
        if count_in(h) != total + grown:
            raise Failed(f"{count_in(h)} messages are stored, not {total + grown}")
    if grown < 100_000:
        raise Failed(f"only {grown} messages in {GROW_S} s: too few for a slope")
    yield "growth_1m_messages", grown, "1"
    yield "growth_1m_mb", (after - before) / 1024 * (1_000_000 / grown), "MiB"


# -- Hand-off.

def clock_offset():
    """ns to add to CLOCK_REALTIME to get CLOCK_MONOTONIC, which the bench's agent tells."""
    best = None
    for _ in range(50):
        a, real, b = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()
        if best is None or b - a < best[0]:
            best = (b - a, (a + b) // 2 - real)
    return best[1]


def hand_round(fake, chats, per_second, since):
    """One message to each chat of a list, which may name one more than once, in an even pace. Gives ms
    from the event's birth in the fake to the agent's standard input, of each, and the last number."""
    offset, begun = clock_offset(), time.monotonic()
    for n, chat in enumerate(chats):
        time.sleep(max(0, begun + n / per_second - time.monotonic()))
        fake.inject(do="message", chat=chat, text=f"hello {n}")
    heard, born = collections.defaultdict(list), collections.defaultdict(list)
    for m in fake.wait(since=since, count=len(chats), timeout=rig.LIMIT_S, **{"from": "bot"}):
        if not re.fullmatch(r"\d+", m["plain"].strip()):
            raise Failed(f"the server says: {m['plain'][:200]}")
        heard[m["chat"]].append(int(m["plain"]))
    told = fake.messages(since=since)
    for m in told:
        if m["from"] == "user":
            born[m["chat"]].append(int(m["time"] * 1e9) + offset)
    values = [(h - b) / 1e6 for chat in born for h, b in zip(sorted(heard[chat]), born[chat])]
    if len(values) != len(chats) or min(values) <= 0:
        raise Failed(f"{len(values)} times for {len(chats)} messages, the least {min(values)} ms")
    return values, max(m["n"] for m in told)


def thousand_chats():
    """A thousand chats of four groups, each of which says something, 100 a second: from the event's
    birth in the fake of Slack to the agent's line, with the fake's own time."""
    rig.need_engine()
    with rig.agent_image() as lock, house("chats1000", ("slack",), lock, fast=True) as h, h:
        h.up_ms()
        slack = h.world.slack
        chats = slack.call("chat", kind="im", name="c", count=1000)["ids"]
        with Operator(h) as op:
            for n, chat in enumerate(chats):
                op.run("groups", "add", f"team{n % 4}", f"slack:{chat}")
        random.Random(1).shuffle(chats)
        last, rounds = 0, []
        for n in range(6):
            values, last = hand_round(slack, chats, 100, last)
            rounds += [values] if n else []  # the first one brings the agents up
    yield "handoff_1000chats_p50_ms", statistics.median(percentile(r, 0.5) for r in rounds), "ms"
    yield "handoff_1000chats_p99_ms", statistics.median(percentile(r, 0.99) for r in rounds), "ms"


def stalled():
    """Telegram's hand-off while Slack answers nothing and has answers waiting, less the same while Slack
    is well: blocks of both in turn, so that the fakes' own time and the machine's mood drop out."""
    rig.need_engine()
    with rig.agent_image() as lock, house("stalled", ("slack", "telegram"), lock) as h, h:
        h.up_ms()
        slack, telegram = h.world.slack, h.world.telegram
        # many chats: both channels keep to their platforms' one message a second and chat
        chats = telegram.call("chat", kind="private", name="c", count=100)["ids"]
        silent = slack.call("chat", kind="im", name="s", count=20)["ids"]
        with Operator(h) as op:
            for chat in chats:
                op.run("groups", "add", "home", f"telegram:{chat}")
            for chat in silent:
                op.run("groups", "add", "work", f"slack:{chat}")
        last = 0

        def block():
            nonlocal last
            values, last = hand_round(telegram, chats, 25, last)
            return statistics.median(values)
        block()
        since = hand_round(slack, silent, 20, 0)[1]
        well, ill = [], []
        for _ in range(5):
            well.append(block())
            slack.call("fault", method="*", do="stall", count=0)
            slack.inject(*({"do": "message", "chat": chat, "text": "hello"} for chat in silent))
            slack.wait(what="calls", fault="stall")  # an answer is under way, and gets none
            ill.append(block())
            slack.call("clear")
            since = max(m["n"] for m in slack.wait(since=since, count=len(silent), timeout=90,
                                                   **{"from": "bot"}))
    yield "handoff_telegram_p50_ms", statistics.median(well), "ms"
    yield "stalled_peer_added_ms", statistics.median(i - w for i, w in zip(ill, well)), "ms"


TARGETS = {
    "idle_3ch_pss_mb": ("<=", 16), "idle_3ch_private_mb": ("<=", 6), "ready_3ch_ms": ("<=", 100),
    "intake_msgs_s": (">=", 10000), "handoff_1000chats_p99_ms": ("<=", 10),
    "growth_1m_mb": ("<=", 1), "groups_1000_private_mb": ("<=", 10),
    "stalled_peer_added_ms": ("<=", 1),
}
STEPS = {"idle3": idle, "groups": groups, "intake": intake, "chats": thousand_chats,
         "stalled": stalled}
