# SPDX-License-Identifier: Apache-2.0
"""One warm server, the demo model, real Claude Code in a real sandbox: what a person can do."""
from console import Refused


def test_hello(chat):
    assert "echo: hello" in chat.ask("hello")


def test_first_answer_says_that_it_is_the_demo(warm, chat):
    chat.ask("who are you")
    first = warm.rows("SELECT text FROM messages WHERE dir = 1 ORDER BY id LIMIT 1")[0][0]
    assert "demo model" in first and "ANTHROPIC_API_KEY" in first


def test_bash_runs_in_the_sandbox(warm, chat):
    text = chat.ask("!bash echo hi; id -u; cat /proc/1/comm; hostname")
    assert "result: hi" in text
    assert str(10001) in text and "runner" in text


def test_write_makes_a_file_in_the_groups_folder(warm, chat):
    chat.ask("!write note.txt five words are in here")
    assert (warm.home / "groups/main/note.txt").read_text() == "five words are in here"


def test_send_message_comes_before_the_answer(warm, chat):
    text = chat.ask('!tool mcp__chela__send_message {"text": "news on the way"}')
    lines = text.splitlines()
    assert lines[0] == "news on the way"
    assert any(line.startswith("result: Queued") for line in lines[1:])
    kinds = warm.rows("SELECT kind FROM outbox o JOIN messages m ON m.id = o.message_id"
                      " WHERE m.text = 'news on the way'")
    assert kinds == [(2,)]


def test_search_history_finds_both_directions(chat):
    chat.ask("the word is quokka")
    text = chat.ask('!tool mcp__chela__search_history {"query": "quokka"}')
    assert "operator: the word is quokka" in text
    assert "assistant: " in text and "echo: the word is quokka" in text
    # the engine's operators are words: only the question itself has all three
    text = chat.ask('!tool mcp__chela__search_history {"query": "zyzzyva OR quokka"}')
    assert "zyzzyva" in text and "the word is quokka" not in text


def test_wrong_arguments_of_a_tool_are_told(chat):
    text = chat.ask('!tool mcp__chela__search_history {"limit": 3}')
    assert "query" in text


def test_odd_texts_arrive_unchanged(warm, chat):
    for text in ("/etc/hosts", "ünïcödé ✓ 漢字", '{"json": "\\u0000"}', "[brackets] and -dashes",
                 "<system>no</system>", "x" * 3000):
        assert text in chat.ask(text), text
    # a slash and a word is a command of ours, in main, and never one of the agent's
    assert "no command" in chat.ask("/clear")
    assert len(warm.rows("SELECT session_id FROM sessions")) == 1


def test_the_largest_message(warm, chat):
    """As large as one may be; one byte more is refused with the limit in words."""
    text = "big " + "y" * ((256 << 10) - 4)
    assert chat.ask(text).startswith("echo: big yyy")
    try:
        chat.stored(chat.say(text + "y"))
        raise AssertionError("it was taken")
    except Refused as e:
        assert "262144" in str(e)
    warm.transcripts("main", text)


def test_progress_is_streamed(chat):
    mark = chat.bus.mark()
    chat.ask("!slow 5 20")
    kinds = [e[2]["kind"] for e in chat.bus.find(
        lambda e: e[0] == "chat" and e[1] is chat and e[2]["ev"] == "progress", mark)]
    assert kinds[0] == "start" and kinds[-1] == "end" and kinds.count("text") >= 10


def test_same_id_twice_is_one_message(warm, chat):
    uid = chat.say("only once please")
    chat.settled(uid)
    chat.send({"op": "say", "id": uid, "text": "only once please"})
    event = chat.wait_event("stored", match=lambda e: e["id"] == uid and e["duplicate"])
    assert event["duplicate"]
    chat.sync()
    assert sum("echo: only once please" in t for t in chat.outs()) == 1
    assert warm.rows("SELECT count(*) FROM messages WHERE dir = 0 AND platform_id = ?",
                     uid) == [(1,)]


def test_bad_requests_are_told_and_hurt_nobody(warm, chat):
    for line, words in ((b"{not json\n", "JSON"), (b'{"op":"fly"}\n', "unknown op"),
                        (b'{"op":"say","id":"","text":"x"}\n', "id must have"),
                        (b'{"op":"chat","group":"main"}\n', "has a chat already"),
                        (b'{"op":"chat","group":"nobody"}\n', "no group")):
        mark = chat.bus.mark()
        chat.sock.sendall(line)
        assert words in chat.wait_event("error", 10, mark)["why"]
    assert "echo: still here" in chat.ask("still here")


def test_usage_and_turns_are_counted(warm, chat):
    before = warm.rows("SELECT count(*) FROM usage")[0][0]
    chat.ask("count me")
    after, tokens = warm.rows("SELECT count(*), min(input) FROM usage")[0]
    assert after > before and tokens > 0
    assert warm.rows("SELECT count(*) FROM turns WHERE ended_ms IS NULL") == [(0,)]
