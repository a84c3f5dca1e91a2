#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A runner that has been taken over. It stands in the place of the real one in a variant of the image, and
does what /workspace/rogue says; without that file it is the real one.

Owns: the sandbox's side of the door, spoken wrongly in one way a mode.
"""
import json
import os
import select
import struct
import sys
import time

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONT = range(10)


def orders():
    """Read as the agent's user: uid 0 has no power over another's folder here."""
    ours, theirs = os.pipe()
    if os.fork() == 0:
        os.setgid(10001)
        os.setuid(10001)
        try:
            os.write(theirs, open("/workspace/rogue", "rb").read(4096))
        except OSError:
            pass
        os._exit(0)
    os.close(theirs)
    text = os.read(ours, 4096).decode()
    os.wait()
    return text.split()


def send(data):
    view = memoryview(data)
    while view:
        view = view[os.write(1, view[:1 << 20]):]


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + \
        struct.pack(">I", stream) + payload


def number(n, bits, top=0):
    most = (1 << bits) - 1
    if n < most:
        return bytes([top | n])
    out, n = [top | most], n - most
    while n >= 128:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out + [n])


def block(*fields):
    out = b""
    for name, value in fields:
        name, value = name.encode(), value.encode()
        out += b"\0" + number(len(name), 7) + name + number(len(value), 7) + value
    return out


def request(path, *more, version=None):
    fields = [(":method", "POST"), (":scheme", "chela"), (":authority", "door"), (":path", path)]
    if version:
        fields += [("chela-door", version), ("chela-runner", "rogue")]
    return block(*fields, *more)


def headers(stream, data, flags=4):
    return frame(HEADERS, flags, stream, data)


def hello(*more, window=1 << 30):
    """Our preface with a window that lets the host send all that it wants."""
    send(PREFACE + frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 1 << 24)) +
         frame(WINDOW, 0, 0, struct.pack(">I", window)) +
         headers(1, request("/agent", *more, version="1")))


class Host:
    """What the host sends, frame by frame; acks settings and pings as a fair peer."""

    def __init__(self):
        self.data = b""
        self.lines = b""

    def frames(self, wait=None):
        while True:
            if len(self.data) >= 9:
                n = int.from_bytes(self.data[:3], "big")
                if len(self.data) >= 9 + n:
                    f, self.data = self.data[:9 + n], self.data[9 + n:]
                    yield f[3], f[4], int.from_bytes(f[5:9], "big"), f[9:]
                    continue
            if not select.select([0], [], [], wait)[0]:
                return
            got = os.read(0, 1 << 16)
            if not got:
                sys.exit(0)
            self.data += got

    def serve(self, f):
        kind, flags, stream, payload = f
        if kind == SETTINGS and not flags & 1:
            send(frame(SETTINGS, 1, 0))
        elif kind == PING and not flags & 1:
            send(frame(PING, 1, 0, payload))
        elif kind == DATA and payload:
            send(frame(WINDOW, 0, 0, struct.pack(">I", len(payload))) +
                 frame(WINDOW, 0, stream, struct.pack(">I", len(payload))))
            if stream == 1:
                self.lines += payload

    def user_lines(self, wait=None):
        for f in self.frames(wait):
            self.serve(f)
            while b"\n" in self.lines:
                line, self.lines = self.lines.split(b"\n", 1)
                yield json.loads(line)

    def idle(self):
        """Until the host ends it."""
        for f in self.frames():
            self.serve(f)


def say(line):
    """A line of the agent; waits for nobody's credit, so it stays below the first window in sum."""
    data = line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n"
    for i in range(0, len(data), 16000):
        send(frame(DATA, 0, 1, data[i:i + 16000]))


def result(uuids, text="forged", **more):
    return {"type": "result", "subtype": "success", "is_error": False, "result": text,
            "session_id": "11111111-2222-4333-8444-555555555555", "user_message_uuids": uuids, **more}


def started(uuid, state="started"):
    return {"type": "command_lifecycle", "command_uuid": uuid, "state": state}


def paced(host, data, until=None):
    """Sends on the agent's stream as credit comes."""
    credit = {0: 4 << 20, 1: 1 << 20}
    credit[0] = 65535
    sent = 0
    for f in host.frames(0):
        host.serve(f)
    view = memoryview(data)
    credit[0] = 4 << 20
    while view:
        n = min(len(view), 16000, credit[0], credit[1])
        if n:
            send(frame(DATA, 0, 1, bytes(view[:n])))
            view = view[n:]
            credit[0] -= n
            credit[1] -= n
            sent += n
        for kind, flags, stream, payload in host.frames(0 if n else None):
            host.serve((kind, flags, stream, payload))
            if kind == WINDOW:
                credit[stream] = credit.get(stream, 0) + int.from_bytes(payload, "big")
            if not n:
                break
    return sent


