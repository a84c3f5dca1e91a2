# SPDX-License-Identifier: Apache-2.0
"""What is said to try each command and each tool of the household, on what, and what has really changed after it.

Owns: per command its words, the thing they are about (made anew for each who may; one for all who may not, which must stay as it is),
and how the effect is seen: in the store, in a file, in the log. Why: a command that answers well and does nothing must fail a test. Must
never: take the answer for the effect.
"""
import itertools

import server as servers
from household import CHATS

NUMBERS = itertools.count(100)
YEARLY = "cron 0 8 1 1 *"
SOMETHING = r"\w"


class Case:
    """words: what follows the command's name; answer: what who may is told; make(h, f) puts the thing's names into f; done(h, f):
    whether it has happened. least: more than the command's own role, for this use of it. once: cannot wait for several."""

    def __init__(self, words="", answer=SOMETHING, make=None, done=None, undo=None, least=None, once=False):
        self.words, self.answer, self.make, self.done = words, answer, make, done
        self.undo, self.least, self.once = undo, least, once

    def prepare(self, h, group, person=None):
        """All that the words name; tasks of members and admins are their own."""
        f = {"n": next(NUMBERS), "own": group, "chat": ":".join(CHATS[group]), "person": person, "log": h.server.bus.mark(),
             "someone": h.people[group, "guest"].name if (group, "guest") in h.people else ""}
        if self.make:
            self.make(h, f)
        return f

    def line(self, form, f):
        return f"{form} {self.words.format(**f)}".rstrip()


def count(h, sql, *args):
    return h.rows(f"SELECT count(*) AS n FROM {sql}", *args)[0]["n"]


# --- tasks

def task(h, f):
    if f["person"] and f["person"].role in ("member", "admin"):
        f["task"] = h.own_task(f["person"])
    else:
        f["task"] = f"thing-{f['n']}"
        h.cli("tasks", "add", f["own"], f["task"], YEARLY, "look")


def paused_task(h, f):
    task(h, f)
    h.cli("tasks", "pause", f["task"])


def task_is(h, f, what, *args):
    return count(h, f"tasks WHERE name = ? AND {what}", f["task"], *args) == 1


def is_paused(h, f):
    return task_is(h, f, "state = 1")


def goes_on(h, f):
    return task_is(h, f, "state = 0")


def is_cancelled(h, f):
    return task_is(h, f, "state = 3")


def has_run(h, f):
    return count(h, "task_runs r JOIN tasks t ON t.id = r.task_id WHERE t.name = ? AND r.manual = 1", f["task"]) == 1


def ended_run(h, f):
    """One of the group's own, that has run to its end."""
    f["run"] = h.first_run(f["own"])


# --- groups

def a_group(h, f):
    f["shed"], f["shed_chat"] = f"shed{f['n']}", f"telegram:-8{f['n']}"
    h.cli("groups", "add", f["shed"], f["shed_chat"])


def paused_group(h, f):
    a_group(h, f)
    h.cli("pause", f["shed"])


def group_paused(want):
    return lambda h, f: count(h, "groups WHERE name = ? AND paused = ?", f["shed"], want) == 1


def has_no_chat(h, f):
    return count(h, "group_chats gc JOIN groups g ON g.id = gc.group_id WHERE g.name = ?", f["shed"]) == 0


def was_removed(h, f):
    return has_no_chat(h, f) and count(h, "groups WHERE name = ? AND removed_ms > 0", f["shed"]) == 1


def was_exported(h, f):
    return len(list((h.server.home / "exports").glob(f"{f['shed']}-*.tar.gz"))) == 1


def set_to(what):
    return lambda h, f: count(h, "groups WHERE name = ? AND settings LIKE ?", f["own"], f'%"{what.format(**f)}"%') == 1


def conversation(h, f):
    h.talk(f["own"])


def is_new(h, f):
    return count(h, "sessions s JOIN groups g ON g.id = s.group_id WHERE g.name = ?", f["own"]) == 0


def is_compacted(h, f):
    return bool(h.server.log_lines(rf'msg="compacted" group={f["own"]} ', f["log"]))


# --- people

def newcomer(h, f):
    f["who"] = h.newcomer()


def guest(h, f):
    newcomer(h, f)
    h.cli("people", "role", f["who"], "guest", "flat")


def guest_and_other(h, f):
    guest(h, f)
    f["also"] = h.newcomer()


def person_of(h, name):
    channel, ident = name.split(":", 1)
    return h.rows("SELECT person_id AS p FROM senders WHERE channel = ? AND platform_id = ?", channel, ident)[0]["p"]


def is_guest(h, f):
    return count(h, "roles r JOIN groups g ON g.id = r.group_id WHERE r.person_id = ? AND g.name = ? AND r.role = 1",
                 person_of(h, f["who"]), f["own"]) == 1


