# SPDX-License-Identifier: Apache-2.0
"""Requests to the gateway that must not get anywhere: raw bytes to the runner's port, and what came
back. ARGS: the port of a process of the host. Prints the statuses; nothing above 2xx is expected."""
import socket

from common import ARGS, Report

r = Report()
host = ARGS[0]
OK_BODY = b'{"model":"smuggled","max_tokens":1,"messages":[{"role":"user","content":"smuggled"}]}'


def head(line, *more, host_line="Host: 127.0.0.1:2435"):
    lines = [line] + ([host_line] if host_line else []) + list(more)
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


LEN = f"Content-Length: {len(OK_BODY)}"
SMUGGLED = head("POST /v1/files?smuggled=1 HTTP/1.1", "Content-Length: 0")
attacks = {
    "CONNECT": head("CONNECT api.anthropic.com:443 HTTP/1.1"),
    "CONNECT host": head(f"CONNECT 127.0.0.1:{host} HTTP/1.1", host_line=f"Host: 127.0.0.1:{host}"),
    "CONNECT local": head("CONNECT 127.0.0.1:2435 HTTP/1.1"),
    "proxy GET": head(f"GET http://127.0.0.1:{host}/ HTTP/1.1"),
    "proxy metadata": head("GET http://169.254.169.254/latest/meta-data/ HTTP/1.1"),
    "proxy https": head("GET https://api.anthropic.com/v1/models HTTP/1.1"),
    "absolute form": head("POST http://127.0.0.1:2435/v1/messages HTTP/1.1", LEN) + OK_BODY,
    "file": head("GET file:///etc/passwd HTTP/1.1"),
    "asterisk": head("OPTIONS * HTTP/1.1"),
    "HTTP/1.0": head("POST /v1/messages HTTP/1.0", LEN) + OK_BODY,
    "HTTP/0.9": b"GET /v1/models\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9),
    "TLS": b"\x16\x03\x01\x00\x05hello\r\n\r\n",
    "upgrade": head("POST /v1/messages HTTP/1.1", "Connection: Upgrade", "Upgrade: h2c", LEN) + OK_BODY,
    "websocket": head("GET /v1/messages HTTP/1.1", "Connection: Upgrade", "Upgrade: websocket"),
    "foreign host": head("POST /v1/messages HTTP/1.1", LEN, host_line="Host: evil.example") + OK_BODY,
    "foreign host port": head("POST /v1/messages HTTP/1.1", LEN,
                              host_line="Host: 127.0.0.1.evil.example:2435") + OK_BODY,
    "host with user": head("POST /v1/messages HTTP/1.1", LEN,
                           host_line="Host: 127.0.0.1@evil.example") + OK_BODY,
    "no host": head("POST /v1/messages HTTP/1.1", LEN, host_line=None) + OK_BODY,
    "two hosts": head("POST /v1/messages HTTP/1.1", "Host: localhost", LEN) + OK_BODY,
    "CL and TE": head("POST /v1/messages HTTP/1.1", "Content-Length: 5",
                      "Transfer-Encoding: chunked") + b"0\r\n\r\n" + SMUGGLED,
    "two CL": head("POST /v1/messages HTTP/1.1", "Content-Length: 5", "Content-Length: 0") +
    b"hello" + SMUGGLED,
    "CL list": head("POST /v1/messages HTTP/1.1", "Content-Length: 0, 0") + SMUGGLED,
    "CL +": head("POST /v1/messages HTTP/1.1", "Content-Length: +0") + SMUGGLED,
    "CL hex": head("POST /v1/messages HTTP/1.1", "Content-Length: 0x5") + SMUGGLED,
    "CL negative": head("POST /v1/messages HTTP/1.1", "Content-Length: -1") + SMUGGLED,
    "CL huge": head("POST /v1/messages HTTP/1.1", "Content-Length: 99999999999999999999") + SMUGGLED,
    "TE twice": head("POST /v1/messages HTTP/1.1", "Transfer-Encoding: chunked",
                     "Transfer-Encoding: chunked") + b"0\r\n\r\n" + SMUGGLED,
    "TE list": head("POST /v1/messages HTTP/1.1", "Transfer-Encoding: gzip, chunked") +
    b"0\r\n\r\n" + SMUGGLED,
    "TE tricks": head("POST /v1/messages HTTP/1.1", "Transfer-Encoding: xchunked") + SMUGGLED,
    "TE space": head("POST /v1/messages HTTP/1.1", "Transfer-Encoding : chunked") + SMUGGLED,
    "folded": head("POST /v1/messages HTTP/1.1", "X-A: b", " Transfer-Encoding: chunked") + SMUGGLED,
    "bare LF": b"POST /v1/messages HTTP/1.1\nHost: localhost\nContent-Length: 0\n\n" + SMUGGLED,
    "bare CR": b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nX: a\rContent-Length: 0\r\n\r\n",
    "NUL": b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n",
    "chunk size": head("POST /v1/messages HTTP/1.1", "Transfer-Encoding: chunked") +
    b"fffffffffffffffff\r\n" + SMUGGLED,
    "chunk without end": head("POST /v1/messages HTTP/1.1", "Transfer-Encoding: chunked") +
    b"1\r\nab\r\n0\r\n\r\n" + SMUGGLED,
    "long head": b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\n" + b"X: " + b"a" * 65536 + b"\r\n\r\n",
    "many headers": head("POST /v1/messages HTTP/1.1", *[f"X-{i}: 1" for i in range(500)]),
    "query with line": head("GET /v1/models?a=%0d%0aX:1 HTTP/1.1"),
    "query with at": head("GET /v1/models?@evil.example/ HTTP/1.1"),
    "query long": head("GET /v1/models?" + "a" * 5000 + " HTTP/1.1"),
    "space in path": head("GET /v1/models /../files HTTP/1.1"),
}
for path in ("/v1/../v1/files", "/v1/messages/../files", "/v1/messages/..%2ffiles", "//v1/messages",
             "/v1//messages", "/./v1/messages", "/v1/messages/", "/v1/messages%00", "/V1/MESSAGES",
             "/v1/messages;x=1", "/v1/messages#x", "/v1/messages/batches", "/v1/files", "/v1/complete",
             "/v1/organizations/api_keys", "/v1/models/../files", "/@evil.example/v1/messages",
             "/v1/messages/count_tokens/../batches", "/mcp/../v1/files", "/control", "/status",
             "/.env", "/etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/\\evil.example", "/v1%2fmessages"):
    attacks[f"path {path}"] = head(f"POST {path} HTTP/1.1", LEN) + OK_BODY
