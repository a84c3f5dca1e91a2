# SPDX-License-Identifier: Apache-2.0
"""The agent's stream: handshake, bytes, fate, signals, zombies, log lines."""

import hashlib
import os
import pathlib
import signal
import time

import pytest


def children(pid):
    """{pid: state} of the living and dead children of `pid`."""
    found = {}
    for p in pathlib.Path("/proc").iterdir():
        if p.name.isdigit():
            try:
                state, ppid = (p / "stat").read_text().rsplit(")", 1)[1].split()[:2]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(ppid) == pid:
                found[int(p.name)] = state
    return found


def agent_pid(host):
    """The agent is the launcher's only child."""
    (launcher,) = children(host.proc.pid)
    host.pump(lambda: children(launcher))
    return next(iter(children(launcher)))


def gone(pid):
    return not pathlib.Path("/proc/%d" % pid).exists()


def peak_kib(pid):
    """Peak resident memory; a sanitizer's own (shadow, quarantine) is not the runner's."""
    exe = pathlib.Path("/proc/%d/exe" % pid).resolve()
    if b"__asan_init" in exe.read_bytes():
        return 0
    text = pathlib.Path("/proc/%d/status" % pid).read_text()
    return int(text.split("VmHWM:")[1].split()[0])


def test_handshake(start):
    h = start("cat")
    want = {
        ":method": "POST",
        ":scheme": "chela",
        ":authority": "door",
        ":path": "/agent",
        "chela-door": "1",
    }
    got = dict(h.agent.headers)
    assert got.pop("chela-runner")
    assert got == want
    assert h.settings[4] == 1 << 20  # INITIAL_WINDOW_SIZE
    assert h.settings[5] == 256 << 10  # MAX_FRAME_SIZE
    assert h.settings[2] == 0  # ENABLE_PUSH
    # the connection's window: 65,535 and what the runner adds
    h.pump(lambda: h.conn.outbound_flow_control_window == 4 << 20)


def test_echo_and_half_close(start):
    h = start("cat")
    h.send(h.agent, b"hello\n")
    h.pump(lambda: h.agent.got == b"hello\n")
    h.send(h.agent, b"bye", end=True)
    h.pump(lambda: h.agent.ended)
    assert h.agent.got == b"hello\nbye"
    assert h.agent.trailers == {"chela-exit": "0"}
    assert h.proc.poll() is None, "the runner stays until the door ends"
    assert h.close() == 0


@pytest.mark.parametrize("code", [0, 7, 255])
def test_exit_code(start, code):
    h = start("sh", "-c", "echo last words; exit %d" % code)
    h.pump(lambda: h.agent.ended)
    assert h.agent.got == b"last words\n"
    assert h.agent.trailers == {"chela-exit": str(code)}


def test_exit_by_signal(start):
    h = start("sh", "-c", "echo x; kill -11 $$")
    h.pump(lambda: h.agent.ended)
    assert (bytes(h.agent.got), h.agent.trailers) == (b"x\n", {"chela-signal": "11"})


def test_agent_that_cannot_start(start):
    h = start("/nonexistent/agent")
    h.pump(lambda: h.agent.ended and "agent: cannot start /nonexistent/agent" in h.text())
    assert h.agent.trailers == {"chela-exit": "127"}


def test_folder_that_is_missing(start, tmp_path):
    h = start("cat", flags=("--keep-uid", "--port", "0", "--cwd", str(tmp_path / "none")))
    h.pump(lambda: h.agent.ended and f"agent: cannot enter {tmp_path}/none" in h.text())
    assert h.agent.trailers == {"chela-exit": "126"}


def test_exit_is_told_though_others_hold_stdout(start):
    h = start("sh", "-c", "sleep 1000 & echo $!; exit 3")
    h.pump(lambda: h.agent.ended)
    assert h.agent.trailers == {"chela-exit": "3"}
    left_over = int(h.agent.got)
    assert not gone(left_over)
    assert h.close() == 0
    h.pump(lambda: gone(left_over))  # the end of the door is the end of all


def test_agent_that_closes_stdin_lives_on(start):
    h = start("sh", "-c", "exec 0<&-; echo ready; trap 'exit 4' USR1; while :; do sleep 1; done")
    h.pump(lambda: h.agent.got == b"ready\n")
    h.send(h.agent, os.urandom(8 << 20))  # more than all windows: must be swallowed and credited
    h.pump(lambda: not h.agent.out and h.conn.local_flow_control_window(1) > 0)
    assert "closed its stdin" in h.text()
    os.kill(agent_pid(h), signal.SIGUSR1)
    h.pump(lambda: h.agent.ended)
    assert h.agent.trailers == {"chela-exit": "4"}


