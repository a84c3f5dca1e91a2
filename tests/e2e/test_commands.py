# SPDX-License-Identifier: Apache-2.0
"""The command line: chat with pipes, status, doctor, version, and words for what is wrong."""
import json
import os
import re
import signal
import socket
import subprocess

import pytest

import engine
import procs
import server as servers
from server import make_home, run_cli
from test_turns import hold_turn, open_gate


# -- chat with pipes

def test_each_line_has_one_answer(warm):
    done = warm.cli("chat", stdin="first line\nsecond line\r\n\nlast without newline")
    assert done.returncode == 0 and done.stderr == ""
    lines = [t for t in done.stdout.splitlines() if t.startswith("echo: ")]
    assert lines == ["echo: first line", "echo: second line", "echo: last without newline"]


def test_no_line_no_answer(warm):
    done = warm.cli("chat", stdin="")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_old_messages_are_not_printed(warm):
    warm.cli("chat", stdin="an old one\n")
    done = warm.cli("chat", stdin="a new one\n")
    assert "an old one" not in done.stdout and "echo: a new one" in done.stdout


def test_from_a_file(warm, tmp_path):
    path = tmp_path / "lines"
    path.write_text("from a file\n", "utf-8")
    with open(path, "rb") as f:
        done = subprocess.run([servers.BINARY, "--home", str(warm.home), "chat"], stdin=f,
                              capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and "echo: from a file" in done.stdout


def test_a_failed_line_gives_status_1(warm):
    """And the lines after it are answered all the same."""
    done = warm.cli("chat", stdin="x" * (300 << 10) + "\nafter it\n")
    assert done.returncode == 1
    assert "over the limit" in done.stderr and "echo: after it" in done.stdout


@pytest.mark.parametrize("line", [b"\xff\xfe no text", b"cut \0 here", b"\x01" * 500000],
                         ids=["not-utf8", "nul", "escapes"])
def test_a_line_that_is_no_message_is_refused(warm, line):
    """It has no answer, so nobody waits for one; the line after it is answered."""
    done = subprocess.run([servers.BINARY, "--home", str(warm.home), "chat"],
                          input=line + b"\nafter it\n", capture_output=True, timeout=60, check=False)
    assert done.returncode == 1
    assert b"not taken" in done.stderr and b"echo: after it" in done.stdout


def test_unknown_group(warm):
    done = warm.cli("chat", "nobody", stdin="hello\n")
    assert done.returncode == 1 and 'there is no group "nobody"' in done.stderr


def test_no_server(sandboxes, tmp_path):
    home = make_home(tmp_path)
    done = run_cli(home, "chat", stdin="hello\n")
    assert done.returncode == 1 and "no server answers" in done.stderr
    assert "chela serve" in done.stderr
    done = run_cli(home, "status")
    assert done.returncode == 1 and "chela serve" in done.stderr


@pytest.mark.parametrize("command", ("status", "chat", "doctor"))
def test_a_wrong_home_is_left_alone(tmp_path, command):
    home = tmp_path / "typo"
    for _ in range(2):
        done = run_cli(home, command, stdin="hello\n")
        assert done.returncode != 0
        assert f"{home} is no home of chela" in done.stdout + done.stderr
        assert not home.exists() or not list(home.iterdir())
        home.mkdir(exist_ok=True)


def test_a_dead_servers_socket(sandboxes, tmp_path):
    home = make_home(tmp_path)
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(home / "control.sock"))
    done = run_cli(home, "chat", stdin="hello\n")
    assert done.returncode == 1 and "no server answers" in done.stderr


def test_chat_serve_brings_and_ends_a_server(sandboxes, tmp_path):
    home = make_home(tmp_path)
    done = run_cli(home, "chat", "--serve", stdin="hello\n")
    assert done.returncode == 0 and "echo: hello" in done.stdout, done.stderr
    assert not [p for p in os.listdir("/proc") if p.isdigit() and str(home) in cmdline(p)]
    assert engine.containers((home / "instance").read_text("utf-8").strip()) == []
    assert (home / "chela.log").stat().st_mode & 0o777 == 0o600
    # the next one goes on with the same conversation
    done = run_cli(home, "chat", "--serve", stdin="again\n")
    assert done.returncode == 0 and "echo: again" in done.stdout