def are_one(h, f):
    return person_of(h, f["also"]) is not None and person_of(h, f["also"]) == person_of(h, f["who"])


def is_forgotten(h, f):
    return person_of(h, f["who"]) is None


def asks(h, f):
    f["ask"], f["who"] = h.asked()


def decided(state, role):
    def done(h, f):
        now = h.rows("SELECT state FROM approvals WHERE id = ?", f["ask"])[0]["state"]
        roles = h.rows("SELECT role FROM roles WHERE person_id = ?", person_of(h, f["who"]))
        return now == state and [r["role"] for r in roles] == [role]
    return done


# --- grants, skills, dead letters

def no_grant(h, f):
    f["from"], f["to"] = ("flat", "project") if f["person"] else ("project", "club")
    h.server.order("grants", "remove", f["from"], "send_message", f["to"])


def grant(h, f):
    f["from"], f["to"] = ("club", "flat") if f["person"] else ("flat", "work")
    h.cli("grants", "add", f["from"], "send_message", f["to"])


def granted(want):
    return lambda h, f: count(h, "grants a JOIN groups g ON g.id = a.group_id JOIN groups t ON t.id = a.target_id"
                                 " WHERE g.name = ? AND t.name = ?", f["from"], f["to"]) == want


def without_skill(h, f):
    f["skill"], f["to"] = "research", "flat" if f["person"] else "project"
    h.server.order("skills", "disable", f["skill"], f["to"])


def with_skill(h, f):
    f["skill"], f["to"] = "formatting", "flat" if f["person"] else "project"
    h.server.order("skills", "enable", f["skill"], f["to"])


def skilled(want):
    return lambda h, f: count(h, "group_skills s JOIN groups g ON g.id = s.group_id WHERE s.skill = ? AND g.name = ?",
                              f["skill"], f["to"]) == want


def changed_skill(h, f):
    f["skill"] = "research"
    path = h.server.home / "skills/research/SKILL.md"
    path.write_text(path.read_text("utf-8") + "One more line.\n", "utf-8")


def is_as_shipped(h, f):
    text = (h.server.home / "skills" / f["skill"] / "SKILL.md").read_bytes()
    return text == (servers.ROOT / "skills" / f["skill"] / "SKILL.md").read_bytes()


def dead_letter(h, f):
    f["letter"] = h.dead_letter()


def letter_is(state):
    return lambda h, f: count(h, "outbox WHERE id = ? AND state = ?", f["letter"], state) == 1


# --- the table

def steer(form):
    return {
        "run": Case("{task}", r"Will run now", task, has_run),
        "pause": Case("{task}", r"Paused: #\d+ ", task, is_paused),
        "resume": Case("{task}", r"Goes on: #\d+ ", paused_task, goes_on),
        "cancel": Case("{task}", r"Cancelled for good: #\d+ ", task, is_cancelled),
    }[form]


