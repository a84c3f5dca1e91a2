# SPDX-License-Identifier: Apache-2.0
"""Who may do what, in full: every command and every tool, for every role, in main and in groups on three platforms, and for those whose
role is in another group. The table is the server's own (`chela help --json`); a command or a tool that has no case (household_cases.py)
fails the test. What was allowed has its effect, and what was refused has none.
"""
import json
import re

import household
import household_cases as cases
import pytest
from household import CHATS, MANNED, ROLES

RANK = {role: i for i, role in enumerate(ROLES)}
# somebody who has a role in one group speaks in another one of that platform
ELSEWHERE = (("work", "main"), ("main", "work"), ("family", "flat"), ("club", "project"))


@pytest.fixture(scope="module")
def house(sandboxes, tmp_path_factory):
    h = household.Household(tmp_path_factory.mktemp("household"))
    try:
        yield h.open().stock()
    finally:
        h.close()


@pytest.fixture(autouse=True)
def calm(house):
    """What the test before had said is answered: a late answer would be taken for one to this test's words."""
    house.idle()


@pytest.fixture(scope="module")
def table(house):
    return json.loads(house.server.cli("help", "--json").stdout)


def where(group):
    return "main" if group == "main" else "group"


def tries(table, group):
    """(form, case, least role; None: nobody may, there) of all that can be said in a chat."""
    for form in table["commands"]:
        for case in cases.COMMANDS.get(form["name"], []):
            here = where(group) in form["where"]
            yield form, case, max(form["least"], case.least or "guest", key=RANK.get) if here else None


def head(group, name):
    """Slack keeps lines that begin with a slash to itself; there the program's name does it."""
    return f"chela {name}" if CHATS[group][0] == "slack" else f"/{name}"


@pytest.fixture(scope="module")
def targets(house):
    """What those who may not try it on; it stays as it is, whoever tries."""
    kept = {}

    def target(case, name, group):
        if case.once or (name, id(case), group) not in kept:
            f = kept[name, id(case), group] = case.prepare(house, group)
            not_yet(house, case, f, name)
        return {**kept[name, id(case), group], "log": house.server.bus.mark()}
    return target


def not_yet(house, case, f, what):
    """What is tried is not so already; what was made for it may take a moment to be in the store."""
    house.until(lambda: not case.done or not case.done(house, f), lambda: f"thing for {what}: it is so before")


def test_every_command_and_tool_is_tried(table):
    chats = {f["name"] for f in table["commands"] if {"main", "group"} & set(f["where"])}
    assert chats == set(cases.COMMANDS)
    assert {t["name"] for t in table["tools"]} == set(cases.TOOLS)


def test_every_name_of_another_group_is_tried(table):
    of_groups = {f["name"] for f in table["commands"] if "group" in f["where"]
                 and {"GROUP", "NAME", "TASK", "RUN", "PERSON"} & set(re.findall(r"[A-Z]+", f["args"]))}
    assert of_groups == set(cases.OTHERS)
    everywhere = {t["name"] for t in table["tools"] if not t["main_only"]}
    assert everywhere == set(cases.OTHERS_TOOLS) | cases.ABOUT_HERE


# --- on the platforms themselves. First, for later much waits there: to a Telegram group go 20 messages a minute

@pytest.mark.parametrize("group", MANNED)
def test_answers_are_in_the_platforms_chat(house, group):
    person, since, told = house.who(group, "member"), house.newest(group), []
    for name, answer in (("help", "version"), ("status", "."), ("tasks list", "yearly-"), ("version", r"chela \d")):
        told.append(house.command(person, head(group, name), answer)[1])
    house.shown(group, since, told)


# --- tools

def verdict(tool, role, group):
    if tool["main_only"] and group != "main":
        return "Unknown tool"
    return "needs the role" if RANK[role] < RANK[tool["least"]] else None