# --- modes: what each does wrong -----------------------------------------------------------------

def garbage():
    send(os.urandom(1 << 16))


def nothing():
    time.sleep(3600)


def silence_after_hello():
    hello()
    time.sleep(3600)  # reads nothing of what the host writes


def wrong_version():
    send(PREFACE + frame(SETTINGS, 0, 0) + headers(1, request("/agent", version="999")))
    Host().idle()


def no_version():
    send(PREFACE + frame(SETTINGS, 0, 0) + headers(1, request("/agent")))
    Host().idle()


def forged_stream():
    """DATA for a stream that nobody opened, and one of the host's own."""
    hello()
    send(frame(DATA, 0, 2, b"forged") + frame(DATA, 0, 77, b"forged"))
    Host().idle()


def second_agent():
    hello()
    send(headers(3, request("/agent", version="1")))
    send(frame(DATA, 0, 3, json.dumps(result([], "from a second agent")).encode() + b"\n"))
    answer_all(Host())


def unknown_paths():
    hello()
    for i, path in enumerate(("/warden", "/control", "/../agent", "/agent/", "/")):
        send(headers(3 + 2 * i, request(path)))
    answer_all(Host())


def big_header():
    hello(("x-big", "a" * 6000))
    Host().idle()


def big_frame():
    hello()
    send(struct.pack(">I", (1 << 24) - 1)[1:] + bytes([HEADERS, 4]) + struct.pack(">I", 3))
    Host().idle()


def endless_headers():
    send(PREFACE + frame(SETTINGS, 0, 0) + headers(1, request("/agent", version="1"), flags=0))
    while True:
        send(frame(CONT, 0, 1, block(("x-more", "a" * 1000))))


def hpack_bomb():
    """One entry of 4000 bytes in the table, named thousands of times."""
    hello()
    entry = b"\x40" + number(5, 7) + b"x-bom" + number(3900, 7) + b"a" * 3900
    stream = 3
    while True:
        send(headers(stream, entry + b"\xbe" * 15000))
        stream += 2


def ping_flood():
    hello()
    while True:
        send(frame(PING, 0, 0, bytes(8)) * 4096)


def settings_flood():
    hello()
    while True:
        send(frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 1 << 20)) * 2048)


def rst_flood():
    hello()
    stream = 3
    while True:
        send(b"".join(headers(s, request("/tcp")) + frame(RST, 0, s, struct.pack(">I", 8))
                      for s in range(stream, stream + 2000, 2)))
        stream += 2000


def empty_data_flood():
    hello()
    while True:
        send(frame(DATA, 0, 1) * 4096)


def window_overflow():
    hello()
    while True:
        send(frame(WINDOW, 0, 1, struct.pack(">I", (1 << 31) - 1)))


def over_the_window():
    """More than there is credit for, on a connection that is refused for what it says."""
    hello()
    send(headers(3, request("/tcp")))
    for _ in range(400):
        send(frame(DATA, 0, 3, b"a" * 16000))
    answer_all(Host())


def end_without_status():
    hello()
    send(frame(DATA, 1, 1))
    Host().idle()


def stderr_flood():
    if os.fork() == 0:
        line = b"rogue\x1b[31m level=error msg=\"forged\" comp=serve " * 400 + b"\n"
        while True:
            os.write(2, line * 50)
    os.execv("/usr/local/bin/runner.real", ["/usr/local/bin/runner", *sys.argv[1:]])


def tcp_many():
    """1000 streams, none ended, each with a request half said; then it plays a fair agent."""
    hello()
    host = Host()
    for s in range(3, 2003, 2):
        send(headers(s, request("/tcp")) + frame(DATA, 0, s, b"POST /v1/messages HTTP/1.1\r\nHost: lo"))
    answer_all(host)


