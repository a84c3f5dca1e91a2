# SPDX-License-Identifier: Apache-2.0
"""Checks what the linker really made of the server: hardening.py PROGRAM.

Position-independent, relocations read-only before main, no executable stack, no search path, and
no function of ours in the dynamic table, where it would replace a library's of the same name.
"""
import re
import subprocess
import sys


def read(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.decode("utf-8")


def check(program):
    header = read("readelf", "-hW", program)
    segments = read("readelf", "-lW", program)
    dynamic = read("readelf", "-dW", program)
    if not re.search(r"Type:\s+DYN", header):
        yield "not position-independent"
    if not re.search(r"FLAGS_1.*\bNOW\b", dynamic):
        yield "not linked with -z now"
    if "GNU_RELRO" not in segments:
        yield "no RELRO segment"
    if not re.search(r"GNU_STACK\s.*\bRW\s", segments):
        yield "the stack is executable, or not declared"
    if re.search(r"\bR(UN)?PATH\b", dynamic):
        yield "a library search path is built in"
    for line in segments.splitlines():
        if re.search(r"\bLOAD\b.*\bRWE\b", line):
            yield "a segment is writable and executable"
    for line in read("nm", "-D", "--defined-only", program).splitlines():
        parts = line.split()
        if len(parts) == 3 and parts[1] in "TtWi":
            yield f"{parts[2]} is exported and may replace a library's function of that name"


def main():
    found = [f"{p}: {f}" for p in sys.argv[1:] for f in check(p)]
    print("\n".join(found) if found else f"  ok   {' '.join(sys.argv[1:])}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
