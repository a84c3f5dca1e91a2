# SPDX-License-Identifier: Apache-2.0
"""`make check`: the stages in order, one line each with its time, and one line of counts at the end.

A stage's output goes to build/check/<stage>.log; its end is shown when the stage fails. A later
stage runs even when an earlier one failed, unless it needs what that one builds. The last line is
"N passed, N failed, N skipped": cmocka's and pytest's tests, each counted once; a failed stage
without a failed test of its own counts as one failure.
"""
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree

OUT = pathlib.Path("build/check")
PYTHON = sys.executable
MAKE = [os.environ.get("MAKE", "make"), "--no-print-directory"]
JOBS = f"-j{os.cpu_count()}"


def unit(variant, *options):
    return [PYTHON, "tests/unit/run.py", *options, f"build/{variant}/unit"]


def pytest(part, *where):
    return [PYTHON, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider",
            f"--junitxml={OUT}/{part}.xml", *where]


# The tests with sandboxes wait more than they work: two processes share the machine, about evenly.
PARTS = ("e2e", "rest")

# name, what it needs, seconds it may take, commands; a tuple of commands runs at once
STAGES = [
    ("lint", [], 120, [[*MAKE, "lint"]]),
    ("build", [], 600, [[*MAKE, JOBS, "all", "units", "runner"],
                        [PYTHON, "tests/lint/hardening.py", "build/release/chela"]]),
    ("units", ["build"], 300, [unit("release", "--counts", str(OUT / "units.json"))]),
    ("asan", [], 1200, [[*MAKE, JOBS, "VARIANT=asan", "units", "replay"], unit("asan")]),
    ("valgrind", [], 1200, [[*MAKE, JOBS, "VARIANT=debug", "units"],
                           unit("debug", "--valgrind")]),
    ("image", ["build"], 600, [[*MAKE, "image"]]),
    ("e2e", ["build", "image"], 1800,
     [(pytest("e2e", "tests/e2e"), pytest("rest", "tests", "--ignore=tests/e2e"))]),
]


def end(child):
    """Whatever a command left behind must not outlive it."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    child.wait()


def run(commands, logs, limit):
    """Runs commands at once, each in a process group of its own; whether all ended well and in time."""
    children, deadline = [], time.monotonic() + limit
    try:
        for command, log in zip(commands, logs):
            with open(log, "ab") as out:
                out.write(f"$ {' '.join(command)}\n".encode())
                out.flush()
                children.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out,
                                                 stderr=subprocess.STDOUT, start_new_session=True))
        for child, log in zip(children, logs):
            try:
                child.wait(timeout=max(deadline - time.monotonic(), 1))
            except subprocess.TimeoutExpired:
                with open(log, "ab") as out:
                    out.write(b"no end within the stage's time\n")
                return False
        return all(child.returncode == 0 for child in children)
    finally:
        for child in children:
            end(child)


def stage(name, limit, commands):
    log = OUT / f"{name}.log"
    log.unlink(missing_ok=True)
    start, good = time.monotonic(), True
    for command in commands:
        beside = command if isinstance(command, tuple) else (command,)
        logs = [log] + [OUT / f"{name}.{i}.log" for i in range(1, len(beside))]
        for other in logs[1:]:
            other.unlink(missing_ok=True)
        good = run(beside, logs, limit - (time.monotonic() - start))
        for other in logs[1:]:
            with open(log, "ab") as out:
                out.write(other.read_bytes())
        if not good:
            break
    return good, log, time.monotonic() - start


def counts(name):
    """Passed, failed, skipped of a stage that runs tests; zeros when it has no result file."""
    if name == "units" and (OUT / "units.json").exists():
        return json.loads((OUT / "units.json").read_text("utf-8"))
    if name == "e2e":
        total = [0, 0, 0]
        for part in PARTS:
            if not (OUT / f"{part}.xml").exists():
                total[1] += 1  # it did not even come to an end
                continue
            for suite in xml.etree.ElementTree.parse(OUT / f"{part}.xml").getroot().iter("testsuite"):
                n, failed, errors, skipped = (int(suite.get(k)) for k in
                                              ("tests", "failures", "errors", "skipped"))
                bad = min(n, failed + errors)
                total = [total[0] + n - bad - skipped, total[1] + failed + errors,
                         total[2] + skipped]
        return total
    return [0, 0, 0]


def main():
    # a stage lives in a group of its own: end it too when we are told to end
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    OUT.mkdir(parents=True, exist_ok=True)
    for old in ("units.json", *(f"{part}.xml" for part in PARTS)):
        (OUT / old).unlink(missing_ok=True)
    # results of the run itself, not settings of the caller's shell, decide what is tested
    os.environ.pop("MAKEFLAGS", None)
    total, failed_stages = [0, 0, 0], set()
    for name, needs, limit, commands in STAGES:
        lacking = [n for n in needs if n in failed_stages]
        if lacking:
            print(f"{name:9} not run: {', '.join(lacking)} failed", flush=True)
            failed_stages.add(name)
            total[1] += 1
            continue
        good, log, seconds = stage(name, limit, commands)
        here = counts(name)
        if not good and here[1] == 0:
            here[1] = 1
        total = [a + b for a, b in zip(total, here)]
        word = "ok" if good else "FAILED"
        tests = f", {here[0]} passed" if here[0] else ""
        print(f"{name:9} {word} in {seconds:.1f} s{tests}", flush=True)
        if not good:
            failed_stages.add(name)
            lines = log.read_text("utf-8", "replace").splitlines()
            print("\n".join(f"    {line}" for line in lines[-60:]), flush=True)
        elif name == "e2e":
            for line in re.findall(r"^SKIPPED.*$", log.read_text("utf-8", "replace"), re.M):
                print(f"    {line}", flush=True)
    print(f"{total[0]} passed, {total[1]} failed, {total[2]} skipped", flush=True)
    return 1 if total[1] or failed_stages else 0


if __name__ == "__main__":
    sys.exit(main())
