# SPDX-License-Identifier: Apache-2.0
"""A household under one server: main and five groups over three platforms, twenty people with their roles.

Owns: who is who and where, what they say, what they hear, and what the server put on record of it. Why: tests of who may do what
need the same people everywhere. Must never: take silence for an answer; what must not be answered is followed by something that is.
"""
import json
import re
import sqlite3

import platforms

ROLES = ("stranger", "guest", "member", "admin", "owner")
# group -> (platform, chat)
CHATS = {
    "main": ("slack", "C000SECRET"),
    "work": ("slack", "C00GENERAL"),
    "family": ("whatsapp", "120363000000000001@g.us"),
    "flat": ("whatsapp", "120363000000000002@g.us"),
    "club": ("telegram", "-2001"),
    "project": ("telegram", "-1003001"),
}
# where people introduce themselves: main lets no stranger speak
LOBBY = {"slack": "work", "whatsapp": "family", "telegram": "club"}
# groups whose every role has a person of its own
MANNED = ("main", "work", "family", "club")
# a sandbox answers MCP calls at this address: what the agent's own client speaks to
SCRIPT = r"""
n=0
while IFS= read -r body; do
  n=$((n+1))
  exec 3<>/dev/tcp/127.0.0.1/2435 || exit 1
  printf 'POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:2435\r\nContent-Type: application/json\r\n' >&3
  printf 'Connection: close\r\nContent-Length: %d\r\n\r\n%s' ${#body} "$body" >&3
  { printf '\n== %d\n' $n; cat <&3; } >> /workspace/.answers
  exec 3<&-
done < /workspace/.calls
echo called $n
"""


def squeezed(text):
    """Without what markup may change."""
    return re.sub(r"[\W_]+", "", text)


class Person:
    def __init__(self, house, group, role, platform, ident):
        self.house, self.group, self.role, self.platform, self.id = house, group, role, platform, ident

    @property
    def name(self):
        return f"{self.platform}:{self.id}"

    def says(self, text, group=None, **more):
        """Says it in a group's chat; gives the platform's id of it."""
        platform, chat = CHATS[group or self.group]
        assert platform == self.platform
        return self.house.fake(platform).inject(do="message", chat=chat, user=self.id, text=text, **more)[0]


