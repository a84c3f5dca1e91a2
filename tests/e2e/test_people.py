# SPDX-License-Identifier: Apache-2.0
"""People: the first owner by a code, strangers who are held and asked for, and those who are never heard; with the real
server and agent against strict stand-ins of the platforms.
"""
import re

import platforms
import pytest
from platforms import FROM_BOT, hear, newest, say
from server import cli

ALICE, BOB, FAMILY = "1001", "1002", "-2001"
ANN, BEN = "4915110000001@s.whatsapp.net", "4915110000002@s.whatsapp.net"
CREW = "120363000000000001@g.us"
DIRECT = {"slack": ("D0000ALICE", "U0000ALICE"), "telegram": (ALICE, ALICE), "whatsapp": (ANN, ANN)}
OTHER = {"slack": "D000000BOB", "telegram": BOB, "whatsapp": BEN}
CODE = re.compile(r"/claim ([A-Z2-7]{4}-[A-Z2-7]{4})")


def count(server, sql, *args):
    return server.rows(sql, *args)[0][0]


# -- claiming


@pytest.mark.parametrize("name", ["slack", "telegram", "whatsapp"])
def test_whoever_has_the_code_is_the_owner(name, sandboxes, tmp_path):
    with platforms.house(tmp_path, which=(name,)) as world:
        server, fake, (chat, _) = world.server, world.fakes[name], DIRECT[name]
        code = CODE.search(server.wait_log(CODE.pattern)).group(1)
        assert code in cli(server, "claim")
        status = cli(server, "status")
        assert "main      has no chat yet: chela claim" in status and code not in status
        hear(fake, OTHER[name], "chela claim AAAA-AAAA", "not the code")
        hear(fake, chat, f"chela claim {code.lower().replace('-', ' ')}", "This chat is main now")
        assert count(server, "SELECT count(*) FROM roles WHERE role = 4 AND group_id = 0") == 1
        assert "everywhere owner" in hear(fake, chat, "chela people list", "everywhere owner")
        assert "already" in cli(server, "claim") and "has no chat yet" not in cli(server, "status")
        # used once: who says it again is one more stranger
        say(fake, OTHER[name], f"chela claim {code}")
        fake.wait(what="idle", timeout=30)
        server.wait_log("a chat without a group")
        assert count(server, "SELECT count(*) FROM roles") == 1
        # the code went to the operator's eyes alone
        assert server.log_path.read_text("utf-8").count(code) == 1
        for part in ("chela.db", "chela.db-wal"):
            if (server.home / part).exists():
                data = (server.home / part).read_bytes()
                assert code.encode() not in data and code.replace("-", "").encode() not in data


def test_wrong_codes_burn_it(sandboxes, tmp_path):
    with platforms.house(tmp_path, which=("telegram",)) as world:
        server = world.server
        first = CODE.search(server.wait_log(CODE.pattern)).group(1)
        for _ in range(4):
            hear(world.telegram, BOB, "/claim BBBB-BBBB", "not the code")
        say(world.telegram, BOB, "/claim BBBB-BBBB")
        server.wait_log(CODE.pattern, count=2)
        second = CODE.search(cli(server, "claim")).group(1)
        assert second != first
        say(world.telegram, BOB, f"/claim {first}")
        hear(world.telegram, ALICE, f"/claim {second}", "This chat is main now")
        assert server.rows("SELECT channel || ':' || platform_id FROM senders s JOIN roles r"
                           " ON r.person_id = s.person_id") == [(f"telegram:{ALICE}",)]


# -- strangers


@pytest.fixture(scope="module")
def house(sandboxes, tmp_path_factory):
    """Alice owns main (Telegram); the family group asks for strangers, so do unknown chats."""
    with platforms.house(tmp_path_factory.mktemp("people"), which=("telegram", "whatsapp"),
                         config={"people": {"unknown_chats": "ask"}}) as world:
        code = CODE.search(world.server.wait_log(CODE.pattern)).group(1)
        hear(world.telegram, ALICE, f"/claim {code}", "This chat is main now")
        cli(world.server, "groups", "add", "family", f"telegram:{FAMILY}")
        cli(world.server, "groups", "add", "crew", f"whatsapp:{CREW}")
        yield world


