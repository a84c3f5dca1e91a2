# SPDX-License-Identifier: Apache-2.0
"""A runner that was taken over and breaks the door in every way we know: it ends its own sandbox or is
not listened to, the other group goes on, the server's memory stays within a bound, the chat gets
words. What is attacked is the host's side, the same for every runtime: runc alone is used."""
import pathlib
import re
import subprocess

import pytest

import engine
import procs
import server as servers
from attacker import HERE, LONG, POLICY, SANITIZED, two_groups

# Growth of the server's private memory under any of these, in MB; and what may stay afterwards.
PEAK_MB = 48

# mode -> what the chat must be told (a pattern), None = answered all the same
BREAKS = {
    "garbage": "broke HTTP/2|door",
    "wrong_version": "door version 999",
    "no_version": "door version",
    "forged_stream": "HTTP/2|door|gave up",
    "big_header": "oversized header",
    "big_frame": "HTTP/2|door",
    "endless_headers": "HTTP/2|header|door",
    "hpack_bomb": "header|HTTP/2|flood",
    "ping_flood": "flood|HTTP/2|answers",
    "settings_flood": "flood|HTTP/2|answers",
    "rst_flood": "flood|HTTP/2|answers|gave up",
    "empty_data_flood": "flood|HTTP/2",
    "window_overflow": "HTTP/2|flood|was reset",
    "end_without_status": "exit status",
}
ANSWERS = {
    "over_the_window": "done as asked",
    "tcp_many": "done as asked",
    "tcp_bodies": "done as asked",
    "lie_uuids": "the right one",
    "lie_shapes": "after the nonsense",
    "lie_long_line": "after the long line",
    "lie_dense_line": "after the dense line",
    "lie_talk": "after the spam",
    "stderr_flood": "hello",
}


@pytest.fixture(scope="module")
def rogue_lock(sandboxes, tmp_path_factory):
    """The image with another runner, and its lock."""
    folder = tmp_path_factory.mktemp("rogue-image")
    text = pathlib.Path(servers.LOCK).read_text("utf-8")
    image = re.search(r"^image: (sha256:\w+)", text, re.M).group(1)

    def docker(*words):
        return subprocess.run(["docker", *words], capture_output=True, text=True, check=True).stdout.strip()

    cid = docker("create", "--network=none", image, "true")
    made = None
    try:
        docker("cp", f"{cid}:/usr/local/bin/runner", str(folder / "runner.real"))
        (folder / "runner").write_text((HERE / "rogue.py").read_text("utf-8"), "utf-8")
        (folder / "runner").chmod(0o755)
        for name in ("runner.real", "runner"):
            docker("cp", str(folder / name), f"{cid}:/usr/local/bin/{name}")
        made = docker("commit", cid)
        docker("rm", "-f", cid)
        lock = folder / "image.lock"
        lock.write_text(text.replace(image, made), "utf-8")
        yield str(lock)
    finally:
        subprocess.run(["docker", "rm", "-f", cid], capture_output=True, check=False)
        if made:
            subprocess.run(["docker", "rmi", "-f", made], capture_output=True, check=False)


@pytest.fixture(scope="module")
def rogue(rogue_lock, tmp_path_factory):
    server = servers.Server(tmp_path_factory.mktemp("rogue"),
                            {"sandbox": {"image_lock": rogue_lock, "start_timeout": "8s"},
                             "router": {"tries": 1, "delayed_notice": "3s"}},
                            policy={"runtime": "runc", **POLICY})
    two_groups(server)
    server.fair = server.console("kin")
    server.evil = server.console("main")
    assert "echo: warm up" in server.fair.ask("warm up")
    assert "echo: warm up" in server.evil.ask("warm up")
    yield server
    server.close()


def private_kb(pid, what="Private_Dirty"):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text("utf-8")
    return int(re.search(rf"^{what}:\s+(\d+)", text, re.M).group(1))


def peak_reset(pid):
    pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5", "utf-8")


def peak_kb(pid):
    return int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text()).group(1))


def turn_rogue(server, mode):
    """The next sandbox of main is taken over."""
    folder = server.home / "groups/main"
    (folder / "rogue").write_text(mode, "utf-8")
    (folder / "rogue").chmod(0o644)
    for c in engine.containers(server.instance, every=False):
        if c["Labels"]["chela.group"] == "main":
            mark = server.bus.mark()
            engine.kill(c["Id"])
            server.wait_log("sandbox ended.*group=main", 30, mark)


