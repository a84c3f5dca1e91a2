# SPDX-License-Identifier: Apache-2.0
"""Chela with the real WhatsApp bridge as its child, and a stand-in for Baileys' socket inside that.

Owns: the chain server - bridge - Baileys' shapes. Why: the two halves are each proven against a fake; this is both
together, with their deaths.
"""
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys

import platforms
import procs
import pytest
import server as servers

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "bridge"))
import bridge_node  # noqa: E402
import standin_driver  # noqa: E402

ANN, ANN_LID = "4915110000001@s.whatsapp.net", "100000000000001@lid"
FAMILY = "120363000000000001@g.us"


class House:
    def __init__(self, folder, node):
        self.wa = standin_driver.WhatsApp(folder, {FAMILY: "Family"})
        self.server = servers.Server(folder / "home", {"channels": {"whatsapp": {
            "bridge": "local", "node": node}}}, {"runtime": "runc"}, env=self.wa.env())

    def bridge(self):
        """The bridge's process id."""
        found = [p for p in procs.below(self.server.popen.pid)
                 if b"bridge.mjs" in pathlib.Path(f"/proc/{p}/cmdline").read_bytes()]
        assert len(found) == 1, found
        return found[0]

    def answer(self, chat, text, wait, **more):
        mark = len(self.wa.sent)
        self.wa.message(chat, text, **more)
        return self.wa.wait_sent(chat, wait, since=mark)


@pytest.fixture(scope="module")
def house(sandboxes, tmp_path_factory):
    node = bridge_node.node()
    folder = tmp_path_factory.mktemp("bridge")
    h = House(folder, node)
    try:
        h.server.start()
        platforms.link(h.server, {"home": [f"whatsapp:{ANN}"], "crew": [f"whatsapp:{FAMILY}"]})
        yield h
    finally:
        try:
            h.server.close()
        finally:
            h.wa.stop()


def begin_link(house):
    opened = len(house.wa.opened)
    p = subprocess.Popen([servers.BINARY, "--home", str(house.server.home), "whatsapp", "link"],
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                         env=servers.environment())
    house.wa.wait(lambda: len(house.wa.opened) > opened, "the socket")
    return p


def test_link_without_a_network(house):
    p = begin_link(house)
    house.wa.lose(408, "WebSocket Error (getaddrinfo ENOTFOUND web.whatsapp.net)")
    said, _ = p.communicate(timeout=30)
    assert p.returncode == 1
    assert said == ("chela: not linked: no connection to WhatsApp: getaddrinfo ENOTFOUND web.whatsapp.net; "
                    "try again: chela whatsapp link\n")


def test_link_by_qr(house):
    p = begin_link(house)
    house.wa.emit("connection.update", {"qr": "2@something/to,scan"})
    seen = ""
    while "▄▄▄▄▄" not in seen:
        line = p.stdout.readline()
        assert line, seen
        seen += line
    house.wa.link()
    rest, _ = p.communicate(timeout=30)
    assert p.returncode == 0 and "linked" in seen + rest


def test_a_conversation(house):
    said = house.answer(ANN, "hello **you**", "echo: hello *you*")
    assert said["id"].startswith("3EB0")
    house.wa.message(FAMILY, "not meant", sender=(ANN_LID, ANN))
    house.answer(FAMILY, None, "meant", sender=(ANN_LID, ANN), content={"extendedTextMessage": {
        "text": "@199999999999999 meant", "contextInfo": {"mentionedJid": ["199999999999999@lid"]}}})
    assert not [s for s in house.wa.sent if "not meant" in str(s["content"])]
    # the same person by her other name is the same chat
    mark = len(house.wa.sent)
    house.wa.message(ANN_LID, "by my private name")
    house.wa.wait_sent(ANN, "by my private name", since=mark)


