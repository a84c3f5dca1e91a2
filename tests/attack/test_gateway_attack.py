# SPDX-License-Identifier: Apache-2.0
"""The gateway lets nothing out but the model API's own paths, and no key in."""
import http.server
import json
import os
import re
import socket
import threading

import engine
import procs
import server as servers
from attacker import content

CANARY = "held-by-the-door"  # what the agent gets for a key: it has to be found by the same search


def test_no_other_way_through_the_gateway(target):
    target.chat().ask("warm up")
    target.upstream.forget()
    mark = target.server.bus.mark()
    with socket.create_server(("127.0.0.1", 0), backlog=64) as bait:
        got = target.refuted("http", bait.getsockname()[1], least=95)
        bait.setblocking(False)
        try:
            raise AssertionError(f"a connection came out: {bait.accept()}")
        except BlockingIOError:
            pass
    assert {"CONNECT", "proxy GET", "CL and TE"} <= got["answers"].keys()
    for name, statuses in got["answers"].items():  # an answer, not a hang-up that says nothing
        # (what goes wrong in the middle is broken off, and the reset may overtake the answer)
        broken_off = name.startswith("chunk") or name == "long head"
        assert statuses and statuses[0][0] in "45" or broken_off, (name, statuses)
    log = target.upstream.log()
    assert {r["path"] for r in log} <= {"/v1/messages", "/v1/messages/count_tokens"}
    assert {r["method"] for r in log} == {"POST"}
    assert "smuggled" not in json.dumps(log)
    told = target.server.log_lines("refused", mark)
    assert any("CONNECT" in x for x in told), "a refusal is not in the log"
    assert len(told) >= 5
    # the forged headers: the right key once, nothing else of what was sent along
    mine = [r for r in log if r["texts"] == ["forged"]]
    assert len(mine) == 1, [r["texts"] for r in log]
    names = [n for n, _ in mine[0]["headers"]]
    assert [v for n, v in mine[0]["headers"] if n == "x-api-key"] == [target.key]
    assert "forged-by-the-agent" not in json.dumps(mine[0]["headers"]), mine[0]["headers"]
    assert not {"authorization", "cookie", "proxy-authorization", "te", "forwarded"} & set(names)
    assert target.key not in got["forged"]


def test_no_key_inside(target):
    """Files, environments, command lines, memory; and what the engine and the home folder hold."""
    target.chat().ask("the key is used")
    assert target.upstream.log(), "the upstream was never asked: there was no key to find"
    got = target.refuted("secrets", target.key[::-1], CANARY[::-1], least=20)
    assert "environ" in got["canary"] and got["looked"]["environ"] >= 2, got
    if target.runtime == "runc":  # gVisor has no /proc/PID/mem to read
        assert "mem" in got["canary"], got
    assert target.key not in json.dumps(target.container())
    held = [p for top, _, names in os.walk(target.server.home) for p in (f"{top}/{name}" for name in names)
            if os.path.isfile(p) and target.key.encode() in content(p)]
    assert held == []
    pid = target.container()["State"]["Pid"]
    seen = {(p, what): content(f"/proc/{p}/{what}") for p in [pid, *procs.below(pid)] for what in ("environ", "cmdline")}
    assert any(seen.values()), "nothing of a process could be read"
    assert not [where for where, text in seen.items() if target.key.encode() in text]


class Mirror(http.server.BaseHTTPRequestHandler):
    """An upstream that gives back what it got: headers of every kind, and the key in an error."""

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        key = self.headers.get("x-api-key", "")
        self.server.seen.append(key)
        body = json.dumps({"type": "error", "error": {
            "type": "invalid_request_error", "message": f"bad key {key} was sent"}}).encode()
        self.send_response(400)
        for name in ("Set-Cookie", "X-Api-Key", "Authorization", "X-Echo", "Location",
                     "Www-Authenticate", "Proxy-Authenticate", "Alt-Svc", "Via"):
            self.send_header(name, f"mirrored {key}")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_answers_bring_nothing_in(sandboxes, tmp_path):
    """Headers of the upstream that are not for the agent stay out; and the key, even when an upstream
    repeats it."""
    mirror = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
    mirror.seen = []
    threading.Thread(target=mirror.serve_forever, daemon=True).start()
    key = "sk-ant-marker-5b1f0e4477a94c31a8d3"
    url = f"http://127.0.0.1:{mirror.server_address[1]}"
    server = servers.Server(tmp_path / "home", {"model": {"retries": 0}},
                            env={"ANTHROPIC_API_KEY": key, "ANTHROPIC_BASE_URL": url})
    try:
        server.start()
        chat = server.console()
        words = chat.failure(chat.say("hello"))
        assert key in mirror.seen
        # the agent's own socket, by the agent's user, as the agent asks
        script = ("import urllib.request as u\n"
                  "q=u.Request('http://127.0.0.1:2435/v1/messages',b'{}',{'content-type':'application/json'})\n"
                  "try: a=u.build_opener(u.ProxyHandler({})).open(q)\n"
                  "except u.HTTPError as e: a=e\n"
                  "print(a.status); print(a.headers, a.read().decode())\n")
        cid = server.container()["Id"]
        got = run_inside(cid, script)
        assert got.startswith("400") and "bad key" in got, got
        names = {x.split(":")[0].lower() for x in got.splitlines() if re.match(r"[\w-]+: ", x)}
        assert "content-type" in names and not names & {
            "set-cookie", "x-api-key", "authorization", "x-echo", "location", "www-authenticate",
            "proxy-authenticate", "alt-svc", "via"}, got
        assert key not in got, got
        assert key not in words, words
        assert key not in server.log(1000)
        assert key not in str(server.rows("SELECT text FROM messages"))
    finally:
        server.close()
        mirror.shutdown()
        mirror.server_close()


def run_inside(cid, script):
    import subprocess
    assert engine.inspect(cid)["State"]["Running"]
    out = subprocess.run(["docker", "exec", "-i", "-u", "10001", cid, "python3", "-"], input=script,
                         text=True, capture_output=True, timeout=60, check=False)
    return out.stdout + out.stderr