def test_100_mb_both_ways(start):
    h = start("cat")
    chunk = os.urandom(1 << 20)
    want, got = hashlib.sha256(), hashlib.sha256()
    h.agent.sink = got.update
    for i in range(100):
        part = i.to_bytes(8, "big") + chunk[8:]
        want.update(part)
        h.send(h.agent, part)
        h.pump(lambda: len(h.agent.out) < 1 << 19)
    h.send(h.agent, end=True)
    h.pump(lambda: h.agent.ended, 20)
    assert h.agent.received == 100 << 20
    assert got.digest() == want.digest()
    assert peak_kib(h.proc.pid) < 6 << 10


def settled(host, pid):
    """How many bytes the process has written, once it is blocked for good."""
    last, same = -1, 0
    while same < 5:
        host.spin(0.02)
        io = pathlib.Path("/proc/%d/io" % pid).read_text()
        now = int(io.split("wchar:")[1].split()[0])
        last, same = now, same + 1 if now == last else 0
    return last


@pytest.mark.parametrize("how", ["no-credit", "not-read"])
def test_stalled_host_blocks_the_agent(start, how):
    h = start("sh", "-c", "read go; exec cat /dev/zero")
    if how == "no-credit":
        h.credit = lambda s: False
    h.send(h.agent, b"go\n")
    h.pump(lambda: h.agent.received > 0)
    h.rx_on = how == "no-credit"
    if how == "no-credit":
        h.pump(lambda: h.agent.received >= 1 << 20)
    written = settled(h, agent_pid(h))
    if how == "no-credit":
        assert h.agent.received == 1 << 20, "exactly the window"
    # window + the agent's pipe + the door's pipe + one frame, no more
    assert written <= (1 << 20) * 3 + (512 << 10)
    assert peak_kib(h.proc.pid) < 4 << 10
    # and it goes on when the host does
    before = h.agent.received
    h.rx_on = True
    h.give_credit(h.agent)
    h.pump(lambda: h.agent.received > before + (8 << 20))


def test_stalled_agent_stops_the_host(start):
    h = start("sh", "-c", "trap 'exec wc -c' USR1; echo ready; while :; do sleep 0.05; done")
    h.pump(lambda: h.agent.got == b"ready\n")
    h.agent.got.clear()
    h.send(h.agent, b"x" * (10 << 20))
    h.pump(lambda: h.conn.local_flow_control_window(1) == 0)
    h.pump(lambda: (10 << 20) - len(h.agent.out) > 1 << 20)
    h.spin(0.2)
    taken = (10 << 20) - len(h.agent.out)
    # one window and what the pipe holds; the window may have been half used when it filled
    assert 1 << 20 < taken <= (5 << 19) + (64 << 10)
    assert peak_kib(h.proc.pid) < 4 << 10
    # another stream is not held up by it
    c = h.connect(h.port())
    c.send(b"ping")
    h.pump(lambda: h.tcp and h.tcp[0].got == b"ping")
    h.send(h.tcp[0], b"y" * (6 << 20))
    h.pump(lambda: len(c.got) == 6 << 20)
    # the rest arrives when the agent reads
    os.kill(agent_pid(h), signal.SIGUSR1)
    h.send(h.agent, end=True)
    h.pump(lambda: h.agent.ended)
    assert int(h.agent.got) == 10 << 20


def test_orphans_are_reaped(start):
    h = start("sh", "-c", "for i in 1 2 3 4 5 6 7 8; do (sleep 0 & sleep 1000 & ) ; done; echo ok; cat")
    h.pump(lambda: h.agent.got == b"ok\n")
    # 1 launcher and 8 orphans live; the 8 dead ones are gone, not zombies
    h.pump(lambda: sorted(children(h.proc.pid).values()) == ["S"] * 9)
    (victim, *_), n = sorted(children(h.proc.pid), reverse=True), 9
    os.kill(victim, signal.SIGKILL)
    h.pump(lambda: len(children(h.proc.pid)) == n - 1)
    assert h.close() == 0


