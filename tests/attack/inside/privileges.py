# SPDX-License-Identifier: Apache-2.0
"""Powers: ids, capabilities and flags of every thread, forbidden system calls, and the runner, which
is PID 1 and holds the door."""
import ctypes
import errno
import glob
import os
import pathlib
import signal

from common import GVISOR, LIBC, Report, syscall

r = Report()


def status(path):
    try:
        text = pathlib.Path(path).read_text("utf-8")
    except OSError:
        return None
    return dict(x.split(":\t", 1) for x in text.splitlines() if ":\t" in x)


threads = glob.glob("/proc/[0-9]*/task/[0-9]*/status")
r.check(f"only {len(threads)} threads seen", len(threads) >= 5)
for path in threads:
    s = status(path)
    if not s:
        continue
    who = f"{s['Name']} ({path})"
    r.check(f"{who} is uid 0: {s['Uid']} {s['Gid']}",
            "0" not in s["Uid"].split() and "0" not in s["Gid"].split())
    r.check(f"{who} has groups {s.get('Groups')}", not s.get("Groups", "").split())
    for set_ in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        if set_ in s or not GVISOR:
            r.check(f"{who} has {set_} {s.get(set_)}", int(s[set_], 16) == 0)
    if "NoNewPrivs" in s or not GVISOR:
        r.check(f"{who} may gain privileges", s["NoNewPrivs"] == "1")
    r.check(f"{who} has no filter", s["Seccomp"] == "2")
me = status("/proc/self/status")
r.check(f"I am {me['Uid']}", me["Uid"].split() == ["10001"] * 4)

# Ids and bounds cannot be had back.
for name, nr in (("setuid", 105), ("setgid", 106), ("setfsuid", 122), ("setfsgid", 123)):
    got = syscall(nr, 0)
    now = status("/proc/self/status")
    r.check(f"{name}(0): {got}", "0" not in now["Uid"].split() + now["Gid"].split())
r.must_fail("setgroups", os.setgroups, [0])
r.must_fail("setresuid", os.setresuid, 0, 0, 0)
r.must_fail("setresuid to the runner", os.setresuid, 10002, 10002, 10002)
head = (ctypes.c_uint32 * 2)(0x20080522, 0)
for bit in range(38 if GVISOR else 41):  # gVisor knows no more
    data = (ctypes.c_uint32 * 6)()
    data[0 if bit < 32 else 3] = data[1 if bit < 32 else 4] = 1 << (bit % 32)
    r.check(f"capset {bit}", LIBC.capset(head, data) == -1)
    r.check(f"ambient {bit}", LIBC.prctl(47, 2, bit, 0, 0) == -1)
r.check("no_new_privs taken back", LIBC.prctl(38, 0, 0, 0, 0) == -1)
r.check("no_new_privs is off", LIBC.prctl(39, 0, 0, 0, 0) == 1)

# System calls (numbers of x86-64) that must not work; a buffer where a pointer is wanted.
buf = ctypes.create_string_buffer(4096)
at = ctypes.cast(buf, ctypes.c_void_p)
calls = {
    "mount": (165, b"none", b"/tmp", b"tmpfs", 0, 0), "umount2": (166, b"/tmp", 2),
    "pivot_root": (155, b"/", b"/"), "chroot": (161, b"/tmp"),
    "move_mount": (429, -100, b"/tmp", -100, b"/workspace", 0), "open_tree": (428, -100, b"/", 1),
    "fsopen": (430, b"tmpfs", 0), "mount_setattr": (442, -100, b"/", 0, at, 32),
    "setns": (308, 0, 0), "bpf": (321, 0, at, 128), "perf_event_open": (298, at, 0, -1, -1, 0),
    "io_uring_setup": (425, 4, at), "userfaultfd": (323, 1), "keyctl": (250, 0, -3, 1),
    "add_key": (248, b"user", b"x", b"y", 1, -3), "request_key": (249, b"user", b"x", 0, -3),
    "process_vm_readv": (310, 1, at, 1, at, 1, 0), "process_vm_writev": (311, 1, at, 1, at, 1, 0),
    "ptrace attach 1": (101, 16, 1, 0, 0), "ptrace seize 1": (101, 0x4206, 1, 0, 0),
    "pidfd_getfd": (438, 0, 0, 0), "kcmp": (312, 1, 1, 0, 0, 0),
    "kexec_load": (246, 0, 0, 0, 0), "kexec_file_load": (320, 0, 0, 0, b"", 0),
    "open_by_handle_at": (304, -100, at, 0), "name_to_handle_at": (303, -100, b"/", at, at, 0),
    "init_module": (175, at, 16, b""), "finit_module": (313, 0, b"", 0),
    "delete_module": (176, b"x", 0), "reboot": (169, 0xfee1dead, 672274793, 0, 0),
    "sethostname": (170, b"x", 1), "setdomainname": (171, b"x", 1), "swapon": (167, b"/tmp/x", 0),
    "swapoff": (168, b"/tmp/x"), "acct": (163, b"/tmp/x"), "settimeofday": (164, at, 0),
    "clock_settime": (227, 0, at), "iopl": (172, 3), "ioperm": (173, 0x80, 1, 1),
    "quotactl": (179, 0, b"/", 0, at), "syslog": (103, 2, at, 16), "vhangup": (153,),
    "fanotify_init": (300, 0, 0), "lookup_dcookie": (212, 0, at, 16), "mbind": (237, at, 0, 0, 0, 0, 0),
    "move_pages": (279, 1, 0, 0, 0, 0, 0), "nfsservctl": (180, 0, 0, 0),
    "memfd_secret": (447, 0), "process_madvise": (440, 1, at, 1, 0, 0),
}
for name, (nr, *args) in calls.items():
    got, e = syscall(nr, *args)
    r.check(f"{name}: {got}", got == -1)
    if got == -1:
        r.check(f"{name} is filtered: {errno.errorcode.get(e)}", e in (errno.EPERM, errno.ENOSYS))


