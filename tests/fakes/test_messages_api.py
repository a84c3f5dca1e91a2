# SPDX-License-Identifier: Apache-2.0
"""The fake of the Messages API does what it says: it refuses, answers, fails and records.

Nothing but HTTP over loopback, with the standard library's client; the fake runs as its own
process and ends with its standard input.
"""
import copy
import http.client
import json
import pathlib
import ssl
import subprocess
import sys
import threading

import pytest

import testca

HERE = pathlib.Path(__file__).parent
KEY, TOKEN, CONTROL = "sk-test-1", "oat-test-1", "control-test-1"
HEADERS = {"x-api-key": KEY, "anthropic-version": "2023-06-01",
           "content-type": "application/json"}
TOOLS = [{"name": n, "description": "d", "input_schema": {"type": "object"}}
         for n in ("Bash", "Write", "mcp__chela__send_message")]


class Fake:
    def __init__(self, *args, auth=("--api-key", KEY), tls=None):
        cmd = [sys.executable, str(HERE / "messages_api.py"), "--stdin", "--control-token",
               CONTROL, *auth, *args]
        self.proc = subprocess.Popen(cmd, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.port = json.loads(self.proc.stdout.readline())["port"]
        self.tls = tls

    def connect(self):
        if self.tls:
            return http.client.HTTPSConnection("localhost", self.port, timeout=5, context=self.tls)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)

    def ask(self, body, headers=None, path="/v1/messages?beta=true", method="POST"):
        """(status, headers, bytes); the connection is closed after it."""
        conn = self.connect()
        raw = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        conn.request(method, path, raw, HEADERS if headers is None else headers)
        resp = conn.getresponse()
        try:
            return resp.status, resp.headers, resp.read()
        finally:
            conn.close()

    def control(self, method, path, body=None, token=CONTROL):
        status, _, data = self.ask(body, {"x-control-token": token}, path, method)
        return status, data

    def log(self, least):
        status, data = self.control("GET", "/__log?min=%d&path=/v1/messages" % least)
        assert status == 200
        return json.loads(data)

    def stop(self):
        self.proc.stdin.close()
        assert self.proc.wait(5) == 0
        self.proc.stdout.close()


@pytest.fixture(scope="module")
def shared():
    fake = Fake()
    yield fake
    fake.stop()


@pytest.fixture
def fake(shared):
    assert shared.control("POST", "/__control", {"reset": True})[0] == 200
    assert shared.control("DELETE", "/__log")[0] == 200
    return shared


def body_of(*messages, **more):
    messages = [{"role": "user", "content": m} if isinstance(m, str) else m for m in messages]
    return {"model": "m", "max_tokens": 100, "messages": messages, "tools": TOOLS, **more}


def events(data):
    """The (event, data) pairs of an SSE body."""
    out = []
    for part in data.decode().strip().split("\n\n"):
        kind, line = part.split("\n")
        assert kind.startswith("event: ") and line.startswith("data: ")
        out.append((kind[7:], json.loads(line[6:])))
    return out


def answer(fake, *messages, **more):
    status, _, data = fake.ask(body_of(*messages, **more))
    assert status == 200, data
    return json.loads(data)


def text(fake, *messages, **more):
    return answer(fake, *messages, **more)["content"][0]["text"]


def use(tid, name="Bash"):
    return {"role": "assistant",
            "content": [{"type": "tool_use", "id": tid, "name": name, "input": {}}]}


def result(tid, content, *more):
    return {"role": "user", "content": [{"type": "tool_result", "tool_use_id": tid,
                                         "content": content}, *more]}


def test_stream_is_the_exact_sequence(fake):
    status, headers, data = fake.ask(body_of("hello there you", stream=True))
    assert status == 200 and headers["content-type"].startswith("text/event-stream")
    got = events(data)
    kinds = [k for k, _ in got]
    assert kinds == ["message_start", "content_block_start", "ping"] + \
        ["content_block_delta"] * 4 + ["content_block_stop", "message_delta", "message_stop"]
    assert all(d["type"] == k for k, d in got)
    assert "".join(d["delta"]["text"] for k, d in got if k == "content_block_delta") == \
        "echo: hello there you"
    assert got[0][1]["message"]["usage"]["input_tokens"] > 0
    delta = got[-2][1]
    assert delta["delta"]["stop_reason"] == "end_turn" and delta["usage"]["output_tokens"] > 1
    assert fake.log(1)[0]["usage"] == delta["usage"]