def test_launcher_killed_takes_the_agent_along(start):
    h = start("cat")
    pid = agent_pid(h)
    os.kill(next(iter(children(h.proc.pid))), signal.SIGKILL)
    h.pump(lambda: h.agent.ended)
    assert h.agent.trailers == {"chela-signal": "9"}
    assert gone(pid)


def test_runner_killed_takes_the_agent_along(start):
    h = start("sh", "-c", "trap '' TERM HUP; sleep 1000 & cat")
    pid = agent_pid(h)
    h.pump(lambda: len(children(pid)) == 2)
    everyone = [pid, *children(pid)]
    h.proc.kill()
    h.pump(lambda: all(gone(p) or state(p) == "Z" for p in everyone))


def state(pid):
    try:
        return pathlib.Path("/proc/%d/stat" % pid).read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "Z"


def test_sigterm_lets_the_agent_end_first(start):
    h = start("sh", "-c", "trap 'echo saved; exit 5' TERM; echo ready; while :; do sleep 0.02; done")
    h.pump(lambda: h.agent.got == b"ready\n")
    h.proc.terminate()
    h.pump(lambda: h.agent.ended)
    assert h.agent.got == b"ready\nsaved\n"
    assert h.agent.trailers == {"chela-exit": "5"}
    assert h.wait() == 0


def test_second_sigterm_ends_at_once(start):
    h = start("sh", "-c", "trap '' TERM; echo ready; cat")
    h.pump(lambda: h.agent.got == b"ready\n")
    pid = agent_pid(h)
    h.proc.terminate()
    h.pump(lambda: "asking the agent to end" in h.text())
    h.proc.terminate()
    assert h.wait() == 0
    h.pump(lambda: gone(pid))


def test_agent_stderr_is_prefixed_and_cut(start):
    h = start(
        "sh",
        "-c",
        r"""echo 'runner: forged' >&2; printf 'a\033[2Jb\n' >&2
        printf '%04000d\nlast' 7 >&2; echo x""",
    )
    h.pump(lambda: h.agent.ended and "agent: last" in h.text())
    lines = h.text().splitlines()
    assert "agent: runner: forged" in lines
    assert "runner: forged" not in lines
    assert "agent: a?[2Jb" in lines
    cut = [x for x in lines if x.startswith("agent: 0000")]
    assert len(cut) == 1 and len(cut[0]) + 1 == 1024


def test_agent_stderr_flood_is_capped_and_never_blocks(start):
    began = time.monotonic()
    h = start("sh", "-c", "yes noise | head -n 200000 >&2; echo done; exec cat")
    h.pump(lambda: h.agent.got == b"done\n")
    h.close()
    took = time.monotonic() - began
    assert 150 <= h.text().count("agent: noise") <= 201 + 50 * took
    assert "runner: end: the door is closed" in h.text(), "its own lines are not drowned"


def test_blocked_stderr_does_not_block_the_door(start):
    h = start("sh", "-c", "yes noise >&2 & exec cat")
    h.err_eof = True  # nobody reads the log any more
    for _ in range(20):
        before = len(h.agent.got)
        h.send(h.agent, b"z" * 1000)
        h.pump(lambda: len(h.agent.got) == before + 1000)
    h.err_eof = False
    assert h.close() == 0


def ticks(pid):
    """CPU ticks and context switches so far: what an idle process does not gain."""
    text = pathlib.Path("/proc/%d/status" % pid).read_text()
    return [line.split()[1] for line in text.splitlines() if "ctxt_switches" in line]


def test_idle_runner_does_not_wake(start):
    """Idle, with each awkward fd: half-closed and dead clients, a stalled stream, an exited agent."""
    h = start("sh", "-c", "sleep 1000 & exit 0")
    h.pump(lambda: h.agent.ended)
    port = h.port()
    half, stalled, swallowed = h.connect(port), h.connect(port), h.connect(port)
    h.pump(lambda: len(h.tcp) == 3)
    a, b, c = h.tcp
    h.credit = lambda s: s is not b
    half.half_close()
    stalled.send(b"s" * (8 << 20))
    h.send(c, b"enough", end=True)
    h.pump(lambda: a.ended and b.received == 1 << 20 and swallowed.eof)
    h.reset(c, 0)
    for _ in range(20):  # what it had to do may come late; what wakes it again and again never ends
        before = ticks(h.proc.pid)
        h.spin(0.4)
        if ticks(h.proc.pid) == before:
            return
    raise AssertionError(f"it wakes: {before}, {ticks(h.proc.pid)}")