@pytest.mark.parametrize("group", MANNED)
@pytest.mark.parametrize("role", ROLES[1:])
def test_tools_on_behalf_of_each_role(house, table, group, role):
    person = house.who(group, role)
    n = next(cases.NUMBERS)
    f = {"n": n, "own": group, "chat": ":".join(CHATS[group]), "someone": house.who(group, "guest").name,
         "said": house.said[group], "run": house.runs[group]}
    first = []
    for verb in cases.STEERED:  # a guest's agent is refused; there they are the operator's
        if role == "guest":
            house.cli("tasks", "add", group, f"{verb}-{n}", cases.YEARLY, "look")
        else:
            first.append(("schedule_create", {"name": f"{verb}-{n}", "prompt": "look", "schedule": cases.YEARLY}))
    if role == "guest":
        house.cli("tasks", "pause", f"resume-{n}")
    else:
        first.append(("schedule_pause", {"task": f"resume-{n}"}))
    (house.server.home / "groups" / group / "crab.txt").write_text(f"ten legs {n}")
    calls = [cases.call(t["name"], cases.filled(cases.TOOLS[t["name"]][0], f)) for t in table["tools"]]
    since = house.newest(group)
    said = house.calls(person, first + calls)[len(first):]
    for tool, (error, words) in zip(table["tools"], said):
        want = verdict(tool, role, group)
        what = f"{tool['name']} for {role} in {group}: {words!r}"
        assert re.search(want or cases.TOOLS[tool["name"]][1], words, re.M), what
        if want:
            assert error, what
        else:
            assert "needs the role" not in words and "Unknown tool" not in words, what
        if tool["name"] in cases.CHANGES:
            rows = cases.CHANGES[tool["name"]].format(n=n)
            if want:
                assert not house.rows(rows), what
            else:
                house.until(lambda q=rows: house.rows(q), lambda s=what: f"effect of {s}")
    if role != "guest":
        return  # the platforms were looked at
    house.shown(group, since, [f"on the way {n}"])
    fake, (_, chat) = house.fake(CHATS[group][0]), CHATS[group]
    sent = fake.wait(chat=chat, since=since, file="crab.txt", timeout=90, **household.platforms.FROM_BOT)[0]
    assert fake.file(sent["files"][0]["id"]) == f"ten legs {n}".encode()
    fake.wait(chat=chat, plain=f"other words {n}", timeout=90, **household.platforms.FROM_BOT)


# --- commands

@pytest.mark.parametrize("group", MANNED)
@pytest.mark.parametrize("role", ROLES[1:])
def test_commands_of_who_may(house, table, group, role):
    """It is on record, told in the chat, and has happened."""
    person = house.who(group, role)
    for form, case, least in tries(table, group):
        if not least or RANK[role] < RANK[least]:
            continue
        f = case.prepare(house, group, person)
        name = form["name"].capitalize()  # as telephones write it
        line = case.line(f"Chela {name}" if role == "admin" else head(group, form["name"]), f)
        not_yet(house, case, f, line)
        allowed, words = house.command(person, line, case.answer)
        assert allowed, f"{line}: {role} in {group} was told {words!r}"
        if case.done:
            house.until(lambda c=case, f=f: c.done(house, f), lambda s=f"{line}: {words!r}": f"effect of {s}")
        if case.undo:
            case.undo(house, f)
        if group != "main":
            assert not names_of_others(words, group), f"{line}: {words!r}"


def names_of_others(words, group):
    """What a group's own answers must not hold."""
    found = []
    for other, (_, chat) in CHATS.items():
        if other != group:
            found += [n for n in (f"yearly-{other}", f"once-{other}", f"{other.title()} Guest", chat) if n in words]
    return found


@pytest.mark.parametrize("group", MANNED)
@pytest.mark.parametrize("role", ROLES[1:])
def test_commands_of_who_may_not(house, table, group, role, targets):
    """Nothing of it is done: on record as refused, or in a group (where it is no command at all) not on record."""
    person, refused = house.who(group, role), []
    for form, case, least in tries(table, group):
        if not least or (RANK[role] < RANK[least] and not case.least):
            refused.append((form, case, targets(case, form["name"], group if least else "main")))
    mark = house.mark()
    for form, case, f in refused:
        person.says(case.line(f"/{form['name']}", f), group)
    for form in table["commands"]:
        if form["name"] not in cases.COMMANDS:
            person.says(f"/{form['name']}", group)
    if role != "owner" or group != "main":
        person.says("/restart", group)
    house.taken_in(group)
    person.says("/version", group)
    house.answer(group, mark, r"chela \d")
    acts = house.acts(mark)
    assert acts[-1]["act"] == "version" and acts[-1]["allowed"], dict(acts[-1])
    assert not [a["act"] for a in acts[:-1] if a["allowed"]]
    tried = [a["act"] for a in acts[:-1]]
    for form, case, f in refused:
        if where(group) in form["where"]:
            assert any(t.startswith(form["name"]) for t in tried), f"{form['name']} is not on record"
        assert not case.done or not case.done(house, f), f"{case.line(form['name'], f)}: {role} in {group} has done it"
    if acts[:-1]:  # past a few in a minute nothing is said
        house.answer(group, (0, 0), "needs|is for")