def test_stream_false_gives_the_same_as_json(fake):
    got = answer(fake, "hello")
    assert got["content"] == [{"type": "text", "text": "echo: hello"}]
    assert got["stop_reason"] == "end_turn" and got["role"] == "assistant"
    assert answer(fake, "hello")["content"] == got["content"]


@pytest.mark.parametrize("line, name, arg", [
    ("!bash ls -l  /x", "Bash", {"command": "ls -l  /x", "description": "run it"}),
    ("[Ann 12:03] !bash id", "Bash", {"command": "id", "description": "run it"}),
    ("!write /w/f some text", "Write", {"file_path": "/w/f", "content": "some text"}),
    ('!tool mcp__chela__send_message {"text": "hi"}', "mcp__chela__send_message", {"text": "hi"}),
])
def test_verbs_use_tools(fake, line, name, arg):
    got = answer(fake, line)
    assert got["stop_reason"] == "tool_use"
    assert got["content"][0]["name"] == name and got["content"][0]["input"] == arg
    _, _, data = fake.ask(body_of(line, stream=True))
    parts = [d["delta"]["partial_json"] for k, d in events(data) if k == "content_block_delta"]
    assert json.loads("".join(parts)) == arg


def test_verbs_that_cannot_be_done_are_said(fake):
    assert "no tool named Nope" in text(fake, "!tool Nope {}")
    assert "not JSON" in text(fake, "!tool Bash {x")
    assert "must be an object" in text(fake, "!tool Bash [1]")
    assert len(text(fake, "!long 1000")) == 1000


def test_tool_result_ends_the_turn(fake):
    assert text(fake, "!bash id", use("t1"), result("t1", "uid=1")) == "result: uid=1"
    assert text(fake, "!bash id", use("t1"),
                result("t1", [{"type": "text", "text": "uid=2"}])) == "result: uid=2"


def test_reminders_are_left_out_and_merged_messages_echoed_each(fake):
    note = {"type": "text", "text": "<system-reminder>\nold\n</system-reminder>\n"}
    blocks = [note, {"type": "text", "text": "one\ntwo"}]
    assert text(fake, {"role": "user", "content": blocks}, "three") == \
        "echo: one\necho: two\necho: three"
    assert fake.log(1)[0]["texts"] == ["one", "two", "three"]


def test_messages_written_during_a_turn_are_read_in_both_forms(fake):
    late = "The user sent a new message while you were working:\n%s\n\nThis is how Claude Code …"
    both = late % "a" + "\n\n" + late % "b"
    want = "result: r\necho: a\necho: b"
    system = {"role": "system", "content": [{"type": "text", "text": both}]}
    assert text(fake, "!bash id", use("t1"), result("t1", "r"), system) == want
    inside = "r\n\n" + "\n".join("<system-reminder>\n%s\n</system-reminder>" % (late % x)
                                 for x in "ab")
    assert text(fake, "!bash id", use("t1"), result("t1", inside)) == want


def no(**change):
    def spoil(body, headers):
        headers.update({k.replace("_", "-"): v for k, v in change.items() if v is not None})
        for k in [k for k, v in change.items() if v is None]:
            del headers[k.replace("_", "-")]
    return spoil


def put(**change):
    return lambda body, headers: body.update(change)