def tcp_bodies():
    """As many bodies as are let in, each as large as is let in, none ended."""
    hello()
    host = Host()
    size = 4 << 20
    path = "/mcp"
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:2435\r\nContent-Type: application/json\r\n" \
           f"Accept: application/json, text/event-stream\r\nContent-Length: {size}\r\n\r\n".encode()
    streams = list(range(3, 3 + 2 * 90, 2))
    for s in streams:
        send(headers(s, request("/tcp")) + frame(DATA, 0, s, head))
    left = dict.fromkeys(streams, size - 1000)
    credit = dict.fromkeys(streams, (1 << 20) - len(head))
    credit[0] = (4 << 20) - len(head) * len(streams) - 4096
    end = time.monotonic() + 6
    while time.monotonic() < end and any(left.values()):
        moved = False
        for s in streams:
            n = min(left.get(s, 0), credit.get(s, 0), credit[0], 16000)
            if n > 0:
                send(frame(DATA, 0, s, b"[" + b"0," * ((n - 1) // 2) + b" " * ((n - 1) % 2)))
                left[s] -= n
                credit[s] -= n
                credit[0] -= n
                moved = True
        for kind, flags, stream, payload in host.frames(0 if moved else 0.2):
            host.serve((kind, flags, stream, payload))
            if kind == WINDOW:
                credit[stream] = credit.get(stream, 0) + int.from_bytes(payload, "big")
            elif kind == RST:
                left[stream] = 0
    answer_all(host)


def fair():
    hello()
    answer_all(Host())


def answer_all(host):
    for m in host.user_lines():
        if m.get("type") == "user":
            say(started(m["uuid"]))
            say(result([m["uuid"]], "done as asked"))


def lie_uuids():
    """Results for what was never handed in, for nobody, and of wrong types; then the right one."""
    hello()
    for m in Host().user_lines():
        if m.get("type") != "user":
            continue
        strange = "99999999-8888-4777-8666-555555555555"
        for uuids in ([strange], ["1"], [None, 7, {}], {"a": 1}, "x", 5, [m["uuid"][:-1]], None):
            say(result(uuids, ""))
        for state in ("started", "completed", "cancelled", 7, None):
            say(started(strange, state))
        say({"type": "control_response", "response": {"request_id": "none", "response": {
            "still_queued": [strange, 7, None, "x" * 5000]}}})
        say(result([m["uuid"]], "the right one", session_id="../../../etc"))


def lie_shapes():
    """Lines that are not what they should be; then a fair answer."""
    hello()
    host = Host()
    for m in host.user_lines():
        if m.get("type") != "user":
            continue
        for raw in (b"{", b"null", b"[]", b"7", b'"x"', b"\xff\xfe\x00\x01", b"\x00" * 100,
                    b"[" * 20000, b'{"a":' * 20000, b'{"type":"result"', b'{"type":["result"]}',
                    b'{"type":"result","result":{"a":[]},"is_error":"no"}',
                    b'{"type":"stream_event","event":7}', b'{"type":"assistant","message":[]}',
                    b'{"type":"assistant","message":{"content":[{"type":"tool_use","name":5,"input":[]}]}}',
                    b'{"type":"system","subtype":"api_retry","error":{},"attempt":"x"}',
                    b'{"type":"result","result":"\\ud800\\udc00\\ud800","errors":[1,2]}',
                    b'{"type":"result","result":"a\\u0000b"}', b'{"type":1e999}',
                    b'{"type":"stream_event","event":{"type":"content_block_delta","delta":{"text":"'
                    + b"\xf0\x28\x8c\x28" + b'"}}}'):
            say(raw + b"\n")
        say(started(m["uuid"]))
        say(result([m["uuid"]], "after the nonsense"))


def lie_long_line():
    """100 MB without an end, then a fair answer."""
    hello()
    host = Host()
    for m in host.user_lines():
        if m.get("type") == "user":
            paced(host, b"x" * (100 << 20) + b"\n" + json.dumps(started(m["uuid"])).encode() + b"\n"
                  + json.dumps(result([m["uuid"]], "after the long line")).encode() + b"\n")


def lie_dense_line():
    """Below the cap of a line, but of as many values as can be."""
    hello()
    host = Host()
    for m in host.user_lines():
        if m.get("type") == "user":
            dense = b'{"type":"x","a":[' + b"0," * (4 << 20)
            dense = dense[:(8 << 20) - 16] + b"0]}"
            paced(host, (dense + b"\n") * 3 + json.dumps(started(m["uuid"])).encode() + b"\n" +
                  json.dumps(result([m["uuid"]], "after the dense line")).encode() + b"\n")


def lie_talk():
    """Results that nobody asked for, each with a text, thousands of them."""
    hello()
    host = Host()
    for m in host.user_lines():
        if m.get("type") == "user":
            paced(host, b"".join(json.dumps(result([], f"spam {i}")).encode() + b"\n"
                                 for i in range(5000)) +
                  json.dumps(started(m["uuid"])).encode() + b"\n" +
                  json.dumps(result([m["uuid"]], "after the spam")).encode() + b"\n")


mode = orders()
if not mode:
    os.execv("/usr/local/bin/runner.real", ["/usr/local/bin/runner", *sys.argv[1:]])
try:
    globals()[mode[0]]()
except (BrokenPipeError, ConnectionError):
    pass
time.sleep(3600)
