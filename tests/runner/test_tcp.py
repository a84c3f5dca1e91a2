# SPDX-License-Identifier: Apache-2.0
"""Loopback connections as streams: many, slow, half-closed, reset, refused."""

import errno
import hashlib
import os

import pytest

from test_agent import peak_kib

HARD = (errno.ECONNRESET, errno.EPIPE)


@pytest.fixture
def host(start):
    return start("cat")


def pair(h, **kw):
    """A client and its stream."""
    known = set(h.streams)
    c = h.connect(h.port())
    h.pump(lambda: set(h.streams) - known)
    (new,) = set(h.streams) - known
    return c, h.streams[new]


def test_headers_and_echo(host):
    c, s = pair(host)
    assert s.headers == {
        ":method": "POST",
        ":scheme": "chela",
        ":authority": "door",
        ":path": "/tcp",
    }
    c.send(b"question")
    host.pump(lambda: s.got == b"question")
    host.send(s, b"answer")
    host.pump(lambda: c.got == b"answer")


def test_64_in_parallel_and_the_rest_wait(host):
    port = host.port()
    clients = [host.connect(port) for _ in range(80)]
    for i, c in enumerate(clients):
        c.send(b"%04d" % i * 1000)
    host.pump(lambda: len(host.tcp) == 64 and all(len(s.got) == 4000 for s in host.tcp))
    host.spin(0.1)
    assert len(host.tcp) == 64
    for s in host.tcp:
        host.send(s, bytes(s.got), end=True)
    done = lambda: [c for c in clients if c.eof]  # noqa: E731
    host.pump(lambda: len(done()) == 64)
    assert all(c.got == b"%04d" % i * 1000 for i, c in enumerate(clients) if c.eof)
    for c in done()[:16]:
        c.close()
    host.pump(lambda: len(host.tcp) == 80 and all(len(s.got) == 4000 for s in host.tcp))


def test_half_close_by_the_client(host):
    c, s = pair(host)
    c.send(b"all I have")
    host.pump(lambda: s.got and not c.out)
    c.half_close()
    host.pump(lambda: s.ended)
    assert s.reset is None
    host.send(s, b"x" * 300000, end=True)
    host.pump(lambda: c.eof)
    assert len(c.got) == 300000


def test_half_close_by_the_host(host):
    c, s = pair(host)
    host.send(s, b"that was all", end=True)
    host.pump(lambda: c.eof)
    assert c.got == b"that was all"
    c.send(b"y" * 300000)
    host.pump(lambda: len(s.got) == 300000)
    assert not s.ended
    c.close()
    host.pump(lambda: s.ended)


def test_reset_by_the_host(host):
    c, s = pair(host)
    host.reset(s)
    host.pump(lambda: c.error or c.eof)
    assert c.error in HARD
    pair(host)  # the next one is unharmed


def test_reset_by_the_client(host):
    c, s = pair(host)
    c.send(b"x")
    host.pump(lambda: s.got)
    c.reset()
    host.pump(lambda: s.reset is not None)
    assert s.reset == 8  # CANCEL


def test_reset_after_half_close_is_noticed(host):
    c, s = pair(host)
    c.half_close()
    host.pump(lambda: s.ended)
    c.reset()
    host.pump(lambda: s.reset is not None)


def test_reset_while_the_host_sends(host):
    c, s = pair(host)
    c.reading = False
    host.send(s, b"z" * (8 << 20))
    host.pump(lambda: host.conn.local_flow_control_window(s.id) == 0)
    c.reset()
    host.pump(lambda: s.reset is not None)
    c, s = pair(host)  # and the connection's credit came back
    host.send(s, b"z" * (8 << 20))
    host.pump(lambda: len(c.got) == 8 << 20)


@pytest.mark.parametrize("status", [None, 403])
def test_refused(host, status):
    host.accept = lambda s: status
    c, s = pair(host)
    if status is None:
        host.reset(s, 7)  # REFUSED_STREAM
    host.pump(lambda: c.error or c.eof)
    assert c.error in HARD
    host.accept = lambda s: 200
    c, s = pair(host)
    host.send(s, b"fine")
    host.pump(lambda: c.got == b"fine")


def test_answer_then_reset_no_error_loses_nothing(host):
    """An HTTP server that has answered in full may refuse the rest of the upload so."""
    c, s = pair(host)
    c.send(b"u" * 100000)
    host.pump(lambda: s.got)
    host.send(s, b"a" * 200000, end=True)
    host.reset(s, 0)
    host.pump(lambda: c.eof or c.error)
    assert (c.error, len(c.got)) == (None, 200000)


def test_slow_clients_stall_only_themselves(host):
    slow = [pair(host) for _ in range(12)]
    for c, s in slow:
        c.reading = False
        host.send(s, b"s" * (8 << 20))
    stalled = lambda s: host.conn.local_flow_control_window(s.id) == 0  # noqa: E731
    host.pump(lambda: all(stalled(s) for _, s in slow))
    c, s = pair(host)
    host.send(s, b"q" * (12 << 20))
    host.pump(lambda: len(c.got) == 12 << 20)
    host.send(host.agent, b"alive")
    host.pump(lambda: host.agent.got == b"alive")
    assert peak_kib(host.proc.pid) < 18 << 10
    for c, s in slow:
        c.reading = True
    host.pump(lambda: all(len(c.got) == 8 << 20 for c, _ in slow), 20)


def test_backlogs_are_bounded_as_a_whole(host):
    """With more slow clients than the soft limit covers, the connection's window closes."""
    slow = [pair(host) for _ in range(40)]
    for c, s in slow:
        c.reading = False
        host.send(s, b"s" * (6 << 20))
    host.pump(lambda: host.conn.outbound_flow_control_window == 0)
    host.spin(0.1)
    assert peak_kib(host.proc.pid) < 24 << 10  # 16 MiB + a window of 4 MiB + itself
    for c, s in slow:
        c.reading = True
    host.pump(lambda: all(len(c.got) == 6 << 20 for c, _ in slow), 20)


def test_stalled_host_stops_the_client(host):
    host.credit = lambda s: s.path != "/tcp"
    c, s = pair(host)
    c.send(b"u" * (30 << 20))
    host.pump(lambda: s.received == 1 << 20)
    host.spin(0.1)
    assert s.received == 1 << 20
    assert len(c.out) > 10 << 20
    assert peak_kib(host.proc.pid) < 4 << 10


def test_large_bodies_on_four_streams(host):
    body = os.urandom(6 << 20)
    want = hashlib.sha256(body).digest()
    pairs = [pair(host) for _ in range(4)]
    for c, s in pairs:
        c.send(body)
        host.send(s, body)
    host.pump(lambda: all(len(c.got) == len(s.got) == len(body) for c, s in pairs), 20)
    for c, s in pairs:
        assert hashlib.sha256(c.got).digest() == hashlib.sha256(s.got).digest() == want