def newcomer(house, name):
    return house.telegram.call("user", name=name)["id"]


def asked(house, name):
    """The number of the open approval of who is called so, once there is one."""
    def found():
        return [x for x in cli(house.server, "approvals").splitlines() if name in x]
    return house.server.until(found, f"question about {name}")[0].split()[0]


def heard(house, text):
    return count(house.server, "SELECT count(*) FROM messages WHERE dir = 0 AND text LIKE ?",
                 f"%{text}%")


def test_a_stranger_is_asked_for_and_replayed_with_the_file(house):
    tg, user = house.telegram, newcomer(house, "Dora")
    mark, main_mark = newest(tg, FAMILY), newest(tg, ALICE)
    say(tg, FAMILY, "psst, the door code is 4711", user=user)  # not for the assistant
    say(tg, FAMILY, "look:\n!bash cat inbox/*note.txt", user=user, mention=True,
        files=[{"name": "note.txt", "mime": "text/plain", "text": "ten legs has the crab"}])
    tg.wait(chat=FAMILY, since=mark, plain="I do not know you yet", timeout=30, **FROM_BOT)
    question = tg.wait(chat=ALICE, since=main_mark, plain="Approval", timeout=30, **FROM_BOT)[0]
    assert f"Person: Dora (telegram:{user})" in question["plain"]
    assert "Gives: the role member in family." in question["plain"]
    assert heard(house, "note.txt") == 0 and heard(house, "4711") == 0
    number = asked(house, "Dora")
    house.server.restart()
    house.ready()
    hear(tg, ALICE, f"/approve {number}", r"Approved: Dora .* is member of family. 1 held message is taken in")
    tg.wait(chat=FAMILY, since=mark, plain="ten legs has the crab", timeout=60, **FROM_BOT)
    assert heard(house, "note.txt") == 1
    assert heard(house, "4711") == 0, "what was not meant for the assistant came to it"
    assert "granted already" in hear(tg, ALICE, f"/approve {number}", "already")


def test_who_is_denied_is_silent_from_then_on(house):
    tg, user = house.telegram, newcomer(house, "Mallory")
    say(tg, FAMILY, "let me in", user=user, mention=True)
    number = asked(house, "Mallory")
    hear(tg, ALICE, f"/deny {number}", "Denied: Mallory .* is blocked in family")
    mark = newest(tg, FAMILY)
    for i in range(3):
        say(tg, FAMILY, f"please {i}", user=user, mention=True)
    tg.wait(what="idle", timeout=30)
    hear(tg, FAMILY, "/version", r"chela \d", user=ALICE)
    assert not [m for m in tg.messages(chat=FAMILY) if m["n"] > mark and m["from"] == "bot"
                and "chela" not in m["plain"]]
    assert heard(house, "please") == 0
    assert "Blocked: never listened to." in cli(house.server, "people", "why",
                                                f"telegram:{FAMILY}", f"telegram:{user}")
    assert "Nobody asks" in cli(house.server, "approvals")


def test_a_name_that_changes_is_asked_for_anew(house):
    tg, user = house.telegram, newcomer(house, "Grandma")
    say(tg, FAMILY, "it is me", user=user, mention=True)
    number = asked(house, "Grandma")
    tg.call("user", name="Eve", id=user)
    say(tg, FAMILY, "it is me again", user=user, mention=True)
    tg.wait(what="idle", timeout=30)
    said = hear(tg, ALICE, f"/approve {number}", "not approved|Approved")
    assert "asked anew" in said
    assert count(house.server, "SELECT count(*) FROM senders WHERE platform_id = ? AND"
                 " person_id IS NOT NULL", user) == 0
    hear(tg, ALICE, f"/deny {asked(house, 'Eve')}", "Denied")


