# SPDX-License-Identifier: Apache-2.0
"""Events that a test can wait for: log lines, control-socket events, ends of processes.

Owns: one list of events in the order they came, and waiting on it with a deadline.
Why: a test that sleeps is slow and wrong at once; every wait here ends with the event.
Must never: drop an event, or wait without an end.
"""
import threading
import time


class Late(AssertionError):
    """The event did not come in time."""


class Bus:
    def __init__(self):
        self.events = []
        self.changed = threading.Condition()

    def post(self, event):
        with self.changed:
            self.events.append(event)
            self.changed.notify_all()

    def mark(self):
        """A place in the list: waits with since=mark() see only what comes later."""
        with self.changed:
            return len(self.events)

    def find(self, match, since=0):
        with self.changed:
            return [e for e in self.events[since:] if match(e)]

    def wait(self, match, timeout=30.0, since=0, what="event", count=1):
        """The count-th event that matches, from since on."""
        end = time.monotonic() + timeout
        seen, found = since, 0
        with self.changed:
            while True:
                while seen < len(self.events):
                    event = self.events[seen]
                    seen += 1
                    if match(event):
                        found += 1
                        if found == count:
                            return event
                left = end - time.monotonic()
                if left <= 0:
                    raise Late(f"no {what} within {timeout:.0f} s")
                self.changed.wait(left)

    def wait_until(self, ready, timeout=30.0, what="state"):
        """Waits until ready() is true, looked at after each event."""
        end = time.monotonic() + timeout
        with self.changed:
            while not ready():
                left = end - time.monotonic()
                if left <= 0:
                    raise Late(f"no {what} within {timeout:.0f} s")
                self.changed.wait(left)

    def pause(self, seconds):
        """Lets a random time pass that is part of what is tested; events end it early or not."""
        end = time.monotonic() + seconds
        with self.changed:
            while (left := end - time.monotonic()) > 0:
                self.changed.wait(left)
