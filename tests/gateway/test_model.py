# SPDX-License-Identifier: Apache-2.0
"""The model proxy against the strict fake of the Messages API, each in its own process, over TLS
with a test CA: the key is put in on the way, the stream passes, a foreign certificate is refused.
"""
import http.client
import json
import os
import pathlib
import subprocess
import sys

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
FAKES = TOP / "tests" / "fakes"
sys.path.insert(0, str(FAKES))
import testca  # noqa: E402 (from the folder above)

KEY, CONTROL = "sk-test-gateway-0123456789", "control-test-1"
HEADERS = {"content-type": "application/json", "anthropic-version": "2023-06-01",
           "x-api-key": "dummy", "authorization": "Bearer dummy", "host": "127.0.0.1:2435"}


def body(text, stream=True):
    return json.dumps({"model": "claude-test", "max_tokens": 100, "stream": stream,
                       "messages": [{"role": "user", "content": text}]})


class Process:
    """A server that prints {"port":N} and ends with its standard input."""

    def __init__(self, *command):
        self.child = subprocess.Popen([str(c) for c in command], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.port = json.loads(self.child.stdout.readline())["port"]

    def stop(self):
        """Ends it in order; gives what it wrote to stderr."""
        return self.child.communicate(timeout=20)[1].decode("utf-8", "replace")

    def ask(self, method, path, data=None, headers=None):
        conn = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        conn.request(method, path, data, HEADERS if headers is None else headers)
        answer = conn.getresponse()
        try:
            return answer.status, answer.headers, answer.read().decode()
        finally:
            conn.close()


@pytest.fixture(scope="module")
def program():
    variant = pathlib.Path(os.environ.get("CHELA_BIN", "build/release/chela")).parent.name
    path = f"build/{variant}/mcp_server"
    subprocess.run(["make", "--no-print-directory", f"VARIANT={variant}", path], cwd=TOP,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    return TOP / path


@pytest.fixture
def start(program, tmp_path):
    """start(ca): the fake over TLS and the gateway in front of it, which trusts `ca`."""
    running = []
    key = tmp_path / "key"
    key.write_text(KEY + "\n")
    key.chmod(0o600)
    ours = testca.make(str(tmp_path / "ours"), ["localhost"], 2)

    def go(ca=None):
        fake = Process(sys.executable, FAKES / "messages_api.py", "--stdin", "--api-key", KEY,
                       "--control-token", CONTROL, "--cert", f"{ours}/server.pem",
                       "--key", f"{ours}/server.key")
        running.append(fake)
        gateway = Process(program, f"https://localhost:{fake.port}", key, ca or f"{ours}/ca.pem")
        running.append(gateway)
        return gateway

    yield go
    texts = [p.stop() for p in reversed(running)]
    assert all(p.child.returncode == 0 for p in running), texts
    assert not any(KEY in t for t in texts), "the key is in a log"


def test_a_stream_passes(start):
    gateway = start()
    status, headers, text = gateway.ask("POST", "/v1/messages?beta=true", body("hello"))
    assert status == 200 and headers["content-type"].startswith("text/event-stream"), text
    assert headers["request-id"].startswith("req_")
    said = "".join(json.loads(line[6:]).get("delta", {}).get("text", "")
                   for line in text.splitlines() if line.startswith("data: "))
    assert said == "echo: hello"
    assert text.rstrip().endswith('data: {"type": "message_stop"}')


def test_a_whole_message_and_an_error_pass(start):
    gateway = start()
    status, _, text = gateway.ask("POST", "/v1/messages", body("hello", stream=False))
    assert status == 200 and json.loads(text)["content"][0]["text"] == "echo: hello"
    status, headers, text = gateway.ask("POST", "/v1/messages", body("!fail 429 9"))
    assert (status, headers["retry-after"]) == (429, "9")
    assert json.loads(text)["error"]["type"] == "rate_limit_error"


def test_a_large_request_passes(start):
    gateway = start()
    text = "x" * (8 << 20)
    status, _, answer = gateway.ask("POST", "/v1/messages/count_tokens", json.dumps(
        {"model": "claude-test", "messages": [{"role": "user", "content": text}]}))
    assert status == 200 and json.loads(answer)["input_tokens"] > len(text) // 4


def test_a_torn_stream_is_torn_here_too(start):
    gateway = start()
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        gateway.ask("POST", "/v1/messages", body("!tear"))


def test_a_foreign_certificate_is_refused(start, tmp_path):
    foreign = testca.make(str(tmp_path / "foreign"), ["localhost"], 2)
    gateway = start(f"{foreign}/ca.pem")
    status, _, text = gateway.ask("POST", "/v1/messages", body("hello"))
    error = json.loads(text)["error"]
    assert (status, error["type"]) == (502, "api_error")
    assert "certificate" in error["message"] and "model.ca_file" in error["message"]
    assert "localhost" in error["message"] and KEY not in text
