# SPDX-License-Identifier: Apache-2.0
"""The host's end of the door, for tests: python3-h2 over a runner's stdin and stdout.

One thread, one select loop (`pump`). A test states what it waits for; nothing sleeps.
"""

import os
import select
import socket
import struct
import subprocess
import time

import h2.config
import h2.connection
import h2.events
from h2.settings import SettingCodes

WINDOW = 1 << 20
CONN_WINDOW = 4 << 20
FRAME = 256 << 10
TICK = 0.02  # how often a condition is asked that no fd of ours announces (/proc)


class Timeout(AssertionError):
    pass


class Stream:
    def __init__(self, sid, headers):
        self.id = sid
        self.headers = headers
        self.got = bytearray()
        self.sink = None  # instead of `got`, for large bodies
        self.received = 0
        self.uncredited = 0
        self.ended = False
        self.trailers = None
        self.reset = None
        self.out = memoryview(b"")
        self.out_end = False

    @property
    def path(self):
        return self.headers[":path"]


class Client:
    """A connection to the runner's port, moved along by the host's pump."""

    def __init__(self, port):
        self.sock = socket.socket()
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.settimeout(5)
        self.sock.connect(("127.0.0.1", port))
        self.sock.setblocking(False)
        self.got = bytearray()
        self.out = memoryview(b"")
        self.eof = False
        self.error = None
        self.reading = True

    def send(self, data):
        self.out = memoryview(bytes(self.out) + data)

    def half_close(self):
        assert not self.out
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self):
        self.sock.close()
        self.reading = False
        self.out = memoryview(b"")

    def on_ready(self, readable, writable):
        try:
            if writable:
                self.out = self.out[self.sock.send(self.out) :]
            if readable:
                data = self.sock.recv(1 << 18)
                self.got += data
                self.eof = not data
        except BlockingIOError:
            pass
        except OSError as e:
            self.error = e.errno
            self.out = memoryview(b"")
        if self.eof or self.error:
            self.reading = False