def test_an_unknown_chat_becomes_a_group(house):
    tg = house.telegram
    chat = tg.call("chat", kind="group", name="Main")["ids"][0]
    tg.call("user", name="Frank", id="7001")
    say(tg, chat, "hello?", user="7001", mention=True)
    number = asked(house, "Frank")
    mark = newest(tg, chat)
    hear(tg, ALICE, f"/approve {number} books", "belongs to the new group books")
    tg.wait(chat=chat, since=mark, plain="hello?", timeout=60, **FROM_BOT)
    assert count(house.server, "SELECT count(*) FROM group_chats gc JOIN groups g ON"
                 " g.id = gc.group_id WHERE g.is_main = 1") == 1


def test_killed_after_the_approval_it_is_taken_in_once(house):
    tg, user = house.telegram, newcomer(house, "Gus")
    mark = newest(tg, FAMILY)
    for i in range(3):
        say(tg, FAMILY, f"number {i} of Gus", user=user, mention=True)
    tg.wait(chat=FAMILY, since=mark, plain="I do not know you yet", timeout=30, **FROM_BOT)
    tg.wait(what="idle", timeout=30)
    number = asked(house, "Gus")
    log = house.server.bus.mark()
    say(tg, ALICE, f"/approve {number}")
    house.server.wait_log('comp=command msg="taken".*name="approve"', since=log)
    house.server.kill()
    house.server.start()
    house.ready()
    tg.wait(chat=FAMILY, since=mark, regex="number 2 of Gus", timeout=60, **FROM_BOT)
    assert [r[0].count("of Gus") for r in house.server.rows(
        "SELECT text FROM messages WHERE dir = 0 AND text LIKE '%of Gus%' ORDER BY id")] == [1, 1, 1]
    assert count(house.server, "SELECT count(*) FROM held") == 0


# -- two names, one person


def test_a_number_and_its_hidden_id_are_one_person(house):
    wa, server = house.whatsapp, house.server
    lid = next(p for p in wa.call("chats")["chats"] if p["id"] == ANN)["id"]
    cli(server, "people", "role", f"whatsapp:{lid}", "member", "crew")
    cli(server, "people", "role", "whatsapp:100000000000002@lid", "member", "crew")
    hear(wa, CREW, "by number", "echo: .*by number", user=ANN, mention=True)
    hear(wa, CREW, "by hidden id", "echo: .*by hidden id", user=BEN, mention=True)
    listed = cli(server, "people", "list", "crew")
    assert len(re.findall(r"member", listed)) == 2, listed
    why = cli(server, "people", "why", f"whatsapp:{CREW}", f"whatsapp:{BEN}")
    assert "Role in crew: member" in why and "Listened to, as member." in why


# -- what must not work


def test_a_guest_commands_nothing(house):
    tg, user = house.telegram, newcomer(house, "Gil")
    cli(house.server, "people", "role", f"telegram:{user}", "guest", "family")
    hear(tg, FAMILY, "hi there", "echo: .*hi there", user=user, mention=True)
    for words in ("/people role telegram:%s owner" % user, "/people list"):
        assert "admin" in hear(tg, FAMILY, words, "admin|Not done", user=user)
    assert count(house.server, "SELECT max(role) FROM roles r JOIN senders s ON s.person_id ="
                 " r.person_id WHERE s.platform_id = ?", user) == 1


def test_an_admin_gives_no_more_than_the_own_role(house):
    tg, user = house.telegram, newcomer(house, "Ada")
    cli(house.server, "people", "role", f"telegram:{user}", "admin", "family")
    refused = (f"/people role telegram:{user} owner", f"/people role telegram:{ALICE} blocked",
               f"/people role telegram:{BOB} guest crew")
    for words in refused:
        hear(tg, FAMILY, words, "you are admin|above you|only|other group|belongs|Not done|cannot", user=user)
    hear(tg, FAMILY, f"/people role telegram:{BOB} member", "is member in family", user=user)
    assert count(house.server, "SELECT count(*) FROM roles WHERE role = 4") == 1
    assert count(house.server, "SELECT count(*) FROM roles WHERE role = -1 AND person_id ="
                 " (SELECT person_id FROM senders WHERE platform_id = ?)", ALICE) == 0


