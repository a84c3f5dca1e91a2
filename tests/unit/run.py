# SPDX-License-Identifier: Apache-2.0
"""Runs the unit test programs of one variant and adds up their results.

Usage: run.py [--valgrind] [--counts FILE] DIRECTORY

Each program is a cmocka group; its TAP output is counted. A program that dies, hangs, or reports
fewer tests than it planned counts as one more failure, so that a crash never looks like a pass.
The last line is "N passed, N failed, N skipped"; the exit status is 1 on any failure.
"""
import argparse
import concurrent.futures
import ctypes
import json
import os
import pathlib
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time

VALGRIND = ["valgrind", "-q", "--leak-check=full", "--show-leak-kinds=definite,possible",
            "--errors-for-leak-kinds=definite,possible", "--track-fds=no", "--error-exitcode=99"]
LIMIT_S = 120
# The longest first: one of them begun last would leave the other processors idle. The rest follows by name.
LONGEST = ["warden_live", "router_schedule_storm", "channels_slack_send", "channels_whatsapp_live",
           "channels_telegram_poll", "channels_slack_live", "store_log", "runtime_ws", "router_delivery_odd",
           "router_trouble", "router_delivery"]


def clean_signals():
    """make starts its commands by posix_spawn, which leaves glibc's own signals 32 and 33 ignored.
    A test that looks at dispositions must not see that; sigaction(3) refuses them, the kernel does
    not."""
    number = {"x86_64": 13, "aarch64": 134}.get(platform.machine())
    if number:
        for sig in (32, 33):
            ctypes.CDLL(None).syscall(number, sig, ctypes.create_string_buffer(32), None, 8)


def run(program, wrap):
    """Returns (name, seconds, passed, failed, skipped, output to show)."""
    began = time.monotonic()
    env = dict(os.environ, CMOCKA_MESSAGE_OUTPUT="TAP", TZ="UTC",
               ASAN_OPTIONS="detect_leaks=1:abort_on_error=0",
               UBSAN_OPTIONS="print_stacktrace=1")
    limit = LIMIT_S * (3 if wrap else 1)
    with tempfile.TemporaryFile() as out:
        # a file and a process group: what a test leaves behind can neither hold us nor outlive it
        child = subprocess.Popen(wrap + [str(program)], env=env, stdin=subprocess.DEVNULL,
                                 stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
        late = ""
        try:
            code = child.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            code, late = None, f"\nno end after {limit} s\n"
        finally:
            try:
                os.killpg(child.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            child.wait()
        out.seek(0)
        text = out.read().decode("utf-8", "replace") + late
    planned = sum(int(n) for n in re.findall(r"^1\.\.(\d+)$", text, re.M))
    passed = failed = skipped = 0
    for line in re.findall(r"^(?:not )?ok \d+.*$", text, re.M):
        if "# SKIP" in line:
            skipped += 1
        elif line.startswith("not"):
            failed += 1
        else:
            passed += 1
    broken = passed + failed + skipped != planned or planned == 0
    if broken or (code != 0 and failed == 0):
        failed += 1
        text += f"\n{program.name}: exit status {code}, {planned} tests planned\n"
    seconds = time.monotonic() - began
    return program.name, seconds, passed, failed, skipped, text if failed else ""


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--valgrind", action="store_true")
    args.add_argument("--counts", help="write the counts to this file, as JSON")
    args.add_argument("directory", type=pathlib.Path)
    args = args.parse_args()
    programs = sorted((p for p in args.directory.glob("*") if os.access(p, os.X_OK) and p.is_file()),
                      key=lambda p: (LONGEST.index(p.name) if p.name in LONGEST else len(LONGEST), p.name))
    if not programs:
        print(f"no test programs in {args.directory}")
        return 1
    clean_signals()
    total = [0, 0, 0]
    wrap = VALGRIND if args.valgrind else []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, seconds, *counts, text in pool.map(lambda p: run(p, wrap), programs):
            total = [a + b for a, b in zip(total, counts)]
            skipped = f", {counts[2]} skipped" if counts[2] else ""
            word = "FAIL" if counts[1] else "ok"
            print(f"  {word:4} {name} ({counts[0]} passed{skipped}) in {seconds:.1f} s")
            if text:
                print(text)
    if args.counts:
        with open(args.counts, "w", encoding="utf-8") as out:
            json.dump(total, out)
    print(f"{total[0]} passed, {total[1]} failed, {total[2]} skipped")
    return 1 if total[1] else 0


if __name__ == "__main__":
    sys.exit(main())
