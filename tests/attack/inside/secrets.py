# SPDX-License-Identifier: Apache-2.0
"""Looks for a secret everywhere: files, environments, command lines, memory of all processes that can
be read. ARGS: the secret and a canary that must be found, both backwards, so that looking for
them does not plant them."""
import base64
import os
import pathlib
import stat

from common import ARGS, Report

r = Report()
me = {str(os.getpid()), "self", "thread-self"}
needles = {"secret": [], "canary": []}
for name, word in zip(needles, ARGS):
    plain = word[::-1].encode()
    needles[name] = [plain, plain.hex().encode(), plain.decode().encode("utf-16-le")]
    for shift in range(3):
        needles[name].append(base64.b64encode(b"\0" * shift + plain)[4:-4])
found = {"secret": [], "canary": []}
looked = {"files": 0, "environ": 0, "cmdline": 0, "mem": 0}


def look(kind, where, data):
    for name, forms in needles.items():
        if any(f in data for f in forms):
            found[name].append(f"{kind} {where}")


for top, subs, names in os.walk("/"):
    # /usr is the image's, older than the secret, and nobody can write there (see tree.py)
    if top in ("/proc", "/sys", "/dev", "/usr"):
        subs[:] = []
        continue
    for name in names:
        path = f"{top}/{name}"
        try:
            if not stat.S_ISREG(os.lstat(path).st_mode):
                continue
            with open(path, "rb") as f:
                old = b""
                while chunk := f.read(8 << 20):
                    look("file", path, old + chunk)
                    old = chunk[-200:]
            looked["files"] += 1
        except OSError:
            pass


def memory(pid):
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem, \
            open(f"/proc/{pid}/pagemap", "rb", 0) if os.path.exists(f"/proc/{pid}/pagemap") \
            else open("/dev/null", "rb") as pages:
        for line in maps:
            span, rights = line.split()[:2]
            if "r" not in rights or "w" not in rights:
                continue
            a, b = (int(x, 16) for x in span.split("-"))
            for at in range(a, min(b, a + (256 << 20)), 1 << 20):
                n = min(1 << 20, b - at)
                pages.seek(at // 4096 * 8)
                bits = pages.read(n // 4096 * 8)
                if bits and not any(bits[7::8][i] & 0xc0 for i in range(len(bits) // 8)):
                    continue  # nothing of it was ever touched
                try:
                    mem.seek(at)
                    look("mem", pid, mem.read(n))
                except (OSError, OverflowError, ValueError):
                    break


for pid in filter(str.isdigit, os.listdir("/proc")):
    if pid in me:
        continue
    for what in ("environ", "cmdline"):
        try:
            look(what, pid, pathlib.Path(f"/proc/{pid}/{what}").read_bytes())
            looked[what] += 1
        except OSError:
            pass
    try:
        memory(pid)
        looked["mem"] += 1
    except OSError:
        pass
for where in found["secret"]:
    r.hole(where)
r.tried = sum(looked.values())
r.seen = {"looked": looked, "canary": sorted({x.split()[0] for x in found["canary"]})}
r.end()