def test_the_last_owner_stays(house):
    for words in (("role", f"telegram:{ALICE}", "guest"), ("forget", f"telegram:{ALICE}"),
                  ("role", f"telegram:{ALICE}", "blocked", "main")):
        assert "last owner" in cli(house.server, "people", *words, status=1), words


def test_words_of_an_agent_and_edits_are_no_commands(house):
    tg, user = house.telegram, newcomer(house, "Hal")
    say(tg, FAMILY, "may I", user=user, mention=True)
    number = asked(house, "Hal")
    hear(tg, ALICE, '!tool send_message {"text": "/approve %s"}' % number, f"/approve {number}")
    mark = newest(tg, ALICE)
    first = say(tg, ALICE, "an innocent line")
    tg.wait(chat=ALICE, since=mark, plain="echo: an innocent line", timeout=60, **FROM_BOT)
    tg.inject(do="edit", chat=ALICE, id=first, text=f"/approve {number}")
    origin = {"type": "hidden_user", "sender_user_name": "Zoe", "date": 1700000000}
    hear(tg, ALICE, f"/approve {number}", f"/approve {number}", fields={"forward_origin": origin})
    assert heard(house, f"[forwarded from Zoe]\n/approve {number}") == 1
    hear(tg, ALICE, "/version", r"chela \d")
    assert asked(house, "Hal") == number, "decided without a command of a person"
    hear(tg, ALICE, f"/deny {number}", "Denied")


def test_why_walks_the_decision(house):
    server = house.server
    why = cli(server, "people", "why", f"telegram:{FAMILY}", "telegram:424242")
    assert why.splitlines()[:2] == ["The chat belongs to the group family.",
                                    "telegram:424242 is nobody with a role."]
    assert "strangers is ask" in why
    why = cli(server, "people", "why", f"telegram:{FAMILY}", f"telegram:{ALICE}")
    assert "everywhere: owner; so: owner." in why and "the trigger is mention" in why
    assert "no chat \"telegram:1\" was seen" in cli(server, "people", "why", "telegram:1", "telegram:1", status=1)


def test_strangers_are_listed_with_their_count(house):
    tg, user = house.telegram, newcomer(house, "Ivan")
    cli(house.server, "groups", "set", "family", "strangers", "ignore")
    for i in range(3):
        say(tg, FAMILY, f"knock {i}", user=user, mention=True)
    tg.wait(what="idle", timeout=30)
    assert re.search(rf"telegram:{user}  \"Ivan\"  3 refused", cli(house.server, "people", "strangers"))
    assert heard(house, "knock") == 0


def test_the_role_that_a_link_gave_can_be_taken_away(house):
    tg, server = house.telegram, house.server
    assert "one person alone" in cli(server, "groups", "add", "bobs", f"telegram:{BOB}")
    cli(server, "groups", "set", "bobs", "strangers", "ignore")
    hear(tg, BOB, "am I in?", "echo: am I in")
    assert "bobs: member, by the operator" in cli(server, "people", "show", f"telegram:{BOB}")
    assert "member by the link of telegram" in cli(server, "acts")
    said = cli(server, "people", "role", f"telegram:{BOB}", "none", "bobs")
    assert f"groups unlink telegram:{BOB}" in said
    say(tg, BOB, "still in?")
    tg.wait(what="idle", timeout=30)
    assert heard(house, "still in") == 0
    assert "No role: a stranger" in cli(server, "people", "why", f"telegram:{BOB}", f"telegram:{BOB}")
