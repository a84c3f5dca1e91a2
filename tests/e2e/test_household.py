# SPDX-License-Identifier: Apache-2.0
"""Who may do what, in full: every command and every tool, for every role, in main and in groups on three platforms. The table is the server's own (`chela help --json`); a command or a tool that has no line below fails the test.
"""
import json
import re

import household
import pytest
from household import CHATS, MANNED, ROLES

RANK = {role: i for i, role in enumerate(ROLES)}

# Words behind each command that do no harm ({own}: the group that it is said in, {chat}: its chat), and what the answer of
# somebody who may looks like. Where a command needs a thing that is not there, what it says of that is its answer.
GONE = r"there is no|is no "
WORDS = {
    "help": ("", r"/version"),
    "status": ("", r"\w"),
    "chats": ("", r"slack:C00GENERAL"),
    "groups list": ("", r"family: whatsapp:"),
    "groups add": ("attic", r"attic"),
    "groups show": ("", r"trigger"),
    "groups set": ("{own} drafts on", r"drafts"),
    "groups unlink": ("telegram:-1", r"belongs to no group"),
    "groups remove": ("nowhere", GONE),
    "groups export": ("nowhere", GONE),
    "new": ("", r"\w"),
    "compact": ("", r"\w"),
    "model": ("", r"\w"),
    "tasks list": ("", r"\w"),
    "tasks show": ("yearly-{own}", r"prompt:\n  look"),
    "tasks runs": ("yearly-{own}", r"Nothing has run yet"),
    "tasks output": ("999", r"no run 999"),
    "tasks add": ('{own} made-{role} "cron 0 8 1 1 *" look around', r"Made: #\d+ made-"),
    "tasks set": ("999 prompt x", GONE),
    "tasks pause": ("999", GONE),
    "tasks resume": ("999", GONE),
    "tasks cancel": ("999", GONE),
    "tasks run": ("999", GONE),
    "run": ("999", GONE),
    "pause": ("999", GONE),
    "resume": ("999", GONE),
    "people list": ("", r"Guest"),
    "people strangers": ("", r"\w"),
    "people show": ("999", GONE),
    "people role": ("999 guest", GONE),
    "people join": ("999 slack:U1", GONE),
    "people forget": ("999", GONE),
    "people why": ("{chat} 999", GONE),
    "approvals list": ("", r"\w"),
    "approve": ("999", GONE),
    "deny": ("999", GONE),
    "grants list": ("", r"grant|may send_message"),
    "grants add": ("flat send_message project", r"flat may send"),
    "grants remove": ("project send_message flat", r"no such grant"),
    "usage": ("", r"\w"),
    "channels": ("", r"slack"),
    "outbox list": ("", r"\w"),
    "outbox all": ("", r"\w"),
    "outbox retry": ("999", r"\w"),
    "outbox drop": ("999", r"\w"),
    "policy": ("", r"sandbox"),
    "skills list": ("", r"welcome"),
    "skills show": ("welcome", r"welcome"),
    "skills enable": ("welcome flat", r"welcome"),
    "skills disable": ("welcome project", r"welcome"),
    "stop": ("", r"\w"),
    "logs": ("", r"comp="),
    "acts": ("", r"\w"),
    "version": ("", r"chela \d"),
    "reload": ("", r"\w"),
    "restart": ("", None),  # it has a test of its own, the last one
}
# The same for each tool: arguments, and what is answered.
ARGS = {
    "send_message": ({"text": "on the way"}, r"^Queued as message \d+ of this chat"),
    "send_file": ({"path": "none"}, r"there is no file /workspace/none"),
    "react": ({"emoji": "👍", "message_id": 999999}, r"no message 999999|has no reactions"),
    "edit_message": ({"message_id": 999999, "text": "x"}, r"no message 999999"),
    "ask_user": ({"question": "?", "options": ["a", "a"]}, r"options 1 and 2 are the same"),
    "search_history": ({"query": "nothing-of-the-kind"}, r"^Nothing found"),
    "schedule_create": ({"prompt": "look", "schedule": "at 2001-01-01 10:00"}, r"is over: it is"),
    "schedule_update": ({"task": "999", "prompt": "x"}, GONE),
    "schedule_pause": ({"task": "999"}, GONE),
    "schedule_resume": ({"task": "999"}, GONE),
    "schedule_cancel": ({"task": "999"}, GONE),
    "schedule_run": ({"task": "999"}, GONE),
    "list_tasks": ({}, r"yearly-"),
    "task_runs": ({}, r"Nothing has run yet"),
    "list_groups": ({}, r"main \(main\): slack:"),
    "register_group": ({"name": "cellar"}, r"group cellar"),
    "group_settings": ({}, r"trigger: "),
    "status": ({}, r"\w"),
    "chats": ({}, r"slack:C00GENERAL"),
    "groups_list": ({}, r"family: whatsapp:"),
    "groups_show": ({"words": "family"}, r"trigger"),
    "tasks_list": ({}, r"yearly-"),
    "tasks_show": ({"words": "yearly-main"}, r"prompt:\n  look"),
    "tasks_runs": ({}, r"Nothing has run yet"),
    "tasks_output": ({"words": "999"}, r"no run 999"),
    "people_list": ({}, r"Guest"),
    "people_strangers": ({}, r"\w"),
    "people_show": ({"words": "999"}, GONE),
    "people_why": ({"words": "slack:C00GENERAL 999"}, GONE),
    "approvals_list": ({}, r"\w"),
    "grants_list": ({}, r"grant|may send_message"),
    "usage": ({}, r"\w"),
    "channels": ({}, r"slack"),
    "outbox_list": ({}, r"\w"),
    "outbox_all": ({}, r"\w"),
    "policy": ({}, r"sandbox"),
    "skills_list": ({}, r"welcome"),
    "skills_show": ({"words": "welcome"}, r"welcome"),
    "logs": ({}, r"comp="),
    "acts": ({}, r"\w"),
    "version": ({}, r"chela \d"),
}


