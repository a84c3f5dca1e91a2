# SPDX-License-Identifier: Apache-2.0
"""A key and a base URL: the same road leads to that endpoint. A strict fake of the Messages API in its own
process, over TLS with a test CA. The key arrives there and nowhere else; errors end as words in the chat."""
import os
import pathlib
import re

import pytest

import engine
import procs
import testca
from server import cli
from upstream import Upstream

KEY = "sk-ant-test-4f1d2c6b8a90e7d3"
TOKEN = "sk-ant-oat01-test-77ac03be12d9f5"


@pytest.fixture(scope="session")
def certs(tmp_path_factory):
    return testca.make(str(tmp_path_factory.mktemp("certs")))


@pytest.fixture
def upstream(certs):
    u = Upstream(("--api-key", KEY), certs)
    yield u
    u.stop()


def key_file(tmp_path, text, name="key"):
    path = tmp_path / name
    path.write_text(text + "\n", "utf-8")
    path.chmod(0o600)
    return str(path)


def violations(upstream):
    return [r["violation"] for r in upstream.log() if r["violation"]]


def contents(path):
    """What stands in a file; nothing when it has gone meanwhile, or its process has."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def holders(server, secret):
    """Where the secret stands: files of the home, the log, and all of the container that can be seen."""
    found = []
    for folder, _, names in os.walk(server.home):
        for name in names:
            path = pathlib.Path(folder) / name
            if path.is_file() and secret.encode() in contents(path):
                found.append(str(path.relative_to(server.home)))
    container = engine.inspect(server.container()["Id"])
    if secret in str(container):
        found.append("the container's description")
    pid = container["State"]["Pid"]
    for p in [pid, *procs.below(pid)]:
        for what in ("environ", "cmdline"):
            if secret.encode() in contents(pathlib.Path(f"/proc/{p}/{what}")):
                found.append(f"{what} of {procs.comm(p)}")
    return found


@pytest.mark.parametrize("way", ["environment", "file"])
def test_api_key(make_server, upstream, certs, tmp_path, way):
    model = {"ca_file": f"{certs}/ca.pem"}
    env = {}
    if way == "environment":
        env = {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": upstream.url}
    else:
        model |= {"key_file": key_file(tmp_path, KEY), "base_url": upstream.url}
    server = make_server({"model": model}, env=env)
    chat = server.console()
    text = chat.ask("hello")
    assert "echo: " in text and "hello" in text and "demo" not in text
    assert "result: 10001" in chat.ask("!bash id -u")
    log = upstream.log()
    assert len(log) >= 3 and violations(upstream) == []
    for record in log:
        sent = dict(record["headers"])
        assert sent["x-api-key"] == KEY and "authorization" not in sent
        assert sent["host"] == f"localhost:{upstream.port}"
        assert "held-by-the-door" not in str(record)
    assert holders(server, KEY) == []
    inside = chat.ask("!bash env; cat /proc/*/environ 2>/dev/null | tr '\\0' '\\n'; "
                      "grep -rs sk-ant- /session /workspace /tmp; true")
    assert KEY not in inside and "held-by-the-door" in inside
    usage = server.rows("SELECT sum(input), sum(output), min(status) FROM usage")[0]
    assert usage[0] == sum(r["usage"]["input_tokens"] for r in upstream.log())
    assert usage[2] == 200


def test_oauth_bearer(make_server, certs):
    upstream = Upstream(("--bearer", TOKEN), certs)
    try:
        server = make_server({"model": {"ca_file": f"{certs}/ca.pem", "base_url": upstream.url}},
                             env={"CLAUDE_CODE_OAUTH_TOKEN": TOKEN})
        chat = server.console()
        assert "hello" in chat.ask("hello")
        assert violations(upstream) == []
        for record in upstream.log():
            sent = dict(record["headers"])
            assert sent["authorization"] == f"Bearer {TOKEN}" and "x-api-key" not in sent
            assert "oauth-2025-04-20" in sent["anthropic-beta"]
        assert holders(server, TOKEN) == []
    finally:
        upstream.stop()


@pytest.fixture
def faulty(make_server, upstream, certs):
    return make_server({"model": {"ca_file": f"{certs}/ca.pem", "base_url": upstream.url,
                                  "retries": 1}}, env={"ANTHROPIC_API_KEY": KEY})


def test_errors_end_in_words(faulty, upstream):
    """Each kind of failure is told in the chat, and the next message is answered."""
    chat = faulty.console()
    chat.ask("warm up")
    for verb, words in (("!fail 400", "400"), ("!fail 401", "401"), ("!fail 403", "403"),
                        ("!fail 500", "500"), ("!fail 529", "529|[Oo]verloaded"),
                        ("!tear", "."), ("!garbage", "."), ("!overload", "529|[Oo]verloaded")):
        text = chat.failure(chat.say(verb), 40)
        assert "could not answer" in text and re.search(words, text), (verb, text)
        assert "fine after" in chat.ask(f"fine after {verb[1:]}")
    assert KEY not in faulty.log(10000) and violations(upstream) == []
    assert len(faulty.log_lines("sandbox started")) == 1, "an API error is no reason for a new one"


def test_passing_errors_are_overcome(faulty, upstream):
    """The agent's own retries: the chat sees an answer, and signs of life before."""
    chat = faulty.console()
    chat.ask("warm up")
    upstream.order(next=[{"do": "fail", "status": 429, "retry_after": 1}])
    mark = chat.bus.mark()
    assert "echo: " in chat.ask("after 429")
    signs = chat.bus.find(lambda e: e[0] == "chat" and e[2]["ev"] == "progress"
                          and "429" in e[2]["text"], mark)
    assert signs, "nothing was told while the model did not answer"
    upstream.order(next=[{"do": "tear"}])
    assert "after tear" in chat.ask("after tear")


