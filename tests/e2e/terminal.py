# SPDX-License-Identifier: Apache-2.0
"""A person at a terminal: a pseudo-terminal of its own, keys in, screen text out.

Owns: the terminal and the process on it. What is shown is kept whole; waiting is for text that comes
after a place in it.
"""
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import threading
import time

from server import BINARY, environment

CONTROLS = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\r")


def _own_terminal():
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Terminal:
    def __init__(self, home, *words, env=None):
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 200, 0, 0))
        self.popen = subprocess.Popen(
            [BINARY, "--home", str(home), *words], stdin=theirs, stdout=theirs, stderr=theirs,
            env=environment({"TERM": "xterm", "LANG": "C.UTF-8", **(env or {})}),
            preexec_fn=_own_terminal)
        os.close(theirs)
        self.fd = ours
        self.wake, self.waker = os.pipe()  # a blocked read would hold the terminal open
        self.text = ""
        self.changed = threading.Condition(threading.RLock())
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        while True:
            if self.wake in select.select([self.fd, self.wake], [], [])[0]:
                return
            try:
                data = os.read(self.fd, 65536)
            except OSError:  # EIO: nobody has the other side any more
                return
            with self.changed:
                self.text += data.decode("utf-8", "replace")
                self.changed.notify_all()

    def screen(self):
        """What was shown, without control sequences."""
        with self.changed:
            return CONTROLS.sub("", self.text)

    def mark(self):
        return len(self.screen())

    def expect(self, what, timeout=30, since=0):
        """Waits until the text is shown after the place `since`."""
        self._wait(lambda shown: what in shown[since:], repr(what), timeout)

    def prompt(self, timeout=30):
        """Waits until a line is asked for."""
        self._wait(lambda shown: shown.endswith("main> "), "prompt", timeout)

    def _wait(self, there, what, timeout):
        end = time.monotonic() + timeout
        with self.changed:
            while not there(self.screen()):
                left = end - time.monotonic()
                assert left > 0, f"no {what} within {timeout} s on:\n{self.screen()}"
                self.changed.wait(left)

    def type(self, keys):
        os.write(self.fd, keys.encode())

    def line(self, text):
        self.type(text + "\r")

    def ended(self, timeout=40):
        """The exit status."""
        status = self.popen.wait(timeout)
        self.reader.join(5)
        return status

    def hang_up(self):
        """The terminal goes away."""
        os.write(self.waker, b"x")
        self.reader.join(5)
        os.close(self.fd)
        self.fd = -1

    def close(self):
        if self.popen.poll() is None:
            self.popen.kill()
            self.popen.wait(10)
        if self.fd >= 0:
            self.hang_up()
        os.close(self.wake)
        os.close(self.waker)