class Host:
    def __init__(self, argv, handshake=True, preexec=None):
        self.log = bytearray()
        self.proc = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=preexec,
            bufsize=0,
        )
        self.fin, self.fout = self.proc.stdin.fileno(), self.proc.stdout.fileno()
        self.ferr = self.proc.stderr.fileno()
        for fd in (self.fin, self.fout, self.ferr):
            os.set_blocking(fd, False)
        self.tx = memoryview(b"")
        self.rx_on = True  # False: do not even read the pipe
        self.rx_eof = self.err_eof = self.tx_broken = False
        self.credit = lambda stream: True  # which streams get credit
        self.accept = lambda stream: 200  # status, or None to leave the stream alone
        self.streams = {}
        self.clients = []
        self.goaway = None
        self.settings = {}
        self.conn = None
        if handshake:
            self._handshake()

    def _handshake(self):
        self.conn = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        )
        self.conn.initiate_connection()
        self.conn.update_settings(
            {
                SettingCodes.MAX_CONCURRENT_STREAMS: 100,
                SettingCodes.INITIAL_WINDOW_SIZE: WINDOW,
                SettingCodes.MAX_FRAME_SIZE: FRAME,
                SettingCodes.MAX_HEADER_LIST_SIZE: 4096,
            }
        )
        # h2 looks at this once a read: the acknowledgement and a large frame may come in the same one
        self.conn.max_inbound_frame_size = FRAME
        self.conn.increment_flow_control_window(CONN_WINDOW - 65535)
        self.pump(lambda: 1 in self.streams and "max_frame" in self.settings)

    # -- what a test does

    @property
    def agent(self):
        return self.streams[1]

    @property
    def tcp(self):
        return [s for s in self.streams.values() if s.path == "/tcp"]

    def send(self, stream, data=b"", end=False):
        stream.out = memoryview(bytes(stream.out) + data)
        stream.out_end |= end
        self._fill(stream)

    def reset(self, stream, code=8):
        self.conn.reset_stream(stream.id, code)

    def give_credit(self, stream):
        self.credit = lambda s: True
        if stream.uncredited and not stream.ended:
            self.conn.acknowledge_received_data(stream.uncredited, stream.id)
            stream.uncredited = 0

    def raw(self, data):
        self.tx = memoryview(bytes(self.tx) + data)

    def connect(self, port):
        c = Client(port)
        self.clients.append(c)
        return c

    def text(self):
        return self.log.decode("utf-8", "replace")

    def port(self):
        self.pump(lambda: b", port " in self.log)
        return int(self.text().split(", port ")[1].split(",")[0])

    def close(self):
        """End the door, as the host does; returns the runner's exit code."""
        self.proc.stdin.close()
        self.tx_broken = True
        return self.wait()

    def wait(self, timeout=60):
        self.rx_on = True
        self.pump(lambda: self.rx_eof and self.err_eof, timeout)
        return self.proc.wait(timeout)

    def destroy(self):
        for c in self.clients:
            c.sock.close()
        if self.proc.poll() is None:
            self.proc.kill()
        self.proc.wait(10)
        for f in (self.proc.stdin, self.proc.stdout, self.proc.stderr):
            f.close()

    # -- the loop

    def pump(self, until, timeout=60.0):
        """Move everything until `until()` holds."""
        deadline = time.monotonic() + timeout
        while True:
            if self.conn:
                new = self.conn.data_to_send()
                if new and not self.tx_broken:
                    self.tx = memoryview(bytes(self.tx) + new) if self.tx else memoryview(new)
            if until():
                return
            left = deadline - time.monotonic()
            if left <= 0:
                raise Timeout("waited %.1f s; log:\n%s" % (timeout, self.text()))
            self._turn(min(left, TICK))

    def spin(self, seconds):
        """Only for statements about a span of time ("nothing happens")."""
        try:
            self.pump(lambda: False, seconds)
        except Timeout:
            pass

    def _turn(self, left):
        r = [] if self.err_eof else [self.ferr]
        if self.rx_on and not self.rx_eof:
            r.append(self.fout)
        w = [self.fin] if self.tx and not self.tx_broken else []
        by_sock = {c.sock.fileno(): c for c in self.clients if c.reading or c.out}
        r += [fd for fd, c in by_sock.items() if c.reading]
        w += [fd for fd, c in by_sock.items() if c.out]
        rr, ww, _ = select.select(r, w, [], left)
        if self.ferr in rr:
            data = os.read(self.ferr, 1 << 16)
            self.err_eof = not data
            self.log += data
        if self.fout in rr:
            data = os.read(self.fout, 1 << 20)
            self.rx_eof = not data
            if data and self.conn:
                self._events(self.conn.receive_data(data))
        if self.fin in ww:
            try:
                self.tx = self.tx[os.write(self.fin, self.tx) :]
            except BrokenPipeError:
                self.tx_broken = True
        for fd, c in by_sock.items():
            if fd in rr or fd in ww:
                c.on_ready(fd in rr, fd in ww)

    def _fill(self, s):
        while (s.out or s.out_end) and s.reset is None:
            if not s.out:
                self.conn.end_stream(s.id)
                s.out_end = False
                return
            n = min(
                len(s.out),
                self.conn.local_flow_control_window(s.id),
                self.conn.max_outbound_frame_size,
            )
            if n <= 0:
                return
            self.conn.send_data(s.id, bytes(s.out[:n]))
            s.out = s.out[n:]

    def _events(self, events):
        for e in events:
            s = self.streams.get(getattr(e, "stream_id", None))
            if isinstance(e, h2.events.RequestReceived):
                s = self.streams[e.stream_id] = Stream(e.stream_id, dict(e.headers))
                status = self.accept(s)
                if status:
                    self.conn.send_headers(e.stream_id, [(":status", str(status))])
            elif isinstance(e, h2.events.DataReceived):
                s.received += len(e.data)
                if s.sink:
                    s.sink(e.data)
                else:
                    s.got += e.data
                if not self.credit(s):
                    s.uncredited += e.flow_controlled_length
                elif e.flow_controlled_length:
                    self.conn.acknowledge_received_data(e.flow_controlled_length, s.id)
            elif isinstance(e, h2.events.StreamEnded):
                s.ended = True
            elif isinstance(e, h2.events.TrailersReceived):
                s.trailers = dict(e.headers)
            elif isinstance(e, h2.events.StreamReset):
                s.reset = e.error_code
            elif isinstance(e, h2.events.ConnectionTerminated):
                self.goaway = e.error_code
            elif isinstance(e, h2.events.RemoteSettingsChanged):
                got = {k: v.new_value for k, v in e.changed_settings.items()}
                self.settings.update(got)
                if SettingCodes.MAX_FRAME_SIZE in got:
                    self.settings["max_frame"] = got[SettingCodes.MAX_FRAME_SIZE]
            elif isinstance(e, h2.events.WindowUpdated):
                for t in list(self.streams.values()):
                    self._fill(t)
        for t in list(self.streams.values()):
            if t.out:
                self._fill(t)