@pytest.mark.parametrize("group", MANNED)
def test_strangers_are_not_answered(house, table, group, targets):
    heard_not(house, table, group, house.who(group, "stranger"), house.who(group, "guest"), targets)


@pytest.mark.parametrize("at_home, group", ELSEWHERE)
def test_a_role_in_another_group_is_none_here(house, table, at_home, group, targets):
    """Not even its owner is heard."""
    if group == "flat":
        platform, ident = house.newcomer().split(":", 1)
        house.cli("people", "role", f"{platform}:{ident}", "guest", group)
        house.people[group, "guest"] = household.Person(house, group, "guest", platform, ident)
    heard_not(house, table, group, house.who(at_home, "owner"), house.who(group, "guest"), targets)


def heard_not(house, table, group, nobody, somebody, targets):
    mark, said = house.mark(), []
    for form, case, least in tries(table, group):
        if not case.once:
            f = targets(case, form["name"], group if least and group in MANNED else "main")
            said.append((form, case, f))
    mark = house.mark()
    for form, case, f in said:
        nobody.says(case.line(f"/{form['name']}", f), group)
    nobody.says("/restart", group)
    house.taken_in(group)
    somebody.says("/version", group)
    answer = house.answer(group, mark, r"chela \d")
    notice = "I do not know you yet"  # at most: where strangers are asked for
    assert [a for a in house.answers(group, mark) if a != answer and not a.startswith(notice)] == []
    assert [a["act"] for a in house.acts(mark)] == ["version"]
    for form, case, f in said:
        assert not case.done or not case.done(house, f), case.line(form["name"], f)


# --- another group's things, by those who may in their own

def state(house, group):
    """All of a group that somebody else could change."""
    return [[tuple(r) for r in house.rows(sql, group)] for sql in (
        "SELECT t.id, t.prompt, t.state, t.updated_ms FROM tasks t JOIN groups g ON g.id = t.group_id WHERE g.name = ?",
        "SELECT r.id FROM task_runs r JOIN groups g ON g.id = r.group_id WHERE g.name = ?",
        "SELECT m.id, m.text FROM messages m JOIN groups g ON g.id = m.group_id WHERE g.name = ?",
        "SELECT s.session_id FROM sessions s JOIN groups g ON g.id = s.group_id WHERE g.name = ?",
        "SELECT r.person_id, r.role FROM roles r JOIN groups g ON g.id = r.group_id WHERE g.name = ?",
        "SELECT settings, paused, removed_ms FROM groups WHERE name = ?")]


def things_of(house, other):
    number = house.rows("SELECT id FROM tasks WHERE name = ?", f"yearly-{other}")[0]["id"]
    return {"other": other, "own": other, "number": number, "run": house.runs[other], "said": house.said[other],
            "nobody": house.nobody["telegram"].name}


def neighbour(group):
    return MANNED[(MANNED.index(group) + 1) % len(MANNED)]


@pytest.mark.parametrize("group", MANNED[1:])
@pytest.mark.parametrize("role", ("member", "owner"))
def test_commands_about_another_group(house, table, group, role):
    person, other = house.who(group, role), neighbour(group)
    things, before = things_of(house, other), state(house, other)
    for form in table["commands"]:
        if "group" in form["where"] and form["name"] in cases.OTHERS and RANK[role] >= RANK[form["least"]]:
            line = f"{head(group, form['name'])} {cases.OTHERS[form['name']].format(**things)}"
            _, words = house.command(person, line, SAID)
            assert re.search(cases.NOT_YOURS, words), f"{line}: {role} of {group} was told {words!r}"
    assert state(house, other) == before


SAID = r"\w"


