# SPDX-License-Identifier: Apache-2.0
"""The server's commands where people are: the same words in Slack, Telegram, WhatsApp, the console and on the command
line; what is wrong is told in one line; each is carried out once, whatever the platform or a kill does; and nobody
commands more than their role lets them.
"""
import json
import re

import platforms
import procs
import pytest
from platforms import FROM_BOT, newest
from platforms import hear as answer
from server import cli

GENERAL, ALICE_DM = "C00GENERAL", "D0000ALICE"
ALICE, BOB, FAMILY = "1001", "1002", "-2001"
ANN = "4915110000001@s.whatsapp.net"
MAIN = {"slack": ALICE_DM, "telegram": ALICE, "whatsapp": ANN}
PEOPLE = {"slack": "slack:U0000ALICE", "telegram": "telegram:1001", "whatsapp": f"whatsapp:{ANN}"}


def line_for(platform, words):
    """Slack keeps lines that begin with a slash to itself; there it is the word as on the command line."""
    return f"chela {words}" if platform == "slack" else f"/{words}"


@pytest.fixture(scope="module")
def house(sandboxes, tmp_path_factory):
    with platforms.house(tmp_path_factory.mktemp("commands")) as world:
        server = world.server
        for platform, chat in MAIN.items():
            cli(server, "groups", "add", "main", f"{platform}:{chat}")
            answer(world.fakes[platform], chat, line_for(platform, "version"), r"chela \d")
            cli(server, "people", "role", PEOPLE[platform], "owner", "main")
        cli(server, "groups", "add", "family", f"telegram:{FAMILY}")
        cli(server, "groups", "set", "family", "strangers", "allow")
        answer(world.telegram, FAMILY, "/version", r"chela \d", user=BOB)
        yield world


def flat(text):
    return [re.sub(r"\s+", " ", t).strip() for t in text.splitlines() if t.strip()]


@pytest.mark.parametrize("words", ["groups list", "chats", "outbox", "groups show main", "policy",
                                   "version"])
@pytest.mark.parametrize("platform", MAIN)
def test_the_same_words_say_the_same(house, platform, words):
    first = flat(cli(house.server, *words.split()))
    said = answer(house.fakes[platform], MAIN[platform], line_for(platform, words),
                  re.escape(first[0].split()[0]))
    # the last-seen times of chats, and the minute, go on
    strip = [re.sub(r"\d\d:\d\dZ|/|chela ", "", t) for t in flat(said)]
    for want in first:
        assert re.sub(r"\d\d:\d\dZ|/|chela ", "", want) in strip, (want, said)


@pytest.mark.parametrize("platform", MAIN)
def test_status_is_a_report(house, platform):
    said = answer(house.fakes[platform], MAIN[platform], line_for(platform, "status"), r"pid \d+")
    assert re.search(r"channel +whatsapp: up", said) and re.search(r"engine +\S", said), said


def test_slacks_own_command_and_a_mention(house):
    slack, mark = house.slack, newest(house.slack, ALICE_DM)
    slack.inject(do="command", chat=ALICE_DM, command="/chela", text="groups list")
    slack.wait(chat=ALICE_DM, since=mark, regex="main", timeout=60, **FROM_BOT)
    assert "main" in answer(house.telegram, ALICE, "/groups@chela_bot list", "main")


@pytest.mark.parametrize("words, told", [
    ("grops", 'there is no command "grops"; did you mean: {}groups list (all: {}help)'),
    ("groups ad x", 'there is no command "groups ad"; did you mean: {}groups add NAME'),
    ("groups add", "usage: {}groups add NAME"),
    ("version now", "usage: {}version"),
    ("outbox retry x", '"x" is no number of a dead letter'),
])
def test_wrong_words_are_one_line_everywhere(house, words, told):
    line = cli(house.server, *words.split(), status=2)
    assert told.format("chela ", "chela ") in line and len(line.splitlines()) == 1
    for platform, chat in MAIN.items():
        if platform == "slack" and words in ("grops", "version now"):
            continue  # without a slash that is talk
        said = answer(house.fakes[platform], chat, line_for(platform, words),
                      re.escape(told.split("{}")[0]))
        lead = "/chela " if platform == "slack" else "/"  # what can be typed there
        assert told.format(lead, lead) in said and len(said.splitlines()) == 1, said


