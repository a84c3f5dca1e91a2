# SPDX-License-Identifier: Apache-2.0
"""The schedule engine against an independent oracle (oracle.py): 100 years of slots in 20 zones, every change of
every clock in them, and some thousands of seeded schedules. CHELA_LONG=1 runs all of it, else a part is chosen.
"""
import os
import pathlib
import random
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
sys.path.insert(0, str(HERE))

import oracle  # noqa: E402

LONG = os.environ.get("CHELA_LONG") == "1"
DAY = 86400
FIRST, LAST = oracle.seconds(1975, 1, 1), oracle.seconds(2075, 1, 1)
# With the oddest: half an hour of saving, two hours, a negative one, a day that is missing, changes at
# midnight, rules that were dropped and taken up again, no rule at all.
ZONES = ["UTC", "Europe/Berlin", "Europe/Dublin", "Europe/London", "America/New_York",
         "America/Sao_Paulo", "America/Santiago", "America/St_Johns", "America/Nuuk",
         "America/Havana", "Australia/Lord_Howe", "Pacific/Apia", "Pacific/Kiritimati",
         "Africa/Casablanca", "Africa/El_Aaiun", "Africa/Cairo", "Antarctica/Troll", "Asia/Tehran",
         "Asia/Beirut", "Asia/Kathmandu"]
SPARSE = ["0 8 * * 1-5", "30 2 * * *", "0 0 * * *", "30 1,2,3 * * sun", "59 23 31 * *",
          "0 */6 * * *", "15 2 29 2 *", "0 12 13 * fri", "@monthly", "10-40/15 0-3/3 */10 1-12/2 *",
          "0 4 1-7 * */7", "30 */12 * mar,oct sat-sun"]
DENSE = ["* * * * *", "* 0-23 * * *", "*/7 * * * *", "*/15 0-4 * * *", "30 * * * *", "0,30 2 * * *",
         "5 */2 * * *", "29-31 1-2 * * *", "59 23 * * *", "0 0,1,2,3,23 * * *"]