class Household:
    def __init__(self, folder, runtime="runc", config=None):
        import server as servers
        self.world = platforms.Platforms(folder, folder / "home", speed=1000)
        tree = servers.merged(self.world.config(), {"sandbox": {"max_live": 8}})
        self.server = servers.Server(folder / "home", servers.merged(tree, config or {}),
                                     {"runtime": runtime})
        self.people, self.nobody = {}, {}
        self.newcomers, self.asking, self.letters, self.tasks = [], [], [], {}
        self.said, self.runs = {}, {}

    def fake(self, platform):
        return self.world.fakes[platform]

    # -- setting up

    def open(self):
        self.server.start()
        for group, (platform, chat) in CHATS.items():
            self.cli("groups", "add", group, f"{platform}:{chat}")
            if group != "main":
                self.cli("groups", "set", group, "strangers", "allow")
        self.world.ready()
        for group in MANNED:
            for role in ROLES[1:]:
                self.people[group, role] = self.person(group, role)
        for platform, group in LOBBY.items():
            self.nobody[platform] = self.person(group, "stranger")
        self.blocked = self.person("work", "blocked")
        everyone = [*self.people.values(), *self.nobody.values(), self.blocked]
        assert len(everyone) == 20
        mark = self.mark()
        for p in everyone:
            p.says("/version", LOBBY[p.platform])
        self.until(lambda: len(self.acts(mark)) == 20, lambda: "answer to each")
        for p in everyone:
            if p.role != "stranger":
                self.cli("people", "role", p.name, p.role, p.group)
        for group in CHATS:
            if group != "main":
                self.cli("groups", "set", group, "strangers", "ask")
            self.cli("tasks", "add", group, f"yearly-{group}", "cron 0 8 1 1 *", "look")
        return self

    # -- things to be used up: each try has one of its own

    def stock(self):
        """Strangers who were seen, strangers who ask to be let in, dead letters; in each group a message of the agent's, and a run."""
        fake, (platform, chat) = self.fake("whatsapp"), CHATS["flat"]
        self.cli("groups", "set", "flat", "strangers", "allow")
        ids = [fake.call("user", name=f"Newcomer {i}")["id"] for i in range(36)]
        fake.inject(*({"do": "message", "chat": chat, "user": i, "text": "good morning"} for i in ids[:26]))
        seen = "SELECT count(*) AS n FROM messages WHERE dir = 0 AND text = 'good morning'"
        self.until(lambda: self.rows(seen)[0]["n"] == 26, lambda: "newcomers")
        self.newcomers = [f"{platform}:{i}" for i in ids[:26]]
        self.cli("groups", "set", "flat", "strangers", "ask")
        fake.inject(*({"do": "message", "chat": chat, "user": i, "text": "let me in", "mention": True} for i in ids[26:]))
        open_ones = ("SELECT a.id, s.channel || ':' || s.platform_id AS who FROM approvals a JOIN senders s ON s.id = a.sender_id"
                     " WHERE a.state = 0 ORDER BY 1")
        self.until(lambda: len(self.rows(open_ones)) == 10, lambda: "those who ask")
        self.asking = [(r["id"], r["who"]) for r in self.rows(open_ones)]
        letters = self._lose_letters()
        for group in MANNED:
            mark = self.mark()
            self.who(group, "guest").says(f'so:\n!tool send_message {{"text": "first words of {group}"}}', mention=True)
            self.answer(group, mark, "result: ")
            self.cli("tasks", "add", group, f"once-{group}", "cron 0 8 1 1 *", "look")
            self.cli("tasks", "run", f"once-{group}")
        sent = "SELECT m.id FROM messages m JOIN outbox o ON o.message_id = m.id WHERE m.text = ? AND m.dir = 1 AND o.state = 2"
        ended = "SELECT r.id FROM task_runs r JOIN tasks t ON t.id = r.task_id WHERE t.name = ? AND r.state = 3"
        for group in MANNED:
            self.said[group] = self.until(lambda g=group: self.rows(sent, f"first words of {g}"), lambda: "message")[0]["id"]
            self.runs[group] = self.until(lambda g=group: self.rows(ended, f"once-{g}"), lambda: "end of a run")[0]["id"]
        letters()
        return self

    def _lose_letters(self):
        """The platform refuses what is said in the project's chat; gives a function that waits for all of it to be given up."""
        fake, (platform, chat), mark = self.fake("telegram"), CHATS["project"], self.mark()
        guest = self.people["project", "guest"] = Person(self, "project", "guest", platform, self.nobody[platform].id)
        self.cli("people", "role", guest.name, "guest", "project")
        fake.call("fault", method="sendMessage", chat=chat, do="error", error=400, count=0,
                  description="Bad Request: message text is not to my taste")
        for _ in range(6):
            guest.says("/version")
        dead = "SELECT id FROM outbox WHERE state = 3 AND message_id > ?"

        def wait():
            self.until(lambda: len(self.rows(dead, mark[0])) == 6, lambda: "dead letters")
            fake.call("clear")
            self.letters = [r["id"] for r in self.rows(dead, mark[0])]
        return wait

    def newcomer(self):
        return self.newcomers.pop()

    def asked(self):
        """(number of an approval, who asks)"""
        return self.asking.pop()

    def dead_letter(self):
        return self.letters.pop()

    def first_run(self, group):
        return self.runs[group]

    def own_task(self, person):
        """A task that this person had the agent make."""
        free = self.tasks.setdefault(person.name, [])
        if not free:
            names = [f"own-{person.group}-{person.role}-{i}" for i in range(14)]
            made = self.calls(person, [("schedule_create", {"name": n, "prompt": "look", "schedule": "cron 0 8 1 1 *"})
                                       for n in names])
            assert not [words for error, words in made if error], made
            free += names
        return free.pop()

    def talk(self, group):
        """The agent has a conversation there, and nothing to do."""
        mark = self.mark()
        self.who(group, "guest").says("hello", mention=True)
        self.answer(group, mark, "echo:[^!]*hello")
        self.idle()

    def idle(self):
        """All that was said is done with; what is to be sent may wait, for platforms take only so many messages a minute."""
        self.server.quiet(outbox=False)

    def person(self, group, role):
        platform, chat = CHATS[group]
        name = f"{group.title()} {role.title()}"
        ident = self.fake(platform).call("user", name=name)["id"]
        return Person(self, group, role, platform, ident)

    def close(self):
        try:
            self.server.close()
        finally:
            self.world.close()

    def who(self, group, role):
        """Whoever has this role there; a stranger of that platform."""
        if role == "stranger":
            p = self.nobody[CHATS[group][0]]
            return Person(self, group, role, p.platform, p.id)
        return self.people[group, role]

    def cli(self, *words):
        status, said = self.server.order(*words)
        assert status == 0, f"chela {' '.join(words)}: {said}"
        return said

    # -- what is said and answered: as the store has it, for platforms take only one message a second in a chat

    def rows(self, sql, *args):
        db = sqlite3.connect(f"file:{self.server.home / 'chela.db'}?mode=ro", uri=True, timeout=10)
        db.row_factory = sqlite3.Row
        try:
            return db.execute(sql, args).fetchall()
        finally:
            db.close()

    def mark(self):
        return (self.rows("SELECT coalesce(max(id), 0) AS n FROM messages")[0]["n"],
                self.rows("SELECT coalesce(max(id), 0) AS n FROM acts")[0]["n"])

    def answers(self, group, mark, notice=0):
        """The texts that we have put into a group's chat since then; notice 1: what is ours, and not the agent's."""
        platform, chat = CHATS[group]
        return [r["text"] for r in self.rows(
            "SELECT m.text FROM messages m JOIN chats c ON c.id = m.chat_id WHERE m.dir = 1"
            " AND c.channel = ? AND c.platform_id = ? AND m.id > ? AND m.notice >= ? ORDER BY m.id",
            platform, chat, mark[0], notice)]

    def answer(self, group, mark, regex, timeout=60, notice=0):
        """The first of them that matches."""
        want = re.compile(regex, re.M)
        found = self.until(lambda: [a for a in self.answers(group, mark, notice) if want.search(a)],
                           lambda: f"/{regex}/ in {group}; there is {self.answers(group, mark)}", timeout)
        return found[0]

    def acts(self, mark, via="chat"):
        """The record since then, of what was said in chats."""
        return self.rows("SELECT * FROM acts WHERE id > ? AND via = ? ORDER BY id", mark[1], via)

    def taken_in(self, group):
        """All that was said so far has reached the server: platforms may hand it over in another order."""
        self.fake(CHATS[group][0]).wait(what="idle", timeout=30)

    def until(self, ready, what, timeout=60):
        return self.server.until(ready, what, timeout)

    def shown(self, group, since, answers):
        """The platform itself shows all of these in the group's chat; since: the number of the newest message before."""
        platform, chat = CHATS[group]
        fake = self.fake(platform)
        missing = {a: squeezed(a)[:80] for a in answers}

        def all_there():
            there = squeezed("\n".join(m["plain"] for m in fake.messages(chat=chat, **platforms.FROM_BOT) if m["n"] > since))
            for a in [a for a, words in missing.items() if words in there]:
                del missing[a]
            return not missing
        self.until(all_there, lambda: f"{list(missing)} in {platform}:{chat}", 120)

    def newest(self, group):
        platform, chat = CHATS[group]
        return platforms.newest(self.fake(platform), chat)

    def command(self, person, line, regex, group=None):
        """Says a command, and gives (allowed, words): as it is on record, and as the chat is told."""
        mark = self.mark()
        person.says(line, group)
        words = self.answer(group or person.group, mark, regex, notice=1)
        acts = self.acts(mark)
        assert len(acts) == 1, f"{line}: on record are {[a['act'] for a in acts]}; told was {words!r}"
        return bool(acts[0]["allowed"]), words

    # -- what the agent calls

    def calls(self, person, calls, group=None, timeout=60):
        """One turn on behalf of this person, in which the agent's sandbox calls these (tool, arguments). Gives (error, words)
        of each."""
        group = group or person.group
        folder = self.server.home / "groups" / group
        self.lay(folder, calls)
        mark = self.mark()
        person.says("so:\n!bash bash /workspace/.calls.sh", group, mention=True)
        self.answer(group, mark, f"called {len(calls)}$", timeout)
        return self.results(folder, len(calls))

    @staticmethod
    def lay(folder, calls):
        """What the sandbox is to call, and how, in its folder."""
        lines = [json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                             "params": {"name": name, "arguments": args}}) for name, args in calls]
        for name, text in ((".calls", "\n".join(lines) + "\n"), (".calls.sh", SCRIPT), (".answers", "")):
            path = folder / name
            path.write_text(text, "utf-8")
            path.chmod(0o666)

    @staticmethod
    def results(folder, count):
        text = (folder / ".answers").read_bytes().decode()
        parts = re.split(r"\n== \d+\n", text)[1:]
        assert len(parts) == count, text
        out = []
        for part in parts:
            body = json.loads(part.split("\r\n\r\n", 1)[1])
            if "error" in body:
                out.append((True, body["error"]["message"]))
            else:
                out.append((body["result"]["isError"], body["result"]["content"][0]["text"]))
        return out