COMMANDS = {
    "help": [Case("", r"version")],
    "status": [Case("", r"messages")],
    "chats": [Case("", r"slack:C00GENERAL")],
    "groups list": [Case("", r"family: whatsapp:")],
    "groups add": [Case("attic{n}", r"attic", None, lambda h, f: count(h, "groups WHERE name = ?", f"attic{f['n']}") == 1)],
    "groups show": [Case("", r"trigger")],
    "groups set": [Case("{own} context_age {n}h", r"context_age is", None, set_to("{n}h"))],
    "groups unlink": [Case("{shed_chat}", r"belongs to no group now", a_group, has_no_chat)],
    "groups remove": [Case("{shed}", r"is removed", a_group, was_removed)],
    "groups export": [Case("{shed}", r"Exported: ", a_group, was_exported)],
    "new": [Case("", r"begins a new conversation", conversation, is_new, once=True)],
    "compact": [Case("", r"[Cc]ompacted", conversation, is_compacted, once=True)],
    "model": [Case("", r"the model is"),
              Case("claude-{n}", r"the model is claude-\d+", None, set_to("claude-{n}"),
                   lambda h, f: h.cli("model", "default", f["own"]))],
    "tasks list": [Case("", r"yearly-")],
    "tasks show": [Case("yearly-{own}", r"prompt:\n  look")],
    "tasks runs": [Case("yearly-{own}", r"Nothing has run yet"), Case("once-{own}", r"run \d+ of once-")],
    "tasks output": [Case("{run}", r"echo:.*look", ended_run)],
    "tasks add": [Case('{own} made-{n} "cron 0 8 1 1 *" look around', r"Made: #\d+ made-", None,
                       lambda h, f: count(h, "tasks WHERE name = ? AND prompt = 'look around'", f"made-{f['n']}") == 1)],
    "tasks set": [Case("{task} prompt look there", r"Changed: #\d+ ", task,
                       lambda h, f: task_is(h, f, "prompt = 'look there'"))],
    "tasks pause": [steer("pause")],
    "tasks resume": [steer("resume")],
    "tasks cancel": [steer("cancel")],
    "tasks run": [steer("run")],
    "run": [steer("run")],
    "pause": [steer("pause"), Case("{shed}", r"its tasks do not run", a_group, group_paused(1), least="admin")],
    "resume": [steer("resume"), Case("{shed}", r"its tasks run again", paused_group, group_paused(0), least="admin")],
    "people list": [Case("", r"Guest")],
    "people strangers": [Case("", r"[Ss]tranger|Let one in")],
    "people show": [Case("{someone}", r"Guest")],
    "people role": [Case("{who} guest {own}", r"is guest in", newcomer, is_guest)],
    "people join": [Case("{who} {also}", r"is person \d+ from now on", guest_and_other, are_one)],
    "people forget": [Case("{who}", r"is forgotten", guest, is_forgotten)],
    "people why": [Case("{chat} {someone}", r"Guest")],
    "approvals list": [Case("", r"Newcomer")],
    "approve": [Case("{ask} guest", r"Approved: ", asks, decided(1, 1))],
    "deny": [Case("{ask}", r"Denied: ", asks, decided(2, -1))],
    "grants list": [Case("", r"grant|may send_message")],
    "grants add": [Case("{from} send_message {to}", r"may send messages", no_grant, granted(1))],
    "grants remove": [Case("{from} send_message {to}", r"may not send messages", grant, granted(0))],
    "usage": [Case("", r"turns?\b")],
    "channels": [Case("", r"slack")],
    "channels retry": [Case("console", r"console is up")],  # one that is stuck: test_main_commands.py
    "outbox list": [Case("", r"not to my taste")],
    "outbox all": [Case("", r"not to my taste")],
    "outbox retry": [Case("{letter}", r"1 queued again", dead_letter, letter_is(2))],
    "outbox drop": [Case("{letter}", r"is off the list", dead_letter, letter_is(4))],
    "policy": [Case("", r"sandbox")],
    "skills list": [Case("", r"welcome")],
    "skills show": [Case("welcome", r"welcome")],
    "skills enable": [Case("{skill} {to}", r"has the skill", without_skill, skilled(1))],
    "skills disable": [Case("{skill} {to}", r"no longer has the skill", with_skill, skilled(0))],
    "skills reset": [Case("{skill}", r"is what Chela .* ships", changed_skill, is_as_shipped)],
    "stop": [Case("", r"told to stop|Nothing is going on")],  # a turn that is stopped has a test of its own
    "logs": [Case("", r"comp=")],
    "acts": [Case("", r" chat in main: acts")],
    "version": [Case("", r"chela \d")],
    "reload": [Case("", r"The configuration was read")],
    "restart": [],  # has a test of its own, the last one
}

# The same with another group's things ({other}), said in a group: each command of groups that takes such words.
OTHERS = {
    "groups show": "{other}",
    "groups set": "{other} name Pwned",
    "new": "{other}",
    "compact": "{other}",
    "model": "claude-pwned {other}",
    "people list": "{other}",
    "people role": "{nobody} owner {other}",
    "tasks list": "{other}",
    "tasks show": "yearly-{other}",
    "tasks runs": "yearly-{other}",
    "tasks output": "{run}",
    "tasks pause": "yearly-{other}",
    "tasks resume": "yearly-{other}",
    "tasks cancel": "{number}",
    "tasks run": "{number}",
    "usage": "{other}",
    "stop": "{other}",
}
NAMES_OTHERS = ("GROUP", "NAME", "TASK", "RUN")  # in a command's usage
NOT_YOURS = r"only the main group|only an admin|[Tt]here is no|is no "

