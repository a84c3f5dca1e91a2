# SPDX-License-Identifier: Apache-2.0
"""Three platforms that misbehave, and kill -9 of the server, in the middle of many conversations.

CHELA_CHAOS_MESSAGES and CHELA_CHAOS_KILLS: how much (300 and 3; 10,000 and 50 in the long run, make e2e);
CHELA_SEED: another course of events. The promise: no message is lost, none is taken twice, each is
answered once or visibly failed; what is sent twice is only what Telegram gives no way to look for, and says so.
"""
import collections
import os
import random
import re
import time

import platforms

LONG = bool(os.environ.get("CHELA_LONG"))
MESSAGES = int(os.environ.get("CHELA_CHAOS_MESSAGES") or (10000 if LONG else 300))
KILLS = int(os.environ.get("CHELA_CHAOS_KILLS") or (50 if LONG else 3))
SEED = int(os.environ.get("CHELA_SEED", "1"))
REPEAT = "(perhaps a repeat) "

CHATS = {  # channel -> chat -> how a message is addressed there
    "slack": {"D0000ALICE": {}, "D000000BOB": {}, "C00GENERAL": {"mention": True}},
    "telegram": {"1001": {}, "1002": {}},
    "whatsapp": {"4915110000001@s.whatsapp.net": {}, "120363000000000001@g.us": {"mention": True}},
}
ROOMS = 5  # more chats a platform: each takes one message of ours a second, so few would take all evening


def more_chats(world):
    """The chats of CHATS and some made for this test."""
    chats = {channel: dict(some) for channel, some in CHATS.items()}
    for room in world.slack.call("chat", kind="private", name="room", count=ROOMS)["ids"]:
        chats["slack"][room] = {"mention": True}
    for n in range(ROOMS):
        user = world.telegram.call("user", name=f"Person {n}")["id"]
        chats["telegram"].update(dict.fromkeys(
            world.telegram.call("chat", kind="private", user=user)["ids"], {}))
    for n in range(ROOMS):
        chats["whatsapp"][world.whatsapp.call("user", name=f"Person {n}")["id"]] = {}
    return chats


def groups_of(chats):
    """Three groups a platform; a chat in each of them in turn."""
    groups = collections.defaultdict(list)
    for channel, some in chats.items():
        for n, chat in enumerate(some):
            groups[f"{channel}{n % 3}"].append(f"{channel}:{chat}")
    return groups