def in_child(fn):
    """The child's exit code: 0 = fn worked."""
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(0 if fn() else 1)
        except BaseException:  # noqa: BLE001
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


NEW = {"cgroup": 0x02000000, "uts": 0x04000000, "ipc": 0x08000000, "user": 0x10000000,
       "pid": 0x20000000, "net": 0x40000000, "mnt": 0x00020000, "time": 0x00000080}
for name, bit in NEW.items():
    r.check(f"unshare {name}", in_child(lambda b=bit: syscall(272, b)[0] == 0) != 0)
    if bit > 0x80:
        pid, e = syscall(56, bit | signal.SIGCHLD, 0, 0, 0, 0)
        if pid == 0:
            os._exit(0)
        r.check(f"clone {name}", pid == -1)
r.check("clone3 with a namespace", syscall(435, ctypes.create_string_buffer(
    (0x10000000).to_bytes(8, "little") + bytes(24) + (17).to_bytes(8, "little") + bytes(48)),
    88)[0] == -1)
r.check("personality ADDR_NO_RANDOMIZE", syscall(135, 0x40000)[0] == -1)

# The runner.
for name in ("mem",) if GVISOR else ("mem", "environ", "maps", "auxv", "syscall", "stack", "pagemap", "clear_refs",
             "oom_score_adj", "coredump_filter"):
    for mode in ("rb", "r+b"):
        if mode == "rb" and name in ("oom_score_adj", "coredump_filter"):
            continue
        if GVISOR and not os.path.exists(f"/proc/1/{name}"):
            continue
        r.must_fail(f"/proc/1/{name} {mode}", lambda n=name, m=mode: open(f"/proc/1/{n}", m).read(1),
                    good=(OSError, ValueError))
for name in () if GVISOR else ("fd", "fdinfo", "map_files"):
    r.must_fail(f"list /proc/1/{name}", os.listdir, f"/proc/1/{name}")
for fd in range(16):
    for flags in (os.O_RDONLY, os.O_WRONLY | os.O_NONBLOCK):
        r.must_fail(f"/proc/1/fd/{fd}", os.open, f"/proc/1/fd/{fd}", flags)
for name in ("root/etc", "cwd", "task/1/root", "task/1/cwd"):
    r.must_fail(f"/proc/1/{name}", os.listdir, f"/proc/1/{name}")
for name in ("exe", "root", "cwd", "ns/mnt", "ns/user"):
    if not GVISOR:
        r.must_fail(f"readlink /proc/1/{name}", os.readlink, f"/proc/1/{name}")
for sig in range(0, 65):
    r.must_fail(f"kill(1, {sig})", os.kill, 1, sig)
r.must_fail("pidfd", lambda: signal.pidfd_send_signal(os.pidfd_open(1), signal.SIGKILL))
GVISOR or r.must_fail("nice", os.setpriority, os.PRIO_PROCESS, 1, 10)
r.must_fail("prlimit", lambda: __import__("resource").prlimit(1, 7, (1, 1)))
GVISOR or r.must_fail("sched_setaffinity", os.sched_setaffinity, 1, {0})
GVISOR or r.must_fail("renice below 0", os.setpriority, os.PRIO_PROCESS, 0, -5)

# The launcher has our uid, but nothing can be read out of it or put in.
launchers = [p for p in map(int, filter(str.isdigit, os.listdir("/proc")))
             if p != 1 and (status(f"/proc/{p}/status") or {}).get("PPid") == "1"
             and "runner" in (status(f"/proc/{p}/status") or {}).get("Name", "")]
r.check(f"launchers: {launchers}", len(launchers) == 1)
for p in launchers:
    r.must_fail("launcher's memory", open, f"/proc/{p}/mem", "r+b")
    GVISOR or r.must_fail("launcher's environment", lambda q=p: open(f"/proc/{q}/environ", "rb").read())
    for fd in range(8):
        r.must_fail(f"launcher's fd {fd}", os.open, f"/proc/{p}/fd/{fd}", os.O_RDWR | os.O_NONBLOCK)
r.end()
