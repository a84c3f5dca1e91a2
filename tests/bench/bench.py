#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Measures the server against its targets: a table on stdout, and a list as JSON.

Owns: the list of figures and their targets. Why: one command that says where we stand.
Must never: print a figure that was not measured in this run. A step that cannot be measured
leaves no row; it fails the run with its reason, or is skipped with it when there is no engine.

usage: bench.py [--out FILE] [STEP...]      steps: see STEPS
"""
import argparse
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import time

import channels
import cold
import rig
from rig import Client, Failed, Server, Skipped

TARGETS = {  # name: (at most or at least, value)
    "server_pss_mb": ("<=", 16), "server_private_mb": ("<=", 6), "ready_ms": ("<=", 60),
    "handoff_p50_ms": ("<=", 0.5), "handoff_p99_ms": ("<=", 3), "cold_reply_ratio": ("<=", 1.15),
    "door_rtt_p50_ms": ("<=", 0.3), "door_down_mb_s": (">=", 150), "door_up_mb_s": (">=", 80),
    "gateway_ttfb_added_ms": ("<=", 0.5), "growth_100k_mb": ("<=", 1),
    "tasks_10k_longest_ms": ("<=", 10), "tasks_10k_claim_s": ("<=", 3),
    **channels.TARGETS,
}
BINARIES = rig.ROOT / "build/release/bench"


def percentile(values, share):
    return sorted(values)[int(len(values) * share)]


def start():
    """exec of `chela serve` to its byte on --ready-fd, on a folder that exists."""
    with Server("start"):
        pass
    values = []
    for _ in range(20):
        with Server("start", fresh=False) as s:
            values.append(s.ready_ms)
    yield "ready_ms", statistics.median(values), "ms"


def gateway():
    yield from program(BINARIES / "gateway_bench")


def tasks():
    yield from program(BINARIES / "tasks_bench")


def door():
    rig.need_engine()
    yield from program(BINARIES / "door_bench", rig.locked_image())


def program(*argv):
    """The rows that a program prints, one JSON object a line."""
    for line in rig.run(*argv).splitlines():
        row = json.loads(line)
        yield row["name"], row["value"], row["unit"]


def warm():
    """The real Claude Code, warm; and the server's memory after that conversation."""
    rig.need_engine()
    with Server("warm") as s, Client(s) as c:
        c.engine_ready()
        c.say("hello")
        values = [c.say(f"hello {n}")[1] for n in range(20)]
        pss, private, _ = s.memory_kb()
    yield "warm_reply_ms", statistics.median(values), "ms"
    yield "server_pss_mb", pss / 1024, "MiB"
    yield "server_private_mb", private / 1024, "MiB"


def cold_reply():
    rig.need_engine()
    m = cold.measure()
    yield "sandbox_first_byte_ms", m["byte"], "ms"
    yield "sandbox_init_line_ms", m["line"], "ms"
    yield "cold_reply_ms", m["reply"], "ms"
    yield "cold_resumed_reply_ms", m["resumed"], "ms"
    yield "docker_run_ms", m["docker"], "ms"
    yield "claude_alone_ms", m["claude"], "ms"
    yield "cold_reply_ratio", m["reply"] / (m["docker"] + m["claude"]), "x"


def pump(client, total, window=200):
    """Has so many messages answered, never more than a window of them under way."""
    sent = settled = 0
    while settled < total:
        if sent < total and sent - settled <= window // 2:
            n = min(window // 2, total - sent)
            client.sock.sendall(b"".join(client.line("hello there")[1] for _ in range(n)))
            sent += n
        ev = client.event()
        if ev["ev"] == "settled":
            if ev["failed"]:
                raise Failed("a message was not answered")
            settled += 1


def one_by_one(client, count):
    """ms from a message on the control socket to its line on the agent's stdin, of each."""
    values = []
    for n in range(count):
        begun, _, answer = client.say(f"hello {n}")
        values.append((int(answer) - begun) / 1e6)
    if min(values) <= 0:
        raise Failed("the agent's clock is not ours")
    return values


def handoff():
    """Message on the control socket to line on the agent's stdin, one at a time; then 100,000
    messages, and what they leave behind in the memory that the server has written to."""
    rig.need_engine()
    with rig.agent_image() as lock, Server("handoff", lock) as s, Client(s) as c:
        c.engine_ready()
        for _ in range(200):
            c.say("hello")
        blocks = [one_by_one(c, 600) for _ in range(5)]
        for name, share in (("handoff_p50_ms", 0.5), ("handoff_p99_ms", 0.99)):
            # the median block: one burst of somebody else's work does not decide
            yield name, statistics.median(percentile(b, share) for b in blocks), "ms"
        pump(c, 10_000)
        before = s.memory_kb()[2]
        begun = time.monotonic()
        pump(c, 90_000)
        rate = 90_000 / (time.monotonic() - begun)
        after = s.memory_kb()[2]
    yield "growth_100k_mb", (after - before) / 1024, "MiB"
    yield "intake_per_s", rate, "1/s"


STEPS = {"start": start, "gateway": gateway, "tasks": tasks, "door": door, "handoff": handoff,
         "warm": warm, "cold": cold_reply, **channels.STEPS}


def row_of(name, value, unit):
    target = TARGETS.get(name)
    ok = target is None or (value <= target[1] if target[0] == "<=" else value >= target[1])
    return {"name": name, "value": round(value, 4), "unit": unit,
            "target": target[1] if target else None, "ok": ok}


def show(row):
    target = TARGETS.get(row["name"])
    ok = "-" if target is None else "yes" if row["ok"] else "NO"
    print(f"{row['name']:<24} {row['value']:>12.3f} {row['unit']:<5} "
          f"{' '.join(map(str, target or ())):<8} {ok}", flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    p.add_argument("--out")
    p.add_argument("steps", nargs="*", choices=[[], *STEPS], default=[])
    opts = p.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was made is removed
    rig.WORK.mkdir(parents=True, exist_ok=True)
    rows, failed, begun = [], 0, time.monotonic()
    print(f"load before: {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores "
          f"(figures are of use on a quiet machine); processes of other servers: {rig.others()}")
    for name in opts.steps or STEPS:
        try:
            for row in map(lambda r: row_of(*r), STEPS[name]()):
                rows.append(row)
                show(row)
        except Skipped as why:
            print(f"skipped: {name}: {why}")
        except (Failed, AssertionError, OSError, subprocess.SubprocessError, ValueError,
                KeyError) as why:
            failed += 1
            print(f"FAILED: {name}: {type(why).__name__}: {why}", file=sys.stderr)
    rows.append(row_of("load_1m", os.getloadavg()[0], "tasks"))  # how quiet the machine was
    show(rows[-1])
    if opts.out:
        pathlib.Path(opts.out).write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    missed = [r["name"] for r in rows if not r["ok"]]
    print(f"{len(rows)} figures in {time.monotonic() - begun:.0f} s, load after: "
          f"{os.getloadavg()[0]:.2f}; missed: {', '.join(missed) or 'none'}"
          + (f"; {failed} steps FAILED" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
