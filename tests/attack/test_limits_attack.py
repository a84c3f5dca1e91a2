# SPDX-License-Identifier: Apache-2.0
"""The limits are in force: read from the kernel on the host, and run against from inside, while another
group's sandbox and the server go on."""
import os
import pathlib
import re
import threading
import time

import pytest

import engine
import procs
from attacker import LONG, PIDS, POLICY

MB = 1 << 20
MEMORY = int(POLICY["memory"][:-1]) * MB


def cgroup(target, controller, group="main"):
    """The folder of the sandbox's cgroup on the host, and whether it is of version 2."""
    lines = pathlib.Path(f"/proc/{target.container(group)['State']['Pid']}/cgroup").read_text().splitlines()
    if pathlib.Path("/sys/fs/cgroup/cgroup.controllers").exists():
        path = next(x[3:] for x in lines if x.startswith("0::"))
        return pathlib.Path("/sys/fs/cgroup" + path), True
    for line in lines:
        _, names, path = line.split(":", 2)
        if controller in names.split(","):
            return pathlib.Path(f"/sys/fs/cgroup/{controller}{path}"), False
    raise AssertionError(f"the sandbox is in no cgroup for {controller}: {lines}")


def read(folder, name):
    return (folder / name).read_text().strip()


def ids(target, group):
    return [c["Id"] for c in engine.containers(target.server.instance, every=False)
            if c["Labels"]["chela.group"] == group]


@pytest.fixture
def neighbour(target):
    """kin has a warm sandbox; afterwards it is the same one, and it answers."""
    chat = target.chat("kin")
    chat.ask("warm up")
    front, warden, before = target.server.front, target.server.warden, ids(target, "kin")
    yield chat
    assert "still here" in chat.ask("still here", 60)
    assert ids(target, "kin") == before, "the neighbour's sandbox was ended"
    assert (target.server.front, target.server.warden) == (front, warden)


def test_limits_stand_in_the_kernel(target):
    target.chat().ask("warm up")
    d, v2 = cgroup(target, "memory")
    assert int(read(d, "memory.max" if v2 else "memory.limit_in_bytes")) == MEMORY
    if v2:
        assert read(d, "memory.swap.max") == "0"
    elif (d / "memory.memsw.limit_in_bytes").exists():
        assert int(read(d, "memory.memsw.limit_in_bytes")) == MEMORY
    d, v2 = cgroup(target, "pids")
    assert int(read(d, "pids.max")) == PIDS[target.runtime]
    d, v2 = cgroup(target, "cpu")
    quota, period = read(d, "cpu.max").split() if v2 else \
        (read(d, "cpu.cfs_quota_us"), read(d, "cpu.cfs_period_us"))
    assert int(quota) / int(period) == POLICY["cpus"]
    said = target.chat().ask("!bash ulimit -Hc; ulimit -Hn")
    assert re.search(r"^(result:)?\s*0\s+8192", said, re.M), said


BOMB = """
import os, signal, time
signal.alarm(8)
end = time.monotonic() + 5
n = 0
while time.monotonic() < end:
    try:
        if os.fork() == 0:
            os.setsid()
            signal.alarm(8)
        else:
            n += 1
    except OSError:
        pass
"""


def watch(fn, stop, out):
    while not stop.is_set():
        try:
            out.append(fn())
        except OSError:
            return  # the cgroup went with its sandbox
        stop.wait(0.02)


def test_fork_bomb(target, neighbour):
    target.chat().ask("warm up")
    d, _ = cgroup(target, "pids")
    (target.folder() / "bomb.py").write_text(BOMB, "utf-8")
    stop, counts = threading.Event(), []
    watcher = threading.Thread(target=watch, args=[lambda: int(read(d, "pids.current")), stop, counts])
    watcher.start()
    uid = target.chat().say("!bash timeout -s KILL 8 python3 bomb.py; echo bombed")
    try:
        target.chat().wait_working(30)
        assert "during" in neighbour.ask("during", 60)
        target.chat().settled(uid, 120)
    finally:
        stop.set()
        watcher.join()
    assert max(counts) <= PIDS[target.runtime], max(counts)
    if target.runtime == "runc":  # gVisor dies of it
        assert max(counts) >= POLICY["pids"] - 5, f"the bomb made only {max(counts)}: no bomb"
    assert "after the bomb" in target.chat().ask("after the bomb", 120)


HOG = """
import os
open('/proc/self/oom_score_adj', 'w').write('1000')
hold = []
while True:
    hold.append(bytearray(os.urandom(1 << 20)) * 32)
"""


def test_memory_hog(target, neighbour):
    if target.runtime == "runsc" and not LONG:
        pytest.skip("in the long run only (CHELA_LONG=1): three tries under gVisor take 20 s")
    target.chat().ask("warm up")
    d, v2 = cgroup(target, "memory")
    (target.folder() / "hog.py").write_text(HOG, "utf-8")
    used = "memory.current" if v2 else "memory.usage_in_bytes"
    stop, counts = threading.Event(), []
    watcher = threading.Thread(target=watch, args=[lambda: int(read(d, used)), stop, counts])
    watcher.start()
    uid = target.chat().say("!bash python3 hog.py; echo hogged")
    try:
        assert "during" in neighbour.ask("during", 60)
        target.chat().settled(uid, 120)
    finally:
        stop.set()
        watcher.join()
    assert MEMORY / 2 < max(counts) <= MEMORY, max(counts) / MB
    assert "after the hog" in target.chat().ask("after the hog", 120)


def test_tmp_is_capped(target):
    if target.runtime == "runsc":
        pytest.skip("runsc of Debian 12 takes a tmpfs' size and ignores it; it counts against the memory limit")
    cap = int(POLICY["tmp"][:-1])
    # into a file of the workspace: the agent's own tool keeps what is printed in /tmp
    said = target.chat().ask(
        "!bash (head -c 200M /dev/zero > /tmp/big; df -m --output=used /tmp; head -c 1M /dev/zero > "
        "/tmp/more; df -m --output=used /tmp) > /workspace/sizes 2>&1; rm -f /tmp/big /tmp/more; echo wiped")
    printed = (target.folder() / "sizes").read_text("utf-8")
    sizes = [int(x) for x in re.findall(r"Used\s+(\d+)", printed)]
    assert len(sizes) == 2 and "wiped" in said, (said, printed)
    assert "No space left" in printed
    assert cap - 2 <= sizes[0] <= cap and max(sizes) <= cap, printed


def test_cpu_is_capped(target, neighbour):
    if target.runtime == "runsc":
        pytest.skip("gVisor's processes come and go with the tools: only the quota itself is read (above)")
    target.chat().ask("warm up")
    pid = target.container()["State"]["Pid"]

    def seconds():
        """What all its processes have used, by the kernel's count of each."""
        total = 0
        for p in [pid, *procs.below(pid)]:
            try:
                fields = pathlib.Path(f"/proc/{p}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            total += sum(map(int, fields[11:13]))
        return total / os.sysconf("SC_CLK_TCK")

    uid = target.chat().say("!bash for i in 1 2 3 4; do timeout 5 sh -c 'while :; do :; done' & done; wait")
    target.chat().wait_working(30, target.server.bus.mark() - 1)
    first, begun = seconds(), time.monotonic()
    target.server.bus.pause(3)
    spent, passed = seconds() - first, time.monotonic() - begun
    target.chat().settled(uid, 60)
    assert 0.2 < spent / passed <= POLICY["cpus"] * 1.15, (spent, passed)
