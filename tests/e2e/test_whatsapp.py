# SPDX-License-Identifier: Apache-2.0
"""WhatsApp end to end: the real server and agent against a strict fake of the bridge's wire.

What the three platforms share is in test_three_channels.py; here is what only WhatsApp does: two names
for a person, marks, files by hash, the spool and its acknowledgements, states that need a person.
The bridge itself: test_whatsapp_bridge.py.
"""
import subprocess

import platforms
import pytest
import server as servers
from platforms import FROM_BOT, answer, newest

ANN, BOB = "4915110000001@s.whatsapp.net", "4915110000002@s.whatsapp.net"
CARL = "100000000000003@lid"
FAMILY, WORK = "120363000000000001@g.us", "120363000000000002@g.us"
GROUPS = {"home": [f"whatsapp:{ANN}", f"whatsapp:{BOB}", f"whatsapp:{CARL}"],
          "crew": [f"whatsapp:{FAMILY}", f"whatsapp:{WORK}"]}


@pytest.fixture(scope="module")
def house(sandboxes, tmp_path_factory):
    with platforms.house(tmp_path_factory.mktemp("whatsapp"), which=("whatsapp",), groups=GROUPS) as world:
        yield world


def test_a_word_and_its_marks(whatsapp):
    _, reply = answer(whatsapp, ANN, "so **bold** is [it](https://x.example/) & `that`", "echo: so")
    assert "echo: so *bold* is it" in reply["text"] and "https://x.example/" in reply["text"]
    assert "`that`" in reply["text"]
    whatsapp.wait(what="signs", chat=ANN, kind="typing", text="on", timeout=5)


def test_only_what_is_meant_for_us(whatsapp):
    mark = newest(whatsapp, FAMILY)
    whatsapp.inject(do="message", chat=FAMILY, text="who has the key?")
    _, reply = answer(whatsapp, FAMILY, "is it here", "is it here", mention=True)
    said = whatsapp.messages(chat=FAMILY, since=mark, **FROM_BOT)
    assert [m["id"] for m in said] == [reply["id"]]
    answer(whatsapp, FAMILY, "sure?", "sure?", reply_to=reply["id"])


def test_an_edit_reaches_the_agent(whatsapp):
    first, _ = answer(whatsapp, ANN, "teh tide", "echo: teh tide")
    mark = newest(whatsapp, ANN)
    whatsapp.inject(do="edit", chat=ANN, id=first, text="the tide")
    whatsapp.wait(chat=ANN, since=mark, plain="the tide", timeout=60, **FROM_BOT)


def test_files_come_in_and_go_out(whatsapp):
    for kind, mime in (("image", "image/jpeg"), ("voice", "audio/ogg"), ("document", "text/plain")):
        mark = newest(whatsapp, ANN)
        whatsapp.inject(do="message", chat=ANN, text=f"!bash cat inbox/* | grep -c {kind}-bytes",
                        files=[{"name": f"{kind}.x", "mime": mime, "kind": kind,
                                "text": f"{kind}-bytes"}])
        whatsapp.wait(chat=ANN, since=mark, plain="1", timeout=60, **FROM_BOT)
    mark = newest(whatsapp, ANN)
    whatsapp.inject(do="message", chat=ANN, text="!bash seq 1 200000 > n.txt")
    whatsapp.wait(chat=ANN, since=mark, timeout=60, **FROM_BOT)
    whatsapp.inject(do="message", chat=ANN, text='!tool send_file {"path": "n.txt"}')
    sent = whatsapp.wait(chat=ANN, since=mark, file="n.txt", timeout=60, **FROM_BOT)[0]
    wanted = "".join(f"{n}\n" for n in range(1, 200001)).encode()
    assert whatsapp.file(sent["files"][0]["id"]) == wanted


def test_a_reaction_of_the_agent(whatsapp):
    mid, _ = answer(whatsapp, BOB, "hello", "echo: hello")
    whatsapp.inject(do="message", chat=BOB, text='!tool react {"emoji": "👍"}')
    whatsapp.wait(chat=BOB, reaction="👍", timeout=60)
    assert mid


def test_a_chat_that_is_known_by_its_number_from_now_on(whatsapp, house):
    answer(whatsapp, CARL, "by my private name", "by my private name")
    number = "4915110000003@s.whatsapp.net"
    whatsapp.inject(do="moved", lid=CARL, pn=number)
    answer(whatsapp, number, "by my number", "by my number")
    said = house.server.rows("SELECT count(*) FROM messages WHERE text LIKE '%by my number%'")
    assert said[0][0] >= 1


def test_trouble_loses_nothing_and_doubles_nothing(whatsapp):
    # each break makes the next wait longer (links.c), so there are few
    faults = ({"method": "send", "do": "lost"}, {"method": "send", "do": "garbage"},
              {"method": "send", "do": "limit", "retry_after": 1},
              {"method": "send", "do": "error", "error": "internal"})
    for n, fault in enumerate(faults):
        whatsapp.call("fault", **fault)
        answer(whatsapp, BOB, f"trouble {n}", f"echo: trouble {n}")
    wires = ("torn", "large", "redeliver")
    for n, do in enumerate(wires):
        whatsapp.call("wire", do=do, count=5)
        answer(whatsapp, BOB, f"wire {n}", f"echo: wire {n}")
    for text in [f"trouble {n}" for n in range(len(faults))] + [f"wire {n}" for n in range(len(wires))]:
        assert len(whatsapp.messages(chat=BOB, plain=f"echo: {text}", **FROM_BOT)) == 1, text


def test_an_end_of_the_session_is_told_to_main_once(whatsapp, house):
    console = house.server.console()
    mark = console.bus.mark()
    whatsapp.call("state", state="logged_out", code=401, text="logged out")
    told = console.wait_message("chela whatsapp link", 30, mark)["text"]
    assert "logged out" in told
    whatsapp.call("state", state="up")
    answer(whatsapp, ANN, "back again", "back again")


def test_link_shows_the_qr_and_ends_when_it_is_done(whatsapp, house):
    whatsapp.call("state", state="unlinked", text="no account")
    for words, shown in (([], "▄▄▄▄▄"), (["--phone", "4915112345678"], "ABCD")):
        p = subprocess.Popen([servers.BINARY, "--home", str(house.server.home), "whatsapp", "link",
                              *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                             env=servers.environment())
        whatsapp.wait(what="calls", method="link", timeout=15)
        seen = ""
        while shown not in seen:
            line = p.stdout.readline()
            assert line, seen
            seen += line
        whatsapp.call("scan")
        rest, _ = p.communicate(timeout=30)
        assert p.returncode == 0 and "linked" in seen + rest
        whatsapp.call("state", state="unlinked", text="no account")
    whatsapp.call("state", state="up")


def test_killed_in_the_middle_nothing_is_lost_or_taken_twice(house):
    whatsapp, server = house.whatsapp, house.server
    mark = newest(whatsapp, ANN)
    whatsapp.inject(*[{"do": "message", "chat": ANN, "text": f"note {n:03d}"} for n in range(150)])
    server.kill()
    server.start()
    whatsapp.wait(what="idle", timeout=60)
    kept = [r[0] for r in server.rows("SELECT text FROM messages WHERE dir = 0 AND text LIKE"
                                      " '%note %' ORDER BY id")]
    assert [k[-8:] for k in kept] == [f"note {n:03d}" for n in range(150)]
    whatsapp.wait(chat=ANN, since=mark, plain="note 149", timeout=60, **FROM_BOT)
    assert not whatsapp.violations()
