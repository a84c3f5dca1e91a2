# SPDX-License-Identifier: Apache-2.0
"""What the agent's user may do inside: powers, files, and the view from the host of the same."""
import pathlib

import engine
import procs
from attacker import content


def test_no_powers(target):
    target.refuted("privileges", least=300 if target.runtime == "runsc" else 380)


def test_nothing_to_write_but_its_own(target):
    server = target.server
    secrets_of_host = [str(server.home / "chela.db"), str(server.home / "control.sock"),
                       str(server.home), engine.SOCKET, str(pathlib.Path(__file__).resolve())]
    got = target.refuted("tree", secrets_of_host, group="kin", least=5000, timeout=100)
    assert not (server.home / "groups/kin/chela-attack").exists()
    others = [m for m in got["mounts"] if "main" in m or m.startswith(str(server.home))]
    assert others == []
    assert [m for m in got["mounts"] if m.startswith("/skills/")], "no skill is mounted: nothing is proved of them"


def test_seen_from_the_host(target):
    """The kernel's own word on every process of the sandbox, which nobody inside can forge."""
    target.chat().ask("warm up")
    pid = target.container()["State"]["Pid"]
    seen = 0
    for p in [pid, *procs.below(pid)]:
        for path in pathlib.Path(f"/proc/{p}/task").glob("*/status"):
            s = dict(x.split(":\t", 1) for x in content(path).decode().splitlines() if ":\t" in x)
            if not s:
                continue
            seen += 1
            if target.runtime == "runsc":
                continue  # gVisor's own processes: held by its own namespaces and filters
            assert "0" not in s["Uid"].split() + s["Gid"].split(), s
            for cap in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
                assert int(s[cap], 16) == 0, s
            assert s["NoNewPrivs"] == "1" and s["Seccomp"] == "2", s
            # nothing is left to be regained but what the runner gave up by itself
            assert int(s["CapBnd"], 16) & ~(1 << 6 | 1 << 7) == 0, s
    assert seen >= 3
    # gVisor keeps pids and mounts of its own, inside its one process
    names = ("net",) if target.runtime == "runsc" else ("net", "mnt", "pid", "ipc", "uts", "cgroup")
    ours = {n: (pathlib.Path("/proc/self/ns") / n).readlink() for n in names}
    for name, link in ours.items():
        assert (pathlib.Path(f"/proc/{pid}/ns") / name).readlink() != link, name


def test_another_group_is_out_of_reach(target):
    """Each group writes where it can; the other sees nothing of it."""
    word = "only-for-kin-" + target.key[-8:]
    target.chat("kin").ask(f"!bash echo {word} | tee /workspace/w /session/w /tmp/w")
    found = target.chat("main").ask(
        "!bash grep -rl only-for-kin- /workspace /session /tmp /global 2>/dev/null | head; echo looked")
    assert "looked" in found and "/w" not in found.replace("/workspace", "")
    history = target.chat("main").ask('!tool mcp__chela__search_history {"query": "only"}')
    assert word not in history
    assert word in target.chat("kin").ask('!tool mcp__chela__search_history {"query": "only"}')
    modes = {p: (target.server.home / p).stat().st_mode & 0o077 for p in
             ("groups/main", "groups/kin", "sessions/main", "sessions/kin")}
    assert set(modes.values()) == {0}, modes