CACHED = [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}] * 5
BAD = {
    "no key": (401, no(x_api_key=None)),
    "wrong key": (401, no(x_api_key="sk-other")),
    "both credentials": (401, no(authorization="Bearer " + KEY)),
    "no version": (400, no(anthropic_version=None)),
    "content type": (400, no(content_type="text/plain")),
    "hop by hop": (400, no(proxy_authorization="Basic x")),
    "unknown key": (400, put(prompt="x")),
    "no model": (400, put(model="")),
    "max_tokens": (400, put(max_tokens=0)),
    "max_tokens bool": (400, put(max_tokens=True)),
    "stream": (400, put(stream="yes")),
    "no messages": (400, put(messages=[])),
    "role": (400, put(messages=[{"role": "tool", "content": "x"}])),
    "assistant first": (400, put(messages=[{"role": "assistant", "content": "x"}])),
    "extra in a message": (400, put(messages=[{"role": "user", "content": "x", "name": "n"}])),
    "empty text": (400, put(messages=[{"role": "user",
                                       "content": [{"type": "text", "text": ""}]}])),
    "block type": (400, put(messages=[{"role": "user", "content": [{"type": "tool_use"}]}])),
    "no result": (400, put(messages=[{"role": "user", "content": "x"}, use("t"),
                                     {"role": "user", "content": "y"}])),
    "open tool_use": (400, put(messages=[{"role": "user", "content": "x"}, use("t")])),
    "stray result": (400, put(messages=[result("t", "x")])),
    "result twice": (400, put(messages=[
        {"role": "user", "content": "x"}, use("t"),
        result("t", "r", {"type": "tool_result", "tool_use_id": "t"})])),
    "id twice": (400, put(messages=[{"role": "user", "content": "x"}, use("t"), result("t", "r"),
                                    use("t"), result("t", "r")])),
    "tool twice": (400, put(tools=TOOLS + TOOLS[:1])),
    "tool name": (400, put(tools=[{"name": "a b", "input_schema": {"type": "object"}}])),
    "tool schema": (400, put(tools=[{"name": "a", "input_schema": {"type": "array"}}])),
    "five cache marks": (400, put(system=CACHED)),
    "thinking": (400, put(thinking={"type": "enabled", "budget_tokens": 5000})),
}


@pytest.mark.parametrize("name", BAD)
def test_refuses(fake, name):
    status, spoil = BAD[name]
    body, headers = copy.deepcopy(body_of("x")), dict(HEADERS)
    spoil(body, headers)
    got, head, data = fake.ask(body, headers)
    error = json.loads(data)
    assert got == status and error["type"] == "error" and head["request-id"]
    assert error["error"]["type"] == {400: "invalid_request_error",
                                      401: "authentication_error"}[status]
    record = fake.log(1)[0]
    assert record["violation"] == error["error"]["message"] and record["status"] == status


def test_refuses_what_is_no_request(fake):
    assert fake.ask(b"{", path="/v1/messages")[0] == 400
    assert fake.ask(b"[]", path="/v1/messages")[0] == 400
    assert fake.ask(None, path="/v1/messages", method="GET")[0] == 405
    assert fake.ask(body_of("x"), path="/v1/files")[0] == 404
    assert fake.ask(body_of("x"), path="/v1/messages?x=1")[0] == 400


def test_count_tokens(fake):
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
    status, _, data = fake.ask(body, path="/v1/messages/count_tokens?beta=true")
    assert status == 200 and json.loads(data)["input_tokens"] > 0
    assert fake.ask(body_of("x"), path="/v1/messages/count_tokens")[0] == 400


def test_bearer_mode():
    fake = Fake(auth=("--bearer", TOKEN))
    try:
        head = {**HEADERS, "authorization": "Bearer " + TOKEN}
        assert fake.ask(body_of("x"), head)[0] == 401  # the key as well
        del head["x-api-key"]
        assert fake.ask(body_of("x"), head)[0] == 401  # the beta of OAuth is missing
        head["anthropic-beta"] = "a-1, oauth-2025-04-20"
        assert fake.ask(body_of("x"), head)[0] == 200
        head["authorization"] = "Bearer other"
        assert fake.ask(body_of("x"), head)[0] == 401
        assert fake.ask(body_of("x"))[0] == 401
    finally:
        fake.stop()


def test_fail_by_words(fake):
    status, headers, data = fake.ask(body_of("!fail 429 7"))
    assert status == 429 and headers["retry-after"] == "7"
    assert json.loads(data)["error"]["type"] == "rate_limit_error"
    assert fake.ask(body_of("!fail 529"))[0] == 529
    assert fake.ask(body_of("!fail 500 times=1"))[0] == 500
    assert fake.ask(body_of("!fail 500 times=1"))[0] == 200
    assert text(fake, "!fail 500", "go on") == "echo: !fail 500\necho: go on"
    assert [r["fault"] for r in fake.log(5)] == ["fail", "fail", "fail", None, None]