class Engine:
    """slots_print as a child: one line to it, the slots back."""

    def __init__(self):
        variant = pathlib.Path(os.environ.get("CHELA_BIN", "build/release/chela")).parent.name
        program = f"build/{variant}/slots_print"
        subprocess.run(["make", "--no-print-directory", f"VARIANT={variant}", program], cwd=TOP,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
        self.child = subprocess.Popen([TOP / program], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True, encoding="ascii")

    def slots(self, spec, zone, after, until, anchor=0):
        self.child.stdin.write(f"{zone}|{anchor * 1000}|{after * 1000}|{until * 1000}|{spec}\n")
        self.child.stdin.flush()
        found = []
        for line in self.child.stdout:
            if line.startswith("!"):
                raise ValueError(line[2:].strip())
            if line == ".\n":
                return found
            found.append(int(line))
        raise AssertionError("the engine ended")

    def close(self):
        self.child.stdin.close()
        assert self.child.wait(timeout=20) == 0


@pytest.fixture(scope="module")
def engine():
    e = Engine()
    yield e
    e.close()


def same(engine, spec, zone, after, until):
    got = engine.slots(f"cron {spec}", zone, after, until)
    want = oracle.Cron(spec).slots(oracle.zone(zone), after, until)
    if got != want:
        odd = sorted(set(got) ^ set(want))[:5]
        pytest.fail(f"cron {spec} in {zone} after {after}: {len(got)} slots, {len(want)} expected; "
                    + ", ".join(f"{t} only {'here' if t in got else 'expected'}" for t in odd))
    return len(got)


@pytest.mark.parametrize("zone", ZONES)
def test_a_hundred_years(engine, zone):
    specs = SPARSE if LONG else random.Random(zone).sample(SPARSE, 2)
    assert sum(same(engine, spec, zone, FIRST - 1, LAST) for spec in specs) > 100


@pytest.mark.parametrize("zone", ZONES)
def test_every_change_of_the_clock(engine, zone):
    """Four days around each change; and from within them, as after a restart."""
    rng = random.Random(zone)
    changes = [t for t in oracle.zone(zone).changes() if FIRST <= t < LAST]
    if not LONG:
        changes = rng.sample(changes, min(len(changes), 8))
    for change in changes:
        for spec in rng.sample(DENSE, 5 if LONG else 3):
            same(engine, spec, zone, change - 2 * DAY, change + 2 * DAY)
        for _ in range(10 if LONG else 5):
            after = change + rng.choice([-1, 0, 1, rng.randint(-2 * 3600, 2 * 3600),
                                         rng.randint(-26 * 3600, 26 * 3600)])
            same(engine, rng.choice(DENSE), zone, after, after + 3 * 3600)


def random_field(rng, low, high, names=()):
    def number(n):
        name = names[n - low] if names and n - low < len(names) and rng.random() < 0.4 else str(n)
        return name if rng.random() < 0.7 else name.upper()

    def part():
        kind = rng.random()
        a, b = sorted((rng.randint(low, high), rng.randint(low, high)))
        step = f"/{rng.randint(1, high)}" if rng.random() < 0.5 else ""
        if kind < 0.3:
            return "*" + step
        if kind < 0.6:
            return f"{number(a)}-{number(b)}{step}"
        return number(a)

    if rng.random() < 0.3:
        return "*"
    return ",".join(part() for _ in range(rng.choice([1, 1, 1, 2, 3])))


def random_spec(rng):
    return " ".join([random_field(rng, 0, 59), random_field(rng, 0, 23), random_field(rng, 1, 31),
                     random_field(rng, 1, 12, oracle.MONTHS),
                     random_field(rng, 0, 7, oracle.WEEKDAYS)])


def possible(spec):
    """Some day of a leap year and the year after it matches, or of 28 years when weekdays must match too."""
    cron = oracle.Cron(spec)
    return any(cron.has_day(d) for d in range(oracle.seconds(2000, 1, 1) // DAY,
                                              oracle.seconds(2029, 1, 1) // DAY))


def test_random_schedules(engine):
    rng = random.Random(20260101)
    compared = refused = 0
    for _ in range(10000 if LONG else 1500):
        spec, zone = random_spec(rng), rng.choice(ZONES)
        changes = oracle.zone(zone).changes()
        if changes and rng.random() < 0.7:
            after = rng.choice(changes) + rng.randint(-3 * DAY, 2 * DAY)
        else:
            after = rng.randint(FIRST, LAST)
        after = min(max(after, FIRST), LAST - 400 * DAY)
        try:
            compared += same(engine, spec, zone, after, after + rng.choice([1, 2, 5]) * DAY)
        except ValueError as e:
            assert "no month of these has such a day" in str(e) and not possible(spec), (spec, e)
            refused += 1
    assert compared > 10000 and refused < 100


def test_the_first_slot_may_be_far(engine):
    """Rare schedules from random moments: what comes first, however many years ahead."""
    rng = random.Random(29)
    zones = ZONES if LONG else rng.sample(ZONES, 5)
    for zone in zones:
        for spec in ["0 0 29 2 *", "30 2 29 2 */7", "30 */23 31 dec */5", "0 5 31 1,3 */6"]:
            slots = oracle.Cron(spec).slots(oracle.zone(zone), FIRST, LAST)
            for _ in range(10):
                after = rng.randint(FIRST, slots[-1] - 1)
                first = next(t for t in slots if t > after)
                assert engine.slots(f"cron {spec}", zone, after, first) == [first], (spec, zone)


@pytest.mark.parametrize("zone", ZONES)
def test_at(engine, zone):
    rng = random.Random(zone)
    clock = oracle.zone(zone)
    changes = [t for t in clock.changes() if FIRST <= t < LAST]
    for _ in range(3000 if LONG else 300):
        wall = rng.choice(changes or [FIRST]) + rng.randint(-30 * 3600, 30 * 3600)
        want = oracle.at(clock, wall)
        text = (oracle.EPOCH + oracle.datetime.timedelta(seconds=wall)).isoformat(
            sep=rng.choice([" ", "T"]))
        assert engine.slots(f"at {text}", zone, want - 1, LAST * 2) == [want], (zone, text)
        assert engine.slots(f"at {text}", zone, want, LAST * 2) == [], (zone, text)
        minutes = rng.randint(-14 * 60, 14 * 60)
        offset = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
        assert engine.slots(f"at {text}{offset}", zone, 0, LAST * 2) == [wall - minutes * 60]


def test_every(engine):
    rng = random.Random(15)
    units = {"s": 1, "m": 60, "h": 3600, "d": DAY}
    for _ in range(2000 if LONG else 300):
        parts = [(rng.randint(1, 100), rng.choice("smhd")) for _ in range(rng.choice([1, 1, 2]))]
        length = sum(n * units[u] for n, u in parts)
        if length < 60:
            continue
        anchor = rng.randint(FIRST, LAST)
        after = anchor + rng.choice([-1, 0, 1, length, rng.randint(-DAY, 400 * DAY)])
        until = max(anchor, after) + rng.randint(0, 50) * length
        text = "every " + "".join(f"{n}{u}" for n, u in parts)
        got = engine.slots(text, rng.choice(ZONES), after, until, anchor)
        assert got == oracle.every(length, anchor, after, until), (text, anchor, after)