def test_silence_in_the_stream_ends_by_the_turns_limit(make_server, upstream, certs):
    server = make_server({"model": {"ca_file": f"{certs}/ca.pem", "base_url": upstream.url},
                          "sandbox": {"turn_timeout": "30m"}}, env={"ANTHROPIC_API_KEY": KEY})
    chat = server.console()
    chat.ask("warm up")  # the time it takes to start counts, too
    server.rewrite("turn_timeout: 30m", "turn_timeout: 2s")
    cli(server, "reload")
    for verb in ("!hang", "!mute"):
        assert "took longer than 2 s" in chat.failure(chat.say(verb), 30)
    server.rewrite("turn_timeout: 2s", "turn_timeout: 30m")
    cli(server, "reload")
    assert "fine" in chat.ask("fine")


def test_wrong_ca_names_host_and_fix(make_server, upstream, certs, tmp_path):
    other = testca.make(str(tmp_path / "other"))
    server = make_server({"model": {"ca_file": f"{other}/ca.pem", "base_url": upstream.url,
                                    "retries": 0}}, env={"ANTHROPIC_API_KEY": KEY})
    chat = server.console()
    text = chat.failure(chat.say("hello"), 40)
    assert "localhost" in text and "ca_file" in text, text
    assert upstream.log() == [] and KEY not in server.log(10000)


def test_endpoint_away(make_server, certs, upstream):
    upstream.stop()
    server = make_server({"model": {"ca_file": f"{certs}/ca.pem", "base_url": upstream.url,
                                    "retries": 0}}, env={"ANTHROPIC_API_KEY": KEY})
    text = server.console().failure(server.consoles[0].say("hello"), 40)
    assert "localhost" in text and "connect" in text.lower(), text


def test_wrong_key(make_server, certs, upstream):
    server = make_server({"model": {"ca_file": f"{certs}/ca.pem", "base_url": upstream.url,
                                    "retries": 0}}, env={"ANTHROPIC_API_KEY": "sk-ant-wrong-0001"})
    text = server.console().failure(server.consoles[0].say("hello"), 40)
    assert "Invalid API key" in text, text
    assert "model.key_file" in server.wait_log("comp=model.*status=401")
    assert "sk-ant-wrong-0001" not in server.log(10000)
