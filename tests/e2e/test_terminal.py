# SPDX-License-Identifier: Apache-2.0
"""`chela chat` at a terminal: prompt, streaming, Ctrl-C, Ctrl-D, history on reopen."""
import signal
import pytest

import engine
import procs
from server import Server, make_home
from terminal import Terminal
from test_turns import hold_turn


@pytest.fixture(scope="module")
def server(sandboxes, tmp_path_factory):
    s = Server(tmp_path_factory.mktemp("terminal"))
    s.start()
    yield s
    s.close()


@pytest.fixture
def open_terminal(server):
    made = []

    def open_one(*words):
        t = Terminal(server.home, *(words or ["chat"]))
        made.append(t)
        return t

    yield open_one
    for t in made:
        t.close()


def test_talk_and_leave(open_terminal):
    t = open_terminal()
    t.prompt()
    assert "Ctrl-C stops a turn" in t.screen() and "demo model" in t.screen()
    t.line("hello there")
    t.expect("echo: hello there")
    t.prompt()
    mark = t.mark()
    t.line("and again")
    t.expect("echo: and again", since=mark)
    t.prompt()
    t.type("\x04")
    assert t.ended() == 0


def test_answer_streams(open_terminal):
    t = open_terminal()
    t.prompt()
    t.line("!slow 150 20")
    t.expect("tick 3")
    assert "tick 20" not in t.screen(), "nothing was shown before the end"
    t.expect("tick 20")
    t.prompt()
    t.type("\x04")
    assert t.ended() == 0
    assert t.screen().count("tick 20") == 1, "the streamed answer was printed twice"


def test_no_text_drives_the_terminal(open_terminal, server):
    """Escape sequences in an agent's text are shown, not obeyed; those of tools, too."""
    t = open_terminal()
    t.prompt()
    with_console = server.console()
    with_console.ask("\x1b]0;owned\x07 and \x9b2J \u0085 ende")
    t.expect("ende")
    assert "\x1b]0;" not in t.screen() and "\x9b" not in t.screen()
    assert "?]0;owned? and ??2J" in t.screen()
    with_console.close()


def test_tool_use_is_shown(open_terminal):
    t = open_terminal()
    t.prompt()
    t.line("!bash echo from the tool")
    t.expect("Runs: echo from the tool")
    t.expect("result: from the tool")


def test_ctrl_c_takes_back_what_waits(make_server):
    """With no image there is no turn to stop, only a message that waits."""
    s = make_server({"sandbox": {"image_lock": "nothing/here.lock"}})
    t = Terminal(s.home, "chat")
    try:
        t.prompt()
        t.line("are you there")
        s.wait_log("no sandbox")
        t.type("\x03")
        t.expect("stopped before it began")
    finally:
        t.close()


def test_ctrl_c_stops_the_turn(open_terminal, server):
    t = open_terminal()
    t.prompt()
    mark = t.mark()
    t.line("!slow 100 600")
    t.expect("tick 2", since=mark)
    t.type("\x03")
    t.expect("Stopped.", since=mark)
    t.prompt()
    mark = t.mark()
    t.line("life goes on")
    t.expect("echo: life goes on", since=mark)
    t.prompt()
    mark = t.mark()
    t.type("\x03")
    t.expect("nothing runs", since=mark)
    assert t.popen.poll() is None
    t.type("\x04")
    assert t.ended() == 0
    assert server.popen.poll() is None, "Ctrl-C is for the turn, not for the server"


def test_ctrl_c_of_one_who_came_later(open_terminal, server):
    """The turn was begun by another client, and is silent: Ctrl-C ends it all the same."""
    other = server.console()
    uid = hold_turn(server, other)
    t = open_terminal()
    t.prompt()
    mark = t.mark()
    t.type("\x03")
    t.expect("Stopped.", since=mark)
    assert not other.settled(uid, 40)
    other.close()
    server.consoles.remove(other)


def test_history_on_reopen(open_terminal):
    t = open_terminal()
    t.prompt()
    t.line("remember the marmot")
    t.expect("echo: remember the marmot")
    t.prompt()
    t.type("\x04")
    t.ended()
    t = open_terminal()
    t.expect("echo: remember the marmot")
    assert "you> remember the marmot" in t.screen()
    t.prompt()
    mark = t.mark()
    t.type("\x1b[A")  # the line editor's own history
    t.expect("remember the marmot", since=mark)


def test_line_editing(open_terminal):
    t = open_terminal()
    t.prompt()
    mark = t.mark()
    t.type("wxrld")
    t.type("\x1b[D" * 3 + "\x7f" + "o")  # back over "rld", take the x, put an o
    t.type("\x01hello \x05!\r")  # to the begin, to the end
    t.expect("echo: hello world!", since=mark)


def test_umlauts(open_terminal):
    t = open_terminal()
    t.prompt()
    t.line("grüße ✓")
    t.expect("echo: grüße ✓")


def test_a_server_that_comes_back(open_terminal, server):
    t = open_terminal()
    t.prompt()
    mark, log = t.mark(), server.bus.mark()
    front = procs.Handle(server.front)
    front.kill()
    front.close()
    t.expect("waiting for it to come back", since=mark)
    server.wait_log('comp=serve msg="ready"', 30, log)
    t.prompt()
    mark = t.mark()
    t.line("back again")
    t.expect("echo: back again", since=mark)


def test_hang_up(open_terminal, server):
    """The terminal goes away: so does the client, and the server stays."""
    t = open_terminal()
    t.prompt()
    t.hang_up()
    t.popen.wait(30)
    assert server.popen.poll() is None


def test_hang_up_that_is_ignored(open_terminal):
    """Under nohup the signal does not come: the terminal that is gone must do."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        t = open_terminal()
        t.prompt()
    finally:
        signal.signal(signal.SIGHUP, before)
    t.hang_up()
    t.popen.wait(30)


def test_hang_up_of_a_chat_with_its_own_server(sandboxes, tmp_path):
    home = make_home(tmp_path)
    t = Terminal(home, "chat", "--serve")
    try:
        t.prompt()
        t.line("hello")
        t.expect("echo: hello")
        held = procs.open_all(procs.below(t.popen.pid))
        assert len(held) == 3
        t.hang_up()
        t.popen.wait(30)
        for h in held:
            assert h.ended(30)
            h.close()
    finally:
        t.close()
    assert engine.containers((home / "instance").read_text("utf-8").strip()) == []


def test_chat_serve(sandboxes, tmp_path):
    """What `make run` opens: a server of its own, gone with the chat."""
    home = make_home(tmp_path)
    t = Terminal(home, "chat", "--serve")
    try:
        t.expect("starting the server")
        t.prompt()
        t.line("hello")
        t.expect("echo: hello")
        t.type("\x04")
        assert t.ended() == 0
    finally:
        t.close()
    assert engine.containers((home / "instance").read_text("utf-8").strip()) == []
