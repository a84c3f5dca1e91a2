# SPDX-License-Identifier: Apache-2.0
"""What the fake model answers: a pure function of the request.

Owns: reading the user's own words out of a request, and the little language in them.
Why: the product's demo model speaks the same language, so one test reads the same for both.
Must never: do I/O, or answer differently for the same request.

The language, a line of the user's text each; a `[...]` head before a verb is passed over:
  !bash CMD           tool_use Bash {"command": CMD}
  !write FILE TEXT    tool_use Write {"file_path": FILE, "content": TEXT}
  !tool NAME JSON     tool_use NAME with that input
  !slow MS TEXT       echo TEXT, MS milliseconds before each further word
  !gate NAME TEXT     half an echo, then nothing until the control endpoint opens NAME
  !long N             N bytes of text
  !fail STATUS [RETRY_AFTER]    an API error (only as the last line of the request, as all faults)
  !tear               the connection is cut in the middle of the answer
  !garbage            nonsense with status 200
  !overload           status 200, then an `error` event in the stream
  !hang               headers and a first event, then silence
  !mute               no answer, not even headers
  anything else       echo: LINE
A fault may end in `times=N`: only the first N such requests are failed.
After tool results, the text is `result: ...` for each, then whatever the user wrote meanwhile.
"""
import json
import re

from messages_check import blocks_of

FAULTS = ("fail", "tear", "garbage", "overload", "hang", "mute")
# what is not said now: the agent's reminders, and what the router puts before a message (its tags stand at
# the start of a line, those that people write do not)
REMINDER = re.compile(r"<system-reminder>.*?</system-reminder>"
                      r"|^<(earlier-conversation|context|facts)\b.*?^</\1>$", re.S | re.M)
# How the agent hands in what the user wrote during a turn. It stands in a system message or, with
# a model that knows no such role, in a reminder at the end of a tool's result.
MEANWHILE = re.compile(
    r"The user sent a new message while you were working:\n(.*?)\n\nThis is how Claude Code", re.S)
HEAD = re.compile(r"^\[[^\]\n]*\]\s+(?=!)")


def result_text(block):
    inner = block.get("content", "")
    if isinstance(inner, list):
        inner = "\n".join(b.get("text", "") for b in inner if b["type"] == "text")
    return inner


def read(messages):
    """(texts of the user, results of tools) since the last assistant message, in order."""
    last = max((i for i, m in enumerate(messages) if m["role"] == "assistant"), default=-1)
    texts, results = [], []
    for m in messages[last + 1:]:
        for b in blocks_of(m):
            if b["type"] not in ("text", "tool_result"):
                continue
            raw = b["text"] if b["type"] == "text" else result_text(b)
            meanwhile = [t for late in MEANWHILE.findall(raw) for t in late.strip().split("\n")]
            plain = REMINDER.sub("", raw).strip()
            if b["type"] == "tool_result":
                results.append(plain)
            elif m["role"] == "user" and plain and not meanwhile:
                texts += plain.split("\n")
            texts += meanwhile
    return texts, results


class Plan:
    """blocks: the content of the answer; fault: None or {"do", "key", "times", ...};
    pause: seconds between deltas; gate: the name that holds the answer in its middle."""

    def __init__(self, number):
        self.number = number
        self.blocks = []
        self.fault = None
        self.pause = 0.0
        self.gate = None

    def text(self, text):
        if self.blocks and self.blocks[-1]["type"] == "text":
            self.blocks[-1]["text"] += "\n" + text
        else:
            self.blocks.append({"type": "text", "text": text})

    def tool(self, name, arg, have):
        if name not in have:
            return self.text("echo: there is no tool named " + name)
        tid = "toolu_fake%08d" % (self.number * 100 + len(self.blocks))
        self.blocks.append({"type": "tool_use", "id": tid, "name": name, "input": arg})

    def set_fault(self, verb, words, line):
        times = [int(w[6:]) for w in words if re.match(r"^times=\d+$", w)]
        numbers = [int(w) for w in words if w.isdigit()]
        self.fault = {"do": verb, "key": line, "times": times[0] if times else None}
        if verb == "fail":
            self.fault["status"] = numbers[0] if numbers else 500
            self.fault["retry_after"] = numbers[1] if len(numbers) > 1 else None


def plan_tool(plan, rest, have):
    name, _, text = rest.partition(" ")
    try:
        arg = json.loads(text or "{}")
    except ValueError as e:
        return plan.text("echo: !tool: not JSON: %s" % e)
    if not isinstance(arg, dict):
        return plan.text("echo: !tool: the input must be an object")
    plan.tool(name, arg, have)


def plan_line(plan, line, have, is_last):
    command = HEAD.sub("", line)
    verb, _, rest = command.partition(" ")
    rest = rest.strip()
    words = rest.split()
    if verb[:1] == "!" and verb[1:] in FAULTS:
        if is_last:
            plan.set_fault(verb[1:], words, line)
        plan.text("echo: " + line)
    elif verb == "!bash" and rest:
        plan.tool("Bash", {"command": rest, "description": "run it"}, have)
    elif verb == "!write" and len(words) > 1:
        path, text = rest.split(None, 1)
        plan.tool("Write", {"file_path": path, "content": text}, have)
    elif verb == "!tool" and rest:
        plan_tool(plan, rest, have)
    elif verb == "!slow" and len(words) > 1 and words[0].isdigit():
        plan.pause = int(words[0]) / 1000
        plan.text("echo: " + rest.split(None, 1)[1])
    elif verb == "!gate" and rest:
        plan.gate = words[0]
        plan.text("echo: before the gate | after the gate " + " ".join(words[1:]))
    elif verb == "!long" and len(words) == 1 and words[0].isdigit():
        size = int(words[0])
        plan.text(("0123456789abcde " * (size // 16 + 1))[:size] or "-")
    else:
        plan.text("echo: " + line)


def make_plan(body, number):
    """number: of the request; only ids depend on it."""
    plan = Plan(number)
    texts, results = read(body["messages"])
    have = {t["name"] for t in body.get("tools", [])}
    for r in results:
        plan.text("result: " + r)
    for i, t in enumerate(texts):
        plan_line(plan, t, have, i == len(texts) - 1)
    if not plan.blocks:
        plan.text("echo: ")
    return plan


def pieces(block):
    """The deltas of one block, at most about 400."""
    if block["type"] == "tool_use":
        whole = json.dumps(block["input"])
        half = len(whole) // 2
        return [{"type": "input_json_delta", "partial_json": p}
                for p in ("", whole[:half], whole[half:])]
    words = re.findall(r"\S+\s*|\s+", block["text"])
    step = max(1, len(words) // 400)
    return [{"type": "text_delta", "text": "".join(words[i:i + step])}
            for i in range(0, len(words), step)]