# --- tools: arguments, and what is answered; some are about what was made before in the same turn ({n} is its mark)
TOOLS = {
    "send_message": ({"text": "on the way {n}"}, r"^Queued as message \d+ of this chat"),
    "send_file": ({"path": "crab.txt"}, r"^Queued"),
    "react": ({"emoji": "👍"}, r"^Queued|reaction"),
    "edit_message": ({"message_id": "{said}", "text": "other words {n}"}, r"^Queued: message \d+ will get"),
    "ask_user": ({"question": "?", "options": ["a", "a"]}, r"options 1 and 2 are the same"),
    "search_history": ({"query": "first words of {own}"}, r"#\d+"),
    "schedule_create": ({"name": "new-{n}", "prompt": "look", "schedule": YEARLY}, r"^Made: #\d+ new-"),
    "schedule_update": ({"task": "update-{n}", "prompt": "look there"}, r"^Changed: "),
    "schedule_pause": ({"task": "pause-{n}"}, r"^Paused: "),
    "schedule_resume": ({"task": "resume-{n}"}, r"^Goes on: |resume-"),
    "schedule_cancel": ({"task": "cancel-{n}"}, r"^Cancelled"),
    "schedule_run": ({"task": "run-{n}"}, r"^Will run now"),
    "list_tasks": ({}, r"yearly-"),
    "task_runs": ({"task": "yearly-{own}"}, r"Nothing has run yet"),
    "list_groups": ({}, r"main \(main\): slack:"),
    "register_group": ({"name": "cellar{n}"}, r"Made the group cellar"),
    "group_settings": ({}, r"trigger: "),
    "command status": ({}, SOMETHING),
    "command chats": ({}, r"slack:C00GENERAL"),
    "command groups list": ({}, r"family: whatsapp:"),
    "command groups show": ({"words": "family"}, r"trigger"),
    "command tasks list": ({}, r"yearly-"),
    "command tasks show": ({"words": "yearly-main"}, r"prompt:\n  look"),
    "command tasks runs": ({}, r"once-"),
    "command tasks output": ({"words": "{run}"}, r"echo:.*look"),
    "command people list": ({}, r"Guest"),
    "command people strangers": ({}, SOMETHING),
    "command people show": ({"words": "{someone}"}, r"Guest"),
    "command people why": ({"words": "{chat} {someone}"}, r"Guest"),
    "command approvals list": ({}, r"Newcomer"),
    "command grants list": ({}, r"grant|may send_message"),
    "command usage": ({}, SOMETHING),
    "command channels": ({}, r"slack"),
    "command outbox list": ({}, r"not to my taste"),
    "command outbox all": ({}, r"not to my taste"),
    "command policy": ({}, r"sandbox"),
    "command skills list": ({}, r"welcome"),
    "command skills show": ({"words": "welcome"}, r"welcome"),
    "command logs": ({}, r"comp="),
    "command acts": ({}, SOMETHING),
    "command version": ({}, r"chela \d"),
}


def call(name, args):
    """The tool and its arguments, of a name in the table: the read-only commands are one tool."""
    tool, _, line = name.partition(" ")
    return tool, {"command": line, **args} if line else args


STEERED = ("update", "pause", "resume", "cancel", "run")

# What the tools that change something have changed: rows of this query are there when the call was done, and not when it was refused.
CHANGES = {
    "send_message": "SELECT 1 FROM messages m JOIN outbox o ON o.message_id = m.id WHERE m.text = 'on the way {n}' AND o.state < 3",
    "edit_message": "SELECT 1 FROM messages m JOIN outbox o ON o.message_id = m.id WHERE m.text = 'other words {n}' AND o.op = 1"
                    " AND o.state < 3",
    "schedule_create": "SELECT 1 FROM tasks WHERE name = 'new-{n}' AND state = 0",
    "schedule_update": "SELECT 1 FROM tasks WHERE name = 'update-{n}' AND prompt = 'look there'",
    "schedule_pause": "SELECT 1 FROM tasks WHERE name = 'pause-{n}' AND state = 1",
    "schedule_resume": "SELECT 1 FROM tasks WHERE name = 'resume-{n}' AND state = 0 AND next_ms IS NOT NULL",
    "schedule_cancel": "SELECT 1 FROM tasks WHERE name = 'cancel-{n}' AND state = 3",
    "schedule_run": "SELECT 1 FROM tasks t JOIN task_runs r ON r.task_id = t.id WHERE t.name = 'run-{n}' AND r.manual = 1",
    "register_group": "SELECT 1 FROM groups WHERE name = 'cellar{n}'",
}
# The tools that take a group, a task, a chat or a message, with those of another group.
OTHERS_TOOLS = {
    "send_message": {"text": "pwned", "chat": "{other}"},
    "react": {"emoji": "👍", "message_id": "{said}"},
    "edit_message": {"message_id": "{said}", "text": "pwned"},
    "search_history": {"query": "first words of {other}"},
    "schedule_create": {"prompt": "pwned", "schedule": YEARLY, "group": "{other}"},
    "schedule_update": {"task": "yearly-{other}", "prompt": "pwned"},
    "schedule_pause": {"task": "yearly-{other}"},
    "schedule_resume": {"task": "{number}"},
    "schedule_cancel": {"task": "yearly-{other}"},
    "schedule_run": {"task": "{number}"},
    "list_tasks": {"group": "{other}"},
    "task_runs": {"task": "once-{other}"},
    "group_settings": {"group": "{other}", "key": "name", "value": "Pwned"},
}
# those that are about this chat and this folder alone: nothing of another group can be named to them
ABOUT_HERE = {"send_file", "ask_user"}


def filled(args, f):
    """The arguments with the names of things; one that is a number alone becomes one."""
    out = {}
    for key, value in args.items():
        out[key] = value.format(**f) if isinstance(value, str) else value
        if key == "message_id":
            out[key] = int(out[key])
    return out