def cmdline(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read().decode("utf-8", "replace")
    except OSError:
        return ""


def test_chat_serve_uses_a_server_that_runs(warm):
    before = warm.supervisor
    done = warm.cli("chat", "--serve", stdin="hello you\n")
    assert done.returncode == 0 and "echo: hello you" in done.stdout
    assert warm.supervisor == before and warm.console().ask("still there")


def test_chat_serve_tells_why_it_cannot_start(sandboxes, tmp_path):
    home = make_home(tmp_path, {"model": {"key_file": "secrets/none"}})
    done = run_cli(home, "chat", "--serve", stdin="hello\n")
    assert done.returncode == 1
    assert "chela.log" in done.stderr and "model.key_file" in done.stderr
    assert "secrets/none" in done.stderr
    assert "secrets/none" in (home / "chela.log").read_text("utf-8")


def test_chat_outlives_a_servers_death(make_server):
    """The line is in flight when the server is killed: the client comes back and prints its answer."""
    server = make_server()
    server.console().ask("warm up")
    chat = subprocess.Popen([servers.BINARY, "--home", str(server.home), "chat"],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True)
    mark = server.bus.mark()
    chat.stdin.write("!slow 50 30\n")
    chat.stdin.close()
    server.consoles[0].wait_working(30, mark)
    held = procs.Handle(server.front)
    held.kill()
    held.close()
    assert chat.wait(60) == 0
    out = chat.stdout.read()
    assert "tick 30" in out and out.count("tick 30") == 1
    chat.stdout.close()
    chat.stderr.close()


# -- a second server

def test_a_second_server_is_refused(make_server):
    """And it leaves the first one's turn and sandbox alone."""
    server = make_server()
    chat = server.console()
    uid = hold_turn(server, chat)
    cid = server.container()["Id"]
    done = server.cli("serve", timeout=20)
    assert done.returncode == 1 and "another server runs" in done.stderr, done.stderr
    assert server.container()["Id"] == cid
    open_gate(server)
    assert "result: waiting\nopen" in chat.answer(uid)
    assert server.rows("SELECT tries FROM messages WHERE platform_id = ?", uid) == [(0,)]


# -- status

def test_status_as_text(warm):
    warm.console().ask("hello")
    done = warm.cli("status")
    assert done.returncode == 0
    for want in (r"^chela \S+, pid \d+, up \d+ s, home /", r"^model +demo$",
                 r"^engine +\S+.*, runtimes .*runc", r"^image +sha256:[0-9a-f]{64}$",
                 r"^group +main: (ready|working) for \d+ s", r"^messages .*answered [1-9]",
                 r"^outbox .*sent [1-9]", r"^usage_24h .*input_tokens [1-9]"):
        assert re.search(want, done.stdout, re.M), (want, done.stdout)


def test_status_as_json(warm):
    warm.console().ask("hello")
    status = json.loads(warm.cli("status", "--json").stdout)
    assert status["pid"] == warm.front and status["model"] == "demo"
    assert status["engine"]["up"] and status["engine"]["sandboxes"] == 1
    assert status["image"]["ok"] and status["image"]["id"].startswith("sha256:")
    (session,) = status["sessions"]
    assert session["group"] == "main" and session["state"] in ("ready", "working")
    answered = warm.rows("SELECT count(*) FROM messages WHERE dir = 0 AND state = 3")[0][0]
    assert status["messages"]["answered"] == answered
    assert status["outbox"]["pending"] == 0 and "error" not in status


# -- doctor

def lines_of(done):
    return dict(m.groups()[::-1] for m in re.finditer(r"^(ok|BAD) +(\S+) ", done.stdout, re.M))


def line_of(done, what):
    return re.search(rf"^.{{4}} {what} .*$", done.stdout, re.M).group()


def test_doctor_of_a_good_server(warm):
    done = warm.cli("doctor")
    assert done.returncode == 0, done.stdout
    assert set(lines_of(done).values()) == {"ok"}
    assert {"config", "engine", "runtimes", "image", "home", "permissions", "disk", "clock",
            "model", "server"} <= set(lines_of(done))
    assert "answers on its control socket" in line_of(done, "server")
    assert "All is well." in done.stdout
    assert len(engine.containers(warm.instance)) <= 1, "the doctor touches nothing"


def test_doctor_without_a_server(sandboxes, tmp_path):
    done = run_cli(make_home(tmp_path), "doctor")
    assert done.returncode == 0 and "not running" in line_of(done, "server")


@pytest.mark.parametrize("text, words", [
    ("sandbox:\n  idle_stpo: 5m\n", ("chela.yaml:2", "sandbox.idle_stpo", "idle_stop")),
    ("sandbox:\n  max_live: many\n", ("chela.yaml:2", "sandbox.max_live")),
    ("model:\n  base_url: http://example.org\n", ("chela.yaml:2", "https://")),
    ("a: b: c\n", ("chela.yaml:1",)),
    ("model:\n\tkey_file: x\n", ("chela.yaml:2", "a tab: write blanks")),
])
def test_bad_config_names_place_and_fix(tmp_path, text, words):
    home = make_home(tmp_path)
    (home / "config/chela.yaml").write_text(text, "utf-8")
    for command in (["doctor"], ["serve"], ["status"], ["chat"]):
        done = run_cli(home, *command, timeout=20)
        assert done.returncode != 0
        said = done.stdout + done.stderr
        for w in words:
            assert w in said, (command, said)
    assert line_of(run_cli(home, "doctor"), "config").startswith("BAD")


def test_a_person_who_mends_a_setting_is_not_made_to_wait(tmp_path):
    """Starts that fail are spaced, but for somebody at a terminal."""
    home = make_home(tmp_path, {"model": {"key_file": "secrets/none"}, "serve": {"crash_max": 5, "crash_wait": "30s"}})
    ours, theirs = os.openpty()
    try:
        for _ in range(8):  # the seventh would wait for 30 s
            done = subprocess.run([servers.BINARY, "--home", str(home), "serve"], stdin=theirs, capture_output=True, text=True,
                                  env=servers.environment(), timeout=25, check=False)
            assert done.returncode == 1 and "secrets/none" in done.stderr and "died too often" not in done.stderr, done.stderr
    finally:
        os.close(ours)
        os.close(theirs)
    done = run_cli(home, "doctor")
    assert "starts are spaced" in line_of(done, "starts"), done.stdout


def test_doctor_looks_at_the_groups_policies(sandboxes, tmp_path):
    home = make_home(tmp_path)
    (home / "config/groups").mkdir()
    policy = home / "config/groups/fam.yaml"
    policy.write_text("sandbox:\n  memroy: 256M\n", "utf-8")
    done = run_cli(home, "doctor")
    line = line_of(done, "policy")
    assert done.returncode == 1 and line.startswith("BAD"), done.stdout
    assert re.search(r"fam\.yaml:2: sandbox\.memroy: unknown key \(did you mean \"memory\"", line), line
    policy.write_text("sandbox:\n  memory: 256M\n", "utf-8")
    assert line_of(run_cli(home, "doctor"), "policy").startswith("ok")


@pytest.mark.parametrize("config, what, words", [
    ({"sandbox": {"engine": "/nonexistent/docker.sock"}}, "engine",
     ("/nonexistent/docker.sock", "start it with")),
    ({"sandbox": {"image_lock": "/nonexistent/image.lock"}}, "image",
     ("/nonexistent/image.lock", "make image")),
    ({"model": {"key_file": "secrets/none"}}, "model", ("secrets/none",)),
])
def test_doctor_names_what_is_wrong(sandboxes, tmp_path, config, what, words):
    done = run_cli(make_home(tmp_path, config), "doctor")
    assert done.returncode == 1 and "need a hand" in done.stdout
    line = line_of(done, what)
    assert line.startswith("BAD")
    for w in words:
        assert w in line, line


def test_doctor_and_server_refuse_an_open_key_file(sandboxes, tmp_path):
    home = make_home(tmp_path, {"model": {"key_file": "key"}})
    (home / "key").write_text("sk-ant-test-0000\n", "utf-8")
    (home / "key").chmod(0o644)
    done = run_cli(home, "doctor")
    line = line_of(done, "model")
    assert done.returncode == 1 and line.startswith("BAD") and "chmod 600" in line, line
    done = run_cli(home, "serve", timeout=20)
    assert done.returncode == 1 and "chmod 600" in done.stderr
    assert "sk-ant-test-0000" not in done.stderr
    (home / "key").chmod(0o600)
    assert run_cli(home, "doctor").returncode == 0


# -- the channels' settings

SECRETS = {"bot": "xoxb-1-abcdefghijklmnop", "app": "xapp-1-abcdefghijklmnop",
           "tg": "123456:ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghi", "empty": "", "open": "654321:open-to-all"}


def slack_of(app, bot, **more):
    return {"slack": {"app_token_file": f"secrets/{app}", "bot_token_file": f"secrets/{bot}", **more}}


def telegram_of(name, **more):
    return {"telegram": {"token_file": f"secrets/{name}", **more}}


WRONG = {
    "missing": (telegram_of("none"), "channels.telegram.token_file", "secrets/none", "mode 0600"),
    "open": (telegram_of("open"), "channels.telegram.token_file", "chmod 600"),
    "empty": (telegram_of("empty"), "channels.telegram.token_file", "is empty"),
    "slack's for telegram": (telegram_of("bot"), "channels.telegram.token_file", "@BotFather"),
    "swapped": (slack_of("bot", "app"), "channels.slack.app_token_file", "xapp-"),
    "twice the bot's": (slack_of("bot", "bot"), "channels.slack.app_token_file", "xapp-"),
    "twice the app's": (slack_of("app", "app"), "channels.slack.bot_token_file", "xoxb-"),
    "one of two": ({"slack": {"app_token_file": "secrets/app"}}, "channels.slack", "bot_token_file"),
    "the token itself": ({"telegram": {"token_file": SECRETS["tg"]}}, "channels.telegram.token_file",
                         "must name a file"),
    "key": ({"telegram": {"token": "x"}}, "channels.telegram.token", "token_file"),
    "near key": ({"slack": {"app_tokenfile": "x"}}, "channels.slack.app_tokenfile", '"app_token_file"'),
    "channel": ({"telegramm": {"token_file": "x"}}, "channels.telegramm", '"telegram"'),
    "no map": ({"telegram": "secrets/tg"}, "channels.telegram", "write its keys beneath it"),
    "http": (telegram_of("tg", api_url="http://example.org"), "channels.telegram.api_url", "https://"),
    "ca": (slack_of("app", "bot", ca_file="none.pem"), "channels.slack.ca_file", "none.pem"),
    "bridge": ({"whatsapp": {"bridge": "loacl"}}, "channels.whatsapp.bridge", '"local"'),
    **{f"plain {host}": ({"whatsapp": {"bridge": f"ws://{host}/"}}, "channels.whatsapp.bridge",
                         "unencrypted", "use wss://", "127.0.0.1")
       for host in ("example.org:3010", "127.0.0.1.example.org", "192.0.2.1:3010", "[2001:db8::1]:3010")},
    "bridge's user": ({"whatsapp": {"bridge": "ws://127.0.0.1:3010@example.org/"}},
                      "channels.whatsapp.bridge", "no user name"),
    "bridge's host": ({"whatsapp": {"bridge": "wss:///"}}, "channels.whatsapp.bridge", "no host name"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_channel_is_one_line(sandboxes, tmp_path, name):
    """The server does not start, makes nothing, and says in one line where it is wrong and what is right;
    the doctor says the same."""
    channels, key, *words = WRONG[name]
    home = make_home(tmp_path, {"channels": channels})
    (home / "secrets").mkdir(0o700)
    for file, value in SECRETS.items():
        (home / "secrets" / file).write_text(value + "\n", "utf-8")
        (home / "secrets" / file).chmod(0o644 if file == "open" else 0o600)
    done = run_cli(home, "serve", timeout=20)
    assert done.returncode in (1, 2)
    (line,) = [t for t in done.stderr.splitlines() if not t.startswith("ts=")]
    assert "level=error" not in done.stderr
    assert re.match(rf"chela: {re.escape(str(home))}/config/chela.yaml:\d+: {re.escape(key)}: ", line)
    for word in words:
        assert word in line, line
    assert not (home / "chela.db").exists()
    bad = [t for t in run_cli(home, "doctor").stdout.splitlines() if t.startswith("BAD")]
    assert len(bad) == 1 and line.removeprefix("chela: ") in bad[0], bad
    assert not [v for v in SECRETS.values() if v and (v in done.stderr or v in bad[0])]


def test_a_platform_that_is_down_is_told_by_all(make_server):
    server = make_server({"channels": telegram_of("tg", api_url="https://127.0.0.1:1")}, start=False)
    (server.home / "secrets").mkdir(0o700)
    (server.home / "secrets/tg").write_text(SECRETS["tg"] + "\n", "utf-8")
    (server.home / "secrets/tg").chmod(0o600)
    server.start()
    server.wait_log(r'comp=channel msg="down" name=telegram')
    why = r".*127\.0\.0\.1 port 1 .*"
    listed = server.cli("channels").stdout
    assert re.search(rf"^telegram +down for \d+ s: {why} \(next try in \d+ s\)$", listed, re.M), listed
    assert re.search(rf"^channel +telegram: down: {why}$", server.cli("status").stdout, re.M)
    done = server.cli("doctor")
    assert done.returncode == 1 and re.search(rf"^BAD +channel +telegram: down: {why}$", done.stdout, re.M)
    assert SECRETS["tg"] not in listed + done.stdout + server.log()


def test_a_doctor_without_a_server_is_fine_with_the_right_files(sandboxes, tmp_path):
    home = make_home(tmp_path, {"channels": {**slack_of("app", "bot"), **telegram_of("tg"),
                                             "whatsapp": {"bridge": "local",
                                                          "token_file": "secrets/made_later"}}})
    (home / "secrets").mkdir(0o700)
    for file in ("app", "bot", "tg"):
        (home / "secrets" / file).write_text(SECRETS[file] + "\n", "utf-8")
        (home / "secrets" / file).chmod(0o600)
    done = run_cli(home, "doctor")
    assert done.returncode == 0, done.stdout
    assert not (home / "secrets/made_later").exists(), "the doctor changes nothing"


def test_doctor_of_an_unknown_runtime(sandboxes, tmp_path):
    done = run_cli(make_home(tmp_path, policy={"runtime": "nosuch"}), "doctor")
    assert done.returncode == 1 and line_of(done, "runtimes").startswith("BAD")


# -- words

def test_version_help_and_unknown(tmp_path):
    done = run_cli(tmp_path, "version")
    assert done.returncode == 0 and re.fullmatch(r"chela \d+\.\d+\.\d+\S*\n", done.stdout)
    done = run_cli(tmp_path, "help")
    assert done.returncode == 0
    for word in ("serve", "chat", "status", "doctor", "version"):
        assert re.search(rf"^  {word}\b", done.stdout, re.M)
    for wrong, right in (("stauts", "status"), ("chanels", "channels"), ("group", "groups")):
        done = run_cli(tmp_path, wrong)
        assert done.returncode == 2 and f"did you mean: chela {right} " in done.stderr
    assert "did you mean" not in run_cli(tmp_path, "xyzzy").stderr
    assert run_cli(tmp_path).returncode == 2
    assert run_cli(tmp_path, "--version").stdout.startswith("chela ")
    done = subprocess.run([servers.BINARY, "--home"], capture_output=True, text=True, timeout=20,
                          check=False)
    assert done.returncode == 2 and "--home needs a value" in done.stderr
    for words in (["status", "--xml"], ["chat", "--fast"], ["doctor", "now"],
                  ["serve", "--ready-fd", "x"]):
        done = run_cli(make_home(tmp_path), *words, timeout=20)
        assert done.returncode == 2 and done.stderr.startswith("chela: "), (words, done)


@pytest.mark.parametrize("words, status, told", [
    (["outbox", "retry", "x"], 2, '"x" is no number of a dead letter; chela outbox lists them'),
    (["outbox", "retry", "99"], 1, "there is no dead letter 99"),
    (["outbox", "drop", "all"], 2, '"all" is no number'),
    (["groups", "show", "nobody"], 1, "chela groups lists them"),
    (["groups", "add", "work", "slak:C1"], 2, "use slack, telegram, whatsapp"),
    (["whatsapp", "link"], 1, "channels.whatsapp.bridge: local"),
])
def test_wrong_words_are_one_line(warm, words, status, told):
    before = warm.cli("groups").stdout
    done = warm.cli(*words)
    assert done.returncode == status and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("chela: ") and told in line, line
    assert warm.cli("groups").stdout == before


@pytest.mark.parametrize("words, told", [
    (["groups", "rm", "work"], 'there is no command "groups rm"; did you mean: chela groups '),
    (["groups", "add"], "usage: chela groups add NAME [CHANNEL:CHAT]"),
    (["groups", "list", "all", "of", "them"], "usage: chela groups list"),
])
def test_usage_is_one_line(warm, words, told):
    done = warm.cli(*words)
    assert done.returncode == 2 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert told in line, line


def test_help_comes_from_the_table(tmp_path):
    """For people, of one command, and for machines; without a server."""
    table = json.loads(run_cli(tmp_path, "help", "--json").stdout)
    listed = run_cli(tmp_path, "help").stdout
    for command in table["commands"]:
        if "cli" in command["where"]:
            assert re.search(rf"^  {command['name'].split()[0]}\b", listed, re.M), command
            more = run_cli(tmp_path, "help", command["name"].split()[0])
            assert more.returncode == 0, command
    assert {c["name"] for c in table["local"]} >= {"serve", "chat", "status", "doctor", "help"}
    assert all(len(line) <= 130 for line in listed.splitlines())
    assert run_cli(tmp_path, "help", "nothing-like-it").returncode == 2
    assert run_cli(tmp_path, "--help").stdout == run_cli(tmp_path, "-h").stdout == listed
    (one,) = run_cli(tmp_path, "help", "groups", "add").stdout.splitlines()
    assert "groups add NAME [CHANNEL:CHAT]" in one
    assert run_cli(tmp_path, "help", "groups", "ad").returncode == 2
    assert "groups add NAME" in run_cli(tmp_path, "groups", "--help").stdout
    assert "chat [--serve] [GROUP]" in run_cli(tmp_path, "chat", "-h").stdout


def test_signals(make_server):
    """SIGINT ends the server as SIGTERM does; SIGUSR1 turns the debug log on and off."""
    server = make_server()
    server.console().ask("hello")
    os.kill(server.front, signal.SIGUSR1)
    mark = server.bus.mark()
    server.consoles[0].ask("again")
    server.wait_log("level=debug", 10, mark)
    server.popen.send_signal(signal.SIGINT)
    assert server.popen.wait(20) == 0
    server.stop()
