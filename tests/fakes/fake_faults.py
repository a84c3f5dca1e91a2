# SPDX-License-Identifier: Apache-2.0
"""Trouble on demand for the fakes: scripted faults, faults by chance, and rate limits.

Owns: which fault a call gets. Why: a seed must bring the same trouble again.
Must never: do anything itself; fake_base.py carries a fault out.
"""
import asyncio
import collections
import random
import time

# What a fault may be, with its own settings. Platforms add theirs.
FAULTS = {"limit": {"retry_after"}, "http": {"status", "body"}, "garbage": set(),
          "error": {"error", "description"}, "slow": {"seconds"}, "stall": set(), "drop": set(),
          "lost": set(), "torn": set()}
DONE_FAULTS = {"slow", "lost", "torn"}  # the call is carried out all the same


class Order(Exception):
    """A mistake in a control order."""


def need(ok, why):
    if not ok:
        raise Order(why)


class Buckets:
    """Token buckets by key: so many at once, then one every `every` seconds."""

    def __init__(self):
        self.level = {}

    def take(self, key, every, burst):
        """0 when allowed, else the seconds until it would be."""
        now = time.monotonic()
        level, then = self.level.get(key, (burst, now))
        level = min(burst, level + (now - then) / every if every else burst)
        if level < 1:
            self.level[key] = (level, now)
            return (1 - level) * every
        self.level[key] = (level - 1, now)
        return 0


class Faults:
    """Scripted faults first, in order; then those that chance brings."""

    def __init__(self, seed, known):
        self.known = known
        self.rng = random.Random(seed)
        self.script = []
        self.rates = {}
        self.wire = {}
        self.count = collections.Counter()
        self.lifted = asyncio.Event()

    def clear(self):
        self.script.clear()
        self.rates, self.wire = {}, {}
        self.lifted.set()
        self.lifted = asyncio.Event()

    def check(self, do, settings):
        need(do in self.known, f"no such fault: {do}")
        unknown = set(settings) - self.known[do]
        need(not unknown, f"{do} has no setting {sorted(unknown)}")

    def pick(self, method, chat):
        """The fault of this call, or None."""
        found = self._scripted(method, chat) or self._chance(method)
        if found:
            self.count[found["do"]] += 1
        return found

    def _scripted(self, method, chat):
        for f in self.script:
            if f["method"] not in ("*", method) or f["chat"] not in (None, chat):
                continue
            if f["after"] > 0:
                f["after"] -= 1
                return None
            if f["count"] == 1:
                self.script.remove(f)
            elif f["count"] > 1:
                f["count"] -= 1
            return f
        return None

    def _chance(self, method):
        rates = self.rates.get(method, self.rates.get("*"))
        do = draw(self.rng, rates)
        return {"do": do} if do else None

    def pick_wire(self):
        do = draw(self.rng, self.wire)
        if do:
            self.count["wire " + do] += 1
        return do


def draw(rng, rates):
    if not rates:
        return None
    r = rng.random()
    for do, p in rates.items():
        r -= p
        if r < 0:
            return do
    return None
