# SPDX-License-Identifier: Apache-2.0
"""Processes, seen through /proc and held by pidfds.

Owns: who is whose child, and waiting for an end without asking again and again.
Must never: signal a process that the test did not start (a pid is checked against its parent first).
"""
import os
import select
import signal


def stat(pid):
    """(comm, state, ppid, start time) or None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as f:
            text = f.read().decode("utf-8", "replace")
    except OSError:
        return None
    head, _, tail = text.rpartition(")")
    fields = tail.split()
    return head.partition("(")[2], fields[0], int(fields[1]), int(fields[19])


def children(pid):
    """Living children, oldest first."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        s = stat(int(name))
        if s and s[2] == pid and s[1] not in "ZX":
            found.append((s[3], int(name)))
    return [p for _, p in sorted(found)]


def below(pid):
    """All living descendants."""
    found = []
    for child in children(pid):
        found += [child, *below(child)]
    return found


def comm(pid):
    s = stat(pid)
    return s[0] if s else ""


class Handle:
    """A process that is known by more than its number."""

    def __init__(self, pid):
        self.pid = pid
        self.fd = os.pidfd_open(pid)

    def kill(self, signo=signal.SIGKILL):
        """False when it was gone already."""
        try:
            signal.pidfd_send_signal(self.fd, signo)
            return True
        except ProcessLookupError:
            return False

    def ended(self, timeout):
        """Waits for its end."""
        return bool(select.select([self.fd], [], [], timeout)[0])

    def close(self):
        os.close(self.fd)


def open_all(pids):
    held = []
    for pid in pids:
        try:
            held.append(Handle(pid))
        except ProcessLookupError:
            pass
    return held