@pytest.mark.parametrize("platform", MAIN)
def test_a_telephones_capital_and_plain_talk(house, platform):
    """Which case the words are in does not matter; a sentence that begins with the assistant's name is for the assistant."""
    fake, chat = house.fakes[platform], MAIN[platform]
    answer(fake, chat, "Chela Version", r"^`*chela \d")
    answer(fake, chat, "Chela Groups Show main", "trigger")
    before = house.server.rows("SELECT count(*) FROM acts")
    for talk in ("Chela restart the dishwasher", "Chela help me cook", "Restart", "Chela stop being sad"):
        answer(fake, chat, talk, f"echo: .*{talk}", **({"mention": True} if platform == "slack" else {}))
    assert house.server.rows("SELECT count(*) FROM acts") == before


def test_a_stuck_channel_is_tried_at_once(house):
    telegram, slack, server = house.telegram, house.slack, house.server
    log, mark = server.bus.mark(), newest(slack, ALICE_DM)
    for method in ("getUpdates", "getMe"):
        telegram.call("fault", method=method, do="error", error=401, description="Unauthorized", count=0)
    telegram.call("wire", do="drop")
    server.wait_log(r'comp=channel msg="?stuck"? name=telegram', 60, log)
    assert re.search(r"^telegram +stuck .*: Telegram refuses the bot token", cli(server, "channels"), re.M)
    telegram.call("clear")
    log = server.bus.mark()
    assert "tried now" in answer(slack, ALICE_DM, "Chela channels retry telegram", "telegram is")
    server.wait_log(r'comp=channel msg="?up"? name=telegram', 30, log)
    slack.wait(chat=ALICE_DM, since=mark, plain="telegram works again.", timeout=30, **FROM_BOT)
    assert "telegram is up; there is nothing to try" in cli(server, "channels", "retry", "telegram", status=2)
    told = cli(server, "channels", "retry", "teletext", status=1)
    assert re.search(r'^chela: there is no channel "teletext" here; there are: .*slack', told), told
    answer(telegram, ALICE, "/version", r"chela \d")


def test_whatsapps_code_is_not_for_chats(house):
    said = answer(house.telegram, ALICE, "/whatsapp link", "command line")
    assert "on the server's machine" in said


def acts(server, like):
    return server.rows("SELECT who, via, allowed FROM acts WHERE act LIKE ?", like)


@pytest.mark.parametrize("platform", MAIN)
def test_what_comes_twice_is_done_once(house, platform):
    fake, name = house.fakes[platform], f"twice-{platform}"
    answer(fake, MAIN[platform], line_for(platform, f"groups add {name}"), name)
    fake.wait(what="idle", timeout=30)
    mark = newest(fake, MAIN[platform])
    fake.call("wire", do="redeliver", count=1)
    answer(fake, MAIN[platform], line_for(platform, "version"), r"chela \d")
    assert len(acts(house.server, f"groups add {name}")) == 1
    assert not [m for m in fake.messages(chat=MAIN[platform], **FROM_BOT)
                if m["n"] > mark and name in m["plain"]]


def test_a_groups_own_commands(house):
    telegram, server = house.telegram, house.server
    # a guest may ask what may be asked, and no more
    said = answer(telegram, FAMILY, "/help", "version", user=BOB)
    assert "/stop" not in said and "/outbox" not in said
    said = answer(telegram, FAMILY, "/usage", "needs", user=BOB)
    assert "usage needs a member; you are a guest here" in said
    cli(server, "people", "role", "telegram:1002", "member", "family")
    assert "family" in answer(telegram, FAMILY, "/usage", "family", user=BOB)
    assert "only the main group" in answer(telegram, FAMILY, "/usage main", "only the", user=BOB)
    said = answer(telegram, FAMILY, "/status", "messages:", user=BOB)
    assert said.splitlines()[0].strip("` ") == "family" and "pid" not in said
    assert [a for a in acts(server, "usage") if not a[2]] and acts(server, "usage main")[0][2]


