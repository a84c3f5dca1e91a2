# SPDX-License-Identifier: Apache-2.0
"""kill -9 at random points of a running conversation.

CHELA_CHAOS: how many kills (15; 200 in the long run, make e2e); CHELA_SEED: another course of events. The promise: every
message ends answered or visibly failed, none is answered twice, and nothing is left over.
"""
import collections
import os
import random
import re
import time

import pytest

import engine
import procs
from bus import Late

KILLS = int(os.environ.get("CHELA_CHAOS") or (200 if os.environ.get("CHELA_LONG") else 15))
SEED = int(os.environ.get("CHELA_SEED", "1"))
MOST_OPEN = 8  # messages without an end at one time; the demo model uses no more tools at once
ROUND = 5  # kills until all must have come to an end once


class Chaos:
    def __init__(self, server, runtime, seed):
        self.server = server
        self.random = random.Random(seed)
        self.chat = server.console()
        self.roles = ["front", "supervisor", "warden", "runner", "container"]
        if runtime == "runc":  # under another kernel the agent is no process of this one
            self.roles.append("claude")
        self.tokens = {}  # token -> id of its message
        self.done = collections.Counter()
        self.slowest = 0.0

    # -- the conversation

    def token(self):
        return f"tok{len(self.tokens):04d}x"

    def talk(self):
        """One message, or a few at once."""
        for _ in range(self.random.choice((1, 1, 2, 4))):
            if len(self.chat.waiting) >= MOST_OPEN:
                return
            t = self.token()
            text = self.random.choice(("{}", "{}", "!bash echo {}", "!bash sleep 0.3; echo {}",
                                       "!bash head -c 3000000 /dev/urandom | wc -c; echo {}",
                                       '!tool search_history {{"query": "{}"}}'))
            self.tokens[t] = self.chat.say(text.format(t))

    def until_somewhere(self):
        """To the next random point: some events on, or some time."""
        if self.random.random() < 0.5:
            events = self.random.randrange(1, 25)
            try:
                self.server.bus.wait(lambda e: True, 2, self.server.bus.mark(), count=events)
            except Late:
                pass
        else:
            self.server.bus.pause(self.random.random() ** 2 * 2)

    # -- the killings; each says whether it hit

    def kill_pid(self, pid):
        try:
            h = procs.Handle(pid)
        except ProcessLookupError:
            return False
        hit = h.kill()
        assert h.ended(20)
        h.close()
        return hit

    def kill_front(self):
        return self.kill_child(1)

    def kill_warden(self):
        return self.kill_child(0)

    def kill_child(self, which):
        children = procs.children(self.server.supervisor)
        return len(children) == 2 and self.kill_pid(children[which])

    def kill_supervisor(self):
        self.server.kill()
        self.server.start()
        return True

    def running(self):
        found = engine.containers(self.server.instance, every=False)
        return found[0]["Id"] if found else None

    def runner(self):
        cid = self.running()
        try:
            return engine.inspect(cid)["State"]["Pid"] if cid else 0
        except engine.EngineError:
            return 0

    def kill_container(self):
        cid = self.running()
        return bool(cid) and engine.kill(cid)

    def kill_runner(self):
        pid = self.runner()
        return bool(pid) and self.kill_pid(pid)

    def kill_claude(self):
        pid = self.runner()
        agents = [p for p in procs.below(pid) if procs.comm(p) == "claude"] if pid else []
        return bool(agents) and self.kill_pid(agents[0])

    def strike(self):
        role = self.random.choice(self.roles)
        for _ in range(20):
            if getattr(self, "kill_" + role)():
                self.done[role] += 1
                return
            # what is to be killed is not there now: the next event may bring it
            mark = self.server.bus.mark()
            if not self.chat.waiting:
                self.talk()
            try:
                self.server.bus.wait(lambda e: True, 3, mark)
            except Late:
                pass
        pytest.fail(f"no {role} to kill for a minute\n{self.server.log()}")

    # -- what must hold

    def settle(self):
        """All that was said comes to an end."""
        begin = time.monotonic()
        for uid in list(self.chat.waiting):
            self.chat.settled(uid, 120)
        self.slowest = max(self.slowest, time.monotonic() - begin)

    def check(self):
        server, chat = self.server, self.chat
        # The receipts of what was shown last come in the turn of the first answer; the second is a turn later: durable.
        chat.sync()
        chat.sync()
        rows = dict(server.rows("SELECT platform_id, state FROM messages WHERE dir = 0"))
        assert set(rows) == set(self.tokens.values())
        assert set(rows.values()) <= {3, 4}, collections.Counter(rows.values())
        for uid, state in rows.items():
            assert chat.settled_ids[uid] == (state == 4), uid
        replies = [t for t, in server.rows("SELECT m.text FROM outbox o JOIN messages m"
                                           " ON m.id = o.message_id WHERE o.kind = 0")]
        for token, uid in self.tokens.items():
            n = sum(token in r for r in replies)
            assert n == 1 or (n == 0 and rows[uid] == 4), (
                f"{chat.said[uid]!r} is in {n} replies, state {rows[uid]}:\n"
                + "\n---\n".join(r for r in replies if token in r))
        self.check_notices(sum(s == 4 for s in rows.values()))
        assert server.rows("SELECT count(*) FROM outbox WHERE state != 2") == [(0,)]
        assert server.rows("SELECT count(*) FROM turns WHERE ended_ms IS NULL") == [(0,)]
        assert server.rows("PRAGMA integrity_check") == [("ok",)]
        assert server.rows("PRAGMA foreign_key_check") == []
        assert not chat.doubles
        shown = [m["text"] for m in chat.messages.values() if m["dir"] == "out"]
        assert sorted(shown) == sorted(t for t, in server.rows(
            "SELECT text FROM messages WHERE dir = 1"))

    def check_notices(self, failed):
        """Each failed message was told of."""
        told = 0
        for text, in self.server.rows("SELECT m.text FROM outbox o JOIN messages m"
                                      " ON m.id = o.message_id WHERE o.kind = 1"):
            many = re.match(r"I could not answer your last (\d+) messages", text)
            told += int(many.group(1)) if many else text.startswith("I could not answer")
        assert told >= failed, f"{failed} messages failed, {told} were told of"


def test_kills(make_server, own_runtime, record_property, capsys):
    server = make_server()
    chaos = Chaos(server, own_runtime, SEED)
    for n in range(KILLS):
        chaos.talk()
        chaos.until_somewhere()
        chaos.strike()
        if n % ROUND == ROUND - 1:
            chaos.settle()
    chaos.settle()
    chaos.check()
    assert "echo: the end" in chaos.chat.ask("the end")
    server.until(lambda: len(engine.containers(server.instance)) == 1, "end of the old containers")
    failed = sum(chaos.chat.settled_ids.values())
    words = (f"seed {SEED}, {sum(chaos.done.values())} kills {dict(chaos.done)}, "
             f"{len(chaos.tokens)} messages, {failed} failed, slowest end {chaos.slowest:.1f} s")
    record_property("chaos", words)
    with capsys.disabled():
        print(f"\n  chaos: {words}")
