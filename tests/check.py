# SPDX-License-Identifier: Apache-2.0
"""`make check`: the stages in order, one line each with its time, and one line of counts at the end.

A stage's output goes to build/check/<stage>.log; its end is shown when the stage fails. A later
stage runs even when an earlier one failed, unless it needs what that one builds. The last lines
name what failed, and then "N passed, N failed, N skipped": cmocka's and pytest's tests, each counted
once; a failed stage without a failed test of its own counts as one failure.
"""
import json
import os
import pathlib
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

OUT = pathlib.Path("build/check")
PYTHON = sys.executable
MAKE = [os.environ.get("MAKE", "make"), "--no-print-directory"]
JOBS = f"-j{os.cpu_count()}"


def unit(variant, *options):
    return [PYTHON, "tests/unit/run.py", *options, f"build/{variant}/unit"]


# Tests with sandboxes wait more than they work: so many processes share the machine, a file each.
BESIDE = 3
# The files that take longest come first, so that no process works on alone at the end.
LONGEST = ("tests/attack/test_rogue.py", "tests/e2e/test_household.py",
           "tests/attack/test_tasks_attack.py", "tests/e2e/test_chaos_channels.py",
           "tests/e2e/test_trouble.py", "tests/attack/test_limits_attack.py")


def result(file):
    return OUT / f"{pathlib.Path(file).stem}.xml"


def pytests():
    """A command for each file of tests, the longest first."""
    files = sorted(str(p) for p in pathlib.Path("tests").rglob("test_*.py"))
    files.sort(key=lambda f: LONGEST.index(f) if f in LONGEST else len(LONGEST))
    return tuple([PYTHON, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider",
                  f"--junitxml={result(f)}", f] for f in files)


# name, what it needs, seconds it may take, commands in order; a tuple's commands run side by side
STAGES = [
    ("lint", [], 120, [[*MAKE, "lint"]]),
    ("build", [], 600, [[*MAKE, JOBS, "all", "units", "runner"],
                        [PYTHON, "tests/lint/hardening.py", "build/release/chela"]]),
    ("units", ["build"], 300, [unit("release", "--counts", str(OUT / "units.json"))]),
    ("asan", [], 1200, [[*MAKE, JOBS, "VARIANT=asan", "units", "replay"], unit("asan")]),
    ("valgrind", [], 1200, [[*MAKE, JOBS, "VARIANT=debug", "units"],
                           unit("debug", "--valgrind")]),
    ("image", ["build"], 600, [[*MAKE, "image"]]),
    ("e2e", ["build", "image"], 1800, [pytests()]),
]


class Child:
    """A command in a process group of its own, and what it prints."""

    def __init__(self, command):
        self.out = tempfile.TemporaryFile()
        self.out.write(f"$ {' '.join(command)}\n".encode())
        self.out.flush()
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.out,
                                        stderr=subprocess.STDOUT, start_new_session=True)
        self.fd = os.pidfd_open(self.process.pid)

    def fileno(self):
        return self.fd

    def end(self):
        """(Whether it ended well, its words); what the command left behind does not outlive it."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.close(self.fd)
        good = self.process.wait() == 0
        self.out.seek(0)
        with self.out:
            return good, self.out.read()


def run(commands, log, deadline):
    """Runs commands, BESIDE at a time; whether all ended well and in time. Those that did not stand
    last in the log."""
    waiting, running, bad = list(commands), [], []
    with open(log, "ab") as out:
        try:
            while waiting or running:
                while waiting and len(running) < BESIDE:
                    running.append(Child(waiting.pop(0)))
                ended = select.select(running, [], [], max(deadline - time.monotonic(), 0))[0]
                if not ended:
                    bad.append(f"{len(running) + len(waiting)} did not end in time\n".encode())
                    break
                for child in ended:
                    running.remove(child)
                    good, words = child.end()
                    out.write(words) if good else bad.append(words)
        finally:
            for child in running:
                out.write(child.end()[1])
            out.write(b"".join(bad))
    return not bad


def stage(name, limit, commands):
    log = OUT / f"{name}.log"
    log.unlink(missing_ok=True)
    start, good = time.monotonic(), True
    for command in commands:
        good = run(command if isinstance(command, tuple) else [command], log, start + limit)
        if not good:
            break
    return good, log, time.monotonic() - start


def pytest_counts():
    """Passed, failed, skipped of all files, and a line for each test that failed."""
    total, wrong = [0, 0, 0], []
    for *_, file in pytests():
        if not result(file).exists():
            total[1] += 1
            wrong.append(f"{file}: no result: it did not come to an end, or was not begun")
            continue
        root = xml.etree.ElementTree.parse(result(file)).getroot()
        for suite in root.iter("testsuite"):
            n, failed, errors, skipped = (int(suite.get(k)) for k in
                                          ("tests", "failures", "errors", "skipped"))
            bad = min(n, failed + errors)
            total = [total[0] + n - bad - skipped, total[1] + failed + errors, total[2] + skipped]
        for test in root.iter("testcase"):
            for how in (*test.findall("failure"), *test.findall("error")):
                why = (how.get("message") or "").strip().splitlines()
                wrong.append(f"{file}::{test.get('name')}: {why[0][:200] if why else ''}")
    return total, wrong


def outcome(name, good, log):
    """The counts of a stage, and what failed in it, a line each."""
    total, wrong = [0, 0, 0], []
    if name == "e2e":
        total, wrong = pytest_counts()
    elif name == "units" and (OUT / "units.json").exists():
        total = json.loads((OUT / "units.json").read_text("utf-8"))
    if not good and not total[1]:
        total[1] = 1
    if not good and not wrong:
        wrong = re.findall(r"^not ok .*|^  FAIL .*", log.read_text("utf-8", "replace"), re.M)
    return total, [f"{name}: {line.strip()}" for line in wrong]


def main():
    # a stage lives in a group of its own: end it too when we are told to end
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    OUT.mkdir(parents=True, exist_ok=True)
    for old in ("units.json", *(result(file).name for *_, file in pytests())):
        (OUT / old).unlink(missing_ok=True)
    # results of the run itself, not settings of the caller's shell, decide what is tested
    os.environ.pop("MAKEFLAGS", None)
    total, failed_stages, wrong = [0, 0, 0], set(), []
    for name, needs, limit, commands in STAGES:
        lacking = [n for n in needs if n in failed_stages]
        if lacking:
            print(f"{name:9} not run: {', '.join(lacking)} failed", flush=True)
            failed_stages.add(name)
            total[1] += 1
            continue
        good, log, seconds = stage(name, limit, commands)
        here, lines = outcome(name, good, log)
        wrong += lines
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
    for line in wrong:
        print(f"failed: {line}", flush=True)
    print(f"{total[0]} passed, {total[1]} failed, {total[2]} skipped", flush=True)
    return 1 if total[1] or failed_stages else 0


if __name__ == "__main__":
    sys.exit(main())