def test_members_of_main_have_no_tasks_of_others(house, table):
    """Main's admins reach the tasks of all groups; its members only those of main."""
    person, things, before = house.who("main", "member"), things_of(house, "family"), state(house, "family")
    for form in table["commands"]:
        words = {"run": "{number}", "pause": "family", "resume": "{number}"}.get(form["name"], cases.OTHERS.get(form["name"], ""))
        if form["name"].split()[0] in ("tasks", "run", "pause", "resume") and words and RANK[form["least"]] <= RANK["member"]:
            line = f"{head('main', form['name'])} {words.format(**things)}"
            _, told = house.command(person, line, SAID)
            assert re.search(cases.NOT_YOURS, told), f"{line}: {told!r}"
    assert state(house, "family") == before


@pytest.mark.parametrize("group", MANNED)
def test_members_steer_their_own_tasks(house, group):
    """Not those of others, even in their group."""
    person = house.who(group, "member")
    for verb in ("pause", "resume", "cancel", "run"):
        _, words = house.command(person, f"{head(group, 'tasks ' + verb)} yearly-{group}", SAID)
        assert "others need the role admin" in words, words
    rows = house.rows("SELECT state FROM tasks WHERE name = ?", f"yearly-{group}")
    assert [r["state"] for r in rows] == [0] and "Nothing has run yet" in house.cli("tasks", "runs", f"yearly-{group}")


# --- stop

@pytest.mark.parametrize("group", MANNED)
def test_stop_by_each_role(house, group):
    """A guest's word leaves the turn alone; each other's ends it."""
    gate = house.server.home / "groups" / group / "gate"
    for role in ROLES[1:]:
        mark = house.mark()
        house.who(group, "guest").says("now:\n!bash until [ -e gate ]; do sleep 0.05; done; echo opened", mention=True)
        running = "SELECT t.id FROM turns t JOIN groups g ON g.id = t.group_id WHERE g.name = ? AND t.ended_ms IS NULL"
        turn = house.until(lambda: house.rows(running, group), lambda: f"turn in {group}")[0]["id"]
        mark = house.mark()
        house.who(group, role).says(head(group, "stop"))
        if role == "guest":
            house.until(lambda m=mark: house.acts(m), lambda: "record of it")
            assert not house.acts(mark)[0]["allowed"]
            assert [r["id"] for r in house.rows(running, group)] == [turn]
            gate.write_text("open")
            house.answer(group, mark, "opened")
            gate.unlink()
        else:
            house.answer(group, mark, "told to stop")
            house.answer(group, mark, "^Stopped")
            assert not [a for a in house.answers(group, mark) if "opened" in a]
        house.idle()
    # what was stopped stays in the conversation, and this model does it with what is said next
    gate.write_text("open")
    mark = house.mark()
    house.who(group, "guest").says("hello", mention=True)
    house.answer(group, mark, "opened|hello")
    house.idle()
    gate.unlink()


# --- tools about another group

@pytest.mark.parametrize("group", MANNED[1:])
def test_tools_about_another_group(house, group):
    """On behalf of the owner of one; also the right to give settings or tasks ends there."""
    other = neighbour(group)
    things, before = things_of(house, other), state(house, other)
    calls = [(name, cases.filled(args, things)) for name, args in cases.OTHERS_TOOLS.items()]
    for (name, args), (error, words) in zip(calls, house.calls(house.who(group, "owner"), calls)):
        what = f"{name} {args} in {group}: {words!r}"
        assert error or words == "Nothing found.", what
        assert not names_of_others(words.replace(str(args.get("task")), ""), group), what
    assert state(house, other) == before


def test_no_tool_acts_for_a_stranger(house):
    """A stranger's words never reach the agent, and the sandbox alone, with no turn, may nothing."""
    mark = house.mark()
    house.who("work", "stranger").says("!tool send_message {\"text\": \"pwned\"}", mention=True)
    house.who("work", "guest").says("hello", mention=True)
    house.answer("work", mark, "echo: .*hello")
    assert not [a for a in house.answers("work", mark) if "pwned" in a]


# --- the last: the server starts anew

def test_restart(house):
    """By none of the tries before; by the owner's word."""
    assert len(house.server.log_lines('comp=serve msg="ready"')) == 1
    mark, seen = house.mark(), house.server.bus.mark()
    house.who("main", "owner").says("chela restart")
    house.server.wait_log('comp=serve msg="ready"', 60, seen)
    assert [(a["act"], a["allowed"]) for a in house.acts(mark)] == [("restart", 1)]
    _, words = house.command(house.who("main", "guest"), "chela version", r"chela \d")
    assert words