def test_files_both_ways(house):
    data = os.urandom(300_000)
    house.wa.files["/v/x"] = data
    digest = hashlib.sha256(data)
    said = house.answer(ANN, None, digest.hexdigest(), content={"documentMessage": {
        "caption": "!bash sha256sum inbox/*", "fileName": "a.bin", "mimetype": "application/x",
        "directPath": "/v/x", "mediaKey": standin_driver.buffer(b"k" * 32),
        "fileLength": str(len(data)), "fileSha256": standin_driver.buffer(digest.digest())}})
    assert said
    house.answer(ANN, "!bash seq 1 100000 > n.txt; echo made", "made")
    mark = len(house.wa.sent)
    house.wa.message(ANN, '!tool send_file {"path": "n.txt"}')
    sent = house.wa.wait(lambda: [s for s in house.wa.sent[mark:] if s["data"]], "the file")[0]
    assert sent["data"] == "".join(f"{n}\n" for n in range(1, 100001)).encode()
    assert sent["content"]["fileName"] == "n.txt"


def test_a_bridge_that_is_killed_is_started_again(house):
    for n in range(3):
        opened = len(house.wa.opened)
        handle = procs.Handle(house.bridge())
        handle.kill()
        assert handle.ended(10)
        handle.close()
        house.wa.wait(lambda: len(house.wa.opened) > opened, "the next bridge")
        house.answer(ANN, f"after kill {n}", f"echo: after kill {n}")
        assert len([s for s in house.wa.sent if f"echo: after kill {n}" in
                    s["content"].get("text", "")]) == 1


def test_the_server_is_killed_and_the_bridge_with_it(house):
    handle = procs.Handle(house.bridge())
    for n in range(40):
        house.wa.message(ANN, f"line {n:02d}")
    house.wa.settle()
    house.server.kill()
    assert handle.ended(30), "the bridge outlived the server"
    handle.close()
    house.server.start()
    house.wa.wait_sent(ANN, "line 39")
    kept = [r[0][-7:] for r in house.server.rows(
        "SELECT text FROM messages WHERE dir = 0 AND text LIKE '%line %' ORDER BY id")]
    assert kept == [f"line {n:02d}" for n in range(40)]


def test_logged_out_is_told_with_the_fix(house):
    console = house.server.console()
    mark = console.bus.mark()
    house.wa.lose(401)
    assert "logged out" in console.wait_message("chela whatsapp link", 30, mark)["text"]


def without_packages(folder, node):
    """A program that runs the bridge from a copy without its packages."""
    (folder / "bridge").mkdir()
    for f in bridge_node.BRIDGE.glob("*.mjs"):
        shutil.copy(f, folder / "bridge")
    return f'shift; exec {node} {folder}/bridge/bridge.mjs "$@"'


def of_yesterday(folder, node):
    (folder / "old.cjs").write_text(
        "Object.defineProperty(process, 'versions', {value: {node: '18.19.0'}});\n", "utf-8")
    return f'exec {node} -r {folder}/old.cjs "$@"'


def absent(folder, node):
    return None


@pytest.mark.parametrize("program, reason", [
    (absent, r"channels\.whatsapp\.node: cannot start /.*/node: .*; set it to Node\.js 20 or newer.*"),
    (without_packages, r"the bridge's packages are missing; run: make bridge"),
    (of_yesterday, r"channels\.whatsapp\.node is a Node\.js that is too old.*run: make bridge.*"),
])
def test_a_bridge_that_cannot_run_is_told_with_the_fix(sandboxes, tmp_path, program, reason):
    node = tmp_path / "node"
    script = program(tmp_path, bridge_node.node())
    if script:
        node.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
        node.chmod(0o755)
    server = servers.Server(tmp_path / "home", {"channels": {"whatsapp": {
        "bridge": "local", "node": str(node)}}}, {"runtime": "runc"})
    try:
        server.start()
        server.wait_log(r'comp=channel msg="?stuck"? name=whatsapp')
        listed = server.cli("channels").stdout
        assert re.search(rf"^whatsapp +stuck.*: {reason}", listed, re.M), listed
        done = server.cli("whatsapp", "link")
        assert done.returncode == 1 and re.fullmatch(rf"chela: {reason}\n", done.stderr), done
    finally:
        server.close()