def test_fail_by_control(fake):
    order = {"next": [{"do": "fail", "status": 529, "count": 2},
                      {"do": "fail", "status": 402, "message": "no credit"}]}
    assert fake.control("POST", "/__control", order)[0] == 200
    got = [fake.ask(body_of("x")) for _ in range(4)]
    assert [g[0] for g in got] == [529, 529, 402, 200]
    assert json.loads(got[2][2])["error"] == {"type": "billing_error", "message": "no credit"}
    assert fake.control("POST", "/__control", {"next": [{"do": "dance"}]})[0] == 400
    assert fake.control("POST", "/__control", {"nxt": []})[0] == 400


def test_tear_garbage_overload(fake):
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        fake.ask(body_of("!tear", stream=True))
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        fake.ask(body_of("!tear"))
    assert [r["aborted"] for r in fake.log(2)] == [True, True]
    status, _, data = fake.ask(body_of("!garbage", stream=True))
    assert status == 200 and b"{not json" in data
    _, _, data = fake.ask(body_of("!overload", stream=True))
    kind, last = events(data)[-1]
    assert kind == "error" and last["error"]["type"] == "overloaded_error"


def test_hang_and_mute_end_when_the_client_leaves(fake):
    conn = fake.connect()
    conn.request("POST", "/v1/messages", json.dumps(body_of("!hang", stream=True)), HEADERS)
    resp = conn.getresponse()
    assert resp.status == 200 and resp.readline() == b"event: message_start\n"
    resp.close()
    conn.close()
    assert fake.log(1)[0]["aborted"]
    conn = fake.connect()
    conn.request("POST", "/v1/messages", json.dumps(body_of("!mute")), HEADERS)
    conn.close()
    record = fake.log(2)[1]
    assert record["aborted"] and record["status"] is None and record["fault"] == "mute"


def test_gate_holds_the_stream_until_it_is_opened(fake):
    conn = fake.connect()
    conn.request("POST", "/v1/messages", json.dumps(body_of("!gate g1 end", stream=True)), HEADERS)
    resp = conn.getresponse()
    seen = b""
    while b"before" not in seen:
        seen += resp.readline()
    rest = []
    reader = threading.Thread(target=lambda: rest.append(resp.read()))
    reader.start()
    assert fake.log(0) == []
    assert fake.control("POST", "/__control", {"open": ["g1"]})[0] == 200
    reader.join(5)
    conn.close()
    assert not reader.is_alive() and b"end" in rest[0] and b"message_stop" in rest[0]


def test_slow_gives_every_word(fake):
    _, _, data = fake.ask(body_of("!slow 5 a b c", stream=True))
    parts = [d["delta"]["text"] for k, d in events(data) if k == "content_block_delta"]
    assert parts == ["echo: ", "a ", "b ", "c"]


def test_control_needs_its_token(fake):
    for method, path in (("GET", "/__log"), ("DELETE", "/__log"), ("POST", "/__control")):
        assert fake.control(method, path, {}, token="other")[0] == 403


def test_tls_log_file_and_host_name(tmp_path):
    ca = testca.make(str(tmp_path / "ca"))
    other = testca.make(str(tmp_path / "other"))
    trust = ssl.create_default_context(cafile=ca + "/ca.pem")
    log = tmp_path / "log.jsonl"
    fake = Fake("--cert", ca + "/server.pem", "--key", ca + "/server.key", "--log", str(log),
                "--name", "localhost", tls=trust)
    try:
        assert fake.ask(body_of("secure"))[0] == 200
        assert fake.ask(body_of("x"), {**HEADERS, "host": "example.org"})[0] == 400
        fake.tls = ssl.create_default_context(cafile=other + "/ca.pem")
        with pytest.raises(ssl.SSLCertVerificationError):
            fake.ask(body_of("x"))
    finally:
        fake.stop()
    records = [json.loads(line) for line in log.read_text().splitlines()]
    assert [r["status"] for r in records] == [200, 400]
    assert records[0]["texts"] == ["secure"] and ["x-api-key", KEY] in records[0]["headers"]


def test_expired_certificate_is_refused(tmp_path):
    ca = testca.make(str(tmp_path / "ca"), days=-1)
    fake = Fake("--cert", ca + "/server.pem", "--key", ca + "/server.key",
                tls=ssl.create_default_context(cafile=ca + "/ca.pem"))
    try:
        with pytest.raises(ssl.SSLCertVerificationError):
            fake.ask(body_of("x"))
    finally:
        fake.stop()
