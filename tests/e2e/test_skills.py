# SPDX-License-Identifier: Apache-2.0
"""Skills, with the real Claude Code: it lists those that its group has, reads them with its own Skill tool, cannot change
them, and is given another set once a command has changed it."""
import secrets

import engine
import pytest
import server as servers
from server import cli
from upstream import Upstream


# sets of skills are the server's; only how they are mounted is the kernel's
OWN = pytest.mark.parametrize("house", servers.OWN_RUNTIMES, indirect=True, scope="module")


@pytest.fixture(params=servers.RUNTIMES, scope="module")
def house(request, sandboxes, tmp_path_factory):
    """The fake of the model's API behind it, whose record shows what the agent tells the model."""
    if request.param not in engine.runtimes():
        pytest.skip(f"the engine has no runtime {request.param}")
    key = "sk-ant-skills-" + secrets.token_hex(16)
    upstream = Upstream(("--api-key", key))
    server = servers.Server(tmp_path_factory.mktemp(f"skills-{request.param}"),
                            policy={"runtime": request.param},
                            env={"ANTHROPIC_API_KEY": key, "ANTHROPIC_BASE_URL": upstream.url})
    server.start()
    server.cli("groups", "add", "kin")
    server.upstream = upstream
    yield server
    server.close()
    upstream.stop()


def told_to_the_model(server, chat):
    """All text of the last call that the chat's message made."""
    server.upstream.forget()
    chat.ask("what skills are there")
    calls = [r for r in server.upstream.log(1) if r["path"] == "/v1/messages"]
    return "".join(str(r["body"]) for r in calls)


def has(chat, name):
    """The old talk still names a skill that was taken away: only its use tells."""
    said = chat.ask(f'!tool Skill {{"skill": "{name}"}}', 60)
    assert ("Unknown skill" in said) != ("Launching skill" in said), said
    return "Launching skill" in said


def test_the_agent_lists_and_reads_them(house):
    chat = house.console("kin")
    told = told_to_the_model(house, chat)
    for name in ("welcome", "formatting", "schedules"):
        # each by its own description, which is what the model chooses by
        text = (house.home / "skills" / name / "SKILL.md").read_text("utf-8")
        description = text.split("description: ", 1)[1].split("\n", 1)[0]
        assert description[:60] in told, name
    assert "How to run this server from main" not in told, "a skill of main's in another group"
    assert has(chat, "schedules")
    calls = [r for r in house.upstream.log(1) if r["path"] == "/v1/messages"]
    assert "There is no other clock here: no cron" in str(calls[-1]["body"]), "it did not read it"


def test_none_can_be_changed(house):
    said = house.console("kin").ask(
        "!bash cd /skills/.claude/skills; for f in welcome welcome/SKILL.md . ; do "
        "touch $f 2>/dev/null && echo touched $f; done; echo x >> welcome/SKILL.md; mv welcome w; "
        "rm -rf welcome; mkdir more; echo *; head -2 welcome/SKILL.md; grep ' /skills/' /proc/self/mounts", 60)
    assert "touched" not in said and "name: welcome" in said, said
    assert "formatting schedules welcome\n" in said and " ro" in said.split("/skills/", 1)[1], said


@OWN
def test_another_one_is_given_by_command(house):
    chat = house.console("kin")
    chat.ask("warm up")
    mark = house.bus.mark()
    assert "from the next message on" in cli(house, "skills", "enable", "research", "kin")
    house.wait_log("sandbox ended.*group=kin", 30, mark)
    assert "How to work on a question over several steps" in told_to_the_model(house, chat)
    assert "research" in cli(house, "skills", "list", "kin")
    shown = cli(house, "skills", "show", "research")
    assert "in kin since" in shown and "first given to kin" in shown
    assert has(chat, "research")
    cli(house, "skills", "disable", "research", "kin")
    assert not has(chat, "research") and has(chat, "welcome")
    assert "only in main" in cli(house, "skills", "enable", "admin", "kin", status=1)
    assert "skills/nope" in cli(house, "skills", "enable", "nope", "kin", status=1)


@OWN
def test_one_of_ours_that_was_changed_can_be_taken_back(house):
    path = house.home / "skills/formatting/SKILL.md"
    ours = path.read_text("utf-8")
    path.write_text(ours + "And no emoji.\n", "utf-8")
    assert "changed by you; back to ours: chela skills reset formatting" in cli(house, "skills", "list")
    said = cli(house, "skills", "reset", "formatting")
    assert path.read_text("utf-8") == ours
    kept = said.split("is kept in ", 1)[1].strip().rstrip(".")
    assert (house.home / kept / "SKILL.md").read_text("utf-8").endswith("And no emoji.\n")
    assert "changed by you" not in cli(house, "skills", "show", "formatting")
    assert "already" in cli(house, "skills", "reset", "formatting", status=2)


@OWN
def test_a_folder_of_ones_own(house):
    """What an operator puts there: found, used, and told of when it changes; a link in it is refused."""
    own = house.home / "skills" / "garden"
    own.mkdir()
    text = "---\nname: garden\ndescription: Knows the {} beds of the garden.\nallowed-tools: Read\n---\n"
    (own / "SKILL.md").write_text(text.format("three"), "utf-8")
    main = house.console("main")
    main.ask("good day")
    cli(house, "skills", "enable", "garden", "main")
    assert "Knows the three beds" in told_to_the_model(house, main)
    (own / "SKILL.md").write_text(text.format("four"), "utf-8")
    mark = house.bus.mark()
    assert "with another content" in cli(house, "skills", "show", "garden")
    cli(house, "skills", "enable", "research", "main")
    house.wait_log("sandbox ended.*group=main", 30, mark)
    assert "Knows the four beds" in told_to_the_model(house, main)
    house.wait_log('comp=skills msg="changed" group=main skill=garden', 30, mark)
    assert "no skill \"garden\" comes with Chela" in cli(house, "skills", "reset", "garden", status=1)
    (own / "passwords").symlink_to("/etc/shadow")
    mark = house.bus.mark()
    assert "is a link" in cli(house, "skills", "enable", "garden", "kin", status=2)
    cli(house, "skills", "disable", "research", "main")
    house.wait_log("sandbox ended.*group=main", 30, mark)
    assert not has(main, "garden") and has(main, "admin")
    house.wait_log('comp=skills msg="withheld" group=main skill=garden', 30, mark)