for method in ("GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "HEAD", "PROPFIND", "POSTX", "post"):
    attacks[f"{method} messages"] = head(f"{method} /v1/messages HTTP/1.1")
    attacks[f"{method} count"] = head(f"{method} /v1/messages/count_tokens HTTP/1.1")
for method in ("POST", "PUT", "DELETE", "OPTIONS"):
    attacks[f"{method} models"] = head(f"{method} /v1/models HTTP/1.1", "Content-Length: 0")
    attacks[f"{method} root"] = head(f"{method} / HTTP/1.1", "Content-Length: 0")


def ask(data, half_close=True):
    with socket.create_connection(("127.0.0.1", 2435), timeout=40) as s:
        s.sendall(data)
        if half_close:
            try:
                s.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # answered and broken off already: the answer, if any, is still to be read
        got = b""
        try:
            while chunk := s.recv(65536):
                got += chunk
        except ConnectionError:
            pass
        return got


answers = {}
for name, data in attacks.items():
    got = ask(data)
    r.tried += 1
    statuses = [line.split()[1].decode() for line in got.split(b"\r\n") if line.startswith(b"HTTP/1.")]
    answers[name] = statuses
    if any(s.startswith(("2", "3")) for s in statuses):
        r.hole(f"{name}: {statuses} {got[:120]!r}")
    if b"smuggled" in got:
        r.hole(f"{name}: answered {got[-200:]!r}")
# After a refusal nothing more is read from the connection as if it were a request.
for name, data in (("after CONNECT", attacks["CONNECT"]), ("after CL and TE", attacks["CL and TE"])):
    got = ask(data + head("GET /v1/models HTTP/1.1"))
    r.check(f"{name}: {got[:300]!r}", got.count(b"HTTP/1.1 ") == 1)
# Our own headers do not get through; the test looks at what the upstream saw of this one.
forged = head("POST /v1/messages HTTP/1.1", LEN, "x-api-key: forged-by-the-agent",
              "Authorization: Bearer forged-by-the-agent", "Cookie: forged-by-the-agent",
              "Proxy-Authorization: Basic forged-by-the-agent", "X-Forwarded-For: forged-by-the-agent",
              "anthropic-version: 2023-06-01", "X-Api-Key: forged-by-the-agent-2",
              "Connection: close, x-api-key", "Content-Type: application/json",
              "X-Unknown: forged-by-the-agent", "X-Http-Method-Override: DELETE", "Te: trailers",
              "Forwarded: for=forged-by-the-agent", "Anthropic-Organization: forged-by-the-agent")
body = b'{"model":"claude-test","max_tokens":16,"messages":[{"role":"user","content":"forged"}]}'
forged = forged.replace(LEN.encode(), b"Content-Length: %d" % len(body))
got = ask(forged + body, half_close=False)
r.check(f"the plain request: {got[:300]!r}", got.startswith(b"HTTP/1.1 "))
r.seen["answers"] = answers
r.seen["forged"] = got.decode("utf-8", "replace")[:4000]
r.end()