def attack(server, mode, told):
    """Says hello to the rogue, and to the other group meanwhile. Returns what the chat was told when it
    was told `told`; (answered, words). Then the group has a fair agent again."""
    turn_rogue(server, mode)
    others = [c["Id"] for c in engine.containers(server.instance, every=False)
              if c["Labels"]["chela.group"] == "kin"]
    pids = {"front": server.front, "warden": server.warden}
    before = {n: peak_reset(p) or peak_kb(p) for n, p in pids.items()}
    mark = server.bus.mark()
    uid = server.evil.say("hello")
    assert f"still there under {mode}?" in server.fair.ask(f"still there under {mode}?", 30)
    seq = server.evil.stored(uid)
    server.evil.wait_message(lambda t: re.search(told, t), 60, mark)
    (server.home / "groups/main/rogue").write_text("fair", "utf-8")
    good = server.evil.settled(uid, 60)
    server.evil.sync()
    words = "\n".join(server.evil.outs(seq))
    assert {"front": server.front, "warden": server.warden} == pids, "a process of the server died"
    assert others == [c["Id"] for c in engine.containers(server.instance, every=False)
                      if c["Labels"]["chela.group"] == "kin"], "the other group's sandbox was ended"
    grown = max((peak_kb(p) - before[n]) / 1024 for n, p in pids.items())
    print(f"{mode}: peak +{grown:.1f} MB, {words[:200]!r}")
    assert SANITIZED or grown <= PEAK_MB, f"{mode}: the server grew by {grown:.1f} MB"
    if not good:
        assert "done as asked" in server.evil.ask("and again")
    return good, words


# like another of the list: these are for the long run
LIKE = {"no_version", "forged_stream", "endless_headers", "settings_flood", "empty_data_flood"}


def honest(rogue):
    """A turn with the runner that keeps the rules."""
    (rogue.home / "groups/main/rogue").unlink(missing_ok=True)
    for c in engine.containers(rogue.instance, every=False):
        if c["Labels"]["chela.group"] == "main":
            mark = rogue.bus.mark()
            engine.kill(c["Id"])
            rogue.wait_log("sandbox ended.*group=main", 30, mark)
    assert "and now?" in rogue.evil.ask("and now?")


@pytest.mark.parametrize("mode", [m for m in BREAKS if LONG or m not in LIKE])
def test_breaks_end_that_sandbox_only(rogue, mode):
    """The chat is told why; before a message was handed in it is kept for the next sandbox, after that it
    has failed (tries is 1 here)."""
    if list(BREAKS).index(mode) % 4 == 3:
        honest(rogue)  # or the pause between starts grows to half a minute
    mark = rogue.bus.mark()
    good, words = attack(rogue, mode, BREAKS[mode])
    dropped = rogue.log_lines("dropped.*group=main", mark)
    assert any(re.search(BREAKS[mode], x) for x in dropped), dropped
    assert ("done as asked" in words) == good


@pytest.mark.parametrize("mode", ANSWERS)
def test_lies_and_floods_are_borne(rogue, mode):
    good, words = attack(rogue, mode, re.escape(ANSWERS[mode]))
    assert good and ANSWERS[mode] in words, words
    if mode == "lie_uuids":  # not one of the forged ids is kept for the next resume
        ids = rogue.rows("SELECT session_id FROM sessions")
        assert all(re.fullmatch(r"[0-9a-f-]{36}", i) for i, in ids), ids
    if mode == "lie_talk":
        assert words.count("spam") <= 100, f"{words.count('spam')} messages that nobody asked for"


@pytest.mark.parametrize("mode", ["second_agent", "unknown_paths"])
def test_streams_that_are_refused(rogue, mode):
    """They are not listened to; the sandbox lives on, and its agent's stream too."""
    good, words = attack(rogue, mode, "done as asked")
    assert good and words.count("done as asked") == 1 and "second agent" not in words


def test_back_to_honest(rogue):
    """After all this the group is served as before."""
    honest(rogue)
    assert procs.children(rogue.supervisor) == [rogue.warden, rogue.front]