def test_main_commands_elsewhere_are_talk(house):
    """And so are lines that only look like commands, and an agent's own words."""
    telegram, server = house.telegram, house.server
    answer(telegram, FAMILY, "/outbox list please", "echo:", user=BOB, mention=True)
    answer(telegram, FAMILY, "!say /restart", "restart", user=BOB, mention=True)
    assert not acts(server, "outbox list please%") and not acts(server, "%restart%")


def test_stop_ends_the_turn_of_its_chat(house):
    telegram, server = house.telegram, house.server
    cli(server, "people", "role", "telegram:1002", "member", "family")
    mark = newest(telegram, FAMILY)
    telegram.inject(do="message", chat=FAMILY, user=BOB, mention=True,
                    text="now:\n!bash until [ -s gate ]; do sleep 0.05; done")
    server.until(lambda: [s for s in json.loads(cli(server, "status", "--json"))["sessions"]
                          if s["group"] == "family" and s["state"] == "working"], "working session")
    telegram.inject(do="message", chat=FAMILY, text="/stop", user=BOB)
    telegram.wait(chat=FAMILY, since=mark, plain="told to stop", timeout=30, **FROM_BOT)
    telegram.wait(chat=FAMILY, since=mark, regex="^Stopped", timeout=30, **FROM_BOT)
    assert "Nothing is going on" in answer(telegram, FAMILY, "/stop", "Nothing", user=BOB)


def test_the_console_commands_too(house):
    said = house.server.console().ask("/groups list")
    assert "main (main)" in said
    assert "echo" not in house.server.console().ask("/grops")


def test_a_kill_in_between_loses_and_doubles_nothing(house):
    telegram, server = house.telegram, house.server
    for i in range(4):
        log = server.bus.mark()
        telegram.inject(do="message", chat=ALICE, text=f"/groups add killed{i}")
        held = procs.Handle(server.front)
        if i % 2:
            server.wait_log(r'comp=command msg="taken"', 30, log)
        held.kill()
        held.close()
        server.wait_log('comp=serve msg="ready"', 60, log)
        telegram.wait(chat=ALICE, regex=rf"\bkilled{i}\b", timeout=60, **FROM_BOT)
        assert len(acts(server, f"groups add killed{i}")) == 1
        assert server.rows("SELECT count(*), min(state) FROM messages WHERE dir = 0 AND text = ?",
                           f"/groups add killed{i}") == [(1, 3)]
    for platform in MAIN:
        house.fakes[platform].wait(what="ready", timeout=60)


def test_restart_comes_back(house):
    telegram, server = house.telegram, house.server
    front, log = server.front, server.bus.mark()
    answer(telegram, ALICE, "/restart", "starts anew")
    server.wait_log('comp=serve msg="ready"', 60, log)
    assert server.front != front
    assert "chela" in answer(telegram, ALICE, "/version", r"chela \d")
    assert len(cli(server, "logs", "5").splitlines()) == 5
    assert 'msg="taken"' in answer(telegram, ALICE, "/logs", "ts=")


def test_the_record_names_who_asked(house):
    cli(house.server, "groups", "list")
    answer(house.telegram, ALICE, "/version", r"chela \d")
    answer(house.telegram, FAMILY, "/groups list", "for chats of the main group", user=BOB)
    said = answer(house.telegram, ALICE, "/acts 50", "acts 50")
    assert re.search(r"the operator cli: groups list", said), said
    assert re.search(r"\(telegram:1001\) chat in main: version", said), said
    assert re.search(r"\(refused\)", said), said