class Chaos:
    def __init__(self, server, world, chats):
        self.server, self.world, self.chats = server, world, chats
        self.random = random.Random(SEED)
        self.tokens = {}  # token -> (channel, chat)

    def say(self, count):
        """Many messages at once, over all chats; in one order a platform."""
        batch = collections.defaultdict(list)
        for _ in range(count):
            channel = self.random.choice(list(self.chats))
            chat = self.random.choice(list(self.chats[channel]))
            token = f"tok{len(self.tokens):05d}x"
            self.tokens[token] = (channel, chat)
            batch[channel].append({"do": "message", "chat": chat, "text": f"say {token}",
                                   **self.chats[channel][chat]})
        for channel, events in batch.items():
            self.world.fakes[channel].inject(*events)

    def misbehave(self, on):
        for n, fake in enumerate(self.world.fakes.values()):
            fake.call("chaos", seed=SEED * 10 + n,
                      profile=("long" if LONG else "short") if on else "off")

    def kill(self):
        self.server.bus.pause(self.random.random() ** 2 * 1.5)
        self.server.kill()
        self.server.start()

    # -- what must hold

    def open_ends(self):
        return self.server.rows(
            "SELECT (SELECT count(*) FROM messages WHERE dir = 0 AND state IN (1, 2, 5)),"
            " (SELECT count(*) FROM outbox WHERE state < 2)")[0]

    def settle(self, patience):
        """Everything injected is in, answered and delivered; the log's events drive the looking."""
        for fake in self.world.fakes.values():
            fake.wait(what="idle", timeout=patience)
        end = time.monotonic() + patience
        while True:
            (taken,), = self.server.rows(
                "SELECT count(*) FROM messages WHERE dir = 0 AND text LIKE '%tok%'")
            waiting, unsent = self.open_ends()
            if taken >= len(self.tokens) and not waiting and not unsent:
                return
            assert time.monotonic() < end, (
                f"{taken} of {len(self.tokens)} taken, {waiting} waiting, {unsent} unsent\n"
                f"{self.server.cli('outbox', 'all').stdout[-3000:]}\n{self.server.log()}")
            self.server.bus.pause(0.25)

    def check_inbound(self):
        rows = self.server.rows("SELECT text, state, id FROM messages WHERE dir = 0")
        seen = collections.Counter()
        state = {}
        for text, st, _ in rows:
            for token in re.findall(r"tok\d{5}x", text):
                seen[token] += 1
                state[token] = st
        assert set(seen) == set(self.tokens), (
            f"lost: {sorted(set(self.tokens) - set(seen))[:10]}")
        assert max(seen.values()) == 1, [t for t, n in seen.items() if n > 1][:10]
        assert set(state.values()) <= {3, 4}, collections.Counter(state.values())
        return state

    def check_answers(self, state):
        told = collections.Counter()
        for text, in self.server.rows(
                "SELECT DISTINCT m.text FROM outbox o JOIN messages m ON m.id = o.message_id"
                " WHERE o.kind = 0 AND m.dir = 1"):
            told.update(set(re.findall(r"tok\d{5}x", text)))
        for token, st in state.items():
            assert told[token] == 1 or (told[token] == 0 and st == 4), (token, st, told[token])
        failed = sum(st == 4 for st in state.values())
        words = 0
        for text, in self.server.rows("SELECT m.text FROM outbox o JOIN messages m"
                                      " ON m.id = o.message_id WHERE o.kind = 1"):
            many = re.match(r"I could not answer (?:your last )?(\d+) (?:more )?message", text)
            words += int(many.group(1)) if many else text.startswith("I could not answer")
        assert words >= failed, f"{failed} messages failed, {words} were told of"
        return failed

    def check_outbound(self):
        """Each row is on its platform once; twice only in Telegram, and then it says so."""
        marked = doubled = 0
        assert self.server.rows("SELECT count(*) FROM outbox WHERE state != 2") == [(0,)]
        for channel in ("slack", "whatsapp"):
            keys = collections.Counter(
                m["key"] for m in self.world.fakes[channel].messages(**{"from": "bot"})
                if m["key"])
            for key, in self.server.rows(
                    "SELECT key FROM outbox o JOIN chats c ON c.id = o.chat_id"
                    " WHERE c.channel = ? AND o.op = 0", channel):
                assert keys[key] == 1, (channel, key, keys[key])
        plain = collections.Counter(
            m["plain"] for m in self.world.telegram.messages(**{"from": "bot"}))
        for body, again in self.server.rows(
                "SELECT ifnull(o.body, m.text), o.again FROM outbox o"
                " JOIN messages m ON m.id = o.message_id JOIN chats c ON c.id = o.chat_id"
                " WHERE c.channel = 'telegram' AND o.op = 0 AND o.kind = 0"):
            once, twice = plain[body], plain[REPEAT + body]
            assert once <= 1 and twice <= 1 + 8 * again, (body, once, twice)
            assert once + twice >= 1, (body, "is not there")
            assert again or (once == 1 and twice == 0), (body, once, twice)
            marked += twice
            doubled += once + twice > 1
        return marked, doubled


def test_chaos_over_three_platforms(make_server, tmp_path, record_property, capsys):
    world = platforms.Platforms(tmp_path, tmp_path / "home", speed=100)
    try:
        server = make_server(config={**world.config(), "sandbox": {"max_live": 4}}, start=False)
        server.start()
        chats = more_chats(world)
        platforms.link(server, groups_of(chats), drafts="off")
        world.ready()
        chaos = Chaos(server, world, chats)
        begin = time.monotonic()
        chaos.misbehave(True)
        for n in range(KILLS):
            chaos.say(MESSAGES // KILLS)
            chaos.kill()
        chaos.say(MESSAGES - len(chaos.tokens))
        chaos.misbehave(False)
        # a chat takes one message a second, whatever happens: most of the time is that
        chaos.settle(180 + MESSAGES // 5)
        state = chaos.check_inbound()
        failed = chaos.check_answers(state)
        marked, doubled = chaos.check_outbound()
        assert server.rows("PRAGMA integrity_check") == [("ok",)]
        stats = {name: fake.call("stats") for name, fake in world.fakes.items()}
        words = (f"seed {SEED}, {len(chaos.tokens)} messages, {KILLS} kills, {failed} failed with "
                 f"words, {marked} marked as perhaps a repeat in Telegram, {doubled} of them double; "
                 f"faults {({n: s['faults'] for n, s in stats.items()})}; "
                 f"{time.monotonic() - begin:.0f} s")
        record_property("chaos", words)
        with capsys.disabled():
            print(f"\n  chaos over three platforms: {words}")
    finally:
        world.close()