@pytest.fixture(scope="module")
def house(sandboxes, tmp_path_factory):
    h = household.Household(tmp_path_factory.mktemp("household"))
    try:
        yield h.open()
    finally:
        h.close()


@pytest.fixture(scope="module")
def table(house):
    return json.loads(house.cli("help", "--json"))


def line(form, group, role):
    words = WORDS[form["name"]][0].format(own=group, chat=":".join(CHATS[group]), role=role)
    return f"/{form['name']} {words}".rstrip()


# --- the tables are whole

def test_every_command_and_tool_is_tried(table):
    chats = {f["name"] for f in table["commands"] if {"main", "group"} & set(f["where"])}
    assert chats == set(WORDS), f"missing {chats - set(WORDS)}, gone {set(WORDS) - chats}"
    tools = {t["name"] for t in table["tools"]}
    assert tools == set(ARGS), f"missing {tools - set(ARGS)}, gone {set(ARGS) - tools}"


# --- commands

@pytest.mark.parametrize("group", MANNED)
@pytest.mark.parametrize("role", ROLES[1:])
def test_commands_of_who_may(house, table, group, role):
    person = house.who(group, role)
    place = "main" if group == "main" else "group"
    for form in table["commands"]:
        name = form["name"]
        if place in form["where"] and RANK[role] >= RANK[form["least"]] and WORDS[name][1]:
            said = line(form, group, role)
            allowed, words = house.command(person, said, WORDS[name][1])
            assert allowed, f"{said}: {role} in {group} was told {words!r}"


@pytest.mark.parametrize("group", MANNED)
@pytest.mark.parametrize("role", ROLES[1:])
def test_commands_of_who_may_not(house, table, group, role):
    """Nothing of it is done: on record as refused, or in a group (where it is no command at all) not on record."""
    person = house.who(group, role)
    place = "main" if group == "main" else "group"
    forms = [f for f in table["commands"]
             if place not in f["where"] or RANK[role] < RANK[f["least"]]]
    mark = house.mark()
    for form in forms:
        if form["name"] in WORDS:
            person.says(line(form, group, role), group)
        else:
            person.says(f"/{form['name']}", group)
    house.taken_in(group)
    person.says("/version", group)
    house.answer(group, mark, r"chela \d")
    acts = house.acts(mark)
    assert acts[-1]["act"] == "version" and acts[-1]["allowed"], dict(acts[-1])
    assert not [a["act"] for a in acts[:-1] if a["allowed"]]
    tried = {a["act"].split(" ")[0] for a in acts[:-1]}
    for form in forms:
        if place in form["where"]:
            assert form["name"].split(" ")[0] in tried, f"{form['name']} is not on record"
    if acts[:-1]:  # past a few in a minute nothing is said
        house.answer(group, (0, 0), "needs|is for")


@pytest.mark.parametrize("group", MANNED)
def test_strangers_are_not_answered(house, table, group):
    nobody = house.who(group, "stranger")
    mark = house.mark()
    for form in table["commands"]:
        if form["name"] in WORDS:
            nobody.says(line(form, group, "stranger") + " by-a-stranger", group)
    house.taken_in(group)
    house.who(group, "guest").says("/version", group)
    house.answer(group, mark, r"chela \d")
    assert not [a for a in house.answers(group, mark) if "by-a-stranger" in a]
    assert [a["act"] for a in house.acts(mark)] == ["version"]


# --- tools

def verdict(tool, role, group):
    if tool["main_only"] and group != "main":
        return "Unknown tool"
    return "needs the role" if RANK[role] < RANK[tool["least"]] else None


@pytest.mark.parametrize("group", MANNED)
@pytest.mark.parametrize("role", ROLES[1:])
def test_tools_on_behalf_of_each_role(house, table, group, role):
    tools = table["tools"]
    said = house.calls(house.who(group, role), [(t["name"], ARGS[t["name"]][0]) for t in tools])
    for tool, (error, words) in zip(tools, said):
        want = verdict(tool, role, group)
        what = f"{tool['name']} for {role} in {group}: {words!r}"
        assert re.search(want or ARGS[tool["name"]][1], words, re.M), what
        if want:
            assert error, what
        else:
            assert "needs the role" not in words and "Unknown tool" not in words, what


def test_no_tool_acts_for_a_stranger(house):
    """A stranger's words never reach the agent, and the sandbox alone, with no turn, may nothing."""
    mark = house.mark()
    house.who("work", "stranger").says("!tool send_message {\"text\": \"pwned\"}", mention=True)
    house.who("work", "guest").says("hello", mention=True)
    house.answer("work", mark, "echo: .*hello")
    assert not [a for a in house.answers("work", mark) if "pwned" in a]


# --- the last: the server starts anew

def test_restart(house):
    mark, seen = house.mark(), house.server.bus.mark()
    house.who("main", "owner").says("/restart")
    house.server.wait_log('comp=serve msg="ready"', 60, seen)
    assert [(a["act"], a["allowed"]) for a in house.acts(mark)] == [("restart", 1)]
    _, words = house.command(house.who("main", "guest"), "/version", r"chela \d")
    assert words
